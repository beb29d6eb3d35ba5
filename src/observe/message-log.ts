/** One line of JSON for a message that rules of the WAF matched; beside the line of the request that opened its stream. */
import type { Exchange } from '../router/exchange.ts';
import type { PartVerdict } from '../router/waf.ts';
import { countMessage } from './metrics.ts';

export function logMessage(
  exchange: Exchange,
  from: 'client' | 'origin',
  { blocked, rule, events }: PartVerdict,
  mode: 'off' | 'log' | 'enforce',
  closed: number, // WebSocket close code, 0: it passed
): void {
  const { plan, routeName, seen, result, id } = exchange;
  const reason =
    events.length === 0 ? 'the message could not be judged' : 'the web application firewall blocked this message';
  const verdict = blocked ? [{ action: 'block', phase: 'waf', rule: String(rule), status: closed, reason, mode }] : [];
  const line = {
    ...{ time: new Date().toISOString(), id, app: plan?.app ?? '', route: routeName, method: 'MESSAGE' },
    ...{ host: seen.host.slice(0, 300), path: (result?.path ?? '').slice(0, 2048), status: closed, ms: 0 },
    ...{ client: result?.client ?? '', from, waf: { mode, blocked, events }, verdict },
  };
  console.log(JSON.stringify(line));
  countMessage(
    plan?.app ?? '',
    events.map((event) => event.rule),
    blocked ? mode : 'off',
  );
}
