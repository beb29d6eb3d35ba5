// htmlEntityDecode.
import { copyRun, findByte, nibble, isHex } from './bytes';
import { begin, finish, keep } from './output';

const AMPERSAND: u32 = 0x26;
// The names that ModSecurity knows, without regard to case, as the number that their lower case letters make.
const AMP: u32 = 0x616d70;
const GT: u32 = 0x6774;
const LT: u32 = 0x6c74;
const NBSP: u32 = 0x6e627370;
const QUOT: u32 = 0x71756f74;

let decoded: u32 = 0;

/**
 * `&#65`, `&#x41`, `&quot`, `&amp`, `&lt`, `&gt` and `&nbsp` (0xa0), each with or without `;`. A number is of any length,
 * and its lower byte counts.
 */
export function htmlEntityDecode(at: usize, length: i32): bool {
  const end = at + <usize>length;
  let from = findByte(at, end, AMPERSAND);
  if (from == end) return keep(at, length);
  const start = begin(length, length);
  if (start == 0) return false;
  memory.copy(start, at, from - at);
  let to = start + (from - at);
  while (from < end) {
    if (load<u8>(from) != <u8>AMPERSAND) {
      const next = copyRun(from, end, to, AMPERSAND, AMPERSAND);
      to += next - from;
      from = next;
      continue;
    }
    let next = entityEnd(from + 1, end);
    if (next == 0) {
      store<u8>(to++, <u8>AMPERSAND);
      from++;
      continue;
    }
    store<u8>(to++, <u8>decoded);
    if (next < end && load<u8>(next) == 0x3b) next++;
    from = next;
  }
  return finish(at, length, start, to);
}

/** End of the entity whose `&` is before `at`, and what it stands for in `decoded`; 0 when it is none. */
function entityEnd(at: usize, end: usize): usize {
  if (at == end) return 0;
  if (load<u8>(at) == 0x23) return numberEnd(at + 1, end);
  let name: u32 = 0;
  let p = at;
  for (; p < end; p++) {
    const byte = <u32>load<u8>(p);
    if (byte - 0x30 >= 10 && (byte | 0x20) - 0x61 >= 26) break;
    if (p - at == 4) return 0; // longer than any
    name = (name << 8) | byte | 0x20;
  }
  switch (name) {
    case AMP:
      decoded = AMPERSAND;
      return p;
    case GT:
      decoded = 0x3e;
      return p;
    case LT:
      decoded = 0x3c;
      return p;
    case NBSP:
      decoded = 0xa0;
      return p;
    case QUOT:
      decoded = 0x22;
      return p;
  }
  return 0;
}

function numberEnd(at: usize, end: usize): usize {
  let value: u64 = 0;
  let p = at;
  if (at < end && (load<u8>(at) | 0x20) == 0x78) {
    p = at + 1;
    // `strtol` saturates at 2^63 - 1, whose lower byte is 0xff.
    for (; p < end && isHex(load<u8>(p)); p++) {
      value = value < 1 << 59 ? (value << 4) | nibble(load<u8>(p)) : u64(i64.MAX_VALUE);
    }
    if (p == at + 1) return 0;
  } else {
    for (; p < end && <u32>load<u8>(p) - 0x30 < 10; p++) {
      const digit = <u64>load<u8>(p) - 0x30;
      value = value <= (u64(i64.MAX_VALUE) - digit) / 10 ? value * 10 + digit : u64(i64.MAX_VALUE);
    }
    if (p == at) return 0;
  }
  decoded = <u32>value & 0xff;
  return p;
}
