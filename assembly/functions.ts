// The functions of the rules language. Arguments lie in CELLS from `base` on and are checked by the verifier; a missing
// argument makes the result missing, where a function does not say otherwise.
import {
  DECODE_RECURSIVE,
  DECODE_UNICODE,
  FUNCTION_ALL,
  FUNCTION_ANY,
  FUNCTION_CIDR,
  FUNCTION_CONCAT,
  FUNCTION_DECODE_BASE64,
  FUNCTION_ENDS_WITH,
  FUNCTION_HAS,
  FUNCTION_HAS_VALUE,
  FUNCTION_JOIN,
  FUNCTION_JSON_INTEGER,
  FUNCTION_JSON_STRING,
  FUNCTION_LEN,
  FUNCTION_LOWER,
  FUNCTION_REGEX_REPLACE,
  FUNCTION_REMOVE_ARGS,
  FUNCTION_REMOVE_BYTES,
  FUNCTION_SPLIT,
  FUNCTION_STARTS_WITH,
  FUNCTION_SUBSTRING,
  FUNCTION_TO_STRING,
  FUNCTION_UPPER,
  FUNCTION_URL_DECODE,
  FUNCTION_WILDCARD_REPLACE,
  MAX_STACK,
  REASON_NONE,
  SECTION_STRINGS,
  TYPE_ADDRESS,
  TYPE_ARRAY,
  TYPE_BOOL,
  TYPE_INT,
  TYPE_STRING,
} from './abi';
import { REGEX_UNSET } from './regex/abi';
import { alloc, failure, spend } from './arena';
import { equalBytes } from './hash';
import { sectionAt } from './image';
import { jsonValue, lookup, putCodePoint } from './json';
import { hexDigit } from './pairs';
import { regexAt } from './regexes';
import { captures, groupCount } from './regex/search';
import {
  atOf,
  element,
  equalStrings,
  formatAddress,
  formatInteger,
  lengthOf,
  newArray,
  room,
  search,
  span,
} from './values';
import { groupAt, groups, matchWildcard, replaced } from './wildcard';

/** The value stack: payloads, and whether each is there. */
export const CELLS = memory.data(MAX_STACK * 8, 8);
export const THERE = memory.data(MAX_STACK);

let value: u64 = 0;
/** Result of the last call that returned true. */
export function functionValue(): u64 {
  return value;
}

// @ts-ignore: decorator
@inline
function cell(index: i32): u64 {
  return load<u64>(CELLS + (<usize>index << 3));
}
// @ts-ignore: decorator
@inline
function there(index: i32): bool {
  return load<u8>(THERE + <usize>index) != 0;
}

function truth(result: bool): bool {
  value = u64(result);
  return true;
}
/** A string that is 0 when arena or steps ran out. */
function made(result: u64): bool {
  value = result;
  return result != 0;
}

