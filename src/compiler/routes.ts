/** Routes to the tables of assembly/route.ts: sorted by the precedence of Gateway API's HTTPRoute, then hashed. */
import {
  CANDIDATE_BYTES,
  PREDICATE_HEADER_EXACT,
  PREDICATE_HEADER_REGEX,
  PREDICATE_METHOD,
  PREDICATE_QUERY_EXACT,
  PREDICATE_QUERY_REGEX,
  ROUTES_EXACT,
  ROUTES_HEADER_BYTES,
  ROUTES_PREFIX,
  ROUTES_REGEX,
  ROUTE_KEY_MIX,
  ROUTE_SLOT_BYTES,
  SECTION_HOSTS,
  SECTION_PREDICATES,
  SECTION_ROUTES,
} from '../../assembly/abi.ts';
import type { Reporter } from './diagnostics.ts';
import { hostTable } from './hosts.ts';
import { ByteWriter, finishHash, hashBytes, runningHash, type Pools } from './image.ts';
import { canonicalPath } from './path.ts';
import { RegexError } from './regex/index.ts';
import type { MatchSource, RouteSource, ValueMatch } from './sources.ts';

const encoder = new TextEncoder();

/** Regular expressions on routes match the whole value, as Envoy's do, in UTF-8. */
const REGEX = { anchored: true, unicode: true } as const;

/** A match with its place in the policy and what it compiled to. */
interface Candidate {
  readonly route: number;
  readonly match: number;
  readonly source: MatchSource;
  readonly headers: readonly ValueMatch[]; // without repeated names
  readonly queryParams: readonly ValueMatch[];
  readonly regex: number; // -1 = none
  readonly firstPredicate: number;
  readonly predicates: number;
}

/** All matches of one host name and one path (or all regular expressions of one host name). */
interface Bucket {
  readonly key: number;
  readonly path: string;
  readonly candidates: Candidate[];
}

export interface RouteSections {
  readonly sections: readonly (readonly [id: number, bytes: Uint8Array])[];
}

/**
 * Sections of a policy image for its routes. Reports `regex` errors where a pattern is refused, and warns about
 * `duplicate-match` and `unreachable-route`.
 */
export function compileRoutes(
  routes: readonly RouteSource[],
  pools: Pools,
  reporter: Reporter,
  options: { readonly mergeSlashes?: boolean } = {},
): RouteSections {
  const groups = new Map<string, number>();
  const exact = new Map<string, Bucket>();
  const prefix = new Map<string, Bucket>();
  const regex = new Map<number, Bucket>();
  const predicates = new ByteWriter();
  const known = new Map<string, readonly [first: number, count: number]>();

  for (const [route, source] of routes.entries()) {
    for (const [match, matchSource] of source.matches.entries()) {
      const candidate = compileMatch(route, match, matchSource, { pools, reporter, predicates, known });
      if (candidate === undefined) continue;
      for (const hostname of new Set(source.hostnames)) {
        let group = groups.get(hostname);
        if (group === undefined) groups.set(hostname, (group = groups.size));
        const { type, value } = matchSource.pathMatch;
        if (type === 'RegularExpression') bucket(regex, group, group, '').push(candidate);
        else {
          const path = canonicalPath(value, options.mergeSlashes);
          if (type === 'Exact') bucket(exact, `${group} ${path}`, group * 2, path).push(candidate);
          else {
            const stripped = path.endsWith('/') ? path.slice(0, -1) : path;
            bucket(prefix, `${group} ${stripped}`, group * 2 + 1, stripped).push(candidate);
          }
        }
      }
    }
  }

  const reachable = new Set<Candidate>();
  const shadows = new Map<Candidate, Candidate>();
  const candidates = new ByteWriter();
  let count = 0;
  const write = (bucket: Bucket): readonly [first: number, count: number] => {
    const sorted = sortBucket(bucket.candidates);
    const first = count;
    markShadowed(sorted, reachable, shadows);
    for (const { route, match, firstPredicate, predicates, regex } of sorted) {
      candidates.u32(route).u32(match).u32(firstPredicate).u32(predicates).u32(regex).u32(0);
    }
    count += sorted.length;
    return [first, sorted.length];
  };
  const groupWords = new ByteWriter();
  for (let group = 0; group < groups.size; group++) {
    const entry = regex.get(group);
    const [first, length] = entry === undefined ? [0, 0] : write(entry);
    groupWords.u32(first).u32(length);
  }
  const paths = [...exact.values(), ...prefix.values()];
  const table = pathTable(
    paths.map((bucket) => ({ bucket, span: write(bucket) })),
    pools,
  );
  reportUnreachable(routes, reachable, shadows, reporter);
  if (groups.size === 0) return { sections: [] };

  let depth = 0;
  for (const { path } of prefix.values()) depth = Math.max(depth, path.split('/').length - 1);
  const kinds =
    (exact.size > 0 ? ROUTES_EXACT : 0) | (prefix.size > 0 ? ROUTES_PREFIX : 0) | (regex.size > 0 ? ROUTES_REGEX : 0);
  const section = new ByteWriter(ROUTES_HEADER_BYTES + table.bytes.length + count * CANDIDATE_BYTES)
    .u32(routes.length)
    .u32(groups.size)
    .u32(table.slots)
    .u32(table.longest)
    .u32(count)
    .u32(depth)
    .u32(kinds)
    .u32(0)
    .bytes(groupWords.finish())
    .bytes(table.bytes)
    .bytes(candidates.finish());
  return {
    sections: [
      [SECTION_HOSTS, hostTable(groups, pools.strings)],
      [SECTION_ROUTES, section.finish()],
      [SECTION_PREDICATES, predicates.finish()],
    ],
  };
}

