/**
 * What an agent did in one exchange, beside asking: written by the phases that know, into `Exchange.agentEvents`; read when
 * the exchange is observed, for the report (`sallyport agents report`). Refusals need not be written: verdicts tell them.
 */
export interface AgentEvents {
  /** True: robots.txt disallows the path for this agent. */
  robots: boolean;
  readonly tokens: TokenUse[];
  readonly charges: Charge[];
}

/** Tokens of a language model that one exchange used. */
export interface TokenUse {
  readonly input: number;
  readonly output: number;
  /** True: counted by us, since the provider's own count never came. */
  readonly estimated: boolean;
}

/** What an agent has paid. Millionths of the currency's unit: all that x402 and pay-per-crawl can name. */
export interface Charge {
  readonly currency: string; // from the policy, such as USD
  readonly millionths: number; // a safe integer
}

/** The events of an exchange, to be written into; made when first asked for. */
export function agentEvents(exchange: { agentEvents: AgentEvents | null }): AgentEvents {
  return (exchange.agentEvents ??= { robots: false, tokens: [], charges: [] });
}
