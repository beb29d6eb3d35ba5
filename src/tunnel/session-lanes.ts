/**
 * The lanes of a session object: one for each socket of a connector, or of a guest, and for GRACE after it dropped. Sockets
 * sleep with the object; what a lane needs to go on after that lies in the socket's attachment, written when nothing is
 * going on.
 */
import { CLOSE, FrameError } from './frame.ts';
import { EdgeLane, type HibernatingSocket, isOpen, type LaneKind, type SocketContext } from './session-lane.ts';
import type { LaneSnapshot } from './lane.ts';
import { closeReason } from './message.ts';
import { laneName, type LaneRequest, type LaneStatus } from './objects.ts';
import { base64url } from './sealed.ts';
import { GRACE, readResume, writeWelcome } from './welcome.ts';

export type { EdgeLane, HibernatingSocket, SocketContext } from './session-lane.ts';

export const MAX_LANES = 256; // of one session
export const SILENT = 75_000; // ms without a ping or a frame after which a socket counts as dead; three pings
export const MISSED = 30_000; // ms for which a connector that is gone is expected back
const ELSEWHERE_AFTER = 200; // ms that a dropped socket has to come back before requests go to another lane
export const MUTE = 5000; // ms that a connector has for its first word
export const MAX_UNSENT = 33_554_432; // bytes for one connector that its socket may hold back; twice the largest window

const CONNECTORS: LaneKind = { tag: 'lane', most: MAX_LANES, unsent: MAX_UNSENT, spareSlabs: 4, single: false };

interface Attachment<Request> {
  readonly request: Request;
  readonly id: string;
  readonly token: string;
  readonly since: number;
  readonly heard: number;
  readonly snapshot: LaneSnapshot;
  readonly note: unknown;
}

export class EdgeLanes<Request extends LaneRequest = LaneRequest> {
  readonly #context: SocketContext;
  readonly #kind: LaneKind;
  readonly #lanes = new Map<string, EdgeLane<Request>>();
  readonly #bySocket = new Map<HibernatingSocket, EdgeLane<Request>>();
  #waiting: (() => void)[] = [];
  #sessions = 1;
  /** When there was a lane last, or might have been: ms since the epoch. */
  presentAt = 0;

  constructor(context: SocketContext, kind = CONNECTORS) {
    this.#context = context;
    this.#kind = kind;
    for (const socket of context.getWebSockets(kind.tag)) if (isOpen(socket)) this.#restore(socket);
  }

