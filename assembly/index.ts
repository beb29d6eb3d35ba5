// The engine's exports. Each is one crossing: bytes in the memory map of abi.ts in, RESULT words out. Nothing that an answer
// depends on is kept between calls (waf/kept.ts says what is); images and the generation are arguments.
import {
  BODY_AT,
  HEAD_AT,
  MAX_RULESETS,
  RESPONSE_HEAD_AT,
  STATE_BITS,
  FAULT_NONE,
  GENERATION_WORDS,
  OUTCOME_LIMIT,
  OUTCOME_NO_APP,
  OUTCOME_NO_ROUTE,
  OUTCOME_OK,
  OUTCOME_REJECT,
  REASON_ARENA,
  REASON_NONE,
  REASON_SEPARATOR,
  RESULT_AGENT,
  RESULT_APP,
  RESULT_CLIENT_AT,
  RESULT_CLIENT_LENGTH,
  RESULT_ERROR_AT,
  RESULT_HOST_AT,
  RESULT_HOST_LENGTH,
  RESULT_IDENTITY,
  RESULT_MATCH,
  RESULT_OUTCOME,
  RESULT_PATH_AT,
  RESULT_PATH_AT_URL,
  RESULT_PATH_CHANGED,
  RESULT_PATH_LENGTH,
  RESULT_PREFIX_LENGTH,
  RESULT_QUERY_AT,
  RESULT_QUERY_AT_URL,
  RESULT_QUERY_LENGTH,
  RESULT_REASON,
  RESULT_ROUTE,
  RESULT_STEPS,
  RESULT_TERMINAL,
  RESULT_TRUSTED,
  SECTION_SETTINGS,
  SETTING_SIGNALS,
  STAGE_BODY,
  STAGE_HEAD,
  STAGE_RESPONSE,
  STATE_AT,
} from './abi';
import { startSignals, tellKnownSignals, tellSignals } from './agents/signals';
import { agentTextAt, agentTextLength, classify } from './agent';
import { AGENT_CATEGORY, AGENT_NAME, AGENT_OPERATOR } from './agents/abi';
import { concludeIdentity, identity, identityBy, setAgent, startIdentity } from './agents/identity';
import { failure, reset, stepsUsed } from './arena';
import { startFields } from './fields';
import { headerValueAt, headerValueLength } from './headers';
import { nextHost, startHosts } from './host';
import { checkImage, faultAt, sectionAt } from './image';
import { inspectHeaders } from './inspection';
import * as request from './request';
import { clearResult, getResult, setResult } from './result';
import { matchIndex, prefixLength, route, routeIndex } from './route';
import { clearRulesState, runStage, stateEnd } from './rules';
import { BODY_UNREADABLE, MAX_PARTS, WAF_PHASE_1, WAF_PHASE_2, WAF_PHASE_3, WAF_PHASE_4 } from './waf/abi';
import { setMalformed } from './waf/body/malformed';
import { setElided } from './waf/body/multipart';
import { fillRequest, fillResponse } from './waf/message';
import { forgetKept } from './waf/kept';
import { programOf, wantMatchers } from './waf/program';
import { fillRawRequest, fillRawResponse } from './waf/raw';
import { beginTransaction, endTransaction, isSkipped, programInState, runTransaction } from './waf/transaction';

// What the runtime speaks is not told; HTTP/1.1 is what every front end translates to.
const PROTOCOL = memory.data<u8>([0x48, 0x54, 0x54, 0x50, 0x2f, 0x31, 0x2e, 0x31]);

/**
 * Checks the image of `length` bytes at `at`, once: FAULT_NONE, or what is wrong with RESULT_ERROR_AT saying where. Bins of
 * matchers are unpacked into what of the `room` bytes at `at` is behind the image: of all, or of those whose bits are set in
 * the MATCHER_SET_BYTES at STATE_AT.
 */
export function open(at: usize, length: i32, room: i32, all: i32): i32 {
  reset();
  forgetKept();
  clearResult();
  const fault = checkImage(at, length, room, all != 0 ? 0 : STATE_AT);
  if (fault != FAULT_NONE) setResult(RESULT_ERROR_AT, <i32>(faultAt - at));
  return fault;
}

