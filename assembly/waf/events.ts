// Evidence: one EFFECT_WAF for each value that a rule matched, as far as there is room.
import { EFFECT_WAF, MAX_EVIDENCE_VALUE, RESULT_TRUNCATED } from '../abi';
import { alloc } from '../arena';
import { addEffect, evidenceRoom, setResult } from '../result';
import {
  EVENT_HEADER_BYTES,
  LINK_LOGDATA,
  MAX_EVENT_TEXT,
  MAX_WAF_EVENTS,
  NONE,
  RULE_BITS,
  RULE_BIT_LOG,
  RULE_FIRST_LINK,
  RULE_LINKS,
  RULE_MESSAGE,
} from './abi';
import { expand, textAt, textLength } from './macro';
import { fullNameLength, lastMatched, matchedAt, matchedLength, writeFullName } from './matched';
import { linkAt, ruleAt, ruleCount, word } from './program';

let events: i32 = 0;
let seen: usize = 0; // one bit for each rule

export function startEvents(): bool {
  events = 0;
  const bytes = (ruleCount + 7) >> 3;
  seen = alloc(bytes);
  if (seen == 0) return false;
  memory.fill(seen, 0, bytes);
  return true;
}

/** Records that a rule matched the value that matched last. False when the arena is exhausted. */
export function addEvent(rule: i32, phase: i32, mode: i32, steps: i32): bool {
  const cell = seen + <usize>(rule >> 3);
  const bit = 1 << (rule & 7);
  const first = (load<u8>(cell) & bit) == 0;
  store<u8>(cell, load<u8>(cell) | bit);
  // The last places are for rules that have no event yet: which rules matched is worth more than how often.
  if (events >= MAX_WAF_EVENTS || (!first && events >= MAX_WAF_EVENTS >> 1)) {
    setResult(RESULT_TRUNCATED, 1);
    return true;
  }
  events++;
  const row = ruleAt(rule);
  const entry = lastMatched();
  const name = min(fullNameLength(entry), MAX_EVIDENCE_VALUE);
  const matched = min(matchedLength(entry), MAX_EVIDENCE_VALUE);
  const record = alloc(EVENT_HEADER_BYTES + fullNameLength(entry) + MAX_EVIDENCE_VALUE + 2 * MAX_EVENT_TEXT);
  if (record == 0) return false;
  let to = record + EVENT_HEADER_BYTES;
  writeFullName(entry, to);
  to += <usize>name;
  memory.copy(to, matchedAt(entry), <usize>matched);
  to += <usize>matched;
  let message = 0;
  let logdata = 0;
  if (word(row, RULE_MESSAGE) != <i32>NONE) {
    if (!expand(word(row, RULE_MESSAGE))) return false;
    message = min(textLength, MAX_EVENT_TEXT);
    memory.copy(to, textAt, <usize>message);
    to += <usize>message;
  }
  // SPEC: the log data of a chain is that of its first rule.
  const data = word(linkAt(word(row, RULE_FIRST_LINK)), LINK_LOGDATA);
  if (data != <i32>NONE) {
    if (!expand(data)) return false;
    logdata = min(textLength, MAX_EVENT_TEXT);
    memory.copy(to, textAt, <usize>logdata);
    to += <usize>logdata;
  }
  store<u16>(record, <u16>name);
  store<u16>(record, <u16>matched, 2);
  store<u16>(record, <u16>message, 4);
  store<u16>(record, <u16>logdata, 6);
  let size = <i32>(to - record);
  // A record is whole or not there: the rule counts without it.
  if (size > evidenceRoom()) {
    setResult(RESULT_TRUNCATED, 1);
    size = 0;
  }
  const log = i32((word(row, RULE_BITS) & RULE_BIT_LOG) != 0);
  const last = word(row, RULE_FIRST_LINK) + word(row, RULE_LINKS) - 1;
  addEffect(EFFECT_WAF, rule, mode, phase | (log << 8) | (steps << 16), last, record, size);
  return true;
}
