/**
 * Phase `upstream`: pick an endpoint, dial, judge the answer, try again where the policy allows it.
 *
 * Failures: no connection, reset or nonsense 502; nobody to ask 503; too late 504; no backend configured 500.
 */
import { DEFAULT_BODY_LIMIT, LONG_WAIT_MS } from '../../assembly/abi.ts';
import type { Backend, LlmPlan, McpJoinPlan, McpPlan, Plan, RetryPlan } from '../plan.ts';
import { Unavailable } from '../platform/platform.ts';
import { requestInit } from '../platform/runtime.ts';
import { learnTasks, needsTasks, placeOf } from './a2a-task.ts';
import { pick } from './balance.ts';
import { declaredLength, HeldBody } from './body.ts';
import { within } from './deadline.ts';
import { type EndpointState, endpointsOf } from './endpoints.ts';
import { CLIENT_GONE, type Exchange, hangUp, ownHeaders, type Phase, watch } from './exchange.ts';
import { answerFromServers } from './mcp-join.ts';
import { begun } from './first-byte.ts';
import { turnTo } from './llm.ts';
import { isLost, needsSessions, SESSION_HEADER, sessionOf, settleSession } from './mcp-session.ts';
import { mirrorsOf, sendMirrors } from './mirror.ts';
import { patiently } from './open-exchanges.ts';
import { note } from './outlier.ts';
import { type ProxyError, refuse } from './problem.ts';
import { backoff, budgetOf } from './retry.ts';
import { urlFor } from './target.ts';
import { upgraded, upgrades } from './websocket.ts';

export const upstream: Phase = {
  name: 'upstream',
  run(exchange) {
    const { plan } = exchange;
    const mcp = plan === null ? undefined : plan.mcps[exchange.action?.mcp ?? -1];
    if (plan !== null && mcp !== undefined && mcp.join !== null) return sendJoined(exchange, plan, mcp, mcp.join);
    const backend = plan?.backends[exchange.backend];
    // SPEC: Gateway API HTTPRouteRule.backendRefs: no valid backend, or all of weight 0, is 500.
    if (plan === null || backend === undefined)
      return failed(exchange, 500, 'no backend is configured for this route', 'proxy_configuration_error');
    exchange.upstream.backend = backend.name;
    // PERF: one comparison where the route does not speak MCP.
    if (mcp !== undefined && needsSessions(exchange, plan)) return sendInSession(exchange, plan, backend);
    if (exchange.a2a !== null && needsTasks(exchange, plan)) return sendToTask(exchange, plan, backend);
    return send(exchange, plan, backend, null);
  },
};

/** To several servers, whose answers become one. */
async function sendJoined(exchange: Exchange, plan: Plan, mcp: McpPlan, join: McpJoinPlan): Promise<void> {
  watch(exchange);
  try {
    await answerFromServers(exchange, plan, mcp, join);
  } catch (error) {
    exchange.upstream.error = messageOf(error);
    const status = error instanceof Unavailable ? 503 : 502;
    failed(exchange, status, 'the MCP server could not be reached', 'destination_unavailable');
  }
}

/** To the endpoint that knows the task of the request, where it has one; which one that is is learnt from the answer. */
async function sendToTask(exchange: Exchange, plan: Plan, backend: Backend): Promise<void> {
  const place = await placeOf(exchange, plan);
  if (place !== null) exchange.upstream.backend = place.backend.name;
  await send(exchange, plan, place?.backend ?? backend, place);
  if (exchange.upstream.status > 0) learnTasks(exchange);
}

/** To the endpoint that holds the session of the request, where it is in one. */
async function sendInSession(exchange: Exchange, plan: Plan, backend: Backend): Promise<void> {
  const { upstream: log } = exchange;
  try {
    const bound = await sessionOf(exchange, plan);
    if (bound === 'gone') return gone(exchange);
    if (bound !== null) {
      log.backend = bound.backend.name;
      exchange.outgoing?.set(SESSION_HEADER, bound.origin);
    }
    await send(exchange, plan, bound?.backend ?? backend, bound);
    const unreached = log.status === 0 && (exchange.response?.status === 502 || exchange.response?.status === 503);
    if (bound !== null && unreached && (await isLost(exchange, bound))) return gone(exchange);
    if (log.status > 0) await settleSession(exchange, plan, bound);
  } catch (error) {
    console.error(JSON.stringify({ level: 'error', id: exchange.id, message: messageOf(error) }));
    exchange.response?.body?.cancel().catch(() => {});
    failed(exchange, 503, 'sessions can not be looked up', 'destination_unavailable');
  }
}

