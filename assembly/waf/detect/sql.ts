// Is a text a fragment of SQL that breaks out of the place it was meant for? A value may stand bare in a statement, or in
// single or double quotes; each of the three is judged (sql-judge.ts) by the tokens that follow. Structure decides, not
// words: `O'Brien and sons` has a name where SQL needs an operator, `select a size` has no SELECT's shape.
//
// Linear: at most three places with at most three readings each, every reading one pass that stops at the first token
// that fits no statement, which in ordinary text is the second word.
import { spend } from '../../arena';
import { findByte, findEither } from '../transform/bytes';
import { MARK_ALL, MARK_BACKSLASH, MARK_DASH, MARK_DOUBLE, MARK_PARTS, MARK_SINGLE, MARK_SLASH, marksIn, marksOf } from './bytes';
import { begins, kind, next, NUMBER, readBytes, STRING, VARIABLE, WORD, word } from './sql-lexer';
import {
  judgeBare,
  judgeQuoted,
  S_CLAUSE,
  S_COMMENT,
  S_COMPARISON,
  S_CONCATENATION,
  S_CONDITION,
  S_FUNCTION,
  S_NONE,
  S_STACKED,
  S_STATEMENT,
  S_SUBSELECT,
  S_UNION,
} from './sql-judge';
import { WORD_SELECT, WORD_UNION } from './sql-words';

/** What was found, such as `' condition`: the place (`'`, `"` or `=` for bare), a space and the structure. For TX.0. */
export const fingerprintAt: usize = memory.data(24);
export let fingerprintLength: i32 = 0;

/** Comments within comments whose next words are looked at; each look may go to the end of a line. */
const MAX_NESTED: i32 = 8;

/** True when the text is an attack by its structure; `fingerprintAt` then names it. False too when the budget is spent. */
export function detectSql(at: usize, length: i32): bool {
  return judgeSql(at, length, length < 3 ? 0 : marksOf(at, length));
}

/** The same of a text whose presence bitmap is known. */
export function detectSqlKnown(at: usize, length: i32, bitmap: usize): bool {
  return judgeSql(at, length, length < 3 ? 0 : marksIn(bitmap));
}

function judgeSql(at: usize, length: i32, seen: u32): bool {
  fingerprintLength = 0;
  if (length < 3 || !spend(1 + (length >> 2))) return false;
  if (!mayBeSql(seen, at, length)) return false;
  return judgePlaces(at, length, seen);
}

/** `detectSql` that judges every place in every reading; for the test that what it leaves out changes no verdict. */
export function detectSqlSlowly(at: usize, length: i32): bool {
  fingerprintLength = 0;
  if (!spend(1 + (length >> 2))) return false;
  return mayBeSql(marksOf(at, length), at, length) && judgePlaces(at, length, MARK_ALL);
}

/** Words of SQL need something between them: a lone one, a number, a path or `choose-one-of-7` breaks out of nothing. */
function mayBeSql(seen: u32, at: usize, length: i32): bool {
  if ((seen & (MARK_PARTS | MARK_BACKSLASH)) != 0) return true;
  return (seen & MARK_DASH) != 0 && has(at, at + <usize>length, 0x2d, 0x2d);
}

/** Whether `first` stands right before `second` anywhere. */
function has(at: usize, end: usize, first: u32, second: u32): bool {
  for (at = findByte(at, end, first); at + 1 < end; at = findByte(at + 1, end, first)) if (<u32>load<u8>(at, 1) == second) return true;
  return false;
}

function judgePlaces(at: usize, length: i32, seen: u32): bool {
  const end = at + <usize>length;
  const touching = (seen & MARK_DASH) != 0 && touchingDashes(at, end);
  let found = bare(at, end, true);
  if (found == S_NONE && touching) found = bare(at, end, false);
  if (found != S_NONE) return tell(0x3d, found);
  if ((seen & MARK_SLASH) != 0 && nestedComment(at, end)) return tell(0x3d, S_COMMENT);
  if ((seen & MARK_SINGLE) != 0 && quoted(at, end, 0x27, touching, (seen & MARK_BACKSLASH) != 0)) return true;
  return (seen & MARK_DOUBLE) != 0 && quoted(at, end, 0x22, touching, (seen & MARK_BACKSLASH) != 0);
}

