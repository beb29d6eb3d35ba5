import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STREAM_WINDOW } from './credit.ts';
import { JOINED, WaitingChunks } from './session-chunks.ts';

/** A window of chunks, of the sizes that `size` gives: how many were held at most. */
function most(size: (index: number) => number): number {
  const waiting = new WaitingChunks();
  const sent = Uint8Array.from({ length: STREAM_WINDOW }, (_, index) => (index * 31) % 251);
  let held = 0;
  for (let at = 0, index = 0; at < sent.length; index++) {
    const end = Math.min(sent.length, at + size(index));
    waiting.push(sent.subarray(at, end));
    held = Math.max(held, waiting.count);
    at = end;
  }
  assert.deepEqual(waiting.take(), sent);
  assert.equal(waiting.count, 0);
  return held;
}

test('small chunks become few, whatever their sizes; every byte is kept, in order', () => {
  assert.ok(most(() => 1) < 32);
  assert.ok(most((index) => 1 + (index % 2)) < 32);
  assert.ok(most((index) => 300 - (index % 300)) < 400);
  assert.ok(most((index) => (index % 2 === 0 ? JOINED : 1)) < 32);
});

test('large chunks are not copied', () => {
  const waiting = new WaitingChunks();
  const chunk = new Uint8Array(JOINED);
  waiting.push(chunk);
  assert.equal(waiting.take(), chunk);
  for (let i = 0; i < 3; i++) waiting.push(chunk);
  assert.equal(waiting.count, 3);
  assert.equal(waiting.take().byteLength, 3 * JOINED);
  assert.equal(waiting.take().byteLength, 0);
});

test('what is taken at a time has an end; a chunk beyond it is taken alone', () => {
  const waiting = new WaitingChunks();
  for (const size of [3, 2, 1]) waiting.push(new Uint8Array(size * JOINED));
  assert.deepEqual(
    [5 * JOINED, 2 * JOINED, JOINED].map((most) => waiting.take(most).byteLength),
    [5 * JOINED, JOINED, 0],
  );
  for (const size of [3, 2]) waiting.push(new Uint8Array(size * JOINED));
  assert.equal(waiting.take(1).byteLength, 3 * JOINED);
  assert.equal(waiting.take(1).byteLength, 2 * JOINED);
});
