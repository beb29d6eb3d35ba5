/**
 * The complete automaton of one pattern: does it match anywhere? Like regex/dfa.ts, but for rule sets, whose patterns have
 * thousands of positions: it may grow far larger, and two rules keep the states of most patterns few.
 *
 * - While a loop over every byte (`.*`) is live, whatever has to pass through it can be forgotten.
 * - Of the copies of a counted repeat (`x{1,255}`) only the one from which most can follow is kept.
 *
 * Both are sound because only "matches or not" is asked, never where. Without them 24 patterns of CRS 4.28 have more than
 * 10,000 states, with them 21.
 */
import {
  ASSERT_END,
  ASSERT_END_LINE,
  ASSERT_START,
  ASSERT_START_LINE,
  ASSERT_WORD,
  NFA_ASSERT,
  NFA_MATCH,
  NFA_RANGES,
  NFA_SPLIT,
} from '../../../assembly/regex/abi.ts';
import type { Dfa } from '../regex/dfa.ts';
import type { Nfa } from '../regex/nfa.ts';
import { EDGE, LINE, OTHER, partition, WORD } from './columns.ts';
import { Pruning } from './pruning.ts';

export interface AutomatonLimits {
  readonly states: number;
  readonly work: number; // elementary steps
}

const KINDS = [EDGE, WORD, LINE, OTHER]; // in the order of BEFORE_*

export const DEAD = 0;
export const MATCHED = 1;

/** Null beyond the limits. State 0 is dead, state 1 has matched; both are for good. `nfa` is over bytes, not anchored. */
export function automatonOf(nfa: Nfa, limits: AutomatonLimits): Dfa | null {
  return new Determinization(nfa, limits).run();
}

export class Determinization {
  readonly nfa: Nfa;
  readonly limits: AutomatonLimits;
  work = 0;

  readonly classes: Uint8Array;
  readonly columns: number; // with the one for the end of input
  readonly kinds: readonly number[]; // of each column
  private readonly usedAsserts = new Set<number>();
  /** Columns of each leaf that takes a byte. */
  private readonly columnsOf: readonly (Uint8Array | null)[];
  private readonly closures: (Int32Array | null)[];
  private readonly mark: Uint32Array;
  private generation = 0;
  private readonly pruning: Pruning;

  private startLeaves: Int32Array = new Int32Array(0);
  private startLooksBack = false;
  private readonly isStart: Uint8Array;
  private readonly startMoves: (Int32Array | null)[] = [];

  // States: leaves of state i are pool[offsets[i] .. offsets[i + 1]).
  private pool = new Int32Array(1 << 16);
  private readonly offsets: number[] = [0];
  private readonly sides: number[] = [];
  private hashes = new Int32Array(1 << 12).fill(-1);
  private out = new Int32Array(1024);
  private outLength = 0;

  constructor(nfa: Nfa, limits: AutomatonLimits) {
    this.nfa = nfa;
    this.limits = limits;
    this.mark = new Uint32Array(nfa.states.length);
    this.isStart = new Uint8Array(nfa.states.length);
    this.closures = new Array<Int32Array | null>(nfa.states.length).fill(null);
    this.out = new Int32Array(nfa.states.length + 1);
    for (const state of nfa.states) if (state.op === NFA_ASSERT) this.usedAsserts.add(state.kind);
    const { classes, kinds, columnsOf } = partition(nfa, this.usedAsserts);
    this.classes = classes;
    this.kinds = kinds;
    this.columnsOf = columnsOf;
    this.columns = kinds.length;
    this.startLeaves = this.closure(nfa.start);
    for (const leaf of this.startLeaves) this.isStart[leaf] = 1;
    this.startLooksBack = this.startLeaves.some((leaf) => nfa.states[leaf]!.op === NFA_ASSERT);
    this.pruning = new Pruning(nfa, this.startLeaves);
    this.addState(0, OTHER); // DEAD
    this.addState(0, OTHER); // MATCHED
  }

  run(): Dfa | null {
    const start = this.first();
    const rows: Int32Array[] = [new Int32Array(this.columns), new Int32Array(this.columns).fill(MATCHED)];
    for (let id = 2; id < this.count; id++) {
      if (this.count > this.limits.states || this.work > this.limits.work) return null;
      rows.push(this.row(id));
    }
    if (this.count > this.limits.states) return null;
    const table = new Uint16Array(rows.length * this.columns);
    rows.forEach((row, id) => table.set(row, id * this.columns));
    const accepts = rows.map((_, id) => (id === MATCHED ? [0] : []));
    return { classes: this.classes, columns: this.columns, table, start, accepts };
  }

