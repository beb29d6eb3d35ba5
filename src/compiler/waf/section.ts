/** Builds SECTION_MATCHERS: the automata of all matchers and what says which of them to run; the layout is in assembly/waf/abi.ts. */
import { ASSERT_END, ASSERT_START, MAX_CAPTURE_BYTES } from '../../../assembly/regex/abi.ts';
import {
  MATCHERS_BINS,
  MATCHERS_BIN_COUNT,
  MATCHERS_CLAUSES,
  MATCHERS_CLAUSE_COUNT,
  MATCHERS_COUNT,
  MATCHERS_HEADER_BYTES,
  MATCHERS_PACKED,
  MATCHERS_PREFILTERS,
  MATCHERS_PREFILTER_COUNT,
  MATCHERS_RECORDS,
  MATCHERS_UNFILTERED,
  MATCHERS_VECTORS,
  MATCHER_ALWAYS,
  MATCHER_BIN,
  MATCHER_BYTES,
  MATCHER_BYTE_SETS,
  MATCHER_BYTE_SET_COUNT,
  MATCHER_KIND,
  MATCHER_PHRASES,
  MATCHER_POSITIONS,
  MATCHER_REGEX,
  MATCHER_SHORTEST,
  MATCHER_WHOLE,
} from '../../../assembly/waf/abi.ts';
import { RegexError } from '../regex/index.ts';
import type { Dfa } from '../regex/dfa.ts';
import { minimize } from '../regex/minimize.ts';
import { buildNfa } from '../regex/nfa.ts';
import type { Node } from '../regex/syntax.ts';
import { automatonOf } from './automaton.ts';
import { machineOf, type Machine } from './bins.ts';
import { clauseRows, clausesOf, phraseClauses } from './clauses.ts';
import { hittingBytes, requiredBytes, requiredLiterals, shortest } from './literals.ts';
import type { MatcherLimits, MatcherOptions, MatcherReport } from './matchers.ts';
import { keepGroups, type ParsedMatcher } from './operators.ts';
import { packedBin } from './packed.ts';
import { binBytes, pack } from './packing.ts';
import { partialMachine, type PartialMachine } from './partial.ts';
import { positionsBytes, scratchBytes } from './positions.ts';
import { prefilterBytes, type Wanted } from './prefilter.ts';

const DEFAULT_LIMITS: MatcherLimits = {
  completeStates: 12000,
  partialStates: 896,
  // PERF: with 2,048 CRS 4.28 has 89 bins instead of 92, takes twice as long and is 17 KB larger when compressed.
  binStates: 1024,
  literals: true,
};
const MAX_WORK = 20000000; // elementary steps of one determinisation
// A literal that stands at more places than one in fifty tells nothing.
const MAX_SHARE = 0.02;
// From here on it is asked for by many an ordinary value.
const COMMON_SHARE = 0.002;

interface Prepared {
  readonly kind: number;
  readonly positions: Uint8Array | null;
  readonly byteSets: readonly Uint8Array[];
  readonly clauses: readonly bigint[];
  readonly shortest: number;
  /** It has no groups, and matches nothing but whole texts. */
  readonly whole: boolean;
  readonly literals: readonly string[] | null;
  /** Chance that it is asked for at a given place of a text; 1 without literals. */
  readonly share: number;
  readonly machine: Machine | PartialMachine | null;
}

export interface BuiltSection {
  readonly section: Uint8Array;
  readonly report: MatcherReport;
}

/** `errors` by matcher: what is too large for its positions. */
export function buildSection(
  matchers: readonly ParsedMatcher[],
  options: MatcherOptions,
): BuiltSection | { readonly errors: ReadonlyMap<number, RegexError> } {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const prepared: Prepared[] = [];
  const errors = new Map<number, RegexError>();
  for (const [index, matcher] of matchers.entries()) {
    options.onProgress?.(index, matchers.length);
    try {
      prepared.push(prepare(matcher, index, limits));
    } catch (error) {
      if (!(error instanceof RegexError)) throw error;
      errors.set(index, error);
    }
  }
  options.onProgress?.(matchers.length, matchers.length);
  if (errors.size > 0) return { errors };
  return assemble(matchers, prepared, limits);
}

