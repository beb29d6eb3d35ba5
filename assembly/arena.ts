// Scratch memory and the step budget of one call. Both are reset at the start of every call, so nothing that a request
// made can reach the next one, and no request can take more than its share of memory or time.
import { ARENA_AT, ARENA_BYTES, MAX_STEPS, REASON_ARENA, REASON_NONE, REASON_STEPS, STEPS_PER_BODY_BYTE } from './abi';

let top: usize = ARENA_AT;
let bottom: usize = ARENA_AT + ARENA_BYTES; // of what is kept, from the other end
let left: i32 = MAX_STEPS;
let budget: i32 = MAX_STEPS;
let reason: i32 = REASON_NONE;

export function reset(): void {
  top = ARENA_AT;
  bottom = ARENA_AT + ARENA_BYTES;
  left = MAX_STEPS;
  budget = MAX_STEPS;
  reason = REASON_NONE;
}

/** Address of `bytes` bytes, 8-aligned, not zeroed; 0 when the arena is exhausted, and the call ends as `limit`. */
export function alloc(bytes: i32): usize {
  const at = top;
  // SAFETY: both sides are unsigned and the arena is far below 2^31, so a huge or negative request can't wrap.
  if (<u32>bytes > <u32>ARENA_BYTES || at + <usize>bytes > bottom) {
    fail(REASON_ARENA);
    return 0;
  }
  top = (at + <usize>bytes + 7) & ~7;
  return at;
}

/** The same of bytes that stay until the call ends, whatever is released meanwhile. */
export function keep(bytes: i32): usize {
  // SAFETY: as in alloc; `bottom` is a multiple of 8.
  if (<u32>bytes > <u32>ARENA_BYTES || top + <usize>bytes > bottom) {
    fail(REASON_ARENA);
    return 0;
  }
  const at = (bottom - <usize>bytes) & ~7;
  if (at < top) {
    fail(REASON_ARENA);
    return 0;
  }
  bottom = at;
  return at;
}

/** Bytes that are left. */
export function room(): usize {
  return bottom - top;
}

/** Whether what lies at `at` outlives a release to `to`. */
export function outlives(at: usize, to: usize): bool {
  return at < to || at >= bottom;
}

/** Where the next allocation goes; `release(mark)` gives back everything allocated since. */
export function mark(): usize {
  return top;
}
export function release(to: usize): void {
  top = to;
}

/** Draws `n` steps from the call's budget; false when it is spent, and the caller must stop. */
export function spend(n: i32): bool {
  if (<u32>n > <u32>left) {
    left = 0;
    fail(REASON_STEPS);
    return false;
  }
  left -= n;
  return true;
}

/** Adds to the budget: `bytes` of a body are there to be judged, and what that may take grows with them, linearly. */
export function grant(bytes: i32): void {
  // SAFETY: a window has at most MAX_BODY_BYTES, and a call one window, so the sum is far below 2^31.
  left += bytes * STEPS_PER_BODY_BYTE;
  budget += bytes * STEPS_PER_BODY_BYTE;
}

export function stepsUsed(): i32 {
  return budget - left;
}

/** Ends the call as `limit` with this reason; the first reason stands. */
export function fail(why: i32): void {
  if (reason == REASON_NONE) reason = why;
}

/** Takes the failure back: whoever ran into the limit says so in its own way. */
export function forgive(): void {
  reason = REASON_NONE;
}

/** REASON_NONE, or why this call ran into a limit. */
export function failure(): i32 {
  return reason;
}
