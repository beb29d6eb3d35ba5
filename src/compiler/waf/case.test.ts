import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as abi from '../../../assembly/waf/abi.ts';
import { FAMILIES } from '../../../test/support/fragments.ts';
import { matcherEngine } from '../../../test/support/matchers.ts';
import { referenceTransformations } from '../../../test/support/reference-transformations.ts';
import { isLowered, scannedPipeline } from './case.ts';
import { compileMatchers, type MatcherSource } from './matchers.ts';

const { TRANSFORM_LOWERCASE: LOWER, TRANSFORM_URL_DECODE_UNI: URL, TRANSFORM_JS_DECODE: JS } = abi;
const { TRANSFORM_REMOVE_NULLS: NULLS } = abi;
const place = { file: '', line: 1, column: 1 };
const link = (transformations: readonly number[], pattern: string, multiMatch = false) => ({
  transformations,
  multiMatch,
  operator: { place, operator: abi.OPERATOR_RX, negated: false, argument: [pattern], phrases: [], text: '' },
});
const lower = (text: string): string => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());

test('lowercase is left out where it decides nothing', () => {
  const pipeline = (...of: Parameters<typeof link>): readonly number[] => scannedPipeline(link(...of));
  assert.deepEqual(pipeline([LOWER], 'a[B-D]'), []);
  assert.deepEqual(pipeline([URL, LOWER, NULLS], 'abc'), [URL, NULLS]);
  assert.deepEqual(pipeline([LOWER, URL, LOWER], 'abc'), [URL]);
  // What decodes may put capitals in, so the pattern itself has to ignore case.
  assert.deepEqual(pipeline([LOWER, URL], 'abc'), [LOWER, URL]);
  assert.deepEqual(pipeline([LOWER, URL], '(?i)abc'), [URL]);
  assert.deepEqual(pipeline([LOWER, JS], '(?i)abc'), [LOWER, JS]);
  assert.deepEqual(pipeline([LOWER], 'abc', true), [LOWER]);
  assert.equal(isLowered(link([LOWER], 'a', true)), false);
  assert.equal(isLowered(link([LOWER, NULLS], 'a')), true);
  assert.equal(isLowered(link([LOWER, URL], 'a')), false);
});

test('the transformations that are seen through treat letters of either case alike', () => {
  const ids = [...Array(abi.TRANSFORM_COUNT).keys()].filter(
    (id) => scannedPipeline(link([LOWER, id], '(?i)a')).length === 1 && id !== LOWER,
  );
  assert.ok(ids.length >= 15);
  const changed = (id: number, text: string): string => lower(referenceTransformations.get(id)!(text));
  for (const family of Object.values(FAMILIES))
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...family, 'aB', '%u0041', '&#X41;', '&LT'), { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        for (const id of ids) assert.equal(changed(id, lower(text)), changed(id, text), `${id} of ${text}`);
      }),
    );
});

test('a matcher of texts in lower case finds the same in any case', async () => {
  const engine = await matcherEngine();
  const group = { paranoia: 1, direction: 'request', pipeline: '' } as const;
  const patterns = ['ab', 'a[b-c]', '[^a]b', '[A-Z]b|cc', 'A|bb', '\\bca\\b', '[a-zA]c', '[^A-Z]a$'];
  const sources = [
    ...patterns.map((pattern): MatcherSource => ({ kind: 'rx', pattern, captures: false, group })),
    ...patterns.map((pattern): MatcherSource => ({ kind: 'rx', pattern, captures: false, lowered: true, group })),
    { kind: 'strmatch', text: 'aB', lowered: true, group } as const,
    { kind: 'containsWord', text: 'ba', lowered: true, group } as const,
  ];
  const { section, count, matchers } = await compileMatchers(sources);
  assert.ok(engine.open(section, count));
  const letters = fc.string({ unit: fc.constantFrom(...'abcABC -'), maxLength: 8 });
  fc.assert(
    fc.property(letters, (text) => {
      const plain = new Set(engine.match(lower(text)));
      const any = new Set(engine.match(text));
      patterns.forEach((pattern, index) => {
        const own = matchers[index]!;
        const blind = matchers[patterns.length + index]!;
        assert.equal(plain.has(blind), plain.has(own), `${pattern} in ${text}`);
        assert.equal(any.has(blind), plain.has(own), `${pattern} in ${text}`);
      });
      assert.equal(any.has(matchers.at(-1)!), /(?:^|[^a-z])ba(?:[^a-z]|$)/.test(lower(text)));
    }),
  );
});
