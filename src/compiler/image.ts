/**
 * Writing images: the section table, and the pools that sections refer to. The format is described in assembly/abi.ts;
 * this file and assembly/{image,table,cidr}.ts are its two ends.
 */
import {
  HEADER_BYTES,
  LIST_ADDRESSES,
  LIST_HEADER_BYTES,
  LIST_STRINGS,
  MAGIC,
  MAX_IMAGE_BYTES,
  MAX_NAMES,
  SECTION_COUNT,
  TABLE_HEADER_BYTES,
  TABLE_SLOT_BYTES,
  VERSION,
} from '../../assembly/abi.ts';
import { addressRanges } from './lists.ts';
import { compileRegex, Effort, type RegexFlags } from './regex/index.ts';

const encoder = new TextEncoder();

export interface Span {
  readonly at: number;
  readonly length: number;
}

/** Grows by doubling; little-endian. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }
  #room(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + more));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
  u32(value: number): this {
    this.#room(4);
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
    return this;
  }
  bytes(value: Uint8Array): this {
    this.#room(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
    return this;
  }
  align(): this {
    while (this.length & 3) {
      this.#room(1);
      this.#bytes[this.length++] = 0;
    }
    return this;
  }
  /** A view, not a copy: call it last. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

/** FNV-1a with the finalizer of MurmurHash3: assembly/hash.ts says why. */
export function hashBytes(bytes: Uint8Array): number {
  return finishHash(runningHash(bytes));
}
export function runningHash(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
export function finishHash(hash: number): number {
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Bytes that sections refer to by offset and length; equal strings are stored once. */
export class StringPool {
  readonly #known = new Map<string, Span>();
  readonly #seen = new WeakMap<Uint8Array, Span>(); // long bytes that are added again and again
  readonly #writer = new ByteWriter();

  add(text: string | Uint8Array): Span {
    if (typeof text === 'string') return this.#add(text, encoder.encode(text));
    const span = this.#seen.get(text) ?? this.#add(text, text);
    this.#seen.set(text, span);
    return span;
  }
  #add(text: string | Uint8Array, bytes: Uint8Array): Span {
    // Arbitrary bytes are keyed as Latin-1 behind a mark, so that they can't collide with text.
    const key = typeof text === 'string' ? `s${text}` : `b${latin1(bytes)}`;
    let span = this.#known.get(key);
    if (span === undefined) {
      span = { at: this.#writer.length, length: bytes.length };
      this.#writer.bytes(bytes);
      this.#known.set(key, span);
    }
    return span;
  }
  bytes(): Uint8Array {
    return this.#writer.finish();
  }
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

export interface TableEntry {
  readonly key: string;
  readonly hash: number;
  readonly value: number;
}

/** A hash table of distinct strings (TABLE_* in abi.ts), at most two thirds full. */
export function hashTable(entries: readonly TableEntry[], fallback: number, strings: StringPool): Uint8Array {
  let slots = 4;
  while (slots * 2 < entries.length * 3) slots *= 2;
  const words = new Uint32Array(slots * 4);
  let longest = 1;
  for (const { key, hash, value } of entries) {
    const { at, length } = strings.add(key);
    if (length === 0) throw new RangeError('a table holds no empty string');
    let slot = hash & (slots - 1);
    let probe = 1;
    for (; words[slot * 4 + 2] !== 0; slot = (slot + 1) & (slots - 1)) probe++;
    longest = Math.max(longest, probe);
    words.set([hash, at, length, value], slot * 4);
  }
  const writer = new ByteWriter(TABLE_HEADER_BYTES + slots * TABLE_SLOT_BYTES);
  writer.u32(slots).u32(longest).u32(entries.length).u32(fallback);
  for (const word of words) writer.u32(word);
  return writer.finish();
}

/** SECTION_NAMES: the header names that the policy looks at, each with a small id. */
export class NamePool {
  readonly #ids = new Map<string, number>();
  readonly #strings: StringPool;

  constructor(strings: StringPool) {
    this.#strings = strings;
  }
  /** Id of a header name, whatever its case. */
  add(headerName: string): number {
    const name = headerName.toLowerCase();
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.#ids.size;
      if (id >= MAX_NAMES) throw new RangeError(`a policy can look at ${MAX_NAMES} different headers at most`);
      this.#ids.set(name, id);
    }
    return id;
  }
  bytes(): Uint8Array {
    if (this.#ids.size === 0) return new Uint8Array();
    const entries = [...this.#ids].map(([key, value]) => ({ key, hash: hashBytes(encoder.encode(key)), value }));
    return hashTable(entries, 0xffffffff, this.#strings);
  }
}

/** SECTION_LISTS: sets of addresses and strings; equal sets are stored once. */
export class ListPool {
  readonly #lists: Uint8Array[] = [];
  readonly #known = new Map<string, number>();
  /** PERF: a long list that many rules ask for is the same array, and then is not read again. */
  readonly #seen = new Map(
    [LIST_ADDRESSES, LIST_STRINGS].map((kind) => [kind, new WeakMap<readonly string[], number>()]),
  );
  readonly #strings: StringPool;

  constructor(strings: StringPool) {
    this.#strings = strings;
  }
  #add(kind: number, items: readonly string[], build: () => Uint8Array): number {
    const seen = this.#seen.get(kind)!;
    const index = seen.get(items) ?? this.#find(`${kind} ${JSON.stringify(items)}`, build);
    seen.set(items, index);
    return index;
  }
  #find(key: string, build: () => Uint8Array): number {
    let index = this.#known.get(key);
    if (index === undefined) {
      index = this.#lists.length;
      this.#lists.push(build());
      this.#known.set(key, index);
    }
    return index;
  }
  /** Addresses and CIDR blocks, checked before by `parseCidr`: throws RangeError on anything else. */
  addresses(cidrs: readonly string[]): number {
    return this.#add(LIST_ADDRESSES, cidrs, () => {
      const { v4, v6 } = addressRanges(cidrs);
      const writer = new ByteWriter();
      writer.u32(LIST_ADDRESSES).u32(v4.length).u32(v6.length).u32(0);
      for (const [low, high] of v4) writer.u32(low).u32(high);
      for (const [low, high] of v6) writer.bytes(low).bytes(high);
      return writer.finish();
    });
  }
  strings(items: readonly string[]): number {
    return this.#add(LIST_STRINGS, items, () => {
      const distinct = new Set(items);
      const empty = distinct.delete('');
      const entries = [...distinct].map((key) => ({ key, hash: hashBytes(encoder.encode(key)), value: 0 }));
      const table = hashTable(entries, 0xffffffff, this.#strings);
      return new ByteWriter(LIST_HEADER_BYTES + table.length)
        .u32(LIST_STRINGS)
        .u32(table.length)
        .u32(empty ? 1 : 0)
        .u32(0)
        .bytes(table)
        .finish();
    });
  }
  bytes(): Uint8Array {
    return directory(this.#lists);
  }
}

