/**
 * Clients that leave before their answer has begun. Each has a signal, but most are answered before it is of use.
 * PERF: workerd 1.20261117.1: what a signal and a listener leave behind lives until a full collection, which stops the
 * process. So a client is listened to once its request has waited for a moment; one timer looks for all of them.
 */

export const LISTEN_AFTER = 100; // ms, at most, for which a departure is not noticed

/** A request: its `signal` is made when it is asked for, and says then that the client has left already. */
export interface Departing {
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly client: Departing;
  readonly left: () => void;
  signal: AbortSignal | null;
}

export class Departures {
  readonly #waiting = new Set<Waiting>();
  #looks = false; // a timer is under way

  /** Calls `left` once the client has left, never before this returns; what is returned ends that. */
  notice(client: Departing, left: () => void): () => void {
    const waiting: Waiting = { client, left, signal: null };
    this.#waiting.add(waiting);
    if (!this.#looks) setTimeout(() => this.#look(), LISTEN_AFTER);
    this.#looks = true;
    return () => {
      this.#waiting.delete(waiting);
      waiting.signal?.removeEventListener('abort', left);
    };
  }

  #look(): void {
    this.#looks = false;
    for (const waiting of this.#waiting) {
      if (waiting.signal !== null) continue;
      const signal = (waiting.signal = waiting.client.signal);
      if (signal.aborted) waiting.left();
      else signal.addEventListener('abort', waiting.left);
    }
  }
}
