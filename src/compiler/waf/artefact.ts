/**
 * A rule set as two artefacts: an image with the automata of its operators, which all apps share by hash, and an IR, from
 * which the WAF programs of policies are folded. Making them is the slow part (minutes for the CRS); using them is not.
 */
import { KIND_RULESET, SECTION_MATCHERS } from '../../../assembly/abi.ts';
import {
  OPERATOR_CONTAINS_WORD,
  OPERATOR_PM,
  OPERATOR_RX,
  OPERATOR_STR_MATCH,
  VARIABLE_TX,
} from '../../../assembly/waf/abi.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { ImageWriter } from '../image.ts';
import type { Link, Macro, RuleEntry, RuleSet } from '../seclang/ruleset.ts';
import { isLowered } from './case.ts';
import { compileMatchers, type MatcherOptions, type MatcherSource } from './matchers.ts';

/** Of the IR; one of another version is compiled again. */
export const IR_VERSION = 2;

export interface RuleSetIr {
  readonly version: number;
  readonly ruleSet: RuleSet;
  /** Matcher by what is looked for (`matcherKey`): operators that look for the same are one. */
  readonly matchers: Readonly<Record<string, number>>;
  /** One for each rule that was left out for a pattern that the engine does not have: said whenever the rule set is used. */
  readonly leftOut: readonly Diagnostic[];
}

/** Whether a diagnostic of the reader is about a rule that was left out. */
export const isLeftOut = ({ code }: Diagnostic): boolean => code === 'rule-left-out';

export interface RuleSetArtefact {
  readonly image: Uint8Array;
  readonly ir: RuleSetIr;
}

export interface CompiledRuleSet {
  /** Null when there are errors. */
  readonly artefact: RuleSetArtefact | null;
  readonly diagnostics: readonly Diagnostic[];
}

export async function compileRuleSet(
  ruleSet: RuleSet,
  { leftOut = [], ...options }: MatcherOptions & { readonly leftOut?: readonly Diagnostic[] } = {},
): Promise<CompiledRuleSet> {
  const { section, matchers, diagnostics } = await matchersOf(ruleSet.entries.filter(isRule), options);
  if (diagnostics.length > 0) return { artefact: null, diagnostics };
  const writer = new ImageWriter(KIND_RULESET);
  writer.section(SECTION_MATCHERS, section);
  const ir = { version: IR_VERSION, ruleSet, matchers: Object.fromEntries(matchers), leftOut };
  return { artefact: { image: writer.finish(), ir }, diagnostics };
}

/** The section that holds the automata of these rules, and the matcher of each key. */
export async function matchersOf(
  entries: readonly RuleEntry[],
  options: MatcherOptions = {},
): Promise<{ section: Uint8Array; matchers: Map<string, number>; diagnostics: Diagnostic[] }> {
  const readers = captureReaders(entries);
  const sources: MatcherSource[] = [];
  const links: Link[] = [];
  for (const entry of entries)
    for (const link of entry.links) {
      const source = sourceOf(entry, link, readers.has(link));
      if (source === null) continue;
      sources.push(source);
      links.push(link);
    }
  const compiled = await compileMatchers(sources, options);
  const diagnostics = compiled.problems.map(({ source, message, offset, length, fix }): Diagnostic => {
    const { file, line, column } = links[source]!.operator.place;
    return {
      ...{ severity: 'error', code: 'bad-operator', file, line, column: column + offset, length: Math.max(1, length) },
      message,
      ...(fix !== undefined && { fix }),
    };
  });
  const matchers = new Map<string, number>();
  links.forEach((link, index) => matchers.set(matcherKey(link)!, compiled.matchers[index]!));
  return { section: compiled.section, matchers, diagnostics };
}

