/** Requests to MCP servers: from where they come, by whose token, and what they ask for. See src/agents/mcp. */
import { HOLD_SECONDS } from '../../assembly/abi.ts';
import { SHORT_BODY_BYTES } from '../../assembly/waf/abi.ts';
import { admitBare, admitMessages, type McpCall, type McpHeaders, type McpRefusal } from '../agents/mcp/admission.ts';
import { serverOf } from '../agents/mcp/join-names.ts';
import { INVALID_REQUEST, readMcpBody } from '../agents/mcp/message.ts';
import { isAllowedOrigin } from '../agents/mcp/origin.ts';
import { challenge, checkToken, type Grant, missingScopes } from '../agents/mcp/protected-resource.ts';
import { TokenKeys } from '../agents/mcp/token-keys.ts';
import type { McpAuthPlan, McpPlan, Plan } from '../plan.ts';
import type { AgentPlatform } from '../platform/platform.ts';
import { fits } from '../waf/protocol-fields.ts';
import { declaredLength, HeldBody } from './body.ts';
import { type Exchange, watch } from './exchange.ts';
import { patiently } from './open-exchanges.ts';
import { refuse } from './problem.ts';

export async function admitMcp(exchange: Exchange, plan: Plan, mcp: McpPlan): Promise<void> {
  const { request, seen } = exchange;
  exchange.rpc = { id: undefined };
  if (!isAllowedOrigin(request.headers.get('origin'), seen.host, mcp.origins)) {
    const reason = 'pages of this origin may not use this server';
    if (deny(exchange, mcp, { status: 403, code: 403, reason, rule: 'origin', id: undefined })) return;
  }
  const grant = mcp.auth === null ? null : await authorize(exchange, mcp, mcp.auth);
  if (grant === 'refused') return;
  exchange.principal = grant?.principal ?? '';
  if (!mcp.forwardAuthorization) exchange.dropped.push('authorization');
  const policy = { ...mcp, single: plan.stages.protocol };
  if (request.method !== 'POST') {
    const call = admitBare(policy, request.method, headersOf(request));
    if ('fields' in call) return request.body === null ? admit(exchange, mcp, call) : withBody(exchange, mcp);
    if (deny(exchange, mcp, call) && call.status === 405) exchange.response?.headers.set('allow', 'POST');
    return;
  }
  const bytes = await hold(exchange, mcp);
  if (bytes === null) return;
  const body = readMcpBody(bytes);
  if ('code' in body) {
    const { code, message: reason, id } = body;
    return void deny(exchange, mcp, { status: 400, code, reason, rule: 'message', id });
  }
  if (!body.batch) exchange.rpc = { id: body.messages[0]?.id };
  const call = admitMessages(policy, headersOf(request), body);
  if (!('fields' in call)) return void deny(exchange, mcp, call);
  if (grant !== null && lacksScope(exchange, mcp, grant, call)) return;
  admit(exchange, mcp, call);
}

/** SPEC: MCP, Authorization: a token that allows too little for this request is told all that it needs. */
function lacksScope(exchange: Exchange, mcp: McpPlan, grant: Grant, { messages }: McpCall): boolean {
  for (const { tool, id } of messages) {
    const needed = tool === null || mcp.auth === null ? null : missingScopes(mcp.auth, tool, grant);
    if (needed === null || mcp.auth === null) continue;
    const { status, reason } = FAULTS.scope;
    if (!deny(exchange, mcp, { status, code: status, reason, rule: 'token-scope', id })) return false;
    exchange.response?.headers.set('www-authenticate', challenge(mcp.auth, 'scope', needed));
    return true;
  }
  return false;
}

function admit(exchange: Exchange, mcp: McpPlan, admitted: McpCall): void {
  const server = mcp.join === null ? undefined : serverOf(mcp.join, admitted.fields);
  const call = server === undefined ? admitted : { ...admitted, fields: { ...admitted.fields, server } };
  if (!fits({ mcp: call.fields })) {
    const reason = 'Invalid request: a name is too long';
    return void deny(exchange, mcp, {
      status: 400,
      code: INVALID_REQUEST,
      reason,
      rule: 'length',
      id: exchange.rpc?.id,
    });
  }
  exchange.mcp = call;
  exchange.protocol = { mcp: call.fields };
  exchange.head = { ...exchange.head, protocol: exchange.protocol };
  exchange.dropped.push(...call.dropped);
}

function withBody(exchange: Exchange, mcp: McpPlan): void {
  const reason = 'Invalid request: a body is not allowed here';
  deny(exchange, mcp, { status: 400, code: INVALID_REQUEST, reason, rule: 'message', id: undefined });
}

