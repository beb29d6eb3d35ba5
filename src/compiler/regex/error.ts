/** A pattern that cannot be compiled: where (characters of the pattern), why, and what to write instead. */
export class RegexError extends Error {
  override readonly name = 'RegexError';
  readonly offset: number;
  readonly length: number;
  readonly fix: string | undefined;

  constructor(message: string, offset: number, length: number, fix?: string) {
    super(message);
    this.offset = offset;
    this.length = length;
    this.fix = fix;
  }
}
