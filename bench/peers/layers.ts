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
 * that is polite and leaves a trace. It takes the short way everywhere: no trust rules, no checks, no configuration.
 */
import { Hono } from 'hono';

declare const LAYERS: { readonly hono: boolean; readonly headers: boolean; readonly log: boolean; readonly engine: boolean };

interface Env {
  readonly ORIGIN: { fetch(request: Request | string, init?: RequestInit): Promise<Response> };
}
interface Context {
  waitUntil(promise: Promise<unknown>): void;
}

async function direct(request: Request, env: Env): Promise<Response> {
  return env.ORIGIN.fetch(request);
}

async function forward(request: Request, env: Env): Promise<Response> {
  const started = Date.now();
  const id = crypto.randomUUID();
  const peer = (request as { cf?: { clientIp?: string } }).cf?.clientIp ?? '';
  const client = peer.slice(0, peer.lastIndexOf(':'));
  const host = request.headers.get('host') ?? '';
  const { url } = request;
  const scheme = url.slice(0, url.indexOf(':'));

  const headers = new Headers(request.headers);
  headers.set('x-request-id', id);
  headers.set('x-forwarded-for', client);
  headers.set('x-forwarded-proto', scheme);
  headers.set('x-forwarded-host', host);
  headers.set('forwarded', `for=${client};host=${host};proto=${scheme}`);
  headers.set('via', '1.1 sallyport');
  headers.set('cdn-loop', 'sallyport');
  const response = await env.ORIGIN.fetch(url, { method: request.method, headers, body: request.body, redirect: 'manual' });
  if (LAYERS.log) {
    console.log(
      JSON.stringify({
        time: new Date(started).toISOString(),
        id,
        client,
        method: request.method,
        host,
        status: response.status,
        ms: Date.now() - started,
      }),
    );
  }
  return response;
}

const answer = LAYERS.headers ? forward : direct;
let app: { fetch(request: Request, env: Env, context: Context): Response | Promise<Response> } = { fetch: answer };
if (LAYERS.hono) {
  const hono = new Hono<{ Bindings: Env }>();
  hono.all('*', (c) => answer(c.req.raw, c.env));
  app = hono as unknown as typeof app;
}

export default { fetch: (request: Request, env: Env, context: Context) => app.fetch(request, env, context) };
