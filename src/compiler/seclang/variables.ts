/** The variables of SecLang, targets made of them, and references in macros. */
import * as abi from '../../../assembly/waf/abi.ts';
import { nearest, shown } from '../spelling.ts';
import { checkPattern } from './pattern.ts';
import type { Problems } from './problems.ts';
import type { Reference, Selector, Target } from './ruleset.ts';
import type { Text } from './text.ts';

interface Variable {
  readonly id: number;
  /** Whether `&NAME` counts something: a list in ModSecurity. */
  readonly list: boolean;
  /** `NAME:entry`. */
  readonly entry: 'none' | 'optional' | 'required';
  /** Why it has no value here, for names that have none. */
  readonly empty?: string;
  /** A rule that reads it protects less than it says. */
  readonly lost?: boolean;
}

/**
 * How bad it is that something is not honoured. SPEC: the rules of the Core Rule Set that need persistence, geography
 * or look-ups (900,000 to 999,999) are off unless somebody turns them on, so there it is a warning.
 */
export type Loss = 'error' | 'warning';
export const lossOf = (id: number): Loss => (id >= 900_000 && id <= 999_999 ? 'warning' : 'error');

const names = (text: string): string[] => text.trim().split(/\s+/);
const idOf = (name: string): number => (abi as unknown as Record<string, number>)[`VARIABLE_${name}`]!;

// SPEC: kinds and parameters are those that ModSecurity v2 registers in re_variables.c.
const SCALARS = names(`
  DURATION HIGHEST_SEVERITY INBOUND_DATA_ERROR MATCHED_VAR MATCHED_VAR_NAME
  MULTIPART_BOUNDARY_QUOTED MULTIPART_BOUNDARY_WHITESPACE MULTIPART_CRLF_LF_LINES MULTIPART_DATA_AFTER
  MULTIPART_DATA_BEFORE MULTIPART_FILE_LIMIT_EXCEEDED MULTIPART_HEADER_FOLDING MULTIPART_INVALID_HEADER_FOLDING
  MULTIPART_INVALID_PART MULTIPART_INVALID_QUOTING MULTIPART_LF_LINE MULTIPART_MISSING_SEMICOLON MULTIPART_STRICT_ERROR
  MULTIPART_UNMATCHED_BOUNDARY OUTBOUND_DATA_ERROR QUERY_STRING REMOTE_ADDR REMOTE_HOST
  REQBODY_ERROR REQBODY_ERROR_MSG REQBODY_PROCESSOR REQBODY_PROCESSOR_ERROR REQUEST_BASENAME REQUEST_BODY_LENGTH
  REQUEST_FILENAME REQUEST_LINE REQUEST_METHOD REQUEST_PROTOCOL REQUEST_URI REQUEST_URI_RAW RESPONSE_BODY
  RESPONSE_CONTENT_LENGTH RESPONSE_CONTENT_TYPE RESPONSE_PROTOCOL RESPONSE_STATUS SERVER_NAME
  STATUS_LINE TIME TIME_DAY TIME_EPOCH TIME_HOUR TIME_MIN TIME_MON TIME_SEC TIME_WDAY TIME_YEAR UNIQUE_ID
  URLENCODED_ERROR`);
const LISTS = names(`
  ARGS ARGS_GET ARGS_GET_NAMES ARGS_NAMES ARGS_POST ARGS_POST_NAMES FILES FILES_NAMES FILES_SIZES FILES_TMP_CONTENT JSON
  MATCHED_VARS MATCHED_VARS_NAMES MULTIPART_FILENAME MULTIPART_NAME MULTIPART_PART_HEADERS REQUEST_BODY REQUEST_COOKIES
  REQUEST_COOKIES_NAMES REQUEST_HEADERS REQUEST_HEADERS_NAMES RESPONSE_HEADERS RESPONSE_HEADERS_NAMES XML`);
const SIZES = names('ARGS_COMBINED_SIZE FILES_COMBINED_SIZE');

