/**
 * One HTTP exchange: a stream of the edge on one side, HTTP/1.1 to the target on the other. Heads go through as they are
 * (order, case and doubled fields), but for the fields that belong to one hop; bodies go through as they come, both ways
 * at once.
 *
 * SAFETY: the framing of what the target reads is made here and never taken over: at most one Content-Length, which the
 * body must match to the byte, or chunked. Otherwise a body could hold another request on the same connection.
 */
import { request as send, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as sendSecure } from 'node:https';
import type { Socket } from 'node:net';
import { RESET_CODE } from '../frame.ts';
import { decodeFields, encodeFields, encodeResponse, MAX_HEAD, type Fields, type RequestHead } from '../head.ts';
import type { TunnelStream } from '../stream.ts';
import type { Watch } from './exchange.ts';
import { failureOf } from './failure.ts';
import { pump, type Congestion } from './pump.ts';
import type { Dialable } from './targets.ts';

const CONTINUE_TIMEOUT = 1000; // ms; SPEC: RFC 9110 section 10.1.1: a client does not wait forever

/**
 * SPEC: RFC 9110 section 7.6.1. What Connection itself names is not dropped: the edge has read that field already, and a
 * client could name fields that the edge adds.
 */
const HOP_BY_HOP = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te', 'proxy-authenticate'],
  ...['proxy-authorization', 'http2-settings'],
]);
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

