// Which bytes occur in a string: 32 bytes, bit b & 7 of byte b >> 3 set when byte b occurs. It tells which transformations
// can change the string, whether a byte range is respected, and which matchers can be left out.

/** For each ASCII byte the half of a bitmap that holds it alone; what is above 0x7f uses them again, for the other half. */
const ONES = memory.data(2048, 16);
for (let byte: u32 = 0; byte < 128; byte++) {
  store<u8>(ONES + <usize>((byte << 4) + (byte >> 3)), <u8>((1 as u32) << (byte & 7)));
}

const HIGH: u64 = 0x8080808080808080;
/** From here on a block is looked up first: before, most hold a byte that is new. */
const FAMILIAR = 32;

// @ts-ignore: decorator
@inline
function one(bytes: u64, shift: u64): v128 {
  return v128.load(ONES + <usize>(((bytes >> shift) & 127) << 4));
}

/** The half bitmap of eight ASCII bytes. */
// @ts-ignore: decorator
@inline
function eight(bytes: u64): v128 {
  const first = v128.or(v128.or(one(bytes, 0), one(bytes, 8)), v128.or(one(bytes, 16), one(bytes, 24)));
  return v128.or(first, v128.or(v128.or(one(bytes, 32), one(bytes, 40)), v128.or(one(bytes, 48), one(bytes, 56))));
}

/** The bit of each byte of a block inside its byte of the bitmap. */
// @ts-ignore: decorator
@inline
function bitsOf(block: v128): v128 {
  const bits = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  return i8x16.swizzle(bits, v128.and(block, i8x16.splat(15)));
}

/** True when every byte of the block is ASCII and in the half bitmap. */
// @ts-ignore: decorator
@inline
function isKnown(block: v128, below: v128): bool {
  // A swizzle gives 0 for an index above 15, which is that of a byte above 0x7f.
  return i8x16.all_true(v128.and(i8x16.swizzle(below, i8x16.shr_u(block, 3)), bitsOf(block)));
}

/** Writes the presence bitmap of [at, at + length) into the 32 bytes at `out`. */
// PERF: 0.11 ns/byte on long text, 0.4 on 40 bytes, 0.6 on 10. One bit at a time into four words: 1.0 everywhere.
export function presence(at: usize, length: i32, out: usize): void {
  let below = i64x2.splat(0); // of bytes 0x00 to 0x7f
  let above = i64x2.splat(0);
  const end = at + <usize>length;
  const familiar = at + FAMILIAR;
  // SAFETY: every load of 8 or 16 bytes lies inside [at, end), so strings may end where memory ends.
  while (at + 8 <= end) {
    if (at >= familiar) {
      while (at + 32 <= end && isKnown(v128.load(at), below) && isKnown(v128.load(at, 16), below)) at += 32;
      if (at + 16 <= end) {
        const block = v128.load(at);
        const place = i8x16.shr_u(block, 3);
        const high = i8x16.swizzle(above, i8x16.sub(place, i8x16.splat(16)));
        if (i8x16.all_true(v128.and(v128.or(i8x16.swizzle(below, place), high), bitsOf(block)))) {
          at += 16;
          continue;
        }
      } else if (at + 8 > end) break;
    }
    const bytes = load<u64>(at);
    if ((bytes & HIGH) != 0) {
      for (let i: u64 = 0; i < 64; i += 8) {
        if ((bytes >> i) & 0x80) above = v128.or(above, one(bytes, i));
        else below = v128.or(below, one(bytes, i));
      }
    } else below = v128.or(below, eight(bytes));
    at += 8;
  }
  for (; at < end; at++) {
    const byte = <u64>load<u8>(at);
    if (byte & 0x80) above = v128.or(above, one(byte, 0));
    else below = v128.or(below, one(byte, 0));
  }
  v128.store(out, below);
  v128.store(out, above, 16);
}

/** True when byte `byte` occurs. */
// @ts-ignore: decorator
@inline
export function occurs(bitmap: usize, byte: u32): bool {
  return ((<u32>load<u8>(bitmap + <usize>(byte >> 3)) >> (byte & 7)) & 1) != 0;
}