/** SPEC: MCP 2025-11-25, streamable HTTP, session management: a client that is told 404 starts a new session. */
function gone(exchange: Exchange): void {
  failed(exchange, 404, 'there is no such session, or not any more', 'http_request_denied');
}

async function send(
  exchange: Exchange,
  plan: Plan,
  backend: Backend,
  bound: { readonly state: EndpointState } | null,
): Promise<void> {
  const { request, outgoing, action } = exchange;
  if (outgoing === null) throw new Error('upstream comes after rewrite');
  const retry = action?.retry ?? null;
  const mirrors = mirrorsOf(exchange);
  if (request.body !== null && exchange.body === null && (retry !== null || mirrors.length > 0))
    await hold(exchange, plan);
  if (exchange.response !== null) return;
  if (mirrors.length > 0) sendMirrors(exchange, mirrors);
  if (upgrades(exchange))
    for (const headers of [outgoing, exchange.llm?.shared?.headers]) headers?.set('upgrade', 'websocket');
  let outcome = await tries(exchange, backend, retry, bound?.state ?? null);
  if (exchange.llm !== null) outcome = await failOver(exchange, plan, exchange.llm.plan, retry, outcome);
  finish(exchange, outcome);
}

/** Turns to one backend after the other for as long as none has begun an answer. */
async function failOver(
  exchange: Exchange,
  plan: Plan,
  { failover, failoverCodes }: LlmPlan,
  retry: RetryPlan | null,
  first: Outcome,
): Promise<Outcome> {
  let outcome = first;
  for (const { backend: index, rewrite } of failover) {
    const failed = outcome.response === null ? outcome.retryable : failoverCodes.includes(outcome.status);
    const backend = plan.backends[index];
    if (!failed || backend === undefined || !replayable(exchange) || timeLeft(exchange) <= 0) break;
    const answered = outcome.response;
    try {
      turnTo(exchange, index, rewrite);
    } catch (error) {
      // Its key is not set: the others may have theirs.
      console.error(JSON.stringify({ level: 'error', id: exchange.id, message: messageOf(error) }));
      continue;
    }
    answered?.body?.cancel().catch(() => {});
    exchange.upstream.backend = backend.name;
    outcome = await tries(exchange, backend, retry, null);
  }
  return outcome;
}

