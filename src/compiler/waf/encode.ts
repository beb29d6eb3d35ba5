/** Prepared rules to the tables of a program. */
import * as abi from '../../../assembly/waf/abi.ts';
import type { Pools } from '../image.ts';
import type { RuleEntry, Selector, Target } from '../seclang/ruleset.ts';
import { parse } from '../regex/parse.ts';
import { scannedPipeline } from './case.ts';
import { shortest } from './literals.ts';
import { literal, references, resolve, toInteger, WordPool } from './macros.ts';
import { isRule, type Prepared, type PreparedLink, type PreparedRule } from './prepare.ts';
import { buildProfiles, canScan, PipelineTree, type ScannedLink } from './profiles.ts';
import type { CompiledProgram, ProgramProblem, ProgramRule } from './program.ts';
import type { WafSettings } from './settings.ts';
import { ruleText, Slots } from './slots.ts';
import { Tables } from './tables.ts';
import { viewOf } from './variables.ts';

const DISRUPTIVE: Readonly<Record<string, number>> = {
  pass: abi.DISRUPTIVE_PASS,
  deny: abi.DISRUPTIVE_DENY,
  block: abi.DISRUPTIVE_DENY,
  drop: abi.DISRUPTIVE_DROP,
  redirect: abi.DISRUPTIVE_REDIRECT,
};
const ALLOW = {
  '': abi.DISRUPTIVE_ALLOW,
  phase: abi.DISRUPTIVE_ALLOW_PHASE,
  request: abi.DISRUPTIVE_ALLOW_REQUEST,
};
const SETVAR = {
  set: abi.SETVAR_SET,
  add: abi.SETVAR_ADD,
  subtract: abi.SETVAR_SUBTRACT,
  unset: abi.SETVAR_UNSET,
};
const TRANSFORM_NAMES: readonly string[] = transformNames();

export function encodeProgram(
  prepared: Prepared,
  settings: WafSettings,
  pools: Pools,
  problems: ProgramProblem[],
): Omit<CompiledProgram, 'problems'> {
  return new Encoder(prepared, settings, pools, problems).encode();
}

class Encoder {
  readonly #prepared: Prepared;
  readonly #settings: WafSettings;
  readonly #pools: Pools;
  readonly #problems: ProgramProblem[];
  readonly #slots: Slots;
  readonly #words: WordPool;
  readonly #tree = new PipelineTree();
  readonly #scanned: ScannedLink[] = [];
  readonly #rules: PreparedRule[] = [];
  readonly #used = new Set<number>();
  readonly #tables = new Tables();
  readonly #pipelines = new Map<string, number>();
  /** Removals that a ctl carries out, each with the row of the target that goes, and rules they mean. */
  readonly #removals: { readonly rules: (rule: RuleEntry) => boolean; readonly target: number }[] = [];
  #phase = 1;
  #flags = 0;

  constructor(prepared: Prepared, settings: WafSettings, pools: Pools, problems: ProgramProblem[]) {
    this.#prepared = prepared;
    this.#settings = settings;
    this.#pools = pools;
    this.#problems = problems;
    this.#slots = new Slots(prepared.initial);
    this.#words = new WordPool(pools.strings, (name) => this.#slots.index(name, this.#phase));
  }

