/** A WebSocket to the edge: how it is dialled, what it may hold, and how its silence is noticed. */
import { lookup as resolve } from 'node:dns';
import type { Agent, IncomingMessage } from 'node:http';
import type { LookupFunction } from 'node:net';
import WebSocket, { type ClientOptions, type RawData } from 'ws';
import { CLOSE, MAX_MESSAGE, SUBPROTOCOL } from '../frame.ts';
import type { Holder } from '../stream.ts';
import { PING_TEXT } from '../welcome.ts';
import { DialError } from './dial-error.ts';
import { Inflow } from './inflow.ts';
import { isLoopback } from './loopback.ts';
import { PINGS, type Pings } from './pings.ts';
import { reading } from './read-room.ts';

const CLOSE_TIMEOUT = 1000; // ms from a close frame of the edge until its connection is ended here
export const HANDSHAKE_TIMEOUT = 10_000; // ms for the upgrade, and then for the welcome
/** Bytes that wait for the network above which sources are not read. */
const HIGH_WATER = 1_048_576;
const MAX_UNSENT = 33_554_432; // bytes that wait for the network before the edge counts as gone; twice the largest window
const DRAIN_POLL = 5; // ms; `ws` tells of no drain
const MISSES = 2; // pings without an answer

/** How any WebSocket to an edge is opened. */
export function edgeSocketOptions(
  url: URL,
  headers: Readonly<Record<string, string>>,
): ClientOptions & { closeTimeout: number; generateMask?: (mask: Buffer) => void; lookup: LookupFunction } {
  return {
    headers,
    perMessageDeflate: false,
    skipUTF8Validation: true, // what is text here is read as JSON or compared
    maxPayload: MAX_MESSAGE,
    // No connection of a refused upgrade is kept for another. HTTPS_PROXY and NO_PROXY are Node's to read (from 24.5 on); by a
    // proxy for plain HTTP no upgrade goes. @types/ws forgets `false`.
    agent: url.protocol === 'wss:' ? secureAgent() : (false as unknown as Agent),
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    // workerd ends a connection whose object closed its WebSocket no sooner than the object is evicted, ten seconds later.
    closeTimeout: CLOSE_TIMEOUT,
    followRedirects: false, // the handshake was signed for one host
    lookup,
    // PERF: masking copies every byte. SPEC: RFC 6455 section 10.3: masks are there for caches that read what a script made
    // a browser send; under TLS and on this machine there is none.
    ...((url.protocol === 'wss:' || isLoopback(url.hostname)) && { generateMask: (mask: Buffer) => void mask.fill(0) }),
  };
}

/** PERF: TLS is 10 ms of a start, so it is loaded where it is needed. */
function secureAgent(): Agent {
  return new (process.getBuiltinModule('node:https').Agent)({ proxyEnv: process.env });
}

/** What an edge said instead of switching protocols. */
export function refusalOf(response: IncomingMessage): Promise<DialError> {
  return new Promise((resolve) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (part: string) => (text += part.slice(0, 4096 - text.length)));
    response.on('error', () => {});
    response.once('close', () => {
      const status = response.statusCode ?? 0;
      resolve(new DialError(status, reasonOf(status, text), Date.parse(response.headers.date ?? '')));
    });
    setTimeout(() => response.destroy(), 2000).unref();
  });
}

export interface EdgeSocketEvents {
  readonly onText: (text: string) => void;
  /** Who needs the bytes still: see Lane.receive. */
  readonly onMessage: (bytes: Uint8Array) => boolean | readonly Holder[];
  /** Once. `code` is the close code, 1006 when the connection was lost; also when it was never open. */
  readonly onClose: (code: number, reason: string) => void;
  /** Streams are open. */
  readonly busy: () => boolean;
  readonly pings?: Pings | undefined;
}

export class EdgeSocket {
  readonly #socket: WebSocket;
  readonly #events: EdgeSocketEvents;
  #timer: NodeJS.Timeout | null = null;
  #heard = true;
  #missed = 0;
  #quick = false;
  #closed = false;
  #drain: Promise<void> | null = null;
  error: DialError | null = null;

