// The sparse-set machine: every state of the NFA at most once per byte, so time is states times bytes, whatever the
// pattern. Serves the patterns whose DFA would be too large, and captures. See NFA in abi.ts.
import { alloc, mark, release, spend } from '../arena';
import {
  ASSERT_END,
  ASSERT_END_LINE,
  ASSERT_NOT_WORD_UTF8,
  ASSERT_START,
  ASSERT_START_LINE,
  ASSERT_WORD,
  MAX_NFA_STATES,
  MAX_NFA_TRANSITIONS,
  NFA_ANCHORED,
  NFA_ASSERT,
  NFA_LEAVES,
  NFA_MATCH,
  NFA_RANGES,
  NFA_SAVE,
  NFA_SPLIT,
  NFA_START,
  NFA_STATES,
  NFA_STATE_BYTES,
  NFA_TABLE,
  NFA_TRANSITIONS,
  NFA_TRANSITION_BYTES,
  REGEX_UNSET,
} from './abi';

// Registers of the run at hand; set at the start of each run, so nothing lives on between calls.
let table: usize = 0; // states
let transitions: usize = 0;
let textAt: usize = 0;
let textEnd: usize = 0;
let slotBytes: usize = 0; // bytes of one thread's slots; 0 = not capturing
let stack: usize = 0;
// Two lists of states: dense holds them in order of priority, sparse says where in dense a state stands.
let dense: usize = 0;
let sparse: usize = 0;
let count: u32 = 0;
let slots: usize = 0;
let current: usize = 0; // slots of the thread that is being followed

// @ts-ignore: decorator
@inline
function word(byte: u32): bool {
  return byte - 0x30 < 10 || (byte | 32) - 0x61 < 26 || byte == 0x5f;
}

function holds(kind: u32, at: usize): bool {
  if (kind == ASSERT_START) return at == textAt;
  if (kind == ASSERT_END) return at == textEnd;
  if (kind == ASSERT_START_LINE) return at == textAt || load<u8>(at - 1) == 10;
  if (kind == ASSERT_END_LINE) return at == textEnd || load<u8>(at) == 10;
  if (kind == ASSERT_NOT_WORD_UTF8 && at != textEnd && (load<u8>(at) & 0xc0) == 0x80) return false;
  const before = at != textAt && word(<u32>load<u8>(at - 1));
  const after = at != textEnd && word(<u32>load<u8>(at));
  return (before != after) == (kind == ASSERT_WORD);
}

// Adds `from` and what it reaches without a byte to the list, in order of priority. The stack holds states to visit and,
// marked by the top bit, slots to restore: a slot saved on one branch must not be seen by the next.
function follow(from: u32, at: usize): bool {
  let top = stack;
  store<u32>(top, from);
  top += 8;
  let visited: i32 = 0;
  while (top > stack) {
    top -= 8;
    let id = load<u32>(top);
    if (id >> 31) {
      store<u32>(current + (<usize>(id & 0x7fffffff) << 2), load<u32>(top, 4));
      continue;
    }
    while (true) {
      // SAFETY: `id` is below the number of states (checkNfa). sparse is not cleared: an entry counts only if it points
      // below `count` at a dense entry that points back.
      const place = load<u32>(sparse + (<usize>id << 2));
      if (place < count && load<u32>(dense + (<usize>place << 2)) == id) break;
      store<u32>(dense + (<usize>count << 2), id);
      store<u32>(sparse + (<usize>id << 2), count);
      count++;
      visited++;
      const state = table + <usize>id * NFA_STATE_BYTES;
      const op = load<u32>(state);
      if (op == NFA_SPLIT) {
        // SAFETY: a visited state pushes at most one entry, and the stack has room for one per state and the first.
        store<u32>(top, load<u32>(state, 8));
        top += 8;
        id = load<u32>(state, 4);
      } else if (op == NFA_SAVE) {
        if (slotBytes != 0) {
          const slot = load<u32>(state, 8);
          const place = current + (<usize>slot << 2);
          store<u32>(top, slot | 0x80000000);
          store<u32>(top, load<u32>(place), 4);
          top += 8;
          store<u32>(place, <u32>(at - textAt));
        }
        id = load<u32>(state, 4);
      } else if (op == NFA_ASSERT) {
        if (!holds(load<u32>(state, 8), at)) break;
        id = load<u32>(state, 4);
      } else {
        // SAFETY: leaves are numbered first, and `slots` has a row for each.
        if (slotBytes != 0) memory.copy(slots + <usize>id * slotBytes, current, slotBytes);
        break;
      }
    }
  }
  return spend(visited);
}

// Where a leaf goes on this byte, or REGEX_UNSET.
// @ts-ignore: decorator
@inline
function next(state: usize, byte: u32): u32 {
  let entry = transitions + <usize>load<u32>(state, 4) * NFA_TRANSITION_BYTES;
  const last = entry + <usize>load<u32>(state, 8) * NFA_TRANSITION_BYTES;
  for (; entry < last; entry += NFA_TRANSITION_BYTES) {
    if (byte < <u32>load<u8>(entry)) break; // sorted
    if (byte <= <u32>load<u8>(entry, 1)) return <u32>load<u16>(entry, 2);
  }
  return <u32>REGEX_UNSET;
}

