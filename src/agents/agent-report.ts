/**
 * What agents did, by day: a Durable Object, so that the counts of all isolates and processes come together, in shards, so
 * that none is written to by all. Isolates send what they gathered, at most once a second each.
 */
import type { ObjectNamespace, ObjectStorage } from '../durable-object.ts';
import {
  addTally,
  emptyTally,
  gather,
  OTHER,
  otherOf,
  tallyKey,
  type AgentName,
  type AgentTally,
} from './agent-tally.ts';
import {
  MAX_LISTED_AGENTS,
  MAX_REPORT_AGENTS,
  MAX_REPORT_BYTES,
  MAX_REPORT_REFUSALS,
  REPORT_DAYS,
  REPORT_SHARDS,
} from './report-limits.ts';

const DAY_MS = 86_400_000;

const TABLES = [
  `CREATE TABLE IF NOT EXISTS visit (day INTEGER NOT NULL, app TEXT NOT NULL, agent TEXT NOT NULL, identity TEXT NOT NULL,
    operator TEXT NOT NULL, category TEXT NOT NULL, requests INTEGER NOT NULL, violations INTEGER NOT NULL,
    refused INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, estimated INTEGER NOT NULL,
    PRIMARY KEY (day, app, agent, identity)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS refusal (day INTEGER NOT NULL, app TEXT NOT NULL, agent TEXT NOT NULL, identity TEXT NOT NULL,
    phase TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, requests INTEGER NOT NULL,
    PRIMARY KEY (day, app, agent, identity, phase, rule, reason)) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS charge (day INTEGER NOT NULL, app TEXT NOT NULL, agent TEXT NOT NULL, identity TEXT NOT NULL,
    currency TEXT NOT NULL, millionths INTEGER NOT NULL, requests INTEGER NOT NULL,
    PRIMARY KEY (day, app, agent, identity, currency)) WITHOUT ROWID`,
];

/** What a report says. Days are days of UTC, as `2026-11-21`. */
export interface AgentsReport {
  readonly since: string;
  readonly until: string;
  readonly agents: readonly AgentTally[];
}

export class AgentReport {
  readonly #storage: ObjectStorage;
  readonly #now: () => number;
  #swept = 0;

  /** `now`: milliseconds since the epoch. */
  constructor(state: { readonly storage: ObjectStorage }, _environment?: unknown, now: () => number = Date.now) {
    this.#storage = state.storage;
    this.#now = now;
    for (const table of TABLES) this.#exec(table);
  }

