// The canonical path. One spelling for every spelling that an origin may treat alike, so that a route or rule can't be
// passed by writing a path differently:
//   `%XX` of an unreserved character is decoded, of any other gets upper-case digits; `%` that begins no escape is `%25`
//     (else `%%32%65` would turn into `%2e`); dot segments are resolved after that;
//   bytes that may not stand in a path (controls, space, `"<>^`{}`, `\`, 0x7f and above) are percent-encoded.
// SPEC: RFC 3986 sections 6.2.2 and 5.2.4. `%2F`, `%5C` and `%00` stay as they are: decoding them would change the meaning.
import { REASON_ARENA, REASON_ESCAPED_SLASH, REASON_NONE } from './abi';
import { alloc } from './arena';
import { equalBytes } from './hash';
import { hexDigit } from './pairs';

export let canonicalAt: usize = 0;
export let canonicalLength: i32 = 0;
export let changed: bool = false;

// One bit for each byte that stands for itself: unreserved, sub-delims, `:@/[]|` and `?#` never reach here.
// 0x20-0x3f: ! $ & ' ( ) * + , - . / 0-9 : ; =      0x40-0x5f: @ A-Z [ ] _      0x60-0x7f: a-z | ~
const PLAIN_20: u32 = 0x2fffffd2;
const PLAIN_40: u32 = 0xafffffff;
const PLAIN_60: u32 = 0x57fffffe;

// @ts-ignore: decorator
@inline
function isPlain(byte: u32): bool {
  const bits = byte < 0x40 ? PLAIN_20 : byte < 0x60 ? PLAIN_40 : PLAIN_60;
  return byte - 0x20 < 0x60 && ((bits >> (byte & 31)) & 1) != 0;
}

/** True for A-Z a-z 0-9 - . _ ~ */
function isUnreserved(byte: i32): bool {
  const lower = byte | 0x20;
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte == 0x2d ||
    byte == 0x2e ||
    byte == 0x5f ||
    byte == 0x7e
  );
}

/** REASON_NONE, and the canonical form of [at, at + length), which begins with `/` or is empty. */
export function canonicalize(at: usize, length: i32, mergeSlashes: bool, rejectEscapedSlashes: bool): i32 {
  canonicalAt = at;
  canonicalLength = length;
  changed = false;
  const end = at + <usize>length;
  let previous: u32 = 0;
  let p = at;
  // The common path has nothing to change, and then it is not copied.
  for (; p < end; p++) {
    const byte = <u32>load<u8>(p);
    if (!isPlain(byte) || (previous == 0x2f && (byte == 0x2e || (byte == 0x2f && mergeSlashes)))) break;
    previous = byte;
  }
  if (p == end && length > 0) return REASON_NONE;
  const out = alloc(length * 3 + 1);
  if (out == 0) return REASON_ARENA;
  let to = out;
  let escapedSlash = false;
  for (p = at; p < end; p++) {
    let byte = <i32>load<u8>(p);
    if (byte == 0x25) {
      const high = p + 2 < end ? hexDigit(load<u8>(p, 1)) : -1;
      const low = p + 2 < end ? hexDigit(load<u8>(p, 2)) : -1;
      if ((high | low) >= 0) {
        byte = (high << 4) | low;
        p += 2;
        if (isUnreserved(byte)) store<u8>(to++, <u8>byte);
        else {
          escapedSlash = escapedSlash || byte == 0x2f || byte == 0x5c;
          to = escape(to, byte);
        }
      } else to = escape(to, 0x25);
    } else if (isPlain(byte)) store<u8>(to++, <u8>byte);
    else {
      escapedSlash = escapedSlash || byte == 0x5c;
      to = escape(to, byte);
    }
  }
  if (escapedSlash && rejectEscapedSlashes) return REASON_ESCAPED_SLASH;
  canonicalAt = out;
  canonicalLength = removeDotSegments(out, to, mergeSlashes);
  changed = canonicalLength != length || !equalBytes(out, at, length);
  return REASON_NONE;
}

function escape(to: usize, byte: i32): usize {
  const high = byte >> 4;
  const low = byte & 15;
  store<u8>(to, 0x25);
  store<u8>(to, <u8>(high < 10 ? 0x30 + high : 0x37 + high), 1);
  store<u8>(to, <u8>(low < 10 ? 0x30 + low : 0x37 + low), 2);
  return to + 3;
}

/** In place; the new length. Every byte is written and taken back at most once, so this is linear. */
function removeDotSegments(start: usize, end: usize, mergeSlashes: bool): i32 {
  let to = start;
  let at = start;
  while (at < end) {
    // SAFETY: `at` is at a slash, as the path begins with one and segments end before one; `to` never overtakes `at`.
    const segment = at + 1;
    let next = segment;
    while (next < end && load<u8>(next) != 0x2f) next++;
    const length = next - segment;
    const last = next == end;
    const single = length == 1 && load<u8>(segment) == 0x2e;
    const double = length == 2 && load<u16>(segment) == 0x2e2e;
    if (double) {
      while (to > start && load<u8>(--to) != 0x2f) {}
    }
    if (single || double) {
      if (last) store<u8>(to++, 0x2f);
    } else if (length > 0 || last || !mergeSlashes) {
      memory.copy(to, at, length + 1);
      to += length + 1;
    }
    at = next;
  }
  if (to == start) store<u8>(to++, 0x2f);
  return <i32>(to - start);
}
