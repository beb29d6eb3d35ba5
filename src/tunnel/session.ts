/**
 * TunnelSession: the Durable Object that holds the sockets of connectors and the streams on them. Requests of the public
 * come by `fetch` from the dial of src/platform/tunnels.ts, sockets of connectors from src/router/tunnel.ts, commands of
 * the control API as methods; objects.ts says which is which. Sockets of either kind sleep with the object.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../platform/bindings.ts';
import type { AccessRule } from './access.ts';
import { joins, type Network } from './capability.ts';
import { CLOSE, RESET_CODE, SUBPROTOCOL } from './frame.ts';
import type { Watch } from './exchange.ts';
import { HeadError, type RequestHead, type ResponseHead } from './head.ts';
import {
  type Admission,
  type Claim,
  type Guest,
  GUEST_HEADER,
  LANE_HEADER,
  type LaneRequest,
  MAX_SESSIONS,
  type NotedRequests,
  openSessions,
  type SessionStatus,
  type TunnelSessionMethods,
} from './objects.ts';
import { encodeOpening, HTTP, TCP, WEBSOCKET } from './opening.ts';
import { Clients, MAX_CLIENTS, MAX_LISTED } from './session-clients.ts';
import { Departures } from './session-departures.ts';
import { type Ask, ask, failure, fieldsOf, fromLatin1, noted, toLatin1 } from './session-http.ts';
import { type EdgeLane, EdgeLanes } from './session-lanes.ts';
import { Guests } from './session-guests.ts';
import { SessionMemory } from './session-memory.ts';
import { SessionWatch } from './session-watch.ts';
import type { Visit } from './session-websocket.ts';
import { shownSocket } from './shown.ts';
import { StreamReset, type TunnelStream } from './stream.ts';
import { PING_TEXT, PONG_TEXT } from './welcome.ts';

const TICK = 1000; // ms of quiet after which the object may sleep
const WATCH = 120_000; // ms between looks at connectors, while nothing but open WebSockets keeps a session busy
const PATIENCE = 5000; // ms that a request waits for a connector that was there a moment ago
const DRAINED = 30_000; // ms for which a session of a process that ends takes no sockets
export const MAX_WAITING = 1024; // requests that wait for a connector
const MAX_TRIES = 4; // of a request: one that is the end of whoever gets it does not go on to the next for ever
const REVOKED = 'the capability was revoked';
const BARRED = 'the policy does not let this connector reach that service any more';
const DISTRUSTED = 'this edge does not serve the project any more';

/** By the kind of an opening. */
const KINDS = { [HTTP]: 'http', [WEBSOCKET]: 'websocket', [TCP]: 'tcp' } as const;

