/** Rates: how many requests of a kind pass in a window, and the fields that tell a client how it stands. */
import { LIMITER_TIMEOUT_MS } from '../agents/limits.ts';
import { take, type Taken } from '../agents/rate-limiter.ts';
import { writeBareItem } from '../agents/structured-field-text.ts';
import type { RatePlan } from '../plan.ts';
import type { Demand, RateState } from './demand.ts';
import type { Exchange } from './exchange.ts';
import { patiently } from './open-exchanges.ts';
import { refuse } from './problem.ts';

/** Takes one request from the window of a demand; answers the exchange where none is left. */
export async function settleRate(exchange: Exchange, demand: Demand, rate: RatePlan): Promise<void> {
  const { rule, mode, evidence } = demand;
  const verdict = { phase: 'limit', rule: rule.name, mode, ...(evidence !== undefined && { evidence }) } as const;
  const taken = await ask(exchange, demand, rate);
  if (taken === null) {
    const reason = 'the requests of this client could not be counted';
    if (rate.onError === 'open' || mode === 'log') {
      exchange.verdicts.push({ ...verdict, action: 'allow', status: 0, reason, mode: 'log' });
      return;
    }
    return refuse(exchange, { ...verdict, action: 'block', status: 503, reason }, 'destination_unavailable');
  }
  if (mode === 'enforce') exchange.rates = [...exchange.rates, stateOf(rate, taken)];
  if (taken.allowed) return;
  const refusal = { ...verdict, action: 'block', status: rule.status, reason: rule.reason } as const;
  if (mode === 'log') return void exchange.verdicts.push(refusal);
  refuse(exchange, refusal, 'http_request_denied');
  exchange.response?.headers.set('retry-after', String(Math.max(1, Math.ceil(taken.resetSeconds))));
}

function ask(exchange: Exchange, { rule, keys }: Demand, rate: RatePlan): Promise<Taken | null> {
  const limiter = exchange.platform.limiter ?? null;
  if (limiter === null) return Promise.resolve(null);
  const wanted = {
    rule: JSON.stringify([exchange.plan?.app ?? '', rule.name]),
    key: JSON.stringify(keys),
    limit: rate.requests,
    windowSeconds: rate.seconds,
  };
  return patiently(exchange, take(limiter, wanted), LIMITER_TIMEOUT_MS);
}

function stateOf(rate: RatePlan, { remaining, resetSeconds }: Taken): RateState {
  return { rate, remaining, resetSeconds };
}

/** SPEC: draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4. They join what an origin says of limits of its own. */
export function writeRates(headers: Headers, rates: readonly RateState[]): void {
  for (const { rate, remaining, resetSeconds } of rates) {
    const policy = writeBareItem({ type: 'string', value: rate.policy });
    headers.append('ratelimit-policy', `${policy};q=${rate.requests};w=${rate.seconds}`);
    headers.append('ratelimit', `${policy};r=${remaining};t=${Math.ceil(resetSeconds)}`);
  }
}
