// Which matchers may match a text, by the literals and phrases that it holds. See PREFILTER in abi.ts.
import { spend } from '../arena';
import { REGEX_CHUNK } from '../regex/abi';
import {
  MAX_PREFILTER_ENTRIES,
  PREFILTER_ENTRIES,
  PREFILTER_ENTRY_BYTES,
  PREFILTER_HASH,
  PREFILTER_PAIRS,
  PREFILTER_PAIR_FIRST,
  PREFILTER_QUADS,
  PREFILTER_QUAD_BUCKETS,
  PREFILTER_QUAD_BUCKET_SHIFT,
  PREFILTER_QUAD_FIRST,
  PREFILTER_QUAD_SHIFT,
  PREFILTER_RECORDS,
  PREFILTER_SET,
  PREFILTER_SINGLES,
  PREFILTER_SINGLE_RECORDS,
  PREFILTER_TEXT_BYTES,
  PREFILTER_TRIPLES,
  PREFILTER_TRIPLE_BUCKETS,
  PREFILTER_TRIPLE_BUCKET_SHIFT,
  PREFILTER_TRIPLE_FIRST,
  PREFILTER_TRIPLE_SHIFT,
} from './abi';

// Registers of the scan at hand.
let table: usize = 0;
let setBytes: usize = 0;
let records: usize = 0;
let entries: usize = 0;
let texts: usize = 0;
let from: usize = 0;
let end: usize = 0;
let wanted: usize = 0;
let found: usize = 0;

function begin(prefilter: usize, bytesOfSet: usize, at: usize, length: i32, todo: usize, out: usize): void {
  table = prefilter;
  setBytes = bytesOfSet;
  records = prefilter + PREFILTER_SET + bytesOfSet;
  entries = records + <usize>load<u32>(prefilter, PREFILTER_RECORDS) * bytesOfSet;
  texts = entries + <usize>load<u32>(prefilter, PREFILTER_ENTRIES) * PREFILTER_ENTRY_BYTES;
  from = at;
  end = at + <usize>length;
  wanted = todo;
  found = out;
}

// @ts-ignore: decorator
@inline
function quad(value: u32): u32 {
  return (value * <u32>PREFILTER_HASH) >> PREFILTER_QUAD_SHIFT;
}

// @ts-ignore: decorator
@inline
function triple(value: u32): u32 {
  return ((value & 0xffffff) * <u32>PREFILTER_HASH) >> PREFILTER_TRIPLE_SHIFT;
}

// @ts-ignore: decorator
@inline
function bit(bits: usize, index: u32): u32 {
  return <u32>load<u8>(bits + <usize>(index >> 3)) >> (index & 7);
}

/** Bytes of scratch that `prefilter` takes for a text of so many. */
export function prefilterScratch(length: i32): i32 {
  const bytes = length < REGEX_CHUNK ? length : REGEX_CHUNK;
  return bytes + 36 + (bytes << 1);
}

/** Copies at least `bytes` bytes with ASCII letters in lower case; reads and writes up to 15 more. */
function fold(at: usize, bytes: usize, out: usize): void {
  const upper = i8x16.splat(0x41);
  const letters = i8x16.splat(26);
  const lower = i8x16.splat(0x20);
  for (let i: usize = 0; i < bytes; i += 16) {
    const block = v128.load(at + i);
    const isUpper = i8x16.lt_u(i8x16.sub(block, upper), letters);
    v128.store(out + i, v128.or(block, v128.and(isUpper, lower)));
  }
}

/**
 * Adds to the set `out` the matchers of `todo` (sets of `bytesOfSet` bytes) one of whose literals or phrases stands in the
 * text, and maybe others; false when the step budget is spent. `bitmap`: presence of the text; `scratch`: prefilterScratch.
 */