/** What the operator of a link looks for, null for one that is evaluated on the spot. */
export function matcherKey(link: Pick<Link, 'operator' | 'transformations' | 'multiMatch'>): string | null {
  const { operator, argument, phrases } = link.operator;
  switch (operator) {
    case OPERATOR_RX:
    case OPERATOR_STR_MATCH:
    case OPERATOR_CONTAINS_WORD:
      return `${operator}${isLowered(link) ? ' lower' : ''} ${textOf(argument)}`;
    case OPERATOR_PM:
      return `${operator} ${JSON.stringify(phrases)}`;
    default:
      return null;
  }
}

const textOf = (argument: Macro): string => argument.filter((part) => typeof part === 'string').join('');

function sourceOf(entry: RuleEntry, link: Link, captures: boolean): MatcherSource | null {
  const { operator, argument, phrases } = link.operator;
  const group = {
    paranoia: paranoiaOf(entry),
    direction: entry.phase === 3 || entry.phase === 4 ? ('response' as const) : ('request' as const),
    pipeline: link.transformations.join(),
  };
  const lowered = isLowered(link);
  switch (operator) {
    case OPERATOR_RX:
      return { group, kind: 'rx', pattern: textOf(argument), captures, lowered };
    case OPERATOR_PM:
      return { group, kind: 'pm', phrases };
    case OPERATOR_STR_MATCH:
      return { group, kind: 'strmatch', text: textOf(argument), lowered };
    case OPERATOR_CONTAINS_WORD:
      return { group, kind: 'containsWord', text: textOf(argument), lowered };
    default:
      return null;
  }
}

/** SPEC: CRS tags each rule with its level; what has none belongs to all. */
export function paranoiaOf({ tags }: Pick<RuleEntry, 'tags'>): number {
  for (const tag of tags) {
    const level = /^paranoia-level\/([1-4])$/.exec(tag)?.[1];
    if (level !== undefined) return Number(level);
  }
  return 1;
}

/** Links whose TX.1 to TX.9 somebody reads: in the same rule, or in one that follows before the next capture. */
function captureReaders(entries: readonly RuleEntry[]): Set<Link> {
  const read = new Set<Link>();
  let before: readonly Link[] = [];
  for (const entry of entries) {
    const own = entry.links.filter(({ capture }) => capture);
    if (readsCaptures(entry)) for (const link of [...before, ...own]) read.add(link);
    if (own.length > 0) before = own;
  }
  return read;
}

const isCapture = (variable: number, name: string): boolean => variable === VARIABLE_TX && /^[1-9]$/.test(name);

function readsCaptures(entry: RuleEntry): boolean {
  const inMacro = (macro: Macro | null): boolean =>
    macro !== null && macro.some((part) => typeof part !== 'string' && isCapture(part.variable, part.name));
  return (
    inMacro(entry.msg) ||
    // Location and tags are kept as text.
    /%\{tx\.[1-9]\}/i.test(entry.redirect + entry.tags.join()) ||
    entry.links.some(
      ({ targets, operator, logdata, setvars }) =>
        targets.some(({ variable, selector }) =>
          selector === null
            ? variable === VARIABLE_TX
            : 'regex' in selector
              ? variable === VARIABLE_TX
              : isCapture(variable, selector.exact),
        ) ||
        inMacro(operator.argument) ||
        inMacro(logdata) ||
        setvars.some(({ name, value }) => inMacro(name) || inMacro(value)),
    )
  );
}

export const isRule = (entry: RuleSet['entries'][number]): entry is RuleEntry => entry.kind === 'rule';

/** An IR that was kept as JSON, null when it is of another version or no IR. */
export function readIr(text: string): RuleSetIr | null {
  try {
    const ir = JSON.parse(text) as Partial<RuleSetIr> | null;
    return ir?.version === IR_VERSION &&
      ir.ruleSet !== undefined &&
      ir.matchers !== undefined &&
      ir.leftOut !== undefined
      ? (ir as RuleSetIr)
      : null;
  } catch {
    return null;
  }
}
