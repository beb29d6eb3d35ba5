import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attacks, gets, post, prose } from './traffic.ts';

test('traffic is the same each time', () => {
  assert.deepEqual(gets(), gets());
  assert.deepEqual(post('json', 1024), post('json', 1024));
  assert.deepEqual(attacks(), attacks());
});

test('bodies have about the size that was asked for, and say it', () => {
  for (const kind of ['json', 'form', 'prose', 'clear', 'upload'] as const) {
    for (const size of [1024, 10240, 102400]) {
      const { body, headers } = post(kind, size);
      assert.ok(body.length >= size && body.length < size * 1.3 + 700, `${kind} ${size}: ${body.length}`);
      assert.ok(headers.some(([name, value]) => name === 'Content-Length' && Number(value) === body.length));
    }
  }
  for (const kind of ['prose', 'clear'] as const)
    for (const size of [1000, 1001, 1002, 1003, 1048576]) assert.equal(post(kind, size).body.length, size);
  assert.equal(prose(5000).length, 5000);
});
