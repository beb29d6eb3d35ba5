// base64Decode, base64DecodeExt and base64Encode. SPEC: RFC 4648 section 4.
import { begin, finish } from './output';

const PAD: u32 = 0x3d;

// @ts-ignore: decorator
@inline
function letter(value: u32): u8 {
  if (value < 26) return <u8>(value + 0x41);
  if (value < 52) return <u8>(value + 0x47);
  if (value < 62) return <u8>(value - 4);
  return value == 62 ? 0x2b : 0x2f;
}

/** Values of the bytes of the alphabet, and NONE of all others. */
const SEXTETS = memory.data(256);
const NONE: u8 = 0xff;
memory.fill(SEXTETS, NONE, 256);
for (let value: u32 = 0; value < 64; value++) store<u8>(SEXTETS + <usize>letter(value), <u8>value);

/** Decodes up to the first byte that isn't of the alphabet, be it padding or garbage. */
export function base64Decode(at: usize, length: i32): bool {
  return decode(at, length, false);
}

/**
 * Decodes what is of the alphabet and skips the rest. Empty when padding comes behind the first byte of a group of four,
 * which makes no byte. ModSecurity 2 stops at a NUL byte; see cmdLine for why this doesn't.
 */
export function base64DecodeExt(at: usize, length: i32): bool {
  return decode(at, length, true);
}

// @ts-ignore: decorator
@inline
function decode(at: usize, length: i32, lenient: bool): bool {
  const start = begin(length, length);
  if (start == 0) return false;
  const end = at + <usize>length;
  let to = start;
  let bits: u32 = 0;
  let count = 0; // bytes of the alphabet so far, of the group at hand
  for (let from = at; from < end; from++) {
    const byte = <u32>load<u8>(from);
    const value = load<u8>(SEXTETS + <usize>byte);
    if (value == NONE) {
      if (!lenient) break;
      if (byte == PAD && count == 1) return finish(at, length, start, start);
      continue;
    }
    bits = (bits << 6) | value;
    // The second, third and fourth byte of a group each complete one.
    if (count == 1) store<u8>(to++, <u8>(bits >> 4));
    else if (count == 2) store<u8>(to++, <u8>(bits >> 2));
    else if (count == 3) store<u8>(to++, <u8>bits);
    count = (count + 1) & 3;
  }
  return finish(at, length, start, to);
}

export function base64Encode(at: usize, length: i32): bool {
  const start = begin(length, ((length + 2) / 3) * 4);
  if (start == 0) return false;
  const end = at + <usize>length;
  let to = start;
  for (let from = at; from < end; from += 3, to += 4) {
    const left = end - from;
    const second = left > 1 ? <u32>load<u8>(from, 1) : 0;
    const third = left > 2 ? <u32>load<u8>(from, 2) : 0;
    const bits = (<u32>load<u8>(from) << 16) | (second << 8) | third;
    store<u8>(to, letter(bits >> 18));
    store<u8>(to, letter((bits >> 12) & 63), 1);
    store<u8>(to, left > 1 ? letter((bits >> 6) & 63) : <u8>PAD, 2);
    store<u8>(to, left > 2 ? letter(bits & 63) : <u8>PAD, 3);
  }
  return finish(at, length, start, to);
}
