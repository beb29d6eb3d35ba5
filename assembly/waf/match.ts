// Which matchers of a rule set match a text: literals say which may, byte sets which of these still may, bins which do, and
// positions decide what a partial automaton leaves open. See SECTION_MATCHERS in abi.ts.
import { alloc, failure, mark, release, spend } from '../arena';
import { REASON_NONE } from '../abi';
import {
  BIN_DEAD,
  BIN_ROOTS,
  CAPTURE_WINDOW_BYTES,
  MATCHERS_BINS,
  MATCHERS_BIN_COUNT,
  MATCHERS_CLAUSES,
  MATCHERS_CLAUSE_COUNT,
  MATCHERS_COUNT,
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
  MATCHER_WHOLE,
  MAX_CAPTURES,
} from './abi';
import { endOfMatch, isNarrow, reportTo, runBins, runOne } from './bins';
import { runPositions, runWithin, verifiedAt, verify } from './positions';
import { phraseAt, phraseLength, phraseOf, prefilter, prefilterScratch, prefilterSet } from './prefilter';
import { presence } from './presence';

/** Number of matchers of the section. */
export function matcherCount(section: usize): i32 {
  return load<i32>(section, MATCHERS_COUNT);
}

/** Bytes of a set of them: enough vectors of 16. */
export function bytesOfSet(section: usize): i32 {
  return load<i32>(section, MATCHERS_VECTORS) << 4;
}

// @ts-ignore: decorator
@inline
function recordOf(section: usize, matcher: u32): usize {
  return section + <usize>load<u32>(section, MATCHERS_RECORDS) + <usize>matcher * MATCHER_BYTES;
}

// @ts-ignore: decorator
@inline
function entryOf(section: usize, directory: usize, index: u32): usize {
  return section + <usize>load<u32>(section + <usize>load<u32>(section + directory) + (<usize>index << 2));
}

function meets(a: usize, b: usize, bytes: usize): bool {
  for (let i: usize = 0; i < bytes; i += 16) {
    if (v128.any_true(v128.and(v128.load(a + i), v128.load(b + i)))) return true;
  }
  return false;
}

/**
 * Sets in `out`, MATCHER_SET_BYTES, the bits of the matchers that a text whose bytes are of these classes may match, and
 * bits of no matcher. See screen.ts.
 */
export function screen(section: usize, classes: u64, out: usize): void {
  const bytes = <usize>load<u32>(section, MATCHERS_VECTORS) << 4;
  memory.fill(out, 0xff, MATCHER_SET_BYTES);
  let row = section + <usize>load<u32>(section, MATCHERS_CLAUSES);
  const end = row + <usize>load<u32>(section, MATCHERS_CLAUSE_COUNT) * (bytes + 8);
  for (; row < end; row += bytes + 8) {
    if ((load<u64>(row) & classes) != 0) continue;
    for (let i: usize = 0; i < bytes; i += 16) v128.store(out + i, v128.andnot(v128.load(out + i), v128.load(row + i, 8)));
  }
}

const BITMAP = memory.data(32, 16);
const LONG: i32 = 64;
const FEW: i32 = 3;

/** All matchers of the set have a complete narrow bin, or match always. */
function haveBins(section: usize, set: usize, bytes: usize, binCount: u32): bool {
  for (let i: usize = 0; i < bytes; i += 8) {
    for (let rest = load<u64>(set + i); rest != 0; rest &= rest - 1) {
      const record = recordOf(section, <u32>(i << 3) + <u32>ctz(rest));
      const kind = load<u32>(record, MATCHER_KIND);
      if (kind == MATCHER_ALWAYS) continue;
      const bin = load<u32>(record, MATCHER_BIN);
      if (kind != MATCHER_REGEX || bin >= binCount) return false;
      const address = entryOf(section, MATCHERS_BINS, bin);
      if (!isNarrow(address) || load<u32>(address, BIN_ROOTS) != 0) return false;
    }
  }
  return true;
}

/** As `matchKnown`, of a text whose presence bitmap is not known. */
export function match(section: usize, at: usize, length: i32, applicable: usize, hits: usize): bool {
  presence(at, length, BITMAP);
  return matchKnown(section, at, length, BITMAP, applicable, hits);
}

/**
 * Sets in `hits` the bits of those `applicable` matchers that match the text; both are MATCHER_SET_BYTES. False when steps
 * or arena are spent (arena.failure() says which), and `hits` may then be incomplete. `bitmap`: presence of the text.
 */
export function matchKnown(section: usize, at: usize, length: i32, bitmap: usize, applicable: usize, hits: usize): bool {
  const bytes = <usize>load<u32>(section, MATCHERS_VECTORS) << 4;
  const before = mark();
  const binCount = load<u32>(section, MATCHERS_BIN_COUNT);
  // Sets: what is left to find, what may match, what matches, what the positions decide; bins that run, those
  // that may die from the front and the others from the back, and whether one is listed already; scratch.
  const sets = alloc(<i32>((bytes << 2) + (<usize>binCount << 3)) + prefilterScratch(length));
  const ok = sets != 0 && scan(section, at, length, bitmap, applicable, hits, bytes, sets, binCount);
  release(before);
  return ok;
}

