/** What a case of robots.txt is: a file, and who may have what. */

export interface RobotsCase {
  readonly id: string;
  /** Text, or bytes where it is no UTF-8. Lines end with LF unless they are written with their ends. */
  readonly file: string | readonly string[] | Uint8Array;
  /** Product token, path with query, and whether it may be had; a reason in place of that skips the question. */
  readonly asks: readonly (readonly [agent: string, path: string, allowed: boolean | string])[];
}

/** What lines are, by number; the kinds of robots-line.ts. */
export interface LinesCase {
  readonly id: string;
  readonly file: string | Uint8Array;
  /** How many lines say something that is defined, which is the last of all lines, and how many are neither empty nor defined. */
  readonly directives?: number;
  readonly lastLine?: number;
  readonly unknown?: number;
  readonly kinds?: readonly string[];
  /** The value of the one Sitemap line. */
  readonly sitemap?: string;
}

export interface EscapeCase {
  readonly id: string;
  readonly pattern: string;
  readonly form: string;
}
