/**
 * Subset construction. Anchors and word boundaries are decided here and cost nothing when matching: a state carries
 * what kind of byte came before it, and its transitions know what kind comes next ("end of input" is one more column).
 *
 * An unanchored search begins a new attempt at every byte. Those start states belong to every DFA state, so they are
 * left out of its key and their successors are made once per column; a set of a thousand literals stays cheap so.
 */
import { MAX_DFA_STATES } from '../../../assembly/abi.ts';
import {
  ASSERT_END,
  ASSERT_END_LINE,
  ASSERT_NOT_WORD,
  ASSERT_NOT_WORD_UTF8,
  ASSERT_START,
  ASSERT_START_LINE,
  ASSERT_WORD,
  NFA_ASSERT,
  NFA_MATCH,
  NFA_RANGES,
  NFA_SPLIT,
} from '../../../assembly/regex/abi.ts';
import type { Effort } from './effort.ts';
import type { Nfa } from './nfa.ts';
import { contains, WORD_BYTES } from './ranges.ts';

/** A complete automaton. State 0 is dead; rows of `table` have `columns` entries, the last one for the end of input. */
export interface Dfa {
  readonly classes: Uint8Array; // column of each byte
  readonly columns: number;
  readonly table: Uint16Array;
  readonly start: number;
  /** Pattern ids that have matched on entering the state, ascending. */
  readonly accepts: readonly (readonly number[])[];
}

const DEAD = 0;

// Kinds of neighbouring byte, as bits so that a state can ask for several.
const EDGE = 1; // the start before, the end behind
const WORD = 2;
const LINE = 4;
const OTHER = 8;
const INSIDE = 16; // behind: a byte that goes on a code point; before it is as OTHER
const ANY = EDGE | WORD | LINE | OTHER | INSIDE;

/** Null when it needs more than MAX_DFA_STATES states or more work than allowed: the caller falls back on the NFA. */
export function determinize(nfa: Nfa, single: boolean, effort: Effort, patterns = 1): Dfa | null {
  const construction = new Construction(nfa, single, effort.allowed(patterns));
  const dfa = construction.run();
  effort.draw(construction.work);
  return dfa;
}

class Construction {
  private readonly nfa: Nfa;
  private readonly single: boolean;
  private readonly maxWork: number;
  work = 0;

  private readonly classes = new Uint8Array(256);
  private columns = 0;
  private readonly kinds: number[] = []; // of each column
  private readonly firstByte: number[] = []; // of each column

  private readonly usedAsserts = new Set<number>();
  private readonly mark: Uint32Array;
  private generation = 0;

  private readonly ids = new Map<string, number>();
  private readonly leaves: (readonly number[])[] = [];
  private readonly before: number[] = [];
  private readonly accepts: (readonly number[])[] = [];
  private readonly rows: Uint16Array[] = [];

  private startLeaves: readonly number[] = [];
  private startLooksBack = false;
  private startMatches: readonly number[] = []; // patterns that match the empty string match everywhere
  private readonly isStart: Uint8Array;
  private readonly startMoves = new Map<number, Move>();

  constructor(nfa: Nfa, single: boolean, maxWork: number) {
    this.nfa = nfa;
    this.single = single;
    this.maxWork = maxWork;
    this.mark = new Uint32Array(nfa.states.length);
    this.isStart = new Uint8Array(nfa.states.length);
    for (const state of nfa.states) if (state.op === NFA_ASSERT) this.usedAsserts.add(state.kind);
    this.partitionBytes();
  }

  run(): Dfa | null {
    this.leaves.push([]); // DEAD
    this.before.push(OTHER);
    this.accepts.push([]);
    this.generation++;
    const start: number[] = [];
    this.close(this.nfa.start, start);
    if (!this.nfa.anchored) {
      this.startLeaves = start;
      for (const leaf of start) this.isStart[leaf] = 1;
      this.startMatches = this.matches(start);
      this.startLooksBack = start.some((leaf) => this.nfa.states[leaf]!.op === NFA_ASSERT);
    }
    const always = this.matches(start);
    const first = this.state(this.nfa.anchored ? start : [], EDGE, always);
    for (let id = 0; id < this.leaves.length; id++) {
      if (this.leaves.length > MAX_DFA_STATES || this.work > this.maxWork) return null;
      this.rows.push(this.row(id));
    }
    const table = new Uint16Array(this.rows.length * this.columns);
    this.rows.forEach((row, id) => table.set(row, id * this.columns));
    return { classes: this.classes, columns: this.columns, table, start: first, accepts: this.accepts };
  }

