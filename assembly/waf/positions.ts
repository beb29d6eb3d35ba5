// The machine of positions of one regex: every position at most once per byte, so time is positions times bytes, whatever
// the pattern. Gives captures, and the verdict where a partial automaton does not know. See POSITIONS in abi.ts.
import { alloc, mark, release, spend } from '../arena';
import {
  ASSERT_END,
  ASSERT_END_LINE,
  ASSERT_NOT_WORD,
  ASSERT_START,
  ASSERT_START_LINE,
  ASSERT_WORD,
  MAX_NFA_STATES,
} from '../regex/abi';
import {
  BEFORE_EDGE,
  BEFORE_LINE,
  BEFORE_OTHER,
  BEFORE_WORD,
  BIN_MOVES,
  BIN_ROOT,
  BIN_START,
  MAX_CAPTURES,
  MOVES_COLUMNS,
  MOVES_FIRST,
  POSITIONS_CLASS_COUNT,
  POSITIONS_FIRST,
  POSITIONS_GROUPS,
  POSITIONS_LEAVES,
  POSITIONS_START,
  POSITIONS_STATES,
  POSITIONS_TABLE,
  POSITION_ASSERT,
  POSITION_BYTES,
  POSITION_CLASS,
  POSITION_MATCH,
  POSITION_SAVE,
  POSITION_SPLIT,
} from './abi';
import { SAYS_MATCH, SAYS_UNSURE, safeAt, stoppedAt, walk } from './bins';

// Registers of the run at hand; set at the start of each run, so nothing lives on between calls.
let table: usize = 0; // states
let classes: usize = 0;
let textAt: usize = 0;
let textEnd: usize = 0;
let slotBytes: usize = 0; // bytes of one attempt's slots; 0 = not capturing
let stack: usize = 0;
let dense: usize = 0; // states visited at this place, in order; sparse says where in dense a state stands
let sparse: usize = 0;
let visited: u32 = 0;
let leaves: usize = 0; // those of them that wait for a byte or match, in order of priority
let count: u32 = 0;
let slots: usize = 0; // of each leaf
let current: usize = 0; // slots of the attempt that is being followed
let otherLeaves: usize = 0;
let otherSlots: usize = 0;
let otherCount: u32 = 0;
let matched: bool = false; // a leaf of the list is POSITION_MATCH

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
  const before = at != textAt && word(<u32>load<u8>(at - 1));
  const after = at != textEnd && word(<u32>load<u8>(at));
  return (before != after) == (kind == ASSERT_WORD);
}

// Adds `id` and what it reaches without a byte, in order of priority. The stack holds states to visit and, marked by the
// top bit, slots to restore: a slot saved on one branch must not be seen by the next.
function follow(id: u32, at: usize): bool {
  let top = stack;
  store<u32>(top, id);
  top += 8;
  const before = visited;
  while (top > stack) {
    top -= 8;
    id = load<u32>(top);
    if (id >> 31) {
      store<u32>(current + (<usize>(id & 0x7fffffff) << 2), load<u32>(top, 4));
      continue;
    }
    while (true) {
      // SAFETY: `id` is below the number of states (checkPositions). sparse is not cleared: an entry counts only if it
      // points below `visited` at a dense entry that points back.
      const place = load<u32>(sparse + (<usize>id << 2));
      if (place < visited && load<u32>(dense + (<usize>place << 2)) == id) break;
      store<u32>(dense + (<usize>visited << 2), id);
      store<u32>(sparse + (<usize>id << 2), visited);
      visited++;
      const state = table + <usize>id * POSITION_BYTES;
      const op = <u32>load<u8>(state);
      if (op == POSITION_CLASS || op == POSITION_MATCH) {
        // SAFETY: each state is visited once, and there is room for all that are leaves.
        if (slotBytes != 0) memory.copy(slots + <usize>count * slotBytes, current, slotBytes);
        store<u32>(leaves + (<usize>count << 2), id);
        count++;
        if (op == POSITION_MATCH) matched = true;
        break;
      }
      const next = id - <u32>(<i32>load<i16>(state, 2));
      if (op == POSITION_SPLIT) {
        // SAFETY: a visited state pushes at most one entry, and the stack has room for one per state and the first.
        store<u32>(top, id - <u32>(<i32>load<i16>(state, 4)));
        top += 8;
      } else if (op == POSITION_SAVE) {
        if (slotBytes != 0) {
          const slot = <u32>load<u8>(state, 1);
          const place = current + (<usize>slot << 2);
          store<u32>(top, slot | 0x80000000);
          store<u32>(top, load<u32>(place), 4);
          top += 8;
          store<u32>(place, <u32>(at - textAt));
        }
      } else if (!holds(<u32>load<u8>(state, 1), at)) break;
      id = next;
    }
  }
  return spend(<i32>(visited - before));
}

