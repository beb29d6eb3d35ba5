// Wildcard patterns and replacement texts, as the compiler encodes them: pieces { u8 kind, u16 length, bytes }.
// A pattern is its literals in order, with a star between each two; a replacement is literals (kind 255) and references to
// what a group matched. Encoded bytes come from an image, so pieces that run over the end simply end the sequence.
import { MAX_STARS } from './abi';
import { spend } from './arena';
import { room, same, search, span } from './values';

// What each star of the last match stood for: spans, index 1 is the first star.
const GROUPS = memory.data((MAX_STARS + 2) * 8);
let groupCount: i32 = 0;

export function groupAt(): usize {
  return GROUPS;
}
export function groups(): i32 {
  return groupCount;
}

// @ts-ignore: decorator
@inline
function pieceLength(piece: usize, end: usize): i32 {
  if (piece + 3 > end) return -1;
  const length = <i32>load<u16>(piece, 1);
  return piece + 3 + <usize>length > end ? -1 : length;
}

/**
 * True when the whole text matches. Each literal is looked for as far left as it can be, the last one at the end, which is
 * what lazy matching finds; no choice is ever taken back, so the cost is that of the searches.
 */
export function matchWildcard(at: usize, length: i32, pattern: usize, patternLength: i32, strict: bool): bool {
  const start = at;
  const end = at + <usize>length;
  const patternEnd = pattern + <usize>patternLength;
  groupCount = 1;
  store<u64>(GROUPS, span(start, length));
  let size = pieceLength(pattern, patternEnd);
  if (size < 0 || size > length || !spend(1 + (size >> 4))) return false;
  if (!same(at, pattern + 3, size, !strict)) return false;
  at += <usize>size;
  let piece = pattern + 3 + <usize>size;
  if (piece >= patternEnd) return at == end;
  while (true) {
    size = pieceLength(piece, patternEnd);
    if (size < 0 || groupCount > MAX_STARS) return false;
    const literal = piece + 3;
    piece = literal + <usize>size;
    let found: usize;
    if (piece >= patternEnd) {
      if (<i32>(end - at) < size || !spend(1 + (size >> 4))) return false;
      found = end - <usize>size;
      if (!same(found, literal, size, !strict)) return false;
      store<u64>(GROUPS + (<usize>(groupCount++) << 3), span(at, <i32>(found - at)));
      return true;
    }
    found = search(at, end, literal, size, !strict);
    if (found == 0) return false;
    store<u64>(GROUPS + (<usize>(groupCount++) << 3), span(at, <i32>(found - at)));
    at = found + <usize>size;
  }
}

/** Bytes that a replacement comes to; `groupsAt` holds `count` spans, one for each group. */
function templateLength(template: usize, length: i32, groupsAt: usize, count: i32): i64 {
  const end = template + <usize>length;
  let total: i64 = 0;
  for (let piece = template; piece < end; ) {
    const size = pieceLength(piece, end);
    if (size < 0) return total;
    const kind = <i32>load<u8>(piece);
    total += kind == 255 ? size : kind < count ? load<i32>(groupsAt + (<usize>kind << 3), 4) : 0;
    piece += 3 + <usize>size;
  }
  return total;
}

/** Writes the replacement to `to`; where it ends. */
function writeTemplate(to: usize, template: usize, length: i32, groupsAt: usize, count: i32): usize {
  const end = template + <usize>length;
  for (let piece = template; piece < end; ) {
    const size = pieceLength(piece, end);
    if (size < 0) return to;
    const kind = <i32>load<u8>(piece);
    let from = piece + 3;
    let bytes = size;
    if (kind != 255) {
      if (kind >= count) bytes = 0;
      else {
        from = load<u32>(groupsAt + (<usize>kind << 3));
        bytes = load<i32>(groupsAt + (<usize>kind << 3), 4);
      }
    }
    memory.copy(to, from, <usize>bytes);
    to += <usize>bytes;
    piece += 3 + <usize>size;
  }
  return to;
}

/** The text with [from, to) replaced by the expanded template, as a string; 0 when arena or steps are out. */
export function replaced(at: usize, length: i32, from: usize, to: usize, template: usize, templateBytes: i32, groupsAt: usize, count: i32): u64 {
  const middle = templateLength(template, templateBytes, groupsAt, count);
  const head = <i32>(from - at);
  const tail = <i32>(at + <usize>length - to);
  const total = <i64>head + middle + <i64>tail;
  const result = room(total);
  if (result == 0) return 0;
  memory.copy(result, at, <usize>head);
  const p = writeTemplate(result + <usize>head, template, templateBytes, groupsAt, count);
  memory.copy(p, to, <usize>tail);
  return span(result, <i32>total);
}
