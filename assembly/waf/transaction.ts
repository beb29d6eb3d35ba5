// One call's part of a WAF transaction: values in, phases run, state out. The heads must have been filled into the
// collections (message.ts) between `beginTransaction` and `runTransaction`.
import {
  BODY_AT,
  MAX_BODY_BYTES,
  PHASE_WAF,
  REASON_ARENA,
  REASON_NONE,
  REASON_QUARANTINE,
  REASON_STEPS,
  REASON_WAF,
  RESULT_SKIPPED_PHASES,
  RESULT_WAF_ACTION,
  RESULT_WAF_LOCATION_AT,
  RESULT_WAF_LOCATION_LENGTH,
  RESULT_WAF_MATCHES,
  RESULT_WAF_PHASE,
  RESULT_WAF_PHASES,
  RESULT_WAF_PROGRAM,
  RESULT_WAF_RULE,
  RESULT_WAF_REASON,
  RESULT_WAF_STATE,
  RESULT_WAF_STATUS,
  STATE_AT,
  STATE_BYTES,
} from '../abi';
import { fail, failure, forgive, grant } from '../arena';
import { getResult, setResult, setStateLength } from '../result';
import {
  DISRUPTIVE_ALLOW,
  DISRUPTIVE_ALLOW_REQUEST,
  DISRUPTIVE_PASS,
  DISRUPTIVE_REDIRECT,
  NONE,
  LEFT_OUT_OF,
  PROGRAM_FLAG_RESPONSE,
  PROGRAM_LEFT_OUT_SHIFT,
  PROGRAM_LIMITS,
  RULE_LOCATION,
  RULE_STATUS,
  SCOPE_BODY,
  SCOPE_HEAD,
  SCOPE_REQUEST,
  SCOPE_RESPONSE,
  VARIABLE_INBOUND_DATA_ERROR,
  VARIABLE_OUTBOUND_DATA_ERROR,
  WAF_PHASE_1,
  WAF_PHASE_2,
  WAF_PHASE_3,
  WAF_PHASE_4,
  WAF_PHASE_5,
  WAF_STATE_FIXED_BYTES,
  WAF_STATE_MARK,
} from './abi';
import { processBody, setProcessor, startBody } from './body/body';
import { setNumber, startCollections } from './collections';
import { decided, decidedPhase, decidedRule, matchCount, runPhase, startEvaluation } from './evaluate';
import { startEvents } from './events';
import { expand, textAt, textLength } from './macro';
import { contentTypeAt, contentTypeLength, defaultProcessor } from './message';
import { startOperators } from './operate';
import { flags, openProgram, program, ruleAt, uses, word } from './program';
import { HELD_BACK, HELD_NOT, heldRule } from './quarantine';
import { scanAll, startScan } from './scan';
import * as state from './state';

let number: i32 = -1;
let offset: i32 = 0;
let overlooked: i32 = REASON_NONE;
let completed: bool = false; // the phases ran to their end

/**
 * Opens a program and its state, which stands at `stateOffset` of the transaction state of `stateLength` bytes. False when
 * there is nothing to judge or a limit was hit.
 */
export function beginTransaction(
  policy: usize,
  index: i32,
  ruleSets: usize,
  stateOffset: i32,
  stateLength: i32,
  seed: i32,
): bool {
  number = index;
  offset = stateOffset;
  overlooked = REASON_NONE;
  completed = false;
  setResult(RESULT_WAF_PROGRAM, index);
  if (!openProgram(policy, index, ruleSets)) {
    fail(REASON_WAF);
    return false;
  }
  if (isLeftOut(seed)) {
    setResult(RESULT_WAF_PROGRAM, -1);
    return false;
  }
  const how = heldRule(policy, index, -1);
  if (how != HELD_NOT) {
    if (how == HELD_BACK) fail(REASON_QUARANTINE);
    else setResult(RESULT_WAF_PROGRAM, -1);
    return false;
  }
  startCollections();
  startBody();
  startOperators();
  startEvaluation();
  if (!startEvents() || !state.startState()) return false;
  state.loadState(stateOffset, stateLength, index);
  return failure() == REASON_NONE;
}

