// Which matchers can match a string at all, by the classes of bytes that occur in it: what spares most strings every search.
//
// PERF: a JSON body has thousands of short values but few combinations of classes (letters; digits and a dot; ...), so what
// the clauses of SECTION_MATCHERS say of a combination is worked out once and kept.
import { alloc } from '../arena';
import { MASK_TAIL_BYTES, MATCHER_SET_BYTES } from './abi';
import { isFresh, takeKept } from './kept';
import { screen } from './match';
import { maskBytes, setAt, setCount } from './program';

// PERF: ordinary requests of one site have some 200 combinations in their values.
const MOST_SLOTS: i32 = 512;
const MOST_SHIFT: u64 = 64 - 9;
const FEWEST_SLOTS: i32 = 64;
const FEWEST_SHIFT: u64 = 64 - 6;

let slotCount: i32 = 0;
let turn: bool = false; // which of two slots the next that is new takes
let slotShift: u64 = 0; // of a product of 64 bits: as many are left as there are slots
let slots: usize = 0; // u64 classes, then a set for each matcher section and the detectors, as a mask of the program

/** Readies the tables of a call; false when the arena is exhausted. */
export function startScreen(): bool {
  slotCount = MOST_SLOTS;
  slotShift = MOST_SHIFT;
  slots = takeKept(MOST_SLOTS * (8 + maskBytes));
  if (slots != 0 && !isFresh()) return true;
  if (slots == 0) {
    slotCount = FEWEST_SLOTS;
    slotShift = FEWEST_SHIFT;
    slots = alloc(FEWEST_SLOTS * (8 + maskBytes));
    if (slots == 0) return false;
  }
  for (let i: usize = 0; i < <usize>slotCount; i++) store<u64>(slots + i * <usize>(8 + maskBytes), 0);
  return true;
}

/**
 * The classes of the bytes that a presence bitmap holds, one bit each. Of punctuation each byte is a class of its own; letters
 * are one, digits are one. src/compiler/waf/clauses.ts says the same byte by byte.
 */
export function classesOf(bitmap: usize): u64 {
  const controls = load<u32>(bitmap);
  const symbols = load<u32>(bitmap, 4);
  const upper = load<u32>(bitmap, 8);
  const lower = load<u32>(bitmap, 12);
  let low = symbols & 0xfc00ffff; // 0x20 to 0x2f, 0x3a to 0x3f
  if ((symbols & 0x03ff0000) != 0) low |= 1 << 16;
  low |= (controls & 1) << 17; // NUL
  low |= (controls & 0x600) << 9; // tab, line feed: 18, 19
  low |= (controls & 0x2000) << 7; // carriage return: 20
  if ((controls & ~0x2601) != 0 || lower >> 31) low |= 1 << 21;
  if (load<u64>(bitmap, 16) != 0) low |= 1 << 22; // 0x80 to 0xbf
  if (load<u64>(bitmap, 24) != 0) low |= 1 << 23;
  let high = upper & 0xf8000001; // @ and [ \ ] ^ _
  high |= (lower & 0x78000000) >> 5; // { | } ~: 22 to 25
  high |= (lower & 1) << 2; // `
  if (((upper | lower) & 0x07fffffe) != 0) high |= 2;
  return (<u64>high << 32) | <u64>low;
}

/** Mask of the matchers that strings of these classes may match; the detectors are always in it. */
export function alive(classes: u64): usize {
  const key = classes | (<u64>1 << 25); // is no class, so that no key is 0
  // PERF: only the highest bits of a product depend on all bits of the key, and many combinations differ in their highest.
  const index = <usize>((key * 0x9e3779b97f4a7c15) >> slotShift);
  const first = slots + index * <usize>(8 + maskBytes);
  if (load<u64>(first) == key) return first + 8;
  const second = slots + (index ^ 1) * <usize>(8 + maskBytes);
  if (load<u64>(second) == key) return second + 8;
  const slot = turn ? second : first;
  turn = !turn;
  const mask = slot + 8;
  store<u64>(slot, key);
  for (let i = 0; i < setCount; i++) screen(setAt(i), classes, mask + <usize>i * MATCHER_SET_BYTES);
  for (let i: usize = 0; i < <usize>MASK_TAIL_BYTES; i += 8) store<u64>(mask + <usize>setCount * MATCHER_SET_BYTES + i, ~0);
  return mask;
}
