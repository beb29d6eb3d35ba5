// cmdLine: the spelling of a command as a shell or cmd.exe would run it.
import { compact } from './bytes';
import { begin, finish } from './output';

// Classes of bytes, as bits: those that vanish, those that are as good as a space, those that take a space before them away.
const GONE: u32 = 1; // " ' \ ^
const BLANK: u32 = 2; // space , ; tab carriage return line feed
const OPENING: u32 = 4; // / (

// @ts-ignore: decorator
@inline
function classOf(byte: u32): u32 {
  if (byte > 0x5e) return 0; // most are small letters
  switch (byte) {
    case 0x22:
    case 0x27:
    case 0x5c:
    case 0x5e:
      return GONE;
    case 0x20:
    case 0x2c:
    case 0x3b:
    case 0x09:
    case 0x0d:
    case 0x0a:
      return BLANK;
    case 0x2f:
    case 0x28:
      return OPENING;
  }
  return 0;
}

// The same for 16 bytes, by both halves of a byte: bits of the lower half are 1 for 0x0_ BLANK, 2 for 0x2_ BLANK, 4 for 0x3_
// BLANK, 8 for 0x2_ GONE, 16 for 0x5_ GONE, 32 for 0x2_ OPENING; and for each upper half, which of them it can be.
// @ts-ignore: decorator
@inline
function classesOf(block: v128): v128 {
  const lower = i8x16(2, 0, 8, 0, 0, 0, 0, 8, 32, 1, 1, 4, 18, 1, 16, 32);
  const upper = i8x16(1, 0, 42, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  return v128.and(
    i8x16.swizzle(lower, v128.and(block, i8x16.splat(15))),
    i8x16.swizzle(upper, i8x16.shr_u(block, 4)),
  );
}

/**
 * Takes `"`, `'`, `\` and `^` away, makes one space of every run of space, `,`, `;`, tab, carriage return and line feed, takes
 * it away before `/` and `(`, and lowers letters. ModSecurity 2 stops at a NUL byte, for no reason but C's strings; that
 * would hide the rest of a value from a rule, so here, as in ModSecurity 3, it is a byte like any other.
 */
// PERF: 0.4 ns/byte, quotes or not; one byte at a time took 2 to 4.
export function cmdLine(at: usize, length: i32): bool {
  const start = begin(length, length);
  if (start == 0) return false;
  const end = at + <usize>length;
  const none = i8x16.splat(0);
  const blank = i8x16.splat(0x20);
  let to = start;
  let from = at;
  let waiting = false; // a BLANK was read, and what follows says whether a space is written
  // SAFETY: as copyRun in bytes.ts; compact stores at most 8 bytes behind the 16 that `to` is not ahead of `from` for.
  for (; from + 16 <= end; from += 16) {
    let block = v128.load(from);
    let classes = classesOf(block);
    let all: i32 = 0xffff;
    const gone = i8x16.bitmask(i8x16.ne(v128.and(classes, i8x16.splat(24)), none));
    if (gone) {
      all >>= popcnt(gone);
      if (all == 0) continue;
      compact(block, ~gone, to);
      block = v128.load(to);
      classes = classesOf(block);
    }
    const blanks = i8x16.ne(v128.and(classes, i8x16.splat(7)), none);
    const bits = i8x16.bitmask(blanks) & all;
    const joined = (bits | i8x16.bitmask(i8x16.eq(classes, i8x16.splat(32)))) & all;
    const last = all ^ (all >> 1);
    if (waiting && !(joined & 1)) store<u8>(to++, 0x20);
    const letters = i8x16.lt_u(i8x16.sub(block, i8x16.splat(0x41)), i8x16.splat(26));
    const lowered = v128.or(block, v128.and(letters, blank));
    // Of a run the last BLANK stands for all, unless an OPENING follows, or the next block must say.
    to = compact(v128.bitselect(blank, lowered, blanks), all & ~(bits & ((joined >> 1) | last)), to);
    waiting = (bits & last) != 0;
  }
  for (; from < end; from++) {
    const byte = <u32>load<u8>(from);
    const kind = classOf(byte);
    if (kind == BLANK) waiting = true;
    if (kind == BLANK || kind == GONE) continue;
    if (waiting && kind != OPENING) store<u8>(to++, 0x20);
    waiting = false;
    store<u8>(to++, <u8>(byte - 0x41 < 26 ? byte | 0x20 : byte));
  }
  if (waiting) store<u8>(to++, 0x20);
  return finish(at, length, start, to);
}
