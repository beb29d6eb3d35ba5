/**
 * The one holder of request bodies, shared by rules that look at the body, retry and mirror. A body is held up to a
 * limit; what goes on to the origin is the held prefix and then the rest, with its Content-Length kept. A body that
 * nobody has to hold never comes here: it streams.
 *
 * All bytes held in an isolate are counted against MAX_HELD_BYTES.
 */
import {
  DEFAULT_BODY_LIMIT,
  HOLD_SECONDS,
  MAX_GENERATION_SECONDS,
  MAX_HELD_BYTES,
  MAX_INFLATE_RATIO,
} from '../../assembly/abi.ts';
import { MAX_HELD_BODY_BYTES } from '../../assembly/waf/abi.ts';
import { joinBytes } from '../bytes.ts';
import { lengthStream } from '../platform/runtime.ts';
import type { FileTracker } from './multipart.ts';

/** Why a body could not be held: no room in this isolate, too slow, or the client went away. */
export type HoldFailure = 'busy' | 'slow' | 'broken';

const held = new Set<HeldBody>();
let heldBytes = 0;

/** Bytes of request bodies that this isolate holds now. */
export function bytesHeld(): number {
  return heldBytes;
}

/** Takes room for what is held in this isolate; false when there is none. Whoever took it gives it back. */
export function reserveHeld(bytes: number): boolean {
  if (heldBytes + bytes > MAX_HELD_BYTES) {
    forgetAbandoned();
    if (heldBytes + bytes > MAX_HELD_BYTES) return false;
  }
  heldBytes += bytes;
  return true;
}

export function releaseHeld(bytes: number): void {
  heldBytes -= bytes;
}

export class HeldBody {
  /** What was read: all of the body, or its first bytes (at least `limit` of them). */
  bytes: Uint8Array = EMPTY;
  /** True when `bytes` is the whole body, so that it can be sent more than once. */
  complete = false;
  /** Content-Length as declared, -1 if there was none. */
  readonly declared: number;
  readonly #startedAt = Date.now();
  readonly #stream: ReadableStream<Uint8Array>;
  #reserved = 0;
  #sent = false;
  #lent = 0;
  #released = false;

  constructor(stream: ReadableStream<Uint8Array>, declared: number) {
    this.#stream = stream;
    this.declared = declared;
    held.add(this);
  }

  /**
   * Reads until the end or until `limit` bytes are there; `signal` is the client's. With `files` contents of files are
   * no part of these, up to MAX_HELD_BODY_BYTES in all.
   */
  async read(limit: number, signal: AbortSignal, files: FileTracker | null = null): Promise<HoldFailure | null> {
    const reader = this.#stream.getReader();
    const chunks: Uint8Array[] = [];
    let length = 0;
    let failure: HoldFailure | null = null;
    const timer = setTimeout(() => {
      failure = 'slow';
      reader.cancel().catch(ignore);
    }, HOLD_SECONDS * 1000);
    // A reset connection does not end a pending read by itself.
    const gone = (): void => {
      failure = 'broken';
      // Now, since what follows the pending read may never run: the runtime drops a request whose client is gone.
      this.release();
      reader.cancel().catch(ignore);
    };
    signal.addEventListener('abort', gone);
    try {
      // One byte more than the limit tells a body that just fits from one that does not.
      while ((files === null ? length : files.counted) <= limit && length <= Math.max(limit, MAX_HELD_BODY_BYTES)) {
        const { done, value } = await reader.read();
        if (done) {
          this.complete = failure === null;
          break;
        }
        if (!this.#reserve(value.byteLength)) {
          failure = 'busy';
          break;
        }
        chunks.push(value);
        length += value.byteLength;
        files?.push(value);
      }
    } catch {
      failure ??= 'broken';
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
    }
    this.bytes = chunks.length === 1 ? (chunks[0] ?? EMPTY) : joinBytes(chunks);
    if (failure !== null) {
      this.release();
      reader.cancel().catch(ignore);
      return failure;
    }
    reader.releaseLock();
    return null;
  }

  /**
   * The same for a body that declares at most SHORT_BODY_BYTES, with `whole` as what reads it natively, null when that took
   * too long. PERF: a stream that is read here, with a timer and a listener of its own, costs 100 µs of CPU more.
   */
  async take(whole: Promise<ArrayBuffer | null>): Promise<HoldFailure | null> {
    let failure: HoldFailure = 'slow';
    try {
      const buffer = await whole;
      if (buffer !== null) {
        failure = buffer.byteLength > this.declared ? 'broken' : 'busy';
        if (buffer.byteLength <= this.declared && this.#reserve(buffer.byteLength)) {
          this.bytes = new Uint8Array(buffer);
          this.complete = true;
          return null;
        }
      }
    } catch {
      failure = 'broken';
    }
    this.release();
    return failure;
  }

  /** True when the body can be sent (again). */
  get replayable(): boolean {
    return this.complete || !this.#sent;
  }

