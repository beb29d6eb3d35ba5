import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BODY_AT, IMAGES_AT, MAX_PATTERN_BYTES, REASON_NONE } from '../../../assembly/abi.ts';
import { MAX_NFA_STATES, MIN_DFA_WORK } from '../../../assembly/regex/abi.ts';
import { regexEngine, type Groups } from '../../../test/support/regex.ts';
import { compileRegex, compileRegexSet, Effort, RegexError, type RegexFlags } from './index.ts';
import { compileLiterals, requiredLiterals } from './literals.ts';
import { buildNfa } from './nfa.ts';
import { parse } from './parse.ts';
import { foldUnicode } from './ranges.ts';
import { serialize } from './serialize.ts';

const engine = await regexEngine();

function found(pattern: string, flags: RegexFlags, text: string | Uint8Array): boolean {
  const { bytes } = compileRegex(pattern, flags);
  assert.equal(bytes.length % 4, 0);
  assert.ok(engine.check(bytes), `check refuses ${pattern}`);
  const result = engine.find(bytes, text);
  assert.equal(engine.failure(), REASON_NONE);
  return result;
}

function groups(pattern: string, flags: RegexFlags, text: string): Groups | null {
  const compiled = compileRegex(pattern, { ...flags, captures: true });
  assert.ok(engine.check(compiled.bytes), `check refuses ${pattern}`);
  return engine.captures(compiled.bytes, compiled.groups, text);
}

