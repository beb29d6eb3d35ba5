/**
 * Credit: how many bytes may be sent, per stream and per lane together. The receiver grants more once its consumer took
 * what came, so that a stalled client or origin costs either end at most a window.
 *
 * PERF: throughput of a stream is at most window / round trip: 256 KiB at 100 ms is 2.6 MB/s, so a stream whose window is
 * used up and granted again within a round trip has one WIDENED times as wide, up to MAX_STREAM_WINDOW; a lane likewise.
 *
 * A lane's credit is shared, and consumers that take nothing must not use it up. So RESERVED bytes of it are for each
 * stream that may be open, and of the rest a stream takes only while it has at most SHARE times what is left of it. While
 * that is little, whoever receives grants at once what was consumed; while it is less than a frame, it ends streams whose
 * consumer takes nothing for STALLED. Rejected: a lane without a limit (memory), a fixed part for each stream alone (too
 * little for one that is read).
 */
import { CLOSE, FrameError } from './frame.ts';

export const STREAM_WINDOW = 262_144; // bytes, at the beginning
export const LANE_WINDOW = 4_194_304;
/** The most of a stream of `access` at the edge, to the service and from it. */
export const ACCESS_WINDOW = 1_048_576;
export const ACCESS_ANSWER_WINDOW = 2_097_152;
/** Bytes after which a guest acknowledges. What it may owe before its connector gets no more credit has to be more. */
export const ACCESS_ACK = 131_072;
export const MAX_STREAM_WINDOW = 8_388_608;
export const MAX_LANE_WINDOW = 16_777_216;
export const GRANT = 262_144; // bytes that are worth a frame however wide the window is: a sender that is far away waits for them
export const WIDENED = 4;
export const SHARE = 2;
export const RESERVED = 2048;
/**
 * What of a lane's credit is not kept for other streams, and below which all that was consumed is granted at once. A stream
 * that may send no more has sent SHARE times as much: enough for a grant, which it would wait for in vain otherwise.
 */
export const TIGHT = GRANT / SHARE;
export const STALLED = 10_000; // ms

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
  #most: number;
  readonly #reserved: number;
  #window: number;
  #left: number;
  #consumed = 0;
  #measured = 0; // consumed since #measuredAt
  #measuredAt: number;
  /** By how much the last call of `consumed` widened the window. */
  widened = 0;

  /** `reserved`: what of the window no sender can use up alone. */
  constructor(window: number, most: number, now: number, snapshot?: CreditSnapshot, reserved = 0) {
    this.#reserved = reserved;
    this.#window = snapshot?.window ?? window;
    this.#left = snapshot?.left ?? window;
    this.#consumed = snapshot?.consumed ?? 0;
    this.#most = most;
    this.#measuredAt = now;
  }

  snapshot(): CreditSnapshot {
    return { window: this.#window, left: this.#left, consumed: this.#consumed };
  }

  /** The window grows no further than this. */
  limit(most: number): void {
    this.#most = Math.max(this.#window, Math.min(most, this.#most));
  }

  get window(): number {
    return this.#window;
  }
  /** What the peer may still send of what is not reserved. */
  get spare(): number {
    return this.#left - this.#reserved;
  }

  /** Bytes that arrived; throws FrameError when they are more than were granted. */
  arrived(bytes: number, what: string): void {
    if (bytes > this.#left)
      throw new FrameError(CLOSE.limit, `${what} sent ${bytes - this.#left} bytes beyond its credit`);
    this.#left -= bytes;
  }

  /**
   * Bytes that the consumer took; how many to grant now, 0 for none: a quarter of the window, or GRANT, is worth a frame,
   * less is when it is `urgent`. `widened` is to be granted as well. `roundTrip` in ms, 0 when it is not known.
   */
  consumed(bytes: number, now: number, roundTrip: number, urgent: boolean): number {
    this.#consumed += bytes;
    this.#measured += bytes;
    this.widened = 0;
    const quarter = (this.#window - this.#reserved) >> 2;
    const worth = Math.min(quarter, GRANT);
    if (this.#measured >= quarter) {
      // A quarter within half a round trip: the sender waits for us and not for the consumer.
      if (roundTrip > 0 && now - this.#measuredAt < roundTrip / 2)
        this.widened = Math.min(this.#most, this.#window * WIDENED) - this.#window;
      this.#measured = 0;
      this.#measuredAt = now;
    }
    if (!urgent && this.#consumed < worth && this.widened === 0) return 0;
    const grant = this.#consumed;
    this.#window += this.widened;
    this.#consumed = 0;
    this.#left += grant + this.widened;
    return grant;
  }
}
