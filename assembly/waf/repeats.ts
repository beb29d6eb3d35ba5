// Equal values of one call: what the scan found for the first holds for the others. A JSON array names its members over and
// over, a form says `on` and `true`.
import { alloc } from '../arena';
import { equalBytes } from '../hash';

/** PERF: an ordinary request has fewer values, hardly any equal ones, and would pay for the table. */
const FEWEST_VALUES: i32 = 96;
const LONGEST: i32 = 128;
const SLOTS: i32 = 4096;
const SLOT_BYTES: i32 = 16; // { profile, at, length or -1, hits }

let slots: usize = 0;

/** Readies the table for a call with so many values; false when the arena is exhausted. */
export function startRepeats(values: i32): bool {
  slots = 0;
  if (values < FEWEST_VALUES) return true;
  slots = alloc(SLOTS * SLOT_BYTES);
  if (slots == 0) return false;
  memory.fill(slots, 0xff, SLOTS * SLOT_BYTES);
  return true;
}

/** Slot in which what is found for this string belongs; 0 for one that is not worth it. */
export function repeatSlot(profile: i32, at: usize, length: i32): usize {
  if (slots == 0 || length > LONGEST) return 0;
  let hash: u32 = <u32>profile * 0x9e3779b1 ^ <u32>length;
  const end = at + <usize>length;
  let from = at;
  for (; from + 4 <= end; from += 4) hash = rotl<u32>(hash ^ load<u32>(from), 15) * 0x85ebca6b;
  for (; from < end; from++) hash = (hash ^ load<u8>(from)) * 0xcc9e2d51;
  hash ^= hash >> 16;
  return slots + <usize>(hash & (SLOTS - 1)) * SLOT_BYTES;
}

/** Whether the slot has the hits of this string. Another string of the same hash takes its place: nobody gains but speed. */
export function isKnown(slot: usize, profile: i32, at: usize, length: i32): bool {
  return load<i32>(slot, 8) == length && load<i32>(slot) == profile && equalBytes(load<u32>(slot, 4), at, length);
}

export function knownHits(slot: usize): usize {
  return load<u32>(slot, 12);
}

/** Notes what was found; the string has to stay as it is until the call ends. */
export function keepHits(slot: usize, profile: i32, at: usize, length: i32, hits: usize): void {
  store<i32>(slot, profile);
  store<u32>(slot, <u32>at, 4);
  store<i32>(slot, length, 8);
  store<u32>(slot, <u32>hits, 12);
}
