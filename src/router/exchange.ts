/**
 * One request on its way through the phases: the facts that phases share, and nothing they do not.
 * Phases never import each other; each reads what earlier ones left here and writes what later ones need.
 */
import type { AgentEvents } from '../agents/agent-events.ts';
import type { McpCall } from '../agents/mcp/admission.ts';
import type { AgentResult } from '../agents/web-bot-auth.ts';
import type { Filter, Plan, RouteAction, WafPlan } from '../plan.ts';
import type { Platform } from '../platform/platform.ts';
import { type ExecutionContext, responseInit, webSocketOf } from '../platform/runtime.ts';
import type { Effect, Engine, Generation, Head, HeadResult } from '../waf/engine.ts';
import type { WafEvidence } from '../waf/evidence.ts';
import type { ProtocolFields } from '../waf/protocol-fields.ts';
import type { AllScores } from '../waf/scores.ts';
import type { A2aExchange } from './a2a.ts';
import type { HeldBody } from './body.ts';
import type { PendingCharge } from './charge.ts';
import type { Demand, RateState } from './demand.ts';
import type { EndpointState } from './endpoints.ts';
import type { Lease } from './generation.ts';
import type { LlmExchange } from './llm-exchange.ts';
import type { Verdict } from './verdict.ts';

export interface Exchange {
  readonly id: string; // request id, also sent as x-request-id
  readonly request: Request;
  /** Request.url, raw; read once, since the runtime makes the text anew each time. */
  readonly url: string;
  readonly platform: Platform;
  readonly engine: Engine;
  readonly startedAt: number; // ms since the epoch
  /** The images this exchange uses until it ends, whatever is swapped in meanwhile. */
  readonly generation: Generation;
  readonly lease: Lease;
  /** 32 random bits and seconds since the epoch, the same for every engine call of this exchange. */
  readonly seed: number;
  readonly now: number;

  /** sanitize: header lines once iterated, without `x-sallyport-*`; address puts method, URL and peer in front. */
  head: Head;
  /** sanitize: names of header lines that must not reach the origin: hop by hop, ours, or nominated by Connection. */
  dropped: string[];
  /** sanitize: names of header lines by which a proxy tells the client's address or target; dropped from strangers. */
  claims: string[];
  /** sanitize: values that later phases ask for, so that nobody searches the list; '' when absent. */
  readonly seen: SeenHeaders;
  /** address: what the platform vouches for as the peer; `result.client` is the client by the policy's rule. */
  peer: string;

  /** identity: who signed the request, and whether that holds; null: it is not signed. */
  identity: AgentResult | null;
  /** What is charged for the answer; null: nothing. */
  charge: PendingCharge | null;
  /** For the report about agents: written by `agentEvents(exchange)`; null: nothing was. */
  agentEvents: AgentEvents | null;

  /** match (the engine's head call). */
  result: HeadResult | null;
  plan: Plan | null;
  action: RouteAction | null;
  /** protocol: what the request asks for, where its route speaks MCP, A2A or an LLM API; null: nothing was read. */
  protocol: ProtocolFields | null;
  /** protocol: a request in JSON-RPC, whose refusals are errors of it; its id, where it has one. Null: another request. */
  rpc: { readonly id: string | number | undefined } | null;
  /** protocol: what was asked of an MCP server. */
  mcp: McpCall | null;
  /** protocol: whom a token for an MCP server was given to, '' where nobody can tell. */
  principal: string;
  /** protocol: a request to an A2A agent; null: it is none. */
  a2a: A2aExchange | null;
  /** protocol: a request to a language model; null: it is none. */
  llm: LlmExchange | null;
  /** inspect: what rules of stage body asked for. */
  bodyEffects: readonly Effect[];
  /** What the engine's call of the stage before left for the next one. */
  state: Uint8Array | null;
  /** What rules demand and no phase has settled yet. */
  demands: readonly Demand[];
  /** Rates that have been counted, for the answer. */
  rates: readonly RateState[];
  /** Filters that apply: those of the route, then those of the weighted backend that was drawn. */
  filters: readonly Filter[];
  /** Where the request goes: the backend that was drawn or that a `route` rule forces, index into plan.backends. */
  backend: number; // -1: none can take it (answers 500)
  routeName: string;

