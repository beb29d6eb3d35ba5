/** What the scan keeps belongs to a program whose tables were made to the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileAssembly } from '../../test/support/assembly.ts';
import { ARENA_BYTES, HEADER_BYTES, SECTION_MATCHERS, SECTION_WAF } from '../abi.ts';
import { MATCHERS_HEADER_BYTES, PROGRAM_HEADER_WORDS, PROGRAM_NODES, PROGRAM_SETS, SET_ROW_WORDS } from './abi.ts';

const { exports, place } = await compileAssembly<{
  openProgram(policy: number, number: number, ruleSets: number): number;
  startScan(): number;
  isFresh(): number;
  forgetKept(): void;
  reset(): void;
  alloc(bytes: number): number;
}>(
  `export { openProgram } from './waf/program';
   export { startScan } from './waf/scan';
   export { isFresh, forgetKept } from './waf/kept';
   export { reset, alloc } from './arena';`,
);

/** An image with a program without rules, of so many empty sets: what the tables of a scan are sized by. */
function policy(sets: number): number {
  const matchersAt = HEADER_BYTES;
  const wafAt = matchersAt + MATCHERS_HEADER_BYTES;
  const rowsAt = 16 + PROGRAM_HEADER_WORDS * 4;
  const words = new Uint32Array((wafAt + rowsAt + sets * SET_ROW_WORDS * 4 + 64) >> 2);
  words.set([matchersAt, MATCHERS_HEADER_BYTES], (24 + SECTION_MATCHERS * 8) >> 2);
  words.set([wafAt, rowsAt], (24 + SECTION_WAF * 8) >> 2);
  words.set([1, 0, 16], wafAt >> 2);
  const program = (wafAt + 16) >> 2;
  words.set([sets, rowsAt - 16], program + PROGRAM_SETS);
  words.set([1, rowsAt - 16], program + PROGRAM_NODES);
  return place(new Uint8Array(words.buffer));
}

/** Begins a call with so many bytes of the arena taken: whether its tables are there, and whether they had to be made. */
function start(image: number, taken = 0): [ready: boolean, fresh: boolean] {
  exports.reset();
  exports.alloc(taken);
  assert.ok(exports.openProgram(image, 0, 0));
  return [exports.startScan() !== 0, exports.isFresh() !== 0];
}

// With one set all is kept, with four the screen is made for each call and the closures are kept.
for (const sets of [1, 4]) {
  test(`tables of ${sets} sets are kept for a program, and for no other`, () => {
    const [one, other] = [policy(sets), policy(sets)];
    assert.deepEqual(start(one), [true, true]);
    assert.deepEqual(start(one), [true, false]);
    assert.deepEqual(start(other), [true, true]);
    assert.deepEqual(start(one), [true, true]);
    exports.forgetKept();
    assert.deepEqual(start(one), [true, true]);
  });
}

test('tables that were not finished are made anew', () => {
  const [one, other] = [policy(4), policy(4)];
  assert.deepEqual(start(one), [true, true]);
  assert.deepEqual(start(other, ARENA_BYTES - 16384), [false, true]);
  assert.deepEqual(start(other), [true, true]);
  assert.deepEqual(start(other, ARENA_BYTES - 16384), [false, false]);
  assert.deepEqual(start(other), [true, false]);
});
