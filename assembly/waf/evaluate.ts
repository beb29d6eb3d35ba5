// Rules in their order: which match, what that sets, and what it decides. Semantics are those of ModSecurity v2.9; SPEC
// marks what is not obvious. The scan has run: a rule whose matcher hit nothing is passed over at once.
import { fail, failure, mark, release, spend } from '../arena';
import {
  MODE_ENFORCE,
  MODE_LOG,
  REASON_NONE,
  REASON_QUARANTINE,
  REASON_WAF,
  RESULT_WAF_PROGRAM,
  RESULT_WAF_RUNNING,
} from '../abi';
import { programValue, run } from '../expression';
import { getResult, setResult } from '../result';
import {
  ACTION_KIND,
  ACTION_NAME,
  ACTION_ROW_WORDS,
  ACTION_SLOT,
  ACTION_VALUE,
  CTL_ENGINE,
  CTL_FORCE_BODY,
  CTL_PROCESSOR,
  CTL_REMOVE,
  CTL_REQUEST_BODY,
  CTL_RESPONSE_BODY,
  DISRUPTIVE_ALLOW,
  DISRUPTIVE_MASK,
  DISRUPTIVE_PASS,
  ENGINE_OFF,
  ENGINE_ON,
  LINK_ACTIONS,
  LINK_ARGUMENT,
  LINK_CAPTURE,
  LINK_EXPRESSION,
  LINK_FIRST_ACTION,
  LINK_LOGDATA,
  LINK_MULTI_MATCH,
  LINK_NEGATED,
  LINK_OPERATOR,
  LINK_PIPELINE,
  LINK_SCANNED,
  LINK_TARGETS,
  NONE,
  OPERATOR_NO_MATCH,
  PIPELINE_ROW_WORDS,
  PROGRAM_FLAG_MATCHED,
  RULE_BITS,
  RULE_BIT_LOG,
  RULE_FIRST_LINK,
  RULE_LINKS,
  RULE_NEXT,
  RULE_QUICK,
  RULE_SEVERITY,
  RULE_STATUS,
  SETVAR_ADD,
  SETVAR_SET,
  SETVAR_SUBTRACT,
  SETVAR_UNSET,
  VARIABLE_REMOTE_ADDR,
  VARIABLE_RESPONSE_BODY,
  WAF_PHASE_5,
} from './abi';
import { setProcessor } from './body/body';
import { dropValues } from './collections';
import { addEvent } from './events';
import { expand, textAt, textLength } from './macro';
import { addMatched, clearMatched, forgetMatched } from './matched';
import { capture, keepCaptures, matches } from './operate';
import { toInteger } from './operator';
import { actions, flags, image, linkAt, phaseFirst, phaseRules, pipelines, ruleAt, transforms, word } from './program';
import { hasHeld, HELD_BACK, HELD_NOT, heldRule } from './quarantine';
import { hasHit, hitAnywhere, hitAt, hitsOf } from './scan';
import * as state from './state';
import * as target from './targets';
import { outAt, outLength, transform } from './transform/transform';
import * as tx from './tx';

/** The rule that decided, -1 for none; DISRUPTIVE_*; the phase. */
export let decidedRule: i32 = -1;
export let decided: i32 = DISRUPTIVE_PASS;
export let decidedPhase: i32 = 0;
/** Values that a rule with all its links matched and logs, over the phases of this call. */
export let matchCount: i32 = 0;

let phase: i32 = 0;
let ruleIndex: i32 = 0;
let intercepted: bool = false; // this rule has decided
let held: bool = false; // a rule of this program is switched off

export function startEvaluation(): void {
  decidedRule = -1;
  decided = DISRUPTIVE_PASS;
  decidedPhase = 0;
  matchCount = 0;
  held = hasHeld(image, getResult(RESULT_WAF_PROGRAM));
  forgetMatched();
}