  /** The body to send: the held bytes, or a stream of them and the rest, which exists once. */
  send(): Uint8Array | ReadableStream<Uint8Array> {
    if (this.complete) return this.bytes;
    if (this.#sent) throw new Error('a body that is not held whole can be sent once');
    this.#sent = true;
    const { readable, writable } = lengthStream(this.declared);
    const stream = this.#stream;
    const first = this.bytes;
    const pump = async (): Promise<void> => {
      const writer = writable.getWriter();
      await writer.write(first);
      writer.releaseLock();
      await stream.pipeTo(writable);
    };
    // A failure on either side ends both: the origin's fetch or the client's upload rejects on its own.
    pump().catch((error: unknown) => {
      stream.cancel(error).catch(ignore);
      writable.abort(error).catch(ignore);
    });
    return readable;
  }

  /** Reads no further; for bodies that are refused. */
  discard(): void {
    this.release();
    if (!this.complete && !this.#sent) this.#stream.cancel().catch(ignore);
  }

  /** Gives back the room; call it once nothing will send the body again. */
  release(): void {
    this.#released = true;
    if (this.#lent === 0) this.#free();
  }

  /** Keeps the room taken, whoever releases the body meanwhile, until the function that it returns is called. */
  lend(): () => void {
    this.#lent++;
    return () => {
      if (--this.#lent === 0 && this.#released) this.#free();
    };
  }

  #free(): void {
    heldBytes -= this.#reserved;
    this.#reserved = 0;
    held.delete(this);
  }

  #reserve(bytes: number): boolean {
    if (!reserveHeld(bytes)) return false;
    this.#reserved += bytes;
    return true;
  }

  /** True for an exchange that ended without its `finally`: the runtime drops those whose client vanished. */
  abandoned(now: number): boolean {
    return now - this.#startedAt > MAX_GENERATION_SECONDS * 1000;
  }
}

function forgetAbandoned(): void {
  const now = Date.now();
  for (const body of held) if (body.abandoned(now)) body.release();
}

const EMPTY = new Uint8Array(0);
const ignore = (): void => {};

const DIGITS = /^[0-9]{1,15}$/;

/** Content-Length as a number, -1 when there is none (or none that can be believed). */
export function declaredLength(value: string): number {
  return DIGITS.test(value) ? Number(value) : -1;
}

/** Why a body can't be judged although it was held. */
export type InflateFailure = 'encoding' | 'corrupt' | 'ratio';

/** Up to here any ratio will do: blanks and tables inflate by more than MAX_INFLATE_RATIO, and so little does no harm. */
const FREE_BYTES = DEFAULT_BODY_LIMIT;

/**
 * Inflates what was held for inspection, up to `limit` bytes and MAX_INFLATE_RATIO; the original goes to the origin unchanged.
 * `whole` is false where the held bytes are a prefix: that they end abruptly is no fault then.
 */
export async function inflate(
  bytes: Uint8Array,
  encoding: string,
  limit: number,
  whole: boolean,
): Promise<{ bytes: Uint8Array; truncated: boolean } | InflateFailure> {
  const name = encoding.trim().toLowerCase();
  if (name !== 'gzip' && name !== 'x-gzip' && name !== 'deflate') return 'encoding';
  // An origin that ignores the encoding would read a body without this header as it stands.
  if (!(name === 'deflate' ? startsZlib(bytes) : startsGzip(bytes))) return 'corrupt';
  const ratio = Math.max(FREE_BYTES, bytes.byteLength * MAX_INFLATE_RATIO);
  const most = Math.min(limit, ratio);
  const inflater = new DecompressionStream(name === 'deflate' ? 'deflate' : 'gzip');
  const writer = inflater.writable.getWriter();
  const written = writer.write(bytes as Uint8Array<ArrayBuffer>);
  if (whole) written.then(() => writer.close()).catch(ignore);
  // A prefix is never closed, so its stream never ends: it is done once all was taken in and nothing more comes out.
  const drained: Promise<null> | null = whole
    ? null
    : written.then(() => new Promise((resolve) => setTimeout(resolve, 0, null)));
  // Its rejection may come before that of the read: either says `corrupt`, and the one that lost is nobody's.
  drained?.catch(ignore);
  const reader = (inflater.readable as ReadableStream<Uint8Array>).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    while (length <= most) {
      const next = drained === null ? await reader.read() : await Promise.race([reader.read(), drained]);
      if (next === null || next.done) return { bytes: joinBytes(chunks), truncated: !whole };
      chunks.push(next.value);
      length += next.value.byteLength;
    }
  } catch {
    // A prefix was not closed, so its fault is no abrupt end.
    return 'corrupt';
  } finally {
    reader.cancel().catch(ignore);
  }
  if (length > ratio) return 'ratio';
  return { bytes: joinBytes(chunks).subarray(0, most), truncated: true };
}

/** SPEC: RFC 1952 section 2.3.1: two magic bytes, then the one method there is. */
function startsGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;
}

/** SPEC: RFC 1950 section 2.2: method 8, and the first two bytes as a number are a multiple of 31. */
function startsZlib(bytes: Uint8Array): boolean {
  const [method = 0, flags = 0] = bytes;
  return (method & 15) === 8 && (method * 256 + flags) % 31 === 0;
}
