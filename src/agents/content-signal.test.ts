import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeSignals, mergeUsage } from './content-signal.ts';

const SIGNALS = [
  ['search', 'yes'],
  ['ai-train', 'no'],
] as const;

test('signals: the strictest holds', () => {
  for (const [said, merged] of [
    [null, 'search=yes, ai-train=no'],
    ['', 'search=yes, ai-train=no'],
    ['search=no', 'search=no, ai-train=no'],
    ['ai-train=yes, ai-input=yes', 'ai-train=no, ai-input=yes, search=yes'],
    ['AI-Train = NO', 'ai-train=no, search=yes'],
    ['search=disallow, =no, x', 'search=yes, ai-train=no'],
    ['search=no, search=yes', 'search=no, ai-train=no'],
  ] as const)
    assert.equal(mergeSignals(SIGNALS, said), merged, String(said));
});

test('usage: the strictest holds, and what is no preference stays', () => {
  const own = [
    ['train-ai', 'n'],
    ['search', 'y'],
  ] as const;
  for (const [said, merged] of [
    [null, 'train-ai=n, search=y'],
    ['train-ai=y', 'train-ai=n, search=y'],
    ['search=n;why="x"', 'search=n;why="x", train-ai=n'],
    ['search=(a b), other=?0', 'search=y, other=?0, train-ai=n'],
    ['not a dictionary', 'train-ai=n, search=y'],
    ['search=n, search=y', 'search=y, train-ai=n'], // SPEC: RFC 9651: the last one counts
  ] as const)
    assert.equal(mergeUsage(own, said), merged, String(said));
});
