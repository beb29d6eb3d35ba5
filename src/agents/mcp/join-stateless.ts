/**
 * A joined endpoint in the words of version 2026-07-28: each request by itself. A server of the versions with sessions gets a
 * session for the time of one request, as a client that can be asked nothing.
 */
import type { McpServerPlan } from '../../plan.ts';
import { accepted, json, nobody, passAnswer } from './join-answer.ts';
import { failure, gather, joinDiscovered, joinLists, pageOf, resultOf, success, withCursor } from './join-list.ts';
import { listen } from './join-listen.ts';
import { isRouted, route } from './join-route.ts';
import { LISTS, type Message } from './join-rewrite.ts';
import {
  accept,
  CAPABILITIES_KEY,
  CLIENT_KEY,
  type ClientWords,
  closeServer,
  discover,
  isModern,
  type JoinContext,
  knownEra,
  mediaType,
  openServer,
  post,
  rememberEra,
  ServerFailure,
  type ServerSession,
  statelessSession,
  VERSION_KEY,
  WITH_SESSIONS,
} from './join-server.ts';
import { readBytes } from '../../bytes.ts';
import { MAX_JOINED_MESSAGE } from './join-limits.ts';
import { mapMember, member, stringOf } from './json-parts.ts';

const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;

/** What a client says of itself to servers that might ask it something: nothing. */
function unasked({ params }: Message): ClientWords {
  const info = member(member(params ?? '{}', '_meta') ?? '{}', CLIENT_KEY);
  return { capabilities: '{}', info: info ?? '{"name":"sallyport","version":"1"}' };
}

export async function answerStateless(
  context: JoinContext,
  message: Message,
  versions: readonly string[],
): Promise<Response> {
  const { join } = context;
  const { method } = message;
  if (message.id === undefined) return accepted();
  const lacks = lacking(message);
  if (lacks !== '') return json(400, failure(message, INVALID_PARAMS, `_meta has no ${lacks}`));
  if (method === 'server/discover') {
    const found = await gather(context, join.servers, (server, signal) => describe(context, server, message, signal));
    if (found.results.size === 0) return nobody(message);
    return json(200, success(message, joinDiscovered(versions, found)));
  }
  if (Object.hasOwn(LISTS, method)) return await list(context, message);
  if (method === 'subscriptions/listen') return await listen(context, message);
  if (!isRouted(method) || method.endsWith('subscribe'))
    return json(404, failure(message, METHOD_NOT_FOUND, 'Method not found'));
  const routed = await route(join, message, (server, listed, cursor) => page(context, server, message, listed, cursor));
  if (typeof routed === 'string') return unknown(message, routed);
  const { server, body, name } = routed;
  const { response, close } = await reach(context, server, message, { body, method, name }, context.signal);
  if (close === null) return await passAnswer(server, message, response);
  // What this version wants to know of a result, and the others do not say.
  const complete = (text: string, isResponse: boolean): string | null => {
    if (!isResponse) return accept(text)?.id === undefined ? text : null; // nobody is there to be asked
    return mapMember(text, 'result', (result) => result && completed(result, method === 'resources/read'));
  };
  return await passAnswer(server, message, response, complete, close);
}

/** SPEC: MCP 2026-07-28, `_meta`: what every request must say; '' when it does. */
function lacking({ params }: Message): string {
  const meta = member(params ?? '{}', '_meta') ?? '{}';
  if (stringOf(member(meta, VERSION_KEY)) === undefined) return VERSION_KEY;
  return member(meta, CAPABILITIES_KEY)?.startsWith('{') === true ? '' : CAPABILITIES_KEY;
}

function completed(result: string, cached: boolean): string {
  const typed = mapMember(result, 'resultType', (own) => own ?? '"complete"');
  if (!cached) return typed;
  return mapMember(
    mapMember(typed, 'ttlMs', (own) => own ?? '0'),
    'cacheScope',
    (own) => own ?? '"private"',
  );
}

/** SPEC: MCP 2026-07-28, resources, error handling: what was not found is in `data`. */
export function unknown(message: Message, name: string, status = 200): Response {
  const text = failure(message, INVALID_PARAMS, `there is no ${name.slice(0, 256)} here`);
  if (!message.method.startsWith('resources/')) return json(status, text);
  return json(
    status,
    mapMember(text, 'error', (error) => error && mapMember(error, 'data', () => `{"uri":${JSON.stringify(name)}}`)),
  );
}

