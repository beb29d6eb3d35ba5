// The Content-Disposition of a part: its name and its file name. As strict as ModSecurity: an unknown parameter, one that
// comes twice, or quoting that readers take differently is an error. All values that a lenient reader could take for the
// name or the file name are added nevertheless.
import { alloc, release } from '../../arena';
import { VARIABLE_ARGS_POST, VARIABLE_FILES } from '../abi';
import { addValue } from '../collections';
import { addArgument } from './argument';
import { hexDigit } from '../../pairs';
import { FLAG_INVALID_QUOTING, multipartError, raise } from './multipart-flags';

export let partNameAt: usize = 0;
export let partNameLength: i32 = -1; // -1: none
export let fileNameAt: usize = 0;
export let fileNameLength: i32 = -1;
/** False when the header is one that readers take differently. */
export let plainDisposition: bool = true;

let p: usize = 0;
let end: usize = 0;
let valueAt: usize = 0;
let valueLength: i32 = 0;
let quoteInside: bool = false; // it is a token with a single quote in it
let extended: bool = false; // `filename*` was read

function invalid(): void {
  plainDisposition = false;
  multipartError('Multipart parsing error: invalid Content-Disposition header');
}

/** Forgets the last part's. */
export function clearDisposition(): void {
  partNameAt = 0;
  partNameLength = -1;
  fileNameAt = 0;
  fileNameLength = -1;
  extended = false;
  plainDisposition = true;
}

/** Reads the value of a Content-Disposition header, line end and leading blanks cut off. False when a limit is reached. */
export function readDisposition(at: usize, length: i32): bool {
  p = at;
  end = at + <usize>length;
  if (length < 9 || load<u64>(p) != 0x7461_642d_6d72_6f66 || load<u8>(p, 8) != 0x61) {
    invalid(); // not `form-data`
    while (p < end && load<u8>(p) != 0x3b) p++;
  } else p += 9;
  skipBlanks();
  if (p < end && load<u8>(p) != 0x3b) {
    invalid();
    while (p < end && load<u8>(p) != 0x3b) p++;
  }
  while (p < end) {
    p++; // the semicolon
    if (p == end) break;
    skipBlanks();
    const name = p;
    while (p < end && load<u8>(p) != 0x3d && load<u8>(p) != 0x3b && !isBlank(load<u8>(p))) p++;
    const size = <i32>(p - name);
    skipBlanks();
    if (p >= end || load<u8>(p) != 0x3d) {
      invalid();
      while (p < end && load<u8>(p) != 0x3b) p++;
      continue;
    }
    p++;
    skipBlanks();
    if (p >= end) {
      invalid();
      return true;
    }
    if (!readValue()) return false;
    if (!take(name, size)) return false;
    skipBlanks();
    if (p >= end || load<u8>(p) == 0x3b) continue;
    if (load<u8>(p - 1) == 0x22 || load<u8>(p - 1) == 0x27) raise(FLAG_INVALID_QUOTING);
    invalid();
    while (p < end && load<u8>(p) != 0x3b) p++;
  }
  return true;
}

/** Gives the value that was read its meaning. False when a limit is reached. */
function take(name: usize, size: i32): bool {
  const isName = size == 4 && load<u32>(name) == 0x656d616e;
  const isFileName = size == 8 && load<u64>(name) == 0x656d616e656c6966;
  if (quoteInside && (isName || isFileName)) raise(FLAG_INVALID_QUOTING);
  if (isName) {
    if (partNameLength < 0) {
      partNameAt = valueAt;
      partNameLength = valueLength;
      return true;
    }
    invalid();
    return addArgument(VARIABLE_ARGS_POST, valueAt, valueLength, valueAt, 0);
  }
  if (isFileName && fileNameLength < 0) {
    fileNameAt = valueAt;
    fileNameLength = valueLength;
    return true;
  }
  // Behind the plain name, as .NET and aiohttp write it. Readers choose differently, but both are the name of a file.
  const isExtended = size == 9 && load<u64>(name) == 0x656d616e656c6966 && load<u8>(name, 8) == 0x2a;
  if (isExtended && fileNameLength >= 0 && !extended && quoteInside) {
    extended = true;
    const start = alloc(valueLength);
    if (start == 0) return false;
    const length = decodeExtended(start);
    if (length >= 0) {
      release((start + <usize>length + 7) & ~7);
      return addValue(VARIABLE_FILES, partNameAt, max(partNameLength, 0), start, length);
    }
  }
  // Twice, `filename*` alone, `FileName`, `foo`: whatever it is meant to be, rules see it as a file name.
  invalid();
  return addValue(VARIABLE_FILES, partNameAt, max(partNameLength, 0), valueAt, valueLength);
}

