/**
 * The worker: composes engine, platform, pipeline and control API. Modules and bindings that it expects around it are
 * listed in src/platform/bindings.ts; the same bundle runs on Cloudflare and on-prem.
 */
import { Hono } from 'hono';
import { controlApi } from '../control/api.ts';
import { Operator } from '../control/operator.ts';
import type { Env } from '../platform/bindings.ts';
import { cloudflarePlatform } from '../platform/cloudflare.ts';
import type { Platform } from '../platform/platform.ts';
import { answerShard, withShards } from '../platform/shards.ts';
import type { ExecutionContext } from '../platform/runtime.ts';
import { workerdPlatform } from '../platform/workerd.ts';
import { createEngine } from '../waf/engine.ts';
import module from './engine.wasm';
import { createExchange, requestId } from './exchange.ts';
import { Generations } from './generation.ts';
import bundle from './images.js';
import { abandon, serve } from './pipeline.ts';
import { problem } from './problem.ts';
import { tcpConnection, type TcpSocket, type TcpTarget } from './tcp.ts';
import { isTunnelUpgrade, tunnelUpgrade } from './tunnel.ts';

export { McpSessions } from '../agents/mcp/sessions.ts';
export { AgentReport } from '../agents/agent-report.ts';
export { RateLimiter } from '../agents/rate-limiter.ts';
export { Ledger } from '../agents/ledger.ts';
export { ReplayGuard } from '../agents/replay-guard.ts';
export { TunnelRegistry } from '../tunnel/registry.ts';
export { TunnelSession } from '../tunnel/session.ts';

const engine = createEngine(module);
const generations = new Generations(engine);

let platform: Platform | null = null;
let operator: Operator | null = null;

function platformOf(env: Env): Platform {
  return (platform ??= env.PLATFORM === 'cloudflare' ? cloudflarePlatform(env, bundle) : workerdPlatform(env));
}

/** On Cloudflare: who guards the control API. */
function operatorOf(env: Env): Operator {
  return (operator ??= new Operator(env.CONTROL_HOST ?? '', env.OPERATOR_KEY ?? ''));
}

function handle(request: Request, env: Env, context: ExecutionContext, kept = false): Promise<Response> {
  const lease = generations.current;
  if (lease === null) {
    const loading = first(request, env, context);
    context.waitUntil(loading); // others wait for it, whether or not its client stays
    return loading;
  }
  const exchange = createExchange({
    request,
    platform: platformOf(env),
    engine,
    lease,
    context,
    kept,
    onGone: abandon,
  });
  generations.sweep(exchange.startedAt);
  return serve(exchange);
}

/** Loads the first generation, then goes on. */
async function first(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
  try {
    if ((await generations.first(platformOf(env).images)) !== null) return await handle(request, env, context, true);
  } catch (error) {
    console.error(JSON.stringify({ level: 'error', message: error instanceof Error ? error.message : String(error) }));
  }
  const verdict = { status: 503, reason: 'no policy is being served', rule: '' };
  return problem(
    requestId(),
    request.method,
    request.headers.get('accept') ?? '',
    verdict,
    'proxy_configuration_error',
  );
}

/** The dial of a connector, or of who reaches a private service. */
async function upgrade(request: Request, env: Env): Promise<Response> {
  const platform = platformOf(env);
  const lease = generations.current ?? (await generations.first(platform.images).catch(() => null));
  return await tunnelUpgrade(request, env, platform.peer(request), lease?.generation.apps ?? []);
}

/** One route: matching is the engine's work, and Hono's own look at the path would only cost time. */
const app = new Hono<{ Bindings: Env }>({ getPath: () => '/' });
app.all('/', (c) => handle(c.req.raw, c.env, c.executionCtx));

export default {
  fetch(request: Request, bare: Env, context: ExecutionContext): Response | Promise<Response> {
    const env = withShards(bare);
    // PERF: one look at a binding where there is no control host. On-prem a socket of its own is the control API's only way in.
    if (env.CONTROL_HOST && env.PLATFORM === 'cloudflare' && operatorOf(env).covers(request))
      return operatorOf(env).answer(request, { generations, platform: platformOf(env), env });
    if (env.TUNNEL_SESSION !== undefined && isTunnelUpgrade(request)) return upgrade(request, env);
    // Hono answers HEAD by running GET and dropping the body; an origin answers HEAD itself, with its own Content-Length.
    if (request.method === 'HEAD') return handle(request, env, context);
    return app.fetch(request, env, context as never);
  },
  /**
   * CONNECT. Without a handler the runtime answers a bare 500; with one it says 200 before asking. Nothing is tunnelled:
   * the connection is closed at once.
   */
  connect(socket: { close(): Promise<void> }): Promise<void> {
    return socket.close();
  },
};

/** Connections of sockets that a tunnel is behind. */
export const tcp = {
  connect(socket: TcpSocket, env: Env, context: { readonly props: TcpTarget }): Promise<void> {
    return tcpConnection(socket, withShards(env), context.props);
  },
};

/** Other processes of this deployment, for objects that are here. */
export const shard = {
  fetch: answerShard,
};

export const control = {
  fetch(request: Request, bare: Env): Response | Promise<Response> {
    const env = withShards(bare);
    const parts = { generations, platform: platformOf(env), env };
    // There another worker of the account may be bound to this entrypoint; it needs a signature as well.
    return env.PLATFORM === 'cloudflare' ? operatorOf(env).answer(request, parts) : controlApi(request, parts);
  },
};
