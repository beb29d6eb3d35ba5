import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { MAX_CONNECTIONS, OriginPool, type OriginConnection } from './origin.ts';

test('who waits for a connection and has gone costs none, however many they are', () => {
  let dials = 0;
  const pool = new OriginPool(() => {
    dials++;
    return duplexPair()[0];
  });
  const taken: OriginConnection[] = [];
  for (let i = 0; i < MAX_CONNECTIONS; i++)
    pool.take(
      false,
      () => true,
      (connection) => taken.push(connection),
    );
  assert.deepEqual([taken.length, dials], [MAX_CONNECTIONS, MAX_CONNECTIONS]);
  let gone = false;
  for (let i = 0; i < 30_000; i++)
    pool.take(
      false,
      () => !gone,
      (connection) => connection.release(),
    );
  let last: OriginConnection | null = null;
  pool.take(
    false,
    () => true,
    (connection) => (last = connection),
  );
  gone = true;
  taken.pop()!.destroy();
  assert.notEqual(last, null);
  assert.equal(dials, MAX_CONNECTIONS + 1);
});
