/** `robots:` and `llms:` of an app: the managed part of robots.txt as text and as data, and texts at fixed paths. */
import type { DocumentPlan, RobotsPlan, SitePlan } from '../../plan.ts';
import { AGENT_CATEGORIES } from '../agents/category.ts';
import { AGENT_TABLE } from '../agents/table.ts';
import { PRODUCT_TOKENS, tokensOf } from '../agents/tokens.ts';
import type { RouteSource } from '../sources.ts';
import type { DocumentPath } from '../diagnostics.ts';
import { nearest, shown } from '../spelling.ts';
import { checkUsage, readSignal, readUsage } from './content.ts';
import { backendIndex, type Reading } from './reading.ts';
import { MAX_DOCUMENT, type LlmsFields, type RobotsFields } from './robots-schema.ts';
import type { ReadRule } from './rule.ts';
import type { RouteAction } from '../../plan.ts';
import type { AgentsPolicy } from './schema.ts';

const SECTIONS = new Set(['groups', 'signal', 'usage', 'license', 'sitemaps']);
const KNOWN = new Set<string>([...AGENT_CATEGORIES, ...AGENT_TABLE.flatMap(([name, , operator]) => [name, operator])]);

/** Everybody may read robots.txt: who is kept from it takes that for leave to have all (RFC 9309 section 2.3.1.3). */
export function exceptRobots(rules: readonly ReadRule[]): ReadRule[] {
  return rules.map((rule) => ({
    ...rule,
    source: { ...rule.source, when: `http.request.uri.path != "/robots.txt" and (${rule.source.when})` },
  }));
}

interface Routed {
  readonly route: RouteSource;
  readonly action: RouteAction;
}

interface SiteFields {
  readonly robots?: RobotsFields | undefined;
  readonly llms?: LlmsFields | undefined;
  readonly agents?: AgentsPolicy | undefined;
}

export function readSite(
  { robots, llms, agents }: SiteFields,
  routes: readonly Routed[],
  reading: Reading,
): SitePlan | null {
  const documents: DocumentPlan[] = [];
  for (const [field, path] of [
    ['text', '/llms.txt'],
    ['full', '/llms-full.txt'],
  ] as const) {
    const given = llms?.[field];
    const body = typeof given === 'object' ? readText(given.file, ['llms', field, 'file'], reading) : given;
    if (body !== undefined) documents.push({ path, type: 'text/markdown; charset=utf-8', body });
  }
  const plan = robots === undefined ? null : readRobots(robots, agents, routes, reading);
  return plan === null && documents.length === 0 ? null : { robots: plan, documents };
}

/** Undefined after reporting that it can not be had. */
function readText(file: string, path: DocumentPath, { reporter, text }: Reading): string | undefined {
  const found = text(file);
  if (typeof found === 'string' && found !== '' && found.length <= MAX_DOCUMENT) return found;
  const { problem, fix } =
    typeof found === 'object'
      ? found
      : {
          problem: `\`${shown(file)}\` is ${found === '' ? 'empty' : 'too long'}`,
          fix: `write 1 to ${MAX_DOCUMENT} characters`,
        };
  reporter.report('error', path, 'missing-file', problem, { fix });
  return undefined;
}

function readRobots(
  { managed, origin, backend }: RobotsFields,
  agents: AgentsPolicy | undefined,
  routes: readonly Routed[],
  reading: Reading,
): RobotsPlan {
  const refused = managed === undefined ? [] : refusedTokens(managed, agents, reading);
  const groups: { agents: string[]; lines: string[]; rules: { allow: boolean; path: string }[] }[] = [];
  for (const [index, { agents, allow = [], disallow = [], signal, usage }] of (managed?.groups ?? []).entries()) {
    checkUsage(usage, ['robots', 'managed', 'groups', index, 'usage'], reading.reporter);
    for (const [at, token] of agents.entries())
      if (refused.includes(token))
        reading.reporter.report(
          'warning',
          ['robots', 'managed', 'groups', index, 'agents', at],
          'no-effect',
          `\`${token}\` has nothing allowed: these rules are not for it`,
          { cause: '`managed` disallows it, or `agents` blocks it' },
        );
    const rules = [
      ...allow.map((path) => ({ allow: true, path })),
      ...disallow.map((path) => ({ allow: false, path })),
    ];
    const named = agents.filter((token) => !refused.includes(token));
    if (named.length > 0) groups.push({ agents: named, lines: preferences(signal, usage), rules });
  }
  const { signal, usage, license, sitemaps = [] } = managed ?? {};
  checkUsage(usage, ['robots', 'managed', 'usage'], reading.reporter);
  const everybody = preferences(signal, usage);
  if (everybody.length > 0) {
    const group = groups.find(({ agents }) => agents.includes('*'));
    if (group === undefined) groups.push({ agents: ['*'], lines: everybody, rules: [] });
    else group.lines.unshift(...everybody);
  }
  if (refused.length > 0) groups.push({ agents: refused, lines: [], rules: [{ allow: false, path: '/' }] });

  const head = [
    ...(license === undefined ? [] : [`License: ${license}`]),
    ...sitemaps.map((url) => `Sitemap: ${url}`),
  ].join('\n');
  const texts = groups.map(({ agents, lines, rules }) =>
    [
      ...agents.map((token) => `User-agent: ${token}`),
      ...lines,
      ...rules.map(({ allow, path }) => `${allow ? 'Allow' : 'Disallow'}: ${path}`),
      // A group ends with its rules: without any, the agents of the next one would be of this one too.
      ...(rules.length === 0 ? ['Disallow:'] : []),
    ].join('\n'),
  );
  const text = [head, ...texts].filter((part) => part !== '').join('\n\n');
  return {
    text: text === '' ? '' : `${text}\n`,
    groups: groups.map(({ agents, rules }) => ({
      agents: agents.map((token) => token.toLowerCase()),
      rules: rules.map(({ allow, path }) => ({ allow, path: bytesOf(path) })),
    })),
    refused: refused.map((token) => token.toLowerCase()),
    backend: originBackend(origin, backend, routes, reading),
    tokens: PRODUCT_TOKENS,
  };
}

