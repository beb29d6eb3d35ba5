// Which bytes occur in a string: 32 bytes, bit b of byte b >> 3 set when byte b occurs. It tells which transformations
// can change the string, whether a byte range is respected, and which matchers can be left out.

// @ts-ignore: decorator
@inline
function mark(out: usize, byte: u32): void {
  const place = out + <usize>(byte >> 3);
  store<u8>(place, <u8>(<u32>load<u8>(place) | (1 << (byte & 7))));
}

/** Writes the presence bitmap of [at, at + length) into the 32 bytes at `out`. */
export function presence(at: usize, length: i32, out: usize): void {
  memory.fill(out, 0, 32);
  for (const end = at + <usize>length; at < end; at++) mark(out, <u32>load<u8>(at));
}

/** True when byte `byte` occurs. */
// @ts-ignore: decorator
@inline
export function occurs(bitmap: usize, byte: u32): bool {
  return ((<u32>load<u8>(bitmap + <usize>(byte >> 3)) >> (byte & 7)) & 1) != 0;
}
