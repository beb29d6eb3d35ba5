/** The WAF of a policy: one program for each distinct `waf:` of its routes, and the automata of inline SecLang. */
import { MAX_RULESETS, SECTION_MATCHERS, SECTION_WAF, SECTION_WAF_RULES, STAGE_HEAD } from '../../../assembly/abi.ts';
import type { Document } from '../document.ts';
import { condition, reporting, stageOf, type Lists } from '../expression/expression.ts';
import type { CodeWriter } from '../expression/code.ts';
import type { Pools } from '../image.ts';
import { compileSelection, readRuleSet, type RuleEntry, type RuleSet } from '../seclang/index.ts';
import type { WafExclusion, WafSource } from '../sources.ts';
import { nearest } from '../spelling.ts';
import { isRule, matchersOf, type RuleSetIr } from './artefact.ts';
import { wafRulesSection } from './image.ts';
import { guardBodies } from './malformed.ts';
import { matchedRules } from './matched.ts';
import { compileProgram, wafSection, type MatchedRules, type ProgramProblem } from './program.ts';
import type { WafExclusionSetting } from './settings.ts';

/** A compiled rule set as a deployment has it. */
export interface AvailableRules {
  readonly hash: string; // of the image
  readonly image: Uint8Array;
  readonly ir: RuleSetIr;
}

export interface CompiledWaf {
  readonly sections: ReadonlyMap<number, Uint8Array>;
  /** Hashes of the rule-set images that the programs refer to, in their order. */
  readonly rulesets: readonly string[];
}

/** File name of inline rules in diagnostics and places. */
const INLINE = 'secLang';
const NOTHING: RuleSet = { name: 'none', components: [], entries: [], settings: {} };

interface Draft {
  readonly source: WafSource;
  readonly own: RuleSet; // inline rules
  readonly base: RuleSet; // the rule set, as inline rules left it
  readonly from: AvailableRules | null;
}

/**
 * Faults are reported; what is returned after an error is of no use. `routes`: program of each route, -1 for none;
 * `available`: rule sets by name, null for one that is not to be had.
 */
export async function compileWaf(
  programs: readonly WafSource[],
  routes: readonly number[],
  available: ReadonlyMap<string, AvailableRules | null>,
  context: { readonly document: Document; readonly lists: Lists; readonly code: CodeWriter; readonly pools: Pools },
): Promise<CompiledWaf> {
  if (programs.length === 0) return { sections: new Map(), rulesets: [] };
  const { document, pools } = context;
  const drafts = programs.flatMap((source) => draft(source, available, document) ?? []);
  if (drafts.length < programs.length) return { sections: new Map(), rulesets: [] };
  const rulesets = [...new Set(drafts.flatMap(({ from }) => (from === null ? [] : [from.hash])))];
  if (rulesets.length > MAX_RULESETS)
    document.report('error', ['waf'], 'too-many-rulesets', `an app uses at most ${MAX_RULESETS} rule sets`, {
      at: 'key',
    });
  reportLeftOut(drafts, document);
  const inline = await matchersOf(drafts.flatMap(({ own }) => own.entries.filter(isRule)));
  for (const problem of inline.diagnostics) reportInline(problem, drafts, document);

  const compiled = drafts.map(({ source, own, base, from }) => {
    const sets: MatchedRules[] = [];
    if (own.entries.length > 0) sets.push(matchedRules(own, inline.matchers, null));
    if (from !== null) sets.push(matchedRules(base, from.ir.matchers, rulesets.indexOf(from.hash)));
    else if (base.entries.length > 0) sets.push(matchedRules(base, new Map(), null));
    const rules = [...own.entries, ...base.entries].filter(isRule);
    const exclusions = source.exclude.flatMap((entry) => exclusion(entry, rules, source, context) ?? []);
    const { paranoia, thresholds, variables, bodyLimit, responseBodyLimit, response } = source;
    const program = compileProgram(
      sets,
      {
        ...{ mode: source.mode === 'log' ? 'detect' : 'enforce', paranoia, thresholds, variables, exclusions },
        ...{ sampling: source.sampling * 100, bodyLimit, responseBodyLimit, response, fold: true },
        earlyBlocking: variables.some(({ name, value }) => name === 'early_blocking' && value === '1'),
      },
      pools,
    );
    for (const { place, message, fix } of program.problems)
      reportProblem({ place, message, fix }, source, base.name, document);
    return program;
  });
  const sections = new Map<number, Uint8Array>([
    [
      SECTION_WAF,
      wafSection(
        compiled.map(({ bytes }) => bytes),
        routes,
      ),
    ],
    [SECTION_WAF_RULES, wafRulesSection(compiled)],
  ]);
  if (inline.matchers.size > 0) sections.set(SECTION_MATCHERS, inline.section);
  return { sections, rulesets };
}

/** At every build, once for each rule set: an app that relies on a rule has to know that it is not there. */
function reportLeftOut(drafts: readonly Draft[], document: Document): void {
  const told = new Set<AvailableRules>();
  for (const { source, from } of drafts) {
    if (from === null || from.ir.leftOut.length === 0 || told.has(from)) continue;
    told.add(from);
    for (const { file, line, column, message } of from.ir.leftOut)
      document.report('warning', source.path, 'rule-left-out', `${source.ruleset}: ${message}`, {
        at: 'key',
        cause: `${file}:${line}:${column}`,
        fix: 'what it looks for passes, unless a rule in `secLang` says it in another way',
      });
  }
}

