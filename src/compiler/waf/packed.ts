/** Bins as a file has them: each row as what tells it from a like row before it. See PACKED BIN in assembly/waf/abi.ts. */
import {
  BIN_CLASSES,
  BIN_SHIFT,
  BIN_STATES,
  BIN_TABLE,
  MAX_PACKED_BACK,
  PACKED_BACK_SHIFT,
} from '../../../assembly/waf/abi.ts';

/** Less than this much is not worth looking further for. */
const ALIKE = 1;

/** `bin` as binBytes made it. Length a multiple of 4. */
// PERF: bins of CRS 4.28 are 13.6 MB in memory, 1.3 packed, and 0.66 either way when compressed; what a start reads, hashes
// and copies is what it takes.
export function packedBin(bin: Uint8Array): Uint8Array {
  const view = new DataView(bin.buffer, bin.byteOffset, bin.length);
  const states = view.getUint32(BIN_STATES, true);
  const width = 1 << view.getUint32(BIN_SHIFT, true);
  const cells = Uint16Array.from({ length: states * width }, (_, index) => view.getUint16(BIN_TABLE + index * 2, true));
  const columns = Math.max(...bin.subarray(BIN_CLASSES, BIN_TABLE)) + 1;
  const bytes: number[] = [...bin.subarray(0, BIN_TABLE)];
  const word = (value: number): void => void bytes.push(value & 0xff, value >> 8);

  for (let state = 0; state < states; state++) {
    const row = state * width;
    const back = likest(cells, state, width, columns);
    const differs: number[] = [];
    for (let column = 0; column < columns; column++) {
      const before = back === 0 ? 0 : cells[row - back * width + column]!;
      if (cells[row + column]! !== before) differs.push(column);
    }
    word(differs.length | (back << PACKED_BACK_SHIFT));
    for (const column of differs) {
      bytes.push(column);
      word(cells[row + column]!);
    }
  }
  while (bytes.length % 4 > 0) bytes.push(0);

  const endsAt = BIN_TABLE + cells.length * 2;
  const ends: number[] = [];
  for (let state = 0; state < states; state++) if (view.getUint16(endsAt + state * 2, true) !== 0) ends.push(state);
  word(ends.length);
  word(0);
  for (const state of ends) {
    word(state);
    word(view.getUint16(endsAt + state * 2, true));
  }
  const tail = bin.subarray(endsAt + ((states * 2 + 3) & ~3));
  const packed = new Uint8Array(bytes.length + tail.length);
  packed.set(bytes);
  packed.set(tail, bytes.length);
  return packed;
}

/** How many rows back the likest one stands, of those that can be named; 0 for a row of zeros. */
function likest(cells: Uint16Array, state: number, width: number, columns: number): number {
  const row = state * width;
  let best = 0;
  let least = 0;
  for (let column = 0; column < columns; column++) if (cells[row + column] !== 0) least++;
  for (let back = 1; back <= Math.min(state, MAX_PACKED_BACK) && least > ALIKE; back++) {
    const other = row - back * width;
    let count = 0;
    for (let column = 0; column < columns && count < least; column++) {
      if (cells[row + column] !== cells[other + column]) count++;
    }
    if (count < least) {
      least = count;
      best = back;
    }
  }
  return best;
}
