// The header of one part of a multipart body.
import { alloc } from '../../arena';
import { MAX_PART_HEADER_BYTES, MAX_PART_HEADER_LINE, MAX_PART_HEADERS, VARIABLE_MULTIPART_PART_HEADERS } from '../abi';
import { addValue } from '../collections';
import { isSpace } from './boundary';
import { boundaryOf, searchLine } from './delimiter';
import { clearDisposition, fileNameLength, partNameAt, partNameLength, readDisposition } from './disposition';
import {
  FLAG_CRLF_LINE,
  FLAG_HEADER_FOLDING,
  FLAG_INVALID_HEADER_FOLDING,
  FLAG_INVALID_PART,
  FLAG_LF_LINE,
  multipartError,
  raise,
} from './multipart-flags';

// Headers of this part: { line, its length, length of the name, value, its length }, folds joined.
const HEADER_BYTES: usize = 20;
const HEADERS = memory.data(MAX_PART_HEADERS * 20);

/** Place behind the empty line, or of the boundary that came before one, or the end. */
export let behindHeader: usize = 0;
/** False when the header has an error. */
export let plainHeader: bool = true;

let end: usize = 0;

function invalid(message: string): void {
  plainHeader = false;
  multipartError(message);
}

/** Reads the header that begins at p and adds its lines as MULTIPART_PART_HEADERS. False when a limit is reached. */
export function readPartHeader(p: usize, stop: usize): bool {
  end = stop;
  plainHeader = true;
  clearDisposition();
  const start = p;
  let count = 0;
  let closed = false;
  while (p < end) {
    if (p + 1 < end && load<u16>(p) == 0x2d2d && boundaryOf(p, end) != 0) {
      raise(FLAG_INVALID_PART);
      break;
    }
    const next = behindLine(p);
    noteLineEnd(p, next);
    searchLine(p, next);
    if (next - p <= 2 && isEmpty(p, next)) {
      p = next;
      closed = true;
      break;
    }
    if (<i32>(next - start) > MAX_PART_HEADER_BYTES || count == MAX_PART_HEADERS) {
      // The rest is data, so that it is looked at all the same.
      invalid('Multipart parsing error: part header too long');
      closed = true;
      break;
    }
    if (isSpace(load<u8>(p))) {
      raise(FLAG_HEADER_FOLDING);
      invalid('Multipart parsing error: invalid part header (folding error)');
    }
    const last = readLine(p, next, HEADERS + <usize>count * HEADER_BYTES);
    if (last == 0) return false;
    count++;
    p = last;
  }
  behindHeader = p;
  if (!closed) invalid('Multipart parsing error: the header of a part does not end');
  return judge(count) && addLines(count);
}

function behindLine(p: usize): usize {
  const feed = i8x16.splat(0x0a);
  for (; p < end; p += 16) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(p), feed));
    if (found != 0) return min(p + <usize>ctz(found) + 1, end);
  }
  return end;
}

// @ts-ignore: decorator
@inline
function isEmpty(p: usize, next: usize): bool {
  return load<u8>(p) == 0x0a || (next - p == 2 && load<u16>(p) == 0x0a0d);
}

function noteLineEnd(p: usize, next: usize): void {
  if (load<u8>(next - 1) != 0x0a) return; // cut off by the end of the body
  raise(next - p > 1 && load<u8>(next - 2) == 0x0d ? FLAG_CRLF_LINE : FLAG_LF_LINE);
  if (<i32>(next - p) >= MAX_PART_HEADER_LINE) invalid('Multipart parsing error: part header line too long');
}

/** Length of a line without the line end. */
function contentLength(p: usize, next: usize): i32 {
  if (next > p && load<u8>(next - 1) == 0x0a) next--;
  if (next > p && load<u8>(next - 1) == 0x0d) next--;
  return <i32>(next - p);
}

/** Reads the header line [p, next) with the lines folded onto it into `header`; place behind them, 0: arena. */
function readLine(p: usize, next: usize, header: usize): usize {
  const length = contentLength(p, next);
  const end0 = p + <usize>length;
  let colon = p;
  while (colon < end0 && load<u8>(colon) != 0x3a) {
    const byte = load<u8>(colon);
    if (byte < 33 || byte > 126) invalid('Multipart parsing error: invalid part header (contains invalid character)');
    colon++;
  }
  if (colon == end0) invalid('Multipart parsing error: invalid part header (colon missing)');
  else if (colon == p) invalid('Multipart parsing error: invalid part header (header name missing)');
  let value = min(colon + 1, end0);
  while (value < end0 && (load<u8>(value) == 0x20 || load<u8>(value) == 0x09)) value++;
  checkNul(value, end0);
  store<u32>(header, <u32>p);
  store<i32>(header, length, 4);
  store<i32>(header, <i32>(colon - p), 8);
  store<u32>(header, <u32>value, 12);
  store<i32>(header, <i32>(end0 - value), 16);
  return fold(next, header);
}