function scan(
  section: usize,
  at: usize,
  length: i32,
  bitmap: usize,
  applicable: usize,
  hits: usize,
  bytes: usize,
  todo: usize,
  binCount: u32,
): bool {
  const maybe = todo + bytes;
  const found = maybe + bytes;
  const unsure = found + bytes;
  const list = unsure + bytes;
  const listed = list + (<usize>binCount << 2);
  const unfiltered = section + <usize>load<u32>(section, MATCHERS_UNFILTERED);
  let any = false;
  let some = 0;
  for (let i: usize = 0; i < bytes; i += 8) {
    let left = load<u64>(applicable + i) & ~load<u64>(hits + i);
    // PERF: in a long text the bytes that have to occur are looked up first: that costs a matcher, and all else a byte.
    if (length >= LONG) {
      for (let rest = left; rest != 0; rest &= rest - 1) {
        if (!mayMatch(section, recordOf(section, <u32>(i << 3) + <u32>ctz(rest)), length, bitmap)) left ^= rest & -rest;
      }
    }
    any = any || left != 0;
    some += <i32>popcnt(left);
    store<u64>(todo + i, left);
    store<u64>(maybe + i, left & load<u64>(unfiltered + i));
    store<u64>(found + i, 0);
    store<u64>(unsure + i, 0);
  }
  if (!any) return true;
  any = false; // from here: a bin has been listed
  // PERF: most of what transformations make is looked at by one or two rules, whose bins cost less than the literals of all.
  const direct = some <= FEW && haveBins(section, todo, bytes, binCount);
  if (direct) for (let i: usize = 0; i < bytes; i += 8) store<u64>(maybe + i, load<u64>(todo + i));
  const filters: u32 = direct ? 0 : load<u32>(section, MATCHERS_PREFILTER_COUNT);
  for (let i: u32 = 0; i < filters; i++) {
    const filter = entryOf(section, MATCHERS_PREFILTERS, i);
    if (!meets(prefilterSet(filter), todo, bytes)) continue;
    if (!prefilter(filter, bytes, at, length, todo, maybe, bitmap, list + (<usize>binCount << 3))) return false;
  }

  let front: u32 = 0;
  let back = binCount;
  for (let place: usize = 0; place < bytes; place += 8) {
    let word = load<u64>(maybe + place) & load<u64>(todo + place);
    while (word != 0) {
      const matcher = <u32>(place << 3) + <u32>ctz(word);
      word &= word - 1;
      const record = recordOf(section, matcher);
      if (length < LONG && !mayMatch(section, record, length, bitmap)) continue;
      const kind = load<u32>(record, MATCHER_KIND);
      if (kind != MATCHER_REGEX) {
        set(found, matcher); // a phrase was compared in full
        continue;
      }
      const bin = load<u32>(record, MATCHER_BIN);
      if (bin >= binCount) {
        set(unsure, matcher);
        continue;
      }
      if (!any) {
        // SAFETY: behind `listed` lies the prefilter's scratch, at least 36 bytes, and the prefilter has run.
        for (let i: usize = 0; i < <usize>binCount; i += 16) v128.store(listed + i, i64x2.splat(0));
        any = true;
      }
      if (load<u8>(listed + <usize>bin)) continue;
      store<u8>(listed + <usize>bin, 1);
      const address = entryOf(section, MATCHERS_BINS, bin);
      if (!isNarrow(address)) {
        reportTo(found, unsure);
        if (!runOne(address, at, length)) return false;
      } else if (load<u32>(address, BIN_DEAD) != 0) {
        store<u32>(list + (<usize>front << 2), <u32>address);
        front++;
      } else {
        back--;
        store<u32>(list + (<usize>back << 2), <u32>address);
      }
    }
  }
  reportTo(found, unsure);
  if (!runBins(list, <i32>front, at, length)) return false;
  if (!runBins(list + (<usize>back << 2), <i32>(binCount - back), at, length)) return false;

  for (let place: usize = 0; place < bytes; place += 8) {
    let word = load<u64>(unsure + place) & load<u64>(todo + place) & ~load<u64>(found + place);
    while (word != 0) {
      const matcher = <u32>(place << 3) + <u32>ctz(word);
      word &= word - 1;
      if (decide(section, matcher, at, length)) set(found, matcher);
      else if (failure() != REASON_NONE) return false;
    }
    store<u64>(hits + place, load<u64>(hits + place) | (load<u64>(found + place) & load<u64>(todo + place)));
  }
  return true;
}

// @ts-ignore: decorator
@inline
function set(bits: usize, index: u32): void {
  const byte = bits + <usize>(index >> 3);
  store<u8>(byte, <u32>load<u8>(byte) | (1 << (index & 7)));
}