/** Calls function `id` with `count` arguments from cell `base` on; false: the result is missing, or a limit was hit. */
export function callFunction(image: usize, id: i32, base: i32, count: i32, first: i32, second: i32): bool {
  if (id == FUNCTION_HAS) return truth(there(base));
  if (id == FUNCTION_CONCAT) return concat(base, count, first);
  for (let i = 0; i < count; i++) if (!there(base + i)) return false;
  const source = cell(base);
  const at = atOf(source);
  const length = lengthOf(source);
  switch (id) {
    case FUNCTION_ANY:
    case FUNCTION_ALL: {
      if (!spend(1 + (length >> 3))) return false;
      const stop: u64 = id == FUNCTION_ANY ? 1 : 0;
      for (let i = 0; i < length; i++) if (element(source, i) == stop) return truth(id == FUNCTION_ANY);
      return truth(id == FUNCTION_ALL);
    }
    case FUNCTION_CIDR:
      return network(<usize>source, first, second);
    case FUNCTION_DECODE_BASE64:
      return decodeBase64(at, length);
    case FUNCTION_STARTS_WITH: {
      const other = cell(base + 1);
      return spend(1 + (length >> 6)) && truth(length >= lengthOf(other) && equalBytes(at, atOf(other), lengthOf(other)));
    }
    case FUNCTION_ENDS_WITH: {
      const other = cell(base + 1);
      const skip = length - lengthOf(other);
      return spend(1 + (length >> 6)) && truth(skip >= 0 && equalBytes(at + <usize>skip, atOf(other), lengthOf(other)));
    }
    case FUNCTION_JOIN:
      return join(source, cell(base + 1));
    case FUNCTION_SPLIT:
      return split(at, length, cell(base + 1), first);
    case FUNCTION_LEN:
      value = <u64>length;
      return true;
    case FUNCTION_LOWER:
      return changeCase(at, length, 0x41);
    case FUNCTION_UPPER:
      return changeCase(at, length, 0x61);
    case FUNCTION_JSON_STRING:
    case FUNCTION_JSON_INTEGER: {
      const keys = sectionAt(image, SECTION_STRINGS) + <usize>first;
      const ok = lookup(at, length, keys, second, id == FUNCTION_JSON_INTEGER);
      value = jsonValue;
      return ok;
    }
    case FUNCTION_REGEX_REPLACE:
      return regexReplace(regexAt(image, first), source, cell(base + 1));
    case FUNCTION_WILDCARD_REPLACE: {
      const pattern = cell(base + 1);
      const template = cell(base + 2);
      value = source;
      if (!matchWildcard(at, length, atOf(pattern), lengthOf(pattern), first == 1)) return true;
      return made(replaced(at, length, at, at + <usize>length, atOf(template), lengthOf(template), groupAt(), groups()));
    }
    case FUNCTION_REMOVE_BYTES:
      return removeBytes(at, length, cell(base + 1));
    case FUNCTION_REMOVE_ARGS:
      return removeArgs(at, length, base + 1, count - 1);
    case FUNCTION_SUBSTRING:
      return substring(at, length, <i64>cell(base + 1), count > 2 ? <i64>cell(base + 2) : <i64>length);
    case FUNCTION_TO_STRING:
      return toText(source, first);
    case FUNCTION_URL_DECODE:
      return urlDecode(at, length, first);
    case FUNCTION_HAS_VALUE: {
      const wanted = cell(base + 1);
      if (!spend(1 + length + (length >> 6) * lengthOf(wanted))) return false;
      for (let i = 0; i < length; i++) if (equalStrings(element(source, i), wanted)) return truth(true);
      return truth(false);
    }
  }
  return false;
}

/** SPEC: Cloudflare: a missing argument counts as an empty one. Strings with strings, arrays with arrays. */
function concat(base: i32, count: i32, type: i32): bool {
  const shift: usize = (type & TYPE_ARRAY) != 0 ? 3 : 0;
  let total: i64 = 0; // literals of an image may be long, so 32 bits could overflow
  for (let i = base; i < base + count; i++) if (there(i)) total += <i64>lengthOf(cell(i)) << <i64>shift;
  const result = room(total);
  if (result == 0) return false;
  let to = result;
  for (let i = base; i < base + count; i++) {
    if (!there(i)) continue;
    const bytes = <usize>lengthOf(cell(i)) << shift;
    memory.copy(to, atOf(cell(i)), bytes);
    to += bytes;
  }
  return made(span(result, <i32>(total >> <i64>shift)));
}

function network(address: usize, bits4: i32, bits6: i32): bool {
  const result = alloc(16);
  if (result == 0) return false;
  const v4 = load<u64>(address) == 0 && load<u32>(address, 8) == 0xffff0000;
  const bits = v4 ? 96 + bits4 : bits6;
  for (let i = 0; i < 16; i++) {
    const keep = min(max(bits - (i << 3), 0), 8);
    store<u8>(result + <usize>i, load<u8>(address + <usize>i) & <u8>(0xff00 >> keep));
  }
  value = <u64>result;
  return true;
}

