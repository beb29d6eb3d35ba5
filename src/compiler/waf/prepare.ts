/** Rules of all sets by phase, with what the settings say applied: set-up variables, exclusions, modes. */
import * as abi from '../../../assembly/waf/abi.ts';
import type { Link, RuleEntry, Selection, Target } from '../seclang/ruleset.ts';
import type { MatchedRules, ProgramProblem } from './program.ts';
import type { WafSettings } from './settings.ts';

/** A rule as the program will hold it. */
export interface PreparedRule {
  readonly rule: RuleEntry;
  readonly links: readonly PreparedLink[];
  /** Condition in SECTION_CODE of a rule that is made of an exclusion; null for others. */
  readonly expression: number | null;
}

export interface PreparedLink extends Omit<Link, 'ctls'> {
  /** Matcher of the program: sets one after the other, or MATCHER_SQLI, MATCHER_XSS; -1 for none. */
  readonly matcher: number;
  readonly ctls: readonly PreparedControl[];
}

export type PreparedControl =
  | { readonly kind: 'number'; readonly action: number; readonly value: number }
  | { readonly kind: 'remove'; readonly rules: (rule: RuleEntry) => boolean; readonly target: Target | null };

export interface PreparedMarker {
  readonly marker: string;
}

export interface Prepared {
  /** By phase, from 0: rules and markers in order. */
  readonly phases: readonly (readonly (PreparedRule | PreparedMarker)[])[];
  /** TX variables that are set before the first rule. */
  readonly initial: ReadonlyMap<string, string>;
  /** TX variables that the host tells of, so that they are kept though no rule reads them. */
  readonly reported: readonly string[];
  readonly sets: readonly { readonly source: number; readonly first: number; readonly count: number }[];
}

export function isRule(item: PreparedRule | PreparedMarker): item is PreparedRule {
  return 'rule' in item;
}

const ENGINE = { off: abi.ENGINE_OFF, detectionOnly: abi.ENGINE_DETECT, on: abi.ENGINE_ON };
const PROCESSORS = {
  URLENCODED: abi.PROCESSOR_URLENCODED,
  MULTIPART: abi.PROCESSOR_MULTIPART,
  JSON: abi.PROCESSOR_JSON,
  XML: abi.PROCESSOR_XML,
  RAW: abi.PROCESSOR_NONE,
  SNIFF: abi.PROCESSOR_SNIFF,
};

export function prepareRules(
  sets: readonly MatchedRules[],
  settings: WafSettings,
  problems: ProgramProblem[],
): Prepared {
  const phases: (PreparedRule | PreparedMarker)[][] = [[], [], [], [], []];
  const used: { source: number; first: number; count: number }[] = [];
  const initial = initialVariables(settings);
  const removed = settings.exclusions.filter(({ when, target }) => when === null && target === null);
  const narrowed = settings.exclusions.filter(({ when, target }) => when === null && target !== null);
  const dropped = removed.map(({ rules }) => selects(rules));
  const targets = narrowed.map(({ rules, target }) => ({
    selected: selects(rules),
    target: { ...target!, exclude: true },
  }));
  for (const exclusion of settings.exclusions.filter(({ when }) => when !== null)) {
    phases[0]!.push(conditional(selects(exclusion.rules), exclusion.target, exclusion.when!));
  }
  let first = 0;
  for (const set of sets) {
    if (set.matchers > 0) used.push({ source: set.image === null ? 0 : set.image + 1, first, count: set.matchers });
    for (const [index, entry] of set.ruleSet.entries.entries()) {
      if (entry.kind === 'marker') {
        for (const phase of phases) phase.push({ marker: entry.name });
        continue;
      }
      if (dropped.some((selected) => selected(entry))) continue;
      const extra = targets.filter(({ selected }) => selected(entry)).map(({ target }) => target);
      const links = entry.links.map((link, at) =>
        prepareLink(link, set.matcher(index, at), first, at === 0 ? extra : [], initial, entry, problems),
      );
      phases[entry.phase - 1]!.push({ rule: entry, links, expression: null });
    }
    first += set.matchers;
  }
  if (!settings.response) {
    phases[2] = [];
    phases[3] = [];
  }
  return {
    phases: phases.map((items) => markSkips(items)),
    initial,
    reported: reportedVariables(settings),
    sets: used,
  };
}

/** `skip:n` as a marker of its own: what is counted must not change when rules are left out. */
function markSkips(items: readonly (PreparedRule | PreparedMarker)[]): (PreparedRule | PreparedMarker)[] {
  const marks = new Map<number, string[]>();
  const marked = items.map((item, index) => {
    if (!isRule(item) || item.rule.skip === 0) return item;
    // SPEC: of both, skipAfter counts.
    if (item.rule.skipAfter !== '') return { ...item, rule: { ...item.rule, skip: 0 } };
    let at = index + 1;
    for (let left = item.rule.skip; left > 0 && at < items.length; at++) if (isRule(items[at]!)) left--;
    const marker = `skip from ${index}`;
    marks.set(at, [...(marks.get(at) ?? []), marker]);
    return { ...item, rule: { ...item.rule, skip: 0, skipAfter: marker } };
  });
  if (marks.size === 0) return marked;
  const placed = [...marked, null].flatMap((item, index) => [
    ...(marks.get(index) ?? []).map((marker) => ({ marker })),
    ...(item === null ? [] : [item]),
  ]);
  return placed;
}

/**
 * Scores of what is detected and not blocked, by the names of CRS 4. At one level they are those that block, and are left
 * to the rules.
 */
