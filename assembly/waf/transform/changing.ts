// Which transformations can change a string, by the bytes that occur in it: what spares most of them on most strings.
import {
  TRANSFORM_BASE64_DECODE,
  TRANSFORM_BASE64_DECODE_EXT,
  TRANSFORM_BASE64_ENCODE,
  TRANSFORM_CMD_LINE,
  TRANSFORM_COMPRESS_WHITESPACE,
  TRANSFORM_CSS_DECODE,
  TRANSFORM_ESCAPE_SEQ_DECODE,
  TRANSFORM_HEX_DECODE,
  TRANSFORM_HEX_ENCODE,
  TRANSFORM_HTML_ENTITY_DECODE,
  TRANSFORM_JS_DECODE,
  TRANSFORM_LENGTH,
  TRANSFORM_LOWERCASE,
  TRANSFORM_MD5,
  TRANSFORM_NORMALIZE_PATH,
  TRANSFORM_NORMALIZE_PATH_WIN,
  TRANSFORM_REMOVE_COMMENTS,
  TRANSFORM_REMOVE_COMMENTS_CHAR,
  TRANSFORM_REMOVE_NULLS,
  TRANSFORM_REMOVE_WHITESPACE,
  TRANSFORM_REPLACE_COMMENTS,
  TRANSFORM_REPLACE_NULLS,
  TRANSFORM_SHA1,
  TRANSFORM_SQL_HEX_DECODE,
  TRANSFORM_TRIM,
  TRANSFORM_TRIM_LEFT,
  TRANSFORM_TRIM_RIGHT,
  TRANSFORM_UPPERCASE,
  TRANSFORM_URL_DECODE,
  TRANSFORM_URL_DECODE_UNI,
  TRANSFORM_URL_ENCODE,
  TRANSFORM_UTF8_TO_UNICODE,
} from '../abi';
import { occurs } from '../presence';

// @ts-ignore: decorator
@inline
function bit(id: i32): u64 {
  return <u64>1 << <u64>id;
}

// The encodings, the decodings that have no escape, the digests and the length; `none` is in no set.
const ALWAYS: u64 =
  bit(TRANSFORM_BASE64_DECODE) | bit(TRANSFORM_BASE64_DECODE_EXT) | bit(TRANSFORM_BASE64_ENCODE) | bit(TRANSFORM_HEX_DECODE) | bit(TRANSFORM_HEX_ENCODE) | bit(TRANSFORM_URL_ENCODE) | bit(TRANSFORM_LENGTH) | bit(TRANSFORM_MD5) | bit(TRANSFORM_SHA1);
const OF_CAPITALS: u64 = bit(TRANSFORM_LOWERCASE) | bit(TRANSFORM_CMD_LINE);
const OF_BACKSLASH: u64 =
  bit(TRANSFORM_JS_DECODE) | bit(TRANSFORM_CSS_DECODE) | bit(TRANSFORM_ESCAPE_SEQ_DECODE) | bit(TRANSFORM_CMD_LINE) | bit(TRANSFORM_NORMALIZE_PATH_WIN);
const OF_URL: u64 = bit(TRANSFORM_URL_DECODE) | bit(TRANSFORM_URL_DECODE_UNI);
const OF_NULL: u64 = bit(TRANSFORM_REMOVE_NULLS) | bit(TRANSFORM_REPLACE_NULLS) | bit(TRANSFORM_UTF8_TO_UNICODE);
const OF_NBSP: u64 = bit(TRANSFORM_COMPRESS_WHITESPACE) | bit(TRANSFORM_REMOVE_WHITESPACE);
const OF_SPACE: u64 = OF_NBSP | bit(TRANSFORM_TRIM) | bit(TRANSFORM_TRIM_LEFT) | bit(TRANSFORM_TRIM_RIGHT) | bit(TRANSFORM_CMD_LINE);
const OF_MARK: u64 = bit(TRANSFORM_REMOVE_COMMENTS) | bit(TRANSFORM_REMOVE_COMMENTS_CHAR);
const OF_COMMENT: u64 = OF_MARK | bit(TRANSFORM_REPLACE_COMMENTS);
const OF_PATH: u64 = bit(TRANSFORM_NORMALIZE_PATH) | bit(TRANSFORM_NORMALIZE_PATH_WIN);

