/** The only writer of a program's bytes; the layout is in assembly/abi.ts. */
import {
  DFA_ACCEPTS,
  DFA_CLASSES,
  DFA_END,
  DFA_LISTS,
  DFA_SHIFT,
  DFA_START,
  DFA_STATES,
  DFA_TABLE,
  NFA_ANCHORED,
  NFA_LEAVES,
  NFA_MATCH,
  NFA_RANGES,
  NFA_SAVE,
  NFA_SPLIT,
  NFA_START,
  NFA_STATES,
  NFA_STATE_BYTES,
  NFA_TABLE,
  NFA_TRANSITIONS,
  NFA_TRANSITION_BYTES,
  REGEX_DFA,
  REGEX_GROUPS,
  REGEX_HEADER_BYTES,
  REGEX_LENGTH,
  REGEX_NFA,
  REGEX_PATTERN,
  REGEX_PATTERNS,
} from '../../../assembly/regex/abi.ts';
import type { Dfa } from './dfa.ts';
import type { Nfa } from './nfa.ts';

export interface Program {
  readonly dfa: Dfa | null;
  readonly nfa: Nfa | null;
  /** Capture groups with the whole match, 0 without captures. */
  readonly groups: number;
  /** Bound of the pattern ids; null for a single pattern. */
  readonly set: { readonly patterns: number; readonly only: number } | null;
}

export function serialize(program: Program): Uint8Array {
  const dfa = program.dfa ? dfaBytes(program.dfa, program.set !== null) : new Uint8Array(0);
  const nfa = program.nfa ? nfaBytes(program.nfa) : new Uint8Array(0);
  const bytes = new Uint8Array(REGEX_HEADER_BYTES + dfa.length + nfa.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(REGEX_LENGTH, bytes.length, true);
  view.setUint32(REGEX_DFA, program.dfa ? REGEX_HEADER_BYTES : 0, true);
  view.setUint32(REGEX_NFA, program.nfa ? REGEX_HEADER_BYTES + dfa.length : 0, true);
  view.setUint32(REGEX_GROUPS, program.groups, true);
  view.setUint32(REGEX_PATTERNS, program.set?.patterns ?? 1, true);
  view.setUint32(REGEX_PATTERN, program.set?.only ?? 0, true);
  bytes.set(dfa, REGEX_HEADER_BYTES);
  bytes.set(nfa, REGEX_HEADER_BYTES + dfa.length);
  return bytes;
}

function dfaBytes(dfa: Dfa, set: boolean): Uint8Array {
  const states = dfa.accepts.length;
  const shift = Math.max(1, Math.ceil(Math.log2(dfa.columns)));
  const accepts = dfa.accepts.filter((ids) => ids.length > 0);
  const tableBytes = states * 2 * 2 ** shift; // a multiple of 4, since a row is
  const ids = set ? accepts.flat() : [];
  const listWords = set ? accepts.length + 1 + ids.length : 0;
  const bytes = new Uint8Array(DFA_TABLE + tableBytes + listWords * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(DFA_STATES, states, true);
  view.setUint32(DFA_ACCEPTS, accepts.length, true);
  view.setUint32(DFA_SHIFT, shift, true);
  view.setUint32(DFA_START, dfa.start, true);
  view.setUint32(DFA_END, dfa.columns - 1, true);
  view.setUint32(DFA_LISTS, set ? DFA_TABLE + tableBytes : 0, true);
  bytes.set(dfa.classes, DFA_CLASSES);
  for (let state = 0; state < states; state++) {
    for (let column = 0; column < dfa.columns; column++) {
      view.setUint16(DFA_TABLE + ((state << shift) + column) * 2, dfa.table[state * dfa.columns + column]!, true);
    }
  }
  if (set) {
    let at = DFA_TABLE + tableBytes;
    let first = 0;
    for (const list of [...accepts, []]) {
      view.setUint32(at, first, true);
      at += 4;
      first += list.length;
    }
    for (const id of ids) {
      view.setUint32(at, id, true);
      at += 4;
    }
  }
  return bytes;
}

function nfaBytes(nfa: Nfa): Uint8Array {
  const isLeaf = (index: number): boolean => {
    const { op } = nfa.states[index]!;
    return op === NFA_RANGES || op === NFA_MATCH;
  };
  const all = nfa.states.map((_, index) => index);
  const leaves = all.filter(isLeaf);
  const order = [...leaves, ...all.filter((index) => !isLeaf(index))];
  const number = new Map(order.map((state, index) => [state, index]));
  const transitions = nfa.states.reduce(
    (sum, state) => sum + (state.op === NFA_RANGES ? state.transitions.length : 0),
    0,
  );
  const transitionsAt = NFA_TABLE + order.length * NFA_STATE_BYTES;
  const bytes = new Uint8Array(transitionsAt + transitions * NFA_TRANSITION_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(NFA_STATES, order.length, true);
  view.setUint32(NFA_LEAVES, leaves.length, true);
  view.setUint32(NFA_START, number.get(nfa.start)!, true);
  view.setUint32(NFA_TRANSITIONS, transitions, true);
  view.setUint32(NFA_ANCHORED, nfa.anchored ? 1 : 0, true);
  let used = 0;
  order.forEach((index, position) => {
    const state = nfa.states[index]!;
    let x = 0;
    let y = 0;
    if (state.op === NFA_RANGES) {
      x = used;
      y = state.transitions.length;
      for (const { low, high, next } of state.transitions) {
        const at = transitionsAt + used++ * NFA_TRANSITION_BYTES;
        view.setUint8(at, low);
        view.setUint8(at + 1, high);
        view.setUint16(at + 2, number.get(next)!, true);
      }
    } else if (state.op !== NFA_MATCH) {
      x = number.get(state.x)!;
      y = state.op === NFA_SPLIT ? number.get(state.y)! : state.op === NFA_SAVE ? state.slot : state.kind;
    }
    const at = NFA_TABLE + position * NFA_STATE_BYTES;
    view.setUint32(at, state.op, true);
    view.setUint32(at + 4, x, true);
    view.setUint32(at + 8, y, true);
  });
  return bytes;
}
