// The direct operators: those that a rule evaluates on the spot, because their argument is a macro or a plain text. All
// are pure, and all answer what the operator says before `!`: the three validators are true for what is NOT valid, as in
// ModSecurity. Values and arguments are bytes; comparison is exact, upper case differs from lower case.
import { addressAt, addressLength, parseAddress } from '../address';
import { alloc, mark, release, spend } from '../arena';
import { contains as containsAddress } from '../cidr';
import { equalBytes } from '../hash';
import { hexDigit } from '../pairs';
import { OPERATOR_EQ, OPERATOR_GE, OPERATOR_GT, OPERATOR_LE, OPERATOR_LT } from './abi';
import { presence } from './presence';
import { findByte } from './transform/bytes';

const BITMAP = memory.data(32, 16);
const ADDRESS = memory.data(16, 8);

/** `@streq` */
export function streq(at: usize, length: i32, argumentAt: usize, argumentLength: i32): bool {
  return length == argumentLength && equalBytes(at, argumentAt, length);
}

/** `@beginsWith`; every value begins with the empty argument. */
export function beginsWith(at: usize, length: i32, argumentAt: usize, argumentLength: i32): bool {
  return length >= argumentLength && equalBytes(at, argumentAt, argumentLength);
}

/** `@endsWith`; every value ends with the empty argument. */
export function endsWith(at: usize, length: i32, argumentAt: usize, argumentLength: i32): bool {
  const skip = length - argumentLength;
  return skip >= 0 && equalBytes(at + <usize>skip, argumentAt, argumentLength);
}

/** `@contains`, and `@strmatch` once its `|41 42|` is decoded; every value contains the empty argument. */
export function contains(at: usize, length: i32, argumentAt: usize, argumentLength: i32): bool {
  return argumentLength == 0 || search(at, length, argumentAt, argumentLength, false);
}

/** `@within`: the value is a part of the argument; the empty value is part of any. */
export function within(at: usize, length: i32, argumentAt: usize, argumentLength: i32): bool {
  return length == 0 || search(argumentAt, argumentLength, at, length, false);
}

/** `@containsWord`: contained, with no letter, digit or `_` on either side. */
export function containsWord(at: usize, length: i32, argumentAt: usize, argumentLength: i32): bool {
  return argumentLength == 0 || search(at, length, argumentAt, argumentLength, true);
}

// @ts-ignore: decorator
@inline
function isWord(byte: u32): bool {
  return byte - 0x30 < 10 || (byte | 32) - 0x61 < 26 || byte == 0x5f;
}

/**
 * True when the non-empty needle occurs, as a word of its own if `whole`. Knuth-Morris-Pratt: both sides can be written by
 * a client (`@within %{ARGS.x}`), and comparing at every place would cost the product of the lengths. False also when the
 * arena or the steps are spent (arena.failure() says so).
 */
function search(at: usize, length: i32, needle: usize, needleLength: i32, whole: bool): bool {
  if (needleLength > length || !spend(length)) return false;
  const first = <u32>load<u8>(needle);
  const end = at + <usize>length;
  if (needleLength <= SHORT_NEEDLE) return searchShort(at, end, needle, <usize>needleLength, whole);
  // Where a match may begin. Most values hold no first byte, and then nothing else is needed.
  const last = end - <usize>needleLength + 1;
  let p = findByte(at, last, first);
  if (p == last) return false;
  const before = mark();
  const borders = alloc(needleLength << 2); // of each prefix: the longest proper prefix that is its suffix too
  if (borders == 0) return false;
  store<u32>(borders, 0);
  let border: u32 = 0;
  for (let i: u32 = 1; i < <u32>needleLength; i++) {
    border = step(needle, borders, border, load<u8>(needle + <usize>i));
    store<u32>(borders + (<usize>i << 2), border);
  }
  let matched: u32 = 0;
  let found = false;
  while (p < end) {
    if (matched == 0) {
      p = findByte(p, last, first);
      if (p >= last) break;
    }
    matched = step(needle, borders, matched, load<u8>(p++));
    if (matched < <u32>needleLength) continue;
    if (!whole || standsAlone(p - <usize>needleLength, <usize>needleLength, at, end)) {
      found = true;
      break;
    }
    matched = load<u32>(borders + (<usize>(needleLength - 1) << 2));
  }
  release(before);
  return found;
}

// PERF: what rules ask for is short, and 16 places at a time are told apart by its first and last byte; a table of borders
// first took 4 % of a request.
const SHORT_NEEDLE: i32 = 32;

function searchShort(at: usize, end: usize, needle: usize, length: usize, whole: bool): bool {
  const skip = length - 1;
  const first = load<u8>(needle);
  const last = load<u8>(needle + skip);
  const firsts = i8x16.splat(first);
  const lasts = i8x16.splat(last);
  let p = at;
  // SAFETY: the furthest load is of the 16 bytes at p + skip.
  for (; p + skip + 16 <= end; p += 16) {
    let bits = i8x16.bitmask(v128.and(i8x16.eq(v128.load(p), firsts), i8x16.eq(v128.load(p + skip), lasts)));
    for (; bits != 0; bits &= bits - 1) {
      const start = p + <usize>ctz(bits);
      if (equalBytes(start, needle, <i32>length) && (!whole || standsAlone(start, length, at, end))) return true;
    }
  }
  for (; p + skip < end; p++) {
    if (load<u8>(p) != first || load<u8>(p + skip) != last) continue;
    if (equalBytes(p, needle, <i32>length) && (!whole || standsAlone(p, length, at, end))) return true;
  }
  return false;
}

