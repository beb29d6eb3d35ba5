// Addresses that operators publish for their agents: which lists an address is in. See ADDRESSES in abi.ts.
import { SECTION_ADDRESSES } from '../abi';
import { sectionAt, sectionLength } from '../image';
import {
  ADDRESSES_EXPIRY,
  ADDRESSES_HEADER_BYTES,
  ADDRESSES_KNOWN,
  ADDRESSES_SETS,
  ADDRESSES_V4,
  ADDRESSES_V6,
  MAX_ADDRESS_RANGES,
  MAX_ADDRESS_SETS,
} from './abi';

/**
 * Bits of the lists that have the address, 16 bytes in network order with IPv4 as ::ffff:a.b.c.d. `image` is an agents image
 * that was checked.
 */
export function listsWith(image: usize, address: usize): u32 {
  if (sectionLength(image, SECTION_ADDRESSES) == 0) return 0;
  const table = sectionAt(image, SECTION_ADDRESSES);
  const count4 = <usize>load<u32>(table, ADDRESSES_V4);
  const count6 = <usize>load<u32>(table, ADDRESSES_V6);
  const sets = table + ADDRESSES_HEADER_BYTES;
  const low4 = sets + (<usize>load<u32>(table, ADDRESSES_SETS) << 2);
  const low6 = low4 + (count4 << 3);
  const ids = low6 + (count6 << 5);
  const high = bswap(load<u64>(address));
  const low = bswap(load<u64>(address, 8));
  if (high == 0 && low >> 32 == 0xffff) {
    if (count4 == 0) return 0;
    const key = <u32>low;
    // The last range that begins at or before the address; PERF: without a branch that could be mispredicted.
    let at: usize = 0;
    for (let left = count4; left > 1; ) {
      const half = left >> 1;
      at = select<usize>(at + half, at, load<u32>(low4 + ((at + half) << 2)) <= key);
      left -= half;
    }
    if (key < load<u32>(low4 + (at << 2)) || key > load<u32>(low4 + ((count4 + at) << 2))) return 0;
    return load<u32>(sets + (<usize>load<u8>(ids + at) << 2));
  }
  if (count6 == 0) return 0;
  let at: usize = 0;
  for (let left = count6; left > 1; ) {
    const half = left >> 1;
    at = select<usize>(at + half, at, !above(low6 + ((at + half) << 4), high, low));
    left -= half;
  }
  if (above(low6 + (at << 4), high, low) || below(low6 + ((count6 + at) << 4), high, low)) return 0;
  return load<u32>(sets + (<usize>load<u8>(ids + count4 + at) << 2));
}

/**
 * Bits of those of `lists` that say at this time who does not belong to an agent: they are known and have not expired.
 * `now` is seconds since the epoch.
 */
export function listsThatDeny(image: usize, lists: u32, now: u32): u32 {
  if (sectionLength(image, SECTION_ADDRESSES) == 0) return 0;
  const table = sectionAt(image, SECTION_ADDRESSES);
  let left = lists & load<u32>(table, ADDRESSES_KNOWN);
  let deny: u32 = 0;
  while (left != 0) {
    const index = <usize>ctz(left);
    left &= left - 1;
    if (now < load<u32>(table + ADDRESSES_EXPIRY + (index << 2))) deny |= 1 << <u32>index;
  }
  return deny;
}

// @ts-ignore: decorator
@inline
function above(bound: usize, high: u64, low: u64): bool {
  const h = bswap(load<u64>(bound));
  return h > high || (h == high && bswap(load<u64>(bound, 8)) > low);
}

// @ts-ignore: decorator
@inline
function below(bound: usize, high: u64, low: u64): bool {
  const h = bswap(load<u64>(bound));
  return h < high || (h == high && bswap(load<u64>(bound, 8)) < low);
}

/** Offset of the fault inside SECTION_ADDRESSES, or -1. */
export function checkAddresses(image: usize): i32 {
  const length = sectionLength(image, SECTION_ADDRESSES);
  if (length == 0) return -1;
  if (length < ADDRESSES_HEADER_BYTES) return 0;
  const table = sectionAt(image, SECTION_ADDRESSES);
  const count4 = load<u32>(table, ADDRESSES_V4);
  const count6 = load<u32>(table, ADDRESSES_V6);
  const sets = load<u32>(table, ADDRESSES_SETS);
  if (count4 > <u32>MAX_ADDRESS_RANGES || count6 > <u32>MAX_ADDRESS_RANGES || sets > <u32>MAX_ADDRESS_SETS) return 0;
  const bytes = ADDRESSES_HEADER_BYTES + (sets << 2) + (count4 << 3) + (count6 << 5) + count4 + count6;
  if (((bytes + 3) & ~3) != <u32>length) return 0;
  const low4 = ADDRESSES_HEADER_BYTES + (sets << 2);
  for (let i: u32 = 0; i < count4; i++) {
    const at = low4 + (i << 2);
    const high = load<u32>(table + at + (count4 << 2));
    if (load<u32>(table + at) > high) return at;
    if (i + 1 < count4 && load<u32>(table + at, 4) <= high) return at;
  }
  const low6 = low4 + (count4 << 3);
  for (let i: u32 = 0; i < count6; i++) {
    const at = low6 + (i << 4);
    const bound = table + at + (count6 << 4);
    const high = bswap(load<u64>(bound));
    const low = bswap(load<u64>(bound, 8));
    if (above(table + at, high, low)) return at;
    if (i + 1 < count6 && !above(table + at + 16, high, low)) return at;
  }
  const ids = low6 + (count6 << 5);
  for (let i: u32 = 0; i < count4 + count6; i++) if (<u32>load<u8>(table + ids + i) >= sets) return ids + i;
  return -1;
}
