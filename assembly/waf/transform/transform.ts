// The transformations of SecLang, with the meaning that ModSecurity 2.9 gives them; CRS is written for that engine. Where
// this differs, the function says so and why. Each is linear and a single pass, and the result is the input itself when
// nothing changed, so that the scan recognizes equal strings by their address.
import { spend } from '../../arena';
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
  TRANSFORM_NONE,
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
import { base64Decode, base64DecodeExt, base64Encode } from './base64';
import { lowercase, uppercase } from './case';
import { cmdLine } from './command';
import { removeComments, removeCommentsChar, replaceComments } from './comments';
import { lengthOf, md5, sha1 } from './digest';
import { cssDecode, escapeSeqDecode, jsDecode } from './escape';
import { hexDecode, hexEncode, sqlHexDecode } from './hexadecimal';
import { htmlEntityDecode } from './html';
import { keep } from './output';
import { normalizePath, normalizePathWin } from './path';
import { utf8toUnicode } from './unicode';
import { urlDecode, urlDecodeUni, urlEncode } from './url';
import {
  compressWhitespace,
  removeNulls,
  removeWhitespace,
  replaceNulls,
  trim,
  trimLeft,
  trimRight,
} from './whitespace';

export { outAt, outLength } from './output';

/**
 * Applies TRANSFORM_ `id` to [at, at + length) and leaves the result in `outAt`, `outLength`: the input itself when nothing
 * changed, a part of it (the trims), or new bytes, the last allocation of the arena. False when arena or steps are spent.
 */
export function transform(id: i32, at: usize, length: i32): bool {
  // What is new is paid for by `begin`; this is for having looked.
  if (!spend(1 + (length >> 4))) return false;
  switch (id) {
    case TRANSFORM_LOWERCASE:
      return lowercase(at, length);
    case TRANSFORM_UPPERCASE:
      return uppercase(at, length);
    case TRANSFORM_URL_DECODE:
      return urlDecode(at, length);
    case TRANSFORM_URL_DECODE_UNI:
      return urlDecodeUni(at, length);
    case TRANSFORM_URL_ENCODE:
      return urlEncode(at, length);
    case TRANSFORM_HTML_ENTITY_DECODE:
      return htmlEntityDecode(at, length);
    case TRANSFORM_JS_DECODE:
      return jsDecode(at, length);
    case TRANSFORM_CSS_DECODE:
      return cssDecode(at, length);
    case TRANSFORM_BASE64_DECODE:
      return base64Decode(at, length);
    case TRANSFORM_BASE64_DECODE_EXT:
      return base64DecodeExt(at, length);
    case TRANSFORM_BASE64_ENCODE:
      return base64Encode(at, length);
    case TRANSFORM_HEX_DECODE:
      return hexDecode(at, length);
    case TRANSFORM_HEX_ENCODE:
      return hexEncode(at, length);
    case TRANSFORM_SQL_HEX_DECODE:
      return sqlHexDecode(at, length);
    case TRANSFORM_CMD_LINE:
      return cmdLine(at, length);
    case TRANSFORM_COMPRESS_WHITESPACE:
      return compressWhitespace(at, length);
    case TRANSFORM_REMOVE_WHITESPACE:
      return removeWhitespace(at, length);
    case TRANSFORM_REMOVE_NULLS:
      return removeNulls(at, length);
    case TRANSFORM_REPLACE_NULLS:
      return replaceNulls(at, length);
    case TRANSFORM_REMOVE_COMMENTS:
      return removeComments(at, length);
    case TRANSFORM_REMOVE_COMMENTS_CHAR:
      return removeCommentsChar(at, length);
    case TRANSFORM_REPLACE_COMMENTS:
      return replaceComments(at, length);
    case TRANSFORM_NORMALIZE_PATH:
      return normalizePath(at, length);
    case TRANSFORM_NORMALIZE_PATH_WIN:
      return normalizePathWin(at, length);
    case TRANSFORM_UTF8_TO_UNICODE:
      return utf8toUnicode(at, length);
    case TRANSFORM_ESCAPE_SEQ_DECODE:
      return escapeSeqDecode(at, length);
    case TRANSFORM_TRIM:
      return trim(at, length);
    case TRANSFORM_TRIM_LEFT:
      return trimLeft(at, length);
    case TRANSFORM_TRIM_RIGHT:
      return trimRight(at, length);
    case TRANSFORM_LENGTH:
      return lengthOf(at, length);
    case TRANSFORM_MD5:
      return md5(at, length);
    case TRANSFORM_SHA1:
      return sha1(at, length);
  }
  return keep(at, length);
}

