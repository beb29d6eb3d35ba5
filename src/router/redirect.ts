/** Phase `redirect`: the redirect filter of Gateway API. (Redirects by rules are answered by match.) */
import type { RedirectPlan } from '../plan.ts';
import { hostnameOf, portOf } from '../platform/authority.ts';
import type { Exchange, Phase } from './exchange.ts';
import { replacePath } from './path.ts';
import { safeUrl } from './text.ts';

export const redirect: Phase = {
  name: 'redirect',
  run(exchange) {
    for (const filter of exchange.filters) {
      if (filter.type !== 'redirect') continue;
      const status = filter.redirect.status;
      const location = safeUrl(locationOf(exchange, filter.redirect));
      exchange.response = new Response(null, { status, headers: { location } });
      exchange.owned = true;
      exchange.verdicts.push({
        ...{
          action: 'redirect',
          phase: 'redirect',
          rule: exchange.routeName,
          status,
          reason: 'redirected',
          mode: 'enforce',
        },
      });
      return;
    }
  },
};

/**
 * SPEC: Gateway API HTTPRequestRedirectFilter. Port: the given one, else the well-known one of a given scheme, else the
 * one that the client used. Well-known ports are left out.
 */
export function locationOf(exchange: Exchange, plan: RedirectPlan): string {
  const scheme = plan.scheme ?? exchange.scheme;
  const host = plan.hostname ?? hostnameOf(exchange.authority);
  const port = plan.port !== null ? String(plan.port) : plan.scheme !== null ? '' : portOf(exchange.authority);
  const wellKnown = port === '' || (scheme === 'http' && port === '80') || (scheme === 'https' && port === '443');
  const { path, query } = exchange.target;
  const target = plan.path === null ? path : replacePath(plan.path, path, exchange.result?.prefixLength ?? 0);
  return `${scheme}://${host}${wellKnown ? '' : ':' + port}${target}${query}`;
}
