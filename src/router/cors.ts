/**
 * Phase `cors`: CORS preflight. What every other answer carries is added with its headers (phase `headers`).
 * Semantics of Gateway API's CORS filter (GEP-1767); the Fetch standard says what a browser does with them.
 */
import { allows, set } from './cors-policy.ts';
import type { Phase } from './exchange.ts';
import { refuse } from './problem.ts';

export const cors: Phase = {
  name: 'cors',
  run(exchange) {
    const plan = exchange.action?.cors ?? null;
    if (plan === null || exchange.request.method !== 'OPTIONS' || exchange.seen.origin === '') return;
    const method = exchange.request.headers.get('access-control-request-method') ?? '';
    if (method === '') return; // an ordinary OPTIONS request
    if (!allows(plan, exchange.seen.origin)) {
      const reason = 'this origin is not allowed';
      const verdict = {
        action: 'block',
        phase: 'cors',
        rule: exchange.routeName,
        status: 403,
        reason,
        mode: 'enforce',
      } as const;
      refuse(exchange, verdict, 'http_request_denied');
      return;
    }
    const headers = new Headers();
    const requested = exchange.request.headers.get('access-control-request-headers') ?? '';
    // A list with `*` is answered with what was asked for: with credentials a browser takes `*` literally.
    set(
      headers,
      'access-control-allow-methods',
      plan.allowMethods.includes('*') ? method : plan.allowMethods.join(', '),
    );
    set(
      headers,
      'access-control-allow-headers',
      plan.allowHeaders.includes('*') ? requested : plan.allowHeaders.join(', '),
    );
    headers.set('access-control-max-age', String(plan.maxAge));
    headers.set('vary', 'Access-Control-Request-Method, Access-Control-Request-Headers');
    headers.set('content-length', '0');
    // 200 and not 204: some older clients refuse anything else, and so does the conformance suite.
    exchange.response = new Response(null, { status: 200, headers });
    exchange.owned = true;
    exchange.verdicts.push({
      ...{
        action: 'respond',
        phase: 'cors',
        rule: exchange.routeName,
        status: 200,
        reason: 'preflight answered',
        mode: 'enforce',
      },
    });
  },
};
