import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Env } from './bindings.ts';
import { answerShard, withShards } from './shards.ts';

/** Two processes; every object is the second's. `seen` gets what the first asks of it, `done` what became of it there. */
function processes() {
  const seen: Headers[] = [];
  const done: string[] = [];
  const stub = new Proxy({}, { get: (_target, name) => async () => void done.push(String(name)) });
  const own = { idFromName: () => 'ff'.repeat(32), get: () => stub };
  const shared = { PLATFORM: 'workerd', OBJECTS: {}, SHARDS: '2', TUNNEL_SESSION: own };
  const second = { ...shared, SHARD: '1' } as unknown as Env;
  const peer = {
    fetch(url: string, init: RequestInit) {
      const request = new Request(url, init);
      seen.push(request.headers);
      return answerShard(request, second);
    },
  };
  const env = withShards({ ...shared, SHARD: '0', SHARD_1: peer } as unknown as Env);
  return { session: env.TUNNEL_SESSION!.getByName('laptop#0'), seen, done };
}

test('what the control API asks of a session, it can ask of one in another process', async () => {
  const { session, done } = processes();
  await session.revoke(1);
  await session.retire();
  await session.listed();
  await session.forget(1);
  assert.deepEqual(done, ['revoke', 'retire', 'listed', 'forget']);
});

test('it can be the result of a promise', async () => {
  const { session, done } = processes();
  const found = await (async () => session)();
  await found.listed();
  assert.deepEqual(done, ['listed']);
});

test('a header of a request is no call', async () => {
  const { session, seen } = processes();
  await session
    .fetch('http://laptop/s:/', { headers: { 'x-sallyport-method': 'forget', 'x-kept': '1' } })
    .catch(() => {});
  assert.deepEqual([seen[0]?.get('x-sallyport-method'), seen[0]?.get('x-kept')], [null, '1']);
});