export function prefilter(
  filter: usize,
  bytesOfSet: usize,
  at: usize,
  length: i32,
  todo: usize,
  out: usize,
  bitmap: usize,
  scratch: usize,
): bool {
  begin(filter, bytesOfSet, at, length, todo, out);
  for (let place: usize = 0; place < 32; place += 8) {
    let word = load<u64>(bitmap + place) & load<u64>(filter + place, PREFILTER_SINGLES);
    while (word != 0) {
      const byte = (place << 3) + <usize>ctz(word);
      word &= word - 1;
      add(records + <usize>load<u16>(filter + (byte << 1), PREFILTER_SINGLE_RECORDS) * bytesOfSet);
    }
  }
  const quads = filter + PREFILTER_QUADS;
  const pairs = filter + PREFILTER_PAIRS;
  const stop = at + <usize>length;
  while (at < stop) {
    let bytes = stop - at;
    if (bytes > <usize>REGEX_CHUNK) bytes = REGEX_CHUNK;
    if (!spend(<i32>bytes)) return false;
    // SAFETY: up to 18 bytes behind the text are looked at, which is memory, since images follow it.
    fold(at, bytes + 3, scratch);
    // What stands behind the text is none of its business: the same text takes the same steps wherever it stands.
    if (at + bytes == stop) store<u32>(scratch + bytes, 0);
    // PERF: first all places where something may stand, then those: one place in six is, and a guess that a processor gets
    // wrong so often costs more than the place.
    const places = scratch + ((bytes + 33) & ~1);
    let next = places;
    for (let i: usize = 0; i < bytes; i++) {
      const value = load<u32>(scratch + i);
      store<u16>(next, <u32>i);
      next += <usize>((bit(quads, quad(value)) | bit(pairs, value & 0xffff)) & 1) << 1;
    }
    for (let place = places; place < next; place += 2) {
      const i = <usize>load<u16>(place);
      if (!look(at + i, load<u32>(scratch + i))) return false;
    }
    at += bytes;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function add(record: usize): void {
  for (let i: usize = 0; i < setBytes; i += 16) {
    v128.store(found + i, v128.or(v128.load(found + i), v128.load(record + i)));
  }
}

function look(at: usize, value: u32): bool {
  const q = quad(value);
  if (bit(table + PREFILTER_QUADS, q) & 1) {
    const first = table + PREFILTER_QUAD_FIRST + (<usize>(q >> PREFILTER_QUAD_BUCKET_SHIFT) << 1);
    if (!bucket(first, at, value, 0xffffffff)) return false;
  }
  const t = triple(value);
  if (bit(table + PREFILTER_TRIPLES, t) & 1) {
    const first = table + PREFILTER_TRIPLE_FIRST + (<usize>(t >> PREFILTER_TRIPLE_BUCKET_SHIFT) << 1);
    if (!bucket(first, at, value, 0xffffff)) return false;
  }
  if (bit(table + PREFILTER_PAIRS, value & 0xffff) & 1) {
    const first = table + PREFILTER_PAIR_FIRST + (<usize>(value & 0xff) << 1);
    if (!bucket(first, at, value, 0xffff)) return false;
  }
  return true;
}

function bucket(range: usize, at: usize, value: u32, mask: u32): bool {
  const last = <u32>load<u16>(range, 2);
  let index = <u32>load<u16>(range);
  if (!spend(1 + <i32>(last - index))) return false;
  for (; index < last; index++) {
    const entry = entries + <usize>index * PREFILTER_ENTRY_BYTES;
    const anchor = load<u32>(entry);
    if (((anchor ^ value) & mask) != 0) continue;
    const record = records + <usize>load<u16>(entry, 12) * setBytes;
    const only = <u32>load<u16>(entry, 14);
    // SAFETY: a matcher is below the number of bits of the sets: checkPrefilter.
    if (only == 0xffff ? !isNew(record) : !holds(wanted, only) || holds(found, only)) continue;
    const length = <usize>load<u16>(entry, 8);
    const start = at - <usize>load<u16>(entry, 10);
    if (start < from || start + length > end) continue;
    if (!spend(<i32>(length >> 2))) return false;
    if (!same(start, texts + <usize>load<u32>(entry, 4), length)) continue;
    add(record);
  }
  return true;
}

/** The record names a matcher that is wanted and not found. */
function isNew(record: usize): bool {
  for (let i: usize = 0; i < setBytes; i += 16) {
    const more = v128.andnot(v128.and(v128.load(record + i), v128.load(wanted + i)), v128.load(found + i));
    if (v128.any_true(more)) return true;
  }
  return false;
}

// @ts-ignore: decorator
@inline
function lowered(at: usize): u32 {
  const byte = <u32>load<u8>(at);
  return byte - 0x41 < 26 ? byte | 0x20 : byte;
}

// @ts-ignore: decorator
@inline
function holds(set: usize, index: u32): bool {
  return ((<u32>load<u8>(set + <usize>(index >> 3)) >> (index & 7)) & 1) != 0;
}

function same(at: usize, text: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) {
    if (lowered(at + i) != <u32>load<u8>(text + i)) return false;
  }
  return true;
}

/** Set of all matchers of the prefilter. */
// @ts-ignore: decorator
@inline
export function prefilterSet(filter: usize): usize {
  return filter + PREFILTER_SET;
}

// Where the phrase that ends first was found: see `phraseOf`.
export let phraseAt: usize = 0;
export let phraseLength: i32 = 0;

/** Finds the phrase of `matcher` that ends first, of those the longest, and sets phraseAt and phraseLength; false without one. */
export function phraseOf(filter: usize, bytesOfSet: usize, matcher: u32, at: usize, length: i32): bool {
  begin(filter, bytesOfSet, at, length, 0, 0);
  let best = end + 1;
  phraseLength = 0;
  // A phrase of at most 65,535 bytes that ends before `best` has its anchor before it.
  for (let p = at; p < end && p < best; p++) {
    if (!spend(1)) return false;
    const byte = <usize>load<u8>(p);
    if (holds(filter + PREFILTER_SINGLES, <u32>byte)) {
      const record = records + <usize>load<u16>(filter + (byte << 1), PREFILTER_SINGLE_RECORDS) * setBytes;
      if (p + 1 < best && holds(record, matcher)) {
        best = p + 1;
        phraseAt = p;
        phraseLength = 1;
      }
    }
    const value = lowered(p) | (lowered(p + 1) << 8) | (lowered(p + 2) << 16) | (lowered(p + 3) << 24);
    for (let tier = 0; tier < 3; tier++) {
      let range: usize;
      let mask: u32;
      if (tier == 0) {
        if ((bit(table + PREFILTER_QUADS, quad(value)) & 1) == 0) continue;
        range = table + PREFILTER_QUAD_FIRST + (<usize>(quad(value) >> PREFILTER_QUAD_BUCKET_SHIFT) << 1);
        mask = 0xffffffff;
      } else if (tier == 1) {
        range = table + PREFILTER_TRIPLE_FIRST + (<usize>(triple(value) >> PREFILTER_TRIPLE_BUCKET_SHIFT) << 1);
        mask = 0xffffff;
      } else {
        range = table + PREFILTER_PAIR_FIRST + (<usize>(value & 0xff) << 1);
        mask = 0xffff;
      }
      const last = <u32>load<u16>(range, 2);
      let index = <u32>load<u16>(range);
      if (!spend(<i32>(last - index))) return false;
      for (; index < last; index++) {
        const entry = entries + <usize>index * PREFILTER_ENTRY_BYTES;
        const anchor = load<u32>(entry);
        if (((anchor ^ value) & mask) != 0) continue;
        const record = records + <usize>load<u16>(entry, 12) * setBytes;
        if (!holds(record, matcher)) continue;
        const bytes = <usize>load<u16>(entry, 8);
        const start = p - <usize>load<u16>(entry, 10);
        if (start < from || start + bytes > end || start + bytes > best) continue;
        if (start + bytes == best && <i32>bytes <= phraseLength) continue;
        if (!spend(<i32>(bytes >> 2))) return false;
        if (!same(start, texts + <usize>load<u32>(entry, 4), bytes)) continue;
        best = start + bytes;
        phraseAt = start;
        phraseLength = <i32>bytes;
      }
    }
  }
  return phraseLength > 0;
}

/**
 * Leaves out, for good, the literals of matchers that nobody looks for; `set`: those that somebody does. Makes the bits of
 * those that stay. Once checked; false when the tiers do not follow one another.
 */
// PERF: a literal that no rule of the level asks for still stops the scan where it stands: at level 1 of CRS 4.28 prose costs
// 8 % less without them.
export function narrowPrefilter(filter: usize, bytesOfSet: usize, set: usize): bool {
  begin(filter, bytesOfSet, 0, 0, set, 0);
  memory.fill(filter + PREFILTER_QUADS, 0, PREFILTER_QUAD_FIRST - PREFILTER_QUADS);
  for (let byte: u32 = 0; byte < 256; byte++) {
    const place = filter + PREFILTER_SINGLES + <usize>(byte >> 3);
    if (!holds(filter + PREFILTER_SINGLES, byte)) continue;
    if (!isWanted(records + <usize>load<u16>(filter + <usize>(byte << 1), PREFILTER_SINGLE_RECORDS) * bytesOfSet)) {
      store<u8>(place, load<u8>(place) & ~(1 << <u8>(byte & 7)));
    }
  }
  let kept: u32 = 0;
  let before: u32 = 0; // end of the tier before
  for (let tier = 0; tier < 3; tier++) {
    const first = filter + (tier == 0 ? PREFILTER_QUAD_FIRST : tier == 1 ? PREFILTER_TRIPLE_FIRST : PREFILTER_PAIR_FIRST);
    const buckets: i32 = tier == 0 ? PREFILTER_QUAD_BUCKETS : tier == 1 ? PREFILTER_TRIPLE_BUCKETS : 256;
    let index = <u32>load<u16>(first);
    if (index < before) return false;
    for (let i: usize = 0; i < <usize>buckets; i++) {
      const last = <u32>load<u16>(first + (i << 1), 2);
      store<u16>(first + (i << 1), <u16>kept);
      for (; index < last; index++) {
        const entry = entries + <usize>index * PREFILTER_ENTRY_BYTES;
        if (!isWanted(records + <usize>load<u16>(entry, 12) * bytesOfSet)) continue;
        const value = load<u32>(entry);
        if (tier == 0) mark(filter + PREFILTER_QUADS, quad(value));
        else {
          if (tier == 1) mark(filter + PREFILTER_TRIPLES, triple(value));
          mark(filter + PREFILTER_PAIRS, value & 0xffff);
        }
        // SAFETY: each tier begins behind the one before it, so what is kept is never ahead of what is read.
        memory.copy(entries + <usize>kept * PREFILTER_ENTRY_BYTES, entry, PREFILTER_ENTRY_BYTES);
        kept++;
      }
    }
    store<u16>(first + (<usize>buckets << 1), <u16>kept);
    before = index;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function mark(bits: usize, index: u32): void {
  store<u8>(bits + <usize>(index >> 3), load<u8>(bits + <usize>(index >> 3)) | (1 << <u8>(index & 7)));
}

/** The record names a matcher that is wanted. */
function isWanted(record: usize): bool {
  for (let i: usize = 0; i < setBytes; i += 16) {
    if (v128.any_true(v128.and(v128.load(record + i), v128.load(wanted + i)))) return true;
  }
  return false;
}

/** Bytes of a prefilter, by its header. */
export function prefilterSize(filter: usize, bytesOfSet: u32): u32 {
  const recordBytes = load<u32>(filter, PREFILTER_RECORDS) * bytesOfSet;
  const entryBytes = load<u32>(filter, PREFILTER_ENTRIES) * PREFILTER_ENTRY_BYTES;
  // SAFETY: where checkPrefilter has looked, the terms are at most 2^24, 2^20 and 2^24: no overflow.
  return <u32>PREFILTER_SET + bytesOfSet + recordBytes + entryBytes + load<u32>(filter, PREFILTER_TEXT_BYTES);
}

/** Every number in the prefilter, so that the scan needs no checks. `count` bounds the matchers. */
export function checkPrefilter(filter: usize, room: u32, bytesOfSet: u32, count: u32): bool {
  if (room < <u32>PREFILTER_SET + bytesOfSet) return false;
  const recordCount = load<u32>(filter, PREFILTER_RECORDS);
  const entryCount = load<u32>(filter, PREFILTER_ENTRIES);
  const textBytes = load<u32>(filter, PREFILTER_TEXT_BYTES);
  if (recordCount > <u32>MAX_PREFILTER_ENTRIES || entryCount > <u32>MAX_PREFILTER_ENTRIES || textBytes > 0xffffff) return false;
  if (prefilterSize(filter, bytesOfSet) > room) return false;
  begin(filter, <usize>bytesOfSet, 0, 0, 0, 0);
  if (
    !ascending(filter + PREFILTER_QUAD_FIRST, PREFILTER_QUAD_BUCKETS, entryCount) ||
    !ascending(filter + PREFILTER_TRIPLE_FIRST, PREFILTER_TRIPLE_BUCKETS, entryCount) ||
    !ascending(filter + PREFILTER_PAIR_FIRST, 256, entryCount)
  ) {
    return false;
  }
  // The prefilter's own set, then those of the records, all of one size.
  for (let i: u32 = 0; i <= recordCount; i++) {
    if (beyond(filter + PREFILTER_SET + <usize>(i * bytesOfSet), count, bytesOfSet)) return false;
  }
  for (let byte: u32 = 0; byte < 256; byte++) {
    if (!holds(filter + PREFILTER_SINGLES, byte)) continue;
    if (<u32>load<u16>(filter + <usize>(byte << 1), PREFILTER_SINGLE_RECORDS) >= recordCount) return false;
  }
  for (let i: u32 = 0; i < entryCount; i++) {
    const entry = entries + <usize>i * PREFILTER_ENTRY_BYTES;
    const text = load<u32>(entry, 4);
    const length = <u32>load<u16>(entry, 8);
    if (text > textBytes || length > textBytes - text || length == 0) return false;
    if (<u32>load<u16>(entry, 10) >= length || <u32>load<u16>(entry, 12) >= recordCount) return false;
    const only = <u32>load<u16>(entry, 14);
    if (only != 0xffff && only >= count) return false;
  }
  return true;
}

function ascending(first: usize, buckets: i32, limit: u32): bool {
  let before: u32 = 0;
  for (let i = 0; i <= buckets; i++) {
    const at = <u32>load<u16>(first + (<usize>i << 1));
    if (at < before || at > limit) return false;
    before = at;
  }
  return true;
}

/** A bit at or above `count` is set. */
export function beyond(bits: usize, count: u32, bytesOfSet: u32): bool {
  for (let i = count; i < bytesOfSet << 3; i++) {
    if (holds(bits, i)) return true;
  }
  return false;
}
