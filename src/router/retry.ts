/**
 * When a failed try may be repeated. The budget follows Gateway API's retry constraint: over a window, retries may be a
 * percentage of requests, with a floor. Counting over a window and not in flight needs no decrement, so an exchange that
 * the runtime drops with its client can't leave a count behind.
 */
import type { RetryPlan } from '../plan.ts';

const WINDOW = 10_000; // ms

export class RetryBudget {
  #start = 0;
  #requests = 0;
  #retries = 0;
  #earlierRequests = 0;
  #earlierRetries = 0;

  /** Counts a first try. */
  request(now: number): void {
    this.#roll(now);
    this.#requests++;
  }

  /** Takes a retry out of the budget; false when it is spent. */
  take(plan: RetryPlan, now: number): boolean {
    this.#roll(now);
    // The earlier window fades out as the present one fills.
    const weight = 1 - (now - this.#start) / WINDOW;
    const requests = this.#requests + this.#earlierRequests * weight;
    const retries = this.#retries + this.#earlierRetries * weight;
    const allowed = Math.max((requests * plan.budget) / 100, (plan.budgetMin * WINDOW) / 1000);
    if (retries + 1 > allowed) return false;
    this.#retries++;
    return true;
  }

  #roll(now: number): void {
    const windows = Math.floor((now - this.#start) / WINDOW);
    if (windows <= 0) return;
    this.#earlierRequests = windows === 1 ? this.#requests : 0;
    this.#earlierRetries = windows === 1 ? this.#retries : 0;
    this.#requests = 0;
    this.#retries = 0;
    this.#start = this.#start === 0 ? now : this.#start + windows * WINDOW;
  }
}

const budgets = new WeakMap<RetryPlan, RetryBudget>();

export function budgetOf(plan: RetryPlan): RetryBudget {
  let budget = budgets.get(plan);
  if (budget === undefined) budgets.set(plan, (budget = new RetryBudget()));
  return budget;
}

/** Milliseconds to wait before retry number `attempt` (from 1): doubled each time, full jitter above half. */
export function backoff(plan: RetryPlan, attempt: number): number {
  const base = Math.min(plan.backoff * 2 ** (attempt - 1), plan.backoffMax > 0 ? plan.backoffMax : Infinity);
  return base * (0.5 + Math.random() / 2);
}
