import assert from 'node:assert/strict';
import { test } from 'node:test';
import { covers, Intersection, isHostname } from './hostname.ts';

test('host names', () => {
  for (const name of [
    'a',
    'a.b',
    'xn--bcher-kva.example',
    '127.0.0.1',
    '[::1]',
    'a_b.c',
    '3com.com',
    `${'a'.repeat(63)}.b`,
  ])
    assert.ok(isHostname(name), name);
  for (const name of [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '-a',
    'a-',
    'A',
    'a b',
    'a:80',
    '::1',
    '[::1',
    '1.2.3',
    '256.1.1.1',
    '01.1.1.1',
    `${'a'.repeat(64)}.b`,
    'a/b',
    'ü',
    '*',
  ])
    assert.ok(!isHostname(name), name);
});

test('a wildcard covers one or more labels, and not its own suffix', () => {
  const cases: [string, string, boolean][] = [
    ['*', 'a', true],
    ['*', '*', true],
    ['*', '*.a', true],
    ['*.b', 'a.b', true],
    ['*.b', 'a.a.b', true],
    ['*.b', 'b', false],
    ['*.b', '.b', false],
    ['*.b', '*.a.b', true],
    ['*.a.b', '*.b', false],
    ['*.b', '*', false],
    ['*.b', 'ab', false],
    ['a.b', 'a.b', true],
    ['a.b', '*.b', false],
    ['*.b', '*.b', true],
  ];
  for (const [wide, narrow, expected] of cases) assert.equal(covers(wide, narrow), expected, `${wide} ${narrow}`);
});

test('hosts of a route are those it has in common with the app', () => {
  const app = new Intersection(['very.specific.com', '*.wildcard.io', '*.other.io']);
  const cases: [string, string[]][] = [
    ['very.specific.com', ['very.specific.com']],
    ['*.specific.com', ['very.specific.com']],
    ['specific.com', []],
    ['a.wildcard.io', ['a.wildcard.io']],
    ['*.a.wildcard.io', ['*.a.wildcard.io']],
    ['*.io', ['*.wildcard.io', '*.other.io']],
    ['wildcard.io', []],
    ['*', ['very.specific.com', '*.wildcard.io', '*.other.io']],
    ['*.wildcard.io', ['*.wildcard.io']],
    ['*.nothing', []],
  ];
  for (const [route, expected] of [...cases, ...cases]) assert.deepEqual(app.with(route), expected, route);
});
