/** Routes: which requests they take (for the route compiler) and what happens to these (for the plan). */
import { DEFAULT_RESPONSE_HEAD_SECONDS } from '../../../assembly/abi.ts';
import type { RetryPlan, RouteAction, WeightedBackend } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { MatchSource, RouteSource, ValueMatch } from '../sources.ts';
import { shown } from '../spelling.ts';
import { readPercent } from './backend.ts';
import { readFilters } from './filter.ts';
import { readHostname } from './hostname.ts';
import { parseDuration } from './quantity.ts';
import { backendIndex, type Reading } from './reading.ts';
import type { Match, Route } from './schema.ts';

/** Methods whose requests have no body to hold, so that a try can always be made again. */
const BODYLESS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export function readRoute(source: Route, index: number, reading: Reading): { route: RouteSource; action: RouteAction } {
  const path = ['routes', index];
  const matches = (source.matches ?? [{}]).map((match, at) =>
    readMatch(match, source.matches === undefined ? path : [...path, 'matches', at], reading),
  );
  return {
    route: {
      path,
      name: source.name ?? `route-${index + 1}`,
      hostnames: readHostnames(source, path, reading),
      matches,
    },
    action: readAction(source, path, matches, reading),
  };
}

/** SPEC: Gateway API: the hosts of a route are those it has in common with its listener; none in common, no route. */
function readHostnames(source: Route, path: DocumentPath, reading: Reading): readonly string[] {
  if (source.hostnames === undefined) return reading.hostnames;
  const { reporter } = reading;
  const common: (readonly string[])[] = [];
  const outside: number[] = [];
  let faulty = false;
  source.hostnames.forEach((text, index) => {
    const name = readHostname(text, true, [...path, 'hostnames', index], reporter);
    const hosts = name === null ? [] : reading.intersection.with(name);
    if (name === null) faulty = true;
    else if (hosts.length === 0) outside.push(index);
    else common.push(hosts);
  });
  const none = common.length === 0 && !faulty;
  for (const index of outside) {
    reporter.report(
      none ? 'error' : 'warning',
      [...path, 'hostnames', index],
      'hostname-outside',
      `\`${shown(source.hostnames[index]!)}\` is not a host of this app`,
      {
        cause: `\`hostnames\` of the app: ${reading.hostnames.slice(0, 8).join(', ')}${reading.hostnames.length > 8 ? ' …' : ''}`,
        fix: none ? 'add it to the `hostnames` of the app' : 'add it to the `hostnames` of the app, or remove it here',
      },
    );
  }
  return common.length === 1 ? common[0]! : reading.intersection.shared([...new Set(common.flat())]);
}

function readMatch(source: Match, path: DocumentPath, reading: Reading): MatchSource {
  const pathMatch = { type: source.path?.type ?? 'PathPrefix', value: source.path?.value ?? '/' } as const;
  if (pathMatch.type !== 'RegularExpression') checkPath(pathMatch.value, [...path, 'path', 'value'], reading);
  return {
    path,
    pathMatch,
    method: source.method ?? null,
    headers: readConditions(source.headers, 'headers', path, reading),
    queryParams: readConditions(source.queryParams, 'queryParams', path, reading),
  };
}

const NONE: readonly ValueMatch[] = [];

function readConditions(
  source: readonly ValueMatch[] | undefined,
  field: 'headers' | 'queryParams',
  path: DocumentPath,
  { reporter }: Reading,
): readonly ValueMatch[] {
  if (source === undefined || source.length === 0) return NONE;
  const seen = new Set<string>();
  return source.map((condition, index) => {
    const at = [...path, field, index, 'name'];
    const name = field === 'headers' ? condition.name.toLowerCase() : condition.name;
    if (field === 'headers' && !/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) {
      reporter.report('error', at, 'bad-format', `\`${shown(condition.name)}\` is not a header name`, {
        fix: 'use letters, digits and -',
      });
    }
    // SPEC: Gateway API: of entries with equal names only the first counts. That is never what was meant.
    if (seen.has(name)) {
      reporter.report(
        'error',
        at,
        'duplicate-condition',
        `\`${shown(condition.name)}\` is asked for twice in one match`,
        { cause: 'the conditions of a match all have to hold', fix: 'write a second entry under `matches` for "or"' },
      );
    }
    seen.add(name);
    return { name, type: condition.type, value: condition.value };
  });
}

