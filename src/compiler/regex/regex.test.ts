import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { BODY_AT, REGEX_UNSET } from '../../../assembly/abi.ts';
import { compileAssembly, type Assembly } from '../../../test/support/assembly.ts';
import { compileRegex, type RegexFlags } from './index.ts';

interface Exports {
  find(program: number, at: number, length: number): number;
  captures(program: number, at: number, length: number, out: number): number;
  matchSet(program: number, at: number, length: number, bitset: number): void;
  check(program: number, length: number): number;
  checkSet(program: number, length: number): number;
  alloc(bytes: number): number;
  reset(): void;
  stepsUsed(): number;
  failure(): number;
}

let engine: Assembly<Exports>;
before(async () => {
  engine = await compileAssembly<Exports>(`
    export { find, captures, matchSet, check, checkSet } from './regex/search';
    export { alloc, reset, stepsUsed, failure } from './arena';
  `);
});

const encoder = new TextEncoder();
const toBytes = (text: string | Uint8Array): Uint8Array => (typeof text === 'string' ? encoder.encode(text) : text);

function load(program: Uint8Array, text: string | Uint8Array): { program: number; length: number } {
  engine.clear();
  engine.exports.reset();
  const bytes = toBytes(text);
  new Uint8Array(engine.memory.buffer).set(bytes, BODY_AT);
  return { program: engine.place(program), length: bytes.length };
}

function found(pattern: string, flags: RegexFlags, text: string | Uint8Array): boolean {
  const { bytes } = compileRegex(pattern, flags);
  const { program, length } = load(bytes, text);
  assert.equal(engine.exports.check(program, bytes.length), 1, `check refuses ${pattern}`);
  const result = engine.exports.find(program, BODY_AT, length) !== 0;
  assert.equal(engine.exports.failure(), 0);
  return result;
}

/** Offsets in bytes of every group, null where it took no part; null without a match. */
function groups(pattern: string, flags: RegexFlags, text: string): ([number, number] | null)[] | null {
  const compiled = compileRegex(pattern, { ...flags, captures: true });
  const { program, length } = load(compiled.bytes, text);
  assert.equal(engine.exports.check(program, compiled.bytes.length), 1, `check refuses ${pattern}`);
  const out = engine.exports.alloc(compiled.groups * 8);
  if (!engine.exports.captures(program, BODY_AT, length, out)) return null;
  const words = new Uint32Array(engine.memory.buffer, out, compiled.groups * 2);
  return Array.from({ length: compiled.groups }, (_, i) =>
    words[i * 2] === REGEX_UNSET || words[i * 2 + 1] === REGEX_UNSET ? null : [words[i * 2]!, words[i * 2 + 1]!],
  );
}