/** The same as if the DFA had been too large. */
function sparse(pattern: string, flags: RegexFlags): Uint8Array {
  const nfa = buildNfa([parse(pattern, flags)], [0], flags.anchored ?? false, false);
  return serialize({ dfa: null, nfa, groups: 0, set: null });
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

test('reads bytes that are no UTF-8', () => {
  const broken = Uint8Array.of(0x61, 0xff, 0xc3, 0x62);
  assert.equal(found('a.', { unicode: false }, broken), true);
  assert.equal(found('a.', { unicode: true }, broken), false);
  assert.equal(found('b$', { unicode: true }, broken), true);
  assert.equal(found('\\xff\\xc3', {}, broken), true);
  assert.equal(found('[\\x80-\\xff]{2}b', {}, broken), true);
  // Surrogates and overlong forms are not code points.
  assert.equal(found('.', { unicode: true }, Uint8Array.of(0xed, 0xa0, 0x80)), false);
  assert.equal(found('.', { unicode: true }, Uint8Array.of(0xc0, 0x80)), false);
  assert.equal(found('\\B', { unicode: true }, 'aéa'), false);
});

test('falls back on the NFA where a DFA would be too large', () => {
  const pattern = 'a[ab]{14}c';
  const compiled = compileRegex(pattern);
  assert.equal(compiled.kind, 'nfa');
  assert.equal(compileRegex('a[ab]{3}c').kind, 'dfa');
  const text = 'ab'.repeat(300);
  assert.equal(engine.find(compiled.bytes, text), false);
  assert.equal(engine.find(compiled.bytes, `${text}c`), false);
  assert.equal(engine.find(compiled.bytes, `${text}ac`), true);
  assert.deepEqual(groups('(a[ab]{14})c', {}, `b${'ab'.repeat(8)}c`), null);
  assert.deepEqual(groups('(a[ab]{14})(c)', {}, `ab${'a'.repeat(15)}c`), [
    [2, 18],
    [2, 17],
    [17, 18],
  ]);
});

test('a set keeps what does not determinise in a program of its own', () => {
  const patterns = ['abc', 'a[ab]{14}c', '^x', 'y$', ''];
  const programs = compileRegexSet(patterns);
  assert.ok(programs.length > 1);
  for (const program of programs) assert.ok(engine.check(program, true));
  assert.deepEqual(engine.matchSet(programs, patterns.length, 'xabcy'), [0, 2, 3, 4]);
  assert.deepEqual(engine.matchSet(programs, patterns.length, `${'b'.repeat(9)}${'a'.repeat(15)}c`), [1, 4]);
  assert.deepEqual(compileRegexSet([]), []);
});

test('time is linear in the text, whatever the pattern', () => {
  const hostile: [pattern: string, unit: string][] = [
    ['(a+)+$', 'a'],
    ['(a|a)*b', 'a'],
    ['(a|aa)+$', 'a'],
    ['(.*)*x', 'a'],
    ['(.*a){20}', 'a'],
    ['([a-zA-Z]+)*!', 'a'],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'],
    ['(?:a?){30}a{30}$', 'a'],
    ['(x+x+)+y', 'x'],
    ['\\s+$', ' '],
    ['a[ab]{14}c', 'ab'],
  ];
  for (const [pattern, unit] of hostile) {
    const compiled = compileRegex(pattern, { captures: true });
    const steps = (run: (text: string) => unknown, length: number): number => {
      run(unit.repeat(length) + '~');
      assert.equal(engine.failure(), REASON_NONE, `${pattern} ran out`);
      return engine.steps();
    };
    for (const [name, run] of [
      ['find', (text: string) => engine.find(compiled.bytes, text)],
      ['NFA', (text: string) => engine.find(sparse(pattern, {}), text)],
      ['captures', (text: string) => engine.captures(compiled.bytes, compiled.groups, text)],
    ] as const) {
      const short = steps(run, 250);
      const long = steps(run, 4000);
      assert.ok(long <= short * 17, `${name} of ${pattern}: ${short} steps, then ${long}`);
    }
  }
});

test('stops when the step budget is spent, and says so', () => {
  const compiled = compileRegex('a[ab]{500}c');
  assert.equal(compiled.kind, 'nfa');
  assert.equal(engine.find(compiled.bytes, 'ab'.repeat(100_000)), false);
  assert.notEqual(engine.failure(), REASON_NONE);
});

test('names what it cannot compile, and where', () => {
  const cases: [pattern: string, flags: RegexFlags, offset: number, length: number, message: RegExp][] = [
    ['a(?=b)', {}, 1, 3, /lookahead/],
    ['a(?!b)', {}, 1, 3, /lookahead/],
    ['(?<=a)b', {}, 0, 4, /lookbehind/],
    ['(?<!a)b', {}, 0, 4, /lookbehind/],
    ['(a)\\1', {}, 3, 2, /backreference/],
    ['(?<n>a)\\k<n>', {}, 7, 2, /backreference/],
    ['(?P<n>a)(?P=n)', {}, 8, 4, /backreference/],
    ['(?>a)', {}, 0, 3, /atomic/],
    ['a(?R)', {}, 1, 3, /recursion/],
    ['(*FAIL)', {}, 0, 2, /verb/],
    ['a++', {}, 2, 1, /possessive/],
    ['a**', {}, 2, 1, /repeat of a repeat/],
    ['*a', {}, 0, 1, /nothing to repeat/],
    ['(?i)*', {}, 4, 1, /nothing to repeat/],
    ['a|{2}', {}, 2, 1, /nothing to repeat/],
    ['a{3,2}', {}, 1, 5, /wrong order/],
    ['a{1001}', {}, 1, 6, /over 1000/],
    ['a{,3}', {}, 1, 2, /lower bound/],
    ['(a', {}, 0, 1, /not closed/],
    ['a)', {}, 1, 1, /unmatched/],
    ['[a', {}, 0, 1, /not closed/],
    ['[z-a]', {}, 1, 3, /wrong order/],
    ['[a-\\d]', {}, 3, 2, /range to a class/],
    ['[[:alfa:]]', {}, 1, 8, /unknown POSIX class/],
    ['[é]', {}, 1, 1, /beyond ASCII/],
    ['\\p{L}', { unicode: true }, 0, 2, /property/],
    ['\\q', {}, 0, 2, /unknown escape/],
    ['\\xg', {}, 0, 2, /incomplete/],
    ['\\x{110000}', {}, 0, 10, /scalar/],
    ['a\\', {}, 1, 1, /backslash/],
    ['\\Z', {}, 0, 2, /\\Z is not/],
    ['(?x)a', {}, 2, 1, /inline flag/],
    ['(?<n>a)(?<n>b)', {}, 7, 5, /taken/],
    ['((a{1000}){1000}){1000}', {}, 0, 23, /more than \d+ states/],
    [`${'('.repeat(250)}a${')'.repeat(250)}`, {}, 31, 1, /capture groups/],
    [`${'(?:'.repeat(250)}a${')'.repeat(250)}`, {}, 600, 1, /nested/],
    ['x'.repeat(MAX_PATTERN_BYTES + 1), {}, 0, MAX_PATTERN_BYTES + 1, /longer than/],
    ['((a{900})(b{900})(c{900}))+(d)(e)(f)(g)(h)(i)(j)(k)(l)(m)(n)(o)', { captures: true }, 0, 63, /too large/],
  ];
  for (const [pattern, flags, offset, length, message] of cases) {
    assert.throws(
      () => compileRegex(pattern, flags),
      (error: unknown) => {
        assert.ok(error instanceof RegexError, `${pattern}: ${String(error)}`);
        assert.match(error.message, message);
        assert.deepEqual([error.offset, error.length], [offset, length], pattern.slice(0, 60));
        return true;
      },
    );
  }
});

test('nested counts of nothing cost nothing', () => {
  for (const nothing of ['(?:)', '()', '(()())', '(?:a{0})']) {
    const pattern = `((((${nothing}{1000}){1000}){1000}){1000}){1000}b`;
    assert.ok(buildNfa([parse(pattern, {})], [0], false, true).states.length < MAX_NFA_STATES);
    assert.equal(found(pattern, {}, 'ab'), true);
  }
});

test('folds case as V8 does, over all code points', () => {
  const folded = new Map<number, number>();
  for (let point = 0; point < 0x1ea00; point++) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const set = foldUnicodeOne(point);
    if (set.length > 1) folded.set(point, set.length);
    for (const other of set) {
      const native = new RegExp(`^\\u{${point.toString(16)}}$`, 'iu').test(String.fromCodePoint(other));
      assert.ok(native, `U+${point.toString(16)} and U+${other.toString(16)}`);
    }
  }
  // Both directions: what V8 holds for equal is in our set too, for the characters with odd foldings.
  for (const text of 'kKK sSſ ßẞ µμΜ σςΣ θϑΘ ΩωΩ åÅÅ iIİı éÉ ǅǆǄ'.replaceAll(' ', '')) {
    for (const other of 'kKK sSſ ßẞ µμΜ σςΣ θϑΘ ΩωΩ åÅÅ iIİı éÉ ǅǆǄ'.replaceAll(' ', '')) {
      const native = new RegExp(`^${text}$`, 'iu').test(other);
      assert.equal(
        foldUnicodeOne(text.codePointAt(0)!).includes(other.codePointAt(0)!),
        native,
        `${text} and ${other}`,
      );
    }
  }
  assert.ok(folded.size > 2500);
});

