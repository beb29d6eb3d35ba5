// JSON bodies (RFC 8259) to arguments, in one pass over the bytes, with a stack of its own.
//
// Names are those of ModSecurity 2: `a.b` for {"a":{"b":1}}. An element of an array repeats the name of the array, so that
// {"a":[1]} is `a.a`; an array at the top is called `array`. (Version 3 and Coraza write `json.a.b` and `json.a.0`.) Names
// of elements and of the members of equal objects are shared, so a table costs one name a column.
//
// What ModSecurity's reader refuses makes the body malformed here too, and so does what RFC 8259 forbids and some readers
// take: units of 16 or 32 bits, VT and FF as blanks. Inside of a string, of a word that is no value, and behind such blanks
// reading goes on; where the structure is broken, it ends.
import { REASON_BODY_DEPTH } from '../../abi';
import { alloc, fail, release, spend } from '../../arena';
import { equalBytes, hashBytes } from '../../hash';
import { putCodePoint } from '../../json';
import { hexDigit } from '../../pairs';
import { MAX_JSON_DEPTH, VARIABLE_ARGS_POST } from '../abi';
import { addArgument } from './argument';
import { malformed, setMalformed } from './malformed';
import { isUtf8 } from './utf8';
import { narrow, narrowedLength } from './wide';

// One open object or array: { kind, its name, length of that or -1 for none, length of the last key in it, name of its
// elements or 0, length of that, the name that the two were made for }.
const FRAME_BYTES: usize = 28;
const FRAMES = memory.data(MAX_JSON_DEPTH * 28);
const OBJECT: u32 = 0x7b;

// Names that were put together: { container's name, place, length }, by a hash of the key. A collision makes a second copy.
const NAME_SLOTS: u32 = 256;
const NAME_ENTRY_BYTES: usize = 12;
const NAMES = memory.data(256 * 12);

const ARRAY_NAME = memory.data<u8>([0x61, 0x72, 0x72, 0x61, 0x79]);

let p: usize = 0;
let end: usize = 0;
let complete: bool = true; // the window holds the whole body
let several: bool = false; // another document may follow
let depth: i32 = 0;
// Name of the value to come, -1 for none (the top), and the length of its last key.
let nameAt: usize = 0;
let nameLength: i32 = 0;
let keyLength: i32 = 0;
// What `readString` read.
let textAt: usize = 0;
let textLength: i32 = 0;
let closed: bool = false;

/**
 * Adds the values of a JSON document as arguments; `whole` as of processBody, `lines`: of several documents, one behind
 * the other. False when a limit is reached.
 */
export function parseJson(at: usize, length: i32, whole: bool, lines: bool = false): bool {
  if (!spend(length)) return false;
  p = at;
  end = at + <usize>length;
  complete = whole;
  several = lines;
  memory.fill(NAMES, 0, NAME_SLOTS * <u32>NAME_ENTRY_BYTES);
  memory.fill(FRAMES, 0, MAX_JSON_DEPTH * <u32>FRAME_BYTES);
  // SPEC: RFC 8259 section 8.1 lets a reader ignore a byte order mark.
  if (length >= 3 && load<u16>(p) == 0xbbef && load<u8>(p, 2) == 0xbf) p += 3;
  else if (!toUtf8(at, length)) return false;
  skipBlanks();
  if (p >= end) {
    if (length > 0) premature();
    return true;
  }
  do {
    depth = 0;
    nameLength = -1;
    if (!document()) return false;
  } while (several && p < end && !malformed);
  return true;
}

/**
 * SPEC: RFC 8259 section 8.1 wants UTF-8 of everybody. RFC 4627 section 3 did not, and the readers of Java and Python still
 * find the units by the NUL bytes among the first four: such a body is malformed, and its values are seen all the same.
 */
function toUtf8(at: usize, length: i32): bool {
  if (length < 2) return true;
  const first = load<u16>(at);
  const second: u16 = length >= 4 ? load<u16>(at, 2) : 1;
  let size: usize = 2;
  let skip = 0;
  let big = false;
  if (first == 0xfeff || first == 0xfffe) {
    skip = 2;
    big = first == 0xfffe;
    if (!big && second == 0) {
      size = 4;
      skip = 4;
    }
  } else if (first == 0 && length >= 4 && second != 0) {
    size = 4;
    big = true;
    if (second == 0xfffe) skip = 4;
  } else if (first != 0 && (first & 0xff) == 0) big = true;
  else if (first == 0 || first > 0xff) return true;
  else if (second == 0) size = 4;
  const text = narrow(at + <usize>skip, length - skip, size, big);
  if (text == 0) return false;
  setMalformed('JSON parsing error: the encoding is not UTF-8');
  p = text;
  end = text + <usize>narrowedLength;
  return true;
}

