import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_GENERATION_SECONDS } from '../../assembly/abi.ts';
import type { Manifest } from '../plan.ts';
import type { ImageStore } from '../platform/platform.ts';
import { Generations } from './generation.ts';
import { action, backend, fakeEngine, plan } from './testing.ts';

const bytes = new TextEncoder().encode(JSON.stringify(plan({ '/': action() }, [backend('web', ['http://10.0.0.1'])])));
const manifest = (generation: string): Manifest => ({
  generation,
  hosts: 'h',
  agents: null,
  apps: [{ name: 'a', image: 'i', rulesets: [] }],
});
const store = (current: Manifest | null, get = async (_hash: string): Promise<Uint8Array> => bytes): ImageStore => ({
  get,
  current: async () => current,
});

test('the first generation is loaded once, however many ask at the same time', async () => {
  let loads = 0;
  const images = store(manifest('1'), async () => {
    loads++;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return bytes;
  });
  const generations = new Generations(fakeEngine());
  const leases = await Promise.all([generations.first(images), generations.first(images), generations.first(images)]);
  assert.equal(new Set(leases).size, 1);
  assert.equal(loads, 2); // hosts and one app
  assert.equal(generations.swaps, 1);
});

test('nothing published is null; a failed load can be tried again', async () => {
  assert.equal(await new Generations(fakeEngine()).first(store(null)), null);
  const generations = new Generations(fakeEngine());
  await assert.rejects(generations.first(store(manifest('1'), () => Promise.reject(new Error('no disk')))), /no disk/);
  assert.equal((await generations.first(store(manifest('1'))))?.manifest.generation, '1');
});

test('a swap that fails changes nothing', async () => {
  const generations = new Generations(fakeEngine());
  const before = await generations.swap(store(null), manifest('1'));
  await assert.rejects(
    generations.swap(
      store(null, () => Promise.reject(new Error('altered'))),
      manifest('2'),
    ),
    /altered/,
  );
  assert.equal(generations.current, before);
  assert.equal(generations.draining, 0);
});

test('a swap that took longer than a later one does not come back over it', async () => {
  const generations = new Generations(fakeEngine());
  const slow = store(manifest('old'), async () => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    return bytes;
  });
  const first = generations.first(slow);
  const late = generations.swap(slow, manifest('old too'));
  await generations.swap(store(null), manifest('new'));
  await assert.rejects(late, /later swap/);
  assert.equal((await first)?.manifest.generation, 'new');
  assert.equal(generations.current?.manifest.generation, 'new');
  assert.equal(generations.draining, 0);
});

test('a replaced generation is freed when nobody uses it, and after its time whoever does', async () => {
  const engine = fakeEngine();
  const generations = new Generations(engine);
  const first = await generations.swap(store(null), manifest('1'));
  first.users = 1;
  const second = await generations.swap(store(null), manifest('2'));
  assert.equal(generations.current, second);
  assert.deepEqual(engine.released, []);
  assert.equal(generations.draining, 1);
  first.users = 0;
  generations.sweep(Date.now());
  assert.deepEqual(engine.released, [first.generation]);
  second.users = 1;
  await generations.swap(store(null), manifest('3'));
  generations.sweep(second.replacedAt + MAX_GENERATION_SECONDS * 1000 - 1);
  assert.equal(second.released, false);
  generations.sweep(second.replacedAt + MAX_GENERATION_SECONDS * 1000);
  assert.equal(second.released, true);
  assert.equal(generations.draining, 0);
});
