/** TX variables of a program: each name that rules write has a slot; names that macros make are looked up at run time. */
import * as abi from '../../../assembly/waf/abi.ts';
import type { StringPool } from '../image.ts';
import type { Macro, Reference, RuleEntry } from '../seclang/ruleset.ts';
import { literal, references } from './macros.ts';
import { isRule, type Prepared, type PreparedRule } from './prepare.ts';

const CAPTURES = 10; // slots 0 to 9 are TX.0 to TX.9

/** What `%{RULE.id}` and its like say inside of a rule. */
export function ruleText(rule: RuleEntry): (reference: Reference) => string | undefined {
  return ({ variable, name }) => {
    if (variable !== abi.VARIABLE_RULE) return undefined;
    switch (name) {
      case 'id':
        return String(rule.id);
      case 'rev':
        return rule.rev;
      case 'ver':
        return rule.ver;
      case 'severity':
        return rule.severity < 0 ? '' : String(rule.severity);
      case 'msg':
        return literal(rule.msg ?? []) ?? '';
      default:
        return '';
    }
  };
}

export class Slots {
  readonly names: string[] = Array.from({ length: CAPTURES }, (_, index) => String(index));
  /** WAF_PHASE_* bits of the phases that look at TX as a collection, or by names made at run time. */
  readers = 0;
  flags = 0;
  readonly #index = new Map<string, number>(this.names.map((name, index) => [name, index]));
  readonly #phases: number[] = this.names.map(() => 0);
  readonly #initial: ReadonlyMap<string, string>;

  constructor(initial: ReadonlyMap<string, string>) {
    this.#initial = initial;
  }

  /** Slot of a name; `phase`: the phase that looks at it, 0 when it is only set. */
  index(name: string, phase: number): number {
    let index = this.#index.get(name);
    if (index === undefined) {
      index = this.names.push(name) - 1;
      if (index >= abi.MAX_SLOTS) throw new RangeError(`the rules name more than ${abi.MAX_SLOTS} TX variables`);
      this.#index.set(name, index);
      this.#phases.push(0);
    }
    if (phase > 0) this.#phases[index]! |= 1 << (phase - 1);
    return index;
  }

  /** Notes how rules look at TX and at what matched before them. */
  read({ phases }: Prepared): void {
    for (const items of phases) for (const item of items) if (isRule(item)) this.#readRule(item);
    // Set-up variables that nobody names can still be seen by those who look at all of TX.
    if (this.readers !== 0) for (const name of this.#initial.keys()) this.index(name, 0);
  }

  #readRule({ rule, links }: PreparedRule): void {
    const bit = 1 << (rule.phase - 1);
    let captured = false;
    for (const [index, link] of links.entries()) {
      for (const { variable, selector } of link.targets) {
        if (variable === abi.VARIABLE_TX) {
          if (selector === null || 'regex' in selector) this.readers |= bit;
          else if (isCapture(selector.exact) && !captured) this.flags |= abi.PROGRAM_FLAG_CAPTURES;
          if ((selector === null || 'regex' in selector) && !captured) this.flags |= abi.PROGRAM_FLAG_CAPTURES;
        }
        const single = variable === abi.VARIABLE_MATCHED_VAR || variable === abi.VARIABLE_MATCHED_VAR_NAME;
        if (single && index === 0) this.flags |= abi.PROGRAM_FLAG_MATCHED;
      }
      // Before anything is captured in this rule, what its macros see is of an earlier one.
      captured ||= link.capture && !link.operator.negated;
      const macros: Macro[] = [link.operator.argument, ...link.setvars.flatMap(({ name, value }) => [name, value])];
      if (link.logdata !== null) macros.push(link.logdata);
      if (index === 0 && rule.msg !== null) macros.push(rule.msg);
      for (const reference of macros.flatMap((macro) => references(macro))) {
        if (reference.variable === abi.VARIABLE_TX && isCapture(reference.name) && !captures(links)) {
          this.flags |= abi.PROGRAM_FLAG_CAPTURES;
        }
      }
    }
  }

  /** { name at, length; initial value at, length or NONE; phases that read it } */
  rows(strings: StringPool): number[] {
    return this.names.flatMap((name, index) => {
      const text = strings.add(name);
      const initial = this.#initial.get(name);
      const value = initial === undefined ? { at: 0, length: abi.NONE } : strings.add(initial);
      return [text.at, text.length, value.at, value.length, this.#phases[index]!];
    });
  }
}

function isCapture(name: string): boolean {
  return /^\d$/.test(name);
}

function captures(links: PreparedRule['links']): boolean {
  return links.some(({ capture, operator }) => capture && !operator.negated);
}
