/** Thompson's construction over bytes. Built backwards from the match, so no edge ever has to be patched. */
import {
  ASSERT_END,
  MAX_NFA_STATES,
  MAX_NFA_TRANSITIONS,
  NFA_ASSERT,
  NFA_MATCH,
  NFA_RANGES,
  NFA_SAVE,
  NFA_SPLIT,
} from '../../../assembly/regex/abi.ts';
import { RegexError } from './error.ts';
import type { Node, Regex } from './syntax.ts';
import type { Ranges } from './ranges.ts';
import { toByteSequences } from './utf8.ts';

export interface Transition {
  readonly low: number;
  readonly high: number;
  readonly next: number;
}

export type State =
  | { readonly op: typeof NFA_RANGES; readonly transitions: readonly Transition[] } // by byte, disjoint
  | { readonly op: typeof NFA_MATCH; readonly pattern: number }
  | { readonly op: typeof NFA_SPLIT; readonly x: number; readonly y: number } // x before y
  | { readonly op: typeof NFA_SAVE; readonly x: number; readonly slot: number }
  | { readonly op: typeof NFA_ASSERT; readonly x: number; readonly kind: number };

export interface Nfa {
  readonly states: readonly State[];
  readonly start: number;
  /** A match starts at the first byte. (The unanchored search is the executor's, not a loop in the automaton.) */
  readonly anchored: boolean;
  /** The unrolled copies of counted repeats: an automaton's construction may drop copies that others stand in for. */
  readonly copies: readonly Copies[];
}

/**
 * States [starts[i], starts[i] + size) are copies of the body of one repeat, alike state by state, ordered so that from a
 * later copy everything matches that matches from an earlier one.
 */
export interface Copies {
  readonly starts: readonly number[];
  readonly size: number;
}

/** `ids[i]` is the pattern number of `regexes[i]`. With `captures`, for a single regex, groups save their offsets. */
export function buildNfa(regexes: readonly Regex[], ids: readonly number[], anchored: boolean, captures: boolean): Nfa {
  const builder = new Builder(captures);
  let start = -1;
  for (let i = regexes.length - 1; i >= 0; i--) {
    const regex = regexes[i]!;
    builder.unicode = regex.unicode;
    let next = builder.add({ op: NFA_MATCH, pattern: ids[i]! });
    if (captures) next = builder.add({ op: NFA_SAVE, x: next, slot: 1 });
    if (anchored) next = builder.add({ op: NFA_ASSERT, x: next, kind: ASSERT_END });
    next = builder.node(regex.root, next);
    if (captures) next = builder.add({ op: NFA_SAVE, x: next, slot: 0 });
    start = start < 0 ? next : builder.add({ op: NFA_SPLIT, x: next, y: start });
  }
  return { states: builder.states, start, anchored, copies: builder.copies };
}

class Builder {
  readonly states: State[] = [];
  readonly copies: Copies[] = [];
  unicode = false;
  private transitions = 0;
  private readonly captures: boolean;
  private readonly sequences = new Map<Ranges, Trie>();

  constructor(captures: boolean) {
    this.captures = captures;
  }

  add(state: State): number {
    if (state.op === NFA_RANGES) this.transitions += state.transitions.length;
    if (this.states.length >= MAX_NFA_STATES || this.transitions > MAX_NFA_TRANSITIONS) {
      throw new RegexError(
        `pattern unrolls to more than ${MAX_NFA_STATES} states`,
        0,
        1,
        'lower the repeat counts, or use * and check the length apart',
      );
    }
    return this.states.push(state) - 1;
  }

  /** Adds `node` in front of state `next`; returns its entry. */
  node(node: Node, next: number): number {
    switch (node.type) {
      case 'empty':
        return next;
      case 'class':
        return this.unicode ? this.codePoints(node.set, next) : this.bytes(node.set, next);
      case 'assert':
        return this.add({ op: NFA_ASSERT, x: next, kind: node.kind });
      case 'concat':
        return node.items.reduceRight((to, item) => this.node(item, to), next);
      case 'alternate': {
        let entry = -1;
        for (const item of node.items.toReversed()) {
          const branch = this.node(item, next);
          entry = entry < 0 ? branch : this.add({ op: NFA_SPLIT, x: branch, y: entry });
        }
        return entry;
      }
      case 'group': {
        if (!this.captures) return this.node(node.item, next);
        const end = this.add({ op: NFA_SAVE, x: next, slot: node.index * 2 + 1 });
        return this.add({ op: NFA_SAVE, x: this.node(node.item, end), slot: node.index * 2 });
      }
      case 'repeat':
        return this.repeat(node.item, node.min, node.max, node.greedy, next);
    }
  }

