/** Which positions of a pattern others stand in for, when only "matches or not" is asked. See automaton.ts. */
import { NFA_MATCH, NFA_RANGES, NFA_SAVE, NFA_SPLIT } from '../../../assembly/regex/abi.ts';
import type { Nfa } from '../regex/nfa.ts';

const MAX_LOOPS = 31; // that are looked at; bits of a number

export class Pruning {
  /** Bit of each loop over every byte; 0 for other states. */
  private readonly loop: Int32Array;
  /** Loops that every match from here passes. */
  private readonly through: Int32Array;
  /** Where a state stands in the copies of repeats: pairs (slot, rank) from first[state] to first[state + 1]. */
  private readonly first: Int32Array;
  private readonly places: Int32Array;
  private readonly best: Int32Array; // of each slot in this round: rank + 1
  private readonly floor: Int32Array; // ranks that start leaves, always live, hold
  private readonly always: number; // loops among the start leaves
  private readonly touched: number[] = [];

  constructor(nfa: Nfa, startLeaves: Int32Array) {
    const count = nfa.states.length;
    this.loop = new Int32Array(count);
    this.through = new Int32Array(count);
    findLoops(nfa, this.loop, this.through);

    const pairs: number[][] = Array.from({ length: count }, () => []);
    let slots = 0;
    for (const { starts, size } of nfa.copies) {
      starts.forEach((start, rank) => {
        for (let offset = 0; offset < size; offset++) pairs[start + offset]!.push(slots + offset, rank);
      });
      slots += size;
    }
    this.first = new Int32Array(count + 1);
    pairs.forEach((list, state) => (this.first[state + 1] = this.first[state]! + list.length));
    this.places = Int32Array.from(pairs.flat());
    this.best = new Int32Array(slots);
    this.floor = new Int32Array(slots);
    let always = 0;
    for (const leaf of startLeaves) {
      always |= this.loop[leaf]!;
      for (let i = this.first[leaf]!; i < this.first[leaf + 1]!; i += 2) {
        const slot = this.places[i]!;
        this.floor[slot] = Math.max(this.floor[slot]!, this.places[i + 1]! + 1);
      }
    }
    this.always = always;
    this.best.set(this.floor);
  }

  /** Keeps of the first `length` leaves those that nothing stands in for; returns how many. */
  prune(leaves: Int32Array, length: number): number {
    const { first, places, best, touched } = this;
    let live = this.always;
    for (let i = 0; i < length; i++) {
      const leaf = leaves[i]!;
      live |= this.loop[leaf]!;
      for (let j = first[leaf]!; j < first[leaf + 1]!; j += 2) {
        const slot = places[j]!;
        const rank = places[j + 1]! + 1;
        if (rank <= best[slot]!) continue;
        best[slot] = rank;
        touched.push(slot);
      }
    }
    let kept = 0;
    for (let i = 0; i < length; i++) {
      const leaf = leaves[i]!;
      if (this.through[leaf]! & live) continue;
      let last = true;
      for (let j = first[leaf]!; j < first[leaf + 1]! && last; j += 2) {
        last = places[j + 1]! + 1 >= best[places[j]!]!;
      }
      if (last) leaves[kept++] = leaf;
    }
    for (const slot of touched) best[slot] = this.floor[slot]!;
    touched.length = 0;
    return kept;
  }
}

/** Marks loops over every byte, and for each state those that it can't match without. */
function findLoops(nfa: Nfa, loop: Int32Array, through: Int32Array): void {
  const { states } = nfa;
  const into: number[][] = Array.from({ length: states.length }, () => []);
  states.forEach((state, id) => {
    if (state.op === NFA_RANGES) for (const { next } of state.transitions) into[next]!.push(id);
    else if (state.op === NFA_SPLIT) for (const next of [state.x, state.y]) into[next]!.push(id);
    else if (state.op !== NFA_MATCH) into[state.x]!.push(id);
  });
  /** States from which a match can be reached without passing `without`. */
  const reaching = (without: number): Uint8Array => {
    const seen = new Uint8Array(states.length);
    const stack: number[] = [];
    states.forEach((state, id) => {
      if (state.op === NFA_MATCH) stack.push(id);
    });
    while (stack.length > 0) {
      const at = stack.pop()!;
      if (seen[at] || at === without) continue;
      seen[at] = 1;
      stack.push(...into[at]!);
    }
    return seen;
  };
  let loops = 0;
  states.forEach((state, id) => {
    if (loops === MAX_LOOPS || state.op !== NFA_RANGES || state.transitions.length !== 1) return;
    const { low, high, next } = state.transitions[0]!;
    if (low !== 0 || high !== 255 || !returns(nfa, next, id)) return;
    const bit = 1 << loops++;
    loop[id] = bit;
    const seen = reaching(id);
    for (let other = 0; other < states.length; other++) if (!seen[other] && other !== id) through[other]! |= bit;
  });
}

/** `from` leads back to `to` without a byte and without an assertion. */
function returns(nfa: Nfa, from: number, to: number): boolean {
  const seen = new Set<number>();
  const stack = [from];
  while (stack.length > 0) {
    const at = stack.pop()!;
    if (at === to) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    const state = nfa.states[at]!;
    if (state.op === NFA_SPLIT) stack.push(state.x, state.y);
    else if (state.op === NFA_SAVE) stack.push(state.x);
  }
  return false;
}
