import assert from 'node:assert/strict';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { test } from 'node:test';
import { CLOSE } from './frame.ts';
import type { Claim } from './objects.ts';
import { MAX_GUEST_NONCES, MAX_NONCES, SessionMemory, type Sql } from './session-memory.ts';

const NOW = 1_000_000;

/** The SQLite of Node in the place of an object's. */
function database(): Sql & { tables(): number } {
  const sqlite = new DatabaseSync(':memory:');
  return {
    exec(query, ...values) {
      const rows = sqlite.prepare(query).all(...(values as SQLInputValue[])) as Record<string, unknown>[];
      return { toArray: () => rows };
    },
    tables: () => Number(sqlite.prepare('SELECT count(*) AS n FROM sqlite_master').get()?.['n']),
  };
}

let nonces = 0;
const claim = (more: Partial<Claim> = {}): Claim =>
  ({
    ...{ tunnel: 't', project: 'p', generation: 10, nonce: `nonce-${nonces++}`, time: NOW, purpose: 'serve' },
    ...{ exposure: null, host: '', ...more },
  }) as Claim;
const codeOf = (memory: SessionMemory, more: Partial<Claim>, now = NOW): number => {
  const admission = memory.admit(claim(more), now);
  return admission.admitted ? 0 : admission.code;
};

test('asking costs no storage; the first claim takes the name, for good', () => {
  const sql = database();
  const memory = new SessionMemory(sql);
  assert.deepEqual([memory.project, memory.revoked, memory.sessions, sql.tables()], ['', 0, 1, 0]);
  assert.equal(codeOf(memory, {}), 0);
  assert.equal(codeOf(memory, { project: 'other' }), CLOSE.taken);
  // Another instance, as after an eviction.
  assert.equal(codeOf(new SessionMemory(sql), { project: 'other' }), CLOSE.taken);
  assert.equal(new SessionMemory(sql).project, 'p');
});

test('a nonce works once, until it could not be used any more', () => {
  const memory = new SessionMemory(database());
  assert.equal(codeOf(memory, { nonce: 'once' }), 0);
  assert.equal(codeOf(memory, { nonce: 'once' }, NOW + 119_000), CLOSE.unauthorised);
  assert.equal(codeOf(memory, { nonce: 'twice' }), 0);
});

test(`${MAX_NONCES} nonces and those of guests are remembered, and guests keep no connector out`, () => {
  const memory = new SessionMemory(database());
  assert.equal(codeOf(memory, {}), 0);
  for (let i = 1; i < MAX_GUEST_NONCES; i++) assert.equal(codeOf(memory, { purpose: 'access' }), 0);
  assert.equal(codeOf(memory, { purpose: 'access' }), CLOSE.limit);
  for (let i = 0; i < MAX_NONCES; i++) assert.equal(codeOf(memory, {}), 0);
  assert.equal(codeOf(memory, {}), CLOSE.limit);
  assert.equal(codeOf(memory, { time: NOW + 200_000 }, NOW + 200_000), 0);
});

test('a tunnel is fresh until its registry has it', () => {
  const memory = new SessionMemory(database());
  const fresh = (): boolean => (memory.admit(claim(), NOW) as { fresh: boolean }).fresh;
  assert.deepEqual([fresh(), fresh()], [true, true]);
  memory.listed();
  assert.equal(fresh(), false);
});

test('what was issued up to a revocation is refused, and no revocation takes another back', () => {
  const memory = new SessionMemory(database());
  memory.revoke(10);
  memory.revoke(5);
  assert.deepEqual([codeOf(memory, { generation: 10 }), codeOf(memory, { generation: 11 })], [CLOSE.revoked, 0]);
});
