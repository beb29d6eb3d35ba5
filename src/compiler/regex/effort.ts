/** What the patterns of one policy may cost together, so that a few lines of text can't keep a compiler busy for long. */
import { MAX_DFA_WORK, MAX_POLICY_DFA_WORK, MIN_DFA_WORK } from '../../../assembly/regex/abi.ts';

/**
 * A common budget of elementary steps. When it is spent, each pattern still gets what ordinary ones need for their DFA;
 * the others become NFAs, which are slower to run and no less correct.
 */
export class Effort {
  #left: number;

  constructor(budget: number = MAX_POLICY_DFA_WORK) {
    this.#left = budget;
  }

  /** Steps that an automaton of so many patterns may take. */
  allowed(patterns: number): number {
    return Math.min(MAX_DFA_WORK, Math.max(this.#left, patterns * MIN_DFA_WORK));
  }

  draw(steps: number): void {
    this.#left = Math.max(0, this.#left - steps);
  }
}
