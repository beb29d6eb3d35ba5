// Bodies whose type names no parser, or that have no type: `ctl:requestBodyProcessor=SNIFF`, which is ours. Applications
// read what they expect, whatever the type says, so the bytes decide: JSON (also one document behind the other), XML, a
// form. Nothing was promised, so nothing is malformed: text that is none of them is one argument without a name, as a value
// would be. Other bytes are REQUEST_BODY alone, as all of these are as well.
//
// Rejected: to make a form of everything, as Coraza does. JSON would be cut at its `&` and `=`, with its escapes undecoded.
import { REASON_BODY_DEPTH } from '../../abi';
import { failure, forgive, spend } from '../../arena';
import { PROCESSOR_JSON, PROCESSOR_NONE, PROCESSOR_URLENCODED, PROCESSOR_XML, VARIABLE_ARGS_POST } from '../abi';
import { begins } from '../name';
import { addArgument } from './argument';
import { malformed, startMalformed } from './malformed';
import { parseJson } from './json';
import { parseUrlencoded, restoreUrlencoded, urlencodedError } from './urlencoded';
import { isUtf8 } from './utf8';
import { parseXml } from './xml';

/** PROCESSOR_* of what the body was taken for. */
export let sniffed: i32 = PROCESSOR_NONE;

/** Reads the body; `whole` as of processBody. False when a limit is reached. */
export function parseSniffed(at: usize, length: i32, whole: bool, typeAt: usize, typeLength: i32): bool {
  sniffed = looksLike(at, at + <usize>length);
  if (sniffed == PROCESSOR_JSON || sniffed == PROCESSOR_XML) {
    if (!(sniffed == PROCESSOR_JSON ? parseJson(at, length, whole, true) : parseXml(at, length, whole))) {
      if (failure() != REASON_BODY_DEPTH) return false;
      // Brackets in text may be as deep as they like; rules see the text.
      forgive();
    } else if (!malformed && sniffed == PROCESSOR_JSON) return true;
    // Well-formed markup may be a script, whose element no value of XML tells: it is looked at as text too.
    if (malformed) {
      startMalformed();
      sniffed = PROCESSOR_NONE;
    }
  }
  if (length == 0 || !isText(at, length, whole, typeAt, typeLength)) return true;
  // A form is looked at as a whole too: an application that reads text would see it so.
  if (!addArgument(VARIABLE_ARGS_POST, at, 0, at, length)) return false;
  if (sniffed != PROCESSOR_NONE || !isForm(at, length)) return true;
  sniffed = PROCESSOR_URLENCODED;
  const error = urlencodedError;
  const complete = parseUrlencoded(at, length, VARIABLE_ARGS_POST);
  restoreUrlencoded(error);
  return complete;
}

/** By the first byte that is neither blank nor part of a byte order mark nor one of the NULs of wider units. */
function looksLike(p: usize, end: usize): i32 {
  const most = min(end, p + MAX_BLANKS);
  for (; p < most; p++) {
    const byte = load<u8>(p);
    if (byte == 0x7b || byte == 0x5b || byte == 0x22) return PROCESSOR_JSON;
    if (byte == 0x3c) return PROCESSOR_XML;
    if (byte > 0x20 && byte != 0xef && byte != 0xbb && byte != 0xbf && byte < 0xfe) break;
  }
  return PROCESSOR_NONE;
}
/** SAFETY: so many bytes are read for nothing at most; JSON behind more blanks is looked at as text. */
const MAX_BLANKS: usize = 65536;

/** Whether the body is meant to be read as text: it says so, or says nothing else and is text. */
function isText(at: usize, length: i32, whole: bool, typeAt: usize, typeLength: i32): bool {
  for (; typeLength > 0 && (load<u8>(typeAt) == 0x20 || load<u8>(typeAt) == 0x09); typeLength--) typeAt++;
  if (begins(typeAt, typeLength, 'text/')) return true;
  // A file, whose contents nobody looks at in multipart bodies either.
  if (begins(typeAt, typeLength, 'application/octet-stream')) return false;
  if (typeLength > 0 && !begins(typeAt, typeLength, 'application/')) return false;
  if (!spend(length)) return false;
  const end = at + <usize>length;
  for (let p = at; p < end; p += 16) {
    const bytes = v128.load(p);
    // SPEC: WHATWG mimesniff, binary data bytes: control characters but TAB, LF, FF, CR and ESC.
    const blanks = v128.or(
      v128.or(i8x16.eq(bytes, i8x16.splat(0x09)), i8x16.eq(bytes, i8x16.splat(0x0a))),
      v128.or(
        v128.or(i8x16.eq(bytes, i8x16.splat(0x0c)), i8x16.eq(bytes, i8x16.splat(0x0d))),
        i8x16.eq(bytes, i8x16.splat(0x1b)),
      ),
    );
    const left = end - p;
    const found = i8x16.bitmask(v128.andnot(i8x16.lt_u(bytes, i8x16.splat(0x20)), blanks));
    if ((found & (left < 16 ? (1 << <i32>left) - 1 : -1)) != 0) return false;
  }
  return !whole || isUtf8(at, end);
}

/** Visible ASCII alone, with a `=` in it. */
function isForm(at: usize, length: i32): bool {
  if (!spend(length)) return false;
  const end = at + <usize>length;
  let equals = 0;
  for (let p = at; p < end; p += 16) {
    const bytes = v128.load(p);
    const left = end - p;
    const valid = left < 16 ? (1 << <i32>left) - 1 : -1;
    // As signed numbers, so that what is not ASCII is below as well.
    if ((i8x16.bitmask(i8x16.lt_s(bytes, i8x16.splat(0x21))) & valid) != 0) return false;
    equals |= i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(0x3d))) & valid;
  }
  return equals != 0;
}
