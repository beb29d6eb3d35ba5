import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { MAX_DIAGNOSTICS } from '../../assembly/abi.ts';
import type { Diagnostic } from './diagnostics.ts';
import { readDocument } from './document.ts';

function read(text: string) {
  const diagnostics: Diagnostic[] = [];
  return { document: readDocument('a.yaml', text, diagnostics), diagnostics };
}

/** Line, column and length of a report about `path` in `text`. */
function place(text: string, path: (string | number)[], more: { offset?: number; length?: number; at?: 'key' } = {}) {
  const { document, diagnostics } = read(text);
  document!.report('error', path, 'x', 'x', more);
  const { line, column, length } = diagnostics.at(-1)!;
  return [line, column, length];
}

test('values are what the YAML library reads', () => {
  for (const text of [
    'a: [1, x, "2", true, null, 1.5, 0x10, ~]\nb: {c: 1}\nd: |\n  x\n  y\n',
    'a: &x {b: 1}\nc: *x\nd: [*x, *x]\n',
    '- 1\n- a\n',
    'x',
    '',
  ]) {
    const { document } = read(text);
    assert.deepEqual(document?.value, parse(text), text);
  }
});

test('any JSON value reads as JSON.parse reads it, whichever parser got it', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), fc.boolean(), (value, comment) => {
      const text = JSON.stringify(value) + (comment ? ' # the JSON parser refuses this' : '');
      const { document } = read(text);
      assert.deepEqual(document?.value, JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 200 },
  );
});

test('merge keys fill in, own keys win, and places are found through both', () => {
  const text = 'base: &b { url: http://a, host: url }\nx: { <<: *b, host: preserve }\ny: { <<: [*b, { z: 1 }] }\n';
  const { document, diagnostics } = read(text);
  assert.deepEqual(diagnostics, []);
  const value = document!.value as Record<string, unknown>;
  assert.deepEqual(value['x'], { url: 'http://a', host: 'preserve' });
  assert.deepEqual(value['y'], { url: 'http://a', host: 'url', z: 1 });
  assert.deepEqual(place(text, ['x', 'url']), [1, 17, 8]);
  assert.deepEqual(place(text, ['x', 'host']), [2, 20, 8]);
});

test('places: scalars, keys, missing fields, the root', () => {
  const text = 'app: shop\nroutes:\n  - name: a\n    backend: web\n';
  assert.deepEqual(place(text, ['app']), [1, 6, 4]);
  assert.deepEqual(place(text, ['app'], { at: 'key' }), [1, 1, 3]);
  assert.deepEqual(place(text, ['routes', 0, 'backend']), [4, 14, 3]);
  assert.deepEqual(place(text, ['routes', 0, 'nothing', 'here']), [3, 5, 1]);
  assert.deepEqual(place(text, ['backends']), [1, 1, 1]);
  assert.deepEqual(place(text, []), [1, 1, 1]);
});

test('places inside of a scalar, through quotes, escapes, folds and blocks', () => {
  assert.deepEqual(place('w: a eq b', ['w'], { offset: 2, length: 2 }), [1, 6, 2]);
  assert.deepEqual(place('w: "a \\"eq b"', ['w'], { offset: 3, length: 2 }), [1, 9, 2]);
  assert.deepEqual(place("w: 'a ''eq b'", ['w'], { offset: 3, length: 2 }), [1, 9, 2]);
  assert.deepEqual(place('w: |\n  first\n  second eq x\n', ['w'], { offset: 13, length: 2 }), [3, 10, 2]);
  assert.deepEqual(place('w: >-\n  first\n  second eq x\n', ['w'], { offset: 13, length: 2 }), [3, 10, 2]);
  assert.deepEqual(place('w: first\n  second eq x\n', ['w'], { offset: 13, length: 2 }), [2, 10, 2]);
});

test('faults of the YAML itself', () => {
  const cases: [string, string, number, number][] = [
    ['a: 1\na: 2\n', 'duplicate-key', 2, 1],
    ['{"a": 1, "a": 2}', 'duplicate-key', 1, 10],
    ['a: [1\nb: 2\n', 'yaml-syntax', 2, 1],
    ['a: *nope\n', 'unknown-anchor', 1, 4],
    ['a: &a [*a]\n', 'unknown-anchor', 1, 8],
    ['a: 1\n---\nb: 2\n', 'yaml-syntax', 2, 1],
    ['a: !!js/function x\n', 'yaml-syntax', 1, 4],
    ['? [1]\n: 2\n', 'bad-key', 1, 3],
    ['a: { <<: 1 }\n', 'bad-merge', 1, 6],
  ];
  for (const [text, code, line, column] of cases) {
    const { document, diagnostics } = read(text);
    assert.equal(document, null, text);
    const found = diagnostics.map((one) => [one.code, one.line, one.column]);
    assert.deepEqual(found[0], [code, line, column], `${text}: ${JSON.stringify(found)}`);
  }
});

test('alias bombs, deep nesting and large files are refused, and quickly', () => {
  let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 12; i++)
    bomb += `a${i}: &a${i} [${Array(10)
      .fill(`*a${i - 1}`)
      .join(', ')}]\n`;
  let merges = 'a0: &a0 {x: 1}\n';
  for (let i = 1; i < 40; i++) merges += `a${i}: &a${i} {<<: [*a${i - 1}, *a${i - 1}]}\n`;
  for (const [text, code] of [
    [bomb, 'document-too-large'],
    [merges, 'document-too-large'],
    ['['.repeat(100), 'yaml-syntax'],
    [`${'['.repeat(100)}${']'.repeat(100)}`, 'nested-too-deeply'],
    ['['.repeat(200_000), 'yaml-syntax'],
  ] as const) {
    const { document, diagnostics } = read(text);
    assert.equal(document, null);
    assert.equal(
      diagnostics.some((one) => one.code === code),
      true,
      `${code}: ${JSON.stringify(diagnostics.slice(0, 3))}`,
    );
  }
});

test('`__proto__` is an ordinary key', () => {
  for (const text of [
    '__proto__: { polluted: 1 }\na: 1 # yaml',
    '{"__proto__": {"polluted": 1}, "a": 1}',
    'b: &b {__proto__: {polluted: 1}}\na: {<<: *b}',
  ]) {
    const value = read(text).document!.value as Record<string, unknown>;
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    assert.equal((value['a'] as Record<string, unknown>)['polluted'], undefined, text);
  }
});

test('a flood of problems is cut, and says so', () => {
  const { document, diagnostics } = read('a: 1\n');
  for (let i = 0; i < MAX_DIAGNOSTICS + 10; i++) document!.report('error', ['a'], 'x', 'x');
  assert.equal(diagnostics.length, MAX_DIAGNOSTICS + 1);
  assert.equal(diagnostics.at(-1)!.code, 'too-many-problems');
});

test('a large file is read the fast way, and its faults have their places all the same', () => {
  const lines = Array.from({ length: 3000 }, (_, i) => `  - { name: r${i}, backend: web }`);
  const text = `app: a\nroutes:\n${lines.join('\n')}\n`;
  assert.ok(text.length > 65_536);
  const { document } = read(text);
  assert.deepEqual((document!.value as { routes: unknown[] }).routes[2999], { name: 'r2999', backend: 'web' });
  assert.deepEqual(place(text, ['routes', 2999, 'backend']), [3002, 29, 3]);
  const { document: none, diagnostics } = read(`${text}app: b\n`);
  assert.equal(none, null);
  assert.deepEqual([diagnostics[0]!.code, diagnostics[0]!.line], ['duplicate-key', 3003]);
});
