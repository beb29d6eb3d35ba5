/** HTTPRoute matching written as its standard reads, with no regard for speed: what the engine is held against. */
import { canonicalPath } from '../../src/compiler/path.ts';
import type { MatchSource, RouteSource, ValueMatch } from '../../src/compiler/sources.ts';

export interface PlainRequest {
  readonly host: string;
  readonly path: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly query: readonly (readonly [string, string])[]; // decoded
}

export interface Found {
  readonly route: number;
  readonly match: number;
  readonly prefixLength: number;
}

export function referenceRoute(routes: readonly RouteSource[], request: PlainRequest): Found {
  const host = request.host.toLowerCase();
  const path = canonicalPath(request.path);
  const names = [...new Set(routes.flatMap((route) => route.hostnames))]
    .filter(
      (name) =>
        name === '*' ||
        name === host ||
        (name.startsWith('*.') && host.length > name.length - 1 && host.endsWith(name.slice(1))),
    )
    .sort((a, b) => specificity(b) - specificity(a));
  for (const name of names) {
    const found: { rank: number[]; result: Found }[] = [];
    for (const [route, { hostnames, matches }] of routes.entries()) {
      if (!hostnames.includes(name)) continue;
      for (const [match, source] of matches.entries()) {
        if (!matchesRequest(source, path, request)) continue;
        const { type, value } = source.pathMatch;
        const prefix = canonicalPath(value).replace(/\/$/, '');
        const kind = { Exact: 2, RegularExpression: 1, PathPrefix: 0 }[type];
        const length = type === 'PathPrefix' ? prefix.length : 0;
        const rank = [
          -kind,
          -length,
          source.method === null ? 1 : 0,
          -distinct(source.headers).length,
          -distinct(source.queryParams).length,
          route,
          match,
        ];
        found.push({ rank, result: { route, match, prefixLength: length } });
      }
    }
    found.sort((a, b) => {
      const at = a.rank.findIndex((value, index) => value !== b.rank[index]);
      return at < 0 ? 0 : a.rank[at]! - b.rank[at]!;
    });
    if (found.length > 0) return found[0]!.result;
  }
  return { route: -1, match: -1, prefixLength: 0 };
}

/** Exact names before wildcards, longer wildcards before shorter ones, `*` last. */
function specificity(name: string): number {
  return name === '*' ? 0 : name.startsWith('*.') ? name.length : 1000;
}

function distinct(items: readonly ValueMatch[]): ValueMatch[] {
  return items.filter((item, index) => items.findIndex(({ name }) => name === item.name) === index);
}

function matchesRequest(match: MatchSource, path: string, request: PlainRequest): boolean {
  const { type, value } = match.pathMatch;
  if (type === 'Exact' && canonicalPath(value) !== path) return false;
  if (type === 'RegularExpression' && !whole(value, path)) return false;
  if (type === 'PathPrefix') {
    const prefix = canonicalPath(value).replace(/\/$/, '').split('/');
    const elements = path.split('/');
    if (!prefix.every((element, index) => element === elements[index])) return false;
  }
  if (match.method !== null && match.method !== request.method) return false;
  const holds = (items: readonly ValueMatch[], pairs: PlainRequest['headers']): boolean =>
    distinct(items).every(({ name, type, value }) => {
      const pair = pairs.find(([key]) => key === name);
      return pair !== undefined && (type === 'Exact' ? pair[1] === value : whole(value, pair[1]));
    });
  return holds(match.headers, request.headers) && holds(match.queryParams, request.query);
}

function whole(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`, 'su').test(text);
}
