/** Writes the machine of positions of one regex; the layout is in assembly/waf/abi.ts. */
import { NFA_ASSERT, NFA_MATCH, NFA_RANGES, NFA_SAVE, NFA_SPLIT } from '../../../assembly/regex/abi.ts';
import {
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
} from '../../../assembly/waf/abi.ts';
import type { Nfa } from '../regex/nfa.ts';

// PERF: distances instead of numbers: the positions of CRS 4.28 take 124 KB compressed, the programs of regex/ 759 KB.

/** Length a multiple of 4. `nfa` is over bytes, with captures. */
export function positionsBytes(nfa: Nfa, groups: number): Uint8Array {
  const { states } = nfa;
  const classes = new Map<string, { index: number; set: Uint8Array }>();
  const classOf = (ranges: readonly { low: number; high: number }[]): number => {
    const key = ranges.map(({ low, high }) => `${low}-${high}`).join();
    let known = classes.get(key);
    if (!known) classes.set(key, (known = { index: classes.size, set: bitmap(ranges) }));
    return known.index;
  };
  const table = new DataView(new ArrayBuffer(states.length * POSITION_BYTES));
  states.forEach((state, id) => {
    const at = id * POSITION_BYTES;
    const put = (op: number, argument: number, x: number, y: number): void => {
      table.setUint8(at, op);
      table.setUint8(at + 1, argument);
      table.setInt16(at + 2, x, true);
      table.setInt16(at + 4, y, true);
    };
    if (state.op === NFA_RANGES)
      put(POSITION_CLASS, 0, id - (state.transitions[0]?.next ?? id), classOf(state.transitions));
    else if (state.op === NFA_MATCH) put(POSITION_MATCH, 0, 0, 0);
    else if (state.op === NFA_SPLIT) put(POSITION_SPLIT, 0, id - state.x, id - state.y);
    else if (state.op === NFA_SAVE) put(POSITION_SAVE, state.slot, id - state.x, 0);
    else put(POSITION_ASSERT, state.kind, id - state.x, 0);
  });
  const first = firstBytes(nfa);
  const firstClass = first ? classOf(first) : -1;
  const classesAt = POSITIONS_TABLE + states.length * POSITION_BYTES;
  const bytes = new Uint8Array((classesAt + classes.size * 32 + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint32(POSITIONS_STATES, states.length, true);
  view.setUint32(POSITIONS_START, nfa.start, true);
  view.setUint32(POSITIONS_GROUPS, groups, true);
  view.setUint32(POSITIONS_CLASS_COUNT, classes.size, true);
  view.setInt32(POSITIONS_FIRST, firstClass, true);
  view.setUint32(POSITIONS_LEAVES, states.filter(({ op }) => op === NFA_RANGES || op === NFA_MATCH).length, true);
  bytes.set(new Uint8Array(table.buffer), POSITIONS_TABLE);
  for (const { index, set } of classes.values()) bytes.set(set, classesAt + index * 32);
  return bytes;
}

/** What the engine takes from its arena to run them with captures. */
export function scratchBytes(nfa: Nfa, groups: number): number {
  const leaves = nfa.states.filter(({ op }) => op === NFA_RANGES || op === NFA_MATCH).length;
  return nfa.states.length * (8 + 4 + 4) + leaves * 2 * (4 + groups * 8);
}

/** A bit for each byte. */
export function bitmap(ranges: readonly { low: number; high: number }[]): Uint8Array {
  const set = new Uint8Array(32);
  for (const { low, high } of ranges) for (let byte = low; byte <= high; byte++) set[byte >> 3]! |= 1 << (byte & 7);
  return set;
}

/** Bytes that a match can begin with; null when one can be empty. */
function firstBytes(nfa: Nfa): { low: number; high: number }[] | null {
  const seen = new Set<number>();
  const stack = [nfa.start];
  const ranges: { low: number; high: number }[] = [];
  while (stack.length > 0) {
    const at = stack.pop()!;
    if (seen.has(at)) continue;
    seen.add(at);
    const state = nfa.states[at]!;
    if (state.op === NFA_MATCH) return null;
    if (state.op === NFA_RANGES) ranges.push(...state.transitions);
    else if (state.op === NFA_SPLIT) stack.push(state.x, state.y);
    else if (state.op === NFA_SAVE || state.op === NFA_ASSERT) stack.push(state.x);
  }
  return ranges;
}