// Bits of a word of 32 bytes.
const LETTERS: u32 = 0x07fffffe; // A-Z of the third word, a-z of the fourth
const SPACES: u32 = 0x3e00; // 0x09-0x0d, of the first
const SPACE: u32 = 1; // of the second, as all of these
const QUOTES: u32 = 0x08001084; // " ' , ;
const SIGNS: u32 = 0x0820; // % +
const AMPERSAND: u32 = 0x40;
const MARKS: u32 = 0x2008; // # -
const COMMENT: u32 = 0x8400; // * /
const STEPS: u32 = 0xc000; // . /
const ZERO: u32 = 0x10000;
const BACKSLASH: u32 = 0x10000000; // of the third
const CARET: u32 = 0x40000000;
const X: u32 = 0x01000000; // of the third and the fourth

/**
 * Bit i: TRANSFORM_ i can change a string of which `bitmap` says what bytes occur (see presence.ts). A bit that is not set is
 * certain: that transformation is the identity. One that is set is not.
 */
export function changing(bitmap: usize): u64 {
  const controls = load<u32>(bitmap);
  const symbols = load<u32>(bitmap, 4);
  const capitals = load<u32>(bitmap, 8);
  const letters = load<u32>(bitmap, 12);
  let ids = ALWAYS;
  if ((capitals & LETTERS) != 0) ids |= OF_CAPITALS;
  if ((letters & LETTERS) != 0) ids |= bit(TRANSFORM_UPPERCASE);
  if ((capitals & BACKSLASH) != 0) ids |= OF_BACKSLASH;
  if ((capitals & CARET) != 0 || (symbols & QUOTES) != 0) ids |= bit(TRANSFORM_CMD_LINE);
  if ((symbols & SIGNS) != 0) ids |= OF_URL;
  if ((symbols & AMPERSAND) != 0) ids |= bit(TRANSFORM_HTML_ENTITY_DECODE);
  if ((symbols & MARKS) != 0) ids |= OF_MARK;
  if ((symbols & COMMENT) == COMMENT) ids |= OF_COMMENT;
  if ((symbols & STEPS) != 0) ids |= OF_PATH;
  if ((symbols & ZERO) != 0 && ((capitals | letters) & X) != 0) ids |= bit(TRANSFORM_SQL_HEX_DECODE);
  if ((controls & SPACES) != 0 || (symbols & SPACE) != 0) ids |= OF_SPACE;
  if ((controls & 1) != 0) ids |= OF_NULL;
  if (v128.any_true(v128.load(bitmap, 16))) {
    ids |= bit(TRANSFORM_UTF8_TO_UNICODE);
    if (occurs(bitmap, 0xa0)) ids |= OF_NBSP;
  }
  return ids;
}

const PLUS: u32 = 0x0800;
const HASH: u32 = 0x08;
const BLANKS: u32 = 0x2600; // tab, line feed, carriage return, of the first

/** Bit i: TRANSFORM_ i certainly changes a string with these bytes, so that nobody has to try. Not all that do are told. */
export function surelyChanging(bitmap: usize): u64 {
  const controls = load<u32>(bitmap);
  const symbols = load<u32>(bitmap, 4);
  const capitals = load<u32>(bitmap, 8);
  let ids: u64 = bit(TRANSFORM_BASE64_DECODE) | bit(TRANSFORM_BASE64_DECODE_EXT);
  if ((capitals & LETTERS) != 0) ids |= OF_CAPITALS;
  if ((load<u32>(bitmap, 12) & LETTERS) != 0) ids |= bit(TRANSFORM_UPPERCASE);
  if ((capitals & (CARET | BACKSLASH)) != 0 || (symbols & QUOTES) != 0 || (controls & BLANKS) != 0) ids |= bit(TRANSFORM_CMD_LINE);
  if ((symbols & PLUS) != 0) ids |= OF_URL;
  if ((symbols & HASH) != 0) ids |= bit(TRANSFORM_REMOVE_COMMENTS_CHAR);
  if ((symbols & SPACE) != 0) ids |= bit(TRANSFORM_REMOVE_WHITESPACE);
  if ((controls & SPACES) != 0 || occurs(bitmap, 0xa0)) ids |= OF_NBSP;
  if ((controls & 1) != 0) ids |= bit(TRANSFORM_REMOVE_NULLS) | bit(TRANSFORM_REPLACE_NULLS);
  return ids;
}
