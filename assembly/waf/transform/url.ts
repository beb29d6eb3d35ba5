// urlDecode, urlDecodeUni and urlEncode.
import { findEither, fullWidth, hexByte, isHex, putHex } from './bytes';
import { begin, finish, keep } from './output';

const PERCENT: u32 = 0x25;
const PLUS: u32 = 0x2b;

/** `%XX` and `+`; what is not a valid escape stays. */
export function urlDecode(at: usize, length: i32): bool {
  return decode(at, length, false);
}

/**
 * urlDecode, and `%uXXXX` as IIS reads it: its lower byte. ModSecurity looks the character up in a code page first if
 * SecUnicodeMapFile names one; without it, which is the default, this is all, but for the full width forms of ASCII.
 */
export function urlDecodeUni(at: usize, length: i32): bool {
  return decode(at, length, true);
}

// @ts-ignore: decorator
@inline
function decode(at: usize, length: i32, unicode: bool): bool {
  const end = at + <usize>length;
  let from = findEither(at, end, PERCENT, PLUS);
  if (from == end) return keep(at, length);
  const start = begin(length, length);
  if (start == 0) return false;
  memory.copy(start, at, from - at);
  let to = start + (from - at);
  while (from < end) {
    const byte = <u32>load<u8>(from);
    if (byte == PERCENT) {
      if (from + 2 < end && isHex(load<u8>(from, 1)) && isHex(load<u8>(from, 2))) {
        store<u8>(to++, <u8>hexByte(from + 1));
        from += 3;
      } else if (unicode && from + 1 < end && (load<u8>(from, 1) | 0x20) == 0x75) {
        if (
          from + 5 < end &&
          isHex(load<u8>(from, 2)) &&
          isHex(load<u8>(from, 3)) &&
          isHex(load<u8>(from, 4)) &&
          isHex(load<u8>(from, 5))
        ) {
          store<u8>(to++, <u8>fullWidth(from + 2, hexByte(from + 4)));
          from += 6;
        } else {
          store<u8>(to, <u8>byte);
          store<u8>(to, load<u8>(from, 1), 1);
          to += 2;
          from += 2;
        }
      } else {
        store<u8>(to++, <u8>byte);
        from++;
      }
    } else {
      const next = copyWords(from, end, to);
      to += next - from;
      from = next;
    }
  }
  return finish(at, length, start, to);
}

/** Copies [from, end) to `to` up to the first `%`, each `+` as a space; its place, or `end`. */
// PERF: in a form every sixth byte is a `+`: to stop at each took 0.5 ns a byte more.
// SAFETY: as copyRun.
function copyWords(from: usize, end: usize, to: usize): usize {
  const percents = i8x16.splat(<i8>PERCENT);
  const pluses = i8x16.splat(<i8>PLUS);
  const spaces = i8x16.splat(0x20);
  for (; from + 16 <= end; from += 16, to += 16) {
    const block = v128.load(from);
    v128.store(to, v128.bitselect(spaces, block, i8x16.eq(block, pluses)));
    const mask = i8x16.bitmask(i8x16.eq(block, percents));
    if (mask) return from + ctz(mask);
  }
  for (; from < end; from++, to++) {
    const byte = <u32>load<u8>(from);
    if (byte == PERCENT) break;
    store<u8>(to, <u8>(byte == PLUS ? 0x20 : byte));
  }
  return from;
}

/** Space as `+`; letters, digits and `*` as they are; the rest as `%xx` with digits in lower case. */
export function urlEncode(at: usize, length: i32): bool {
  const end = at + <usize>length;
  let extra: i32 = 0;
  for (let from = at; from < end; from++) if (!stays(load<u8>(from))) extra += 2;
  if (extra == 0) return keep(at, length);
  const start = begin(length, length + extra);
  if (start == 0) return false;
  let to = start;
  for (let from = at; from < end; from++) {
    const byte = <u32>load<u8>(from);
    if (byte == 0x20) store<u8>(to++, <u8>PLUS);
    else if (stays(byte)) store<u8>(to++, <u8>byte);
    else {
      store<u8>(to, <u8>PERCENT);
      putHex(to + 1, byte);
      to += 3;
    }
  }
  return finish(at, length, start, to);
}

// @ts-ignore: decorator
@inline
function stays(byte: u32): bool {
  return byte - 0x30 < 10 || (byte | 0x20) - 0x61 < 26 || byte == 0x2a;
}
