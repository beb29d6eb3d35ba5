/**
 * A lane of a connector, and the sockets that carry it, one after the other. A socket that is lost is dialled again, and
 * within the grace the lane goes on where it was. One whose rights are about to expire is replaced before: the next
 * socket resumes the lane while the last one is still there, so that streams live as long as they like.
 */
import { ACCESS_ACK } from '../credit.ts';
import { CLOSE, FrameError } from '../frame.ts';
import { Lane } from '../lane.ts';
import type { Holder, TunnelStream } from '../stream.ts';
import { GRACE, PONG_TEXT, readWelcome, type Resume, type Welcome } from '../welcome.ts';
import type { Backoff } from './backoff.ts';
import type { Congestion } from './pump.ts';
import { DialError } from './dial-error.ts';
import type { Pings } from './pings.ts';
import { EdgeSocket, HANDSHAKE_TIMEOUT } from './socket.ts';

/** Close codes after which dialling again is of no use. Rights that have expired may be had anew. */
const FINAL: ReadonlySet<number> = new Set([CLOSE.revoked, CLOSE.taken]);
const FINAL_STATUS: ReadonlySet<number> = new Set([401, 403, 409, 410]);
/** Answers that mean the wrong place at the first dial; later, a place that is being set up again. */
const WRONG_PLACE: ReadonlySet<number> = new Set([400, 404, 405, 426]);
const isWrongPlace = (status: number): boolean => WRONG_PLACE.has(status) || (status >= 200 && status < 400);
const CLOCK_TOLERANCE = 30_000; // ms
const SPARE_SLABS = 12; // of a lane
const STABLE = 5000; // ms after which a socket that is lost was none that never held

/** The signed upgrade of one dial. */
export interface SignedDial {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** When the rights of this dial should be replaced, ms since the epoch by the edge's clock; Infinity: they can not be. */
  readonly renewAt: number;
}

/** What all lanes of one uplink know of the edge. */
export interface Acquaintance {
  readonly backoff: Backoff;
  /** ms that the edge's clock is ahead of ours. */
  clock: number;
  everReady: boolean;
}

export interface CarrierOptions {
  readonly acquaintance: Acquaintance;
  readonly dial: (resume: Resume | null, clock: number) => Promise<SignedDial>;
  /** Throws FrameError when the payload is malformed. */
  readonly onStream: (stream: TunnelStream, payload: Uint8Array, congestion: Congestion) => void;
  readonly onReady: (welcome: Welcome) => void;
  /** The socket is gone and will be dialled again in `delay` ms. */
  readonly onReconnecting: (reason: string, delay: number) => void;
  /** The edge says GOAWAY: what is open goes on here, what is new belongs elsewhere. */
  readonly onGoaway: (carrier: Carrier, text: string) => void;
  /** Nothing is left of a lane that was to go. */
  readonly onOver: (carrier: Carrier) => void;
  /**
   * The lane is there for one stream, and over once that has ended and the edge has all that was sent. Another lane would be
   * another connection: where the lane is gone, it is for good.
   */
  readonly single?: boolean;
  /** Never again: the rights are gone, or the one lane is. */
  readonly onFinal: (error: DialError) => void;
  readonly pings: Pings | undefined;
  readonly now: () => number;
}

