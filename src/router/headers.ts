/** Phase `headers`: headers of the answer: response modifiers of the route, CORS, stickiness. Copies only when one applies. */
import { applyCors } from './cors-policy.ts';
import { ownHeaders, type Phase } from './exchange.ts';
import { applyChange } from './header-change.ts';
import { writeRates } from './rate.ts';

export const headers: Phase = {
  name: 'headers',
  run(exchange) {
    for (const filter of exchange.filters)
      if (filter.type === 'responseHeaders') applyChange(ownHeaders(exchange), filter.change, exchange.platform);
    const cors = exchange.action?.cors ?? null;
    if (cors !== null) applyCors(exchange, cors, ownHeaders(exchange));
    if (exchange.rates.length > 0) writeRates(ownHeaders(exchange), exchange.rates);
    if (exchange.sticky !== '') ownHeaders(exchange).append('set-cookie', exchange.sticky);
  },
};
