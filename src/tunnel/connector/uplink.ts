/**
 * One of a connector's ways to the edge: the lane that takes what is new, and those that drain. On GOAWAY the next lane is
 * opened before the old one has drained, so that there is no moment without one.
 */
import type { TunnelStream } from '../stream.ts';
import type { Resume, Welcome } from '../welcome.ts';
import { Backoff } from './backoff.ts';
import { type Acquaintance, Carrier, type SignedDial } from './carrier.ts';
import type { DialError } from './dial-error.ts';
import type { Pings } from './pings.ts';
import type { Congestion } from './pump.ts';

const UPKEEP = 2000; // ms between looks at lanes

export interface UplinkOptions {
  readonly index: number;
  /** `clock` in ms is what the edge's clock is ahead of ours. */
  readonly dial: (index: number, resume: Resume | null, clock: number) => Promise<SignedDial>;
  /** Throws FrameError when the payload is malformed. */
  readonly onStream: (stream: TunnelStream, payload: Uint8Array, congestion: Congestion) => void;
  readonly onReady: (index: number, welcome: Welcome) => void;
  /** A socket is gone and will be dialled again in `delay` ms. */
  readonly onReconnecting: (index: number, reason: string, delay: number) => void;
  readonly pings?: Pings | undefined;
  readonly now: () => number;
  /** Never again: the rights are gone. */
  readonly onFinal: (index: number, error: DialError) => void;
}

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #acquaintance: Acquaintance = { backoff: new Backoff(), clock: 0, everReady: false };
  /** Their streams go on, nothing new comes. */
  readonly #draining = new Set<Carrier>();
  #current: Carrier;
  #stopped = false;
  #upkeep: NodeJS.Timeout | undefined;

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#current = this.#newCarrier();
  }

  get attached(): boolean {
    return this.#current.lane.attached;
  }
  get streams(): number {
    return this.#all().reduce((sum, { lane }) => sum + lane.size, 0);
  }
  /** Something was sent that the edge is not known to have, and a socket is there to say so. */
  get owes(): boolean {
    return this.#all().some(({ lane }) => lane.attached && lane.unacknowledged > 0);
  }
  get roundTrip(): number {
    return this.#current.lane.roundTrip;
  }

  start(): void {
    this.#upkeep = setInterval(() => {
      for (const carrier of this.#all()) carrier.upkeep();
    }, UPKEEP);
    this.#upkeep.unref();
    this.#current.start();
  }

  /** The computer was asleep, or a network came back: do not wait. */
  hurry(): void {
    for (const carrier of this.#all()) carrier.hurry();
  }

  /** No new streams; those that are open go on. */
  drain(reason: string): void {
    this.#stopped = true;
    for (const carrier of this.#all()) carrier.drain(reason);
  }

  /** Ends everything at once. */
  close(reason: string): void {
    this.#stopped = true;
    clearInterval(this.#upkeep);
    for (const carrier of this.#all()) carrier.close(reason);
    this.#draining.clear();
  }

  /** For tests: the connections break, as networks do. */
  interrupt(): void {
    for (const carrier of this.#all()) carrier.interrupt();
  }

  #all(): Carrier[] {
    return [this.#current, ...this.#draining];
  }

  #newCarrier(): Carrier {
    const { index, dial, onStream, onReady, onReconnecting, onFinal, pings, now } = this.#options;
    return new Carrier({
      acquaintance: this.#acquaintance,
      pings,
      now,
      onStream,
      dial: (resume, clock) => dial(index, resume, clock),
      onReady: (welcome) => onReady(index, welcome),
      onReconnecting: (reason, delay) => onReconnecting(index, reason, delay),
      onFinal: (error) => onFinal(index, error),
      onGoaway: (carrier, text) => this.#goaway(carrier, text),
      onOver: (carrier) => void this.#draining.delete(carrier),
    });
  }

  #goaway(carrier: Carrier, text: string): void {
    if (carrier !== this.#current || this.#stopped) return;
    this.#draining.add(carrier);
    this.#current = this.#newCarrier();
    this.#current.startLater(`the edge drains: ${text}`);
  }
}
