/**
 * The tunnel's wire form, for both ends: frames in binary WebSocket messages, subprotocol `sallyport.tunnel.1`.
 *
 *   u8 type, u8 flags, u16 0, u32 stream, u32 length, payload      (big-endian; a message holds whole frames only)
 *
 * Stream 0 is the lane (the WebSocket) itself. Ids of streams that the edge opens are odd, of those that the connector
 * opens even; none is used twice in the life of a lane, and a lane that runs out of ids drains.
 *
 * Whole frames in a message: WebSocket keeps messages apart already, so a frame that is cut is a fault of the peer and
 * not a state to keep. Rejected: one message per frame (a message costs the runtime more than a frame does), variable
 * length integers (nothing here is small enough for the bytes to matter), JSON for heads (three times the bytes and a
 * parser in the middle of the hot path).
 *
 * The protocol's limits are all here; each has a close code and a test at its edge.
 */

export const SUBPROTOCOL = 'sallyport.tunnel.1';
export const FRAME_BYTES = 12; // of a frame's header
export const MAX_PAYLOAD = 65_536; // bytes of one frame
export const MAX_MESSAGE = 1_048_576; // bytes of one message
export const MAX_FRAMES = 4096; // in one message
export const MAX_STREAM = 0x7fff_ffff;
export const MAX_REASON = 256; // bytes of the text of RESET and GOAWAY

export const OPEN = 1; // begins a stream: kind, target, head
export const HEAD = 2; // head of a response, or of an upgrade's answer
export const DATA = 3;
export const END = 4; // nothing more in this direction; trailers, if any
export const RESET = 5; // both directions end: u32 code, text
export const WINDOW = 6; // u32 bytes more that may be sent on the stream; stream 0: on the lane
export const WIDER = 1; // flag of WINDOW: the bytes were not consumed, the window itself has grown
export const ACK = 7; // stream 0: f64 offset of the last byte of this lane that arrived
export const PING = 8; // stream 0: 8 bytes that PONG repeats
export const PONG = 9;
export const GOAWAY = 10; // stream 0: u32 code, text; no new streams from here on, those that are open go on
const LAST_TYPE = GOAWAY;

/** Types that must name a stream, as bits; the others but WINDOW must not. */
const OF_STREAM = (1 << OPEN) | (1 << HEAD) | (1 << DATA) | (1 << END) | (1 << RESET);

/** Why a WebSocket of the tunnel was closed; the reason text says which limit, or what was wrong. */
export const CLOSE = {
  malformed: 4400,
  unauthorised: 4401,
  revoked: 4403,
  silent: 4408,
  taken: 4409,
  gone: 4410, // what was to go on is not there any more
  limit: 4413,
  draining: 4503,
} as const;

/** Why a stream was reset. `retryable`: the other end has not acted on the request, or may be asked again. */
export const RESET_CODE = {
  cancelled: 1,
  refused: 2, // by the connector's allow-list or a limit of streams
  unreachable: 3, // nobody listens at the target
  timedOut: 4,
  protocol: 5, // the peer broke the rules of a stream
  lost: 6, // the lane was lost and could not be resumed
  internal: 7,
} as const;

export function retryable(code: number): boolean {
  return code === RESET_CODE.refused || code === RESET_CODE.unreachable || code === RESET_CODE.lost;
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  /** A view into the message: copy it to keep it. */
  readonly payload: Uint8Array;
}

/** The peer broke the protocol: the lane is closed with this code and text. */
export class FrameError extends Error {
  readonly code: number;
  constructor(code: number, reason: string) {
    super(reason);
    this.code = code;
  }
}

