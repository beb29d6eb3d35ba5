// TX: the variables of a transaction. Those that rules name have a slot; names that a macro makes are entries of a list.
// Values are bytes; a number is its decimal digits. A cell is { u32 at, u32 length }, `at` 0 when the variable is not set.
import { alloc, keep, spend } from '../arena';
import { NONE, SLOT_ROW_WORDS } from './abi';
import { writeNumber } from './collections';
import { equalFolded } from './name';
import { slotCount, slots, strings } from './program';

const ENTRY_BYTES: i32 = 20; // { cell, name at, name length, next }

let cells: usize = 0;
let first: usize = 0;
let last: usize = 0;
/** Set when the arena now holds something of TX above an earlier mark: it must not be released. */
export let pinned: bool = false;

export function pin(): void {
  pinned = true;
}

export function clearPinned(): void {
  pinned = false;
}

/** Gives the slots their first values; false when the arena is exhausted. */
export function startTx(): bool {
  first = 0;
  last = 0;
  cells = alloc(slotCount << 3);
  if (cells == 0) return false;
  for (let i = 0; i < slotCount; i++) {
    const row = slots + <usize>i * (SLOT_ROW_WORDS * 4);
    const cell = cells + (<usize>i << 3);
    const length = load<u32>(row, 12);
    store<u32>(cell, length == NONE ? 0 : <u32>(strings + <usize>load<u32>(row, 8)));
    store<u32>(cell, length == NONE ? 0 : length, 4);
  }
  return true;
}

// @ts-ignore: decorator
@inline
export function slotCell(slot: i32): usize {
  return cells + (<usize>slot << 3);
}
export function slotNameAt(slot: i32): usize {
  return strings + <usize>load<u32>(slots + <usize>slot * (SLOT_ROW_WORDS * 4));
}
export function slotNameLength(slot: i32): i32 {
  return load<i32>(slots + <usize>slot * (SLOT_ROW_WORDS * 4), 4);
}
// @ts-ignore: decorator
@inline
export function isSet(cell: usize): bool {
  return load<u32>(cell) != 0;
}
// @ts-ignore: decorator
@inline
export function cellAt(cell: usize): usize {
  return load<u32>(cell);
}
// @ts-ignore: decorator
@inline
export function cellLength(cell: usize): i32 {
  return load<i32>(cell, 4);
}

/** Entries of names that have no slot; 0 ends. An entry is its own cell. */
export function firstEntry(): usize {
  return first;
}
export function lastEntry(): usize {
  return last;
}
// @ts-ignore: decorator
@inline
export function nextEntry(entry: usize): usize {
  return load<u32>(entry, 16);
}
// @ts-ignore: decorator
@inline
export function entryNameAt(entry: usize): usize {
  return load<u32>(entry, 8);
}
// @ts-ignore: decorator
@inline
export function entryNameLength(entry: usize): i32 {
  return load<i32>(entry, 12);
}

/** Cell of a name, whatever its case; 0 when it has none (or, with `create`, when the arena or the steps are spent). */
export function namedCell(at: usize, length: i32, create: bool): usize {
  if (!spend(slotCount >> 3)) return 0;
  for (let i = 0; i < slotCount; i++) {
    if (slotNameLength(i) == length && equalFolded(at, slotNameAt(i), length)) return slotCell(i);
  }
  for (let entry = first; entry != 0; entry = nextEntry(entry)) {
    if (!spend(1)) return 0;
    if (entryNameLength(entry) == length && equalFolded(at, entryNameAt(entry), length)) return entry;
  }
  if (!create) return 0;
  const name = copy(at, length);
  const entry = keep(ENTRY_BYTES);
  if (name == 0 || entry == 0) return 0;
  store<u64>(entry, 0);
  store<u32>(entry, <u32>name, 8);
  store<i32>(entry, length, 12);
  store<u32>(entry, 0, 16);
  if (last == 0) first = entry;
  else store<u32>(last, <u32>entry, 16);
  last = entry;
  return entry;
}

/** Sets a cell to a copy of the bytes; false when the arena is exhausted. */
export function setCell(cell: usize, at: usize, length: i32): bool {
  const kept = copy(at, length);
  if (kept == 0) return false;
  store<u32>(cell, <u32>kept);
  store<i32>(cell, length, 4);
  return true;
}

/** The same with bytes that stay where they are until the call ends. */
export function pointCell(cell: usize, at: usize, length: i32): void {
  store<u32>(cell, <u32>at);
  store<i32>(cell, length, 4);
}

export function setCellNumber(cell: usize, value: i32): bool {
  const text = keep(12);
  if (text == 0) return false;
  pointCell(cell, text, writeNumber(text, value));
  return true;
}

export function unsetCell(cell: usize): void {
  store<u64>(cell, 0);
}

/** Not among what rules compute meanwhile, which is given back. Not even nothing is at 0, which says that a cell is not set. */
function copy(at: usize, length: i32): usize {
  const to = keep(length);
  if (to != 0) memory.copy(to, at, <usize>length);
  return to;
}
