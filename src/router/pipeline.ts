/** The request's path: the list of phases, in order. ARCHITECTURE.md holds the same list. */
import { observe } from '../observe/observe.ts';
import { access } from './access.ts';
import { address } from './address.ts';
import { budget } from './budget.ts';
import { content } from './content.ts';
import { cors } from './cors.ts';
import { direct } from './direct.ts';
import { CLIENT_GONE, type Exchange, hangUp, type Phase, unwatch } from './exchange.ts';
import { headers } from './headers.ts';
import { identity } from './identity.ts';
import { inspect } from './inspect.ts';
import { limit } from './limit.ts';
import { match } from './match.ts';
import { leaveMeter, meter } from './meter.ts';
import { closed, opened } from './open-exchanges.ts';
import { payment } from './payment.ts';
import { problem } from './problem.ts';
import { protocol } from './protocol.ts';
import { protocolAnswer } from './protocol-answer.ts';
import { redirect } from './redirect.ts';
import { response } from './response.ts';
import { rewrite } from './rewrite.ts';
import { robots } from './robots.ts';
import { sanitize } from './sanitize.ts';
import { upstream } from './upstream.ts';

/** Until one of them answers. */
export const REQUEST_PHASES: readonly Phase[] = [
  sanitize,
  address,
  identity,
  match,
  cors,
  limit, // of stage head
  redirect,
  direct,
  robots,
  access,
  protocol,
  inspect,
  limit, // of stage body
  budget,
  rewrite,
  upstream,
];

/** On every answer, whoever gave it. */
export const RESPONSE_PHASES: readonly Phase[] = [meter, response, content, protocolAnswer, payment, headers];

/** Runs an exchange to its answer. Never rejects: what a phase throws becomes a 500 with the request's id. */
export async function serve(exchange: Exchange): Promise<Response> {
  exchange.lease.users++;
  opened(exchange);
  let answer: Response;
  try {
    for (const phase of REQUEST_PHASES) {
      const pending = phase.run(exchange);
      // PERF: most phases decide at once; only a promise is awaited.
      if (pending !== undefined) await pending;
      if (exchange.response !== null) break;
    }
    for (const phase of RESPONSE_PHASES) {
      const pending = phase.run(exchange);
      if (pending !== undefined) await pending;
    }
    answer = exchange.response ?? broken(exchange, new Error('no phase answered'));
  } catch (error) {
    answer = broken(exchange, error);
  } finally {
    settle(exchange);
  }
  if (!exchange.gone) observe(exchange, answer.status, answer.headers.get('content-length'));
  return answer;
}

/**
 * The client went away. If it has no answer yet, the runtime drops the request with what it has dialled, and nothing after
 * a pending `await` runs any more, no `finally` either: what the exchange occupied is given back here, and its line written.
 */
export function abandon(exchange: Exchange): void {
  if (exchange.settled) return;
  exchange.gone = true;
  hangUp(exchange);
  settle(exchange);
  leaveMeter(exchange);
  const { routeName: rule, upstream: log, verdicts } = exchange;
  if (log.backend !== '') log.error = 'client gone';
  const reason = 'the client went away';
  verdicts.push({ action: 'respond', phase: 'upstream', rule, status: CLIENT_GONE, reason, mode: 'enforce' });
  observe(exchange, CLIENT_GONE, null);
}

function settle(exchange: Exchange): void {
  if (exchange.settled) return;
  exchange.settled = true;
  closed(exchange);
  unwatch(exchange);
  exchange.lease.users--;
  // Whoever answered, nobody will send a held body again.
  exchange.body?.release();
  exchange.answer?.release();
}

/** Fails closed: nothing of the request goes further, nothing of the error reaches the client. */
function broken(exchange: Exchange, error: unknown): Response {
  exchange.body?.discard();
  exchange.response?.body?.cancel().catch(() => {});
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.error(JSON.stringify({ level: 'error', id: exchange.id, message: text.slice(0, 2000) }));
  const reason = 'the gateway failed to process this request';
  exchange.verdicts.push({ action: 'block', phase: 'pipeline', rule: '', status: 500, reason, mode: 'enforce' });
  return problem(
    exchange.id,
    exchange.request.method,
    exchange.seen.accept,
    { status: 500, reason, rule: '' },
    'proxy_internal_error',
  );
}
