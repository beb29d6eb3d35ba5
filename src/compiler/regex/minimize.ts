/** Hopcroft's minimisation, then columns that are equal in every state become one. */
import type { Dfa } from './dfa.ts';

/** The same language in the fewest states: dead first, then accepting ones, then the rest, in order of discovery. */
export function minimize(dfa: Dfa): Dfa {
  const block = partition(dfa);
  return mergeColumns(renumber(dfa, block));
}

/** Block number of each state. */
function partition(dfa: Dfa): Int32Array {
  const { columns, table } = dfa;
  const count = dfa.accepts.length;
  const inverse = invert(table, count, columns);

  // Blocks are slices of `order`; within a block its first `moved` states are those met by the current splitter.
  const order = new Int32Array(count);
  const place = new Int32Array(count);
  const block = new Int32Array(count);
  const from: number[] = [];
  const to: number[] = [];
  const moved: number[] = [];
  const groups = new Map<string, number[]>();
  for (let state = 0; state < count; state++) {
    const key = dfa.accepts[state]!.join(',');
    const group = groups.get(key);
    if (group) group.push(state);
    else groups.set(key, [state]);
  }
  let filled = 0;
  for (const group of groups.values()) {
    from.push(filled);
    for (const state of group) {
      order[filled] = state;
      place[state] = filled++;
      block[state] = from.length - 1;
    }
    to.push(filled);
    moved.push(0);
  }

  const waiting = from.map((_, index) => index);
  const isWaiting = from.map(() => true);
  while (waiting.length > 0) {
    const splitter = waiting.pop()!;
    isWaiting[splitter] = false;
    const members = order.slice(from[splitter], to[splitter]);
    for (let column = 0; column < columns; column++) {
      const touched: number[] = [];
      for (const member of members) {
        const cell = member * columns + column;
        for (let i = inverse.first[cell]!; i < inverse.first[cell + 1]!; i++) {
          const state = inverse.sources[i]!;
          const owner = block[state]!;
          const target = from[owner]! + moved[owner]!;
          if (place[state]! < target) continue; // met already
          if (moved[owner] === 0) touched.push(owner);
          const other = order[target]!;
          order[place[state]!] = other;
          place[other] = place[state]!;
          order[target] = state;
          place[state] = target;
          moved[owner]!++;
        }
      }
      for (const owner of touched) {
        const cut = from[owner]! + moved[owner]!;
        moved[owner] = 0;
        if (cut === to[owner]) continue;
        const fresh = from.length;
        // The smaller part gets the new number, so that a state is renumbered at most log n times.
        if (cut - from[owner]! <= to[owner]! - cut) {
          from.push(from[owner]!);
          to.push(cut);
          from[owner] = cut;
        } else {
          from.push(cut);
          to.push(to[owner]!);
          to[owner] = cut;
        }
        moved.push(0);
        for (let i = from[fresh]!; i < to[fresh]!; i++) block[order[i]!] = fresh;
        isWaiting.push(true);
        waiting.push(fresh);
      }
    }
  }
  return block;
}

/** For each (state, column) the states that lead there. */
function invert(table: Uint16Array, count: number, columns: number): { first: Int32Array; sources: Int32Array } {
  const first = new Int32Array(count * columns + 1);
  for (let cell = 0; cell < table.length; cell++) first[table[cell]! * columns + (cell % columns) + 1]!++;
  for (let i = 1; i < first.length; i++) first[i]! += first[i - 1]!;
  const next = first.slice();
  const sources = new Int32Array(table.length);
  for (let cell = 0; cell < table.length; cell++) {
    const target = table[cell]! * columns + (cell % columns);
    sources[next[target]!++] = (cell / columns) | 0;
  }
  return { first, sources };
}

function renumber(dfa: Dfa, block: Int32Array): Dfa {
  const { columns, table } = dfa;
  const found: number[] = []; // a representative of each reachable block, dead first
  const seen = new Map<number, number>();
  const visit = (state: number): void => {
    if (seen.has(block[state]!)) return;
    seen.set(block[state]!, found.length);
    found.push(state);
  };
  visit(0);
  visit(dfa.start);
  for (let i = 0; i < found.length; i++) {
    for (let column = 0; column < columns; column++) visit(table[found[i]! * columns + column]!);
  }
  const rest = found.slice(1);
  const ordered = [
    0,
    ...rest.filter((state) => dfa.accepts[state]!.length > 0),
    ...rest.filter((state) => dfa.accepts[state]!.length === 0),
  ];
  const number = new Map(ordered.map((state, index) => [block[state]!, index]));
  const renamed = new Uint16Array(ordered.length * columns);
  ordered.forEach((state, index) => {
    for (let column = 0; column < columns; column++) {
      renamed[index * columns + column] = number.get(block[table[state * columns + column]!]!)!;
    }
  });
  return {
    classes: dfa.classes,
    columns,
    table: renamed,
    start: number.get(block[dfa.start]!)!,
    accepts: ordered.map((state) => dfa.accepts[state]!),
  };
}

function mergeColumns(dfa: Dfa): Dfa {
  const { columns, table } = dfa;
  const count = dfa.accepts.length;
  const kept: number[] = [];
  const known = new Map<string, number>();
  const renamed = new Uint8Array(columns);
  const end = columns - 1;
  for (let column = 0; column < end; column++) {
    const cells = new Uint16Array(count);
    for (let state = 0; state < count; state++) cells[state] = table[state * columns + column]!;
    const key = String.fromCharCode(...cells);
    let index = known.get(key);
    if (index === undefined) {
      known.set(key, (index = kept.length));
      kept.push(column);
    }
    renamed[column] = index;
  }
  kept.push(end);
  const merged = new Uint16Array(count * kept.length);
  for (let state = 0; state < count; state++) {
    kept.forEach((column, index) => (merged[state * kept.length + index] = table[state * columns + column]!));
  }
  return { ...dfa, classes: dfa.classes.map((column) => renamed[column]!), columns: kept.length, table: merged };
}
