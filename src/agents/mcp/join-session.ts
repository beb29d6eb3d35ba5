/**
 * A joined endpoint in the words of the versions with sessions: a session of ours stands for one at each server. A server of
 * 2026-07-28 has none; its requests get what the client said of itself at the beginning.
 */
import type { McpJoinPlan, McpServerPlan } from '../../plan.ts';
import { accepted, json, nobody, passAnswer } from './join-answer.ts';
import { MAX_INITIALIZE } from './join-limits.ts';
import { failure, gather, joinInitialized, joinLists, pageOf, success, withCursor } from './join-list.ts';
import { type Places, splitId, splitPlaces } from './join-names.ts';
import { isRouted, route } from './join-route.ts';
import { fromServer, LISTS, type Message } from './join-rewrite.ts';
import {
  type ClientWords,
  closeServer,
  type Era,
  inTime,
  type JoinContext,
  mediaType,
  openServer,
  post,
  ServerFailure,
  type ServerSession,
  SessionLost,
  setSession,
  WITH_SESSIONS,
  withMetadata,
} from './join-server.ts';
import { INVALID_PARAMS, listedResult, METHOD_NOT_FOUND, unknown } from './join-stateless.ts';
import { weave } from './join-stream.ts';
import { mapMember, member, stringOf } from './json-parts.ts';
import { endSession, findSession, openSession, type SessionStore } from './sessions.ts';

const INVALID_REQUEST = -32600;
/** SPEC: MCP 2025-11-25, resources, error handling. */
const RESOURCE_NOT_FOUND = -32002;
const NO_SESSION = -32001;

/** What is known of a session of ours. */
interface JoinedSession {
  readonly version: string;
  readonly client: ClientWords;
  readonly servers: ReadonlyMap<McpServerPlan, ServerSession>;
}

export interface Sessions extends SessionStore {
  readonly ttl: number; // seconds
}

export async function answerInSession(
  context: JoinContext,
  sessions: Sessions,
  request: { readonly method: string; readonly session: string | null; readonly lastEvent: string | null },
  message: Message | null,
): Promise<Response> {
  const { method, session: id } = request;
  if (message?.method === 'initialize' && id === null) return await initialize(context, sessions, message);
  if (id === null) return json(400, failure({ id: undefined }, -32000, 'a session begins with initialize'));
  if (method === 'DELETE') {
    const kept = await endSession(sessions, id);
    if (kept === null) return lost(message);
    const { servers } = readSession(context.join, kept);
    await Promise.all([...servers].map(([server, session]) => closeServer(context, server, session)));
    return new Response(null, { status: 200 });
  }
  const kept = await findSession(sessions, id);
  if (kept === null) return lost(message);
  const session = readSession(context.join, kept);
  try {
    return message === null
      ? await stream(context, session, request.lastEvent)
      : await answer(context, session, message);
  } catch (error) {
    if (!(error instanceof SessionLost)) throw error;
    // One server does not know it any more, so the whole is over: the client begins again, and finds who is there then.
    await endSession(sessions, id);
    for (const [server, own] of session.servers) context.later(closeServer(context, server, own));
    return lost(message);
  }
}

function lost(message: Message | null): Response {
  return json(404, failure(message ?? { id: undefined }, NO_SESSION, 'Session not found'));
}

function writeSession({ version, client, servers }: JoinedSession): string {
  const own = [...servers].map(([{ name }, { era, id, version: of, endpoint }]) => [name, era, id, of, endpoint]);
  return JSON.stringify([version, client.capabilities, client.info, own]);
}

function readSession(join: McpJoinPlan, text: string): JoinedSession {
  const [version, capabilities, info, list] = JSON.parse(text) as [string, string, string, string[][]];
  const servers = new Map<McpServerPlan, ServerSession>();
  for (const [name, era, id = '', of = '', endpoint = ''] of list) {
    const server = join.servers.find((one) => one.name === name);
    if (server !== undefined) servers.set(server, { era: era as Era, id, version: of, endpoint });
  }
  return { version, client: { capabilities, info }, servers };
}

