/**
 * Sessions of MCP before version 2026-07-28, where a route has several endpoints: only the one that made a session knows it.
 * Clients get an id of ours (src/agents/mcp/sessions.ts), which means a backend, an endpoint and the id there. Where there is
 * one endpoint nothing of this is needed, and its ids pass as they are.
 */
import { endSession, findSession, openSession, type SessionStore } from '../agents/mcp/sessions.ts';
import { isStateless } from '../agents/mcp/version.ts';
import type { Backend, Plan } from '../plan.ts';
import { type EndpointState, endpointsOf } from './endpoints.ts';
import { type Exchange, ownHeaders, watch } from './exchange.ts';
import { usable } from './outlier.ts';

export const SESSION_HEADER = 'mcp-session-id';
/** Milliseconds in which an endpoint must answer anything at all to be thought alive. */
const PROBE_MS = 2000;

/** Where the session of a request is. */
export interface BoundSession {
  readonly backend: Backend;
  readonly state: EndpointState;
  /** The id that the client has; the one that the endpoint has. */
  readonly id: string;
  readonly origin: string;
}

/** Whether the requests of this route have to find the endpoint that holds their session. */
export function needsSessions({ action }: Exchange, plan: Plan): boolean {
  if (action === null || action.mcp < 0 || plan.mcps[action.mcp]?.join !== null) return false;
  let endpoints = 0;
  for (const { backend, weight } of action.backends) {
    const one = weight > 0 ? plan.backends[backend] : undefined;
    if (one !== undefined) endpoints += endpointsOf(one).length;
  }
  return endpoints > 1;
}

/**
 * The session that a request names; null: it names none, `gone`: there is no such session, or its endpoint can't be used
 * any more. Rejects when nobody can tell.
 */
export async function sessionOf(exchange: Exchange, plan: Plan): Promise<BoundSession | 'gone' | null> {
  const { request, action } = exchange;
  const id = request.headers.get(SESSION_HEADER);
  if (id === null || action === null) return null;
  if (hasNone(exchange)) {
    // What is no id of ours is no endpoint's either.
    exchange.outgoing?.delete(SESSION_HEADER);
    return null;
  }
  watch(exchange);
  const value = await findSession(storeOf(exchange), id);
  if (value === null) return 'gone';
  const [name, url, origin = ''] = JSON.parse(value) as string[];
  for (const { backend: index } of action.backends) {
    const backend = plan.backends[index];
    if (backend === undefined || backend.name !== name) continue;
    const all = endpointsOf(backend);
    const candidates = backend.health === null ? all : usable(all, backend.health, Date.now());
    const state = candidates.find(({ endpoint }) => endpoint.url === url);
    if (state !== undefined) return { backend, state, id, origin };
  }
  await endSession(storeOf(exchange), id);
  return 'gone';
}

/** Remembers the session that the answer to a request opens, and forgets one that it ends. Rejects when that can't be done. */
export async function settleSession(exchange: Exchange, plan: Plan, bound: BoundSession | null): Promise<void> {
  const { response, request, action } = exchange;
  const mcp = plan.mcps[action?.mcp ?? -1];
  if (response === null || mcp === undefined) return;
  const made = response.headers.get(SESSION_HEADER);
  watch(exchange);
  if (bound !== null) {
    // The endpoint knows no such session any more, or was told to forget it.
    const over = response.status === 404 || (request.method === 'DELETE' && response.ok);
    if (over) await endSession(storeOf(exchange), bound.id);
    if (made !== null) ownHeaders(exchange).set(SESSION_HEADER, bound.id);
  } else if (made !== null && !hasNone(exchange)) {
    const value = JSON.stringify([exchange.upstream.backend, exchange.upstream.endpoint, made]);
    const id = await openSession(storeOf(exchange), value, mcp.sessionTtl);
    ownHeaders(exchange).set(SESSION_HEADER, id);
  }
}

/**
 * A request could not be sent to the endpoint of its session. One broken connection may be bad luck (a kept connection that
 * just ended); an endpoint that takes none is dead, and its sessions with it.
 */
export async function isLost(exchange: Exchange, { state, id }: BoundSession): Promise<boolean> {
  try {
    const { endpoint } = state;
    const signal = AbortSignal.timeout(PROBE_MS);
    const answer = await exchange.platform.dial(endpoint, `${endpoint.url}/`, {
      method: 'HEAD',
      redirect: 'manual',
      signal,
    });
    await answer.body?.cancel();
    return false;
  } catch {
    await endSession(storeOf(exchange), id).catch(() => {});
    return true;
  }
}

/** SPEC: MCP 2026-07-28, streamable HTTP: there are no sessions any more, and an id of one is ignored. */
function hasNone({ request, mcp }: Exchange): boolean {
  return mcp?.stateless ?? isStateless(request.headers.get('mcp-protocol-version') ?? '');
}

/** A session is of one app, and of who opened it where tokens say who that is: with another's it is none. */
export function storeOf({ platform, plan, principal }: Exchange): SessionStore {
  const { mcpSessions = null } = platform;
  if (mcpSessions === null) throw new Error('there is nobody to remember sessions of MCP clients');
  return { namespace: mcpSessions, owner: JSON.stringify([plan?.app ?? '', principal]) };
}
