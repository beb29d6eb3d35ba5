/**
 * The transformations of SecLang once more, as short as they can be said, from the description of ModSecurity 2.9. What the
 * engine's are held against. A string has one character a byte.
 */
import { createHash } from 'node:crypto';
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
} from '../../assembly/waf/abi.ts';

type Transformation = (value: string) => string;

const byte = (value: number): string => String.fromCharCode(value & 0xff);
const hex = (digits: string): number => Number.parseInt(digits, 16);
const latin = (buffer: Buffer): string => buffer.toString('latin1');
const bytes = (value: string): Buffer => Buffer.from(value, 'latin1');
const digest = (name: string) => (value: string) => latin(createHash(name).update(bytes(value)).digest());
const toHex = (value: string): string => bytes(value).toString('hex');

const CONTROLS: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const control = (letter: string): string => CONTROLS[letter] ?? letter;

/** Four digits as the lower byte; of U+ff01 to U+ff5e, the ASCII character that looks like it. */
function character(digits: string): string {
  const low = hex(digits.slice(2));
  const isWide = /^ff/i.test(digits) && low > 0 && low < 0x5f;
  return byte(isWide ? low + 0x20 : low);
}

/** The lower byte of a number as `strtol` reads it into 64 bits. */
function lowerByte(number: bigint): string {
  const largest = (1n << 63n) - 1n;
  return byte(Number((number > largest ? largest : number) & 0xffn));
}