/** Runs the rules of a phase, 1 to 5. */
export function runPhase(number: i32): void {
  phase = number;
  intercepted = false;
  const first = phaseFirst(number);
  const end = first + phaseRules(number);
  for (let i = first; i < end; ) {
    if (state.engine == ENGINE_OFF) return;
    const rule = ruleAt(i);
    const quick = word(rule, RULE_QUICK);
    if ((quick != 0 && !hasHit(quick - 1)) || state.isRemoved(i)) {
      i++;
      continue;
    }
    if (held) {
      const how = heldRule(image, getResult(RESULT_WAF_PROGRAM), i);
      if (how == HELD_BACK) {
        fail(REASON_QUARANTINE);
        return;
      }
      if (how != HELD_NOT) {
        i++;
        continue;
      }
    }
    // For the host, should this be the last that it hears of the call.
    setResult(RESULT_WAF_RUNNING, i);
    const matched = runRule(rule, i);
    if (failure() != REASON_NONE || intercepted) return;
    i = matched ? word(rule, RULE_NEXT) : i + 1;
  }
}

/** True when all links match. */
function runRule(rule: usize, index: i32): bool {
  ruleIndex = index;
  clearMatched();
  tx.clearPinned();
  const start = mark();
  const links = word(rule, RULE_LINKS);
  let matched = true;
  for (let i = 0; i < links && matched && !intercepted; i++) {
    matched = runLink(rule, linkAt(word(rule, RULE_FIRST_LINK) + i), i == 0, i == links - 1);
    if (failure() != REASON_NONE) return false;
  }
  keepCaptures(start);
  // What is above the mark is gone: transformed values, and with them what MATCHED_VAR says. Rules that read it across
  // rules are rare, and then the program says so.
  if (!tx.pinned && (flags & PROGRAM_FLAG_MATCHED) == 0) {
    forgetMatched();
    release(start);
  }
  return matched;
}

function runLink(rule: usize, link: usize, first: bool, last: bool): bool {
  const bits = word(link, LINK_OPERATOR);
  const negated = (bits & LINK_NEGATED) != 0;
  if ((bits & LINK_EXPRESSION) != 0) {
    if (!spend(1) || !run(image, word(link, LINK_ARGUMENT)) || (programValue() != 0) == negated) return false;
    return act(rule, link, last, 0, 0, 0) || giveUp();
  }
  // SPEC: SecAction looks at REMOTE_ADDR and always matches.
  if (word(link, LINK_TARGETS) == 0) {
    target.noTarget(VARIABLE_REMOTE_ADDR);
    return (bits & 0xff) != OPERATOR_NO_MATCH && (act(rule, link, last, 0, 0, 0) || giveUp());
  }
  const pipeline = pipelines + <usize>word(link, LINK_PIPELINE) * (PIPELINE_ROW_WORDS * 4);
  const count = word(pipeline, 1);
  const multi = (bits & LINK_MULTI_MATCH) != 0 && count > 0;
  const scanned = (bits & LINK_SCANNED) != 0;
  const matcher = word(link, LINK_ARGUMENT);
  let any = false;
  // SPEC: what is removed by id, tag or message is removed from the rule that has them: the first link.
  target.startTargets(link, first ? ruleIndex : -1);
  while (target.nextTarget()) {
    if (!spend(1)) return false;
    let known = false; // whether the operator has answered already
    if (scanned) {
      const hits = hitsOf(target.record, target.named);
      const hit = multi ? hitAnywhere(hits, matcher) : hitAt(hits, matcher, word(pipeline, 2));
      if (multi ? !hit && !negated : hit == negated) continue;
      known = !multi;
    }
    const before = mark();
    let at = target.at;
    let length = target.length;
    let matched = false;
    let changed = true; // SPEC: multiMatch asks before the first transformation and after each one that changes the value
    for (let i = 0; i <= count; i++) {
      if (multi ? changed : i == count) {
        const hit = known || matches(link, at, length) != negated;
        if (failure() != REASON_NONE) return false;
        if (hit) {
          matched = true;
          any = true;
          if (!act(rule, link, last, at, length, i)) return giveUp();
          if (intercepted) return true;
        }
      }
      if (i == count) break;
      if (!transform(load<i32>(transforms + (<usize>(word(pipeline, 0) + i) << 2)), at, length)) return giveUp();
      changed = outAt != at || outLength != length;
      at = outAt;
      length = outLength;
    }
    if (!matched) release(before);
  }
  return any;
}

