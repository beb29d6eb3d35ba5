import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzRounds } from '../../test/fuzz/image.ts';

test('an image with wrong bytes is refused or harmless', async () => {
  const { rounds, opened, refused } = await fuzzRounds(800, 7);
  assert.equal(rounds, 800);
  // Both have to happen, or the mutations are too wild or too tame to show anything.
  assert.ok(opened > 80 && refused > 80, `${opened} opened, ${refused} refused`);
});
