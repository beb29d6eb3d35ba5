// Runs bins: one load for the byte's class, one for the next state. Several run side by side, since each waits for its own
// memory. See BIN in abi.ts.
import { spend } from '../arena';
import { REGEX_CHUNK } from '../regex/abi';
import {
  BIN_CLASSES,
  BIN_DEAD,
  BIN_EDGES,
  BIN_ENTRIES,
  BIN_LISTS,
  BIN_MOVES,
  BIN_NARROW_SHIFT,
  BIN_ROOT,
  BIN_ROOTS,
  BIN_SAYS,
  BIN_SHIFT,
  BIN_START,
  BIN_STATES,
  BIN_TABLE,
  BIN_UNSURE,
  BIN_WIDE_SHIFT,
  MAX_BIN_STATES,
  MOVES_COLUMNS,
  MOVES_FIRST,
} from './abi';

// Where the bins at hand report.
let found: usize = 0;
let unsure: usize = 0;

/** Bytes between two looks at whether a bin has died: few enough that short work stays short. */
const LOOK: usize = 16;

// @ts-ignore: decorator
@inline
function endsOf(bin: usize): usize {
  return bin + BIN_TABLE + (<usize>load<u32>(bin, BIN_STATES) << (load<u32>(bin, BIN_SHIFT) + 1));
}

// @ts-ignore: decorator
@inline
export function edgesOf(bin: usize): usize {
  return endsOf(bin) + (((<usize>load<u32>(bin, BIN_STATES) << 1) + 3) & ~3);
}

// @ts-ignore: decorator
@inline
function listsOf(bin: usize): usize {
  return edgesOf(bin) + (<usize>load<u32>(bin, BIN_EDGES) << 2);
}

/** Sets the bits of a list's matchers. */
function report(bin: usize, list: u32): void {
  const lists = listsOf(bin);
  const entries = lists + (<usize>(load<u32>(bin, BIN_LISTS) + 1) << 2);
  // SAFETY: list < lists, first and last ascend up to the number of entries, matchers are in the set: checkBin.
  const last = load<u32>(lists + (<usize>list << 2), 4);
  for (let i = load<u32>(lists + (<usize>list << 2)); i < last; i++) {
    const entry = <u32>load<u16>(entries + (<usize>i << 1));
    const id = entry & ~BIN_UNSURE;
    const byte = (entry & BIN_UNSURE ? unsure : found) + <usize>(id >> 3);
    store<u8>(byte, <u32>load<u8>(byte) | (1 << (id & 7)));
  }
}

/** Reports what a cell with BIN_SAYS says; returns the next state. */
function say(bin: usize, cell: u32): u32 {
  const edge = edgesOf(bin) + (<usize>(cell & ~BIN_SAYS) << 2);
  report(bin, <u32>load<u16>(edge, 2));
  return <u32>load<u16>(edge);
}

// @ts-ignore: decorator
@inline
function atEnd(bin: usize, state: u32): void {
  const list = <u32>load<u16>(endsOf(bin) + (<usize>state << 1));
  if (list != 0) report(bin, list);
}

// @ts-ignore: decorator
@inline
function step(bin: usize, state: u32, shift: u32, byte: usize): u32 {
  // SAFETY: state < states and the class is a column: checkBin.
  return <u32>load<u16>(bin + (<usize>state << shift) + (<usize>load<u8>(bin + byte, BIN_CLASSES) << 1), BIN_TABLE);
}

/** True when the bin's rows are as long as runBins wants them. */
// @ts-ignore: decorator
@inline
export function isNarrow(bin: usize): bool {
  return load<u32>(bin, BIN_SHIFT) == BIN_NARROW_SHIFT;
}

/** Where bins report: what matched to the set `out`, what the positions have to decide to the set `ask`. */
export function reportTo(out: usize, ask: usize): void {
  found = out;
  unsure = ask;
}