function document(): bool {
  while (true) {
    if (!value()) return false;
    if (p > end) return true; // broken: `broken` put p there
    // Behind a value: close what ends here, up to the next value or the end.
    while (true) {
      skipBlanks();
      if (depth == 0) {
        if (p < end && !several) setMalformed('JSON parsing error: something follows the document');
        return true;
      }
      if (p >= end) {
        premature();
        return true;
      }
      const frame = top();
      const byte = <u32>load<u8>(p++);
      const kind = load<u32>(frame);
      if (byte == kind + 2) {
        depth--;
        continue;
      }
      if (byte != 0x2c) {
        setMalformed('JSON parsing error: no comma or closing bracket after a value');
        return true;
      }
      if (kind != OBJECT) {
        nameAt = load<u32>(frame, 16);
        nameLength = load<i32>(frame, 20);
        keyLength = load<i32>(frame, 12);
      } else {
        if (!key(frame)) return false;
        if (p > end) return true;
      }
      break;
    }
  }
}

// @ts-ignore: decorator
@inline
function top(): usize {
  return FRAMES + <usize>(depth - 1) * FRAME_BYTES;
}

/** The structure is broken: reading ends. */
function broken(message: string): bool {
  setMalformed(message);
  p = end + 1;
  return true;
}

function premature(): void {
  if (complete) setMalformed('JSON parsing error: the document ends too early');
}

function skipBlanks(): void {
  while (p < end) {
    const byte = load<u8>(p);
    if (byte > 0x20) return;
    const bytes = v128.load(p);
    const blanks = v128.or(
      v128.or(i8x16.eq(bytes, i8x16.splat(0x20)), i8x16.eq(bytes, i8x16.splat(0x0a))),
      v128.or(i8x16.eq(bytes, i8x16.splat(0x0d)), i8x16.eq(bytes, i8x16.splat(0x09))),
    );
    const run = <usize>ctz(~i8x16.bitmask(blanks)); // bits above 15 of the complement are set
    if (run == 0) {
      // yajl, ModSecurity's reader, takes VT and FF for blanks, so that values behind them have to be seen.
      if (byte != 0x0b && byte != 0x0c) return;
      setMalformed('JSON parsing error: a control character between values');
      p++;
    }
    p += run;
  }
  p = end;
}

/** Reads the value at p, or up to the first value inside of it. False when a limit is reached. */
function value(): bool {
  while (true) {
    skipBlanks();
    if (p >= end) {
      premature();
      p = end + 1;
      return true;
    }
    const byte = <u32>load<u8>(p);
    if (byte == 0x22) {
      p++;
      if (!readString()) return false;
      if (!closed) {
        premature();
        p = end + 1;
      }
      return add(textAt, textLength);
    }
    if (byte != OBJECT && byte != 0x5b) return word();
    p++;
    if (!open(byte)) return false;
    skipBlanks();
    if (p < end && <u32>load<u8>(p) == byte + 2) {
      p++;
      depth--;
      return true;
    }
    if (byte == OBJECT) {
      if (!key(top())) return false;
      if (p > end) return true;
    }
  }
}

function add(at: usize, length: i32): bool {
  return addArgument(VARIABLE_ARGS_POST, nameAt, max(nameLength, 0), at, length);
}

/** Enters an object or array whose name is the name of the value that it is. */
function open(kind: u32): bool {
  if (depth == MAX_JSON_DEPTH) {
    setMalformed('JSON parsing error: JSON depth limit exceeded');
    fail(REASON_BODY_DEPTH);
    return false;
  }
  depth++;
  const frame = top();
  store<u32>(frame, kind);
  if (kind != OBJECT && nameLength < 0) {
    nameAt = ARRAY_NAME;
    nameLength = 5;
    keyLength = 5;
  }
  store<u32>(frame, <u32>nameAt, 4);
  store<i32>(frame, nameLength, 8);
  if (kind == OBJECT) return true;
  // The array before at this depth may have had the same name, as rows of a table have.
  if (load<u32>(frame, 16) == 0 || load<u32>(frame, 24) != <u32>nameAt || load<i32>(frame, 12) != keyLength) {
    const element = join(nameAt, nameLength, nameAt + <usize>(nameLength - keyLength), keyLength);
    if (element == 0) return false;
    store<u32>(frame, <u32>element, 16);
    store<u32>(frame, <u32>nameAt, 24);
  }
  store<i32>(frame, keyLength, 12);
  store<i32>(frame, nameLength + 1 + keyLength, 20);
  nameAt = load<u32>(frame, 16);
  nameLength = load<i32>(frame, 20);
  return true;
}