/**
 * Runs the NFA; with `out`, writes 2 * `groups` u32 offsets of the leftmost match (leftmost-first) that begins at offset
 * `from` or later, REGEX_UNSET for a group that took no part. False also when steps or arena are spent (arena.failure()
 * says so).
 */
export function runNfa(nfa: usize, at: usize, length: i32, groups: i32, out: usize, from: i32 = 0): bool {
  const before = mark();
  const found = run(nfa, at, length, groups, out, from);
  release(before);
  return found;
}

function run(nfa: usize, at: usize, length: i32, groups: i32, out: usize, from: i32): bool {
  const states = load<u32>(nfa, NFA_STATES);
  const leaves = load<u32>(nfa, NFA_LEAVES);
  const start = load<u32>(nfa, NFA_START);
  const anchored = load<u32>(nfa, NFA_ANCHORED) != 0;
  table = nfa + NFA_TABLE;
  transitions = table + <usize>states * NFA_STATE_BYTES;
  textAt = at;
  textEnd = at + <usize>length;
  at += <usize>from;
  slotBytes = out == 0 ? 0 : <usize>groups << 3;
  const list = <i32>(states << 2);
  const rows = <i32>leaves * <i32>slotBytes;
  stack = alloc(<i32>((states + 2) << 3));
  current = alloc(<i32>slotBytes);
  let fromDense = alloc(list);
  let fromSparse = alloc(list);
  let fromSlots = alloc(rows);
  let fromCount: u32 = 0;
  dense = alloc(list);
  sparse = alloc(list);
  slots = alloc(rows);
  // Addresses ascend, so the last one is 0 whenever any is (the arena stays full once a request failed).
  if (stack == 0 || current == 0 || fromDense == 0 || fromSparse == 0 || fromSlots == 0 || dense == 0 || sparse == 0 || slots == 0) {
    return false;
  }
  // Whatever lies there could look like an entry, but an entry must be confirmed by dense, which is written first.
  count = 0;
  let matched = false;
  while (true) {
    // A new attempt has the lowest priority, and none begins once something matched.
    if (!matched && (!anchored || at == textAt)) {
      if (slotBytes != 0) memory.fill(current, 0xff, slotBytes);
      if (!follow(start, at)) return false;
    }
    if (count == 0) break;
    // The list is complete for `at`: it becomes the one we go from.
    const freeDense = fromDense;
    const freeSparse = fromSparse;
    const freeSlots = fromSlots;
    fromDense = dense;
    fromSparse = sparse;
    fromSlots = slots;
    fromCount = count;
    dense = freeDense;
    sparse = freeSparse;
    slots = freeSlots;
    count = 0;
    const byte: u32 = at < textEnd ? <u32>load<u8>(at) : 256;
    let looked: i32 = 1;
    for (let i: u32 = 0; i < fromCount; i++) {
      const id = load<u32>(fromDense + (<usize>i << 2));
      if (id >= leaves) continue;
      const state = table + <usize>id * NFA_STATE_BYTES;
      if (load<u32>(state) == NFA_MATCH) {
        if (slotBytes == 0) return true;
        memory.copy(out, fromSlots + <usize>id * slotBytes, slotBytes);
        matched = true;
        break; // threads of lower priority lose
      }
      looked += 1 + <i32>(load<u32>(state, 8) >> 2);
      const to = next(state, byte);
      if (to == <u32>REGEX_UNSET) continue;
      if (slotBytes != 0) memory.copy(current, fromSlots + <usize>id * slotBytes, slotBytes);
      if (!follow(to, at + 1)) return false;
    }
    if (!spend(looked)) return false;
    if (at >= textEnd) break;
    at++;
  }
  return matched;
}

/** Every number in the NFA, so that the loops above need no checks. */
export function checkNfa(nfa: usize, length: u32, groups: u32): bool {
  if (length < <u32>NFA_TABLE) return false;
  const states = load<u32>(nfa, NFA_STATES);
  const leaves = load<u32>(nfa, NFA_LEAVES);
  const edges = load<u32>(nfa, NFA_TRANSITIONS);
  if (states == 0 || states > <u32>MAX_NFA_STATES || leaves > states || edges > <u32>MAX_NFA_TRANSITIONS) return false;
  if (load<u32>(nfa, NFA_START) >= states) return false;
  if (length < <u32>NFA_TABLE + states * <u32>NFA_STATE_BYTES + edges * <u32>NFA_TRANSITION_BYTES) return false;
  const slotCount = groups << 1;
  for (let id: u32 = 0; id < states; id++) {
    const state = nfa + NFA_TABLE + <usize>id * NFA_STATE_BYTES;
    const op = load<u32>(state);
    const x = load<u32>(state, 4);
    const y = load<u32>(state, 8);
    if (op == NFA_RANGES) {
      if (id >= leaves || x > edges || y > edges - x) return false;
    } else if (op == NFA_MATCH) {
      if (id >= leaves) return false;
    } else if (id < leaves || x >= states) {
      return false;
    } else if (op == NFA_SPLIT) {
      if (y >= states) return false;
    } else if (op == NFA_SAVE) {
      if (y >= slotCount) return false;
    } else if (op != NFA_ASSERT) return false;
  }
  const first = nfa + NFA_TABLE + <usize>states * NFA_STATE_BYTES;
  for (let i: u32 = 0; i < edges; i++) {
    if (<u32>load<u16>(first + <usize>i * NFA_TRANSITION_BYTES, 2) >= states) return false;
  }
  return true;
}