const PERSISTENT = 'nothing persists between requests here';
const NO_FILES = 'uploads are never written to a disk here';
const NO_SCRIPT = 'the origin is elsewhere, there is no script here';
const EMPTY_LISTS: readonly (readonly [string, string])[] = [
  ...names('GLOBAL IP RESOURCE SESSION USER').map((name) => [name, PERSISTENT] as const),
  ['GEO', 'there is no database of places here'],
  ['ENV', 'there is no environment of a process here'],
  ['FILES_TMPNAMES', NO_FILES],
];
const EMPTY_SCALARS: readonly (readonly [string, string])[] = [
  ...names('SESSIONID USERID').map((name) => [name, PERSISTENT] as const),
  ...names('SCRIPT_BASENAME SCRIPT_FILENAME SCRIPT_GID SCRIPT_GROUPNAME SCRIPT_MODE SCRIPT_UID SCRIPT_USERNAME').map(
    (name) => [name, NO_SCRIPT] as const,
  ),
  ...names('STREAM_INPUT_BODY STREAM_OUTPUT_BODY').map((name) => [name, 'bodies are not rewritten here'] as const),
];
/** Those that have an id, for the sake of rule sets that only leave them out, and never a value. */
const ABSENT_SCALARS: readonly (readonly [string, string])[] = [
  ...names('AUTH_TYPE REMOTE_USER').map((name) => [name, 'nobody logs in here'] as const),
  ...names('REMOTE_PORT SERVER_ADDR SERVER_PORT').map(
    (name) => [name, 'the runtime does not show the connection'] as const,
  ),
  ...names('FULL_REQUEST FULL_REQUEST_LENGTH').map((name) => [name, 'a request is not kept as one text'] as const),
];
const SILENT_SCALARS = names(`
  MODSEC_BUILD MSC_PCRE_LIMITS_EXCEEDED MULTIPART_CRLF_LINE PATH_INFO PERF_ALL PERF_COMBINED PERF_GC PERF_LOGGING
  PERF_PHASE1 PERF_PHASE2 PERF_PHASE3 PERF_PHASE4 PERF_PHASE5 PERF_RULES PERF_SREAD PERF_SWRITE SDBM_DELETE_ERROR
  WEBAPPID WEBSERVER_ERROR_LOG`);

const EMPTY = abi.VARIABLE_EMPTY;
const VARIABLES: ReadonlyMap<string, Variable> = new Map<string, Variable>([
  ...SCALARS.map((name) => [name, { id: idOf(name), list: false, entry: 'none' }] as const),
  ...LISTS.map((name) => [name, { id: idOf(name), list: true, entry: 'optional' }] as const),
  ...SIZES.map((name) => [name, { id: idOf(name), list: true, entry: 'none' }] as const),
  ...names('TX RULE').map((name) => [name, { id: idOf(name), list: true, entry: 'required' }] as const),
  ['USERAGENT_IP', { id: abi.VARIABLE_REMOTE_ADDR, list: false, entry: 'none' }],
  ['REQBODY_PROCESSOR_ERROR_MSG', { id: abi.VARIABLE_REQBODY_ERROR_MSG, list: false, entry: 'none' }],
  ...EMPTY_LISTS.map(
    ([name, empty]) => [name, { id: EMPTY, list: true, entry: 'optional', empty, lost: true }] as const,
  ),
  ...EMPTY_SCALARS.map(
    ([name, empty]) => [name, { id: EMPTY, list: false, entry: 'none', empty, lost: true }] as const,
  ),
  ...ABSENT_SCALARS.map(
    ([name, empty]) => [name, { id: idOf(name), list: false, entry: 'none', empty, lost: true }] as const,
  ),
  ...SILENT_SCALARS.map(
    (name) => [name, { id: EMPTY, list: false, entry: 'none', empty: 'it has no value here' }] as const,
  ),
]);
const NAMES: ReadonlyMap<number, string> = new Map(
  [...VARIABLES].filter(([name, { id }]) => idOf(name) === id).map(([name, { id }]) => [id, name]),
);

/**
 * What a request body fills. In phases 3 to 5 it is gone: the engine is given heads and answer again, and TX, but no body.
 * Of those that the query fills as well, that part is there.
 */
const OF_BODY = new Set(
  names(`
    ARGS_POST ARGS_POST_NAMES FILES FILES_COMBINED_SIZE FILES_NAMES FILES_SIZES FILES_TMP_CONTENT JSON MULTIPART_FILENAME
    MULTIPART_NAME MULTIPART_PART_HEADERS REQBODY_ERROR REQBODY_ERROR_MSG REQBODY_PROCESSOR_ERROR REQUEST_BODY
    REQUEST_BODY_LENGTH XML ${SCALARS.filter((name) => name.startsWith('MULTIPART_')).join(' ')}`).map(idOf),
);
const OF_BODY_AND_QUERY = new Set(names('ARGS ARGS_NAMES ARGS_COMBINED_SIZE URLENCODED_ERROR').map(idOf));