/** SPEC: RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY']);

export class TunnelSession extends DurableObject<Env> implements TunnelSessionMethods {
  readonly #memory: SessionMemory;
  readonly #lanes: EdgeLanes;
  readonly #clients: Clients;
  readonly #guests: Guests;
  readonly #watch = new SessionWatch();
  readonly #departures = new Departures();
  readonly #startedAt = Date.now();
  #active = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #drainedUntil = 0;
  readonly #keep = (work: Promise<unknown>): void => this.ctx.waitUntil(work);

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#memory = new SessionMemory(context.storage.sql);
    this.#lanes = new EdgeLanes(context as unknown as ConstructorParameters<typeof EdgeLanes>[0]);
    this.#clients = new Clients(context as unknown as ConstructorParameters<typeof Clients>[0], this.#lanes);
    this.#guests = new Guests(context as unknown as ConstructorParameters<typeof Guests>[0], this.#lanes);
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING_TEXT, PONG_TEXT));
  }

  override fetch(request: Request): Response | Promise<Response> {
    // After a quiet time: nobody has looked at the connectors since.
    if (this.#timer === null) this.#lanes.check(Date.now());
    this.#touch();
    const { url } = request;
    // `new URL` would normalise the target, which is the origin's to see as the pipeline made it.
    const begin = url.indexOf('/', url.indexOf('://') + 3) + 1;
    const [, kind, sessions, waits, service, target] = PLACE.exec(url.slice(begin)) ?? [];
    const host = url.slice(url.indexOf('://') + 3, begin - 1);
    if (kind === 'l') return this.#connect(request);
    if (kind === undefined || service === undefined) return failure(400, 'no request to a session');
    const wants = kind === 'a' || (kind === 's' && request.headers.get('upgrade') === 'websocket');
    // A dial that knows of other sessions asks them first.
    const patience = sessions === '' || waits === 'w' ? PATIENCE : 0;
    const guest = kind === 'a' ? (JSON.parse(request.headers.get(GUEST_HEADER) ?? '') as Guest) : null;
    if (guest !== null && guest.generation <= this.#memory.revoked) return failure(403, REVOKED);
    if (guest !== null && guest.resume !== '') return this.#resume(guest);
    const decided = guest === null ? null : this.#guests.arrive(guest);
    const sent = this.#send(request, service, host, target || '/', wants, kind !== 's', guest, patience);
    const answer = decided === null ? sent : sent.finally(decided);
    // One without sockets has not been told.
    const told = this.#lanes.count === 0 || this.#lanes.sessions === Number(sessions || 1);
    return told ? answer : answer.then((one) => noted(one, this.#lanes.sessions));
  }

  async #send(
    request: Request,
    service: string,
    host: string,
    target: string,
    wants: boolean,
    raw: boolean,
    guest: Guest | null,
    patience: number,
  ): Promise<Response> {
    const { method, headers } = request;
    const body = wants ? null : request.body;
    const kind = raw ? TCP : wants ? WEBSOCKET : HTTP;
    const clients = this.#clients.count + this.#guests.count;
    if (wants && clients >= MAX_CLIENTS) return failure(503, `more than ${MAX_CLIENTS} WebSockets`);
    let opening: Uint8Array;
    let head: RequestHead | null = null;
    try {
      if (kind === TCP) opening = encodeOpening({ kind, service });
      else {
        head = { method, target: toLatin1(target), fields: fieldsOf(headers, host) };
        opening = encodeOpening({ kind, service, head });
      }
    } catch (error) {
      if (!(error instanceof HeadError)) throw error;
      return failure(431, error.message);
    }
    const movable = body === null && !raw && IDEMPOTENT.has(method);
    const watch = this.#watch.begin(KINDS[kind], service, head);
    const notice = (left: () => void): (() => void) => this.#departures.notice(request, left);
    const question: Omit<Ask, 'join'> = { kind, opening, method, body, notice, movable, watch };
    let tried: Set<EdgeLane> | null = null;
    let last: StreamReset | null = null;
    const began = Date.now();
    for (let tries = 0; tries < MAX_TRIES;) {
      const edge = this.#lanes.pick(tried, movable);
      if (edge === null) {
        // Whoever waits does so from when the last socket was lost, however long the origin had taken by then.
        const wait = Math.max(began, this.#lanes.presentAt) + patience - Date.now();
        const hopeless = last !== null && last.code !== RESET_CODE.lost;
        if (hopeless || wait <= 0 || !this.#expected()) break;
        await this.#lanes.wait(wait, request.signal);
        if (request.signal.aborted) break;
        continue;
      }
      const visit = wants ? { lane: edge.id, shown: shownSocket(service, head, began) } : null;
      const join =
        visit && ((stream: TunnelStream, answered: ResponseHead) => this.#join(visit, stream, answered, guest, watch));
      const answer = await ask(edge, { ...question, join }, this.#keep);
      this.#active = true;
      if (!(answer instanceof StreamReset)) return answer;
      last = answer;
      // Whoever never spoke may be there for nobody, and did not end by this request.
      if (edge.greeted || answer.code !== RESET_CODE.lost) tries++;
      // What was refused was not acted on; what was lost may have been.
      const again =
        body === null &&
        (answer.code === RESET_CODE.refused ||
          answer.code === RESET_CODE.unreachable ||
          (answer.code === RESET_CODE.lost && movable));
      if (!again) break;
      // A lane whose socket was lost is picked once it has another: were it left out, nobody would be there after the second loss.
      if (answer.code !== RESET_CODE.lost) (tried ??= new Set()).add(edge);
    }
    watch?.ended(last?.message ?? 'no connector of the tunnel is connected');
    if (last === null) return failure(503, 'no connector of the tunnel is connected');
    return failure(last.code === RESET_CODE.timedOut ? 504 : 502, last.message);
  }

  /** Whether a connector may be back soon. */
  #expected(): boolean {
    if (this.#lanes.waiting >= MAX_WAITING) return false;
    const now = Date.now();
    if (this.#lanes.isExpected(now)) return true;
    return now - this.#startedAt < PATIENCE && this.#memory.project !== '';
  }

  /** The origin, or the TCP target, agreed: joins the client's socket and the stream. */
  #join(visit: Visit, stream: TunnelStream, head: ResponseHead, guest: Guest | null, watch: Watch | null): Response {
    const { 0: client, 1: ours } = new WebSocketPair();
    if (guest === null) this.#clients.accept(ours, visit, stream, watch);
    else if (!this.#guests.accept(ours, guest, visit, stream, watch)) {
      watch?.ended('the right of the guest has ended');
      stream.reset(RESET_CODE.cancelled, 'the right of the guest has ended');
      return failure(403, 'the right to the service has ended');
    }
    const headers = new Headers(guest === null ? {} : { 'sec-websocket-protocol': SUBPROTOCOL });
    for (const [name, value] of head.fields)
      if (!OF_HANDSHAKE.has(name.toLowerCase()) && !name.toLowerCase().startsWith('x-sallyport-'))
        headers.append(name, fromLatin1(value));
    return new Response(null, { status: 101, headers, webSocket: client });
  }

  /** A guest whose socket was lost goes on, if there is something to go on with. */
  #resume(guest: Guest): Response {
    if (this.#guests.resumable(guest)) {
      const { 0: client, 1: ours } = new WebSocketPair();
      if (this.#guests.resume(ours, guest))
        return new Response(null, {
          ...{ status: 101, headers: { 'sec-websocket-protocol': SUBPROTOCOL } },
          webSocket: client,
        });
    }
    return failure(410, 'the edge has not kept the connection');
  }

  /** A socket of a connector whose rights the worker has verified. */
  #connect(request: Request): Response {
    const lane = JSON.parse(request.headers.get(LANE_HEADER) ?? '') as LaneRequest;
    // What is open here may still go on, over another socket.
    if (Date.now() < this.#drainedUntil && this.#lanes.resumable(lane) === null)
      return refusal(503, CLOSE.draining, 'this edge is restarting');
    if (lane.generation <= this.#memory.revoked) return refusal(403, CLOSE.revoked, REVOKED);
    const { 0: client, 1: ours } = new WebSocketPair();
    if (this.#lanes.accept(ours, lane) === null)
      return refusal(429, CLOSE.limit, 'the session has as many sockets of connectors as it can have');
    if (this.ctx.id.name !== undefined) openSessions.add(this.ctx.id.name);
    const headers = { 'sec-websocket-protocol': SUBPROTOCOL };
    return new Response(null, { status: 101, headers, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void | Promise<void> {
    this.#touch();
    const edge = this.#lanes.laneOf(socket);
    if (edge !== null) return this.#lanes.message(edge, message);
    const guest = this.#guests.laneOf(socket);
    if (guest !== null) return this.#guests.message(guest, message);
    return this.#clients.of(socket)?.message(message);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#touch();
    if (this.#lanes.laneOf(socket) !== null) this.#lanes.dropped(socket);
    else if (this.#guests.laneOf(socket) !== null) this.#guests.left(socket, code);
    else this.#clients.left(socket, code, reason);
  }

  override webSocketError(socket: WebSocket): void {
    this.webSocketClose(socket, 1006, '');
  }

  /** Nobody may notice a connector that vanished while clients only listen. */
  override async alarm(): Promise<void> {
    this.#touch();
  }

  #touch(): void {
    this.#active = true;
    if (this.#timer === null) this.#timer = setTimeout(() => this.#tick(), TICK);
  }

  #tick(): void {
    const now = Date.now();
    this.#lanes.check(now);
    this.#clients.tell();
    this.#guests.check(now);
    const requests = this.#lanes.streams - this.#clients.count - this.#guests.streams;
    const quiet = this.#clients.quiet && this.#guests.quiet;
    const busy = this.#active || requests > 0 || this.#lanes.waiting > 0 || !quiet;
    this.#active = false;
    if (busy) return void (this.#timer = setTimeout(() => this.#tick(), TICK));
    this.#timer = null;
    if (this.#lanes.count === 0 && this.ctx.id.name !== undefined) openSessions.delete(this.ctx.id.name);
    this.#lanes.saveAll();
    this.#clients.save();
    this.#guests.save();
    if (this.#clients.count + this.#guests.count === 0) return;
    this.#keep(this.ctx.storage.setAlarm(Math.min(now + WATCH, this.#guests.expires)));
  }

  async admit(claim: Claim): Promise<Admission> {
    return this.#memory.admit(claim, Date.now());
  }

  async revoke(until: number): Promise<number> {
    this.#memory.revoke(until);
    const revoked = this.#lanes.all().filter(({ request }) => request.generation <= until);
    for (const edge of revoked) this.#lanes.close(edge, CLOSE.revoked, REVOKED);
    this.#guests.cut(({ generation }) => generation <= until, CLOSE.revoked, REVOKED);
    return revoked.length;
  }

  async trust(projects: readonly string[], networks: readonly Network[] | null): Promise<number> {
    const lanes = this.#lanes.all().filter(({ request }) => !projects.includes(request.project));
    for (const edge of lanes) this.#lanes.close(edge, CLOSE.revoked, DISTRUSTED);
    const strangers = this.#guests.cut(({ project }) => !projects.includes(project), CLOSE.revoked, DISTRUSTED);
    const barred = ({ names, tunnel, service }: Guest): boolean => !joins(networks, names, tunnel, service);
    return lanes.length + strangers + this.#guests.cut(barred, CLOSE.revoked, BARRED);
  }

  async reserve(project: string): Promise<boolean> {
    return this.#memory.reserve(project);
  }

  async expose(rule: AccessRule | null): Promise<void> {
    this.#memory.expose(rule);
  }

  async exposed(): Promise<AccessRule | null> {
    return this.#memory.access;
  }

  async cut(project: string, service: string): Promise<number> {
    const ended = (guest: Guest): boolean => guest.project === project && guest.service === service;
    return this.#guests.cut(ended, CLOSE.revoked, 'the offer was withdrawn');
  }

  async drain(reason: string, ends = false): Promise<number> {
    this.#touch();
    if (ends) this.#drainedUntil = Date.now() + DRAINED;
    const lanes = this.#lanes.all();
    for (const { lane } of lanes) lane.goaway(CLOSE.draining, reason);
    return lanes.length;
  }

  async spread(sessions: number): Promise<void> {
    if (!Number.isInteger(sessions) || sessions < 1 || sessions > MAX_SESSIONS)
      throw new RangeError(`a tunnel has 1 to ${MAX_SESSIONS} sessions`);
    if (sessions === this.#memory.sessions) return;
    this.#memory.spread(sessions);
    // Their connectors dial again, and are told where each socket belongs now.
    await this.drain('the tunnel has another number of sessions');
  }

  async retire(): Promise<void> {
    for (const edge of this.#lanes.all()) this.#lanes.close(edge, CLOSE.draining, 'the tunnel has fewer sessions');
  }

  async status(): Promise<SessionStatus> {
    const { project, revoked, sessions } = this.#memory;
    const lanes = this.#lanes.status();
    return { project, sessions, revoked, lanes, streams: this.#lanes.streams };
  }

  async requests(project: string, after: number, inspect: boolean): Promise<NotedRequests | null> {
    const owner = this.#memory.project;
    const foreign = this.#lanes.all().some(({ request }) => request.project !== project);
    if (foreign || (owner !== '' && owner !== project)) return null;
    return {
      ...this.#watch.read(after, inspect),
      open: after < 0 ? [...this.#clients.shown(), ...this.#guests.shown()].slice(0, MAX_LISTED) : [],
    };
  }

  async listed(): Promise<void> {
    this.#memory.listed();
  }

  async forget(until: number): Promise<void> {
    for (const edge of this.#lanes.all()) this.#lanes.close(edge, CLOSE.revoked, 'the tunnel was deleted');
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#watch.stop();
    this.#memory.forget();
    // What is forgotten is the owner; that is not, or a connector that comes back would take the name again.
    this.#memory.revoke(until);
  }
}

/** `KIND SESSIONS WAITS:SERVICE` and the target behind it. */
const PLACE = /^([salt])(\d{0,2})(w?):([a-z0-9-]{0,63})((?:[/?].*)?)$/s;

/** What the runtime writes itself in an answer that switches protocols. */
const OF_HANDSHAKE = new Set([
  ...['connection', 'upgrade', 'sec-websocket-accept', 'sec-websocket-extensions', 'content-length'],
  'transfer-encoding',
]);

function refusal(status: number, code: number, detail: string): Response {
  return Response.json({ status, code, detail }, { status });
}
