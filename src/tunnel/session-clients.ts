/**
 * The clients of a session object that have a WebSocket open. The sockets sleep with the object; their attachments hold
 * what a stream needs to go on.
 */
import type { Watch } from './exchange.ts';
import { RESET_CODE } from './frame.ts';
import { isOpen } from './session-lane.ts';
import type { EdgeLanes, HibernatingSocket, SocketContext } from './session-lanes.ts';
import { Client, type ClientAttachment, RESTART, type Sums, type Visit } from './session-websocket.ts';
import type { ShownSocket } from './shown.ts';
import type { TunnelStream } from './stream.ts';

const TAG = 'client';
export const MAX_CLIENTS = 16_384; // sockets of one session
export const MAX_LISTED = 256; // open sockets that are told of at once
/** SPEC: RFC 6455 section 7.4.1. */
const WENT_AWAY = 1001;

export class Clients {
  readonly #context: SocketContext;
  readonly #clients = new Map<HibernatingSocket, Client>();
  readonly #sums: Sums = { queued: 0, assembled: 0 };

  /** Takes up the sockets that slept; the lanes have theirs already. */
  constructor(context: SocketContext, lanes: EdgeLanes) {
    this.#context = context;
    for (const socket of context.getWebSockets(TAG)) {
      // Nothing was written of one that was closed at once.
      const note = socket.deserializeAttachment() as ClientAttachment | null;
      const edge = note === null ? null : lanes.get(note.visit.lane);
      if (note === null || edge === null) {
        closeQuietly(socket, RESTART);
        continue;
      }
      const stream = edge.lane.adopt(note.stream, note.snapshot);
      if (isOpen(socket)) this.#add(socket, note.visit, stream).restored(note.snapshot);
      else {
        stream.reset(RESET_CODE.cancelled, 'the client does not answer a close');
        socket.serializeAttachment(null);
      }
    }
  }

  get count(): number {
    return this.#clients.size;
  }
  get quiet(): boolean {
    for (const client of this.#clients.values()) if (!client.quiet) return false;
    return true;
  }

  /** Joins a client's socket and a stream whose head said yes. */
  accept(socket: HibernatingSocket, visit: Visit, stream: TunnelStream, watch: Watch | null = null): void {
    this.#context.acceptWebSocket(socket, [TAG]);
    this.#add(socket, visit, stream).watch = watch;
  }

  #add(socket: HibernatingSocket, visit: Visit, stream: TunnelStream): Client {
    const client = new Client(socket, visit, stream, this.#sums, () => {
      client.release();
      this.#clients.delete(socket);
    });
    this.#clients.set(socket, client);
    return client;
  }

  /** Those that are open, for who begins to look: as many as MAX_LISTED. */
  shown(): ShownSocket[] {
    return [...this.#clients.values()].slice(0, MAX_LISTED).map(({ visit }) => visit.shown);
  }

  of(socket: HibernatingSocket): Client | null {
    return this.#clients.get(socket) ?? null;
  }

  left(socket: HibernatingSocket, code: number, reason: string): void {
    this.#clients.get(socket)?.left(code === 1006 ? WENT_AWAY : code, reason);
    closeQuietly(socket, code);
  }

  /** Says again what waits: see backlog.ts. */
  tell(): void {
    for (const client of this.#clients.values()) client.tell();
  }

  /** Writes down what changed. */
  save(): void {
    for (const client of this.#clients.values()) client.save();
  }
}

/** Answers a close, where the runtime has not. */
function closeQuietly(socket: HibernatingSocket, code: number): void {
  try {
    if (code === 1005 || code === 1006) socket.close();
    else socket.close(code);
  } catch {
    // closed already
  }
}