/** Sets at STATE_AT the bits of those matchers of rule set `index` of an app that its policy image, opened, looks for. */
export function want(policy: usize, index: i32): void {
  wantMatchers(policy, index, STATE_AT);
}

/**
 * Judges the request head at HEAD_AT; the outcome. `seed` is 32 random bits, `now` seconds since the epoch. `hasBody`: a
 * body call may follow; without, the WAF's phase 2 runs here too.
 */
export function head(generation: usize, length: i32, fields: i32, hasBody: i32, seed: i32, now: i32): i32 {
  begin();
  const image = openHead(generation, length, fields);
  if (image == 0) return finish();
  if (!route(image) && failure() == REASON_NONE) setResult(RESULT_OUTCOME, OUTCOME_NO_ROUTE);
  setResult(RESULT_ROUTE, routeIndex);
  setResult(RESULT_MATCH, matchIndex);
  setResult(RESULT_PREFIX_LENGTH, prefixLength);
  // Rules come before inspection, which they may skip, and also where no route matched: they may answer by themselves.
  start(generation, now);
  runStage(image, STAGE_HEAD, 0);
  if (load<u32>(sectionAt(image, SECTION_SETTINGS), SETTING_SIGNALS * 4) != 0) tellSignals();
  else tellKnownSignals();
  if (getResult(RESULT_TERMINAL) == 0) inspectHeaders(image, routeIndex);
  if (getResult(RESULT_TERMINAL) == 0 && !isSkipped() && failure() == REASON_NONE) {
    const phases = hasBody != 0 ? WAF_PHASE_1 : WAF_PHASE_1 | WAF_PHASE_2;
    const program = programOf(image, routeIndex);
    if (program >= 0) {
      if (openWaf(generation, image, program, 0, seed, now)) runTransaction(phases, false, 0, 0, 0, false);
      endTransaction();
    }
  }
  return finish();
}

/**
 * Judges the body window at BODY_AT by the rules of stage body of app `app`, which the head call has found, and by the WAF.
 * `truncated`: 0 for a whole body, 1 for its first part, BODY_UNREADABLE for none.
 * `elided`: how many pieces of a multipart body were left out of the window, { offset in it, bytes } at RESPONSE_HEAD_AT.
 */
export function body(
  generation: usize,
  app: i32,
  length: i32,
  fields: i32,
  bodyLength: i32,
  size: i32,
  truncated: i32,
  elided: i32,
  stateLength: i32,
  seed: i32,
  now: i32,
): i32 {
  begin();
  const image = openStage(generation, app, length, fields);
  if (image == 0) return finish();
  request.setBody(bodyLength, size, truncated != 0);
  start(generation, now);
  const program = programInState(stateEnd(image), stateLength);
  runStage(image, STAGE_BODY, stateLength);
  if (program >= 0 && getResult(RESULT_TERMINAL) == 0 && !isSkipped() && failure() == REASON_NONE) {
    if (openWaf(generation, image, program, stateLength, seed, now)) {
      setElided(RESPONSE_HEAD_AT, min(elided, MAX_PARTS));
      if (truncated == BODY_UNREADABLE) setMalformed('The body is not what its Content-Encoding says');
      runTransaction(WAF_PHASE_2, true, bodyLength, size, truncated, false);
    }
    endTransaction();
  }
  return finish();
}

/**
 * Judges the response head at RESPONSE_HEAD_AT by the rules of stage response and by the WAF, which also looks at the
 * `bodyLength` bytes of the answer that are at BODY_AT; `truncated`: 1 where there were more.
 */
