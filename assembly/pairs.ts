// Tables of decoded name and value pairs: query parameters, form fields, cookies. A table is { u32 count, u32 entries } in
// the arena, an entry { nameAt, nameLength, valueAt, valueLength, hash of the name }. Text without escapes is not copied.
import { PAIR_ENTRY_BYTES } from './abi';
import { alloc, fail, spend } from './arena';
import { equalBytes, hashBytes } from './hash';

export function pairCount(table: usize): i32 {
  return load<i32>(table);
}
// @ts-ignore: decorator
@inline
function entryAt(table: usize, i: i32): usize {
  return <usize>load<u32>(table, 4) + <usize>i * PAIR_ENTRY_BYTES;
}
export function pairNameAt(table: usize, i: i32): usize {
  return load<u32>(entryAt(table, i));
}
export function pairNameLength(table: usize, i: i32): i32 {
  return load<i32>(entryAt(table, i), 4);
}
export function pairValueAt(table: usize, i: i32): usize {
  return load<u32>(entryAt(table, i), 8);
}
export function pairValueLength(table: usize, i: i32): i32 {
  return load<i32>(entryAt(table, i), 12);
}

/** First pair from index `from` on with this name, or -1. `hash` is hashBytes of the name. */
export function findPair(table: usize, from: i32, hash: u32, at: usize, length: i32): i32 {
  const count = load<i32>(table);
  for (let i = from; i < count; i++) {
    const entry = entryAt(table, i);
    if (load<u32>(entry, 16) == hash && load<i32>(entry, 4) == length && equalBytes(load<u32>(entry), at, length)) return i;
  }
  return -1;
}

/**
 * Splits `a=1<separator>b=2` into a table; at most `maximum` pairs, more fails the call with `reason`. Returns 0 then, and
 * when arena or steps are out. `decode`: `%XX` and `+` as in application/x-www-form-urlencoded (a malformed escape stays as
 * it is); else blanks around names and values are cut off and nothing is decoded, as for cookies. Empty pieces are skipped.
 */
export function parsePairs(at: usize, length: i32, separator: u8, decode: bool, maximum: i32, reason: i32): usize {
  if (!spend(length)) return 0;
  const end = at + <usize>length;
  let pieces = length > 0 ? 1 : 0;
  for (let p = at; p < end; p++) pieces += i32(load<u8>(p) == separator);
  if (pieces > maximum) {
    // Empty pieces don't count; a second look is cheaper than a table of the worst size.
    pieces = 0;
    for (let p = at; p < end; ) {
      const start = p;
      while (p < end && load<u8>(p) != separator) p++;
      pieces += i32(p > start);
      p++;
    }
    if (pieces > maximum) {
      fail(reason);
      return 0;
    }
  }
  const table = alloc(8);
  if (table == 0) return 0;
  const entries = alloc(pieces * PAIR_ENTRY_BYTES);
  if (entries == 0) return 0;
  store<u32>(table, <u32>entries, 4);
  let count = 0;
  for (let p = at; p < end; p++) {
    const start = p;
    let equals: usize = 0;
    let escaped = false;
    for (; p < end; p++) {
      const byte = load<u8>(p);
      if (byte == separator) break;
      if (byte == 0x3d && equals == 0) equals = p;
      escaped = escaped || byte == 0x25 || byte == 0x2b;
    }
    if (p == start) continue;
    let nameAt = start;
    let nameEnd = equals == 0 ? p : equals;
    let valueAt = equals == 0 ? p : equals + 1;
    let valueEnd = p;
    if (!decode) {
      while (nameAt < nameEnd && blank(nameAt)) nameAt++;
      while (nameEnd > nameAt && blank(nameEnd - 1)) nameEnd--;
      while (valueAt < valueEnd && blank(valueAt)) valueAt++;
      while (valueEnd > valueAt && blank(valueEnd - 1)) valueEnd--;
      if (nameAt == nameEnd && equals == 0) continue;
    } else if (escaped) {
      const copy = alloc(<i32>(p - start));
      if (copy == 0) return 0;
      const nameCopied = decodeInto(nameAt, nameEnd, copy);
      const valueStart = copy + <usize>nameCopied;
      const valueCopied = decodeInto(valueAt, valueEnd, valueStart);
      nameAt = copy;
      nameEnd = valueStart;
      valueAt = valueStart;
      valueEnd = valueStart + <usize>valueCopied;
    }
    // SAFETY: `pieces` counted every non-empty piece, so count stays below it.
    const entry = entries + <usize>count * PAIR_ENTRY_BYTES;
    store<u32>(entry, <u32>nameAt);
    store<u32>(entry, <u32>(nameEnd - nameAt), 4);
    store<u32>(entry, <u32>valueAt, 8);
    store<u32>(entry, <u32>(valueEnd - valueAt), 12);
    store<u32>(entry, hashBytes(nameAt, <i32>(nameEnd - nameAt)), 16);
    count++;
  }
  store<u32>(table, count);
  return table;
}

// @ts-ignore: decorator
@inline
function blank(at: usize): bool {
  return load<u8>(at) == 0x20 || load<u8>(at) == 0x09;
}

/** Form-decodes [at, end) to `to`, which needs as much room; the number of bytes written. */
export function decodeInto(at: usize, end: usize, to: usize): i32 {
  const start = to;
  for (; at < end; at++, to++) {
    let byte = load<u8>(at);
    if (byte == 0x2b) byte = 0x20;
    else if (byte == 0x25 && at + 2 < end) {
      const high = hexDigit(load<u8>(at, 1));
      const low = hexDigit(load<u8>(at, 2));
      if ((high | low) >= 0) {
        byte = <u8>((high << 4) | low);
        at += 2;
      }
    }
    store<u8>(to, byte);
  }
  return <i32>(to - start);
}

/** Value of a hexadecimal digit, or -1. */
export function hexDigit(byte: u8): i32 {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  if (lower >= 0x61 && lower <= 0x66) return lower - 0x57;
  return -1;
}
