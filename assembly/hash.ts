// The one hash function of the image's tables, shared with src/compiler/image.ts.
// FNV-1a can be extended byte by byte, which gives the hash of every prefix of a path in one pass; its low bits are weak,
// so the finalizer of MurmurHash3 mixes before use. Tables are fixed when the policy is compiled and bound their longest
// probe, so a client gains nothing from choosing colliding names.

export const HASH_START: u32 = 0x811c9dc5;

// @ts-ignore: decorator
@inline
export function extend(hash: u32, byte: u32): u32 {
  return (hash ^ byte) * 0x01000193;
}

// @ts-ignore: decorator
@inline
export function finish(hash: u32): u32 {
  hash ^= hash >> 16;
  hash *= 0x85ebca6b;
  hash ^= hash >> 13;
  hash *= 0xc2b2ae35;
  return hash ^ (hash >> 16);
}

/** Unfinished hash of a byte range, to be extended. */
export function running(at: usize, length: i32): u32 {
  let hash = HASH_START;
  for (const end = at + <usize>length; at < end; at++) hash = extend(hash, load<u8>(at));
  return hash;
}

export function hashBytes(at: usize, length: i32): u32 {
  return finish(running(at, length));
}

/** True when two ranges of equal length hold the same bytes. */
export function equalBytes(a: usize, b: usize, length: i32): bool {
  const end = a + <usize>length;
  for (; a + 8 <= end; a += 8, b += 8) if (load<u64>(a) != load<u64>(b)) return false;
  for (; a < end; a++, b++) if (load<u8>(a) != load<u8>(b)) return false;
  return true;
}
