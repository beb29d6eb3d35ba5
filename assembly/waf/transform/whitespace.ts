// White space and NUL bytes: compressWhitespace, removeWhitespace, removeNulls, replaceNulls, trim, trimLeft, trimRight.
import { copyRun, findByte, isSpace } from './bytes';
import { begin, finish, keep } from './output';

const NBSP: u32 = 0xa0; // ModSecurity counts it as white space in compressWhitespace and removeWhitespace, not in trim

// @ts-ignore: decorator
@inline
function isWhite(byte: u32): bool {
  return isSpace(byte) || byte == NBSP;
}

/** One bit for each of the 16 bytes at `block` that is white. */
// @ts-ignore: decorator
@inline
function whites(block: v128): i32 {
  const controls = i8x16.lt_u(i8x16.sub(block, i8x16.splat(9)), i8x16.splat(5));
  const spaces = v128.or(i8x16.eq(block, i8x16.splat(0x20)), i8x16.eq(block, i8x16.splat(<i8>NBSP)));
  return i8x16.bitmask(v128.or(controls, spaces));
}

/** Copies [from, end) to `to` up to the first white byte; its place, or `end`. */
// @ts-ignore: decorator
@inline
function copyWord(from: usize, end: usize, to: usize): usize {
  // SAFETY: as copyRun in bytes.ts.
  for (; from + 16 <= end; from += 16, to += 16) {
    const block = v128.load(from);
    v128.store(to, block);
    const mask = whites(block);
    if (mask) return from + ctz(mask);
  }
  for (; from < end && !isWhite(load<u8>(from)); from++, to++) store<u8>(to, load<u8>(from));
  return from;
}

/** Every run of white space becomes one space. */
export function compressWhitespace(at: usize, length: i32): bool {
  return squeeze(at, length, true);
}

export function removeWhitespace(at: usize, length: i32): bool {
  return squeeze(at, length, false);
}

// @ts-ignore: decorator
@inline
function squeeze(at: usize, length: i32, space: bool): bool {
  const start = begin(length, length);
  if (start == 0) return false;
  const end = at + <usize>length;
  let to = start;
  for (let from = at; ; ) {
    const next = copyWord(from, end, to);
    to += next - from;
    from = next;
    if (from == end) break;
    while (from < end && isWhite(load<u8>(from))) from++;
    if (space) store<u8>(to++, 0x20);
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
  while (from < end) {
    if (load<u8>(from) == 0) {
      from++;
      continue;
    }
    const next = copyRun(from, end, to, 0, 0);
    to += next - from;
    from = next;
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