  get count(): number {
    return this.#lanes.size;
  }
  get streams(): number {
    let streams = 0;
    for (const { lane } of this.#lanes.values()) streams += lane.size;
    return streams;
  }
  /** Requests that wait for a connector to come back. */
  get waiting(): number {
    return this.#waiting.length;
  }
  /** How many sessions the tunnel has, as the connector that came last was told. */
  get sessions(): number {
    return this.#sessions;
  }
  get(id: string): EdgeLane<Request> | null {
    return this.#lanes.get(id) ?? null;
  }
  all(): EdgeLane<Request>[] {
    return [...this.#lanes.values()];
  }

  #restore(socket: HibernatingSocket): void {
    const { request, id, token, since, heard, snapshot, note } = socket.deserializeAttachment() as Attachment<Request>;
    const edge = new EdgeLane(this.#kind, request, id, token, since, snapshot);
    edge.heard = heard;
    edge.note = note;
    edge.greeted = true;
    this.#lanes.set(id, edge);
    this.#join(edge, socket, snapshot.sent);
  }

  /** Lets a socket in: the lane that it resumes, or a new one. Null when there are too many, or it may only resume. */
  accept(socket: HibernatingSocket, request: Request): EdgeLane<Request> | null {
    const resumed = this.#resume(socket, request);
    if (resumed !== null || request.returns) return resumed;
    if (this.#lanes.size >= this.#kind.most) return null;
    const id = laneName(request.session, randomText());
    const edge = new EdgeLane(this.#kind, request, id, randomText(), Date.now(), null);
    this.#context.acceptWebSocket(socket, [this.#kind.tag]);
    this.#lanes.set(edge.id, edge);
    this.#welcome(edge, socket, false);
    this.#join(edge, socket, 0);
    this.save(edge);
    return edge;
  }

  /** The lane that a connector may go on with; null: none. */
  resumable(request: Request): EdgeLane<Request> | null {
    const resume = request.resume === '' ? null : readResume(request.resume);
    const edge = resume === null ? undefined : this.#lanes.get(resume.lane);
    if (resume === null || edge === undefined || edge.token !== resume.token) return null;
    // Nobody takes over the lane of another key, whatever token it learnt.
    const { connector, project } = edge.request;
    return connector === request.connector && project === request.project ? edge : null;
  }

  #resume(socket: HibernatingSocket, request: Request): EdgeLane<Request> | null {
    const edge = this.resumable(request);
    if (edge === null) return null;
    this.#leave(edge, CLOSE.malformed, 'another socket resumed this lane');
    const behind: Uint8Array[] = [];
    let welcomed = false;
    const send = (message: Uint8Array): void =>
      welcomed ? this.#transmit(socket, message) : void behind.push(message);
    if (!edge.lane.attach(send, readResume(request.resume)!.received)) {
      this.#lose(edge, 'the lane could not be resumed');
      return null;
    }
    edge.request = request;
    if (edge.expiry !== null) clearTimeout(edge.expiry);
    edge.expiry = null;
    this.#context.acceptWebSocket(socket, [this.#kind.tag]);
    this.#welcome(edge, socket, true);
    welcomed = true;
    for (const message of behind) this.#transmit(socket, message);
    this.#joined(edge, socket);
    this.save(edge);
    return edge;
  }

  #welcome(edge: EdgeLane<Request>, socket: HibernatingSocket, resumed: boolean): void {
    const { id: lane, token, request } = edge;
    socket.send(writeWelcome({ lane, token, resumed, received: edge.lane.received, url: request.url }));
  }

  #join(edge: EdgeLane<Request>, socket: HibernatingSocket, sent: number): void {
    edge.lane.attach((message) => this.#transmit(socket, message), sent);
    this.#joined(edge, socket);
  }

  #joined(edge: EdgeLane<Request>, socket: HibernatingSocket): void {
    edge.socket = socket;
    edge.late = false;
    edge.heard = this.presentAt = Date.now();
    this.#sessions = edge.request.sessions;
    this.#bySocket.set(socket, edge);
    if (!edge.greeted) setTimeout(() => this.#unheard(edge), ELSEWHERE_AFTER);
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
    this.#move();
  }

  /** Requests of sockets that are late are asked elsewhere, as soon as there is anybody. */
  #move(): void {
    if (this.pick(null, true) === null) return;
    for (const edge of this.#lanes.values()) if (edge.late) for (const move of [...edge.movable]) move();
  }

  #unheard(edge: EdgeLane<Request>): void {
    if (edge.greeted) return;
    edge.late = true;
    this.#move();
    // What was opened with its first bytes waits for nobody else to be there; not for longer than for a connector at all.
    if (!this.#kind.single)
      setTimeout(() => {
        if (!edge.greeted) this.close(edge, CLOSE.silent, 'the connector said nothing');
      }, MUTE - ELSEWHERE_AFTER);
  }

  /** Whether a socket that can be used may come soon: one was there a moment ago, or is and drains. */
  isExpected(now: number): boolean {
    if (now - this.presentAt < MISSED) return true;
    for (const { lane } of this.#bySocket.values()) if (lane.draining) return true;
    return false;
  }

  /** What the socket stands for; null for one of a lane that is gone. */
  laneOf(socket: HibernatingSocket): EdgeLane<Request> | null {
    return this.#bySocket.get(socket) ?? null;
  }

  /** A message of the peer. A fault of it ends the lane. */
  message(edge: EdgeLane<Request>, message: string | ArrayBuffer): void {
    edge.heard = Date.now();
    try {
      if (typeof message === 'string') throw new FrameError(CLOSE.malformed, 'a text that is no ping');
      edge.lane.receive(new Uint8Array(message));
      if (edge.greeted) return;
      edge.greeted = true;
      edge.late = false;
      this.#wake();
    } catch (error) {
      if (error instanceof FrameError) this.close(edge, error.code, error.message);
      else {
        this.close(edge, 1011, 'the edge failed');
        throw error;
      }
    }
  }

  /** The socket is gone: its lane waits for another one as long as there is something to go on with. */
  dropped(socket: HibernatingSocket, code = 1006): void {
    const edge = this.#bySocket.get(socket);
    if (edge === undefined) return;
    if (this.#kind.single && code === NORMAL) return this.close(edge, code, 'the other side has ended');
    this.#drop(edge, NORMAL, '');
  }

  #drop(edge: EdgeLane<Request>, code: number, reason: string): void {
    this.#leave(edge, code, reason);
    // A guest knows of its lane, or asks for no resume of it: one that nobody does ends with the grace.
    if (!this.#kind.single && (edge.lane.size === 0 || !edge.greeted))
      return this.#lose(edge, 'the other side is gone');
    edge.expiry = setTimeout(() => {
      edge.expiry = setTimeout(() => this.#lose(edge, 'the other side did not come back'), GRACE - ELSEWHERE_AFTER);
      edge.late = true;
      this.#move();
    }, ELSEWHERE_AFTER);
  }

  /** Ends a lane for good, with a close code that tells the connector why. */
  close(edge: EdgeLane<Request>, code: number, reason: string): void {
    this.#leave(edge, code, reason);
    this.#lose(edge, reason);
  }

  #leave(edge: EdgeLane<Request>, code: number, reason: string): void {
    const { socket } = edge;
    edge.lane.detach();
    edge.socket = null;
    if (socket === null) return;
    this.presentAt = Date.now();
    this.#bySocket.delete(socket);
    try {
      socket.close(code, closeReason(reason));
    } catch {
      // closed already
    }
  }

  #lose(edge: EdgeLane<Request>, reason: string): void {
    if (edge.expiry !== null) clearTimeout(edge.expiry);
    edge.expiry = null;
    this.#lanes.delete(edge.id);
    edge.lane.lose(reason);
    edge.onLost();
  }

  /**
   * A lane for a new stream: the less busy of two. Null when there is none but those in `not`. `movable`: the stream may go
   * with the first bytes of a lane, before its connector has spoken, which saves a round trip.
   */
  pick(not: ReadonlySet<EdgeLane> | null, movable: boolean): EdgeLane<Request> | null {
    const usable: EdgeLane<Request>[] = [];
    let early: EdgeLane<Request> | null = null;
    const now = Date.now();
    for (const edge of this.#lanes.values()) {
      if (!edge.isUsable(now) || not?.has(edge) === true) continue;
      if (edge.greeted) usable.push(edge);
      else if (movable && !edge.late) early = edge;
    }
    if (usable.length <= 1) return usable[0] ?? early;
    const first = Math.floor(Math.random() * usable.length);
    const second = (first + 1 + Math.floor(Math.random() * (usable.length - 1))) % usable.length;
    const [one, other] = [usable[first]!, usable[second]!];
    return one.lane.size <= other.lane.size ? one : other;
  }

  /** Resolves when a socket came, after `ms`, or when nobody waits any more by the word of `signal`. */
  wait(ms: number, signal: AbortSignal | null = null): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        // Whoever gave up waits no more: it would keep the object awake, and others out.
        this.#waiting = this.#waiting.filter((one) => one !== wake);
        wake();
      };
      const timer = setTimeout(giveUp, ms);
      signal?.addEventListener('abort', giveUp);
      this.#waiting.push(wake);
    });
  }

  /** Closes what has not been heard of for too long, or whose rights have expired. */
  check(now: number): void {
    for (const edge of this.#lanes.values()) {
      const { socket } = edge;
      if (!this.#kind.single) edge.lane.relieve();
      if (socket === null) continue;
      // Whoever has the next one goes on with the lane.
      if (edge.request.expires <= now) {
        if (this.#kind.single) this.close(edge, CLOSE.unauthorised, EXPIRED);
        else this.#drop(edge, CLOSE.unauthorised, EXPIRED);
      } else if (now - this.#heard(edge, socket) > SILENT)
        this.close(edge, CLOSE.silent, 'nothing was heard for too long');
    }
  }

  #heard(edge: EdgeLane<Request>, socket: HibernatingSocket): number {
    return Math.max(edge.heard, this.#context.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0);
  }

  /** Writes down what a lane needs to go on when the object slept. */
  save({ id, token, request, since, heard, lane, socket, note }: EdgeLane<Request>): void {
    const attachment: Attachment<Request> = { request, id, token, since, heard, snapshot: lane.snapshot(), note };
    socket?.serializeAttachment(attachment);
  }

  saveAll(): void {
    for (const edge of this.#lanes.values()) {
      edge.lane.idle();
      this.save(edge);
    }
  }

  status(): LaneStatus[] {
    return this.all().map(({ id, request, since, socket, lane }) => ({
      lane: id,
      connector: request.connector,
      peer: request.peer,
      since,
      attached: socket !== null,
      draining: lane.draining,
      streams: lane.size,
      roundTrip: lane.roundTrip,
    }));
  }

  #transmit(socket: HibernatingSocket, message: Uint8Array): void {
    const { unsent } = this.#kind;
    try {
      // SAFETY: credit bounds what streams send, but a peer that asks (PING, OPEN) and never reads has its answers held here.
      if ((socket.bufferedAmount ?? 0) > unsent)
        return socket.close(CLOSE.limit, `more than ${unsent} bytes wait for the other side`);
      socket.send(message);
    } catch {
      // It is closing: its close event follows, and what was sent is kept for a resume.
    }
  }
}

const NORMAL = 1000;
const EXPIRED = 'the capability has expired';

/** 128 bits. */
const randomText = (): string => base64url(crypto.getRandomValues(new Uint8Array(16)));
