// utf8toUnicode: characters of UTF-8 as `%uXXXX`, for a urlDecodeUni behind.
import { putHex } from './bytes';
import { begin, finish, keep } from './output';

/** Bytes, of the 16 at `at`, that don't stay: those of 0x80 and above, and NUL. */
// @ts-ignore: decorator
@inline
function others(block: v128): i32 {
  return i8x16.bitmask(v128.or(block, i8x16.eq(block, i8x16.splat(0))));
}

// @ts-ignore: decorator
@inline
function isMore(at: usize, end: usize): bool {
  return at < end && (load<u8>(at) & 0xc0) == 0x80;
}

/**
 * A character of two to four bytes becomes `%u` and its number with at least four digits in lower case. All of this as in
 * ModSecurity: behind an overlong form or a surrogate its first byte stands too, and before one that begins with 0xf5 to
 * 0xf7; a first byte (0xc0 to 0xf4) without its continuation vanishes, and so does NUL; other bytes stay.
 */
export function utf8toUnicode(at: usize, length: i32): bool {
  const end = at + <usize>length;
  let from = at;
  let high = 0;
  let leads = 0; // bytes that a character may begin with
  while (from + 16 <= end) {
    const block = v128.load(from);
    high += popcnt(others(block));
    leads += popcnt(i8x16.bitmask(i8x16.ge_u(block, i8x16.splat(<i8>0xc0))));
    from += 16;
  }
  for (; from < end; from++) {
    high += i32(<u32>load<u8>(from) - 1 > 0x7e);
    leads += i32(<u32>load<u8>(from) >= 0xc0);
  }
  if (high == 0) return keep(at, length);
  // The longest result for its bytes is that of an overlong form of two: `%uXXXX` and a byte.
  const start = begin(length, length + leads * 5);
  if (start == 0) return false;
  let to = start;
  from = at;
  while (from < end) {
    const first = <u32>load<u8>(from);
    if (first - 1 < 0x7f) {
      // SAFETY: as copyRun in bytes.ts.
      let run: usize = 1;
      if (from + 16 <= end) {
        const block = v128.load(from);
        v128.store(to, block);
        run = ctz(others(block) | 0x10000);
      } else store<u8>(to, <u8>first);
      from += run;
      to += run;
      continue;
    }
    if (first == 0) {
      from++;
      continue;
    }
    if (first < 0xc0 || first > 0xf7) {
      store<u8>(to++, <u8>first);
      from++;
      continue;
    }
    if (first > 0xf4) store<u8>(to++, <u8>first);
    const more: usize = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    from++;
    if (
      !isMore(from, end) ||
      (more > 1 && !isMore(from + 1, end)) ||
      (more > 2 && !isMore(from + 2, end))
    ) {
      continue;
    }
    let point = first & (0x3f >> <u32>more);
    for (const next = from + more; from < next; from++) point = (point << 6) | (<u32>load<u8>(from) & 0x3f);
    to = putNumber(to, point);
    const least: u32 = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
    if (point < least || point - 0xd800 < 0x800) store<u8>(to++, <u8>first);
  }
  return finish(at, length, start, to);
}

function putNumber(to: usize, point: u32): usize {
  store<u16>(to, 0x7525); // %u
  to += 2;
  if (point > 0xffff) {
    putHex(to, point >> 16);
    to += 2;
    if (point <= 0xfffff) {
      to--; // the first of the two digits is a zero too many
      store<u8>(to - 1, load<u8>(to));
    }
  }
  putHex(to, (point >> 8) & 0xff);
  putHex(to + 2, point & 0xff);
  return to + 4;
}
