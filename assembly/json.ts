// Looking one value up in a JSON document (RFC 8259) without building it. Every step passes over whole values, so a
// document is read at most once for each key. Of equal names the last one counts, as in JSON.parse.
import { MAX_JSON_DEPTH } from './abi';
import { alloc, spend } from './arena';
import { equalBytes } from './hash';
import { span } from './values';

let p: usize = 0;
let end: usize = 0;

/** Value found by the last lookup. */
export let jsonValue: u64 = 0;

/** True when `keys` (pieces: kind 0 a name, kind 1 a position) lead to a string or, with `integer`, to a plain integer. */
export function lookup(at: usize, length: i32, keys: usize, keysLength: i32, integer: bool): bool {
  p = at;
  end = at + <usize>length;
  const keysEnd = keys + <usize>keysLength;
  let whole = true;
  while (keys < keysEnd) {
    if (keys + 3 > keysEnd) return false;
    const size = <i32>load<u16>(keys, 1);
    const key = keys + 3;
    keys = key + <usize>size;
    if (keys > keysEnd) return false;
    blank();
    const start = p;
    const found = load<u8>(key - 3) == 0 ? member(key, size) : size == 4 ? item(load<u32>(key)) : 0;
    if (!spend(1 + <i32>(p - start)) || found == 0) return false;
    if (whole) {
      // The document has to be valid as a whole, and to end where its value ends.
      blank();
      if (p != end) return false;
      whole = false;
    }
    p = found;
    if (p < start) return false;
  }
  blank();
  return integer ? integerValue() : stringValue();
}

// @ts-ignore: decorator
@inline
function peek(): i32 {
  return p < end ? <i32>load<u8>(p) : -1;
}

function blank(): void {
  for (; p < end; p++) {
    const byte = load<u8>(p);
    if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) return;
  }
}

/** Passes over the object at p; place of the last member with this name, or 0. */
function member(name: usize, length: i32): usize {
  if (peek() != 0x7b) return 0;
  p++;
  let found: usize = 0;
  blank();
  if (peek() == 0x7d) {
    p++;
    return 0;
  }
  while (true) {
    blank();
    const key = p;
    if (!skipString()) return 0;
    const matches = sameName(key + 1, p - 1, name, length);
    blank();
    if (peek() != 0x3a) return 0;
    p++;
    blank();
    if (matches) found = p;
    if (!skipValue(1)) return 0;
    blank();
    const next = peek();
    p++;
    if (next == 0x7d) return found;
    if (next != 0x2c) return 0;
  }
}

/** Passes over the array at p; place of item `index`, or 0. */
function item(index: u32): usize {
  if (peek() != 0x5b) return 0;
  p++;
  let found: usize = 0;
  blank();
  if (peek() == 0x5d) {
    p++;
    return 0;
  }
  let i: u32 = 0;
  while (true) {
    blank();
    if (i++ == index) found = p;
    if (!skipValue(1)) return 0;
    blank();
    const next = peek();
    p++;
    if (next == 0x5d) return found;
    if (next != 0x2c) return 0;
  }
}

function skipValue(depth: i32): bool {
  if (depth > MAX_JSON_DEPTH) return false;
  const first = peek();
  if (first == 0x22) return skipString();
  if (first == 0x7b || first == 0x5b) {
    const close = first + 2;
    p++;
    blank();
    if (peek() == close) {
      p++;
      return true;
    }
    while (true) {
      blank();
      if (first == 0x7b) {
        if (!skipString()) return false;
        blank();
        if (peek() != 0x3a) return false;
        p++;
        blank();
      }
      if (!skipValue(depth + 1)) return false;
      blank();
      const next = peek();
      p++;
      if (next == close) return true;
      if (next != 0x2c) return false;
    }
  }
  if (first == 0x74) return word(0x65757274, 4); // true
  if (first == 0x6e) return word(0x6c6c756e, 4); // null
  if (first == 0x66) {
    p++;
    return word(0x65736c61, 4); // alse
  }
  return skipNumber();
}

function word(letters: u32, length: usize): bool {
  if (p + length > end || load<u32>(p) != letters) return false;
  p += length;
  return true;
}

function digits(): bool {
  const start = p;
  while (p < end && <u32>load<u8>(p) - 0x30 < 10) p++;
  return p > start;
}

function skipNumber(): bool {
  if (peek() == 0x2d) p++;
  if (peek() == 0x30) p++;
  else if (!digits()) return false;
  if (peek() == 0x2e) {
    p++;
    if (!digits()) return false;
  }
  if ((peek() | 0x20) == 0x65) {
    p++;
    if (peek() == 0x2b || peek() == 0x2d) p++;
    return digits();
  }
  return true;
}