class Forward {
  readonly #stream: TunnelStream;
  readonly #head: RequestHead;
  readonly #target: Dialable;
  readonly #congestion: Congestion;
  readonly #watch: Watch | null;
  #request: ClientRequest | null = null;
  #response: IncomingMessage | null = null;
  /** What came and is not written yet: before the request begins, and while the target has not said to go on. */
  #chunks: Uint8Array[] = [];
  #trailers: Fields | null = null; // and the end
  #left = Infinity; // bytes that Content-Length lets through
  #undrained = 0; // bytes that lie with the target's connection
  #held = true;
  #streamed = false; // bytes of the body are gone
  #tries = 0;

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
      this.#request?.destroy();
    };
    // The rest of the message that opened the stream is looked at first: often that is the whole request.
    queueMicrotask(() => {
      if (stream.open) this.#begin();
    });
  }

  #begin(): void {
    const { method, target: path, fields } = this.#head;
    const length = lengthOf(fields);
    if (length === null) return this.#fail(RESET_CODE.protocol, 'a Content-Length that is none');
    if (length !== undefined) this.#left = length;
    const headers: string[] = [];
    let expects = false;
    let last: string | null = null; // name of the field, in lower case
    for (const [name, value] of fields) {
      last = name.toLowerCase();
      if (HOP_BY_HOP.has(last) || last === 'content-length') continue;
      if (last === 'expect') expects = value.toLowerCase() === '100-continue';
      headers.push(name, value);
    }
    const whole = this.#trailers !== null;
    const size = this.#chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (length !== undefined) headers.push('Content-Length', String(length));
    else if (whole && this.#trailers!.length === 0) {
      if (size > 0 || method === 'POST' || method === 'PUT' || method === 'PATCH')
        headers.push('Content-Length', String(size));
    } else headers.push('Transfer-Encoding', 'chunked');
    if (size > this.#left || (whole && length !== undefined && size < length))
      return this.#fail(RESET_CODE.protocol, 'a body of another length than Content-Length says');
    const { agent, secure } = this.#target;
    this.#tries++;
    try {
      this.#request = (secure ? sendSecure : send)({
        ...(this.#tries === 1 ? { agent } : { createConnection: () => this.#target.dial() as Socket }),
        method,
        path,
        headers,
        setHost: false,
        maxHeaderSize: MAX_HEAD,
      });
    } catch (error) {
      return this.#fail(RESET_CODE.protocol, (error as Error).message);
    }
    const request = this.#request;
    request.on('response', (response) => this.#answered(response));
    request.on('error', (error) => this.#failed(request, error as NodeJS.ErrnoException));
    request.on('drain', () => this.#drained());
    if (expects && !(whole && size === 0)) {
      const go = (): void => this.#release();
      request.once('continue', go);
      const timer = setTimeout(go, CONTINUE_TIMEOUT);
      request.once('response', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
      request.flushHeaders();
      return;
    }
    if (!whole && size === 0) request.flushHeaders();
    this.#release();
  }

  #release(): void {
    if (!this.#held || this.#response !== null) return;
    this.#held = false;
    const chunks = this.#chunks;
    this.#chunks = [];
    for (const chunk of chunks) this.#write(chunk);
    if (this.#trailers !== null) this.#finish();
  }

  #data(chunk: Uint8Array): void {
    this.#watch?.in(chunk);
    if (!this.#held) return this.#write(chunk);
    // Not asked for any more, and not granted again: what is on its way ends with the window.
    if (this.#response === null) this.#chunks.push(chunk);
  }

  #write(chunk: Uint8Array): void {
    this.#left -= chunk.byteLength;
    if (this.#left < 0) return this.#fail(RESET_CODE.protocol, 'a body longer than Content-Length says');
    const request = this.#request!;
    if (request.destroyed) return; // its answer, or its error, says why
    this.#streamed = true;
    if (request.write(chunk) && this.#undrained === 0) this.#stream.consumed(chunk.byteLength);
    else this.#undrained += chunk.byteLength;
  }

  #drained(): void {
    const bytes = this.#undrained;
    this.#undrained = 0;
    this.#stream.consumed(bytes);
  }

  #end(trailers: Uint8Array): void {
    try {
      this.#trailers = decodeFields(trailers);
    } catch (error) {
      return this.#fail(RESET_CODE.protocol, (error as Error).message);
    }
    if (!this.#held) this.#finish();
  }

  #finish(): void {
    const request = this.#request!;
    if (this.#left > 0 && this.#left !== Infinity)
      return this.#fail(RESET_CODE.protocol, 'a body shorter than Content-Length says');
    if (request.destroyed) return;
    const trailers = this.#trailers!;
    if (trailers.length > 0) request.addTrailers(trailers as [string, string][]);
    request.end();
  }

  #answered(response: IncomingMessage): void {
    this.#response = response;
    const fields: [string, string][] = [];
    const raw = response.rawHeaders;
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const name = raw[i]!;
      if (!HOP_BY_HOP.has(name.toLowerCase())) fields.push([name, raw[i + 1]!]);
    }
    const head = { status: response.statusCode ?? 0, reason: response.statusMessage ?? '', fields };
    try {
      this.#stream.sendHead(encodeResponse(head));
    } catch (error) {
      return this.#fail(RESET_CODE.internal, `the answer of ${this.#target.label}: ${(error as Error).message}`);
    }
    this.#watch?.answered(head);
    if (this.#held) this.#chunks = []; // it has answered without the body that it was asked about
    response.on('error', () => this.#fail(RESET_CODE.internal, `${this.#target.label} broke off its answer`));
    pump(response, this.#stream, this.#congestion, this.#watch, () => {
      this.#stream.end(response.rawTrailers.length === 0 ? undefined : trailersOf(response.rawTrailers));
      this.#watch?.ended();
      this.#over();
    });
  }

  /** The answer is out. What still comes of the request goes on as long as the target takes it. */
  #over(): void {
    const stream = this.#stream;
    if (!stream.open) return;
    const request = this.#request!;
    const stop = (): void => stream.reset(RESET_CODE.cancelled, 'the target has answered and takes no more');
    if (this.#held) request.destroy();
    if (request.destroyed) stop();
    else request.once('close', stop);
  }

  #failed(request: ClientRequest, error: NodeJS.ErrnoException): void {
    if (request !== this.#request || !this.#stream.open) return;
    if (this.#response !== null) return; // it may be reading no more of the request; its answer tells
    // SPEC: RFC 9112 section 9.3.1: a kept connection may have been closed while the request was on its way.
    const died = error.code === 'ECONNRESET' || error.code === 'EPIPE';
    if (died && request.reusedSocket && this.#tries === 1 && !this.#streamed && IDEMPOTENT.has(this.#head.method)) {
      this.#held = true;
      return this.#begin();
    }
    const { code, text } = failureOf(error, this.#target.label);
    this.#fail(code, text);
  }

  #fail(code: number, text: string): void {
    this.#watch?.ended(text);
    this.#stream.reset(code, text);
    this.#request?.destroy();
  }
}

/** Undefined when there is none, null when it is no number or there are several. */
function lengthOf(fields: Fields): number | null | undefined {
  let found: number | null | undefined;
  for (const [name, value] of fields) {
    if (name.length !== 14 || name.toLowerCase() !== 'content-length') continue;
    found = found === undefined && /^\d{1,15}$/.test(value) ? Number(value) : null;
  }
  return found;
}

function trailersOf(raw: readonly string[]): Uint8Array {
  const fields: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) fields.push([raw[i]!, raw[i + 1]!]);
  try {
    return encodeFields(fields);
  } catch {
    return new Uint8Array(0); // more than fits; nothing depends on trailers
  }
}
