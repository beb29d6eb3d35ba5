/** SECTION_ADDRESSES: published addresses of agents, put into the image of the table of agents. See assembly/agents/abi.ts. */
import { SECTION_ADDRESSES, VERSION, MAGIC, KIND_AGENTS } from '../../../assembly/abi.ts';
import { MAX_ADDRESS_LISTS, MAX_ADDRESS_RANGES, MAX_ADDRESS_SETS } from '../../../assembly/agents/abi.ts';
import { ByteWriter } from '../image.ts';
import { addressRanges } from '../lists.ts';
import { ADDRESS_LISTS } from './address-lists.ts';

/** Days after which a list that was not fetched again says no more who does not belong to an agent. */
export const LIST_DAYS = 30;

export interface KnownList {
  /** As in ADDRESS_LISTS; one that is not there is left out. */
  readonly id: string;
  /** Addresses and blocks, checked before: throws RangeError on anything else. */
  readonly prefixes: readonly string[];
  /** When it was fetched, seconds since the epoch. */
  readonly fetched: number;
}

/** The image with these lists; itself where there are none. Throws RangeError where a limit of the format is reached. */
export function withAddresses(image: Uint8Array, lists: readonly KnownList[]): Uint8Array {
  const section = encodeAddresses(lists);
  if (section === null) return image;
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const entry = 24 + SECTION_ADDRESSES * 8;
  if (
    view.getUint32(0, true) !== MAGIC ||
    view.getUint32(4, true) !== VERSION ||
    view.getUint32(8, true) !== KIND_AGENTS
  )
    throw new RangeError('this is no image of a table of agents');
  if (view.getUint32(entry, true) !== 0) throw new RangeError('the image has addresses already');
  const more = new Uint8Array(image.length + section.length);
  more.set(image);
  more.set(section, image.length);
  const header = new DataView(more.buffer);
  header.setUint32(12, more.length, true);
  header.setUint32(entry, image.length, true);
  header.setUint32(entry + 4, section.length, true);
  return more;
}

type Piece = readonly [low: bigint, high: bigint, lists: number];

/** Null for no list that is known. */
export function encodeAddresses(lists: readonly KnownList[]): Uint8Array | null {
  const expiry = new Uint32Array(MAX_ADDRESS_LISTS);
  const v4: Piece[] = [];
  const v6: Piece[] = [];
  let known = 0;
  for (const { id, prefixes, fetched } of lists) {
    const index = ADDRESS_LISTS.findIndex((list) => list.id === id);
    if (index < 0) continue;
    const bit = (1 << index) >>> 0;
    known = (known | bit) >>> 0;
    expiry[index] = Math.min(fetched + LIST_DAYS * 86_400, 0xffffffff);
    const ranges = addressRanges(prefixes);
    for (const [low, high] of ranges.v4) v4.push([BigInt(low), BigInt(high), bit]);
    for (const [low, high] of ranges.v6) v6.push([number(low), number(high), bit]);
  }
  if (known === 0) return null;
  const pieces = [cut(v4), cut(v6)] as const;
  const sets = [...new Set(pieces.flat().map(([, , bits]) => bits))];
  if (sets.length > MAX_ADDRESS_SETS)
    throw new RangeError(`address lists overlap in more than ${MAX_ADDRESS_SETS} ways`);
  if (pieces.some(({ length }) => length > MAX_ADDRESS_RANGES))
    throw new RangeError(`address lists have more than ${MAX_ADDRESS_RANGES} ranges`);
  const writer = new ByteWriter(4096).u32(pieces[0].length).u32(pieces[1].length).u32(sets.length).u32(known);
  for (const time of expiry) writer.u32(time);
  for (const set of sets) writer.u32(set);
  for (const side of [0, 1] as const) for (const piece of pieces[0]) writer.u32(Number(piece[side]));
  for (const side of [0, 1] as const) for (const piece of pieces[1]) writer.bytes(sixteen(piece[side]));
  const places = new Map(sets.map((set, index) => [set, index]));
  writer.bytes(Uint8Array.from(pieces.flat(), ([, , bits]) => places.get(bits)!));
  return writer.align().finish();
}

/** Ranges, sorted and disjoint within a list, of several lists: cut where they overlap, joined where nothing changes. */
function cut(ranges: readonly Piece[]): Piece[] {
  const edges = new Map<bigint, { begin: number; end: number }>();
  const edge = (at: bigint): { begin: number; end: number } => {
    const found = edges.get(at) ?? { begin: 0, end: 0 };
    edges.set(at, found);
    return found;
  };
  for (const [low, high, bit] of ranges) {
    edge(low).begin |= bit;
    edge(high + 1n).end |= bit;
  }
  const order = [...edges.keys()].sort((a, b) => (a < b ? -1 : 1));
  const pieces: Piece[] = [];
  let bits = 0;
  let from = 0n;
  for (const at of order) {
    const { begin, end } = edges.get(at)!;
    // A list's ranges never touch, being merged, so what ends here and what begins here are different lists.
    const next = ((bits & ~end) | begin) >>> 0;
    if (next === bits) continue;
    if (bits !== 0) pieces.push([from, at - 1n, bits]);
    bits = next;
    from = at;
  }
  return pieces;
}

function number(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

function sixteen(value: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  for (let i = 15; i >= 0; i--, value >>= 8n) bytes[i] = Number(value & 255n);
  return bytes;
}
