import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { memoryImages } from '../platform/images.ts';
import { Generations } from '../router/generation.ts';
import { action, backend, fakeEngine, plan } from '../router/testing.ts';
import { ImageError } from '../waf/engine.ts';
import { controlApi } from './api.ts';
import type { ControlContext } from './call.ts';
import { OPENAPI } from './openapi.ts';

const bytes = new TextEncoder().encode(JSON.stringify(plan({ '/': action() }, [backend('web', ['http://10.0.0.1'])])));
const hash = createHash('sha256').update(bytes).digest('hex');
const manifest = { generation: 'one', hosts: hash, agents: null, apps: [{ name: 'a', image: hash, rulesets: [] }] };

function deployment(published = true): {
  context: ControlContext;
  logged: string[];
  ask: (path: string, init?: RequestInit) => Promise<Response>;
} {
  const images = memoryImages(published ? { manifest, images: { [hash]: bytes.slice().buffer } } : null);
  const engine = fakeEngine();
  const load = engine.load.bind(engine);
  engine.load = (source) => {
    if (source.id === 'refused') throw new ImageError('section 3 is out of bounds');
    return load(source);
  };
  const platform = {
    name: 'workerd' as const,
    images,
    peer: () => '',
    dial: () => assert.fail(),
    agents: null,
    secret: () => undefined,
  };
  const context = { generations: new Generations(engine), platform, env: { PLATFORM: 'workerd' as const } };
  const logged: string[] = [];
  const ask = async (path: string, init?: RequestInit): Promise<Response> => {
    const { log } = console;
    console.log = (line: string) => void logged.push(line);
    try {
      return await controlApi(new Request(`http://control${path}`, init), context);
    } finally {
      console.log = log;
    }
  };
  return { context, logged, ask };
}
const swap = (body: unknown): RequestInit => ({
  method: 'POST',
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

test('drain tells connectors, and is logged', async () => {
  const { ask, logged } = deployment();
  assert.deepEqual(await (await ask('/v1/drain', { method: 'POST' })).json(), { sockets: 0 });
  assert.match(logged.join(), /"control":"drain","sockets":0/);
});

test('health, readiness and status', async () => {
  const { ask } = deployment();
  assert.equal((await ask('/healthz')).status, 200);
  assert.equal(((await (await ask('/v1/status')).json()) as { manifest: unknown }).manifest, null);
  assert.equal((await ask('/readyz')).status, 200);
  assert.deepEqual(((await (await ask('/v1/status')).json()) as { manifest: unknown }).manifest, manifest);
  assert.equal((await deployment(false).ask('/readyz')).status, 503);
});

test('a swap serves the new generation and is logged', async () => {
  const { ask, context, logged } = deployment();
  await ask('/readyz');
  const response = await ask('/v1/swap', swap({ ...manifest, generation: 'two' }));
  assert.equal(response.status, 200);
  assert.equal(((await response.json()) as { before: string }).before, 'one');
  assert.equal(context.generations.current?.manifest.generation, 'two');
  assert.deepEqual(
    logged.map((line) => (JSON.parse(line) as { control: string }).control),
    ['swap'],
  );
});

test('a bad swap changes nothing, says why and is logged', async () => {
  const { ask, context, logged } = deployment();
  await ask('/readyz');
  const cases: [unknown, number, RegExp][] = [
    ['{', 400, /not a manifest/],
    [{}, 400, /generation/],
    [{ ...manifest, hosts: 'b'.repeat(64) }, 409, /not in the bundle/],
    [{ ...manifest, generation: 'refused' }, 422, /section 3/],
    [' '.repeat(3 * 1024 * 1024), 413, /too large/],
  ];
  for (const [body, status, reason] of cases) {
    const response = await ask('/v1/swap', swap(body));
    assert.equal(response.status, status);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    assert.match(((await response.json()) as { detail: string }).detail, reason);
    assert.equal(context.generations.current?.manifest.generation, 'one');
  }
  assert.equal(logged.length, 4);
});

test('everything that is served is described, and nothing else is', async () => {
  const { ask } = deployment();
  await ask('/readyz');
  for (const [path, methods] of Object.entries(OPENAPI.paths))
    for (const method of Object.keys(methods)) {
      const init = method === 'post' ? swap(manifest) : { method: method.toUpperCase() };
      // Without objects there are no tunnels, reports and payments; test/scenarios has some.
      const expected = /^\/v1\/(tunnels|offers|agents|payments)/.test(path) ? 501 : 200;
      assert.equal((await ask(path, init)).status, expected, `${method} ${path}`);
    }
  assert.match(await (await ask('/metrics')).text(), /sallyport_generation_info\{generation="one"\} 1/);
  assert.equal((await ask('/')).status, 404);
  assert.equal((await ask('/v1/swap')).status, 404);
});
