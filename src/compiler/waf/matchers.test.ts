import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matcherEngine } from '../../../test/support/matchers.ts';
import { compileMatchers, type MatcherSource } from './matchers.ts';

const engine = await matcherEngine();
const group = { paranoia: 1, direction: 'request', pipeline: '' } as const;
const rx = (pattern: string, captures = false): MatcherSource => ({ kind: 'rx', pattern, captures, group });

test('one matcher for equal operators, and a problem with its place for what cannot be honoured', async () => {
  const { matchers, count, problems } = await compileMatchers([rx('a'), rx('b'), rx('a'), rx('x(?=y)')]);
  assert.deepEqual(matchers, [0, 1, 0, -1]);
  assert.equal(count, 2);
  assert.deepEqual(
    problems.map(({ source, message, offset }) => ({ source, message, offset })),
    [{ source: 3, message: 'lookahead is not supported', offset: 1 }],
  );
});

test('regexes, phrases and words in one section', async () => {
  const { section, count } = await compileMatchers([
    rx('(?i)foo.bar$'),
    { kind: 'pm', phrases: ['Passwd', 'etc/'], group },
    { kind: 'strmatch', text: 'a.b', group },
    { kind: 'containsWord', text: 'the', group },
  ]);
  assert.ok(engine.open(section, count));
  assert.deepEqual(engine.match('FOO\nbar'), [0]);
  assert.deepEqual(engine.match('foo bar '), []);
  assert.deepEqual(engine.match('pASSWD of the '), [1, 3]);
  assert.deepEqual(engine.match('a.b other'), [2]);
  assert.deepEqual(engine.match('pASSWD of the ', [0, 3]), [3]);
});

test('phrases hold any character of UTF-8', async () => {
  const characters = Array.from({ length: 0x740 }, (_, index) => String.fromCodePoint(0x80 + index)).concat(
    '\u3002',
    '😀',
  );
  const phrases = characters.filter((character) => character.toLowerCase() === character);
  for (const list of [phrases, ['http://169\u3002254']]) {
    const { section, count } = await compileMatchers([{ kind: 'pm', phrases: list, group }]);
    assert.ok(engine.open(section, count));
    for (const phrase of list) assert.deepEqual(engine.match(`x${phrase}y`), [0], phrase);
    assert.deepEqual(engine.match('\u3003 and z'), []);
  }
});

test('captures give the whole match and the groups that rules read', async () => {
  const { section, count } = await compileMatchers([rx('(b+)(c)?(d)?', true), rx('b(c)')]);
  assert.ok(engine.open(section, count));
  assert.deepEqual(engine.captures(0, 'abbd')?.slice(0, 5), [[1, 4], [1, 3], null, [3, 4], null]);
  assert.deepEqual(engine.captures(1, 'abc')?.slice(0, 2), [[1, 3], null]);
  assert.equal(engine.captures(1, 'ab'), null);
});

test('captures of what matches whole texts only', async () => {
  const { section, count } = await compileMatchers([rx('^[ab]*$'), rx('^a|b$'), rx('^(a)b$', true), rx('^$')]);
  assert.ok(engine.open(section, count));
  assert.deepEqual(engine.captures(0, 'abab')?.slice(0, 2), [[0, 4], null]);
  assert.deepEqual(engine.captures(0, '')?.[0], [0, 0]);
  assert.equal(engine.captures(0, 'abc'), null);
  assert.deepEqual(engine.captures(1, 'xb')?.[0], [1, 2]);
  assert.deepEqual(engine.captures(2, 'ab')?.slice(0, 2), [
    [0, 2],
    [0, 1],
  ]);
  assert.deepEqual(engine.captures(3, '')?.[0], [0, 0]);
  assert.equal(engine.captures(3, 'a'), null);
});

