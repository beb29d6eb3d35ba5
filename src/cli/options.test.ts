import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArgsDef } from 'citty';
import { every, integer, listenAddress, refuseUnknown } from './options.ts';

const args = {
  file: { type: 'positional', required: false },
  header: { type: 'string', alias: 'H' },
  watch: { type: 'boolean' },
} satisfies ArgsDef;

test('an option may be given several times, in any spelling', () => {
  assert.deepEqual(every(['-H', 'a: 1', 'f', '--header', 'b', '--header=c=d', '-Hx', '--watch'], args, 'header'), [
    'a: 1',
    'b',
    'c=d',
    'x',
  ]);
  assert.deepEqual(every(['--', '-H', 'a'], args, 'header'), []);
});

test('an unknown option and a missing value are one sentence', () => {
  assert.throws(() => refuseUnknown(['--wtach'], args), { name: 'Failure', message: /--wtach/ });
  assert.throws(() => refuseUnknown(['-x'], args), { name: 'Failure' });
  assert.throws(() => refuseUnknown(['--header'], args), { name: 'Failure', message: /needs a value/ });
  refuseUnknown(['--no-watch', '--watch', '-', '-H', '--not-an-option-but-a-value'], args);
});

test('an argument too many is one sentence, unless the last takes several', () => {
  refuseUnknown(['f', '--watch', '-H', 'a: 1'], args);
  assert.throws(() => refuseUnknown(['f', '--watch', 'g'], args), { name: 'Failure', message: /nothing takes "g"/ });
  assert.throws(() => refuseUnknown(['--', 'f', '-g'], args), { name: 'Failure', message: /nothing takes "-g"/ });
  refuseUnknown(['f', 'g', 'h'], { ...args, file: { type: 'positional', valueHint: 'FILE...', required: false } });
});

test('listen addresses', () => {
  assert.deepEqual(listenAddress('127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(listenAddress('8080'), { host: '127.0.0.1', port: 8080 });
  assert.deepEqual(listenAddress('[::1]:8080'), { host: '::1', port: 8080 });
  assert.deepEqual(listenAddress('*:80'), { host: '::', port: 80 });
  for (const wrong of ['', 'a:b', '127.0.0.1', '127.0.0.1:65536', '::1:80', 'a b:80', 'http://x:80', '/x:80']) {
    assert.throws(() => listenAddress(wrong), { name: 'Failure' }, wrong);
  }
});

test('whole numbers in a range', () => {
  assert.equal(integer('4', '--workers', 1, 64), 4);
  for (const wrong of ['0', '65', '1.5', '-1', '', '1e1', '0x2'])
    assert.throws(() => integer(wrong, '--workers', 1, 64), { name: 'Failure' }, wrong);
});