/** One backend, tried for as long as the policy says. */
async function tries(
  exchange: Exchange,
  backend: Backend,
  retry: RetryPlan | null,
  bound: EndpointState | null,
): Promise<Outcome> {
  const budget = retry === null ? null : budgetOf(retry);
  budget?.request(Date.now());
  const most = retry === null ? 1 : retry.attempts + 1;
  const tried: EndpointState[] = [];
  for (let attempt = 1; ; attempt++) {
    const state = bound ?? pick(exchange, backend, tried);
    if (state === null) return NOBODY;
    const more = retry !== null && attempt < most && bound === null && replayable(exchange);
    const others = more && endpointsOf(backend).length > tried.length + 1;
    const outcome = await dial(exchange, backend, state, others);
    const again =
      retry !== null &&
      budget !== null &&
      attempt < most &&
      outcome.retryable &&
      (outcome.connection || retry.codes.includes(outcome.status)) &&
      replayable(exchange) &&
      timeLeft(exchange) > 0 &&
      budget.take(retry, Date.now());
    if (!again) return outcome.connection && attempt > 1 ? UNAVAILABLE : outcome;
    outcome.response?.body?.cancel().catch(() => {});
    tried.push(state);
    const wait = Math.min(backoff(retry, attempt), timeLeft(exchange));
    watch(exchange);
    if (wait >= 1) await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

interface Outcome {
  readonly response: Response | null;
  readonly status: number; // of the response, or the one that the gateway will answer with
  readonly connection: boolean; // no response, for a reason other than time
  readonly retryable: boolean;
  readonly reason: string;
  readonly error: ProxyError;
}

/** `others`: another endpoint would be tried after this one. */
async function dial(exchange: Exchange, backend: Backend, state: EndpointState, others: boolean): Promise<Outcome> {
  const { request, upstream: log } = exchange;
  const time = timeFor(exchange);
  const asked = Date.now();
  const firstByte = exchange.llm?.plan.firstByte ?? 0;
  // A streamed body that the client breaks off looks like a lost connection, and one that it holds back like a silent
  // origin: neither may count against the endpoint, or anybody could have healthy endpoints ejected.
  const streamed = request.body !== null && exchange.body?.complete !== true;
  log.endpoint = state.endpoint.url;
  log.attempts++;
  log.error = '';
  state.active++;
  exchange.dialled = state;
  try {
    const pending = exchange.platform.dial(state.endpoint, urlFor(exchange, state), initFor(exchange), others);
    if (time === Infinity) watch(exchange);
    if (time === Infinity || time < LONG_WAIT_MS) watch(exchange);
    let response =
      time === Infinity
        ? await pending
        : time < LONG_WAIT_MS
          ? await within(pending, time)
          : await patiently(exchange, pending, time, (late) => late.body?.cancel());
    if (response !== null && awaitsByte(exchange, response))
      response = await begun(response, firstByte > 0 ? asked + firstByte - Date.now() : Infinity);
    if (response === null) {
      log.status = 0;
      if (backend.health !== null && !streamed) note(state, endpointsOf(backend), backend.health, 504, Date.now());
      return LATE;
    }
    const { status } = response;
    log.status = status;
    if (backend.health !== null) note(state, endpointsOf(backend), backend.health, status, Date.now());
    // Of 1xx only 101 to a WebSocket can be passed on; the runtime can't send what is above 599.
    if ((status < 200 && !upgraded(response)) || status > 599) {
      response.body?.cancel().catch(() => {});
      return {
        ...FAILURE,
        connection: false,
        reason: `the origin answered with status ${status}`,
        error: 'http_protocol_error',
      };
    }
    return { response, status, connection: false, retryable: true, reason: '', error: '' };
  } catch (error) {
    log.status = 0;
    if (request.signal?.aborted === true) {
      log.error = 'client gone';
      return { ...FAILURE, status: CLIENT_GONE, connection: false, retryable: false, reason: 'the client went away' };
    }
    // The runtime refused to make the request, so no origin is to blame: a URL that can't be, say.
    if (error instanceof TypeError) {
      log.error = messageOf(error);
      const reason = 'the request can not be forwarded';
      return { ...FAILURE, status: 400, connection: false, retryable: false, reason, error: 'http_request_error' };
    }
    if (backend.health !== null && !streamed) note(state, endpointsOf(backend), backend.health, 0, Date.now());
    log.error = messageOf(error);
    return error instanceof Unavailable ? { ...UNAVAILABLE, reason: messageOf(error) } : FAILURE;
  } finally {
    hangUp(exchange);
  }
}

/** An answer of a model has begun with its first byte, where another backend could still give one. */
function awaitsByte({ llm }: Exchange, { status }: Response): boolean {
  if (llm === null || llm.request === null || status < 200 || status > 299) return false;
  return llm.plan.firstByte > 0 || llm.plan.failover.length > 0;
}

const FAILURE: Outcome = {
  ...{ response: null, status: 502, connection: true, retryable: true },
  ...{ reason: 'the origin could not be reached', error: 'connection_terminated' },
};

const NOBODY: Outcome = {
  ...{ ...FAILURE, status: 503, connection: false },
  ...{ reason: 'no endpoint of the backend can be used', error: 'destination_unavailable' },
};

const LATE: Outcome = {
  ...{ ...FAILURE, status: 504, connection: false },
  ...{ reason: 'the origin did not answer in time', error: 'http_response_timeout' },
};

/**
 * SPEC: RFC 9209 section 2.3.2: recent attempts to communicate with the next hop have failed. One broken connection says
 * little about an origin (502); several in a row say that it is not there, as Gateway API's retries expect too.
 */
const UNAVAILABLE: Outcome = {
  ...FAILURE,
  ...{ status: 503, reason: 'the origin could not be reached in several tries', error: 'destination_unavailable' },
};

function initFor(exchange: Exchange): RequestInit {
  const { request, body, outgoing } = exchange;
  const { method } = request;
  // PERF: a client that is gone takes its fetch with it, natively. Its signal is needed only where the context is kept for
  // something else; passed with every fetch it cost 10 % of a request.
  const signal = exchange.kept ? request.signal : null;
  const headers = outgoing as Headers;
  const init: Parameters<typeof requestInit>[0] = {
    method,
    headers,
    redirect: 'manual', // never followed: a redirect is the client's to see
    signal,
    encodeResponseBody: 'manual', // compressed bodies stay as the origin sent them
  };
  const changed = exchange.llm?.body ?? null;
  if (changed !== null) init.body = changed as Uint8Array<ArrayBuffer>;
  else if (body !== null) init.body = body.send() as ReadableStream<Uint8Array<ArrayBuffer>>;
  else if (request.body !== null) {
    // The runtime takes no `body` for GET and HEAD, but keeps that of the Request which came in.
    if (method === 'GET' || method === 'HEAD')
      return new Request(request, { headers, redirect: 'manual', signal }) as RequestInit;
    init.body = request.body;
  }
  return requestInit(init);
}

function finish(exchange: Exchange, outcome: Outcome): void {
  exchange.body?.release();
  const { response } = outcome;
  if (response === null) return failed(exchange, outcome.status, outcome.reason, outcome.error);
  exchange.response = response;
  exchange.owned = false;
  if (!upgraded(response)) stripNominated(exchange, response);
}

/** SPEC: RFC 9110 section 7.6.1: the runtime drops Connection itself on the way out, but not what it names. */
function stripNominated(exchange: Exchange, response: Response): void {
  const connection = response.headers.get('connection');
  if (connection === null || connection === 'keep-alive' || connection === 'close') return;
  for (const part of connection.toLowerCase().split(',')) {
    const name = part.trim();
    if (name === '' || name === 'keep-alive' || name === 'close' || !response.headers.has(name)) continue;
    if (name === 'content-length' || name === 'content-type' || name === 'content-encoding' || name === 'set-cookie')
      continue;
    ownHeaders(exchange).delete(name);
  }
}

/** Holds a body that a retry or a mirror would need again; one that is not small enough streams and is sent once. */
async function hold(exchange: Exchange, plan: Plan): Promise<void> {
  const { request, seen } = exchange;
  const declared = declaredLength(seen.length);
  // Without a length the body may be one half of a conversation: waiting for its end could wait for ever.
  if (declared < 0 || declared > plan.body.limit || request.method === 'GET' || request.method === 'HEAD') return;
  watch(exchange);
  const body = new HeldBody(request.body as ReadableStream<Uint8Array>, declared);
  const failure = await body.read(plan.body.limit, request.signal);
  if (failure === null) exchange.body = body;
  else if (failure === 'busy')
    failed(exchange, 503, 'too many request bodies are being held', 'destination_unavailable');
  else failed(exchange, failure === 'slow' ? 408 : 400, 'the request body did not arrive', 'http_request_error');
}

function replayable(exchange: Exchange): boolean {
  return exchange.request.body === null || (exchange.body !== null && exchange.body.replayable);
}

/**
 * Milliseconds that a try has until the answer begins. The runtime notices a client that closes only its own direction
 * (FIN) at the first write, so without any timer an origin that stays silent would be waited on for ever.
 */
function timeFor(exchange: Exchange): number {
  const timeouts = exchange.action?.timeouts;
  const perTry = exchange.llm?.plan.firstByte || timeouts?.backendRequest || patienceOf(exchange) || Infinity;
  return Math.max(1, Math.min(timeLeft(exchange), perTry));
}

/**
 * What a try has where the policy sets no timeout; 0 for ever: while a long body goes up, or one of unknown length, silence
 * of the origin means nothing, and when it was all sent can't be seen from here.
 */
function patienceOf({ action, body, request, seen }: Exchange): number {
  const patience = action?.timeouts.responseHead ?? 0;
  if (request.body === null || body?.complete === true) return patience;
  const declared = declaredLength(seen.length);
  return declared >= 0 && declared <= DEFAULT_BODY_LIMIT ? patience : 0;
}

/** Milliseconds until `timeouts.request` is over. */
function timeLeft(exchange: Exchange): number {
  const total = exchange.action?.timeouts.request ?? 0;
  return total === 0 ? Infinity : Math.max(0, exchange.startedAt + total - Date.now());
}

function failed(exchange: Exchange, status: number, reason: string, error: ProxyError): void {
  exchange.body?.discard();
  exchange.sticky = ''; // nobody is to stick to an endpoint that failed
  if (exchange.upstream.error === '') exchange.upstream.error = reason;
  refuse(
    exchange,
    { action: 'respond', phase: 'upstream', rule: exchange.routeName, status, reason, mode: 'enforce' },
    error,
  );
}

/** The runtime's words about a failed connection, for the log only. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.length > 200 ? text.slice(0, 200) : text;
}
