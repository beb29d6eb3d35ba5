/**
 * What a text must contain for a pattern to match: literals for the prefilter, and sets of bytes. Both are necessary, not
 * sufficient: assertions are taken as true.
 */
import type { Node } from '../regex/syntax.ts';

const MAX_UNION = 4096; // literals of one set
const MAX_PRODUCT = 1024; // of a set that a concatenation makes
const MAX_MEMBERS = 8; // of a class that is written out
const MAX_EXACT_LENGTH = 24;
const MAX_BYTE_SETS = 3;

// How often a byte occurs in the values of requests, of a thousand: letters as in English, with what URLs and JSON add.
const FREQUENCY = new Float64Array(256).fill(0.3);
for (const [bytes, share] of [
  ['e', 80],
  ['ta', 58],
  ['oins', 52],
  ['r', 45],
  ['hld', 30],
  ['cum', 22],
  ['fgpywb', 14],
  ['vk', 8],
  ['xjqz', 3],
  [' ', 60],
  ['0123456789', 14],
  ['-_./', 14],
  ['=&%+,":', 8],
  [";\n?'()", 3],
] as const) {
  for (const byte of bytes) FREQUENCY[byte.charCodeAt(0)] = share;
}
for (let byte = 0x41; byte <= 0x5a; byte++) FREQUENCY[byte] = FREQUENCY[byte + 32]! / 8;
/** Chance that a byte of a text is this one, letters in either case. */
export function chance(byte: number): number {
  return FREQUENCY[byte]! / 1000;
}

/** Chance that the text stands at some place of a value. */
function likelihood(text: string): number {
  let all = 1;
  for (let i = 0; i < text.length; i++) all *= chance(text.charCodeAt(i));
  return all;
}

const ANCHOR_BYTES = 4;

/**
 * Where the rarest ANCHOR_BYTES bytes of a text begin (0 in a shorter one); `crowd` says how many others use an anchor
 * already, which makes it dearer.
 */
export function rarestAnchor(text: string, crowd: (anchor: string) => number = () => 0): number {
  let best = 0;
  let least = Infinity;
  for (let at = 0; at + ANCHOR_BYTES <= text.length; at++) {
    const anchor = text.slice(at, at + ANCHOR_BYTES);
    const cost = likelihood(anchor) * (1 + crowd(anchor) ** 2);
    if (cost < least) {
      least = cost;
      best = at;
    }
  }
  return best;
}

interface Inspected {
  /** All texts that the node can match, if these are few. */
  readonly exact: readonly string[] | null;
  /** The best set of which every match contains one. */
  readonly required: readonly string[] | null;
}

const NOTHING: Inspected = { exact: null, required: null };

/**
 * Literals (bytes as characters, ASCII letters lower case) of which every match contains one; null when there are none that
 * say anything. `share` is the chance that one stands at a given place.
 */
export function requiredLiterals(root: Node): { literals: readonly string[]; share: number } | null {
  const { required } = inspect(root);
  if (!required) return null;
  // A literal that contains another is found with it.
  const literals =
    required.length > 512
      ? required
      : required.filter((one) => !required.some((other) => other !== one && one.includes(other)));
  return { literals, share: literals.reduce((sum, text) => sum + likelihood(text), 0) };
}

function inspect(node: Node): Inspected {
  switch (node.type) {
    case 'empty':
    case 'assert':
      return known(['']);
    case 'class':
      return members(node.set);
    case 'group':
      return inspect(node.item);
    case 'alternate': {
      const branches = node.items.map(inspect);
      const exact = union(branches.map((branch) => branch.exact));
      if (exact) return known(exact);
      return { exact: null, required: union(branches.map((branch) => branch.required)) };
    }
    case 'repeat': {
      const once = inspect(node.item);
      if (node.max === 1 && node.min === 0) {
        return once.exact ? known([...new Set(['', ...once.exact])]) : NOTHING;
      }
      if (node.min === 0) return NOTHING;
      if (node.min === node.max && once.exact && node.min <= 4) {
        let all: readonly string[] | null = [''];
        for (let i = 0; i < node.min && all; i++) all = product(all, once.exact);
        if (all) return known(all);
      }
      return { exact: null, required: once.required };
    }
    case 'concat':
      return concatenation(node.items);
  }
}

function concatenation(items: readonly Node[]): Inspected {
  let best: readonly string[] | null = null;
  let run: readonly string[] = [''];
  let whole = true;
  const consider = (set: readonly string[] | null): void => {
    if (set && !set.includes('')) best = better(best, set);
  };
  for (const item of items) {
    const { exact, required } = inspect(item);
    const longer: readonly string[] | null = exact && product(run, exact);
    if (longer) {
      run = longer;
      continue;
    }
    whole = false;
    const once = item.type === 'repeat' && item.min > 0 ? inspect(item.item).exact : null;
    consider(once && product(run, once)); // the first turn stands right behind what is before it
    consider(run);
    consider(required);
    run = exact ?? once ?? ['']; // ... and the last turn right before what comes
  }
  if (whole) return known(run);
  consider(run);
  return { exact: null, required: best };
}

