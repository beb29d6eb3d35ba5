/**
 * The pipeline for one request of which nothing leaves: every phase runs as it does in the worker, with a platform that
 * dials nobody, and says what it decided. Bundled as dist/explain.js, which Node can load.
 */
import type { Bundle } from '../platform/bindings.ts';
import { dryPlatform, type DryRequest } from '../platform/dry.ts';
import { createEngine, type Engine } from '../waf/engine.ts';
import type { WafEvidence } from '../waf/evidence.ts';
import type { Scores } from '../waf/scores.ts';
import { callerOf, type Caller } from './caller.ts';
import { createExchange, type Exchange, type WafRecord } from './exchange.ts';
import { Generations, type Lease } from './generation.ts';
import { REQUEST_PHASES, RESPONSE_PHASES } from './pipeline.ts';
import type { Verdict } from './verdict.ts';

export interface DryInput {
  readonly engine: WebAssembly.Module;
  readonly bundle: Bundle;
}

export interface DryRequestInput {
  readonly request: Request;
  /** Address of the TCP peer to assume. */
  readonly peer: string;
  /** What the origin is to have answered; left out: nothing is known of its answer, and nothing judges it. */
  readonly answer?: (() => Response) | undefined;
  /** Evidence without redaction: for who sent the request. */
  readonly plain?: boolean | undefined;
}

/** A deployment that runs in this process and dials nobody. */
export interface DryRun {
  explain(input: DryRequestInput): Promise<Explanation>;
}

export interface Explanation {
  readonly app: string;
  readonly route: string;
  readonly host: string;
  readonly path: { readonly canonical: string; readonly changed: boolean };
  readonly query: string;
  readonly client: { readonly address: string; readonly trusted: boolean };
  readonly agent: string;
  /** As `agent.identity`, and what decided. */
  readonly identity: Caller['identity'];
  readonly by: Caller['by'];
  readonly backend: string;
  /** In the order in which they ran; those after the one that answered did not. */
  readonly phases: readonly PhaseExplanation[];
  /** The WAF's part; null where the route has none. */
  readonly waf: WafExplanation | null;
  /** What ended the request in place of an origin's answer, null when nothing did. */
  readonly ended: Verdict | null;
  /** What would leave, mirrors included. Secrets stand as `<secret NAME>`. */
  readonly sent: readonly DryRequest[];
  /** What the client would get; where an origin would answer, `origin` is true and the status is not known. */
  readonly answer: { readonly origin: boolean; readonly status: number; readonly headers: readonly [string, string][] };
  readonly steps: number;
}

export interface PhaseExplanation {
  readonly phase: string;
  readonly said: string;
  readonly verdicts: readonly Verdict[];
}

export interface WafExplanation {
  readonly ruleset: string;
  readonly mode: 'log' | 'enforce';
  readonly blocked: boolean;
  /** Anomaly scores. */
  readonly inbound: number;
  readonly outbound: number;
  /** With the levels that only detect, where there are some. */
  readonly detection?: Scores;
  readonly truncated: boolean; // there were more events
  readonly events: readonly WafEvidence[];
}

/** Opens the images; throws when they are not acceptable. */
export async function openDry({ engine: module, bundle }: DryInput): Promise<DryRun> {
  const engine = createEngine(module);
  const lease = await new Generations(engine).first(dryPlatform({ bundle, peer: '' }).images);
  if (lease === null) throw new Error('there is no manifest in the bundle');
  return { explain: (input) => explainOne(engine, lease, bundle, input) };
}

async function explainOne(
  engine: Engine,
  lease: Lease,
  bundle: Bundle,
  { request, peer, answer, plain }: DryRequestInput,
): Promise<Explanation> {
  const sent: DryRequest[] = [];
  const platform = dryPlatform({ bundle, peer, answer, plain, onDial: (one) => sent.push(one) });
  const exchange = createExchange({
    request,
    platform,
    engine,
    lease,
    context: { waitUntil: () => {} },
  });
  const phases: PhaseExplanation[] = [];
  for (const phase of REQUEST_PHASES) {
    const known = exchange.verdicts.length;
    await phase.run(exchange);
    const verdicts = exchange.verdicts.slice(known);
    phases.push({ phase: phase.name, said: describe(phase.name, exchange, verdicts, sent), verdicts });
    if (exchange.response !== null) break;
  }
  const origin = phases.at(-1)?.phase === 'upstream' && exchange.upstream.error === '';
  for (const phase of RESPONSE_PHASES) {
    const known = exchange.verdicts.length;
    await phase.run(exchange);
    const verdicts = exchange.verdicts.slice(known);
    const said = verdicts.length > 0 ? verdicts.map(sentenceOf).join('; ') : 'nothing to decide';
    phases.push({ phase: phase.name, said, verdicts });
  }
  const { result, plan, response, waf } = exchange;
  const ended = exchange.verdicts.findLast(({ mode, action }) => mode === 'enforce' && action !== 'allow') ?? null;
  const { name: agent, identity, by } = callerOf(exchange);
  return {
    app: plan?.app ?? '',
    route: exchange.routeName,
    host: result?.host ?? '',
    path: { canonical: result?.path ?? '', changed: result?.pathChanged ?? false },
    query: result?.query ?? '',
    client: { address: result?.client ?? '', trusted: result?.trusted ?? false },
    ...{ agent, identity, by },
    backend: plan?.backends[exchange.backend]?.name ?? '',
    phases,
    waf: waf === null ? null : explainWaf(waf),
    ended,
    sent,
    answer: {
      origin: origin && ended === null,
      status: origin && ended === null && answer === undefined ? 0 : (response?.status ?? 500),
      headers: response === null ? [] : [...response.headers],
    },
    steps: result?.steps ?? 0,
  };
}

function explainWaf({ plan, blocked, scores, truncated, events }: WafRecord): WafExplanation {
  return { ruleset: plan.ruleset, mode: plan.mode, blocked, ...scores, truncated, events };
}

const sentenceOf = ({ action, rule, reason, status, mode }: Verdict): string =>
  `${mode === 'log' && action !== 'log' ? 'would ' : ''}${action} ${status > 0 ? `${status} ` : ''}by ${rule === '' ? 'the gateway' : rule}${reason === rule ? '' : `: ${reason}`}`;

/** What a phase did, in words. */
function describe(
  phase: string,
  exchange: Exchange,
  verdicts: readonly Verdict[],
  sent: readonly DryRequest[],
): string {
  const decided = verdicts.map(sentenceOf).join('; ');
  const { result, plan } = exchange;
  const words: Record<string, () => string> = {
    sanitize: () => `${exchange.head.fields / 2} header lines kept`,
    address: () => `the peer is ${exchange.peer === '' ? 'not known' : exchange.peer}`,
    match: () =>
      plan === null
        ? 'no application'
        : `application ${plan.app}, ${exchange.routeName === '' ? 'no route' : `route ${exchange.routeName}`}, canonical path ${result?.path ?? ''}, client ${result?.client ?? ''}`,
    rewrite: () =>
      `to ${exchange.target.host === '' ? '' : `${exchange.target.host} `}${exchange.target.path}${exchange.target.query}`,
    upstream: () =>
      sent.length === 0
        ? 'nothing would be sent'
        : `backend ${exchange.upstream.backend}, endpoint ${exchange.upstream.endpoint}${sent.length > 1 ? `, ${sent.length - 1} more for mirrors` : ''}`,
  };
  const own = words[phase]?.() ?? '';
  return [own, decided].filter((part) => part !== '').join('; ') || 'nothing to decide';
}
