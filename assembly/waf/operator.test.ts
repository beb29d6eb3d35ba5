import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { compileAssembly, type Assembly } from '../../test/support/assembly.ts';

const entry = `
export { reset } from './arena';
export { streq, beginsWith, endsWith, contains, within, containsWord, toInteger, compare, validateByteRange,
  validateUrlEncoding, validateUtf8Encoding, ipMatch } from './waf/operator';
`;

type Compare = (at: number, length: number, argumentAt: number, argumentLength: number) => number;
interface Exports {
  reset(): void;
  streq: Compare;
  beginsWith: Compare;
  endsWith: Compare;
  contains: Compare;
  within: Compare;
  containsWord: Compare;
  toInteger(at: number, length: number): bigint;
  compare(operator: number, value: bigint, argument: bigint): number;
  validateByteRange(at: number, length: number, allowed: number): number;
  validateUrlEncoding(at: number, length: number): number;
  validateUtf8Encoding(at: number, length: number): number;
  ipMatch(at: number, length: number, list: number): number;
}

let engine: Assembly<Exports>;
before(async () => {
  engine = await compileAssembly<Exports>(entry);
});

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
type Comparison = 'streq' | 'beginsWith' | 'endsWith' | 'contains' | 'within' | 'containsWord';
function compareTexts(operator: Comparison, value: string, argument: string): boolean {
  engine.clear();
  engine.exports.reset();
  const at = engine.place(bytes(value));
  return engine.exports[operator](at, value.length, engine.place(bytes(argument)), argument.length) !== 0;
}

describe('direct operators', () => {
  const cases: readonly (readonly [Comparison, string, string, boolean])[] = [
    ['streq', 'GET', 'GET', true],
    ['streq', 'GET', 'get', false],
    ['streq', '', '', true],
    ['contains', 'abcabd', 'abd', true],
    ['contains', 'aaab', 'aab', true],
    ['contains', 'x', '', true],
    ['contains', '', 'x', false],
    ['within', 'HEAD', 'GET HEAD POST', true],
    ['within', '', 'GET', true],
    ['within', 'GET HEAD POST', 'HEAD', false],
    ['containsWord', 'a cat sat', 'cat', true],
    ['containsWord', 'a concat cat', 'cat', true],
    ['containsWord', 'a cat_ 1cat', 'cat', false],
  ];
  for (const [operator, value, argument, expected] of cases) {
    test(`${operator} ${JSON.stringify(argument)} of ${JSON.stringify(value)}: ${expected}`, () => {
      assert.equal(compareTexts(operator, value, argument), expected);
    });
  }
});