export function response(
  generation: usize,
  app: i32,
  length: i32,
  fields: i32,
  responseLength: i32,
  responseFields: i32,
  bodyLength: i32,
  truncated: i32,
  stateLength: i32,
  seed: i32,
  now: i32,
): i32 {
  begin();
  const image = openStage(generation, app, length, fields);
  if (image == 0) return finish();
  if (!request.parseResponse(responseLength, responseFields, image)) {
    reject(REASON_SEPARATOR);
    return finish();
  }
  start(generation, now);
  const program = programInState(stateEnd(image), stateLength);
  runStage(image, STAGE_RESPONSE, stateLength);
  if (program >= 0 && getResult(RESULT_TERMINAL) == 0 && !isSkipped() && failure() == REASON_NONE) {
    if (
      openWaf(generation, image, program, stateLength, seed, now) &&
      fillResponse(request.responseStatus, PROTOCOL, 8, request.responseHeaders, BODY_AT, bodyLength)
    ) {
      runTransaction(WAF_PHASE_3 | WAF_PHASE_4, false, bodyLength, 0, truncated, false);
    }
    endTransaction();
  }
  return finish();
}

/** Opens a program of the WAF, and shows it the head of the request; false when there is nothing to judge. */
function openWaf(generation: usize, image: usize, program: i32, stateLength: i32, seed: i32, now: i32): bool {
  const app = getResult(RESULT_APP);
  clearRulesState(image);
  if (!beginTransaction(image, program, ruleSetsOf(generation, app), stateEnd(image), stateLength, seed)) return false;
  const target = request.rawPathAt;
  return fillRequest(
    request.methodAt,
    request.methodLength,
    target,
    <i32>(request.urlAt + <usize>request.urlLength - target),
    PROTOCOL,
    8,
    request.clientAt,
    request.clientLength,
    request.headers,
    seed,
    now,
    request.pathChanged ? request.pathAt : 0,
    request.pathLength,
  );
}

/** MAX_RULESETS words: the rule-set images of an app. */
function ruleSetsOf(generation: usize, app: i32): usize {
  const apps = load<u32>(generation, 8);
  return generation + ((<usize>GENERATION_WORDS + <usize>apps + <usize>app * MAX_RULESETS) << 2);
}

/**
 * Judges what the in-process API hands over, without router and rules language: the raw request head at HEAD_AT, and the
 * window at BODY_AT, of the request in phase 2 and of the answer in 3 and 4. `phases`: WAF_PHASE_* bits that run; the state
 * is that of the call before. All of TX is left in the state.
 */
export function inspect(
  generation: usize,
  app: i32,
  program: i32,
  phases: i32,
  length: i32,
  bodyLength: i32,
  hasBody: i32,
  responseLength: i32,
  stateLength: i32,
  seed: i32,
  now: i32,
): i32 {
  begin();
  const image = <usize>load<u32>(generation + ((<usize>GENERATION_WORDS + <usize>app) << 2));
  if (
    beginTransaction(image, program, ruleSetsOf(generation, app), STATE_BITS, stateLength, seed) &&
    fillRawRequest(HEAD_AT, length, seed, now) &&
    (responseLength == 0 || fillRawResponse(RESPONSE_HEAD_AT, responseLength, BODY_AT, bodyLength))
  ) {
    runTransaction(phases, hasBody != 0, bodyLength, bodyLength, 0, true);
  }
  endTransaction();
  return finish();
}

/** Parses the head again, for an app that is known; the policy image, or 0 when the call is decided. */
function openStage(generation: usize, app: i32, length: i32, fields: i32): usize {
  let reason = request.parseHead(length, fields);
  if (reason != REASON_NONE) return reject(reason);
  if (<u32>app >= load<u32>(generation, 8)) {
    setResult(RESULT_OUTCOME, OUTCOME_NO_APP);
    return 0;
  }
  setResult(RESULT_APP, app);
  const image = <usize>load<u32>(generation + ((<usize>GENERATION_WORDS + <usize>app) << 2));
  reason = request.applyPolicy(image);
  return reason == REASON_NONE ? image : reject(reason);
}

function begin(): void {
  reset();
  clearResult();
}

