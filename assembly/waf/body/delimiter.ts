// Finding the lines of a multipart body that may be boundaries, without looking at every line.
import { alloc } from '../../arena';
import { equalBytes } from '../../hash';
import { boundaryAt, boundaryLength, isSpace } from './boundary';
import { FLAG_BOUNDARY_QUOTED, FLAG_OTHER_BOUNDARY, FLAG_UNMATCHED_BOUNDARY, multipartError, raise, raised } from './multipart-flags';

// KMP's table for `--` and the boundary: u16 per byte, made when it is first needed.
let table: usize = 0;

/** Forgets the last boundary; before the first `seek` of a body. */
export function startSeek(): void {
  table = 0;
}

/**
 * Start of the first line from p on, itself the start of a line, that begins with `--`; `end` when there is none. A
 * boundary in the middle of a line is an unmatched one, and raises its flag.
 */
export function seek(p: usize, end: usize): usize {
  const dash = i8x16.splat(0x2d);
  const feed = i8x16.splat(0x0a);
  if (p + 1 < end && load<u16>(p) == 0x2d2d) return p;
  for (p++; p < end; ) {
    // SAFETY: reads up to 16 bytes behind `end`, and one before p, which is behind the start.
    const pairs = v128.and(i8x16.eq(v128.load(p), dash), i8x16.eq(v128.load(p, 1), dash));
    const first = i8x16.bitmask(v128.and(pairs, i8x16.eq(v128.load(p - 1), feed)));
    let found = i8x16.bitmask(pairs);
    if (raised(FLAG_UNMATCHED_BOUNDARY)) found = first;
    if (found == 0) {
      p += 16;
      continue;
    }
    const at = p + <usize>ctz(found);
    if (at + 1 >= end) return end;
    if (load<u8>(at - 1) == 0x0a) return at;
    // PERF: a line is searched once and the flag is raised once, so this is linear whatever the body holds.
    p = search(at, end);
    if (p == 0) return end;
  }
  return end;
}

/** Raises the flag of an unmatched boundary when the line at p, before `next`, has the boundary in its middle. */
export function searchLine(p: usize, next: usize): void {
  if (!raised(FLAG_UNMATCHED_BOUNDARY)) search(p, next);
}

/** Looks for the boundary in the rest of a line; where it stopped: behind a line end, or behind the boundary. 0: arena. */
function search(p: usize, end: usize): usize {
  const size = boundaryLength + 2;
  if (table == 0 && !makeTable(size)) return 0;
  let state = 0;
  for (; p < end; p++) {
    const byte = load<u8>(p);
    if (byte == 0x0a) break;
    while (state > 0 && byte != patternByte(state)) state = <i32>load<u16>(table + (<usize>(state - 1) << 1));
    if (byte == patternByte(state)) state++;
    if (state < size) continue;
    raise(FLAG_UNMATCHED_BOUNDARY);
    return p;
  }
  return p + 1 < end ? p : end;
}

// @ts-ignore: decorator
@inline
function patternByte(i: i32): u8 {
  return i < 2 ? 0x2d : load<u8>(boundaryAt + <usize>(i - 2));
}

/** For each prefix of the pattern, the length of its longest proper prefix that is also its end. */
function makeTable(size: i32): bool {
  table = alloc(size << 1);
  if (table == 0) return false;
  store<u16>(table, 0);
  let length = 0;
  for (let i = 1; i < size; i++) {
    while (length > 0 && patternByte(i) != patternByte(length)) length = <i32>load<u16>(table + (<usize>(length - 1) << 1));
    if (patternByte(i) == patternByte(length)) length++;
    store<u16>(table + (<usize>i << 1), <u16>length);
  }
  return true;
}

/** Place of the boundary's own text in a line that begins with `--`, 0 when it has none. Forms in doubt raise an error. */
export function boundaryOf(line: usize, end: usize): usize {
  const first = line + 2;
  if (boundaryIsAt(first, end)) return first;
  if (raised(FLAG_BOUNDARY_QUOTED) && first < end && load<u8>(first) == 0x22 && boundaryIsAt(first + 1, end)) {
    multipartError('Multipart parsing error: invalid boundary (quotes)');
    return first + 1;
  }
  let p = first;
  while (p < end && load<u8>(p) != 0x0a && isSpace(load<u8>(p))) p++;
  if (p != first && boundaryIsAt(p, end)) {
    multipartError('Multipart parsing error: invalid boundary (whitespace)');
    return p;
  }
  // `--` alone on a line ended by LF is not looked at.
  if (!(p == first && first < end && load<u8>(first) == 0x0a)) raise(FLAG_OTHER_BOUNDARY);
  searchLine(line, end);
  return 0;
}

// @ts-ignore: decorator
@inline
function boundaryIsAt(p: usize, end: usize): bool {
  return p + <usize>boundaryLength <= end && equalBytes(p, boundaryAt, boundaryLength);
}