/** `--` with a word right behind it: a comment for all but MySQL, which subtracts a negative number. */
function touchingDashes(at: usize, end: usize): bool {
  for (at = findByte(at, end, 0x2d); at + 2 < end; at = findByte(at + 1, end, 0x2d)) {
    if (load<u8>(at, 1) == 0x2d && load<u8>(at, 2) > 0x20) return true;
  }
  return false;
}

function bare(at: usize, end: usize, everyDash: bool): u32 {
  begins(at, at, end, everyDash, true);
  return charged(judgeBare());
}

function quoted(at: usize, end: usize, mark: u32, touching: bool, backslash: bool): bool {
  const place = breakout(at, end, mark, true);
  let found: u32 = S_NONE;
  if (place != 0) {
    found = afterQuote(at, place, end, mark, true, true);
    if (found == S_NONE && touching) found = afterQuote(at, place, end, mark, false, true);
  }
  if (found == S_NONE && backslash) {
    // Without the backslash as an escape, as PostgreSQL, Oracle and SQL Server read it.
    const other = breakout(at, end, mark, false);
    if (other != 0) found = afterQuote(at, other, end, mark, true, false);
  }
  return found != S_NONE && tell(mark, found);
}

function afterQuote(at: usize, place: usize, end: usize, mark: u32, everyDash: bool, escapes: bool): u32 {
  begins(at, place, end, everyDash, escapes);
  return charged(judgeQuoted(mark, place, at));
}

/** Pays for a reading: up to 40 ns a byte, where it doesn't stop early. Nothing is found when that was too much. */
function charged(found: u32): u32 {
  return spend(readBytes() << 2) ? found : S_NONE;
}

/** Behind the first quote that ends a literal; 0 when none does. */
function breakout(at: usize, end: usize, mark: u32, escapes: bool): usize {
  for (at = findEither(at, end, mark, 0x5c); at < end; at = findEither(at, end, mark, 0x5c)) {
    const byte = <u32>load<u8>(at);
    at++;
    if (byte == mark) {
      if (at < end && <u32>load<u8>(at) == mark) at++;
      else return at;
    } else if (escapes && ++at > end) return 0;
  }
  return 0;
}

/**
 * A comment that begins again inside itself, with UNION or SELECT behind it: servers disagree where it ends, which is what
 * it is for. Looked for wherever it stands, so that a path in front of it hides nothing.
 */
function nestedComment(at: usize, end: usize): bool {
  let left = MAX_NESTED;
  while (left > 0 && at + 3 < end) {
    if (load<u8>(at) != 0x2f || load<u8>(at, 1) != 0x2a) {
      at++;
      continue;
    }
    at += 2;
    let again = false;
    while (at + 1 < end && !(load<u8>(at) == 0x2a && load<u8>(at, 1) == 0x2f)) {
      if (load<u8>(at) == 0x2f && load<u8>(at, 1) == 0x2a) again = true;
      at++;
    }
    at += 2;
    if (!again || at >= end) continue;
    left--;
    begins(at, at, end, true, true);
    next();
    if (kind == NUMBER || kind == VARIABLE || kind == STRING) next();
    if (kind == WORD && (word == WORD_UNION || word == WORD_SELECT)) return true;
  }
  return false;
}

function tell(place: u32, structure: u32): bool {
  store<u8>(fingerprintAt, <u8>place);
  store<u8>(fingerprintAt, 0x20, 1);
  const name = nameOf(structure);
  for (let i = 0; i < name.length; i++) store<u8>(fingerprintAt + 2 + <usize>i, <u8>name.charCodeAt(i));
  fingerprintLength = 2 + name.length;
  return true;
}

function nameOf(structure: u32): string {
  switch (structure) {
    case S_UNION:
      return 'union';
    case S_SUBSELECT:
      return 'sub-select';
    case S_FUNCTION:
      return 'function';
    case S_CONDITION:
      return 'condition';
    case S_COMPARISON:
      return 'comparison';
    case S_CONCATENATION:
      return 'concatenation';
    case S_COMMENT:
      return 'comment';
    case S_STACKED:
      return 'stacked statement';
    case S_STATEMENT:
      return 'statement';
    case S_CLAUSE:
      return 'clause';
    default:
      return 'versioned comment';
  }
}
