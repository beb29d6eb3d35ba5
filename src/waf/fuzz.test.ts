import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzRounds } from '../../test/fuzz/image.ts';
import { fuzzRounds as fuzzWafImages } from '../../test/fuzz/waf-image.ts';
import { fuzzRounds as fuzzTransactions } from '../../test/fuzz/waf.ts';

test('an image with wrong bytes is refused or harmless', async () => {
  const { rounds, opened, refused } = await fuzzRounds(800, 7);
  assert.equal(rounds, 800);
  // Both have to happen, or the mutations are too wild or too tame to show anything.
  assert.ok(opened > 80 && refused > 80, `${opened} opened, ${refused} refused`);
});

test('a rule set or a WAF program with wrong bytes is refused or harmless', async () => {
  const { rounds, opened, refused } = await fuzzWafImages(400, 11);
  assert.equal(rounds, 400);
  assert.ok(opened > 60 && refused > 60, `${opened} opened, ${refused} refused`);
});

test('hostile transactions get a verdict, and noise hides no attack', async () => {
  const { rounds, actions } = await fuzzTransactions(300, 11);
  assert.equal(rounds, 300);
  assert.ok(actions['deny']! > 30 && actions['pass']! > 30, JSON.stringify(actions));
});
