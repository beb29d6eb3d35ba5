// Cuts a text into tokens of SQL as several dialects read it at once: where they differ, the reading that lets an attack
// through counts. One pass, one token at a time, nothing kept but the current token; `keep` and `back` go one token ahead.
import { extend, HASH_START } from '../../hash';
import { wordByte } from './bytes';
import { sqlWord, WORD_NAME } from './sql-words';

export const END: u32 = 0;
export const NUMBER: u32 = 1;
export const STRING: u32 = 2; // closed
export const OPEN_STRING: u32 = 3; // runs to the end of the text; `quote` opened it
export const VARIABLE: u32 = 4;
export const NAME: u32 = 5;
export const WORD: u32 = 6; // `word` is its kind
export const OPERATOR: u32 = 7; // `word` is its class
export const LEFT: u32 = 8;
export const RIGHT: u32 = 9;
export const COMMA: u32 = 10;
export const SEMICOLON: u32 = 11;
export const DOT: u32 = 12;
export const COLON: u32 = 13;
export const COMMENT: u32 = 14; // hides the rest of the text; `quote` is - # or *
export const LEFT_BRACE: u32 = 15;
export const RIGHT_BRACE: u32 = 16;
export const JUNK: u32 = 17;

export const SIGN: u32 = 1; // + -
export const ARITHMETIC: u32 = 2;
export const STAR: u32 = 3;
export const COMPARISON: u32 = 4;
export const BOTH: u32 = 5; // &&
export const PIPES: u32 = 6; // ||: OR in MySQL, concatenation elsewhere
export const BANG: u32 = 7;
export const TILDE: u32 = 8;
export const CAST: u32 = 9;
export const AMPERSAND: u32 = 11;
export const ODD: u32 = 10; // arithmetic that no sentence and no search has: | ^ % << >>

let at: usize = 0;
let end: usize = 0;
let begin: usize = 0;
let started: usize = 0;
/** Looks for the end of a literal with an end of its own, q'[..]' or $tag$..$tag$, that may still fail: each may go to the
 *  end of the text, so that without a limit a text of their beginnings would cost its length squared. */
let searches: i32 = 0;
const MAX_SEARCHES: i32 = 8;
/** Every `--` begins a comment; MySQL wants white space behind it. */
let dashes = true;
/** A backslash takes the meaning from a quote. */
let escapes = true;

export let kind: u32 = END;
export let word: u32 = 0;
export let quote: u32 = 0;
/** A variable of the server's: @@version. */
export let systemVariable = false;
export let from: usize = 0;
/** Behind the last byte of the current token. */
export let upto: usize = 0;
/** A name no sentence has: quoted, or with an underscore, dollar or digit in it. */
export let technical = false;
/** A number such as 1.e that MySQL reads before a name: `1.e.table_name`. */
export let stump = false;
/** A comment stood before the current token, instead of white space. */
export let parted = false;
/** A comment of MySQL's that the server runs, `/*!50000 union`, began before the current token or an earlier one. */
export let versioned = false;
/** A comment with another one's beginning inside has been passed. */
export let nested = false;
let kept: usize = 0;
let keptKind: u32 = 0;
let keptWord: u32 = 0;
let keptQuote: u32 = 0;
let keptFrom: usize = 0;
let keptTechnical = false;
let keptStump = false;
let keptParted = false;

/** Begins at `start`; `first` is where the text begins, of which nothing before `start` is looked at again. */
export function begins(first: usize, start: usize, stop: usize, everyDash: bool, backslash: bool): void {
  begin = first;
  at = start;
  started = start;
  end = stop;
  dashes = everyDash;
  escapes = backslash;
  kind = END;
  versioned = false;
  nested = false;
  searches = MAX_SEARCHES;
}

/** Bytes read since `begins`, but for those read twice. */
export function readBytes(): i32 {
  return <i32>(at - started);
}

/** Goes back to the token that began at `place`. */
export function again(place: usize): void {
  at = place;
  kind = END;
  next();
}

export function keep(): void {
  kept = at;
  keptKind = kind;
  keptWord = word;
  keptQuote = quote;
  keptFrom = from;
  keptTechnical = technical;
  keptStump = stump;
  keptParted = parted;
}

export function back(): void {
  at = kept;
  upto = kept;
  kind = keptKind;
  word = keptWord;
  quote = keptQuote;
  from = keptFrom;
  technical = keptTechnical;
  stump = keptStump;
  parted = keptParted;
}

// @ts-ignore: decorator
@inline
function peek(offset: usize): u32 {
  return at + offset < end ? <u32>load<u8>(at + offset) : 0;
}

