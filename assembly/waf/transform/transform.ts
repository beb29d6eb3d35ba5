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

export { changing, surelyChanging } from './changing';
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