/** As files are read: one character for each byte. */
const bytesOf = (text: string): string => String.fromCharCode(...new TextEncoder().encode(text));

function preferences(
  ...[signal, usage]: [Parameters<typeof readSignal>[0], Parameters<typeof readUsage>[0]]
): string[] {
  const join = (pairs: readonly (readonly [string, string])[]): string =>
    pairs.map((pair) => pair.join('=')).join(', ');
  const [signals, usages] = [readSignal(signal), readUsage(usage)];
  return [
    ...(signals.length === 0 ? [] : [`Content-Signal: ${join(signals)}`]),
    ...(usages.length === 0 ? [] : [`Content-Usage: ${join(usages)}`]),
  ];
}

/** Tokens of whom nothing is for: what `managed` says goes before what `agents` does, a name before an operator, that before a category. */
function refusedTokens(
  managed: NonNullable<RobotsFields['managed']>,
  agents: AgentsPolicy | undefined,
  { reporter }: Reading,
): string[] {
  const decisions = new Map<string, boolean>();
  for (const [key, action] of Object.entries(agents ?? {})) if (KNOWN.has(key)) decisions.set(key, action === 'block');
  for (const [key, action] of Object.entries(managed)) {
    if (SECTIONS.has(key)) continue;
    if (KNOWN.has(key)) {
      decisions.set(key, action === 'disallow');
      continue;
    }
    const near = nearest(key, [...SECTIONS, ...KNOWN]);
    reporter.report(
      'error',
      ['robots', 'managed', key],
      'unknown-agent',
      `no agent, operator or category is called ${shown(key)}`,
      {
        at: 'key',
        fix: near === null ? 'write a group under `groups` that names its product token' : `did you mean \`${near}\`?`,
      },
    );
  }
  return tokensOf(
    (name, operator, category) => decisions.get(name) ?? decisions.get(operator) ?? decisions.get(category) ?? false,
  );
}

/** Index of the backend whose robots.txt is the origin's, -1 for none. */
function originBackend(
  origin: 'merge' | 'replace' | undefined,
  name: string | undefined,
  routes: readonly Routed[],
  reading: Reading,
): number {
  const { reporter } = reading;
  if (origin === 'replace') {
    if (name !== undefined)
      reporter.report('warning', ['robots', 'backend'], 'no-effect', '`backend` has no effect with `origin: replace`');
    return -1;
  }
  if (name !== undefined) return backendIndex(reading, name, ['robots', 'backend']);
  const taking = routes
    .map(({ route, action }) => ({ match: route.matches.find(takesRobots), action }))
    .filter(({ match, action }) => match !== undefined && (action.backends[0]?.backend ?? -1) >= 0)
    .sort((a, b) => b.match!.pathMatch.value.length - a.match!.pathMatch.value.length);
  const found = taking[0]?.action.backends[0]?.backend ?? -1;
  if (found < 0 && origin === 'merge')
    reporter.report(
      'error',
      ['robots', 'origin'],
      'no-backend',
      'no route takes /robots.txt to a backend for every request',
      {
        fix: 'name the backend: `robots: { backend: NAME }`, or write `origin: replace`',
      },
    );
  return found;
}

function takesRobots({
  pathMatch: { type, value },
  method,
  headers,
  queryParams,
}: RouteSource['matches'][number]): boolean {
  const path =
    type === 'Exact' ? value === '/robots.txt' : type === 'PathPrefix' && (value === '/' || value === '/robots.txt');
  return path && (method === null || method === 'GET') && headers.length === 0 && queryParams.length === 0;
}
