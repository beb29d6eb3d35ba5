/** What rules demand of a request before it goes on: collected by the engine's calls, settled by the phases of `limit`. */
import type { RatePlan, RulePlan } from '../plan.ts';
import type { Evidence } from './verdict.ts';

export interface Demand {
  readonly rule: RulePlan;
  /** `log`: a rate is counted, and nothing refused. */
  readonly mode: 'log' | 'enforce';
  /** Values of `rule.rate.by`, '' for one that the request does not have. */
  readonly keys: readonly string[];
  readonly evidence?: Evidence;
}

/** How one rate stands for a client, for the fields `RateLimit` and `RateLimit-Policy`. */
export interface RateState {
  readonly rate: RatePlan;
  readonly remaining: number;
  readonly resetSeconds: number;
}
