/** Macros as values and as words of a program. */
import * as abi from '../../../assembly/waf/abi.ts';
import type { StringPool } from '../image.ts';
import type { Macro, Reference } from '../seclang/ruleset.ts';

/** What a macro says where it holds no reference, else undefined. */
export function literal(macro: Macro): string | undefined {
  return macro.every((part) => typeof part === 'string') ? macro.join('') : undefined;
}

/** The same with references replaced by what `value` knows of them; neighbouring texts joined. */
export function resolve(macro: Macro, value: (reference: Reference) => string | undefined): Macro {
  const parts: (string | Reference)[] = [];
  for (const part of macro) {
    const known = typeof part === 'string' ? part : value(part);
    const last = parts.at(-1);
    if (known === undefined) parts.push(part);
    else if (typeof last === 'string') parts[parts.length - 1] = last + known;
    else if (known !== '') parts.push(known);
  }
  return parts;
}

export function references(macro: Macro): Reference[] {
  return macro.filter((part): part is Reference => typeof part !== 'string');
}

/** The number at the start of a text, as C's atoi reads it, within 32 bits. */
export function toInteger(text: string): number {
  const digits = /^[ \t\n\v\f\r]*([+-]?\d+)/.exec(text)?.[1];
  if (digits === undefined) return 0;
  return Math.max(-2_147_483_648, Math.min(2_147_483_647, Number(digits)));
}

/** PROGRAM_WORDS: macros and byte sets; equal ones are stored once. */
export class WordPool {
  readonly words: number[] = [];
  readonly #known = new Map<string, number>();
  readonly #strings: StringPool;
  readonly #slot: (name: string) => number;

  constructor(strings: StringPool, slot: (name: string) => number) {
    this.#strings = strings;
    this.#slot = slot;
  }

  add(words: readonly number[]): number {
    const key = words.join();
    let at = this.#known.get(key);
    if (at === undefined) {
      at = this.words.length;
      this.words.push(...words);
      this.#known.set(key, at);
    }
    return at;
  }

  macro(macro: Macro): number {
    const parts = macro.length === 0 ? [''] : macro;
    return this.add([parts.length, ...parts.flatMap((part) => this.#part(part))]);
  }

  #part(part: string | Reference): number[] {
    if (typeof part === 'string') {
      const { at, length } = this.#strings.add(part);
      return [abi.PART_TEXT, 0, at, length];
    }
    if (part.variable === abi.VARIABLE_TX) return [abi.PART_SLOT, this.#slot(part.name), 0, 0];
    const { at, length } = this.#strings.add(part.name);
    return [abi.PART_VARIABLE, part.variable, at, length];
  }

  /** 256 bits as 8 words. */
  bits(set: Iterable<number>, size: number): number {
    const words = new Array<number>((size + 31) >> 5).fill(0);
    for (const bit of set) words[bit >> 5] = (words[bit >> 5]! | (1 << (bit & 31))) >>> 0;
    return this.add(words);
  }
}