// @ts-ignore: decorator
@inline
export function isDigit(byte: u32): bool {
  return byte - 0x30 < 10;
}

// @ts-ignore: decorator
@inline
export function isWordByte(byte: u32): bool {
  return wordByte(byte) != 0;
}

function isHexDigit(byte: u32): bool {
  return byte - 0x30 < 10 || (byte | 0x20) - 0x61 < 6;
}

/** Goes to the next token. */
export function next(): void {
  parted = false;
  technical = false;
  stump = false;
  word = 0;
  for (;;) {
    if (at >= end) {
      from = at;
      upto = at;
      kind = END;
      return;
    }
    from = at;
    const byte = <u32>load<u8>(at);
    // White space; control bytes between words are passed over by one server or another.
    if (byte <= 0x20 || byte == 0x7f || byte == 0xa0) {
      at++;
      continue;
    }
    if (byte == 0xc2 && peek(1) == 0xa0) {
      at += 2;
      continue;
    }
    if (byte == 0x2d && peek(1) == 0x2d && dashComment()) {
      if (lineComment(byte)) return;
      continue;
    }
    if (byte == 0x23) {
      if (lineComment(byte)) return;
      continue;
    }
    if (byte == 0x2f && peek(1) == 0x2a) {
      if (blockComment()) return;
      continue;
    }
    if (byte == 0x2a && peek(1) == 0x2f && peek(2) != 0x2a) {
      // Ends a comment that the server runs, or one that the template had begun.
      at += 2;
      parted = true;
      continue;
    }
    kind = token(byte);
    upto = at;
    return;
  }
}

function dashComment(): bool {
  if (dashes) return true;
  const byte = peek(2);
  return byte <= 0x20 || byte == 0xa0;
}

/** True when the comment hides the rest; otherwise it was white space. */
function lineComment(mark: u32): bool {
  const start = at;
  while (at < end && load<u8>(at) != 0x0a) at++;
  if (at < end && hasMore(at)) {
    parted = true;
    return false;
  }
  return hides(start, mark);
}

function hides(start: usize, mark: u32): bool {
  from = start;
  at = end;
  upto = end;
  kind = COMMENT;
  quote = mark;
  return true;
}

/** False when only white space is left. */
function hasMore(place: usize): bool {
  while (place < end && load<u8>(place) <= 0x20) place++;
  return place < end;
}

function blockComment(): bool {
  const start = at;
  // `/*!50000 x*/` and MariaDB's `/*M!x*/`: x is code. A space behind the mark is a licence notice, not code.
  let mark = at + 2;
  if (mark < end && (load<u8>(mark) | 0x20) == 0x6d) mark++;
  if (mark < end && load<u8>(mark) == 0x21) {
    mark++;
    let digits = 0;
    while (mark < end && digits < 6 && isDigit(<u32>load<u8>(mark))) {
      mark++;
      digits++;
    }
    if (mark < end && (digits > 0 || isWordByte(<u32>load<u8>(mark)))) {
      at = mark;
      versioned = true;
      parted = true;
      return false;
    }
  }
  at += 2;
  while (at < end) {
    const byte = load<u8>(at);
    // `/*/*/` is a row of stars in a source text.
    if (byte == 0x2f && peek(1) == 0x2a && (peek(2) != 0x2f || at > start + 2)) nested = true;
    if (byte == 0x2a && peek(1) == 0x2f) {
      at += 2;
      if (!hasMore(at)) return hides(start, 0x2a);
      parted = true;
      return false;
    }
    at++;
  }
  return hides(start, 0x2a);
}

function one(token: u32): u32 {
  at++;
  return token;
}

function operator(bytes: usize, sort: u32): u32 {
  at += bytes;
  word = sort;
  return OPERATOR;
}

