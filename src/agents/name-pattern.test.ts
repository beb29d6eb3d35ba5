import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allows, matchesPattern } from './name-pattern.ts';

test('a star stands for any characters, also none', () => {
  for (const [pattern, name, expected] of [
    ['gpt-4*', 'gpt-4', true],
    ['gpt-4*', 'gpt-4o-mini', true],
    ['gpt-4*', 'GPT-4', false],
    ['gpt-4*', 'xgpt-4', false],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['**a', 'bba', true],
    ['a.c', 'abc', false],
    ['*a*', '', false],
  ] as const)
    assert.equal(matchesPattern(pattern, name), expected, `${pattern} ${name}`);
});

test('property: as the regular expression that says the same', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 12 });
  fc.assert(
    fc.property(word, word, (pattern, name) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '[^]*')}$`);
      assert.equal(matchesPattern(pattern, name), expression.test(name));
    }),
    { numRuns: 2000 },
  );
});

test('deny goes before allow', () => {
  assert.equal(allows({ allow: null, deny: [] }, 'x'), true);
  assert.equal(allows({ allow: [], deny: [] }, 'x'), false);
  assert.equal(allows({ allow: ['Send*'], deny: ['SendStreaming*'] }, 'SendMessage'), true);
  assert.equal(allows({ allow: ['Send*'], deny: ['SendStreaming*'] }, 'SendStreamingMessage'), false);
  assert.equal(allows({ allow: ['Send*'], deny: [] }, 'GetTask'), false);
});
