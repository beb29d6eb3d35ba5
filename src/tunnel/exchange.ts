/** One stream as those see it who watch a connector or a session: its request, its response, and how it went. */
import type { RequestHead, ResponseHead } from './head.ts';

export interface Exchange {
  /** Of this process; counts up. */
  readonly id: number;
  readonly kind: 'http' | 'websocket' | 'tcp';
  readonly service: string; // '' for the default one
  readonly request: RequestHead | null; // null for tcp
  readonly started: number; // ms since the epoch
  response: ResponseHead | null;
  /** Milliseconds from the start to the head of the response, and to the end. */
  answeredAfter: number;
  endedAfter: number;
  bytesIn: number; // of bodies, from the edge
  /** The request is whole. */
  requested: boolean;
  bytesOut: number;
  /** Why it ended before its end; '' where it did not. */
  error: string;
  readonly requestBody: Capture | null;
  readonly responseBody: Capture | null;
}

/** One whose answer has begun: HTTP, or a WebSocket. */
export type Answered = Exchange & { readonly request: RequestHead; readonly response: ResponseHead };

/** The beginning of a body. */
export class Capture {
  readonly #most: number;
  // SAFETY: one piece of memory, so that a body of single bytes costs no object for each.
  #kept = new Uint8Array(0);
  #size = 0;
  truncated = false;

  constructor(most: number) {
    this.#most = most;
  }

  add(chunk: Uint8Array): void {
    const room = this.#most - this.#size;
    if (chunk.byteLength > room) this.truncated = true;
    if (room <= 0) return;
    // A copy: the chunk may be a view into something much larger.
    const part = chunk.subarray(0, room);
    const size = this.#size + part.byteLength;
    if (size > this.#kept.byteLength) {
      const larger = new Uint8Array(Math.min(this.#most, Math.max(size, 2 * this.#kept.byteLength)));
      larger.set(this.#kept);
      this.#kept = larger;
    }
    this.#kept.set(part, this.#size);
    this.#size = size;
  }

  /** A copy. */
  get bytes(): Uint8Array {
    return this.#kept.slice(0, this.#size);
  }
}

export interface Observer {
  /** Bytes to keep of each body; 0: none. */
  readonly capture: number;
  began(exchange: Exchange): void;
  answered(exchange: Answered): void;
  ended(exchange: Exchange): void;
}

/** What forwarding code tells of a stream; nothing is kept where nobody watches. */
export class Watch {
  static #last = 0;
  readonly #observer: Observer;
  readonly exchange: Exchange;
  readonly #began: number;
  #over = false;

  constructor(observer: Observer, kind: Exchange['kind'], service: string, request: RequestHead | null) {
    this.#observer = observer;
    this.#began = performance.now();
    const capture = observer.capture;
    this.exchange = {
      id: ++Watch.#last,
      kind,
      service,
      request,
      started: Date.now(),
      response: null,
      answeredAfter: 0,
      endedAfter: 0,
      bytesIn: 0,
      requested: false,
      bytesOut: 0,
      error: '',
      requestBody: capture > 0 ? new Capture(capture) : null,
      responseBody: capture > 0 ? new Capture(capture) : null,
    };
    observer.began(this.exchange);
  }

  answered(response: ResponseHead): void {
    this.exchange.response = response;
    this.exchange.answeredAfter = performance.now() - this.#began;
    this.#observer.answered(this.exchange as Answered);
  }

  in(chunk: Uint8Array): void {
    this.exchange.bytesIn += chunk.byteLength;
    this.exchange.requestBody?.add(chunk);
  }

  /** The request is whole. */
  requested(): void {
    this.exchange.requested = true;
  }

  out(chunk: Uint8Array): void {
    this.exchange.bytesOut += chunk.byteLength;
    this.exchange.responseBody?.add(chunk);
  }

  ended(error = ''): void {
    if (this.#over) return;
    this.#over = true;
    this.exchange.error = error;
    this.exchange.endedAfter = performance.now() - this.#began;
    this.#observer.ended(this.exchange);
  }
}
