/**
 * A lane: the protocol of one WebSocket at a time, for either end, with no transport and no timer of its own. It outlives
 * its socket: within the grace another one takes over, and what was under way goes on where it was (see replay.ts).
 */
import { LANE_WINDOW, MAX_LANE_WINDOW, ReceiveCredit, RESERVED, SendCredit, STALLED, TIGHT } from './credit.ts';
import {
  ACK,
  ackFrame,
  CLOSE,
  DATA,
  END,
  frame,
  FrameError,
  GOAWAY,
  HEAD,
  MAX_FRAMES,
  MAX_PAYLOAD,
  MAX_STREAM,
  OPEN,
  PING,
  PONG,
  readAck,
  readFrames,
  readReason,
  readWindow,
  reasonPayload,
  RESET,
  RESET_CODE,
  WINDOW,
  windowPayload,
  type Frame,
} from './frame.ts';
import type { LaneOptions, LaneSnapshot } from './lane-options.ts';
import { FLUSH_BYTES, MessageBuffers } from './message-buffers.ts';
import { Outbox } from './outbox.ts';
import { Replay } from './replay.ts';
import { type Holder, type StreamLane, type StreamSnapshot, TunnelStream } from './stream.ts';

export type { LaneOptions, LaneSnapshot } from './lane-options.ts';

export const MAX_STREAMS = 1024; // open on one lane at a time
// PERF: an ACK is a message of its own, so it waits until it says something; see `idle`.
const ACK_BYTES = 524_288; // received after which one is due
const PING_MS = 1000; // between two looks at the round trip, while streams are opened or data comes in

export class Lane implements StreamLane {
  readonly #options: LaneOptions;
  readonly #streams = new Map<number, TunnelStream>();
  readonly #sendCredit: SendCredit;
  readonly #receiveCredit: ReceiveCredit;
  readonly #replay: Replay;
  #waiting: TunnelStream[] = [];
  #transport: ((message: Uint8Array) => void) | null = null;
  readonly #outbox: Outbox;
  #flushing = false;
  #nextId: number;
  #lastPeerId = 0;
  #received = 0;
  // Of the message that is being handled, who needs its bytes.
  #kept = false;
  #holders: Holder[] | null = null;
  #acked = 0;
  #pingedAt = -Infinity;
  #measured = false; // the round trip of the socket that is there
  #draining = false;
  #wasTight = false;
  #peerDrains = false;
  roundTrip = 0;

  /** `snapshot`: of a lane that was idle, which this one is to continue; its streams are to be adopted. */
  constructor(options: LaneOptions, snapshot: LaneSnapshot | null = null) {
    this.#options = options;
    this.#nextId = snapshot?.nextId ?? (options.role === 'edge' ? 1 : 2);
    this.#lastPeerId = snapshot?.lastPeerId ?? 0;
    this.#received = snapshot?.received ?? 0;
    this.#acked = snapshot?.acked ?? 0;
    this.#draining = snapshot?.draining ?? false;
    this.#peerDrains = snapshot?.peerDrains ?? false;
    this.roundTrip = snapshot?.roundTrip ?? 0;
    const buffers = new MessageBuffers(options.spareSlabs ?? 0);
    this.#outbox = new Outbox(buffers);
    this.#replay = new Replay(snapshot?.sent ?? 0, buffers, options.maxReplay);
    this.#sendCredit = new SendCredit(snapshot?.credit ?? LANE_WINDOW);
    const reserved = MAX_STREAMS * RESERVED;
    this.#receiveCredit = new ReceiveCredit(LANE_WINDOW, MAX_LANE_WINDOW, options.now(), snapshot?.receive, reserved);
  }

  /** What another Lane needs to go on in the place of this one; what was sent and not acknowledged is not in it. */
  snapshot(): LaneSnapshot {
    return {
      nextId: this.#nextId,
      lastPeerId: this.#lastPeerId,
      received: this.#received,
      acked: this.#acked,
      sent: this.#replay.sent,
      credit: this.#sendCredit.left,
      receive: this.#receiveCredit.snapshot(),
      draining: this.#draining,
      peerDrains: this.#peerDrains,
      roundTrip: this.roundTrip,
    };
  }

  /** A stream that was open in the lane which this one continues. */
  adopt(id: number, snapshot: StreamSnapshot): TunnelStream {
    const stream = new TunnelStream(this, id, snapshot);
    this.#streams.set(id, stream);
    return stream;
  }

