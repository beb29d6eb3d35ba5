/**
 * One stream of a lane: a request and its response, a WebSocket, or a TCP connection. Both directions end on their own;
 * RESET ends both at once. Callbacks are set by whoever owns the stream, before the turn that made it is over.
 */
import {
  type CreditSnapshot,
  ReceiveCredit,
  SendCredit,
  MAX_STREAM_WINDOW,
  RESERVED,
  SHARE,
  STREAM_WINDOW,
} from './credit.ts';
import { CLOSE, DATA, END, FrameError, HEAD, MAX_PAYLOAD, RESET_CODE, WIDER } from './frame.ts';

/** What a stream needs of its lane. */
export interface StreamLane {
  /** Bytes that the lane as a whole may still send. */
  readonly credit: number;
  /** What of them is not kept for other streams; below 0 when even that is in use. */
  readonly spare: number;
  /** The peer has little of the lane's credit left. */
  readonly tight: boolean;
  /** Milliseconds of a round trip, 0 when not known. */
  readonly roundTrip: number;
  now(): number;
  send(type: number, stream: number, payload: Uint8Array): void;
  sendWindow(stream: number, bytes: number, flags: number): void;
  sendReset(stream: number, code: number, text: string): void;
  /** Bytes that the lane need not hold against the peer any more. */
  consumed(bytes: number): void;
  /** Calls `stream.resumeInTurn()` once the lane has credit again, in turn with others. */
  wait(stream: TunnelStream): void;
  closed(stream: TunnelStream): void;
}

export class StreamReset extends Error {
  readonly code: number;
  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }
}

export interface StreamSnapshot {
  readonly credit: number;
  readonly underWay: number;
  readonly receive: CreditSnapshot;
  readonly ended: boolean;
  readonly finished: boolean;
}

/** Who wrote bytes onward, and needs them until `written` is true: then all that was ever given to it is. */
export interface Holder {
  readonly written: boolean;
}

function isHolder(value: unknown): value is Holder {
  return typeof value === 'object' && value !== null && 'written' in value;
}

interface Write {
  bytes: Uint8Array;
  at: number;
  done: () => void;
  failed: (error: StreamReset) => void;
}

export class TunnelStream {
  readonly id: number;
  onHead: (payload: Uint8Array) => void = ignore;
  /**
   * The chunk is the receiver's to keep, but its buffer may hold others: never transfer it. Say `consumed` once it went on.
   * What is returned says whether its bytes may be overwritten: true at once, a holder once it has written them, anything
   * else never.
   */
  onData: (chunk: Uint8Array) => unknown = ignore;
  onEnd: (trailers: Uint8Array) => void = ignore;
  /** Once, when the stream ended before both directions had. */
  onReset: (reset: StreamReset) => void = ignore;

  readonly #lane: StreamLane;
  readonly #send: SendCredit;
  readonly #receive: ReceiveCredit;
  #write: Write | null = null;
  #unconsumed = 0;
  #underWay: number; // bytes that were sent and that the peer has not said were consumed
  #waits = false; // in the lane's queue
  #takenAt = 0; // when the consumer took something, or got something to take
  #ended = false; // by us
  #finished = false; // by the peer
  #reset: StreamReset | null = null;

  constructor(lane: StreamLane, id: number, snapshot: StreamSnapshot | null = null) {
    this.#lane = lane;
    this.id = id;
    this.#send = new SendCredit(snapshot?.credit ?? STREAM_WINDOW);
    this.#underWay = snapshot?.underWay ?? 0;
    this.#receive = new ReceiveCredit(STREAM_WINDOW, MAX_STREAM_WINDOW, lane.now(), snapshot?.receive);
    this.#ended = snapshot?.ended ?? false;
    this.#finished = snapshot?.finished ?? false;
  }

