/** Phase: what is answered for the whole app beside its routes: robots.txt and llms.txt; and who does not keep to the first. */
import type { DocumentPlan, Plan, RobotsPlan, SitePlan } from '../plan.ts';
import { tunnelOfHost } from '../tunnel/objects.ts';
import { entityResponse, entityTag } from './entity.ts';
import { type Exchange, type Phase, watch } from './exchange.ts';
import { refuse } from './problem.ts';
import { prepareRobots, robotsFile } from './robots-file.ts';
import { isAgent, violates } from './robots-violation.ts';

export const robots: Phase = {
  name: 'robots',
  run(exchange) {
    const { plan } = exchange;
    // PERF: all that an app costs which says nothing of it.
    if (plan === null || plan.site === null || exchange.result === null) return;
    return answer(exchange, plan, plan.site, exchange.result.path);
  },
};

function answer(exchange: Exchange, plan: Plan, { robots, documents }: SitePlan, path: string): void | Promise<void> {
  // The hosts of tunnels are their owners', who may let nobody in.
  if (plan.tunnels !== null && tunnelOfHost(exchange.authority, plan.tunnels.domain) !== null) return;
  const { method } = exchange.request;
  const reads = method === 'GET' || method === 'HEAD';
  if (robots !== null && path === '/robots.txt')
    return reads && robots.text !== '' ? serve(exchange, plan, robots) : undefined;
  if (reads) for (const document of documents) if (document.path === path) return give(exchange, document);
  const mode = exchange.action?.robots ?? 'off';
  if (robots === null || mode === 'off' || !isAgent(exchange)) return;
  if (mode === 'block') return judge(exchange, plan, robots);
  prepareRobots(exchange, plan, robots); // counted when the exchange is observed
}

async function serve(exchange: Exchange, plan: Plan, robots: RobotsPlan): Promise<void> {
  watch(exchange);
  const file = await robotsFile(exchange, plan, robots);
  if (!file.complete) {
    // SPEC: RFC 9309 section 2.3.1.4: a crawler that can not reach it takes all for disallowed. Without the origin's part,
    // a file would allow what the origin does not.
    const reason = 'the robots.txt of the origin can not be reached';
    refuse(
      exchange,
      { action: 'respond', phase: 'robots', rule: '', status: 503, reason, mode: 'enforce' },
      'destination_unavailable',
    );
    return;
  }
  respond(exchange, entityResponse(exchange.request, file.bytes, file.etag, 'text/plain; charset=utf-8'));
}

const entities = new WeakMap<DocumentPlan, { readonly bytes: Uint8Array<ArrayBuffer>; readonly etag: string }>();

async function give(exchange: Exchange, document: DocumentPlan): Promise<void> {
  const known = entities.get(document);
  const bytes = known?.bytes ?? (new TextEncoder().encode(document.body) as Uint8Array<ArrayBuffer>);
  const etag = known?.etag ?? (await entityTag(bytes));
  if (known === undefined) entities.set(document, { bytes, etag });
  respond(exchange, entityResponse(exchange.request, bytes, etag, document.type));
}

function respond(exchange: Exchange, response: Response): void {
  exchange.response = response;
  exchange.owned = true;
  const { status } = response;
  const reason = 'answered by the policy';
  exchange.verdicts.push({ action: 'respond', phase: 'robots', rule: '', status, reason, mode: 'enforce' });
}

async function judge(exchange: Exchange, plan: Plan, robots: RobotsPlan): Promise<void> {
  watch(exchange);
  await robotsFile(exchange, plan, robots);
  if (violates(exchange, plan, robots) !== true) return;
  const reason = 'robots.txt disallows this for this agent';
  refuse(
    exchange,
    { action: 'block', phase: 'robots', rule: 'robots.txt', status: 403, reason, mode: 'enforce' },
    'http_request_denied',
  );
}