/** Missing when it is not base64 (RFC 4648 section 4; padding may be left out). */
function decodeBase64(at: usize, length: i32): bool {
  while (length > 0 && load<u8>(at + <usize>length - 1) == 0x3d && (length & 3) != 1) length--;
  if ((length & 3) == 1 || !spend(1 + (length >> 2))) return false;
  const result = alloc(((length >> 2) + 1) * 3);
  if (result == 0) return false;
  let to = result;
  let bits: u32 = 0;
  let held = 0;
  for (let i: usize = 0; i < <usize>length; i++) {
    const digit = base64Digit(load<u8>(at + i));
    if (digit < 0) return false;
    bits = (bits << 6) | digit;
    held += 6;
    if (held >= 8) {
      held -= 8;
      store<u8>(to++, <u8>(bits >> held));
    }
  }
  return made(span(result, <i32>(to - result)));
}

function base64Digit(byte: u8): i32 {
  if (<u32>byte - 0x41 < 26) return byte - 0x41;
  if (<u32>byte - 0x61 < 26) return byte - 0x47;
  if (<u32>byte - 0x30 < 10) return byte + 4;
  if (byte == 0x2b) return 62;
  return byte == 0x2f ? 63 : -1;
}

function join(items: u64, separator: u64): bool {
  const count = lengthOf(items);
  if (!spend(1 + count)) return false;
  let total: i64 = 0;
  for (let i = 0; i < count; i++) total += lengthOf(element(items, i)) + (i > 0 ? lengthOf(separator) : 0);
  const result = room(total);
  if (result == 0) return false;
  let to = result;
  for (let i = 0; i < count; i++) {
    if (i > 0) {
      memory.copy(to, atOf(separator), <usize>lengthOf(separator));
      to += <usize>lengthOf(separator);
    }
    const item = element(items, i);
    memory.copy(to, atOf(item), <usize>lengthOf(item));
    to += <usize>lengthOf(item);
  }
  return made(span(result, <i32>total));
}

function split(at: usize, length: i32, separator: u64, limit: i32): bool {
  const array = newArray(limit);
  if (array == 0) return false;
  const end = at + <usize>length;
  const size = lengthOf(separator);
  let count = 0;
  while (count < limit - 1 && size > 0) {
    const found = search(at, end, atOf(separator), size, false);
    if (found == 0) break;
    store<u64>(array + (<usize>(count++) << 3), span(at, <i32>(found - at)));
    at = found + <usize>size;
  }
  if (limit > 0) store<u64>(array + (<usize>(count++) << 3), span(at, <i32>(end - at)));
  return made(span(array, count));
}

/** Turns the 26 letters from `first` on into the other case. */
function changeCase(at: usize, length: i32, first: u8): bool {
  if (!spend(1 + (length >> 4))) return false;
  const result = alloc(length);
  if (result == 0) return false;
  const low = i8x16.splat(first);
  const letters = i8x16.splat(26);
  const bit = i8x16.splat(0x20);
  let i: usize = 0;
  for (; i + 16 <= <usize>length; i += 16) {
    const bytes = v128.load(at + i);
    const flip = v128.and(i8x16.lt_u(i8x16.sub(bytes, low), letters), bit);
    v128.store(result + i, v128.xor(bytes, flip));
  }
  for (; i < <usize>length; i++) {
    const byte = load<u8>(at + i);
    store<u8>(result + i, <u32>byte - <u32>first < 26 ? byte ^ 0x20 : byte);
  }
  return made(span(result, length));
}

/** SPEC: Cloudflare: the first match only; no match leaves the value as it is. */
function regexReplace(program: usize, source: u64, template: u64): bool {
  const at = atOf(source);
  const groups = groupCount(program);
  const out = alloc(groups << 3);
  if (out == 0) return false;
  value = source;
  if (!captures(program, at, lengthOf(source), out)) return failure() == REASON_NONE;
  // Offsets of start and end become spans; a group that took no part is empty.
  for (let i = 0; i < groups; i++) {
    const group = out + (<usize>i << 3);
    const start = load<u32>(group);
    const end = load<u32>(group, 4);
    // SAFETY: nothing ties the two ends of a group together, so a bad image could save one of them, or the later one first.
    const whole = start <= end && end != <u32>REGEX_UNSET;
    store<u64>(group, whole ? span(at + <usize>start, <i32>(end - start)) : span(at, 0));
  }
  const whole = load<u64>(out);
  const to = atOf(whole) + <usize>lengthOf(whole);
  return made(replaced(at, lengthOf(source), atOf(whole), to, atOf(template), lengthOf(template), out, groups));
}

