// The answer of a call: RESULT words, EFFECT records and the evidence that they refer to. See abi.ts.
import {
  EFFECTS_AT,
  EFFECT_WORDS,
  EVIDENCE_AT,
  EVIDENCE_BYTES,
  MAX_EFFECTS,
  RESULT_AGENT,
  RESULT_APP,
  RESULT_AT,
  RESULT_EFFECT_COUNT,
  RESULT_MATCH,
  RESULT_ROUTE,
  RESULT_RULE,
  RESULT_SKIPPED_PHASES,
  RESULT_STATE_LENGTH,
  RESULT_TERMINAL,
  RESULT_TRUNCATED,
  RESULT_WAF_PROGRAM,
  RESULT_WAF_RUNNING,
  RESULT_WAF_RULE,
  RESULT_WORDS,
} from './abi';

let effects: i32 = 0;
let evidence: i32 = 0;

export function clearResult(): void {
  memory.fill(RESULT_AT, 0, RESULT_WORDS * 4);
  setResult(RESULT_APP, -1);
  setResult(RESULT_ROUTE, -1);
  setResult(RESULT_MATCH, -1);
  setResult(RESULT_AGENT, -1);
  setResult(RESULT_RULE, -1);
  setResult(RESULT_WAF_PROGRAM, -1);
  setResult(RESULT_WAF_RULE, -1);
  setResult(RESULT_WAF_RUNNING, -1);
  effects = 0;
  evidence = 0;
}

// @ts-ignore: decorator
@inline
export function setResult(word: i32, value: i32): void {
  store<i32>(<usize>RESULT_AT + (<usize>word << 2), value);
}

export function getResult(word: i32): i32 {
  return load<i32>(<usize>RESULT_AT + (<usize>word << 2));
}

/** Records an effect with a copy of its value; what does not fit is cut or left out, and marked as truncated. */
export function addEffect(kind: i32, index: i32, mode: i32, a: i32, b: i32, valueAt: usize, valueLength: i32): void {
  if (effects == MAX_EFFECTS) {
    setResult(RESULT_TRUNCATED, 1);
    return;
  }
  const room = EVIDENCE_BYTES - evidence;
  if (valueLength > room) {
    valueLength = room;
    setResult(RESULT_TRUNCATED, 1);
  }
  const value = <usize>EVIDENCE_AT + <usize>evidence;
  memory.copy(value, valueAt, <usize>valueLength);
  evidence += valueLength;
  const record = <usize>EFFECTS_AT + <usize>effects * (EFFECT_WORDS * 4);
  store<i32>(record, kind);
  store<i32>(record, index, 4);
  store<i32>(record, mode, 8);
  store<i32>(record, a, 12);
  store<i32>(record, b, 16);
  store<u32>(record, <u32>value, 20);
  store<i32>(record, valueLength, 24);
  setResult(RESULT_EFFECT_COUNT, ++effects);
}

/** Bytes of evidence that can still be recorded. */
export function evidenceRoom(): i32 {
  return effects == MAX_EFFECTS ? 0 : EVIDENCE_BYTES - evidence;
}

/** A terminating action in enforce mode; later rules and stages are not run. */
export function terminate(action: i32, rule: i32): void {
  setResult(RESULT_TERMINAL, action);
  setResult(RESULT_RULE, rule);
}

/** PHASE_* bits. */
export function skipPhases(bits: i32): void {
  setResult(RESULT_SKIPPED_PHASES, getResult(RESULT_SKIPPED_PHASES) | bits);
}

/** Length of the transaction state that the call leaves at STATE_AT for the next stage. */
export function setStateLength(bytes: i32): void {
  setResult(RESULT_STATE_LENGTH, bytes);
}
