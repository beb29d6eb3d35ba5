// Finding and copying runs of bytes, 16 at a time, and the classes of bytes that several transformations share.
// SAFETY: a load of 16 bytes happens only where 16 bytes of the string are left, so strings may end where memory ends. A
// store of 16 bytes may run over the end of an output by 15: outputs have SLACK (see output.ts).

/** First place of `byte` in [at, end), or `end`. */
export function findByte(at: usize, end: usize, byte: u32): usize {
  return findEither(at, end, byte, byte);
}

/** First place of `one` or `other` in [at, end), or `end`. */
// PERF: 0.04 ns/byte on a string that holds neither.
export function findEither(at: usize, end: usize, one: u32, other: u32): usize {
  if (at + 16 <= end) {
    const ones = i8x16.splat(<i8>one);
    const others = i8x16.splat(<i8>other);
    const last = end - 16;
    // The last block may overlap the one before it, in which nothing was found.
    for (let p = at; ; p = min(p + 16, last)) {
      const block = v128.load(p);
      const mask = i8x16.bitmask(v128.or(i8x16.eq(block, ones), i8x16.eq(block, others)));
      if (mask) return p + ctz(mask);
      if (p == last) return end;
    }
  }
  for (; at < end; at++) {
    const byte = <u32>load<u8>(at);
    if (byte == one || byte == other) break;
  }
  return at;
}

/** Copies [from, end) to `to` up to the first `one` or `other`; its place, or `end`. */
export function copyRun(from: usize, end: usize, to: usize, one: u32, other: u32): usize {
  const ones = i8x16.splat(<i8>one);
  const others = i8x16.splat(<i8>other);
  for (; from + 16 <= end; from += 16, to += 16) {
    const block = v128.load(from);
    v128.store(to, block);
    const mask = i8x16.bitmask(v128.or(i8x16.eq(block, ones), i8x16.eq(block, others)));
    if (mask) return from + ctz(mask);
  }
  for (; from < end; from++, to++) {
    const byte = <u32>load<u8>(from);
    if (byte == one || byte == other) break;
    store<u8>(to, <u8>byte);
  }
  return from;
}

/** For each set of eight places, eight bytes: those places in order. */
const ORDERS = memory.data(2048, 16);
for (let set: u32 = 0; set < 256; set++) {
  let to = ORDERS + <usize>(set << 3);
  for (let place: u32 = 0; place < 8; place++) if ((set >> place) & 1) store<u8>(to++, <u8>place);
}

/** Stores the bytes of the block whose bit of `kept` is set, one behind the other; where the next goes. Writes up to 24. */
// @ts-ignore: decorator
@inline
export function compact(block: v128, kept: i32, to: usize): usize {
  const low = kept & 0xff;
  const high = (kept >> 8) & 0xff;
  v128.store(to, i8x16.swizzle(block, v128.load_zero<u64>(ORDERS + <usize>(low << 3))));
  to += popcnt(low);
  const order = i8x16.add(v128.load_zero<u64>(ORDERS + <usize>(high << 3)), i8x16.splat(8));
  v128.store(to, i8x16.swizzle(block, order));
  return to + popcnt(high);
}

/** For each byte its two hexadecimal digits, in lower case. */
const DIGITS = memory.data(512, 16);
for (let byte: u32 = 0; byte < 256; byte++) {
  const high = byte >> 4;
  const low = byte & 15;
  store<u8>(DIGITS + <usize>(byte << 1), <u8>(high < 10 ? 0x30 + high : 0x57 + high));
  store<u8>(DIGITS + <usize>(byte << 1), <u8>(low < 10 ? 0x30 + low : 0x57 + low), 1);
}

/** Stores the two hexadecimal digits of a byte. */
// @ts-ignore: decorator
@inline
export function putHex(to: usize, byte: u32): void {
  store<u16>(to, load<u16>(DIGITS + <usize>(byte << 1)));
}

/** C's `isspace`: tab, line feed, vertical tab, form feed, carriage return, space. */
// @ts-ignore: decorator
@inline
export function isSpace(byte: u32): bool {
  return byte - 9 < 5 || byte == 0x20;
}

// @ts-ignore: decorator
@inline
export function isHex(byte: u32): bool {
  return byte - 0x30 < 10 || (byte | 0x20) - 0x61 < 6;
}

// @ts-ignore: decorator
@inline
export function isOctal(byte: u32): bool {
  return byte - 0x30 < 8;
}

/** Value of a byte that is a hexadecimal digit, and of any other byte what ModSecurity's arithmetic makes of it. */
// @ts-ignore: decorator
@inline
export function nibble(byte: u32): u32 {
  return byte >= 0x41 ? (byte & 0xdf) - 0x41 + 10 : byte - 0x30;
}

/** The byte that the two hexadecimal digits at `at` stand for. */
// @ts-ignore: decorator
@inline
export function hexByte(at: usize): u32 {
  return ((nibble(load<u8>(at)) << 4) + nibble(load<u8>(at, 1))) & 0xff;
}

/** ModSecurity shows the forms U+ff01 to U+ff5e, the full width ones of ASCII, as ASCII: here of the lower byte. */
// @ts-ignore: decorator
@inline
export function fullWidth(high: usize, low: u32): u32 {
  const wide = (load<u8>(high) | 0x20) == 0x66 && (load<u8>(high, 1) | 0x20) == 0x66;
  return wide && low - 1 < 0x5e ? low + 0x20 : low;
}

/** The byte that a letter after a backslash stands for in C and JavaScript, or the letter itself. */
// @ts-ignore: decorator
@inline
export function control(letter: u32): u32 {
  switch (letter) {
    case 0x61: // a
      return 7;
    case 0x62: // b
      return 8;
    case 0x66: // f
      return 12;
    case 0x6e: // n
      return 10;
    case 0x72: // r
      return 13;
    case 0x74: // t
      return 9;
    case 0x76: // v
      return 11;
  }
  return letter;
}
