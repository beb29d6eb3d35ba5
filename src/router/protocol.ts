/** Phase `protocol`: what an agent asks for, where the route speaks a protocol of agents: read from the body, before rules of that stage. */
import { readA2a } from './a2a.ts';
import type { Exchange, Phase } from './exchange.ts';
import { readLlm } from './llm.ts';
import { admitMcp } from './mcp.ts';

export const protocol: Phase = {
  name: 'protocol',
  run(exchange) {
    const { plan, action } = exchange;
    // PERF: all that a request costs whose route speaks none.
    if (plan === null || action === null || (action.mcp & action.a2a & action.llm) === -1) return;
    return read(exchange, plan, action);
  },
};

function read(
  exchange: Exchange,
  plan: NonNullable<Exchange['plan']>,
  action: NonNullable<Exchange['action']>,
): Promise<void> | void {
  const mcp = plan.mcps[action.mcp];
  if (mcp !== undefined) return admitMcp(exchange, plan, mcp);
  const a2a = plan.a2as[action.a2a];
  if (a2a !== undefined) return readA2a(exchange, a2a);
  const llm = plan.llms[action.llm];
  if (llm !== undefined) return readLlm(exchange, llm);
}
