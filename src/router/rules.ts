/** What came out of the engine, turned into verdicts: shared by the phases that make an engine call. */
import {
  ACTION_BLOCK,
  ACTION_RATE,
  ACTION_REDIRECT,
  ACTION_ROUTE,
  EFFECT_INSPECTION,
  EFFECT_RULE,
  EFFECT_VALUE,
  MODE_ENFORCE,
  REASON_FORBIDDEN_HEADER,
  REASON_HEADER_BYTES,
  REASON_HEADER_COUNT,
  REASON_HEADER_LENGTH,
  REASON_REQUIRED_HEADER,
  VALUE_KEY,
  VALUE_LOCATION,
} from '../../assembly/abi.ts';
import type { Plan, RulePlan } from '../plan.ts';
import type { Effect } from '../waf/engine.ts';
import type { Exchange } from './exchange.ts';
import { fieldName } from './fields.ts';
import { refuse } from './problem.ts';
import { safeUrl } from './text.ts';
import type { Evidence, Verdict } from './verdict.ts';

const MAX_EVIDENCE = 256;

/** Texts and statuses of header inspection. */
export const INSPECTION: Readonly<Record<number, { status: number; reason: string }>> = {
  [REASON_REQUIRED_HEADER]: { status: 400, reason: 'a required header is missing' },
  [REASON_FORBIDDEN_HEADER]: { status: 400, reason: 'a header is present that is not allowed here' },
  [REASON_HEADER_LENGTH]: { status: 431, reason: 'a header is too long' },
  [REASON_HEADER_COUNT]: { status: 431, reason: 'there are too many headers' },
  [REASON_HEADER_BYTES]: { status: 400, reason: 'a header holds bytes that are not allowed' },
};

/** Records every effect, and answers when a rule ended the request. */
export function judge(
  exchange: Exchange,
  plan: Plan,
  effects: readonly Effect[],
  terminal: number,
  index: number,
): void {
  const ended = terminal === ACTION_BLOCK || terminal === ACTION_REDIRECT ? index : -1;
  for (const effect of effects) {
    if (effect.kind === EFFECT_RULE) {
      const rule = plan.rules[effect.index];
      if (rule === undefined) continue;
      if (effect.mode === MODE_ENFORCE && effect.a === ACTION_ROUTE) forceBackend(exchange, rule);
      if (effect.a >= ACTION_RATE && demand(exchange, rule, effect, effects)) continue;
      if (effect.index !== ended) exchange.verdicts.push(ruleVerdict(rule, effect));
    } else if (effect.kind === EFFECT_INSPECTION && effect.mode !== MODE_ENFORCE) {
      exchange.verdicts.push(inspectionVerdict(plan, effect));
    }
  }
  if (ended < 0) return;
  const rule = plan.rules[ended];
  if (rule === undefined) throw new Error(`the engine named rule ${ended}, which the plan does not have`);
  const found = effects.find((effect) => effect.kind === EFFECT_RULE && effect.index === ended);
  const verdict: Verdict = {
    action: terminal === ACTION_BLOCK ? 'block' : 'redirect',
    phase: 'rules',
    rule: rule.name,
    status: rule.status,
    reason: rule.reason,
    mode: 'enforce',
    ...evidenceOf(found),
  };
  if (terminal === ACTION_BLOCK && rule.asksSignature === true) askSignature(exchange, verdict);
  else if (terminal === ACTION_BLOCK) refuse(exchange, verdict, 'http_request_denied');
  else redirect(exchange, rule, verdict, effects, ended);
}

/** SPEC: RFC 9421 section 5.1: what a signature that is believed here covers and says. */
const ACCEPT_SIGNATURE = 'sig1=("@authority" "signature-agent";key="sig1");created;expires;tag="web-bot-auth"';

/** Refuses an agent that has not proven who it is, and says how it could; of what it tried, only that it was too often. */
function askSignature(exchange: Exchange, verdict: Verdict): void {
  const { identity } = exchange;
  const replayed = identity !== null && identity.outcome === 'invalid' && identity.reason === 'replayed';
  refuse(exchange, replayed ? { ...verdict, status: 429 } : verdict, 'http_request_denied');
  exchange.response?.headers.set('accept-signature', ACCEPT_SIGNATURE);
}

