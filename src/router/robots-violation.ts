/** Whether an agent asks for what robots.txt disallows for it. */
import { agentEvents } from '../agents/agent-events.ts';
import { isProductToken, type RobotsMatcher } from '../agents/robots.ts';
import type { Plan, RobotsPlan } from '../plan.ts';
import { callerOf } from './caller.ts';
import type { Exchange } from './exchange.ts';
import { knownRobots } from './robots-file.ts';

/**
 * Agents that are no crawlers (they fetch what somebody just asked for, or what they were set up for): robots.txt is
 * about them only where a group names them.
 */
const BY_NAME = new Set(['fetch', 'agent', 'library', 'automation', 'preview', 'feed', 'monitoring']);

/** True for who robots.txt may be about. PERF: all that the request of a person costs. */
export function isAgent({ result }: Exchange): boolean {
  return result !== null && result.identity !== 0;
}

/** Notes a violation, by what is known of the file now; false: there is none, null: nothing is known yet. */
export function violates(exchange: Exchange, plan: Plan, robots: RobotsPlan): boolean | null {
  const file = knownRobots(exchange, plan, robots);
  const { result } = exchange;
  if (file === null || result === null) return null;
  const { name, category } = callerOf(exchange);
  const token = Object.hasOwn(robots.tokens, name) ? (robots.tokens[name] as string) : name;
  const path = result.path + result.query;
  if (allowed(file.matcher, isProductToken(token) ? token : '', path, !BY_NAME.has(category))) return false;
  agentEvents(exchange).robots = true;
  return true;
}

/** Also where a group for a name that begins like the agent's lets it: Googlebot-Image keeps to what is said of Googlebot. */
function allowed(matcher: RobotsMatcher, token: string, path: string, crawls: boolean): boolean {
  if (matcher.allows(token, path, crawls)) return true;
  if (matcher.names(token)) return false;
  for (let at = token.lastIndexOf('-'); at > 0; at = token.lastIndexOf('-', at - 1)) {
    const shorter = token.slice(0, at);
    if (matcher.names(shorter)) return matcher.allows(shorter, path, false);
  }
  return false;
}
