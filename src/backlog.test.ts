import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backlogs, FORGOTTEN, FREE_BACKLOG, MAX_BACKLOG, MAX_BACKLOGS } from './backlog.ts';

test('one may have so much, all together so much, and each a little whatever others have', () => {
  const all = new Backlogs(() => 0);
  const [one, other] = [{}, {}];
  assert.deepEqual([all.fits(one, MAX_BACKLOG), all.fits(one, MAX_BACKLOG + 1)], [true, false]);
  const full = Array.from({ length: MAX_BACKLOGS / MAX_BACKLOG }, () => ({}));
  for (const owner of full) {
    assert.ok(all.fits(owner, MAX_BACKLOG));
    all.note(owner, MAX_BACKLOG);
  }
  assert.deepEqual([all.fits(other, FREE_BACKLOG), all.fits(other, FREE_BACKLOG + 1)], [true, false]);
  // What an owner has already is not counted twice.
  assert.ok(all.fits(full[0]!, MAX_BACKLOG));
  all.note(full[0]!, MAX_BACKLOG - FREE_BACKLOG - 1);
  assert.deepEqual([all.fits(other, FREE_BACKLOG + 1), all.fits(other, FREE_BACKLOG + 2)], [true, false]);
  for (const owner of full) all.note(owner, FREE_BACKLOG);
  assert.ok(all.fits(other, MAX_BACKLOG));
});

test('an owner that says nothing for long is none any more', () => {
  let now = 0;
  const all = new Backlogs(() => now);
  const owners = Array.from({ length: MAX_BACKLOGS / MAX_BACKLOG }, () => ({}));
  for (const owner of owners) all.note(owner, MAX_BACKLOG);
  now = FORGOTTEN;
  all.note(owners[0]!, MAX_BACKLOG);
  assert.equal(all.fits({}, MAX_BACKLOG), false);
  now = FORGOTTEN + 1;
  assert.equal(all.fits({}, 2 * FREE_BACKLOG), true);
  // The one that spoke counts still.
  const next = owners.slice(1);
  for (const owner of next) all.note(owner, MAX_BACKLOG);
  assert.equal(all.fits({}, 2 * FREE_BACKLOG), false);
});
