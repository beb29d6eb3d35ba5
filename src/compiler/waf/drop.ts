/** Leaves out variables that nobody reads any more, and rules that do nothing any more. */
import * as abi from '../../../assembly/waf/abi.ts';
import type { Macro } from '../seclang/ruleset.ts';
import { namesIn, patternOf } from './knowledge.ts';
import { literal } from './macros.ts';
import { isRule, type Prepared, type PreparedLink, type PreparedMarker, type PreparedRule } from './prepare.ts';

/** How the rules that are left look at TX. */
class Readers {
  readonly #names = new Set<string>();
  readonly #patterns: RegExp[] = [];
  #all = false;

  constructor({ phases, reported }: Pick<Prepared, 'phases' | 'reported'>) {
    for (const name of reported) this.#names.add(name);
    for (const items of phases) for (const item of items) if (isRule(item)) this.add(item);
  }

  add({ rule, links }: PreparedRule): void {
    this.#macro(rule.msg);
    // Kept as text.
    for (const [, name] of `${rule.redirect} ${rule.tags.join(' ')}`.matchAll(/%\{tx\.([^}]*)\}/gi)) {
      this.#names.add(name!.toLowerCase());
    }
    for (const link of links) this.#link(link);
  }

  #link({ targets, operator, logdata, setvars }: PreparedLink): void {
    for (const { variable, selector } of targets) {
      if (variable !== abi.VARIABLE_TX) continue;
      if (selector === null) this.#all = true;
      else if ('exact' in selector) this.#names.add(selector.exact.toLowerCase());
      else this.#pattern(selector.regex);
    }
    this.#macro(operator.argument);
    this.#macro(logdata);
    for (const { name, value } of setvars) {
      this.#macro(name);
      this.#macro(value);
    }
  }

  #pattern(source: string): void {
    try {
      this.#patterns.push(new RegExp(source, 'is'));
    } catch {
      this.#all = true; // what this means is the engine's to say
    }
  }

  #macro(macro: Macro | null): void {
    for (const name of namesIn(macro)) this.#names.add(name.toLowerCase());
  }

  has(name: string): boolean {
    return this.#all || this.#names.has(name) || this.#patterns.some((pattern) => pattern.test(name));
  }

  /** Whether any name that the macro can make is read. */
  hasMade(name: Macro): boolean {
    if (this.#all || this.#patterns.length > 0) return true;
    const pattern = patternOf(name);
    return [...this.#names].some((one) => pattern.test(one));
  }
}

export function dropUnused(prepared: Prepared): Prepared {
  let { phases, initial } = prepared;
  const { reported } = prepared;
  for (;;) {
    const readers = new Readers({ phases, reported });
    let changed = false;
    const kept = phases.map((items) =>
      items.flatMap((item): (PreparedRule | PreparedMarker)[] => {
        if (!isRule(item)) return [item];
        const links = item.links.map((link) => {
          const setvars = link.setvars.filter(({ name }) => {
            const text = literal(name);
            return text === undefined ? readers.hasMade(name) : readers.has(text.toLowerCase());
          });
          changed ||= setvars.length < link.setvars.length;
          return setvars.length < link.setvars.length ? { ...link, setvars } : link;
        });
        if (!isIdle(item, links)) return [{ ...item, links }];
        changed = true;
        return [];
      }),
    );
    phases = kept;
    if (!changed) break;
  }
  phases = dropMarkers(phases);
  const hoisted = hoist({ ...prepared, phases });
  ({ phases, initial } = hoisted);
  const readers = new Readers({ phases, reported });
  return { ...prepared, phases, initial: new Map([...initial].filter(([name]) => readers.has(name))) };
}

/** Its match changes nothing and is not told. */
function isIdle({ rule, expression }: PreparedRule, links: readonly PreparedLink[]): boolean {
  return (
    expression === null &&
    !rule.log &&
    !rule.auditlog &&
    rule.severity <= 0 &&
    rule.disruptive === 'pass' &&
    rule.skipAfter === '' &&
    links.every(({ setvars, ctls, capture }) => setvars.length === 0 && ctls.length === 0 && !capture)
  );
}

/** A marker that no rule skips to. */
function dropMarkers(phases: Prepared['phases']): Prepared['phases'] {
  return phases.map((items) => {
    const wanted = new Set(items.flatMap((item) => (isRule(item) ? [item.rule.skipAfter] : [])));
    return items.filter((item) => isRule(item) || wanted.has(item.marker));
  });
}

/** Constants that are set before anything else has looked at them hold from the beginning. */
function hoist({ phases, initial }: Prepared): Pick<Prepared, 'phases' | 'initial'> {
  const values = new Map(initial);
  const [first = [], ...others] = phases;
  const kept: (PreparedRule | PreparedMarker)[] = [];
  const before = new Readers({ phases: [], reported: [] });
  const written = new Set<string>();
  let open = true; // nothing so far can end the phase, jump, change the engine or write a name that is not known
  const removals: ((rule: PreparedRule['rule']) => boolean)[] = []; // that a request may have made by now
  for (const item of first) {
    if (!isRule(item)) {
      kept.push(item);
      continue;
    }
    const [link] = item.links;
    const plain = item.links.length === 1 && link!.targets.length === 0 && item.expression === null;
    let rest = item;
    const stays = open && !removals.some((removes) => removes(item.rule));
    if (stays && plain && item.rule.disruptive === 'pass' && !item.rule.log && !item.rule.auditlog) {
      // What the rule itself looks at, it may look at before it is set.
      const own = new Readers({ phases: [], reported: [] });
      own.add(item);
      const setvars = link!.setvars.filter(({ name, operation, value }) => {
        const target = literal(name)?.toLowerCase();
        const text = literal(value);
        const constant = target !== undefined && text !== undefined && operation === 'set';
        if (!constant || before.has(target) || own.has(target) || written.has(target)) {
          if (target !== undefined) written.add(target);
          return true;
        }
        values.set(target, text);
        return false;
      });
      rest = { ...item, links: [{ ...link!, setvars }] };
    }
    if (isIdle(rest, rest.links)) continue;
    kept.push(rest);
    before.add(rest);
    for (const { setvars } of rest.links) {
      for (const { name } of setvars) {
        const target = literal(name)?.toLowerCase();
        if (target === undefined) open = false;
        else written.add(target);
      }
    }
    const jumps = rest.rule.skipAfter !== '';
    for (const control of rest.links.flatMap(({ ctls }) => ctls)) {
      if (control.kind === 'remove') removals.push(control.rules);
      else if (control.action === abi.CTL_ENGINE) open = false;
    }
    if (rest.rule.disruptive !== 'pass' || jumps) open = false;
  }
  return { phases: [kept, ...others], initial: values };
}