function token(byte: u32): u32 {
  if (isDigit(byte)) return number();
  if (isWordByte(byte)) return name();
  const second = peek(1);
  switch (byte) {
    case 0x22: // "
    case 0x27: // '
      return text(byte);
    case 0x60: // `
      technical = true;
      closing(byte);
      return NAME;
    case 0x28:
      return one(LEFT);
    case 0x29:
      return one(RIGHT);
    case 0x2c:
      return one(COMMA);
    case 0x3b:
      return one(SEMICOLON);
    case 0x7b:
      return one(LEFT_BRACE);
    case 0x7d:
      return one(RIGHT_BRACE);
    case 0x2e: // .
      if (isDigit(second) && !(kind == NAME && touches())) return number();
      return one(DOT);
    case 0x5b: // [
      return bracket();
    case 0x40: // @, and PostgreSQL's @> of JSON and arrays
      return second == 0x3e ? operator(2, COMPARISON) : variable();
    case 0x5c: // \
      return backslash();
    case 0x3a: // :
      if (second == 0x3a) return operator(2, CAST);
      if (second == 0x3d) return operator(2, COMPARISON);
      return one(COLON);
    case 0x2b:
      return operator(1, SIGN);
    case 0x2d:
      // -> and ->> of JSON, which take a path in quotes
      if (second == 0x3e && (peek(2) == 0x27 || (peek(2) == 0x3e && peek(3) == 0x27))) {
        return operator(peek(2) == 0x3e ? 3 : 2, ARITHMETIC);
      }
      return operator(1, SIGN);
    case 0x2a:
      return operator(1, STAR);
    case 0x2f:
      return operator(1, ARITHMETIC);
    case 0x25:
    case 0x5e:
      return operator(1, ODD);
    case 0x7e: // ~ and PostgreSQL's ~*
      return operator(second == 0x2a ? 2 : 1, TILDE);
    case 0x26: // &
      return second == 0x26 ? operator(2, BOTH) : operator(1, AMPERSAND);
    case 0x7c: // |
      return second == 0x7c ? operator(2, PIPES) : operator(1, ODD);
    case 0x3d: // = ==
      return operator(second == 0x3d ? 2 : 1, COMPARISON);
    case 0x3c: // < <= <> <=> <<
      if (second == 0x3d) return operator(peek(2) == 0x3e ? 3 : 2, COMPARISON);
      if (second == 0x3c) return operator(2, ODD);
      return operator(second == 0x3e ? 2 : 1, COMPARISON);
    case 0x3e: // > >= >>
      if (second == 0x3e) return operator(2, ODD);
      return operator(second == 0x3d ? 2 : 1, COMPARISON);
    case 0x21: // ! != !< !> !~
      if (second == 0x3d || second == 0x3c || second == 0x3e) return operator(2, COMPARISON);
      return operator(1, BANG);
    default:
      return one(JUNK);
  }
}

/** No white space before the current place. */
function touches(): bool {
  return at > begin && load<u8>(at - 1) > 0x20;
}

/** Passes a quoted run; false when the quote is not closed. A doubled quote stands for itself. */
function closing(mark: u32): bool {
  at++;
  while (at < end) {
    const byte = <u32>load<u8>(at);
    at++;
    if (byte == 0x5c && escapes && mark != 0x60) {
      if (at < end) at++;
    } else if (byte == mark) {
      if (at < end && <u32>load<u8>(at) == mark) at++;
      else return true;
    }
  }
  return false;
}

function text(mark: u32): u32 {
  quote = mark;
  return closing(mark) ? STRING : OPEN_STRING;
}

function bracket(): u32 {
  // [name] is a name in SQL Server; anything else in brackets is none of ours.
  let place = at + 1;
  while (place < end && (isWordByte(<u32>load<u8>(place)) || load<u8>(place) == 0x20)) place++;
  if (place < end && load<u8>(place) == 0x5d && place > at + 1) {
    at = place + 1;
    technical = true;
    return NAME;
  }
  return one(JUNK);
}

function variable(): u32 {
  at++;
  systemVariable = peek(0) == 0x40;
  if (systemVariable) {
    at++;
    systemVariable = isWordByte(peek(0));
  }
  const byte = peek(0);
  if (byte == 0x60 || ((byte == 0x27 || byte == 0x22) && peek(1) != byte)) closing(byte);
  else while (at < end && (isWordByte(<u32>load<u8>(at)) || load<u8>(at) == 0x23)) at++;
  return VARIABLE;
}

function backslash(): u32 {
  // \N is NULL in MySQL. In SQL Server a backslash is an amount of money, alone or before digits.
  const second = peek(1);
  if (second == 0x4e && !isWordByte(peek(2))) {
    at += 2;
    return NUMBER;
  }
  while (at < end && load<u8>(at) == 0x5c) at++;
  if (isDigit(peek(0))) return number();
  const start = at;
  if (!isWordByte(peek(0)) || followsOperand(scanWord())) {
    at = start;
    return NUMBER;
  }
  return NAME;
}

/** Whether the byte here goes on a word: a no-break space does not, in Latin-1 or UTF-8. */
function inWord(byte: u32): bool {
  if (!isWordByte(byte)) return false;
  return !(byte == 0xa0 && load<u8>(at - 1) < 0x80) && !(byte == 0xc2 && peek(1) == 0xa0);
}

