// What bytes mean to the detectors: tables made once per instance, and the look at a whole text that tells which of its
// places are worth a judgement.

import { occurs, presence } from '../presence';
import { PARTS_TABLE, WORDS_TABLE } from './words';

// MARKS: what a text holds
export const MARK_SINGLE: u32 = 1; // '
export const MARK_DOUBLE: u32 = 2; // "
export const MARK_PARTS: u32 = 4; // a byte that can part two words of SQL
export const MARK_BACKSLASH: u32 = 8;
export const MARK_DASH: u32 = 16;
export const MARK_SLASH: u32 = 32;
export const MARK_LESS: u32 = 64; // <
export const MARK_EQUALS: u32 = 128;
export const MARK_COLON: u32 = 256; // : or the & of a reference to one
export const MARK_BACKTICK: u32 = 512;
export const MARK_ALL: u32 = 1023;

const BITMAP = memory.data(32, 16);
let ready = false;

function build(): void {
  ready = true;
  memory.fill(PARTS_TABLE, 0, 32);
  for (let byte: u32 = 0; byte < 256; byte++) {
    const letter = (byte | 0x20) - 0x61 < 26;
    const word = letter || byte - 0x30 < 10 || byte == 0x5f || byte == 0x24 || byte >= 0x80;
    store<u8>(WORDS_TABLE + <usize>byte, <u8>(word ? (letter ? byte | 0x20 : byte) : 0));
    if ((word && byte != 0xa0) || byte == 0x2e || byte == 0x2d || byte == 0x2f) continue;
    const place = PARTS_TABLE + <usize>(byte >> 3);
    store<u8>(place, <u32>load<u8>(place) | ((1 as u32) << (byte & 7)));
  }
}

/** The marks of all bytes of a text. It or `marksIn` must have been called before `wordByte` is. */
export function marksOf(at: usize, length: i32): u32 {
  presence(at, length, BITMAP);
  return marksIn(BITMAP);
}

/** The same of a text whose presence bitmap is known. */
// PERF: the scan has it anyway, so this costs nothing a byte; a look at each took 0.35 ns, twice.
export function marksIn(bitmap: usize): u32 {
  if (!ready) build();
  const low = v128.and(v128.load(bitmap), v128.load(PARTS_TABLE));
  const high = v128.and(v128.load(bitmap, 16), v128.load(PARTS_TABLE, 16));
  let marks: u32 = v128.any_true(v128.or(low, high)) ? MARK_PARTS : 0;
  if (occurs(bitmap, 0x27)) marks |= MARK_SINGLE;
  if (occurs(bitmap, 0x22)) marks |= MARK_DOUBLE;
  if (occurs(bitmap, 0x5c)) marks |= MARK_BACKSLASH;
  if (occurs(bitmap, 0x2d)) marks |= MARK_DASH;
  if (occurs(bitmap, 0x2f)) marks |= MARK_SLASH;
  if (occurs(bitmap, 0x3c)) marks |= MARK_LESS;
  if (occurs(bitmap, 0x3d)) marks |= MARK_EQUALS;
  if (occurs(bitmap, 0x3a) || occurs(bitmap, 0x26)) marks |= MARK_COLON;
  if (occurs(bitmap, 0x60)) marks |= MARK_BACKTICK;
  return marks;
}

/** The byte of a word in lower case, 0 when no word has it. */
// @ts-ignore: decorator
@inline
export function wordByte(byte: u32): u32 {
  return <u32>load<u8>(WORDS_TABLE + <usize>byte);
}
