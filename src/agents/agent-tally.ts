/** Counts of what agents did, by app, agent and identity: what isolates gather, objects keep and reports show. */
import type { AgentEvents } from './agent-events.ts';
import { MAX_PENDING_KINDS, MAX_REPORT_TEXT } from './report-limits.ts';

export interface AgentName {
  readonly app: string;
  readonly agent: string;
  readonly operator: string;
  readonly category: string;
  readonly identity: string; // verified, claimed, spoofed, unknown
}

export interface Refusal {
  readonly phase: string;
  readonly rule: string;
  readonly reason: string;
  requests: number;
}

export interface Charged {
  readonly currency: string;
  millionths: number;
  requests: number;
}

export interface AgentTally extends AgentName {
  requests: number;
  robotsViolations: number;
  refused: number;
  tokens: { input: number; output: number; estimated: number }; // `estimated`: how many of both are
  refusals: Refusal[];
  charges: Charged[];
}

/** Where further ones are counted once there are too many. */
export const OTHER = 'other';

export function emptyTally({ app, agent, operator, category, identity }: AgentName): AgentTally {
  return {
    ...{ app: cut(app), agent: cut(agent), operator: cut(operator), category: cut(category), identity: cut(identity) },
    ...{ requests: 0, robotsViolations: 0, refused: 0, tokens: { input: 0, output: 0, estimated: 0 } },
    ...{ refusals: [], charges: [] },
  };
}

/** The same name is the same row. */
export function tallyKey({ app, agent, identity }: AgentName): string {
  return `${app}\0${agent}\0${identity}`;
}

/** The row in which an agent is counted that has none of its own. */
export function otherOf({ app }: AgentName): AgentName {
  return { app, agent: OTHER, operator: '', category: '', identity: '' };
}

export function addEvents(tally: AgentTally, events: AgentEvents): void {
  if (events.robots) tally.robotsViolations++;
  for (const { input, output, estimated } of events.tokens) {
    tally.tokens.input += input;
    tally.tokens.output += output;
    if (estimated) tally.tokens.estimated += input + output;
  }
  for (const { currency, millionths } of events.charges) addCharge(tally, { currency, millionths, requests: 1 });
}

export function addRefusal(tally: AgentTally, { phase, rule, reason, requests }: Refusal): void {
  const wanted = { phase: cut(phase), rule: cut(rule), reason: cut(reason), requests };
  const same = (one: Refusal): boolean =>
    one.rule === wanted.rule && one.phase === wanted.phase && one.reason === wanted.reason;
  const found = tally.refusals.find(same);
  if (found !== undefined) found.requests += requests;
  else if (tally.refusals.length < MAX_PENDING_KINDS) tally.refusals.push(wanted);
  else {
    const last = tally.refusals[MAX_PENDING_KINDS - 1]!;
    tally.refusals[MAX_PENDING_KINDS - 1] = { ...OTHER_REFUSAL, requests: last.requests + requests };
  }
}

const OTHER_REFUSAL = { phase: '', rule: OTHER, reason: '' };

export function addCharge(tally: AgentTally, { currency, millionths, requests }: Charged): void {
  const found = tally.charges.find((one) => one.currency === currency);
  if (found !== undefined) {
    found.millionths += millionths;
    found.requests += requests;
  } else if (tally.charges.length < MAX_PENDING_KINDS)
    tally.charges.push({ currency: cut(currency), millionths, requests });
}

/** Adds the counts of `more`, whose name may be another. */
export function addTally(tally: AgentTally, more: AgentTally): void {
  tally.requests += more.requests;
  tally.robotsViolations += more.robotsViolations;
  tally.refused += more.refused;
  tally.tokens.input += more.tokens.input;
  tally.tokens.output += more.tokens.output;
  tally.tokens.estimated += more.tokens.estimated;
  for (const refusal of more.refusals) addRefusal(tally, refusal);
  for (const charge of more.charges) addCharge(tally, charge);
}

/** Adds tallies into `map`, which never has more than `most` rows, and one `other` for each app that ran over. */
export function gather(map: Map<string, AgentTally>, name: AgentName, most: number): AgentTally {
  const key = tallyKey(name);
  let tally = map.get(key);
  if (tally !== undefined) return tally;
  const kept = map.size < most ? name : otherOf(name);
  const keptKey = tallyKey(kept);
  tally = map.get(keptKey);
  if (tally === undefined) {
    tally = emptyTally(kept);
    map.set(keptKey, tally);
  }
  return tally;
}

function cut(text: string): string {
  return text.length > MAX_REPORT_TEXT ? text.slice(0, MAX_REPORT_TEXT) : text;
}
