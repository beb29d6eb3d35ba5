// The rules of a policy at one stage: which match, what they do, and why.
import {
  ACTION_BLOCK,
  ACTION_CHARGE,
  ACTION_RATE,
  ACTION_REDIRECT,
  ACTION_SKIP,
  EFFECT_RULE,
  EFFECT_VALUE,
  GROUP_APP,
  MAX_COMPUTED_VALUE,
  MAX_EVIDENCE_VALUE,
  MAX_RULES,
  MAX_RULE_GROUPS,
  MODE_ENFORCE,
  MODE_LOG,
  OPERAND_WORDS,
  PHASE_INSPECTION,
  PHASE_RULES,
  PHASE_WAF,
  REASON_ARENA,
  REASON_NONE,
  RESULT_SKIPPED_PHASES,
  RESULT_TRUNCATED,
  RULE_ACTION,
  ROUTES_COUNT,
  RULE_CODE,
  RULE_GROUP,
  RULE_GROUP_END,
  RULE_MODE,
  RULE_OPERANDS,
  RULE_OPERAND_COUNT,
  RULE_PHASES,
  RULE_SKIPS,
  RULE_SKIP_COUNT,
  RULE_STAGE,
  RULE_WORDS,
  SECTION_GROUPS,
  SECTION_ROUTES,
  SECTION_RULES,
  STAGE_HEAD,
  STAGE_RESPONSE,
  STATE_AT,
  STATE_BITS,
  STATE_PHASES,
  STATE_RULES,
  TYPE_BOOL,
  TYPE_STRING,
  VALUE_HEADER,
  VALUE_KEY,
  VALUE_LOCATION,
} from './abi';
import { fail, failure, mark, release, spend } from './arena';
import { evidenceField, evidenceSecret, evidenceText, programValue, run } from './expression';
import { forgetKept, kept } from './fields';
import { sectionAt, sectionLength } from './image';
import { addEffect, evidenceRoom, getResult, setResult, setStateLength, skipPhases, terminate } from './result';
import { routeIndex } from './route';
import { atOf, lengthOf } from './values';
import { programCount, programType } from './verify';

const REDACTED = memory.data<u8>([0x5b, 0x72, 0x65, 0x64, 0x61, 0x63, 0x74, 0x65, 0x64, 0x5d]); // [redacted]

// @ts-ignore: decorator
@inline
function ruleAt(section: usize, index: i32): usize {
  return section + 8 + <usize>index * (RULE_WORDS * 4);
}
// @ts-ignore: decorator
@inline
function field(rule: usize, word: i32): i32 {
  return load<i32>(rule + (<usize>word << 2));
}

/**
 * Runs the rules of one STAGE_* in order, until one terminates. Fields must have been started for this call. The
 * transaction state at STATE_AT, of which the host gave back `stateLength` bytes, is read at later stages and left for the next.
 */
export function runStage(image: usize, stage: i32, stateLength: i32): void {
  if (sectionLength(image, SECTION_RULES) == 0) return;
  const section = sectionAt(image, SECTION_RULES);
  const count = load<i32>(section);
  openState(count, stage == STAGE_HEAD ? 0 : stateLength);
  skipPhases(load<i32>(STATE_AT, STATE_PHASES));
  const group = groupOf(image, stage);
  for (let i = 0; i < count; i++) {
    const rule = ruleAt(section, i);
    const gate = field(rule, RULE_GROUP);
    if (gate != 0 && gate != group) {
      // SAFETY: checkRules holds the end behind the rule.
      i = field(rule, RULE_GROUP_END) - 1;
      continue;
    }
    if (field(rule, RULE_STAGE) != stage) continue;
    if ((getResult(RESULT_SKIPPED_PHASES) & PHASE_RULES) != 0) break;
    if (isSkipped(i)) continue;
    const start = mark();
    forgetKept();
    const matched = spend(1) && run(image, field(rule, RULE_CODE)) && programValue() != 0;
    const ended = matched && failure() == REASON_NONE && act(image, section, rule, i);
    if (failure() != REASON_NONE) return;
    if (ended) break;
    // What a rule computed is gone with it, unless a field was worked out meanwhile that others will use.
    if (!kept) release(start);
  }
  store<i32>(STATE_AT, getResult(RESULT_SKIPPED_PHASES), STATE_PHASES);
}

