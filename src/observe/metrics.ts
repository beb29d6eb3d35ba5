/** Counters of this isolate, in Prometheus' text format. Each process has its own: sum them where they are collected. */
import type { Usage } from '../agents/llm/usage.ts';
import type { Exchange } from '../router/exchange.ts';

/** Upper bounds of the duration histogram, milliseconds. */
const BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000];
const UPSTREAM_STATUSES = new Set([408, 499, 500, 502, 503, 504]);

interface AppCounters {
  readonly requests: number[]; // by status class, 0 to 5
  readonly verdicts: Map<string, number>; // phase, action, mode
  readonly durations: number[]; // by bucket, the last is +Inf
  durationSum: number; // ms
  upstreamErrors: Map<number, number>;
  retries: number;
  robotsViolations: number;
  steps: number;
  /** Events by WAF rule; as many as the rule sets have rules. */
  readonly wafRules: Map<number, number>;
  readonly wafRequests: { enforce: number; log: number }; // blocked, or would have been
}

const apps = new Map<string, AppCounters>();

function countersOf(app: string): AppCounters {
  let counters = apps.get(app);
  if (counters === undefined) {
    counters = {
      ...{ requests: [0, 0, 0, 0, 0, 0], verdicts: new Map(), durations: BUCKETS.map(() => 0).concat(0) },
      ...{ durationSum: 0, upstreamErrors: new Map(), retries: 0, robotsViolations: 0, steps: 0 },
      ...{ wafRules: new Map(), wafRequests: { enforce: 0, log: 0 } },
    };
    apps.set(app, counters);
  }
  return counters;
}

/** Counts an exchange that has its answer. Names of apps come from the policy, never from a request. */
export function count(exchange: Exchange, status: number, duration: number): void {
  const counters = countersOf(exchange.plan?.app ?? '');
  const group = Math.min(5, (status / 100) | 0);
  counters.requests[group] = (counters.requests[group] ?? 0) + 1;
  let bucket = 0;
  while (bucket < BUCKETS.length && duration > (BUCKETS[bucket] ?? 0)) bucket++;
  counters.durations[bucket] = (counters.durations[bucket] ?? 0) + 1;
  counters.durationSum += duration;
  counters.steps += exchange.result?.steps ?? 0;
  if (exchange.upstream.attempts > 1) counters.retries += exchange.upstream.attempts - 1;
  if (exchange.agentEvents?.robots === true) counters.robotsViolations++;
  const { waf } = exchange;
  if (waf !== null && waf.matches > 0) {
    for (const { rule } of waf.events) counters.wafRules.set(rule, (counters.wafRules.get(rule) ?? 0) + 1);
    if (waf.blocked) counters.wafRequests[waf.plan.mode]++;
  }
  for (const verdict of exchange.verdicts) {
    const key = `phase="${verdict.phase}",action="${verdict.action}",mode="${verdict.mode}"`;
    counters.verdicts.set(key, (counters.verdicts.get(key) ?? 0) + 1);
    if (verdict.phase === 'upstream' && UPSTREAM_STATUSES.has(verdict.status))
      counters.upstreamErrors.set(verdict.status, (counters.upstreamErrors.get(verdict.status) ?? 0) + 1);
  }
}

/** Counts a message that WAF rules matched; `mode` other than off: it was blocked, or would have been. */
export function countMessage(app: string, rules: readonly number[], mode: 'off' | 'log' | 'enforce'): void {
  const counters = countersOf(app);
  for (const rule of rules) counters.wafRules.set(rule, (counters.wafRules.get(rule) ?? 0) + 1);
  if (mode !== 'off') counters.wafRequests[mode]++;
}

/** By app, provider and backend, all of them names of a policy; models are clients' to name. */
const tokens = new Map<
  string,
  { input: number; output: number; cached: number; reasoning: number; estimated: number }
>();

/** Counts the tokens of an answer of a language model. */
export function countTokens(app: string, provider: string, backend: string, usage: Usage): void {
  const key = `app="${label(app)}",provider="${provider}",backend="${label(backend)}"`;
  let counters = tokens.get(key);
  if (counters === undefined)
    tokens.set(key, (counters = { input: 0, output: 0, cached: 0, reasoning: 0, estimated: 0 }));
  for (const kind of ['input', 'output', 'cached', 'reasoning'] as const) counters[kind] += usage[kind];
  if (usage.estimated) counters.estimated += usage.input + usage.output;
}