/** `<name>.<key>` in the arena, or 0. */
function join(at: usize, length: i32, key: usize, size: i32): usize {
  const to = alloc(length + 1 + size);
  if (to == 0) return 0;
  memory.copy(to, at, length);
  store<u8>(to + <usize>length, 0x2e);
  memory.copy(to + <usize>length + 1, key, size);
  return to;
}

/** Reads a key and its colon; the name of the value to come is then set. False when a limit is reached. */
function key(frame: usize): bool {
  skipBlanks();
  if (p >= end) {
    premature();
    p = end + 1;
    return true;
  }
  if (load<u8>(p) != 0x22) return broken('JSON parsing error: a key is not a string');
  p++;
  if (!readString()) return false;
  keyLength = textLength;
  const prefixLength = load<i32>(frame, 8);
  if (prefixLength < 0) {
    nameAt = textAt;
    nameLength = textLength;
  } else if (!name(load<u32>(frame, 4), prefixLength)) return false;
  if (closed) {
    skipBlanks();
    if (p < end) return load<u8>(p++) == 0x3a ? true : broken('JSON parsing error: no colon after a key');
  }
  // The text ends with a key: it is an argument without a value.
  premature();
  p = end + 1;
  return add(textAt, 0);
}

/** Makes the name of the member whose key was read. */
function name(prefix: usize, prefixLength: i32): bool {
  nameLength = prefixLength + 1 + textLength;
  const entry = NAMES + <usize>((hashBytes(textAt, textLength) ^ <u32>prefix * 0x9e3779b1) >> 8 & (NAME_SLOTS - 1)) * NAME_ENTRY_BYTES;
  nameAt = load<u32>(entry, 4);
  if (
    nameAt != 0 &&
    load<u32>(entry) == <u32>prefix &&
    load<i32>(entry, 8) == nameLength &&
    equalBytes(nameAt + <usize>prefixLength + 1, textAt, textLength)
  ) {
    return true;
  }
  nameAt = join(prefix, prefixLength, textAt, textLength);
  store<u32>(entry, <u32>prefix);
  store<u32>(entry, <u32>nameAt, 4);
  store<i32>(entry, nameLength, 8);
  return nameAt != 0;
}

/** Reads a number, `true`, `false` or `null`; null is the empty text, as in ModSecurity. */
function word(): bool {
  const start = p;
  while (p < end && !delimiter(load<u8>(p))) p++;
  const length = <i32>(p - start);
  if (length == 0) return broken('JSON parsing error: there is no value where one has to be');
  if (p == end && !complete) return add(start, length); // what it is can't be known
  const first = load<u8>(start);
  if (length == 4 && load<u32>(start) == 0x6c6c756e) return add(start, 0);
  const literal =
    (length == 4 && load<u32>(start) == 0x65757274) ||
    (length == 5 && first == 0x66 && load<u32>(start, 1) == 0x65736c61);
  if (!literal && !isNumber(start, p)) setMalformed('JSON parsing error: a value is not one of JSON');
  return add(start, length);
}

// @ts-ignore: decorator
@inline
function delimiter(byte: u8): bool {
  // Blanks and other control bytes, `"`, `,`, `:`, and the brackets.
  return byte <= 0x20 || byte == 0x2c || byte == 0x22 || byte == 0x3a || (byte | 0x20) == 0x7b || (byte | 0x20) == 0x7d;
}

function isNumber(q: usize, stop: usize): bool {
  if (load<u8>(q) == 0x2d) q++;
  let from = q;
  q = digits(q, stop);
  if (q == from || (load<u8>(from) == 0x30 && q > from + 1)) return false;
  if (q < stop && load<u8>(q) == 0x2e) {
    from = q + 1;
    q = digits(from, stop);
    if (q == from) return false;
  }
  if (q < stop && (load<u8>(q) | 0x20) == 0x65) {
    q++;
    if (q < stop && (load<u8>(q) == 0x2b || load<u8>(q) == 0x2d)) q++;
    from = q;
    q = digits(q, stop);
    if (q == from) return false;
  }
  return q == stop;
}
function digits(q: usize, stop: usize): usize {
  while (q < stop && <u32>load<u8>(q) - 0x30 < 10) q++;
  return q;
}

