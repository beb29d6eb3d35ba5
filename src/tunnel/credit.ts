/**
 * Credit: how many bytes may be sent, per stream and per lane together. The receiver grants more once its consumer took
 * what came, so that a stalled client or origin costs either end at most a window.
 *
 * PERF: throughput of a stream is at most window / round trip: 256 KiB at 100 ms is 2.6 MB/s, so a stream whose window is
 * used up and granted again within a round trip has it doubled, up to MAX_STREAM_WINDOW.
 */
import { CLOSE, FrameError } from './frame.ts';

export const STREAM_WINDOW = 262_144; // bytes, at the beginning
export const LANE_WINDOW = 2_097_152;
/**
 * Of a socket of `access`, from guest to edge. A socket that sleeps cannot be read slowly, so the edge says in texts, as
 * decimal numbers, how many bytes more it takes.
 */
export const ACCESS_WINDOW = 1_048_576;
export const MAX_STREAM_WINDOW = 4_194_304;
export const MAX_LANE_WINDOW = 16_777_216;

/** What may still be sent. */
export class SendCredit {
  #left: number;

  constructor(left: number) {
    this.#left = left;
  }

  get left(): number {
    return this.#left;
  }

  take(bytes: number): void {
    if (bytes > this.#left) throw new RangeError('more than the credit');
    this.#left -= bytes;
  }

  /** Throws FrameError when the peer grants more than anybody could mean. */
  grant(bytes: number): void {
    this.#left += bytes;
    if (this.#left > 0x7fff_ffff) throw new FrameError(CLOSE.malformed, 'credit beyond 2^31');
  }
}

export interface CreditSnapshot {
  readonly window: number;
  readonly left: number;
  readonly consumed: number;
}

/** What the peer may still send, and what of that was consumed and not granted again yet. */
export class ReceiveCredit {
  readonly #most: number;
  #window: number;
  #left: number;
  #consumed = 0;
  #grantedAt: number;

  constructor(window: number, most: number, now: number, snapshot?: CreditSnapshot) {
    this.#window = snapshot?.window ?? window;
    this.#left = snapshot?.left ?? window;
    this.#consumed = snapshot?.consumed ?? 0;
    this.#most = most;
    this.#grantedAt = now;
  }

  snapshot(): CreditSnapshot {
    return { window: this.#window, left: this.#left, consumed: this.#consumed };
  }

  get window(): number {
    return this.#window;
  }

  /** Bytes that arrived; throws FrameError when they are more than were granted. */
  arrived(bytes: number, what: string): void {
    if (bytes > this.#left)
      throw new FrameError(CLOSE.limit, `${what} sent ${bytes - this.#left} bytes beyond its credit`);
    this.#left -= bytes;
  }

  /**
   * Bytes that the consumer took; how many to grant now, 0 for none: a quarter of the window is worth a frame.
   * `roundTrip` in ms, 0 when it is not known.
   */
  consumed(bytes: number, now: number, roundTrip: number): number {
    this.#consumed += bytes;
    if (this.#consumed < this.#window >> 2) return 0;
    let grant = this.#consumed;
    // A quarter within half a round trip: the sender waits for us and not for the consumer.
    if (roundTrip > 0 && now - this.#grantedAt < roundTrip / 2 && this.#window < this.#most) {
      const wider = Math.min(this.#most, this.#window * 2);
      grant += wider - this.#window;
      this.#window = wider;
    }
    this.#grantedAt = now;
    this.#consumed = 0;
    this.#left += grant;
    return grant;
  }
}
