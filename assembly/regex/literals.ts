// Looks for many literals at once: the Aho-Corasick automaton of LITERALS in abi.ts. One load a byte near the root, where
// nearly all positions of ordinary text are; edges and failure links beyond.
import { spend } from '../arena';
import {
  LITERALS_CLASSES,
  LITERALS_DENSE,
  LITERALS_EDGES,
  LITERALS_EDGE_BYTES,
  LITERALS_HIT,
  LITERALS_IDS,
  LITERALS_OUTPUTS,
  LITERALS_SHIFT,
  LITERALS_STATES,
  LITERALS_TABLE,
  MAX_LITERAL_STATES,
  REGEX_CHUNK,
} from './abi';

// Registers of the scan at hand; set by `begin`.
let automaton: usize = 0;
let shift: u32 = 0;
let dense: u32 = 0;
let firstEdges: usize = 0;
let fails: usize = 0;
let edges: usize = 0;
let firstOutputs: usize = 0;
let outputs: usize = 0;
let state: u32 = 0;
let cursor: usize = 0;
let end: usize = 0;
let paid: usize = 0; // steps are drawn up to here

/** Where the literals of the hit end. */
export let hitEnd: usize = 0;
/** Outputs of the hit, for `hitId`: first, and one past the last. */
export let hitFirst: u32 = 0;
export let hitLast: u32 = 0;

/** Begins a scan. Only one is under way at a time. */
export function begin(literals: usize, at: usize, length: i32): void {
  automaton = literals;
  shift = load<u32>(literals, LITERALS_SHIFT);
  dense = load<u32>(literals, LITERALS_DENSE);
  const states = load<u32>(literals, LITERALS_STATES);
  const sparse = states - dense;
  firstEdges = literals + LITERALS_TABLE + (<usize>dense << (shift + 1));
  fails = firstEdges + (<usize>(sparse + 1) << 2);
  edges = fails + (((<usize>sparse << 1) + 3) & ~3);
  firstOutputs = edges + <usize>load<u32>(literals, LITERALS_EDGES) * LITERALS_EDGE_BYTES;
  outputs = firstOutputs + (<usize>(states + 1) << 2);
  state = 0;
  cursor = at;
  paid = at;
  end = at + <usize>length;
}

/** Goes on to the next position where literals end; false at the end, or when the call's budget is spent. */
export function nextHit(): bool {
  // PERF: locals, since an engine reloads globals at every use.
  const classes = automaton + LITERALS_CLASSES;
  const rows = automaton + LITERALS_TABLE;
  const rowShift = shift + 1;
  const rowCount = dense;
  let at = cursor;
  let from = state;
  while (at < end) {
    if (at == paid) {
      let more = end - at;
      if (more > <usize>REGEX_CHUNK) more = REGEX_CHUNK;
      if (!spend(<i32>more)) return false;
      paid = at + more;
    }
    const stop = paid;
    while (at < stop) {
      const column = <u32>load<u8>(classes + <usize>load<u8>(at));
      at++;
      // SAFETY: states, columns and links were checked against their bounds by checkLiterals.
      const to = from < rowCount ? <u32>load<u16>(rows + <usize>((from << rowShift) + (column << 1))) : slow(from, column);
      from = to & ~LITERALS_HIT;
      if (to & LITERALS_HIT) {
        cursor = at;
        state = from;
        hitEnd = at;
        hitFirst = load<u32>(firstOutputs + (<usize>from << 2));
        hitLast = load<u32>(firstOutputs + (<usize>from << 2), 4);
        return true;
      }
    }
  }
  cursor = at;
  state = from;
  return false;
}

function slow(from: u32, column: u32): u32 {
  while (from >= dense) {
    const index = <usize>(from - dense);
    let edge = edges + <usize>load<u32>(firstEdges + (index << 2)) * LITERALS_EDGE_BYTES;
    const last = edges + <usize>load<u32>(firstEdges + (index << 2), 4) * LITERALS_EDGE_BYTES;
    for (; edge < last; edge += LITERALS_EDGE_BYTES) {
      if (<u32>load<u16>(edge) == column) return <u32>load<u16>(edge, 2);
    }
    // In a sound automaton a chain of failures is paid for by the bytes that led there; a hostile one pays by steps.
    if (!spend(1)) return 0;
    from = <u32>load<u16>(fails + (index << 1)); // lower than before, so this ends
  }
  return <u32>load<u16>(automaton + LITERALS_TABLE + (<usize>((from << shift) + column) << 1));
}

