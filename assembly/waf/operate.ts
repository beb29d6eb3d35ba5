// Asking one operator about one value, and what it captures.
import { alloc, mark, outlives, release, room } from '../arena';
import { REGEX_UNSET } from '../regex/abi';
import { listAt } from '../cidr';
import { regexAt } from '../regexes';
import {
  LINK_ARGUMENT,
  LINK_NUMBER,
  LINK_OPERATOR,
  MATCHER_SET_BYTES,
  MATCHER_SQLI,
  MATCHER_XSS,
  MAX_CAPTURES,
  OPERATOR_BEGINS_WITH,
  OPERATOR_CONTAINS,
  OPERATOR_CONTAINS_WORD,
  OPERATOR_ENDS_WITH,
  OPERATOR_IP_MATCH,
  OPERATOR_LAST_MATCHER,
  OPERATOR_NO_MATCH,
  OPERATOR_STREQ,
  OPERATOR_STR_MATCH,
  OPERATOR_UNCONDITIONAL_MATCH,
  OPERATOR_VALIDATE_BYTE_RANGE,
  OPERATOR_VALIDATE_URL_ENCODING,
  OPERATOR_VALIDATE_UTF8_ENCODING,
  OPERATOR_VERIFY_CC,
  OPERATOR_WITHIN,
  PROGRAM_FLAG_CAPTURES,
} from './abi';
import { cardAt, cardLength, verifyCC } from './card';
import { detectSql, fingerprintAt, fingerprintLength } from './detect/sql';
import { detectXss } from './detect/xss';
import { expand, textAt, textLength } from './macro';
import { captures, match } from './match';
import * as operator from './operator';
import { flags, image, setAt, setFirst, setOf, word, words } from './program';
import * as tx from './tx';

const APPLICABLE = memory.data(MATCHER_SET_BYTES, 16);
const HITS = memory.data(MATCHER_SET_BYTES, 16);

let captured: bool = false;

/** What the operator of a link says about a value, `!` aside. False also where a limit was hit: see failure(). */
export function matches(link: usize, at: usize, length: i32): bool {
  const bits = word(link, LINK_OPERATOR);
  const argument = word(link, LINK_ARGUMENT);
  const id = bits & 0xff;
  if (id <= OPERATOR_LAST_MATCHER) return find(argument, at, length);
  switch (id) {
    case OPERATOR_UNCONDITIONAL_MATCH:
      return true;
    case OPERATOR_NO_MATCH:
      return false;
    case OPERATOR_IP_MATCH:
      return operator.ipMatch(at, length, listAt(image, argument));
    case OPERATOR_VALIDATE_BYTE_RANGE:
      return operator.validateByteRange(at, length, words + (<usize>argument << 2));
    case OPERATOR_VALIDATE_URL_ENCODING:
      return operator.validateUrlEncoding(at, length);
    case OPERATOR_VALIDATE_UTF8_ENCODING:
      return operator.validateUtf8Encoding(at, length);
    case OPERATOR_VERIFY_CC:
      return verifyCC(regexAt(image, argument), at, length);
  }
  if ((bits & LINK_NUMBER) != 0) return operator.compare(id, operator.toInteger(at, length), <i64>argument);
  if (!expand(argument)) return false;
  switch (id) {
    case OPERATOR_STREQ:
      return operator.streq(at, length, textAt, textLength);
    case OPERATOR_CONTAINS:
    case OPERATOR_STR_MATCH:
      return operator.contains(at, length, textAt, textLength);
    case OPERATOR_CONTAINS_WORD:
      return operator.containsWord(at, length, textAt, textLength);
    case OPERATOR_BEGINS_WITH:
      return operator.beginsWith(at, length, textAt, textLength);
    case OPERATOR_ENDS_WITH:
      return operator.endsWith(at, length, textAt, textLength);
    case OPERATOR_WITHIN:
      return operator.within(at, length, textAt, textLength);
  }
  return operator.compare(id, operator.toInteger(at, length), operator.toInteger(textAt, textLength));
}

