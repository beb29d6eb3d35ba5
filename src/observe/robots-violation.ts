/** Counts requests that robots.txt disallows for their agent, also those that something else refused. */
import { robotsFile } from '../router/robots-file.ts';
import { isAgent, violates } from '../router/robots-violation.ts';
import type { Exchange } from '../router/exchange.ts';
import { reportLate } from './agent-report.ts';

export function noteViolation(exchange: Exchange): void {
  const { plan, action, agentEvents } = exchange;
  const robots = plan?.site?.robots ?? null;
  // PERF: all that an app costs which says nothing of robots.txt.
  if (plan === null || robots === null || action === null || action.robots === 'off') return;
  if (!isAgent(exchange) || agentEvents?.robots === true) return;
  if (violates(exchange, plan, robots) !== null) return;
  // The file is not known yet: counted once it is, while the line of this request is written now.
  const late = async (): Promise<void> => {
    await robotsFile(exchange, plan, robots);
    if (violates(exchange, plan, robots) === true) reportLate(exchange, (events) => void (events.robots = true));
  };
  exchange.context.waitUntil(late().catch(() => {}));
}