test('a pattern that takes all captures all', async () => {
  const { section, count } = await compileMatchers(
    ['^.*$', '.*', '^(.*)$', '^.*?', '[^a]*', '.{0,3}', '^.*x?'].map((pattern) => rx(pattern, true)),
  );
  assert.ok(engine.open(section, count));
  const whole = (text: string): unknown[] =>
    Array.from({ length: count }, (_, matcher) => engine.captures(matcher, text)?.slice(0, 2));
  const rest = [[0, 3], null];
  assert.deepEqual(whole('b\na'), [
    rest,
    rest,
    [
      [0, 3],
      [0, 3],
    ],
    [[0, 0], null],
    [[0, 2], null],
    rest,
    rest,
  ]);
  assert.deepEqual(
    whole(''),
    [0, 1, 2, 3, 4, 5, 6].map((matcher) => [[0, 0], matcher === 2 ? [0, 0] : null]),
  );
});

test('captures of long texts are found where they match first, with what stands around them', async () => {
  const sources = [rx('\\b(a)(b+)\\b', true), rx('^x.*y$'), rx('(?i)sel.{1,200}from'), rx('qe*f')];
  for (const limits of [{}, { completeStates: 8, partialStates: 8 }]) {
    const { section, count } = await compileMatchers(sources, { limits });
    assert.ok(engine.open(section, count));
    const noise = 'cab abd '.repeat(5000);
    const spans = engine.captures(0, `${noise}abbb ${noise}ab`);
    assert.deepEqual(spans?.slice(0, 3), [
      [40000, 40004],
      [40000, 40001],
      [40001, 40004],
    ]);
    assert.deepEqual(engine.captures(0, `${noise}ab`)?.[0], [40000, 40002]);
    assert.deepEqual(engine.captures(1, `x${noise}y`)?.[0], [0, 40002]);
    assert.deepEqual(engine.captures(2, `${noise}SEL${'-'.repeat(200)}FROM${noise}`)?.[0], [40000, 40207]);
    assert.equal(engine.captures(2, `${noise}SEL${'-'.repeat(201)}FROM${noise}`), null);
    // Longer than the window.
    assert.equal(engine.captures(3, `${noise}q${'e'.repeat(5000)}`), null);
    assert.deepEqual(engine.captures(3, `${noise}q${'e'.repeat(5000)}f`)?.[0], [40000, 45002]);
  }
});

test('a matcher whose bin is not wanted finds the same, more slowly', async () => {
  const phrases = { kind: 'pm', phrases: ['abbb', 'elect', 'x'], group } as const;
  const sources = [rx('(?i)sel(?:ect)?\\b.{1,20}from'), rx('^[a-z]+$'), rx('(?:a|b){3,9}c'), rx('x$'), phrases];
  const texts = ['', 'SELECT a from b', 'abc', 'abcabbbaac etc', 'x'.repeat(70), 'select '.repeat(50), 'ab\nx'];
  for (const limits of [{}, { completeStates: 8, partialStates: 8 }, { binStates: 0 }]) {
    const { section, count } = await compileMatchers(sources, { limits });
    assert.ok(engine.open(section, count));
    const expected = texts.map((text) => [engine.match(text), engine.captures(0, text)]);
    for (const wanted of [[], [0], [1, 2], [3], [4], [0, 1, 2, 3, 4]]) {
      assert.ok(engine.open(section, count, wanted));
      assert.deepEqual(
        texts.map((text) => [engine.match(text), engine.captures(0, text)]),
        expected,
      );
    }
  }
});

test('a section is opened where its bins have room, and nowhere else', async () => {
  const { section, count, report } = await compileMatchers([rx('(?i)sel(?:ect)?\\b.{1,20}from'), rx('^[a-z]+$')]);
  assert.ok(engine.open(section, count, undefined, report!.binBytes + 128));
  assert.equal(engine.open(section, count, undefined, report!.binBytes - 1), false);
  assert.equal(engine.open(section, count, undefined, 0), false);
  assert.ok(engine.open(section, count, [], 0), 'nothing is wanted');
});