  /** Streams that are open. */
  get size(): number {
    return this.#streams.size;
  }
  /** Offset behind everything that arrived, for a resume. */
  get received(): number {
    return this.#received;
  }
  /** Bytes that the peer is not known to have. */
  get unacknowledged(): number {
    return this.#replay.kept + this.#outbox.length;
  }
  get attached(): boolean {
    return this.#transport !== null;
  }
  /** True once this end or the peer said GOAWAY. */
  get draining(): boolean {
    return this.#draining || this.#peerDrains;
  }
  /** True while streams can be opened. */
  get accepting(): boolean {
    return !this.#draining && !this.#peerDrains && this.#streams.size < MAX_STREAMS && this.#nextId <= MAX_STREAM - 2;
  }
  get credit(): number {
    return this.#sendCredit.left;
  }
  get spare(): number {
    return this.#sendCredit.left - MAX_STREAMS * RESERVED;
  }
  get tight(): boolean {
    return this.#receiveCredit.spare < TIGHT;
  }

  /** Ends streams whose consumer has taken nothing for long, if others wait for them; to be called now and then. */
  relieve(): void {
    if (this.#receiveCredit.spare >= MAX_PAYLOAD) return;
    const now = this.now();
    for (const stream of [...this.#streams.values()])
      if (now - stream.stalledSince(now) > STALLED)
        stream.abort(RESET_CODE.cancelled, `nothing was taken for ${STALLED / 1000} s while others waited`);
  }

  now(): number {
    return this.#options.now();
  }

  /**
   * Takes a socket, the first or one that resumes; `peerReceived` is what the peer has of this lane. False when what it
   * lacks is not kept any more: the lane cannot go on then.
   */
  attach(transport: (message: Uint8Array) => void, peerReceived = 0): boolean {
    const missing = this.#replay.from(peerReceived);
    if (missing === null) return false;
    this.#transport = transport;
    this.#pingedAt = -Infinity;
    this.#measured = false;
    this.#acked = this.#received;
    for (const message of missing) transport(message);
    this.#flush();
    // The edge opens nothing on a socket before it knows that its welcome has arrived.
    if (this.#options.role === 'connector') this.#acknowledge();
    this.#options.onAcknowledged?.();
    return true;
  }

  /** The socket is gone; streams wait for the next one. */
  detach(): void {
    this.#transport = null;
  }

  /** The lane is gone for good: every stream ends as lost, and may be tried elsewhere. */
  lose(text: string): void {
    this.#transport = null;
    this.#draining = true;
    for (const stream of [...this.#streams.values()]) stream.lose(text);
  }

  /** Opens a stream; `payload` says what to, see opening.ts. */
  open(payload: Uint8Array): TunnelStream {
    if (!this.accepting) throw new Error('the lane takes no more streams');
    const stream = new TunnelStream(this, this.#nextId);
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.send(OPEN, stream.id, payload);
    // How far the peer is, is known when the first bytes of the answer come.
    this.#ping();
    return stream;
  }

  /** No new streams from either end; those that are open go on. */
  goaway(code: number, text: string): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#push(GOAWAY, 0, reasonPayload(code, text));
    this.#rest();
  }

  /** Who drains stays until all that it sent has arrived, and waits for the word. */
  #rest(): void {
    if (this.draining && this.#streams.size === 0 && this.#received > this.#acked) this.#acknowledge();
  }

  /** Nothing is going on: what arrived is acknowledged, so that the peer need not keep it; memory is given back. */
  idle(): void {
    this.#outbox.clear();
    if (this.#received > this.#acked) this.#acknowledge();
  }

  /**
   * Handles a message of the peer. The answer is who needs its bytes still: true nobody, false somebody for as long as there
   * are any. Throws FrameError: the caller closes the socket with its code and loses the lane.
   */
  receive(message: Uint8Array): boolean | readonly Holder[] {
    this.#kept = false;
    this.#holders = null;
    const type = message[0];
    const apart = type === ACK || type === PING || type === PONG;
    readFrames(message, (one) => {
      if (apart !== (one.type === ACK || one.type === PING || one.type === PONG))
        throw new FrameError(CLOSE.malformed, 'ACK, PING and PONG travel apart');
      this.#take(one);
    });
    if (apart) return true;
    this.#received += message.byteLength;
    if (this.#received - this.#acked >= (this.#options.ackBytes ?? ACK_BYTES)) this.#acknowledge();
    else this.#rest();
    return this.#kept ? false : (this.#holders ?? true);
  }

  #take(one: Frame): void {
    const { type, stream: id, payload } = one;
    if (type === OPEN) return this.#opened(id, payload);
    if (type === ACK) {
      if (!this.#replay.acknowledge(readAck(one))) throw new FrameError(CLOSE.malformed, 'an ACK of what was not sent');
      return this.#options.onAcknowledged?.();
    }
    if (type === PING) return this.#control(frame(PONG, 0, payload.subarray(0, 8)));
    if (type === PONG) return this.#ponged(payload);
    if (type === GOAWAY) {
      const { code, text } = readReason(one);
      this.#peerDrains = true;
      return this.#options.onGoaway(code, text);
    }
    if (type === WINDOW && id === 0) {
      this.#sendCredit.grant(readWindow(one));
      return this.#resume();
    }
    const stream = this.#streams.get(id);
    if (type === DATA) {
      this.#receiveCredit.arrived(payload.byteLength, 'the lane');
      if (this.tight && !this.#wasTight) {
        // From here on credit goes back at once, and what was kept for a later frame goes now.
        this.#wasTight = true;
        this.consumed(0);
        for (const open of this.#streams.values()) open.grant(0);
      }
      this.#ping();
      if (stream === undefined) this.consumed(payload.byteLength); // it was on its way when the stream closed
    }
    if (stream === undefined) {
      if (!this.#known(id)) throw new FrameError(CLOSE.malformed, `a frame of stream ${id}, which was never opened`);
      return;
    }
    if (type === HEAD) stream.gotHead(payload);
    else if (type === DATA) {
      const held = stream.gotData(payload);
      if (held === false) this.#kept = true;
      else if (held !== true) (this.#holders ??= []).push(held);
    } else if (type === END) stream.gotEnd(payload);
    else if (type === WINDOW) stream.gotWindow(readWindow(one), one.flags);
    else if (type === RESET) {
      const { code, text } = readReason(one);
      stream.gotReset(code, text);
    }
  }

  #opened(id: number, payload: Uint8Array): void {
    const peersParity = this.#options.role === 'edge' ? 0 : 1;
    if (id % 2 !== peersParity || id <= this.#lastPeerId)
      throw new FrameError(CLOSE.malformed, `a stream ${id} that the peer may not open`);
    this.#lastPeerId = id;
    if (this.#streams.size >= MAX_STREAMS || this.#draining) {
      this.sendReset(id, RESET_CODE.refused, this.#draining ? 'draining' : `more than ${MAX_STREAMS} streams`);
      return;
    }
    const stream = new TunnelStream(this, id);
    this.#streams.set(id, stream);
    this.#options.onStream(stream, payload);
  }

  #known(id: number): boolean {
    const ours = id % 2 === this.#nextId % 2;
    return ours ? id < this.#nextId : id <= this.#lastPeerId;
  }

  // What streams ask of the lane.

  send(type: number, stream: number, payload: Uint8Array): void {
    if (type === DATA) this.#sendCredit.take(payload.byteLength);
    this.#push(type, stream, payload);
  }

  sendWindow(stream: number, bytes: number, flags: number): void {
    this.#push(WINDOW, stream, windowPayload(bytes), flags);
  }

  sendReset(stream: number, code: number, text: string): void {
    this.#push(RESET, stream, reasonPayload(code, text));
  }

  consumed(bytes: number): void {
    const credit = this.#receiveCredit;
    const grant = credit.consumed(bytes, this.now(), this.roundTrip, this.tight);
    if (grant + credit.widened > 0) this.sendWindow(0, grant + credit.widened, 0);
    this.#wasTight = this.tight;
  }

  wait(stream: TunnelStream): void {
    this.#waiting.push(stream);
  }

  closed(stream: TunnelStream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#rest();
    this.#options.onClosed?.(this.#streams.size);
  }

  #resume(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    // In turn: who gets nothing any more waits at the front.
    for (const [index, stream] of waiting.entries()) {
      if (this.credit === 0) {
        this.#waiting.unshift(...waiting.slice(index));
        return;
      }
      stream.resumeInTurn();
    }
  }

  #push(type: number, stream: number, payload: Uint8Array, flags = 0): void {
    this.#outbox.push(type, flags, stream, payload);
    if (this.#outbox.length >= FLUSH_BYTES || this.#outbox.frames === MAX_FRAMES) return this.#flush();
    if (this.#flushing) return;
    this.#flushing = true;
    // PERF: one message for all that a turn sends: a message costs either end more than a frame.
    (this.#options.soon ?? queueMicrotask)(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#outbox.length === 0) return;
    const message = this.#outbox.take();
    this.#replay.keep(message);
    this.#transport?.(message);
  }

  #acknowledge(): void {
    if (this.#transport === null) return;
    this.#acked = this.#received;
    this.#transport(ackFrame(this.#received));
  }

  #control(message: Uint8Array): void {
    this.#transport?.(message);
  }

  #ping(): void {
    const now = this.now();
    if (this.#transport === null || now - this.#pingedAt < PING_MS) return;
    this.#pingedAt = now;
    const payload = new Uint8Array(8);
    new DataView(payload.buffer).setFloat64(0, now);
    this.#transport(frame(PING, 0, payload));
  }

  #ponged(payload: Uint8Array): void {
    if (payload.byteLength !== 8) throw new FrameError(CLOSE.malformed, 'a PONG of a wrong length');
    const sent = new DataView(payload.buffer, payload.byteOffset).getFloat64(0);
    // Only the answer to the last one counts; anything else a peer makes up is not believed.
    if (sent !== this.#pingedAt) return;
    // The shortest: what queues of a busy moment add would widen windows, and so the queues.
    const shortest = this.#measured ? this.roundTrip : Infinity;
    this.roundTrip = Math.max(1, Math.min(this.now() - sent, shortest));
    this.#measured = true;
  }
}