// @ts-ignore: decorator
@inline
function mayMatch(section: usize, record: usize, length: i32, bitmap: usize): bool {
  if (length < load<i32>(record, MATCHER_SHORTEST)) return false;
  const byteSets = load<u32>(record, MATCHER_BYTE_SET_COUNT);
  return byteSets == 0 || occurs(section + <usize>load<u32>(record, MATCHER_BYTE_SETS), byteSets, bitmap);
}

/** Of each set, one byte is among those that occur. */
function occurs(byteSets: usize, count: u32, bitmap: usize): bool {
  const low = v128.load(bitmap);
  const high = v128.load(bitmap, 16);
  for (let i: u32 = 0; i < count; i++, byteSets += 32) {
    if (!v128.any_true(v128.or(v128.and(low, v128.load(byteSets)), v128.and(high, v128.load(byteSets, 16))))) return false;
  }
  return true;
}

function decide(section: usize, matcher: u32, at: usize, length: i32): bool {
  const record = recordOf(section, matcher);
  const positions = section + <usize>load<u32>(record, MATCHER_POSITIONS);
  if (load<u32>(record, MATCHER_KIND) == MATCHER_PHRASES) return false;
  const bin = load<u32>(record, MATCHER_BIN);
  if (bin < load<u32>(section, MATCHERS_BIN_COUNT)) {
    const address = entryOf(section, MATCHERS_BINS, bin);
    if (load<u32>(address, BIN_ROOTS) != 0) return verify(address, positions, at, length);
  }
  return runPositions(positions, at, length, 0);
}

/**
 * Where `matcher` matches the text: MAX_CAPTURES pairs of u32 offsets (start, end) to `out`, REGEX_UNSET for what took no
 * part. The first is the whole match: leftmost for a regex, the phrase that ends first for phrases. False when it does not
 * match, or steps or arena are spent.
 */
export function captures(section: usize, matcher: i32, at: usize, length: i32, out: usize): bool {
  memory.fill(out, 0xff, MAX_CAPTURES << 3); // REGEX_UNSET
  const record = recordOf(section, <u32>matcher);
  if (load<u32>(record, MATCHER_KIND) != MATCHER_PHRASES) {
    return regexCaptures(section, <u32>matcher, at, length, out);
  }
  const bytes = <usize>load<u32>(section, MATCHERS_VECTORS) << 4;
  const filters = load<u32>(section, MATCHERS_PREFILTER_COUNT);
  for (let i: u32 = 0; i < filters; i++) {
    const filter = entryOf(section, MATCHERS_PREFILTERS, i);
    if (((<u32>load<u8>(prefilterSet(filter) + <usize>(matcher >> 3)) >> (matcher & 7)) & 1) == 0) continue;
    if (!phraseOf(filter, bytes, <u32>matcher, at, length)) return false;
    store<u32>(out, <u32>(phraseAt - at));
    store<u32>(out, <u32>(phraseAt - at) + <u32>phraseLength, 4);
    return true;
  }
  return false;
}

// PERF: positions take hundreds of steps a byte where many attempts begin, and a long text would not be done within the budget
// of a call: an automaton finds the place first. Of matches longer than the window the leftmost may be missed, not the match.
function regexCaptures(section: usize, matcher: u32, at: usize, length: i32, out: usize): bool {
  const record = recordOf(section, matcher);
  const positions = section + <usize>load<u32>(record, MATCHER_POSITIONS);
  const bin = load<u32>(record, MATCHER_BIN);
  if (load<u32>(record, MATCHER_KIND) == MATCHER_ALWAYS && load<u32>(record, MATCHER_WHOLE) != 0) {
    store<u32>(out, 0);
    store<i32>(out, length, 4);
    return true;
  }
  const complete = bin < load<u32>(section, MATCHERS_BIN_COUNT) && load<u32>(entryOf(section, MATCHERS_BINS, bin), BIN_ROOTS) == 0;
  if (complete && load<u32>(record, MATCHER_WHOLE) != 0) {
    if (endOfMatch(entryOf(section, MATCHERS_BINS, bin), matcher, at, length) == 0) return false;
    store<u32>(out, 0);
    store<i32>(out, length, 4);
    return true;
  }
  if (length > 2 * CAPTURE_WINDOW_BYTES && bin < load<u32>(section, MATCHERS_BIN_COUNT)) {
    const address = entryOf(section, MATCHERS_BINS, bin);
    let end: usize = 0;
    if (complete) end = endOfMatch(address, matcher, at, length);
    else if (verify(address, positions, at, length)) end = verifiedAt;
    if (end == 0) return false;
    const last = at + <usize>length;
    const from = end - at > <usize>CAPTURE_WINDOW_BYTES ? end - CAPTURE_WINDOW_BYTES : at;
    const until = last - end > <usize>CAPTURE_WINDOW_BYTES ? end + CAPTURE_WINDOW_BYTES : last;
    if (runWithin(positions, at, length, from, until, out)) return true;
  }
  return runPositions(positions, at, length, out);
}
