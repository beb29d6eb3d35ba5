import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinBytes, readBytes } from './bytes.ts';

function stream(chunks: readonly number[][], state = { cancelled: false }): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks[at++];
      if (chunk === undefined) controller.close();
      else controller.enqueue(new Uint8Array(chunk));
    },
    cancel: () => void (state.cancelled = true),
  });
}

test('chunks are put together in their order', () => {
  const chunks = [[1, 2], [], [3]].map((chunk) => new Uint8Array(chunk));
  assert.deepEqual([...joinBytes(chunks)], [1, 2, 3]);
  assert.equal(joinBytes([]).byteLength, 0);
});

test('a stream is read up to its limit, and the rest is cancelled', async () => {
  assert.deepEqual([...(await readBytes(stream([[1, 2], [3]]), 3))!], [1, 2, 3]);
  const state = { cancelled: false };
  assert.equal(await readBytes(stream([[1, 2], [3], [4]], state), 2), null);
  assert.ok(state.cancelled);
  assert.equal((await readBytes(null, 0))!.byteLength, 0);
});

test('a stream that says nothing is left when the signal is aborted, before or while it is read', async () => {
  const silent = () => new ReadableStream<Uint8Array>({});
  await assert.rejects(readBytes(silent(), 1, AbortSignal.abort()), /too slow/);
  const late = new AbortController();
  const reading = readBytes(silent(), 1, late.signal);
  late.abort();
  await assert.rejects(reading, /too slow/);
});
