// Sets of addresses and strings in SECTION_LISTS. The layout is in abi.ts; `checkLists` vouches for it.
import {
  LIST_ADDRESSES,
  LIST_HEADER_BYTES,
  LIST_STRINGS,
  SECTION_LISTS,
  SECTION_STRINGS,
} from './abi';
import { hashBytes } from './hash';
import { sectionAt, sectionLength } from './image';
import { checkTable, findSlot } from './table';

export function listCount(image: usize): i32 {
  return sectionLength(image, SECTION_LISTS) == 0 ? 0 : load<i32>(sectionAt(image, SECTION_LISTS));
}

/** Address of list `index`, which must be below listCount. */
export function listAt(image: usize, index: i32): usize {
  const section = sectionAt(image, SECTION_LISTS);
  return section + load<u32>(section + 4 + (<usize>index << 2));
}

export function listKind(list: usize): i32 {
  return load<i32>(list);
}

/** True when the address, 16 bytes in network order with IPv4 as ::ffff:a.b.c.d, is in the LIST_ADDRESSES at `list`. */
export function contains(list: usize, address: usize): bool {
  const high = bswap(load<u64>(address));
  const low = bswap(load<u64>(address, 8));
  const data = list + LIST_HEADER_BYTES;
  const count4 = load<u32>(list, 4);
  if (high == 0 && low >> 32 == 0xffff) {
    const key = <u32>low;
    let first: u32 = 0;
    let end = count4;
    while (first < end) {
      const middle = (first + end) >> 1;
      const range = data + (<usize>middle << 3);
      if (key < load<u32>(range)) end = middle;
      else if (key > load<u32>(range, 4)) first = middle + 1;
      else return true;
    }
    return false;
  }
  const ranges = data + (<usize>count4 << 3);
  let first: u32 = 0;
  let end = load<u32>(list, 8);
  while (first < end) {
    const middle = (first + end) >> 1;
    const range = ranges + (<usize>middle << 5);
    if (below(high, low, range)) end = middle;
    else if (above(high, low, range + 16)) first = middle + 1;
    else return true;
  }
  return false;
}

// @ts-ignore: decorator
@inline
function below(high: u64, low: u64, bound: usize): bool {
  const h = bswap(load<u64>(bound));
  return high < h || (high == h && low < bswap(load<u64>(bound, 8)));
}

// @ts-ignore: decorator
@inline
function above(high: u64, low: u64, bound: usize): bool {
  const h = bswap(load<u64>(bound));
  return high > h || (high == h && low > bswap(load<u64>(bound, 8)));
}

/** True when the bytes are one of the strings of the LIST_STRINGS at `list`. The empty string is value of the header. */
export function containsString(image: usize, list: usize, at: usize, length: i32): bool {
  const table = list + LIST_HEADER_BYTES;
  if (length == 0) return load<u32>(list, 8) != 0;
  return findSlot(table, sectionAt(image, SECTION_STRINGS), hashBytes(at, length), at, length) != 0;
}

/** Offset of the fault inside the section, or -1. */
export function checkLists(image: usize): i32 {
  const length = sectionLength(image, SECTION_LISTS);
  if (length == 0) return -1;
  const section = sectionAt(image, SECTION_LISTS);
  const count = load<u32>(section);
  if (length < 4 || <u64>count * 4 + 4 > <u64>length) return 0;
  let end: u32 = 4 + (count << 2); // lists stand in order of their index and don't overlap, so that checking them is linear
  for (let i: u32 = 0; i < count; i++) {
    const offset = load<u32>(section + 4 + (<usize>i << 2));
    if (offset < end || (offset & 3) != 0 || <u64>offset + LIST_HEADER_BYTES > <u64>length) return 4 + (i << 2);
    const list = section + offset;
    const kind = load<u32>(list);
    const a = load<u32>(list, 4);
    const b = load<u32>(list, 8);
    let bytes: u64;
    if (kind == LIST_ADDRESSES) bytes = (<u64>a << 3) + (<u64>b << 5);
    else if (kind == LIST_STRINGS) bytes = a;
    else return offset;
    if (<u64>offset + LIST_HEADER_BYTES + bytes > <u64>length) return offset;
    if (kind == LIST_STRINGS) {
      if (!checkTable(list + LIST_HEADER_BYTES, <i32>a, sectionLength(image, SECTION_STRINGS))) return offset;
    }
    end = offset + LIST_HEADER_BYTES + <u32>bytes;
  }
  return -1;
}