export class Carrier {
  readonly #options: CarrierOptions;
  #lane: Lane;
  #token: Pick<Welcome, 'lane' | 'token'> | null = null;
  #socket: EdgeSocket | null = null;
  /** Is to carry the lane once it is welcome. */
  #dialled: EdgeSocket | null = null;
  #signing = false;
  /** The next socket is told what had come when it was dialled: the edge sends again what comes on this one after that. */
  #deaf = false;
  #renewAt = Infinity;
  /** Since when there is no socket, ms of a monotonic clock. */
  #lostAt = 0;
  /** Why we closed a socket ourselves. */
  #fault = '';
  /** No new streams, by the word of either end: dialled only to go on with what is open. */
  #ends = false;
  #drains = false; // by the edge's word
  #begun = false; // it had a stream
  #closed = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: CarrierOptions) {
    this.#options = options;
    this.#lane = this.#newLane();
  }

  get lane(): Lane {
    return this.#lane;
  }

  start(): void {
    void this.#dial();
  }

  /** Begins with a delay: others were sent away by the same edge. */
  startLater(reason: string): void {
    this.#again(reason);
  }

  /** The computer was asleep, or a network came back: do not wait. */
  hurry(): void {
    if (this.#timer === null) return this.#socket?.probe();
    clearTimeout(this.#timer);
    this.#timer = null;
    void this.#dial();
  }

  /** To be called now and then. */
  upkeep(): void {
    const lane = this.#lane;
    // Where there is one stream, no other waits.
    if (this.#options.single !== true) lane.relieve();
    if (lane.size === 0) lane.idle();
    const idle = this.#dialled === null && this.#timer === null && !this.#signing;
    if (this.#socket === null || !idle || this.#options.now() + this.#options.acquaintance.clock < this.#renewAt)
      return;
    this.#deaf = true;
    void this.#dial();
  }

  /** No new streams; those that are open go on. */
  drain(reason: string): void {
    this.#ends = true;
    this.#lane.goaway(CLOSE.draining, reason);
    if (!this.#wanted) this.#stopDialling();
  }

  /** Ends everything at once. */
  close(reason: string): void {
    this.#closed = true;
    this.#stopDialling();
    this.#lane.lose(reason);
    this.#socket?.close(1000, reason);
  }

  /** For tests: the connection breaks, as networks do. */
  interrupt(): void {
    this.#socket?.terminate();
  }

  /** False where a socket would have nothing to carry. */
  get #wanted(): boolean {
    return !this.#closed && (!this.#ends || this.#lane.size > 0 || (this.#drains && this.#lane.unacknowledged > 0));
  }

  #stopDialling(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#dialled?.terminate();
  }

  async #dial(): Promise<void> {
    if (!this.#wanted) return this.#over();
    const { acquaintance } = this.#options;
    const resume = this.#token === null ? null : { ...this.#token, received: this.#lane.received };
    let target: SignedDial;
    this.#signing = true;
    try {
      target = await this.#options.dial(resume, acquaintance.clock);
    } catch (error) {
      return this.#options.onFinal(new DialError(0, (error as Error).message));
    } finally {
      this.#signing = false;
    }
    if (!this.#wanted) return this.#over();
    let welcomed = false;
    const began = performance.now();
    const late = setTimeout(() => socket.terminate(), 2 * HANDSHAKE_TIMEOUT);
    const socket = new EdgeSocket(target.url, target.headers, {
      pings: this.#options.pings,
      busy: () => this.#socket === socket && this.#lane.size > 0,
      onText: (text) => {
        if (text === PONG_TEXT || welcomed) return;
        clearTimeout(late);
        welcomed = true;
        this.#guard(socket, () => this.#welcomed(socket, readWelcome(text), resume !== null, target.renewAt));
      },
      onMessage: (bytes) => {
        if (welcomed && (socket !== this.#socket || this.#deaf)) return true;
        let done: boolean | readonly Holder[] = false;
        this.#guard(socket, () => {
          if (!welcomed) throw new FrameError(CLOSE.malformed, 'frames before the welcome');
          done = this.#lane.receive(bytes);
        });
        return done;
      },
      onClose: (code, reason) => {
        clearTimeout(late);
        this.#lost(socket, code, reason, performance.now() - began);
      },
    });
    this.#dialled = socket;
  }

  /** The peer broke the protocol: the socket is closed with its code, and the lane is lost. */
  #guard(socket: EdgeSocket, run: () => void): void {
    try {
      run();
    } catch (error) {
      // A defect of ours costs a lane, and not the program that we are a part of.
      const internal = `internal error, please report it: ${(error as Error).stack ?? String(error)}`;
      const { code, message } = error instanceof FrameError ? error : { code: 1011, message: internal };
      if (socket === this.#socket) {
        this.#deaf = true;
        this.#forget(message);
      }
      this.#fault = message;
      socket.close(code, (error instanceof FrameError ? message : 'internal error').slice(0, 120));
    }
  }

  /** The lane is gone for good; the next socket begins another. */
  #forget(reason: string): void {
    this.#lane.lose(reason);
    this.#token = null;
    if (this.#options.single === true) return this.#options.onFinal(new DialError(0, reason));
    this.#lane = this.#newLane();
  }

  /** Whether what there was to carry is over, with all that was sent. */
  #finish(): void {
    if (!(this.#options.single === true ? this.#begun : this.#drains) || this.#lane.size > 0) return;
    this.#lane.idle();
    if (this.#lane.unacknowledged === 0) this.#over();
  }

  #welcomed(socket: EdgeSocket, welcome: Welcome, asked: boolean, renewAt: number): void {
    if (welcome.resumed && !asked) throw new FrameError(CLOSE.malformed, 'a resume that nobody asked for');
    const last = this.#socket;
    this.#socket = socket;
    this.#dialled = null;
    this.#deaf = false;
    this.#renewAt = renewAt;
    last?.close(1000, 'another socket carries the lane');
    if (!welcome.resumed) {
      if (asked) this.#forget('the edge has not kept the streams of the connection that was lost');
      if (this.#ends || this.#closed) return this.#over();
    }
    this.#token = { lane: welcome.lane, token: welcome.token };
    if (!this.#lane.attach((message) => socket.send(message), welcome.received))
      throw new FrameError(CLOSE.malformed, 'a resume at an offset that was never sent');
    this.#options.acquaintance.everReady = true;
    this.#options.onReady(welcome);
  }

  #newLane(): Lane {
    const lane: Lane = new Lane({
      role: 'connector',
      now: () => performance.now(),
      // PERF: what one turn of the loop brings of several targets becomes one message.
      soon: setImmediate,
      spareSlabs: SPARE_SLABS,
      ...(this.#options.single === true && { ackBytes: ACCESS_ACK }),
      onStream: (stream, payload) => {
        if (this.#options.single === true && this.#begun) throw new FrameError(CLOSE.malformed, 'a second stream');
        this.#begun = true;
        this.#socket?.hasten();
        this.#options.onStream(stream, payload, () => this.#socket?.congestion() ?? null);
      },
      onGoaway: (_code, text) => this.#goaway(text),
      onClosed: (open) => {
        if (open > 0 || lane !== this.#lane) return;
        // Behind the message that is being handled, and what this turn sends.
        setImmediate(() => this.#finish());
      },
      onAcknowledged: () => this.#finish(),
    });
    return lane;
  }

  #goaway(text: string): void {
    if (this.#drains) return;
    this.#drains = this.#ends = true;
    this.#options.onGoaway(this, text);
    setImmediate(() => this.#finish());
  }

  #over(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopDialling();
    this.#options.onOver(this);
    // Behind what this turn still sends.
    setImmediate(() => setImmediate(() => this.#socket?.close(1000, 'drained')));
  }

  #lost(socket: EdgeSocket, code: number, reason: string, lived: number): void {
    if (socket === this.#socket) {
      this.#lane.detach();
      this.#socket = null;
      this.#deaf = false;
      this.#lostAt = performance.now();
      if (this.#closed) return;
      this.#expire();
      if (lived > STABLE) this.#options.acquaintance.backoff.reset();
      // The next one is on its way already.
      if (this.#dialled !== null || this.#signing) return;
    } else if (socket === this.#dialled) {
      this.#dialled = null;
      // It was to replace one whose messages were not taken meanwhile.
      this.#socket?.terminate();
    } else return;
    if (!this.#wanted) return this.#over();
    const { acquaintance, now, onFinal } = this.#options;
    const status = socket.error?.code ?? 0;
    // With a code of its own the edge closes only what it does not keep; silence is what this end says of it.
    const ended = this.#options.single === true && code >= CLOSE.malformed && code !== CLOSE.silent;
    if (FINAL.has(code) || ended) return onFinal(new DialError(code, reason));
    if (FINAL_STATUS.has(status) || (!acquaintance.everReady && isWrongPlace(status))) {
      const ahead = socket.error!.date - now();
      // A clock that is wrong is not a right that is missing: sign by the clock of who reads it.
      if (status !== 401 || !(Math.abs(ahead - acquaintance.clock) > CLOCK_TOLERANCE)) return onFinal(socket.error!);
      acquaintance.clock = ahead;
    }
    const fault = this.#fault;
    this.#fault = '';
    this.#again(fault || reason || `closed with ${code}`);
  }

  /** Beyond the grace the edge keeps nothing. */
  #expire(): void {
    const lost = this.#lostAt;
    setTimeout(() => {
      if (this.#closed || this.#socket !== null || this.#lostAt !== lost) return;
      this.#forget('the connection to the edge was lost for longer than it keeps streams');
      if (this.#ends) this.#over();
    }, GRACE).unref();
  }

  #again(reason: string): void {
    if (this.#timer !== null) return;
    const { acquaintance, onReconnecting } = this.#options;
    // Streams that wait for a resume have no longer than the grace.
    const delay = Math.min(acquaintance.backoff.next(), this.#lane.size > 0 ? GRACE / 4 : Infinity);
    onReconnecting(reason, delay);
    if (!this.#wanted) return this.#over();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#dial();
    }, delay);
  }
}