/** Parses the head, finds its app and applies the app's settings; the policy image, or 0 when the call is decided. */
function openHead(generation: usize, length: i32, fields: i32): usize {
  let reason = request.parseHead(length, fields);
  setResult(RESULT_HOST_AT, <i32>request.hostAt);
  setResult(RESULT_HOST_LENGTH, request.hostLength);
  if (reason != REASON_NONE) return reject(reason);
  setResult(RESULT_PATH_AT_URL, <i32>(request.rawPathAt - request.urlAt));
  setResult(RESULT_QUERY_AT_URL, request.hasQuery ? <i32>(request.queryAt - request.urlAt) - 1 : request.urlLength);
  setResult(RESULT_QUERY_AT, request.hasQuery ? <i32>request.queryAt - 1 : <i32>request.queryAt);
  setResult(RESULT_QUERY_LENGTH, request.hasQuery ? request.queryLength + 1 : 0);
  setResult(RESULT_PATH_AT, <i32>request.rawPathAt);
  setResult(RESULT_PATH_LENGTH, request.rawPathLength);
  if (!startHosts(load<u32>(generation), request.hostAt, request.hostLength)) return reject(REASON_ARENA);
  const app = nextHost();
  if (app < 0 || app >= load<i32>(generation, 8)) {
    setResult(RESULT_OUTCOME, OUTCOME_NO_APP);
    return 0;
  }
  setResult(RESULT_APP, app);
  const image = <usize>load<u32>(generation + ((<usize>GENERATION_WORDS + <usize>app) << 2));
  reason = request.applyPolicy(image);
  setResult(RESULT_CLIENT_AT, <i32>request.clientAt);
  setResult(RESULT_CLIENT_LENGTH, request.clientLength);
  setResult(RESULT_TRUSTED, i32(request.trusted));
  if (request.pathLength > 0) {
    setResult(RESULT_PATH_AT, <i32>request.pathAt);
    setResult(RESULT_PATH_LENGTH, request.pathLength);
    setResult(RESULT_PATH_CHANGED, i32(request.pathChanged));
  }
  return reason == REASON_NONE ? image : reject(reason);
}

/** Readies the fields of the rules language, and says who sent the request. */
function start(generation: usize, now: i32): void {
  startFields(now);
  startIdentity();
  startSignals();
  const agents = <usize>load<u32>(generation, 4);
  concludeIdentity(agents, classifyUserAgent(agents), <u32>now);
  setResult(RESULT_IDENTITY, identity | identityBy);
}

/** What the user agent is, -1 for nothing that is known. `agents` is an agents image, or 0. */
function classifyUserAgent(agents: usize): i32 {
  if (agents == 0 || request.userAgent < 0) return -1;
  const agent = classify(
    agents,
    headerValueAt(request.headers, request.userAgent),
    headerValueLength(request.headers, request.userAgent),
  );
  if (agent < 0) return -1;
  setResult(RESULT_AGENT, agent);
  setAgent(
    agentTextAt(agents, agent, AGENT_NAME),
    agentTextLength(agents, agent, AGENT_NAME),
    agentTextAt(agents, agent, AGENT_OPERATOR),
    agentTextLength(agents, agent, AGENT_OPERATOR),
    agentTextAt(agents, agent, AGENT_CATEGORY),
    agentTextLength(agents, agent, AGENT_CATEGORY),
  );
  return agent;
}

function reject(reason: i32): usize {
  setResult(RESULT_OUTCOME, OUTCOME_REJECT);
  setResult(RESULT_REASON, reason);
  return 0;
}

/** A limit that was hit anywhere in the call is its outcome: what was decided by then may be incomplete. */
function finish(): i32 {
  const limit = failure();
  if (limit != REASON_NONE) {
    setResult(RESULT_OUTCOME, OUTCOME_LIMIT);
    setResult(RESULT_REASON, limit);
  } else if (getResult(RESULT_TERMINAL) != 0 && getResult(RESULT_OUTCOME) == OUTCOME_NO_ROUTE) {
    setResult(RESULT_OUTCOME, OUTCOME_OK);
  }
  setResult(RESULT_STEPS, stepsUsed());
  return getResult(RESULT_OUTCOME);
}