  /** Of a stream with no write under way and nothing that waits to be consumed; else null. */
  snapshot(): StreamSnapshot | null {
    if (this.#write !== null || this.#unconsumed > 0 || this.#reset !== null) return null;
    const [credit, receive] = [this.#send.left, this.#receive.snapshot()];
    return { credit, receive, underWay: this.#underWay, ended: this.#ended, finished: this.#finished };
  }

  get open(): boolean {
    return this.#reset === null && !(this.#ended && this.#finished);
  }

  /** The peer has said all. */
  get finished(): boolean {
    return this.#finished;
  }

  /** A write waits for credit. */
  get writing(): boolean {
    return this.#write !== null;
  }

  /** What may be on its way to here grows no further than to `most` bytes. */
  limitWindow(most: number): void {
    this.#receive.limit(most);
  }

  sendHead(payload: Uint8Array): void {
    this.#check();
    this.#lane.send(HEAD, this.id, payload);
  }

  /**
   * Sends bytes as credit allows; resolves when all are on their way, so that a slow peer slows the writer. One write at
   * a time. Rejects with StreamReset. The bytes are the caller's again when it resolves, and where they are `reused` at once.
   */
  write(bytes: Uint8Array, reused = false): Promise<void> {
    this.#check();
    if (this.#write !== null) throw new Error('one write at a time');
    if (bytes.byteLength === 0) return DONE;
    // PERF: most writes have their credit, and need no promise.
    const write: Write = { bytes, at: 0, done: ignore, failed: ignore };
    this.#write = write;
    this.resume();
    if (this.#write === null) return DONE;
    if (reused) {
      // SAFETY: not `slice`, which is a view where the bytes are a Buffer.
      write.bytes = new Uint8Array(bytes.subarray(write.at));
      write.at = 0;
    }
    return new Promise((done, failed) => {
      write.done = done;
      write.failed = failed;
    });
  }

  /** Nothing more from this end. */
  end(trailers: Uint8Array = EMPTY): void {
    this.#check();
    if (this.#write !== null) throw new Error('a write is under way');
    this.#ended = true;
    this.#lane.send(END, this.id, trailers);
    this.#closeIfDone();
  }

  /** Ends both directions and tells the peer. Harmless when the stream is closed already. */
  reset(code: number, text = ''): void {
    if (!this.open) return;
    this.#lane.sendReset(this.id, code, text);
    this.#close(new StreamReset(code, text), false);
  }

  /** Since when the consumer has taken nothing of what is there for it; `now` when nothing is. */
  stalledSince(now: number): number {
    return this.#unconsumed === 0 ? now : this.#takenAt;
  }

  /** Ends both directions, and tells the owner as well as the peer. */
  abort(code: number, text: string): void {
    if (!this.open) return;
    this.#lane.sendReset(this.id, code, text);
    this.#close(new StreamReset(code, text), true);
  }

  /** The receiver took `bytes` of what `onData` gave. */
  consumed(bytes: number): void {
    if (!this.open && this.#unconsumed === 0) return;
    const taken = Math.min(bytes, this.#unconsumed);
    this.#unconsumed -= taken;
    if (taken > 0) this.#takenAt = this.#lane.now();
    this.#lane.consumed(taken);
    this.grant(taken);
  }

  /** Gives credit back: for `taken` bytes more, and for all that was consumed where the lane has little left. */
  grant(taken: number): void {
    if (this.#finished || this.#reset !== null) return;
    const lane = this.#lane;
    const grant = this.#receive.consumed(taken, lane.now(), lane.roundTrip, lane.tight);
    if (grant > 0) lane.sendWindow(this.id, grant, 0);
    if (this.#receive.widened > 0) lane.sendWindow(this.id, this.#receive.widened, WIDER);
  }

  /** The lane has credit again, and it is this stream's turn. */
  resumeInTurn(): void {
    this.#waits = false;
    this.resume();
  }

  /** Goes on with a write as far as credit allows. */
  resume(): void {
    const write = this.#write;
    if (write === null || this.#reset !== null) return;
    // One frame at a turn where the lane is short of credit, so that streams share it.
    while (write.at < write.bytes.byteLength) {
      const left = Math.min(this.#send.left, MAX_PAYLOAD, write.bytes.byteLength - write.at);
      if (left === 0) return; // the peer's WINDOW resumes it
      const { credit, spare } = this.#lane;
      const room = Math.max(RESERVED, Math.min(SHARE * spare, spare + this.#underWay)) - this.#underWay;
      const size = Math.min(left, credit, room);
      if (size <= 0) {
        if (!this.#waits) this.#lane.wait(this);
        this.#waits = true;
        return;
      }
      this.#send.take(size);
      this.#underWay += size;
      this.#lane.send(DATA, this.id, write.bytes.subarray(write.at, write.at + size));
      write.at += size;
    }
    this.#write = null;
    write.done();
  }

  // What the lane hands on of the peer's frames.

  gotHead(payload: Uint8Array): void {
    if (this.#finished) return this.#protocol('HEAD after END');
    this.onHead(payload);
  }

  /** Who needs the payload's bytes: true nobody, false somebody for as long as there are any. */
  gotData(payload: Uint8Array): boolean | Holder {
    if (this.#finished) this.#protocol('DATA after END');
    // SAFETY: no credit would bound how many of these wait for a consumer; nobody sends any.
    if (payload.byteLength === 0) return true;
    this.#receive.arrived(payload.byteLength, `stream ${this.id}`);
    if (this.#unconsumed === 0) this.#takenAt = this.#lane.now();
    this.#unconsumed += payload.byteLength;
    // PERF: the message it lies in belongs to nobody else, so a large part of it need not be copied.
    // SAFETY: a small one is, or one byte could hold a whole message in memory: what a stalled consumer costs is at most
    // KEPT_WHOLE times its window.
    const whole = payload.byteLength * KEPT_WHOLE >= payload.buffer.byteLength;
    if (!whole) {
      this.onData(new Uint8Array(payload));
      return true;
    }
    const held = this.onData(payload);
    return held === true || (isHolder(held) ? held : false);
  }

  gotEnd(trailers: Uint8Array): void {
    if (this.#finished) return this.#protocol('END after END');
    this.#finished = true;
    this.onEnd(new Uint8Array(trailers));
    this.#closeIfDone();
  }

  gotWindow(bytes: number, flags: number): void {
    this.#send.grant(bytes);
    if ((flags & WIDER) === 0) this.#underWay = Math.max(0, this.#underWay - bytes);
    this.resume();
  }

  gotReset(code: number, text: string): void {
    this.#close(new StreamReset(code, text), true);
  }

  /** The lane is gone for good. */
  lose(text: string): void {
    this.#close(new StreamReset(RESET_CODE.lost, text), true);
  }

  #protocol(text: string): never {
    throw new FrameError(CLOSE.malformed, `${text} on stream ${this.id}`);
  }

  #check(): void {
    if (this.#reset !== null) throw this.#reset;
    if (this.#ended) throw new Error(`stream ${this.id} has ended`);
  }

  #closeIfDone(): void {
    if (this.#ended && this.#finished) this.#lane.closed(this);
  }

  #close(reset: StreamReset, tell: boolean): void {
    if (!this.open) return;
    this.#reset = reset;
    const write = this.#write;
    this.#write = null;
    // What lies with a consumer that will never take it must not cost the lane its credit.
    this.#lane.consumed(this.#unconsumed);
    this.#unconsumed = 0;
    this.#lane.closed(this);
    write?.failed(reset);
    if (tell) this.onReset(reset);
  }
}

const KEPT_WHOLE = 4;
const EMPTY = new Uint8Array(0);
const DONE = Promise.resolve();
const ignore = (): void => {};