  constructor(url: URL, headers: Readonly<Record<string, string>>, events: EdgeSocketEvents) {
    this.#events = events;
    const options = edgeSocketOptions(url, headers);
    const inflow = new Inflow({
      opened: () => socket.readyState === WebSocket.OPEN,
      onMessage: (bytes) => {
        this.#heard = true;
        return events.onMessage(bytes);
      },
    });
    // TLS of Node, and a proxy before it, read in ways of their own.
    const onread = url.protocol === 'ws:' && {
      onread: reading(function (bytes) {
        inflow.read(this, bytes);
      }),
    };
    const socket = (this.#socket = new WebSocket(url, SUBPROTOCOL, { ...options, ...onread } as ClientOptions));
    socket.on('message', (data: RawData, binary: boolean) => {
      this.#heard = true;
      if (binary) events.onMessage(data as Buffer);
      else events.onText(String(data as Buffer));
    });
    socket.on('unexpected-response', (request, response) => {
      void refusalOf(response).then((error) => {
        this.error = error;
        request.destroy();
        this.#gone(1006, error.message);
      });
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const plain = error.code === 'EPROTO' && error.message.includes('wrong version number');
      const text = plain ? 'what answers there speaks no TLS' : error.message || error.code || 'the connection failed';
      this.error ??= new DialError(0, text);
    });
    socket.on('close', (code, reason) => this.#gone(code, reason.toString() || (this.error?.message ?? '')));
    socket.on('open', () => this.#schedule());
  }

  send(message: Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    // SAFETY: credit bounds what streams send, but an edge that asks (PING, OPEN) and never reads has its answers held here.
    if (this.#socket.bufferedAmount > MAX_UNSENT) return this.terminate();
    this.#socket.send(message, SEND);
  }

  /** Null while the network takes what is sent. */
  readonly congestion = (): Promise<void> | null => {
    if (this.#socket.bufferedAmount < HIGH_WATER) return null;
    return (this.#drain ??= new Promise((resolve) => {
      const look = (): void => {
        if (this.#closed || this.#socket.bufferedAmount < HIGH_WATER / 2) {
          this.#drain = null;
          resolve();
        } else setTimeout(look, DRAIN_POLL);
      };
      setTimeout(look, DRAIN_POLL);
    }));
  };

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
    // A peer that does not answer a close has a second, no more: nothing is lost that was not lost before.
    setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT).unref();
  }

  /** Ends it at once, without a word. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** There is something to lose now: silence is to be noticed soon. */
  hasten(): void {
    if (!this.#quick && this.#timer !== null) this.#schedule();
  }

  /** Looks whether the peer is there, soon rather than at the next turn. */
  probe(): void {
    if (this.#timer !== null) this.#ping();
  }

  #schedule(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#closed) return;
    const { least, most, busy } = this.#events.pings ?? PINGS;
    this.#quick = this.#events.busy() || this.#missed > 0;
    this.#timer = setTimeout(() => this.#ping(), this.#quick ? busy : least + Math.random() * (most - least));
    this.#timer.unref();
  }

  #ping(): void {
    this.#missed = this.#heard ? 0 : this.#missed + 1;
    this.#heard = false;
    if (this.#missed >= MISSES) {
      this.#socket.terminate();
      return this.#gone(CLOSE.silent, 'the edge is silent');
    }
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(PING_TEXT);
    this.#schedule();
  }

  #gone(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#events.onClose(code, reason);
  }
}

const SEND = { binary: true, compress: false, fin: true };

/** SPEC: RFC 6761 section 6.3: names under localhost are this machine, whatever the resolver knows of them. */
const lookup: LookupFunction = (hostname, options, callback) =>
  resolve(/(^|\.)localhost$/.test(hostname) ? 'localhost' : hostname, options, callback);

/** The edge's problem details, or the status and the beginning of whatever else was answered. */
function reasonOf(status: number, text: string): string {
  try {
    const { detail, title } = JSON.parse(text) as { detail?: unknown; title?: unknown };
    const said = detail ?? title;
    if (typeof said === 'string') return said.slice(0, 256);
  } catch {
    // not ours
  }
  return `status ${status}, which is no edge's: ${text.slice(0, 256)}`;
}