/** True when the rule asks for something that has to be settled first: the phase that does so says what came of it. */
function demand(exchange: Exchange, rule: RulePlan, effect: Effect, effects: readonly Effect[]): boolean {
  const mode = effect.mode === MODE_ENFORCE ? 'enforce' : 'log';
  if (mode === 'log' && rule.rate === undefined) return false;
  const keys = (rule.rate?.by ?? []).map(
    (_, at) =>
      effects.find((e) => e.kind === EFFECT_VALUE && e.index === effect.index && e.a === VALUE_KEY && e.b === at)
        ?.value ?? '',
  );
  exchange.demands = [...exchange.demands, { rule, mode, keys, ...evidenceOf(effect) }];
  return true;
}

/** `route` rules: the backend is theirs, and filters of the weighted backend that was drawn no longer apply. */
function forceBackend(exchange: Exchange, rule: RulePlan): void {
  exchange.backend = rule.backend;
  if (exchange.action !== null) exchange.filters = exchange.action.filters;
}

function redirect(
  exchange: Exchange,
  rule: RulePlan,
  verdict: Verdict,
  effects: readonly Effect[],
  index: number,
): void {
  const value = effects.find((e) => e.kind === EFFECT_VALUE && e.index === index && e.a === VALUE_LOCATION);
  if (value === undefined || value.value === '') {
    // Without its target the redirect can't be made; letting the request pass would be failing open.
    refuse(
      exchange,
      { ...verdict, action: 'block', status: 500, reason: 'a redirect has no target' },
      'proxy_configuration_error',
    );
    return;
  }
  let location = safeUrl(value.value);
  // Cut from a path such as `/old//evil.example`, this would be another host. Who means one writes its scheme.
  if (location.startsWith('//')) location = `${exchange.scheme}://${exchange.authority}${location}`;
  const query = exchange.target.query;
  if (rule.preserveQuery && query.length > 1) {
    const hash = location.indexOf('#');
    const end = hash < 0 ? location.length : hash;
    const target = location.slice(0, end);
    location = target + (target.includes('?') ? '&' + query.slice(1) : query) + location.slice(end);
  }
  exchange.verdicts.push(verdict);
  exchange.response = new Response(null, { status: rule.status, headers: { location } });
  exchange.owned = true;
}

function ruleVerdict(rule: RulePlan, effect: Effect): Verdict {
  const enforced = effect.mode === MODE_ENFORCE;
  const ends = rule.action === 'block' || rule.action === 'redirect';
  return {
    action: ends ? (rule.action as 'block' | 'redirect') : rule.action === 'log' ? 'log' : 'allow',
    phase: 'rules',
    rule: rule.name,
    status: ends ? rule.status : 0,
    reason: rule.action === 'log' || ends ? rule.reason : rule.action,
    mode: enforced && rule.action !== 'log' ? 'enforce' : 'log',
    ...evidenceOf(effect),
  };
}

export function inspectionVerdict(plan: Plan, effect: Effect): Verdict {
  const text = INSPECTION[effect.a] ?? { status: 400, reason: 'a header is not acceptable' };
  const profile = plan.inspections[effect.index];
  return {
    action: 'block',
    phase: 'inspect',
    rule: profile === undefined || profile.name === '' ? 'inspect' : profile.name,
    status: text.status,
    reason: text.reason,
    mode: effect.mode === MODE_ENFORCE ? 'enforce' : 'log',
    // The value is the header's name here, never what it holds.
    ...(effect.value === '' ? {} : { evidence: { target: 'header', value: cut(effect.value) } }),
  };
}

function evidenceOf(effect: Effect | undefined): { evidence?: Evidence } {
  if (effect === undefined) return {};
  // The engine leaves the value out where the field may hold a credential.
  const target = fieldName(effect.b);
  return target === '' && effect.value === '' ? {} : { evidence: { target, value: cut(effect.value) } };
}

function cut(text: string): string {
  return text.length > MAX_EVIDENCE ? text.slice(0, MAX_EVIDENCE) : text;
}
