/** Warnings about matches of routes that can never win. */
import type { Reporter } from './diagnostics.ts';
import type { MatchSource, RouteSource, ValueMatch } from './sources.ts';

/** A match with its place in the policy. */
export interface MatchedRoute {
  readonly route: number;
  readonly match: number;
  readonly source: MatchSource;
  readonly headers: readonly ValueMatch[]; // without repeated names
  readonly queryParams: readonly ValueMatch[];
}

/**
 * A match can never win in a bucket when one that stands before it there asks for no more than it does. Only equal
 * predicates are compared (a subset of the later one's); regular expressions count as themselves. A match is reachable when
 * it is so in one bucket at least.
 */
export function markShadowed(
  sorted: readonly MatchedRoute[],
  reachable: Set<MatchedRoute>,
  shadows: Map<MatchedRoute, MatchedRoute>,
): void {
  const seen = new Map<string, MatchedRoute>();
  const widths = new Set<number>();
  for (const candidate of sorted) {
    const facts = factsOf(candidate);
    const winner = subsetIn(seen, widths, facts);
    if (winner === undefined) reachable.add(candidate);
    else if (!shadows.has(candidate)) shadows.set(candidate, winner);
    const key = facts.join('\n');
    if (!seen.has(key)) seen.set(key, candidate);
    widths.add(facts.length);
  }
}

/** Facts that must all be true of a request, sorted. */
function factsOf({ source, headers, queryParams }: MatchedRoute): string[] {
  const { type, value } = source.pathMatch;
  return [
    ...(type === 'RegularExpression' ? [`path ${value}`] : []),
    ...(source.method === null ? [] : [`method ${source.method}`]),
    ...headers.map((header) => `header ${JSON.stringify([header.name, header.type, header.value])}`),
    ...queryParams.map((param) => `query ${JSON.stringify([param.name, param.type, param.value])}`),
  ].sort();
}

/** An earlier match whose facts are a subset of these. Every subset of few facts is looked up; of many, only all and none. */
function subsetIn(
  seen: Map<string, MatchedRoute>,
  widths: Set<number>,
  facts: readonly string[],
): MatchedRoute | undefined {
  if (facts.length > 8) return seen.get(facts.join('\n')) ?? seen.get('');
  for (let mask = 0; mask < 1 << facts.length; mask++) {
    const subset = facts.filter((_, index) => (mask >> index) & 1);
    if (!widths.has(subset.length)) continue;
    const found = seen.get(subset.join('\n'));
    if (found !== undefined) return found;
  }
  return undefined;
}

export function reportUnreachable(
  routes: readonly RouteSource[],
  reachable: ReadonlySet<MatchedRoute>,
  shadows: ReadonlyMap<MatchedRoute, MatchedRoute>,
  reporter: Reporter,
): void {
  const losers = [...shadows].filter(([loser]) => !reachable.has(loser));
  losers.sort(([a], [b]) => a.route - b.route || a.match - b.match);
  for (const [loser, winner] of losers) {
    const before = routes[winner.route]!.name;
    const other = winner.route === loser.route ? 'an earlier match of the same route' : `route ${before}`;
    reporter.report(
      'warning',
      loser.source.path,
      'unreachable-route',
      `this match can never win: ${other} takes its requests`,
      {
        cause: 'it has the same host names and path, asks for no more, and stands before it by precedence',
        fix: 'remove one of the two, or ask for a method, header or query parameter that tells them apart',
      },
    );
  }
}
