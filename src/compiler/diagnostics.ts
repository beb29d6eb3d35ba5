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
