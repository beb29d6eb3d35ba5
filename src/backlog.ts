/**
 * Bytes that wait in this isolate because whoever is to get them is slower than whoever sends them. The runtime hands
 * messages of WebSockets over as they come and lets nobody slow their sender down, so that a socket that is too far behind
 * is let go: it is that or memory without bound.
 */
export const MAX_BACKLOG = 33_554_432; // bytes of one socket
export const MAX_BACKLOGS = 100_663_296; // bytes of all sockets of this isolate
/** Bytes that each socket may have whatever others have: nobody is let go for what a few slow ones do. */
export const FREE_BACKLOG = 16_384;
/** SPEC: RFC 6455 section 7.4.1 and the registry of close codes: try again later. */
export const TOO_FAR_BEHIND = 1013;
/** ms after which an owner that says nothing is none any more: a context that the runtime drops tells nobody. */
export const FORGOTTEN = 5_000;

interface Held {
  readonly bytes: number;
  readonly at: number; // ms since the epoch
}

export class Backlogs {
  readonly #held = new Map<object, Held>();
  readonly #now: () => number;
  #bytes = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Whether `owner` may have `bytes` waiting in all. */
  fits(owner: object, bytes: number): boolean {
    if (bytes <= FREE_BACKLOG) return true;
    if (bytes > MAX_BACKLOG) return false;
    const more = bytes - (this.#held.get(owner)?.bytes ?? 0);
    if (this.#bytes + more > MAX_BACKLOGS) this.#forget();
    return this.#bytes + more <= MAX_BACKLOGS;
  }

  /** `owner` has `bytes` waiting. To be said again now and then, for as long as they do. */
  note(owner: object, bytes: number): void {
    const before = this.#held.get(owner)?.bytes ?? 0;
    const counted = bytes > FREE_BACKLOG ? bytes : 0;
    if (counted > 0) this.#held.set(owner, { bytes: counted, at: this.#now() });
    else if (before > 0) this.#held.delete(owner);
    this.#bytes += counted - before;
  }

  #forget(): void {
    const late = this.#now() - FORGOTTEN;
    for (const [owner, { at }] of this.#held) if (at < late) this.note(owner, 0);
  }
}

/** Of this isolate. */
export const backlogs = new Backlogs();
