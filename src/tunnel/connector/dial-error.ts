/** Why a dial failed. */

/** The upgrade was answered with something else. `code` is the status, 0 when there was no answer. */
export class DialError extends Error {
  readonly code: number;
  /** Of the refusing edge, ms since the epoch; NaN where it says none. */
  readonly date: number;
  constructor(code: number, message: string, date = Number.NaN) {
    super(message);
    this.code = code;
    this.date = date;
  }
}
