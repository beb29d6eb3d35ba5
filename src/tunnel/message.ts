/**
 * WebSocket messages on a stream of kind WEBSOCKET, once the origin's HEAD said 101:
 *
 *   u8 opcode (1 text, 2 binary, 8 close), u32 length, payload
 *
 * Close carries what a close frame does: nothing, or u16 code and a reason as UTF-8. After it comes END. Pings stay with
 * each hop. Rejected: the frames of RFC 6455 as they are: the edge's runtime gives messages and takes messages, so frames
 * would be made up there and taken apart here.
 */
import { CLOSE, FrameError } from './frame.ts';

export const TEXT = 1;
export const BINARY = 2;
export const CLOSING = 8;

export const MESSAGE_HEADER = 5; // bytes before the payload
/** Bytes of one message: what a reader may have to hold until the last of it is there. SPEC: RFC 6455: 1009 beyond it. */
export const MAX_SOCKET_MESSAGE = 4_194_304;
export const MAX_CLOSE = 125; // bytes of a close: code and reason

export interface SocketMessage {
  readonly opcode: typeof TEXT | typeof BINARY | typeof CLOSING;
  readonly payload: Uint8Array;
}

export function encodeMessage(opcode: SocketMessage['opcode'], payload: Uint8Array): Uint8Array<ArrayBuffer> {
  if (payload.byteLength > (opcode === CLOSING ? MAX_CLOSE : MAX_SOCKET_MESSAGE)) throw new RangeError('too long');
  const bytes = new Uint8Array(MESSAGE_HEADER + payload.byteLength);
  bytes[0] = opcode;
  new DataView(bytes.buffer).setUint32(1, payload.byteLength);
  bytes.set(payload, MESSAGE_HEADER);
  return bytes;
}

/** `code` 1005 and 1006 say that there was none; they do not travel. */
export function encodeClose(code: number, reason: string): Uint8Array<ArrayBuffer> {
  if (code === 1005 || code === 1006) return encodeMessage(CLOSING, new Uint8Array(0));
  const payload = new Uint8Array(MAX_CLOSE);
  new DataView(payload.buffer).setUint16(0, code);
  const { written } = new TextEncoder().encodeInto(reason, payload.subarray(2));
  return encodeMessage(CLOSING, payload.subarray(0, 2 + written));
}

/**
 * A reason as a close frame may carry it: whole characters, at most MAX_CLOSE - 2 bytes. SPEC: RFC 6455 section 5.5. What
 * is longer makes the runtime throw and leaves the socket open. Bytes that are no UTF-8 were replaced by three each.
 */
export function closeReason(text: string): string {
  const bytes = new Uint8Array(MAX_CLOSE - 2);
  const { read } = new TextEncoder().encodeInto(text, bytes);
  return text.slice(0, read);
}

/** The code and reason; 1005 where there was none, or one that only a runtime may report. */
export function decodeClose(payload: Uint8Array): { readonly code: number; readonly reason: string } {
  if (payload.byteLength < 2) return { code: 1005, reason: '' };
  const code = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
  // SPEC: RFC 6455 section 7.4: those of protocols to come, and 1004 to 1006 and 1015, are not to be sent; `ws` and browsers throw.
  const ours = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  const sendable = ours || (code >= 3000 && code < 5000);
  return { code: sendable ? code : 1005, reason: sendable ? new TextDecoder().decode(payload.subarray(2)) : '' };
}

const FIRST_BYTES = 16_384; // of the room for a message whose header came

/** Puts messages together from the chunks of a stream. */
export class MessageReader {
  readonly #header = new Uint8Array(MESSAGE_HEADER);
  #have = 0; // bytes of the header
  #payload: Uint8Array | null = null;
  #length = 0; // of the payload, once it is there
  #at = 0;
  #closed = false;

  /** True while a message has begun and is not there to its end. */
  get partial(): boolean {
    return this.#have > 0;
  }

  /** Bytes of memory that it takes until then. */
  get held(): number {
    return this.#payload?.byteLength ?? 0;
  }

  /** Throws FrameError for what is no message, code `limit` for one that is too long. */
  push(chunk: Uint8Array, visit: (message: SocketMessage) => void): void {
    for (let at = 0; at < chunk.byteLength || this.#complete();) {
      if (this.#complete()) {
        const opcode = this.#header[0] as SocketMessage['opcode'];
        const payload = this.#payload!;
        this.#payload = null;
        this.#have = 0;
        this.#closed = opcode === CLOSING;
        visit({ opcode, payload });
        continue;
      }
      if (this.#closed) throw new FrameError(CLOSE.malformed, 'a message behind a close');
      if (this.#payload === null) {
        const take = Math.min(MESSAGE_HEADER - this.#have, chunk.byteLength - at);
        this.#header.set(chunk.subarray(at, at + take), this.#have);
        this.#have += take;
        at += take;
        if (this.#have === MESSAGE_HEADER) this.#begin();
        continue;
      }
      const take = Math.min(this.#length - this.#at, chunk.byteLength - at);
      this.#room(this.#at + take);
      this.#payload.set(chunk.subarray(at, at + take), this.#at);
      this.#at += take;
      at += take;
    }
  }

  #complete(): boolean {
    return this.#payload !== null && this.#at === this.#length;
  }

  #begin(): void {
    const opcode = this.#header[0]!;
    const length = new DataView(this.#header.buffer).getUint32(1);
    if (opcode !== TEXT && opcode !== BINARY && opcode !== CLOSING)
      throw new FrameError(CLOSE.malformed, `a message of opcode ${opcode}`);
    const most = opcode === CLOSING ? MAX_CLOSE : MAX_SOCKET_MESSAGE;
    if (length > most) throw new FrameError(CLOSE.limit, `a message of ${length} bytes; the limit is ${most}`);
    this.#payload = new Uint8Array(Math.min(length, FIRST_BYTES));
    this.#length = length;
    this.#at = 0;
  }

  /** SAFETY: what is held grows with what has come; a header alone, of thousands of streams, is a promise and costs nothing. */
  #room(bytes: number): void {
    const held = this.#payload!;
    if (bytes <= held.byteLength) return;
    const larger = new Uint8Array(Math.min(this.#length, Math.max(bytes, held.byteLength * 2)));
    larger.set(held);
    this.#payload = larger;
  }
}
