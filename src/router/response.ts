/** Phase 10: the engine's response call, only where the policy has a rule that looks at the response. */
import { OUTCOME_OK } from '../../assembly/abi.ts';
import type { Plan } from '../plan.ts';
import type { Exchange, Phase } from './exchange.ts';
import { refuse } from './problem.ts';
import { judge } from './rules.ts';

export const response: Phase = {
  name: 'response',
  run(exchange) {
    const { plan, result, response: answer, owned } = exchange;
    // What the gateway answered itself is not the origin's, and needs no judging.
    const { status, error } = exchange.upstream;
    if (plan === null || result === null || answer === null || !plan.stages.response || status === 0 || error !== '')
      return;
    if (exchange.lease.released) {
      const reason = 'the policy was replaced while the origin answered';
      drop(answer);
      refuse(
        exchange,
        { action: 'block', phase: 'response', rule: '', status: 503, reason, mode: 'enforce' },
        'destination_unavailable',
      );
      return;
    }
    let text = answer.status + '\0';
    let fields = 1;
    for (const [name, value] of answer.headers as unknown as Iterable<[string, string]>) {
      text += name + '\0' + value + '\0';
      fields += 2;
    }
    const { engine, generation, head, seed, now } = exchange;
    const found = engine.response(
      generation,
      result.app,
      head,
      result.client,
      { text, fields },
      seed,
      now,
      exchange.state,
    );
    exchange.response = null;
    judge(exchange, plan, found.effects, found.terminal, found.rule);
    if (exchange.response === null && found.outcome !== OUTCOME_OK) unjudged(exchange, plan);
    if (exchange.response !== null) return drop(answer);
    exchange.response = answer;
    exchange.owned = owned;
  },
};

/** Handled as a body is that is too large to judge. */
function unjudged(exchange: Exchange, plan: Plan): void {
  const reason = 'the answer of the origin could not be judged';
  if (plan.body.over === 'reject')
    refuse(
      exchange,
      { action: 'block', phase: 'response', rule: 'limit', status: 502, reason, mode: 'enforce' },
      'http_protocol_error',
    );
  else exchange.verdicts.push({ action: 'log', phase: 'response', rule: 'limit', status: 0, reason, mode: 'log' });
}

/** An origin's answer that is replaced is not read to its end. */
function drop(answer: Response): void {
  answer.body?.cancel().catch(() => {});
}
