/**
 * The regression tests of the OWASP Core Rule Set, read from where they lie (test/data.ts); nothing of them is kept here.
 *
 * SPEC: coreruleset/ftw-tests-schema v2.3; what a field means is what go-ftw 2 does with it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { dataFolder } from '../../data.ts';

export interface Stage {
  /** Rule and test, `920100-4`; of a test with several stages with the number of the stage, `920100-4.2`. */
  readonly id: string;
  readonly input: Input;
  readonly expects: Expectation;
}
export interface Input {
  readonly method: string;
  readonly uri: string;
  readonly version: string;
  /** In the order in which they are sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly data: Uint8Array;
  readonly autocomplete: boolean;
  /** A whole request as bytes; then the fields above mean nothing. */
  readonly raw: Uint8Array | null;
}
export interface Expectation {
  readonly ids: readonly number[];
  readonly noIds: readonly number[];
  /** Of a line of the log. */
  readonly matches: RegExp | null;
  readonly matchesNot: RegExp | null;
  readonly status: number; // 0: any
  readonly error: boolean; // no answer, or not one of HTTP
}

/** The files as they are written. All scalars are read as text: `Content-Length: 007` is what the wire shall carry. */
interface TestFile {
  readonly rule_id: string;
  readonly tests: readonly { readonly test_id?: string; readonly stages: readonly WrittenStage[] }[];
}
interface WrittenStage {
  readonly input: WrittenInput;
  readonly output: WrittenOutput;
}
type InputField = Exclude<(typeof INPUT_FIELDS)[number], 'headers' | 'ordered_headers'>;
type WrittenInput = { readonly [field in InputField]?: string } & {
  readonly headers?: Readonly<Record<string, string>>;
  readonly ordered_headers?: readonly { readonly name: string; readonly value: string }[];
};
type WrittenOutput = { readonly [field in Exclude<(typeof OUTPUT_FIELDS)[number], 'log'>]?: string } & {
  readonly log?: {
    readonly expect_ids?: readonly string[];
    readonly no_expect_ids?: readonly string[];
    readonly match_regex?: string;
    readonly no_match_regex?: string;
  };
};

const INPUT_FIELDS = [
  'dest_addr',
  'port',
  'protocol',
  'method',
  'uri',
  'version',
  'headers',
  'ordered_headers',
  'data',
  'encoded_data',
  'encoded_request',
  'autocomplete_headers',
  'stop_magic',
] as const;
const OUTPUT_FIELDS = ['log', 'status', 'expect_error', 'retry_once', 'log_contains', 'no_log_contains'] as const;
const LOG_FIELDS = ['expect_ids', 'no_expect_ids', 'match_regex', 'no_match_regex'];

/** All stages, in the order of files and tests. A field that this reader does not know is an error, not a guess. */
export function loadSuite(folder = join(dataFolder('crs'), 'tests/regression/tests')): Stage[] {
  const stages: Stage[] = [];
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.ya?ml$/.test(file));
  for (const file of files.sort()) {
    const document = parse(readFileSync(join(folder, file), 'utf8'), { schema: 'failsafe' }) as
      TestFile | string | null;
    // A file may hold comments only, which the parser gives as null or as empty text.
    if (!document || typeof document === 'string') continue;
    for (const [index, test] of document.tests.entries()) {
      const id = `${document.rule_id}-${test.test_id ?? index + 1}`;
      for (const [number, stage] of test.stages.entries()) {
        const name = test.stages.length > 1 ? `${id}.${number + 1}` : id;
        try {
          stages.push({ id: name, input: inputOf(stage.input), expects: expectationOf(stage.output) });
        } catch (cause) {
          throw new Error(`${file}, ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
        }
      }
    }
  }
  return stages;
}

function known(object: object, names: readonly string[]): void {
  for (const name of Object.keys(object)) if (!names.includes(name)) throw new Error(`the field ${name} is not known`);
}
const flag = (text: string | undefined, fallback: boolean): boolean =>
  text === undefined ? fallback : /^(true|yes|on)$/i.test(text);

function inputOf(input: WrittenInput): Input {
  known(input, INPUT_FIELDS);
  return {
    method: input.method ?? 'GET',
    uri: input.uri ?? '/',
    version: input.version ?? 'HTTP/1.1',
    // go-ftw sorts a map of headers by name, bytewise.
    headers:
      input.ordered_headers?.map(({ name, value }) => [name, value] as const) ??
      Object.entries(input.headers ?? {}).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    data:
      input.encoded_data === undefined
        ? dataOf(input.data ?? '')
        : new Uint8Array(Buffer.from(input.encoded_data, 'base64')),
    autocomplete: flag(input.autocomplete_headers, !flag(input.stop_magic, false)),
    raw: input.encoded_request === undefined ? null : Buffer.from(input.encoded_request, 'base64'),
  };
}

/** `data` is a template of Go; of that language the suite uses `{{ "text" | repeat N }}`. */
function dataOf(text: string): Uint8Array {
  const filled = text.replaceAll(/\{\{ *"([^"\\]*)" *\| *repeat (\d+) *\}\}/g, (_, piece: string, times: string) =>
    piece.repeat(Number(times)),
  );
  if (filled.includes('{{')) throw new Error('the template in `data` is not known');
  return Buffer.from(filled);
}

function expectationOf(output: WrittenOutput): Expectation {
  known(output, OUTPUT_FIELDS);
  const log = output.log ?? {};
  known(log, LOG_FIELDS);
  const regex = (text: string | undefined): RegExp | null => (text ? new RegExp(text) : null);
  return {
    ids: (log.expect_ids ?? []).map(Number),
    noIds: (log.no_expect_ids ?? []).map(Number),
    matches: regex(log.match_regex ?? output.log_contains),
    matchesNot: regex(log.no_match_regex ?? output.no_log_contains),
    status: Number(output.status ?? 0),
    error: flag(output.expect_error, false),
  };
}