/** Runs `count` narrow bins whose addresses stand at `list`; false when the step budget is spent. */
// PERF: rows of one length, since a shift by a variable needs a register that four of them would queue for.
export function runBins(list: usize, count: i32, at: usize, length: i32): bool {
  const end = at + <usize>length;
  for (; count >= 4; count -= 4, list += 16) {
    if (!runFour(load<u32>(list), load<u32>(list, 4), load<u32>(list, 8), load<u32>(list, 12), at, end)) return false;
  }
  if (count == 3) {
    // PERF: one of them twice costs less than two and one; to say a thing twice does no harm.
    return runFour(load<u32>(list), load<u32>(list, 4), load<u32>(list, 8), load<u32>(list, 8), at, end);
  }
  if (count >= 2) {
    if (!runTwo(load<u32>(list), load<u32>(list, 4), at, end)) return false;
    count -= 2;
    list += 8;
  }
  return count == 0 || runOne(load<u32>(list), at, length);
}

/** Runs one bin of any kind; false when the step budget is spent. */
export function runOne(bin: usize, at: usize, length: i32): bool {
  const end = at + <usize>length;
  const shift = load<u32>(bin, BIN_SHIFT) + 1;
  const dies = load<u32>(bin, BIN_DEAD) != 0;
  let state = load<u32>(bin, BIN_START);
  while (at < end) {
    let stop = at + REGEX_CHUNK;
    if (stop > end) stop = end;
    if (dies && stop > at + LOOK) stop = at + LOOK;
    if (!spend(<i32>(stop - at))) return false;
    for (; at < stop; at++) {
      state = step(bin, state, shift, <usize>load<u8>(at));
      if (state & BIN_SAYS) state = say(bin, state);
    }
    if (dies && state == 0) return true;
  }
  atEnd(bin, state);
  return true;
}

// @ts-ignore: decorator
@inline
function narrow(bin: usize, state: u32, byte: usize): u32 {
  // SAFETY: as in step; the bin is narrow.
  return <u32>load<u16>(bin + (<usize>state << (BIN_NARROW_SHIFT + 1)) + (<usize>load<u8>(bin + byte, BIN_CLASSES) << 1), BIN_TABLE);
}

function runTwo(bin0: usize, bin1: usize, at: usize, end: usize): bool {
  const die = load<u32>(bin0, BIN_DEAD) != 0 && load<u32>(bin1, BIN_DEAD) != 0;
  let state0 = load<u32>(bin0, BIN_START);
  let state1 = load<u32>(bin1, BIN_START);
  while (at < end) {
    let stop = at + REGEX_CHUNK;
    if (stop > end) stop = end;
    if (die && stop > at + LOOK) stop = at + LOOK;
    if (!spend(<i32>(stop - at))) return false;
    for (; at < stop; at++) {
      const byte = <usize>load<u8>(at);
      state0 = narrow(bin0, state0, byte);
      state1 = narrow(bin1, state1, byte);
      if ((state0 | state1) & BIN_SAYS) {
        if (state0 & BIN_SAYS) state0 = say(bin0, state0);
        if (state1 & BIN_SAYS) state1 = say(bin1, state1);
      }
    }
    if (die && (state0 | state1) == 0) return true;
  }
  atEnd(bin0, state0);
  atEnd(bin1, state1);
  return true;
}

// PERF: four cost not much more than one, since each waits 5 to 6 cycles for its two loads.
function runFour(bin0: usize, bin1: usize, bin2: usize, bin3: usize, at: usize, end: usize): bool {
  const die =
    load<u32>(bin0, BIN_DEAD) != 0 &&
    load<u32>(bin1, BIN_DEAD) != 0 &&
    load<u32>(bin2, BIN_DEAD) != 0 &&
    load<u32>(bin3, BIN_DEAD) != 0;
  let state0 = load<u32>(bin0, BIN_START);
  let state1 = load<u32>(bin1, BIN_START);
  let state2 = load<u32>(bin2, BIN_START);
  let state3 = load<u32>(bin3, BIN_START);
  while (at < end) {
    let stop = at + REGEX_CHUNK;
    if (stop > end) stop = end;
    if (die && stop > at + LOOK) stop = at + LOOK;
    if (!spend(<i32>(stop - at))) return false;
    for (; at < stop; at++) {
      const byte = <usize>load<u8>(at);
      state0 = narrow(bin0, state0, byte);
      state1 = narrow(bin1, state1, byte);
      state2 = narrow(bin2, state2, byte);
      state3 = narrow(bin3, state3, byte);
      if ((state0 | state1 | state2 | state3) & BIN_SAYS) {
        if (state0 & BIN_SAYS) state0 = say(bin0, state0);
        if (state1 & BIN_SAYS) state1 = say(bin1, state1);
        if (state2 & BIN_SAYS) state2 = say(bin2, state2);
        if (state3 & BIN_SAYS) state3 = say(bin3, state3);
      }
    }
    if (die && (state0 | state1 | state2 | state3) == 0) return true;
  }
  atEnd(bin0, state0);
  atEnd(bin1, state1);
  atEnd(bin2, state2);
  atEnd(bin3, state3);
  return true;
}

