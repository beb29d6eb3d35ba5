/**
 * The pipeline for one request of which nothing leaves: every phase runs as it does in the worker, with a platform that
 * dials nobody, and says what it decided. Bundled as dist/explain.js, which Node can load.
 */
import type { Bundle } from '../platform/bindings.ts';
import { dryPlatform, type DryRequest } from '../platform/dry.ts';
import { createEngine } from '../waf/engine.ts';
import { createExchange, type Exchange } from './exchange.ts';
import { Generations } from './generation.ts';
import { REQUEST_PHASES, RESPONSE_PHASES } from './pipeline.ts';
import type { Verdict } from './verdict.ts';

export interface ExplainInput {
  readonly engine: WebAssembly.Module;
  readonly bundle: Bundle;
  readonly request: Request;
  /** Address of the TCP peer to assume. */
  readonly peer: string;
}

export interface Explanation {
  readonly app: string;
  readonly route: string;
  readonly host: string;
  readonly path: { readonly canonical: string; readonly changed: boolean };
  readonly query: string;
  readonly client: { readonly address: string; readonly trusted: boolean };
  readonly agent: string;
  readonly backend: string;
  /** In the order in which they ran; those after the one that answered did not. */
  readonly phases: readonly PhaseExplanation[];
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

/** Runs the phases; throws when the images are not acceptable. */
export async function explain(input: ExplainInput): Promise<Explanation> {
  const sent: DryRequest[] = [];
  const platform = dryPlatform({ bundle: input.bundle, peer: input.peer, onDial: (request) => sent.push(request) });
  const engine = createEngine(input.engine);
  const lease = await new Generations(engine).first(platform.images);
  if (lease === null) throw new Error('there is no manifest in the bundle');
  const exchange = createExchange({
    request: input.request,
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
  const { result, plan, response } = exchange;
  const agent = result === null || result.agent < 0 ? undefined : exchange.generation.agents[result.agent];
  return {
    app: plan?.app ?? '',
    route: exchange.routeName,
    host: result?.host ?? '',
    path: { canonical: result?.path ?? '', changed: result?.pathChanged ?? false },
    query: result?.query ?? '',
    client: { address: result?.client ?? '', trusted: result?.trusted ?? false },
    agent: agent?.name ?? '',
    backend: plan?.backends[exchange.backend]?.name ?? '',
    phases,
    sent,
    answer: {
      origin,
      status: origin ? 0 : (response?.status ?? 500),
      headers: response === null ? [] : [...response.headers],
    },
    steps: result?.steps ?? 0,
  };
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