  get count(): number {
    return this.offsets.length - 1;
  }

  /** The state in which no attempt is under way, behind a byte of this kind (BEFORE_*). */
  root(before: number): number {
    this.outLength = 0;
    return this.intern(KINDS[before]!);
  }

  /** States of the NFA where an attempt leads that begins in front of this column's byte; null when it matched there. */
  moves(before: number, column: number): number[] | null {
    const expanded = this.expand(this.startLeaves, KINDS[before]!, this.kinds[column]!);
    if (!expanded) return null;
    const found = new Set<number>();
    for (const leaf of expanded) {
      if (this.columnsOf[leaf]?.includes(column)) found.add(nextOf(this.nfa, leaf));
    }
    return [...found];
  }

  /** The state before the first byte. */
  first(): number {
    for (const leaf of this.startLeaves) if (this.nfa.states[leaf]!.op === NFA_MATCH) return MATCHED;
    this.outLength = 0;
    return this.intern(EDGE);
  }

  /** Leaves that `from` reaches without a byte and without an assertion. */
  private closure(from: number): Int32Array {
    const known = this.closures[from];
    if (known) return known;
    const generation = ++this.generation;
    const found: number[] = [];
    const stack = [from];
    while (stack.length > 0) {
      const at = stack.pop()!;
      if (this.mark[at] === generation) continue;
      this.mark[at] = generation;
      const state = this.nfa.states[at]!;
      if (state.op === NFA_SPLIT) stack.push(state.y, state.x);
      else if (state.op === NFA_RANGES || state.op === NFA_MATCH || state.op === NFA_ASSERT) found.push(at);
      else stack.push(state.x);
    }
    return (this.closures[from] = Int32Array.from(found));
  }

  private addState(length: number, side: number): number {
    const from = this.offsets.at(-1)!;
    if (from + length > this.pool.length) {
      const larger = new Int32Array((from + length) * 2);
      larger.set(this.pool);
      this.pool = larger;
    }
    this.pool.set(this.out.subarray(0, length), from);
    this.sides.push(side);
    return this.offsets.push(from + length) - 2;
  }

  leaves(id: number): Int32Array {
    return this.pool.subarray(this.offsets[id], this.offsets[id + 1]);
  }