/**
 * Runs those of the phases (WAF_PHASE_* bits) that have not run, in order, then phase 5 where nothing is to follow, or where
 * it is among them: nothing will. The body of the request is the window at BODY_AT, in phase 2, with `bodySize` bytes in
 * all; that of an answer has been filled in already. `truncated`: of either, as of the body call; `keep`: all of TX is left in
 * the state.
 */
export function runTransaction(phases: i32, hasBody: bool, bodyLength: i32, bodySize: i32, truncated: i32, keep: bool): void {
  const response = (flags & PROGRAM_FLAG_RESPONSE) != 0;
  // A phase that was not asked for in its time, as that of a body that nobody read, does not come any more.
  if ((phases & (WAF_PHASE_1 | WAF_PHASE_2)) == 0) state.setPhaseDone(WAF_PHASE_1 | WAF_PHASE_2);
  else if ((phases & WAF_PHASE_1) == 0) state.setPhaseDone(WAF_PHASE_1);
  phases &= ~state.phasesDone;
  const last = (phases & WAF_PHASE_5) != 0;
  let to = response ? WAF_PHASE_1 | WAF_PHASE_2 | WAF_PHASE_3 | WAF_PHASE_4 | WAF_PHASE_5 : WAF_PHASE_1 | WAF_PHASE_2 | WAF_PHASE_5;
  to &= ~state.phasesDone;
  phases &= to;
  const processor = state.processor >= 0 ? state.processor : defaultProcessor();
  if (!setProcessor(processor)) return;
  grant(min(max(bodyLength, 0), MAX_BODY_BYTES));
  const most = word(program, PROGRAM_LIMITS);
  if (hasBody && (truncated == 1 || bodyLength > most)) state.setInboundError();
  const answered = (phases & (WAF_PHASE_3 | WAF_PHASE_4)) != 0;
  const outboundError = answered && (truncated == 1 || bodyLength > word(program, PROGRAM_LIMITS + 1));
  // SPEC: they are 0 or 1 in every phase.
  if (uses(VARIABLE_INBOUND_DATA_ERROR) && !setNumber(VARIABLE_INBOUND_DATA_ERROR, i32(state.inboundError))) return;
  if (uses(VARIABLE_OUTBOUND_DATA_ERROR) && !setNumber(VARIABLE_OUTBOUND_DATA_ERROR, i32(outboundError))) return;
  if ((phases & WAF_PHASE_2) != 0 && state.bodyAccess) {
    // Phase 1 has run in an earlier call where there is a body, so what it chose is known.
    if (hasBody) {
      const cut = bodyLength > most;
      if (
        !processBody(processor, BODY_AT, cut ? most : bodyLength, bodySize, truncated == 0 && !cut, state.forceBody, contentTypeAt, contentTypeLength)
      ) {
        if (!overlook()) return;
      }
    } else if (!processBody(0, BODY_AT, 0, 0, true, false, contentTypeAt, 0)) return;
  }
  const request = phases & (WAF_PHASE_1 | WAF_PHASE_2);
  let scope = SCOPE_RESPONSE;
  if (request == WAF_PHASE_1) scope = SCOPE_HEAD;
  else if (request == WAF_PHASE_2) scope = SCOPE_BODY;
  else if (request != 0) scope = SCOPE_REQUEST;
  if (phases != 0 && (!startScan() || !scanAll(scope))) return;
  for (let phase = 1; phase <= 4; phase++) {
    const bit = 1 << (phase - 1);
    if ((phases & bit) == 0) continue;
    if (isAllowed(phase)) {
      state.setPhaseDone(bit);
      continue;
    }
    runPhase(phase);
    if (failure() != REASON_NONE) return;
    state.setPhaseDone(bit);
    if (decided != DISRUPTIVE_PASS) break;
  }
  to &= ~state.phasesDone;
  if (last) to &= WAF_PHASE_5;
  if (decided != DISRUPTIVE_PASS || to == WAF_PHASE_5) {
    // SPEC: the logging phase always runs, also after a rule has blocked. What it runs into takes that back no more.
    const blocked = decided != DISRUPTIVE_PASS;
    if (blocked) {
      report();
      if (failure() != REASON_NONE) return;
    }
    runPhase(5);
    if (failure() != REASON_NONE) {
      if (!blocked) return;
      forgive();
    }
    state.setPhaseDone(WAF_PHASE_5);
    to = 0;
  }
  setResult(RESULT_WAF_MATCHES, matchCount);
  setResult(RESULT_WAF_PHASES, to);
  setResult(RESULT_WAF_STATE, offset);
  // Where something matched, the host wants to know the scores: all of TX then, as far as it fits.
  let end = keep || matchCount > 0 ? state.saveState(offset, number, 31) : -1;
  if (end < 0 && to != 0) {
    end = state.saveState(offset, number, to);
    if (end < 0) return state.failState();
  }
  if (end >= 0) setStateLength(end);
  completed = true;
}