/** The route compiler makes literal paths canonical, as requests are; this finds what could then still never match. */
function checkPath(value: string, path: DocumentPath, { reporter }: Reading): void {
  // PERF: nearly every path of a large policy is one of these.
  if (/^(?:\/[A-Za-z0-9_~%-]+)*\/?$/.test(value) && value.startsWith('/')) return;
  const report = (cause: string, fix?: string) =>
    reporter.report('error', path, 'bad-path', `\`${shown(value)}\` never matches`, {
      cause,
      ...(fix !== undefined && { fix }),
    });
  if (!value.startsWith('/')) return report('a path begins with /', `write \`/${shown(value)}\``);
  if (/[?#]/.test(value)) return report('a path ends before `?` and `#`', 'match parameters by `queryParams`');
  if (/[\u0000-\u001f\u007f]/.test(value)) return report('a path holds no control characters');
  if (/\/\.\.?(?:\/|$)/.test(value))
    return report('`.` and `..` are resolved before routes are matched', 'write the path that they lead to');
  if (value.includes('//'))
    return report(
      'an empty segment is a mistake more often than not',
      `write \`${shown(value.replaceAll(/\/{2,}/g, '/'))}\`, or use RegularExpression`,
    );
}

function readAction(source: Route, path: DocumentPath, matches: readonly MatchSource[], reading: Reading): RouteAction {
  const { reporter } = reading;
  const prefixes = matches.every((match) => match.pathMatch.type === 'PathPrefix');
  const { filters, cors, answer } = readFilters(source.filters ?? [], [...path, 'filters'], prefixes, false, reading);
  const backends = readBackends(source, path, prefixes, reading);

  if (answer !== null) {
    for (const field of ['backend', 'backends'] as const) {
      if (source[field] === undefined || source[field].length === 0) continue;
      reporter.report(
        'error',
        [...path, field],
        'conflict',
        `\`${answer.kind}\` answers by itself: no backend can stand beside it`,
        { at: 'key', fix: `remove \`${field}\` or the filter` },
      );
    }
    for (const field of ['retry', 'timeouts'] as const) {
      if (source[field] !== undefined)
        reporter.report(
          'warning',
          [...path, field],
          'no-effect',
          `\`${field}\` has no effect beside \`${answer.kind}\``,
          { at: 'key', fix: 'remove it' },
        );
    }
  } else if (backends.length === 0 && source.mcp?.servers === undefined) {
    // SPEC: Gateway API, HTTPRouteRule.backendRefs: none and no filter that answers: 500.
    reporter.report(
      'warning',
      path,
      'no-backend',
      `\`${source.name ?? `route-${Number(path[1]) + 1}`}\` has no backend: its requests are answered 500`,
      { fix: 'add `backend: NAME`, a redirect or a direct response' },
    );
  } else if (backends.length > 0 && backends.every(({ weight }) => weight === 0)) {
    reporter.report('warning', [...path, 'backends'], 'zero-weights', 'every weight is 0: requests are answered 500', {
      at: 'key',
      fix: 'give one of the backends a weight',
    });
  }

  const { request, backendRequest } = source.timeouts ?? {};
  const timeouts = {
    request: parseDuration(request ?? '0s')!,
    backendRequest: parseDuration(backendRequest ?? '0s')!,
    // SPEC: Gateway API, HTTPRouteTimeouts: 0s disables a timeout; what holds without any is ours to say.
    responseHead: request === undefined && backendRequest === undefined ? DEFAULT_RESPONSE_HEAD_SECONDS * 1000 : 0,
  };
  if (timeouts.request > 0 && timeouts.backendRequest > timeouts.request) {
    reporter.report(
      'error',
      [...path, 'timeouts', 'backendRequest'],
      'timeouts',
      '`backendRequest` is longer than `request`',
      {
        cause: 'a try cannot outlast the request that it is part of',
        fix: `write at most ${request}`,
      },
    );
  }
  const retry = readRetry(source, path, matches, reading);
  // policy.ts numbers them
  const numbers = { waf: -1, content: -1, mcp: -1, a2a: -1, llm: -1 };
  return { filters, backends, timeouts, retry, cors, ...numbers, robots: 'off' };
}

function readBackends(source: Route, path: DocumentPath, prefixes: boolean, reading: Reading): WeightedBackend[] {
  const { reporter } = reading;
  if (source.backend !== undefined) {
    if (source.backends !== undefined)
      reporter.report('error', [...path, 'backend'], 'conflict', 'a route has `backend` or `backends`, not both', {
        at: 'key',
        fix: 'move it into `backends`',
      });
    return [{ backend: backendIndex(reading, source.backend, [...path, 'backend']), weight: 1, filters: [] }];
  }
  return (source.backends ?? []).map((entry, index) => {
    const at = [...path, 'backends', index];
    const missing = entry.allowMissing && !reading.backends.has(entry.backend);
    if (missing) {
      reporter.report(
        'warning',
        [...at, 'backend'],
        'missing-backend',
        `there is no backend \`${shown(entry.backend)}\`: its share of the requests is answered 500`,
        { cause: '`allowMissing` allows that' },
      );
    }
    const { filters } = readFilters(entry.filters ?? [], [...at, 'filters'], prefixes, true, reading);
    return {
      backend: missing ? -1 : backendIndex(reading, entry.backend, [...at, 'backend']),
      weight: entry.weight,
      filters,
    };
  });
}

function readRetry(
  source: Route,
  path: DocumentPath,
  matches: readonly MatchSource[],
  reading: Reading,
): RetryPlan | null {
  const { retry } = source;
  if (retry === undefined) return null;
  const at = [...path, 'retry'];
  const { reporter } = reading;
  const backoff = parseDuration(retry.backoff)!;
  const backoffMax = parseDuration(retry.maxBackoff)!;
  if (backoffMax < backoff)
    reporter.report('error', [...at, 'backoff'], 'backoff', '`backoff` is longer than `maxBackoff`', {
      cause: `maxBackoff: ${retry.maxBackoff}`,
      fix: 'raise `maxBackoff`',
    });
  if (
    retry.attempts > 0 &&
    reading.over !== 'reject' &&
    !matches.every(({ method }) => method !== null && BODYLESS.has(method))
  ) {
    reporter.report('warning', at, 'not-replayable', 'a request with a body over `body.limit` is tried once', {
      at: 'key',
      cause: `\`body.over: ${reading.over}\` streams such a body: what has been sent cannot be sent again`,
      fix: 'write `body: { over: reject }`, or match methods without a body',
    });
  }
  return {
    codes: [...new Set(retry.codes)],
    attempts: retry.attempts,
    backoff,
    backoffMax,
    budget: readPercent(retry.budget, [...at, 'budget'], reading),
    budgetMin: retry.minRetryRate,
  };
}
