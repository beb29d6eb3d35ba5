/** The detectors of the engine alone, for their tests. */
import fc from 'fast-check';
import { compileAssembly } from './assembly.ts';

const entry = `
import { fingerprintAt, fingerprintLength } from './waf/detect/sql';
export { detectSql, detectSqlSlowly } from './waf/detect/sql';
export { detectXss, detectXssSlowly } from './waf/detect/xss';
export { reset, spend, failure, stepsUsed } from './arena';
export function whereFingerprint(): usize { return fingerprintAt; }
export function sizeOfFingerprint(): i32 { return fingerprintLength; }
`;

interface Exports {
  detectSql(at: number, length: number): number;
  detectSqlSlowly(at: number, length: number): number;
  detectXss(at: number, length: number): number;
  detectXssSlowly(at: number, length: number): number;
  reset(): void;
  spend(steps: number): number;
  failure(): number;
  stepsUsed(): number;
  whereFingerprint(): number;
  sizeOfFingerprint(): number;
}

export interface Detectors {
  readonly exports: Exports;
  readonly memory: WebAssembly.Memory;
  /** What was found, such as `' condition`, or ''. */
  sql(text: string | Uint8Array): string;
  /** The same with every place judged in every reading. */
  sqlSlowly(text: string | Uint8Array): string;
  xss(text: string | Uint8Array): boolean;
  xssSlowly(text: string | Uint8Array): boolean;
  /** Steps that the calls since the last one took. */
  steps(): number;
}

/** A string stands for its UTF-8. */
export async function loadDetectors(): Promise<Detectors> {
  const assembly = await compileAssembly<Exports>(entry);
  const { exports, memory } = assembly;
  let used = 0;
  const call = (detect: (at: number, length: number) => number, text: string | Uint8Array): boolean => {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    assembly.clear();
    exports.reset();
    const found = detect(assembly.place(bytes), bytes.length) !== 0;
    used = exports.stepsUsed();
    return found;
  };
  const sql = (detect: (at: number, length: number) => number, text: string | Uint8Array): string => {
    if (!call(detect, text)) return '';
    const name = new Uint8Array(memory.buffer, exports.whereFingerprint(), exports.sizeOfFingerprint());
    return Buffer.from(name).toString('latin1');
  };
  return {
    exports,
    memory,
    sql: (text) => sql(exports.detectSql, text),
    sqlSlowly: (text) => sql(exports.detectSqlSlowly, text),
    xss: (text) => call(exports.detectXss, text),
    xssSlowly: (text) => call(exports.detectXssSlowly, text),
    steps: () => used,
  };
}

/** Parts of SQL, of HTML and of what hides them. */
const pieces = fc.constantFrom(
  ...[
    "'",
    '"',
    '`',
    '\\',
    ' ',
    '\n',
    '\0',
    '(',
    ')',
    ',',
    ';',
    '.',
    '--',
    '#',
    '/*',
    '*/',
    '/*!',
    '/*!50000',
    '@',
    '@@',
  ],
  ...[
    '7',
    '0x',
    '1e',
    '.7',
    'a',
    'x',
    'q',
    'N',
    '_utf8',
    '$',
    '$$',
    '[',
    ']',
    '{',
    '}',
    '\\N',
    '=',
    '<',
    '>',
    '!',
    '|',
  ],
  ...['||', '&&', '&', '+', '-', '*', '/', '%', '^', '~', ':', ':=', '::', 'é', '\u00a0'],
  ...['select', 'union', 'all', 'from', 'where', 'or', 'and', 'not', 'like', 'in', 'between', 'is', 'null', 'case'],
  ...['when', 'then', 'end', 'if', 'begin', 'declare', 'exec', 'drop', 'table', 'order', 'by', 'having', 'limit'],
  ...['into', 'outfile', 'sleep', 'version', 'substring', 'values', 'with', 'as', 'set', 'goto', 'interval', 'match'],
  ...['<', '</', '<!', '<!--', '-->', '<?', '<%', '%>', '>', '/>', 'script', 'img', 'svg', 'onerror', 'href', 'style'],
  ...['=', 'javascript:', 'data:', '&#106;', '&colon;', '&', 'expression(', 'url(', ';url='],
);

/** Any bytes, and texts that come close to what the detectors look for; `near`: texts of which one byte is changed. */
export function hostileTexts(near: readonly string[], parts = 24): fc.Arbitrary<Buffer> {
  return fc.oneof(
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    fc.array(pieces, { maxLength: parts }).map((words) => Buffer.from(words.join(''))),
    fc.array(pieces, { maxLength: parts }).map((words) => Buffer.from(words.join(' '))),
    fc.tuple(fc.constantFrom("'", ...near), fc.nat(), fc.nat(255)).map(([text, at, byte]) => {
      const bytes = Buffer.from(text);
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
  );
}
