// Who sent the request of the current call: what its user agent says, what a signature proves, what its address does.
import {
  PROOF_AT,
  PROOF_BYTES,
  PROOF_CLAIMED,
  PROOF_CONFIRMED,
  PROOF_REFUTED,
  PROOF_SPOOFED,
  PROOF_VERIFIED,
  PROOF_WORDS,
} from '../abi';
import { agentLists } from '../agent';
import { equalBytes } from '../hash';
import * as request from '../request';
import { atOf, lengthOf, span } from '../values';
import { IDENTITY_BY_ADDRESS, IDENTITY_BY_NAME, IDENTITY_BY_SIGNATURE } from './abi';
import { listsThatDeny, listsWith } from './addresses';

export let agentKnown: bool = false;
export let agentName: u64 = 0;
export let agentOperator: u64 = 0;
export let agentCategory: u64 = 0;
/** The domain that a signature proves; empty: none. */
export let agentDomain: u64 = 0;
/** PROOF_CLAIMED, PROOF_SPOOFED, PROOF_VERIFIED, or 0: nobody says anything. */
export let identity: i32 = 0;
/** IDENTITY_BY_*, or 0. */
export let identityBy: i32 = 0;

/** At the start of every call, after the request is parsed. */
export function startIdentity(): void {
  agentKnown = false;
  agentDomain = 0;
  identity = 0;
  identityBy = 0;
}

/** What the user-agent was recognised as, if it was. */
export function setAgent(nameAt: usize, nameLength: i32, operatorAt: usize, operatorLength: i32, categoryAt: usize, categoryLength: i32): void {
  agentKnown = true;
  agentName = span(nameAt, nameLength);
  agentOperator = span(operatorAt, operatorLength);
  agentCategory = span(categoryAt, categoryLength);
}

/**
 * Who it is, after `setAgent`. What a signature says goes before everything, the address before its name. `image` and `agent`
 * are the agents image and what `classify` said, -1 for nothing; `now` is seconds since the epoch.
 */
export function concludeIdentity(image: usize, agent: i32, now: u32): void {
  const proof = load<i32>(PROOF_AT);
  if (proof == PROOF_VERIFIED || proof == PROOF_SPOOFED) {
    identity = proof;
    identityBy = IDENTITY_BY_SIGNATURE;
    if (proof == PROOF_VERIFIED) takeProof();
    return;
  }
  if (agent >= 0) {
    identity = byAddress(image, agent, now);
    if (identity != 0) {
      identityBy = IDENTITY_BY_ADDRESS;
      return;
    }
    if (proof == PROOF_CONFIRMED || proof == PROOF_REFUTED) {
      identity = proof == PROOF_CONFIRMED ? PROOF_VERIFIED : PROOF_SPOOFED;
      identityBy = IDENTITY_BY_NAME;
      return;
    }
  }
  if (agentKnown || proof == PROOF_CLAIMED) identity = PROOF_CLAIMED;
}

/** PROOF_VERIFIED where a list of the agent has the client, PROOF_SPOOFED where all of them are known and none has, else 0. */
function byAddress(image: usize, agent: i32, now: u32): i32 {
  const lists = agentLists(image, agent);
  if (lists == 0) return 0;
  const address = request.clientAddress();
  if (address == 0) return 0;
  if ((listsWith(image, address) & lists) != 0) return PROOF_VERIFIED;
  return listsThatDeny(image, lists, now) == lists ? PROOF_SPOOFED : 0;
}

/**
 * Who has proven itself is who it is, whatever its user agent says: that may only add what the very operator says of itself.
 */
function takeProof(): void {
  // SAFETY: the host wrote the lengths; clamped all the same, so that nothing outside the region is ever a value.
  let at: usize = PROOF_AT + PROOF_WORDS * 4;
  const name = proofText(at, 1);
  at += <usize>lengthOf(name);
  const operator = proofText(at, 2);
  at += <usize>lengthOf(operator);
  const category = proofText(at, 3);
  at += <usize>lengthOf(category);
  agentDomain = proofText(at, 4);
  const length = lengthOf(operator);
  const own =
    agentKnown &&
    lengthOf(agentOperator) == length &&
    equalBytes(atOf(agentOperator), atOf(operator), length);
  agentKnown = true;
  agentOperator = operator;
  if (own) return;
  agentName = name;
  agentCategory = category;
}

function proofText(at: usize, word: i32): u64 {
  const left = PROOF_AT + PROOF_BYTES - <i32>at;
  return span(at, <i32>min(load<u32>(PROOF_AT + (word << 2)), <u32>left));
}
