// Where a transformation leaves its result, and the two ways of getting there: the input itself, or new bytes in the arena.
import { alloc, release, spend } from '../../arena';
import { equalBytes } from '../../hash';

/** Bytes behind every output that a store of 16 bytes may run over. */
export const SLACK = 16;

/** The result of the last transformation that returned true. */
export let outAt: usize = 0;
export let outLength: i32 = 0;

/** The result is [at, at + length) as it stands: the input, or a part of it. Always true. */
export function keep(at: usize, length: i32): bool {
  outAt = at;
  outLength = length;
  return true;
}

/**
 * Room for `worst` bytes and SLACK, for a transformation that reads `length` bytes; 0 when arena or steps are spent.
 * Everything here is linear, so one draw on the budget, before the work, pays for all of it.
 */
// PERF: most take 0.1 to 1 ns/byte, a matcher 1.7: a quarter of a step, so that a large body isn't refused for what is cheap.
export function begin(length: i32, worst: i32): usize {
  return spend(1 + (length >> 2)) ? alloc(worst + SLACK) : 0;
}

/**
 * The result is what was written from `start` (of `begin`) up to `end`; the rest of the room is given back. When that is
 * the input again, all of it is, and the input is the result. Always true.
 */
export function finish(at: usize, length: i32, start: usize, end: usize): bool {
  const written = <i32>(end - start);
  if (written == length && equalBytes(at, start, length)) {
    release(start);
    return keep(at, length);
  }
  release((end + 7) & ~7);
  return keep(start, written);
}