// @ts-ignore: decorator
@inline
function takes(state: usize, byte: u32): bool {
  const set = classes + (<usize>load<u16>(state, 4) << 5);
  return ((<u32>load<u8>(set + <usize>(byte >> 3)) >> (byte & 7)) & 1) != 0;
}

/** Sets the registers up; false when the arena is exhausted. `groups` 0 = no captures. */
function begin(positions: usize, at: usize, length: i32, groups: i32): bool {
  const states = load<u32>(positions, POSITIONS_STATES);
  table = positions + POSITIONS_TABLE;
  classes = table + <usize>states * POSITION_BYTES;
  textAt = at;
  textEnd = at + <usize>length;
  slotBytes = <usize>groups << 3;
  const leafCount = load<i32>(positions, POSITIONS_LEAVES);
  const rows = leafCount * <i32>slotBytes;
  stack = alloc(<i32>((states + 2) << 3));
  current = alloc(<i32>slotBytes);
  dense = alloc(<i32>(states << 2));
  sparse = alloc(<i32>(states << 2));
  leaves = alloc(leafCount << 2);
  otherLeaves = alloc(leafCount << 2);
  slots = alloc(rows);
  otherSlots = alloc(rows);
  clear();
  otherCount = 0;
  return stack != 0 && current != 0 && dense != 0 && sparse != 0 && leaves != 0 && otherLeaves != 0 && slots != 0 && otherSlots != 0;
}

function clear(): void {
  visited = 0;
  count = 0;
  matched = false;
}

/** The list of this place is complete: it becomes the one we go from. */
function turn(): void {
  const freeLeaves = otherLeaves;
  const freeSlots = otherSlots;
  otherLeaves = leaves;
  otherSlots = slots;
  otherCount = count;
  leaves = freeLeaves;
  slots = freeSlots;
  clear();
}

/**
 * Runs the positions; with `out`, writes 2 * `groups` u32 offsets of the leftmost match (leftmost-first), REGEX_UNSET for a
 * group that took no part. False also when steps or arena are spent (arena.failure() says so).
 */
export function runPositions(positions: usize, at: usize, length: i32, out: usize): bool {
  const before = mark();
  const groups = out == 0 ? 0 : load<i32>(positions, POSITIONS_GROUPS);
  const found = begin(positions, at, length, groups) && run(positions, at, textEnd, out);
  release(before);
  return found;
}

/** As runPositions, of the matches that begin at `from` or later and end by `until`, both inside the text. */
export function runWithin(positions: usize, at: usize, length: i32, from: usize, until: usize, out: usize): bool {
  const before = mark();
  const found = begin(positions, at, length, load<i32>(positions, POSITIONS_GROUPS)) && run(positions, from, until, out);
  release(before);
  return found;
}

// Assertions look at the whole text, bytes are taken up to `until`.
function run(positions: usize, at: usize, until: usize, out: usize): bool {
  const start = load<u32>(positions, POSITIONS_START);
  const first = load<i32>(positions, POSITIONS_FIRST);
  const firstSet = classes + (<usize>first << 5);
  let done = false;
  while (true) {
    // A new attempt has the lowest priority, and none begins once something matched.
    if (!done) {
      let begins = true;
      if (first >= 0) {
        if (count == 0) {
          const from = at;
          while (at < until && !has(firstSet, <u32>load<u8>(at))) at++;
          if (!spend(<i32>(at - from))) return false;
        }
        begins = at < until && has(firstSet, <u32>load<u8>(at));
      }
      if (begins) {
        if (slotBytes != 0) memory.fill(current, 0xff, slotBytes);
        if (!follow(start, at)) return false;
      }
    }
    if (matched && slotBytes == 0) return true;
    if (count == 0 && (done || at >= until)) break;
    turn();
    const byte: u32 = at < until ? <u32>load<u8>(at) : 256;
    if (!spend(<i32>otherCount + 1)) return false;
    for (let i: u32 = 0; i < otherCount; i++) {
      const id = load<u32>(otherLeaves + (<usize>i << 2));
      const state = table + <usize>id * POSITION_BYTES;
      if (load<u8>(state) == POSITION_MATCH) {
        memory.copy(out, otherSlots + <usize>i * slotBytes, slotBytes);
        done = true;
        break; // attempts of lower priority lose
      }
      if (byte > 255 || !takes(state, byte)) continue;
      if (slotBytes != 0) memory.copy(current, otherSlots + <usize>i * slotBytes, slotBytes);
      if (!follow(id - <u32>(<i32>load<i16>(state, 2)), at + 1)) return false;
    }
    if (at >= until) break;
    at++;
  }
  return done;
}

