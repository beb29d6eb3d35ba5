/** Against V8's RegExp on the syntax that both read the same way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { patternsAndTexts, regexEngine, type Groups } from '../../../test/support/regex.ts';
import { compileRegex, compileRegexSet, type RegexFlags } from './index.ts';
import { compileLiterals, requiredLiterals } from './literals.ts';
import { buildNfa, nullable } from './nfa.ts';
import { parse } from './parse.ts';
import { serialize } from './serialize.ts';
import type { Node } from './syntax.ts';

const engine = await regexEngine();
const encoder = new TextEncoder();

const ASCII = ['a', 'b', 'c', 'A', 'B', 'k', '0', '7', '_', '-', ' ', '\n', '.', '/'];
const UNICODE = [...ASCII, 'é', 'É', 'ß', '€', '😀', 'Ω', 'ω'];
// ECMAScript has no \\A and \\z, so that a whole match is not asked of it together with `multiline`.
const flagSets = fc
  .record({ foldCase: fc.boolean(), dotAll: fc.boolean(), extent: fc.constantFrom('', 'multiline', 'anchored') })
  .map(({ foldCase, dotAll, extent }) => ({
    foldCase,
    dotAll,
    multiline: extent === 'multiline',
    anchored: extent === 'anchored',
  }));

function native(pattern: string, flags: RegexFlags, more = ''): RegExp {
  const letters =
    (flags.foldCase ? 'i' : '') + (flags.dotAll ? 's' : '') + (flags.multiline ? 'm' : '') + (flags.unicode ? 'u' : '');
  return new RegExp(pattern, letters + more);
}

function matchesNatively(pattern: string, flags: RegexFlags, text: string): boolean | null {
  const match = native(flags.anchored ? `^(?:${pattern})$` : pattern, flags).exec(text);
  return match !== null && flags.unicode && splitsPair(text, match.index) ? null : match !== null;
}

/**
 * V8 finds an empty `\\B` between the two halves of a surrogate pair, where ECMA-262 has no position to look at
 * (22.2.7.2, AdvanceStringIndex): its answer says nothing then.
 */
function splitsPair(text: string, index: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(index - 1, index + 1));
}

for (const [name, alphabet, unicode] of [
  ['bytes', ASCII, false],
  ['code points', UNICODE, true],
] as const) {
  test(`finds what V8 finds, over ${name}`, () => {
    fc.assert(
      fc.property(patternsAndTexts(alphabet, { groups: false }), flagSets, ({ pattern, texts }, picked) => {
        const flags = { ...picked, unicode };
        const { bytes } = compileRegex(pattern, flags);
        assert.ok(engine.check(bytes));
        // The same pattern as if its DFA had been too large.
        const nfa = buildNfa([parse(pattern, flags)], [0], flags.anchored, false);
        const sparse = serialize({ dfa: null, nfa, groups: 0, set: null });
        assert.ok(engine.check(sparse));
        for (const text of texts) {
          const expected = matchesNatively(pattern, flags, text);
          if (expected === null) continue;
          assert.equal(engine.find(bytes, text), expected, `DFA of /${pattern}/ on ${JSON.stringify(text)}`);
          assert.equal(engine.find(sparse, text), expected, `NFA of /${pattern}/ on ${JSON.stringify(text)}`);
        }
      }),
      { numRuns: 250 },
    );
  });
}

test('captures what V8 captures', () => {
  fc.assert(
    fc.property(patternsAndTexts(UNICODE, { groups: true }), flagSets, ({ pattern, texts }, picked) => {
      const flags = { ...picked, anchored: false, unicode: true, captures: true };
      // An empty turn of a repeat is refused by ECMAScript, which changes what is preferred.
      fc.pre(!repeatsEmpty(parse(pattern, flags).root));
      const { bytes, groups } = compileRegex(pattern, flags);
      assert.ok(engine.check(bytes));
      for (const text of texts) {
        const match = native(pattern, flags, 'd').exec(text);
        if (match !== null && splitsPair(text, match.index)) continue;
        const expected: Groups | null =
          match && [...match.indices!].map((span) => (span ? [bytesTo(text, span[0]), bytesTo(text, span[1])] : null));
        assert.deepEqual(engine.captures(bytes, groups, text), expected, `/${pattern}/ on ${JSON.stringify(text)}`);
      }
    }),
    { numRuns: 250 },
  );
});

test('tells which patterns of a set match', () => {
  const some = fc.array(patternsAndTexts(ASCII, { groups: false }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(some, flagSets, (cases, flags) => {
      const patterns = cases.map(({ pattern }) => pattern);
      const programs = compileRegexSet(patterns, flags);
      for (const program of programs) assert.ok(engine.check(program, true));
      for (const text of cases.flatMap(({ texts }) => texts.slice(0, 3))) {
        const expected = patterns.flatMap((pattern, id) => (matchesNatively(pattern, flags, text) ? [id] : []));
        assert.deepEqual(
          engine.matchSet(programs, patterns.length, text),
          expected,
          `${patterns.join(' , ')} on ${JSON.stringify(text)}`,
        );
      }
    }),
    { numRuns: 20 },
  );
});

test('required literals are required', () => {
  fc.assert(
    fc.property(patternsAndTexts(UNICODE, { groups: false }), flagSets, ({ pattern, texts }, picked) => {
      const flags = { ...picked, unicode: true };
      const literals = requiredLiterals(parse(pattern, flags));
      if (literals === null) return;
      for (const text of texts) {
        if (!matchesNatively(pattern, flags, text)) continue;
        const bytes = String.fromCharCode(...encoder.encode(text)).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
        assert.ok(
          literals.some((literal) => bytes.includes(literal)),
          `/${pattern}/ matches ${JSON.stringify(text)} without any of ${literals.join(', ')}`,
        );
      }
    }),
    { numRuns: 300 },
  );
});

test('the literal automaton finds what indexOf finds', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'A', 'é'), minLength: 1, maxLength: 4 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'A', 'B', 'é', ' '), maxLength: 40 });
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 12 }),
      fc.array(text, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (words, texts, fold) => {
        const lower = (value: string): string =>
          fold ? value.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : value;
        const literals = words.map((value, id) => ({ bytes: encoder.encode(lower(value)), id }));
        const automaton = compileLiterals(literals, words.length, fold);
        for (const value of [...texts, words.join('')]) {
          const expected = words.flatMap((part, id) => (lower(value).includes(lower(part)) ? [id] : []));
          assert.deepEqual(engine.candidates(automaton, words.length, value), expected);
        }
      },
    ),
    { numRuns: 300 },
  );
});

function repeatsEmpty(node: Node): boolean {
  if (node.type === 'repeat') return nullable(node.item) || repeatsEmpty(node.item);
  if (node.type === 'group') return repeatsEmpty(node.item);
  return (node.type === 'concat' || node.type === 'alternate') && node.items.some(repeatsEmpty);
}

function bytesTo(text: string, index: number): number {
  return encoder.encode(text.slice(0, index)).length;
}
