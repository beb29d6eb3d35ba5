// Word tables of the detectors: hash tables over the word lists in sql-words.ts and html-words.ts, made once per instance
// in fixed memory (DETECT_AT). A slot is u32 { length: 8, kind: 8, address: 16 }: static data lies below 64 KiB, so that a
// slot can name its word, and a lookup is exact. A client gains nothing from collisions: the tables are fixed and at most
// half full.
import { DETECT_AT } from '../../abi';
import { extend, finish, HASH_START } from '../../hash';

// TABLES: where they lie. A table is slots, then its filter.
export const SQL_SLOTS: u32 = 2048;
export const HTML_SLOTS: u32 = 512;
/** Bytes of a filter: a bit for each value of the upper 13 bits of a hash. */
export const FILTER_BYTES: i32 = 1024;
export const SQL_TABLE: usize = DETECT_AT;
export const HTML_TABLE: usize = SQL_TABLE + <usize>SQL_SLOTS * 4 + FILTER_BYTES;
export const PARTS_TABLE: usize = HTML_TABLE + <usize>HTML_SLOTS * 4 + FILTER_BYTES;
export const WORDS_TABLE: usize = PARTS_TABLE + 32;
export const TABLES_END: usize = WORDS_TABLE + 256;

/** Empties a table. An instance that takes the place of another finds its tables in the memory, and makes its own. */
export function clearTable(table: usize, slots: u32): void {
  memory.fill(table, 0, (<usize>slots << 2) + FILTER_BYTES);
}

/** Letters of a word at most; longer ones are in no list. */
export const MAX_WORD_LETTERS: i32 = 30;

/** Puts the words of a list, parted by single spaces and in lower case, into a table of `slots` (a power of two). */
export function addWords(table: usize, slots: u32, kind: u32, list: string): void {
  const end = changetype<usize>(list) + (<usize>list.length << 1);
  let at = changetype<usize>(list);
  while (at < end) {
    const start = at;
    let hash = HASH_START;
    for (; at < end && load<u16>(at) != 0x20; at += 2) hash = extend(hash, load<u16>(at));
    const length = <u32>((at - start) >> 1);
    at += 2;
    if (length == 0) continue;
    const mixed = finish(hash);
    const bit = mixed >> 19;
    const filter = table + (<usize>slots << 2) + <usize>(bit >> 3);
    store<u8>(filter, <u8>(<u32>load<u8>(filter) | ((<u32>1) << (bit & 7))));
    let i = mixed & (slots - 1);
    // A word that is in two lists keeps the kind of the first.
    while (load<u32>(table + (<usize>i << 2)) != 0) i = (i + 1) & (slots - 1);
    store<u32>(table + (<usize>i << 2), (<u32>start << 16) | (kind << 8) | length);
  }
}

/**
 * Kind of the word at `at`, or 0. `hash` is that of its letters in lower case, not finished; `length` counts letters.
 * Bytes that are no letters stand for themselves.
 */
export function wordKind(table: usize, slots: u32, hash: u32, at: usize, length: i32): u32 {
  const mixed = finish(hash);
  // PERF: a bit for each word of the lists, so that six of seven other words end here.
  const bit = mixed >> 19;
  if (((<u32>load<u8>(table + (<usize>slots << 2) + <usize>(bit >> 3)) >> (bit & 7)) & 1) == 0) return 0;
  if (length > MAX_WORD_LETTERS) return 0;
  let i = mixed & (slots - 1);
  // SAFETY: at most half of the slots are taken (detect.test.ts), so that a free one ends the search.
  let slot = load<u32>(table + (<usize>i << 2));
  while (slot != 0) {
    if ((slot & 0xff) == <u32>length && sameWord(<usize>(slot >> 16), at, length)) return (slot >> 8) & 0xff;
    i = (i + 1) & (slots - 1);
    slot = load<u32>(table + (<usize>i << 2));
  }
  return 0;
}

function sameWord(word: usize, at: usize, length: i32): bool {
  for (const end = at + <usize>length; at < end; at++, word += 2) {
    if (<u32>load<u16>(word) != lower(<u32>load<u8>(at))) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
export function lower(byte: u32): u32 {
  return byte - 0x41 < 26 ? byte | 0x20 : byte;
}

/** Hash of a byte range in lower case, for `wordKind`. */
export function wordHash(at: usize, length: i32): u32 {
  let hash = HASH_START;
  for (const end = at + <usize>length; at < end; at++) hash = extend(hash, lower(<u32>load<u8>(at)));
  return hash;
}
