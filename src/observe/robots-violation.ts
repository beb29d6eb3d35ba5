/** Counts requests that robots.txt disallows for their agent, also those that something else refused. */
import { robotsFile } from '../router/robots-file.ts';
import { isAgent, violates } from '../router/robots-violation.ts';
import type { Exchange } from '../router/exchange.ts';
import { reportLate } from './agent-report.ts';

/** Notes a violation; false: robots.txt is not known yet, so that `findViolation` has to. */
export function noteViolation(exchange: Exchange): boolean {
  const { plan, action, agentEvents } = exchange;
  const robots = plan?.site?.robots ?? null;
  // PERF: all that an app costs which says nothing of robots.txt.
  if (plan === null || robots === null || action === null || action.robots === 'off') return true;
  return !isAgent(exchange) || agentEvents?.robots === true || violates(exchange, plan, robots) !== null;
}

/** After the line of the request was written: it is counted all the same. */
export function findViolation(exchange: Exchange): void {
  const { plan } = exchange;
  const robots = plan?.site?.robots ?? null;
  if (plan === null || robots === null) return;
  const find = async (): Promise<void> => {
    await robotsFile(exchange, plan, robots);
    if (violates(exchange, plan, robots) === true) reportLate(exchange, (events) => void (events.robots = true));
  };
  exchange.context.waitUntil(find().catch(() => {}));
}
