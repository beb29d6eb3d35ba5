/** What the WAF said in an engine call, turned into records and answers: shared by the phases that make such a call. */
import type { Plan, WafPlan } from '../plan.ts';
import { evidenceOf, type WafEvidence } from '../waf/evidence.ts';
import type { WafEvent, WafVerdict } from '../waf/engine.ts';
import { NO_SCORES, scoresOf } from '../waf/scores.ts';
import { isAboutMalformedBody } from '../waf/verdict.ts';
import type { Exchange, WafRecord } from './exchange.ts';
import { refuse } from './problem.ts';
import { safeUrl } from './text.ts';
import type { Verdict } from './verdict.ts';

const MAX_RECORDED_EVENTS = 64; // of one exchange, all calls together
/** What a client is told: nothing that helps to find the way around. */
const REQUEST_REASON = 'the web application firewall blocked this request';
const RESPONSE_REASON = 'the web application firewall blocked the answer to this request';
const MALFORMED_REASON = 'the request body cannot be read for sure as what its type and encoding say';
const UNJUDGED = 'the web application firewall could not judge this request';
/** Actions that end a request. In mode log nothing ends, and these say what would have. */
const ENDING = new Set(['deny', 'drop', 'redirect']);

/** The WAF of the route that was matched, null for none. */
export function startWaf(exchange: Exchange, plan: Plan): void {
  const index = exchange.action?.waf ?? -1;
  const found: WafPlan | undefined = index < 0 ? undefined : plan.wafs[index];
  if (found !== undefined)
    exchange.waf = { plan: found, events: [], matches: 0, truncated: false, scores: NO_SCORES, blocked: false };
}

/** Records what was found; answers the exchange when that ends it. `verdict` null: the WAF did not run in this call. */
export function judgeWaf(exchange: Exchange, verdict: WafVerdict | null, stage: 'request' | 'response'): void {
  const record = exchange.waf;
  if (record === null || verdict === null) return;
  record.scores = scoresOf(verdict, record.scores);
  const found = addEvents(exchange, record, verdict);
  const { mode } = record.plan;
  if (verdict.action === 'limit') return unjudged(exchange, record.plan, stage);
  const ended = mode === 'enforce' ? endingRule(verdict) : wouldEnd(verdict.events);
  if (ended === null) return;
  record.blocked = true;
  const top = found.reduce<WafEvidence | null>(
    (best, one) => (best === null || one.score > best.score ? one : best),
    null,
  );
  const decided: Verdict = {
    action: verdict.action === 'redirect' ? 'redirect' : 'block',
    phase: 'waf',
    rule: String(ended.rule),
    status: ended.status,
    reason: reasonOf(ended.rule, stage),
    mode,
    ...(top === null ? {} : { evidence: { target: top.target, value: top.matched } }),
  };
  if (mode === 'log') return void exchange.verdicts.push(decided);
  if (decided.action === 'redirect' && verdict.location !== '') {
    exchange.verdicts.push(decided);
    exchange.response = new Response(null, {
      status: decided.status,
      headers: { location: safeUrl(verdict.location) },
    });
    exchange.owned = true;
  } else refuse(exchange, decided, 'http_request_denied');
}

/** Where the WAF comes to no verdict: an engine that gave up, a body that cannot be read. */
export function unjudged(exchange: Exchange, plan: WafPlan, stage: 'request' | 'response', why = UNJUDGED): void {
  const closed = plan.onError === 'closed' && plan.mode === 'enforce';
  const status = stage === 'request' ? 403 : 502;
  const verdict: Verdict = {
    action: 'block',
    phase: 'waf',
    rule: 'onError',
    status,
    reason: why,
    mode: closed ? 'enforce' : 'log',
  };
  if (closed) refuse(exchange, verdict, 'http_request_denied');
  else exchange.verdicts.push(plan.mode === 'enforce' ? { ...verdict, action: 'log', status: 0 } : verdict);
}

function addEvents(exchange: Exchange, record: WafRecord, verdict: WafVerdict): readonly WafEvidence[] {
  const found: WafEvidence[] = [];
  for (const event of verdict.events) {
    if (!event.log) continue;
    const options = {
      plain: record.plan.evidence === 'plain' || exchange.platform.plain === true,
      query: exchange.target.query,
      body: exchange.request.body !== null,
    };
    found.push(evidenceOf(event, verdict.scores, options));
  }
  record.matches += found.length;
  record.truncated ||= verdict.truncated || record.matches > MAX_RECORDED_EVENTS;
  record.events.push(...found.slice(0, MAX_RECORDED_EVENTS - record.events.length));
  return found;
}

/** What a verdict says of one message, or of any part of an exchange that is judged by itself. */
export interface PartVerdict {
  readonly blocked: boolean; // or would have been, in mode log
  readonly rule: number;
  readonly events: readonly WafEvidence[];
}

/** Null: nothing to say. `mode` is that of messages, whatever the program was compiled with. */
export function judgePart(exchange: Exchange, verdict: WafVerdict | null): PartVerdict | null {
  const record = exchange.waf;
  if (record === null || verdict === null) return null;
  const options = { plain: record.plan.evidence === 'plain', query: exchange.target.query, body: true };
  const events = verdict.events.filter(({ log }) => log).map((event) => evidenceOf(event, verdict.scores, options));
  const ended = endingRule(verdict) ?? wouldEnd(verdict.events);
  if (ended === null && events.length === 0) return null;
  return { blocked: ended !== null, rule: ended?.rule ?? 0, events };
}

function endingRule(verdict: WafVerdict): { rule: number; status: number } | null {
  if (!ENDING.has(verdict.action)) return null;
  const { rule, status } = verdict;
  return { rule, status: status >= 300 && status <= 599 ? status : 403 };
}

function wouldEnd(events: readonly WafEvent[]): { rule: number; status: number } | null {
  const event = events.find(({ action }) => ENDING.has(action));
  if (event === undefined) return null;
  return { rule: event.rule, status: isAboutMalformedBody(event.rule) ? 400 : 403 };
}

function reasonOf(rule: number, stage: 'request' | 'response'): string {
  if (isAboutMalformedBody(rule)) return MALFORMED_REASON;
  return stage === 'request' ? REQUEST_REASON : RESPONSE_REASON;
}
