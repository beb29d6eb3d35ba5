/**
 * One line of JSON per request. Every text that a client chose goes through JSON.stringify, so nothing can break out of
 * its line or forge another. The query is left out: it is where tokens and personal data travel. What a rule matched in
 * it is in the verdict's evidence, redacted where it may be a secret. Headers and bodies are never logged.
 *
 * The line is written when the head of the answer is there, since a body that streams natively never passes JavaScript:
 * `ms` is the time to that moment, `bytes` the Content-Length of the answer or null when it has none.
 */
import { IDENTITY_BY_ADDRESS, IDENTITY_BY_NAME } from '../../assembly/agents/abi.ts';
import { knownAgent } from '../agents/known-agents.ts';
import { formatPrice } from '../agents/price.ts';
import { addressOf } from '../platform/authority.ts';
import type { PendingCharge } from '../router/charge.ts';
import { callerOf } from '../router/caller.ts';
import { signalNames } from '../router/signals.ts';
import type { Exchange, WafRecord } from '../router/exchange.ts';
import type { Verdict } from '../router/verdict.ts';
import type { AgentName } from '../waf/engine.ts';
import type { ProtocolFields } from '../waf/protocol-fields.ts';

let lastSecond = -1;
let secondText = '';

/** ISO 8601 with milliseconds. PERF: the part up to the second is made once a second. */
function timeOf(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    secondText = new Date(second * 1000).toISOString().slice(0, 20);
  }
  const rest = ms - second * 1000;
  return secondText + (rest < 10 ? '00' : rest < 100 ? '0' : '') + rest + 'Z';
}

export function logLine(exchange: Exchange, status: number, bytes: string | null, duration: number): string {
  const { result, upstream, verdicts, seen } = exchange;
  const agent = result === null || result.agent < 0 ? undefined : exchange.generation.agents[result.agent];
  let line =
    `{"time":"${timeOf(exchange.startedAt)}","id":"${exchange.id}","app":` +
    text(exchange.plan?.app ?? '') +
    ',"route":' +
    text(exchange.routeName) +
    ',"method":' +
    text(exchange.request.method) +
    ',"host":' +
    text(seen.host.length > MAX_HOST ? seen.host.slice(0, MAX_HOST) : seen.host) +
    ',"path":' +
    text(pathOf(exchange)) +
    `,"status":${status},"bytes":${bytes !== null && /^[0-9]{1,15}$/.test(bytes) ? bytes : 'null'},"ms":${duration},"client":` +
    text(result?.client || addressOf(exchange.peer));
  if (agent !== undefined || exchange.identity !== null) line += identityText(exchange, agent);
  if (result !== null && result.score > 0)
    line += `,"score":${result.score},"signals":` + JSON.stringify(signalNames(result.signals));
  if (exchange.protocol !== null) line += ',' + JSON.stringify(withoutQuery(exchange.protocol)).slice(1, -1);
  if (exchange.charge !== null) line += ',"payment":' + paymentText(exchange.charge);
  if (exchange.agentEvents?.robots === true) line += ',"robots":"violation"';
  if (upstream.backend !== '')
    line +=
      ',"upstream":{"backend":' +
      text(upstream.backend) +
      ',"endpoint":' +
      text(upstream.endpoint) +
      `,"attempts":${upstream.attempts},"status":${upstream.status}` +
      (upstream.error === '' ? '}' : ',"error":' + text(upstream.error) + '}');
  if (exchange.waf !== null && exchange.waf.matches > 0) line += ',"waf":' + wafText(exchange.waf);
  return line + (verdicts.length === 0 ? ',"verdict":[]}' : ',"verdict":' + verdictsText(verdicts) + '}');
}

const MAX_PATH = 2048;
/** A name has at most 253 characters; a Host that was refused can be as long as a head. */
const MAX_HOST = 300;

function pathOf(exchange: Exchange): string {
  let { path } = exchange.result ?? { path: '' };
  if (path === '') {
    // Refused before it had a canonical form: the raw one, without the query.
    const { url } = exchange;
    const start = url.indexOf('/', url.indexOf('://') + 3);
    const end = url.indexOf('?');
    path = start < 0 || (end >= 0 && start > end) ? '' : url.slice(start, end < 0 ? url.length : end);
  }
  return path.length > MAX_PATH ? path.slice(0, MAX_PATH) : path;
}

/** URIs of resources carry what URLs do in their query. */
function withoutQuery(fields: ProtocolFields): ProtocolFields {
  const end = fields.mcp?.resource?.search(/[?#]/) ?? -1;
  return end < 0 ? fields : { mcp: { ...fields.mcp, resource: fields.mcp?.resource?.slice(0, end) ?? '' } };
}

// Printable ASCII without `"` and `\`: what JSON.stringify would only put in quotes.
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function text(value: string): string {
  return PLAIN.test(value) ? '"' + value + '"' : JSON.stringify(value);
}

/** Who it was: by what is proven, else by what the user agent says. */
function identityText(exchange: Exchange, agent: AgentName | undefined): string {
  const { identity } = exchange;
  const named = agent === undefined ? '' : ',"agent":' + text(agent.name);
  if (identity?.outcome === 'verified') {
    const known = knownAgent(identity);
    const name = agent?.operator === known.operator ? agent.name : known.name;
    const proof = { is: 'verified', url: identity.agent, keyid: identity.keyid, replay: identity.replay };
    return ',"agent":' + text(name) + ',"identity":' + JSON.stringify(proof);
  }
  if (identity?.outcome !== 'invalid' && ((exchange.result?.identity ?? 0) & BY_OTHER) !== 0) {
    const { identity: is, by } = callerOf(exchange);
    return named + `,"identity":{"is":"${is}","by":"${by}"}`;
  }
  if (identity === null) return named;
  const is = identity.outcome === 'invalid' ? 'spoofed' : 'claimed';
  const claim = { is, reason: identity.reason, ...(identity.agent === '' ? {} : { url: identity.agent }) };
  return named + ',"identity":' + JSON.stringify(claim);
}

/** Its address decided, or the name of that. */
const BY_OTHER = IDENTITY_BY_ADDRESS | IDENTITY_BY_NAME;

/** What was charged, to whom, and what came of it. */
function paymentText({ state, price, charge }: PendingCharge): string {
  return JSON.stringify({ state, price: formatPrice(price), account: charge.account });
}

/** What rules matched; what of it may be told is decided in src/waf/evidence.ts. */
function wafText({ plan, events, truncated, scores, blocked }: WafRecord): string {
  const { ruleset, mode } = plan;
  return JSON.stringify({ ruleset, mode, blocked, ...scores, truncated, events });
}

function verdictsText(verdicts: readonly Verdict[]): string {
  return JSON.stringify(verdicts);
}