function reportedVariables({ paranoia }: WafSettings): string[] {
  if (paranoia === null || paranoia.detection <= paranoia.blocking) return [];
  return ['detection_inbound_anomaly_score', 'detection_outbound_anomaly_score'];
}

/** SPEC: the names that CRS 3 and 4 give to its settings. A rule set that knows others is set up by `variables`. */
function initialVariables({ paranoia, thresholds, variables, earlyBlocking }: WafSettings): Map<string, string> {
  const initial = new Map<string, string>();
  if (paranoia !== null) {
    initial.set('blocking_paranoia_level', String(paranoia.blocking));
    initial.set('detection_paranoia_level', String(paranoia.detection));
    initial.set('paranoia_level', String(paranoia.blocking));
    initial.set('executing_paranoia_level', String(paranoia.detection));
  }
  if (thresholds !== null) {
    initial.set('inbound_anomaly_score_threshold', String(thresholds.inbound));
    initial.set('outbound_anomaly_score_threshold', String(thresholds.outbound));
  }
  if (earlyBlocking) initial.set('early_blocking', '1');
  for (const { name, value } of variables) initial.set(name, value);
  // CRS refuses to run without its set-up file; what that would set is in the policy.
  if (!initial.has('crs_setup_version')) initial.set('crs_setup_version', '4');
  return initial;
}

function prepareLink(
  link: Link,
  matcher: number,
  first: number,
  extra: readonly Target[],
  initial: ReadonlyMap<string, string>,
  rule: RuleEntry,
  problems: ProgramProblem[],
): PreparedLink {
  const { operator } = link.operator;
  let own = matcher < 0 ? -1 : first + matcher;
  if (operator === abi.OPERATOR_DETECT_SQLI) own = abi.MATCHER_SQLI;
  else if (operator === abi.OPERATOR_DETECT_XSS) own = abi.MATCHER_XSS;
  else if (operator <= abi.OPERATOR_LAST_MATCHER && own < 0) {
    problems.push({
      place: link.operator.place,
      message: `rule ${rule.id} has no matcher for ${link.operator.text}`,
      fix: undefined,
    });
  }
  return {
    ...link,
    matcher: own,
    // What has no targets looks at nothing that could be excluded.
    targets: link.targets.length === 0 ? [] : [...link.targets, ...extra],
    // A set-up action does not change what the policy has set.
    setvars: isSetUp(rule)
      ? link.setvars.filter(({ name }) => !initial.has(String(name.join('')).toLowerCase()))
      : link.setvars,
    ctls: link.ctls.flatMap((control): PreparedControl[] => {
      switch (control.ctl) {
        case 'ruleEngine':
          return [{ kind: 'number', action: abi.CTL_ENGINE, value: ENGINE[control.value] }];
        case 'requestBodyAccess':
          return [{ kind: 'number', action: abi.CTL_REQUEST_BODY, value: Number(control.value) }];
        case 'responseBodyAccess':
          return [{ kind: 'number', action: abi.CTL_RESPONSE_BODY, value: Number(control.value) }];
        case 'forceRequestBodyVariable':
          return [{ kind: 'number', action: abi.CTL_FORCE_BODY, value: Number(control.value) }];
        case 'requestBodyProcessor':
          return [{ kind: 'number', action: abi.CTL_PROCESSOR, value: PROCESSORS[control.value] }];
        case 'ruleRemove':
          return [{ kind: 'remove', rules: selects(control.rules), target: null }];
        case 'ruleRemoveTarget':
          return [{ kind: 'remove', rules: selects(control.rules), target: control.target }];
        default:
          return [];
      }
    }),
  };
}

function isSetUp({ phase, links, disruptive }: RuleEntry): boolean {
  return phase === 1 && disruptive === 'pass' && links.length === 1 && links[0]!.targets.length === 0;
}

/** SPEC: patterns of tags and messages are searched for, dotall and in the letters as written. */
export function selects(selection: Selection | null): (rule: RuleEntry) => boolean {
  if (selection === null) return () => true;
  if (selection.by === 'id') {
    return ({ id }) => selection.ranges.some(([low, high]) => id >= low && id <= high);
  }
  const pattern = new RegExp(selection.pattern, 's');
  if (selection.by === 'tag') return ({ tags }) => tags.some((tag) => pattern.test(tag));
  return ({ msg }) => msg !== null && pattern.test(text(msg));
}

function text(macro: RuleEntry['msg'] & object): string {
  return macro.map((part) => (typeof part === 'string' ? part : `%{${part.name}}`)).join('');
}

const NOWHERE = { file: '', line: 1, column: 1 };

/** A rule that excludes others where an expression holds. */
function conditional(rules: (rule: RuleEntry) => boolean, target: Target | null, expression: number): PreparedRule {
  const rule: RuleEntry = {
    kind: 'rule',
    id: 0,
    phase: 1,
    place: NOWHERE,
    links: [],
    disruptive: 'pass',
    blocks: false,
    blockMeans: 'pass',
    status: 0,
    redirect: '',
    allow: '',
    skipAfter: '',
    skip: 0,
    msg: null,
    severity: -1,
    tags: [],
    ver: '',
    rev: '',
    maturity: 0,
    accuracy: 0,
    log: false,
    auditlog: false,
  };
  const link: PreparedLink = {
    place: NOWHERE,
    targets: [],
    operator: {
      place: NOWHERE,
      operator: abi.OPERATOR_UNCONDITIONAL_MATCH,
      negated: false,
      argument: [],
      phrases: [],
      text: '',
    },
    transformations: [],
    multiMatch: false,
    capture: false,
    logdata: null,
    setvars: [],
    ctls: [{ kind: 'remove', rules, target }],
    matcher: -1,
  };
  return { rule, links: [link], expression };
}
