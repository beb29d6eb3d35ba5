import type { ObjectNamespace } from '../durable-object.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { objectStorage } from '../../test/support/object-storage.ts';
import { base64Url } from './json-web-key.ts';
import { LIMITER_SHARDS, MAX_EXHAUSTED, MAX_RATE_WINDOWS, RATE_FLUSH_MS, RATE_SWEEP_SECONDS } from './limits.ts';
import { RateLimiter, take, type Taken } from './rate-limiter.ts';

const NOW = 1_000_000_000_000;
const idOf = (n: number) => base64Url(new Uint8Array(32).map((_, at) => (n >> ((at % 4) * 8)) & 255));

function limiter(kept = objectStorage()) {
  const clock = { now: NOW };
  const object = new RateLimiter({ storage: kept }, undefined, () => clock.now);
  const ask = (id: string, limit: number, seconds: number, cost: number | string = 1) =>
    object.fetch({ url: `https://limit/${id}/${limit}/${seconds}/${cost}` });
  const use = async (...args: Parameters<typeof ask>): Promise<Taken> => (await (await ask(...args)).json()) as Taken;
  const flush = () => object.flush();
  return { kept, clock, object, ask, use, flush };
}

test('a window takes so much, and starts again once it is over', async () => {
  const { use, ask, clock } = limiter();
  assert.deepEqual(await use(idOf(1), 2, 60), { allowed: true, remaining: 1, resetSeconds: 60 });
  clock.now += 15_500;
  assert.deepEqual(await use(idOf(1), 2, 60), { allowed: true, remaining: 0, resetSeconds: 44.5 });
  assert.deepEqual(await use(idOf(1), 2, 60), { allowed: false, remaining: 0, resetSeconds: 44.5 });
  assert.equal((await ask(idOf(1), 2, 60)).status, 429);
  assert.deepEqual(await use(idOf(2), 2, 60), { allowed: true, remaining: 1, resetSeconds: 60 }, 'of another key');
  clock.now += 44_499;
  assert.equal((await use(idOf(1), 2, 60)).allowed, false);
  clock.now += 1;
  assert.deepEqual(await use(idOf(1), 2, 60), { allowed: true, remaining: 1, resetSeconds: 60 });
});

test('costs: more than is left takes nothing, none asks, a fact is recorded whatever is left', async () => {
  const { use, kept } = limiter();
  assert.deepEqual(await use(idOf(1), 10, 60, 0), { allowed: true, remaining: 10, resetSeconds: 60 });
  assert.equal(kept.rows('span'), 0);
  assert.equal((await use(idOf(1), 10, 60, 11)).allowed, false);
  assert.equal((await use(idOf(1), 10, 60, 7)).remaining, 3);
  assert.deepEqual(await use(idOf(1), 10, 60, 4), { allowed: false, remaining: 3, resetSeconds: 60 });
  assert.equal((await use(idOf(1), 10, 60, '40/spent')).remaining, 0);
  assert.equal((await use(idOf(1), 10, 60, 0)).allowed, false);
  assert.equal((await use(idOf(1), 100, 60, 0)).remaining, 53, 'a limit that was raised counts what was used');
  for (let i = 0; i < 20; i++) await use(idOf(1), 10, 60, '999999999999999/spent');
  assert.equal((await use(idOf(1), 10, 60, 1)).allowed, false);
});

test('what is given back is there again, in the window that it was taken from', async () => {
  const { use, clock } = limiter();
  assert.equal((await use(idOf(1), 10, 60, 10)).remaining, 0);
  assert.deepEqual(await use(idOf(1), 10, 60, `7/back/${NOW + 60_000}`), {
    allowed: true,
    remaining: 7,
    resetSeconds: 60,
  });
  assert.equal((await use(idOf(1), 10, 60, `700/back/${NOW + 60_020}`)).remaining, 10);
  assert.equal((await use(idOf(1), 10, 60, 10)).allowed, true);
  clock.now += 60_000;
  assert.equal((await use(idOf(1), 10, 60, 4)).remaining, 6, 'the next window');
  assert.equal((await use(idOf(1), 10, 60, `7/back/${NOW + 60_000}`)).remaining, 6, 'is not the one that gave');
  assert.equal((await use(idOf(2), 10, 60, `7/back/${NOW + 60_000}`)).remaining, 10, 'nothing was taken');
});