  /** Number of the state of the leaves in `out`, entered over a byte of kind `before`. */
  private intern(before: number): number {
    const { states } = this.nfa;
    const { out } = this;
    let length = 0;
    let looksBack = this.startLooksBack;
    for (let i = 0; i < this.outLength; i++) {
      const leaf = out[i]!;
      if (this.isStart[leaf]) continue;
      const state = states[leaf]!;
      if (state.op === NFA_ASSERT) {
        if (state.kind === ASSERT_START && before !== EDGE) continue;
        if (state.kind === ASSERT_START_LINE && before !== EDGE && before !== LINE) continue;
        looksBack = true;
      }
      out[length++] = leaf;
    }
    length = this.pruning.prune(out, length);
    this.work += this.outLength + 1;
    if (length > 1) out.subarray(0, length).sort();
    let side = OTHER;
    if (
      looksBack &&
      (before !== EDGE || this.usedAsserts.has(ASSERT_START) || this.usedAsserts.has(ASSERT_START_LINE))
    ) {
      side = before;
    }
    let hash = side;
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ out[i]!, 0x9e3779b1) ^ (hash >>> 15);
    if (this.count * 2 > this.hashes.length) this.rehash();
    const mask = this.hashes.length - 1;
    for (let slot = (hash ^ (hash >>> 13)) & mask; ; slot = (slot + 1) & mask) {
      const id = this.hashes[slot]!;
      if (id < 0) {
        this.hashes[slot] = this.addState(length, side);
        return this.hashes[slot]!;
      }
      if (this.sides[id] !== side || this.offsets[id + 1]! - this.offsets[id]! !== length) continue;
      const from = this.offsets[id]!;
      let i = 0;
      while (i < length && this.pool[from + i] === out[i]) i++;
      if (i === length) return id;
    }
  }

  private rehash(): void {
    this.hashes = new Int32Array(this.hashes.length * 4).fill(-1);
    const mask = this.hashes.length - 1;
    for (let id = 2; id < this.count; id++) {
      let hash = this.sides[id]!;
      for (const leaf of this.leaves(id)) hash = Math.imul(hash ^ leaf, 0x9e3779b1) ^ (hash >>> 15);
      let slot = (hash ^ (hash >>> 13)) & mask;
      while (this.hashes[slot]! >= 0) slot = (slot + 1) & mask;
      this.hashes[slot] = id;
    }
  }

  /** Successors of a state, by column; the last one tells whether it matches at the end. */
  row(id: number): Int32Array {
    const row = new Int32Array(this.columns);
    if (id === DEAD) return row;
    if (id === MATCHED) return row.fill(MATCHED);
    const { states } = this.nfa;
    const before = this.sides[id]!;
    const leaves = Int32Array.from(this.leaves(id));
    const targets: number[][] = Array.from({ length: this.columns }, () => []);
    const matched = new Set<number>(); // kinds of next byte in front of which it has matched
    const collect = (some: Int32Array, mask: number): void => {
      for (const leaf of some) {
        const columns = this.columnsOf[leaf];
        if (!columns) continue;
        const next = nextOf(this.nfa, leaf);
        for (const column of columns) {
          this.work++;
          if (this.kinds[column]! & mask) targets[column]!.push(next);
        }
      }
    };
    if (leaves.some((leaf) => states[leaf]!.op === NFA_ASSERT)) {
      for (const kind of KINDS) {
        const expanded = this.expand(leaves, before, kind);
        if (expanded) collect(expanded, kind);
        else matched.add(kind);
      }
    } else collect(leaves, EDGE | WORD | LINE | OTHER);
    for (let column = 0; column < this.columns; column++) {
      const kind = this.kinds[column]!;
      const start = this.startMove(before, column);
      if (matched.has(kind) || !start) row[column] = MATCHED;
      else if (kind === EDGE) row[column] = DEAD;
      else row[column] = this.target(targets[column]!, start, kind);
    }
    return row;
  }

  private target(targets: readonly number[], start: Int32Array, kind: number): number {
    const lists = targets.map((target) => this.closure(target)); // before the generation: these draw numbers too
    const generation = ++this.generation;
    this.outLength = 0;
    let matched = false;
    const add = (leaf: number): void => {
      if (this.mark[leaf] === generation) return;
      this.mark[leaf] = generation;
      if (this.nfa.states[leaf]!.op === NFA_MATCH) matched = true;
      this.out[this.outLength++] = leaf;
    };
    for (const list of lists) for (const leaf of list) add(leaf);
    for (const leaf of start) add(leaf);
    this.work += this.outLength;
    return matched ? MATCHED : this.intern(kind);
  }

  /** Where an attempt leads that begins in front of this column's byte; null when it has matched there. */
  private startMove(before: number, column: number): Int32Array | null {
    const key = before * 512 + column;
    const known = this.startMoves[key];
    if (known !== undefined) return known;
    let move: Int32Array | null = null;
    const expanded = this.expand(this.startLeaves, before, this.kinds[column]!);
    if (expanded) {
      const found = new Set<number>();
      for (const leaf of expanded) {
        if (!this.columnsOf[leaf]?.includes(column)) continue;
        for (const one of this.closure(nextOf(this.nfa, leaf))) found.add(one);
      }
      move = Int32Array.from(found);
    }
    this.startMoves[key] = move;
    return move;
  }

  /** Leaves that take a byte, with the assertions between `before` and `after` decided; null when that alone matches. */
  private expand(leaves: Int32Array, before: number, after: number): Int32Array | null {
    const { states } = this.nfa;
    const pending: number[] = [];
    const out = new Set<number>();
    for (const leaf of leaves) {
      if (states[leaf]!.op === NFA_ASSERT) pending.push(leaf);
      else out.add(leaf);
    }
    const done = new Set<number>();
    while (pending.length > 0) {
      const at = pending.pop()!;
      if (done.has(at)) continue;
      done.add(at);
      const state = states[at]!;
      if (state.op !== NFA_ASSERT || !holds(state.kind, before, after)) continue;
      for (const leaf of this.closure(state.x)) {
        const { op } = states[leaf]!;
        if (op === NFA_ASSERT) pending.push(leaf);
        else if (op === NFA_MATCH) return null;
        else out.add(leaf);
      }
    }
    return Int32Array.from(out);
  }
}

/** Over bytes all transitions of a state lead to the same one. */
function nextOf(nfa: Nfa, leaf: number): number {
  const state = nfa.states[leaf]!;
  return state.op === NFA_RANGES ? state.transitions[0]!.next : leaf;
}

function holds(kind: number, before: number, after: number): boolean {
  if (kind === ASSERT_START) return before === EDGE;
  if (kind === ASSERT_END) return after === EDGE;
  if (kind === ASSERT_START_LINE) return before === EDGE || before === LINE;
  if (kind === ASSERT_END_LINE) return after === EDGE || after === LINE;
  return ((before === WORD) !== (after === WORD)) === (kind === ASSERT_WORD);
}
