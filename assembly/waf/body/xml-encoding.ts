// The encoding of an XML document. UTF-16 and ISO-8859-1 become UTF-8, so that rules see the same text in all; of what remains
// only encodings that extend ASCII byte by byte are read, as they are.
import { alloc, spend } from '../../arena';
import { putCodePoint } from '../../json';
import { begins } from '../name';
import { setMalformed } from './malformed';
import { isUtf8 } from './utf8';
import { narrow, narrowedBadly, narrowedLength } from './wide';

export let transcodedLength: i32 = 0;
let utf8: bool = true;
let wide: bool = false; // it was UTF-16
let latin: bool = false; // it is ISO-8859-1

/** The document without a byte order mark, in the arena when it had to be converted; 0 when a limit is reached. */
export function transcode(at: usize, length: i32): usize {
  wide = false;
  transcodedLength = length;
  if (length >= 3 && load<u16>(at) == 0xbbef && load<u8>(at, 2) == 0xbf) {
    transcodedLength = length - 3;
    return at + 3;
  }
  if (length < 2) return at;
  // SPEC: XML 1.0 appendix F: a byte order mark, or `<` in 16 bits.
  const first = <u32>load<u16>(at);
  const mark = first == 0xfeff || first == 0xfffe;
  const big = first == 0xfffe || first == 0x3c00;
  if (!mark && first != 0x3c00 && first != 0x003c) return at;
  wide = true;
  const skip = mark ? 2 : 0;
  const start = narrow(at + <usize>skip, length - skip, 2, big);
  if (start == 0) return 0;
  if (narrowedBadly) setMalformed('XML parsing error: bytes that the encoding does not have');
  transcodedLength = narrowedLength;
  return start;
}

/** The document as UTF-8 where it is declared as ISO-8859-1 and is not ASCII alone; 0 when a limit is reached. */
export function widen(at: usize): usize {
  if (!latin) return at;
  const end = at + <usize>transcodedLength;
  if (!spend(transcodedLength)) return 0;
  let high = 0;
  for (let q = at; q < end; q++) high += <i32>(load<u8>(q) >> 7);
  if (high == 0) return at;
  const start = alloc(transcodedLength + high);
  if (start == 0) return 0;
  let to = start;
  for (let q = at; q < end; q++) to = putCodePoint(to, <i32>load<u8>(q));
  transcodedLength = <i32>(to - start);
  return start;
}

/** Judges the XML declaration at p, if there is one, and reads the encoding in it. `whole` as of processBody. */
export function readEncoding(p: usize, end: usize, whole: bool): void {
  utf8 = true;
  latin = false;
  // `<?xml`, and not the beginning of another name
  if (p + 6 >= end || load<u32>(p) != 0x6d783f3c || load<u8>(p, 4) != 0x6c || load<u8>(p, 5) > 0x20) return;
  p += 5;
  let last = 0;
  while (true) {
    const before = p;
    while (p < end && isBlank(load<u8>(p))) p++;
    if (p + 1 < end && load<u16>(p) == 0x3e3f) {
      if (last == 0) invalid();
      return;
    }
    // SPEC: XML 1.0 section 2.8: version, then encoding, then standalone, once each, quoted.
    const left = <i32>(end - p);
    const kind = begins(p, left, 'version') ? 1 : begins(p, left, 'encoding') ? 2 : begins(p, left, 'standalone') ? 3 : 0;
    if (p == before || kind <= last || (last == 0 && kind != 1)) {
      if (whole || left > 10) invalid();
      return;
    }
    last = kind;
    p += kind == 1 ? 7 : kind == 2 ? 8 : 10;
    while (p < end && isBlank(load<u8>(p))) p++;
    const equals = p < end && load<u8>(p) == 0x3d;
    if (equals) p++;
    while (p < end && isBlank(load<u8>(p))) p++;
    const quote: u8 = p < end ? load<u8>(p) : 0;
    if (!equals || (quote != 0x22 && quote != 0x27)) {
      if (whole || p < end) invalid();
      return;
    }
    const value = ++p;
    while (p < end && valueByte(load<u8>(p))) p++;
    if (p == end || load<u8>(p) != quote || p == value) {
      if (whole || p < end) invalid();
      return;
    }
    if (kind == 1 && load<u16>(value) != 0x2e31) invalid(); // 1.
    if (kind == 2) takeEncoding(value, <i32>(p - value));
    p++;
  }
}

function invalid(): void {
  setMalformed('XML parsing error: an XML declaration that is none');
}

function isBlank(byte: u8): bool {
  return byte == 0x20 || byte == 0x0a || byte == 0x09 || byte == 0x0d;
}

/** Letters, digits, and `.` `_` `-`: all that a version or the name of an encoding is made of. */
function valueByte(byte: u8): bool {
  return <u32>(byte | 0x20) - 0x61 < 26 || <u32>byte - 0x30 < 10 || byte == 0x2e || byte == 0x5f || byte == 0x2d;
}

function takeEncoding(name: usize, length: i32): void {
  if (wide) {
    if (!begins(name, length, 'utf-16')) setMalformed('XML parsing error: the encoding is not the one declared');
    return;
  }
  if (begins(name, length, 'utf-8') || begins(name, length, 'utf8') || begins(name, length, 'us-ascii')) return;
  utf8 = false;
  latin = length == 10 && begins(name, length, 'iso-8859-1');
  if (!begins(name, length, 'iso-8859-') && !begins(name, length, 'windows-125') && !begins(name, length, 'latin')) {
    setMalformed('XML parsing error: an encoding that is not supported');
  }
}

/** True when no control character but blanks is in [p, end), and, where it is declared so, well-formed UTF-8. */
export function isPlainText(p: usize, end: usize, whole: bool): bool {
  if (utf8 && whole && !isUtf8(p, end)) return false;
  const space = i8x16.splat(0x20);
  let q = p;
  for (; q < end; q += 16) {
    const bytes = v128.load(q);
    const blanks = v128.or(
      i8x16.eq(bytes, i8x16.splat(0x09)),
      v128.or(i8x16.eq(bytes, i8x16.splat(0x0a)), i8x16.eq(bytes, i8x16.splat(0x0d))),
    );
    const left = end - q;
    const found = i8x16.bitmask(v128.andnot(i8x16.lt_u(bytes, space), blanks)) & (left < 16 ? (1 << <i32>left) - 1 : -1);
    if (found != 0) return false;
  }
  return true;
}
