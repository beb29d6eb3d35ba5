/** What is known of TX at a point of the rules, whatever the request: the abstract state that folding runs rules over. */
import type { Macro, SetVariable } from '../seclang/ruleset.ts';
import { literal, references, resolve, toInteger } from './macros.ts';
import { VARIABLE_TX } from '../../../assembly/waf/abi.ts';

/** Set, to what only the request decides. */
export const SOME = Symbol('some');
/** Perhaps set. */
export const UNKNOWN = Symbol('unknown');
/** A text; null: not set. */
export type Known = string | null | typeof SOME | typeof UNKNOWN;

export class Knowledge {
  readonly #values: Map<string, Known>;
  /** Names that macros may have made: nothing is known of them. */
  readonly #wild: RegExp[];

  constructor(values: ReadonlyMap<string, Known>, wild: readonly RegExp[] = []) {
    this.#values = new Map(values);
    this.#wild = [...wild];
  }

  copy(): Knowledge {
    return new Knowledge(this.#values, this.#wild);
  }

  of(name: string): Known {
    if (/^\d$/.test(name) || this.#wild.some((pattern) => pattern.test(name))) return UNKNOWN;
    const known = this.#values.get(name);
    return known === undefined ? null : known;
  }

  /** The macro with what is known filled in, but for names in `except`. */
  fill(macro: Macro, except: ReadonlySet<string> = NO_NAMES): Macro {
    return resolve(macro, ({ variable, name }) => {
      if (variable !== VARIABLE_TX || except.has(name)) return undefined;
      const known = this.of(name);
      // SPEC: what is not set expands to nothing.
      return known === null ? '' : typeof known === 'string' ? known : undefined;
    });
  }

  /** Carries out a setvar; `times`: how often, null: at least once. */
  set({ name, operation, value }: SetVariable, times: number | null): void {
    const written = literal(this.fill(name))?.toLowerCase();
    if (written === undefined) {
      this.#wild.push(patternOf(name));
      return;
    }
    const known = this.of(written);
    const text = literal(this.fill(value));
    switch (operation) {
      case 'unset':
        this.#values.set(written, null);
        return;
      case 'set':
        this.#values.set(written, text ?? SOME);
        return;
      case 'add':
      case 'subtract': {
        if (text === undefined || times === null || known === SOME || known === UNKNOWN) {
          this.#values.set(written, SOME);
          return;
        }
        let number = known === null ? 0 : toInteger(known);
        const change = operation === 'add' ? toInteger(text) : -toInteger(text);
        for (let i = 0; i < times; i++) number = Math.min(2_147_483_647, Math.max(0, number + change));
        this.#values.set(written, String(number));
      }
    }
  }

  forget(name: string): void {
    this.#values.set(name, UNKNOWN);
  }

  /** What holds in both. */
  static join(states: readonly (Knowledge | null)[]): Knowledge | null {
    const reached = states.filter((state) => state !== null);
    const [first, ...others] = reached;
    if (first === undefined) return null;
    const joined = first.copy();
    for (const other of others) joined.#join(other);
    return joined;
  }

  #join(other: Knowledge): void {
    const wild = new Set(this.#wild.map(String));
    this.#wild.push(...other.#wild.filter((pattern) => !wild.has(String(pattern))));
    for (const name of new Set([...this.#values.keys(), ...other.#values.keys()])) {
      const a = this.#values.get(name) ?? null;
      const b = other.#values.get(name) ?? null;
      if (a === b) continue;
      this.#values.set(name, a === null || b === null || a === UNKNOWN || b === UNKNOWN ? UNKNOWN : SOME);
    }
  }
}

const NO_NAMES: ReadonlySet<string> = new Set();

/** Names that a macro can make. */
export function patternOf(name: Macro): RegExp {
  const parts = name.map((part) =>
    typeof part === 'string' ? part.toLowerCase().replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&') : '.*',
  );
  return new RegExp(`^${parts.join('')}$`, 's');
}

/** Names of TX that a macro refers to. */
export function namesIn(macro: Macro | null): string[] {
  return references(macro ?? []).flatMap(({ variable, name }) => (variable === VARIABLE_TX ? [name] : []));
}
