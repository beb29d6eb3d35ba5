/**
 * Connections to a target that are kept between requests: one exchange at a time on each, no pipelining. The newest idle
 * one is used first, so that a quiet time lets the others go.
 */
import type { Duplex } from 'node:stream';
import type { Fields, ResponseHead } from '../head.ts';
import { isWritten } from './read-room.ts';
import { ResponseError, ResponseParser } from './response-parser.ts';

export const MAX_CONNECTIONS = 2048; // to one target: as many streams as two lanes have
export const MAX_IDLE = 128;
/** ms: below what servers give idle connections (Node's own 5 s), so that we close first and no request is lost to it. */
const IDLE_TIMEOUT = 4000;
const SWEEP = 1000; // ms

/** Opens a connection; `read` is given what comes, as a view that holds for the call alone. */
export type Dial = (read: (bytes: Buffer) => void) => Duplex;

/** What an exchange is told of its connection. */
export interface OriginExchange {
  onInterim(status: number): void;
  onHead(head: ResponseHead): void;
  onBody(bytes: Uint8Array): void;
  /** The response is whole. */
  onEnd(trailers: Fields): void;
  /** The connection takes bytes again. */
  onDrain(): void;
  /** The connection is gone, once. Whether an answer was whole is the exchange's to know. */
  onGone(error: Error): void;
}

export class OriginConnection {
  readonly #pool: OriginPool;
  readonly #socket: Duplex;
  readonly #parser: ResponseParser;
  #exchange: OriginExchange | null = null;
  #gone = false;
  #reading = false;
  #released = false;
  /** Requests that it has carried. */
  uses = 0;
  idleUntil = 0;

  constructor(pool: OriginPool, dial: Dial) {
    this.#pool = pool;
    const socket = (this.#socket = dial((chunk) => this.#data(chunk)));
    this.#parser = new ResponseParser({
      onInterim: (status) => this.#exchange?.onInterim(status),
      onHead: (head) => this.#exchange?.onHead(head),
      onBody: (bytes) => this.#exchange?.onBody(bytes),
      onEnd: (trailers) => this.#exchange?.onEnd(trailers),
    });
    socket.on('drain', () => this.#exchange?.onDrain());
    socket.on('end', () => this.#end());
    socket.on('error', (error) => this.#lost(error));
    socket.on('close', () => this.#lost(new Error('closed')));
  }

  get reused(): boolean {
    return this.uses > 1;
  }
  get usable(): boolean {
    return !this.#gone && this.#socket.writable;
  }

  /** Begins an exchange: what is written from here on is its request. */
  begin(exchange: OriginExchange, method: string): void {
    this.#exchange = exchange;
    this.uses++;
    this.#parser.begin(method);
  }

  /** False when the connection holds enough; `onDrain` follows. */
  write(bytes: Uint8Array | string): boolean {
    return typeof bytes === 'string' ? this.#socket.write(bytes, 'latin1') : this.#socket.write(bytes);
  }

  /** All that was written is with the system. */
  get written(): boolean {
    return isWritten(this.#socket);
  }

  /** What is written until `uncork` leaves together. */
  cork(): void {
    this.#socket.cork();
  }
  uncork(): void {
    this.#socket.uncork();
  }
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }

  /** The exchange is over, request and response: the next one may have the connection, if it is fit for that. */
  release(): void {
    this.#exchange = null;
    this.resume();
    // SAFETY: bytes behind the response, in the chunk that is being read, must not become the next one's answer.
    if (this.#reading) this.#released = true;
    else this.#keep();
  }

  #keep(): void {
    this.#released = false;
    if (this.#parser.idle && this.#parser.reusable && this.usable) this.#pool.keep(this, this.#parser.keepAlive);
    else this.destroy();
  }

  destroy(): void {
    this.#exchange = null;
    this.#lost(new Error('closed'));
  }

  #data(chunk: Buffer): void {
    this.#reading = true;
    try {
      this.#parser.push(chunk);
    } catch (error) {
      // A defect of ours costs a request, and not the program that we are a part of.
      const text = `an internal error, please report it: ${(error as Error).stack ?? String(error)}`;
      this.#lost(error instanceof ResponseError ? error : new ResponseError(text));
    } finally {
      this.#reading = false;
    }
    if (this.#released) this.#keep();
  }

  #end(): void {
    try {
      if (!this.#parser.waiting) this.#parser.finish();
      this.#lost(new Error('closed'));
    } catch (error) {
      this.#lost(error as Error);
    }
  }

  #lost(error: Error): void {
    if (this.#gone) return;
    this.#gone = true;
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#pool.left(this);
    this.#socket.destroy();
    exchange?.onGone(error);
  }
}

interface Waiting {
  readonly wanted: () => boolean;
  readonly got: (connection: OriginConnection) => void;
}

export class OriginPool {
  readonly #dial: Dial;
  #idle: OriginConnection[] = [];
  #open = 0;
  readonly #waiting: Waiting[] = [];
  #sweeper: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  /**
   * Calls back with a connection, at once unless there are MAX_CONNECTIONS, and never when it is not `wanted` by then.
   * `fresh`: one that carried nothing yet.
   */
  take(fresh: boolean, wanted: () => boolean, got: (connection: OriginConnection) => void): void {
    for (let idle = fresh ? undefined : this.#idle.pop(); idle !== undefined; idle = this.#idle.pop())
      if (idle.usable) return got(idle);
    if (this.#open >= MAX_CONNECTIONS) return void this.#waiting.push({ wanted, got });
    this.#open++;
    got(new OriginConnection(this, this.#dial));
  }

  keep(connection: OriginConnection, said: number | null): void {
    const next = this.#next();
    if (next !== undefined) return next.got(connection);
    // A second before the server would close it, by its own word.
    const life = Math.min(IDLE_TIMEOUT, said === null ? IDLE_TIMEOUT : said - 1000);
    if (this.#closed || life <= 0 || this.#idle.length >= MAX_IDLE) return connection.destroy();
    connection.idleUntil = performance.now() + life;
    this.#idle.push(connection);
    if (this.#sweeper !== null) return;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP);
    this.#sweeper.unref();
  }

  /** It is closed. */
  left(connection: OriginConnection): void {
    this.#open--;
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    const next = this.#next();
    if (next !== undefined) this.take(true, next.wanted, next.got);
  }

  /** Who waits longest and is still there. */
  #next(): Waiting | undefined {
    let next = this.#waiting.shift();
    while (next?.wanted() === false) next = this.#waiting.shift();
    return next;
  }

  /** Closes what is idle; what is in use ends with its exchange. */
  close(): void {
    this.#closed = true;
    for (const connection of [...this.#idle]) connection.destroy();
  }

  #sweep(): void {
    const now = performance.now();
    for (const connection of [...this.#idle]) if (connection.idleUntil <= now) connection.destroy();
    if (this.#idle.length > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }
}
