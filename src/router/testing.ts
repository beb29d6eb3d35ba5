/** For tests only: plans with defaults filled in, and an engine in TypeScript whose images are plans in JSON. */
import type { ObjectNamespace } from '../durable-object.ts';
import { OUTCOME_NO_ROUTE, OUTCOME_OK } from '../../assembly/abi.ts';
import type { Backend, Endpoint, Plan, RouteAction } from '../plan.ts';
import { memoryImages } from '../platform/images.ts';
import type { AgentPlatform, Platform } from '../platform/platform.ts';
import type { Engine, Generation, HeadResult, StageResult } from '../waf/engine.ts';
import { createExchange, type Exchange } from './exchange.ts';
import type { Lease } from './generation.ts';
import { abandon, serve } from './pipeline.ts';

/** A plan as a test writes it: routes by path prefix, the longest first. */
export interface TestPlan extends Plan {
  readonly prefixes: readonly string[];
}

export function endpoint(url: string, more: Partial<Endpoint> = {}): Endpoint {
  return { url, dial: url.split('/', 3).join('/'), host: 'preserve', weight: 1, ...more };
}

export function backend(name: string, urls: readonly (string | Endpoint)[], more: Partial<Backend> = {}): Backend {
  const endpoints = urls.map((item) => (typeof item === 'string' ? endpoint(item) : item));
  return { name, endpoints, balance: { type: 'WeightedRandom' }, stickiness: null, health: null, ...more };
}

export function action(more: Partial<RouteAction> = {}): RouteAction {
  const backends = [{ backend: 0, weight: 1, filters: [] }];
  return {
    filters: [],
    backends,
    timeouts: { request: 0, backendRequest: 0, responseHead: 0 },
    retry: null,
    cors: null,
    waf: -1,
    content: -1,
    robots: 'off',
    mcp: -1,
    a2a: -1,
    llm: -1,
    ...more,
  };
}

export function plan(
  routes: Readonly<Record<string, RouteAction>>,
  backends: readonly Backend[],
  more: Partial<Plan> = {},
): TestPlan {
  const prefixes = Object.keys(routes);
  return {
    app: 'test',
    routeNames: prefixes.map((prefix) => `route ${prefix}`),
    routeActions: prefixes.map((_, index) => index),
    actions: Object.values(routes),
    backends,
    rules: [],
    inspections: [],
    forwarded: { xForwardedFor: 'append', forwarded: true },
    cdnLoop: { id: 'sallyport', max: 1 },
    proxyStatus: true,
    body: { limit: 131072, over: 'reject' },
    stages: { body: false, protocol: false, response: false },
    wafs: [],
    mcps: [],
    a2as: [],
    llms: [],
    site: null,
    contents: [],
    tunnels: null,
    payments: null,
    rulesets: [],
    secrets: [],
    prefixes,
    ...more,
  };
}

/** What a test wants the engine to say, beside the routing that it does. */
export interface FakeAnswers {
  head?: (result: HeadResult, fields: readonly string[]) => HeadResult;
  body?: (bytes: Uint8Array, size: number, truncated: boolean, elided: Uint32Array) => StageResult;
  response?: (fields: readonly string[], body: Uint8Array, truncated: boolean) => StageResult;
}

export const NOTHING: StageResult = {
  outcome: OUTCOME_OK,
  reason: 0,
  terminal: 0,
  rule: -1,
  effects: [],
  truncated: false,
  steps: 1,
  state: null,
  waf: null,
};