/** Reads the string that begins at p, behind its quote. False when a limit is reached; `closed` says if it has an end. */
function readString(): bool {
  const quote = i8x16.splat(0x22);
  const backslash = i8x16.splat(0x5c);
  const space = i8x16.splat(0x20);
  const start = p;
  let escapes = false;
  let high = 0;
  closed = false;
  while (p < end) {
    // SAFETY: reads up to 15 bytes behind `end`; `left` says that they don't count.
    const bytes = v128.load(p);
    const left = end - p;
    const stop =
      i8x16.bitmask(v128.or(v128.or(i8x16.eq(bytes, quote), i8x16.eq(bytes, backslash)), i8x16.lt_u(bytes, space))) |
      (left < 16 ? 1 << <i32>left : 0);
    const signs = i8x16.bitmask(bytes);
    if (stop == 0) {
      high |= signs;
      p += 16;
      continue;
    }
    const n = ctz(stop);
    high |= signs & ((1 << n) - 1);
    p += <usize>n;
    if (p >= end) break;
    const byte = load<u8>(p);
    if (byte == 0x22) {
      closed = true;
      break;
    }
    if (byte == 0x5c) {
      escapes = true;
      p += 2;
      continue;
    }
    setMalformed('JSON parsing error: a control character in a string');
    p++;
  }
  if (p > end) p = end;
  textAt = start;
  textLength = <i32>(p - start);
  if (high != 0 && complete && !isUtf8(start, p)) setMalformed('JSON parsing error: a string is not UTF-8');
  if (escapes && !decode(start, p)) return false;
  if (closed) p++;
  return true;
}

/** Decodes the escapes of [q, stop) into the arena, as the text that was read. */
function decode(q: usize, stop: usize): bool {
  const start = alloc(<i32>(stop - q) + 16);
  if (start == 0) return false;
  const backslash = i8x16.splat(0x5c);
  let to = start;
  while (q < stop) {
    const bytes = v128.load(q);
    v128.store(to, bytes);
    const left = stop - q;
    const found = i8x16.bitmask(i8x16.eq(bytes, backslash)) | (left < 16 ? 1 << <i32>left : 0);
    const n: usize = found == 0 ? 16 : <usize>ctz(found);
    q += n;
    to += n;
    if (found == 0 || q >= stop) continue;
    const escape: u8 = q + 1 < stop ? load<u8>(q, 1) : 0;
    const plain = simple(escape);
    if (plain != 0) {
      store<u8>(to++, plain);
      q += 2;
      continue;
    }
    let unit = escape == 0x75 ? codeUnit(q + 2, stop) : -1;
    if (unit < 0) {
      // No escape at all: it stays as it is, and so does what follows.
      if (complete || q + 6 < end) setMalformed('JSON parsing error: an escape is not one of JSON');
      store<u8>(to++, 0x5c);
      q++;
      continue;
    }
    q += 6;
    if (unit >= 0xd800 && unit < 0xdc00 && q + 1 < stop && load<u16>(q) == 0x755c) {
      const low = codeUnit(q + 2, stop);
      if (low >= 0xdc00 && low < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        q += 6;
      }
    }
    // Half of a pair has no UTF-8. ModSecurity's reader swallows the character behind it; nothing is lost here.
    if (unit >= 0xd800 && unit < 0xe000) unit = 0xfffd;
    to = putCodePoint(to, unit);
  }
  textAt = start;
  textLength = <i32>(to - start);
  release((to + 7) & ~7);
  return true;
}

/** Byte that `\<escape>` stands for, 0 when it is no escape of one character. */
function simple(escape: u8): u8 {
  if (escape == 0x22 || escape == 0x5c || escape == 0x2f) return escape;
  if (escape == 0x6e) return 0x0a;
  if (escape == 0x72) return 0x0d;
  if (escape == 0x74) return 0x09;
  if (escape == 0x62) return 0x08;
  return escape == 0x66 ? 0x0c : 0;
}

/** The four hexadecimal digits at q, or -1. */
function codeUnit(q: usize, stop: usize): i32 {
  if (q + 4 > stop) return -1;
  const a = hexDigit(load<u8>(q));
  const b = hexDigit(load<u8>(q, 1));
  const c = hexDigit(load<u8>(q, 2));
  const d = hexDigit(load<u8>(q, 3));
  return (a | b | c | d) < 0 ? -1 : (a << 12) | (b << 8) | (c << 4) | d;
}
