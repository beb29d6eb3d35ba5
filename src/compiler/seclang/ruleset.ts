/**
 * A rule set as it was written, resolved and typed: what the SecLang reader makes, and the compilers of matchers and
 * programs read. Plain data: it is kept as JSON beside the image. Nothing about any policy is folded in yet.
 *
 * Update directives (SecRuleUpdateTargetById, SecRuleRemoveByTag ...) have been applied; include files and data files
 * (phrases, addresses) have been read; names are resolved to the ids of assembly/waf/abi.ts.
 */

export interface RuleSet {
  readonly name: string; // `crs@4.28.0`, `core`, or the file of inline rules
  readonly components: readonly string[]; // SecComponentSignature
  /** In the order of the files: rules, actions and markers. */
  readonly entries: readonly Entry[];
  /** Engine settings that directives made (SecRequestBodyLimit ...), by directive name in lower case; last one wins. */
  readonly settings: Readonly<Record<string, string>>;
}

export type Entry = RuleEntry | MarkerEntry;

export interface MarkerEntry {
  readonly kind: 'marker';
  readonly name: string; // SecMarker, the target of skipAfter
  readonly place: Place;
}

export interface Place {
  readonly file: string;
  readonly line: number; // from 1
  readonly column: number; // from 1
}

export type Disruptive = 'allow' | 'block' | 'deny' | 'drop' | 'pass' | 'redirect';

/** A SecRule with its chain, or a SecAction (one link whose operator is unconditionalMatch and which has no targets). */
export interface RuleEntry {
  readonly kind: 'rule';
  readonly id: number;
  readonly phase: 1 | 2 | 3 | 4 | 5;
  readonly place: Place;
  readonly links: readonly Link[]; // the first has the id; all of them must match
  /** With SecDefaultAction of the phase applied: `block` has become what it stands for, and is kept in `blocks`. */
  readonly disruptive: Disruptive;
  readonly blocks: boolean; // written as `block`
  readonly blockMeans: Disruptive; // what `block` stands for here: of the phase's SecDefaultAction
  readonly status: number; // of deny and redirect; 0 = default (403)
  readonly redirect: string; // location, with its macros unexpanded
  readonly allow: '' | 'request' | 'phase'; // scope of `allow`
  readonly skipAfter: string; // marker, '' for none
  readonly skip: number; // `skip:n`
  readonly msg: Macro | null;
  readonly severity: number; // 0 EMERGENCY .. 7 DEBUG, -1 unset
  readonly tags: readonly string[]; // may hold macros, unexpanded text
  readonly ver: string;
  readonly rev: string;
  readonly maturity: number;
  readonly accuracy: number;
  readonly log: boolean;
  readonly auditlog: boolean;
}

export interface Link {
  readonly place: Place;
  readonly targets: readonly Target[];
  readonly operator: Operator;
  readonly transformations: readonly number[]; // TRANSFORM_*, after `t:none` and defaults are applied
  readonly multiMatch: boolean;
  readonly capture: boolean;
  readonly logdata: Macro | null;
  /** In the order written: they run each time the link matches a value, as in ModSecurity. */
  readonly setvars: readonly SetVariable[];
  readonly ctls: readonly Control[];
}

/** `ARGS`, `&ARGS:q`, `REQUEST_HEADERS:/^x-/`, and exclusions `!ARGS:q`. */
export interface Target {
  readonly variable: number; // VARIABLE_*
  readonly count: boolean; // `&`
  readonly exclude: boolean; // `!`
  /**
   * Name within the collection: null = all of it. Exact names compare without case, as in ModSecurity; patterns are
   * searched for in the name, dotall and without case (PCRE_DOTALL | PCRE_CASELESS there). Exact ones are lower case.
   */
  readonly selector: Selector | null;
}

export type Selector = { readonly exact: string } | { readonly regex: string };

export interface Operator {
  readonly place: Place; // of the argument, or of the operator that has none
  readonly operator: number; // OPERATOR_*
  readonly negated: boolean;
  /**
   * Argument with its macros; of pm and ipMatch: empty, see phrases. A regex is one string without macros, in ASCII:
   * what was written beyond ASCII stands as `\\xHH` of its UTF-8, since rules match bytes.
   */
  readonly argument: Macro;
  /** pm, pmFromFile: what to look for, without case. ipMatch, ipMatchFromFile: addresses and CIDRs. */
  readonly phrases: readonly string[];
  /** As written, with its name: for `show` and `explain`. */
  readonly text: string;
}

/** Text with `%{...}`: strings and references in turn. */
export type Macro = readonly (string | Reference)[];

export interface Reference {
  readonly variable: number; // VARIABLE_*
  readonly name: string; // of TX, REQUEST_HEADERS, RULE ...; lower case; '' for scalars
}

export interface SetVariable {
  readonly collection: 'tx'; // others are diagnosed: nothing persists between requests
  readonly name: Macro; // lower case
  readonly operation: 'set' | 'add' | 'subtract' | 'unset';
  readonly value: Macro;
}

export type Control =
  | { readonly ctl: 'ruleEngine'; readonly value: 'on' | 'off' | 'detectionOnly' }
  | { readonly ctl: 'requestBodyAccess' | 'responseBodyAccess' | 'forceRequestBodyVariable'; readonly value: boolean }
  | {
      readonly ctl: 'requestBodyProcessor';
      readonly value: 'URLENCODED' | 'MULTIPART' | 'JSON' | 'XML' | 'RAW' | 'SNIFF';
    }
  // Kept for `show`, no effect here.
  | { readonly ctl: 'auditEngine' | 'auditLogParts' | 'debugLogLevel'; readonly value: string }
  | { readonly ctl: 'ruleRemove'; readonly rules: Selection }
  | { readonly ctl: 'ruleRemoveTarget'; readonly rules: Selection; readonly target: Target };

/** Which rules an exclusion means. */
export type Selection =
  | { readonly by: 'id'; readonly ranges: readonly (readonly [first: number, last: number])[] }
  | { readonly by: 'tag' | 'message'; readonly pattern: string }; // a regular expression, as in ModSecurity v2
