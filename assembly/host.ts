// Host names: what is a valid authority, and which entry of a host table a name belongs to.
import { MAX_HOST_BYTES, SECTION_HOSTS, SECTION_STRINGS, TABLE_HEADER_BYTES } from './abi';
import { parse6 } from './address';
import { alloc } from './arena';
import { extend, finish, HASH_START } from './hash';
import { sectionAt, sectionLength } from './image';
import { findSlot } from './table';

// What `parseAuthority` found.
export let nameAt: usize = 0; // canonical: lower case, no trailing dot; in the arena if it had to be changed
export let nameLength: i32 = 0;
export let port: i32 = 0; // 0 when there is none

const ADDRESS = memory.data(16); // where an IPv6 address goes; only whether it is one matters

/**
 * Reads host[:port]: a DNS name of letters, digits, hyphens and underscores, an IPv4 address, or IPv6 in brackets. False
 * for everything else: user info, lists, percent-encoding, other bytes, empty labels, ports over 65535.
 */
export function parseAuthority(at: usize, end: usize): bool {
  let nameEnd = at;
  let upper = false;
  if (at < end && load<u8>(at) == 0x5b) {
    nameEnd++;
    while (nameEnd < end && load<u8>(nameEnd) != 0x5d) {
      const byte = load<u8>(nameEnd++);
      upper = upper || (byte & 0xe0) == 0x40;
    }
    // SAFETY: only an address is let through, so that a name never has more dots than labels: see `startHosts`.
    if (nameEnd == end || !parse6(at + 1, nameEnd, ADDRESS)) return false;
    nameEnd++;
  } else {
    let label = at;
    for (; nameEnd < end; nameEnd++) {
      const byte = load<u8>(nameEnd);
      if (byte == 0x2e) {
        if (nameEnd == label) return false;
        label = nameEnd + 1;
      } else if (byte == 0x3a) break;
      else if (<u32>byte - 0x41 <= 25) upper = true;
      else if (!(<u32>byte - 0x61 <= 25 || isDigit(byte) || byte == 0x2d || byte == 0x5f)) return false;
    }
  }
  port = 0;
  if (nameEnd < end) {
    if (load<u8>(nameEnd) != 0x3a || end - nameEnd > 6) return false;
    for (let p = nameEnd + 1; p < end; p++) {
      if (!isDigit(load<u8>(p))) return false;
      port = port * 10 + <i32>(load<u8>(p) - 0x30);
    }
    if (port > 65535) return false;
  }
  if (nameEnd > at && load<u8>(nameEnd - 1) == 0x2e) nameEnd--;
  nameLength = <i32>(nameEnd - at);
  if (nameLength == 0 || nameLength > MAX_HOST_BYTES) return false;
  nameAt = at;
  if (upper) {
    nameAt = alloc(nameLength);
    if (nameAt == 0) return false;
    for (let i: usize = 0; i < <usize>nameLength; i++) {
      const byte = load<u8>(at + i);
      store<u8>(nameAt + i, <u32>byte - 0x41 <= 25 ? byte | 0x20 : byte);
    }
  }
  return true;
}

// @ts-ignore: decorator
@inline
function isDigit(byte: u8): bool {
  return <u32>byte - 0x30 <= 9;
}

// The entries of a host table that cover a name, most specific first: exact, wildcards from the longest, `*`.
let table: usize = 0;
let pool: usize = 0;
let suffixes: usize = 0; // { u32 address of the dot, u32 unfinished hash }, the longest suffix last
let suffixCount: i32 = 0;
let whole: u32 = 0;
let state: i32 = 0;
let subject: usize = 0;
let subjectLength: i32 = 0;

/** Starts a search; false when the arena is exhausted. An image without host table gives no entries. */
export function startHosts(image: usize, at: usize, length: i32): bool {
  table = sectionLength(image, SECTION_HOSTS) == 0 ? 0 : sectionAt(image, SECTION_HOSTS);
  pool = sectionAt(image, SECTION_STRINGS);
  subject = at;
  subjectLength = length;
  suffixCount = 0;
  state = 0;
  // SAFETY: labels are not empty and an IPv6 address has three dots at most, so dots are at most half of the bytes.
  suffixes = alloc((length >> 1) * 8 + 8);
  if (suffixes == 0) return false;
  // From the last byte to the first, so that one pass gives the hash of every suffix.
  let hash = HASH_START;
  for (let i = length - 1; i >= 0; i--) {
    const byte = load<u8>(at + <usize>i);
    hash = extend(hash, byte);
    if (byte == 0x2e && i > 0) {
      const entry = suffixes + (<usize>(suffixCount++) << 3);
      store<u32>(entry, <u32>(at + <usize>i));
      store<u32>(entry, hash, 4);
    }
  }
  whole = hash;
  return true;
}

/** Value of the next entry that covers the name, or -1 when there is none left. */
export function nextHost(): i32 {
  if (table == 0) return -1;
  if (state == 0) {
    state = 1;
    const slot = findSlot(table, pool, finish(whole), subject, subjectLength);
    if (slot != 0) return load<i32>(slot, 12);
  }
  while (suffixCount > 0) {
    const entry = suffixes + (<usize>(--suffixCount) << 3);
    const dot = <usize>load<u32>(entry);
    const slot = findSlot(table, pool, finish(load<u32>(entry, 4)), dot, <i32>(subject + <usize>subjectLength - dot));
    if (slot != 0) return load<i32>(slot, 12);
  }
  if (state == 1) {
    state = 2;
    return load<i32>(table, 12);
  }
  return -1;
}

/** True when every value of the (already checked) table, and that of `*`, is below `values`. */
export function checkHosts(image: usize, values: u32): bool {
  const section = sectionAt(image, SECTION_HOSTS);
  const slots = load<u32>(section);
  const any = load<u32>(section, 12);
  if (any != 0xffffffff && any >= values) return false;
  for (let i: u32 = 0; i < slots; i++) {
    const slot = section + TABLE_HEADER_BYTES + (<usize>i << 4);
    if (load<u32>(slot, 8) != 0 && load<u32>(slot, 12) >= values) return false;
  }
  return true;
}