function standsAlone(start: usize, length: usize, at: usize, end: usize): bool {
  const next = start + length;
  return (start == at || !isWord(load<u8>(start - 1))) && (next == end || !isWord(load<u8>(next)));
}

/** How much of the needle's start is at hand after one more byte, when `matched` bytes, less than all, were. */
// @ts-ignore: decorator
@inline
function step(needle: usize, borders: usize, matched: u32, byte: u8): u32 {
  while (matched > 0 && load<u8>(needle + <usize>matched) != byte) {
    matched = load<u32>(borders + (<usize>(matched - 1) << 2));
  }
  return load<u8>(needle + <usize>matched) == byte ? matched + 1 : matched;
}

/**
 * The number at the start of a text as C's `atoi` reads it: white space, a sign, digits; 0 when there is none. What does
 * not fit saturates: `atoi` leaves that undefined, and the wrapped value of the usual C library would let a huge number
 * pass as a small one.
 */
export function toInteger(at: usize, length: i32): i64 {
  const end = at + <usize>length;
  while (at < end && (<u32>load<u8>(at) - 9 < 5 || load<u8>(at) == 0x20)) at++;
  if (at == end) return 0;
  const negative = load<u8>(at) == 0x2d;
  if (negative || load<u8>(at) == 0x2b) at++;
  let value: i64 = 0;
  for (; at < end; at++) {
    const digit = <u32>load<u8>(at) - 0x30;
    if (digit > 9) break;
    value = value > (i64.MAX_VALUE - 9) / 10 ? i64.MAX_VALUE - 9 : value * 10 + <i64>digit;
  }
  return negative ? -value : value;
}

/** `@eq`, `@ge`, `@gt`, `@le`, `@lt`, by their OPERATOR_ id; false for any other. */
export function compare(operator: i32, value: i64, argument: i64): bool {
  switch (operator) {
    case OPERATOR_EQ:
      return value == argument;
    case OPERATOR_GE:
      return value >= argument;
    case OPERATOR_GT:
      return value > argument;
    case OPERATOR_LE:
      return value <= argument;
    case OPERATOR_LT:
      return value < argument;
  }
  return false;
}

/** `@validateByteRange`: true when a byte is outside. `allowed`: 32 bytes, bit b of byte b >> 3 set when b may occur. */
export function validateByteRange(at: usize, length: i32, allowed: usize): bool {
  presence(at, length, BITMAP);
  return outside(BITMAP, allowed);
}

/** The same for a string whose presence bitmap is known. */
export function outside(bitmap: usize, allowed: usize): bool {
  return v128.any_true(v128.or(v128.andnot(v128.load(bitmap), v128.load(allowed)), v128.andnot(v128.load(bitmap, 16), v128.load(allowed, 16))));
}

/** `@validateUrlEncoding`: true when a `%` is not followed by two hexadecimal digits. */
export function validateUrlEncoding(at: usize, length: i32): bool {
  const end = at + <usize>length;
  while (at < end) {
    if (load<u8>(at) != 0x25) {
      at++;
      continue;
    }
    if (at + 2 >= end || (hexDigit(load<u8>(at, 1)) | hexDigit(load<u8>(at, 2))) < 0) return true;
    at += 3;
  }
  return false;
}

/**
 * `@validateUtf8Encoding`: true when the value isn't UTF-8, holds an overlong form or a surrogate, or begins a character
 * with 0xf5 or above. ModSecurity lets U+110000 to U+13ffff pass, and so do we.
 */
export function validateUtf8Encoding(at: usize, length: i32): bool {
  const end = at + <usize>length;
  while (at < end) {
    // SAFETY: 16 bytes are read only where 16 are left.
    while (at + 16 <= end && !i8x16.bitmask(v128.load(at))) at += 16;
    if (at == end) break;
    const byte = <u32>load<u8>(at);
    if (byte < 0x80) {
      at++;
      continue;
    }
    // 0x80-0xc1 begin nothing: a continuation, or an overlong form of two bytes.
    if (byte < 0xc2 || byte > 0xf4) return true;
    const more: usize = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    if (at + more >= end) return true;
    const second = <u32>load<u8>(at, 1);
    if ((second & 0xc0) != 0x80) return true;
    if (byte == 0xe0 && second < 0xa0) return true;
    if (byte == 0xed && second > 0x9f) return true;
    if (byte == 0xf0 && second < 0x90) return true;
    if (more > 1 && (load<u8>(at, 2) & 0xc0) != 0x80) return true;
    if (more > 2 && (load<u8>(at, 3) & 0xc0) != 0x80) return true;
    at += more + 1;
  }
  return false;
}

/** `@ipMatch`: the value is an address without port or brackets and in the LIST_ADDRESSES at `list` (see cidr.ts). */
export function ipMatch(at: usize, length: i32, list: usize): bool {
  // Where brackets or a port were read, the address is shorter than the value.
  if (!parseAddress(at, length, ADDRESS) || addressAt != at || addressLength != length) return false;
  return containsAddress(list, ADDRESS);
}
