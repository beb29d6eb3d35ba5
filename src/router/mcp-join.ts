/** A route in front of several MCP servers: what src/agents/mcp/join.ts needs of an exchange, and its answer. */
import { answerJoined } from '../agents/mcp/join.ts';
import { type JoinContext, SessionLost } from '../agents/mcp/join-server.ts';
import { isStateless, MCP_VERSIONS } from '../agents/mcp/version.ts';
import type { Backend, McpJoinPlan, McpPlan, McpServerPlan, Plan } from '../plan.ts';
import { Unavailable } from '../platform/platform.ts';
import { readBytes } from '../bytes.ts';
import { pick } from './balance.ts';
import { type EndpointState, endpointsOf } from './endpoints.ts';
import type { Exchange } from './exchange.ts';
import { storeOf } from './mcp-session.ts';
import { note } from './outlier.ts';

/** Headers of a request that are no server's: of the message as it was, of MCP towards us, and of who sits at the other end. */
const OURS = [
  ...['content-length', 'content-type', 'content-encoding', 'accept', 'accept-encoding', 'cookie', 'expect'],
  ...['content-digest', 'repr-digest', 'digest', 'signature', 'signature-input'],
  ...['mcp-session-id', 'mcp-protocol-version', 'mcp-method', 'mcp-name', 'last-event-id'],
];

/** Answers with what the servers give. Rejects when nothing can be said. */
export async function answerFromServers(
  exchange: Exchange,
  plan: Plan,
  mcp: McpPlan,
  join: McpJoinPlan,
): Promise<void> {
  const { request, outgoing, platform, context } = exchange;
  const headers = new Headers(outgoing ?? undefined);
  for (const name of OURS) headers.delete(name);
  const joined: JoinContext = {
    join,
    headers,
    signal: request.signal,
    dial: (server, init, endpoint, again) => dial(exchange, plan, server, init, endpoint, again),
    note(server, reason) {
      const said = `MCP server ${server.name}: ${reason}`;
      exchange.verdicts.push({
        ...{ action: 'log', phase: 'upstream', rule: exchange.routeName, status: 0, reason: said, mode: 'log' },
      });
    },
    later: (work) => context.waitUntil(work.catch(() => {})),
  };
  const { mcpSessions = null } = platform;
  const body = await bodyOf(exchange, mcp.limit);
  exchange.response = await answerJoined(
    joined,
    mcpSessions === null ? null : { ...storeOf(exchange), ttl: mcp.sessionTtl },
    {
      method: request.method,
      body,
      stateless: exchange.mcp?.stateless ?? isStateless(request.headers.get('mcp-protocol-version') ?? ''),
      session: request.headers.get('mcp-session-id'),
      lastEvent: request.headers.get('last-event-id'),
      versions: mcp.versions ?? MCP_VERSIONS,
    },
  );
  exchange.owned = true;
  // What comes from servers is judged as any origin's answer is.
  if (exchange.upstream.status === 0 && exchange.upstream.endpoint !== '')
    exchange.upstream.status = exchange.response.status;
}

/** The message as the phase `protocol` has held it, or read now. */
async function bodyOf({ body, request }: Exchange, limit: number): Promise<string | null> {
  if (request.body === null) return null;
  const bytes = body !== null ? body.bytes : await readBytes(request.body, limit, request.signal);
  if (bytes === null) throw new Error(`the message has more than ${limit} bytes`);
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

async function dial(
  exchange: Exchange,
  plan: Plan,
  server: McpServerPlan,
  init: RequestInit,
  wanted: string,
  again: boolean,
): Promise<{ response: Response; endpoint: string }> {
  const backend = plan.backends[server.backend];
  if (backend === undefined) throw new Error('no backend is configured for this server');
  const tried: EndpointState[] = [];
  for (;;) {
    const state =
      wanted === ''
        ? pick(exchange, backend, tried)
        : endpointsOf(backend).find(({ endpoint }) => endpoint.url === wanted);
    exchange.sticky = ''; // cookies tell of one backend
    // Nobody else knows the session; its client begins another.
    if (state === undefined) throw new SessionLost(server.name);
    if (state === null) throw new Unavailable('no endpoint of the backend can be used');
    try {
      return { response: await dialOne(exchange, backend, state, server, init), endpoint: state.endpoint.url };
    } catch (error) {
      // One more, since a kept connection may have ended just now.
      if (!again || tried.length > 0 || init.signal?.aborted === true) throw error;
      tried.push(state);
    }
  }
}

async function dialOne(
  exchange: Exchange,
  backend: Backend,
  state: EndpointState,
  server: McpServerPlan,
  init: RequestInit,
): Promise<Response> {
  const { upstream: log, platform, authority } = exchange;
  const { host } = state.endpoint;
  const shown = host === 'preserve' ? authority : host === 'url' ? state.authority : host;
  log.attempts++;
  log.backend = backend.name;
  log.endpoint = state.endpoint.url;
  state.active++;
  try {
    const response = await platform.dial(state.endpoint, state.scheme + shown + state.base + server.path, {
      ...init,
      redirect: 'manual', // a server that sends its clients elsewhere does not decide where this gateway goes
    });
    log.status = response.status;
    if (backend.health !== null) note(state, endpointsOf(backend), backend.health, response.status, Date.now());
    return response;
  } catch (error) {
    if (backend.health !== null && init.signal?.aborted !== true)
      note(state, endpointsOf(backend), backend.health, 0, Date.now());
    throw error;
  } finally {
    state.active--;
  }
}
