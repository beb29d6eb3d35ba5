/**
 * The client side of a raw TCP service: a local connection joined to a stream of the edge, which joins it to a stream of the
 * connector that publishes the service. Each has a lane of its own, carried as a connector's lanes are: it goes on over
 * another socket when one is lost, and over the next right when one is about to end.
 */
import type { Socket } from 'node:net';
import { ACCESS_PATH } from '../capability.ts';
import { Watch } from '../exchange.ts';
import type { TunnelStream } from '../stream.ts';
import type { Resume } from '../welcome.ts';
import { Backoff } from './backoff.ts';
import { Carrier, type SignedDial } from './carrier.ts';
import type { Credentials } from './connector.ts';
import { DialError } from './dial-error.ts';
import type { Pings } from './pings.ts';
import type { Congestion } from './pump.ts';
import { signedDial } from './signed-dial.ts';
import { joinTcp } from './tcp.ts';

/** Dials before a connection is there: an edge that is restarting is worth waiting for, a refusal is not. */
const MAX_DIALS = 4;
const UPKEEP = 500; // ms between looks at whether the next right is due

export interface AccessOptions {
  readonly edge: URL;
  readonly name: string;
  readonly service: string; // '' for the default one
  readonly credentials: Credentials;
  readonly pings?: Pings;
}

export interface AccessResult {
  readonly bytesIn: number; // from the service
  readonly bytesOut: number;
}

/** The connection to the edge was lost, and is dialled again in `delay` ms. */
export type Reconnecting = (reason: string, delay: number) => void;

/** The function carries one local connection, to its end. Rejects when the service could not be reached or broke off. */
export function accessDialer(
  options: AccessOptions,
): (socket: Socket, onReconnecting?: Reconnecting) => Promise<AccessResult> {
  const clock = { ahead: 0 };
  return (socket, onReconnecting = () => {}) =>
    new Promise((resolve, reject) =>
      new Visit(options, socket, clock, onReconnecting, (error, result) => {
        if (error === null) resolve(result);
        else reject(error);
      }).start(),
    );
}

class Visit {
  readonly #options: AccessOptions;
  readonly #socket: Socket;
  readonly #settle: (error: Error | null, result: AccessResult) => void;
  readonly #carrier: Carrier;
  readonly #watch: Watch;
  #upkeep: NodeJS.Timeout | undefined;
  #dials = 0;
  #everReady = false;
  #failure: Error | null = null;
  #over = false;

  constructor(
    options: AccessOptions,
    socket: Socket,
    clock: { ahead: number },
    onReconnecting: Reconnecting,
    settle: (error: Error | null, result: AccessResult) => void,
  ) {
    this.#options = options;
    this.#socket = socket;
    this.#settle = settle;
    this.#watch = new Watch(NOBODY, 'tcp', options.service, null);
    this.#carrier = new Carrier({
      acquaintance: {
        backoff: new Backoff(),
        everReady: false,
        // What one connection learns of the edge's clock holds for the next.
        get clock() {
          return clock.ahead;
        },
        set clock(ahead) {
          clock.ahead = ahead;
        },
      },
      single: true,
      dial: (resume, ahead) => this.#dial(resume, ahead),
      onStream: (stream, _opening, congestion) => this.#join(stream, congestion),
      onReady: () => (this.#everReady = true),
      onReconnecting: (reason, delay) => {
        if (!this.#everReady && this.#dials === MAX_DIALS) return this.#end(new DialError(0, reason));
        if (this.#everReady) onReconnecting(reason, delay);
      },
      onGoaway: () => {}, // what is open goes on
      onOver: () => this.#end(this.#failure),
      onFinal: (error) => this.#end(this.#failure ?? error),
      pings: options.pings,
      now: Date.now,
    });
  }

  start(): void {
    const gone = (error: Error): void => {
      this.#failure ??= error;
      if (!this.#joined) this.#end(this.#failure);
    };
    const socket = this.#socket;
    socket.on('error', gone);
    socket.once('close', () => {
      // With all said, both ways, what of it waits for credit is still sent.
      if (!socket.readableEnded || !socket.writableFinished) gone(new Error('the local side has gone'));
    });
    this.#upkeep = setInterval(() => this.#carrier.upkeep(), UPKEEP);
    this.#upkeep.unref();
    this.#carrier.start();
  }

  #stream: TunnelStream | null = null;

  get #joined(): boolean {
    return this.#stream !== null;
  }

  /** The service has agreed. */
  #join(stream: TunnelStream, congestion: Congestion): void {
    this.#stream = stream;
    joinTcp(stream, this.#socket, congestion, this.#watch, 'the guest');
    const reset = stream.onReset;
    stream.onReset = (why) => {
      this.#failure ??= new Error(why.message || 'the connection was broken off');
      reset(why);
    };
    this.#socket.resume();
  }

  async #dial(resume: Resume | null, ahead: number): Promise<SignedDial> {
    this.#dials++;
    const { edge, name, service, credentials } = this.#options;
    const now = Date.now() + ahead;
    const credential = await credentials(now);
    const place = { path: ACCESS_PATH, name, service, socket: 0 };
    return { ...(await signedDial(edge, credential, place, resume, now)), renewAt: credential.renewAt ?? Infinity };
  }

  #end(error: Error | null): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#upkeep);
    if (error !== null) {
      this.#carrier.close('the guest ends');
      // As if the service itself had broken off.
      if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
    }
    const { bytesIn, bytesOut } = this.#watch.exchange;
    this.#settle(error, { bytesIn, bytesOut });
  }
}

const NOBODY = { capture: 0, began: () => {}, answered: () => {}, ended: () => {} };
