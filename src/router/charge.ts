/** What a rule with `charge` asks for. */
import type { RulePlan } from '../plan.ts';
import type { Exchange } from './exchange.ts';
import { refuse } from './problem.ts';

/** Answers the exchange unless it is paid for. No policy with a charge compiles yet; an image that has one lets nobody pass. */
export function settleCharge(exchange: Exchange, rule: RulePlan): void | Promise<void> {
  const reason = 'payment can not be taken here';
  refuse(
    exchange,
    { action: 'block', phase: 'limit', rule: rule.name, status: 503, reason, mode: 'enforce' },
    'proxy_configuration_error',
  );
}