  /** Scheme and Host as the client sees them; `authority` keeps the port. */
  scheme: string;
  authority: string;
  /** Where the request goes, as rewritten so far; `host` is '' until a filter rewrites it. */
  target: { host: string; path: string; query: string };
  /** Request headers as they will go to the origin; made once, by rewrite. */
  outgoing: Headers | null;
  /** The request body when a phase had to hold it; null: it streams. */
  body: HeldBody | null;

  /** What is held of the answer while it is judged; null: nothing. */
  answer: { release(): void } | null;
  /** match: the WAF's part, where the route has one; phases that make an engine call add to it. */
  waf: WafRecord | null;

  /** Every decision in order; the last enforcing one is what the client got. */
  readonly verdicts: Verdict[];
  /** Set by the phase that answers; later request phases are not run. */
  response: Response | null;
  /** True when `response.headers` may be changed in place. */
  owned: boolean;
  /** Stickiness: a Set-Cookie line for the response, '' for none. */
  sticky: string;

  /** The endpoint whose answer is awaited now. */
  dialled: EndpointState | null;
  /** True when the context outlives the client, since something is waited for: then only a signal ends what is dialled. */
  kept: boolean;
  /** True once the answer is there, or nobody is left to take it: what the exchange occupied is given back. */
  settled: boolean;
  /** True when the client went away before it had an answer. */
  gone: boolean;
  /** True once the client's signal is listened to; see `watch`. */
  watched: boolean;
  /** What is to happen when the client went away. */
  readonly onGone: (exchange: Exchange) => void;
  /** When the wait for an answer is over, ms since the epoch; Infinity: when the client gives up. */
  deadline: number;
  /** Wakes an exchange that waits for an answer, to end the wait or to listen for its client. */
  wake: ((late: boolean) => void) | null;

  /** For the log: who answered and how it went. */
  readonly upstream: { backend: string; endpoint: string; attempts: number; status: number; error: string };
  readonly context: ExecutionContext;
}

/** What the WAF found in one exchange, for the log. */
export interface WafRecord {
  readonly plan: WafPlan;
  readonly events: WafEvidence[];
  /** Events of rules that log; `truncated`: there were more than `events` has. */
  matches: number;
  truncated: boolean;
  /** Anomaly scores as the rule set left them. */
  scores: AllScores;
  /** True when a rule ended the request, or would have in mode enforce. */
  blocked: boolean;
}

export interface SeenHeaders {
  host: string;
  cookie: string;
  origin: string;
  upgrade: string;
  loop: string; // cdn-loop
  forwarded: string;
  forwardedFor: string; // x-forwarded-for
  forwardedHost: string;
  forwardedProto: string;
  via: string;
  accept: string;
  encoding: string; // content-encoding
  length: string; // content-length
  signatureAgent: string;
  signatureInput: string;
  cookieFixed: boolean; // the cookie value differs from what the runtime joined
}

/** The status that logs show for a client that went away before the answer; nobody receives it. */
export const CLIENT_GONE = 499;

/** A request phase: sets `exchange.response` to end the request, else the next phase runs. */
export interface Phase {
  readonly name: string;
  run(exchange: Exchange): void | Promise<void>;
}

/** The response with headers that may be changed: a copy, made once and only when something has to change. */
export function ownHeaders(exchange: Exchange): Headers {
  const response = exchange.response;
  if (response === null) throw new Error('there is no response yet');
  if (exchange.owned) return response.headers;
  const { status, statusText } = response;
  const webSocket = webSocketOf(response);
  // The body is what the origin sent, encoded already.
  const init = { status, statusText, headers: response.headers, encodeBody: 'manual' } as const;
  exchange.response = new Response(response.body, responseInit(webSocket === null ? init : { ...init, webSocket }));
  exchange.owned = true;
  return exchange.response.headers;
}