/** The group of rules that holds for the route that matched: rules of groups are of stage head, by checkRules. */
function groupOf(image: usize, stage: i32): i32 {
  if (stage != STAGE_HEAD || sectionLength(image, SECTION_GROUPS) == 0) return GROUP_APP;
  // SAFETY: checkGroups holds the section at one byte a route.
  return routeIndex < 0 ? GROUP_APP : <i32>load<u8>(sectionAt(image, SECTION_GROUPS) + <usize>routeIndex);
}

/** Offset of the fault inside SECTION_GROUPS, or -1. */
export function checkGroups(image: usize): i32 {
  const length = sectionLength(image, SECTION_GROUPS);
  if (length == 0) return -1;
  const routes = sectionLength(image, SECTION_ROUTES) == 0 ? 0 : load<u32>(sectionAt(image, SECTION_ROUTES), ROUTES_COUNT * 4);
  return <u64>length == ((<u64>routes + 3) & ~3) ? -1 : 0;
}

/** Carries out a rule that matched; true when it ends the request. */
function act(image: usize, section: usize, rule: usize, index: i32): bool {
  const action = field(rule, RULE_ACTION);
  const mode = field(rule, RULE_MODE);
  const about = evidenceField;
  const room = evidenceRoom() > 0;
  if (about != 0 && evidenceSecret) {
    addEffect(EFFECT_RULE, index, mode, action, about, REDACTED, 10);
  } else {
    const value = about == 0 ? 0 : evidenceText();
    addEffect(EFFECT_RULE, index, mode, action, about, atOf(value), min(lengthOf(value), MAX_EVIDENCE_VALUE));
  }
  // A demand that is not recorded would not be made.
  if (action >= ACTION_RATE && !room) {
    fail(REASON_ARENA);
    return false;
  }
  // In mode log a rate counts all the same: what would have been refused is what the log is to say.
  if (mode != MODE_ENFORCE && action != ACTION_RATE) return false;
  if (action == ACTION_SKIP) {
    keepState(load<i32>(section));
    skipPhases(field(rule, RULE_PHASES));
    const skips = section + (<usize>field(rule, RULE_SKIPS) << 2);
    for (let i = 0; i < field(rule, RULE_SKIP_COUNT); i++) skipRule(load<i32>(skips + (<usize>i << 2)));
    return false;
  }
  const operands = section + (<usize>field(rule, RULE_OPERANDS) << 2);
  for (let i = 0; i < field(rule, RULE_OPERAND_COUNT); i++) {
    const operand = operands + <usize>i * (OPERAND_WORDS * 4);
    const has = run(image, load<i32>(operand, 8));
    if (failure() != REASON_NONE) return false;
    const kind = load<i32>(operand);
    if (!has) {
      // There is nowhere to go without a location. A header is set to nothing: were it left alone, the client could
      // choose it; what has no key is counted as one. A path or query that can't be computed stays as it is.
      if (kind == VALUE_LOCATION) return false;
      if (kind < VALUE_HEADER) continue;
    }
    const length = has ? lengthOf(programValue()) : 0;
    const before = getResult(RESULT_TRUNCATED);
    setResult(RESULT_TRUNCATED, 0);
    if (length <= MAX_COMPUTED_VALUE) {
      addEffect(EFFECT_VALUE, index, mode, kind, load<i32>(operand, 4), has ? atOf(programValue()) : operand, length);
    }
    // Half a location is a wrong one, so what does not fit ends the call as `limit`.
    if (length > MAX_COMPUTED_VALUE || getResult(RESULT_TRUNCATED) != 0) {
      fail(REASON_ARENA);
      return false;
    }
    setResult(RESULT_TRUNCATED, before);
  }
  if (action != ACTION_BLOCK && action != ACTION_REDIRECT) return false;
  terminate(action, index);
  return true;
}

function openState(count: i32, length: i32): void {
  const bytes = STATE_BITS + ((count + 7) >> 3);
  // State of another policy, or none, is no state. What the WAF has added stands behind.
  if (length < bytes || load<i32>(STATE_AT, STATE_RULES) != count) {
    memory.fill(STATE_AT, 0, <usize>bytes);
    store<i32>(STATE_AT, count, STATE_RULES);
    length = 0;
  }
  setStateLength(min(length, bytes));
}

