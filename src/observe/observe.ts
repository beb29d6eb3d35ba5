/** Phase 12: one event per request: a log line and counters. */
import type { Exchange } from '../router/exchange.ts';
import { logLine } from './access-log.ts';
import { count } from './metrics.ts';

export function observe(exchange: Exchange, response: Response): void {
  const duration = Date.now() - exchange.startedAt;
  console.log(logLine(exchange, response.status, response.headers.get('content-length'), duration));
  count(exchange, response.status, duration);
}
