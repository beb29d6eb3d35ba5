import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameError } from './frame.ts';
import { HeadError } from './head.ts';
import { decodeOpening, encodeOpening, HTTP, TCP, WEBSOCKET } from './opening.ts';

const head = { method: 'GET', target: '/a?b=c', fields: [['Host', 'x'] as const, ['accept', '*/*'] as const] };

test('an opening comes back as it was', () => {
  for (const opening of [
    { kind: HTTP, service: '', head },
    { kind: WEBSOCKET, service: 'api', head },
    { kind: TCP, service: 'a'.repeat(63) },
  ] as const)
    assert.deepEqual(decodeOpening(encodeOpening(opening)), opening);
});

test('openings that are none are refused', () => {
  for (const service of ['A', '-a', 'a.b', 'a'.repeat(64), 'a b'])
    assert.throws(() => encodeOpening({ kind: TCP, service }), HeadError);
  for (const wrong of [[], [TCP], [TCP, 1], [4, 0], [0, 0], [TCP, 0, 1], [TCP, 1, 0x41], [HTTP, 0], [HTTP, 0, 3, 71]])
    assert.throws(() => decodeOpening(Uint8Array.from(wrong)), FrameError, wrong.join());
});
