/**
 * Part of the automaton of a regex whose complete one would be too large: the states that texts are likely to reach. Where
 * it ends, the engine goes on with the positions, from where no attempt was under way, and comes back when none is.
 *
 * Which states those are is found out by walking: over ordinary texts, then from all that was reached along the likeliest bytes.
 */
import { BEFORE_EDGE, BEFORE_LINE, BEFORE_OTHER, BEFORE_WORD, BIN_UNSURE } from '../../../assembly/waf/abi.ts';
import type { Dfa } from '../regex/dfa.ts';
import { minimize } from '../regex/minimize.ts';
import type { Nfa } from '../regex/nfa.ts';
import { DEAD, Determinization, MATCHED } from './automaton.ts';
import type { Machine } from './bins.ts';
import { ORDINARY } from './ordinary.ts';
import { chance } from './literals.ts';

export interface PartialMachine extends Machine {
  /** States below are those in which no attempt is under way. */
  readonly roots: number;
  /** Root by what stands before it, BEFORE_*; -1 = none. */
  readonly rootOf: readonly number[];
  /** By BEFORE_* and column of `moveClasses`: states of the positions where an attempt leads. */
  readonly moves: readonly (readonly (readonly number[])[])[];
  /** Finer than `classes`: bytes that are alike in the states that were made may differ beyond. */
  readonly moveClasses: Uint8Array;
}

const KINDS = [BEFORE_EDGE, BEFORE_WORD, BEFORE_LINE, BEFORE_OTHER];
const encoder = new TextEncoder();
/** Of the states, how many may be such that ordinary texts have led to. */
const SEEN_SHARE = 0.6;
/** How much likelier than by chance a state is that a text has led to. */
const SEEN_WEIGHT = 1;
const UNSURE = 2; // label of a state that is not made

/** `nfa` is the one whose positions the engine has. Null when the pattern can match without a byte, or has more columns than a row may have. */
export function partialMachine(nfa: Nfa, matcher: number, budget: number): PartialMachine | null {
  const walk = new Determinization(nfa, { states: Infinity, work: Infinity });
  const moves = KINDS.map((kind) => Array.from({ length: walk.columns }, (_, column) => walk.moves(kind, column)));
  if (moves.some((row) => row.some((list) => list === null))) return null;
  for (const row of moves) row.pop(); // of the end: nothing begins there
  const start = walk.first();
  if (start === MATCHED) return null;
  const roots = KINDS.map((kind) => walk.root(kind));
  const rows = explore(walk, [start, ...roots], budget);

  // Numbers: 0 dead, 1 matched, 2 unsure, then the states that were made.
  const made = [...rows.keys()];
  const number = new Map(made.map((id, index) => [id, index + 3]));
  number.set(DEAD, 0).set(MATCHED, 1);
  const { columns } = walk;
  const table = new Uint16Array((made.length + 3) * columns);
  table.fill(MATCHED, MATCHED * columns, (MATCHED + 1) * columns);
  table.fill(UNSURE, UNSURE * columns, (UNSURE + 1) * columns);
  for (const [id, row] of rows) {
    const at = number.get(id)! * columns;
    for (let column = 0; column < columns; column++) table[at + column] = number.get(row[column]!) ?? UNSURE;
  }
  // Roots keep their own labels, so that no other state is taken for one: where both are unsure they mean different things.
  const rootSet = [...new Set([start, ...roots])].filter((id) => rows.has(id));
  const labels: (readonly number[])[] = [
    [],
    [0],
    [1],
    ...made.map((id) => (rootSet.includes(id) ? [2 + rootSet.indexOf(id)] : [])),
  ];
  const small = minimize({ classes: walk.classes, columns, table, start: number.get(start)!, accepts: labels });
  return convert(
    small,
    matcher,
    rootSet.map((id) => roots.flatMap((root, kind) => (root === id ? [kind] : []))),
    moves as number[][][],
    walk.classes,
  );
}

