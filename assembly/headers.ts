// Header tables: an index over the name and value pairs of a head. A table is 16 bytes in the arena,
//   { u32 count, u32 entries, u32 first entry by name id (0 until names are resolved), u32 number of name ids }
// and an entry is { nameAt, nameLength, valueAt, valueLength, hash of the name, i32 next entry of the same name id or -1 }.
import { HEADER_ENTRY_BYTES, SECTION_NAMES, SECTION_STRINGS, TABLE_HEADER_BYTES } from './abi';
import { alloc } from './arena';
import { sectionAt, sectionLength } from './image';
import { findSlot } from './table';

/** An empty table with room for `capacity` entries, or 0. */
export function newHeaders(capacity: i32): usize {
  const table = alloc(16);
  if (table == 0) return 0;
  const entries = alloc(capacity * HEADER_ENTRY_BYTES);
  if (entries == 0) return 0;
  store<u32>(table, 0);
  store<u32>(table, <u32>entries, 4);
  store<u64>(table, 0, 8);
  return table;
}

export function headerCount(table: usize): i32 {
  return load<i32>(table);
}

// @ts-ignore: decorator
@inline
export function headerEntry(table: usize, i: i32): usize {
  return <usize>load<u32>(table, 4) + <usize>i * HEADER_ENTRY_BYTES;
}
export function headerNameAt(table: usize, i: i32): usize {
  return load<u32>(headerEntry(table, i));
}
export function headerNameLength(table: usize, i: i32): i32 {
  return load<i32>(headerEntry(table, i), 4);
}
export function headerValueAt(table: usize, i: i32): usize {
  return load<u32>(headerEntry(table, i), 8);
}
export function headerValueLength(table: usize, i: i32): i32 {
  return load<i32>(headerEntry(table, i), 12);
}

/** First header with this name id of SECTION_NAMES, or -1. */
export function headerByNameId(table: usize, nameId: i32): i32 {
  const first = <usize>load<u32>(table, 8);
  if (first == 0 || <u32>nameId >= load<u32>(table, 12)) return -1;
  return load<i32>(first + (<usize>nameId << 2));
}

/** Next header with the same name as header `i`, or -1. */
export function nextHeader(table: usize, i: i32): i32 {
  return load<i32>(headerEntry(table, i), 20);
}

/** Number of name ids of an image. */
export function nameCount(image: usize): i32 {
  return sectionLength(image, SECTION_NAMES) == 0 ? 0 : load<i32>(sectionAt(image, SECTION_NAMES), 8);
}

/** Links every header to its name id in `image`; false when the arena is exhausted. */
export function resolveNames(table: usize, image: usize): bool {
  const names = nameCount(image);
  if (names == 0) return true;
  const first = alloc(names << 2);
  if (first == 0) return false;
  memory.fill(first, 0xff, <usize>names << 2);
  store<u32>(table, <u32>first, 8);
  store<u32>(table, names, 12);
  const section = sectionAt(image, SECTION_NAMES);
  const pool = sectionAt(image, SECTION_STRINGS);
  // From the last to the first, so that each chain runs in the order of the head.
  for (let i = load<i32>(table) - 1; i >= 0; i--) {
    const entry = headerEntry(table, i);
    const slot = findSlot(section, pool, load<u32>(entry, 16), load<u32>(entry), load<i32>(entry, 4));
    if (slot == 0) continue;
    // SAFETY: `checkNames` made sure that ids are below the number of entries.
    const head = first + (<usize>load<u32>(slot, 12) << 2);
    store<i32>(entry, load<i32>(head), 20);
    store<i32>(head, i);
  }
  return true;
}

/** True when every name id of the (already checked) table is below the number of its entries. */
export function checkNames(image: usize, maximum: i32): bool {
  const section = sectionAt(image, SECTION_NAMES);
  const slots = load<u32>(section);
  const names = load<u32>(section, 8);
  if (names > <u32>maximum) return false;
  for (let i: u32 = 0; i < slots; i++) {
    const slot = section + TABLE_HEADER_BYTES + (<usize>i << 4);
    if (load<u32>(slot, 8) != 0 && load<u32>(slot, 12) >= names) return false;
  }
  return true;
}

/** The first header with this name, a literal of lower-case ASCII; 0 for none. */
// @ts-ignore: decorator
@inline
export function headerEntryNamed(table: usize, name: string): usize {
  const count = table == 0 ? 0 : headerCount(table);
  for (let i = 0; i < count; i++) {
    const entry = headerEntry(table, i);
    if (load<i32>(entry, 4) == name.length && sameAscii(load<u32>(entry), name)) return entry;
  }
  return 0;
}

function sameAscii(at: usize, name: string): bool {
  for (let i = 0; i < name.length; i++) if (load<u8>(at + <usize>i) != <u8>name.charCodeAt(i)) return false;
  return true;
}
