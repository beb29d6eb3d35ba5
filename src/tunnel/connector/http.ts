/**
 * One HTTP exchange: a stream of the edge on one side, HTTP/1.1 to the target on the other. Heads go through as they are
 * (order, case and doubled fields), but for the fields that belong to one hop; bodies go through as they come, both ways
 * at once.
 *
 * SAFETY: the framing of what the target reads is made here and never taken over: at most one Content-Length, which the
 * body must match to the byte, or chunked. Otherwise a body could hold another request on the same connection. Method,
 * target and fields hold no line ends: head.ts has seen to that.
 */
import { RESET_CODE } from '../frame.ts';
import {
  decodeFields,
  encodeFields,
  encodeResponse,
  type Fields,
  type RequestHead,
  type ResponseHead,
} from '../head.ts';
import type { Holder, TunnelStream } from '../stream.ts';
import type { Watch } from '../exchange.ts';
import { failureOf } from './failure.ts';
import { CONTENT_LENGTH, EXPECT, kindOf, PASSES } from './hop-fields.ts';
import type { OriginConnection, OriginExchange } from './origin.ts';
import { Outflow } from './outflow.ts';
import type { Congestion } from './pump.ts';
import { ResponseError } from './response-parser.ts';
import type { Dialable } from './targets.ts';

const CONTINUE_TIMEOUT = 1000; // ms; SPEC: RFC 9110 section 10.1.1: a client does not wait forever

