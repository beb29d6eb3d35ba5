/**
 * All operators of a rule set that search text (@rx, @pm and their like) as automata: the section that
 * assembly/waf/match.ts runs. Operators that look for the same are one matcher.
 */
import { MAX_MATCHERS } from '../../../assembly/waf/abi.ts';
import { parseOperator, type ParsedMatcher } from './operators.ts';
import { RegexError } from '../regex/index.ts';
import { buildSection } from './section.ts';

/** Where a matcher is used: what is used together is packed together, so that a policy touches only what it needs. */
export interface MatcherGroup {
  readonly paranoia: number; // 1 to 4
  readonly direction: 'request' | 'response';
  readonly pipeline: string; // the transformations of most of its values, any spelling
}

export type MatcherSource = { readonly group: MatcherGroup } & (
  | {
      readonly kind: 'rx';
      readonly pattern: string;
      /** The rule reads TX.1 to TX.9; otherwise captures give the whole match only. */
      readonly captures: boolean;
      /** It is given texts without capitals only, so its letters may match either case. */
      readonly lowered?: boolean;
    }
  | { readonly kind: 'pm'; readonly phrases: readonly string[] } // ASCII letters match either case
  | { readonly kind: 'strmatch' | 'containsWord'; readonly text: string; readonly lowered?: boolean }
);

export interface MatcherOptions {
  /** Called before each matcher, and at the end. */
  readonly onProgress?: (done: number, total: number) => void;
  /** What is made of the matchers; the defaults are for use, others for tests. */
  readonly limits?: Partial<MatcherLimits>;
}

export interface MatcherLimits {
  /** Of the complete automaton of one regex, before it is minimised; 0 = none has one. */
  readonly completeStates: number;
  /** Of a partial automaton; 0 = none has one, the positions decide. */
  readonly partialStates: number;
  /** Of a bin; 0 = every machine has its own. */
  readonly binStates: number;
  /** Without literals every regex runs on every value. */
  readonly literals: boolean;
}

/** What is wrong with the operator of one source. */
export interface MatcherProblem {
  readonly source: number;
  readonly message: string;
  /** Place in the pattern, in characters. */
  readonly offset: number;
  readonly length: number;
  readonly fix: string | undefined;
}

export interface CompiledMatchers {
  /** Length a multiple of 4; of no use when there are problems. */
  readonly section: Uint8Array;
  /** Matcher of each source, or -1 where there is a problem. */
  readonly matchers: readonly number[];
  /** Number of matchers. */
  readonly count: number;
  readonly problems: readonly MatcherProblem[];
  /** Null when there are problems. */
  readonly report: MatcherReport | null;
}

/** What became of the matchers, in numbers. */
export interface MatcherReport {
  readonly matchers: number;
  readonly bins: number;
  /** Regexes whose complete automaton would be too large. */
  readonly partial: number;
  /** Regexes that no literal announces: they run on every value that they apply to. */
  readonly unfiltered: number;
  readonly binBytes: number; // in memory
  readonly packedBytes: number; // in the file
  readonly prefilterBytes: number;
  readonly positionBytes: number;
}

/** Never throws for what is in a rule set: look at `problems`. */
export async function compileMatchers(
  sources: readonly MatcherSource[],
  options: MatcherOptions = {},
): Promise<CompiledMatchers> {
  const known = new Map<string, number>();
  const parsed: ParsedMatcher[] = [];
  const problems: MatcherProblem[] = [];
  const matchers = sources.map((source, index) => {
    const key = JSON.stringify([source.kind, text(source), source.kind !== 'pm' && source.lowered === true]);
    const same = known.get(key);
    if (same !== undefined) {
      const matcher = parsed[same]!;
      matcher.captures ||= source.kind === 'rx' && source.captures;
      if (source.group.paranoia < matcher.group.paranoia) matcher.group = source.group;
      return same;
    }
    try {
      const matcher = parseOperator(source);
      if (parsed.length === MAX_MATCHERS) throw new RegexError(`more than ${MAX_MATCHERS} distinct operators`, 0, 1);
      known.set(key, parsed.length);
      return parsed.push(matcher) - 1;
    } catch (error) {
      if (!(error instanceof RegexError)) throw error;
      const { message, offset, length, fix } = error;
      problems.push({ source: index, message, offset, length, fix });
      return -1;
    }
  });
  const none = { section: new Uint8Array(0), matchers, count: parsed.length, problems, report: null };
  if (problems.length > 0) return none;
  const built = buildSection(parsed, options);
  if ('section' in built) return { ...built, matchers, count: parsed.length, problems };
  matchers.forEach((matcher, source) => {
    const error = built.errors.get(matcher);
    if (!error) return;
    const { message, offset, length, fix } = error;
    problems.push({ source, message, offset, length, fix });
    matchers[source] = -1;
  });
  return none;
}

function text(source: MatcherSource): string | readonly string[] {
  if (source.kind === 'rx') return source.pattern;
  return source.kind === 'pm' ? source.phrases : source.text;
}
