/** Which machines share a bin, and the bytes of a bin; the layout is in assembly/waf/abi.ts. */
import {
  BIN_CLASSES,
  BIN_DEAD,
  BIN_EDGES,
  BIN_ENTRIES,
  BIN_LISTS,
  BIN_MOVES,
  BIN_NARROW_SHIFT,
  BIN_ROOT,
  BIN_ROOTS,
  BIN_SAYS,
  BIN_SHIFT,
  BIN_START,
  BIN_STATES,
  BIN_TABLE,
  BIN_WIDE_SHIFT,
  MOVES_COLUMNS,
  MOVES_FIRST,
} from '../../../assembly/waf/abi.ts';
import { NEXT_MASK, product, type Machine } from './bins.ts';
import type { PartialMachine } from './partial.ts';

const MAX_CELLS = 131072;
/** A bin may grow by so many times what the machine has by itself. */
const MAX_GROWTH = 4;
const FREE_CELLS = 16384; // growth that is never too much

/** Machines that may be together are given together, in an order that puts first what is largest. */
export function pack(machines: readonly Machine[], maxStates: number): Machine[] {
  const bins: Machine[] = [];
  const cellsOf = (machine: Machine): number => machine.states * machine.columns;
  for (const machine of machines.toSorted((a, b) => cellsOf(b) - cellsOf(a))) {
    let best = -1;
    let together: Machine | null = null;
    let growth = Math.max(FREE_CELLS, cellsOf(machine) * MAX_GROWTH);
    bins.forEach((bin, index) => {
      const both = product(bin, machine, maxStates, 1 << BIN_NARROW_SHIFT, MAX_CELLS);
      if (!both || cellsOf(both) - cellsOf(bin) >= growth) return;
      growth = cellsOf(both) - cellsOf(bin);
      best = index;
      together = both;
    });
    if (together) bins[best] = together;
    else bins.push(machine);
  }
  return bins;
}

/** Length a multiple of 4. */
export function binBytes(unsorted: Machine | PartialMachine): Uint8Array {
  const machine = sortRows(unsorted);
  const { states, columns, cells } = machine;
  const shift = columns > 1 << BIN_NARROW_SHIFT ? BIN_WIDE_SHIFT : BIN_NARROW_SHIFT;
  const partial = 'roots' in machine ? machine : null;

  // Cells that say something are edges; equal ones are one.
  const edges = new Map<number, number>();
  const words = new Uint16Array(states << shift);
  for (let state = 0; state < states; state++) {
    for (let column = 0; column < columns; column++) {
      const cell = cells[state * columns + column]!;
      let word = cell;
      if (cell > NEXT_MASK) {
        let edge = edges.get(cell);
        if (edge === undefined) edges.set(cell, (edge = edges.size));
        word = edge | BIN_SAYS;
      }
      words[(state << shift) + column] = word;
    }
  }
  if (edges.size > NEXT_MASK >> 1) throw new RangeError('a bin has more than 32,767 edges that say something');

  const entries = machine.outputs.flat();
  const endsAt = BIN_TABLE + words.length * 2;
  const edgesAt = endsAt + ((states * 2 + 3) & ~3);
  const listsAt = edgesAt + edges.size * 4;
  const entriesAt = listsAt + (machine.outputs.length + 1) * 4;
  const movesAt = entriesAt + ((entries.length * 2 + 3) & ~3);
  const moves = partial ? movesBytes(partial) : new Uint8Array(0);
  const bytes = new Uint8Array(movesAt + moves.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(BIN_STATES, states, true);
  view.setUint32(BIN_SHIFT, shift, true);
  view.setUint32(BIN_START, machine.start, true);
  view.setUint32(BIN_DEAD, machine.dead === 0 ? 1 : 0, true);
  view.setUint32(BIN_EDGES, edges.size, true);
  view.setUint32(BIN_LISTS, machine.outputs.length, true);
  view.setUint32(BIN_ENTRIES, entries.length, true);
  view.setUint32(BIN_ROOTS, partial?.roots ?? 0, true);
  for (let kind = 0; kind < 4; kind++)
    view.setUint16(BIN_ROOT + kind * 2, (partial?.rootOf[kind] ?? -1) & 0xffff, true);
  view.setUint32(BIN_MOVES, partial ? movesAt : 0, true);
  bytes.set(machine.classes, BIN_CLASSES);
  words.forEach((word, index) => view.setUint16(BIN_TABLE + index * 2, word, true));
  machine.ends.forEach((list, state) => view.setUint16(endsAt + state * 2, list, true));
  for (const [cell, edge] of edges) {
    view.setUint16(edgesAt + edge * 4, cell & NEXT_MASK, true);
    view.setUint16(edgesAt + edge * 4 + 2, cell >>> 16, true);
  }
  let first = 0;
  [...machine.outputs, []].forEach((list, index) => {
    view.setUint32(listsAt + index * 4, first, true);
    first += list.length;
  });
  entries.forEach((entry, index) => view.setUint16(entriesAt + index * 2, entry, true));
  bytes.set(moves, movesAt);
  return bytes;
}

/** Like rows together. State 0 of one that can die, and the roots of a partial one, stay in front. */
// PERF: nothing but the size of the compressed image depends on it: bins of CRS 4.28 take 499 KB instead of 622.
function sortRows<M extends Machine>(machine: M): M {
  const { states, columns, cells, ends } = machine;
  const fixed = 'roots' in machine ? (machine.roots as number) : machine.dead === 0 ? 1 : 0;
  const order = Array.from({ length: states }, (_, state) => state).sort((a, b) => {
    if (a < fixed || b < fixed) return a - b;
    for (let column = 0; column < columns; column++) {
      const difference = cells[a * columns + column]! - cells[b * columns + column]!;
      if (difference !== 0) return difference;
    }
    return a - b;
  });
  const number = new Int32Array(states);
  order.forEach((state, index) => (number[state] = index));
  const sorted = new Int32Array(cells.length);
  order.forEach((state, index) => {
    for (let column = 0; column < columns; column++) {
      const cell = cells[state * columns + column]!;
      sorted[index * columns + column] = (cell & ~NEXT_MASK) | number[cell & NEXT_MASK]!;
    }
  });
  return {
    ...machine,
    cells: sorted,
    ends: Int32Array.from(order, (state) => ends[state]!),
    start: number[machine.start]!,
  };
}

function movesBytes(partial: PartialMachine): Uint8Array {
  const lists = partial.moves.flat();
  const columns = partial.moves[0]!.length;
  const statesAt = MOVES_FIRST + (lists.length + 1) * 4;
  const bytes = new Uint8Array((statesAt + lists.flat().length * 2 + 3) & ~3);
  const view = new DataView(bytes.buffer);
  bytes.set(partial.moveClasses);
  view.setUint32(MOVES_COLUMNS, columns, true);
  let first = 0;
  [...lists, []].forEach((list, index) => {
    view.setUint32(MOVES_FIRST + index * 4, first, true);
    for (const state of list) view.setUint16(statesAt + first++ * 2, state, true);
  });
  return bytes;
}
