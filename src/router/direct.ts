/** Phase `direct`: an answer that the policy holds itself. */
import type { Phase } from './exchange.ts';

export const direct: Phase = {
  name: 'direct',
  run(exchange) {
    for (const filter of exchange.filters) {
      if (filter.type !== 'direct') continue;
      const { status, body, contentType } = filter.direct;
      // SPEC: RFC 9110: these have no content, and the runtime refuses to construct them with any.
      const empty = status === 204 || status === 205 || status === 304 || exchange.request.method === 'HEAD';
      const headers = new Headers();
      if (contentType !== '' && body !== '') headers.set('content-type', contentType);
      exchange.response = new Response(empty || body === '' ? null : body, { status, headers });
      exchange.owned = true;
      exchange.verdicts.push({
        ...{
          action: 'respond',
          phase: 'direct',
          rule: exchange.routeName,
          status,
          reason: 'answered by the policy',
          mode: 'enforce',
        },
      });
      return;
    }
  },
};