/** Says that a variable will not be there, or only a part of it, where a rule of `phase` looks at it. */
export function reportLate(variable: number, name: Text, phase: number, problems: Problems, loss: Loss): void {
  const whole = OF_BODY.has(variable);
  if (phase < 3 || (!whole && !OF_BODY_AND_QUERY.has(variable))) return;
  const what = whole ? 'it' : 'what came with the body';
  // Without an answer to judge, phase 5 follows phase 2 in the same call.
  const when = phase === 5 ? ', where answers are inspected' : '';
  problems.at(
    whole && phase !== 5 ? loss : 'warning',
    'late-variable',
    name,
    `in phase ${phase} ${what} is gone${when}`,
    {
      cause: 'a request body is not kept until the origin has answered',
      fix: "look at it in phase 2, and carry over what is needed: setvar:'tx.name=%{MATCHED_VAR}'",
    },
  );
}

/** The name of SecLang for VARIABLE_*. */
export const nameOf = (id: number): string => NAMES.get(id) ?? 'EMPTY';

/** Whether `name` would be kept between requests by ModSecurity. */
export const isPersistent = (name: string): boolean => VARIABLES.get(name.toUpperCase())?.empty === PERSISTENT;

/** Null after reporting that there is none of this name. */
function find(name: Text, problems: Problems, loss: Loss, hint?: string): Variable | null {
  const upper = name.value.toUpperCase();
  const variable = VARIABLES.get(upper);
  if (variable === undefined) {
    const header = /^HTTP_([A-Z0-9_]+)$/.exec(upper)?.[1];
    const like = nearest(upper, VARIABLES.keys());
    const fix =
      header !== undefined
        ? `write REQUEST_HEADERS:${header.toLowerCase().replaceAll('_', '-')}`
        : (hint ?? (like === null ? undefined : `did you mean ${like}?`));
    problems.error(
      'unknown-variable',
      name,
      `unknown variable \`${shown(name.value)}\``,
      fix === undefined ? {} : { fix },
    );
    return null;
  }
  if (variable.empty !== undefined) {
    const severity = variable.lost === true ? loss : 'warning';
    const effect = 'a rule that looks at it finds nothing';
    problems.at(severity, 'empty-variable', name, `\`${upper}\` is always empty`, {
      cause: `${variable.empty}: ${effect}`,
      ...(severity === 'error' && { fix: 'remove the rule, or use the limits of the policy' }),
    });
  }
  return variable;
}

/** What stands between `%{` and `}`; null after reporting. */
export function resolveReference(text: Text, problems: Problems, loss: Loss): Reference | null {
  const dot = text.value.indexOf('.');
  const name = dot < 0 ? text : text.slice(0, dot);
  const variable = find(name, problems, loss === 'error' ? 'warning' : loss);
  if (variable === null) return null;
  const entry = dot < 0 ? '' : text.value.slice(dot + 1).toLowerCase();
  if (variable.entry === 'none' && entry !== '') {
    problems.error('no-entries', text, `\`${name.value}\` has no entries`, {
      offset: dot,
      fix: `write %{${name.value}}`,
    });
    return null;
  }
  if (variable.entry === 'required' && entry === '') {
    problems.error('missing-entry', text, `\`${name.value}\` needs the name of an entry`, {
      fix: `write %{${name.value}.name}`,
    });
    return null;
  }
  return { variable: variable.id, name: entry };
}

/**
 * Targets of a rule, or of a directive or control that updates them. Separated by `|` or `,`.
 * `phase` of the rule, 0 where that does not matter.
 * SPEC: msre_parse_generic: a name, and behind a colon a value that ends at a separator or white space, or in quotes.
 */