const SET = memory.data(256);

function removeBytes(at: usize, length: i32, bytes: u64): bool {
  if (!spend(1 + (length >> 2) + lengthOf(bytes))) return false;
  const result = alloc(length);
  if (result == 0) return false;
  memory.fill(SET, 0, 256);
  for (let i: usize = 0; i < <usize>lengthOf(bytes); i++) store<u8>(SET + <usize>load<u8>(atOf(bytes) + i), 1);
  let to = result;
  for (let i: usize = 0; i < <usize>length; i++) {
    const byte = load<u8>(at + i);
    store<u8>(to, byte);
    to += 1 - <usize>load<u8>(SET + <usize>byte);
  }
  return made(span(result, <i32>(to - result)));
}

/** The query without the parameters that are named so (as written, not decoded); the order of the rest is kept. */
function removeArgs(at: usize, length: i32, names: i32, count: i32): bool {
  if (!spend(1 + (length >> 3) * count)) return false;
  const result = alloc(length);
  if (result == 0) return false;
  const end = at + <usize>length;
  let to = result;
  let first = true;
  let p = at;
  do {
    const start = p;
    let nameEnd: usize = 0;
    for (; p < end && load<u8>(p) != 0x26; p++) if (nameEnd == 0 && load<u8>(p) == 0x3d) nameEnd = p;
    if (nameEnd == 0) nameEnd = p;
    const name = span(start, <i32>(nameEnd - start));
    let remove = false;
    for (let i = names; i < names + count; i++) remove = remove || equalStrings(cell(i), name);
    if (!remove) {
      if (!first) store<u8>(to++, 0x26);
      first = false;
      memory.copy(to, start, p - start);
      to += p - start;
    }
  } while (p++ < end);
  return made(span(result, <i32>(to - result)));
}

/** Negative positions count from the end; positions outside are moved to the nearest end. */
function substring(at: usize, length: i32, from: i64, to: i64): bool {
  const size = <i64>length;
  if (from < 0) from = max(from + size, 0);
  if (to < 0) to += size;
  to = min(to, size);
  if (from >= to) return made(span(at, 0));
  return made(span(at + <usize>from, <i32>(to - from)));
}

function toText(source: u64, type: i32): bool {
  if (type == TYPE_INT) return made(formatInteger(<i64>source));
  if (type == TYPE_ADDRESS) return made(formatAddress(<usize>source));
  const copy = alloc(8);
  if (copy == 0) return false;
  if (source != 0) store<u32>(copy, 0x65757274);
  else store<u64>(copy, 0x65736c6166);
  return made(span(copy, source != 0 ? 4 : 5));
}

/** SPEC: as wirefilter: `+` and %XX, with `u` %uXXXX; with `r` again until nothing changes, at most ten times more. */
function urlDecode(at: usize, length: i32, options: i32): bool {
  const result = alloc(length);
  if (result == 0) return false;
  const rounds = (options & DECODE_RECURSIVE) != 0 ? 11 : 1;
  for (let round = 0; round < rounds; round++) {
    if (!spend(1 + (length >> 1))) return false;
    // From the second round on in place: what is written is never ahead of what is read.
    decodeChanged = false;
    length = decodeOnce(at, length, result, (options & DECODE_UNICODE) != 0);
    at = result;
    if (!decodeChanged) break;
  }
  return made(span(result, length));
}

let decodeChanged: bool = false;

/** Decodes to `to`, which has as much room; the length of what came out. */
function decodeOnce(at: usize, length: i32, to: usize, unicode: bool): i32 {
  const start = to;
  const end = at + <usize>length;
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 0x2b) {
      store<u8>(to++, 0x20);
      decodeChanged = true;
      continue;
    }
    if (byte == 0x25) {
      if (unicode && at + 5 < end && (load<u8>(at, 1) | 0x20) == 0x75) {
        const point = (hexPair(at + 2) << 8) | hexPair(at + 4);
        if (point >= 0 && (point < 0xd800 || point >= 0xe000)) {
          // SAFETY: six bytes become at most three.
          to = putCodePoint(to, point);
          at += 5;
          decodeChanged = true;
          continue;
        }
      } else if (at + 2 < end) {
        const pair = hexPair(at + 1);
        if (pair >= 0) {
          store<u8>(to++, <u8>pair);
          at += 2;
          decodeChanged = true;
          continue;
        }
      }
    }
    store<u8>(to++, byte);
  }
  return <i32>(to - start);
}

