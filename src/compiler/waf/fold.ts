/**
 * Folding: what the settings decide before any request comes is decided here. The rules are run in the order in which the
 * engine would run them, over what is known of TX: paranoia gates, set-up and constants vanish, and with them the rules
 * behind the gates. What depends on the request stays as it is. `settings.fold: false` leaves this out, and verdicts are the
 * same: fold.test.ts holds that for random rules.
 */
import * as abi from '../../../assembly/waf/abi.ts';
import type { Macro, RuleEntry, Target } from '../seclang/ruleset.ts';
import { dropUnused } from './drop.ts';
import { Knowledge, UNKNOWN } from './knowledge.ts';
import { literal, toInteger } from './macros.ts';
import {
  isRule,
  type Prepared,
  type PreparedControl,
  type PreparedLink,
  type PreparedMarker,
  type PreparedRule,
} from './prepare.ts';

type Item = PreparedRule | PreparedMarker;
type Removal = Extract<PreparedControl, { kind: 'remove' }>;

export function foldRules(prepared: Prepared, enforce: boolean): Prepared {
  return dropUnused(new Folder(prepared, enforce).run());
}

/** How often a link matches: a number where that is known, null where the request decides. */
type Matches = number | null;

class Folder {
  readonly #prepared: Prepared;
  readonly #enforce: boolean;
  /** Removals that some request may have made by now, and those that every request has. */
  readonly #possible: Removal[] = [];
  readonly #certain: Removal[] = [];
  #engineChanges = false;
  #bypassed = false;
  readonly #denied: Knowledge[] = [];
  readonly #allowed: Knowledge[] = [];

  constructor(prepared: Prepared, enforce: boolean) {
    this.#prepared = prepared;
    this.#enforce = enforce;
  }

  run(): Prepared {
    let state: Knowledge | null = new Knowledge(this.#prepared.initial);
    const phases = this.#prepared.phases.map((items, index) => {
      const escaped = index === 4 ? [...this.#allowed, ...this.#denied] : this.#allowed;
      const [folded, after] = this.#phase(items, Knowledge.join([state, ...escaped]));
      state = after;
      return folded;
    });
    return { ...this.#prepared, phases };
  }

  /** The rules of a phase that may still matter, and what is known behind it. */
  #phase(items: readonly Item[], start: Knowledge | null): [Item[], Knowledge | null] {
    const folded: Item[] = [];
    /** What is known where rules have jumped to this item. */
    const arrivals = new Map<number, Knowledge[]>();
    let state = start;
    for (const [index, item] of items.entries()) {
      state = Knowledge.join([state, ...(arrivals.get(index) ?? [])]);
      if (!isRule(item)) {
        folded.push(item);
        continue;
      }
      if (state === null) continue; // every request has jumped over it
      if (this.#certain.some(({ target, rules }) => target === null && rules(item.rule))) continue;
      const rule = this.#narrow(item);
      const jump = destination(items, index, rule.rule.skipAfter);
      // Some requests may have left the phase before, or have jumped over this rule.
      this.#bypassed =
        this.#allowed.length + this.#denied.length > 0 || [...arrivals.keys()].some((target) => target > index);
      // Where others jump into what this one jumps over, that stays, and the jump with it.
      const into = [...arrivals.keys()].some((target) => target > index && target < jump);
      const outcome = this.#rule(rule, state, !into, !into && this.#goneWith(rule.rule, items.slice(index + 1, jump)));
      if (outcome.rule !== null) folded.push(outcome.rule);
      if (outcome.matched !== null && jump > index + 1) {
        arrivals.set(jump, [...(arrivals.get(jump) ?? []), outcome.matched]);
        state = outcome.failed;
      } else state = Knowledge.join([outcome.matched, outcome.failed]);
    }
    return [folded, Knowledge.join([state, ...(arrivals.get(items.length) ?? [])])];
  }

  /**
   * Whether every request that has removed this rule has removed those too which it jumps over: then the jump can be
   * taken for granted. CRS lets some clients remove all of its rules by their tag, gates and all.
   */
  #goneWith(rule: RuleEntry, skipped: readonly Item[]): boolean {
    const removals = this.#possible.filter(({ target, rules }) => target === null && rules(rule));
    return removals.every(({ rules }) => skipped.every((item) => !isRule(item) || rules(item.rule)));
  }