export function readTargets(text: Text, problems: Problems, loss: Loss, phase = 0): Target[] {
  const targets: Target[] = [];
  const { value } = text;
  let hint: string | undefined;
  for (let at = 0; at < value.length;) {
    if (/[\s|,]/.test(value[at]!)) {
      at++;
      continue;
    }
    const from = at;
    while (at < value.length && !/[\s|,:]/.test(value[at]!)) at++;
    const name = text.slice(from, at);
    let selector: Text | null = null;
    if (value[at] === ':') {
      const found = readSelector(text, at + 1, problems);
      ({ selector, at } = found);
    }
    const target = readTarget(name, selector, problems, loss, hint);
    if (target !== null) targets.push(target);
    if (target !== null && !target.exclude) reportLate(target.variable, name, phase, problems, loss);
    const open = selector?.value ?? '';
    hint = /^\/.*[^/]$/s.test(open) ? `quote a pattern that holds | , or space: ARGS:'${shown(open)}...'` : undefined;
  }
  if (targets.length === 0 && value.trim() === '') {
    problems.error('missing-target', text, 'no variable is named', { length: 1, fix: 'name one, as in ARGS' });
  }
  return targets;
}

/** The text behind a colon, quotes removed. */
function readSelector(text: Text, from: number, problems: Problems): { selector: Text; at: number } {
  const { value } = text;
  let at = from;
  if (value[at] !== "'") {
    while (at < value.length && !/[\s|,]/.test(value[at]!)) at++;
    return { selector: text.slice(from, at), at };
  }
  const close = value.indexOf("'", from + 1);
  if (close < 0) {
    problems.error('unterminated-quote', text, "the ' is not closed", { offset: from, length: 1, fix: "add '" });
    return { selector: text.slice(from + 1), at: value.length };
  }
  return { selector: text.slice(from + 1, close), at: close + 1 };
}

function readTarget(
  written: Text,
  selector: Text | null,
  problems: Problems,
  loss: Loss,
  hint: string | undefined,
): Target | null {
  const sign = /^[!&]/.exec(written.value)?.[0] ?? '';
  const name = written.slice(sign.length);
  const target = resolveTarget(name, selector, sign === '!', problems, loss, hint);
  if (target === null || sign !== '&') return target;
  const upper = name.value.toUpperCase();
  if (VARIABLES.get(upper)?.list !== true) {
    problems.error('not-countable', written, `\`${upper}\` is one value, so there is nothing to count`, {
      fix: `write ${upper}`,
    });
    return null;
  }
  return { ...target, count: true };
}

/** A variable and what stands behind its colon, `exclude` for what is not looked at; null after reporting. */
export function resolveTarget(
  name: Text,
  selector: Text | null,
  exclude: boolean,
  problems: Problems,
  loss: Loss,
  hint?: string,
): Target | null {
  const variable = find(name, problems, exclude ? 'warning' : loss, hint);
  if (variable === null) return null;
  const upper = name.value.toUpperCase();
  if (selector === null || selector.value === '') {
    if (variable.entry === 'required' && !exclude) {
      const example = upper === 'TX' ? 'TX:name' : 'RULE:id';
      problems.error('missing-entry', name, `\`${upper}\` needs the name of an entry`, { fix: `write ${example}` });
      return null;
    }
    return { variable: variable.id, count: false, exclude, selector: null };
  }
  if (variable.entry === 'none') {
    problems.error('no-entries', selector, `\`${upper}\` has no entries`, { fix: `write ${upper}` });
    return null;
  }
  const found = variable.id === abi.VARIABLE_XML ? xpath(selector, problems) : readName(selector, problems);
  return found === null ? null : { variable: variable.id, count: false, exclude, selector: found };
}

function readName(text: Text, problems: Problems): Selector | null {
  const { value } = text;
  if (value.length <= 2 || !value.startsWith('/') || !value.endsWith('/')) return { exact: value.toLowerCase() };
  const pattern = text.slice(1, value.length - 1);
  return checkPattern(pattern, problems) ? { regex: pattern.value } : null;
}

/** SPEC: the Core Rule Set asks for the text of the document and for its attributes, and for nothing else. */
function xpath(text: Text, problems: Problems): Selector | null {
  if (text.value === '/*' || text.value === '//@*') return { exact: text.value };
  problems.error('unsupported-xpath', text, `XPath \`${shown(text.value)}\` is not supported`, {
    cause: 'documents are not kept as trees',
    fix: 'write XML:/* for all text, or XML://@* for all attributes',
  });
  return null;
}
