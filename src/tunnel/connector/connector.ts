/**
 * A connector: holds several ways to the edge open for one tunnel, and forwards what comes to its targets.
 *
 * Events say what happens to those who show it or count it; nothing depends on anybody listening.
 */
import { EventEmitter } from 'node:events';
import type { ConnectorKey } from '../capability.ts';
import { TUNNEL_PATH, type Resume, type Welcome } from '../welcome.ts';
import type { Exchange, Observer } from '../exchange.ts';
import type { RequestHead } from '../head.ts';
import { forward } from './forward.ts';
import { askLocally, type LocalAnswer } from './local.ts';
import type { DialError } from './dial-error.ts';
import type { Pings } from './pings.ts';
import { signedDial } from './signed-dial.ts';
import type { Targets } from './targets.ts';
import type { ConnectorEvents, Tunnel } from './tunnel.ts';
import { Uplink } from './uplink.ts';
import type { SignedDial } from './carrier.ts';

export const DEFAULT_SOCKETS = 2;
export const MAX_CONNECTOR_SOCKETS = 16;
export const DRAIN = 10_000; // ms that open streams have when a connector closes
const OTHERS_AFTER = 500; // ms that the first socket has before the others dial
const DRAIN_POLL = 20; // ms

/** What proves the right to serve a tunnel. */
export interface Credential {
  readonly capability: string;
  readonly key: ConnectorKey;
  /** When to ask for the next one, while this one still holds: ms since the epoch. Absent: there is no other. */
  readonly renewAt?: number;
  /** When the capability expires; with `renewAt`. */
  readonly expires?: number;
}

/** Asked before each dial, so that it may be renewed. `now` in ms. */
export type Credentials = (now: number) => Promise<Credential>;

export interface ConnectorOptions {
  /** Origin of the edge: http, https, ws or wss. */
  readonly edge: URL;
  readonly name: string;
  readonly credentials: Credentials;
  readonly targets: Targets;
  readonly sockets?: number;
  /** Bytes of each body that events of exchanges carry; default 0. */
  readonly capture?: number;
  /** This machine's clock, ms since the epoch. */
  readonly now?: () => number;
  /** How soon silence is noticed. */
  readonly pings?: Pings;
}

export interface Asked {
  readonly answer: LocalAnswer;
  /** As events showed it; null where nobody listens. */
  readonly exchange: Exchange | null;
}