test('what was counted outlives the object, and a clock that was set back makes no window longer', async () => {
  const { use, kept, flush } = limiter();
  await use(idOf(1), 1, 60);
  await flush();
  const again = limiter(kept);
  assert.equal((await again.use(idOf(1), 1, 60)).allowed, false);
  again.clock.now -= 3_600_000;
  assert.equal((await again.use(idOf(1), 1, 60)).resetSeconds, 60);
});

test('the alarm forgets, and leaves nothing behind once all is over', async () => {
  const { use, kept, object, clock, flush } = limiter();
  await use(idOf(1), 5, 60);
  await use(idOf(2), 5, 600);
  assert.equal(kept.rows('span'), 0);
  await flush();
  assert.equal(kept.rows('span'), 2);
  assert.equal(kept.alarm, NOW + (60 + RATE_SWEEP_SECONDS) * 1000);
  clock.now = kept.alarm as number;
  kept.alarm = null;
  await object.alarm();
  assert.equal(kept.rows('span'), 1);
  assert.equal(kept.alarm, NOW + (600 + RATE_SWEEP_SECONDS) * 1000);
  clock.now = kept.alarm as number;
  kept.alarm = null;
  await object.alarm();
  assert.equal(kept.alarm, null);
  assert.equal((await use(idOf(3), 5, 60)).allowed, true);
});

test('memory is bounded, and a full object says that it can not tell', async () => {
  const { kept } = limiter();
  kept.sql.exec(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${MAX_RATE_WINDOWS - 1})
     INSERT INTO span (id, until, used) SELECT 'n' || i, ${NOW + 60_000}, 1 FROM n`,
  );
  const { use, ask, clock } = limiter(kept);
  assert.equal((await use(idOf(1), 5, 90)).remaining, 4);
  assert.equal((await ask(idOf(2), 5, 90)).status, 507);
  assert.equal((await use(idOf(1), 5, 90)).remaining, 3, 'what is known goes on');
  clock.now += 75_000;
  assert.equal((await use(idOf(2), 5, 90)).remaining, 4);
});

test('what is counted is written a moment later, once for all of it, and after a failure the next time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const errors = t.mock.method(console, 'error', () => {});
  const { use, kept } = limiter();
  let writes = 0;
  let broken = true;
  const { exec } = kept.sql;
  kept.sql.exec = (query, ...values) => {
    if (query.startsWith('INSERT')) {
      writes++;
      if (broken) throw new Error('the disk is full');
    }
    return exec(query, ...values);
  };
  for (let i = 0; i < 5; i++) await use(idOf(1), 100, 60);
  assert.equal(writes, 0);
  t.mock.timers.tick(RATE_FLUSH_MS);
  await Promise.resolve();
  assert.deepEqual([writes, errors.mock.callCount()], [1, 1]);
  broken = false;
  assert.equal((await use(idOf(1), 100, 60)).remaining, 94, 'nothing is forgotten meanwhile');
  t.mock.timers.tick(RATE_FLUSH_MS);
  assert.deepEqual([writes, kept.rows('span')], [2, 1]);
  assert.equal(Number(kept.sql.exec('SELECT used FROM span').toArray()[0]?.['used']), 6);
});

test('the secret of challenges is made once, and outlives the object', async () => {
  const { object, kept } = limiter();
  const secretOf = async (one = object) => await (await one.fetch({ url: 'https://limit/secret' })).text();
  const secret = await secretOf();
  assert.match(secret, /^[A-Za-z0-9_-]{43}$/);
  assert.equal(await secretOf(), secret);
  assert.equal(await secretOf(limiter(kept).object), secret);
  assert.notEqual(await secretOf(limiter().object), secret);
});

test('anything else is refused', async () => {
  const { object } = limiter();
  const id = idOf(1);
  for (const path of ['', 'x/1/1/1', id, `${id}/1/1`, `${id}/-1/1/1`, `${id}/1/1/1/2`, `${id}'/1/1/1`, `${id}/1/1/1.5`])
    assert.equal((await object.fetch({ url: `https://limit/${path}` })).status, 400, path);
});

