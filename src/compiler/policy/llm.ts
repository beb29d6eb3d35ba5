/** `llm:` of a route, for the plan: names are resolved, and what could never act is reported. */
import { MAX_RATE_SECONDS } from '../../../assembly/abi.ts';
import { matchesPattern } from '../../agents/name-pattern.ts';
import type { Filter, LlmBudgetPlan, LlmFailoverPlan, LlmPlan, RouteAction, WeightedBackend } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import { shown } from '../spelling.ts';
import { readBodyLimit } from './body-limit.ts';
import type { LlmFields } from './llm-schema.ts';
import { parseDuration } from './quantity.ts';
import { backendIndex, type Reading } from './reading.ts';

/** `path`: of the route; `route` names it in logs. Null: off. */
export function readLlm(
  fields: LlmFields,
  routePath: DocumentPath,
  route: string,
  { backends, filters }: Pick<RouteAction, 'backends' | 'filters'>,
  reading: Reading,
): LlmPlan | null {
  const { reporter } = reading;
  const path = [...routePath, 'llm'];
  const models = (fields.models ?? []).map(({ match, backend, rewrite }, index) => {
    const at = [...path, 'models', index];
    const earlier = fields.models!.findIndex((one, place) => place < index && covers(one.match, match));
    if (earlier >= 0)
      reporter.report('warning', [...at, 'match'], 'unreachable-model', `\`${shown(match)}\` never holds`, {
        cause: `\`${shown(fields.models![earlier]!.match)}\`, which stands before it, matches all of it`,
        fix: 'put it first, or remove it',
      });
    return {
      match,
      backend: backend === undefined ? -1 : backendIndex(reading, backend, [...at, 'backend']),
      rewrite: rewrite ?? '',
    };
  });
  const failover = readFailover(fields, path, backends, reading);
  const firstByte = parseDuration(fields.firstByte)!;
  const keys = Object.entries(fields.keys ?? {}).map(([backend, { secret }]) => {
    reading.secrets.add(secret);
    return { backend: backendIndex(reading, backend, [...path, 'keys', backend]), secret };
  });
  const limit = readBodyLimit(fields.bodyLimit, path, reporter);
  const budgets = (fields.budgets ?? []).map((budget, index) =>
    readBudget(budget, [...path, 'budgets', index], index === 0 ? route : `${route} ${index + 1}`, reading),
  );
  if (fields.mode === 'off') return null;
  const asked = new Set([...backends, ...models, ...failover].map(({ backend }) => backend).filter((one) => one >= 0));
  const [secret] = filters.flatMap(secretsOf);
  if (secret !== undefined && asked.size > 1)
    reporter.report('warning', [...routePath, 'filters'], 'shared-secret', `every backend gets the secret ${secret}`, {
      at: 'key',
      cause: `filters of a route hold for all of its backends, those of \`models\` and \`failover\` too, which are ${asked.size} here`,
      fix: 'give it to the one that it is for: by `keys`, or by `filters` of an entry of `backends`',
    });
  return {
    ...{ provider: fields.provider, mode: fields.mode, models, limit, failover },
    ...{ failoverCodes: [...new Set(fields.failoverCodes)], firstByte, keys, clientKey: fields.clientKey },
    ...{ others: fields.others, askUsage: fields.usage === 'ask', budgets },
  };
}

/** Secrets that a filter writes into requests. */
function secretsOf(filter: Filter): string[] {
  if (filter.type !== 'requestHeaders') return [];
  const { set, add } = filter.change;
  return [...set, ...add].flatMap(([, value]) => (typeof value === 'string' ? [] : [value.secret]));
}

/** Whether all that the second matches is matched by the first, as far as stars at the ends tell. */
function covers(first: string, second: string): boolean {
  return matchesPattern(first, second);
}

function readFailover(
  fields: LlmFields,
  path: DocumentPath,
  backends: readonly WeightedBackend[],
  reading: Reading,
): LlmFailoverPlan[] {
  const { reporter } = reading;
  const seen = new Set<string>();
  return (fields.failover ?? []).map((entry, index) => {
    const at = [...path, 'failover', index];
    const { backend, rewrite = '' } = typeof entry === 'string' ? { backend: entry } : entry;
    const place = typeof entry === 'string' ? at : [...at, 'backend'];
    const found = backendIndex(reading, backend, place);
    if (seen.has(backend))
      reporter.report('warning', place, 'duplicate-name', `\`${shown(backend)}\` is asked twice`, {
        fix: 'remove one of the two, or use `retry`',
      });
    seen.add(backend);
    if (
      found >= 0 &&
      fields.models === undefined &&
      backends.length > 0 &&
      backends.every((one) => one.backend === found)
    )
      reporter.report('warning', place, 'no-effect', `\`${shown(backend)}\` is where requests go at first`, {
        fix: 'name another backend, or use `retry`',
      });
    return { backend: found, rewrite };
  });
}

type BudgetFields = NonNullable<LlmFields['budgets']>[number];

const UNITS: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9 };

function readBudget(fields: BudgetFields, path: DocumentPath, name: string, { reporter }: Reading): LlmBudgetPlan {
  const { tokens: given } = fields;
  const tokens = typeof given === 'number' ? given : Math.round(Number(given.slice(0, -1)) * UNITS[given.at(-1)!]!);
  if (tokens < 1 || tokens > 1e12)
    reporter.report('error', [...path, 'tokens'], 'out-of-range', '`tokens` must be at least 1 and at most 1000G');
  const milliseconds = parseDuration(fields.per)!;
  if (milliseconds < 1000 || milliseconds > MAX_RATE_SECONDS * 1000 || milliseconds % 1000 !== 0)
    reporter.report('error', [...path, 'per'], 'out-of-range', '`per` must be whole seconds, from 1s to 744h', {
      fix: 'write it as `1m`, `1h` or `24h`',
    });
  const by = fields.by.map((key) => (key.includes('.') ? key : `header:${key.toLowerCase()}`));
  return {
    name: fields.name ?? name,
    tokens,
    windowSeconds: Math.floor(milliseconds / 1000),
    by,
    onError: fields.onError,
  };
}
