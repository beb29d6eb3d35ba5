/**
 * Guests of a session: who reaches a TCP service by `access`. Each has a lane of its own with one stream, which is joined
 * here to a stream of the connector; so a guest's connection outlives its socket as a connector's does. What a guest has
 * not acknowledged its connector is not told to be consumed: all that a guest can make this end hold is one window of a
 * stream in each direction.
 */
import { MAX_BACKLOG } from '../backlog.ts';
import { CLOSE, RESET_CODE } from './frame.ts';
import { ACCESS_ACK, ACCESS_ANSWER_WINDOW, ACCESS_WINDOW } from './credit.ts';
import type { EdgeLane, HibernatingSocket, LaneKind, SocketContext } from './session-lane.ts';
import type { Watch } from './exchange.ts';
import type { Guest } from './objects.ts';
import { encodeOpening, TCP } from './opening.ts';
import { WaitingChunks } from './session-chunks.ts';
import { MAX_CLIENTS } from './session-clients.ts';
import { EdgeLanes } from './session-lanes.ts';
import type { ShownSocket } from './shown.ts';
import type { Visit } from './session-websocket.ts';
import type { StreamReset, StreamSnapshot, TunnelStream } from './stream.ts';

/** Bytes that a guest's socket may hold back, or that it may owe an ACK for, before its connector gets no more credit. */
export const MAX_HELD = 2 * ACCESS_ACK;
/**
 * Bytes that a session holds for all its guests, in both directions. SAFETY: windows bound each, and there may be thousands:
 * beyond it whoever costs most is let go.
 */
export const MAX_GUESTS_HELD = 2 * MAX_BACKLOG;
const LOOK_MIN = 5; // ms between looks at a socket that holds more, doubled each time
const LOOK_MAX = 500;

/** Twice what credit lets through: beyond it is somebody who breaks the rules. */
const GUESTS: LaneKind = {
  ...{ tag: 'guest', most: MAX_CLIENTS, single: true, spareSlabs: 1 },
  ...{ unsent: 2 * ACCESS_ANSWER_WINDOW, maxReplay: 2 * ACCESS_ANSWER_WINDOW },
};

/** What a guest needs to go on when the object slept. */
interface Note {
  readonly visit: Visit;
  readonly stream: number;
  readonly inner: StreamSnapshot;
  readonly guestStream: number;
  readonly outer: StreamSnapshot;
}

/** One direction: what comes waits for credit of the other side. */
class Passage {
  readonly #from: TunnelStream;
  readonly #to: TunnelStream;
  readonly #passed: (bytes: number) => void;
  readonly #chunks = new WaitingChunks();
  #busy = false;
  /** Bytes that came and that the other side has no credit for yet. */
  waiting = 0;

  /** `passed` is told of bytes that the other side has credit for. */
  constructor(
    from: TunnelStream,
    to: TunnelStream,
    seen: (chunk: Uint8Array) => void,
    passed: (bytes: number) => void,
  ) {
    this.#from = from;
    this.#to = to;
    this.#passed = passed;
    from.onData = (chunk) => {
      seen(chunk);
      this.waiting += chunk.byteLength;
      this.#chunks.push(chunk);
      this.#run();
    };
    from.onEnd = () => this.#run();
  }

  get quiet(): boolean {
    return !this.#busy && this.#chunks.count === 0;
  }

  #run(): void {
    while (!this.#busy && this.#to.open) {
      if (this.#chunks.count === 0) {
        if (this.#from.finished) this.#to.end();
        return;
      }
      const chunk = this.#chunks.take();
      const write = this.#to.write(chunk);
      if (!this.#to.writing) {
        this.waiting -= chunk.byteLength;
        this.#passed(chunk.byteLength);
        continue;
      }
      this.#busy = true;
      const { byteLength } = chunk;
      write.then(
        () => {
          this.#busy = false;
          this.waiting -= byteLength;
          this.#passed(byteLength);
          this.#run();
        },
        () => {}, // it was reset, and so is the other
      );
    }
  }
}

/** A guest's stream and a connector's, joined. */
class Joined {
  readonly edge: EdgeLane<Guest>;
  readonly visit: Visit;
  readonly inner: TunnelStream; // the connector's
  readonly outer: TunnelStream; // the guest's
  readonly watch: Watch | null;
  readonly #inward: Passage;
  readonly #outward: Passage;
  #pending = 0; // bytes that went to the guest, and that the connector was not told of
  #looking = false;
  readonly #changed: (joined: Joined) => void;
  /** As `changed` was told last. */
  held = 0;