async function list(context: JoinContext, message: Message): Promise<Response> {
  const { method, params } = message;
  const places = pageOf(context.join, params);
  if (places === null) return json(200, failure(message, INVALID_PARAMS, 'the cursor is none of this endpoint'));
  const servers = [...places.keys()];
  const found = await gather(context, servers, (server, signal) =>
    page(context, server, message, method, places.get(server)!, signal),
  );
  if (found.results.size === 0 && servers.length > 0) return nobody(message);
  return json(200, success(message, joinLists(context, method, found, true)));
}

/** A page of a server's list: its result. Who does not have such a list has an empty one. */
async function page(
  context: JoinContext,
  server: McpServerPlan,
  message: Message,
  method: string,
  cursor: string,
  signal: AbortSignal = context.signal,
): Promise<string> {
  const renamed = mapMember(message.text, 'method', () => JSON.stringify(method));
  // Of another request only what it says of the client is meant.
  const params = (own: string | undefined): string =>
    method === message.method
      ? withCursor(own, cursor)
      : withCursor(`{"_meta":${member(own ?? '{}', '_meta') ?? '{}'}}`, cursor);
  const body = mapMember(renamed, 'params', params);
  const { response, close } = await reach(context, server, message, { body, method, name: '' }, signal, true);
  try {
    return await listedResult(response, method);
  } finally {
    close?.();
  }
}

/** The result of a list. SPEC: a server without the capability has no such method; then it has nothing to list. */
export async function listedResult(response: Response, method: string): Promise<string> {
  try {
    return await resultOf(response);
  } catch (error) {
    if (error instanceof ServerFailure && error.message.includes(String(METHOD_NOT_FOUND)))
      return `{"${LISTS[method]!.entries}":[]}`;
    throw error;
  }
}

async function describe(
  context: JoinContext,
  server: McpServerPlan,
  message: Message,
  signal: AbortSignal,
): Promise<string> {
  if (knownEra(server) !== 'sessions') {
    try {
      return (await discover(context, server, unasked(message), signal)).result;
    } catch (error) {
      if (!(error instanceof ServerFailure)) throw error;
    }
  }
  const { session, result } = await openServer(context, server, WITH_SESSIONS[0], unasked(message));
  context.later(closeServer(context, server, session));
  return result;
}

interface Reached {
  readonly response: Response;
  /** Ends the session that was made for this request; null: there is none. */
  readonly close: (() => void) | null;
}

/** Sends a request to a server in the words of its era, which is found out by trying. */
async function reach(
  context: JoinContext,
  server: McpServerPlan,
  message: Message,
  what: { readonly body: string; readonly method: string; readonly name: string },
  signal: AbortSignal,
  again = false,
): Promise<Reached> {
  if (knownEra(server) !== 'sessions') {
    const { response } = await post(context, server, statelessSession(), what, { signal, again });
    const { status } = response;
    if (status !== 400 && status !== 404 && status !== 405) {
      if (response.ok) rememberEra(server, 'stateless');
      return { response, close: null };
    }
    const bytes = await readBytes(response.body as ReadableStream<Uint8Array> | null, MAX_JOINED_MESSAGE);
    const text = bytes === null ? '' : new TextDecoder().decode(bytes);
    const read = mediaType(response) === 'application/json' ? accept(text) : null;
    if (knownEra(server) === 'stateless' || (read !== null && isModern(read.text)))
      return { response: new Response(text, { status, headers: response.headers }), close: null };
    rememberEra(server, 'sessions');
  }
  const { session } = await openServer(context, server, WITH_SESSIONS[0], unasked(message));
  if (session.era === 'stateless')
    return { ...(await post(context, server, session, what, { signal, again })), close: null };
  const close = (): void => context.later(closeServer(context, server, session));
  try {
    await initialized(context, server, session, signal);
    const { response } = await post(context, server, session, what, { signal });
    return { response, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Tells a server that its session begins. */
export async function initialized(
  context: JoinContext,
  server: McpServerPlan,
  session: ServerSession,
  signal: AbortSignal,
): Promise<void> {
  const body = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
  const { response } = await post(
    context,
    server,
    session,
    { body, method: 'notifications/initialized', name: '' },
    { signal },
  );
  await response.body?.cancel();
}

export { INVALID_PARAMS, METHOD_NOT_FOUND };