function bucket<K>(buckets: Map<K, Bucket>, id: K, key: number, path: string): Candidate[] {
  let found = buckets.get(id);
  if (found === undefined) buckets.set(id, (found = { key, path, candidates: [] }));
  return found.candidates;
}

interface MatchContext {
  readonly pools: Pools;
  readonly reporter: Reporter;
  readonly predicates: ByteWriter;
  readonly known: Map<string, readonly [first: number, count: number]>;
}

function compileMatch(route: number, match: number, source: MatchSource, context: MatchContext): Candidate | undefined {
  const { pools, reporter, predicates, known } = context;
  let failed = false;
  const regexOf = (pattern: string, path: readonly (string | number)[]): number => {
    try {
      return pools.regexes.add(pattern, REGEX);
    } catch (error) {
      if (!(error instanceof RegexError)) throw error;
      failed = true;
      const { message, offset, length, fix } = error;
      reporter.report('error', path, 'regex', message, { offset, length, ...(fix === undefined ? {} : { fix }) });
      return -1;
    }
  };
  const headers = distinct(source.headers, [...source.path, 'headers'], 'header', reporter);
  const queryParams = distinct(source.queryParams, [...source.path, 'queryParams'], 'query parameter', reporter);
  const { type, value } = source.pathMatch;
  const regex = type === 'RegularExpression' ? regexOf(value, [...source.path, 'path', 'value']) : -1;

  // The cheapest test first; equal lists of predicates are stored once.
  const words: number[] = [];
  if (source.method !== null) {
    const method = pools.strings.add(source.method);
    words.push(PREDICATE_METHOD, 0, 0, method.at, method.length, 0);
  }
  for (const { index, item } of headers) {
    const name = pools.names.add(item.name);
    const at = [...source.path, 'headers', index, 'value'];
    if (item.type === 'RegularExpression') words.push(PREDICATE_HEADER_REGEX, name, 0, regexOf(item.value, at), 0, 0);
    else {
      const text = pools.strings.add(item.value);
      words.push(PREDICATE_HEADER_EXACT, name, 0, text.at, text.length, 0);
    }
  }
  for (const { index, item } of queryParams) {
    const name = pools.strings.add(item.name);
    const hash = hashBytes(encoder.encode(item.name));
    const at = [...source.path, 'queryParams', index, 'value'];
    if (item.type === 'RegularExpression') {
      words.push(PREDICATE_QUERY_REGEX, name.at, name.length, regexOf(item.value, at), 0, hash);
    } else {
      const text = pools.strings.add(item.value);
      words.push(PREDICATE_QUERY_EXACT, name.at, name.length, text.at, text.length, hash);
    }
  }
  if (failed) return undefined;
  const key = words.join();
  let span = known.get(key);
  if (span === undefined) {
    span = [predicates.length / 24, words.length / 6];
    for (const word of words) predicates.u32(word);
    known.set(key, span);
  }
  return {
    route,
    match,
    source,
    headers: headers.map(({ item }) => item),
    queryParams: queryParams.map(({ item }) => item),
    regex,
    firstPredicate: span[0],
    predicates: span[1],
  };
}

