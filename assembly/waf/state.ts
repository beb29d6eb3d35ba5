// What a transaction carries from one call to the next: the engine's mode, what ctl has set and removed, and the TX
// variables that later phases look at. Layout: TRANSACTION STATE in abi.ts.
import { alloc, fail } from '../arena';
import { REASON_STATE, STATE_AT, STATE_BYTES } from '../abi';
import {
  ENGINE_DETECT,
  ENGINE_OFF,
  ENGINE_ON,
  PROGRAM_FLAG_ENFORCE,
  PROGRAM_TX_READERS,
  REMOVAL_ROW_WORDS,
  SLOT_ROW_WORDS,
  TX_NAMED,
  TX_UNSET,
  WAF_STATE_FIXED_BYTES,
  WAF_STATE_MARK,
} from './abi';
import { flags, program, removalCount, removals, ruleCount, slotCount, slots, strings, words } from './program';
import * as tx from './tx';

export let engine: i32 = ENGINE_OFF;
/** DISRUPTIVE_ALLOW_* of an allow that holds beyond its phase, or 0. */
export let allowed: i32 = 0;
/** PROCESSOR_* that ctl has chosen, -1: by Content-Type. */
export let processor: i32 = -1;
export let forceBody: bool = false;
export let bodyAccess: bool = true;
/** Whether phase 4 sees the body of the answer. */
export let responseAccess: bool = true;
/** The body of the request was longer than is looked at: INBOUND_DATA_ERROR. */
export let inboundError: bool = false;
export let highestSeverity: i32 = 255;
/** WAF_PHASE_* bits. */
export let phasesDone: i32 = 0;
/** How many removals a ctl has made. */
export let activeRemovals: i32 = 0;

let active: usize = 0; // one bit for each removal
let removed: usize = 0; // one bit for each rule

export function setEngine(mode: i32): void {
  engine = mode;
}
export function setAllowed(scope: i32): void {
  allowed = scope;
}
export function setProcessorChoice(id: i32): void {
  processor = id;
}
export function setForceBody(on: bool): void {
  forceBody = on;
}
export function setBodyAccess(on: bool): void {
  bodyAccess = on;
}
export function setResponseAccess(on: bool): void {
  responseAccess = on;
}
export function setInboundError(): void {
  inboundError = true;
}
export function raiseSeverity(severity: i32): void {
  // SPEC: ModSecurity leaves 0 (EMERGENCY) out.
  if (severity > 0 && severity < highestSeverity) highestSeverity = severity;
}
export function setPhaseDone(bit: i32): void {
  phasesDone |= bit;
}

// @ts-ignore: decorator
@inline
function bit(bits: usize, index: i32): bool {
  return (load<u8>(bits + <usize>(index >> 3)) & <u8>(1 << <u8>(index & 7))) != 0;
}

export function isRemoved(rule: i32): bool {
  return activeRemovals != 0 && bit(removed, rule);
}
export function isActive(removal: i32): bool {
  return bit(active, removal);
}
/** Whether a removal means a rule. */
export function removes(removal: i32, rule: i32): bool {
  return bit(removalBits(removal), rule);
}

function removalBits(removal: i32): usize {
  return words + (<usize>load<u32>(removals + <usize>removal * (REMOVAL_ROW_WORDS * 4)) << 2);
}

/** Carries out a ctl:ruleRemove... */
export function activate(removal: i32): void {
  if (isActive(removal)) return;
  const at = active + <usize>(removal >> 3);
  store<u8>(at, load<u8>(at) | <u8>(1 << <u8>(removal & 7)));
  activeRemovals++;
  // With a target only that is removed, see targets.ts.
  if (load<i32>(removals + <usize>removal * (REMOVAL_ROW_WORDS * 4), 4) != -1) return;
  const bits = removalBits(removal);
  const bytes = <usize>((ruleCount + 7) >> 3);
  for (let i: usize = 0; i < bytes; i++) store<u8>(removed + i, load<u8>(removed + i) | load<u8>(bits + i));
}

/** A transaction begins; false when the arena is exhausted. */
export function startState(): bool {
  engine = (flags & PROGRAM_FLAG_ENFORCE) != 0 ? ENGINE_ON : ENGINE_DETECT;
  allowed = 0;
  processor = -1;
  forceBody = false;
  bodyAccess = true;
  responseAccess = true;
  inboundError = false;
  highestSeverity = 255;
  phasesDone = 0;
  activeRemovals = 0;
  const removalBytes = (removalCount + 7) >> 3;
  const ruleBytes = (ruleCount + 7) >> 3;
  active = alloc(removalBytes + ruleBytes);
  if (active == 0) return false;
  removed = active + <usize>removalBytes;
  memory.fill(active, 0, removalBytes + ruleBytes);
  return tx.startTx();
}

/**
 * Goes on with the state that an earlier call left at `offset` of the transaction state, which has `length` bytes in all;
 * after `startState`. State of another program, or none, is no state. It comes back from the host as it was written, but
 * nothing here relies on that.
 */
