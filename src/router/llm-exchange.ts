/** What an exchange with a language model remembers, beside the exchange. */
import type { LlmRequest } from '../agents/llm/request.ts';
import type { Usage } from '../agents/llm/usage.ts';
import type { LlmBudgetPlan, LlmPlan } from '../plan.ts';
import type { Exchange } from './exchange.ts';

export interface LlmExchange {
  readonly plan: LlmPlan;
  /** Null: nothing is asked of a model, a list of them, say. */
  readonly request: LlmRequest | null;
  /** Name of the model at the first backend, '' as the client has it. */
  readonly rewrite: string;
  /** The body as it goes to the backend at hand; null: as it came. */
  body: Uint8Array | null;
  /** Path of the target with the model of the client, of Gemini; '' until it is known. */
  path: string;
  /** The request without what filters of the drawn backend made of it; null where they make nothing, or nothing else is asked. */
  shared: { readonly headers: Headers; readonly target: Exchange['target'] } | null;
  /** The client is not to see the usage that the gateway asked for. */
  strips: boolean;
  /** What was taken from budgets before anybody knew what it costs. */
  readonly reservations: Reservation[];
  /** What it cost; null until that is known. */
  usage: Usage | null;
}

export interface Reservation {
  readonly budget: LlmBudgetPlan;
  readonly key: string;
  readonly tokens: number;
  /** End of the window that they were taken from, ms since the epoch. */
  readonly until: number;
}
