// application/x-www-form-urlencoded, of a query string or a body, as ModSecurity reads it: `&` alone separates, `+` is a
// blank, a malformed %XX stays as it is and sets URLENCODED_ERROR, and a piece without anything (`a&&b`) is an argument
// without name and value, except for the last. Text without escapes is not copied.
import { alloc, release, spend } from '../../arena';
import { hexDigit } from '../../pairs';
import { addArgument } from './argument';

/** True once an escape was malformed: URLENCODED_ERROR. */
export let urlencodedError: bool = false;

/** Forgets the error; first thing in a call. */
export function startUrlencoded(): void {
  urlencodedError = false;
}

/** Takes back what a text was judged by that nobody has called a form. */
export function restoreUrlencoded(error: bool): void {
  urlencodedError = error;
}

// What `token` found.
let escaped: bool = false;

/**
 * Place of the first `&` in [p, end), or `=` as well when `inName`, else `end`; `escaped` says whether `%` or `+` is
 * before it.
 */
// @ts-ignore: decorator
@inline
function token(p: usize, end: usize, inName: bool): usize {
  const and = i8x16.splat(0x26);
  const equals = i8x16.splat(0x3d);
  const percent = i8x16.splat(0x25);
  const plus = i8x16.splat(0x2b);
  escaped = false;
  while (true) {
    // SAFETY: reads up to 15 bytes behind `end`; head, body and arena all have images or each other behind them.
    const bytes = v128.load(p);
    let stops = i8x16.eq(bytes, and);
    if (inName) stops = v128.or(stops, i8x16.eq(bytes, equals));
    const left = end - p;
    const stop = i8x16.bitmask(stops) | (left < 16 ? 1 << <i32>left : 0);
    const escapes = i8x16.bitmask(v128.or(i8x16.eq(bytes, percent), i8x16.eq(bytes, plus)));
    if (stop != 0) {
      const n = ctz(stop);
      if ((escapes & ((1 << n) - 1)) != 0) escaped = true;
      return p + <usize>n;
    }
    if (escapes != 0) escaped = true;
    p += 16;
  }
}

/** Adds the arguments in [at, at + length) as `variable` (ARGS_GET or ARGS_POST). False when a limit is reached: stop. */
export function parseUrlencoded(at: usize, length: i32, variable: i32): bool {
  if (!spend(length)) return false;
  const end = at + <usize>length;
  for (let p = at; p < end; p++) {
    let name = p;
    p = token(p, end, true);
    let nameEnd = p;
    let value = p;
    const nameEscaped = escaped;
    escaped = false;
    if (p < end && load<u8>(p) == 0x3d) {
      value = p + 1;
      p = token(value, end, false);
    }
    let valueEnd = p;
    if (nameEscaped || escaped) {
      const copy = alloc(<i32>(valueEnd - name) + 16);
      if (copy == 0) return false;
      const valueCopy = decodeForm(name, nameEnd, copy);
      valueEnd = decodeForm(value, valueEnd, valueCopy);
      name = copy;
      nameEnd = valueCopy;
      value = valueCopy;
      release((valueEnd + 7) & ~7);
    }
    if (!addArgument(variable, name, <i32>(nameEnd - name), value, <i32>(valueEnd - value))) return false;
  }
  return true;
}

/** Decodes [p, end) to `to`, which needs as much room and 16 bytes more; where the result ends. */
function decodeForm(p: usize, end: usize, to: usize): usize {
  const percent = i8x16.splat(0x25);
  const plus = i8x16.splat(0x2b);
  const blank = i8x16.splat(0x20);
  while (p < end) {
    const bytes = v128.load(p);
    v128.store(to, v128.bitselect(blank, bytes, i8x16.eq(bytes, plus)));
    const left = end - p;
    const stop = i8x16.bitmask(i8x16.eq(bytes, percent)) | (left < 16 ? 1 << <i32>left : 0);
    if (stop == 0) {
      p += 16;
      to += 16;
      continue;
    }
    const n = <usize>ctz(stop);
    p += n;
    to += n;
    if (p >= end) break;
    let byte: u8 = 0x25;
    if (p + 2 < end) {
      const high = hexDigit(load<u8>(p, 1));
      const low = hexDigit(load<u8>(p, 2));
      if ((high | low) >= 0) {
        byte = <u8>((high << 4) | low);
        p += 2;
      } else urlencodedError = true;
    } else urlencodedError = true;
    store<u8>(to++, byte);
    p++;
  }
  return to;
}
