/**
 * A request through a lane: what the edge has of it becomes OPEN and DATA, what comes back becomes a Response. TCP goes
 * the same way, with request and response bodies for its two directions.
 */
import { lengthStream, responseInit, webSocketOf } from '../platform/runtime.ts';
import { RESET_CODE } from './frame.ts';
import type { Watch } from './exchange.ts';
import { decodeResponse, type Fields, type ResponseHead } from './head.ts';
import { FAILURE_HEADER, SESSIONS_HEADER } from './objects.ts';
import { TCP } from './opening.ts';
import type { EdgeLane } from './session-lanes.ts';
import { StreamReset, type TunnelStream } from './stream.ts';
import { WaitingChunks } from './session-chunks.ts';

// Of a request body at a time. PERF: more at a time is fewer turns, a quarter of an upload's CPU; a short body needs no room.
const FIRST_READ = 16_384;
const MOST_READ = 393_216;
/** Of a response body at a time: what the client has taken is granted again, so that more comes while it takes the rest. */
const MOST_WRITTEN = 262_144;

export interface Ask {
  readonly kind: number; // as OPEN has it
  /** Payload of OPEN. */
  readonly opening: Uint8Array;
  readonly method: string;
  readonly body: ReadableStream<Uint8Array> | null;
  /** Calls back when the client has left, until what is returned is called. */
  readonly notice: (left: () => void) => () => void;
  /** Whether another lane may be asked when this one is lost before the answer begins. */
  readonly movable: boolean;
  /** Where the client wants a socket: takes the stream over when the other end agrees, in the turn in which it does. */
  readonly join: ((stream: TunnelStream, head: ResponseHead) => Response) | null;
  /** Null: nobody looks. */
  readonly watch: Watch | null;
}

/** The answer, or why there is none. Never rejects. `keep` is given what goes on behind the answer. */
export async function ask(
  edge: EdgeLane,
  request: Ask,
  keep: (work: Promise<unknown>) => void,
): Promise<Response | StreamReset> {
  const stream = edge.lane.open(request.opening);
  const answer = new Answer(stream, request);
  const { body } = request;
  if (body !== null) keep(sendBody(body, stream, answer, request.watch));
  else if (request.join === null) stream.end();
  const move = request.movable ? () => answer.fail(RESET_CODE.lost, 'the socket was lost') : null;
  if (move !== null) edge.movable.add(move);
  const unnotice = request.notice(() => answer.fail(RESET_CODE.cancelled, 'the client went away'));
  const head = await answer.head;
  unnotice();
  if (move !== null) edge.movable.delete(move);
  if (head instanceof StreamReset) return head;
  if (answer.joined !== null) return answer.joined;
  if (request.join !== null) stream.end();
  return answer.respond(head, request.method, keep);
}

/** A Response in place of an origin's: the dial that asked makes an error of it. */
export function failure(status: number, reason: string): Response {
  return new Response(null, { status, headers: { [FAILURE_HEADER]: reason.replaceAll(/[^ -~]/g, '?') } });
}

/** The answer, with a note for the dial of how many sessions the tunnel has. A socket's answer goes as it is. */
export function noted(answer: Response, sessions: number): Response {
  if (webSocketOf(answer) !== null) return answer;
  const { body, status, statusText } = answer;
  const headers = new Headers(answer.headers);
  headers.set(SESSIONS_HEADER, String(sessions));
  return new Response(body, responseInit({ status, statusText, headers, encodeBody: 'manual' }));
}

/** What arrives on a stream, until somebody takes it. */
class Answer {
  readonly head: Promise<ResponseHead | StreamReset>;
  readonly #stream: TunnelStream;
  readonly #watch: Watch | null;
  #headed = false;
  #settle: (head: ResponseHead | StreamReset) => void = () => {};
  readonly #chunks = new WaitingChunks();
  #ended = false;
  #reset: StreamReset | null = null;
  #wake: (() => void) | null = null;

  joined: Response | null = null;

