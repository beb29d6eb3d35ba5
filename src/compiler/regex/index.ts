/** Regex text to programs that assembly/regex/ runs in linear time. */
import { MAX_CAPTURE_BYTES, NFA_MATCH, NFA_RANGES } from '../../../assembly/regex/abi.ts';
import { determinize } from './dfa.ts';
import { Effort } from './effort.ts';
import { RegexError } from './error.ts';
import { minimize } from './minimize.ts';
import { buildNfa, type Nfa } from './nfa.ts';
import { parse } from './parse.ts';
import { serialize } from './serialize.ts';
import type { Regex, RegexFlags } from './syntax.ts';

export { Effort } from './effort.ts';
export { RegexError } from './error.ts';
export type { RegexFlags } from './syntax.ts';

export interface CompiledRegex {
  /** The program; its length is a multiple of 4. */
  readonly bytes: Uint8Array;
  readonly states: number; // of what `find` runs
  readonly kind: 'dfa' | 'nfa';
  /** Capture groups with the whole match; names by group. */
  readonly groups: number;
  readonly names: readonly (string | null)[];
}

/** Throws RegexError. Patterns of one policy share one `effort`. */
export function compileRegex(pattern: string, flags: RegexFlags = {}, effort = new Effort()): CompiledRegex {
  const regex = parse(pattern, flags);
  const anchored = flags.anchored ?? false;
  return located(pattern, () => {
    const plain = buildNfa([regex], [0], anchored, false);
    const found = determinize(plain, true, effort);
    const dfa = found && minimize(found);
    let nfa: Nfa | null = dfa ? null : plain;
    if (flags.captures) {
      nfa = buildNfa([regex], [0], anchored, true);
      checkCaptures(nfa, regex);
    }
    const groups = flags.captures ? regex.groups : 0;
    return {
      bytes: serialize({ dfa, nfa, groups, set: null }),
      states: dfa ? dfa.accepts.length : plain.states.length,
      kind: dfa ? 'dfa' : 'nfa',
      groups: regex.groups,
      names: regex.names,
    };
  });
}

/**
 * Programs that together say which of the patterns match, for `matchSet`; pattern ids are indices of `patterns`.
 * Patterns share an automaton as long as it keeps within MAX_DFA_STATES; one that does not fit by itself is an NFA.
 */
export function compileRegexSet(
  patterns: readonly string[],
  flags: RegexFlags = {},
  effort = new Effort(),
): Uint8Array[] {
  const regexes = patterns.map((pattern) => parse(pattern, flags));
  const anchored = flags.anchored ?? false;
  const nfaOf = (ids: readonly number[]): Nfa =>
    located(patterns[ids[0]!]!, () =>
      buildNfa(
        ids.map((id) => regexes[id]!),
        ids,
        anchored,
        false,
      ),
    );
  const bins: Uint8Array[] = [];
  const size = (ids: readonly number[]) => ({ patterns: patterns.length, only: ids[0]! });
  const together = (ids: readonly number[]): boolean => {
    const nfa = fits(() => nfaOf(ids), ids.length > 1);
    const dfa = nfa && determinize(nfa, false, effort, ids.length);
    if (dfa) bins.push(serialize({ dfa: minimize(dfa), nfa: null, groups: 0, set: size(ids) }));
    return dfa !== null;
  };
  const build = (ids: readonly number[]): void => {
    if (ids.length === 0 || together(ids)) return;
    if (ids.length === 1) bins.push(serialize({ dfa: null, nfa: nfaOf(ids), groups: 0, set: size(ids) }));
    else {
      build(ids.slice(0, ids.length >> 1));
      build(ids.slice(ids.length >> 1));
    }
  };
  const all = patterns.map((_, id) => id);
  if (all.length < 2) build(all);
  else if (!together(all)) {
    // PERF: one pattern that does not fit would fail every half that it is in, so these are found first.
    const alone = new Set(all.filter((id) => determinize(nfaOf([id]), false, effort) === null));
    for (const id of alone) bins.push(serialize({ dfa: null, nfa: nfaOf([id]), groups: 0, set: size([id]) }));
    const rest = all.filter((id) => !alone.has(id));
    build(rest.slice(0, (rest.length + 1) >> 1));
    build(rest.slice((rest.length + 1) >> 1));
  }
  return bins;
}

/** Null instead of an error about size where there are several patterns to share it among. */
function fits(build: () => Nfa, several: boolean): Nfa | null {
  try {
    return build();
  } catch (error) {
    if (several && error instanceof RegexError) return null;
    throw error;
  }
}

/** Errors about size concern the pattern as a whole. */
function located<T>(pattern: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof RegexError) throw new RegexError(error.message, 0, Math.max(1, pattern.length), error.fix);
    throw error;
  }
}

/** Scratch of the engine's capture run: two lists of threads with their slots, and the stack of a closure. */
function checkCaptures(nfa: Nfa, regex: Regex): void {
  const leaves = nfa.states.filter((state) => state.op === NFA_RANGES || state.op === NFA_MATCH).length;
  const bytes = nfa.states.length * (2 * 4 + 2 * 8) + leaves * 2 * regex.groups * 8;
  if (bytes > MAX_CAPTURE_BYTES) {
    throw new RegexError(
      `pattern is too large for ${regex.groups - 1} capture groups`,
      0,
      1,
      'lower the repeat counts, or write (?:...) where nothing is captured',
    );
  }
}