// @ts-ignore: decorator
@inline
function has(set: usize, byte: u32): bool {
  return ((<u32>load<u8>(set + <usize>(byte >> 3)) >> (byte & 7)) & 1) != 0;
}

// @ts-ignore: decorator
@inline
function kindBefore(at: usize): u32 {
  if (at == textAt) return BEFORE_EDGE;
  const byte = <u32>load<u8>(at - 1);
  if (word(byte)) return BEFORE_WORD;
  return byte == 10 ? BEFORE_LINE : BEFORE_OTHER;
}

/** Where `verify` knew that it matches: one past the last byte that it looked at. */
export let verifiedAt: usize = 0;

/** Does it match? By the partial automaton `bin` as far as that knows, by the positions in between. */
export function verify(bin: usize, positions: usize, at: usize, length: i32): bool {
  const before = mark();
  const found = begin(positions, at, length, 0) && alternate(bin, at);
  release(before);
  return found;
}

function alternate(bin: usize, at: usize): bool {
  const moves = bin + <usize>load<u32>(bin, BIN_MOVES);
  const columns = load<u32>(moves, MOVES_COLUMNS);
  const targets = moves + MOVES_FIRST + (<usize>((columns << 2) + 1) << 2);
  let state = load<u32>(bin, BIN_START);
  while (true) {
    const says = walk(bin, state, at, textEnd);
    if (says != SAYS_UNSURE) {
      verifiedAt = stoppedAt < textEnd ? stoppedAt + 1 : textEnd;
      return says == SAYS_MATCH;
    }
    const unknown = stoppedAt;
    at = safeAt;
    clear();
    while (true) {
      if (at > unknown && count == 0) {
        const root = <u32>load<u16>(bin + (<usize>kindBefore(at) << 1), BIN_ROOT);
        if (root != 0xffff) {
          state = root;
          break;
        }
      }
      if (at >= textEnd) return false;
      const byte = <u32>load<u8>(at);
      const list = moves + (<usize>(kindBefore(at) * columns + <u32>load<u8>(moves + <usize>byte)) << 2);
      turn();
      at++;
      if (!spend(<i32>otherCount + 1)) return false;
      for (let i: u32 = 0; i < otherCount; i++) {
        const id = load<u32>(otherLeaves + (<usize>i << 2));
        const position = table + <usize>id * POSITION_BYTES;
        if (takes(position, byte) && !follow(id - <u32>(<i32>load<i16>(position, 2)), at)) return false;
      }
      const last = load<u32>(list, MOVES_FIRST + 4);
      for (let i = load<u32>(list, MOVES_FIRST); i < last; i++) {
        if (!follow(<u32>load<u16>(targets + (<usize>i << 1)), at)) return false;
      }
      if (matched) {
        verifiedAt = at;
        return true;
      }
    }
  }
  return false;
}

/** Every number in the positions, so that the loops above need no checks. */
export function checkPositions(positions: usize, room: u32): bool {
  if (room < <u32>POSITIONS_TABLE) return false;
  const states = load<u32>(positions, POSITIONS_STATES);
  const classCount = load<u32>(positions, POSITIONS_CLASS_COUNT);
  const groups = load<u32>(positions, POSITIONS_GROUPS);
  const first = load<i32>(positions, POSITIONS_FIRST);
  if (states == 0 || states > <u32>MAX_NFA_STATES || classCount > states + 1) return false;
  if (groups == 0 || groups > <u32>MAX_CAPTURES || load<u32>(positions, POSITIONS_START) >= states) return false;
  if (first < -1 || first >= <i32>classCount) return false;
  if (<u32>POSITIONS_TABLE + states * POSITION_BYTES + (classCount << 5) > room) return false;
  let leafCount: u32 = 0;
  for (let id: u32 = 0; id < states; id++) {
    const state = positions + POSITIONS_TABLE + <usize>id * POSITION_BYTES;
    const op = <u32>load<u8>(state);
    const argument = <u32>load<u8>(state, 1);
    // SAFETY: a distance that is too large wraps to a huge number.
    if (id - <u32>(<i32>load<i16>(state, 2)) >= states) return false;
    if (op == POSITION_CLASS) {
      if (<u32>load<u16>(state, 4) >= classCount) return false;
      leafCount++;
    } else if (op == POSITION_MATCH) leafCount++;
    else if (op == POSITION_SPLIT) {
      if (id - <u32>(<i32>load<i16>(state, 4)) >= states) return false;
    } else if (op == POSITION_SAVE) {
      if (argument >= groups << 1) return false;
    } else if (op != POSITION_ASSERT) return false;
  }
  return leafCount == load<u32>(positions, POSITIONS_LEAVES);
}