/** What a listener of a program throws is the program's: it is thrown where no lane and no exchange is in the way. */
function told(emit: () => unknown): void {
  try {
    emit();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

export class Connector extends EventEmitter<ConnectorEvents> implements Tunnel {
  readonly #options: ConnectorOptions;
  readonly #uplinks: readonly Uplink[];
  /** Since when there has been no socket. */
  #began = performance.now();
  readonly #observer: Observer;
  #url = '';
  #ready = false;
  #started = false; // also those behind the first
  #closed = false;

  constructor(options: ConnectorOptions) {
    super();
    this.#options = options;
    const sockets = options.sockets ?? DEFAULT_SOCKETS;
    if (!Number.isInteger(sockets) || sockets < 1 || sockets > MAX_CONNECTOR_SOCKETS)
      throw new RangeError(`a connector has 1 to ${MAX_CONNECTOR_SOCKETS} sockets, not ${sockets}`);
    this.#observer = {
      capture: options.capture ?? 0,
      began: (exchange) => told(() => this.emit('request', exchange)),
      answered: (exchange) => told(() => this.emit('response', exchange)),
      ended: (exchange) => told(() => this.emit('end', exchange)),
    };
    this.#uplinks = Array.from(
      { length: sockets },
      (_, index) =>
        new Uplink({
          index,
          pings: options.pings,
          now: options.now ?? Date.now,
          dial: (socket, resume, clock) => this.#dial(socket, resume, clock),
          onStream: (stream, payload, congestion) =>
            forward(stream, payload, options.targets, congestion, this.#observed ? this.#observer : null),
          onReady: (_socket, welcome) => this.#up(welcome),
          onReconnecting: (socket, reason, delay) => this.#down(socket, reason, delay),
          onFinal: (_socket, error) => this.#end(error.message, error),
        }),
    );
  }

  get name(): string {
    return this.#options.name;
  }
  /** Where the public reaches the tunnel; '' before it is ready, and where it is private. */
  get url(): string {
    return this.#url;
  }
  /** Sockets that are up. */
  get sockets(): number {
    return this.#uplinks.filter(({ attached }) => attached).length;
  }
  get streams(): number {
    return this.#uplinks.reduce((sum, { streams }) => sum + streams, 0);
  }
  /** Milliseconds to the edge and back as last measured, 0 when not known. */
  get roundTrip(): number {
    return Math.max(...this.#uplinks.map(({ roundTrip }) => roundTrip));
  }

  start(): this {
    this.#uplinks[0]!.start();
    setTimeout(() => this.#startOthers(), OTHERS_AFTER).unref();
    return this;
  }

  /** Once the first is up, has failed or is slow: nothing that they do delays the first request. */
  #startOthers(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    for (const uplink of this.#uplinks.slice(1)) uplink.start();
  }

  /** Sends a request to a service as if it came through the tunnel; `signal` ends it. Rejects with StreamReset. */
  async ask(service: string, head: RequestHead, body: Uint8Array, signal?: AbortSignal): Promise<Asked> {
    let exchange: Exchange | null = null;
    const observer = {
      ...this.#observer,
      began: (begun: Exchange) => {
        exchange = begun;
        this.#observer.began(begun);
      },
    };
    const watched = this.#observed ? observer : null;
    const answer = await askLocally(this.#options.targets, watched, service, head, body, signal);
    return { answer, exchange };
  }

  /** Dials at once what waits to be dialled: the network has come back. */
  hurry(): void {
    for (const uplink of this.#uplinks) uplink.hurry();
  }

  /** For tests: breaks every connection to the edge, as networks do. */
  interrupt(): void {
    for (const uplink of this.#uplinks) uplink.interrupt();
  }

  /** Lets open streams end for up to `grace` ms, then closes. A second call with 0 ends it at once. */
  async close(grace = DRAIN): Promise<void> {
    if (this.#closed) return;
    for (const uplink of this.#uplinks) uplink.drain('the connector closes');
    const until = performance.now() + grace;
    // What ended here may still be on its way: closing now would cut it off.
    const busy = (): boolean => this.streams > 0 || this.#uplinks.some(({ owes }) => owes);
    while (!this.#closed && busy() && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL));
    // The last frames are on their way; the sockets close behind them.
    if (grace > 0) await new Promise((resolve) => setImmediate(resolve));
    this.#end('closed', null);
  }

  /** True while anybody listens: otherwise exchanges are not even counted. */
  get #observed(): boolean {
    return this.listenerCount('request') + this.listenerCount('response') + this.listenerCount('end') > 0;
  }

  async #dial(socket: number, resume: Resume | null, clock: number): Promise<SignedDial> {
    const { edge, name, credentials, now: ours = Date.now } = this.#options;
    const now = ours() + clock;
    const credential = await credentials(now);
    const { renewAt = Infinity, expires = Infinity } = credential;
    const place = { path: TUNNEL_PATH, name, service: '', socket };
    // One socket after the other, so that there is no moment at which all are being replaced.
    const turn = renewAt === Infinity ? 0 : ((expires - renewAt) / 2) * (socket / this.#uplinks.length);
    return { ...(await signedDial(edge, credential, place, resume, now)), renewAt: renewAt + turn };
  }

  #up(welcome: Welcome): void {
    this.#url = welcome.url;
    setImmediate(() => this.#startOthers());
    if (this.#ready) return;
    this.#ready = true;
    const after = performance.now() - this.#began;
    told(() => this.emit('ready', { name: this.name, url: welcome.url, after }));
  }

  #down(socket: number, reason: string, delay: number): void {
    const left = this.sockets;
    this.#startOthers();
    if (left === 0 && this.#ready) {
      this.#ready = false;
      this.#began = performance.now();
    }
    told(() => this.emit('reconnecting', { socket, reason, delay, left }));
  }

  #end(reason: string, error: DialError | null): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const uplink of this.#uplinks) uplink.close(reason);
    this.#options.targets.close();
    told(() => this.emit('closed', { reason, error }));
  }
}
