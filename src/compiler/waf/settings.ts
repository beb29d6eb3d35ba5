/** What a WAF program is folded with: one effective `waf:` of the policy. */
import type { Selection, Target } from '../seclang/ruleset.ts';

export interface WafSettings {
  /** `detect`: rules run and are recorded, nothing is blocked (SecRuleEngine DetectionOnly). */
  readonly mode: 'detect' | 'enforce';
  /** Null: what the rule set says of itself. */
  readonly paranoia: { readonly blocking: number; readonly detection: number } | null;
  readonly thresholds: { readonly inbound: number; readonly outbound: number } | null;
  /** TX variables that hold before the first rule; names lower case, without `tx.`. They win over paranoia and thresholds. */
  readonly variables: readonly { readonly name: string; readonly value: string }[];
  readonly exclusions: readonly WafExclusionSetting[];
  /** Percent of the requests that are looked at, 0 to 100. */
  readonly sampling: number;
  /** Block in phase 1 and 3 already, by what is known then. */
  readonly earlyBlocking: boolean;
  /** Bytes of a body that rules look at; `over` is the host's affair. */
  readonly bodyLimit: number;
  readonly responseBodyLimit: number;
  /** Whether phases 3 and 4 run; else phase 5 follows on phase 2. */
  readonly response: boolean;
  /** False: nothing is folded. Only tests want that: verdicts are the same. */
  readonly fold: boolean;
}

export interface WafExclusionSetting {
  readonly rules: Selection | null; // null: every rule
  readonly target: Target | null; // null: the rules themselves
  /** Index of a program of type boolean in SECTION_CODE; null: always. */
  readonly when: number | null;
}

export const DEFAULT_WAF_SETTINGS: WafSettings = {
  mode: 'enforce',
  paranoia: null,
  thresholds: null,
  variables: [],
  exclusions: [],
  sampling: 100,
  earlyBlocking: false,
  bodyLimit: 131072,
  responseBodyLimit: 524288,
  response: true,
  fold: true,
};