  /** A rule with the targets excluded that every request has excluded by now. */
  #narrow(item: PreparedRule): PreparedRule {
    const [first, ...others] = item.links;
    const targets = this.#certain.flatMap(({ target, rules }): Target[] => {
      if (target === null || !rules(item.rule)) return [];
      const values = { ...target, exclude: true };
      // What takes all of a collection away takes its counts too; see `excluded` of the engine.
      return target.selector === null ? [values, { ...values, count: true }] : [values];
    });
    // What has no targets looks at nothing that could be excluded.
    if (targets.length === 0 || first!.targets.length === 0) return item;
    return { ...item, links: [{ ...first!, targets: [...first!.targets, ...targets] }, ...others] };
  }

  /**
   * The rule as it has to stay, null for not at all; and what is known where it matches and where it does not. `leap`:
   * nothing of what it jumps over will be left; `goneWith`: nor in a request that has removed the rule.
   */
  #rule(
    item: PreparedRule,
    state: Knowledge,
    leap: boolean,
    goneWith: boolean,
  ): { rule: PreparedRule | null; matched: Knowledge | null; failed: Knowledge | null } {
    const { rule, links } = item;
    const uncertain =
      item.expression !== null || this.#possible.some(({ target, rules }) => target === null && rules(rule));
    // A request may have taken the very variables away that the rule looks at.
    const open = this.#possible.some(
      ({ target, rules }) => target !== null && target.variable === abi.VARIABLE_TX && rules(rule),
    );
    const failed: (Knowledge | null)[] = uncertain ? [state] : [];
    const counts: Matches[] = [];
    const own = writes(links);
    const filled: PreparedLink[] = [];
    let current = state.copy();
    let certain = !uncertain;
    for (const link of links) {
      const count = item.expression === null && !open ? matchesOf(link, current) : null;
      counts.push(count);
      filled.push(fillLink(link, current, own));
      if (count === null || count === 0) failed.push(current.copy());
      if (count === 0) {
        // What the links before have done stays done.
        const inert = links.slice(0, counts.length - 1).every((before) => isInert(before));
        return { rule: inert ? null : item, matched: null, failed: Knowledge.join(failed) };
      }
      certain &&= count !== null;
      for (const setvar of link.setvars) current.set(setvar, certain ? count : null);
      if (link.capture) for (let i = 0; i < 10; i++) current.forget(String(i));
      this.#controls(link, certain);
    }
    this.#escape(rule, current);
    const always = !open && counts.every((count) => count === 1) && isSilent(item);
    // A pure jump that nobody sees: where it leads is known.
    if (always && goneWith && links.every((link) => isInert(link))) return { rule: null, matched: state, failed: null };
    // Without its condition it is still the rule that a request may remove.
    const plain =
      rule.skipAfter === '' || (certain && leap) ? unconditional(item, filled, certain && !this.#bypassed) : undefined;
    return {
      rule: always && plain !== undefined ? plain : { ...item, links: filled },
      matched: current,
      failed: Knowledge.join(failed),
    };
  }

  #controls(link: PreparedLink, certain: boolean): void {
    for (const control of link.ctls) {
      if (control.kind === 'number') this.#engineChanges ||= control.action === abi.CTL_ENGINE;
      else if (certain && !this.#bypassed) this.#certain.push(control);
      else this.#possible.push(control);
    }
  }

  /** A rule that ends a phase leads to the later ones with what is known at it. */
  #escape({ disruptive }: RuleEntry, state: Knowledge): void {
    if (!this.#enforce && !this.#engineChanges) return;
    if (disruptive === 'allow') this.#allowed.push(state);
    else if (disruptive !== 'pass') this.#denied.push(state);
  }
}

/** Index of the item where the phase goes on once a rule has matched. */
function destination(items: readonly Item[], index: number, skipAfter: string): number {
  if (skipAfter === '') return index + 1;
  const marker = items.findIndex((item, at) => at > index && !isRule(item) && item.marker === skipAfter);
  return marker < 0 ? items.length : marker;
}

function matchesOf(link: PreparedLink, state: Knowledge): Matches {
  const { operator } = link.operator;
  const { negated } = link.operator;
  if (link.targets.length === 0) return operator === abi.OPERATOR_NO_MATCH ? 0 : 1;
  if (link.transformations.length > 0 || link.matcher >= 0) return null;
  let count = 0;
  const argument = literal(state.fill(link.operator.argument));
  for (const target of link.targets) {
    const { variable, selector, exclude } = target;
    if (exclude || variable !== abi.VARIABLE_TX || selector === null || 'regex' in selector) return null;
    const known = state.of(selector.exact.toLowerCase());
    let value: string;
    if (target.count) {
      if (known === UNKNOWN) return null;
      value = known === null ? '0' : '1';
    } else {
      if (known === null) continue;
      if (typeof known === 'symbol') return null;
      value = known;
    }
    const answer = operate(operator, value, argument);
    if (answer === null) return null;
    count += Number(answer !== negated);
  }
  return count;
}