/** Passes over the string at p, which is then after its closing quote. */
function skipString(): bool {
  if (peek() != 0x22) return false;
  for (p++; p < end; p++) {
    const byte = load<u8>(p);
    if (byte == 0x22) {
      p++;
      return true;
    }
    if (byte < 0x20) return false;
    if (byte == 0x5c) {
      p++;
      if (p >= end) return false;
      const escape = load<u8>(p);
      if (escape == 0x75) {
        if (p + 4 >= end || codeUnit(p + 1) < 0) return false;
        p += 4;
      } else if (!simple(escape)) return false;
    }
  }
  return false;
}

/** Byte that `\<escape>` stands for, 0 when it is no escape. */
function simple(escape: u8): u8 {
  if (escape == 0x22 || escape == 0x5c || escape == 0x2f) return escape;
  if (escape == 0x62) return 0x08;
  if (escape == 0x66) return 0x0c;
  if (escape == 0x6e) return 0x0a;
  if (escape == 0x72) return 0x0d;
  if (escape == 0x74) return 0x09;
  return 0;
}

/** Four hexadecimal digits, or -1. */
function codeUnit(at: usize): i32 {
  let unit = 0;
  for (let i: usize = 0; i < 4; i++) {
    const byte = load<u8>(at + i);
    const lower = byte | 0x20;
    if (<u32>byte - 0x30 < 10) unit = (unit << 4) | (byte - 0x30);
    else if (<u32>lower - 0x61 < 6) unit = (unit << 4) | (lower - 0x57);
    else return -1;
  }
  return unit;
}

/** Compares the name written in [at, stop) with a key; names with escapes are decoded first. */
function sameName(at: usize, stop: usize, name: usize, length: i32): bool {
  const written = <i32>(stop - at);
  for (let q = at; q < stop; q++) {
    if (load<u8>(q) != 0x5c) continue;
    if (length > written) return false;
    const decoded = decode(at, stop);
    return decoded != 0 && <i32>(decoded >> 32) == length && equalBytes(<usize>(decoded & 0xffffffff), name, length);
  }
  return written == length && equalBytes(at, name, length);
}

/** The text of a checked string without its quotes; 0 when the arena is exhausted. */
function decode(at: usize, stop: usize): u64 {
  const buffer = alloc(<i32>(stop - at));
  if (buffer == 0) return 0;
  let to = buffer;
  for (; at < stop; at++) {
    let byte = load<u8>(at);
    if (byte != 0x5c) {
      store<u8>(to++, byte);
      continue;
    }
    byte = load<u8>(++at);
    if (byte != 0x75) {
      store<u8>(to++, simple(byte));
      continue;
    }
    let unit = codeUnit(at + 1);
    at += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && at + 6 < stop && load<u16>(at + 1) == 0x755c) {
      const low = codeUnit(at + 3);
      if (low >= 0xdc00 && low < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
    }
    if (unit >= 0xd800 && unit < 0xe000) unit = 0xfffd; // half of a pair has no UTF-8
    to = putCodePoint(to, unit);
  }
  return span(buffer, <i32>(to - buffer));
}

/** Writes a code point as UTF-8; where it ends. */
export function putCodePoint(to: usize, point: i32): usize {
  if (point < 0x80) {
    store<u8>(to, <u8>point);
    return to + 1;
  }
  if (point < 0x800) {
    store<u8>(to, <u8>(0xc0 | (point >> 6)));
    store<u8>(to, <u8>(0x80 | (point & 63)), 1);
    return to + 2;
  }
  if (point < 0x10000) {
    store<u8>(to, <u8>(0xe0 | (point >> 12)));
    store<u8>(to, <u8>(0x80 | ((point >> 6) & 63)), 1);
    store<u8>(to, <u8>(0x80 | (point & 63)), 2);
    return to + 3;
  }
  store<u8>(to, <u8>(0xf0 | (point >> 18)));
  store<u8>(to, <u8>(0x80 | ((point >> 12) & 63)), 1);
  store<u8>(to, <u8>(0x80 | ((point >> 6) & 63)), 2);
  store<u8>(to, <u8>(0x80 | (point & 63)), 3);
  return to + 4;
}

function stringValue(): bool {
  const start = p;
  if (!skipString()) return false;
  jsonValue = decode(start + 1, p - 1);
  return jsonValue != 0;
}

/** A plain integer that fits 64 bits: no fraction, no exponent. */
function integerValue(): bool {
  const start = p;
  if (!skipNumber()) return false;
  let q = start;
  const negative = load<u8>(q) == 0x2d;
  if (negative) q++;
  let value: u64 = 0;
  for (; q < p; q++) {
    const digit = <u64>load<u8>(q) - 0x30;
    if (digit > 9) return false;
    if (value > 922337203685477580) return false;
    value = value * 10 + digit;
    if (value > 0x7fffffffffffffff + <u64>negative) return false;
  }
  jsonValue = negative ? 0 - value : value;
  return true;
}
