/**
 * Holds the answer of an origin while it is judged: its beginning, up to a number of bytes and a time, and then all of it
 * goes on unchanged, or none. Not a byte, no header either, has reached the client before.
 */
import { joinBytes } from '../bytes.ts';
import { lengthStream } from '../platform/runtime.ts';
import { declaredLength, releaseHeld, reserveHeld } from './body.ts';

export class HeldAnswer {
  /** What has come, as the origin encoded it. */
  bytes: Uint8Array = new Uint8Array(0);
  /** True when that is all of the body. */
  complete = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #stream: ReadableStream<Uint8Array>;
  /** A read that was still out when the time was up: its bytes come next. */
  #pending: Promise<{ done: boolean; value?: Uint8Array | undefined }> | null = null;
  #reserved = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#stream = stream;
    this.#reader = stream.getReader();
  }

  /** Reads until the end, until more than `limit` bytes are there, for `ms`, or while there is room. Rejects when the origin breaks off. */
  async read(limit: number, ms: number): Promise<void> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    let timer: ReturnType<typeof setTimeout> | null = null;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, ms, null);
    });
    try {
      while (length <= limit) {
        const reading = this.#reader.read();
        const next = await Promise.race([reading, late]);
        if (next === null) {
          this.#pending = reading;
          reading.catch(() => {}); // whoever pumps it sees its failure
          break;
        }
        if (next.done) {
          this.complete = true;
          break;
        }
        chunks.push(next.value);
        length += next.value.byteLength;
        if (!reserveHeld(next.value.byteLength)) break; // what is here is judged; the rest streams
        this.#reserved += next.value.byteLength;
      }
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
    this.bytes = chunks.length === 1 ? chunks[0]! : joinBytes(chunks);
  }

  /** The body to send on: what is held, then what is still to come. `length` is its Content-Length, '' for none. */
  send(length: string): Uint8Array | ReadableStream<Uint8Array> {
    if (this.complete) return this.bytes;
    const { readable, writable } = lengthStream(declaredLength(length));
    this.#pump(writable).catch((error: unknown) => {
      this.#reader.cancel(error).catch(ignore);
      this.#stream.cancel(error).catch(ignore);
      writable.abort(error).catch(ignore);
    });
    return readable;
  }

  async #pump(writable: WritableStream<Uint8Array>): Promise<void> {
    const writer = writable.getWriter();
    await writer.write(this.bytes);
    const next = await this.#pending;
    if (next?.done === true) return writer.close();
    if (next?.value !== undefined) await writer.write(next.value);
    writer.releaseLock();
    this.#reader.releaseLock();
    // PERF: the rest does not pass JavaScript.
    await this.#stream.pipeTo(writable);
  }

  /** Reads no further: for an answer that is replaced. */
  discard(): void {
    this.release();
    this.#reader.cancel().catch(ignore);
  }

  release(): void {
    releaseHeld(this.#reserved);
    this.#reserved = 0;
  }
}

const ignore = (): void => {};