/** What a direct operator says; null for those that are left to the engine. */
function operate(operator: number, value: string, argument: string | undefined): boolean | null {
  if (operator === abi.OPERATOR_UNCONDITIONAL_MATCH) return true;
  if (operator === abi.OPERATOR_NO_MATCH) return false;
  if (argument === undefined) return null;
  switch (operator) {
    case abi.OPERATOR_EQ:
      return toInteger(value) === toInteger(argument);
    case abi.OPERATOR_GE:
      return toInteger(value) >= toInteger(argument);
    case abi.OPERATOR_GT:
      return toInteger(value) > toInteger(argument);
    case abi.OPERATOR_LE:
      return toInteger(value) <= toInteger(argument);
    case abi.OPERATOR_LT:
      return toInteger(value) < toInteger(argument);
    case abi.OPERATOR_STREQ:
      return value === argument;
    case abi.OPERATOR_BEGINS_WITH:
      return value.startsWith(argument);
    case abi.OPERATOR_ENDS_WITH:
      return value.endsWith(argument);
    case abi.OPERATOR_CONTAINS:
      return value.includes(argument);
    case abi.OPERATOR_WITHIN:
      return argument.includes(value);
    default:
      return null;
  }
}

/** Names that the rule itself sets: what its own macros say of them changes while it runs. */
function writes(links: readonly PreparedLink[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { setvars, capture } of links) {
    for (const { name } of setvars) {
      const text = literal(name);
      if (text === undefined) names.add('*');
      else names.add(text.toLowerCase());
    }
    if (capture) for (let i = 0; i < 10; i++) names.add(String(i));
  }
  return names;
}

function fillLink(link: PreparedLink, state: Knowledge, own: ReadonlySet<string>): PreparedLink {
  // A name made at run time may be any of them.
  if (own.has('*')) return link;
  const fill = (macro: Macro): Macro => state.fill(macro, own);
  return {
    ...link,
    operator: { ...link.operator, argument: link.matcher >= 0 ? link.operator.argument : fill(link.operator.argument) },
    logdata: link.logdata === null ? null : fill(link.logdata),
    setvars: link.setvars.map((setvar) => ({ ...setvar, name: fill(setvar.name), value: fill(setvar.value) })),
  };
}

/** Nothing that others could see follows from its match. */
function isInert({ setvars, ctls, capture }: PreparedLink): boolean {
  return setvars.length === 0 && ctls.length === 0 && !capture;
}

/** Nobody is told that it matched, and nothing of what matched is used. */
function isSilent({ rule, links, expression }: PreparedRule): boolean {
  const looks = (macro: Macro): boolean =>
    macro.some(
      (part) => typeof part !== 'string' && part.variable !== abi.VARIABLE_TX && part.variable !== abi.VARIABLE_RULE,
    );
  return (
    expression === null &&
    !rule.log &&
    !rule.auditlog &&
    rule.disruptive === 'pass' &&
    rule.severity < 0 &&
    links.every(({ capture, setvars }) => !capture && !setvars.some(({ name, value }) => looks(name) || looks(value)))
  );
}

/** A rule that always matches, as an action without condition: where it would go on is known, and so left out. */
function unconditional(item: PreparedRule, links: readonly PreparedLink[], removed: boolean): PreparedRule | null {
  const setvars = links.flatMap((link) => link.setvars);
  // What is removed for certain is not there any more behind this.
  const ctls = links.flatMap((link) => link.ctls).filter(({ kind }) => kind === 'number' || !removed);
  if (setvars.length === 0 && ctls.length === 0) return null;
  const [first] = links;
  const link: PreparedLink = {
    ...first!,
    targets: [],
    operator: { ...first!.operator, operator: abi.OPERATOR_UNCONDITIONAL_MATCH, negated: false, argument: [] },
    matcher: -1,
    transformations: [],
    multiMatch: false,
    setvars,
    ctls,
  };
  return { ...item, rule: { ...item.rule, skipAfter: '' }, links: [link] };
}