  private partitionBytes(): void {
    const cut = new Uint8Array(257);
    const range = (low: number, high: number): void => {
      cut[low] = 1;
      cut[high + 1] = 1;
    };
    for (const state of this.nfa.states) {
      if (state.op === NFA_RANGES) for (const { low, high } of state.transitions) range(low, high);
    }
    const inside = this.usedAsserts.has(ASSERT_NOT_WORD_UTF8);
    const words = inside || this.usedAsserts.has(ASSERT_WORD) || this.usedAsserts.has(ASSERT_NOT_WORD);
    const lines = this.usedAsserts.has(ASSERT_START_LINE) || this.usedAsserts.has(ASSERT_END_LINE);
    if (lines) range(10, 10);
    if (inside) range(0x80, 0xbf);
    if (words) for (let i = 0; i < WORD_BYTES.length; i += 2) range(WORD_BYTES[i]!, WORD_BYTES[i + 1]!);
    for (let byte = 0; byte < 256; byte++) {
      if (byte === 0 || cut[byte]) {
        this.firstByte.push(byte);
        this.kinds.push(kindOf(byte, words, lines, inside));
      }
      this.classes[byte] = this.firstByte.length - 1;
    }
    this.kinds.push(EDGE);
    this.columns = this.kinds.length;
  }

  /** Follows what needs no byte and no neighbour; keeps the states where it stops. */
  private close(from: number, out: number[]): void {
    const stack = [from];
    while (stack.length > 0) {
      const at = stack.pop()!;
      if (this.mark[at] === this.generation) continue;
      this.mark[at] = this.generation;
      this.work++;
      const state = this.nfa.states[at]!;
      if (state.op === NFA_SPLIT) stack.push(state.y, state.x);
      else if (state.op === NFA_RANGES || state.op === NFA_MATCH || state.op === NFA_ASSERT) out.push(at);
      else stack.push(state.x);
    }
  }

  private matches(leaves: readonly number[]): number[] {
    const ids: number[] = [];
    for (const leaf of leaves) {
      const state = this.nfa.states[leaf]!;
      if (state.op === NFA_MATCH) ids.push(state.pattern);
    }
    return ids;
  }

  /** Number of the DFA state with these leaves; matched ids leave the leaves and become its accept list. */
  private state(found: readonly number[], before: number, matched: readonly number[]): number {
    if (this.single && matched.length > 0) {
      found = []; // absorbing: whatever follows, it has matched
      before = OTHER;
    }
    const kept: number[] = [];
    let looksBack = false;
    for (const leaf of found) {
      const state = this.nfa.states[leaf]!;
      if (state.op === NFA_MATCH || this.isStart[leaf]) continue;
      if (state.op === NFA_ASSERT) {
        if (!possible(state.kind, before)) continue;
        looksBack = true;
      }
      kept.push(leaf);
    }
    looksBack ||= this.startLooksBack;
    sort(kept);
    this.work += kept.length + 1;
    const accept = unique(matched);
    const absorbing = this.single && accept.length > 0;
    if (kept.length === 0 && this.nfa.anchored && accept.length === 0) return DEAD;
    const side = absorbing || !looksBack ? OTHER : this.side(before);
    const key = `${side},${accept.join(',')},${text(kept)}`;
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    const id = this.leaves.length;
    this.ids.set(key, id);
    this.leaves.push(kept);
    this.before.push(side);
    this.accepts.push(accept);
    return id;
  }

  // Only what some assertion asks for tells two states apart.
  private side(before: number): number {
    const used = this.usedAsserts;
    if (before === INSIDE) return OTHER;
    if (before === EDGE && !used.has(ASSERT_START) && !used.has(ASSERT_START_LINE)) return OTHER;
    return before;
  }

  private row(id: number): Uint16Array {
    const row = new Uint16Array(this.columns);
    this.work += this.columns;
    if (id === DEAD) return row;
    if (this.single && this.accepts[id]!.length > 0) return row.fill(id);
    const before = this.before[id]!;
    const leaves = this.leaves[id]!;
    const targets: (number[] | null)[] = new Array<number[] | null>(this.columns).fill(null);
    // Without assertions among the leaves all columns share them; else each kind of next byte has its own.
    const matched = new Map<number, readonly number[]>();
    const groups: [mask: number, leaves: Iterable<number>][] = [];
    if (leaves.some((leaf) => this.nfa.states[leaf]!.op === NFA_ASSERT)) {
      for (const kind of new Set(this.kinds)) {
        const expanded = this.expand(leaves, before, kind);
        groups.push([kind, expanded.leaves]);
        matched.set(kind, expanded.matched);
      }
    } else groups.push([ANY, leaves]);
    for (const [mask, group] of groups) {
      for (const leaf of group) {
        const state = this.nfa.states[leaf]!;
        if (state.op !== NFA_RANGES) continue;
        for (const { low, high, next } of state.transitions) {
          for (let column = this.classes[low]!; column <= this.classes[high]!; column++) {
            this.work++;
            if ((this.kinds[column]! & mask) === 0) continue;
            (targets[column] ??= []).push(next);
          }
        }
      }
    }
    for (let column = 0; column < this.columns; column++) {
      row[column] = this.target(before, column, targets[column]!, matched.get(this.kinds[column]!) ?? []);
    }
    return row;
  }