async function initialize(context: JoinContext, sessions: Sessions, message: Message): Promise<Response> {
  const { params = '{}' } = message;
  const client: ClientWords = {
    capabilities: member(params, 'capabilities') ?? '{}',
    info: member(params, 'clientInfo') ?? '{}',
  };
  if (client.capabilities.length + client.info.length > MAX_INITIALIZE)
    return json(400, failure(message, INVALID_PARAMS, 'a client that says too much of itself'));
  const asked = stringOf(member(params, 'protocolVersion')) ?? '';
  let version: string = WITH_SESSIONS.find((one) => one === asked) ?? WITH_SESSIONS[0];
  const opened = new Map<McpServerPlan, ServerSession>();
  const open = async (servers: readonly McpServerPlan[]) =>
    await gather(context, servers, async (server) => {
      const { session, result } = await openServer(context, server, version, client);
      opened.set(server, session);
      return result;
    });
  let found = await open(context.join.servers);
  // All of a session speak one version: the newest that all of them can.
  const oldest = [...opened.values()].flatMap(({ era, version: of }) => (era === 'sessions' ? [of] : [])).sort()[0];
  if (oldest !== undefined && oldest !== version) {
    version = oldest;
    const newer = [...opened].filter(([, { era, version: of }]) => era === 'sessions' && of !== oldest);
    for (const [server, session] of newer) {
      opened.delete(server);
      context.later(closeServer(context, server, session));
    }
    const second = await open(newer.map(([server]) => server));
    const apart = [...opened]
      .filter(([, { era, version: of }]) => era === 'sessions' && of !== version)
      .map(([server]) => server);
    for (const server of apart) {
      context.note(server, `it does not speak version ${version}`);
      context.later(closeServer(context, server, opened.get(server)!));
      opened.delete(server);
    }
    const results = new Map([...found.results, ...second.results]);
    for (const server of apart) results.delete(server);
    found = { results, missing: context.join.servers.filter((server) => !results.has(server)) };
  }
  if (found.results.size === 0) return nobody(message);
  const servers = new Map(
    context.join.servers.flatMap((server) => {
      const session = opened.get(server);
      return session === undefined || !found.results.has(server) ? [] : [[server, session] as const];
    }),
  );
  const id = await openSession(sessions, writeSession({ version, client, servers }), sessions.ttl);
  return json(200, success(message, joinInitialized(version, found)), { 'mcp-session-id': id });
}

/** One message of a client in a session. */
async function answer(context: JoinContext, session: JoinedSession, message: Message): Promise<Response> {
  const { method, id } = message;
  if (method === '') return await respond(context, session, message);
  if (id === undefined) return await notify(context, session, message);
  if (method === 'ping') return json(200, success(message, '{}'));
  if (method === 'initialize') return json(400, failure(message, INVALID_REQUEST, 'the session has begun'));
  if (method === 'logging/setLevel') {
    await broadcast(context, session, message);
    return json(200, success(message, '{}'));
  }
  if (Object.hasOwn(LISTS, method)) return await list(context, session, message);
  if (!isRouted(method)) return json(200, failure(message, METHOD_NOT_FOUND, 'Method not found'));
  const routed = await route(context.join, message, (server, listed, cursor) =>
    page(context, session, message, server, listed, cursor),
  );
  if (typeof routed === 'string')
    return method === 'resources/read'
      ? json(200, failure(message, RESOURCE_NOT_FOUND, `there is no ${routed.slice(0, 256)} here`))
      : unknown(message, routed);
  const { server } = routed;
  const own = session.servers.get(server);
  if (own === undefined) return json(200, failure(message, -32603, `the server ${server.name} is not there now`));
  if (own.era === 'stateless' && method.endsWith('subscribe'))
    return json(200, failure(message, METHOD_NOT_FOUND, 'Method not found'));
  const { response } = await send(context, session, server, own, routed, context.signal);
  return await passAnswer(server, message, response, (text, isResponse) =>
    isResponse && own.era === 'stateless' ? answeredOnce(text) : text,
  );
}

/** SPEC: a server of 2026-07-28 may ask in its result; in these versions there is no such result. */
function answeredOnce(text: string): string {
  if (stringOf(member(member(text, 'result') ?? '{}', 'resultType')) !== 'input_required') return text;
  const id = member(text, 'id');
  return failure({ id }, -32603, 'the server asks for input in a way that this version of the protocol does not have');
}

/** Sends in the words of the server's era; an answer that says that there is no such session any more is `SessionLost`. */
async function send(
  context: JoinContext,
  { client }: JoinedSession,
  server: McpServerPlan,
  own: ServerSession,
  { body, method, name }: { readonly body: string; readonly method: string; readonly name: string },
  signal: AbortSignal,
  again = false,
): Promise<{ response: Response }> {
  const text = own.era === 'stateless' ? mapMember(body, 'params', (params) => withMetadata(params, client)) : body;
  const { response } = await post(context, server, own, { body: text, method, name }, { signal, again });
  if (response.status === 404 && own.era === 'sessions' && own.id !== '') {
    await response.body?.cancel();
    throw new SessionLost(server.name);
  }
  return { response };
}

async function list(context: JoinContext, session: JoinedSession, message: Message): Promise<Response> {
  const { join } = context;
  const { method, params } = message;
  const places = pageOf(join, params);
  if (places === null) return json(200, failure(message, INVALID_PARAMS, 'the cursor is none of this endpoint'));
  const there = [...places.keys()].filter((server) => session.servers.has(server));
  const found = await gather(context, there, (server, signal) =>
    page(context, session, message, server, method, places.get(server)!, signal),
  );
  if (found.results.size === 0 && there.length > 0) return nobody(message);
  const missing = [...places.keys()].filter((server) => !found.results.has(server));
  return json(200, success(message, joinLists(context, method, { ...found, missing }, false)));
}