export function fakeEngine(answers: FakeAnswers = {}): Engine & { released: Generation[] } {
  const released: Generation[] = [];
  return {
    released,
    traps: 0,
    load(images) {
      const apps = images.apps.map((app) => JSON.parse(new TextDecoder().decode(app.bytes)) as Plan);
      return { id: images.id, at: 0, apps, agents: [] };
    },
    release: (generation) => void released.push(generation),
    head(generation, head) {
      const fields = head.text.split('\0');
      const url = fields[1] ?? '';
      const start = url.indexOf('/', url.indexOf('://') + 3);
      const end = url.indexOf('?') < 0 ? url.length : url.indexOf('?');
      const path = url.slice(start, end);
      const plan = generation.apps[0] as TestPlan;
      let route = -1;
      plan.prefixes.forEach((prefix, index) => {
        if (path.startsWith(prefix) && (route < 0 || prefix.length > (plan.prefixes[route] ?? '').length))
          route = index;
      });
      const result: HeadResult = {
        ...{ outcome: route < 0 ? OUTCOME_NO_ROUTE : OUTCOME_OK, reason: 0, app: 0, route, path, pathChanged: false },
        ...{
          query: url.slice(end),
          prefixLength: (plan.prefixes[route] ?? '').length,
          host: 'test',
          client: '192.0.2.1',
        },
        ...{
          trusted: false,
          agent: -1,
          identity: 0,
          score: 0,
          signals: 0,
          terminal: 0,
          rule: -1,
          effects: [],
          truncated: false,
          steps: 1,
        },
        ...{ match: 0, state: null, waf: null },
      };
      return answers.head?.(result, fields) ?? result;
    },
    body: (_g, _a, _h, bytes, size, truncated, _s, _n, _state, elided) =>
      answers.body?.(bytes, size, truncated !== false, elided ?? new Uint32Array()) ?? NOTHING,
    response: (_g, _a, _h, response, _s, _n, _state, body, truncated) =>
      answers.response?.(response.text.split('\0'), body ?? new Uint8Array(), truncated ?? false) ?? NOTHING,
  };
}

/** A request as it left towards an endpoint. */
export interface Sent {
  readonly endpoint: Endpoint;
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string | null;
  /** Somebody else could be asked: a tunnel is not waited for. */
  readonly impatient: boolean;
}

export interface RunOptions {
  /** Read the answer to its end, before what waits for that. */
  readonly drain?: boolean;
  readonly origin?: (sent: Sent, exchange: Exchange) => Response | Promise<Response>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly peer?: string;
  /** The word of a tunnel's registry. */
  readonly exposed?: NonNullable<Platform['exposed']>;
  readonly agents?: AgentPlatform;
  readonly mcpSessions?: ObjectNamespace;
  readonly limiter?: ObjectNamespace;
}

/** Runs one request through the pipeline against origins that are functions; log lines are collected, not printed. */
export async function run(
  source: Plan,
  target: string,
  init: RequestInit = {},
  answers: FakeAnswers = {},
  options: RunOptions = {},
): Promise<{ response: Response; sent: Sent[]; exchange: Exchange; lines: string[]; errors: string[] }> {
  const sent: Sent[] = [];
  const waiting: Promise<unknown>[] = [];
  const platform: Platform = {
    name: 'workerd',
    images: memoryImages(null),
    peer: () => options.peer ?? '198.51.100.1:4711',
    async dial(to, url, request, impatient = false) {
      const body = request.body === null || request.body === undefined ? null : await new Response(request.body).text();
      const one: Sent = {
        endpoint: to,
        url,
        method: request.method ?? '',
        headers: new Headers(request.headers),
        body,
        impatient,
      };
      sent.push(one);
      return (await options.origin?.(one, exchange)) ?? new Response('ok');
    },
    agents: options.agents ?? null,
    mcpSessions: options.mcpSessions ?? null,
    limiter: options.limiter ?? null,
    secret: (name) => options.secrets?.[name],
    ...(options.exposed !== undefined && { exposed: options.exposed }),
  };
  const headers = new Headers({ host: 'shop.example' });
  for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
  const request = new Request('http://shop.example' + target, { ...init, headers: {} });
  // The constructor would drop headers that only a runtime may set.
  Object.defineProperty(request, 'headers', { value: headers });
  const agents = [{ name: 'GPTBot', operator: 'OpenAI', category: 'training' }]; // index 0; the head call finds none
  const generation: Generation = { id: 'test', at: 0, apps: [source], agents };
  const manifest = { generation: 'test', hosts: '', agents: null, apps: [] };
  const lease: Lease = { generation, manifest, loadedAt: 0, users: 0, replacedAt: 0, released: false };
  const context = { waitUntil: (promise: Promise<unknown>) => void waiting.push(promise) };
  const exchange = createExchange({ request, platform, engine: fakeEngine(answers), lease, context, onGone: abandon });
  const lines: string[] = [];
  const errors: string[] = [];
  const { log, error } = console;
  console.log = (line: string) => void lines.push(line);
  console.error = (line: string) => void errors.push(line);
  try {
    let response = await serve(exchange);
    // What waits for the end of an answer waits for its reader.
    if (options.drain === true) response = new Response(await response.arrayBuffer(), response);
    await Promise.all(waiting);
    return { response, sent, exchange, lines, errors };
  } finally {
    Object.assign(console, { log, error });
  }
}
