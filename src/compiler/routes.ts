/** Routes to the tables of assembly/route.ts: sorted by the precedence of Gateway API's HTTPRoute, then hashed. */
import {
  CANDIDATE_BYTES,
  MAX_CANDIDATES,
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
  SECTION_ROUTE_SETS,
} from '../../assembly/abi.ts';
import type { Reporter } from './diagnostics.ts';
import { groupHosts, hostTable, type HostGroups } from './hosts.ts';
import { ByteWriter, directory, finishHash, hashBytes, runningHash, type Pools } from './image.ts';
import { canonicalPath } from './path.ts';
import { markShadowed, reportUnreachable, type MatchedRoute } from './reachability.ts';
import { compileRegexSet, RegexError } from './regex/index.ts';
import type { MatchSource, RouteSource, ValueMatch } from './sources.ts';

const encoder = new TextEncoder();

/** Regular expressions on routes match the whole value, as Envoy's do, in UTF-8. */
const REGEX = { anchored: true, unicode: true } as const;
/** PERF: from about here on one run of shared automata is cheaper than a run of each. */
const MAX_SINGLE_REGEXES = 8;

/** A match and what it compiled to. */
interface Candidate extends MatchedRoute {
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
  const groups = groupHosts(routes.map(({ hostnames }) => hostnames));
  checkSize(routes, groups);
  const exact = new Map<string, Bucket>();
  const prefix = new Map<string, Bucket>();
  const regex = new Map<number, Bucket>();
  const predicates = new ByteWriter();
  const known = new Map<string, readonly [first: number, count: number]>();

  for (const [route, source] of routes.entries()) {
    for (const [match, matchSource] of source.matches.entries()) {
      const candidate = compileMatch(route, match, matchSource, { pools, reporter, predicates, known });
      if (candidate === undefined) continue;
      for (const group of groups.of(source.hostnames)) {
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
  const sets = new RegexSets(pools, reporter);
  const write = (bucket: Bucket): RegexSpan & { first: number; count: number } => {
    const sorted = sortBucket(bucket.candidates);
    const first = count;
    markShadowed(sorted, reachable, shadows);
    const regexes = sets.add(sorted.filter(({ source }) => source.pathMatch.type === 'RegularExpression'));
    for (const candidate of sorted) {
      const { route, match, firstPredicate, predicates, source } = candidate;
      const { index, pattern } = regexes.of(source.pathMatch.value);
      candidates.u32(route).u32(match).u32(firstPredicate).u32(predicates).u32(index).u32(pattern);
    }
    count += sorted.length;
    return { first, count: sorted.length, firstSet: regexes.firstSet, sets: regexes.sets };
  };
  const groupWords = new ByteWriter();
  for (let group = 0; group < groups.count; group++) {
    const entry = regex.get(group);
    const span = entry === undefined ? { first: 0, count: 0, firstSet: 0, sets: 0 } : write(entry);
    groupWords.u32(span.first).u32(span.count).u32(span.firstSet).u32(span.sets);
  }
  const paths = [...exact.values(), ...prefix.values()];
  const table = pathTable(
    paths.map((bucket) => ({ bucket, span: write(bucket) })),
    pools,
  );
  reportUnreachable(routes, reachable, shadows, reporter);
  if (groups.count === 0) return { sections: [] };

  let depth = 0;
  for (const { path } of prefix.values()) depth = Math.max(depth, path.split('/').length - 1);
  const kinds =
    (exact.size > 0 ? ROUTES_EXACT : 0) | (prefix.size > 0 ? ROUTES_PREFIX : 0) | (regex.size > 0 ? ROUTES_REGEX : 0);
  const section = new ByteWriter(ROUTES_HEADER_BYTES + table.bytes.length + count * CANDIDATE_BYTES)
    .u32(routes.length)
    .u32(groups.count)
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
      [SECTION_HOSTS, hostTable(groups.names, pools.strings)],
      [SECTION_ROUTES, section.finish()],
      [SECTION_PREDICATES, predicates.finish()],
      [SECTION_ROUTE_SETS, sets.bytes()],
    ],
  };
}

/** Throws RangeError before the tables are made: a few lines can ask for more than fits any image. */
function checkSize(routes: readonly RouteSource[], groups: HostGroups): void {
  let candidates = 0;
  for (const { matches, hostnames } of routes) candidates += matches.length * groups.of(hostnames).length;
  if (candidates > MAX_CANDIDATES) {
    throw new RangeError(
      `routes have ${candidates} combinations of a match and a group of hosts, the limit is ${MAX_CANDIDATES}`,
    );
  }
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
      reportRegex(error, path, reporter);
      return -1;
    }
  };
  const headers = distinct(source.headers, [...source.path, 'headers'], 'header', reporter);
  const queryParams = distinct(source.queryParams, [...source.path, 'queryParams'], 'query parameter', reporter);
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

