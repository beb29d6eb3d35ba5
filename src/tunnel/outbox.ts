/**
 * Frames that wait for the end of a turn, written as they come, so that nobody's bytes are needed any more once they were
 * sent. PERF: few bytes are copied once more into a message of their size; many lie in memory that is used again.
 */
import { FRAME_BYTES, writeHeader } from './frame.ts';
import type { MessageBuffers } from './message-buffers.ts';

const SMALL = 4096; // bytes with which a message begins
const LARGE = 98_304; // bytes of a message that is not copied once more

export class Outbox {
  readonly #buffers: MessageBuffers;
  #room: Uint8Array | null = null;
  #length = 0;
  #frames = 0;

  constructor(buffers: MessageBuffers) {
    this.#buffers = buffers;
  }

  get length(): number {
    return this.#length;
  }
  get frames(): number {
    return this.#frames;
  }

  push(type: number, flags: number, stream: number, payload: Uint8Array): void {
    const at = this.#length;
    const end = at + FRAME_BYTES + payload.byteLength;
    if (this.#room === null || end > this.#room.byteLength) this.#grow(end);
    const room = this.#room!;
    writeHeader(room, at, type, flags, stream, payload.byteLength);
    room.set(payload, at + FRAME_BYTES);
    this.#length = end;
    this.#frames++;
  }

  #grow(end: number): void {
    const room = end <= SMALL ? new Uint8Array(SMALL) : this.#buffers.take();
    if (this.#length > 0) room.set(this.#room!.subarray(0, this.#length));
    this.#room = room;
  }

  /** The message that the frames are. */
  take(): Uint8Array {
    const room = this.#room!;
    const length = this.#length;
    this.#length = this.#frames = 0;
    if (length < LARGE) return room.slice(0, length);
    this.#room = null;
    return room.subarray(0, length);
  }

  /** Nothing is going on: nothing is kept. */
  clear(): void {
    if (this.#length === 0) this.#room = null;
    this.#buffers.clear();
  }
}
