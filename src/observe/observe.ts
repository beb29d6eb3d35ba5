/** Phase `observe`: one event per request: a log line and counters. */
import type { Exchange } from '../router/exchange.ts';
import { logLine } from './access-log.ts';
import { reportAgent } from './agent-report.ts';
import { count } from './metrics.ts';
import { findViolation, noteViolation } from './robots-violation.ts';

/** `length` is the Content-Length of the answer, null when it has none. */
export function observe(exchange: Exchange, status: number, length: string | null): void {
  const duration = Date.now() - exchange.startedAt;
  const judged = noteViolation(exchange);
  console.log(logLine(exchange, status, length, duration));
  count(exchange, status, duration);
  reportAgent(exchange);
  // The last of all: the runtime runs what is ready while it writes a line.
  if (!judged) findViolation(exchange);
}