/** Methods that may be sent again on a connection that died before it answered. SPEC: RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export function forwardHttp(
  stream: TunnelStream,
  head: RequestHead,
  target: Dialable,
  congestion: Congestion,
  watch: Watch | null,
): void {
  new Forward(stream, head, target, congestion, watch).start();
}

class Forward implements OriginExchange {
  readonly #stream: TunnelStream;
  readonly #head: RequestHead;
  readonly #target: Dialable;
  readonly #congestion: Congestion;
  readonly #watch: Watch | null;
  #connection: OriginConnection | null = null;
  #outflow: Outflow | null = null;
  /** What came and is not written yet: before the request begins, and while the target has not said to go on. */
  #chunks: Uint8Array[] = [];
  #trailers: Fields | null = null; // and the end
  #held = true;
  #chunked = false;
  #left = Infinity; // bytes that Content-Length lets through
  #undrained = 0; // bytes that lie with the target's connection
  #streamed = false; // bytes of the body are gone
  #requested = false; // the request is out, whole
  #answered = false; // the head of the answer has come
  #ended = false; // the answer is whole
  #over = false; // and out
  #tries = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(stream: TunnelStream, head: RequestHead, target: Dialable, congestion: Congestion, watch: Watch | null) {
    this.#stream = stream;
    this.#head = head;
    this.#target = target;
    this.#congestion = congestion;
    this.#watch = watch;
  }

  start(): void {
    const stream = this.#stream;
    stream.onData = (chunk) => this.#data(chunk);
    stream.onEnd = (trailers) => this.#end(trailers);
    stream.onReset = (reset) => {
      this.#watch?.ended(reset.message || 'aborted');
      this.#abandon();
    };
    // The rest of the message that opened the stream is looked at first: often that is the whole request.
    queueMicrotask(() => this.#take());
  }

  #take(): void {
    if (!this.#stream.open) return;
    this.#tries++;
    this.#target.pool.take(
      this.#tries > 1,
      () => this.#stream.open,
      (connection) => {
        this.#connection = connection;
        this.#begin(connection);
      },
    );
  }

  #begin(connection: OriginConnection): void {
    const { method, target, fields } = this.#head;
    let text = `${method} ${target} HTTP/1.1\r\n`;
    let length: number | null = null;
    let expects = false;
    this.#chunked = false; // of the try before
    for (const [name, value] of fields) {
      const kind = kindOf(name);
      if (kind === CONTENT_LENGTH) {
        if (length !== null || !/^\d{1,15}$/.test(value)) return this.#refuse('a Content-Length that is none');
        length = Number(value);
      } else if (kind === PASSES || kind === EXPECT) {
        if (kind === EXPECT) expects = value.toLowerCase() === '100-continue';
        text += `${name}: ${value}\r\n`;
      }
    }
    const whole = this.#trailers !== null;
    let size = 0;
    for (const chunk of this.#chunks) size += chunk.byteLength;
    if (length !== null) {
      if (size > length || (whole && size < length)) return this.#refuse('a body of another length than it says');
      this.#left = length;
      text += `Content-Length: ${length}\r\n`;
    } else if (whole && this.#trailers!.length === 0) {
      if (size > 0 || method === 'POST' || method === 'PUT' || method === 'PATCH')
        text += `Content-Length: ${size}\r\n`;
    } else {
      this.#chunked = true;
      text += 'Transfer-Encoding: chunked\r\n';
    }
    connection.begin(this, method);
    if (expects && !(whole && size === 0)) {
      connection.write(`${text}\r\n`);
      this.#timer = setTimeout(() => this.#release(), CONTINUE_TIMEOUT);
      return;
    }
    const alone = this.#chunks.length === 0 && !(this.#chunked && whole);
    if (!alone) connection.cork();
    connection.write(`${text}\r\n`);
    this.#release();
    if (!alone) connection.uncork();
  }

  /** Nothing was sent: the connection is as good as before. */
  #refuse(text: string): void {
    this.#connection!.destroy();
    this.#fail(RESET_CODE.protocol, text);
  }

  #release(): void {
    if (!this.#held || this.#answered) return;
    this.#held = false;
    const chunks = this.#chunks;
    if (chunks.length > 0) this.#chunks = [];
    for (const chunk of chunks) this.#write(chunk);
    if (this.#trailers !== null) this.#finish();
  }

  /** Who has the chunk; null: we, for as long as we like. */
  #data(chunk: Uint8Array): Holder | null {
    this.#watch?.in(chunk);
    if (!this.#held) {
      this.#write(chunk);
      return this.#connection;
    }
    // Not asked for any more, and not granted again: what is on its way ends with the window.
    if (!this.#answered) this.#chunks.push(chunk);
    return null;
  }

  #write(chunk: Uint8Array): void {
    this.#left -= chunk.byteLength;
    if (this.#left < 0) return this.#fail(RESET_CODE.protocol, 'a body longer than Content-Length says');
    const connection = this.#connection;
    if (connection === null || chunk.byteLength === 0) return; // its answer, or its error, says why
    this.#streamed = true;
    let more: boolean;
    if (this.#chunked) {
      connection.cork();
      connection.write(`${chunk.byteLength.toString(16)}\r\n`);
      connection.write(chunk);
      more = connection.write('\r\n');
      connection.uncork();
    } else more = connection.write(chunk);
    if (more && this.#undrained === 0) this.#stream.consumed(chunk.byteLength);
    else this.#undrained += chunk.byteLength;
  }

  onDrain(): void {
    const bytes = this.#undrained;
    this.#undrained = 0;
    this.#stream.consumed(bytes);
  }

  #end(trailers: Uint8Array): void {
    this.#watch?.requested();
    try {
      this.#trailers = decodeFields(trailers);
    } catch (error) {
      return this.#fail(RESET_CODE.protocol, (error as Error).message);
    }
    if (!this.#held) this.#finish();
  }

  #finish(): void {
    if (this.#left > 0 && this.#left !== Infinity)
      return this.#fail(RESET_CODE.protocol, 'a body shorter than Content-Length says');
    this.#requested = true;
    if (this.#chunked) {
      let text = '0\r\n';
      for (const [name, value] of this.#trailers!) if (kindOf(name) === PASSES) text += `${name}: ${value}\r\n`;
      this.#connection?.write(`${text}\r\n`);
    }
    if (this.#over) this.#done();
  }

  onInterim(status: number): void {
    if (status === 100 && this.#timer !== null) {
      clearTimeout(this.#timer);
      this.#release();
    }
  }

  onHead(head: ResponseHead): void {
    this.#answered = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#held) this.#chunks = []; // it has answered without the body that it was asked about
    let bytes: Uint8Array;
    try {
      bytes = encodeResponse(head);
    } catch (error) {
      return this.#fail(RESET_CODE.internal, `the answer of ${this.#target.label}: ${(error as Error).message}`);
    }
    this.#stream.sendHead(bytes);
    this.#watch?.answered(head);
  }

  onBody(bytes: Uint8Array): void {
    if (!this.#stream.open) return;
    this.#watch?.out(bytes);
    this.#outflow ??= new Outflow(this.#stream, this.#congestion, this.#connection!);
    this.#outflow.push(bytes);
  }

  onEnd(trailers: Fields): void {
    this.#ended = true;
    if (this.#outflow === null) this.#close(trailers);
    else this.#outflow.finish(() => this.#close(trailers));
  }

  #close(trailers: Fields): void {
    if (!this.#stream.open) return;
    this.#over = true;
    this.#stream.end(trailers.length === 0 ? undefined : trailersOf(trailers));
    this.#watch?.ended();
    if (this.#requested) return this.#done();
    // What still comes of the request goes on as long as the target takes it.
    if (this.#held || this.#connection === null) this.#stop();
  }

  /** Request and response are whole. */
  #done(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.release();
  }

  #stop(): void {
    this.#stream.reset(RESET_CODE.cancelled, 'the target has answered and takes no more');
    this.#abandon();
  }

  onGone(error: Error): void {
    const connection = this.#connection;
    this.#connection = null;
    if (!this.#stream.open) return;
    if (this.#over) return this.#stop();
    // SPEC: RFC 9112 section 9.3.1: a kept connection may have been closed while the request was on its way.
    if (!this.#answered) {
      const again = connection?.reused === true && this.#tries === 1 && !this.#streamed;
      if (again && IDEMPOTENT.has(this.#head.method)) {
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#held = true;
        this.#requested = false;
        return this.#take();
      }
      if (!(error instanceof ResponseError)) {
        const { code, text } = failureOf(error, this.#target.label);
        return this.#fail(code, text);
      }
      return this.#fail(RESET_CODE.internal, `${this.#target.label} gave ${error.message}`);
    }
    // An answer that is whole may still wait for credit.
    if (this.#ended) return;
    this.#fail(RESET_CODE.internal, `${this.#target.label} broke off its answer`);
  }

  #fail(code: number, text: string): void {
    this.#watch?.ended(text);
    this.#stream.reset(code, text);
    this.#abandon();
  }

  #abandon(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
  }
}

function trailersOf(trailers: Fields): Uint8Array {
  try {
    return encodeFields(trailers);
  } catch {
    return new Uint8Array(0); // names or values that are none; nothing depends on trailers
  }
}