/** SPEC: of entries with one name only the first counts (HTTPRouteMatch.headers, .queryParams). */
function distinct(
  items: readonly ValueMatch[],
  path: readonly (string | number)[],
  what: string,
  reporter: Reporter,
): { index: number; item: ValueMatch }[] {
  const names = new Set<string>();
  const kept: { index: number; item: ValueMatch }[] = [];
  for (const [index, item] of items.entries()) {
    if (names.has(item.name)) {
      reporter.report('warning', [...path, index], 'duplicate-match', `${what} ${item.name} is matched twice`, {
        cause: 'of entries with one name only the first counts',
        fix: 'remove this one, or write another match with it',
      });
    } else kept.push({ index, item });
    names.add(item.name);
  }
  return kept;
}

/** SPEC: method, then number of header matches, then of query parameter matches, then order. */
function sortBucket(candidates: readonly Candidate[]): Candidate[] {
  return candidates.toSorted(
    (a, b) =>
      Number(b.source.method !== null) - Number(a.source.method !== null) ||
      b.headers.length - a.headers.length ||
      b.queryParams.length - a.queryParams.length ||
      a.route - b.route ||
      a.match - b.match,
  );
}

function pathTable(
  entries: readonly { bucket: Bucket; span: readonly [first: number, count: number] }[],
  pools: Pools,
): { bytes: Uint8Array; slots: number; longest: number } {
  let slots = 4;
  while (slots < entries.length * 2) slots *= 2;
  const words = new Uint32Array((slots * ROUTE_SLOT_BYTES) / 4);
  let longest = 1;
  for (const { bucket, span } of entries) {
    const unfinished = runningHash(encoder.encode(bucket.path));
    const hash = finishHash(unfinished ^ Math.imul(bucket.key, ROUTE_KEY_MIX));
    const { at, length } = pools.strings.add(bucket.path);
    let slot = hash & (slots - 1);
    let probe = 1;
    for (; words[slot * 6 + 5] !== 0; slot = (slot + 1) & (slots - 1)) probe++;
    longest = Math.max(longest, probe);
    words.set([hash, bucket.key, at, length, span[0], span[1]], slot * 6);
  }
  const writer = new ByteWriter(words.length * 4);
  for (const word of words) writer.u32(word);
  return { bytes: writer.finish(), slots, longest };
}

/**
 * A match can never win in a bucket when one that stands before it there asks for no more than it does. Only equal
 * predicates are compared (a subset of the later one's); regular expressions count as themselves. A match is reachable when
 * it is so in one bucket at least.
 */
function markShadowed(
  sorted: readonly Candidate[],
  reachable: Set<Candidate>,
  shadows: Map<Candidate, Candidate>,
): void {
  const seen = new Map<string, Candidate>();
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
function factsOf({ source, headers, queryParams }: Candidate): string[] {
  const { type, value } = source.pathMatch;
  return [
    ...(type === 'RegularExpression' ? [`path ${value}`] : []),
    ...(source.method === null ? [] : [`method ${source.method}`]),
    ...headers.map((header) => `header ${JSON.stringify([header.name, header.type, header.value])}`),
    ...queryParams.map((param) => `query ${JSON.stringify([param.name, param.type, param.value])}`),
  ].sort();
}

/** An earlier match whose facts are a subset of these. Every subset of few facts is looked up; of many, only all and none. */
function subsetIn(seen: Map<string, Candidate>, widths: Set<number>, facts: readonly string[]): Candidate | undefined {
  if (facts.length > 8) return seen.get(facts.join('\n')) ?? seen.get('');
  for (let mask = 0; mask < 1 << facts.length; mask++) {
    const subset = facts.filter((_, index) => (mask >> index) & 1);
    if (!widths.has(subset.length)) continue;
    const found = seen.get(subset.join('\n'));
    if (found !== undefined) return found;
  }
  return undefined;
}

function reportUnreachable(
  routes: readonly RouteSource[],
  reachable: ReadonlySet<Candidate>,
  shadows: ReadonlyMap<Candidate, Candidate>,
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
