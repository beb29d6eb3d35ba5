// `open` for SECTION_MATCHERS: every number in it once, so that match.ts needs no checks, and the bins that are wanted
// unpacked behind the image.
import {
  BIN_ALIGNMENT,
  BIN_ROOTS,
  BIN_TABLE,
  MATCHERS_BINS,
  MATCHERS_BIN_COUNT,
  MATCHERS_CLAUSES,
  MATCHERS_CLAUSE_COUNT,
  MATCHERS_COUNT,
  MATCHERS_HEADER_BYTES,
  MATCHERS_PACKED,
  MATCHERS_PREFILTERS,
  MATCHERS_PREFILTER_COUNT,
  MATCHERS_RECORDS,
  MATCHERS_UNFILTERED,
  MATCHERS_VECTORS,
  MATCHER_ALWAYS,
  MATCHER_BIN,
  MATCHER_BYTES,
  MATCHER_BYTE_SETS,
  MATCHER_BYTE_SET_COUNT,
  MATCHER_KIND,
  MATCHER_PHRASES,
  MATCHER_POSITIONS,
  MATCHER_REGEX,
  MATCHER_SET_BYTES,
  MATCHER_SHORTEST,
  MAX_CLAUSES,
  MAX_MATCHERS,
} from './abi';
import { checkBin, checkMoves } from './bins';
import { checkPositions } from './positions';
import { beyond, checkPrefilter, narrowPrefilter, prefilterSize } from './prefilter';
import { unpackBin } from './unpack';

/** Bin of a matcher that has none. */
const NO_BIN: u32 = 0xffffffff;
/** In the directory, of a bin that is still to be unpacked. */
const WANTED: u32 = 1;

let section: usize = 0;
let length: u32 = 0;
let count: u32 = 0;
let bins: u32 = 0;
let front: u32 = 0; // bytes of what is written to, and of the header before it

// @ts-ignore: decorator
@inline
function word(offset: usize): u32 {
  return load<u32>(section + offset);
}
// @ts-ignore: decorator
@inline
function recordOf(matcher: u32): usize {
  return section + <usize>word(MATCHERS_RECORDS) + <usize>matcher * MATCHER_BYTES;
}

/**
 * Opens the matchers `at`, once: their directory of bins is written to. `wanted` is a set of them of MATCHER_SET_BYTES, or 0
 * for all; the others stay right, and become slow. The bins go to the `room` bytes at `to`; false when that is too little or
 * anything is wrong.
 */
export function openMatchers(at: usize, size: i32, wanted: usize, to: usize, room: u32): bool {
  if (size < MATCHERS_HEADER_BYTES || (at & 3) != 0) return false;
  section = at;
  length = <u32>size;
  count = word(MATCHERS_COUNT);
  bins = word(MATCHERS_BIN_COUNT);
  const vectors = word(MATCHERS_VECTORS);
  const filters = word(MATCHERS_PREFILTER_COUNT);
  if (count > <u32>MAX_MATCHERS || vectors == 0 || vectors > 8 || count > vectors << 7) return false;
  if (filters > count || bins > count) return false;
  // SAFETY: what is written to stands first, and nothing else that was checked lies there.
  const directory = <u32>MATCHERS_HEADER_BYTES + count * MATCHER_BYTES;
  front = directory + (bins << 2);
  if (word(MATCHERS_RECORDS) != <u32>MATCHERS_HEADER_BYTES || word(MATCHERS_BINS) != directory || front > length) return false;
  if (!holdsAt(word(MATCHERS_PREFILTERS), filters << 2) || !holdsAt(word(MATCHERS_PACKED), bins << 3)) return false;
  const setAt = word(MATCHERS_UNFILTERED);
  if (!holdsAt(setAt, vectors << 4) || !narrow(wanted, filters, vectors << 4)) return false;
  if (!holdsAt(setAt, vectors << 4) || beyond(section + <usize>setAt, count, vectors << 4)) return false;
  const clauses = word(MATCHERS_CLAUSE_COUNT);
  const clauseBytes = (vectors << 4) + 8;
  if (clauses > <u32>MAX_CLAUSES || !holdsAt(word(MATCHERS_CLAUSES), clauses * clauseBytes)) return false;
  for (let i: u32 = 0; i < clauses; i++) {
    if (beyond(section + <usize>(word(MATCHERS_CLAUSES) + i * clauseBytes + 8), count, vectors << 4)) return false;
  }
  for (let i: u32 = 0; i < filters; i++) {
    const offset = word(<usize>(word(MATCHERS_PREFILTERS) + (i << 2)));
    if (!holdsAt(offset, 0) || !checkPrefilter(section + <usize>offset, length - offset, vectors << 4, count)) return false;
  }
  for (let i: u32 = 0; i < count; i++) if (!checkRecord(recordOf(i))) return false;
  return unpackBins(wanted, to, room) && attachBins();
}

const KEPT = memory.data(MATCHER_SET_BYTES, 16);

/**
 * Makes the bits of the prefilters, and takes the literals of regexes that are not wanted from them; should one be asked for after all, it is looked for
 * without. Phrases stay: nothing else finds them.
 */
