// Bins from the form that files have to the one that runs, each row checked as it is written. See PACKED BIN in abi.ts.
import {
  BIN_EDGES,
  BIN_NARROW_SHIFT,
  BIN_SAYS,
  BIN_SHIFT,
  BIN_STATES,
  BIN_TABLE,
  BIN_WIDE_SHIFT,
  MAX_BIN_STATES,
  PACKED_BACK_SHIFT,
  PACKED_CELLS_MASK,
} from './abi';

// The packed bin at hand: what of it has not been read, and where it ends.
let from: usize = 0;
let end: usize = 0;

/**
 * Unpacks the bin that begins at `packed` and ends within `room` bytes to the `bytes` at `to`. True when all its cells are
 * states or edges of it; the rest of it is for checkBin to look at.
 */
export function unpackBin(packed: usize, room: u32, to: usize, bytes: u32): bool {
  if (room < <u32>BIN_TABLE || bytes < <u32>BIN_TABLE) return false;
  const states = load<u32>(packed, BIN_STATES);
  const shift = load<u32>(packed, BIN_SHIFT);
  const edges = load<u32>(packed, BIN_EDGES);
  if (states == 0 || states > <u32>MAX_BIN_STATES || edges > <u32>MAX_BIN_STATES) return false;
  if (shift != BIN_NARROW_SHIFT && shift != BIN_WIDE_SHIFT) return false;
  const tableBytes = states << (shift + 1);
  const endBytes = ((states << 1) + 3) & ~3;
  // SAFETY: the terms are at most 2^24 and 2^16: no overflow.
  const rest = <u32>BIN_TABLE + tableBytes + endBytes;
  if (bytes < rest) return false;
  memory.copy(to, packed, BIN_TABLE);
  from = packed + BIN_TABLE;
  end = packed + <usize>room;

  const table = to + BIN_TABLE;
  for (let state: u32 = 0; state < states; state += ROWS) {
    const last = states - state < ROWS ? states : state + ROWS;
    if (!unpackRows(table, state, last, shift, states, edges)) return false;
  }
  from = (from + 3) & ~3;
  if (!unpackEnds(table + <usize>tableBytes, endBytes, states)) return false;
  if (bytes - rest > <u32>(end - from)) return false;
  memory.copy(to + <usize>rest, from, <usize>(bytes - rest));
  return true;
}

// PERF: a function that is called often is compiled to good code while the first bins are unpacked by bad code.
const ROWS: u32 = 64;

function unpackRows(table: usize, state: u32, last: u32, shift: u32, states: u32, edges: u32): bool {
  const columns: u32 = 1 << shift;
  const rowBytes = <usize>columns << 1;
  const limit = end;
  let at = from;
  for (; state < last; state++) {
    if (limit - at < 2) return false;
    const word = <u32>load<u16>(at);
    at += 2;
    const back = word >> PACKED_BACK_SHIFT;
    const count = word & PACKED_CELLS_MASK;
    if (back > state || <u32>(limit - at) < count * 3) return false;
    const row = table + <usize>(state * columns << 1);
    // SAFETY: the row before lies in the table, since back <= state; its cells have been checked, or are state 0.
    if (shift != BIN_NARROW_SHIFT) {
      if (back == 0) memory.fill(row, 0, rowBytes);
      else memory.copy(row, row - <usize>back * rowBytes, rowBytes);
    } else if (back == 0) {
      const zero = i64x2.splat(0);
      v128.store(row, zero);
      v128.store(row, zero, 16);
      v128.store(row, zero, 32);
      v128.store(row, zero, 48);
      v128.store(row, zero, 64);
      v128.store(row, zero, 80);
      v128.store(row, zero, 96);
      v128.store(row, zero, 112);
    } else {
      const like = row - <usize>back * rowBytes;
      v128.store(row, v128.load(like));
      v128.store(row, v128.load(like, 16), 16);
      v128.store(row, v128.load(like, 32), 32);
      v128.store(row, v128.load(like, 48), 48);
      v128.store(row, v128.load(like, 64), 64);
      v128.store(row, v128.load(like, 80), 80);
      v128.store(row, v128.load(like, 96), 96);
      v128.store(row, v128.load(like, 112), 112);
    }
    for (const stop = at + <usize>(count * 3); at < stop; at += 3) {
      const column = <u32>load<u8>(at);
      const cell = <u32>load<u16>(at, 1);
      if (column >= columns) return false;
      if (cell >= states && (cell < <u32>BIN_SAYS || cell - <u32>BIN_SAYS >= edges)) return false;
      store<u16>(row + <usize>(column << 1), <u16>cell);
    }
  }
  from = at;
  return true;
}

/** The lists at the end of the text: 0 for all states but those that are named. */
function unpackEnds(ends: usize, bytes: u32, states: u32): bool {
  if (end < from || end - from < 4) return false;
  const count = load<u32>(from);
  from += 4;
  if (count > states || <u32>(end - from) < count << 2) return false;
  memory.fill(ends, 0, <usize>bytes);
  for (const stop = from + <usize>(count << 2); from < stop; from += 4) {
    const state = <u32>load<u16>(from);
    if (state >= states) return false;
    store<u16>(ends + <usize>(state << 1), load<u16>(from, 2));
  }
  return true;
}
