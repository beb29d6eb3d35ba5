/** Requests to A2A agents: what they ask for, which of it the policy has, at which endpoint their task is. */
import {
  type A2aError,
  errorBody,
  INVALID_REQUEST,
  METHOD_NOT_FOUND,
  PARSE_ERROR,
  UNSUPPORTED_OPERATION,
  VERSION_NOT_SUPPORTED,
} from '../agents/a2a/error.ts';
import { callOf } from '../agents/a2a/method.ts';
import { A2A_FAULTS, type A2aCall, readRest, readRpc, versionOf } from '../agents/a2a/request.ts';
import { allows } from '../agents/name-pattern.ts';
import type { A2aPlan } from '../plan.ts';
import { fits } from '../waf/protocol-fields.ts';
import type { Exchange } from './exchange.ts';
import { holdWhole } from './hold.ts';
import { refuse } from './problem.ts';

/** What an exchange with an agent remembers. */
export interface A2aExchange {
  readonly plan: A2aPlan;
  /** The answer is a card, or a JSON-RPC answer with one. */
  readonly card: 'card' | 'rpc' | null;
  readonly call: A2aCall | null;
}

export function readA2a(exchange: Exchange, plan: A2aPlan): void | Promise<void> {
  const { request, result } = exchange;
  const call = callOf(request.method, result?.path ?? '');
  if (call === 'none') return;
  if (call === 'card') {
    exchange.a2a = { plan, card: 'card', call: null };
    // What is kept of it is of this gateway's card, which has tags of its own; a part of it can't be rewritten.
    exchange.dropped.push('if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'range', 'if-range');
    return;
  }
  return readCall(exchange, plan, call);
}

async function readCall(
  exchange: Exchange,
  plan: A2aPlan,
  call: Exclude<ReturnType<typeof callOf>, 'card' | 'none'>,
): Promise<void> {
  const { request, result } = exchange;
  const id = call === 'rpc' ? null : undefined;
  if (call === null) {
    if (deny(exchange, plan, METHOD_NOT_FOUND, 'method', 'this is no request that an agent takes', id)) return;
    return;
  }
  const query = result?.query ?? '';
  const version = versionOf(request.headers.get('a2a-version'), query);
  let bytes: Uint8Array | null = NOTHING;
  if (request.body !== null) bytes = await holdWhole(exchange, plan.limit);
  if (bytes === null) return;
  const read = call === 'rpc' ? readRpc(bytes) : readRest(call, bytes, query);
  if (typeof read === 'string') {
    const error = read === 'malformed' ? PARSE_ERROR : INVALID_REQUEST;
    deny(exchange, plan, error, 'body', A2A_FAULTS[read], id);
    return;
  }
  if (version === null || !plan.versions.includes(version)) {
    const reason = 'this version of the protocol is not supported';
    const metadata = { supportedVersions: plan.versions.join(', ') };
    if (deny(exchange, plan, VERSION_NOT_SUPPORTED, 'version', reason, read.id, metadata)) return;
  }
  if (!allows(plan.methods, read.method)) {
    if (deny(exchange, plan, UNSUPPORTED_OPERATION, 'method', 'this method is not allowed here', read.id)) return;
  }
  if (read.skill !== '' && !allows(plan.skills, read.skill)) {
    if (deny(exchange, plan, UNSUPPORTED_OPERATION, 'skill', 'the agent has no such skill here', read.id)) return;
  }
  const a2a = {
    method: read.method,
    ...(version !== null && { version }),
    ...(read.skill !== '' && { skill: read.skill }),
  };
  if (!fits({ a2a })) {
    deny(exchange, { ...plan, mode: 'enforce' }, INVALID_REQUEST, 'length', 'a name is too long', read.id);
    return;
  }
  exchange.protocol = { a2a };
  exchange.head = { ...exchange.head, protocol: exchange.protocol };
  const extended = read.method === 'GetExtendedAgentCard';
  exchange.a2a = { plan, card: extended ? (call === 'rpc' ? 'rpc' : 'card') : null, call: read };
}

const NOTHING = new Uint8Array(0);

/** True when the request was refused; in mode log it is only noted. */
function deny(
  exchange: Exchange,
  { mode }: A2aPlan,
  error: A2aError,
  rule: string,
  reason: string,
  id: string | number | null | undefined,
  metadata: Readonly<Record<string, string>> = {},
): boolean {
  const verdict = {
    action: 'block',
    phase: 'protocol',
    rule: `a2a ${rule}`,
    status: error.status,
    reason,
    mode,
  } as const;
  if (mode === 'log') {
    exchange.verdicts.push(verdict);
    return false;
  }
  exchange.body?.discard();
  refuse(exchange, verdict, 'http_request_denied');
  const headers = new Headers(exchange.response?.headers);
  headers.set('content-type', id === undefined ? 'application/a2a+json' : 'application/json');
  exchange.response = new Response(errorBody(error, reason, id, exchange.id, metadata), {
    status: error.status,
    headers,
  });
  return true;
}