/** A match that could not be followed is no mismatch: the call ends as `limit`, also where nobody has said why. */
function giveUp(): bool {
  if (failure() == REASON_NONE) fail(REASON_WAF);
  return false;
}

/** A link matched a value: everything that follows from it. False when a limit was hit. */
function act(rule: usize, link: usize, last: bool, at: usize, length: i32, steps: i32): bool {
  const bits = word(link, LINK_OPERATOR);
  if (!addMatched(target.matchedVariable(), target.counted, target.keyAt, target.keyLength, at, length)) return false;
  if ((bits & (LINK_CAPTURE | LINK_NEGATED)) == LINK_CAPTURE && !capture(link, at, length)) return false;
  if (last) state.raiseSeverity(word(rule, RULE_SEVERITY));
  const first = word(link, LINK_FIRST_ACTION);
  const count = word(link, LINK_ACTIONS);
  for (let i = 0; i < count; i++) {
    if (!perform(actions + <usize>(first + i) * (ACTION_ROW_WORDS * 4))) return false;
  }
  if (!last) return true;
  const disruptive = word(rule, RULE_BITS) & DISRUPTIVE_MASK;
  const deciding = disruptive != DISRUPTIVE_PASS && state.engine == ENGINE_ON && phase != 5;
  if ((word(rule, RULE_BITS) & RULE_BIT_LOG) != 0 || deciding) {
    matchCount++;
    if (!addEvent(ruleIndex, phase, deciding ? MODE_ENFORCE : MODE_LOG, steps)) return false;
  }
  if (!deciding) return true;
  intercepted = true;
  if (disruptive >= DISRUPTIVE_ALLOW) {
    state.setAllowed(disruptive);
    return true;
  }
  decided = disruptive;
  decidedRule = ruleIndex;
  decidedPhase = phase;
  return true;
}

/** A setvar or a ctl. */
function perform(action: usize): bool {
  const kind = word(action, ACTION_KIND);
  const value = word(action, ACTION_VALUE);
  if (kind <= SETVAR_UNSET) {
    const before = mark();
    if (!setVariable(action, kind, value)) return false;
    release(before); // what macros made: variables have copies
    return true;
  }
  switch (kind) {
    case CTL_ENGINE:
      state.setEngine(value);
      break;
    case CTL_REMOVE:
      state.activate(value);
      break;
    case CTL_PROCESSOR:
      state.setProcessorChoice(value);
      return setProcessor(value);
    case CTL_FORCE_BODY:
      state.setForceBody(value != 0);
      break;
    case CTL_REQUEST_BODY:
      state.setBodyAccess(value != 0);
      break;
    case CTL_RESPONSE_BODY:
      state.setResponseAccess(value != 0);
      // Phase 4 is judged in the same call as phase 3.
      if (value == 0) dropValues(VARIABLE_RESPONSE_BODY);
      break;
  }
  return true;
}

function setVariable(action: usize, kind: i32, value: i32): bool {
  const slot = word(action, ACTION_SLOT);
  let cell: usize = 0;
  if (slot != <i32>NONE) cell = tx.slotCell(slot);
  else {
    if (!expand(word(action, ACTION_NAME))) return false;
    cell = tx.namedCell(textAt, textLength, kind != SETVAR_UNSET);
    if (cell == 0) return kind == SETVAR_UNSET && failure() == REASON_NONE;
  }
  if (kind == SETVAR_UNSET) {
    tx.unsetCell(cell);
    return true;
  }
  if (!expand(value)) return false;
  if (kind == SETVAR_SET) return tx.setCell(cell, textAt, textLength);
  const change = toInteger(textAt, textLength);
  let number = tx.isSet(cell) ? toInteger(tx.cellAt(cell), tx.cellLength(cell)) : 0;
  number = kind == SETVAR_ADD ? number + change : number - change;
  // SPEC: counters never go below zero.
  return tx.setCellNumber(cell, <i32>max<i64>(0, min<i64>(number, i32.MAX_VALUE)));
}
