// The boundary of a multipart body, out of its Content-Type. As strict as ModSecurity: every way of writing it that some
// reader might take differently is an error. After an error the boundary is guessed as a lenient reader would, so that
// what the body holds is still seen.
import { MAX_MULTIPART_TYPE_BYTES } from '../abi';
import { begins } from '../name';
import {
  FLAG_BOUNDARY_QUOTED,
  FLAG_BOUNDARY_WHITESPACE,
  FLAG_MISSING_SEMICOLON,
  multipartError,
  raise,
} from './multipart-flags';

export let boundaryAt: usize = 0;
/** 0 when there is none. */
export let boundaryLength: i32 = 0;

const TYPE = 'multipart/form-data';

/** Reads the boundary; what is wrong with it is raised as flags. */
export function readBoundary(at: usize, length: i32): void {
  boundaryLength = 0;
  if (!strict(at, length)) guess(at, at + <usize>min(length, MAX_MULTIPART_TYPE_BYTES));
}

/** Takes the boundary from the first line of the body, where the Content-Type has none at all. */
export function boundaryOfBody(at: usize, length: i32): void {
  const end = at + <usize>length;
  if (length < 3 || load<u16>(at) != 0x2d2d) return;
  let p = at + 2;
  while (p < end && load<u8>(p) > 0x20 && <i32>(p - at) <= MAX_MULTIPART_TYPE_BYTES) p++;
  boundaryAt = at + 2;
  boundaryLength = <i32>(p - boundaryAt);
}

function invalid(message: string): bool {
  multipartError(message);
  return false;
}

function strict(at: usize, length: i32): bool {
  if (length == 0) return invalid('Multipart parsing error: Content-Type header not available');
  if (length > MAX_MULTIPART_TYPE_BYTES) return invalid('Multipart parsing error: invalid boundary in C-T (length)');
  if (!begins(at, length, TYPE)) return invalid('Multipart parsing error: invalid MIME type');
  const end = at + <usize>length;
  if (parameters(at, end) > 1) return invalid('Multipart parsing error: multiple boundary parameters in C-T');
  const found = find(at, end, true);
  if (found == 0) return invalid('Multipart parsing error: boundary not found in C-T');
  let semicolon = false;
  let p = at + <usize>TYPE.length;
  // ModSecurity takes no other parameter. Java's clients send this one, and no reader takes it for anything else.
  if (load<u8>(p) == 0x3b) {
    const next = behind(p + 1, found);
    if (next < found && isCharset(p + 1, next)) p = next;
  }
  for (; p < found; p++) {
    if (isSpace(load<u8>(p))) continue;
    if (semicolon || load<u8>(p) != 0x3b) return invalid('Multipart parsing error: invalid boundary in C-T (malformed)');
    semicolon = true;
  }
  if (!semicolon) raise(FLAG_MISSING_SEMICOLON);
  p = found + 8;
  for (; p < end && load<u8>(p) != 0x3d; p++) {
    if (!isSpace(load<u8>(p))) return invalid('Multipart parsing error: invalid boundary in C-T (parameter name)');
    raise(FLAG_BOUNDARY_WHITESPACE);
  }
  if (p == end) return invalid('Multipart parsing error: invalid boundary in C-T (malformed)');
  p++;
  // ModSecurity makes the blank a part of the boundary, which then matches nothing.
  for (; p < end && isSpace(load<u8>(p)); p++) raise(FLAG_BOUNDARY_WHITESPACE);
  let stop = behind(p, end);
  if (stop < end && !isCharset(stop + 1, end)) stop = end;
  if (stop - p >= 2 && load<u8>(p) == 0x22 && load<u8>(stop - 1) == 0x22) {
    raise(FLAG_BOUNDARY_QUOTED);
    p++;
    stop--;
  } else if (stop > p && (load<u8>(p) == 0x22 || load<u8>(stop - 1) == 0x22)) {
    return invalid('Multipart parsing error: invalid boundary in C-T (quote)');
  }
  if (parameters(p, stop) != 0) return invalid('Multipart parsing error: invalid boundary in C-T (content)');
  if (p == stop) return invalid('Multipart parsing error: invalid boundary in C-T (empty)');
  for (let q = p; q < stop; q++) {
    if (!boundaryByte(load<u8>(q), q + 1 == stop)) return invalid('Multipart parsing error: invalid boundary in C-T (characters)');
  }
  boundaryAt = p;
  boundaryLength = <i32>(stop - p);
  return true;
}

/** Place of the first semicolon in [p, end), or `end`. */
function behind(p: usize, end: usize): usize {
  while (p < end && load<u8>(p) != 0x3b) p++;
  return p;
}

/** True when [p, end) is a parameter `charset=token`. */
function isCharset(p: usize, end: usize): bool {
  while (p < end && isSpace(load<u8>(p))) p++;
  if (!begins(p, <i32>(end - p), 'charset=') || end - p < 9) return false;
  for (p += 8; p < end; p++) {
    const byte = load<u8>(p);
    if (<u32>byte - 0x30 >= 10 && <u32>(byte | 0x20) - 0x61 >= 26 && byte != 0x2d && byte != 0x5f) return false;
  }
  return true;
}

/** SPEC: RFC 2046 section 5.1.1: bchars; a blank is none at the end. */
function boundaryByte(byte: u8, last: bool): bool {
  if (<u32>byte - 0x30 < 10 || <u32>(byte | 0x20) - 0x61 < 26) return true;
  // '()+,-./ and :
  if (byte >= 0x27 && byte <= 0x2f) return byte != 0x2a;
  return byte == 0x3a || byte == 0x3d || byte == 0x3f || byte == 0x5f || (byte == 0x20 && !last);
}

/** How often `boundary`, in any case, has a `=` somewhere behind it. */
function parameters(at: usize, end: usize): i32 {
  let equals = end;
  while (equals > at && load<u8>(equals - 1) != 0x3d) equals--;
  let count = 0;
  for (let p = find(at, end, false); p != 0 && p + 8 < equals; p = find(p + 8, end, false)) count++;
  return count;
}

/** First `boundary` in [p, end), or 0. */
function find(p: usize, end: usize, exact: bool): usize {
  for (; p + 8 <= end; p++) {
    let word = load<u64>(p);
    if (!exact) word |= 0x2020202020202020;
    if (word == 0x7972_6164_6e75_6f62) return p;
  }
  return 0;
}

function guess(at: usize, end: usize): void {
  for (let p = find(at, end, false); p != 0; p = find(p + 8, end, false)) {
    let q = p + 8;
    while (q < end && isSpace(load<u8>(q))) q++;
    if (q == end || load<u8>(q) != 0x3d) continue;
    q++;
    while (q < end && isSpace(load<u8>(q))) q++;
    const quote: u8 = q < end && load<u8>(q) == 0x22 ? 0x22 : 0;
    if (quote != 0) q++;
    const start = q;
    for (; q < end; q++) {
      const byte = load<u8>(q);
      if (quote != 0 ? byte == quote : byte == 0x3b || byte == 0x2c || byte == 0x22 || isSpace(byte)) break;
    }
    if (q == start) continue;
    boundaryAt = start;
    boundaryLength = <i32>(q - start);
    return;
  }
}

/** White space of C's isspace. */
// @ts-ignore: decorator
@inline
export function isSpace(byte: u8): bool {
  return byte == 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
