// hexDecode, hexEncode and sqlHexDecode.
import { hexByte, isHex, putHex } from './bytes';
import { begin, finish } from './output';

/** Two bytes make one, whether or not they are digits; a last one alone vanishes. */
export function hexDecode(at: usize, length: i32): bool {
  const count = length >> 1;
  const start = begin(length, count);
  if (start == 0) return false;
  for (let i: usize = 0; i < <usize>count; i++) store<u8>(start + i, <u8>hexByte(at + (i << 1)));
  return finish(at, length, start, start + <usize>count);
}

/** Two digits for each byte, in lower case. */
export function hexEncode(at: usize, length: i32): bool {
  const start = begin(length, length << 1);
  if (start == 0) return false;
  for (let i: usize = 0; i < <usize>length; i++) putHex(start + (i << 1), load<u8>(at + i));
  return finish(at, length, start, start + <usize>(length << 1));
}

/**
 * `0x` and an even number of digits become their bytes. As in ModSecurity, the byte behind is not looked at, so it can't
 * begin the next number. ModSecurity 2 stops at a NUL byte; see cmdLine for why this doesn't.
 */
export function sqlHexDecode(at: usize, length: i32): bool {
  const start = begin(length, length);
  if (start == 0) return false;
  const end = at + <usize>length;
  let to = start;
  let from = at;
  while (from < end) {
    if (
      load<u8>(from) == 0x30 &&
      from + 3 < end &&
      (load<u8>(from, 1) | 0x20) == 0x78 &&
      isHex(load<u8>(from, 2)) &&
      isHex(load<u8>(from, 3))
    ) {
      from += 2;
      do {
        store<u8>(to++, <u8>hexByte(from));
        from += 2;
      } while (from + 1 < end && isHex(load<u8>(from)) && isHex(load<u8>(from, 1)));
      if (from == end) break;
    }
    store<u8>(to++, load<u8>(from++));
  }
  return finish(at, length, start, to);
}
