import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packedBin } from '../../src/compiler/waf/packed.ts';
import { compileAssembly } from '../../test/support/assembly.ts';
import { BIN_EDGES, BIN_NARROW_SHIFT, BIN_SAYS, BIN_SHIFT, BIN_STATES, BIN_TABLE, BIN_WIDE_SHIFT } from './abi.ts';

const { exports, memory } = await compileAssembly<{
  unpackBin(packed: number, room: number, to: number, bytes: number): number;
}>(`export { unpackBin } from './waf/unpack';`);
const PACKED = 0x600000;

/** A bin as binBytes makes it, as far as packing looks at it. */
interface Bin {
  readonly shift: number;
  readonly columns: number;
  readonly edges: number;
  readonly rows: readonly (readonly number[])[];
  readonly ends: readonly number[];
  readonly tail: Uint8Array;
}

function bytesOf({ shift, columns, edges, rows, ends, tail }: Bin): Uint8Array {
  const tailAt = BIN_TABLE + (rows.length << (shift + 1)) + ((rows.length * 2 + 3) & ~3);
  const bytes = new Uint8Array(tailAt + tail.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(BIN_STATES, rows.length, true);
  view.setUint32(BIN_SHIFT, shift, true);
  view.setUint32(BIN_EDGES, edges, true);
  bytes[BIN_TABLE - 1] = columns - 1; // class of the last byte
  const endsAt = BIN_TABLE + (rows.length << (shift + 1));
  rows.forEach((row, state) => {
    row.forEach((cell, column) => view.setUint16(BIN_TABLE + ((state << shift) + column) * 2, cell, true));
    view.setUint16(endsAt + state * 2, ends[state]!, true);
  });
  bytes.set(tail, tailAt);
  return bytes;
}

/** What the engine makes of a packed bin; null when it is refused. All of memory behind what is given must stay. */
function unpack(packed: Uint8Array, bytes: number): Uint8Array | null {
  const all = new Uint8Array(memory.buffer);
  all.set(packed, PACKED);
  const to = all.length - bytes; // a write behind it traps
  all.fill(0xee, to);
  return exports.unpackBin(PACKED, packed.length, to, bytes) !== 0 ? all.slice(to) : null;
}

const bin = fc
  .record({
    shift: fc.constantFrom(BIN_NARROW_SHIFT, BIN_WIDE_SHIFT),
    states: fc.integer({ min: 1, max: 300 }),
    edges: fc.nat(5),
    seed: fc.infiniteStream(fc.nat(0xffff)),
    tail: fc.array(fc.nat(255), { maxLength: 10 }),
    wild: fc.nat(10),
  })
  .map(({ shift, states, edges, seed, tail, wild }): Bin => {
    const next = (below: number): number => (seed.next().value as number) % below;
    const columns = 1 + next(1 << shift);
    const cell = (): number => (edges > 0 && next(4) === 0 ? BIN_SAYS + next(edges) : next(states));
    const rows: number[][] = [];
    for (let state = 0; state < states; state++) {
      const like = state === 0 ? new Array<number>(columns).fill(0) : rows[next(state)]!;
      rows.push(like.map((old) => (next(10) < wild ? cell() : old)));
    }
    const ends = rows.map(() => (next(3) === 0 ? next(7) : 0));
    return { shift, columns, edges, rows, ends, tail: Uint8Array.from(tail) };
  });

test('a bin that was packed is unpacked to what it was', () => {
  fc.assert(
    fc.property(bin, (one) => {
      const bytes = bytesOf(one);
      assert.deepEqual(unpack(packedBin(bytes), bytes.length), bytes);
    }),
    { numRuns: 200 },
  );
});

test('rows that are alike take a few bytes', () => {
  const rows = Array.from({ length: 2000 }, (_, state) =>
    Array.from({ length: 60 }, (_, column) => (column === state % 60 ? state : 0)),
  );
  const ends = rows.map(() => 0);
  const bytes = bytesOf({ shift: BIN_NARROW_SHIFT, columns: 60, edges: 0, rows, ends, tail: new Uint8Array(0) });
  const packed = packedBin(bytes);
  assert.ok(packed.length < BIN_TABLE + 2000 * 6, `${packed.length} of ${bytes.length}`);
  assert.deepEqual(unpack(packed, bytes.length), bytes);
});

test('cells that are no state and no edge, rows that are not there, and bytes that are missing are refused', () => {
  const rows = [[1, 0], [BIN_SAYS + 1, 1], [1, 1]];
  const bytes = bytesOf({ shift: 6, columns: 2, edges: 2, rows, ends: [0, 3, 0], tail: new Uint8Array(8) });
  const packed = packedBin(bytes);
  assert.deepEqual(unpack(packed, bytes.length), bytes);
  const with16 = (at: number, value: number): Uint8Array => {
    const copy = packed.slice();
    new DataView(copy.buffer).setUint16(at, value, true);
    return copy;
  };
  // Row 0 is `1 cell, column 0, state 1`.
  assert.deepEqual([...packed.subarray(BIN_TABLE, BIN_TABLE + 5)], [1, 0, 0, 1, 0]);
  assert.notEqual(unpack(with16(BIN_TABLE + 3, 2), bytes.length), null);
  assert.equal(unpack(with16(BIN_TABLE + 3, 3), bytes.length), null, 'a state that is not there');
  assert.notEqual(unpack(with16(BIN_TABLE + 3, BIN_SAYS + 1), bytes.length), null);
  assert.equal(unpack(with16(BIN_TABLE + 3, BIN_SAYS + 2), bytes.length), null, 'an edge that is not there');
  assert.equal(unpack(with16(BIN_TABLE, 1 | (1 << 9)), bytes.length), null, 'a row before the first');
  assert.equal(unpack(with16(BIN_TABLE, 511), bytes.length), null, 'more cells than bytes');
  assert.equal(unpack(with16(BIN_TABLE + 2, 64), bytes.length), null, 'a column that is not there');
  assert.equal(unpack(with16(BIN_STATES, 0), bytes.length), null, 'no state');
  assert.equal(unpack(with16(BIN_STATES, 32768), bytes.length), null, 'too many states');
  assert.equal(unpack(with16(BIN_SHIFT, 7), bytes.length), null, 'a width of its own');
  for (let length = 0; length < packed.length; length++)
    assert.equal(unpack(packed.subarray(0, length), bytes.length), null, `${length} bytes of ${packed.length}`);
  for (let length = 0; length < bytes.length - 8; length++) assert.equal(unpack(packed, length), null);
});
