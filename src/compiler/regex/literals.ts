/** Literals that a match must contain, and the Aho-Corasick automaton that looks for many at once. */
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
  MAX_LITERAL_DENSE_BYTES,
  MAX_LITERAL_STATES,
} from '../../../assembly/regex/abi.ts';
import { contains } from './ranges.ts';
import type { Node, Regex } from './syntax.ts';

const encoder = new TextEncoder();
const MAX_ALTERNATIVES = 16; // of one required set
const MAX_MEMBERS = 8; // of a class that is written out

/**
 * Texts of which every match contains at least one, ASCII letters lower case (a text is bytes, one character each); null
 * when there is none that says anything. Assertions are taken as true, so the texts are necessary, not sufficient.
 */
export function requiredLiterals(regex: Regex): readonly string[] | null {
  const { required } = inspect(regex.root, regex.unicode);
  return required;
}

interface Inspected {
  /** All texts the node can match, if these are few. */
  readonly exact: readonly string[] | null;
  readonly required: readonly string[] | null;
}

const NOTHING: Inspected = { exact: null, required: null };

function inspect(node: Node, unicode: boolean): Inspected {
  switch (node.type) {
    case 'empty':
    case 'assert':
      return known(['']);
    case 'class':
      return members(node.set, unicode);
    case 'group':
      return inspect(node.item, unicode);
    case 'alternate': {
      const branches = node.items.map((item) => inspect(item, unicode));
      const exact = union(branches.map((branch) => branch.exact));
      return exact ? known(exact) : { exact: null, required: union(branches.map((branch) => branch.required)) };
    }
    case 'repeat': {
      if (node.min === 0) return NOTHING;
      const once = inspect(node.item, unicode);
      if (node.min === 1 && node.max === 1) return once;
      return { exact: null, required: once.required };
    }
    case 'concat': {
      let best: readonly string[] | null = null;
      let run: readonly string[] = [''];
      let whole = true;
      for (const item of node.items) {
        const { exact, required } = inspect(item, unicode);
        const longer = exact && product(run, exact);
        if (longer) {
          run = longer;
          continue;
        }
        whole = false;
        best = better(better(best, run), required);
        run = exact ?? [''];
      }
      return whole ? known(run) : { exact: null, required: better(best, run) };
    }
  }
}

function known(exact: readonly string[]): Inspected {
  return { exact, required: exact.some((text) => text === '') ? null : exact };
}

function members(set: readonly number[], unicode: boolean): Inspected {
  const texts = new Set<string>();
  let size = 0;
  for (let i = 0; i < set.length; i += 2) {
    size += set[i + 1]! - set[i]! + 1;
    if (size > MAX_MEMBERS) return NOTHING;
    for (let point = set[i]!; point <= set[i + 1]!; point++) {
      const bytes = unicode ? encoder.encode(String.fromCodePoint(point)) : [point];
      texts.add(lower(String.fromCharCode(...bytes)));
    }
  }
  return texts.size === 0 ? NOTHING : known([...texts]);
}

/** ASCII only: the text is bytes. */
function lower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function union(sets: readonly (readonly string[] | null)[]): readonly string[] | null {
  const all = new Set<string>();
  for (const set of sets) {
    if (!set) return null;
    for (const text of set) all.add(text);
  }
  return all.size > MAX_ALTERNATIVES ? null : [...all];
}

function product(left: readonly string[], right: readonly string[]): readonly string[] | null {
  if (left.length * right.length > MAX_ALTERNATIVES) return null;
  return [...new Set(left.flatMap((head) => right.map((tail) => head + tail)))];
}

// The set whose shortest text is longest is met by the fewest inputs; of equals, the smaller one.
function better(a: readonly string[] | null, b: readonly string[] | null): readonly string[] | null {
  const length = (set: readonly string[] | null): number => (set ? Math.min(...set.map((text) => text.length)) : 0);
  if (length(b) === 0) return length(a) === 0 ? null : a;
  if (length(a) === 0) return b;
  return length(b) > length(a) || (length(b) === length(a) && b!.length < a!.length) ? b : a;
}

export interface Literal {
  readonly bytes: Uint8Array;
  readonly id: number;
}

interface TrieState {
  readonly next: Map<number, number>; // by class
  readonly ids: Set<number>;
  fail: number;
}