  encode(): Omit<CompiledProgram, 'problems'> {
    this.#slots.read(this.#prepared);
    for (const items of this.#prepared.phases) {
      for (const item of items) {
        if (!isRule(item)) continue;
        const link = item.links[0]!;
        if (!isScanned(link, item.rule.phase)) continue;
        const pipeline = scannedPipeline(link);
        this.#tree.add(pipeline);
        this.#scanned.push({
          phase: item.rule.phase,
          targets: link.targets,
          pipeline,
          multiMatch: link.multiMatch,
          matcher: link.matcher,
        });
      }
    }
    this.#tree.finish();
    if (this.#tree.size > abi.MAX_NODES) throw new RangeError('the rules have too many different transformations');
    const bounds: number[] = [];
    for (const [index, items] of this.#prepared.phases.entries()) {
      this.#phase = index + 1;
      const first = this.#rules.length;
      // Rows of markers, so that skipAfter knows where to go on.
      const rows: number[] = [];
      let row = first;
      for (const item of items) {
        rows.push(row);
        if (isRule(item)) row++;
      }
      for (const [at, item] of items.entries()) {
        if (isRule(item)) this.#rule(item, nextRow(items, rows, at, row));
      }
      bounds.push(first, this.#rules.length - first);
    }
    if (this.#rules.length > abi.MAX_PROGRAM_RULES) throw new RangeError(`more than ${abi.MAX_PROGRAM_RULES} rules`);
    return {
      bytes: this.#finish(bounds),
      rules: this.#rules.map((rule) => programRule(rule)),
      slots: this.#slots.names,
      removals: this.#removals.length,
    };
  }

  #rule(item: PreparedRule, next: number): void {
    const { rule, links } = item;
    const first = this.#tables.rows('links');
    for (const [index, link] of links.entries()) this.#link(item, link, index);
    const message = rule.msg === null ? [] : resolve(rule.msg, ruleText(rule));
    const disruptive = rule.disruptive === 'allow' ? ALLOW[rule.allow] : (DISRUPTIVE[rule.disruptive] ?? 0);
    const redirect = rule.disruptive === 'redirect' ? this.#macro([rule.redirect]) : abi.NONE;
    const start = links[0]!;
    const quick = isScanned(start, rule.phase) && !start.operator.negated ? start.matcher + 1 : 0;
    this.#tables.add('rules', [
      first,
      links.length,
      disruptive | (rule.log ? abi.RULE_BIT_LOG : 0) | (rule.auditlog ? abi.RULE_BIT_AUDITLOG : 0),
      rule.status > 0 ? rule.status : rule.disruptive === 'redirect' ? 302 : 403,
      rule.severity < 0 ? 255 : rule.severity,
      next,
      references(message).length > 0 ? this.#macro(message) : abi.NONE,
      redirect,
      rule.id,
      quick,
      0,
      0,
    ]);
    this.#rules.push(item);
  }

  #link(item: PreparedRule, link: PreparedLink, index: number): void {
    const { rule } = item;
    const { operator } = link;
    const firstTarget = this.#tables.rows('targets');
    // SPEC: SecAction and unconditional rules without targets match once.
    for (const target of link.targets) {
      this.#target(target);
    }
    const firstAction = this.#tables.rows('actions');
    for (const { name, operation, value } of link.setvars) {
      const text = literal(resolve(name, ruleText(rule)));
      const slot = text === undefined ? abi.NONE : this.#slots.index(text.toLowerCase(), 0);
      const macro = text === undefined ? this.#macro(name) : 0;
      this.#tables.add('actions', [SETVAR[operation], slot, macro, this.#macro(resolve(value, ruleText(rule)))]);
    }
    for (const control of link.ctls) {
      if (control.kind === 'number') this.#tables.add('actions', [control.action, abi.NONE, 0, control.value]);
      else {
        let target = abi.NONE;
        if (control.target !== null) target = this.#target({ ...control.target, exclude: true });
        const removal = this.#removals.push({ rules: control.rules, target }) - 1;
        this.#tables.add('actions', [abi.CTL_REMOVE, abi.NONE, 0, removal]);
      }
    }
    const actions = this.#tables.rows('actions') - firstAction;
    const scanned = index === 0 && isScanned(link, rule.phase);
    let bits = operator.operator;
    if (operator.negated) bits |= abi.LINK_NEGATED;
    if (link.multiMatch) bits |= abi.LINK_MULTI_MATCH;
    if (link.capture) bits |= abi.LINK_CAPTURE;
    if (scanned) bits |= abi.LINK_SCANNED;
    const argument = this.#argument(item, link);
    if (argument.number) bits |= abi.LINK_NUMBER;
    if (item.expression !== null) bits |= abi.LINK_EXPRESSION;
    this.#tables.add('links', [
      bits,
      argument.value,
      this.#pipeline(link.transformations, scanned ? scannedPipeline(link) : null),
      firstTarget,
      link.targets.length,
      firstAction,
      actions,
      link.logdata === null ? abi.NONE : this.#macro(resolve(link.logdata, ruleText(rule))),
      0,
      0,
      0,
      0,
    ]);
  }

  #argument(item: PreparedRule, link: PreparedLink): { value: number; number: boolean } {
    const { operator } = link;
    if (item.expression !== null) return { value: item.expression, number: false };
    if (operator.operator <= abi.OPERATOR_LAST_MATCHER) return { value: Math.max(0, link.matcher), number: false };
    const argument = resolve(operator.argument, ruleText(item.rule));
    const text = literal(argument);
    switch (operator.operator) {
      case abi.OPERATOR_IP_MATCH:
        return { value: this.#pools.lists.addresses(operator.phrases), number: false };
      case abi.OPERATOR_VERIFY_CC:
        return { value: this.#pools.regexes.add(text ?? '', { dotAll: true, captures: true }), number: false };
      case abi.OPERATOR_VALIDATE_BYTE_RANGE:
        return { value: this.#words.bits(this.#byteRange(text, link), 256), number: false };
      case abi.OPERATOR_EQ:
      case abi.OPERATOR_GE:
      case abi.OPERATOR_GT:
      case abi.OPERATOR_LE:
      case abi.OPERATOR_LT:
        if (text !== undefined) return { value: toInteger(text), number: true };
    }
    return { value: this.#macro(argument), number: false };
  }

  #byteRange(text: string | undefined, link: PreparedLink): Set<number> {
    const allowed = new Set<number>();
    if (text === undefined) this.#problem(link, 'a byte range can not hold a macro');
    for (const piece of (text ?? '').split(',')) {
      const [, low, high = low] = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(piece) ?? [];
      if (low === undefined || Number(high) > 255 || Number(low) > Number(high)) {
        if (text !== undefined)
          this.#problem(link, `${piece.trim()} is not a range of bytes`, 'write it as 32-126, 9, 10');
        continue;
      }
      for (let byte = Number(low); byte <= Number(high); byte++) allowed.add(byte);
    }
    return allowed;
  }

  #problem(link: PreparedLink, message: string, fix?: string): void {
    this.#problems.push({ place: link.operator.place, message, fix });
  }

  #target({ variable, count, exclude, selector }: Target): number {
    let bits = variable;
    if (count) bits |= abi.TARGET_COUNT;
    if (exclude) bits |= abi.TARGET_EXCLUDE;
    for (const storage of viewOf(variable).storage) this.#used.add(storage);
    const [kind, a, b] = this.#selector(variable, selector);
    return this.#tables.add('targets', [bits | kind, a, b, 0]);
  }

  #selector(variable: number, selector: Selector | null): [kind: number, a: number, b: number] {
    if (selector === null) return [0, 0, 0];
    if ('regex' in selector) {
      const prefix = /^\^([\w-]+)$/.exec(selector.regex)?.[1]?.toLowerCase();
      if (prefix !== undefined) {
        const { at, length } = this.#pools.strings.add(prefix);
        return [abi.TARGET_PREFIX, at, length];
      }
      // SPEC: selectors are compiled with PCRE_DOTALL | PCRE_CASELESS | PCRE_DOLLAR_ENDONLY.
      const flags = { dotAll: true, foldCase: true };
      const regex = this.#pools.regexes.add(selector.regex, flags);
      return [abi.TARGET_REGEX, regex, shortest(parse(selector.regex, flags).root)];
    }
    const name = selector.exact.toLowerCase();
    if (variable === abi.VARIABLE_TX) return [abi.TARGET_SLOT, this.#slots.index(name, this.#phase), 0];
    const { at, length } = this.#pools.strings.add(name);
    return [abi.TARGET_EXACT, at, length];
  }

  #macro(macro: Parameters<WordPool['macro']>[0]): number {
    for (const { variable } of references(macro))
      for (const storage of viewOf(variable).storage) this.#used.add(storage);
    return this.#words.macro(macro);
  }

  /** `scanned`: where in the tree the scan looks for the link's matcher, null where it does not. */
  #pipeline(transformations: readonly number[], scanned: readonly number[] | null): number {
    if (transformations.length > abi.MAX_PIPELINE)
      throw new RangeError(`more than ${abi.MAX_PIPELINE} transformations in one rule`);
    const node = scanned === null ? abi.NONE : this.#tree.path(scanned).at(-1)!;
    const key = `${node} ${transformations.join()}`;
    let index = this.#pipelines.get(key);
    if (index === undefined) {
      const first = this.#tables.rows('transforms');
      for (const transformation of transformations) this.#tables.add('transforms', [transformation]);
      index = this.#tables.add('pipelines', [first, transformations.length, node]);
      this.#pipelines.set(key, index);
    }
    return index;
  }

  #finish(bounds: readonly number[]): Uint8Array {
    const { sets } = this.#prepared;
    const { masks, maskCount, ...profiles } = buildProfiles(this.#scanned, this.#tree, sets, this.#pools.strings);
    for (const { rules, target } of this.#removals) {
      const means = this.#rules.flatMap(({ rule }, index) => (rules(rule) ? [index] : []));
      this.#tables.add('removals', [this.#words.bits(means, this.#rules.length), target]);
    }
    const flags =
      this.#flags |
      (this.#settings.mode === 'enforce' ? abi.PROGRAM_FLAG_ENFORCE : 0) |
      (Math.round(((100 - this.#settings.sampling) / 100) * abi.LEFT_OUT_OF) << abi.PROGRAM_LEFT_OUT_SHIFT) |
      (this.#settings.response ? abi.PROGRAM_FLAG_RESPONSE : 0) |
      this.#slots.flags;
    return this.#tables.finish({
      flags,
      sets: sets.flatMap(({ source, first, count }) => [source, first, count]),
      words: this.#words.words,
      nodes: this.#tree.rows(),
      ...profiles,
      masks,
      maskCount,
      slots: this.#slots.rows(this.#pools.strings),
      phases: bounds,
      used: this.#used,
      bodyLimit: this.#settings.bodyLimit,
      responseBodyLimit: this.#settings.responseBodyLimit,
      readers: this.#slots.readers,
    });
  }
}

function isScanned(link: PreparedLink, phase: number): boolean {
  return link.matcher >= 0 && canScan(link.targets, phase);
}

/** Where to go on when the item at `at` has matched: behind the marker of skipAfter, or `skip` rules further. */
function nextRow(items: Prepared['phases'][number], rows: readonly number[], at: number, end: number): number {
  const { rule } = items[at] as PreparedRule;
  if (rule.skipAfter !== '') {
    const marker = items.findIndex((item, index) => index > at && !isRule(item) && item.marker === rule.skipAfter);
    return marker < 0 ? end : rows[marker]!;
  }
  return rows[at]! + 1;
}

function programRule({ rule, links }: PreparedRule): ProgramRule {
  return {
    id: rule.id,
    phase: rule.phase,
    message: literal(resolve(rule.msg ?? [], ruleText(rule))) ?? '',
    severity: rule.severity,
    tags: rule.tags,
    action: rule.disruptive,
    transformations: links.at(-1)!.transformations.map((id) => TRANSFORM_NAMES[id] ?? String(id)),
  };
}

/** The names of SecLang, from the names of the constants: URL_DECODE_UNI is urlDecodeUni. */
function transformNames(): string[] {
  const names: string[] = [];
  for (const [name, id] of Object.entries(abi)) {
    if (!name.startsWith('TRANSFORM_') || name === 'TRANSFORM_COUNT') continue;
    names[id] = name
      .slice('TRANSFORM_'.length)
      .toLowerCase()
      .replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  }
  return names;
}