/** A partial automaton: what a cell or an end says of its one matcher. */
export const SAYS_NOTHING = 0;
export const SAYS_MATCH = 1;
export const SAYS_UNSURE = 2;

function meaning(bin: usize, list: u32): i32 {
  const lists = listsOf(bin);
  const entries = lists + (<usize>(load<u32>(bin, BIN_LISTS) + 1) << 2);
  const first = load<u32>(lists + (<usize>list << 2));
  if (first == load<u32>(lists + (<usize>list << 2), 4)) return SAYS_NOTHING;
  return load<u16>(entries + (<usize>first << 1)) & BIN_UNSURE ? SAYS_UNSURE : SAYS_MATCH;
}

/** The list names `matcher`. */
function names(bin: usize, list: u32, matcher: u32): bool {
  const lists = listsOf(bin);
  const entries = lists + (<usize>(load<u32>(bin, BIN_LISTS) + 1) << 2);
  const last = load<u32>(lists + (<usize>list << 2), 4);
  for (let i = load<u32>(lists + (<usize>list << 2)); i < last; i++) {
    if (<u32>load<u16>(entries + (<usize>i << 1)) == matcher) return true;
  }
  return false;
}

/** One past the byte with which a complete bin knows that `matcher` matches; 0 when it does not, or the budget is spent. */
export function endOfMatch(bin: usize, matcher: u32, at: usize, length: i32): usize {
  const end = at + <usize>length;
  const shift = load<u32>(bin, BIN_SHIFT) + 1;
  let state = load<u32>(bin, BIN_START);
  while (at < end) {
    let stop = at + REGEX_CHUNK;
    if (stop > end) stop = end;
    if (!spend(<i32>(stop - at))) return 0;
    for (; at < stop; at++) {
      state = step(bin, state, shift, <usize>load<u8>(at));
      if ((state & BIN_SAYS) == 0) continue;
      const edge = edgesOf(bin) + (<usize>(state & ~BIN_SAYS) << 2);
      if (names(bin, <u32>load<u16>(edge, 2), matcher)) return at + 1;
      state = <u32>load<u16>(edge);
    }
  }
  return names(bin, <u32>load<u16>(endsOf(bin) + (<usize>state << 1)), matcher) ? end : 0;
}

// Where `walk` stopped: the last place where no attempt was under way, and the place of the byte that it did not know.
export let safeAt: usize = 0;
export let stoppedAt: usize = 0;

/** Walks a partial automaton from `state` on; SAYS_UNSURE at the first byte that it can't take. */
export function walk(bin: usize, state: u32, at: usize, end: usize): i32 {
  const shift = load<u32>(bin, BIN_SHIFT) + 1;
  const roots = load<u32>(bin, BIN_ROOTS);
  let safe = at;
  while (at < end) {
    let stop = at + REGEX_CHUNK;
    if (stop > end) stop = end;
    const from = at;
    for (; at < stop; at++) {
      if (state < roots) safe = at;
      const cell = step(bin, state, shift, <usize>load<u8>(at));
      if (cell & BIN_SAYS) {
        safeAt = safe;
        stoppedAt = at;
        if (!spend(<i32>(at - from) + 1)) return SAYS_NOTHING;
        return meaning(bin, <u32>load<u16>(edgesOf(bin) + (<usize>(cell & ~BIN_SAYS) << 2), 2));
      }
      state = cell;
    }
    if (!spend(<i32>(at - from))) return SAYS_NOTHING;
  }
  safeAt = safe;
  stoppedAt = end;
  return meaning(bin, <u32>load<u16>(endsOf(bin) + (<usize>state << 1)));
}

