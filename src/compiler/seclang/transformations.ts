/** The transformations of SecLang by name, and pipelines made of `t:` actions. */
import * as abi from '../../../assembly/waf/abi.ts';
import { nearest, shown } from '../spelling.ts';
import type { Problems } from './problems.ts';
import type { Text } from './text.ts';

// SPEC: the names that ModSecurity v2 registers in re_tfns.c, and those of v3 and Coraza that the engine has.
const NAMES: readonly (readonly [number, string])[] = [
  [abi.TRANSFORM_NONE, 'none'],
  [abi.TRANSFORM_LOWERCASE, 'lowercase'],
  [abi.TRANSFORM_UPPERCASE, 'uppercase'],
  [abi.TRANSFORM_URL_DECODE, 'urlDecode'],
  [abi.TRANSFORM_URL_DECODE_UNI, 'urlDecodeUni'],
  [abi.TRANSFORM_URL_ENCODE, 'urlEncode'],
  [abi.TRANSFORM_HTML_ENTITY_DECODE, 'htmlEntityDecode'],
  [abi.TRANSFORM_JS_DECODE, 'jsDecode'],
  [abi.TRANSFORM_CSS_DECODE, 'cssDecode'],
  [abi.TRANSFORM_BASE64_DECODE, 'base64Decode'],
  [abi.TRANSFORM_BASE64_DECODE_EXT, 'base64DecodeExt'],
  [abi.TRANSFORM_BASE64_ENCODE, 'base64Encode'],
  [abi.TRANSFORM_HEX_DECODE, 'hexDecode'],
  [abi.TRANSFORM_HEX_ENCODE, 'hexEncode'],
  [abi.TRANSFORM_SQL_HEX_DECODE, 'sqlHexDecode'],
  [abi.TRANSFORM_CMD_LINE, 'cmdLine'],
  [abi.TRANSFORM_COMPRESS_WHITESPACE, 'compressWhitespace'],
  [abi.TRANSFORM_REMOVE_WHITESPACE, 'removeWhitespace'],
  [abi.TRANSFORM_REMOVE_NULLS, 'removeNulls'],
  [abi.TRANSFORM_REPLACE_NULLS, 'replaceNulls'],
  [abi.TRANSFORM_REMOVE_COMMENTS, 'removeComments'],
  [abi.TRANSFORM_REMOVE_COMMENTS_CHAR, 'removeCommentsChar'],
  [abi.TRANSFORM_REPLACE_COMMENTS, 'replaceComments'],
  [abi.TRANSFORM_NORMALIZE_PATH, 'normalizePath'],
  [abi.TRANSFORM_NORMALIZE_PATH, 'normalisePath'],
  [abi.TRANSFORM_NORMALIZE_PATH_WIN, 'normalizePathWin'],
  [abi.TRANSFORM_NORMALIZE_PATH_WIN, 'normalisePathWin'],
  [abi.TRANSFORM_UTF8_TO_UNICODE, 'utf8toUnicode'],
  [abi.TRANSFORM_ESCAPE_SEQ_DECODE, 'escapeSeqDecode'],
  [abi.TRANSFORM_TRIM, 'trim'],
  [abi.TRANSFORM_TRIM_LEFT, 'trimLeft'],
  [abi.TRANSFORM_TRIM_RIGHT, 'trimRight'],
  [abi.TRANSFORM_LENGTH, 'length'],
  [abi.TRANSFORM_MD5, 'md5'],
  [abi.TRANSFORM_SHA1, 'sha1'],
];
const BY_NAME: ReadonlyMap<string, number> = new Map(NAMES.map(([id, name]) => [name.toLowerCase(), id]));
// The first name of an id wins.
const BY_ID: ReadonlyMap<number, string> = new Map(NAMES.toReversed().map(([id, name]) => [id, name]));
const PARITY = new Set(['parityeven7bit', 'parityodd7bit', 'parityzero7bit']);

/** The name of TRANSFORM_*: `normalizePath`, not `normalisePath`. */
export const transformationName = (id: number): string => BY_ID.get(id) ?? String(id);

/** One `t:`: `t:none` starts anew, `t:-lowercase` takes away what was there. */
export interface TransformationStep {
  readonly id: number;
  readonly remove: boolean;
}

/** Null after reporting. */
export function readTransformation(text: Text, problems: Problems): TransformationStep | null {
  const sign = /^[+-]/.exec(text.value)?.[0] ?? '';
  const name = text.slice(sign.length);
  const id = BY_NAME.get(name.value.toLowerCase());
  if (id === undefined) {
    const like = nearest(
      name.value,
      NAMES.map(([, known]) => known),
    );
    const known = PARITY.has(name.value.toLowerCase());
    const message = `${known ? 'unsupported' : 'unknown'} transformation \`${shown(name.value)}\``;
    const fix = known ? 'leave it out' : like === null ? undefined : `did you mean ${like}?`;
    problems.error('unknown-transformation', name, message, fix === undefined ? {} : { fix });
    return null;
  }
  return { id, remove: sign === '-' };
}

/** The pipeline after `steps`. SPEC: msre_rule_process_normal, "Build the final list of transformation functions". */
export function applySteps(pipeline: readonly number[], steps: readonly TransformationStep[]): number[] {
  let result = [...pipeline];
  for (const { id, remove } of steps) {
    if (id === abi.TRANSFORM_NONE) result = [];
    else if (remove) result = result.filter((other) => other !== id);
    else result.push(id);
  }
  return result;
}
