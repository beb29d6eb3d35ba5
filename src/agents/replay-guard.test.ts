import type { ObjectNamespace } from '../durable-object.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectStorage } from '../../test/support/object-storage.ts';
import { base64Url } from './json-web-key.ts';
import { MAX_NONCES, NONCE_SLOT_SECONDS, REPLAY_SHARDS } from './limits.ts';
import { askReplayGuard, ReplayGuard } from './replay-guard.ts';

const NOW = 1_000_000_000;
const idOf = (n: number) => base64Url(new Uint8Array(32).map((_, at) => (n >> ((at % 4) * 8)) & 255));

function guard(kept = objectStorage()) {
  const clock = { now: NOW * 1000 };
  const object = new ReplayGuard({ storage: kept }, undefined, () => clock.now);
  const use = async (id: string, expires: number) =>
    (await object.fetch({ url: `https://replay/${id}/${expires}` })).status;
  return { kept, clock, object, use };
}

test('a nonce is new once, until its signature has expired', async () => {
  const { use, clock, kept } = guard();
  assert.equal(await use(idOf(1), NOW + 60), 201);
  assert.equal(await use(idOf(1), NOW + 60), 409);
  assert.equal(await use(idOf(2), NOW + 60), 201);
  assert.equal((await Promise.all([use(idOf(3), NOW + 60), use(idOf(3), NOW + 60)])).join(), '201,409');
  clock.now += 59_999;
  assert.equal(await use(idOf(1), NOW + 60), 409);
  // Only then may it be forgotten; nobody accepts the signature any more.
  clock.now = (NOW + 60 + 2 * NONCE_SLOT_SECONDS) * 1000;
  assert.equal(await use(idOf(4), NOW + 200), 201);
  assert.equal(kept.rows('nonce'), 1);
});

test('what is remembered outlives the object', async () => {
  const { use, kept } = guard();
  assert.equal(await use(idOf(1), NOW + 60), 201);
  assert.equal(await guard(kept).use(idOf(1), NOW + 60), 409);
});

test('the alarm forgets, and leaves nothing behind once all is over', async () => {
  const { use, kept, object, clock } = guard();
  await use(idOf(1), NOW + 60);
  await use(idOf(2), NOW + 600);
  assert.ok(kept.alarm !== null && kept.alarm >= (NOW + 60) * 1000);
  clock.now = (NOW + 100) * 1000;
  kept.alarm = null;
  await object.alarm();
  assert.equal(kept.rows('nonce'), 1);
  assert.ok(kept.alarm !== null && kept.alarm >= (NOW + 600) * 1000);
  clock.now = kept.alarm;
  kept.alarm = null;
  await object.alarm();
  assert.equal(kept.alarm, null);
  assert.equal(await use(idOf(3), NOW + 9000), 201);
});

test('memory is bounded, and a full guard says that it can not tell', async () => {
  const { kept } = guard();
  kept.sql.exec(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${MAX_NONCES - 1})
     INSERT INTO nonce (id, slot) SELECT 'n' || i, ${NOW / NONCE_SLOT_SECONDS + 6} FROM n`,
  );
  const { use, clock } = guard(kept);
  assert.equal(await use(idOf(1), NOW + 90), 201);
  assert.equal(await use(idOf(2), NOW + 90), 507);
  assert.equal(await use(idOf(1), NOW + 90), 409);
  clock.now += 80_000;
  assert.equal(await use(idOf(2), NOW + 90), 201);
});

test('anything else is refused', async () => {
  const { object } = guard();
  for (const path of ['', 'x/1', `${idOf(1)}`, `${idOf(1)}/-1`, `${idOf(1)}/1/2`, `${idOf(1)}'/1`])
    assert.equal((await object.fetch({ url: `https://replay/${path}` })).status, 400, path);
});

test('askers go by agent and nonce, spread over shards, and are told the truth when nobody answers', async () => {
  const objects = new Map<string, ReturnType<typeof guard>>();
  const namespace: ObjectNamespace = {
    idFromName: (name) => name,
    get: (name: string) => ({
      async fetch(url) {
        const object = objects.get(name) ?? guard();
        objects.set(name, object);
        return object.object.fetch({ url });
      },
    }),
  };
  assert.equal(await askReplayGuard(namespace, 'https://a.example/', 'n', NOW + 60), true);
  assert.equal(await askReplayGuard(namespace, 'https://a.example/', 'n', NOW + 60), false);
  assert.equal(await askReplayGuard(namespace, 'https://b.example/', 'n', NOW + 60), true);
  for (let i = 0; i < 400; i++) await askReplayGuard(namespace, 'https://a.example/', `n${i}`, NOW + 60);
  assert.equal(objects.size, REPLAY_SHARDS);
  for (const fetch of [
    () => Promise.reject(new Error('down')),
    () => Promise.resolve(new Response(null, { status: 500 })),
  ]) {
    const broken: ObjectNamespace = { idFromName: (name) => name, get: () => ({ fetch }) };
    assert.equal(await askReplayGuard(broken, 'https://a.example/', 'm', NOW + 60), null);
  }
});