async function page(
  context: JoinContext,
  session: JoinedSession,
  message: Message,
  server: McpServerPlan,
  method: string,
  cursor: string,
  signal: AbortSignal = context.signal,
): Promise<string> {
  const own = session.servers.get(server);
  if (own === undefined) throw new ServerFailure('it is not part of this session');
  const renamed = mapMember(message.text, 'method', () => JSON.stringify(method));
  const body = mapMember(renamed, 'params', (params) => withCursor(method === message.method ? params : '{}', cursor));
  const { response } = await send(context, session, server, own, { body, method, name: '' }, signal, true);
  return await listedResult(response, method);
}

/** What a client answers to a server that asked it. */
async function respond(context: JoinContext, session: JoinedSession, message: Message): Promise<Response> {
  const found = message.id === undefined ? null : splitId(context.join, message.id);
  const own = found === null ? undefined : session.servers.get(found.server);
  if (found === null || own === undefined)
    return json(400, failure({ id: undefined }, INVALID_REQUEST, 'nobody asked'));
  const body = mapMember(message.text, 'id', () => found.id);
  const { response } = await send(context, session, found.server, own, { body, method: '', name: '' }, context.signal);
  await response.body?.cancel();
  return new Response(null, { status: response.ok ? 202 : response.status });
}

async function notify(context: JoinContext, session: JoinedSession, message: Message): Promise<Response> {
  const { method, params = '{}' } = message;
  if (method !== 'notifications/progress') {
    await broadcast(context, session, message);
    return accepted();
  }
  const token = member(params, 'progressToken');
  const found = token === undefined ? null : splitId(context.join, token);
  const own = found === null ? undefined : session.servers.get(found.server);
  if (found === null || own?.era !== 'sessions') return accepted();
  const body = mapMember(message.text, 'params', (of) => of && mapMember(of, 'progressToken', () => found.id));
  const { response } = await send(context, session, found.server, own, { body, method, name: '' }, context.signal);
  await response.body?.cancel();
  return accepted();
}

/** To every server that has a session. Who can't be reached misses it. */
async function broadcast(context: JoinContext, session: JoinedSession, { text, method }: Message): Promise<void> {
  const there = [...session.servers].filter(([, { era }]) => era === 'sessions').map(([server]) => server);
  await gather(context, there, async (server, signal) => {
    const own = session.servers.get(server)!;
    const { response } = await send(context, session, server, own, { body: text, method, name: '' }, signal);
    await response.body?.cancel();
    return '';
  });
}

/** What servers say of their own, or the rest of a stream that broke. */
async function stream(context: JoinContext, session: JoinedSession, lastEvent: string | null): Promise<Response> {
  const { join } = context;
  let resumed: Places | null = null;
  let kind: 'answer' | 'session' = 'session';
  if (lastEvent !== null) {
    resumed = splitPlaces(join, 'session', lastEvent);
    if (resumed === null) {
      kind = 'answer';
      resumed = splitPlaces(join, 'answer', lastEvent);
    }
    if (resumed === null)
      return json(400, failure({ id: undefined }, INVALID_REQUEST, 'the event id is none of this endpoint'));
  }
  const there = [...session.servers].filter(
    ([server, { era }]) => era === 'sessions' && (kind === 'session' || resumed!.has(server)),
  );
  let gone: SessionLost | null = null;
  const opened = await Promise.all(
    there.map(async ([server, own]) => {
      const headers = new Headers(context.headers);
      headers.set('accept', 'text/event-stream');
      setSession(headers, own);
      const place = resumed?.get(server);
      try {
        // Throws for what no header can hold: a client may have made the token itself.
        if (place !== undefined) headers.set('last-event-id', place);
        const { response } = await inTime(context, server, (signal) =>
          context.dial(server, { method: 'GET', headers, signal }, own.endpoint, false),
        );
        if (response.ok && response.body !== null && mediaType(response) === 'text/event-stream')
          return { server, response };
        await response.body?.cancel();
        if (response.status === 404 && own.id !== '') gone = new SessionLost(server.name);
        else if (response.status !== 405)
          context.note(server, `it answered ${response.status} to who wants its stream`);
      } catch (error) {
        if (error instanceof SessionLost) gone = error;
        else context.note(server, error instanceof ServerFailure ? error.message : 'it could not be reached');
      }
      return null;
    }),
  );
  const streams = opened.filter((one) => one !== null);
  if (gone !== null || streams.length === 0) {
    for (const { response } of streams) response.body?.cancel().catch(() => {});
    if (gone !== null) throw gone as SessionLost;
    return new Response(null, { status: 405, headers: { allow: 'POST, DELETE' } });
  }
  const sources = streams.map(({ server, response }) => ({
    server,
    body: response.body as ReadableStream<Uint8Array>,
    rewrite: (one: Message) => fromServer(server, one),
  }));
  const body = weave(kind, sources, { places: resumed ?? new Map(), together: kind === 'session' });
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  });
}