function reportRegex(error: RegexError, path: readonly (string | number)[], reporter: Reporter): void {
  const { message, offset, length, fix } = error;
  reporter.report('error', path, 'regex', message, { offset, length, ...(fix === undefined ? {} : { fix }) });
}

interface RegexSpan {
  readonly firstSet: number;
  readonly sets: number;
}

/** SECTION_ROUTE_SETS: regular expressions of one host group that run together; few of them stay programs of their own. */
class RegexSets {
  readonly #programs: Uint8Array[] = [];
  readonly #known = new Map<string, RegexSpan>();
  readonly #pools: Pools;
  readonly #reporter: Reporter;

  constructor(pools: Pools, reporter: Reporter) {
    this.#pools = pools;
    this.#reporter = reporter;
  }

  /** Compiles what the candidates of one bucket match; `of` says where a pattern went. */
  add(candidates: readonly Candidate[]): RegexSpan & { of(pattern: string): { index: number; pattern: number } } {
    const patterns = [...new Set(candidates.map(({ source }) => source.pathMatch.value))];
    const ids = new Map(patterns.map((pattern, id) => [pattern, id]));
    if (patterns.length > MAX_SINGLE_REGEXES) {
      const span = this.#set(patterns);
      if (span !== undefined) return { ...span, of: (pattern) => ({ index: -1, pattern: ids.get(pattern)! }) };
    }
    const indices = new Map<string, number>();
    for (const { source } of candidates) {
      const { value } = source.pathMatch;
      if (indices.has(value)) continue;
      try {
        indices.set(value, this.#pools.regexes.add(value, REGEX));
      } catch (error) {
        if (!(error instanceof RegexError)) throw error;
        indices.set(value, -1);
        reportRegex(error, [...source.path, 'path', 'value'], this.#reporter);
      }
    }
    return { firstSet: 0, sets: 0, of: (pattern) => ({ index: indices.get(pattern) ?? -1, pattern: 0 }) };
  }

  /** Undefined when one of the patterns is refused: compiled by itself, it is reported in its place. */
  #set(patterns: readonly string[]): RegexSpan | undefined {
    const key = JSON.stringify(patterns);
    let span = this.#known.get(key);
    if (span !== undefined) return span;
    try {
      const programs = compileRegexSet(patterns, REGEX, this.#pools.effort);
      span = { firstSet: this.#programs.length, sets: programs.length };
      this.#programs.push(...programs);
      this.#known.set(key, span);
      return span;
    } catch (error) {
      if (!(error instanceof RegexError)) throw error;
      return undefined;
    }
  }

  bytes(): Uint8Array {
    return directory(this.#programs);
  }
}

function pathTable(
  entries: readonly { bucket: Bucket; span: { first: number; count: number } }[],
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
    words.set([hash, bucket.key, at, length, span.first, span.count], slot * 6);
  }
  const writer = new ByteWriter(words.length * 4);
  for (const word of words) writer.u32(word);
  return { bytes: writer.finish(), slots, longest };
}
