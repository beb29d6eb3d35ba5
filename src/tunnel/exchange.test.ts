import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Capture } from './exchange.ts';

test('the beginning of a body is kept, in pieces of any size, and not a byte more', () => {
  for (const [most, sizes] of [
    [10, [10]],
    [10, [3, 0, 7]],
    [65_536, Array<number>(65_536).fill(1)],
  ] as const) {
    const capture = new Capture(most);
    let at = 0;
    for (const size of sizes) capture.add(Uint8Array.from({ length: size }, () => at++ % 251));
    assert.equal(capture.truncated, false);
    const whole = Buffer.from(Array.from({ length: most }, (_, i) => i % 251));
    assert.deepEqual(Buffer.from(capture.bytes), whole);
    capture.add(new Uint8Array(0));
    assert.equal(capture.truncated, false);
    capture.add(Uint8Array.of(1));
    assert.equal(capture.truncated, true);
    assert.deepEqual(Buffer.from(capture.bytes), whole);
  }
  const cut = new Capture(4);
  const source = Buffer.from('abcdef');
  cut.add(source);
  source.fill(0);
  assert.deepEqual([String(Buffer.from(cut.bytes)), cut.truncated], ['abcd', true]);
});