/** Every number in an unpacked bin but its cells, which unpackBin checks, so that the loops above need no checks. `count` bounds the matchers. */
export function checkBin(bin: usize, room: u32, count: u32): bool {
  if (room < <u32>BIN_TABLE) return false;
  const states = load<u32>(bin, BIN_STATES);
  const shift = load<u32>(bin, BIN_SHIFT);
  const edgeCount = load<u32>(bin, BIN_EDGES);
  const listCount = load<u32>(bin, BIN_LISTS);
  const entryCount = load<u32>(bin, BIN_ENTRIES);
  const roots = load<u32>(bin, BIN_ROOTS);
  if (states == 0 || states > <u32>MAX_BIN_STATES || roots > states) return false;
  if (edgeCount > <u32>MAX_BIN_STATES || listCount == 0 || listCount > 0xffff || entryCount > 0xffffff) return false;
  if (load<u32>(bin, BIN_START) >= states || load<u32>(bin, BIN_DEAD) > 1) return false;
  if (shift != BIN_NARROW_SHIFT && shift != BIN_WIDE_SHIFT) return false;
  const columns: u32 = 1 << shift;
  const tableBytes = states << (shift + 1);
  // SAFETY: the terms are at most 2^24, 2^16, 2^17, 2^18 and 2^25: no overflow.
  const need =
    <u32>BIN_TABLE +
    tableBytes +
    (((states << 1) + 3) & ~3) +
    (edgeCount << 2) +
    ((listCount + 1) << 2) +
    (((entryCount << 1) + 3) & ~3);
  if (need > room) return false;
  for (let byte: usize = 0; byte < 256; byte++) {
    if (<u32>load<u8>(bin + byte, BIN_CLASSES) >= columns) return false;
  }
  for (let i: u32 = 0; i < states; i++) {
    if (<u32>load<u16>(endsOf(bin) + (<usize>i << 1)) >= listCount) return false;
  }
  for (let i: u32 = 0; i < edgeCount; i++) {
    const edge = edgesOf(bin) + (<usize>i << 2);
    if (<u32>load<u16>(edge) >= states || <u32>load<u16>(edge, 2) >= listCount) return false;
  }
  const lists = listsOf(bin);
  let before: u32 = 0;
  for (let i: u32 = 0; i <= listCount; i++) {
    const first = load<u32>(lists + (<usize>i << 2));
    // A list longer than the number of matchers would repeat itself: what it costs to report is bounded.
    if (first < before || first > entryCount || first - before > count) return false;
    before = first;
  }
  const entries = lists + (<usize>(listCount + 1) << 2);
  for (let i: u32 = 0; i < entryCount; i++) {
    if (<u32>(load<u16>(entries + (<usize>i << 1)) & ~BIN_UNSURE) >= count) return false;
  }
  if (roots == 0) return load<u32>(bin, BIN_MOVES) == 0;
  for (let kind: usize = 0; kind < 8; kind += 2) {
    const root = <u32>load<u16>(bin + kind, BIN_ROOT);
    if (root != 0xffff && root >= roots) return false;
  }
  return load<u32>(bin, BIN_MOVES) == need;
}

/** The moves of a partial automaton, against the number of states of its positions. */
export function checkMoves(bin: usize, room: u32, states: u32): bool {
  const offset = load<u32>(bin, BIN_MOVES);
  if (offset > room || room - offset < <u32>MOVES_FIRST) return false;
  const moves = bin + <usize>offset;
  const columns = load<u32>(moves, MOVES_COLUMNS);
  if (columns == 0 || columns > 256) return false;
  const lists = columns << 2;
  if (room - offset < <u32>MOVES_FIRST + ((lists + 1) << 2)) return false;
  for (let byte: usize = 0; byte < 256; byte++) if (<u32>load<u8>(moves + byte) >= columns) return false;
  const entryRoom = (room - offset - <u32>MOVES_FIRST - ((lists + 1) << 2)) >> 1;
  let before: u32 = 0;
  for (let i: u32 = 0; i <= lists; i++) {
    const first = load<u32>(moves + (<usize>i << 2), MOVES_FIRST);
    if (first < before || first > entryRoom || first - before > states) return false;
    before = first;
  }
  const entries = moves + MOVES_FIRST + (<usize>(lists + 1) << 2);
  for (let i: u32 = 0; i < before; i++) if (<u32>load<u16>(entries + (<usize>i << 1)) >= states) return false;
  return true;
}
