/** A mistake or a circumstance that the person at the keyboard can act on: printed as one sentence, exit code 1. */
export class Failure extends Error {
  override readonly name = 'Failure';
  /** What --json prints beside the sentence. */
  readonly details: Readonly<Record<string, unknown>>;
  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.details = details;
  }
}

/** The sentence for an error of the operating system, or its own message. */
export function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  const where = path === undefined ? '' : ` ${path}`;
  switch (code) {
    case 'ENOENT':
      return `there is no file${where}`;
    case 'EACCES':
      return `permission denied:${where}`;
    case 'ENOTDIR':
      return `there can be no${where}: a part of it is a file`;
    case 'EISDIR':
      return `${where.trim() || 'that'} is a directory; name the files in it`;
    default:
      return error.message;
  }
}
