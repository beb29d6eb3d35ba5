/** A joined endpoint in this process: servers are functions from a request to a response. */
import { answerJoined } from '../../src/agents/mcp/join.ts';
import type { McpJoinPlan } from '../../src/plan.ts';
import { sessionObjects } from './mcp-sessions.ts';

export interface Asked {
  readonly method: string;
  readonly headers: Headers;
  /** As it came. */
  readonly text: string;
  readonly body: { method?: string; id?: unknown; params?: Record<string, unknown>; result?: unknown };
  readonly signal: AbortSignal;
}

export type FakeServer = (asked: Asked) => Response | Promise<Response>;

export interface Joined {
  readonly notes: string[];
  readonly asked: (Asked & { readonly server: string })[];
  readonly sessions: Map<string, string>;
  readonly join: McpJoinPlan;
  /** A request of a version with sessions, or without: by `session`, null for none yet. */
  ask(
    body: object | string | null,
    more?: { method?: string; session?: string | null; lastEvent?: string; signal?: AbortSignal },
  ): Promise<Response>;
  /** A request of 2026-07-28: its metadata is added. */
  stateless(method: string, params?: object, id?: unknown): Promise<Response>;
}

export const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

export function joined(
  servers: Readonly<Record<string, FakeServer>>,
  timeout = 2000,
  nameLength: 64 | 128 = 64,
): Joined {
  const join: McpJoinPlan = {
    nameLength,
    servers: Object.keys(servers).map((name, backend) => ({ name, backend, path: '/mcp', timeout })),
  };
  const { namespace, kept } = sessionObjects();
  const notes: string[] = [];
  const asked: (Asked & { server: string })[] = [];
  const answer = async (
    method: string,
    body: string | null,
    stateless: boolean,
    session: string | null,
    lastEvent: string | null,
    signal: AbortSignal,
  ) =>
    await answerJoined(
      {
        join,
        headers: new Headers({ 'x-request-id': 'one' }),
        signal,
        async dial({ name }, init) {
          const text = typeof init.body === 'string' ? init.body : '';
          const one: Asked = {
            ...{ method: init.method ?? '', headers: new Headers(init.headers), text, signal: init.signal! },
            body: (text === '' ? {} : JSON.parse(text)) as Asked['body'],
          };
          asked.push({ ...one, server: name });
          const late = new Promise<never>((_, reject) =>
            one.signal.addEventListener('abort', () => reject(new Error('aborted'))),
          );
          return { response: await Promise.race([servers[name]!(one), late]), endpoint: `http://${name}` };
        },
        note: ({ name }, reason) => void notes.push(`${name}: ${reason}`),
        later: (work) => void work.catch(() => {}),
      },
      { namespace, owner: 'one', ttl: 3600 },
      { method, body, stateless, session, lastEvent, versions: ['2026-07-28'] },
    );
  const never = new AbortController().signal;
  return {
    ...{ notes, asked, sessions: kept, join },
    ask: (body, { method = body === null ? 'GET' : 'POST', session = null, lastEvent, signal = never } = {}) =>
      answer(
        method,
        body === null ? null : typeof body === 'string' ? body : JSON.stringify({ jsonrpc: '2.0', ...body }),
        false,
        session,
        lastEvent ?? null,
        signal,
      ),
    stateless: (method, params = {}, id = 1) =>
      answer(
        'POST',
        JSON.stringify({ jsonrpc: '2.0', id, method, params: { _meta: META, ...params } }),
        true,
        null,
        null,
        never,
      ),
  };
}

export const rpc = (id: unknown, result: object, headers: Record<string, string> = {}): Response =>
  Response.json({ jsonrpc: '2.0', id, result }, { headers });

export const rpcError = (id: unknown, code: number, status = 200): Response =>
  Response.json({ jsonrpc: '2.0', id, error: { code, message: 'no' } }, { status });

/** Messages, or whole events, as a stream; it stays open with `open`. */
export function events(
  list: readonly (object | string)[],
  { open = false, gone = () => {} }: { open?: boolean; gone?: () => void } = {},
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const one of list)
        controller.enqueue(
          encoder.encode(typeof one === 'string' ? one : `event: message\ndata: ${JSON.stringify(one)}\n\n`),
        );
      if (!open) controller.close();
    },
    cancel: gone,
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

const TOOLS = (names: readonly string[]) => names.map((name) => ({ name, inputSchema: { type: 'object' } }));

/** A server of 2026-07-28 with some tools, each of which says its name and arguments. */
export const modern =
  (names: readonly string[], more: (asked: Asked) => Response | undefined = () => undefined): FakeServer =>
  (asked) => {
    const { method, id, params } = asked.body;
    if (asked.headers.get('mcp-protocol-version') !== '2026-07-28') return rpcError(id, -32022, 400);
    if (asked.headers.get('mcp-method') !== method) return rpcError(id, -32020, 400);
    const own = more(asked);
    if (own !== undefined) return own;
    const cached = { resultType: 'complete', ttlMs: 1000, cacheScope: 'public' };
    if (method === 'server/discover')
      return rpc(id, { ...cached, supportedVersions: ['2026-07-28'], capabilities: { tools: { listChanged: true } } });
    if (method === 'tools/list') return rpc(id, { ...cached, tools: TOOLS(names) });
    if (method === 'tools/call')
      return rpc(id, { resultType: 'complete', content: [{ type: 'text', text: JSON.stringify(params) }] });
    return rpcError(id, -32601, 404);
  };

/** A server with sessions, which counts them from one. */
export const sessional = (
  names: readonly string[],
  more: (asked: Asked) => Response | undefined = () => undefined,
  version = '2025-11-25',
): FakeServer & { open: Set<string> } => {
  const open = new Set<string>();
  let count = 0;
  const server = (asked: Asked): Response => {
    const { method, id, params } = asked.body;
    if ((asked.headers.get('mcp-protocol-version') ?? '') >= '2026') return rpcError(null, -32000, 400);
    const session = asked.headers.get('mcp-session-id');
    if (method === 'initialize') {
      open.add(String(++count));
      const agreed = String(params?.['protocolVersion']) < version ? String(params?.['protocolVersion']) : version;
      return rpc(
        id,
        { protocolVersion: agreed, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } },
        { 'mcp-session-id': String(count) },
      );
    }
    if (session === null || !open.has(session)) return rpcError(null, -32001, session === null ? 400 : 404);
    if (asked.method === 'DELETE') return (open.delete(session), new Response(null));
    const own = more(asked);
    if (own !== undefined) return own;
    if (asked.method === 'GET') return new Response(null, { status: 405 });
    if (id === undefined || method === undefined) return new Response(null, { status: 202 });
    if (method === 'tools/list') return rpc(id, { tools: TOOLS(names) });
    if (method === 'tools/call') return rpc(id, { content: [{ type: 'text', text: JSON.stringify(params) }] });
    return rpcError(id, -32601);
  };
  return Object.assign(server, { open });
};
