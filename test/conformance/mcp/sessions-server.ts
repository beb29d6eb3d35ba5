/** Reference server of the versions with sessions, with the official SDK: streamable HTTP, SSE, resumption by event ids. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { type EventStore, StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  isInitializeRequest,
  type JSONRPCMessage,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import {
  type Call,
  type Json,
  PROMPTS,
  readResource,
  RESOURCES,
  schemaOf,
  TEMPLATES,
  type Tool,
  TOOLS,
} from './everything.ts';

export interface ReferenceServer {
  readonly url: string;
  /** Requests by HTTP method and JSON-RPC method, as they came. */
  readonly seen: { readonly http: string; readonly method: string; readonly headers: IncomingMessage['headers'] }[];
  /** Tool calls that run, sessions that are open. */
  readonly open: { calls: number; sessions: number; streams: number };
  stop(): Promise<void>;
}

export interface ReferenceOptions {
  readonly tools?: readonly Tool[];
  readonly name?: string;
  /** Hosts that may be asked for; a request for another is refused, as the SDK's protection against DNS rebinding does. */
  readonly hosts?: readonly string[];
  readonly port?: number;
}

/** Events of all streams of a session, in order, for who comes back. */
class Events implements EventStore {
  readonly #events: { readonly id: string; readonly stream: string; readonly message: JSONRPCMessage }[] = [];

  storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    const id = `${stream}/${this.#events.length}`;
    this.#events.push({ id, stream, message });
    return Promise.resolve(id);
  }

  getStreamIdForEventId(id: string): Promise<string | undefined> {
    return Promise.resolve(this.#events.find((event) => event.id === id)?.stream);
  }

  async replayEventsAfter(
    last: string,
    { send }: { send: (id: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const at = this.#events.findIndex(({ id }) => id === last);
    const stream = this.#events[at]?.stream ?? '';
    for (const { id, message, stream: of } of this.#events.slice(at + 1))
      if (of === stream && Object.keys(message).length > 0) await send(id, message);
    return stream;
  }
}

function mcpServer(tools: readonly Tool[], name: string, open: { calls: number }): Server {
  const server = new Server(
    { name, version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
    },
  );
  type Extra = Parameters<Parameters<typeof server.setRequestHandler>[1]>[1];
  const callOf = (params: { arguments?: Json | undefined; _meta?: Json | undefined }, extra: Extra): Call => ({
    arguments: params.arguments ?? {},
    progressToken: params._meta?.['progressToken'] as string | number | undefined,
    notify: (method, given) => extra.sendNotification({ method, params: given } as never),
    ask: (method, given) => extra.sendRequest({ method, params: given } as never, z.looseObject({})) as Promise<Json>,
    closeStream: () => extra.closeSSEStream?.(),
    ...{ inputs: undefined, state: undefined, capabilities: {} },
    demand: () => Promise.reject(new Error('there are no such results in this era')),
    changed: () => {},
  });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: tools.map((tool) => ({
      name: tool.name,
      description: tool.description,
      inputSchema: schemaOf(tool) as never,
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const tool = tools.find((one) => one.name === params.name);
    if (tool === undefined) throw new McpError(ErrorCode.InvalidParams, `there is no tool ${params.name}`);
    open.calls++;
    const done = (): void => void open.calls--;
    extra.signal.addEventListener('abort', done, { once: true });
    try {
      return await tool.run(callOf(params, extra));
    } finally {
      extra.signal.removeEventListener('abort', done);
      if (!extra.signal.aborted) done();
    }
  });
  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: RESOURCES.map(({ uri, name: of, mimeType }) => ({ uri, name: of, mimeType })),
  }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: [...TEMPLATES] }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
    const found = readResource(params.uri);
    if (found === null) throw new McpError(-32002, 'Resource not found', { uri: params.uri });
    return { contents: [found] } as never;
  });
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  const prompts = PROMPTS.filter(({ era }) => era === undefined);
  server.setRequestHandler(ListPromptsRequestSchema, () => ({
    prompts: prompts.map(({ name: of, description, arguments: given }) => ({
      ...{ name: of, description },
      ...(given !== undefined && { arguments: given.map((one) => ({ name: one, required: true })) }),
    })),
  }));
  server.setRequestHandler(GetPromptRequestSchema, async ({ params }, extra) => {
    const prompt = prompts.find((one) => one.name === params.name);
    if (prompt === undefined) throw new McpError(ErrorCode.InvalidParams, `there is no prompt ${params.name}`);
    return (await prompt.run(callOf(params, extra))) as never;
  });
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(CompleteRequestSchema, () => ({
    completion: { values: ['one'], total: 1, hasMore: false },
  }));
  return server;
}

export async function startSessionsServer(options: ReferenceOptions = {}): Promise<ReferenceServer> {
  const tools = options.tools ?? TOOLS.filter(({ era }) => era !== 'stateless');
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const seen: ReferenceServer['seen'] = [];
  const open = { calls: 0, sessions: 0, streams: 0 };
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      let body: unknown;
      try {
        body = text === '' ? undefined : JSON.parse(text);
      } catch {
        response.writeHead(400, { 'content-type': 'application/json' });
        response.end('{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}');
        return;
      }
      seen.push({
        http: request.method ?? '',
        method: String((body as Json | undefined)?.['method'] ?? ''),
        headers: request.headers,
      });
      open.streams++;
      response.on('close', () => open.streams--);
      void answer(body);
    });
    const refuse = (status: number, code: number, message: string): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null }));
    };
    const answer = async (body: unknown): Promise<void> => {
      if (foreign(request, options.hosts)) return refuse(403, -32000, 'this host is not served');
      const id = request.headers['mcp-session-id'];
      const known = typeof id === 'string' ? sessions.get(id) : undefined;
      if (known !== undefined) return await known.handleRequest(request, response, body);
      if (id !== undefined) return refuse(404, -32001, 'Session not found');
      if (request.method !== 'POST' || !isInitializeRequest(body)) return refuse(400, -32000, 'no session id');
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        eventStore: new Events(),
        retryInterval: 500,
        onsessioninitialized: (made) => {
          sessions.set(made, transport);
          open.sessions++;
        },
      });
      transport.onclose = () => {
        if (transport.sessionId !== undefined && sessions.delete(transport.sessionId)) open.sessions--;
      };
      await mcpServer(tools, options.name ?? 'sessions', open).connect(transport as never);
      await transport.handleRequest(request, response, body);
    };
  });
  return await listening(http, seen, open, options.port);
}

/** Whether a request names a host, or comes from an origin, that is not meant. */
export function foreign(request: IncomingMessage, hosts: readonly string[] = ['localhost', '127.0.0.1']): boolean {
  const { host = '', origin } = request.headers;
  const bare = (authority: string): string => authority.replace(/:\d+$/, '');
  return (
    !hosts.includes(bare(host)) || (origin !== undefined && !hosts.includes(bare(origin.replace(/^https?:\/\//, ''))))
  );
}

export async function listening(
  http: HttpServer,
  seen: ReferenceServer['seen'],
  open: ReferenceServer['open'],
  port = 0,
): Promise<ReferenceServer> {
  // A connection that ends between two requests would be an error of its own.
  http.keepAliveTimeout = 60_000;
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  return {
    ...{ url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, seen, open },
    stop: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}