const singles = new Map<number, readonly number[]>();
function foldUnicodeOne(point: number): readonly number[] {
  if (singles.size === 0) {
    for (let at = 0; at < 0x1ea00; at++) singles.set(at, [at]);
    for (let at = 0; at < 0x1ea00; at++) {
      const text = String.fromCodePoint(at);
      if (text.toLowerCase() === text && text.toUpperCase() === text) continue;
      const set = foldUnicode([at, at]);
      const points: number[] = [];
      for (let i = 0; i < set.length; i += 2) for (let p = set[i]!; p <= set[i + 1]!; p++) points.push(p);
      singles.set(at, points);
    }
  }
  return singles.get(point)!;
}

test('takes the literal that says most', () => {
  const cases: [pattern: string, flags: RegexFlags, expected: readonly string[] | null][] = [
    ['abc', {}, ['abc']],
    ['Foo', {}, ['foo']],
    ['a+bcd*', {}, ['bc']],
    ['(foo|bar)baz', {}, ['foobaz', 'barbaz']],
    ['(foo|ba.)x', {}, ['foo', 'ba']],
    ['[cC]laude[bB]ot', {}, ['claudebot']],
    ['x?', {}, null],
    ['.*', {}, null],
    ['a|.', {}, null],
    ['^curl', {}, ['curl']],
    ['Ahrefs(Bot|SiteAudit)', {}, ['ahrefsbot', 'ahrefssiteaudit']],
    ['(?i)union\\s+select', {}, ['select']],
  ];
  for (const [pattern, flags, expected] of cases)
    assert.deepEqual(requiredLiterals(parse(pattern, flags)), expected, pattern);
});

