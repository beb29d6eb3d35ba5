/**
 * One request on its way through the phases: the facts that phases share, and nothing they do not.
 * Phases never import each other; each reads what earlier ones left here and writes what later ones need.
 */
import type { Plan, RouteAction } from '../plan.ts';
import type { Platform } from '../platform/platform.ts';
import type { Generation, Head, HeadResult } from '../waf/engine.ts';
import type { Verdict } from './verdict.ts';

export interface Exchange {
  readonly id: string; // request id, also sent as x-request-id
  readonly request: Request;
  readonly platform: Platform;
  readonly startedAt: number; // ms since the epoch
  /** The images this exchange uses until it ends, whatever is swapped in meanwhile. */
  readonly generation: Generation;

  /** sanitize: header lines once iterated, without `x-sallyport-*`; names lower case. */
  headers: [name: string, value: string][];
  head: Head;
  /** address: what the platform vouches for as the peer; `result.client` is the client by the policy's rule. */
  peer: string;

  /** match (the engine's head call). */
  result: HeadResult | null;
  plan: Plan | null;
  action: RouteAction | null;

  /** Where the request goes, as rewritten so far. */
  target: { scheme: string; host: string; path: string; query: string };
  /** Backend forced by a `route` rule, index into plan.backends, else -1. */
  backend: number;
  /** Request headers as they will go to the origin; made on first change. */
  outgoing: Headers | null;

  /** Every decision in order; the last enforcing one is what the client got. */
  readonly verdicts: Verdict[];
  /** Set by the phase that answers; later request phases are not run. */
  response: Response | null;

  /** For the log: who answered and how it went. */
  upstream: { backend: string; endpoint: string; attempts: number; status: number; error: string };
  waitUntil(promise: Promise<unknown>): void;
}

/** A request phase: sets `exchange.response` to end the request, else the next phase runs. */
export interface Phase {
  readonly name: string;
  run(exchange: Exchange): void | Promise<void>;
}
