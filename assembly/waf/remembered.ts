// What the scan found in the headers that browsers send alike with every request, kept from one call to the next: most values of an
// ordinary request are of this kind. It depends on the string, its profile and the program alone, so an answer from here is the
// one that a search would give: the same hits, for the same steps.
//
// SAFETY: how long a call takes tells whether a value was seen lately. So only what is no secret is kept: the names of
// headers, and the values of those headers that say what a browser is and wants, listed below; never a cookie, a credential,
// a path or a parameter. Another program, so another app too, begins with nothing (kept.ts).
import { room, spend, stepsUsed } from '../arena';
import { equalBytes } from '../hash';
import { isFresh, takeKept } from './kept';
import { begins, fold } from './name';

const SLOTS: i32 = 256;
const LONGEST: i32 = 240;
const MOST_HITS: i32 = 6;
const VALUE: i32 = 16 + MOST_HITS * 8;
const SLOT_BYTES: i32 = VALUE + LONGEST; // { profile, length or -1, steps, hits, { matcher, node } of each }, value
/** Of the arena: with so much left, no search of so short a string runs out of it, so that none had to fail. */
const ROOM: usize = 1048576;

let slots: usize = 0;
let steps: i32 = 0;

/** Readies the table of a call; without room for it nothing is remembered. */
export function startRemembered(): void {
  slots = takeKept(SLOTS * SLOT_BYTES);
  if (slots == 0 || !isFresh()) return;
  for (let i = 0; i < SLOTS; i++) store<i32>(slots + <usize>(i * SLOT_BYTES), -1, 4);
}

/** Whether what a header of this name holds may be kept. */
export function isPublic(at: usize, length: i32): bool {
  if (length < 3) return false;
  switch (fold(load<u8>(at))) {
    case 0x61:
      return (
        (length == 6 && begins(at, length, 'accept')) ||
        (length == 14 && begins(at, length, 'accept-charset')) ||
        (length == 15 && (begins(at, length, 'accept-encoding') || begins(at, length, 'accept-language')))
      );
    case 0x63:
      return (
        (length == 10 && begins(at, length, 'connection')) ||
        (length == 12 && begins(at, length, 'content-type')) ||
        (length == 13 && begins(at, length, 'cache-control'))
      );
    case 0x64:
      return length == 3 && begins(at, length, 'dnt');
    case 0x68:
      return length == 4 && begins(at, length, 'host');
    case 0x6f:
      return length == 6 && begins(at, length, 'origin');
    case 0x70:
      return (length == 6 && begins(at, length, 'pragma')) || (length == 8 && begins(at, length, 'priority'));
    case 0x73:
      return begins(at, length, 'sec-fetch-') || begins(at, length, 'sec-ch-');
    case 0x75:
      return (
        (length == 10 && begins(at, length, 'user-agent')) || (length == 25 && begins(at, length, 'upgrade-insecure-requests'))
      );
  }
  return false;
}

/** Slot in which what is found for this string belongs; 0 for one that is not to be remembered. */
export function rememberedSlot(profile: i32, at: usize, length: i32): usize {
  if (slots == 0 || length > LONGEST || room() < ROOM) return 0;
  let hash: u32 = <u32>profile * 0x9e3779b1 ^ <u32>length;
  const end = at + <usize>length;
  let from = at;
  for (; from + 8 <= end; from += 8) hash = rotl<u32>(hash ^ load<u32>(from), 15) * 0x85ebca6b ^ load<u32>(from, 4) * 0xc2b2ae35;
  for (; from < end; from++) hash = (hash ^ load<u8>(from)) * 0xcc9e2d51;
  hash ^= hash >> 16;
  steps = stepsUsed();
  return slots + <usize>(<i32>(hash & (SLOTS - 1)) * SLOT_BYTES);
}

/** Whether the slot is of this string. Another one of the same hash takes its place: nobody gains but speed. */
export function isRemembered(slot: usize, profile: i32, at: usize, length: i32): bool {
  return load<i32>(slot, 4) == length && load<i32>(slot) == profile && equalBytes(slot + VALUE, at, length);
}

/** Draws the steps that the search took; false when they are spent, as then. */
export function spendRemembered(slot: usize): bool {
  return spend(load<i32>(slot, 8));
}

/** Number of hits, and where they stand: { matcher, node } each. */
// @ts-ignore: decorator
@inline
export function rememberedCount(slot: usize): i32 {
  return load<i32>(slot, 12);
}
// @ts-ignore: decorator
@inline
export function rememberedHits(slot: usize): usize {
  return slot + 16;
}

/** Notes what was found: hits of scan.ts, since `rememberedSlot` was asked. */
export function remember(slot: usize, profile: i32, at: usize, length: i32, hits: usize): void {
  store<i32>(slot, -1, 4); // should this not come to its end
  let count = 0;
  for (let hit = hits; hit != 0; hit = load<u32>(hit)) {
    if (count == MOST_HITS) return;
    store<u64>(slot + 16 + (<usize>count << 3), load<u64>(hit, 4));
    count++;
  }
  store<i32>(slot, profile);
  store<i32>(slot, stepsUsed() - steps, 8);
  store<i32>(slot, count, 12);
  memory.copy(slot + VALUE, at, length);
  store<i32>(slot, length, 4);
}