// SAFETY: before all other checks, since in a damaged image what is written to may be anything.
function narrow(wanted: usize, filters: u32, bytes: u32): bool {
  memory.fill(KEPT, 0, MATCHER_SET_BYTES);
  for (let i: u32 = 0; i < count; i++) {
    const place = <usize>(i >> 3);
    const bit: u8 = 1 << <u8>(i & 7);
    if (wanted == 0 || (load<u8>(wanted + place) & bit) != 0 || load<u32>(recordOf(i), MATCHER_KIND) == MATCHER_PHRASES) {
      store<u8>(KEPT + place, load<u8>(KEPT + place) | bit);
    } else {
      const unfiltered = section + <usize>word(MATCHERS_UNFILTERED) + place;
      store<u8>(unfiltered, load<u8>(unfiltered) | bit);
    }
  }
  // Each stands behind the one before it, so that to check them all is linear.
  let before: u32 = 0;
  for (let i: u32 = 0; i < filters; i++) {
    const offset = word(<usize>(word(MATCHERS_PREFILTERS) + (i << 2)));
    if (offset < before) return false;
    if (!holdsAt(offset, 0) || !checkPrefilter(section + <usize>offset, length - offset, bytes, count)) return false;
    if (!narrowPrefilter(section + <usize>offset, <usize>bytes, KEPT)) return false;
    before = offset + prefilterSize(section + <usize>offset, bytes);
  }
  return true;
}

function checkRecord(record: usize): bool {
  const kind = load<u32>(record, MATCHER_KIND);
  if (load<i32>(record, MATCHER_SHORTEST) < 0) return false;
  const byteSets = load<u32>(record, MATCHER_BYTE_SET_COUNT);
  if (byteSets > 16 || !holdsAt(load<u32>(record, MATCHER_BYTE_SETS), byteSets << 5)) return false;
  if (kind == MATCHER_PHRASES) return true;
  if (kind != MATCHER_REGEX && kind != MATCHER_ALWAYS) return false;
  const offset = load<u32>(record, MATCHER_POSITIONS);
  return holdsAt(offset, 0) && checkPositions(section + <usize>offset, length - offset);
}

/** Unpacks the bins of matchers that are wanted; the directory has 0 for the others. */
function unpackBins(wanted: usize, to: usize, room: u32): bool {
  const directory = section + <usize>word(MATCHERS_BINS);
  memory.fill(directory, 0, <usize>(bins << 2));
  for (let i: u32 = 0; i < count; i++) {
    if (wanted != 0 && ((<u32>load<u8>(wanted + <usize>(i >> 3)) >> (i & 7)) & 1) == 0) continue;
    const bin = load<u32>(recordOf(i), MATCHER_BIN);
    if (bin < bins) store<u32>(directory + <usize>(bin << 2), WANTED);
  }
  const last = to + <usize>room;
  for (let bin: u32 = 0; bin < bins; bin++) {
    if (load<u32>(directory + <usize>(bin << 2)) != WANTED) continue;
    const packed = <usize>(word(MATCHERS_PACKED) + (bin << 3));
    const offset = word(packed);
    const bytes = word(packed + 4);
    if (!holdsAt(offset, 0) || bytes > room) return false;
    const at = aligned(to);
    if (at > last || bytes > <u32>(last - at)) return false;
    if (!unpackBin(section + <usize>offset, length - offset, at, bytes) || !checkBin(at, bytes, count)) return false;
    store<u32>(directory + <usize>(bin << 2), <u32>(at - section));
    to = at + <usize>bytes;
  }
  return true;
}

/** Where a bin can begin, so that its rows are aligned. */
function aligned(at: usize): usize {
  const mask: usize = BIN_ALIGNMENT - 1;
  return ((at + BIN_TABLE + mask) & ~mask) - BIN_TABLE;
}

/** Takes bins that were not unpacked from their matchers, and checks what partial automata say of positions. */
function attachBins(): bool {
  for (let i: u32 = 0; i < count; i++) {
    const record = recordOf(i);
    const bin = load<u32>(record, MATCHER_BIN);
    if (bin >= bins) continue;
    const offset = word(<usize>(word(MATCHERS_BINS) + (bin << 2)));
    if (offset == 0) {
      store<u32>(record, NO_BIN, MATCHER_BIN);
      continue;
    }
    if (load<u32>(record, MATCHER_KIND) == MATCHER_PHRASES) continue;
    const at = section + <usize>offset;
    if (load<u32>(at, BIN_ROOTS) == 0) continue;
    const states = word(<usize>load<u32>(record, MATCHER_POSITIONS));
    if (!checkMoves(at, word(<usize>(word(MATCHERS_PACKED) + (bin << 3)) + 4), states)) return false;
  }
  return true;
}

/** [offset, offset + bytes) lies in the section, behind what is written to. */
function holdsAt(offset: u32, bytes: u32): bool {
  return (offset & 3) == 0 && offset >= front && offset <= length && bytes <= length - offset;
}
