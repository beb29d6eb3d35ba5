/**
 * What comes of an edge, before `ws` sees it: whole binary messages, which is nearly all, are taken here; the rest (the
 * answer to the upgrade, texts, pings, closes, fragments, whatever is wrong) goes to `ws` as it came.
 *
 * PERF: `ws` makes memory for each message that lies in more than one read. Here it is put together in memory that is used
 * again, if those who were given it need it no more.
 */
import type { Socket } from 'node:net';
import { MAX_MESSAGE } from '../frame.ts';
import { SLAB } from '../message-buffers.ts';
import type { Holder } from '../stream.ts';

const LARGE = 16_384; // bytes of a message from which memory is used again
const MOST = 4; // slabs of a size that wait in this process, and twice as many that others have still to write

/** Memory of one size. A message has the smallest that it fits in: what a stream keeps of it should be most of it. */
class Slabs {
  readonly size: number;
  readonly #free: Uint8Array[] = [];
  readonly #lent: { readonly slab: Uint8Array; readonly holders: readonly Holder[] }[] = [];

  constructor(size: number) {
    this.size = size;
  }

  take(): Uint8Array {
    for (const [index, { slab, holders }] of this.#lent.entries())
      if (holders.every(({ written }) => written)) {
        this.#lent.splice(index, 1);
        return slab;
      }
    return this.#free.pop() ?? new Uint8Array(this.size);
  }

  /** `held`: who needs it still; see Lane.receive. */
  give(slab: Uint8Array, held: boolean | readonly Holder[]): void {
    if (held === true) {
      if (this.#free.length < MOST) this.#free.push(slab);
    } else if (held !== false) {
      // The oldest may be with somebody who will never write it.
      if (this.#lent.length === 2 * MOST) this.#lent.shift();
      this.#lent.push({ slab, holders: held });
    }
  }
}

const slabs = [new Slabs(81_920), new Slabs(SLAB)] as const;
const slabsFor = (size: number): Slabs | undefined =>
  size < LARGE ? undefined : slabs.find((one) => one.size >= size);

const BINARY = 0x82; // the first byte of a whole binary message
const HEADER = 14; // bytes of the longest header

export interface InflowEvents {
  /** Whether messages may be taken from `ws`. */
  readonly opened: () => boolean;
  /** Who needs the bytes still: see Lane.receive. */
  readonly onMessage: (message: Uint8Array) => boolean | readonly Holder[];
}

export class Inflow {
  readonly #events: InflowEvents;
  /** What of "\r\n\r\n" behind the answer to the upgrade has come; 4: all. */
  #blank = 0;
  readonly #header = new Uint8Array(HEADER);
  #have = 0; // bytes of a header
  #gone = 0; // and how many of them `ws` has
  #left = 0; // bytes of a payload that are to come
  #fragments = false; // `ws` puts a message together
  #message: Uint8Array | null = null; // taken here
  #slabs: Slabs | undefined; // where its memory is from
  #at = 0;

  constructor(events: InflowEvents) {
    this.#events = events;
  }

  /** `bytes` are a view; `socket` is the one that they came from, and that `ws` listens to. */
  read(socket: Socket, bytes: Buffer): void {
    let passed = 0; // up to here it is `ws`'s or was taken
    let at = this.#answer(bytes);
    while (at < bytes.length && !socket.destroyed) {
      if (this.#left > 0) {
        const part = bytes.subarray(at, at + this.#left);
        at += part.length;
        this.#left -= part.length;
        if (this.#message === null) continue;
        passed = at;
        this.#message.set(part, this.#at);
        this.#at += part.length;
        if (this.#left === 0) this.#deliver();
        continue;
      }
      const begin = at - (this.#have - this.#gone);
      while (at < bytes.length && this.#have < this.#headerLength()) this.#header[this.#have++] = bytes[at++]!;
      const length = this.#headerLength();
      if (this.#have < length) {
        // It waits, so that the message may be taken; not where nothing is: it may be no frame but the end of a refusal.
        const waits = this.#gone === 0 && this.#events.opened();
        const end = waits ? begin : bytes.length;
        if (begin < 0 && !waits) socket.push(Buffer.from(this.#header.subarray(this.#gone, this.#have)));
        else if (end > passed) socket.push(Buffer.from(bytes.subarray(passed, end)));
        if (!waits) this.#gone = this.#have;
        return;
      }
      const gone = this.#gone;
      this.#have = this.#gone = 0;
      const size = this.#size();
      if (gone === 0 && this.#isMessage(size)) {
        if (begin > passed) socket.push(Buffer.from(bytes.subarray(passed, begin)));
        passed = Math.max(passed, begin);
        // What waits for `ws` comes before it.
        if (this.#events.opened() && socket.readableLength === 0) {
          passed = at;
          this.#left = size;
          this.#begin(size);
          continue;
        }
      }
      if (begin < 0) {
        // Of the read before: it is of this frame, and has not been passed on.
        socket.push(Buffer.from(this.#header.subarray(gone, length)));
        passed = at;
      }
      const opcode = this.#header[0]! & 15;
      if (opcode < 8) this.#fragments = (this.#header[0]! & 0x80) === 0;
      this.#left = size;
    }
    if (passed < bytes.length && !socket.destroyed) socket.push(Buffer.from(bytes.subarray(passed)));
  }

  /** Where frames begin. */
  #answer(bytes: Buffer): number {
    let at = 0;
    for (; this.#blank < 4 && at < bytes.length; at++) {
      const wanted = this.#blank % 2 === 0 ? 13 : 10;
      this.#blank = bytes[at] === wanted ? this.#blank + 1 : bytes[at] === 13 ? 1 : 0;
    }
    return at;
  }

  /** Of the header as far as it is known. A mask is none of a server's; `ws` says so. */
  #headerLength(): number {
    if (this.#have < 2) return 2;
    const length = this.#header[1]! & 127;
    return (length === 126 ? 4 : length === 127 ? 10 : 2) + (this.#header[1]! >> 7) * 4;
  }

  #isMessage(size: number): boolean {
    const masked = this.#header[1]! > 127;
    return this.#header[0] === BINARY && !masked && !this.#fragments && size > 0 && size <= MAX_MESSAGE;
  }

  #size(): number {
    const header = this.#header;
    const length = header[1]! & 127;
    if (length < 126) return length;
    if (length === 126) return header[2]! * 256 + header[3]!;
    let size = 0;
    for (let i = 2; i < 10; i++) size = size * 256 + header[i]!;
    return size;
  }

  #begin(size: number): void {
    this.#at = 0;
    this.#slabs = slabsFor(size);
    this.#message = this.#slabs?.take().subarray(0, size) ?? new Uint8Array(size);
  }

  #deliver(): void {
    const message = this.#message!;
    this.#message = null;
    const held = this.#events.onMessage(message);
    this.#slabs?.give(new Uint8Array(message.buffer), held);
  }
}
