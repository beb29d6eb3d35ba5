/**
 * Requests to language models: what they ask for, before rules that look at bodies; what of them goes to which backend,
 * when they are sent; where they turn when a backend fails before its answer began.
 */
import { ACCOUNT_HEADERS, CREDENTIAL_HEADERS, keyHeader, withoutKeys } from '../agents/llm/credentials.ts';
import { operationOf, withModel } from '../agents/llm/operation.ts';
import { asksInPlace, changedBody, type LlmRequest, readLlmRequest, REQUEST_FAULTS } from '../agents/llm/request.ts';
import { matchesPattern } from '../agents/name-pattern.ts';
import type { LlmPlan } from '../plan.ts';
import { fits, type ProtocolFields } from '../waf/protocol-fields.ts';
import type { Exchange } from './exchange.ts';
import { secretHeader } from './header-change.ts';
import { holdWhole } from './hold.ts';
import { refuse } from './problem.ts';

/** Reads the request; refuses what the policy does not have. */
export function readLlm(exchange: Exchange, plan: LlmPlan): void | Promise<void> {
  const path = exchange.result?.path ?? '';
  const operation = operationOf(plan.provider, exchange.request.method, path);
  if (typeof operation === 'object') return readModel(exchange, plan, operation);
  if (operation === 'other' && plan.others === 'refuse')
    if (deny(exchange, plan, 404, 'operation', 'this is no request that this route takes')) return;
  remember(exchange, plan, null, '');
}

async function readModel(exchange: Exchange, plan: LlmPlan, operation: LlmRequest['operation']): Promise<void> {
  const bytes = await holdWhole(exchange, plan.limit);
  if (bytes === null) return;
  const request = readLlmRequest(plan.provider, operation, bytes);
  if (typeof request === 'string') {
    // In mode log it passes too: what it asks for is not known, and nothing of it is counted.
    if (!deny(exchange, plan, 400, 'body', REQUEST_FAULTS[request])) remember(exchange, plan, null, '');
    return;
  }
  const fields: ProtocolFields = {
    llm: { provider: plan.provider, model: request.model, stream: request.stream ? 'true' : 'false' },
  };
  // SAFETY: MAX_MODEL is far below the limit of the engine.
  if (!fits(fields)) throw new Error('a model is longer than a field may be');
  exchange.protocol = fields;
  exchange.head = { ...exchange.head, protocol: fields };
  const entry = plan.models.find(({ match }) => matchesPattern(match, request.model));
  if (entry === undefined && plan.models.length > 0)
    if (deny(exchange, plan, 404, 'model', 'this route has no such model')) return;
  if (entry !== undefined && entry.backend >= 0) {
    exchange.backend = entry.backend;
    // Filters of the weighted backend that was drawn are not this one's.
    if (exchange.action !== null) exchange.filters = exchange.action.filters;
  }
  remember(exchange, plan, request, entry?.rewrite ?? '');
}

function remember(exchange: Exchange, plan: LlmPlan, request: LlmRequest | null, rewrite: string): void {
  const strips = request !== null && plan.askUsage && asksInPlace(request);
  exchange.llm = { plan, request, rewrite, strips, body: null, path: '', shared: null, reservations: [], usage: null };
}

/** True when the request was refused; in mode log it is only noted. */
function deny(exchange: Exchange, { mode }: LlmPlan, status: number, rule: string, reason: string): boolean {
  if (mode === 'log') {
    exchange.verdicts.push({ action: 'log', phase: 'protocol', rule: `llm ${rule}`, status, reason, mode });
    return false;
  }
  exchange.body?.discard();
  refuse(
    exchange,
    { action: 'block', phase: 'protocol', rule: `llm ${rule}`, status, reason, mode },
    'http_request_denied',
  );
  return true;
}

/** What a client sent to prove itself to a provider goes no further, unless the policy forwards it. Before filters. */
export function dropCredentials(exchange: Exchange, { plan }: { readonly plan: LlmPlan }, headers: Headers): void {
  if (plan.clientKey === 'forward' && keyOf(plan, exchange.backend) === null) return;
  for (const name of [...CREDENTIAL_HEADERS, ...ACCOUNT_HEADERS]) headers.delete(name);
  exchange.target.query = withoutKeys(exchange.target.query);
}

/** For who gets a copy of a request to a model: keys are of the backend that they were given for. */
export function withoutCredentials(outgoing: Headers): Headers {
  const headers = new Headers(outgoing);
  for (const name of [...CREDENTIAL_HEADERS, ...ACCOUNT_HEADERS]) headers.delete(name);
  return headers;
}

function keyOf(plan: LlmPlan, backend: number): string | null {
  return plan.keys.find((key) => key.backend === backend)?.secret ?? null;
}

/** Makes headers, path and body those of the first backend. Throws SecretError where its key is not set. */
export function prepareLlm(exchange: Exchange): void {
  const { llm } = exchange;
  if (llm === null) return;
  llm.path = exchange.target.path;
  address(exchange, exchange.backend, llm.rewrite);
}

/** Makes them those of another one: what was the first one's alone goes, whoever set it. Throws as above. */
export function turnTo(exchange: Exchange, backend: number, rewrite: string): void {
  const { llm, action } = exchange;
  if (llm !== null && llm.shared !== null) {
    const { headers, target } = llm.shared;
    exchange.outgoing = headers;
    exchange.target = target;
    llm.path = target.path;
    llm.shared = null;
  }
  if (action !== null) exchange.filters = action.filters;
  const { outgoing } = exchange;
  for (const name of [...CREDENTIAL_HEADERS, ...ACCOUNT_HEADERS]) outgoing?.delete(name);
  exchange.target.query = withoutKeys(exchange.target.query);
  exchange.sticky = '';
  exchange.target.host = ''; // a name that filters gave to the first
  address(exchange, backend, rewrite);
}

function address(exchange: Exchange, backend: number, rewrite: string): void {
  const { llm, outgoing, target, platform, body } = exchange;
  if (llm === null || outgoing === null) throw new Error('there is no request to a model yet');
  const secret = keyOf(llm.plan, backend);
  if (secret !== null) {
    const [name, value] = keyHeader(llm.plan.provider, secretHeader(platform, secret));
    outgoing.set(name, value);
  }
  const { request } = llm;
  if (request === null) return;
  if (request.operation.model !== null) target.path = rewrite === '' ? llm.path : withModel(llm.path, rewrite);
  llm.body = changedBody(request, { model: rewrite, askUsage: llm.strips });
  // What was read without its encoding goes on without it, once anything of it has changed.
  if (llm.body !== null) outgoing.delete('content-encoding');
  else if (exchange.seen.encoding !== '') outgoing.set('content-encoding', exchange.seen.encoding);
  const length = llm.body?.byteLength ?? body?.bytes.byteLength ?? 0;
  if (outgoing.has('content-length')) outgoing.set('content-length', String(length));
}
