/** Reference server of version 2026-07-28, with the official SDK: no sessions, each request by itself. */
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { type Call, type Json, PROMPTS, readResource, RESOURCES, schemaOf, TEMPLATES, TOOLS } from './everything.ts';
import { foreign, listening, type ReferenceOptions, type ReferenceServer } from './sessions-server.ts';

const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
const CACHED = { ttlMs: 60_000, cacheScope: 'public' } as const;

export async function startStatelessServer(options: ReferenceOptions = {}): Promise<ReferenceServer> {
  const tools = options.tools ?? TOOLS.filter(({ era }) => era !== 'sessions');
  const seen: ReferenceServer['seen'] = [];
  const open = { calls: 0, sessions: 0, streams: 0 };
  const states = createRequestStateCodec<Json>({ key: crypto.getRandomValues(new Uint8Array(32)) });
  const handler = createMcpHandler(() => mcpServer(), { legacy: 'reject' });

  const callOf = (given: Json, ctx: ServerContext): Call => ({
    arguments: given,
    progressToken: ctx.mcpReq._meta?.progressToken,
    notify: async (method, params) => {
      // Who names no level hears no log.
      const unheard =
        method === 'notifications/message' && (ctx.mcpReq.envelope as Json | undefined)?.[LOG_LEVEL] === undefined;
      if (!unheard) await ctx.mcpReq.notify({ method, params } as never);
    },
    ask: () => Promise.reject(new Error('nothing is asked in this era')),
    closeStream: () => {},
    inputs: ctx.mcpReq.inputResponses as Call['inputs'],
    state: ctx.mcpReq.requestState<Json>(),
    capabilities: ((ctx.mcpReq.envelope as Json | undefined)?.[CAPABILITIES] ?? {}) as Json,
    demand: async (requests, state) =>
      inputRequired({
        inputRequests: requests as never,
        ...(state !== undefined && { requestState: await states.mint({ ...state, at: Date.now() }) }),
      }) as never,
    changed: (what) => (what === 'tools' ? handler.notify.toolsChanged() : handler.notify.promptsChanged()),
  });

  function mcpServer(): McpServer {
    const lists = [
      'tools/list',
      'prompts/list',
      'resources/list',
      'resources/templates/list',
      'resources/read',
      'server/discover',
    ];
    const server = new McpServer(
      { name: options.name ?? 'stateless', version: '1.0.0' },
      {
        capabilities: {
          tools: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
          prompts: { listChanged: true },
          logging: {},
          completions: {},
        },
        cacheHints: Object.fromEntries(lists.map((method) => [method, CACHED])),
        requestState: { verify: states.verify },
      },
    );
    for (const tool of tools)
      server.registerTool(
        tool.name,
        { description: tool.description, inputSchema: fromJsonSchema<Json>(schemaOf(tool) as never) },
        async (given, ctx) => {
          const call = callOf(given, ctx);
          open.calls++;
          const done = (): void => void open.calls--;
          ctx.mcpReq.signal.addEventListener('abort', done, { once: true });
          try {
            return (await tool.run(call)) as never;
          } finally {
            ctx.mcpReq.signal.removeEventListener('abort', done);
            if (!ctx.mcpReq.signal.aborted) done();
          }
        },
      );
    const read = (uri: URL): never => {
      const found = readResource(String(uri));
      if (found === null) throw new ResourceNotFoundError(String(uri));
      return { contents: [found] } as never;
    };
    for (const { uri, name, mimeType } of RESOURCES) server.registerResource(name, uri, { mimeType }, read);
    for (const { uriTemplate, name, mimeType } of TEMPLATES)
      server.registerResource(name, new ResourceTemplate(uriTemplate, { list: undefined }), { mimeType }, read);
    for (const prompt of PROMPTS) {
      const { arguments: given = [] } = prompt;
      const argsSchema = fromJsonSchema<Json>({
        type: 'object',
        properties: Object.fromEntries(given.map((one) => [one, { type: 'string' }])),
        required: [...given],
      } as never);
      server.registerPrompt(
        prompt.name,
        { description: prompt.description, argsSchema },
        async (args: Json, ctx: ServerContext) => (await prompt.run(callOf(args, ctx))) as never,
      );
    }
    server.server.setRequestHandler('completion/complete', () => ({
      completion: { values: ['one'], total: 1, hasMore: false },
    }));
    return server;
  }

  const node = toNodeHandler(handler);
  const http = createServer((request, response) => {
    seen.push({
      http: request.method ?? '',
      method: String(request.headers['mcp-method'] ?? ''),
      headers: request.headers,
    });
    open.streams++;
    response.on('close', () => open.streams--);
    if (foreign(request, options.hosts)) {
      response.writeHead(403, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","error":{"code":-32000,"message":"this host is not served"}}');
    } else void node(request as never, response);
  });
  const server = await listening(http, seen, open, options.port);
  return { ...server, stop: async () => (await handler.close(), await server.stop()) };
}
