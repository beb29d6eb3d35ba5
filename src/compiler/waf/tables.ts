/** The tables of a program while it is written, and how they are laid out. */
import * as abi from '../../../assembly/waf/abi.ts';

const WIDTHS = {
  rules: abi.RULE_ROW_WORDS,
  links: abi.LINK_ROW_WORDS,
  targets: abi.TARGET_ROW_WORDS,
  actions: abi.ACTION_ROW_WORDS,
  pipelines: abi.PIPELINE_ROW_WORDS,
  transforms: 1,
  removals: abi.REMOVAL_ROW_WORDS,
};

export interface OtherTables {
  readonly flags: number;
  readonly sets: readonly number[];
  readonly words: readonly number[];
  readonly nodes: readonly number[];
  readonly profiles: readonly number[];
  readonly profileCount: number;
  readonly masks: Uint8Array;
  readonly maskCount: number;
  readonly names: readonly number[];
  readonly kinds: readonly number[];
  readonly slots: readonly number[];
  readonly phases: readonly number[];
  readonly used: ReadonlySet<number>;
  readonly bodyLimit: number;
  readonly responseBodyLimit: number;
  readonly readers: number;
}

export class Tables {
  readonly #words: { readonly [name in keyof typeof WIDTHS]: number[] } = {
    rules: [],
    links: [],
    targets: [],
    actions: [],
    pipelines: [],
    transforms: [],
    removals: [],
  };

  rows(table: keyof typeof WIDTHS): number {
    return this.#words[table].length / WIDTHS[table];
  }

  /** Number of the row. */
  add(table: keyof typeof WIDTHS, row: readonly number[]): number {
    if (row.length !== WIDTHS[table]) throw new RangeError(`a row of ${table} has ${WIDTHS[table]} words`);
    const index = this.rows(table);
    this.#words[table].push(...row);
    return index;
  }

  finish(other: OtherTables): Uint8Array {
    const header = new Uint32Array(abi.PROGRAM_HEADER_WORDS);
    const parts: Uint8Array[] = [];
    let at = abi.PROGRAM_HEADER_WORDS * 4;
    const place = (word: number, rows: number, bytes: Uint8Array): void => {
      header[word] = rows;
      header[word + 1] = at;
      parts.push(bytes);
      at += bytes.length;
    };
    const table = (word: number, words: readonly number[], width: number): void =>
      place(word, words.length / width, new Uint8Array(Uint32Array.from(words).buffer));
    // Masks first: they are read as vectors, and the header is a multiple of 16.
    place(abi.PROGRAM_MASKS, other.maskCount, other.masks);
    table(abi.PROGRAM_SETS, other.sets, abi.SET_ROW_WORDS);
    table(abi.PROGRAM_RULES, this.#words.rules, abi.RULE_ROW_WORDS);
    table(abi.PROGRAM_LINKS, this.#words.links, abi.LINK_ROW_WORDS);
    table(abi.PROGRAM_TARGETS, this.#words.targets, abi.TARGET_ROW_WORDS);
    table(abi.PROGRAM_ACTIONS, this.#words.actions, abi.ACTION_ROW_WORDS);
    table(abi.PROGRAM_WORDS, other.words, 1);
    table(abi.PROGRAM_PIPELINES, this.#words.pipelines, abi.PIPELINE_ROW_WORDS);
    table(abi.PROGRAM_TRANSFORMS, this.#words.transforms, 1);
    table(abi.PROGRAM_NODES, other.nodes, abi.NODE_ROW_WORDS);
    place(abi.PROGRAM_PROFILES, other.profileCount, new Uint8Array(Uint32Array.from(other.profiles).buffer));
    table(abi.PROGRAM_NAMES, other.names, abi.NAME_ROW_WORDS);
    table(abi.PROGRAM_KINDS, other.kinds, abi.KIND_ROW_WORDS);
    table(abi.PROGRAM_SLOTS, other.slots, abi.SLOT_ROW_WORDS);
    table(abi.PROGRAM_REMOVALS, this.#words.removals, abi.REMOVAL_ROW_WORDS);
    header.set(other.phases, abi.PROGRAM_PHASES);
    for (const variable of other.used) {
      header[abi.PROGRAM_USED + (variable >> 5)]! |= 1 << (variable & 31);
    }
    header[abi.PROGRAM_FLAGS] = other.flags;
    header[abi.PROGRAM_LIMITS] = other.bodyLimit;
    header[abi.PROGRAM_LIMITS + 1] = other.responseBodyLimit;
    header[abi.PROGRAM_TX_READERS] = other.readers;
    header[abi.PROGRAM_LENGTH] = at;
    const bytes = new Uint8Array(at);
    bytes.set(new Uint8Array(header.buffer));
    let to = abi.PROGRAM_HEADER_WORDS * 4;
    for (const part of parts) {
      bytes.set(part, to);
      to += part.length;
    }
    return bytes;
  }
}
