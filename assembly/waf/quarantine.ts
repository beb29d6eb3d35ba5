// Rules that the host has switched off, since the engine trapped on them again and again. See QUARANTINE in abi.ts.
import { QUARANTINE_AT } from '../abi';
import { MAX_QUARANTINED, QUARANTINE_WORDS } from './abi';

export const HELD_NOT: i32 = 0;
export const HELD_OUT: i32 = 1; // left out
export const HELD_BACK: i32 = 2; // no verdict

/** Whether anything of this program is switched off: asked once a call, so that rules cost nothing more. */
export function hasHeld(policy: usize, program: i32): bool {
  const count = load<i32>(QUARANTINE_AT);
  for (let i = 0; i < count && i < MAX_QUARANTINED; i++) {
    const entry = entryAt(i);
    if (load<u32>(entry) == <u32>policy && load<i32>(entry, 4) == program) return true;
  }
  return false;
}

/** HELD_* of a rule of a program; -1: of the program as a whole. */
export function heldRule(policy: usize, program: i32, rule: i32): i32 {
  const count = load<i32>(QUARANTINE_AT);
  for (let i = 0; i < count && i < MAX_QUARANTINED; i++) {
    const entry = entryAt(i);
    if (load<u32>(entry) == <u32>policy && load<i32>(entry, 4) == program && load<i32>(entry, 8) == rule)
      return load<i32>(entry, 12) != 0 ? HELD_BACK : HELD_OUT;
  }
  return HELD_NOT;
}

function entryAt(i: i32): usize {
  return <usize>(QUARANTINE_AT + 4) + <usize>i * (QUARANTINE_WORDS * 4);
}
