/** The columns of an automaton's table. */
import {
  ASSERT_END_LINE,
  ASSERT_NOT_WORD,
  ASSERT_START_LINE,
  ASSERT_WORD,
  NFA_RANGES,
} from '../../../assembly/regex/abi.ts';
import type { Nfa } from '../regex/nfa.ts';
import { contains, WORD_BYTES } from '../regex/ranges.ts';

// Kinds of neighbouring byte, as bits.
export const EDGE = 1; // the start before, the end behind
export const WORD = 2;
export const LINE = 4;
export const OTHER = 8;

export interface Columns {
  readonly classes: Uint8Array; // column of each byte
  readonly kinds: readonly number[]; // of each column; the last one is the end of input
  /** Columns that each state of the NFA takes; null where it takes no byte. */
  readonly columnsOf: readonly (Uint8Array | null)[];
}

/** Bytes that every position and assertion of the pattern treats alike are one column, and so is the end of input. */
export function partition(nfa: Nfa, usedAsserts: ReadonlySet<number>): Columns {
  const { states } = nfa;
  const classes = new Uint8Array(256);
  const kinds: number[] = [];
  const columnsOfState = new Array<Uint8Array | null>(states.length).fill(null);
  const cut = new Uint8Array(257);
  const range = (low: number, high: number): void => {
    cut[low] = 1;
    cut[high + 1] = 1;
  };
  for (const state of states) {
    if (state.op === NFA_RANGES) for (const { low, high } of state.transitions) range(low, high);
  }
  const words = usedAsserts.has(ASSERT_WORD) || usedAsserts.has(ASSERT_NOT_WORD);
  const lines = usedAsserts.has(ASSERT_START_LINE) || usedAsserts.has(ASSERT_END_LINE);
  if (lines) range(10, 10);
  if (words) for (let i = 0; i < WORD_BYTES.length; i += 2) range(WORD_BYTES[i]!, WORD_BYTES[i + 1]!);
  // Intervals that all leaves treat alike are one column, however many intervals there are.
  const first: number[] = [];
  for (let byte = 0; byte < 256; byte++) if (byte === 0 || cut[byte]) first.push(byte);
  const signatures: string[] = first.map((byte) =>
    words && contains(WORD_BYTES, byte) ? 'w' : lines && byte === 10 ? 'l' : 'o',
  );
  const distinct = new Map<string, number>();
  states.forEach((state) => {
    if (state.op !== NFA_RANGES) return;
    const key = state.transitions.map(({ low, high }) => `${low}-${high}`).join();
    if (!distinct.has(key)) {
      distinct.set(key, distinct.size);
      first.forEach((byte, i) => {
        signatures[i] += state.transitions.some(({ low, high }) => low <= byte && byte <= high) ? '1' : '0';
      });
    }
  });
  const column = new Map<string, number>();
  let interval = -1;
  for (let byte = 0; byte < 256; byte++) {
    if (byte === 0 || cut[byte]) interval++;
    const signature = signatures[interval]!;
    let known = column.get(signature);
    if (known === undefined) {
      column.set(signature, (known = column.size));
      kinds.push(signature[0] === 'w' ? WORD : signature[0] === 'l' ? LINE : OTHER);
    }
    classes[byte] = known;
  }
  kinds.push(EDGE);
  const columnsOf = new Map<string, Uint8Array>();
  states.forEach((state, id) => {
    if (state.op !== NFA_RANGES) return;
    const key = state.transitions.map(({ low, high }) => `${low}-${high}`).join();
    let list = columnsOf.get(key);
    if (!list) {
      const some = new Set<number>();
      for (const { low, high } of state.transitions) {
        for (let byte = low; byte <= high; byte++) some.add(classes[byte]!);
      }
      columnsOf.set(key, (list = Uint8Array.from([...some].sort((a, b) => a - b))));
    }
    columnsOfState[id] = list;
  });
  return { classes, kinds, columnsOf: columnsOfState };
}
