/** What a deciding phase says about a request: the same shape from every phase, rendered once by `problem.ts`. */
export interface Verdict {
  readonly action: 'allow' | 'block' | 'redirect' | 'respond' | 'log';
  readonly phase: string;
  /** Name of the rule, route or check that decided. */
  readonly rule: string;
  readonly status: number;
  /** One sentence for a person; safe to send to the client. */
  readonly reason: string;
  /** `log` decisions are recorded and have no effect. */
  readonly mode: 'log' | 'enforce';
  readonly evidence?: Evidence;
}

export interface Evidence {
  /** Field of the rules language, or header name. */
  readonly target: string;
  /** Matched bytes as text, cut to 256 characters; redacted where the target is a credential. */
  readonly value: string;
}