  constructor(stream: TunnelStream, { kind, join, watch }: Ask) {
    this.#stream = stream;
    this.#watch = watch;
    this.head = new Promise((settle) => (this.#settle = settle));
    stream.onHead = (payload) => {
      if (this.#headed) return this.fail(RESET_CODE.protocol, 'a second head');
      this.#headed = true;
      const head = kind !== TCP ? decodeResponse(payload) : join === null ? CONNECTED : SWITCHED;
      if (kind !== TCP) watch?.answered(head);
      if (join !== null && head.status === 101) this.joined = join(stream, head);
      this.#settle(head);
    };
    stream.onData = (chunk) => {
      watch?.out(chunk);
      this.#chunks.push(chunk);
      this.#signal();
    };
    stream.onEnd = () => {
      this.#ended = true;
      if (!this.#headed) this.fail(RESET_CODE.protocol, 'an end without a head');
      else watch?.ended();
      this.#signal();
    };
    stream.onReset = (reset) => this.#failed(reset);
  }

  /** Gives the stream up. */
  fail(code: number, text: string): void {
    this.#stream.reset(code, text);
    this.#failed(new StreamReset(code, text));
  }

  #failed(reset: StreamReset): void {
    // An origin that has answered need not read the rest of what was sent to it.
    if (this.#ended && this.#headed) return;
    this.#reset ??= reset;
    // Before the head another lane may still be asked.
    if (this.#headed) this.#watch?.ended(reset.message || 'aborted');
    this.#settle(reset);
    this.#signal();
  }

  #signal(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  respond({ status, reason, fields }: ResponseHead, method: string, keep: (work: Promise<unknown>) => void): Response {
    if (status < 200 || status > 599) {
      this.fail(RESET_CODE.protocol, `a status of ${status}`);
      return failure(502, `the origin answered with status ${status}`);
    }
    // PERF: pairs, for which the runtime makes no object that a collection has to take apart.
    const headers: [string, string][] = [];
    let length = -1;
    for (const [name, value] of fields) {
      const lower = name.toLowerCase();
      if (DROPPED.has(lower) || lower.startsWith('x-sallyport-')) continue;
      if (lower === 'content-length') length = lengthOf(value);
      headers.push([name, fromLatin1(value)]);
    }
    const init = responseInit({ status, statusText: fromLatin1(reason), headers, encodeBody: 'manual' });
    // SPEC: RFC 9110 section 6.4.1: these have no body, whatever an origin sent.
    if (method === 'HEAD' || status === 204 || status === 205 || status === 304) {
      if (!this.#ended) keep(this.#drain());
      return new Response(null, init);
    }
    // PERF: head and body came in one message: no stream, no pump, one chunk.
    if (this.#ended) {
      const body = this.#chunks.take();
      this.#stream.consumed(body.byteLength);
      return new Response(body as Uint8Array<ArrayBuffer>, init);
    }
    const { readable, writable } = lengthStream(length);
    keep(this.#pump(writable.getWriter()));
    return new Response(readable as ReadableStream<Uint8Array<ArrayBuffer>>, init);
  }

  async #pump(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    const gone = (): void => {
      if (!this.#ended) this.fail(RESET_CODE.cancelled, 'the client went away');
    };
    // Known while nothing is to be written, too: a stream of events may be silent for hours.
    writer.closed.catch(gone);
    try {
      for (;;) {
        if (this.#chunks.count > 0) {
          const chunk = this.#chunks.take(MOST_WRITTEN);
          const { byteLength } = chunk;
          await writer.write(chunk);
          // Consumed: the client's side has taken it.
          this.#stream.consumed(byteLength);
        } else if (this.#reset !== null) throw this.#reset;
        else if (this.#ended) return await writer.close();
        else await new Promise<void>((wake) => (this.#wake = wake));
      }
    } catch (error) {
      gone();
      // The client sees a body that breaks off, not one that ends.
      await writer.abort(error).catch(() => {});
    }
  }

  /** Of an answer that may have no body: what comes is let go. */
  async #drain(): Promise<void> {
    while (!this.#ended && this.#reset === null) {
      this.#stream.consumed(this.#chunks.take().byteLength);
      await new Promise<void>((wake) => (this.#wake = wake));
    }
    this.#stream.consumed(this.#chunks.take().byteLength);
  }
}

/** What stands for the head of a TCP connection, which has none. */
const CONNECTED: ResponseHead = { status: 200, reason: '', fields: [] };
const SWITCHED: ResponseHead = { status: 101, reason: '', fields: [] };

/** SPEC: RFC 9110 section 7.6.1: of one connection only. The runtime frames bodies itself. */
const DROPPED = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'trailer', 'upgrade'],
]);
const NOT_SENT = new Set([...DROPPED, 'host', 'proxy-authorization', 'sallyport-capability', 'sallyport-handshake']);

function lengthOf(value: string): number {
  return /^\d{1,15}$/.test(value) ? Number(value) : -1;
}

/** Fields of a request for the origin; `host` first, as browsers have it. */
export function fieldsOf(headers: Headers, host: string): Fields {
  const fields: [string, string][] = [['host', host]];
  headers.forEach((value, name) => {
    if (!NOT_SENT.has(name) && !name.startsWith('x-sallyport-')) fields.push([name, toLatin1(value)]);
  });
  return fields;
}

// Heads travel as bytes, one character each; the runtime reads and writes them as UTF-8.
const BEYOND_ASCII = /[\u0080-\uffff]/;

export function toLatin1(text: string): string {
  if (!BEYOND_ASCII.test(text)) return text;
  let bytes = '';
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

export function fromLatin1(text: string): string {
  if (!BEYOND_ASCII.test(text)) return text;
  return new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}

async function sendBody(
  body: ReadableStream<Uint8Array>,
  stream: TunnelStream,
  answer: Answer,
  watch: Watch | null,
): Promise<void> {
  const source = body as unknown as { getReader(options: { mode: 'byob' }): ReadableStreamBYOBReader };
  const reader = source.getReader({ mode: 'byob' });
  try {
    // PERF: one piece of memory for all of the body. What was read is the stream's own once it was written.
    let size = FIRST_READ;
    for (let room = new ArrayBuffer(size); ;) {
      const { value, done } = await reader.read(new Uint8Array(room));
      if (done) break;
      watch?.in(value);
      await stream.write(value);
      if (value.byteLength === size) size = Math.min(MOST_READ, 4 * size);
      room = value.buffer.byteLength === size ? (value.buffer as ArrayBuffer) : new ArrayBuffer(size);
    }
    if (stream.open) stream.end();
  } catch (error) {
    if (error instanceof StreamReset) await reader.cancel(error).catch(() => {});
    // Whoever waits for the answer is told too: a connection may break in one direction, and nobody else would notice.
    else answer.fail(RESET_CODE.cancelled, 'the client broke off its request');
  }
}
