/**
 * A rule set and settings to a WAF program (one entry of SECTION_WAF).
 */
import type { Pools } from '../image.ts';
import type { RuleSet } from '../seclang/ruleset.ts';
import type { WafSettings } from './settings.ts';

/** A rule set with the matchers that its heavy operators became. */
export interface MatchedRules {
  readonly ruleSet: RuleSet;
  /** Index into the app's rule-set images (Plan), or null: the matchers are in the policy image itself. */
  readonly image: number | null;
  /** Matcher of link `link` of entry `entry`, -1 for an operator that is evaluated on the spot. */
  matcher(entry: number, link: number): number;
}

export interface CompiledProgram {
  readonly bytes: Uint8Array;
  /** Rules that are left, by index: what events are told with (SECTION_WAF_RULES). */
  readonly rules: readonly ProgramRule[];
}

export interface ProgramRule {
  readonly id: number;
  readonly phase: number;
  readonly message: string; // as written, macros and all
  readonly severity: number;
  readonly tags: readonly string[];
}

/** Rule sets are evaluated in the order given. */
export type CompileProgram = (sets: readonly MatchedRules[], settings: WafSettings, pools: Pools) => CompiledProgram;