const NAMES: Readonly<Record<string, string>> = { quot: '"', amp: '&', lt: '<', gt: '>', nbsp: '\xa0' };
const ENTITY = /&(?:#x([0-9a-f]+)|#([0-9]+)|(quot|amp|lt|gt|nbsp)(?![0-9a-z]));?/gi;

const SPACE = '[ \\t\\n\\v\\f\\r]';
const WHITE = /[ \t\n\v\f\r\xa0]+/g;

function utf8toUnicode(value: string): string {
  const at = (i: number): number => (i < value.length ? value.charCodeAt(i) : 0);
  let out = '';
  for (let i = 0; i < value.length;) {
    const first = at(i);
    const kind = [
      { mask: 0x80, is: 0x00, more: 0, least: 0 },
      { mask: 0xe0, is: 0xc0, more: 1, least: 0x80 },
      { mask: 0xf0, is: 0xe0, more: 2, least: 0x800 },
      { mask: 0xf8, is: 0xf0, more: 3, least: 0x10000 },
    ].find(({ mask, is }) => (first & mask) === is);
    if (kind === undefined || kind.more === 0) {
      if (first !== 0) out += byte(first);
      i++;
      continue;
    }
    if (first >= 0xf5) out += byte(first);
    const rest = Array.from({ length: kind.more }, (_, n) => at(i + 1 + n));
    if (rest.some((next) => (next & 0xc0) !== 0x80)) {
      i++;
      continue;
    }
    const point = rest.reduce((sum, next) => sum * 64 + (next & 63), first & ~kind.mask & 0xff);
    out += `%u${point.toString(16).padStart(4, '0')}`;
    if (point >= 0xd800 && point <= 0xdfff) out += byte(first);
    if (point < kind.least) out += byte(first);
    i += 1 + kind.more;
  }
  return out;
}

function base64DecodeExt(value: string): string {
  let letters = '';
  for (let i = 0; i < value.length; i++) {
    const letter = value.charAt(i);
    if (letter === '=' && value.charAt(i + 1) !== '=' && letters.length % 4 === 1) return '';
    if (/[A-Za-z0-9+/]/.test(letter)) letters += letter;
  }
  return latin(Buffer.from(letters, 'base64'));
}

/** Like `x2c`, which asks for no digits. */
function pairToByte(pair: string): string {
  const digit = (code: number): number => (code >= 0x41 ? (code & 0xdf) - 0x41 + 10 : code - 0x30);
  return byte(digit(pair.charCodeAt(0)) * 16 + digit(pair.charCodeAt(1)));
}

/** The algorithm of ModSecurity in place, with its jumps; see assembly/waf/transform/path.ts for what is other. */
function normalizePath(value: string): string {
  if (value === '') return '';
  const text = [...value];
  const end = text.length - 1;
  const relative = text[0] !== '/';
  const trailing = text[end] === '/';
  let src = 0;
  let dst = 0;
  let hitroot = false;
  let done = false;
  const copy = (): void => {
    if (text[src] === '/') {
      while (src < end && text[src + 1] === '/') src++;
      if (relative && dst === 0) {
        src++;
        return;
      }
    }
    text[dst++] = text[src++] as string;
  };
  while (!done && src <= end && dst <= end) {
    if (src === end) done = true;
    else if (text[src + 1] !== '/') {
      copy();
      continue;
    }
    if (src !== end && text[src] === '/') {
      copy();
      continue;
    }
    if (text[src] === '.') {
      if (dst > 0 && text[dst - 1] === '.') {
        if (relative && (hitroot || dst - 2 <= 0)) {
          hitroot = true;
          copy();
          continue;
        }
        dst -= 3;
        while (dst > 0 && text[dst] !== '/') dst--;
        if (dst <= 0) {
          hitroot = true;
          dst = 0;
          if (!relative && src === end) dst++;
        }
        if (done) continue;
        src++;
      } else if (dst === 0) {
        if (done) continue;
        src++;
      } else if (text[dst - 1] === '/') {
        if (done) continue;
        dst--;
        src++;
      }
    } else if (dst > 0) hitroot = false;
    copy();
  }
  if (!trailing && dst > 0 && text[dst - 1] === '/') dst--;
  return text.slice(0, dst).join('');
}

export const referenceTransformations: ReadonlyMap<number, Transformation> = new Map<number, Transformation>([
  [TRANSFORM_NONE, (value) => value],
  [TRANSFORM_LOWERCASE, (value) => value.replace(/[A-Z]/g, (letter) => letter.toLowerCase())],
  [TRANSFORM_UPPERCASE, (value) => value.replace(/[a-z]/g, (letter) => letter.toUpperCase())],
  [
    TRANSFORM_URL_DECODE,
    (value) => value.replace(/\+|%([0-9a-f]{2})/gi, (_, digits?: string) => (digits ? byte(hex(digits)) : ' ')),
  ],
  [
    TRANSFORM_URL_DECODE_UNI,
    (value) =>
      value.replace(/\+|%u([0-9a-f]{4})|%([0-9a-f]{2})/gi, (_, wide?: string, digits?: string) =>
        wide ? character(wide) : digits ? byte(hex(digits)) : ' ',
      ),
  ],
  [
    TRANSFORM_URL_ENCODE,
    (value) => value.replace(/[^A-Za-z0-9*]/g, (letter) => (letter === ' ' ? '+' : `%${toHex(letter)}`)),
  ],
  [
    TRANSFORM_HTML_ENTITY_DECODE,
    (value) =>
      value.replace(ENTITY, (_, digits?: string, decimal?: string, name?: string) =>
        digits
          ? lowerByte(BigInt(`0x${digits}`))
          : decimal
            ? lowerByte(BigInt(decimal))
            : (NAMES[name!.toLowerCase()] as string),
      ),
  ],
  [
    TRANSFORM_JS_DECODE,
    (value) =>
      value.replace(
        /\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{0,2}|[4-7][0-7]?)|([^]))/g,
        (_, wide?: string, digits?: string, octal?: string, other?: string) =>
          wide
            ? character(wide)
            : digits
              ? byte(hex(digits))
              : octal
                ? byte(Number.parseInt(octal, 8))
                : control(other as string),
      ),
  ],
  [
    TRANSFORM_CSS_DECODE,
    (value) =>
      value.replace(
        new RegExp(`\\\\(?:([0-9a-fA-F]{1,6})${SPACE}?|\\n|([^])|$)`, 'g'),
        (_, digits?: string, other?: string) => {
          if (!digits) return other ?? '';
          const isFull = digits.length === 4 || /^0.{4}$|^00.{4}$/.test(digits);
          return isFull ? character(digits.slice(-4)) : byte(hex(digits));
        },
      ),
  ],
  [
    TRANSFORM_ESCAPE_SEQ_DECODE,
    (value) =>
      value.replace(
        /\\(?:[xX]([0-9a-fA-F]{2})|([0-7]{1,3})|([^]))/g,
        (_, digits?: string, octal?: string, other?: string) =>
          digits ? byte(hex(digits)) : octal ? byte(Number.parseInt(octal, 8)) : control(other as string),
      ),
  ],
  [
    TRANSFORM_BASE64_DECODE,
    (value) => latin(Buffer.from((/^[A-Za-z0-9+/]*/.exec(value) as RegExpExecArray)[0], 'base64')),
  ],
  [TRANSFORM_BASE64_DECODE_EXT, base64DecodeExt],
  [TRANSFORM_BASE64_ENCODE, (value) => bytes(value).toString('base64')],
  [TRANSFORM_HEX_DECODE, (value) => (value.match(/[^][^]/g) ?? []).map(pairToByte).join('')],
  [TRANSFORM_HEX_ENCODE, toHex],
  [
    TRANSFORM_SQL_HEX_DECODE,
    (value) =>
      value.replace(
        /0[xX]((?:[0-9a-fA-F]{2})+)([^]?)/g,
        (_, digits: string, next: string) => latin(Buffer.from(digits, 'hex')) + next,
      ),
  ],
  [
    TRANSFORM_CMD_LINE,
    (value) =>
      value
        .replace(/["'\\^]/g, '')
        .replace(/[ ,;\t\r\n]+/g, ' ')
        .replace(/ ([/(])/g, '$1')
        .replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
  ],
  [TRANSFORM_COMPRESS_WHITESPACE, (value) => value.replace(WHITE, ' ')],
  [TRANSFORM_REMOVE_WHITESPACE, (value) => value.replace(WHITE, '')],
  [TRANSFORM_REMOVE_NULLS, (value) => value.replaceAll('\0', '')],
  [TRANSFORM_REPLACE_NULLS, (value) => value.replaceAll('\0', ' ')],
  [
    TRANSFORM_REMOVE_COMMENTS,
    (value) =>
      value.replace(
        /(\/\*|<!--)[^]*?(?:(\*\/|-->)([^]?)|$)|(?:--|#)[^]*/g,
        (_, opened?: string, closed?: string, next?: string) => (!opened ? '' : closed ? (next as string) : ' '),
      ),
  ],
  [TRANSFORM_REMOVE_COMMENTS_CHAR, (value) => value.replace(/\/\*|\*\/|<!--|-->|--|#/g, '')],
  [TRANSFORM_REPLACE_COMMENTS, (value) => value.replace(/\/\*[^]*?(?:\*\/|$)/g, ' ')],
  [TRANSFORM_NORMALIZE_PATH, normalizePath],
  [TRANSFORM_NORMALIZE_PATH_WIN, (value) => normalizePath(value.replaceAll('\\', '/'))],
  [TRANSFORM_UTF8_TO_UNICODE, utf8toUnicode],
  [TRANSFORM_TRIM, (value) => value.replace(new RegExp(`^${SPACE}+|${SPACE}+$`, 'g'), '')],
  [TRANSFORM_TRIM_LEFT, (value) => value.replace(new RegExp(`^${SPACE}+`), '')],
  [TRANSFORM_TRIM_RIGHT, (value) => value.replace(new RegExp(`${SPACE}+$`), '')],
  [TRANSFORM_LENGTH, (value) => String(value.length)],
  [TRANSFORM_MD5, digest('md5')],
  [TRANSFORM_SHA1, digest('sha1')],
]);
