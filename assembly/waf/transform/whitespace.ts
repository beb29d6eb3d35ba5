// White space and NUL bytes: compressWhitespace, removeWhitespace, removeNulls, replaceNulls, trim, trimLeft, trimRight.
import { compact, findByte, isSpace } from './bytes';
import { begin, finish, keep } from './output';

const NBSP: u32 = 0xa0; // ModSecurity counts it as white space in compressWhitespace and removeWhitespace, not in trim

// @ts-ignore: decorator
@inline
function isWhite(byte: u32): bool {
  return isSpace(byte) || byte == NBSP;
}

/** All ones for each byte of the block that is white. */
// @ts-ignore: decorator
@inline
function whites(block: v128): v128 {
  const controls = i8x16.lt_u(i8x16.sub(block, i8x16.splat(9)), i8x16.splat(5));
  const spaces = v128.or(i8x16.eq(block, i8x16.splat(0x20)), i8x16.eq(block, i8x16.splat(<i8>NBSP)));
  return v128.or(controls, spaces);
}

/** Every run of white space becomes one space. */
export function compressWhitespace(at: usize, length: i32): bool {
  return squeeze(at, length, true);
}

export function removeWhitespace(at: usize, length: i32): bool {
  return squeeze(at, length, false);
}

// PERF: 0.3 ns/byte on prose, where a copy from word to word, which guesses each word's length, takes 1.9.
// @ts-ignore: decorator
@inline
function squeeze(at: usize, length: i32, space: bool): bool {
  const start = begin(length, length);
  if (start == 0) return false;
  const end = at + <usize>length;
  const blank = i8x16.splat(0x20);
  let to = start;
  let from = at;
  let before: i32 = 0; // 1 when the byte before is white
  // SAFETY: as copyRun in bytes.ts; compact stores 16 bytes at most 8 behind `to`, which is not ahead of `from`.
  for (; from + 16 <= end; from += 16) {
    const block = v128.load(from);
    const white = whites(block);
    const bits = i8x16.bitmask(white);
    if (space) {
      to = compact(v128.bitselect(blank, block, white), ~(bits & ((bits << 1) | before)), to);
      before = bits >> 15;
    } else to = compact(block, ~bits, to);
  }
  for (; from < end; from++) {
    const byte = <u32>load<u8>(from);
    const white = isWhite(byte);
    if (!white) store<u8>(to++, <u8>byte);
    else if (space && !before) store<u8>(to++, 0x20);
    before = i32(white);
  }
  return finish(at, length, start, to);
}

export function removeNulls(at: usize, length: i32): bool {
  const end = at + <usize>length;
  let from = findByte(at, end, 0);
  if (from == end) return keep(at, length);
  const start = begin(length, length);
  if (start == 0) return false;
  memory.copy(start, at, from - at);
  let to = start + (from - at);
  // SAFETY: as in squeeze.
  for (; from + 16 <= end; from += 16) {
    const block = v128.load(from);
    to = compact(block, i8x16.bitmask(i8x16.ne(block, i8x16.splat(0))), to);
  }
  for (; from < end; from++) {
    const byte = load<u8>(from);
    if (byte != 0) store<u8>(to++, byte);
  }
  return finish(at, length, start, to);
}

/** Every NUL byte becomes a space. */
export function replaceNulls(at: usize, length: i32): bool {
  const end = at + <usize>length;
  let from = findByte(at, end, 0);
  if (from == end) return keep(at, length);
  const start = begin(length, length);
  if (start == 0) return false;
  memory.copy(start, at, length);
  for (; from < end; from = findByte(from + 1, end, 0)) store<u8>(start + (from - at), 0x20);
  return finish(at, length, start, start + <usize>length);
}

// The result of the trims is a part of the input, so they copy nothing.

export function trim(at: usize, length: i32): bool {
  const from = leftEnd(at, at + <usize>length);
  return keep(from, <i32>(rightEnd(from, at + <usize>length) - from));
}

export function trimLeft(at: usize, length: i32): bool {
  const end = at + <usize>length;
  const from = leftEnd(at, end);
  return keep(from, <i32>(end - from));
}

export function trimRight(at: usize, length: i32): bool {
  return keep(at, <i32>(rightEnd(at, at + <usize>length) - at));
}

function leftEnd(at: usize, end: usize): usize {
  while (at < end && isSpace(load<u8>(at))) at++;
  return at;
}

function rightEnd(at: usize, end: usize): usize {
  while (end > at && isSpace(load<u8>(end - 1))) end--;
  return end;
}