/** The endpoint that was dialled is not waited for any more. */
export function hangUp(exchange: Exchange): void {
  if (exchange.dialled === null) return;
  exchange.dialled.active--;
  exchange.dialled = null;
}

/**
 * Listens to the client's signal from here on. Whoever waits for longer than a moment calls this first: the runtime drops
 * an exchange whose client vanished at its pending `await`, and nothing after that runs any more, no `finally` either.
 * PERF: workerd 1.20261117.1, microseconds of CPU of a whole request: listening from the start and to its end 327, taken
 * back with the answer 288, never 250. So the first GUARD_MS go without; open-exchanges.ts finds who was lost in them.
 */
export function watch(exchange: Exchange): void {
  if (exchange.watched || exchange.settled) return;
  exchange.watched = true;
  exchange.request.signal.onabort = () => exchange.onGone(exchange);
}

/** Takes the handler back: left in place it keeps the exchange alive until a full collection. */
export function unwatch(exchange: Exchange): void {
  if (!exchange.watched) return;
  exchange.watched = false;
  exchange.request.signal.onabort = null;
}

/** What the surroundings give to a new exchange. */
export interface ExchangeInit {
  readonly request: Request;
  readonly platform: Platform;
  readonly engine: Engine;
  readonly lease: Lease;
  readonly context: ExecutionContext;
  readonly kept?: boolean;
  readonly onGone?: (exchange: Exchange) => void;
}

export function createExchange(init: ExchangeInit): Exchange {
  const { request } = init;
  const startedAt = Date.now();
  const { url } = request;
  return {
    id: requestId(),
    request,
    url,
    platform: init.platform,
    engine: init.engine,
    startedAt,
    generation: init.lease.generation,
    lease: init.lease,
    seed: (Math.random() * 0x1_0000_0000) >>> 0,
    now: Math.floor(startedAt / 1000),
    head: { text: '', fields: 0 },
    dropped: [],
    claims: [],
    seen: {
      ...NOTHING_SEEN,
    },
    peer: '',
    identity: null,
    charge: null,
    agentEvents: null,
    result: null,
    plan: null,
    action: null,
    protocol: null,
    rpc: null,
    mcp: null,
    principal: '',
    a2a: null,
    llm: null,
    bodyEffects: NONE,
    state: null,
    demands: NONE,
    rates: NONE,
    filters: NONE,
    backend: -1,
    routeName: '',
    scheme: url.startsWith('https:') ? 'https' : 'http',
    authority: '',
    target: { host: '', path: '/', query: '' },
    outgoing: null,
    body: null,
    answer: null,
    waf: null,
    verdicts: [],
    response: null,
    owned: false,
    sticky: '',
    dialled: null,
    kept: init.kept === true,
    settled: false,
    gone: false,
    watched: false,
    deadline: Infinity,
    wake: null,
    onGone: init.onGone ?? nothing,
    upstream: { backend: '', endpoint: '', attempts: 0, status: 0, error: '' },
    context: init.context,
  };
}

const NONE: readonly never[] = [];
const nothing = (): void => {};
const NOTHING_SEEN: SeenHeaders = {
  ...{ host: '', cookie: '', origin: '', upgrade: '', loop: '', forwarded: '', forwardedFor: '', forwardedHost: '' },
  ...{
    forwardedProto: '',
    via: '',
    accept: '',
    encoding: '',
    length: '',
    signatureAgent: '',
    signatureInput: '',
    cookieFixed: false,
  },
};

let idPrefix = '';
let idCount = 0;

/** Unique, not secret: 64 random bits of this isolate and a counter. PERF: a UUID per request costs more than it tells. */
export function requestId(): string {
  if (idPrefix === '') {
    // Not at module level: the runtime gives out no randomness there.
    for (const word of crypto.getRandomValues(new Uint32Array(2))) idPrefix += word.toString(16).padStart(8, '0');
  }
  return idPrefix + '-' + (idCount++).toString(36);
}
