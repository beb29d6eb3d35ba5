/**
 * One of a connector's ways to the edge: a lane, and the socket that carries it at the moment. When the socket is lost it
 * is dialled again at once, and within the grace the lane goes on; on GOAWAY the next lane is opened before the old one
 * has drained.
 */
import { CLOSE, FrameError } from '../frame.ts';
import { Lane } from '../lane.ts';
import type { TunnelStream } from '../stream.ts';
import { GRACE, PONG_TEXT, readWelcome, type Resume, type Welcome } from '../welcome.ts';
import { Backoff } from './backoff.ts';
import { messageBuffers } from './message-buffers.ts';
import type { Congestion } from './pump.ts';
import { DialError } from './dial-error.ts';
import type { Pings } from './pings.ts';
import { EdgeSocket, HANDSHAKE_TIMEOUT } from './socket.ts';

/** Close codes after which dialling again is of no use. */
const FINAL: ReadonlySet<number> = new Set([CLOSE.unauthorised, CLOSE.revoked, CLOSE.taken]);
const FINAL_STATUS: ReadonlySet<number> = new Set([401, 403, 409]);
/** Answers that mean the wrong place at the first dial; later, a place that is being set up again. */
const FINAL_AT_FIRST: ReadonlySet<number> = new Set([400, 404, 405, 426]);
const CLOCK_TOLERANCE = 30_000; // ms
const UPKEEP = 2000; // ms between looks at lanes
const STABLE = 5000; // ms after which a socket that is lost was none that never held

export interface UplinkOptions {
  readonly index: number;
  /** The signed upgrade; `clock` in ms is what the edge's clock is ahead of ours. */
  readonly dial: (
    index: number,
    resume: Resume | null,
    clock: number,
  ) => Promise<{ readonly url: URL; readonly headers: Readonly<Record<string, string>> }>;
  /** Throws FrameError when the payload is malformed. */
  readonly onStream: (stream: TunnelStream, payload: Uint8Array, congestion: Congestion) => void;
  readonly onReady: (index: number, welcome: Welcome) => void;
  /** The socket is gone and will be dialled again in `delay` ms. */
  readonly onReconnecting: (index: number, reason: string, delay: number) => void;
  readonly pings?: Pings | undefined;
  readonly now: () => number;
  /** Never again: the rights are gone. */
  readonly onFinal: (index: number, error: DialError) => void;
}