/** Calls `visit` with each frame of a message, in order; throws FrameError before the first frame that is not sound. */
export function readFrames(message: Uint8Array, visit: (frame: Frame) => void): void {
  if (message.byteLength > MAX_MESSAGE)
    throw new FrameError(CLOSE.limit, `a message of ${message.byteLength} bytes; the limit is ${MAX_MESSAGE}`);
  if (message.byteLength === 0) throw new FrameError(CLOSE.malformed, 'an empty message');
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let count = 0;
  for (let at = 0; at < message.byteLength;) {
    if (message.byteLength - at < FRAME_BYTES) throw new FrameError(CLOSE.malformed, 'a frame that is cut off');
    if (++count > MAX_FRAMES) throw new FrameError(CLOSE.limit, `more than ${MAX_FRAMES} frames in a message`);
    const type = view.getUint8(at);
    const flags = view.getUint8(at + 1);
    const stream = view.getUint32(at + 4);
    const length = view.getUint32(at + 8);
    if (type === 0 || type > LAST_TYPE) throw new FrameError(CLOSE.malformed, `a frame of type ${type}`);
    if (view.getUint16(at + 2) !== 0) throw new FrameError(CLOSE.malformed, 'a frame with reserved bits set');
    if (length > MAX_PAYLOAD)
      throw new FrameError(CLOSE.limit, `a payload of ${length} bytes; the limit is ${MAX_PAYLOAD}`);
    if (length > message.byteLength - at - FRAME_BYTES)
      throw new FrameError(CLOSE.malformed, 'a frame that is longer than its message');
    if (stream > MAX_STREAM) throw new FrameError(CLOSE.malformed, `a stream id above ${MAX_STREAM}`);
    const ofStream = ((OF_STREAM >> type) & 1) === 1;
    if (type !== WINDOW && ofStream !== (stream !== 0))
      throw new FrameError(CLOSE.malformed, `a frame of type ${type} on stream ${stream}`);
    const begin = at + FRAME_BYTES;
    at = begin + length;
    visit({ type, flags, stream, payload: message.subarray(begin, at) });
  }
}

/** A frame as bytes of their own. */
export function frame(type: number, stream: number, payload: Uint8Array = EMPTY, flags = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_BYTES + payload.byteLength);
  writeHeader(bytes, 0, type, flags, stream, payload.byteLength);
  bytes.set(payload, FRAME_BYTES);
  return bytes;
}

export function writeHeader(
  bytes: Uint8Array,
  at: number,
  type: number,
  flags: number,
  stream: number,
  length: number,
): void {
  if (length > MAX_PAYLOAD) throw new RangeError(`a payload of ${length} bytes; the limit is ${MAX_PAYLOAD}`);
  // PERF: a DataView for twelve bytes costs more than they do.
  bytes[at] = type;
  bytes[at + 1] = flags;
  bytes[at + 2] = bytes[at + 3] = 0;
  bytes[at + 4] = stream >>> 24;
  bytes[at + 5] = stream >>> 16;
  bytes[at + 6] = stream >>> 8;
  bytes[at + 7] = stream;
  bytes[at + 8] = 0;
  bytes[at + 9] = length >>> 16;
  bytes[at + 10] = length >>> 8;
  bytes[at + 11] = length;
}

export function windowFrame(stream: number, bytes: number): Uint8Array<ArrayBuffer> {
  return frame(WINDOW, stream, windowPayload(bytes));
}

export function windowPayload(bytes: number): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, bytes);
  return payload;
}

export function readWindow({ payload }: Frame): number {
  if (payload.byteLength !== 4) throw new FrameError(CLOSE.malformed, 'a WINDOW of a wrong length');
  const bytes = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  if (bytes === 0 || bytes > 0x7fff_ffff) throw new FrameError(CLOSE.malformed, `a WINDOW of ${bytes} bytes`);
  return bytes;
}

/** Offsets go beyond 2^32 on a lane that lives for long; they are exact up to 2^53. */
export function ackFrame(offset: number): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setFloat64(0, offset);
  return frame(ACK, 0, payload);
}

export function readAck({ payload }: Frame): number {
  if (payload.byteLength !== 8) throw new FrameError(CLOSE.malformed, 'an ACK of a wrong length');
  const offset = new DataView(payload.buffer, payload.byteOffset).getFloat64(0);
  if (!Number.isSafeInteger(offset) || offset < 0) throw new FrameError(CLOSE.malformed, 'an ACK of no offset');
  return offset;
}

/** RESET and GOAWAY. The text is for people; it is cut to MAX_REASON bytes. */
export function reasonFrame(type: number, stream: number, code: number, text: string): Uint8Array<ArrayBuffer> {
  return frame(type, stream, reasonPayload(code, text));
}

export function reasonPayload(code: number, text: string): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(4 + MAX_REASON);
  new DataView(payload.buffer).setUint32(0, code);
  const { written } = encoder.encodeInto(text, payload.subarray(4));
  return payload.subarray(0, 4 + written);
}

export function readReason({ payload }: Frame): { readonly code: number; readonly text: string } {
  if (payload.byteLength < 4 || payload.byteLength > 4 + MAX_REASON)
    throw new FrameError(CLOSE.malformed, 'a RESET or GOAWAY of a wrong length');
  const code = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  // Control characters would let a peer write into our log lines.
  const text = decoder.decode(payload.subarray(4)).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
  return { code, text };
}

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