  private target(
    before: number,
    column: number,
    targets: readonly number[] | null,
    matched: readonly number[],
  ): number {
    const move = this.startMove(before, column);
    if (!targets && matched.length === 0) return move.state;
    this.generation++;
    const out: number[] = [];
    for (const target of targets ?? []) this.close(target, out);
    for (const leaf of move.leaves) {
      this.work++;
      if (this.mark[leaf] === this.generation) continue;
      this.mark[leaf] = this.generation;
      out.push(leaf);
    }
    return this.finish(out, column, matched.concat(move.matched));
  }

  private finish(out: readonly number[], column: number, matched: readonly number[]): number {
    const end = column === this.columns - 1;
    const ids = matched.concat(this.matches(out), end ? [] : this.startMatches);
    if (!end) return this.state(out, this.kinds[column]!, ids);
    // Nothing follows the end; its successors only say what matched.
    return ids.length === 0 ? DEAD : this.endState(ids);
  }

  private endState(ids: readonly number[]): number {
    if (this.single) return this.state([], OTHER, ids);
    const accept = unique(ids);
    const key = `end,${accept.join(',')}`;
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    this.ids.set(key, this.leaves.length);
    this.leaves.push([]);
    this.before.push(OTHER);
    this.accepts.push(accept);
    return this.leaves.length - 1;
  }

  /** Where a new attempt leads that starts in front of this column's byte. */
  private startMove(before: number, column: number): Move {
    const key = before * 1024 + column;
    const known = this.startMoves.get(key);
    if (known) return known;
    const { leaves, matched } = this.expand(this.startLeaves, before, this.kinds[column]!);
    this.generation++;
    const out: number[] = [];
    const byte = this.firstByte[column];
    if (byte !== undefined) {
      for (const leaf of leaves) {
        const state = this.nfa.states[leaf]!;
        if (state.op !== NFA_RANGES) continue;
        for (const { low, high, next } of state.transitions) {
          this.work++;
          if (low <= byte && byte <= high) this.close(next, out);
        }
      }
    }
    const move = { leaves: out, matched, state: this.finish(out, column, matched) };
    this.startMoves.set(key, move);
    return move;
  }

  /** Leaves with the assertions between `before` and `after` decided, and the patterns that matched by that. */
  private expand(leaves: Iterable<number>, before: number, after: number): { leaves: number[]; matched: number[] } {
    this.generation++;
    const out: number[] = [];
    const pending: number[] = [];
    const plain: number[] = [];
    for (const leaf of leaves) {
      if (this.nfa.states[leaf]!.op === NFA_ASSERT) pending.push(leaf);
      else plain.push(leaf);
    }
    for (const leaf of plain) this.mark[leaf] = this.generation;
    const matched: number[] = [];
    const done = new Set<number>();
    while (pending.length > 0) {
      const at = pending.pop()!;
      if (done.has(at)) continue;
      done.add(at);
      const state = this.nfa.states[at]!;
      if (state.op !== NFA_ASSERT || !holds(state.kind, before, after)) continue;
      const found: number[] = [];
      this.close(state.x, found);
      for (const leaf of found) {
        const reached = this.nfa.states[leaf]!;
        if (reached.op === NFA_ASSERT) pending.push(leaf);
        else if (reached.op === NFA_MATCH) matched.push(reached.pattern);
        else out.push(leaf);
      }
    }
    return { leaves: [...plain, ...out], matched };
  }
}

interface Move {
  readonly leaves: readonly number[];
  readonly matched: readonly number[];
  readonly state: number;
}

function kindOf(byte: number, words: boolean, lines: boolean, inside: boolean): number {
  if (words && contains(WORD_BYTES, byte)) return WORD;
  if (lines && byte === 10) return LINE;
  return inside && byte >= 0x80 && byte <= 0xbf ? INSIDE : OTHER;
}

// PERF: lists are short and nearly sorted, and there are very many: Array.sort and spreads took half of the time.
function sort(list: number[]): void {
  if (list.length > 64) {
    list.sort((a, b) => a - b);
    return;
  }
  for (let i = 1; i < list.length; i++) {
    const value = list[i]!;
    let at = i;
    for (; at > 0 && list[at - 1]! > value; at--) list[at] = list[at - 1]!;
    list[at] = value;
  }
}

function text(list: readonly number[]): string {
  let out = '';
  for (const value of list) out += String.fromCharCode(value);
  return out;
}

function unique(ids: readonly number[]): readonly number[] {
  return ids.length < 2 ? ids : [...new Set(ids)].sort((a, b) => a - b);
}

function holds(kind: number, before: number, after: number): boolean {
  if (kind === ASSERT_START) return before === EDGE;
  if (kind === ASSERT_END) return after === EDGE;
  if (kind === ASSERT_START_LINE) return before === EDGE || before === LINE;
  if (kind === ASSERT_END_LINE) return after === EDGE || after === LINE;
  if (kind === ASSERT_NOT_WORD_UTF8 && after === INSIDE) return false;
  return ((before === WORD) !== (after === WORD)) === (kind === ASSERT_WORD);
}

function possible(kind: number, before: number): boolean {
  if (kind === ASSERT_START) return before === EDGE;
  if (kind === ASSERT_START_LINE) return before === EDGE || before === LINE;
  return true;
}
