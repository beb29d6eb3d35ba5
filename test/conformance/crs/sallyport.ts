/** Our engine as the conformance runs ask it: the suite's set-up, called in the process. */
import { peerConfiguration, SUITE_SETTINGS } from '../../../bench/peers/waf/rules.ts';
import type { Hit, Outcome } from '../../../bench/peers/waf/peer.ts';
import type { RuleSet } from '../../../src/compiler/seclang/index.ts';
import type { RawTransaction } from '../../../src/waf/transaction.ts';
import { dataFolder } from '../../data.ts';
import { openRules } from '../../support/waf.ts';

/** The rules that every engine gets, at paranoia level 4, blocking nothing. */
export const suiteRules = (): string =>
  peerConfiguration({ crs: dataFolder('crs'), mode: 'log', paranoia: 4, extra: SUITE_SETTINGS });

export interface OwnOutcome extends Outcome {
  readonly hits: readonly (Hit & { readonly target: string })[];
  /** REASON_* when the engine gave up, so that not all rules ran; else 0. */
  readonly limit: number;
  /** More rules fired than are told. */
  readonly truncated: boolean;
}

export class Sallyport {
  readonly name = 'Sallyport';
  readonly #inspect: (transaction: RawTransaction) => OwnOutcome;

  readonly ruleSet: RuleSet;

  private constructor(ruleSet: RuleSet, inspect: (transaction: RawTransaction) => OwnOutcome) {
    this.ruleSet = ruleSet;
    this.#inspect = inspect;
  }

  static async start(rules = suiteRules()): Promise<Sallyport> {
    const { waf, ruleSet } = await openRules(rules, { mode: 'detect', bodyLimit: 1 << 20 });
    return new Sallyport(ruleSet, (transaction) => {
      const { events, action, status, reason, truncated } = waf.inspect(transaction);
      const hits = events
        .filter(({ log }) => log)
        .map(({ rule, phase, message, logdata, target, action: asked }) => ({
          id: rule,
          phase,
          disruptive: asked !== 'pass',
          message,
          data: logdata,
          target,
        }));
      return { status, hits, limit: action === 'limit' ? reason : 0, truncated };
    });
  }

  run(transaction: RawTransaction): Promise<OwnOutcome> {
    return Promise.resolve(this.#inspect(transaction));
  }

  stop(): void {}
}