function prepare(matcher: ParsedMatcher, index: number, limits: MatcherLimits): Prepared {
  if (!matcher.regex) {
    const least = Math.min(...matcher.phrases.map((phrase) => phrase.length));
    return {
      kind: MATCHER_PHRASES,
      positions: null,
      byteSets: bytesOf(matcher.phrases.map(latin)),
      clauses: phraseClauses(matcher.phrases),
      shortest: least,
      whole: false,
      literals: null,
      share: 1,
      machine: null,
    };
  }
  const regex = keepGroups(matcher.regex, matcher.captures);
  const nfa = buildNfa([regex], [0], false, false);
  const full = buildNfa([regex], [0], false, true);
  const positions = positionsBytes(full, regex.groups);
  const scratch = scratchBytes(full, regex.groups);
  if (scratch > MAX_CAPTURE_BYTES) {
    throw new RegexError(
      `pattern needs ${scratch} bytes to follow its positions, more than ${MAX_CAPTURE_BYTES}`,
      0,
      1,
      'lower the repeat counts, or write (?:...) where nothing is captured',
    );
  }
  const complete = automatonOf(nfa, { states: limits.completeStates, work: MAX_WORK });
  const small = complete && minimize(complete);
  if (small && matchesAll(small)) {
    return {
      kind: MATCHER_ALWAYS,
      positions,
      byteSets: [],
      clauses: [],
      shortest: 0,
      whole: regex.groups === 1 && isWhole(regex.root),
      literals: null,
      share: 1,
      machine: null,
    };
  }
  let machine: Prepared['machine'] = null;
  if (small) machine = machineOf(small, index);
  else if (limits.partialStates > 0) machine = partialMachine(full, index, limits.partialStates);
  const found = limits.literals ? requiredLiterals(regex.root) : null;
  const literals = found && found.share <= MAX_SHARE ? found.literals : null;
  return {
    kind: MATCHER_REGEX,
    positions,
    byteSets: [...requiredBytes(regex.root), ...bytesOf(literals ?? [])],
    clauses: clausesOf(regex.root),
    shortest: shortest(regex.root),
    whole: regex.groups === 1 && isWhole(regex.root),
    share: found?.share ?? 1,
    literals,
    machine,
  };
}

/** Whether it matches every text, as `^.*$` does: wherever a text may end, it has matched or does so there. */
function matchesAll({ table, columns, start, accepts }: Dfa): boolean {
  const seen = new Set([start]);
  for (const state of seen) {
    if (accepts[state]!.length > 0) continue;
    const row = table.subarray(state * columns, (state + 1) * columns);
    if (accepts[row[columns - 1]!]!.length === 0) return false;
    for (const next of row.subarray(0, -1)) seen.add(next);
  }
  return true;
}

// One character a byte. Not TextDecoder('latin1'): that is windows-1252 and moves 0x80 to 0x9f.
const latin = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

function bytesOf(literals: readonly string[]): readonly Uint8Array[] {
  const set = literals.length === 0 ? null : hittingBytes(literals);
  return set ? [set] : [];
}

function isWhole(root: Node): boolean {
  if (root.type !== 'concat') return false;
  const [first, last] = [root.items[0], root.items.at(-1)];
  return first?.type === 'assert' && first.kind === ASSERT_START && last?.type === 'assert' && last.kind === ASSERT_END;
}

/** Machines that are asked for together, in bins. */
function packAll(
  matchers: readonly ParsedMatcher[],
  prepared: readonly Prepared[],
  limits: MatcherLimits,
): (Machine | PartialMachine)[] {
  const bins: (Machine | PartialMachine)[] = [];
  const groups = new Map<string, Machine[]>();
  prepared.forEach(({ machine, literals, share }, index) => {
    if (!machine) return;
    if ('roots' in machine) {
      bins.push(machine);
      return;
    }
    const { direction, paranoia } = matchers[index]!.group;
    // What is judged by a prefilter runs rarely; what dies early costs little; neither is to pay for the others.
    const rarity = literals === null ? 0 : share > COMMON_SHARE ? 1 : 2;
    const key = JSON.stringify([direction, paranoia, rarity, machine.dead >= 0]);
    const group = groups.get(key);
    if (group) group.push(machine);
    else groups.set(key, [machine]);
  });
  for (const group of groups.values()) bins.push(...pack(group, limits.binStates));
  return bins;
}

