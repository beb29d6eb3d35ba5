// The transformations that take backslashes away: jsDecode, cssDecode and escapeSeqDecode.
import { control, copyRun, findByte, fullWidth, hexByte, isHex, isOctal, isSpace, nibble } from './bytes';
import { begin, finish, keep } from './output';

const BACKSLASH: u32 = 0x5c;
const NOTHING: i32 = -1;
const STYLE_JS = 0;
const STYLE_CSS = 1;
const STYLE_C = 2;

/** What the last escape stands for: a byte, or NOTHING. */
let decoded: i32 = NOTHING;

/**
 * `\uXXXX` (its lower byte; full width ASCII as ASCII), `\xXX`, octal `\0` to `\377`, `\n` and its kind, and any other
 * `\c` as `c`. A backslash at the end stays.
 */
export function jsDecode(at: usize, length: i32): bool {
  return decode(at, length, STYLE_JS);
}

/**
 * One to six hexadecimal digits after the backslash make a byte, of the last two of them, and one white space behind is
 * part of it; `\` and a line feed vanish, and so does a `\` at the end; any other `\c` is `c`.
 */
export function cssDecode(at: usize, length: i32): bool {
  return decode(at, length, STYLE_CSS);
}

/**
 * The escapes of ANSI C: `\n` and its kind, `\xXX`, octal of up to three digits (its lower byte), any other `\c` as `c`. A
 * backslash at the end stays.
 */
export function escapeSeqDecode(at: usize, length: i32): bool {
  return decode(at, length, STYLE_C);
}

// @ts-ignore: decorator
@inline
function decode(at: usize, length: i32, style: i32): bool {
  const end = at + <usize>length;
  let from = findByte(at, end, BACKSLASH);
  if (from == end) return keep(at, length);
  const start = begin(length, length);
  if (start == 0) return false;
  memory.copy(start, at, from - at);
  let to = start + (from - at);
  while (from < end) {
    if (load<u8>(from) != <u8>BACKSLASH) {
      const next = copyRun(from, end, to, BACKSLASH, BACKSLASH);
      to += next - from;
      from = next;
      continue;
    }
    from++;
    if (style == STYLE_CSS) from = cssEscape(from, end);
    else if (from == end) decoded = BACKSLASH;
    else from = style == STYLE_JS ? jsEscape(from, end) : cEscape(from, end);
    if (decoded != NOTHING) store<u8>(to++, <u8>decoded);
  }
  return finish(at, length, start, to);
}

// Each reads the escape whose backslash is before `at`, leaves what it stands for in `decoded`, and returns its end.

function jsEscape(at: usize, end: usize): usize {
  const kind = <u32>load<u8>(at);
  if (kind == 0x75 && isHexRun(at + 1, end, 4)) {
    decoded = fullWidth(at + 1, hexByte(at + 3));
    return at + 5;
  }
  if (kind == 0x78 && isHexRun(at + 1, end, 2)) {
    decoded = hexByte(at + 1);
    return at + 3;
  }
  // Three octal digits make no byte when the first is above 3; then only two are taken.
  if (isOctal(kind)) return octal(at, min(at + (kind > 0x33 ? 2 : 3), end));
  decoded = control(kind);
  return at + 1;
}

function cEscape(at: usize, end: usize): usize {
  const kind = <u32>load<u8>(at);
  if ((kind | 0x20) == 0x78 && isHexRun(at + 1, end, 2)) {
    decoded = hexByte(at + 1);
    return at + 3;
  }
  if (isOctal(kind)) return octal(at, min(at + 3, end));
  decoded = control(kind);
  return at + 1;
}

function cssEscape(at: usize, end: usize): usize {
  decoded = NOTHING;
  if (at == end) return end;
  const limit = min(at + 6, end);
  let stop = at;
  while (stop < limit && isHex(load<u8>(stop))) stop++;
  const digits = <i32>(stop - at);
  if (digits == 0) {
    if (load<u8>(at) != 10) decoded = <i32>load<u8>(at);
    return at + 1;
  }
  let byte = digits == 1 ? nibble(load<u8>(at)) : hexByte(stop - 2);
  // More than four digits can be of full width only where the first ones are zeros.
  if (digits == 4 || (digits == 5 && load<u8>(at) == 0x30) || (digits == 6 && load<u16>(at) == 0x3030)) {
    byte = fullWidth(stop - 4, byte);
  }
  decoded = byte;
  return stop < end && isSpace(load<u8>(stop)) ? stop + 1 : stop;
}

/** Reads octal digits up to `limit`; the first is one. */
// @ts-ignore: decorator
@inline
function octal(at: usize, limit: usize): usize {
  let value: u32 = 0;
  for (; at < limit && isOctal(load<u8>(at)); at++) value = (value << 3) | ((<u32>load<u8>(at)) & 7);
  decoded = value & 0xff;
  return at;
}

// @ts-ignore: decorator
@inline
function isHexRun(at: usize, end: usize, count: usize): bool {
  if (at + count > end) return false;
  for (const stop = at + count; at < stop; at++) if (!isHex(load<u8>(at))) return false;
  return true;
}
