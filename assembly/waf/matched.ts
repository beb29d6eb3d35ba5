// MATCHED_VAR and MATCHED_VARS: what the rule that is evaluated has matched so far, over all links of its chain.
import { alloc } from '../arena';
import { KIND_ROW_WORDS, KIND_TEXT } from './abi';
import { kinds, strings } from './program';

const ENTRY_BYTES: i32 = 32; // { next, variable | COUNTED, name at, name length, value at, value length }
const COUNTED: i32 = 0x100;

let first: usize = 0;
let last: usize = 0;

/** Forgets MATCHED_VARS: a rule begins. */
export function clearMatched(): void {
  first = 0;
}
/** Forgets MATCHED_VAR too: the call begins, or what it pointed to is gone. */
export function forgetMatched(): void {
  first = 0;
  last = 0;
}

/** Adds a value; bytes are not copied. `counted`: it is the number of them (`&`). False when the arena is exhausted. */
export function addMatched(variable: i32, counted: bool, nameAt: usize, nameLength: i32, at: usize, length: i32): bool {
  const entry = alloc(ENTRY_BYTES);
  if (entry == 0) return false;
  store<u32>(entry, 0);
  store<i32>(entry, variable | (counted ? COUNTED : 0), 4);
  store<u32>(entry, <u32>nameAt, 8);
  store<i32>(entry, nameLength, 12);
  store<u32>(entry, <u32>at, 16);
  store<i32>(entry, length, 20);
  if (first == 0) first = entry;
  else store<u32>(last, <u32>entry);
  last = entry;
  return true;
}

export function firstMatched(): usize {
  return first;
}
/** The value that matched last; 0 for none. */
export function lastMatched(): usize {
  return last;
}
// @ts-ignore: decorator
@inline
export function nextMatched(entry: usize): usize {
  return load<u32>(entry);
}
// @ts-ignore: decorator
@inline
export function matchedAt(entry: usize): usize {
  return load<u32>(entry, 16);
}
// @ts-ignore: decorator
@inline
export function matchedLength(entry: usize): i32 {
  return load<i32>(entry, 20);
}

export function entryVariable(entry: usize): i32 {
  return load<i32>(entry, 4) & 0xff;
}
export function entryCounted(entry: usize): bool {
  return load<i32>(entry, 4) >= COUNTED;
}
export function entryKeyAt(entry: usize): usize {
  return load<u32>(entry, 8);
}
export function entryKeyLength(entry: usize): i32 {
  return load<i32>(entry, 12);
}

/** Bytes of the full name, `ARGS:q` or `&ARGS`. */
export function fullNameLength(entry: usize): i32 {
  const variable = load<i32>(entry, 4);
  const row = kinds + <usize>(variable & 0xff) * (KIND_ROW_WORDS * 4);
  const name = load<i32>(entry, 12);
  return load<i32>(row, KIND_TEXT * 4 + 4) + i32(variable >= COUNTED) + (name == 0 ? 0 : name + 1);
}
/** Writes the full name. */
export function writeFullName(entry: usize, to: usize): void {
  const variable = load<i32>(entry, 4);
  const row = kinds + <usize>(variable & 0xff) * (KIND_ROW_WORDS * 4);
  if (variable >= COUNTED) store<u8>(to++, 0x26);
  const length = <usize>load<u32>(row, KIND_TEXT * 4 + 4);
  memory.copy(to, strings + <usize>load<u32>(row, KIND_TEXT * 4), length);
  to += length;
  const name = <usize>load<u32>(entry, 12);
  if (name == 0) return;
  store<u8>(to++, 0x3a);
  memory.copy(to, load<u32>(entry, 8), name);
}