/** What else `/metrics` shows, known to other parts. */
export interface Gauges {
  readonly heldBytes: number;
  readonly generation: string;
  readonly generations: number; // swaps so far
  readonly draining: number; // replaced generations still in use
  readonly traps: number; // of the engine
}

/** Prometheus text exposition format 0.0.4. */
export function render(gauges: Gauges): string {
  const out: string[] = [];
  const family = (name: string, type: string, help: string, lines: () => void): void => {
    out.push(`# HELP sallyport_${name} ${help}`, `# TYPE sallyport_${name} ${type}`);
    lines();
  };
  const line = (name: string, labels: string, value: number): void => {
    out.push(`sallyport_${name}${labels === '' ? '' : `{${labels}}`} ${value}`);
  };
  family('requests_total', 'counter', 'Requests answered, by app and status class.', () => {
    for (const [app, c] of apps)
      c.requests.forEach((n, group) => n > 0 && line('requests_total', `app="${label(app)}",status="${group}xx"`, n));
  });
  family('request_duration_seconds', 'histogram', 'Time until the head of the answer was there.', () => {
    for (const [app, c] of apps) {
      let total = 0;
      c.durations.forEach((n, i) => {
        total += n;
        const bound = BUCKETS[i];
        line(
          'request_duration_seconds_bucket',
          `app="${label(app)}",le="${bound === undefined ? '+Inf' : bound / 1000}"`,
          total,
        );
      });
      line('request_duration_seconds_sum', `app="${label(app)}"`, c.durationSum / 1000);
      line('request_duration_seconds_count', `app="${label(app)}"`, total);
    }
  });
  family('verdicts_total', 'counter', 'Decisions, by phase, action and mode.', () => {
    for (const [app, c] of apps)
      for (const [key, n] of c.verdicts) line('verdicts_total', `app="${label(app)}",${key}`, n);
  });
  family('upstream_errors_total', 'counter', 'Answers made because no origin gave one.', () => {
    for (const [app, c] of apps)
      for (const [status, n] of c.upstreamErrors)
        line('upstream_errors_total', `app="${label(app)}",status="${status}"`, n);
  });
  family('upstream_retries_total', 'counter', 'Tries after the first one.', () => {
    for (const [app, c] of apps) line('upstream_retries_total', `app="${label(app)}"`, c.retries);
  });
  family('robots_violations_total', 'counter', 'Requests that robots.txt disallows for their agent.', () => {
    for (const [app, c] of apps)
      if (c.robotsViolations > 0) line('robots_violations_total', `app="${label(app)}"`, c.robotsViolations);
  });
  family('engine_steps_total', 'counter', 'Steps of the head calls of the engine.', () => {
    for (const [app, c] of apps) line('engine_steps_total', `app="${label(app)}"`, c.steps);
  });
  family('waf_rule_matches_total', 'counter', 'Values that a WAF rule matched, by rule.', () => {
    for (const [app, c] of apps)
      for (const [rule, n] of c.wafRules) line('waf_rule_matches_total', `app="${label(app)}",rule="${rule}"`, n);
  });
  family(
    'waf_blocked_total',
    'counter',
    'Requests, answers and messages that the WAF blocked, or would have in mode enforce.',
    () => {
      for (const [app, c] of apps)
        for (const mode of ['enforce', 'log'] as const)
          if (c.wafRequests[mode] > 0)
            line('waf_blocked_total', `app="${label(app)}",mode="${mode}"`, c.wafRequests[mode]);
    },
  );
  family(
    'llm_tokens_total',
    'counter',
    'Tokens of language models; cached are among input, reasoning among output, estimated among both.',
    () => {
      for (const [key, counters] of tokens)
        for (const [kind, n] of Object.entries(counters)) line('llm_tokens_total', `${key},kind="${kind}"`, n);
    },
  );
  family('held_body_bytes', 'gauge', 'Bytes of request bodies held now.', () =>
    line('held_body_bytes', '', gauges.heldBytes),
  );
  family('generation_info', 'gauge', 'The generation that serves now.', () =>
    line('generation_info', `generation="${label(gauges.generation)}"`, 1),
  );
  family('generation_swaps_total', 'counter', 'Generations loaded.', () =>
    line('generation_swaps_total', '', gauges.generations),
  );
  family('generations_draining', 'gauge', 'Replaced generations still in use.', () =>
    line('generations_draining', '', gauges.draining),
  );
  family('engine_traps_total', 'counter', 'Failures of the engine; each refused one request.', () =>
    line('engine_traps_total', '', gauges.traps),
  );
  return out.join('\n') + '\n';
}

function label(text: string): string {
  return text.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : '\\' + c));
}
