// Values of the rules language. A value is a u64: a boolean or integer as itself, a string as { u32 at, u32 length }, an
// address as the place of its 16 bytes, an array as { u32 at, u32 count } of such values. Missing is kept beside it.
import { ARENA_BYTES } from './abi';
import { alloc, spend } from './arena';
import { equalBytes } from './hash';

// @ts-ignore: decorator
@inline
export function span(at: usize, length: i32): u64 {
  return <u64>at | (<u64>length << 32);
}
// @ts-ignore: decorator
@inline
export function atOf(value: u64): usize {
  return <usize>(value & 0xffffffff);
}
// @ts-ignore: decorator
@inline
export function lengthOf(value: u64): i32 {
  return <i32>(value >> 32);
}
// @ts-ignore: decorator
@inline
export function element(array: u64, index: i32): u64 {
  return load<u64>(atOf(array) + (<usize>index << 3));
}

/** Room for an array of `count` values, or 0. */
export function newArray(count: i32): usize {
  return alloc(count << 3);
}

/** Arena for a text that may be too long to be counted in 32 bits, with the steps to fill it; or 0. */
export function room(bytes: i64): usize {
  if (bytes > ARENA_BYTES) return alloc(-1);
  return spend(1 + <i32>(bytes >> 4)) ? alloc(<i32>bytes) : 0;
}

/** Three-way comparison of two strings as bytes. */
export function compareStrings(a: u64, b: u64): i32 {
  const lengthA = lengthOf(a);
  const lengthB = lengthOf(b);
  const common = min(lengthA, lengthB);
  let p = atOf(a);
  let q = atOf(b);
  for (const end = p + <usize>common; p < end; p++, q++) {
    const difference = <i32>load<u8>(p) - <i32>load<u8>(q);
    if (difference != 0) return difference;
  }
  return lengthA - lengthB;
}

export function equalStrings(a: u64, b: u64): bool {
  return lengthOf(a) == lengthOf(b) && equalBytes(atOf(a), atOf(b), lengthOf(a));
}

// @ts-ignore: decorator
@inline
function upperByte(byte: u8): u8 {
  return <u32>byte - 0x61 < 26 ? byte - 32 : byte;
}

/** ASCII letters to lower case. */
// @ts-ignore: decorator
@inline
export function lowerByte(byte: u8): u8 {
  return <u32>byte - 0x41 < 26 ? byte + 32 : byte;
}

/**
 * First place of the `needleLength` bytes at `needle` in [at, end), or 0; also 0 when the steps are spent. `fold`: ASCII
 * letters of the text are compared in lower case, and the needle is in lower case already.
 * PERF: 16 places at a time are ruled out by the needle's first and last byte. What is left is compared in full, which for
 * `aaa...` in `aaa...` comes to the product of the lengths; every comparison is paid for in steps, so that the budget of
 * the call bounds it. A search that is linear in the worst case too was not worth its tables for needles of a few bytes.
 */
export function search(at: usize, end: usize, needle: usize, needleLength: i32, fold: bool): usize {
  if (needleLength == 0) return at;
  if (end < at + <usize>needleLength) return 0;
  const start = at;
  const last = end - <usize>needleLength; // the last place where it can begin
  const tail = <usize>needleLength - 1;
  const first = load<u8>(needle);
  const final = load<u8>(needle + tail);
  const firstLower = i8x16.splat(first);
  const firstUpper = i8x16.splat(fold ? upperByte(first) : first);
  const finalLower = i8x16.splat(final);
  const finalUpper = i8x16.splat(fold ? upperByte(final) : final);
  const cost = 1 + (needleLength >> 3);
  // SAFETY: vectors are loaded only where 16 bytes lie before `end`, for the last byte of the needle too.
  for (; at + tail + 16 <= end; at += 16) {
    const heads = v128.load(at);
    const tails = v128.load(at + tail);
    const head = v128.or(i8x16.eq(heads, firstLower), i8x16.eq(heads, firstUpper));
    let mask = i8x16.bitmask(v128.and(head, v128.or(i8x16.eq(tails, finalLower), i8x16.eq(tails, finalUpper))));
    for (; mask != 0; mask &= mask - 1) {
      const place = at + <usize>ctz(mask);
      if (!spend(cost)) return 0;
      if (same(place, needle, needleLength, fold)) return spend(<i32>(place - start) >> 4) ? place : 0;
    }
  }
  if (!spend(1 + (<i32>(at - start) >> 4))) return 0;
  for (; at <= last; at++) {
    if (!spend(1)) return 0;
    if (same(at, needle, needleLength, fold)) return at;
  }
  return 0;
}

/** True when the text at `at` equals the needle (in lower case, with `fold`). */
export function same(at: usize, needle: usize, length: i32, fold: bool): bool {
  if (!fold) return equalBytes(at, needle, length);
  for (let i: usize = 0; i < <usize>length; i++) if (lowerByte(load<u8>(at + i)) != load<u8>(needle + i)) return false;
  return true;
}

// Decimal and address texts are made here, for to_string() and evidence.

/** Decimal digits of `value` in the arena, as a string; 0 when the arena is exhausted. */
export function formatInteger(value: i64): u64 {
  const buffer = alloc(24);
  if (buffer == 0) return 0;
  let p = buffer + 24;
  let rest: u64 = value < 0 ? 0 - <u64>value : <u64>value;
  do {
    store<u8>(--p, <u8>(rest % 10) + 0x30);
    rest /= 10;
  } while (rest != 0);
  if (value < 0) store<u8>(--p, 0x2d);
  return span(p, <i32>(buffer + 24 - p));
}

/** RFC 5952 text of an address (IPv4 dotted), as a string; 0 when the arena is exhausted. */
export function formatAddress(address: usize): u64 {
  const buffer = alloc(40);
  if (buffer == 0) return 0;
  let p = buffer;
  if (load<u64>(address) == 0 && load<u32>(address, 8) == 0xffff0000) {
    for (let i: usize = 12; i < 16; i++) {
      if (i > 12) store<u8>(p++, 0x2e);
      p = putDecimal(p, load<u8>(address + i));
    }
    return span(buffer, <i32>(p - buffer));
  }
  // SPEC: RFC 5952 section 4.2: the longest run of two or more zero groups, the first of equals, becomes `::`.
  let bestAt = -1;
  let bestRun = 1;
  for (let i = 0; i < 8; ) {
    let run = 0;
    while (i + run < 8 && load<u16>(address + (<usize>(i + run) << 1)) == 0) run++;
    if (run > bestRun) {
      bestRun = run;
      bestAt = i;
    }
    i += max(run, 1);
  }
  for (let i = 0; i < 8; i++) {
    if (i == bestAt) {
      store<u16>(p, 0x3a3a);
      p += 2;
      i += bestRun - 1;
      continue;
    }
    if (p > buffer && load<u8>(p - 1) != 0x3a) store<u8>(p++, 0x3a);
    const group = bswap<u16>(load<u16>(address + (<usize>i << 1)));
    let shift = 12;
    while (shift > 0 && group >> <u16>shift == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) {
      const digit = (<u32>group >> shift) & 15;
      store<u8>(p++, <u8>(digit < 10 ? digit + 0x30 : digit + 0x57));
    }
  }
  return span(buffer, <i32>(p - buffer));
}

function putDecimal(p: usize, byte: u32): usize {
  if (byte >= 100) store<u8>(p++, <u8>(byte / 100) + 0x30);
  if (byte >= 10) store<u8>(p++, <u8>((byte / 10) % 10) + 0x30);
  store<u8>(p++, <u8>(byte % 10) + 0x30);
  return p;
}
