// The values of one transaction: what the head and the body hold, by variable. Filled anew by each call, by the views of
// the head and the body processors; read by the scan and by the rules. Records live in the arena, in the order of adding.
//
// A record is COLLECTION_RECORD_BYTES { next of the same variable, nameAt, nameLength, valueAt, valueLength, string of the
// name, string of the value, variable }. ARGS and the *_NAMES variables have no records of their own: see targets.ts.
import { REASON_VALUES } from '../abi';
import { alloc, fail } from '../arena';
import { MAX_WAF_VALUES, VARIABLE_COUNT } from './abi';

export const COLLECTION_RECORD_BYTES: i32 = 32;

// Per variable: first record, last record, number of records.
const HEADS = memory.data(VARIABLE_COUNT * 12);
const EMPTY = memory.data(8);
let values: i32 = 0;

/** Forgets all values; first thing in a call. */
export function startCollections(): void {
  memory.fill(HEADS, 0, VARIABLE_COUNT * 12);
  values = 0;
}

/**
 * Adds one value. The bytes are not copied: they have to stay as they are until the call ends. False when the limit of
 * values or the arena is reached: the call ends as `limit`, and whoever adds has to stop.
 */
export function addValue(variable: i32, nameAt: usize, nameLength: i32, at: usize, length: i32): bool {
  if (values == MAX_WAF_VALUES) {
    fail(REASON_VALUES);
    return false;
  }
  const record = alloc(COLLECTION_RECORD_BYTES);
  if (record == 0) return false;
  values++;
  store<u32>(record, 0);
  store<u32>(record, <u32>nameAt, 4);
  store<i32>(record, nameLength, 8);
  store<u32>(record, <u32>at, 12);
  store<i32>(record, length, 16);
  store<u32>(record, 0, 20);
  store<u32>(record, 0, 24);
  store<i32>(record, variable, 28);
  const head = HEADS + <usize>variable * 12;
  const last = <usize>load<u32>(head, 4);
  if (last == 0) store<u32>(head, <u32>record);
  else store<u32>(last, <u32>record);
  store<u32>(head, <u32>record, 4);
  store<i32>(head, load<i32>(head, 8) + 1, 8);
  return true;
}

/** Takes all values of a variable away. */
export function dropValues(variable: i32): void {
  memory.fill(HEADS + <usize>variable * 12, 0, 12);
}

/** Sets a variable that has one value and no name; a second call replaces the first. Bytes are not copied. */
export function setText(variable: i32, at: usize, length: i32): bool {
  const record = firstValue(variable);
  if (record == 0) return addValue(variable, EMPTY, 0, at, length);
  store<u32>(record, <u32>at, 12);
  store<i32>(record, length, 16);
  store<u32>(record, 0, 24);
  return true;
}

/** The same with a number, which rules see as its decimal digits. */
export function setNumber(variable: i32, value: i32): bool {
  const text = alloc(12);
  if (text == 0) return false;
  const length = writeNumber(text, value);
  return setText(variable, text, length);
}

/** Writes the decimal digits of `value`, at most 11 bytes; how many. */
export function writeNumber(at: usize, value: i32): i32 {
  let rest: u32 = value < 0 ? 0 - <u32>value : <u32>value;
  let digits = 1;
  for (let more = rest / 10; more != 0; more /= 10) digits++;
  if (value < 0) {
    store<u8>(at++, 0x2d);
  }
  for (let p = at + <usize>digits; p > at; rest /= 10) store<u8>(--p, <u8>(rest % 10) + 0x30);
  return digits + i32(value < 0);
}

/** Number of values of all variables. */
export function valueCount(): i32 {
  return values;
}

/** First record of a variable, 0 when it has none. */
// @ts-ignore: decorator
@inline
export function firstValue(variable: i32): usize {
  return load<u32>(HEADS + <usize>variable * 12);
}
// @ts-ignore: decorator
@inline
export function nextValue(record: usize): usize {
  return load<u32>(record);
}
// @ts-ignore: decorator
@inline
export function nameAt(record: usize): usize {
  return load<u32>(record, 4);
}
// @ts-ignore: decorator
@inline
export function nameLength(record: usize): i32 {
  return load<i32>(record, 8);
}
// @ts-ignore: decorator
@inline
export function valueAt(record: usize): usize {
  return load<u32>(record, 12);
}
// @ts-ignore: decorator
@inline
export function valueLength(record: usize): i32 {
  return load<i32>(record, 16);
}