/** SECTION_REGEXES: compiled programs; an equal pattern with equal flags is compiled and stored once. */
export class RegexPool {
  readonly #programs: Uint8Array[] = [];
  readonly #known = new Map<string, number>();
  readonly #effort: Effort;

  constructor(effort: Effort) {
    this.#effort = effort;
  }
  /** Index of the program; throws RegexError when the pattern is refused. */
  add(pattern: string, flags: RegexFlags): number {
    const { foldCase, dotAll, multiline, unicode, anchored, captures } = flags;
    const key =
      [foldCase, dotAll, multiline, unicode, anchored, captures].map((flag) => (flag ? 1 : 0)).join('') + pattern;
    return this.#known.get(key) ?? this.#put(key, compileRegex(pattern, flags, this.#effort).bytes);
  }
  #put(key: string, program: Uint8Array): number {
    const index = this.#programs.length;
    this.#programs.push(program);
    this.#known.set(key, index);
    return index;
  }
  bytes(): Uint8Array {
    return directory(this.#programs);
  }
}

/** u32 count, u32 offset[count] from the start, then the parts in order, each 4-byte aligned; empty for none. */
export function directory(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 0) return new Uint8Array();
  const writer = new ByteWriter().u32(parts.length);
  let offset = 4 + parts.length * 4;
  for (const part of parts) {
    writer.u32(offset);
    offset += (part.length + 3) & ~3;
  }
  for (const part of parts) writer.bytes(part).align();
  return writer.finish();
}

/** What the parts of one image share while it is compiled. */
export interface Pools {
  readonly strings: StringPool;
  readonly regexes: RegexPool;
  readonly lists: ListPool;
  readonly names: NamePool;
  readonly effort: Effort;
}

export function newPools(): Pools {
  const strings = new StringPool();
  const effort = new Effort();
  return {
    strings,
    lists: new ListPool(strings),
    names: new NamePool(strings),
    regexes: new RegexPool(effort),
    effort,
  };
}

/** Assembles an image; sections are laid out in the order in which they are added. */
export class ImageWriter {
  readonly #kind: number;
  readonly #sections = new Map<number, Uint8Array>();

  constructor(kind: number) {
    this.#kind = kind;
  }
  /** An empty section is left out. */
  section(id: number, bytes: Uint8Array): void {
    if (id < 0 || id >= SECTION_COUNT || this.#sections.has(id)) throw new RangeError(`section ${id} twice or unknown`);
    if (bytes.length > 0) this.#sections.set(id, bytes);
  }
  finish(): Uint8Array {
    let total = HEADER_BYTES;
    for (const bytes of this.#sections.values()) total += (bytes.length + 3) & ~3;
    if (total > MAX_IMAGE_BYTES) throw new RangeError(`the image has ${total} bytes, the limit is ${MAX_IMAGE_BYTES}`);
    const image = new Uint8Array(total);
    const view = new DataView(image.buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, VERSION, true);
    view.setUint32(8, this.#kind, true);
    view.setUint32(12, total, true);
    let at = HEADER_BYTES;
    for (const [id, bytes] of this.#sections) {
      view.setUint32(24 + id * 8, at, true);
      view.setUint32(28 + id * 8, bytes.length, true);
      image.set(bytes, at);
      at += (bytes.length + 3) & ~3;
    }
    return image;
  }
}