/** The automaton's bytes, length a multiple of 4. `ids` bounds the ids. Throws RangeError beyond MAX_LITERAL_STATES. */
export function compileLiterals(literals: readonly Literal[], ids: number, foldCase: boolean): Uint8Array {
  const { classes, columns } = classify(literals, foldCase);
  const { states, order } = buildTrie(literals, classes);
  const number = new Int32Array(states.length);
  order.forEach((state, index) => (number[state] = index));

  const shift = Math.max(1, Math.ceil(Math.log2(columns)));
  const dense = Math.min(states.length, MAX_LITERAL_DENSE_BYTES >> (shift + 1));
  const sparse = order.slice(dense);
  const edges = sparse.reduce((sum, state) => sum + states[state]!.next.size, 0);
  const outputs = states.reduce((sum, state) => sum + state.ids.size, 0);
  const target = (state: number): number => number[state]! | (states[state]!.ids.size > 0 ? LITERALS_HIT : 0);

  const rowsAt = LITERALS_TABLE;
  const firstEdgeAt = rowsAt + dense * 2 ** (shift + 1);
  const failAt = firstEdgeAt + (sparse.length + 1) * 4;
  const edgesAt = failAt + ((sparse.length * 2 + 3) & ~3);
  const firstOutputAt = edgesAt + edges * LITERALS_EDGE_BYTES;
  const outputsAt = firstOutputAt + (states.length + 1) * 4;
  const bytes = new Uint8Array(outputsAt + outputs * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(LITERALS_STATES, states.length, true);
  view.setUint32(LITERALS_DENSE, dense, true);
  view.setUint32(LITERALS_SHIFT, shift, true);
  view.setUint32(LITERALS_EDGES, edges, true);
  view.setUint32(LITERALS_OUTPUTS, outputs, true);
  view.setUint32(LITERALS_IDS, ids, true);
  bytes.set(classes, LITERALS_CLASSES);

  // A row is that of the failure state, overlaid with the state's own edges; breadth first, so the former is there.
  order.slice(0, dense).forEach((state, index) => {
    const row = rowsAt + index * 2 ** (shift + 1);
    if (index > 0) {
      const from = rowsAt + number[states[state]!.fail]! * 2 ** (shift + 1);
      bytes.copyWithin(row, from, from + 2 ** (shift + 1));
    }
    for (const [column, next] of states[state]!.next) view.setUint16(row + column * 2, target(next), true);
  });
  let edge = 0;
  sparse.forEach((state, index) => {
    view.setUint32(firstEdgeAt + index * 4, edge, true);
    view.setUint16(failAt + index * 2, number[states[state]!.fail]!, true);
    for (const [column, next] of states[state]!.next) {
      view.setUint16(edgesAt + edge * LITERALS_EDGE_BYTES, column, true);
      view.setUint16(edgesAt + edge * LITERALS_EDGE_BYTES + 2, target(next), true);
      edge++;
    }
  });
  view.setUint32(firstEdgeAt + sparse.length * 4, edge, true);
  let output = 0;
  order.forEach((state, index) => {
    view.setUint32(firstOutputAt + index * 4, output, true);
    for (const id of [...states[state]!.ids].sort((a, b) => a - b)) view.setUint32(outputsAt + output++ * 4, id, true);
  });
  view.setUint32(firstOutputAt + states.length * 4, output, true);
  return bytes;
}

/** Bytes that occur in no literal share class 0. */
function classify(literals: readonly Literal[], foldCase: boolean): { classes: Uint8Array; columns: number } {
  const fold = (byte: number): number => (foldCase && contains([0x41, 0x5a], byte) ? byte + 32 : byte);
  const used = new Set<number>();
  for (const { bytes } of literals) for (const byte of bytes) used.add(fold(byte));
  // All 256 bytes in use leave none for class 0, which then is simply the first byte's.
  const first = used.size === 256 ? 0 : 1;
  const number = new Map([...used].sort((a, b) => a - b).map((byte, index) => [byte, index + first]));
  return {
    classes: Uint8Array.from({ length: 256 }, (_, byte) => number.get(fold(byte)) ?? 0),
    columns: used.size + first,
  };
}

function buildTrie(literals: readonly Literal[], classes: Uint8Array): { states: TrieState[]; order: number[] } {
  const states: TrieState[] = [{ next: new Map(), ids: new Set(), fail: 0 }];
  for (const { bytes, id } of literals) {
    let at = 0;
    for (const byte of bytes) {
      let next = states[at]!.next.get(classes[byte]!);
      if (next === undefined) {
        next = states.push({ next: new Map(), ids: new Set(), fail: 0 }) - 1;
        states[at]!.next.set(classes[byte]!, next);
      }
      at = next;
    }
    states[at]!.ids.add(id);
  }
  if (states.length > MAX_LITERAL_STATES) throw new RangeError(`literals need more than ${MAX_LITERAL_STATES} states`);
  const order = [0];
  for (let i = 0; i < order.length; i++) {
    const at = order[i]!;
    for (const [column, child] of states[at]!.next) {
      order.push(child);
      if (at === 0) continue;
      let fail = states[at]!.fail;
      while (fail !== 0 && !states[fail]!.next.has(column)) fail = states[fail]!.fail;
      states[child]!.fail = states[fail]!.next.get(column) ?? 0;
      for (const id of states[states[child]!.fail]!.ids) states[child]!.ids.add(id);
    }
  }
  return { states, order };
}