function known(exact: readonly string[]): Inspected {
  return { exact, required: exact.includes('') ? null : exact };
}

function members(set: readonly number[]): Inspected {
  const texts = new Set<string>();
  for (let i = 0; i < set.length; i += 2) {
    if (set[i + 1]! - set[i]! > 2 * MAX_MEMBERS) return NOTHING;
    for (let byte = set[i]!; byte <= set[i + 1]!; byte++) {
      texts.add(String.fromCharCode(byte).replace(/[A-Z]/, (letter) => letter.toLowerCase()));
    }
  }
  return texts.size === 0 || texts.size > MAX_MEMBERS ? NOTHING : known([...texts]);
}

function union(sets: readonly (readonly string[] | null)[]): readonly string[] | null {
  const all = new Set<string>();
  for (const set of sets) {
    if (!set) return null;
    for (const text of set) all.add(text);
  }
  return all.size > MAX_UNION ? null : [...all];
}

function product(left: readonly string[], right: readonly string[]): readonly string[] | null {
  if (left.length * right.length > MAX_PRODUCT) return null;
  const all = new Set<string>();
  for (const head of left) {
    for (const tail of right) {
      if (head.length + tail.length > MAX_EXACT_LENGTH) return null;
      all.add(head + tail);
    }
  }
  return [...all];
}

function better(a: readonly string[] | null, b: readonly string[]): readonly string[] {
  if (a === null) return b;
  const cost = (set: readonly string[]): number =>
    set.reduce((sum, text) => sum + likelihood(text), 0) * (1 + set.length / 1000);
  return cost(b) < cost(a) ? b : a;
}

/** Sets of bytes (1 = member) of each of which every match contains a byte; the most telling ones, rarest first. */
export function requiredBytes(root: Node): readonly Uint8Array[] {
  return byteSets(root)
    .filter((set) => share(set) < 0.4)
    .slice(0, MAX_BYTE_SETS);
}

/** A set of bytes of each of these texts (ASCII letters in either case), as rare ones as there are; null when that says nothing. */
export function hittingBytes(texts: readonly string[]): Uint8Array | null {
  const set = new Uint8Array(256);
  // Short texts leave the least choice.
  for (const text of [...texts].sort((a, b) => a.length - b.length)) {
    const bytes = Array.from(text, (character) => character.charCodeAt(0));
    if (bytes.some((byte) => set[byte] === 1)) continue;
    const rarest = bytes.reduce((best, byte) => (chance(byte) < chance(best) ? byte : best));
    set[rarest] = 1;
    if (rarest >= 0x61 && rarest <= 0x7a) set[rarest - 32] = 1;
  }
  return share(set) < 0.4 ? set : null;
}

function share(set: Uint8Array): number {
  let sum = 0;
  for (let byte = 0; byte < 256; byte++) if (set[byte]) sum += chance(byte);
  return sum;
}

function byteSets(node: Node): Uint8Array[] {
  switch (node.type) {
    case 'empty':
    case 'assert':
      return [];
    case 'class': {
      const set = new Uint8Array(256);
      for (let i = 0; i < node.set.length; i += 2) set.fill(1, node.set[i], node.set[i + 1]! + 1);
      return [set];
    }
    case 'group':
      return byteSets(node.item);
    case 'repeat':
      return node.min === 0 ? [] : byteSets(node.item);
    case 'concat':
      return rarest(node.items.flatMap(byteSets));
    case 'alternate': {
      const branches = node.items.map(byteSets);
      const depth = Math.min(...branches.map((sets) => sets.length));
      return rarest(
        Array.from({ length: depth }, (_, i) => {
          const all = new Uint8Array(256);
          for (const sets of branches) for (let byte = 0; byte < 256; byte++) all[byte]! |= sets[i]![byte]!;
          return all;
        }),
      );
    }
  }
}

function rarest(sets: readonly Uint8Array[]): Uint8Array[] {
  const distinct = new Map(sets.map((set) => [set.join(''), set]));
  return [...distinct.values()].sort((a, b) => share(a) - share(b)).slice(0, MAX_BYTE_SETS + 1);
}

/** Bytes of the shortest text that can match. */
export function shortest(node: Node): number {
  switch (node.type) {
    case 'empty':
    case 'assert':
      return 0;
    case 'class':
      return 1;
    case 'group':
      return shortest(node.item);
    case 'repeat':
      return node.min === 0 ? 0 : node.min * shortest(node.item);
    case 'concat':
      return node.items.reduce((sum, item) => sum + shortest(item), 0);
    case 'alternate':
      return Math.min(...node.items.map(shortest));
  }
}
