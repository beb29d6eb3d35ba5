/** Matchers against V8's RegExp and String, by every path that the engine has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matcherEngine } from '../../../test/support/matchers.ts';
import { mutate, picker } from '../../../test/support/pattern-texts.ts';
import { patternsAndTexts } from '../../../test/support/regex.ts';
import { compileMatchers, type MatcherLimits, type MatcherSource } from './matchers.ts';

const engine = await matcherEngine(256);
const group = { paranoia: 1, direction: 'request', pipeline: '' } as const;

const PATHS: readonly Partial<MatcherLimits>[] = [
  {},
  { literals: false },
  { binStates: 0 },
  { completeStates: 0, partialStates: 3 },
  { completeStates: 0, partialStates: 12, literals: false },
  { completeStates: 0, partialStates: 0 },
];

const CHARS = ['a', 'b', 'c', 'A', 'B', 'k', '0', '7', '_', '-', ' ', '\n', '.', '/', '\x7f'];

test('finds what V8 finds, by every path', async () => {
  const some = fc.array(patternsAndTexts(CHARS, { groups: false }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(some, fc.boolean(), fc.nat(), async (cases, fold, seed) => {
      const patterns = cases.map(({ pattern }) => (fold ? `(?i)(?:${pattern})` : pattern));
      const natives = cases.map(({ pattern }) => new RegExp(pattern, fold ? 'is' : 's'));
      const pick = picker(seed);
      const texts = cases.flatMap(({ texts: all }) => [...all, mutate(all[0]!, all[3]!, pick).slice(0, 12)]);
      const ascii = texts.map((text) => text.replace(/[^\0-\x7f]/g, '~'));
      const expected = ascii.map((text) => natives.flatMap((native, i) => (native.test(text) ? [patterns[i]!] : [])));
      for (const limits of PATHS) {
        const sources = patterns.map((pattern): MatcherSource => ({ kind: 'rx', pattern, captures: false, group }));
        const { section, matchers, count, problems } = await compileMatchers(sources, { limits });
        assert.deepEqual(problems, []);
        assert.ok(engine.open(section, count));
        ascii.forEach((text, index) => {
          const hits = engine.match(text);
          const found = patterns.filter((_, i) => hits!.includes(matchers[i]!));
          const where = `${patterns.join('  ')} on ${JSON.stringify(text)}, ${JSON.stringify(limits)}`;
          assert.deepEqual(found, expected[index], where);
        });
      }
    }),
    { numRuns: 60 },
  );
});

test('finds the phrases that stand in a text, in either case, and the one that ends first', async () => {
  const phrase = fc.string({
    unit: fc.constantFrom('a', 'B', 'c', '@', '`', '[', '{', '\0', ' '),
    minLength: 1,
    maxLength: 9,
  });
  const lists = fc.array(fc.array(phrase, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 5 });
  const text = fc.array(fc.oneof(phrase, fc.constantFrom('A', 'b', 'C', '\x40\x60', '0')), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(lists, fc.array(text, { maxLength: 6 }), async (all, texts) => {
      const { section, matchers, count } = await compileMatchers(
        all.map((phrases) => ({ kind: 'pm', phrases, group })),
      );
      assert.ok(engine.open(section, count));
      for (const value of [...texts.map((parts) => parts.join('')), ...all.map((list) => `x${list[0]}`)]) {
        const lower = value.toLowerCase();
        const expected = all.flatMap((list, i) =>
          list.some((one) => lower.includes(one.toLowerCase())) ? [matchers[i]!] : [],
        );
        assert.deepEqual(
          engine.match(value),
          [...new Set(expected)].sort((a, b) => a - b),
          JSON.stringify([all, value]),
        );
        all.forEach((list, i) => {
          const spans = list
            .map((one) => [lower.indexOf(one.toLowerCase()), one.length] as const)
            .filter(([at]) => at >= 0)
            .map(([at, length]) => [at, at + length] as const)
            .sort((a, b) => a[1] - b[1] || a[0] - b[0]);
          assert.deepEqual(engine.captures(matchers[i]!, value)?.[0], spans[0], JSON.stringify([list, value]));
        });
      }
    }),
    { numRuns: 150 },
  );
});

test('only what applies is said, and what was there stays', async () => {
  const { section, count } = await compileMatchers(
    ['a', 'b', 'ab'].map((pattern) => ({ kind: 'rx', pattern, captures: false, group })),
  );
  assert.ok(engine.open(section, count));
  assert.deepEqual(engine.match('ab', [1]), [1]);
  assert.deepEqual(engine.match('ab', []), []);
  assert.deepEqual(engine.match('ab', [0, 2], [1]), [0, 1, 2]);
});
