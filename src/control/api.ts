/**
 * The control API: health, metrics, status and swap. On-prem it is the `control` entrypoint, which listens on a private
 * unix socket; on Cloudflare operator.ts stands in front. No app's host ever reaches it. Every write is logged.
 */
import { MAX_MANIFEST_BYTES } from '../../assembly/abi.ts';
import { Hono } from 'hono';
import { render } from '../observe/metrics.ts';
import { ManifestError, readManifest } from '../platform/images.ts';
import { bytesHeld } from '../router/body.ts';
import { distrustTunnels, drainTunnels } from '../router/tunnel.ts';
import { ImageError } from '../waf/engine.ts';
import { agents } from './agents.ts';
import { log, readBody, refuse, type ControlContext } from './call.ts';
import { OPENAPI } from './openapi.ts';
import { payments } from './payments.ts';
import { tunnels } from './tunnels.ts';

const api = new Hono<{ Bindings: ControlContext }>();

export function controlApi(request: Request, context: ControlContext): Response | Promise<Response> {
  return api.fetch(request, context);
}

api.get('/healthz', (c) => c.text('ok\n'));

/** Ready when a generation serves; asking loads the first one, so that the first client does not wait for it. */
api.get('/readyz', async (c) => {
  const { generations, platform } = c.env;
  try {
    if ((generations.current ?? (await generations.first(platform.images))) !== null) return c.text('ready\n');
    return refuse(c.req.raw, 503, 'no policy has been published');
  } catch (error) {
    return refuse(c.req.raw, 503, textOf(error));
  }
});

api.get('/metrics', (c) => {
  const { generations } = c.env;
  const text = render({
    heldBytes: bytesHeld(),
    generation: generations.current?.manifest.generation ?? '',
    generations: generations.swaps,
    draining: generations.draining,
    traps: generations.traps,
  });
  return c.body(text, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
});

api.get('/v1/status', async (c) => {
  const { generations, platform } = c.env;
  // Isolates come and go there, and one that has served nothing yet would know of no policy. What fails is null, below.
  if (platform.name === 'cloudflare' && generations.current === null)
    await generations.first(platform.images).catch((error: unknown) => log('error', { reason: textOf(error) }));
  const lease = generations.current;
  return c.json({
    platform: platform.name,
    manifest: lease === null ? null : lease.manifest,
    loadedAt: lease === null ? null : new Date(lease.loadedAt).toISOString(),
    exchanges: lease === null ? 0 : lease.users,
    swaps: generations.swaps,
    draining: generations.draining,
    heldBytes: bytesHeld(),
    traps: generations.traps,
  });
});

api.post('/v1/swap', async (c) => {
  const { generations, platform } = c.env;
  if (platform.name === 'cloudflare') {
    const reason = 'on Cloudflare images are modules of the bundle: a new policy is a new upload';
    log('swap refused', { reason });
    return refuse(c.req.raw, 501, reason);
  }
  let manifest;
  try {
    const bytes = await readBody(c.req.raw, MAX_MANIFEST_BYTES);
    if (bytes === null) return refuse(c.req.raw, 413, 'the manifest is too large');
    manifest = readManifest(JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)));
  } catch (error) {
    const reason = error instanceof ManifestError ? error.message : 'the body is not a manifest in JSON';
    log('swap refused', { reason });
    return refuse(c.req.raw, 400, reason);
  }
  const before = generations.current?.manifest.generation ?? null;
  try {
    const lease = await generations.swap(platform.images, manifest);
    const closed = await distrustTunnels(c.env.env, lease.generation.apps);
    log('swap', { before, after: lease.manifest.generation, ...(closed > 0 && { closed }) });
    return c.json({ before, manifest: lease.manifest });
  } catch (error) {
    // A refused image is the sender's fault (422); one that is missing or altered on the way is a conflict (409).
    const reason = textOf(error);
    log('swap refused', { before, generation: manifest.generation, reason });
    return refuse(c.req.raw, error instanceof ImageError ? 422 : 409, reason);
  }
});

api.route('/', tunnels);
api.route('/', agents);
api.route('/', payments);

api.post('/v1/drain', async (c) => {
  const sockets = await drainTunnels(c.env.env, 'the edge restarts');
  log('drain', { sockets });
  return c.json({ sockets });
});

api.get('/v1/openapi.json', (c) => c.json(OPENAPI));

api.notFound((c) => refuse(c.req.raw, 404, 'the control API has no such resource'));
api.onError((error, c) => {
  log('error', { reason: textOf(error) });
  return refuse(c.req.raw, 500, 'the control API failed');
});

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