/** Null after reporting. */
function draft(
  source: WafSource,
  available: ReadonlyMap<string, AvailableRules | null>,
  document: Document,
): Draft | null {
  const from = source.ruleset === 'none' ? null : (available.get(source.ruleset) ?? null);
  if (from === null && source.ruleset !== 'none') return null; // reported by whoever looked for it
  const base = guardBodies(from?.ir.ruleSet ?? NOTHING, source.malformed);
  if (source.inline.length === 0) return { source, own: NOTHING, base, from };
  const files = new Map(source.inline.map(({ text }, index) => [`${INLINE}/${index}`, text]));
  const { ruleSet, diagnostics } = readRuleSet({
    name: INLINE,
    entry: [...files.keys()],
    readFile: (path) => files.get(path) ?? null,
    base,
    position: 'before',
  });
  let sound = true;
  for (const one of diagnostics) {
    if (one.severity === 'error') sound = false;
    reportAt(one, source, document);
  }
  if (!sound) return null;
  const isOwn = ({ place }: RuleSet['entries'][number]): boolean => files.has(place.file);
  return {
    source,
    own: { ...ruleSet, name: INLINE, entries: ruleSet.entries.filter(isOwn) },
    base: { ...ruleSet, name: base.name, entries: ruleSet.entries.filter((entry) => !isOwn(entry)) },
    from,
  };
}

/** What a program cannot honour: at its place in inline SecLang, or, in a rule set, at the \`waf:\` that uses it. */
function reportProblem(
  { place, message, fix }: ProgramProblem,
  source: WafSource,
  ruleset: string,
  document: Document,
): void {
  const more = fix === undefined ? {} : { fix };
  if (place.file.startsWith(`${INLINE}/`)) {
    reportAt({ severity: 'error', code: 'bad-rule', ...place, length: 1, message, ...more }, source, document);
  } else
    document.report('error', source.path, 'bad-rule', message, {
      at: 'key',
      cause: `${ruleset}: ${place.file}:${place.line}:${place.column}`,
      ...more,
    });
}

type InlineProblem = Parameters<typeof reportAt>[0];

/** A problem of a pattern, in whichever program's inline rules it stands. */
function reportInline(problem: InlineProblem, drafts: readonly Draft[], document: Document): void {
  const { file, line, column } = problem;
  const owner = drafts.find(({ own }) =>
    own.entries.some(
      (entry) =>
        isRule(entry) &&
        entry.links.some(
          ({ operator: { place } }) => place.file === file && place.line === line && place.column <= column,
        ),
    ),
  );
  if (owner !== undefined) reportAt(problem, owner.source, document);
}

/** A place in inline SecLang is one in the scalar that holds it. */
function reportAt(
  problem: {
    severity: 'error' | 'warning';
    code: string;
    file: string;
    line: number;
    column: number;
    length: number;
    message: string;
    cause?: string;
    fix?: string;
  },
  source: WafSource,
  document: Document,
): void {
  const { severity, code, message, cause, fix } = problem;
  const at = source.inline[Number(problem.file.slice(INLINE.length + 1))];
  if (at === undefined) return;
  let offset = 0;
  for (let line = 1; line < problem.line; line++) offset = at.text.indexOf('\n', offset) + 1;
  document.report(severity, at.path, code, message, {
    ...(cause !== undefined && { cause }),
    ...(fix !== undefined && { fix }),
    offset: offset + problem.column - 1,
    length: problem.length,
  });
}

/** Null after reporting: rules that do not exist, an expression that cannot be told when the head is there. */
function exclusion(
  entry: WafExclusion,
  rules: readonly RuleEntry[],
  source: WafSource,
  { document, lists, code }: { readonly document: Document; readonly lists: Lists; readonly code: CodeWriter },
): WafExclusionSetting | null {
  if (entry.rules !== null && !rules.some(compileSelection(entry.rules))) {
    const field = entry.field!;
    const first = entry.rules.by === 'id' ? String(entry.rules.ranges[0]?.[0]) : null;
    const meant =
      first === null
        ? null
        : nearest(
            first,
            rules.map(({ id }) => String(id)),
          );
    document.report(
      'error',
      [...entry.path, field],
      'unknown-rule',
      `this exclusion names no rule of \`${source.ruleset}\``,
      {
        cause: 'an exclusion that does nothing would look like one that does',
        fix: meant === null ? 'look it up with `sallyport rules show`' : `did you mean \`${meant}\`?`,
      },
    );
    return null;
  }
  if (entry.when === null) return { rules: entry.rules, target: entry.target, when: null };
  const { when } = entry;
  const path = [...entry.path, 'when'];
  const program = reporting(document, path, () => {
    const node = condition(when, lists);
    return { node, at: code.add(node) };
  });
  if (program === undefined) return null;
  const { stage, field } = stageOf(program.node);
  if (stage > STAGE_HEAD) {
    const at = when.indexOf(field);
    document.report('error', path, 'too-late', `an exclusion can not depend on ${field}`, {
      cause: 'what is left out is settled before the body is read and the origin answers',
      fix: 'use fields of the request head',
      ...(at < 0 ? {} : { offset: at, length: field.length }),
    });
    return null;
  }
  return { rules: entry.rules, target: entry.target, when: program.at };
}
