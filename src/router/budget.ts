/** Phase `budget`: tokens of a request to a model, taken from its budgets before they are used. */
import type { Phase } from './exchange.ts';
import { reserve } from './token-budget.ts';

export const budget: Phase = {
  name: 'budget',
  run(exchange) {
    const { llm } = exchange;
    // PERF: all that requests to anything else cost.
    if (llm === null || llm.request === null || llm.plan.budgets.length === 0) return;
    if (llm.request.operation.kind === 'counted') return;
    return reserve(exchange, llm);
  },
};