/** SPEC: RFC 8187 section 3.2: `UTF-8'en'a%20b`. Bytes written to `to`, -1 when the value is not of that form. */
function decodeExtended(to: usize): i32 {
  const start = to;
  const stop = valueAt + <usize>valueLength;
  let q = valueAt;
  // utf-8'
  if (valueLength < 7 || (load<u32>(q) | 0x00202020) != 0x2d66_7475 || load<u16>(q, 4) != 0x2738) return -1;
  for (q += 6; q < stop && load<u8>(q) != 0x27; ) q++;
  if (q == stop) return -1;
  for (q++; q < stop; q++) {
    let byte = <i32>load<u8>(q);
    if (byte == 0x27) return -1;
    if (byte == 0x25) {
      if (q + 2 >= stop) return -1;
      const high = hexDigit(load<u8>(q, 1));
      const low = hexDigit(load<u8>(q, 2));
      if (high < 0 || low < 0) return -1;
      byte = (high << 4) | low;
      q += 2;
    }
    store<u8>(to++, <u8>byte);
  }
  return <i32>(to - start);
}

/** Reads a token or a quoted string at p; false when a limit is reached. */
function readValue(): bool {
  const quote = load<u8>(p);
  quoteInside = false;
  if (quote != 0x22 && quote != 0x27) {
    valueAt = p;
    while (p < end && tokenByte(load<u8>(p))) {
      quoteInside = quoteInside || load<u8>(p) == 0x27;
      p++;
    }
    valueLength = <i32>(p - valueAt);
    return true;
  }
  if (quote == 0x27) raise(FLAG_INVALID_QUOTING);
  p++;
  const start = p;
  let escaped = false;
  while (p < end && load<u8>(p) != quote) {
    if (load<u8>(p) == 0x5c && p + 1 < end && (load<u8>(p, 1) == quote || load<u8>(p, 1) == 0x5c)) {
      escaped = true;
      p++;
    }
    p++;
  }
  if (p >= end) {
    p = end;
    invalid();
  }
  valueAt = start;
  valueLength = <i32>(p - start);
  const stop = p;
  p++;
  return !escaped || unescape(start, stop, quote);
}

/** Only the quote and the backslash are escaped: paths of old browsers keep theirs. */
function unescape(q: usize, stop: usize, quote: u8): bool {
  const start = alloc(<i32>(stop - q));
  if (start == 0) return false;
  let to = start;
  for (; q < stop; q++) {
    if (load<u8>(q) == 0x5c && q + 1 < stop && (load<u8>(q, 1) == quote || load<u8>(q, 1) == 0x5c)) q++;
    store<u8>(to++, load<u8>(q));
  }
  valueAt = start;
  valueLength = <i32>(to - start);
  release((to + 7) & ~7);
  return true;
}

function skipBlanks(): void {
  while (p < end && isBlank(load<u8>(p))) p++;
}

// @ts-ignore: decorator
@inline
function isBlank(byte: u8): bool {
  return byte == 0x20 || byte == 0x09;
}

/** SPEC: RFC 2045 section 5.1: token. */
function tokenByte(byte: u8): bool {
  if (byte <= 0x20 || byte >= 0x7f) return false;
  if (byte == 0x28 || byte == 0x29 || byte == 0x2c || byte == 0x2f || byte == 0x22) return false;
  if (byte >= 0x3a && byte <= 0x40) return false; // :;<=>?@
  return byte < 0x5b || byte > 0x5d; // [\]
}