/**
 * A body that goes beyond a limit of its own (parts, depth, values) is judged by what was found up to there; the verdict is
 * `limit` all the same, unless a rule decides. False for the limits of the call.
 */
function overlook(): bool {
  overlooked = failure();
  if (overlooked == REASON_STEPS || overlooked == REASON_ARENA) return false;
  forgive();
  return true;
}

/** After the phases: a limit is the WAF's own verdict, and what to do about it the policy's. */
export function endTransaction(): void {
  let reason = failure();
  // Whoever stops says why. Where nobody did, that is no verdict either.
  if (reason == REASON_NONE && !completed) reason = REASON_WAF;
  if (reason == REASON_NONE) {
    reason = overlooked;
    if (reason != REASON_NONE && decided == DISRUPTIVE_PASS) setResult(RESULT_WAF_REASON, reason);
    return;
  }
  forgive();
  setResult(RESULT_WAF_REASON, reason);
  setResult(RESULT_WAF_MATCHES, matchCount);
  setResult(RESULT_WAF_PHASES, 0);
  setResult(RESULT_WAF_ACTION, DISRUPTIVE_PASS);
}

/** Whether sampling leaves this request out: its seed is drawn evenly, and is the same in all its calls. */
function isLeftOut(seed: i32): bool {
  const share = flags >>> PROGRAM_LEFT_OUT_SHIFT;
  return share != 0 && <i32>((<u64>(<u32>seed) * LEFT_OUT_OF) >> 32) < share;
}

/** Program that the transaction state of an earlier call belongs to; -1 when the WAF has left none. */
export function programInState(stateOffset: i32, stateLength: i32): i32 {
  if (stateLength < stateOffset + WAF_STATE_FIXED_BYTES || stateLength > STATE_BYTES) return -1;
  const mark = load<u32>(<usize>(STATE_AT + stateOffset));
  return (mark & 0xffffff00) == <u32>WAF_STATE_MARK ? <i32>(mark & 0xff) : -1;
}

/** SPEC: `allow` ends all phases but logging, `allow:request` those of the request, `allow:phase` only its own. */
function isAllowed(phase: i32): bool {
  return state.allowed == DISRUPTIVE_ALLOW || (state.allowed == DISRUPTIVE_ALLOW_REQUEST && phase <= 2);
}

function report(): void {
  const rule = ruleAt(decidedRule);
  setResult(RESULT_WAF_ACTION, decided);
  setResult(RESULT_WAF_RULE, decidedRule);
  setResult(RESULT_WAF_PHASE, decidedPhase);
  setResult(RESULT_WAF_STATUS, word(rule, RULE_STATUS));
  if (decided != DISRUPTIVE_REDIRECT || word(rule, RULE_LOCATION) == <i32>NONE) return;
  if (!expand(word(rule, RULE_LOCATION))) return;
  setResult(RESULT_WAF_LOCATION_AT, <i32>textAt);
  setResult(RESULT_WAF_LOCATION_LENGTH, textLength);
}

/** True when a rule has taken the WAF out of this request. */
export function isSkipped(): bool {
  return (getResult(RESULT_SKIPPED_PHASES) & PHASE_WAF) != 0;
}
