/**
 * What the policy reader hands to the compilers of its parts: validated, defaults filled in, names still names.
 * `path` is where it stands in the document, for diagnostics.
 */
import type { RuleAction } from '../plan.ts';
import type { DocumentPath } from './diagnostics.ts';
import type { Selection, Target } from './seclang/ruleset.ts';

export interface RouteSource {
  readonly path: DocumentPath;
  readonly name: string;
  /** Lower case; already intersected with the app's; `*` is any host. */
  readonly hostnames: readonly string[];
  readonly matches: readonly MatchSource[]; // any of; at least one
}

export interface MatchSource {
  readonly path: DocumentPath;
  readonly pathMatch: { readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression'; readonly value: string };
  readonly method: string | null;
  readonly headers: readonly ValueMatch[]; // names lower case
  readonly queryParams: readonly ValueMatch[]; // names case-sensitive
}
export interface ValueMatch {
  readonly name: string;
  readonly type: 'Exact' | 'RegularExpression';
  readonly value: string;
}

export interface SettingsSource {
  readonly clientAddress: {
    readonly from: 'peer' | 'xff' | 'cf';
    readonly trustedHops: number;
    readonly trustedCIDRs: readonly string[];
    readonly failClosed: boolean;
  };
  readonly escapedSlashes: 'keep' | 'reject';
  readonly mergeSlashes: boolean;
  /** Signals of automation are worked out for the log. */
  readonly signals: boolean;
}

export interface ListSource {
  readonly path: DocumentPath;
  readonly name: string;
  readonly items: readonly (string | number)[]; // all addresses/CIDR, or all strings, or all integers
}

export interface RuleSource {
  readonly path: DocumentPath; // of the rule; its expression is at [...path, 'when']
  readonly name: string;
  readonly when: string;
  readonly action: RuleAction;
  readonly mode: 'log' | 'enforce'; // `off` rules are not handed over, but are still checked by `check`
  /** Value expressions by operand: redirect location; rewrite path, query and set headers. */
  readonly location: string | null; // at [...path, 'redirect', 'location']
  readonly rewritePath: string | null; // at [...path, 'rewrite', 'path']
  readonly rewriteQuery: string | null;
  readonly rewriteHeaders: readonly { readonly name: string; readonly value: string }[]; // [.., 'rewrite', 'headers', 'set', name]
  readonly skipRules: readonly string[]; // names of later rules
  readonly skipPhases: readonly ('inspect' | 'rules' | 'waf')[];
  /** Routes for which the rule holds, by SECTION_GROUPS; left out: for all requests. */
  readonly group?: number;
  /** Value expressions that requests are counted by; each at `path`. */
  readonly keys?: readonly { readonly path: DocumentPath; readonly value: string }[];
}

export interface InspectionSource {
  readonly path: DocumentPath;
  readonly route: number; // -1 = the whole app
  readonly mode: 'log' | 'enforce';
  readonly required: readonly string[];
  readonly forbidden: readonly string[];
  readonly maxCount: number; // 0 = no limit
  readonly maxLength: number; // bytes of one value, 0 = no limit
  readonly lengths: readonly { readonly name: string; readonly max: number }[];
  readonly bytes: 'visible' | 'utf8';
}

/**
 * The part of one effective `waf:` (of the app, or of a route with the app's beneath it) that a WAF program is folded
 * from. `mode: off` gives none. Equal ones are one program: `wafKey` compares.
 */
export interface WafSource {
  readonly path: DocumentPath; // ['waf'] or ['routes', 2, 'waf']: where a fault of the whole is reported
  /** Name of a rule set; `none`: inline rules only. */
  readonly ruleset: string;
  readonly mode: 'log' | 'enforce';
  readonly paranoia: { readonly blocking: number; readonly detection: number }; // 1 to 4, detection >= blocking
  readonly thresholds: { readonly inbound: number; readonly outbound: number };
  /** Set-up variables, names lower case and without `tx.`; they win over the rule set's own defaults. */
  readonly variables: readonly { readonly path: DocumentPath; readonly name: string; readonly value: string }[];
  readonly exclude: readonly WafExclusion[];
  /** SecLang that is evaluated before the rule set, in order. */
  readonly inline: readonly { readonly path: DocumentPath; readonly text: string }[];
  /** 0 to 1: share of the requests that are evaluated; the engine draws by the seed of the request. */
  readonly sampling: number;
  /** Whether phases 3 and 4 run at all. */
  readonly response: boolean;
  /** What to do about a body that cannot be read for sure. */
  readonly malformed: 'reject' | 'log' | 'pass';
  readonly bodyLimit: number; // bytes of a request body that rules look at
  readonly responseBodyLimit: number;
}

/** Rules that are left out, or targets that they do not look at. */
export interface WafExclusion {
  readonly path: DocumentPath; // of the entry; its fields stand below it: `rule`, `tag`, `range`, `message`, `target`, `when`
  readonly field: 'rule' | 'range' | 'tag' | 'message' | null; // which of them selects; null: every rule
  readonly rules: Selection | null; // null: every rule
  readonly target: Target | null; // null: the rules themselves are left out
  /** An expression of the rules language, text; null: always. */
  readonly when: string | null;
}
