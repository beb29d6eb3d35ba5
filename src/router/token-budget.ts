/**
 * Budgets of tokens. Tokens of a request to a model are taken before anybody knows how many they are: those of
 * the request by its length, and as many for the answer as the client allows, or UNKNOWN_OUTPUT. What was not used is given
 * back once the answer is over, and what was used beyond is added. So requests that are on their way can not spend a
 * budget together that each of them would find full; only what an answer has beyond its reservation overshoots.
 */
import type { ObjectNamespace } from '../durable-object.ts';
import { LIMITER_TIMEOUT_MS } from '../agents/limits.ts';
import { totalOf, type Usage } from '../agents/llm/usage.ts';
import { giveBack, take, type Take, type Taken } from '../agents/rate-limiter.ts';
import { addressOf } from '../platform/authority.ts';
import type { LlmBudgetPlan } from '../plan.ts';
import { callerOf } from './caller.ts';
import type { Exchange } from './exchange.ts';
import type { LlmExchange, Reservation } from './llm-exchange.ts';
import { patiently } from './open-exchanges.ts';
import { refuse } from './problem.ts';

/** Tokens that an answer is thought to have whose client sets no limit. */
export const UNKNOWN_OUTPUT = 1024;

/** Takes them; refuses the request where a budget has not as many left. */
export async function reserve(exchange: Exchange, llm: LlmExchange): Promise<void> {
  const { request, plan } = llm;
  if (request === null) return;
  const writes = request.operation.kind !== 'embeddings';
  const tokens = Math.min(request.input + (writes ? (request.most < 0 ? UNKNOWN_OUTPUT : request.most) : 0), MAX_COST);
  for (const one of plan.budgets) {
    const key = keyOf(exchange, one);
    const wanted = takeOf(exchange, one, key, tokens);
    const { limiter = null } = exchange.platform;
    const taken = limiter === null ? null : await taking(exchange, limiter, wanted);
    if (exchange.settled) return;
    if (taken === null) {
      if (unasked(exchange, llm, one)) return;
      llm.reservations.push({ budget: one, key, tokens: 0, until: 0 });
    } else if (taken.allowed) {
      const until = Date.now() + taken.resetSeconds * 1000;
      llm.reservations.push({ budget: one, key, tokens, until });
    } else if (spent(exchange, llm, one, taken.resetSeconds)) return;
    else llm.reservations.push({ budget: one, key, tokens: 0, until: 0 });
  }
}

/**
 * Null when it takes too long. Nobody settles what comes after that, or for a client that is gone: it is given back, also
 * where the runtime has dropped the request meanwhile with all that it waits for.
 */
function taking(exchange: Exchange, limiter: ObjectNamespace, wanted: Take): Promise<Taken | null> {
  let late = false;
  const asked = take(limiter, wanted);
  const unwanted = asked.then(async (taken) => {
    if (taken?.allowed !== true || !(late || exchange.settled)) return;
    await giveBack(limiter, wanted, Date.now() + taken.resetSeconds * 1000);
  });
  exchange.kept = true;
  exchange.context.waitUntil(unwanted);
  return patiently(exchange, asked, LIMITER_TIMEOUT_MS).then((taken) => {
    late = taken === null;
    return taken;
  });
}

/** What the object takes as a cost. */
const MAX_COST = 1e14;

/** True when the request was refused. */
function unasked(exchange: Exchange, llm: LlmExchange, { name, onError }: LlmBudgetPlan): boolean {
  const reason = 'the tokens of this client could not be counted';
  const verdict = { phase: 'budget', rule: name, reason } as const;
  if (onError === 'open' || llm.plan.mode === 'log') {
    exchange.verdicts.push({ ...verdict, action: 'allow', status: 0, mode: 'log' });
    return false;
  }
  end(exchange, llm);
  refuse(exchange, { ...verdict, action: 'block', status: 503, mode: 'enforce' }, 'destination_unavailable');
  return true;
}

/** The same for a budget that has not as much left. */
function spent(exchange: Exchange, llm: LlmExchange, { name }: LlmBudgetPlan, resetSeconds: number): boolean {
  const { mode } = llm.plan;
  const reason = 'the token budget of this client is spent';
  const verdict = { phase: 'budget', rule: name, reason, action: 'block', status: 429 } as const;
  if (mode === 'log') {
    exchange.verdicts.push({ ...verdict, mode });
    return false;
  }
  end(exchange, llm);
  refuse(exchange, { ...verdict, mode }, 'http_request_denied');
  exchange.response?.headers.set('retry-after', String(Math.max(1, Math.ceil(resetSeconds))));
  return true;
}

function end(exchange: Exchange, llm: LlmExchange): void {
  exchange.body?.discard();
  const given = settleBudgets(exchange, llm.reservations.splice(0), null);
  if (given !== null) exchange.context.waitUntil(given);
}

/** Makes what was taken what was used; null: there is nothing to do. `usage` null: nothing was used. */
export function settleBudgets(
  exchange: Exchange,
  reservations: readonly Reservation[],
  usage: Usage | null,
): Promise<unknown> | null {
  const { limiter = null } = exchange.platform;
  if (limiter === null || reservations.length === 0) return null;
  const used = usage === null ? 0 : totalOf(usage);
  return Promise.all(
    reservations.map(({ budget: one, key, tokens, until }) => {
      const wanted = takeOf(exchange, one, key, Math.abs(used - tokens));
      if (used > tokens) return take(limiter, { ...wanted, spent: true });
      return used < tokens ? giveBack(limiter, wanted, until) : null;
    }),
  );
}

function takeOf({ plan }: Exchange, one: LlmBudgetPlan, key: string, cost: number): Take {
  const { name, tokens: limit, windowSeconds } = one;
  return { rule: JSON.stringify([plan?.app ?? '', 'budget', name]), key, limit, windowSeconds, cost, refundable: true };
}

/** Whose tokens they are. What is not there counts as '', so that leaving it out is no way around. */
function keyOf(exchange: Exchange, { by }: LlmBudgetPlan): string {
  return JSON.stringify(by.map((field) => valueOf(exchange, field)));
}

function valueOf(exchange: Exchange, field: string): string {
  switch (field) {
    case 'ip.src':
      return network(exchange.result?.client || addressOf(exchange.peer));
    case 'agent.operator':
      return callerOf(exchange).operator;
    case 'agent.name':
      return callerOf(exchange).name;
    case 'agent.domain':
      return exchange.identity?.outcome === 'verified' && exchange.identity.wellKnown ? exchange.identity.host : '';
    case 'llm.model':
      return exchange.llm?.request?.model ?? '';
    default:
      return exchange.request.headers.get(field.slice('header:'.length)) ?? '';
  }
}

/** One IPv6 client has a network of its own, of which it can take any address: its first four groups. */
function network(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined
      ? first
      : [...first, ...Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => '0'), ...last];
  return groups
    .slice(0, 4)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':');
}
