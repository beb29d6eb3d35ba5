import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback } from './loopback.ts';

test('this machine, and names that only look like it', () => {
  for (const host of ['localhost', 'app.localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '[::1]'])
    assert.equal(isLoopback(host), true, host);
  for (const host of [
    '127.example.com',
    '127.0.0.1.example.com',
    'localhost.example.com',
    'notlocalhost',
    '10.0.0.1',
    '::2',
  ])
    assert.equal(isLoopback(host), false, host);
});