/** Passes a run of word bytes; gives its kind. */
function scanWord(): u32 {
  const start = at;
  let hash = HASH_START;
  let least: u32 = 0xff;
  while (at < end) {
    const byte = wordByte(<u32>load<u8>(at));
    if (byte == 0 || (byte >= 0xa0 && !inWord(byte))) break;
    hash = extend(hash, byte);
    least = min(least, byte);
    at++;
  }
  // Digits, $ and _ lie below the small letters.
  if (least < 0x60) technical = true;
  return sqlWord(hash, start, <i32>(at - start));
}

/** Words that a number may touch: `1union select`, `1or 1=1`. AND to INTO, and what ends or continues a statement. */
function followsOperand(sort: u32): bool {
  return (sort >= 1 && sort <= 9) || (sort >= 11 && sort <= 23);
}

function number(): u32 {
  let whole = true;
  const second = peek(1) | 0x20;
  if (load<u8>(at) == 0x30 && (second == 0x78 || (second == 0x62 && peek(2) - 0x30 < 2))) {
    at += 2;
    while (at < end && isHexDigit(<u32>load<u8>(at))) at++;
  } else {
    while (isDigit(peek(0))) at++;
    if (peek(0) == 0x2e) {
      at++;
      whole = false;
      while (isDigit(peek(0))) at++;
    }
    if ((peek(0) | 0x20) == 0x65) {
      const sign = peek(1);
      const digit: usize = sign == 0x2b || sign == 0x2d ? 2 : 1;
      if (isDigit(peek(digit))) {
        at += digit;
        whole = false;
        while (isDigit(peek(0))) at++;
      } else if (!isWordByte(sign)) {
        at++;
        stump = true;
        whole = false;
      }
    }
  }
  if (!inWord(peek(0))) return NUMBER;
  const start = at;
  const was = technical;
  if (followsOperand(scanWord()) || !whole) {
    at = start;
    technical = was;
    return NUMBER;
  }
  // Oracle: 1d and 1f are numbers, `1dunion`.
  const suffix = <u32>load<u8>(start) | 0x20;
  if (suffix == 0x64 || suffix == 0x66) {
    const stop = at;
    at = start + 1;
    if (at == stop || followsOperand(scanWord())) {
      at = start + 1;
      technical = was;
      return NUMBER;
    }
    at = stop;
  }
  technical = true;
  return NAME;
}

function name(): u32 {
  const start = at;
  const first = <u32>load<u8>(at);
  if (first == 0x24) {
    const dollar = dollarString();
    if (dollar != 0) return dollar;
  }
  word = scanWord();
  const byte = peek(0);
  if (byte == 0x27 || byte == 0x22) {
    // N'..' X'..' B'..' E'..' Q'[..]' and MySQL's _utf8'..'
    const length = at - start;
    const letter = first | 0x20;
    if ((length == 1 && byte == 0x27 && prefixes(letter)) || (first == 0x5f && length > 2)) {
      word = 0;
      const close = at;
      const literal = letter != 0x71 ? text(byte) : searches > 0 ? oracleQuote() : OPEN_STRING;
      if (literal == STRING) return literal;
      at = close; // not closed, so that the letter is a name: `the '-x' flag`
      return NAME;
    }
  }
  return word == WORD_NAME ? NAME : WORD;
}

function prefixes(letter: u32): bool {
  return letter == 0x6e || letter == 0x78 || letter == 0x62 || letter == 0x65 || letter == 0x71;
}

/** Oracle's q'[it's]'. */
function oracleQuote(): u32 {
  quote = 0x27;
  let close = peek(1);
  if (close == 0x5b || close == 0x7b || close == 0x3c) close += 2;
  else if (close == 0x28) close = 0x29;
  at += 2;
  while (at < end) {
    if (<u32>load<u8>(at) == close && peek(1) == 0x27) {
      at += 2;
      return STRING;
    }
    at++;
  }
  searches--;
  at = end;
  return OPEN_STRING;
}

/** PostgreSQL's $tag$..$tag$ and $1.50; 0 when it is neither. */
function dollarString(): u32 {
  if (isDigit(peek(1))) {
    at++;
    while (isDigit(peek(0)) || peek(0) == 0x2e || peek(0) == 0x2c) at++;
    return NUMBER;
  }
  let place = at + 1;
  while (place < end && load<u8>(place) != 0x24 && isWordByte(<u32>load<u8>(place))) place++;
  if (place >= end || load<u8>(place) != 0x24 || place - at > 32 || searches <= 0) return 0;
  const tag = place + 1 - at;
  // Only `$` at each byte starts a comparison, and a tag is at most 33 bytes: linear.
  for (let close = place + 1; close + tag <= end; close++) {
    if (load<u8>(close) != 0x24) continue;
    if (memory.compare(close, at, tag) == 0) {
      at = close + tag;
      quote = 0x24;
      return STRING;
    }
  }
  searches--;
  return 0;
}