/** One matcher over one value that the scan did not see. */
function find(matcher: i32, at: usize, length: i32): bool {
  if (matcher == MATCHER_SQLI) return detectSql(at, length);
  if (matcher == MATCHER_XSS) return detectXss(at, length);
  const set = setOf(matcher);
  if (set < 0) return false;
  const local = matcher - setFirst(set);
  const byte = <usize>(local >> 3);
  const bit = 1 << (local & 7);
  store<u8>(APPLICABLE + byte, bit);
  store<u8>(HITS + byte, 0);
  match(setAt(set), at, length, APPLICABLE, HITS);
  store<u8>(APPLICABLE + byte, 0);
  const hit = load<u8>(HITS + byte) != 0;
  store<u8>(HITS + byte, 0);
  return hit;
}

/** Sets TX.0 to TX.9 by what the operator of a link found in a value that it matches. */
export function capture(link: usize, at: usize, length: i32): bool {
  const id = word(link, LINK_OPERATOR) & 0xff;
  if (id > OPERATOR_LAST_MATCHER && id != OPERATOR_VERIFY_CC) return true;
  const matcher = word(link, LINK_ARGUMENT);
  captured = true;
  for (let i = 0; i < MAX_CAPTURES; i++) tx.unsetCell(tx.slotCell(i));
  if (id == OPERATOR_VERIFY_CC) {
    // It has just been found.
    tx.pointCell(tx.slotCell(0), cardAt, cardLength);
    return true;
  }
  if (matcher == MATCHER_SQLI) {
    detectSql(at, length);
    return tx.setCell(tx.slotCell(0), fingerprintAt, fingerprintLength);
  }
  if (matcher == MATCHER_XSS) {
    tx.pointCell(tx.slotCell(0), at, length);
    return true;
  }
  const set = setOf(matcher);
  const before = mark();
  const out = alloc(MAX_CAPTURES << 3);
  if (set < 0 || out == 0) return false;
  if (!captures(setAt(set), matcher - setFirst(set), at, length, out)) return true;
  let last = MAX_CAPTURES - 1;
  while (last > 0 && load<u32>(out + (<usize>last << 3)) == <u32>REGEX_UNSET) last--;
  for (let i = 0; i <= last; i++) {
    const start = load<u32>(out + (<usize>i << 3));
    const end = load<u32>(out + (<usize>i << 3), 4);
    // SAFETY: in an image that somebody damaged a group may end before it begins, or not at all (REGEX_UNSET, beyond any text).
    const unset = start == <u32>REGEX_UNSET || end < start || end > <u32>length;
    // SPEC: a group that took no part is empty where a later one took part, and not set otherwise.
    tx.pointCell(tx.slotCell(i), unset ? at : at + <usize>start, unset ? 0 : <i32>(end - start));
  }
  release(before);
  return true;
}

/** A rule has ended: what was captured may lie in memory that will be given back, down to `start`. */
export function keepCaptures(start: usize): void {
  if (!captured) return;
  captured = false;
  let total: usize = 0;
  for (let i = 0; i < MAX_CAPTURES; i++) {
    const cell = tx.slotCell(i);
    if (!tx.isSet(cell)) continue;
    // PERF: mostly the rule that captures is the only one that reads it.
    if ((flags & PROGRAM_FLAG_CAPTURES) == 0) tx.unsetCell(cell);
    else if (!outlives(tx.cellAt(cell), start)) total += <usize>tx.cellLength(cell);
  }
  if (total == 0) return;
  // Groups that overlap may be more than all that the rule has made: that is kept then.
  if (total > mark() - start || total + (MAX_CAPTURES << 3) > room()) return tx.pin();
  for (let i = 0; i < MAX_CAPTURES; i++) {
    const cell = tx.slotCell(i);
    if (tx.isSet(cell) && !outlives(tx.cellAt(cell), start) && !tx.setCell(cell, tx.cellAt(cell), tx.cellLength(cell))) return;
  }
}

export function startOperators(): void {
  captured = false;
}