function checkNul(p: usize, stop: usize): void {
  for (; p < stop; p++) if (load<u8>(p) == 0) invalid('Multipart parsing error: nul byte in part headers');
}

/** Joins the lines at p that continue `header`, each by one blank. Place behind them, 0: arena. */
function fold(p: usize, header: usize): usize {
  let total = 0;
  let q = p;
  for (; q < end && isSpace(load<u8>(q)); ) {
    const next = behindLine(q);
    if (next - q <= 2 && isEmpty(q, next)) break;
    total += 1 + contentLength(q, next);
    q = next;
  }
  if (q == p) return p;
  raise(FLAG_HEADER_FOLDING);
  const nameLength = load<i32>(header, 8);
  const valueLength = load<i32>(header, 16);
  if (valueLength + total > MAX_PART_HEADER_BYTES) {
    invalid('Multipart parsing error: part header too long');
    return p;
  }
  const line = alloc(nameLength + 2 + valueLength + total);
  if (line == 0) return 0;
  memory.copy(line, load<u32>(header), nameLength);
  store<u16>(line + <usize>nameLength, 0x203a);
  const value = line + <usize>nameLength + 2;
  memory.copy(value, load<u32>(header, 12), valueLength);
  let to = value + <usize>valueLength;
  for (; p < q; ) {
    const next = behindLine(p);
    noteLineEnd(p, next);
    searchLine(p, next);
    const stop = p + <usize>contentLength(p, next);
    for (; p < stop && isSpace(load<u8>(p)); p++) {
      if (load<u8>(p) != 0x20 && load<u8>(p) != 0x09) raise(FLAG_INVALID_HEADER_FOLDING);
    }
    if (p == stop) raise(FLAG_INVALID_HEADER_FOLDING); // nothing but blanks: the line end is one of them
    checkNul(p, stop);
    store<u8>(to++, 0x20);
    memory.copy(to, p, stop - p);
    to += stop - p;
    p = next;
  }
  if (<i32>(to - value) > MAX_PART_HEADER_LINE) invalid('Multipart parsing error: part header too long');
  store<u32>(header, <u32>line);
  store<i32>(header, <i32>(to - line), 4);
  store<u32>(header, <u32>value, 12);
  store<i32>(header, <i32>(to - value), 16);
  return q;
}

/** Looks for names that come twice, and reads every Content-Disposition. False when a limit is reached. */
function judge(count: i32): bool {
  let found = false;
  for (let i = 0; i < count; i++) {
    const header = HEADERS + <usize>i * HEADER_BYTES;
    for (let j = 0; j < i; j++) {
      if (sameName(header, HEADERS + <usize>j * HEADER_BYTES)) invalid('Multipart parsing error: duplicate part header');
    }
    if (!isDisposition(header)) continue;
    found = true;
    if (!readDisposition(load<u32>(header, 12), load<i32>(header, 16))) return false;
    if (fileNameLength >= 0 && !hasFileName(header)) {
      invalid('Multipart parsing error: invalid Content-Disposition header (filename)');
    }
  }
  if (!found) invalid('Multipart parsing error: part missing Content-Disposition header');
  else if (partNameLength < 0) invalid('Multipart parsing error: Content-Disposition header missing name field');
  return true;
}

function sameName(a: usize, b: usize): bool {
  const length = load<i32>(a, 8);
  if (length != load<i32>(b, 8)) return false;
  const p = <usize>load<u32>(a);
  const q = <usize>load<u32>(b);
  for (let i: usize = 0; i < <usize>length; i++) if (lower(load<u8>(p + i)) != lower(load<u8>(q + i))) return false;
  return true;
}

function isDisposition(header: usize): bool {
  const text = 'content-disposition';
  if (load<i32>(header, 8) != text.length) return false;
  const p = <usize>load<u32>(header);
  for (let i = 0; i < text.length; i++) if (lower(load<u8>(p + <usize>i)) != <u8>text.charCodeAt(i)) return false;
  return true;
}

// @ts-ignore: decorator
@inline
function lower(byte: u8): u8 {
  return <u32>byte - 0x41 < 26 ? byte | 0x20 : byte;
}

/** True when `filename=` is in the value as it stands, where crude readers look for it. */
function hasFileName(header: usize): bool {
  const p = <usize>load<u32>(header, 12);
  for (let q = p; q + 9 <= p + <usize>load<i32>(header, 16); q++) {
    if (load<u64>(q) == 0x656d616e656c6966 && load<u8>(q, 8) == 0x3d) return true;
  }
  return false;
}

function addLines(count: i32): bool {
  for (let i = 0; i < count; i++) {
    const header = HEADERS + <usize>i * HEADER_BYTES;
    const length = max(partNameLength, 0);
    if (!addValue(VARIABLE_MULTIPART_PART_HEADERS, partNameAt, length, load<u32>(header), load<i32>(header, 4))) return false;
  }
  return true;
}