  /** `POST /` adds an array of AgentTally: 204, or 400. `GET /?since=DAY`: an AgentsReport of this shard. */
  async fetch(request: Request): Promise<Response> {
    const today = Math.floor(this.#now() / DAY_MS);
    this.#sweep(today);
    if (request.method === 'GET') {
      const asked = Number(new URL(request.url).searchParams.get('since') ?? Number.NaN);
      const since = Number.isInteger(asked) ? Math.max(asked, today - REPORT_DAYS + 1) : today;
      return Response.json({ since: dayText(since), until: dayText(today), agents: this.#read(since) });
    }
    const text = await request.text();
    const tallies = text.length > MAX_REPORT_BYTES ? null : readTallies(text);
    if (tallies === null) return new Response(null, { status: 400 });
    this.#add(today, tallies);
    if ((await this.#storage.getAlarm()) === null) await this.#storage.setAlarm((today + 1) * DAY_MS);
    return new Response(null, { status: 204 });
  }

  /** Once a day while there is anything. */
  async alarm(): Promise<void> {
    const today = Math.floor(this.#now() / DAY_MS);
    this.#swept = 0;
    this.#sweep(today);
    if (this.#count('visit', null) > 0) return await this.#storage.setAlarm((today + 1) * DAY_MS);
    await this.#storage.deleteAll();
    for (const table of TABLES) this.#exec(table);
  }

  #add(day: number, tallies: readonly AgentTally[]): void {
    let agents = this.#count('visit', day);
    let refusals = this.#count('refusal', day);
    for (const tally of tallies) {
      let name: AgentName = tally;
      const known = (one: AgentName): boolean =>
        this.#rows('SELECT 1 FROM visit WHERE day = ? AND app = ? AND agent = ? AND identity = ?', day, ...keyOf(one))
          .length > 0;
      if (!known(name)) {
        if (agents >= MAX_REPORT_AGENTS) name = otherOf(name);
        agents++;
      }
      this.#exec(
        `INSERT INTO visit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
          operator = excluded.operator, category = excluded.category, requests = requests + excluded.requests,
          violations = violations + excluded.violations, refused = refused + excluded.refused,
          input = input + excluded.input, output = output + excluded.output, estimated = estimated + excluded.estimated`,
        ...[day, ...keyOf(name), name.operator, name.category, tally.requests, tally.robotsViolations, tally.refused],
        ...[tally.tokens.input, tally.tokens.output, tally.tokens.estimated],
      );
      for (const { phase, rule, reason, requests } of tally.refusals) {
        // Over the limit they are counted all the same, in one row of that agent.
        const kept = refusals < MAX_REPORT_REFUSALS ? [phase, rule, reason] : ['', OTHER, ''];
        const { rowsWritten } = this.#storage.sql.exec(
          'UPDATE refusal SET requests = requests + ? WHERE day = ? AND app = ? AND agent = ? AND identity = ? AND phase = ? AND rule = ? AND reason = ?',
          ...[requests, day, ...keyOf(name), phase, rule, reason],
        );
        if (rowsWritten > 0) continue;
        this.#exec(
          'INSERT INTO refusal VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + excluded.requests',
          ...[day, ...keyOf(name), ...kept, requests],
        );
        refusals++;
      }
      for (const { currency, millionths, requests } of tally.charges)
        this.#exec(
          'INSERT INTO charge VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET millionths = millionths + excluded.millionths, requests = requests + excluded.requests',
          ...[day, ...keyOf(name), currency, millionths, requests],
        );
    }
  }

  #read(since: number): AgentTally[] {
    const sums = (columns: string): string => columns.replaceAll(/\w+/g, 'sum($&) AS $&');
    const agents = new Map<string, AgentTally>();
    const visits = this.#rows(
      `SELECT app, agent, identity, max(operator) AS operator, max(category) AS category,
        ${sums('requests, violations, refused, input, output, estimated')}
        FROM visit WHERE day >= ? GROUP BY app, agent, identity ORDER BY sum(requests) DESC`,
      since,
    );
    for (const row of visits) {
      const name = nameOf(row);
      const tally = gather(
        agents,
        { ...name, operator: text(row['operator']), category: text(row['category']) },
        MAX_LISTED_AGENTS,
      );
      addTally(tally, {
        ...emptyTally(name),
        ...{ requests: Number(row['requests']), robotsViolations: Number(row['violations']) },
        refused: Number(row['refused']),
        tokens: { input: Number(row['input']), output: Number(row['output']), estimated: Number(row['estimated']) },
      });
    }
    const more = (row: Record<string, unknown>, rest: Partial<AgentTally>): void => {
      const name = nameOf(row);
      const tally = agents.get(tallyKey(name)) ?? agents.get(tallyKey(otherOf(name)));
      if (tally !== undefined) addTally(tally, { ...emptyTally(name), ...rest });
    };
    for (const row of this.#rows(
      `SELECT app, agent, identity, phase, rule, reason, sum(requests) AS requests FROM refusal WHERE day >= ?
        GROUP BY app, agent, identity, phase, rule, reason ORDER BY sum(requests) DESC`,
      since,
    )) {
      const refusal = { phase: text(row['phase']), rule: text(row['rule']), reason: text(row['reason']) };
      more(row, { refusals: [{ ...refusal, requests: Number(row['requests']) }] });
    }
    for (const row of this.#rows(
      `SELECT app, agent, identity, currency, ${sums('millionths, requests')} FROM charge WHERE day >= ?
        GROUP BY app, agent, identity, currency`,
      since,
    )) {
      const charge = { currency: text(row['currency']), millionths: Number(row['millionths']) };
      more(row, { charges: [{ ...charge, requests: Number(row['requests']) }] });
    }
    return [...agents.values()];
  }

  #sweep(today: number): void {
    if (today <= this.#swept) return;
    this.#swept = today;
    for (const table of ['visit', 'refusal', 'charge'])
      this.#exec(`DELETE FROM ${table} WHERE day <= ?`, today - REPORT_DAYS);
  }

  #count(table: 'visit' | 'refusal', day: number | null): number {
    const where = day === null ? '' : ' WHERE day = ?';
    return Number(
      this.#rows(`SELECT count(*) AS total FROM ${table}${where}`, ...(day === null ? [] : [day]))[0]?.['total'] ?? 0,
    );
  }

  #rows(query: string, ...values: (string | number)[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...values).toArray();
  }

  #exec(query: string, ...values: (string | number)[]): void {
    this.#rows(query, ...values);
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const keyOf = ({ app, agent, identity }: AgentName): [string, string, string] => [app, agent, identity];