/** False when the policy only watches: the verdict is recorded, and the request goes on. */
function deny(exchange: Exchange, mcp: McpPlan, refusal: McpRefusal): boolean {
  const { status, reason, rule, code, data, id } = refusal;
  const verdict = { action: 'block', phase: 'protocol', rule: `mcp.${rule}`, status, reason, mode: mcp.mode } as const;
  if (mcp.mode === 'log') {
    exchange.verdicts.push(verdict);
    return false;
  }
  exchange.rpc = { id };
  exchange.body?.discard();
  refuse(exchange, verdict, 'http_request_denied', { code, ...(data !== undefined && { data }) });
  return true;
}

/** Of this isolate. */
const keysOf = new WeakMap<AgentPlatform, TokenKeys>();

/** Null without a good token where the policy only watches. */
async function authorize(exchange: Exchange, mcp: McpPlan, auth: McpAuthPlan): Promise<Grant | 'refused' | null> {
  const { platform, request, now, context } = exchange;
  const { agents } = platform;
  let keys = agents === null ? null : (keysOf.get(agents) ?? null);
  if (agents !== null && keys === null) {
    keys = new TokenKeys({ fetch: agents.fetch, now: Date.now });
    keysOf.set(agents, keys);
  }
  watch(exchange);
  const authorization = request.headers.get('authorization') ?? '';
  const found = await checkToken(auth, authorization, keys, now, (work) => context.waitUntil(work));
  if (typeof found !== 'string') return found;
  const { status, reason } = FAULTS[found];
  if (!deny(exchange, mcp, { status, code: status, reason, rule: `token-${found}`, id: undefined })) return null;
  if (status !== 503) exchange.response?.headers.set('www-authenticate', challenge(auth, found));
  return 'refused';
}

const FAULTS = {
  missing: { status: 401, reason: 'an access token is needed' },
  invalid: { status: 401, reason: 'the access token is not good here' },
  scope: { status: 403, reason: 'the access token lacks a scope' },
  unavailable: { status: 503, reason: 'access tokens can not be checked now' },
} as const;

/** The body, whole, for the phases after this one too; null when the request ends here, or goes on unread. */
async function hold(exchange: Exchange, mcp: McpPlan): Promise<Uint8Array | null> {
  const { request, seen } = exchange;
  const fault = (status: number, reason: string): null => {
    deny(exchange, mcp, { status, code: INVALID_REQUEST, reason, rule: 'message', id: undefined });
    return null;
  };
  // Whoever reads the body by its type must come to the same as we do.
  const type = request.headers.get('content-type') ?? '';
  if (!/^[\t ]*application\/json[\t ]*(?:;[\t ]*charset="?utf-8"?[\t ]*)?$/i.test(type))
    return fault(415, 'Invalid request: the content type must be application/json');
  if (seen.encoding !== '' && seen.encoding.trim().toLowerCase() !== 'identity')
    return fault(415, 'Invalid request: the content encoding is not supported');
  const tooLarge = 'Invalid request: the message is too long';
  const declared = declaredLength(seen.length);
  if (declared > mcp.limit) return fault(413, tooLarge);
  // Whoever looked at it before holds all of it.
  let { body } = exchange;
  if (body === null) {
    if (request.body === null) return new Uint8Array(0);
    body = new HeldBody(request.body, declared);
    exchange.body = body; // given back should the client leave meanwhile
    const short = declared >= 0 && declared <= Math.min(mcp.limit, SHORT_BODY_BYTES);
    if (!short) watch(exchange);
    const failure = short
      ? await body.take(patiently(exchange, request.arrayBuffer(), HOLD_SECONDS * 1000))
      : await body.read(mcp.limit, request.signal);
    if (failure !== null) {
      // Nothing is left to go on with, whatever the mode.
      const status = failure === 'busy' ? 503 : failure === 'slow' ? 408 : 400;
      const reason = failure === 'busy' ? 'too many request bodies are being held' : 'the request body did not arrive';
      deny(
        exchange,
        { ...mcp, mode: 'enforce' },
        { status, code: INVALID_REQUEST, reason, rule: 'message', id: undefined },
      );
      return null;
    }
  }
  return body.complete && body.bytes.byteLength <= mcp.limit ? body.bytes : fault(413, tooLarge);
}

function headersOf({ headers }: Request): McpHeaders {
  return { get: (name) => headers.get(name), keys: () => headers.keys() };
}
