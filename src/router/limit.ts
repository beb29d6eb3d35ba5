/**
 * Phase `limit`, and again after the engine's body call: what rules demand is settled, rate before challenge before charge.
 * It stands before the answers that need no origin, for which a rule holds as for any other.
 */
import { settleChallenge } from './challenge.ts';
import { settleCharge } from './charge.ts';
import type { Demand } from './demand.ts';
import type { Exchange, Phase } from './exchange.ts';
import { refuse } from './problem.ts';
import { settleRate } from './rate.ts';

export const limit: Phase = {
  name: 'limit',
  run(exchange) {
    // PERF: all that a request costs of which nothing is demanded.
    if (exchange.demands.length === 0) return;
    return settle(exchange);
  },
};

const ORDER = ['rate', 'challenge', 'charge'] as const;
const NONE: readonly Demand[] = [];

async function settle(exchange: Exchange): Promise<void> {
  const { demands } = exchange;
  exchange.demands = NONE;
  for (const action of ORDER) {
    for (const demand of demands) {
      if (demand.rule.action !== action) continue;
      await settleOne(exchange, demand);
      if (exchange.response === null) continue;
      exchange.body?.discard();
      return;
    }
  }
}

async function settleOne(exchange: Exchange, demand: Demand): Promise<void> {
  const { rule } = demand;
  if (exchange.platform.name === 'dry') return explained(exchange, demand);
  if (rule.action === 'charge') return await settleCharge(exchange, rule);
  if (rule.action === 'challenge') return await settleChallenge(exchange, demand);
  if (rule.rate !== undefined) return await settleRate(exchange, demand, rule.rate);
  const reason = 'the gateway can not settle this';
  refuse(
    exchange,
    { action: 'block', phase: 'limit', rule: rule.name, status: 503, reason, mode: 'enforce' },
    'proxy_configuration_error',
  );
}

/** Nothing is counted, asked or charged where nothing leaves. */
function explained(exchange: Exchange, { rule, mode, keys, evidence }: Demand): void {
  const { rate, charge } = rule;
  const reason =
    rate !== undefined
      ? `${rate.requests} requests in ${rate.seconds} s, counted by ${rate.by.map((name, at) => `${name} ${JSON.stringify(keys[at] ?? '')}`).join(', ')}`
      : charge !== undefined
        ? charge.price
        : rule.reason;
  const said = {
    action: 'allow',
    phase: 'limit',
    rule: rule.name,
    status: 0,
    reason: `${rule.action}: ${reason}`,
  } as const;
  exchange.verdicts.push({ ...said, mode, ...(evidence !== undefined && { evidence }) });
}