function nameOf(row: Record<string, unknown>): AgentName {
  const identity = text(row['identity']);
  return { app: text(row['app']), agent: text(row['agent']), identity, operator: '', category: '' };
}

export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/** The day of `2026-11-21`, or of `7d`: today and the six before it. Null: neither. */
export function dayOf(since: string, now: number): number | null {
  const today = Math.floor(now / DAY_MS);
  const days = /^([1-9][0-9]{0,2})d$/.exec(since)?.[1];
  if (days !== undefined) return today - Number(days) + 1;
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(since)) return null;
  const time = Date.parse(since);
  return Number.isNaN(time) || dayText(time / DAY_MS) !== since ? null : time / DAY_MS;
}

/** What isolates of the same deployment send; checked so that nothing else can come in. Null: it is something else. */
function readTallies(body: string): AgentTally[] | null {
  try {
    const list = JSON.parse(body) as AgentTally[];
    return Array.isArray(list) && list.every(isTally) ? list : null;
  } catch {
    return null;
  }
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): boolean => typeof value === 'string';

function isTally(value: AgentTally | null): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { app, agent, operator, category, identity, requests, robotsViolations, refused, tokens, refusals, charges } =
    value;
  return (
    [app, agent, operator, category, identity].every(isText) &&
    [requests, robotsViolations, refused, tokens?.input, tokens?.output, tokens?.estimated].every(isCount) &&
    Array.isArray(refusals) &&
    refusals.every((one) => isText(one.phase) && isText(one.rule) && isText(one.reason) && isCount(one.requests)) &&
    Array.isArray(charges) &&
    charges.every((one) => isText(one.currency) && isCount(one.millionths) && isCount(one.requests))
  );
}

/** Milliseconds for an object's answer. */
const REPORT_TIMEOUT_MS = 5000;

function shardOf(
  namespace: ObjectNamespace,
  shard: number,
): { fetch(url: string, init?: RequestInit): Promise<Response> } {
  return namespace.get(namespace.idFromName(`agents-${shard}`) as never);
}

/** Parts of what was gathered, each no more than one write takes. */
export function* batches(tallies: readonly AgentTally[]): Generator<readonly AgentTally[]> {
  let batch: AgentTally[] = [];
  let length = 0;
  for (const tally of tallies) {
    const more = JSON.stringify(tally).length + ', '.length;
    if (batch.length > 0 && length + more > MAX_REPORT_BYTES) {
      yield batch;
      [batch, length] = [[], 0];
    }
    batch.push(tally);
    length += more;
  }
  if (batch.length > 0) yield batch;
}

/** Sends what was gathered; false: it did not arrive. */
export async function sendTallies(
  namespace: ObjectNamespace,
  shard: number,
  tallies: readonly AgentTally[],
): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(REPORT_TIMEOUT_MS);
    const { status } = await shardOf(namespace, shard).fetch('http://report/', {
      ...{ method: 'POST', body: JSON.stringify(tallies), signal },
    });
    return status === 204;
  } catch {
    return false;
  }
}

/** The report of all shards since a day (see `dayOf`), the most requests first. Rejects when a shard does not answer. */
export async function readReport(namespace: ObjectNamespace, since: number): Promise<AgentsReport> {
  const signal = AbortSignal.timeout(REPORT_TIMEOUT_MS);
  const parts = await Promise.all(
    Array.from({ length: REPORT_SHARDS }, async (_, shard) => {
      const answer = await shardOf(namespace, shard).fetch(`http://report/?since=${since}`, { signal });
      return (await answer.json()) as AgentsReport;
    }),
  );
  const sums = new Map<string, AgentTally>();
  for (const { agents } of parts)
    for (const tally of agents) addTally(gather(sums, tally, REPORT_SHARDS * (MAX_LISTED_AGENTS + 1)), tally);
  const sorted = [...sums.values()].sort((a, b) => b.requests - a.requests);
  const listed = new Map<string, AgentTally>();
  for (const tally of sorted) addTally(gather(listed, tally, MAX_LISTED_AGENTS), tally);
  const { since: from, until } = parts[0]!;
  return { since: from, until, agents: [...listed.values()].sort((a, b) => b.requests - a.requests) };
}