  constructor(
    edge: EdgeLane<Guest>,
    visit: Visit,
    inner: TunnelStream,
    outer: TunnelStream,
    watch: Watch | null,
    changed: (joined: Joined) => void,
  ) {
    this.#changed = changed;
    this.edge = edge;
    this.visit = visit;
    this.inner = inner;
    this.outer = outer;
    this.watch = watch;
    outer.limitWindow(ACCESS_WINDOW);
    inner.limitWindow(ACCESS_ANSWER_WINDOW);
    this.#inward = new Passage(
      ...([outer, inner] as const),
      (chunk) => watch?.in(chunk),
      (bytes) => {
        outer.consumed(bytes);
        this.#changed(this);
      },
    );
    this.#outward = new Passage(
      ...([inner, outer] as const),
      (chunk) => watch?.out(chunk),
      (bytes) => this.#consume(bytes),
    );
    outer.onHead = () => outer.abort(RESET_CODE.protocol, 'a head of a guest');
    inner.onHead = () => inner.abort(RESET_CODE.protocol, 'a second head');
    inner.onReset = ({ code, message }) => {
      watch?.ended(message || 'aborted');
      outer.reset(code, message);
    };
    outer.onReset = ({ code, message }: StreamReset) => {
      watch?.ended(message || 'aborted');
      inner.reset(RESET_CODE.cancelled, code === RESET_CODE.lost ? 'the guest is gone' : message);
    };
    edge.onAcknowledged = () => this.#consume(0);
    edge.onClosed = () => {
      watch?.ended();
      // Its last bytes have come, with this message: it need not keep them, and may go.
      setTimeout(() => edge.lane.idle(), 0);
    };
  }

  /** True when nothing is under way, so that a note can say all there is. */
  get quiet(): boolean {
    return this.#inward.quiet && this.#outward.quiet && this.#pending === 0;
  }

  #consume(bytes: number): void {
    this.#pending += bytes;
    this.#changed(this);
    // Its next ACK comes back here.
    if (this.edge.lane.unacknowledged > MAX_HELD) return;
    if (this.#held > MAX_HELD) return this.#look(LOOK_MIN);
    const pending = this.#pending;
    this.#pending = 0;
    this.inner.consumed(pending);
  }

  get #held(): number {
    return this.edge.socket?.bufferedAmount ?? 0;
  }

  /** Bytes that it costs now. What its socket holds back is kept for a resume too, but for answers to pings. */
  get cost(): number {
    return this.#inward.waiting + this.#outward.waiting + Math.max(this.edge.lane.unacknowledged, this.#held);
  }

  #look(delay: number): void {
    if (this.#looking) return;
    this.#looking = true;
    setTimeout(() => {
      this.#looking = false;
      if (this.#held > MAX_HELD) this.#look(Math.min(LOOK_MAX, delay * 2));
      else this.#consume(0);
    }, delay);
  }

  note(): Note | null {
    if (!this.inner.open || !this.outer.open) return null;
    const [inner, outer] = [this.inner.snapshot(), this.outer.snapshot()];
    if (inner === null || outer === null) return null;
    return { visit: this.visit, stream: this.inner.id, inner, guestStream: this.outer.id, outer };
  }
}

export class Guests {
  readonly #lanes: EdgeLanes<Guest>;
  readonly #visits = new Map<EdgeLane<Guest>, Joined>();
  /** Guests whose stream is not open yet: a right may end while they wait for it. */
  readonly #arriving = new Set<Guest>();
  #held = 0; // bytes

  /** Takes up the sockets that slept; the lanes of connectors have theirs already. */
  constructor(context: SocketContext, connectors: EdgeLanes) {
    this.#lanes = new EdgeLanes(context, GUESTS);
    for (const edge of this.#lanes.all()) {
      const note = edge.note as Note | null;
      const lane = note === null ? undefined : connectors.get(note.visit.lane)?.lane;
      if (note === null || lane === undefined) {
        this.#lanes.close(edge, CLOSE.gone, 'the connector is gone');
        continue;
      }
      const inner = lane.adopt(note.stream, note.inner);
      this.#add(edge, note.visit, inner, edge.lane.adopt(note.guestStream, note.outer), null);
    }
  }

