/**
 * One line of JSON for the tokens of an answer, once it is over; beside the line of its request, which was written when the
 * answer began. Method USAGE; `id` is that of the request.
 */
import type { Usage } from '../agents/llm/usage.ts';
import type { Exchange } from '../router/exchange.ts';
import { countTokens } from './metrics.ts';

export function logUsage(exchange: Exchange, usage: Usage): void {
  const { plan, routeName, seen, result, id, llm, upstream } = exchange;
  const { provider } = llm?.plan ?? { provider: '' };
  const { model = '', stream = false } = llm?.request ?? {};
  const line = {
    ...{ time: new Date().toISOString(), id, app: plan?.app ?? '', route: routeName, method: 'USAGE' },
    ...{ host: seen.host.slice(0, 300), path: (result?.path ?? '').slice(0, 2048), status: upstream.status },
    ...{ ms: Date.now() - exchange.startedAt, client: result?.client ?? '' },
    llm: { provider, model, stream: String(stream), backend: upstream.backend, tokens: usage },
    verdict: [],
  };
  console.log(JSON.stringify(line));
  countTokens(plan?.app ?? '', provider, upstream.backend, usage);
}