test('a damaged program is refused, or harmless', () => {
  // A plain generator, so that a failure can be repeated.
  let seed = 12345;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const encoder = new TextEncoder();
  const words = ['he', 'she', 'his', 'hers', 'ushering'];
  const literals = compileLiterals(
    words.map((word, id) => ({ bytes: encoder.encode(word), id })),
    words.length,
    true,
  );
  const text = 'ushers and 2026-11-21 aaaa bbbb\n\u00e9';
  const seeds: [program: Uint8Array, check: (bytes: Uint8Array) => boolean, run: (bytes: Uint8Array) => unknown][] = [];
  for (const pattern of ['\\bsh(e|is)+', '(\\d{4})-(\\d\\d)', 'a[ab]{14}c']) {
    const { bytes, groups: count } = compileRegex(pattern, { captures: true });
    seeds.push([bytes, (bad) => engine.check(bad), (bad) => engine.find(bad, text)]);
    seeds.push([bytes, (bad) => engine.check(bad), (bad) => engine.captures(bad, Math.max(count, 32), text)]);
  }
  const set = compileRegexSet(['she', 'h.*s', '\\d+$'])[0]!;
  seeds.push([set, (bad) => engine.check(bad, true), (bad) => engine.matchSet([bad], 1024, text)]);
  seeds.push([literals, (bad) => engine.checkLiterals(bad), (bad) => engine.candidates(bad, 1024, text)]);
  const bytes = new Uint8Array(engine.memory.buffer);
  // Everything but the text, the arena and the image: nothing may be written there.
  const around = (): Uint8Array[] => [bytes.slice(0, BODY_AT), bytes.slice(IMAGES_AT + 65536, IMAGES_AT + 131072)];
  const before = around();
  let admitted = 0;
  for (let round = 0; round < 4800; round++) {
    const [program, check, run] = seeds[round % seeds.length]!;
    const bad = program.slice();
    for (let i = 0; i <= random(3); i++) {
      const at = random(3) > 0 ? random(bad.length) : random(Math.min(64, bad.length));
      bad[at] = random(2) ? random(256) : [0, 1, 0x7f, 0x80, 0xff][random(5)]!;
    }
    const short = random(8) === 0 ? bad.subarray(0, random(bad.length)) : bad;
    if (!check(short)) continue;
    admitted++;
    const sizes = new DataView(short.buffer, short.byteOffset);
    // The caller sizes `bitset` by the program's own count.
    if (program === set && sizes.getUint32(16, true) > 1024) continue;
    if (program === literals && sizes.getUint32(20, true) > 1024) continue;
    run(short);
    assert.deepEqual(
      around().map((part, i) => Buffer.compare(part, before[i]!)),
      [0, 0],
    );
  }
  assert.ok(admitted > 300, `${admitted} admitted`);
});

test('patterns of one policy share an effort; when it is spent, ordinary ones still get a DFA', () => {
  const exploding = Array.from({ length: 200 }, (_, i) => `/x${i}/.*a.{${12 + (i % 8)}}`);
  const effort = new Effort();
  compileRegexSet(exploding, { anchored: true, unicode: true }, effort);
  assert.equal(effort.allowed(1), MIN_DFA_WORK);
  assert.equal(
    compileRegex('/users/[0-9]+/(posts|likes)(/.*)?', { anchored: true, unicode: true }, effort).kind,
    'dfa',
  );
  assert.equal(compileRegex('.*a.{8}', { unicode: true }, new Effort()).kind, 'dfa');
  assert.equal(compileRegex('.*a.{8}', { unicode: true }, effort).kind, 'nfa');
});