test('never more than its limit within a window, over any interleaving', async () => {
  const step = fc.record({
    wait: fc.nat({ max: 4000 }),
    key: fc.nat({ max: 1 }),
    cost: fc.integer({ min: 1, max: 4 }),
    restart: fc.boolean(),
    together: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 12 }), async (steps, limit) => {
      const SECONDS = 5;
      const kept = objectStorage();
      let one = limiter(kept);
      const log: { key: number; at: number; cost: number; taken?: Taken }[] = [];
      let running: Promise<unknown>[] = [];
      let now = NOW;
      for (const { wait, key, cost, restart, together } of steps) {
        if (!together) {
          await Promise.all(running);
          running = [];
          now += wait;
        }
        if (restart) {
          await one.flush();
          one = limiter(kept);
        }
        one.clock.now = now;
        // Decided in the order in which they are asked, whatever comes back first.
        const entry: (typeof log)[number] = { key, at: now, cost };
        log.push(entry);
        running.push(one.use(idOf(key), limit, SECONDS, cost).then((taken) => (entry.taken = taken)));
      }
      await Promise.all(running);
      for (const key of [0, 1]) {
        let from = -Infinity;
        let sum = 0;
        for (const entry of log.filter((one) => one.key === key)) {
          if (entry.at >= from + SECONDS * 1000) [from, sum] = [Infinity, 0];
          if (!entry.taken!.allowed) {
            assert.ok(sum + entry.cost > limit, 'refused though there was room');
            continue;
          }
          if (from === Infinity) from = entry.at;
          sum += entry.cost;
          assert.ok(sum <= limit, `${sum} of ${limit}`);
          assert.equal(entry.taken!.remaining, limit - sum);
        }
      }
    }),
  );
});

/** Objects in this process, made when they are asked for. */
function namespace() {
  const objects = new Map<string, ReturnType<typeof limiter>>();
  let calls = 0;
  const found: ObjectNamespace = {
    idFromName: (name) => name,
    get: (name: string) => ({
      async fetch(url) {
        calls++;
        const object = objects.get(name) ?? limiter();
        object.clock.now = Date.now();
        objects.set(name, object);
        return object.object.fetch({ url });
      },
    }),
  };
  return { namespace: found, objects, calls: () => calls };
}

test('askers go by rule and key, spread over shards', async () => {
  const { namespace: objects, objects: made } = namespace();
  const of = (rule: string, key: string) => take(objects, { rule, key, limit: 1, windowSeconds: 60 });
  assert.equal((await of('a', 'k'))?.allowed, true);
  assert.equal((await of('a', 'k'))?.allowed, false);
  assert.equal((await of('b', 'k'))?.allowed, true);
  assert.equal((await of('a', 'l'))?.allowed, true);
  for (let i = 0; i < 1000; i++) await of('a', `k${i}`);
  assert.equal(made.size, LIMITER_SHARDS);
});

test('an isolate that knows a window to be used up asks no more, until it is over', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: NOW });
  const { namespace: objects, calls } = namespace();
  const of = (more: object = {}) => take(objects, { rule: 'fast', key: 'k', limit: 2, windowSeconds: 60, ...more });
  await of();
  assert.deepEqual(await of(), { allowed: true, remaining: 0, resetSeconds: 60 });
  t.mock.timers.tick(20_000);
  assert.deepEqual(await of(), { allowed: false, remaining: 0, resetSeconds: 40 });
  assert.equal(calls(), 2);
  assert.equal((await of({ limit: 3 }))?.allowed, true, 'a limit that was raised is not remembered by the old one');
  assert.equal((await of({ spent: true, cost: 5 }))?.remaining, 0, 'what is a fact has to be told');
  assert.equal(calls(), 4);
  t.mock.timers.tick(40_000);
  assert.equal((await of())?.allowed, true);
  // As many as there may be push the first out, which is then asked for again.
  await of();
  for (let i = 0; i < MAX_EXHAUSTED; i++)
    await take(objects, { rule: 'fast', key: `k${i}`, limit: 1, windowSeconds: 60 });
  const before = calls();
  assert.equal((await of())?.allowed, false);
  assert.equal(calls(), before + 1);
});

test('askers are told the truth when nobody answers', async () => {
  for (const fetch of [
    () => Promise.reject(new Error('down')),
    () => Promise.resolve(new Response(null, { status: 500 })),
    () => Promise.resolve(new Response(null, { status: 507 })),
    () => Promise.resolve(new Response('{', { status: 200 })),
  ]) {
    const broken: ObjectNamespace = { idFromName: (name) => name, get: () => ({ fetch }) };
    assert.equal(await take(broken, { rule: 'x', key: 'k', limit: 1, windowSeconds: 60 }), null);
  }
});