/** Rows of the likeliest states. */
function explore(walk: Determinization, first: readonly number[], budget: number): Map<number, Int32Array> {
  const likely = new Float64Array(walk.columns);
  for (let byte = 0; byte < 256; byte++) likely[walk.classes[byte]!]! += chance(byte);
  const rows = new Map<number, Int32Array>();
  // Buckets by order of magnitude: precise enough, and a push costs nothing.
  const buckets: number[][] = Array.from({ length: 256 }, () => []);
  const bucketOf = (weight: number): number => Math.min(255, Math.floor(-Math.log2(weight) * 4));
  const weights = new Map<number, number>();
  const known = new Map<number, Int32Array>();
  const seen = walkTexts(walk, first, budget, known);
  const [start] = first;
  for (const [id, share] of seen) {
    if (id === start) continue;
    weights.set(id, share);
    buckets[bucketOf(share)]!.push(id);
  }
  for (const id of first) {
    weights.set(id, 1);
    buckets[0]!.push(id);
  }
  for (let bucket = 0; bucket < buckets.length && (bucket === 0 || rows.size < budget);) {
    const id = buckets[bucket]!.pop();
    if (id === undefined) {
      bucket++;
      continue;
    }
    if (rows.has(id) || id === DEAD || id === MATCHED) continue;
    const row = known.get(id) ?? walk.row(id);
    rows.set(id, row);
    const weight = weights.get(id)!;
    for (let column = 0; column < walk.columns - 1; column++) {
      const next = row[column]!;
      const reached = weight * Math.min(likely[column]!, 0.9);
      if (reached <= (weights.get(next) ?? 0)) continue;
      weights.set(next, reached);
      const place = bucketOf(reached);
      buckets[place]!.push(next);
      if (place < bucket) bucket = place;
    }
  }
  return rows;
}

/** How likely the states are that ordinary texts enter, of those that are entered most; adds the rows that it needed. */
function walkTexts(
  walk: Determinization,
  [start, ...roots]: readonly number[],
  budget: number,
  rows: Map<number, Int32Array>,
): Map<number, number> {
  const entered = new Map<number, number>();
  let bytes = 0;
  for (const text of ORDINARY) {
    let state = start!;
    for (const byte of encoder.encode(text)) {
      let row = rows.get(state);
      if (!row) {
        if (rows.size === budget * 4) break;
        rows.set(state, (row = walk.row(state)));
      }
      const next = row[walk.classes[byte]!]!;
      // What has matched or died is of no interest: on from where no attempt is under way.
      state = next === DEAD || next === MATCHED ? roots.at(-1)! : next;
      entered.set(state, (entered.get(state) ?? 0) + 1);
      bytes++;
    }
  }
  const most = [...entered].sort((a, b) => b[1] - a[1]).slice(0, Math.floor(budget * SEEN_SHARE));
  return new Map(most.map(([id, times]) => [id, Math.min(1, (times / bytes) * SEEN_WEIGHT)]));
}

function convert(
  dfa: Dfa,
  matcher: number,
  kindsOf: readonly (readonly number[])[],
  moves: PartialMachine['moves'],
  classesBefore: Uint8Array,
): PartialMachine {
  const count = dfa.accepts.length;
  const label = (state: number): number => dfa.accepts[state]![0] ?? -1;
  const rootStates = Array.from({ length: count }, (_, state) => state).filter((state) => label(state) >= 2);
  const rest = Array.from({ length: count }, (_, state) => state).filter((state) => label(state) < 0 && state !== 0);
  // What matched or is unsure goes on dead: nothing that follows may count. Dead counts as a root: no attempt is under way.
  const order = [0, ...rootStates, ...rest];
  const number = new Int32Array(count).fill(-1);
  order.forEach((state, index) => (number[state] = index));
  const columns = dfa.columns - 1;
  const cells = new Int32Array(order.length * columns);
  const ends = new Int32Array(order.length);
  const output = (next: number): number => (label(next) === 0 ? 1 : label(next) === 1 ? 2 : 0);
  order.forEach((state, index) => {
    const row = state * dfa.columns;
    for (let column = 0; column < columns; column++) {
      const next = dfa.table[row + column]!;
      cells[index * columns + column] = output(next) > 0 ? output(next) << 16 : number[next]!; // says: on to 0, dead
    }
    ends[index] = output(dfa.table[row + columns]!);
  });
  const rootOf = KINDS.map((kind) => {
    const state = rootStates.find((id) => kindsOf[label(id) - 2]!.includes(kind));
    return state === undefined ? -1 : number[state]!;
  });
  return {
    classes: dfa.classes,
    columns,
    states: order.length,
    cells,
    ends,
    start: number[dfa.start]!,
    dead: -1,
    outputs: [[], [matcher], [matcher | BIN_UNSURE]],
    roots: rootStates.length + 1,
    rootOf,
    moves,
    moveClasses: classesBefore,
  };
}
