/** Waiting times between dials: exponential, with jitter, so that connectors that lost one edge do not return as one. */
export const MIN_BACKOFF = 100; // ms
export const MAX_BACKOFF = 10_000;

export class Backoff {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds to wait before the next dial. */
  next(): number {
    const ceiling = Math.min(MAX_BACKOFF, 2 * MIN_BACKOFF * 2 ** Math.min(this.#failures++, 16));
    return Math.round(MIN_BACKOFF + this.#random() * (ceiling - MIN_BACKOFF));
  }

  /** The last dial held. */
  reset(): void {
    this.#failures = 0;
  }
}