export function loadState(offset: i32, length: i32, number: i32): void {
  if (length < offset + WAF_STATE_FIXED_BYTES || length > STATE_BYTES) return;
  const at = <usize>(STATE_AT + offset);
  const end = <usize>(STATE_AT + length);
  if (load<u32>(at) != <u32>(WAF_STATE_MARK | number)) return;
  engine = min<i32>(load<u8>(at, 4), ENGINE_ON);
  allowed = load<u8>(at, 5);
  processor = load<i8>(at, 6);
  forceBody = load<u8>(at, 7) != 0;
  highestSeverity = load<u8>(at, 8);
  phasesDone = load<u8>(at, 9);
  bodyAccess = load<u8>(at, 10) != 0;
  inboundError = (load<u8>(at, 11) & 1) != 0;
  responseAccess = (load<u8>(at, 11) & 2) == 0;
  let from = at + WAF_STATE_FIXED_BYTES;
  const bytes = <usize>((((removalCount + 7) >> 3) + 3) & ~3);
  if (from + bytes > end) return;
  for (let i = 0; i < removalCount; i++) if (bit(from, i)) activate(i);
  from += bytes;
  while (from + 4 <= end) {
    const slot = <i32>load<u16>(from);
    let size = <i32>load<u16>(from, 2);
    from += 4;
    if (slot == TX_NAMED) {
      if (from + 2 > end) return;
      const value = <i32>load<u16>(from);
      from += 2;
      if (from + <usize>(size + value) > end) return;
      const cell = tx.namedCell(from, size, true);
      if (cell == 0 || !tx.setCell(cell, from + <usize>size, value)) return;
      from += <usize>(size + value);
      continue;
    }
    if (slot >= slotCount) return;
    if (size == TX_UNSET) {
      tx.unsetCell(tx.slotCell(slot));
      continue;
    }
    if (from + <usize>size > end || !tx.setCell(tx.slotCell(slot), from, size)) return;
    from += <usize>size;
  }
}

/**
 * Writes the state at `offset`; its end, or -1 when it doesn't fit: then the call has to end as `limit`, since later phases
 * would judge by other values than these. `phases`: WAF_PHASE_* bits that may still come; with all of them, all of TX.
 */
export function saveState(offset: i32, number: i32, phases: i32): i32 {
  const at = <usize>(STATE_AT + offset);
  const end = <usize>(STATE_AT + STATE_BYTES);
  const bytes = <usize>((((removalCount + 7) >> 3) + 3) & ~3);
  let to = at + WAF_STATE_FIXED_BYTES + bytes;
  if (to > end) return -1;
  store<u32>(at, WAF_STATE_MARK | number);
  store<u8>(at, engine, 4);
  store<u8>(at, allowed, 5);
  store<i8>(at, <i8>processor, 6);
  store<u8>(at, u8(forceBody), 7);
  store<u8>(at, highestSeverity, 8);
  store<u8>(at, phasesDone, 9);
  store<u8>(at, u8(bodyAccess), 10);
  store<u8>(at, u8(inboundError) | (u8(!responseAccess) << 1), 11);
  memory.fill(to - bytes, 0, bytes);
  memory.copy(to - bytes, active, <usize>((removalCount + 7) >> 3));
  for (let i = 0; i < slotCount; i++) {
    const row = slots + <usize>i * (SLOT_ROW_WORDS * 4);
    if ((load<i32>(row, 16) & phases) == 0 && phases != 31) continue;
    const cell = tx.slotCell(i);
    const initial: usize = load<i32>(row, 12) == -1 ? 0 : strings + <usize>load<u32>(row, 8);
    // What is as it began needs no carrying.
    if (tx.cellAt(cell) == initial && phases != 31) continue;
    if (!tx.isSet(cell)) {
      if (initial == 0) continue;
      if (to + 4 > end) return -1;
      store<u16>(to, i);
      store<u16>(to, TX_UNSET, 2);
      to += 4;
      continue;
    }
    const length = tx.cellLength(cell);
    if (length >= TX_UNSET || to + 4 + <usize>length > end) return -1;
    store<u16>(to, i);
    store<u16>(to, length, 2);
    memory.copy(to + 4, tx.cellAt(cell), length);
    to += 4 + <usize>length;
  }
  if ((load<i32>(program + (PROGRAM_TX_READERS << 2)) & phases) == 0 && phases != 31) return <i32>(to - STATE_AT);
  for (let entry = tx.firstEntry(); entry != 0; entry = tx.nextEntry(entry)) {
    if (!tx.isSet(entry)) continue;
    const name = tx.entryNameLength(entry);
    const length = tx.cellLength(entry);
    if (name >= TX_NAMED || length >= TX_NAMED || to + 6 + <usize>(name + length) > end) return -1;
    store<u16>(to, TX_NAMED);
    store<u16>(to, name, 2);
    store<u16>(to, length, 4);
    memory.copy(to + 6, tx.entryNameAt(entry), name);
    memory.copy(to + 6 + <usize>name, tx.cellAt(entry), length);
    to += 6 + <usize>(name + length);
  }
  return <i32>(to - STATE_AT);
}

export function failState(): void {
  fail(REASON_STATE);
}
