import { objectStorage, type TestStorage } from '../../../test/support/object-storage.ts';
import type { ObjectNamespace } from '../../durable-object.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MAX_MCP_SESSION_BYTES,
  MAX_MCP_SESSIONS,
  MCP_SESSION_SHARDS,
  MCP_SESSION_SLOT_SECONDS,
} from './join-limits.ts';
import { endSession, findSession, findTask, keepTask, McpSessions, openSession } from './sessions.ts';

/** All objects of a deployment. */
function deployment() {
  const clock = { now: 1_000_000_000_000 };
  const objects = new Map<string, { object: McpSessions; kept: TestStorage }>();
  const namespace: ObjectNamespace = {
    idFromName: (name) => name,
    get: (name: string) => ({
      fetch: (url, init) => {
        let found = objects.get(name);
        if (found === undefined) {
          const kept = objectStorage();
          found = { kept, object: new McpSessions({ storage: kept }, undefined, () => clock.now) };
          objects.set(name, found);
        }
        return found.object.fetch(new Request(url, init));
      },
    }),
  };
  return { clock, objects, namespace, mine: { namespace, owner: 'shop' } };
}

test('what is kept of a session is found until it is ended', async () => {
  const { mine } = deployment();
  const one = await openSession(mine, 'at endpoint 1', 60);
  const two = await openSession(mine, 'at endpoint 2', 60);
  assert.match(one, /^[A-Za-z0-9_-]{43}$/);
  assert.notEqual(one, two);
  assert.equal(await findSession(mine, one), 'at endpoint 1');
  assert.equal(await findSession(mine, two), 'at endpoint 2');
  assert.equal(await endSession(mine, one), 'at endpoint 1');
  assert.equal(await findSession(mine, one), null);
  assert.equal(await endSession(mine, one), null);
  assert.equal(await findSession(mine, two), 'at endpoint 2');
});

test('ids of others are nobody’s, and make no object', async () => {
  const { objects, mine } = deployment();
  for (const id of ['', '1', 'a'.repeat(42), 'a'.repeat(44), `${'a'.repeat(42)}/`, `${'a'.repeat(42)}\u00e9`])
    assert.equal(await findSession(mine, id), null);
  assert.equal(objects.size, 0);
});

test('sessions lie in as many objects as there are shards, by hash', async () => {
  const { objects, mine } = deployment();
  const ids = await Promise.all(Array.from({ length: 400 }, (_, n) => openSession(mine, String(n), 60)));
  assert.equal(objects.size, MCP_SESSION_SHARDS);
  assert.equal(new Set(ids).size, 400);
  for (const [n, id] of ids.entries()) assert.equal(await findSession(mine, id), String(n));
});

test('a session lives as long again after each use, then it is gone and its object empty', async () => {
  const { objects, clock, mine } = deployment();
  const id = await openSession(mine, 'x', 120);
  for (let use = 0; use < 5; use++) {
    clock.now += 110_000;
    assert.equal(await findSession(mine, id), 'x');
  }
  clock.now += (120 + 2 * MCP_SESSION_SLOT_SECONDS) * 1000;
  assert.equal(await findSession(mine, id), null);
  const { object, kept } = [...objects.values()][0]!;
  const other = await openSession(mine, 'y', 60);
  clock.now += 3_600_000;
  for (const { object: each } of objects.values()) await each.alarm();
  assert.equal(kept.rows('session'), 0);
  assert.equal(await findSession(mine, other), null);
  await object.alarm();
});

test('the alarm comes again while there are sessions', async () => {
  const { objects, clock, mine } = deployment();
  await openSession(mine, 'x', 600);
  const { object, kept } = [...objects.values()][0]!;
  const first = kept.alarm as number;
  assert.ok(first > clock.now + 600_000);
  kept.alarm = null; // as the runtime does before it calls
  clock.now += 300_000;
  await object.alarm();
  assert.equal(kept.alarm, first);
  assert.equal(kept.rows('session'), 1);
});

test('at the limit the sessions that were used longest ago go', async () => {
  const clock = { now: 1_000_000_000_000 };
  const kept = objectStorage();
  const object = new McpSessions({ storage: kept }, undefined, () => clock.now);
  const put = (n: number) =>
    object.fetch(new Request(`http://mcp/${String(n).padStart(43, '0')}?ttl=3600`, { method: 'PUT', body: String(n) }));
  const get = async (n: number) =>
    (await object.fetch(new Request(`http://mcp/${String(n).padStart(43, '0')}`))).status;
  kept.sql.exec('BEGIN');
  for (let n = 0; n < MAX_MCP_SESSIONS; n++) {
    if (n === 300) clock.now += 120_000;
    await put(n);
  }
  clock.now += 120_000;
  assert.equal(await get(0), 200); // used now, so another one is the oldest
  assert.equal(kept.rows('session'), MAX_MCP_SESSIONS);
  await put(MAX_MCP_SESSIONS);
  assert.ok(kept.rows('session') < MAX_MCP_SESSIONS);
  assert.equal(await get(0), 200);
  assert.equal(await get(1), 404);
  assert.equal(await get(MAX_MCP_SESSIONS), 200);
});

test('what is too long to keep, or asked in another way, is refused', async () => {
  const { objects, mine } = deployment();
  const id = await openSession(mine, 'x'.repeat(MAX_MCP_SESSION_BYTES), 60);
  assert.equal((await findSession(mine, id))?.length, MAX_MCP_SESSION_BYTES);
  await assert.rejects(openSession(mine, 'x'.repeat(MAX_MCP_SESSION_BYTES + 1), 60), /413/);
  const { object } = [...objects.values()][0]!;
  const status = async (url: string, init?: RequestInit) => (await object.fetch(new Request(url, init))).status;
  assert.equal(await status('http://mcp/short'), 400);
  const key = 'k'.repeat(43);
  assert.equal(await status(`http://mcp/${key}`, { method: 'PUT', body: 'x' }), 400);
  assert.equal(await status(`http://mcp/${key}?ttl=-1`, { method: 'PUT', body: 'x' }), 400);
});

test('an object that does not answer is no session that is gone', async () => {
  const broken: ObjectNamespace = {
    idFromName: (name) => name,
    get: () => ({ fetch: () => Promise.resolve(new Response(null, { status: 500 })) }),
  };
  await assert.rejects(findSession({ namespace: broken, owner: 'shop' }, 'a'.repeat(43)), /500/);
});

test('what is kept of a task is no session, whoever can tell its id', async () => {
  const { namespace, mine } = deployment();
  const id = 'A'.repeat(43);
  await keepTask(namespace, id, 'backend\nhttp://10.0.0.1', 60);
  assert.equal(await findTask(namespace, id), 'backend\nhttp://10.0.0.1');
  assert.equal(await findSession(mine, id), null);
  assert.equal(await endSession(mine, id), null);
  assert.equal(await findTask(namespace, id), 'backend\nhttp://10.0.0.1');
  assert.equal(await findTask(namespace, await openSession(mine, 'mine', 60)), null);
});

test('a session is of its owner alone', async () => {
  const { namespace, mine } = deployment();
  const id = await openSession(mine, 'at endpoint 1', 60);
  for (const owner of ['', 'other', 'shop\n'])
    for (const use of [findSession, endSession]) assert.equal(await use({ namespace, owner }, id), null, owner);
  assert.equal(await findSession(mine, id), 'at endpoint 1');
});