/** Where the WAF's part of the transaction state begins. */
export function stateEnd(image: usize): i32 {
  const count = sectionLength(image, SECTION_RULES) == 0 ? 0 : load<i32>(sectionAt(image, SECTION_RULES));
  return (STATE_BITS + ((count + 7) >> 3) + 3) & ~3;
}

/** Without rules nothing has opened the state; before anything is added behind it. */
export function clearRulesState(image: usize): void {
  if (sectionLength(image, SECTION_RULES) == 0) memory.fill(STATE_AT, 0, STATE_BITS);
}

/** What was skipped has to be known at later stages. PERF: nothing was, mostly, and then there is no state to carry. */
function keepState(count: i32): void {
  setStateLength(STATE_BITS + ((count + 7) >> 3));
}

function isSkipped(index: i32): bool {
  return (load<u8>(<usize>(STATE_AT + STATE_BITS + (index >> 3))) & <u8>(1 << <u8>(index & 7))) != 0;
}
function skipRule(index: i32): void {
  const at = <usize>(STATE_AT + STATE_BITS + (index >> 3));
  store<u8>(at, load<u8>(at) | <u8>(1 << <u8>(index & 7)));
}

/** Offset of the fault inside SECTION_RULES, or -1. SECTION_CODE must have been checked before. */
export function checkRules(image: usize): i32 {
  const length = sectionLength(image, SECTION_RULES);
  if (length == 0) return -1;
  if (length < 8 || (length & 3) != 0) return 0;
  const section = sectionAt(image, SECTION_RULES);
  const words = <u32>length >> 2;
  const count = load<u32>(section);
  if (count > <u32>MAX_RULES || <u64>count * RULE_WORDS + 2 > <u64>words) return 0;
  let next = 2 + count * RULE_WORDS; // operands and skips stand in order, so that checking them is linear
  if (load<u32>(section, 4) != next) return 4;
  const programs = programCount(image);
  for (let i: u32 = 0; i < count; i++) {
    const rule = ruleAt(section, i);
    const fault = <i32>(rule - section);
    if (<u32>(field(rule, RULE_ACTION) - ACTION_BLOCK) > <u32>(ACTION_CHARGE - ACTION_BLOCK)) return fault;
    if (field(rule, RULE_MODE) != MODE_LOG && field(rule, RULE_MODE) != MODE_ENFORCE) return fault;
    if (<u32>field(rule, RULE_STAGE) > <u32>STAGE_RESPONSE) return fault;
    // At later stages nobody knows the route any more.
    const group = field(rule, RULE_GROUP);
    const end = <u32>field(rule, RULE_GROUP_END);
    if (group < 0 || group > MAX_RULE_GROUPS || end <= i || end > count) return fault;
    if (group != 0 && field(rule, RULE_STAGE) != STAGE_HEAD) return fault;
    if (<u32>field(rule, RULE_CODE) >= <u32>programs || programType(image, field(rule, RULE_CODE)) != TYPE_BOOL) return fault;
    if ((field(rule, RULE_PHASES) & ~(PHASE_INSPECTION | PHASE_RULES | PHASE_WAF)) != 0) return fault;
    if (<u32>field(rule, RULE_OPERANDS) != next) return fault;
    const operands = <u32>field(rule, RULE_OPERAND_COUNT);
    if (<u64>operands * OPERAND_WORDS + <u64>next > <u64>words) return fault;
    for (let j: u32 = 0; j < operands; j++) {
      const operand = section + (<usize>next << 2);
      const kind = load<u32>(operand) - VALUE_LOCATION;
      const program = load<u32>(operand, 8);
      if (kind > <u32>(VALUE_KEY - VALUE_LOCATION) || program >= <u32>programs) return fault;
      if (programType(image, program) != TYPE_STRING) return fault;
      next += OPERAND_WORDS;
    }
    if (<u32>field(rule, RULE_SKIPS) != next) return fault;
    const skips = <u32>field(rule, RULE_SKIP_COUNT);
    if (<u64>skips + <u64>next > <u64>words) return fault;
    for (let j: u32 = 0; j < skips; j++) if (load<u32>(section + (<usize>(next++) << 2)) >= count) return fault;
  }
  return -1;
}
