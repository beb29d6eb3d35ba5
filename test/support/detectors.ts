/** The detectors of the engine alone, for their tests. */
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
  /** What was found, such as `' condition`, or ''. */
  sql(text: string | Uint8Array): string;
  /** The same without the way out for plain words. */
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
    sql: (text) => sql(exports.detectSql, text),
    sqlSlowly: (text) => sql(exports.detectSqlSlowly, text),
    xss: (text) => call(exports.detectXss, text),
    xssSlowly: (text) => call(exports.detectXssSlowly, text),
    steps: () => used,
  };
}
