import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Fetcher } from './bindings.ts';
import { diskImages, memoryImages, readManifest } from './images.ts';

const bytes = new TextEncoder().encode('an image');
const hash = createHash('sha256').update(bytes).digest('hex');
const manifest = { generation: 'g', hosts: hash, agents: null, apps: [{ name: 'a', image: hash, rulesets: [] }] };

const disk = (files: Record<string, string | Uint8Array>): Fetcher => ({
  async fetch(url) {
    const file = files[new URL(url as string).pathname];
    return file === undefined ? new Response(null, { status: 404 }) : new Response(file as BodyInit);
  },
});

test('an image is handed out only when it is what its name says', async () => {
  const good = diskImages(disk({ [`/${hash}.img`]: bytes }));
  assert.deepEqual(await good.get(hash), bytes);
  const altered = diskImages(disk({ [`/${hash}.img`]: 'something else' }));
  await assert.rejects(altered.get(hash), /altered/);
  await assert.rejects(good.get('a'.repeat(64)), /not on disk/);
  await assert.rejects(good.get('../../etc/passwd'), /64 lower-case hex digits/);
  const bundled = memoryImages({ manifest, images: { [hash]: bytes.slice().buffer } });
  assert.deepEqual(await bundled.get(hash), bytes);
  await assert.rejects(bundled.get('b'.repeat(64)), /not in the bundle/);
});

test('what should be served: none yet, a manifest, or an error', async () => {
  assert.equal(await diskImages(disk({})).current(), null);
  assert.deepEqual(await diskImages(disk({ '/current.json': JSON.stringify(manifest) })).current(), manifest);
  await assert.rejects(diskImages(disk({ '/current.json': '{"generation":1}' })).current(), /generation/);
  assert.equal(await memoryImages(null).current(), null);
});

test('a manifest is checked, and nothing else of the value is kept', () => {
  assert.deepEqual(readManifest({ ...manifest, extra: 1, agents: undefined }), manifest);
  const polluted = JSON.parse(`{"__proto__":{"x":1},"generation":"g","hosts":"${hash}","apps":[]}`) as unknown;
  assert.equal((readManifest(polluted) as unknown as { x?: number }).x, undefined);
  for (const bad of [
    null,
    [],
    'x',
    {},
    { ...manifest, hosts: 'x' },
    { ...manifest, apps: [{}] },
    { ...manifest, apps: [{ name: 'a', image: hash.toUpperCase() }] },
    { ...manifest, agents: 5 },
    { ...manifest, apps: [{ name: 'a', image: hash, rulesets: {} }] },
    { ...manifest, apps: [{ name: 'a', image: hash, rulesets: ['x'] }] },
    { ...manifest, apps: [{ name: 'a', image: hash, rulesets: [hash, hash, hash, hash, hash] }] },
  ])
    assert.throws(() => readManifest(bad), { name: 'ManifestError' });
});