test('finds what the pattern says', () => {
  const cases: [pattern: string, flags: RegexFlags, yes: string[], no: string[]][] = [
    ['abc', {}, ['abc', 'xxabcxx', 'ababc'], ['', 'ab', 'abxc']],
    ['', {}, ['', 'x'], []],
    ['^a', {}, ['a', 'ab'], ['ba', '', '\na']],
    ['a$', {}, ['a', 'ba'], ['ab', 'a\n', '']],
    ['^$', {}, [''], ['x', '\n']],
    ['^a', { multiline: true }, ['a', 'b\na'], ['ba']],
    ['a$', { multiline: true }, ['a', 'a\nb'], ['ab']],
    ['^$', { multiline: true }, ['', 'a\n', '\n\n', 'a\n\nb'], ['a']],
    ['\\Aa\\z', { multiline: true }, ['a'], ['a\n', '\na']],
    ['a.c', {}, ['abc', 'a\rc'], ['a\nc', 'ac']],
    ['a.c', { dotAll: true }, ['a\nc'], ['ac']],
    ['(?s)a.c', {}, ['a\nc'], []],
    ['\\bcat\\b', {}, ['cat', 'a cat.', 'cat-dog'], ['cats', 'concat', 'c at']],
    ['\\Bat\\B', {}, ['cats'], ['cat', 'at', 'at s']],
    ['\\bé', { unicode: true }, ['aé'], ['é', ' é']],
    ['x*', {}, ['', 'y'], []],
    ['colou?r', { foldCase: true }, ['COLOR', 'cOlOuR'], ['colouur']],
    ['(?i:a)b', {}, ['Ab', 'ab'], ['aB']],
    ['(?i)a(?-i)b', {}, ['Ab'], ['AB']],
    ['a(?i)b|c', {}, ['aB', 'C'], ['Ab']],
    ['[a-c]{2,3}', { anchored: true }, ['ab', 'abc'], ['a', 'abca', 'ad']],
    ['a{3}', { anchored: true }, ['aaa'], ['aa', 'aaaa']],
    ['a{2,}', { anchored: true }, ['aa', 'aaaaaa'], ['a']],
    ['a{0}b', { anchored: true }, ['b'], ['ab']],
    ['a|ab', { anchored: true }, ['a', 'ab'], ['b']],
    ['[^/]+', { anchored: true }, ['abc'], ['a/b', '']],
    ['[]a]', { anchored: true }, [']', 'a'], ['b']],
    ['[^]a]', { anchored: true }, ['b'], [']', 'a']],
    ['[a\\]-]', { anchored: true }, ['a', ']', '-'], ['\\']],
    ['[a-]', { anchored: true }, ['a', '-'], ['b']],
    ['[\\w.-]+', { anchored: true }, ['a.b-c_9'], ['a b']],
    ['[[:alpha:]]+[[:digit:]]', { anchored: true }, ['ab1'], ['1', 'ab']],
    ['[[:^digit:]]', { anchored: true }, ['x'], ['1']],
    ['[[:upper:]]', { anchored: true, foldCase: true }, ['x', 'X'], ['1']],
    ['\\d\\D\\s\\S\\w\\W', { anchored: true }, ['1x x_-'], ['1x x__']],
    ['\\x41\\u0042\\x{43}', { anchored: true }, ['ABC'], ['abc']],
    ['\\.\\*\\/\\{', { anchored: true }, ['.*/{'], ['xx/{']],
    ['a{x}', { anchored: true }, ['a{x}'], ['ax']],
    ['x{,', { anchored: true }, ['x{,'], []],
    ['\\t\\n\\r\\f\\v\\0', { anchored: true }, ['\t\n\r\f\v\0'], []],
    ['a||b', { anchored: true }, ['a', 'b', ''], ['ab']],
    ['(|a)+b', { anchored: true }, ['b', 'ab', 'aab'], ['a']],
    ['(a*)*', { anchored: true }, ['', 'aaa'], ['b']],
    ['(?:(?:^a)|b)*c', { anchored: true }, ['ac', 'abc', 'bc', 'c'], ['bac']],
    ['.', { anchored: true, unicode: true }, ['é', '€', '😀', 'a'], ['', 'ab', '\n']],
    ['.', { anchored: true }, ['a'], ['é']],
    ['..', { anchored: true }, ['é', 'ab'], ['a']],
    ['[à-ü]+', { anchored: true, unicode: true }, ['é', 'àü'], ['a', 'Ā']],
    ['[^a]', { anchored: true, unicode: true }, ['é', '😀', '\n'], ['a']],
    ['é+', { anchored: true, unicode: true }, ['éé'], ['e']],
    ['é', { anchored: true }, ['é'], ['e']],
    ['ÉCOLE', { anchored: true, unicode: true, foldCase: true }, ['école', 'École'], ['ecole']],
    ['ÉCOLE', { anchored: true, foldCase: true }, ['École', 'Ècole'.replace('È', 'É')], ['école']],
    ['\\x{1F600}', { unicode: true, anchored: true }, ['😀'], ['😁']],
    [
      '/v[12]/items/[^/]+',
      { anchored: true },
      ['/v1/items/a', '/v2/items/%20'],
      ['/v3/items/a', '/v1/items/', '/v1/items/a/b'],
    ],
  ];
  for (const [pattern, flags, yes, no] of cases) {
    for (const text of yes)
      assert.equal(found(pattern, flags, text), true, `${pattern} should match ${JSON.stringify(text)}`);
    for (const text of no)
      assert.equal(found(pattern, flags, text), false, `${pattern} should not match ${JSON.stringify(text)}`);
  }
});

test('captures are leftmost-first, greedy and lazy as written', () => {
  const cases: [pattern: string, text: string, expected: ([number, number] | null)[] | null][] = [
    ['b(c+)(d)?', 'abcc', [[1, 4], [2, 4], null]],
    [
      '(a|ab)(c|bcd)',
      'abcd',
      [
        [0, 4],
        [0, 1],
        [1, 4],
      ],
    ],
    [
      'a(.*)b',
      'xaxbxb',
      [
        [1, 6],
        [2, 5],
      ],
    ],
    [
      'a(.*?)b',
      'xaxbxb',
      [
        [1, 4],
        [2, 3],
      ],
    ],
    [
      '(a*)(a*)',
      'aa',
      [
        [0, 2],
        [0, 2],
        [2, 2],
      ],
    ],
    [
      '(a*?)(a*)',
      'aa',
      [
        [0, 2],
        [0, 0],
        [0, 2],
      ],
    ],
    [
      '(?<year>\\d{4})-(?P<month>\\d\\d)',
      'on 2026-11',
      [
        [3, 10],
        [3, 7],
        [8, 10],
      ],
    ],
    ['(x)|(y)', 'y', [[0, 1], null, [0, 1]]],
    [
      '^/v1/(.*)$',
      '/v1/a/b',
      [
        [0, 7],
        [4, 7],
      ],
    ],
    ['nope', 'xyz', null],
    ['', 'abc', [[0, 0]]],
  ];
  for (const [pattern, text, expected] of cases)
    assert.deepEqual(groups(pattern, {}, text), expected, `${pattern} on ${text}`);
});
