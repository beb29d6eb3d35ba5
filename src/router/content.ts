/** Phase: what is said of the content of an origin's answer, and HTML as Markdown for who asks for that. */
import { mergeSignals, mergeUsage } from '../agents/content-signal.ts';
import type { ContentPlan } from '../plan.ts';
import { type Exchange, ownHeaders, type Phase } from './exchange.ts';
import { giveMarkdown } from './markdown.ts';
import { upgraded } from './websocket.ts';

export const content: Phase = {
  name: 'content',
  run(exchange) {
    const { action, plan, response, upstream } = exchange;
    // PERF: all that a route costs of whose content nothing is said.
    if (action === null || action.content < 0) return;
    const content = plan?.contents[action.content];
    if (content === undefined || response === null || upstream.status === 0 || upstream.error !== '') return;
    const { status } = response;
    if (upgraded(response) || !((status >= 200 && status < 300) || status === 304)) return;
    if (status !== 304) say(exchange, content);
    if (content.markdown) return giveMarkdown(exchange, exchange.response ?? response);
  },
};

function say(exchange: Exchange, { signal, usage, headers: lines }: ContentPlan): void {
  if (signal.length + usage.length + lines.length === 0) return;
  const headers = ownHeaders(exchange);
  if (signal.length > 0) headers.set('content-signal', mergeSignals(signal, headers.get('content-signal')));
  if (usage.length > 0) headers.set('content-usage', mergeUsage(usage, headers.get('content-usage')));
  for (const [name, value] of lines)
    if (name === 'link') headers.append(name, value);
    else headers.set(name, value);
}
