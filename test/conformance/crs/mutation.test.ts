import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawTransaction } from '../../../src/waf/transaction.ts';
import { CARRIERS, CHANGES, Chance, mutants, payloadsOf } from './mutation.ts';

const base: RawTransaction = {
  method: 'POST',
  uri: '/shop?item=blue%20chair&n=1',
  protocol: 'HTTP/1.1',
  headers: [
    ['Host', 'example.com'],
    ['X-Note', 'hello there'],
    ['Content-Length', '9'],
  ],
  body: 'text=body',
  peer: '127.0.0.1',
};
const text = (octets: RawTransaction['body']): string => Buffer.from(octets as string, 'latin1').toString('latin1');

test('payloads are the values of parameters and headers, decoded too', () => {
  const pool = payloadsOf([base]);
  for (const value of ['blue%20chair', 'blue chair', 'hello there', 'text=body', 'body']) {
    assert.ok(pool.includes(value), value);
  }
  assert.ok(!pool.includes('example.com'));
});

test('a seed gives the same requests, another one others', () => {
  const names = (seed: number): string => JSON.stringify([...mutants([base], seed, 200)]);
  assert.equal(names(1), names(1));
  assert.notEqual(names(1), names(2));
});

test('every mutant is a request that a server could hand on', () => {
  let bodies = 0;
  for (const { name, transaction } of mutants([base], 5, 3000)) {
    for (const [header, value] of transaction.headers) {
      if (header !== 'Content-Length') assert.doesNotMatch(text(value as string), /[\r\n\0]/, name);
      else {
        assert.equal(Number(value), transaction.body.length, name);
        bodies++;
      }
    }
    assert.doesNotMatch(text(transaction.uri as string), /[\r\n\0 ]/, name);
    for (const octets of [transaction.uri, transaction.body, ...transaction.headers.flat()])
      assert.match(octets as string, /^[\0-\xff]*$/, name);
  }
  assert.ok(bodies > 1000);
});

test('every change and every carrier takes any text', () => {
  for (const value of ['', "' OR 1=1 -- ", '\0\xff%zz<a b="c">&amp;\\x41', 'a'.repeat(3000)]) {
    const chance = new Chance(9);
    for (const [name, change] of Object.entries(CHANGES))
      assert.match(change(value, chance, ['x', 'y z']), /^[\0-\xff]*$/, name);
    for (const carrier of Object.values(CARRIERS)) assert.ok(carrier(value, chance).headers.length >= 3);
  }
});