/** Value of two hexadecimal digits, or negative. */
function hexPair(at: usize): i32 {
  const high = hexDigit(load<u8>(at));
  const low = hexDigit(load<u8>(at, 1));
  return (high | low) < 0 ? -1 : (high << 4) | low;
}

/** The result type of a call, or 0 when it can't be: for the verifier. `types` are the arguments'. */
export function resultType(id: i32, types: usize, count: i32, each: bool, immediate: i32): i32 {
  const first = <i32>load<u8>(types) & (each ? ~TYPE_ARRAY : -1);
  const strings = TYPE_ARRAY | TYPE_STRING;
  let rest = true; // whether all further arguments are strings
  for (let i = 1; i < count; i++) rest = rest && load<u8>(types + <usize>i) == TYPE_STRING;
  switch (id) {
    case FUNCTION_ANY:
    case FUNCTION_ALL:
      return count == 1 && !each && first == (TYPE_ARRAY | TYPE_BOOL) ? TYPE_BOOL : 0;
    case FUNCTION_CIDR:
      return count == 1 && first == TYPE_ADDRESS ? TYPE_ADDRESS : 0;
    case FUNCTION_CONCAT:
      if ((first != TYPE_STRING && first != strings) || first != immediate) return 0;
      for (let i = 1; i < count; i++) if (<i32>load<u8>(types + <usize>i) != first) return 0;
      return each && first == strings ? 0 : first;
    case FUNCTION_STARTS_WITH:
    case FUNCTION_ENDS_WITH:
      return count == 2 && rest && first == TYPE_STRING ? TYPE_BOOL : 0;
    case FUNCTION_JOIN:
      return count == 2 && rest && first == strings && !each ? TYPE_STRING : 0;
    case FUNCTION_SPLIT:
      return count == 2 && rest && first == TYPE_STRING && !each ? strings : 0;
    case FUNCTION_LEN:
      return count == 1 && (first == TYPE_STRING || ((first & TYPE_ARRAY) != 0 && !each)) ? TYPE_INT : 0;
    case FUNCTION_DECODE_BASE64:
    case FUNCTION_LOWER:
    case FUNCTION_UPPER:
    case FUNCTION_JSON_STRING:
    case FUNCTION_URL_DECODE:
      return count == 1 && first == TYPE_STRING ? TYPE_STRING : 0;
    case FUNCTION_JSON_INTEGER:
      return count == 1 && first == TYPE_STRING ? TYPE_INT : 0;
    case FUNCTION_REGEX_REPLACE:
    case FUNCTION_REMOVE_BYTES:
      return count == 2 && rest && first == TYPE_STRING ? TYPE_STRING : 0;
    case FUNCTION_WILDCARD_REPLACE:
      return count == 3 && rest && first == TYPE_STRING ? TYPE_STRING : 0;
    case FUNCTION_REMOVE_ARGS:
      return count > 1 && rest && first == TYPE_STRING ? TYPE_STRING : 0;
    case FUNCTION_SUBSTRING:
      for (let i = 1; i < count; i++) if (load<u8>(types + <usize>i) != TYPE_INT) return 0;
      return (count == 2 || count == 3) && first == TYPE_STRING ? TYPE_STRING : 0;
    case FUNCTION_TO_STRING:
      return count == 1 && first == immediate && (first == TYPE_INT || first == TYPE_BOOL || first == TYPE_ADDRESS) ? TYPE_STRING : 0;
    case FUNCTION_HAS:
      return count == 1 && !each ? TYPE_BOOL : 0;
    case FUNCTION_HAS_VALUE:
      return count == 2 && rest && first == strings && !each ? TYPE_BOOL : 0;
  }
  return 0;
}