/** Id of output `index`, hitFirst <= index < hitLast. */
// @ts-ignore: decorator
@inline
export function hitId(index: u32): u32 {
  return load<u32>(outputs + (<usize>index << 2));
}

/** Number of ids of the automaton. */
export function literalCount(literals: usize): i32 {
  return load<i32>(literals, LITERALS_IDS);
}

/** Sets the bit of every id whose literal occurs in `bitset`, of (literalCount + 31) / 32 words, zeroed by the caller. */
export function candidates(literals: usize, at: usize, length: i32, bitset: usize): void {
  begin(literals, at, length);
  while (nextHit()) {
    if (!spend(<i32>(hitLast - hitFirst))) return;
    for (let i = hitFirst; i < hitLast; i++) {
      const id = hitId(i);
      const word = bitset + (<usize>(id >> 5) << 2);
      store<u32>(word, load<u32>(word) | (1 << (id & 31)));
    }
  }
}

/** Every number in the automaton, so that the scan needs no checks. */
export function checkLiterals(literals: usize, length: i32): bool {
  if (length < LITERALS_TABLE || (literals & 3) != 0) return false;
  const states = load<u32>(literals, LITERALS_STATES);
  const denseStates = load<u32>(literals, LITERALS_DENSE);
  const rowShift = load<u32>(literals, LITERALS_SHIFT);
  const edgeCount = load<u32>(literals, LITERALS_EDGES);
  const outputCount = load<u32>(literals, LITERALS_OUTPUTS);
  const ids = load<u32>(literals, LITERALS_IDS);
  if (states == 0 || states > <u32>MAX_LITERAL_STATES || denseStates == 0 || denseStates > states) return false;
  if (rowShift == 0 || rowShift > 8 || edgeCount > 0xffffff || outputCount > 0xffffff) return false;
  const sparse = states - denseStates;
  const rowBytes = denseStates << (rowShift + 1);
  const failBytes = ((sparse << 1) + 3) & ~3;
  // SAFETY: the terms are at most 2^24, 2^17, 2^16, 2^26, 2^17 and 2^26: no overflow.
  const room = <u32>LITERALS_TABLE + rowBytes + ((sparse + 1) << 2) + failBytes + (edgeCount << 2) + ((states + 1) << 2) + (outputCount << 2);
  if (<u32>length < room) return false;
  begin(literals, 0, 0);
  const columns: u32 = 1 << rowShift;
  for (let byte: usize = 0; byte < 256; byte++) {
    if (<u32>load<u8>(literals + byte, LITERALS_CLASSES) >= columns) return false;
  }
  for (let i: usize = 0; i < rowBytes; i += 2) {
    if (<u32>(load<u16>(literals + LITERALS_TABLE + i) & ~LITERALS_HIT) >= states) return false;
  }
  if (load<u32>(firstEdges) != 0 || load<u32>(firstEdges + (<usize>sparse << 2)) != edgeCount) return false;
  for (let i: u32 = 0; i < sparse; i++) {
    const first = load<u32>(firstEdges + (<usize>i << 2));
    const last = load<u32>(firstEdges + (<usize>i << 2), 4);
    if (first > last || last > edgeCount || last - first > columns) return false;
    if (<u32>load<u16>(fails + (<usize>i << 1)) >= denseStates + i) return false;
  }
  for (let i: u32 = 0; i < edgeCount; i++) {
    const edge = edges + <usize>i * LITERALS_EDGE_BYTES;
    if (<u32>(load<u16>(edge, 2) & ~LITERALS_HIT) >= states) return false;
  }
  if (load<u32>(firstOutputs) != 0 || load<u32>(firstOutputs + (<usize>states << 2)) != outputCount) return false;
  for (let i: u32 = 0; i < states; i++) {
    if (load<u32>(firstOutputs + (<usize>i << 2)) > load<u32>(firstOutputs + (<usize>i << 2), 4)) return false;
  }
  for (let i: u32 = 0; i < outputCount; i++) {
    if (load<u32>(outputs + (<usize>i << 2)) >= ids) return false;
  }
  return true;
}