/**
 * False only when TRANSFORM_ `id` surely leaves a string alone of which `bitmap` says what bytes occur (see presence.ts).
 */
export function canChange(id: i32, bitmap: usize): bool {
  // Words of 32 bytes each: 0x00-0x1f, 0x20-0x3f, 0x40-0x5f, 0x60-0x7f, and four above.
  switch (id) {
    case TRANSFORM_NONE:
      return false;
    case TRANSFORM_LOWERCASE:
      return hasUpper(bitmap);
    case TRANSFORM_UPPERCASE:
      return (load<u32>(bitmap, 12) & LETTERS) != 0;
    case TRANSFORM_URL_DECODE:
    case TRANSFORM_URL_DECODE_UNI:
      return occurs(bitmap, 0x25) || occurs(bitmap, 0x2b);
    case TRANSFORM_HTML_ENTITY_DECODE:
      return occurs(bitmap, 0x26);
    case TRANSFORM_JS_DECODE:
    case TRANSFORM_CSS_DECODE:
    case TRANSFORM_ESCAPE_SEQ_DECODE:
      return occurs(bitmap, 0x5c);
    case TRANSFORM_SQL_HEX_DECODE:
      return occurs(bitmap, 0x30) && (occurs(bitmap, 0x58) || occurs(bitmap, 0x78));
    case TRANSFORM_CMD_LINE:
      return hasSpace(bitmap) || hasUpper(bitmap) || (load<u32>(bitmap, 4) & QUOTES) != 0 || (load<u32>(bitmap, 8) & CARETS) != 0;
    case TRANSFORM_COMPRESS_WHITESPACE:
    case TRANSFORM_REMOVE_WHITESPACE:
      return hasSpace(bitmap) || occurs(bitmap, 0xa0);
    case TRANSFORM_TRIM:
    case TRANSFORM_TRIM_LEFT:
    case TRANSFORM_TRIM_RIGHT:
      return hasSpace(bitmap);
    case TRANSFORM_REMOVE_NULLS:
    case TRANSFORM_REPLACE_NULLS:
      return occurs(bitmap, 0);
    case TRANSFORM_REMOVE_COMMENTS:
    case TRANSFORM_REMOVE_COMMENTS_CHAR:
      return occurs(bitmap, 0x23) || occurs(bitmap, 0x2d) || (occurs(bitmap, 0x2a) && occurs(bitmap, 0x2f));
    case TRANSFORM_REPLACE_COMMENTS:
      return occurs(bitmap, 0x2a) && occurs(bitmap, 0x2f);
    case TRANSFORM_NORMALIZE_PATH:
      return occurs(bitmap, 0x2e) || occurs(bitmap, 0x2f);
    case TRANSFORM_NORMALIZE_PATH_WIN:
      return occurs(bitmap, 0x2e) || occurs(bitmap, 0x2f) || occurs(bitmap, 0x5c);
    case TRANSFORM_UTF8_TO_UNICODE:
      return occurs(bitmap, 0) || v128.any_true(v128.load(bitmap, 16));
  }
  // The encodings, the decodings that have no escape, the digests and the length.
  return true;
}

const LETTERS: u32 = 0x07fffffe; // of a word of 32 bytes
const SPACES: u32 = 0x3e00; // 0x09-0x0d, in the first word
const QUOTES: u32 = 0x08001084; // " ' , ; in the second
const CARETS: u32 = 0x50000000; // \ ^ in the third

// @ts-ignore: decorator
@inline
function hasSpace(bitmap: usize): bool {
  return (load<u32>(bitmap) & SPACES) != 0 || occurs(bitmap, 0x20);
}

// @ts-ignore: decorator
@inline
function hasUpper(bitmap: usize): bool {
  return (load<u32>(bitmap, 8) & LETTERS) != 0;
}
