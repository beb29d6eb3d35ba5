// Names of values compare without case, in ASCII.

/** True when two names of the same length are equal whatever their case. */
// PERF: most differ in their first byte.
// @ts-ignore: decorator
@inline
export function equalFolded(a: usize, b: usize, length: i32): bool {
  return length == 0 || (((load<u8>(a) ^ load<u8>(b)) & 0xdf) == 0 && equalRest(a, b, length));
}

function equalRest(a: usize, b: usize, length: i32): bool {
  for (let i: usize = 0; i < <usize>length; i++) if (fold(load<u8>(a + i)) != fold(load<u8>(b + i))) return false;
  return true;
}

// @ts-ignore: decorator
@inline
export function fold(byte: u8): u8 {
  return <u32>byte - 0x41 < 26 ? byte | 0x20 : byte;
}

/** True when [at, at + length) begins with `text`, which is in small letters, whatever the case there. */
export function begins(at: usize, length: i32, text: string): bool {
  if (length < text.length) return false;
  for (let i = 0; i < text.length; i++) if (fold(load<u8>(at + <usize>i)) != <u8>text.charCodeAt(i)) return false;
  return true;
}
