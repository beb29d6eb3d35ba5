/**
 * Bins: automata that look for several patterns in one pass. Made as products of the patterns' own minimal automata, which
 * costs a table look-up per state and byte class, where a subset construction of all together would start over.
 *
 * A pattern that has matched is of no interest any more, so its part of the product may go anywhere then: it goes to where
 * it is most of the time anyway. With a state of its own for "has matched" each pattern would double the states of the bin.
 */
import type { Dfa } from '../regex/dfa.ts';

/** An automaton that tells what matched while it moves. Cells are `output << 16 | next`. */
export interface Machine {
  readonly classes: Uint8Array; // column of each byte
  readonly columns: number;
  readonly states: number;
  readonly cells: Int32Array;
  /** Output at the end of the input, of each state. */
  readonly ends: Int32Array;
  readonly start: number;
  /** State that is never left and says nothing; -1 = none. */
  readonly dead: number;
  /** Matchers, ascending, of each output; output 0 is nothing. */
  readonly outputs: readonly (readonly number[])[];
}

export const NEXT_MASK = 0xffff;
export const MAX_MACHINE_STATES = 32767;

/** `dfa` as of automatonOf, minimal: state 0 is dead, state 1 has matched. It must not match the empty text everywhere. */
export function machineOf(dfa: Dfa, matcher: number): Machine {
  const columns = dfa.columns - 1;
  const count = dfa.accepts.length;
  const matched = dfa.accepts.findIndex((ids) => ids.length > 0);
  const weights = new Float64Array(columns);
  for (const column of dfa.classes) weights[column]!++;
  const entered = new Float64Array(count);
  for (let state = 0; state < count; state++) {
    if (state === 0 || state === matched) continue;
    for (let column = 0; column < columns; column++) {
      entered[dfa.table[state * dfa.columns + column]!]! += weights[column]!;
    }
  }
  const dead = entered[0]! > 0 || dfa.start === 0 ? 0 : -1;
  let home = 0;
  if (dead < 0) {
    home = dfa.start;
    for (let state = 0; state < count; state++) {
      if (state !== matched && entered[state]! > entered[home]!) home = state;
    }
  }
  // Without the state that has matched, and without a dead one that is never entered.
  const number = new Int32Array(count).fill(-1);
  let states = 0;
  for (let state = 0; state < count; state++) {
    if (state !== matched && (state !== 0 || dead === 0)) number[state] = states++;
  }
  const cells = new Int32Array(states * columns);
  const ends = new Int32Array(states);
  for (let state = 0; state < count; state++) {
    if (number[state]! < 0) continue;
    const row = state * dfa.columns;
    for (let column = 0; column < columns; column++) {
      const next = dfa.table[row + column]!;
      const cell = number[state]! * columns + column;
      cells[cell] = next === matched ? (1 << 16) | number[home]! : number[next]!;
    }
    ends[number[state]!] = matched > 0 && dfa.table[row + columns] === matched ? 1 : 0;
  }
  const outputs = [[], [matcher]];
  return { classes: dfa.classes, columns, states, cells, ends, start: number[dfa.start]!, dead, outputs };
}

const NONE = -1;

/** Both machines in one; null with more than so many states, columns or cells. */
export function product(
  a: Machine,
  b: Machine,
  maxStates: number,
  maxColumns: number,
  maxCells: number,
): Machine | null {
  const classes = new Uint8Array(256);
  const pairs = new Map<number, number>();
  const columnA: number[] = [];
  const columnB: number[] = [];
  for (let byte = 0; byte < 256; byte++) {
    const key = a.classes[byte]! * 256 + b.classes[byte]!;
    let column = pairs.get(key);
    if (column === undefined) {
      pairs.set(key, (column = columnA.length));
      columnA.push(a.classes[byte]!);
      columnB.push(b.classes[byte]!);
    }
    classes[byte] = column;
  }
  const columns = columnA.length;
  if (columns > maxColumns) return null;
  maxStates = Math.min(maxStates, MAX_MACHINE_STATES, Math.floor(maxCells / columns));
  if (a.states > maxStates || b.states > maxStates) return null;

  const slots = 1 << Math.ceil(Math.log2(maxStates * 4 + 16));
  const keys = new Int32Array(slots).fill(NONE);
  const ids = new Int32Array(slots);
  const stateA = new Int32Array(maxStates);
  const stateB = new Int32Array(maxStates);
  let states = 0;
  const intern = (one: number, two: number): number => {
    const key = one * 32768 + two;
    let slot = (Math.imul(key, 0x9e3779b1) >>> 7) & (slots - 1);
    while (keys[slot] !== NONE) {
      if (keys[slot] === key) return ids[slot]!;
      slot = (slot + 1) & (slots - 1);
    }
    if (states === maxStates) return NONE;
    keys[slot] = key;
    ids[slot] = states;
    stateA[states] = one;
    stateB[states] = two;
    return states++;
  };
  const outputs: (readonly number[])[] = [[]];
  const known = new Map<number, number>([[0, 0]]);
  const output = (one: number, two: number): number => {
    const key = one * 65536 + two;
    let index = known.get(key);
    if (index === undefined) {
      known.set(key, (index = outputs.length));
      outputs.push([...a.outputs[one]!, ...b.outputs[two]!].sort((x, y) => x - y));
    }
    return index;
  };

  if (a.dead >= 0 && b.dead >= 0) intern(a.dead, b.dead); // so that it is state 0
  const start = intern(a.start, b.start);
  let cells = new Int32Array(Math.min(maxStates, 256) * columns);
  for (let state = 0; state < states; state++) {
    if ((state + 1) * columns > cells.length) {
      const larger = new Int32Array(Math.min(cells.length * 4, maxStates * columns));
      larger.set(cells);
      cells = larger;
    }
    const rowA = stateA[state]! * a.columns;
    const rowB = stateB[state]! * b.columns;
    for (let column = 0; column < columns; column++) {
      const cellA = a.cells[rowA + columnA[column]!]!;
      const cellB = b.cells[rowB + columnB[column]!]!;
      const next = intern(cellA & NEXT_MASK, cellB & NEXT_MASK);
      if (next === NONE) return null;
      const quiet = cellA < 65536 && cellB < 65536;
      cells[state * columns + column] = quiet ? next : (output(cellA >> 16, cellB >> 16) << 16) | next;
    }
  }
  const ends = new Int32Array(states);
  for (let state = 0; state < states; state++) {
    const one = a.ends[stateA[state]!]!;
    const two = b.ends[stateB[state]!]!;
    if (one !== 0 || two !== 0) ends[state] = output(one, two);
  }
  const dead = a.dead >= 0 && b.dead >= 0 ? 0 : -1;
  return { classes, columns, states, cells: cells.slice(0, states * columns), ends, start, dead, outputs };
}
