/**
 * Memory for the messages of a lane. PERF: a bulk transfer sends a message of 192 KiB for every read or two; memory that is
 * made, cleared and collected for each costs more than what is done with it.
 *
 * SAFETY: a message comes back once the peer has said that it has it, so nobody sends from it any more; whoever takes the
 * memory next writes all that is then sent. A lane has memory of its own: a peer that says so too early spoils what itself
 * is sent, and sees nothing of others.
 */
import { FRAME_BYTES, MAX_PAYLOAD } from './frame.ts';

/** The longest message: one that was not long enough yet, and a frame. Whoever keeps a frame of it keeps a quarter. */
export const SLAB = 4 * MAX_PAYLOAD;
export const FLUSH_BYTES = SLAB - FRAME_BYTES - MAX_PAYLOAD; // of a message: more go into the next one

export class MessageBuffers {
  readonly #most: number;
  #slabs: ArrayBuffer[] = [];

  /** Keeps at most `most` slabs that nobody uses. */
  constructor(most: number) {
    this.#most = most;
  }

  /** SLAB bytes; what is in them is of no matter. */
  take(): Uint8Array {
    return new Uint8Array(this.#slabs.pop() ?? new ArrayBuffer(SLAB));
  }

  /** The peer has the message, or nobody needs the memory. */
  give({ buffer }: Uint8Array): void {
    if (buffer.byteLength === SLAB && this.#slabs.length < this.#most) this.#slabs.push(buffer as ArrayBuffer);
  }

  /** Nothing is going on. */
  clear(): void {
    this.#slabs = [];
  }
}
