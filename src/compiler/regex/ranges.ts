/** Sets of integers (bytes or code points) as sorted, disjoint, non-adjacent pairs: [low, high, low, high ...]. */
export type Ranges = readonly number[];

/** Letters, digits and `_`. */
export const WORD_BYTES: Ranges = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];

export function normalize(pairs: readonly number[]): number[] {
  const order: [number, number][] = [];
  for (let i = 0; i < pairs.length; i += 2) order.push([pairs[i]!, pairs[i + 1]!]);
  order.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [low, high] of order) {
    const last = out.length - 1;
    if (last > 0 && low <= out[last]! + 1) out[last] = Math.max(out[last]!, high);
    else out.push(low, high);
  }
  return out;
}

export function negate(set: Ranges, max: number): number[] {
  const out: number[] = [];
  let from = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > from) out.push(from, set[i]! - 1);
    from = set[i + 1]! + 1;
  }
  if (from <= max) out.push(from, max);
  return out;
}

/** ASCII letters of the set in both cases. */
export function foldAscii(set: Ranges): number[] {
  const out = [...set];
  for (let i = 0; i < set.length; i += 2) {
    for (const [first, last, shift] of [
      [0x41, 0x5a, 32],
      [0x61, 0x7a, -32],
    ] as const) {
      const low = Math.max(set[i]!, first);
      const high = Math.min(set[i + 1]!, last);
      if (low <= high) out.push(low + shift, high + shift);
    }
  }
  return normalize(out);
}

// Simple case folding as classes of code points, made once from the platform's own case mappings. Mappings to more
// than one code point are not simple; dotted capital I and dotless i fold to themselves (CaseFolding.txt, status T),
// although their upper and lower forms are ASCII letters.
let orbits: Map<number, number[]> | null = null;
function orbitsOf(): Map<number, number[]> {
  if (orbits) return orbits;
  orbits = new Map();
  const join = (a: number, b: number): void => {
    const left = orbits!.get(a) ?? [a];
    const right = orbits!.get(b) ?? [b];
    if (left === right) return;
    const both = [...new Set([...left, ...right])];
    for (const point of both) orbits!.set(point, both);
  };
  for (let point = 0x41; point < 0x1ea00; point++) {
    if (point === 0x130 || point === 0x131 || (point >= 0xd800 && point < 0xe000)) continue;
    const text = String.fromCodePoint(point);
    for (const other of [text.toLowerCase(), text.toUpperCase()]) {
      const mapped = other.codePointAt(0)!;
      if (mapped !== point && other.length === (mapped > 0xffff ? 2 : 1)) join(point, mapped);
    }
  }
  return orbits;
}

/** Every code point that equals one of the set under Unicode simple case folding. */
export function foldUnicode(set: Ranges): number[] {
  const out = [...set];
  const orbits = orbitsOf();
  let size = 0;
  for (let i = 0; i < set.length; i += 2) size += set[i + 1]! - set[i]! + 1;
  // PERF: nearly all sets are the one letter of a literal, and there are thousands of classes.
  if (size <= 64) {
    for (let i = 0; i < set.length; i += 2) {
      for (let point = set[i]!; point <= set[i + 1]!; point++) {
        for (const other of orbits.get(point) ?? []) out.push(other, other);
      }
    }
    return normalize(out);
  }
  for (const [point, others] of orbits) {
    if (contains(set, point)) for (const other of others) out.push(other, other);
  }
  return normalize(out);
}

export function contains(set: Ranges, value: number): boolean {
  let low = 0;
  let high = set.length >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value > set[middle * 2 + 1]!) low = middle + 1;
    else high = middle;
  }
  return low * 2 < set.length && value >= set[low * 2]!;
}