  get count(): number {
    return this.#lanes.count;
  }
  /** Streams of connectors that guests have open. */
  get streams(): number {
    let streams = 0;
    for (const { inner } of this.#visits.values()) streams += Number(inner.open);
    return streams;
  }
  get quiet(): boolean {
    for (const visit of this.#visits.values()) if (!visit.quiet) return false;
    return true;
  }
  /** When the first right of a guest ends: ms since the epoch. */
  get expires(): number {
    return Math.min(...this.#lanes.all().map(({ request }) => request.expires));
  }

  /** A guest asks for a stream. Calls back with what says that it does so no more. */
  arrive(guest: Guest): () => void {
    this.#arriving.add(guest);
    return () => this.#arriving.delete(guest);
  }

  /**
   * Joins a guest's socket and a stream of the connector, which said yes. False: the guest's right has ended
   * meanwhile, or there are too many.
   */
  accept(socket: HibernatingSocket, guest: Guest, visit: Visit, inner: TunnelStream, watch: Watch | null): boolean {
    if (!this.#arriving.has(guest)) return false;
    const edge = this.#lanes.accept(socket, guest);
    if (edge === null) return false;
    const outer = edge.lane.open(encodeOpening({ kind: TCP, service: guest.service }));
    this.#add(edge, visit, inner, outer, watch);
    return true;
  }

  /** Goes on with a connection whose socket was lost. False: there is none. */
  resume(socket: HibernatingSocket, guest: Guest): boolean {
    return this.resumable(guest) && this.#lanes.accept(socket, guest) !== null;
  }

  resumable(guest: Guest): boolean {
    return this.#lanes.resumable(guest)?.request.service === guest.service;
  }

  #add(edge: EdgeLane<Guest>, visit: Visit, inner: TunnelStream, outer: TunnelStream, watch: Watch | null): void {
    const joined = new Joined(edge, visit, inner, outer, watch, this.#weigh);
    this.#visits.set(edge, joined);
    edge.onLost = () => {
      watch?.ended();
      this.#visits.delete(edge);
      this.#held -= joined.held;
      joined.held = 0;
    };
  }

  readonly #weigh = (joined: Joined): void => {
    const { edge, cost } = joined;
    if (this.#visits.get(edge) !== joined) return;
    this.#held += cost - joined.held;
    joined.held = cost;
    while (this.#held > MAX_GUESTS_HELD) {
      let most = joined;
      for (const one of this.#visits.values()) if (one.held > most.held) most = one;
      this.#lanes.close(
        most.edge,
        CLOSE.limit,
        `more than ${MAX_GUESTS_HELD} bytes wait for guests and their services`,
      );
    }
  };

  /** Those that are open, for who begins to look. */
  shown(): ShownSocket[] {
    return [...this.#visits.values()].map(({ visit }) => visit.shown);
  }

  laneOf(socket: HibernatingSocket): EdgeLane<Guest> | null {
    return this.#lanes.laneOf(socket);
  }

  message(edge: EdgeLane<Guest>, message: string | ArrayBuffer): void {
    this.#lanes.message(edge, message);
    const joined = this.#visits.get(edge);
    if (joined !== undefined) this.#weigh(joined);
  }

  left(socket: HibernatingSocket, code: number): void {
    this.#lanes.dropped(socket, code);
  }

  /** Ends what guests have open whose right has ended, and lets none in that was on its way. How many. */
  cut(ended: (guest: Guest) => boolean, code: number, reason: string): number {
    for (const guest of this.#arriving) if (ended(guest)) this.#arriving.delete(guest);
    const cut = this.#lanes.all().filter(({ request }) => ended(request));
    for (const edge of cut) this.#lanes.close(edge, code, reason);
    return cut.length;
  }

  /** Ends what was not heard of for too long, or whose right has expired. */
  check(now: number): void {
    for (const guest of this.#arriving) if (guest.expires <= now) this.#arriving.delete(guest);
    this.#lanes.check(now);
  }

  /** Writes everything down; nothing is under way. */
  save(): void {
    for (const visit of this.#visits.values()) visit.edge.note = visit.note();
    this.#lanes.saveAll();
  }
}