interface Held {
  readonly lane: Lane;
  token: Pick<Welcome, 'lane' | 'token'> | null;
  socket: EdgeSocket | null;
  /** Since when there is no socket, ms of a monotonic clock. */
  lost: number;
  draining: boolean;
}

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #backoff = new Backoff();
  /** Lanes that drain: their streams go on, nothing new comes. */
  readonly #draining = new Set<Held>();
  #held: Held | null = null;
  #clock = 0;
  #everReady = false;
  /** Why we closed a socket ourselves. */
  #fault = '';
  #stopped = false;
  #timer: NodeJS.Timeout | null = null;
  #upkeep: NodeJS.Timeout | undefined;
  #dialled: EdgeSocket | null = null;

  constructor(options: UplinkOptions) {
    this.#options = options;
  }

  get attached(): boolean {
    return this.#held?.lane.attached === true;
  }
  get streams(): number {
    return [this.#held, ...this.#draining].reduce((sum, held) => sum + (held?.lane.size ?? 0), 0);
  }
  get roundTrip(): number {
    return this.#held?.lane.roundTrip ?? 0;
  }

  start(): void {
    this.#upkeep = setInterval(() => {
      for (const held of [this.#held, ...this.#draining]) {
        held?.lane.relieve();
        if (held?.lane.size === 0) held.lane.idle();
      }
    }, UPKEEP);
    this.#upkeep.unref();
    void this.#dial();
  }

  /** The computer was asleep, or a network came back: do not wait. */
  hurry(): void {
    if (this.#timer === null) return void this.#held?.socket?.probe();
    clearTimeout(this.#timer);
    this.#timer = null;
    void this.#dial();
  }

  /** No new streams; those that are open go on. Dials no more. */
  drain(reason: string): void {
    this.#stopDialling();
    for (const held of [this.#held, ...this.#draining]) held?.lane.goaway(CLOSE.draining, reason);
  }

  /** Ends everything at once. */
  close(reason: string): void {
    clearInterval(this.#upkeep);
    this.#stopDialling();
    for (const held of [this.#held, ...this.#draining]) {
      if (held === null) continue;
      held.lane.lose(reason);
      held.socket?.close(1000, reason);
    }
    this.#held = null;
    this.#draining.clear();
  }

  /** For tests: the connection breaks, as networks do. */
  interrupt(): void {
    this.#held?.socket?.terminate();
  }

  #stopDialling(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    // What is dialled and carries no lane; one that drains has streams.
    if (![this.#held, ...this.#draining].some((held) => held?.socket === this.#dialled)) this.#dialled?.terminate();
  }

  async #dial(): Promise<void> {
    if (this.#stopped) return;
    const { index } = this.#options;
    const held = this.#held;
    const resume = held?.token == null ? null : { ...held.token, received: held.lane.received };
    let target;
    try {
      target = await this.#options.dial(index, resume, this.#clock);
    } catch (error) {
      return this.#finally(new DialError(0, (error as Error).message));
    }
    if (this.#stopped) return;
    let carried: Held | null = null; // the lane of this socket, once it is welcome
    const began = performance.now();
    const late = setTimeout(() => socket.terminate(), 2 * HANDSHAKE_TIMEOUT);
    const socket = new EdgeSocket(target.url, target.headers, {
      pings: this.#options.pings,
      busy: () => carried !== null && carried.lane.size > 0,
      onText: (text) => {
        if (text === PONG_TEXT || carried !== null) return;
        clearTimeout(late);
        this.#guard(socket, null, () => {
          carried = this.#welcomed(socket, readWelcome(text), resume !== null);
        });
      },
      onMessage: (bytes) => {
        const held = carried;
        this.#guard(socket, held, () => {
          if (held === null) throw new FrameError(CLOSE.malformed, 'frames before the welcome');
          held.lane.receive(bytes);
        });
      },
      onClose: (code, reason) => {
        clearTimeout(late);
        this.#lost(socket, carried, code, reason, performance.now() - began);
      },
    });
    this.#dialled = socket;
  }

  /** The peer broke the protocol: the socket is closed with its code, and the lane is lost. */
  #guard(socket: EdgeSocket, held: Held | null, run: () => void): void {
    try {
      run();
    } catch (error) {
      // A defect of ours costs a lane, and not the program that we are a part of.
      const internal = `internal error, please report it: ${(error as Error).stack ?? String(error)}`;
      const { code, message } = error instanceof FrameError ? error : { code: 1011, message: internal };
      held?.lane.lose(message);
      if (held === this.#held) this.#held = null;
      if (held !== null) this.#draining.delete(held);
      this.#fault = message;
      socket.close(code, (error instanceof FrameError ? message : 'internal error').slice(0, 120));
    }
  }

  #welcomed(socket: EdgeSocket, welcome: Welcome, asked: boolean): Held {
    let held = this.#held;
    if (held !== null && !(asked && welcome.resumed)) {
      held.lane.lose('the edge has not kept the streams of the connection that was lost');
      held = null;
    }
    if (welcome.resumed && held === null) throw new FrameError(CLOSE.malformed, 'a resume that nobody asked for');
    held ??= this.#newLane();
    held.token = { lane: welcome.lane, token: welcome.token };
    held.socket = socket;
    this.#held = held;
    if (!held.lane.attach((message) => socket.send(message), welcome.received))
      throw new FrameError(CLOSE.malformed, 'a resume at an offset that was never sent');
    this.#everReady = true;
    this.#options.onReady(this.#options.index, welcome);
    return held;
  }

  #newLane(): Held {
    const lane: Lane = new Lane({
      role: 'connector',
      now: () => performance.now(),
      // PERF: what one turn of the loop brings of several targets becomes one message.
      soon: setImmediate,
      buffers: messageBuffers(),
      onStream: (stream, payload) => {
        held.socket?.hasten();
        this.#options.onStream(stream, payload, () => held.socket?.congestion() ?? null);
      },
      onGoaway: (_code, text) => this.#goaway(held, text),
      onClosed: (open) => {
        if (open === 0 && held.draining) this.#drained(held);
      },
    });
    const held: Held = { lane, token: null, socket: null, lost: 0, draining: false };
    return held;
  }

  /** Another lane first, so that there is no moment without one. */
  #goaway(held: Held, text: string): void {
    held.draining = true;
    if (this.#held === held) {
      this.#held = null;
      this.#draining.add(held);
      this.#again(`the edge drains: ${text}`);
    }
    if (held.lane.size === 0) queueMicrotask(() => this.#drained(held));
  }

  #drained(held: Held): void {
    if (!this.#draining.delete(held)) return;
    // Behind what this turn still sends.
    setImmediate(() => setImmediate(() => held.socket?.close(1000, 'drained')));
  }

  #lost(socket: EdgeSocket, held: Held | null, code: number, reason: string, lived: number): void {
    if (held !== null && held.socket === socket) {
      held.lane.detach();
      held.socket = null;
      held.lost = performance.now();
      if (held.draining || this.#draining.has(held)) {
        // Who drains is about to go: there is nothing to come back to.
        this.#draining.delete(held);
        held.lane.lose(reason || 'the edge has gone');
        return;
      }
    } else if (held !== null) return;
    if (this.#stopped) {
      held?.lane.lose(reason || 'the connection to the edge was lost');
      return;
    }
    const status = socket.error?.code ?? 0;
    if (FINAL.has(code)) return this.#finally(new DialError(code, reason));
    if (FINAL_STATUS.has(status) || (!this.#everReady && FINAL_AT_FIRST.has(status))) {
      const ahead = socket.error!.date - this.#options.now();
      // A clock that is wrong is not a right that is missing: sign by the clock of who reads it.
      if (status !== 401 || !(Math.abs(ahead - this.#clock) > CLOCK_TOLERANCE)) return this.#finally(socket.error!);
      this.#clock = ahead;
    }
    if (held !== null) this.#expire(held);
    if (held !== null && lived > STABLE) this.#backoff.reset();
    const fault = this.#fault;
    this.#fault = '';
    this.#again(fault || reason || `closed with ${code}`);
  }

  /** Beyond the grace the edge keeps nothing. */
  #expire(held: Held): void {
    const { lost } = held;
    setTimeout(() => {
      if (held.socket !== null || held.lost !== lost) return;
      if (this.#held === held) this.#held = null;
      held.lane.lose('the connection to the edge was lost for longer than it keeps streams');
    }, GRACE).unref();
  }

  #again(reason: string): void {
    if (this.#stopped || this.#timer !== null) return;
    // Streams that wait for a resume have no longer than the grace.
    const waits = this.#held !== null && this.#held.lane.size > 0;
    const delay = Math.min(this.#backoff.next(), waits ? GRACE / 4 : Infinity);
    this.#options.onReconnecting(this.#options.index, reason, delay);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#dial();
    }, delay);
  }

  #finally(error: DialError): void {
    this.#stopDialling();
    this.#held?.lane.lose(error.message);
    this.#held = null;
    this.#options.onFinal(this.#options.index, error);
  }
}
