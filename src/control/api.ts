/**
 * The control API: health, metrics, status and swap. Served by the `control` entrypoint only, which on-prem listens on a
 * private unix socket; no app's host ever reaches it. Every write is logged.
 */
import { Hono } from 'hono';
import { render } from '../observe/metrics.ts';
import { ManifestError, readManifest } from '../platform/images.ts';
import type { Platform } from '../platform/platform.ts';
import { bytesHeld } from '../router/body.ts';
import { requestId } from '../router/exchange.ts';
import type { Generations } from '../router/generation.ts';
import { problem } from '../router/problem.ts';
import { ImageError } from '../waf/engine.ts';
import { OPENAPI } from './openapi.ts';

export interface ControlContext {
  readonly generations: Generations;
  readonly platform: Platform;
}

/** A manifest names images by hash; 10,000 apps take less than this. */
const MAX_MANIFEST_BYTES = 2 * 1024 * 1024;

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

api.get('/v1/status', (c) => {
  const { generations, platform } = c.env;
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
  let manifest;
  try {
    const text = await readText(c.req.raw);
    if (text === null) return refuse(c.req.raw, 413, 'the manifest is too large');
    manifest = readManifest(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof ManifestError ? error.message : 'the body is not a manifest in JSON';
    log('swap refused', { reason });
    return refuse(c.req.raw, 400, reason);
  }
  const before = generations.current?.manifest.generation ?? null;
  try {
    const lease = await generations.swap(platform.images, manifest);
    log('swap', { before, after: lease.manifest.generation });
    return c.json({ before, manifest: lease.manifest });
  } catch (error) {
    // A refused image is the sender's fault (422); one that is missing or altered on the way is a conflict (409).
    const reason = textOf(error);
    log('swap refused', { before, generation: manifest.generation, reason });
    return refuse(c.req.raw, error instanceof ImageError ? 422 : 409, reason);
  }
});

api.get('/v1/openapi.json', (c) => c.json(OPENAPI));

api.notFound((c) => refuse(c.req.raw, 404, 'the control API has no such resource'));
api.onError((error, c) => {
  log('error', { reason: textOf(error) });
  return refuse(c.req.raw, 500, 'the control API failed');
});

async function readText(request: Request): Promise<string | null> {
  if (request.body === null) return '';
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  let text = '';
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    length += value.byteLength;
    if (length > MAX_MANIFEST_BYTES) {
      await reader.cancel();
      return null;
    }
    text += decoder.decode(value, { stream: true });
  }
}

function refuse(request: Request, status: number, reason: string): Response {
  return problem(requestId(), request.method, 'application/json', { status, reason, rule: '' }, '');
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function log(event: string, facts: Record<string, unknown>): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), control: event, ...facts }));
}
