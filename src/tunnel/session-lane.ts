/** One lane of a session object, and the sockets that it lives on, as the runtime gives them. */
import { CLOSE, FrameError } from './frame.ts';
import { Lane, type LaneSnapshot } from './lane.ts';
import type { LaneRequest } from './objects.ts';

const BATCH_FROM = 4; // streams open on a lane

/** A hibernating WebSocket, as far as it is used here. */
export interface HibernatingSocket {
  send(message: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
  /** Bytes that `send` took and that have not left; where the runtime does not say, undefined. */
  readonly bufferedAmount?: number;
  readonly readyState: number;
}

/**
 * False for one that this end has closed and whose peer has not answered. The runtime lists those too when an object wakes,
 * for as long as their connections last: what they stood for is over.
 */
export const isOpen = ({ readyState }: HibernatingSocket): boolean => readyState === 1;

/** What the object's state gives, as far as it is used here. */
export interface SocketContext {
  acceptWebSocket(socket: HibernatingSocket, tags: string[]): void;
  getWebSockets(tag: string): HibernatingSocket[];
  getWebSocketAutoResponseTimestamp(socket: HibernatingSocket): Date | null;
}

/** What differs between lanes of connectors and of guests. */
export interface LaneKind {
  /** Of their sockets. */
  readonly tag: string;
  readonly most: number; // of one session
  readonly unsent: number; // bytes that a socket may hold back
  readonly spareSlabs: number; // of a lane
  readonly maxReplay?: number; // bytes
  /**
   * There is one stream in the life of the lane: it is kept for the grace also when that has ended, as its last bytes may
   * not have arrived, and it ends when its right does, as nobody else has any business with it.
   */
  readonly single: boolean;
}

export class EdgeLane<Request extends LaneRequest = LaneRequest> {
  readonly id: string;
  readonly token: string;
  /** Of the socket that came last: each brings rights of its own. */
  request: Request;
  readonly since: number;
  readonly lane: Lane;
  socket: HibernatingSocket | null = null;
  /** When a frame arrived last, ms since the epoch; pings are answered without anybody knowing. */
  heard: number;
  /** Requests that wait for an answer to begin and may ask another lane instead. */
  readonly movable = new Set<() => void>();
  expiry: ReturnType<typeof setTimeout> | null = null;
  /** The next socket, or the first word on this one, takes long: requests need not wait for it. */
  late = false;
  /** The peer has more of what was sent. */
  onAcknowledged: () => void = () => {};
  /** A stream closed; `open` are left. */
  onClosed: (open: number) => void = () => {};
  /** The lane is gone for good; its streams have been told. */
  onLost: () => void = () => {};
  /** What its owner needs to go on when the object slept: JSON. */
  note: unknown = null;

  constructor(
    kind: LaneKind,
    request: Request,
    id: string,
    token: string,
    since: number,
    snapshot: LaneSnapshot | null,
  ) {
    this.request = request;
    this.id = id;
    this.token = token;
    this.since = this.heard = since;
    this.lane = new Lane(
      {
        role: 'edge',
        now: Date.now,
        spareSlabs: kind.spareSlabs,
        ...(kind.maxReplay !== undefined && { maxReplay: kind.maxReplay }),
        onAcknowledged: () => this.onAcknowledged(),
        onClosed: (open) => this.onClosed(open),
        // PERF: each request is an event of its own here, so only a later turn can put those of several into one message.
        // Ratio of the edge's CPU per request to a direct dial's, 32 connections: 1.7 without, 1.4 with. With few streams
        // there is nothing to wait for; and no `queueMicrotask`, whose wrapped function lives until a full collection.
        soon: (run) => (this.lane.size < BATCH_FROM ? void Promise.resolve().then(run) : void setTimeout(run, 0)),
        // No peer opens streams: what it wants of others goes through `access`, where it is asked who it is.
        onStream: () => {
          throw new FrameError(CLOSE.malformed, 'streams are opened by the edge');
        },
        onGoaway: () => {},
      },
      snapshot,
    );
  }

  /**
   * The connector has spoken, so it knows of this lane. One whose welcome was lost on the way asks for no resume: until then
   * the lane carries nothing but what may be asked of another one, and does not outlive its socket.
   */
  greeted = false;

  isUsable(now: number): boolean {
    return this.socket !== null && this.lane.accepting && this.request.expires > now;
  }
}
