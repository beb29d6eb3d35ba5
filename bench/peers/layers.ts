/**
 * The workers that Sallyport is held against, built one layer at a time from this file (LAYERS is a build constant,
 * so a layer that is off is not in the bundle):
 *
 *   bare      `return env.ORIGIN.fetch(request)`
 *   hono      the same as the handler of a Hono app
 *   headers   copies the request's headers, leaves out the hop-by-hop ones, sets the forwarding headers that Sallyport sets
 *   log       writes the access-log line that Sallyport writes, once the answer is there
 *   engine    asks Sallyport's engine about every request and ignores the answer
 *
 * `headers` and `log` without Hono is the copying worker of the goal: what anyone would write by hand to have a proxy
 * that is polite and leaves a trace. It takes the short way everywhere: no trust rules, no checks, no configuration, and
 * a counter for an id; app, route and backend in its log line are constants, as it knows none.
 */
import { Hono } from 'hono';
import { OUTCOME_OK } from '../../assembly/abi.ts';
import type { Fetcher } from '../../src/platform/bindings.ts';
import { diskImages } from '../../src/platform/images.ts';
import { createEngine, type Engine, type Generation, type Loaded } from '../../src/waf/engine.ts';

declare const LAYERS: {
  readonly hono: boolean;
  readonly headers: boolean;
  readonly log: boolean;
  readonly engine: boolean;
};

interface Env {
  readonly ORIGIN: Fetcher;
  readonly IMAGES: Fetcher;
}
interface Context {
  waitUntil(promise: Promise<unknown>): void;
}

async function direct(request: Request, env: Env): Promise<Response> {
  return env.ORIGIN.fetch(request);
}

let ids = 0;

async function forward(request: Request, env: Env): Promise<Response> {
  const started = Date.now();
  const id = `f00dfeed00c0ffee-${(ids++).toString(36)}`;
  const { url } = request;
  const start = url.indexOf('/', 8);
  const peer = (request as { cf?: { clientIp?: string } }).cf?.clientIp ?? '';
  const client = peer.slice(0, peer.lastIndexOf(':'));
  const host = request.headers.get('host') ?? '';
  const scheme = url.slice(0, url.indexOf(':'));

  const headers = new Headers(request.headers);
  headers.set('x-request-id', id);
  headers.set('x-forwarded-for', client);
  headers.set('x-forwarded-proto', scheme);
  headers.set('x-forwarded-host', host);
  headers.set('forwarded', `for=${client};host=${host};proto=${scheme}`);
  headers.set('via', '1.1 sallyport');
  headers.set('cdn-loop', 'sallyport');
  if (LAYERS.engine) await judge(request, env, peer);
  const init = {
    method: request.method,
    headers,
    body: request.body,
    redirect: 'manual',
    encodeResponseBody: 'manual',
  } as const;
  const response = await env.ORIGIN.fetch(url, init);
  if (LAYERS.log) {
    const bytes = response.headers.get('content-length');
    const end = url.indexOf('?', start);
    console.log(
      JSON.stringify({
        time: new Date(started).toISOString(),
        id,
        app: 'bench',
        route: 'route-100',
        method: request.method,
        host,
        path: url.slice(start, end < 0 ? url.length : end),
        status: response.status,
        bytes: bytes === null ? null : Number(bytes),
        ms: Date.now() - started,
        client,
        upstream: { backend: 'origin', endpoint: 'http://127.0.0.1:49001', attempts: 1, status: response.status },
        verdict: [],
      }),
    );
  }
  return response;
}

let engine: Engine | null = null;
let generation: Generation | null = null;

/** Sallyport's head call on the 1,000 routes, joined as Sallyport joins it; the answer has no effect. */
async function judge(request: Request, env: Env, peer: string): Promise<void> {
  generation ??= await loaded(env);
  let text = `${request.method}\0${request.url}\0${peer}\0`;
  let fields = 3;
  for (const [name, value] of request.headers as unknown as Iterable<[string, string]>) {
    text += name + '\0' + value + '\0';
    fields += 2;
  }
  const result = engine!.head(generation, { text, fields }, 0, 0);
  if (result.outcome !== OUTCOME_OK)
    throw new Error(`the engine refuses a request of the benchmark: ${result.outcome}`);
}

async function loaded(env: Env): Promise<Generation> {
  engine = createEngine((await import('./engine.wasm' as string)).default);
  const store = diskImages(env.IMAGES);
  const manifest = await store.current();
  if (manifest === null) throw new Error('there are no images');
  const load = async (hash: string): Promise<Loaded> => ({ hash, bytes: await store.get(hash) });
  const apps: Loaded[] = [];
  for (const app of manifest.apps) apps.push(await load(app.image));
  const agents = manifest.agents === null ? null : await load(manifest.agents);
  return engine.load({ id: manifest.generation, hosts: await load(manifest.hosts), agents, apps });
}

const answer = LAYERS.headers ? forward : direct;
let app: { fetch(request: Request, env: Env, context: Context): Response | Promise<Response> } = { fetch: answer };
if (LAYERS.hono) {
  const hono = new Hono<{ Bindings: Env }>();
  hono.all('*', (c) => answer(c.req.raw, c.env));
  app = hono as unknown as typeof app;
}

export default { fetch: (request: Request, env: Env, context: Context) => app.fetch(request, env, context) };
