import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameError } from './frame.ts';
import { readResume, readWelcome, writeResume, writeWelcome } from './welcome.ts';

test('welcome and resume', () => {
  const welcome = { lane: 'abc', token: 'x_-9', resumed: true, received: 12, url: 'http://a.localhost:8080/' };
  assert.deepEqual(readWelcome(writeWelcome(welcome)), welcome);
  assert.deepEqual(readWelcome(writeWelcome({ ...welcome, url: '' })), { ...welcome, url: '' });
  for (const wrong of [
    { ...welcome, lane: 'a b' },
    { ...welcome, lane: '' },
    { ...welcome, token: 7 },
    { ...welcome, resumed: 'yes' },
    { ...welcome, received: -1 },
    { ...welcome, received: 1.5 },
    { ...welcome, url: 'javascript:alert(1)' },
    { ...welcome, url: 'http://a\u001b[2J' },
    { ...welcome, url: `http://${'a'.repeat(5000)}` },
    null,
    [],
  ])
    assert.throws(() => readWelcome(JSON.stringify(wrong)), FrameError, JSON.stringify(wrong));
  assert.throws(() => readWelcome('{'), FrameError);
  const resume = { lane: 'abc', token: 'x_-9', received: 2 ** 40 };
  assert.deepEqual(readResume(writeResume(resume)), resume);
  for (const wrong of ['', 'a.b', 'a.b.-1', 'a.b.9999999999999999', 'a b.c.1', 'a.b.1x'])
    assert.equal(readResume(wrong), null);
});