function assemble(
  matchers: readonly ParsedMatcher[],
  prepared: readonly Prepared[],
  limits: MatcherLimits,
): BuiltSection {
  const vectors = Math.max(1, Math.ceil(matchers.length / 128));
  const machines = packAll(matchers, prepared, limits);
  const bins = machines.map(binBytes);
  const packed = bins.map(packedBin);
  const binOf = new Map<number, number>();
  machines.forEach(({ outputs }, bin) => {
    for (const list of outputs) for (const id of list) binOf.set(id & 0x7fff, bin);
  });
  const wanted: Wanted[] = prepared.map(({ literals }, matcher) => ({
    matcher,
    literals: literals ?? matchers[matcher]!.phrases.map(latin),
  }));
  const prefilters = ['request', 'response']
    .map((direction) =>
      wanted.filter(({ matcher, literals }) => matchers[matcher]!.group.direction === direction && literals.length > 0),
    )
    .filter((some) => some.length > 0)
    .map((some) => prefilterBytes(some, vectors));

  const setBytes = vectors * 16;
  const recordsAt = MATCHERS_HEADER_BYTES;
  const binsAt = recordsAt + matchers.length * MATCHER_BYTES;
  const prefiltersAt = binsAt + bins.length * 4;
  const packedAt = prefiltersAt + prefilters.length * 4;
  const unfilteredAt = packedAt + bins.length * 8;
  const clausesAt = unfilteredAt + setBytes;
  const rows = clauseRows(prepared.map(({ clauses }) => clauses));
  let at = clausesAt + rows.length * (8 + setBytes);
  const place = (bytes: Uint8Array): number => {
    const from = at;
    at += bytes.length;
    return from;
  };
  const byteSetsAt = prepared.map(({ byteSets }) => place(new Uint8Array(byteSets.length * 32)));
  const positionsAt = prepared.map(({ positions }) => (positions ? place(positions) : 0));
  const prefilterAt = prefilters.map(place);
  const packedBinAt = packed.map(place);

  const section = new Uint8Array(at);
  const view = new DataView(section.buffer);
  view.setUint32(MATCHERS_COUNT, matchers.length, true);
  view.setUint32(MATCHERS_VECTORS, vectors, true);
  view.setUint32(MATCHERS_RECORDS, recordsAt, true);
  view.setUint32(MATCHERS_PREFILTERS, prefiltersAt, true);
  view.setUint32(MATCHERS_PREFILTER_COUNT, prefilters.length, true);
  view.setUint32(MATCHERS_BINS, binsAt, true);
  view.setUint32(MATCHERS_BIN_COUNT, bins.length, true);
  view.setUint32(MATCHERS_UNFILTERED, unfilteredAt, true);
  view.setUint32(MATCHERS_PACKED, packedAt, true);
  view.setUint32(MATCHERS_CLAUSES, clausesAt, true);
  view.setUint32(MATCHERS_CLAUSE_COUNT, rows.length, true);
  rows.forEach(({ clause, matchers: ids }, row) => {
    const from = clausesAt + row * (8 + setBytes);
    view.setBigUint64(from, clause, true);
    for (const id of ids) section[from + 8 + (id >> 3)]! |= 1 << (id & 7);
  });
  prepared.forEach(({ kind, positions, byteSets, shortest: least, whole, literals }, index) => {
    const record = recordsAt + index * MATCHER_BYTES;
    view.setUint32(record + MATCHER_KIND, kind, true);
    view.setUint32(record + MATCHER_BIN, binOf.get(index) ?? 0xffffffff, true);
    view.setUint32(record + MATCHER_POSITIONS, positionsAt[index]!, true);
    view.setUint32(record + MATCHER_BYTE_SETS, byteSetsAt[index]!, true);
    view.setUint32(record + MATCHER_BYTE_SET_COUNT, byteSets.length, true);
    view.setUint32(record + MATCHER_SHORTEST, least, true);
    view.setUint32(record + MATCHER_WHOLE, whole ? 1 : 0, true);
    if (kind !== MATCHER_PHRASES && literals === null) section[unfilteredAt + (index >> 3)]! |= 1 << (index & 7);
    byteSets.forEach((set, number) => {
      const from = byteSetsAt[index]! + number * 32;
      for (let byte = 0; byte < 256; byte++) if (set[byte]) section[from + (byte >> 3)]! |= 1 << (byte & 7);
    });
    if (positions) section.set(positions, positionsAt[index]!);
  });
  prefilters.forEach((bytes, index) => {
    view.setUint32(prefiltersAt + index * 4, prefilterAt[index]!, true);
    section.set(bytes, prefilterAt[index]!);
  });
  packed.forEach((bytes, index) => {
    view.setUint32(packedAt + index * 8, packedBinAt[index]!, true);
    view.setUint32(packedAt + index * 8 + 4, bins[index]!.length, true);
    section.set(bytes, packedBinAt[index]!);
  });
  const sum = (some: readonly Uint8Array[]): number => some.reduce((total, bytes) => total + bytes.length, 0);
  return {
    section,
    report: {
      matchers: matchers.length,
      bins: machines.length,
      partial: machines.filter((machine) => 'roots' in machine).length,
      unfiltered: prepared.filter(({ kind, literals }) => kind === MATCHER_REGEX && literals === null).length,
      binBytes: sum(bins),
      packedBytes: sum(packed),
      prefilterBytes: sum(prefilters),
      positionBytes: prepared.reduce((total, { positions }) => total + (positions?.length ?? 0), 0),
    },
  };
}
