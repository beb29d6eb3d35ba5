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