  private repeat(item: Node, min: number, max: number, greedy: boolean, next: number): number {
    let entry = next;
    const starts: number[] = [];
    let size = 0;
    const copy = (): number => {
      starts.push(this.states.length);
      const body = this.node(item, entry);
      size = this.states.length - starts.at(-1)!;
      return body;
    };
    if (max < 0) {
      // (x+)? rather than x* where x can be empty: an empty turn must go on to `next` with the priority it has.
      const optional = min === 0 && !nullable(item);
      const split = this.split(next, next, greedy);
      entry = split;
      const body = copy();
      this.states[split] = greedy ? { op: NFA_SPLIT, x: body, y: next } : { op: NFA_SPLIT, x: next, y: body };
      if (optional) entry = split;
      else {
        entry = min === 0 ? this.split(body, next, greedy) : body;
        min = Math.max(min - 1, 0);
      }
      for (let i = 0; i < min; i++) entry = copy();
      starts.reverse(); // the fewer turns are still owed, the more matches
    } else {
      for (let i = min; i < max; i++) entry = this.split(copy(), next, greedy);
      for (let i = 0; i < min; i++) entry = this.node(item, entry);
    }
    if (starts.length > 1) this.copies.push({ starts, size });
    return entry;
  }

  private split(body: number, next: number, greedy: boolean): number {
    return this.add(greedy ? { op: NFA_SPLIT, x: body, y: next } : { op: NFA_SPLIT, x: next, y: body });
  }

  private bytes(set: Ranges, next: number): number {
    const transitions: Transition[] = [];
    for (let i = 0; i < set.length; i += 2) transitions.push({ low: set[i]!, high: set[i + 1]!, next });
    return this.add({ op: NFA_RANGES, transitions });
  }

  private codePoints(set: Ranges, next: number): number {
    if (set.length > 0 && set[set.length - 1]! < 0x80) return this.bytes(set, next);
    let trie = this.sequences.get(set);
    if (!trie) this.sequences.set(set, (trie = Trie.of(set)));
    return trie.emit(this, next);
  }
}

/** Byte sequences of a class as an acyclic automaton; equal suffixes are one node. */
class Trie {
  private readonly nodes: { low: number; high: number; child: number }[][] = []; // child -1 = end of the character
  private readonly known = new Map<string, number>();
  private root = 0;

  static of(set: Ranges): Trie {
    const trie = new Trie();
    trie.root = trie.insert(toByteSequences(set), 0);
    return trie;
  }

  private insert(sequences: ReturnType<typeof toByteSequences>, depth: number): number {
    const node: { low: number; high: number; child: number }[] = [];
    for (let i = 0; i < sequences.length;) {
      const [low, high] = sequences[i]![depth]!;
      let end = i + 1;
      while (end < sequences.length && sequences[end]![depth]![0] === low && sequences[end]![depth]![1] === high) end++;
      const last = sequences[i]!.length === depth + 1;
      const child = last ? -1 : this.insert(sequences.slice(i, end), depth + 1);
      const before = node[node.length - 1];
      if (before && before.child === child && before.high + 1 === low) before.high = high;
      else node.push({ low, high, child });
      i = end;
    }
    const key = node.map((edge) => `${edge.low},${edge.high},${edge.child}`).join(';');
    const same = this.known.get(key);
    if (same !== undefined) return same;
    this.known.set(key, this.nodes.length);
    return this.nodes.push(node) - 1;
  }

  // Children have lower numbers than their parents, so one pass in order does.
  emit(builder: Builder, next: number): number {
    const at: number[] = [];
    for (const node of this.nodes) {
      const transitions = node.map(({ low, high, child }) => ({ low, high, next: child < 0 ? next : at[child]! }));
      at.push(builder.add({ op: NFA_RANGES, transitions }));
    }
    return at[this.root]!;
  }
}

export function nullable(node: Node): boolean {
  switch (node.type) {
    case 'empty':
    case 'assert':
      return true;
    case 'class':
      return false;
    case 'concat':
      return node.items.every(nullable);
    case 'alternate':
      return node.items.some(nullable);
    case 'group':
      return nullable(node.item);
    case 'repeat':
      return node.min === 0 || nullable(node.item);
  }
}
