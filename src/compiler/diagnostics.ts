/** Errors and warnings about human text: where, what, why and what to do. Never thrown for user mistakes: collected. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  /** Stable id such as `unknown-field`, for programs and for the documentation. */
  readonly code: string;
  readonly file: string;
  readonly line: number; // from 1
  readonly column: number; // from 1
  readonly length: number; // characters to underline, at least 1
  readonly message: string; // what is wrong, lower case, no full stop
  readonly cause?: string; // why that is wrong
  readonly fix?: string; // what to write instead
}

/** A place in the document: keys and indices from its root, as in `['rules', 0, 'when']`. */
export type DocumentPath = readonly (string | number)[];

/** Collects diagnostics about one document; the policy reader turns paths into lines and columns. */
export interface Reporter {
  /**
   * `offset` and `length` count characters inside the scalar at `path`, for languages embedded in strings;
   * `at: 'key'` points at the key of a mapping instead of its value.
   */
  report(
    severity: 'error' | 'warning',
    path: DocumentPath,
    code: string,
    message: string,
    more?: { cause?: string; fix?: string; offset?: number; length?: number; at?: 'key' | 'value' },
  ): void;
}

const FRAME_WIDTH = 120; // characters of a source line that are shown

/** By place in the files, in the order in which the files were given; errors before warnings at one place. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[], files: readonly string[]): Diagnostic[] {
  const order = new Map(files.map((file, index) => [file, index]));
  const rank = (one: Diagnostic) => order.get(one.file) ?? files.length;
  return [...diagnostics].sort(
    (a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column || a.severity.localeCompare(b.severity),
  );
}

/** SAFETY: what is reported as a secret is not printed: reports end up in the logs of builds. */
function masked(
  text: string,
  { code, file, line, column, length }: Diagnostic,
  inFile: string,
  inLine: number,
): string {
  if (code !== 'literal-secret' || file !== inFile || line !== inLine) return text;
  const end = Math.min(text.length, column - 1 + length);
  return text.slice(0, column - 1) + '*'.repeat(Math.max(0, end - column + 1)) + text.slice(end);
}

/**
 * For a terminal: one block for each problem, with its line of the file, and a count at the end. `readText` gives the
 * text of a file, or undefined. Pure; '' when there is nothing to say.
 */
export function formatDiagnostics(
  diagnostics: readonly Diagnostic[],
  options: { readText?: (file: string) => string | undefined; color?: boolean } = {},
): string {
  if (diagnostics.length === 0) return '';
  const paint = (code: number, text: string) => (options.color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const texts = new Map<string, string[] | undefined>();
  const lineOf = ({ file, line }: Diagnostic): string | undefined => {
    if (!texts.has(file)) texts.set(file, options.readText?.(file)?.split(/\r?\n/));
    const text = texts.get(file)?.[line - 1];
    return text === undefined ? undefined : diagnostics.reduce((shown, one) => masked(shown, one, file, line), text);
  };
  const blocks = diagnostics.map((one) => {
    const color = one.severity === 'error' ? 31 : 33;
    const gutter = ' '.repeat(String(one.line).length);
    const rows = [
      `${paint(color, `${one.severity}[${one.code}]`)}: ${paint(1, printable(one.message))}`,
      `${gutter}${paint(34, '-->')} ${printable(one.file)}:${one.line}:${one.column}`,
    ];
    const source = lineOf(one);
    if (source !== undefined) {
      const { text, at, length } = window(printable(source), one.column - 1, one.length);
      rows.push(`${gutter} ${paint(34, '|')}`);
      rows.push(`${paint(34, `${one.line} |`)} ${text}`);
      rows.push(`${gutter} ${paint(34, '|')} ${' '.repeat(at)}${paint(color, '^'.repeat(length))}`);
    }
    if (one.cause !== undefined) rows.push(`${gutter} ${paint(34, '=')} ${printable(one.cause)}`);
    if (one.fix !== undefined) rows.push(`${gutter} ${paint(34, '=')} ${paint(32, 'fix')}: ${printable(one.fix)}`);
    return rows.join('\n');
  });
  return `${blocks.join('\n\n')}\n\n${countDiagnostics(diagnostics)}\n`;
}

/** `2 errors, 1 warning`. */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? '' : 's'}`;
  const warnings = diagnostics.length - errors;
  return warnings === 0
    ? count(errors, 'error')
    : errors === 0
      ? count(warnings, 'warning')
      : `${count(errors, 'error')}, ${count(warnings, 'warning')}`;
}

/** SAFETY: a policy must not be able to write escape sequences to the terminal of whoever checks it. */
function printable(text: string): string {
  return text
    .replaceAll('\t', ' ')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}

/** The part of a long line that holds the fault. */
function window(line: string, column: number, length: number): { text: string; at: number; length: number } {
  if (line.length <= FRAME_WIDTH)
    return {
      text: line,
      at: Math.min(column, line.length),
      length: Math.max(1, Math.min(length, line.length - column)),
    };
  const start = Math.max(0, Math.min(column - 40, line.length - FRAME_WIDTH));
  const end = Math.min(line.length, start + FRAME_WIDTH);
  const head = start > 0 ? '…' : '';
  const text = `${head}${line.slice(start, end)}${end < line.length ? '…' : ''}`;
  return { text, at: column - start + head.length, length: Math.max(1, Math.min(length, end - column)) };
}
