import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moved } from './sizes.ts';

test('a size that moved, came or went is one line each', () => {
  const before = { a: { bytes: 1, gzip: 1 }, b: { bytes: 2, gzip: 2 }, c: { bytes: 3, gzip: 3 } };
  const now = { a: { bytes: 1, gzip: 1 }, b: { bytes: 2, gzip: 3 }, d: { bytes: 4, gzip: 4 } };
  assert.deepEqual(moved(before, now), [
    'b: 2 bytes, 2 gzip -> 2 bytes, 3 gzip',
    'c: 3 bytes, 3 gzip -> absent',
    'd: absent -> 4 bytes, 4 gzip',
  ]);
  assert.deepEqual(moved(before, before), []);
});
