// Runs DFAs: one load for the byte's class, one for the next state. See DFA in abi.ts.
import { spend } from '../arena';
import { MAX_DFA_STATES } from '../abi';
import {
  DFA_ACCEPTS,
  DFA_CLASSES,
  DFA_END,
  DFA_LISTS,
  DFA_SHIFT,
  DFA_START,
  DFA_STATES,
  DFA_TABLE,
  REGEX_CHUNK,
} from './abi';

// @ts-ignore: decorator
@inline
function step(dfa: usize, state: u32, column: u32, shift: u32): u32 {
  // SAFETY: state < states and column < 1 << shift, for every class and every table entry: checkDfa.
  return load<u16>(dfa + DFA_TABLE + (<usize>((state << shift) + column) << 1));
}

/** True when the single pattern of `dfa` matches; false also when the step budget is spent (arena.failure() says so). */
export function findDfa(dfa: usize, at: usize, length: i32): bool {
  const shift = load<u32>(dfa, DFA_SHIFT);
  const end = at + <usize>length;
  let state = load<u32>(dfa, DFA_START);
  while (at < end && state > 1) {
    let stop = at + REGEX_CHUNK;
    if (stop > end) stop = end;
    if (!spend(<i32>(stop - at))) return false;
    while (at < stop) {
      state = step(dfa, state, <u32>load<u8>(dfa + <usize>load<u8>(at), DFA_CLASSES), shift);
      if (state <= 1) break; // dead or matched, and either is for good
      at++;
    }
  }
  if (state > 1) state = step(dfa, state, load<u32>(dfa, DFA_END), shift);
  // State 1 accepts only if there is an accepting state at all.
  return state - 1 < load<u32>(dfa, DFA_ACCEPTS);
}

/** Sets the bits of an accepting state's patterns; false when the step budget is spent. */
function note(dfa: usize, state: u32, bitset: usize): bool {
  const lists = dfa + <usize>load<u32>(dfa, DFA_LISTS);
  const ids = lists + (<usize>(load<u32>(dfa, DFA_ACCEPTS) + 1) << 2);
  // SAFETY: 1 <= state <= accepts; the bounds ascend and end within the section, ids are below `patterns`: checkDfa.
  const first = load<u32>(lists + (<usize>(state - 1) << 2));
  const last = load<u32>(lists + (<usize>state << 2));
  // A list may be as long as the set has patterns.
  if (!spend(1 + <i32>(last - first))) return false;
  for (let i = first; i < last; i++) {
    const id = load<u32>(ids + (<usize>i << 2));
    const word = bitset + (<usize>(id >> 5) << 2);
    store<u32>(word, load<u32>(word) | (1 << (id & 31)));
  }
  return true;
}

/** Sets the bits of all patterns that match. `bitset` has a bit for each pattern of the set. */
export function matchSetDfa(dfa: usize, at: usize, length: i32, bitset: usize): void {
  const shift = load<u32>(dfa, DFA_SHIFT);
  const accepts = load<u32>(dfa, DFA_ACCEPTS);
  const end = at + <usize>length;
  let state = load<u32>(dfa, DFA_START);
  let noted: u32 = 0; // the same accepting state again, as in a loop, has nothing new to say
  if (state - 1 < accepts && !note(dfa, (noted = state), bitset)) return;
  while (at < end && state != 0) {
    let stop = at + REGEX_CHUNK;
    if (stop > end) stop = end;
    if (!spend(<i32>(stop - at))) return;
    for (; at < stop; at++) {
      state = step(dfa, state, <u32>load<u8>(dfa + <usize>load<u8>(at), DFA_CLASSES), shift);
      if (state - 1 < accepts && state != noted) {
        noted = state;
        if (!note(dfa, state, bitset)) return;
      }
    }
  }
  state = step(dfa, state, load<u32>(dfa, DFA_END), shift);
  if (state - 1 < accepts) note(dfa, state, bitset);
}

/** Every number in the DFA, so that the loops above need no checks. `patterns` bounds the ids of a set. */
export function checkDfa(dfa: usize, length: u32, patterns: u32, set: bool): bool {
  if (length < <u32>DFA_TABLE) return false;
  const states = load<u32>(dfa, DFA_STATES);
  const accepts = load<u32>(dfa, DFA_ACCEPTS);
  const shift = load<u32>(dfa, DFA_SHIFT);
  if (states == 0 || states > <u32>MAX_DFA_STATES + 1 || accepts >= states || shift == 0 || shift > 9) return false;
  const columns: u32 = 1 << shift;
  if (load<u32>(dfa, DFA_START) >= states || load<u32>(dfa, DFA_END) >= columns) return false;
  // SAFETY: at most 4097 * 512 * 2 bytes, no overflow.
  const tableBytes = (states << shift) << 1;
  if (tableBytes > length - <u32>DFA_TABLE) return false;
  for (let byte: usize = 0; byte < 256; byte++) {
    if (<u32>load<u8>(dfa + byte, DFA_CLASSES) >= columns) return false;
  }
  const table = dfa + DFA_TABLE;
  for (let i: usize = 0; i < tableBytes; i += 2) {
    if (<u32>load<u16>(table + i) >= states) return false;
  }
  const lists = load<u32>(dfa, DFA_LISTS);
  if (!set) return lists == 0 && accepts <= 1;
  if (lists != <u32>DFA_TABLE + tableBytes) return false;
  const words = (length - lists) >> 2;
  if (words < accepts + 1) return false;
  const idWords = words - accepts - 1;
  let before: u32 = 0;
  for (let i: u32 = 0; i <= accepts; i++) {
    const first = load<u32>(dfa + <usize>lists + (<usize>i << 2));
    // A list longer than the set would repeat itself: the cost of `note` is bounded by the number of patterns.
    if (first < before || first > idWords || first - before > patterns) return false;
    before = first;
  }
  const ids = dfa + <usize>lists + (<usize>(accepts + 1) << 2);
  for (let i: u32 = 0; i < idWords; i++) {
    if (load<u32>(ids + (<usize>i << 2)) >= patterns) return false;
  }
  return true;
}
