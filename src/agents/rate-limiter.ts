/**
 * How often something happened: a Durable Object, so that all isolates and processes share one count, in shards, so that
 * none is asked for all. A window begins with the first take of its key and ends after its seconds; what it takes is looked
 * up and recorded in one step that nothing comes between, so that it never takes more than its limit.
 *
 * Counts live in memory and are written behind: a process that is killed forgets those of its last RATE_FLUSH_MS.
 * PERF: workerd 1.20261117.1 on a disk: an answer that waits for its own row to be written takes 5 ms, and an object answers
 * no more than some hundred a second; written behind, less than 1 ms.
 *
 * REJECTED: windows of the clock (all keys of a rule start again at once, and with them all clients that wait), sliding
 * windows and buckets of tokens (a client cannot tell when it may come again), one object for each key (a file each).
 */
import type { ObjectNamespace, ObjectStorage } from '../durable-object.ts';
import { base64Url } from './json-web-key.ts';
import {
  LIMITER_SHARDS,
  LIMITER_TIMEOUT_MS,
  MAX_EXHAUSTED,
  MAX_RATE_WINDOWS,
  RATE_FLUSH_MS,
  RATE_SWEEP_SECONDS,
} from './limits.ts';

/** What is taken from a window. */
export interface Take {
  /** Which windows: those of one rule of one app; any text. */
  readonly rule: string;
  /** Whose window: any text; only its hash leaves the isolate. */
  readonly key: string;
  readonly limit: number;
  readonly windowSeconds: number;
  /** Default 1. 0 asks whether anything is left, and takes nothing. */
  readonly cost?: number;
  /** The cost is a fact already: it is recorded even where it is more than was left. */
  readonly spent?: boolean;
  /** What is taken may be given back, so a window that is used up now may not be later. */
  readonly refundable?: boolean;
}

export interface Taken {
  /** False: nothing was taken. */
  readonly allowed: boolean;
  readonly remaining: number;
  /** Until the window starts again, with fractions; all of it where none has begun. */
  readonly resetSeconds: number;
}

/** The answers of an object, as statuses. */
const TAKEN = 200;
const EXHAUSTED = 429;
const FULL = 507;
const MALFORMED = 400;

/** A hash, base64url; limit, seconds, cost; `spent` where the cost is a fact, `back` and the end of a window where it is given back. */
const PATH = /^\/([A-Za-z0-9_-]{43})\/([0-9]{1,15})\/([0-9]{1,9})\/([0-9]{1,15})(\/spent|\/back\/([0-9]{1,15}))?$/;
/** Counts stay integers that a number holds exactly, whatever is added to them. */
const MAX_USED = 2 ** 52;

/** A window: when it ends (ms since the epoch), and what was taken from it. */
interface Span {
  until: number;
  used: number;
}

export class RateLimiter {
  readonly #storage: ObjectStorage;
  readonly #now: () => number;
  /** Windows that this instance was asked for; those that are not written yet are in `#unwritten`. */
  readonly #spans = new Map<string, Span>();
  readonly #unwritten = new Set<string>();
  #waits = false; // to write
  #swept = 0;
  /** Windows in memory and in the table. */
  #count: number;

  /** `now`: milliseconds since the epoch. */
  constructor(state: { readonly storage: ObjectStorage }, _environment?: unknown, now: () => number = Date.now) {
    this.#storage = state.storage;
    this.#now = now;
    this.#create();
    this.#count = this.#total();
  }

  /** `POST /HASH/LIMIT/SECONDS/COST[/spent|/back/UNTIL]`: 200 or 429 with what is left, 507 when no more windows fit. */
  async fetch(request: { readonly url: string }): Promise<Response> {
    const path = new URL(request.url).pathname;
    if (path === '/secret') return new Response(this.#secret());
    const parts = PATH.exec(path);
    if (parts === null) return new Response(null, { status: MALFORMED });
    const id = parts[1]!;
    const [limit, seconds, cost] = [Number(parts[2]), Number(parts[3]), Number(parts[4])];
    const now = this.#now();
    this.#sweep(now);
    // No `await` from here to the record: nothing else runs in this object meanwhile.
    const span = this.#find(id);
    const known = span !== undefined && span.until > now;
    // A clock that was set back must not make a window longer than it is.
    const until = known ? Math.min(span.until, now + seconds * 1000) : now + seconds * 1000;
    const used = known ? span.used : 0;
    const left = Math.max(0, limit - used);
    const reset = (until - now) / 1000;
    if (parts[6] !== undefined) {
      // A window that began since then gets nothing: it was not the one that gave.
      const same = known && Math.abs(until - Number(parts[6])) < seconds * 500;
      const kept = same ? Math.max(0, used - cost) : used;
      if (same) this.#keep(id, until, kept);
      return answer({ allowed: true, remaining: Math.max(0, limit - kept), resetSeconds: reset });
    }
    const allowed = cost === 0 ? left > 0 : cost <= left;
    if (!allowed && parts[5] === undefined) return answer({ allowed, remaining: left, resetSeconds: reset });
    if (cost === 0) return answer({ allowed, remaining: left, resetSeconds: reset });
    if (span === undefined && this.#count >= MAX_RATE_WINDOWS) return new Response(null, { status: FULL });
    const total = Math.min(used + cost, MAX_USED);
    if (span === undefined) this.#count++;
    this.#keep(id, until, total);
    return answer({ allowed, remaining: Math.max(0, limit - total), resetSeconds: reset });
  }

  /** 256 random bits that are the same from the first time on; only one object is ever asked, which counts nothing. */
  #secret(): string {
    this.#exec('CREATE TABLE IF NOT EXISTS secret (one INTEGER PRIMARY KEY CHECK (one = 1), value TEXT NOT NULL)');
    const fresh = base64Url(crypto.getRandomValues(new Uint8Array(32)));
    this.#exec('INSERT INTO secret (one, value) VALUES (1, ?) ON CONFLICT DO NOTHING', fresh);
    return String(this.#storage.sql.exec('SELECT value FROM secret').toArray()[0]?.['value']);
  }

  #find(id: string): Span | undefined {
    const live = this.#spans.get(id);
    if (live !== undefined) return live;
    const [row] = this.#storage.sql.exec('SELECT until, used FROM span WHERE id = ?', id).toArray();
    if (row === undefined) return undefined;
    const span = { until: Number(row['until']), used: Number(row['used']) };
    this.#spans.set(id, span);
    return span;
  }

  #keep(id: string, until: number, used: number): void {
    this.#spans.set(id, { until, used });
    this.#unwritten.add(id);
    if (this.#waits) return;
    this.#waits = true;
    setTimeout(() => this.flush().catch(report), RATE_FLUSH_MS);
  }

  /** Writes what was counted since the last time. */
  async flush(): Promise<void> {
    this.#waits = false;
    // SAFETY: no `await` before all is written: the writes of one turn are one transaction.
    for (const id of this.#unwritten) {
      const { until, used } = this.#spans.get(id)!;
      this.#exec(
        'INSERT INTO span (id, until, used) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET until = excluded.until, used = excluded.used',
        ...[id, until, used],
      );
    }
    this.#unwritten.clear();
    await this.#wake();
  }

  /** Nobody may ask any more: what is over is dropped all the same. */
  async alarm(): Promise<void> {
    this.#swept = 0;
    this.#sweep(this.#now());
    if (this.#count > 0) return await this.#wake();
    await this.#storage.deleteAll();
    this.#create(); // what asks next finds this instance, or one that makes the table anew
  }

  #sweep(now: number): void {
    const slot = Math.floor(now / (RATE_SWEEP_SECONDS * 1000));
    if (slot <= this.#swept) return;
    this.#swept = slot;
    for (const [id, { until }] of this.#spans) {
      if (until > now) continue;
      this.#spans.delete(id);
      this.#unwritten.delete(id);
    }
    this.#exec('DELETE FROM span WHERE until <= ?', now);
    this.#count = this.#total();
    for (const id of this.#unwritten) if (!this.#written(id)) this.#count++;
  }

  #written(id: string): boolean {
    return this.#storage.sql.exec('SELECT 1 FROM span WHERE id = ?', id).toArray().length > 0;
  }

  /** Windows are dropped by the alarm in slots: an alarm for each would wake the object as often as it is asked. */
  async #wake(): Promise<void> {
    if ((await this.#storage.getAlarm()) !== null) return;
    const [row] = this.#storage.sql.exec('SELECT min(until) AS next FROM span').toArray();
    const next = Number(row?.['next'] ?? 0);
    if (next > 0) await this.#storage.setAlarm(next + RATE_SWEEP_SECONDS * 1000);
  }

  #total(): number {
    return Number(this.#storage.sql.exec('SELECT count(*) AS total FROM span').toArray()[0]?.['total'] ?? 0);
  }

  #create(): void {
    this.#exec(
      'CREATE TABLE IF NOT EXISTS span (id TEXT PRIMARY KEY, until INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID',
    );
    this.#exec('CREATE INDEX IF NOT EXISTS span_until ON span (until)');
  }

  #exec(query: string, ...values: (string | number)[]): void {
    this.#storage.sql.exec(query, ...values).toArray();
  }
}

function report(error: unknown): void {
  const message = `counts could not be written: ${error instanceof Error ? error.message : String(error)}`;
  console.error(JSON.stringify({ level: 'error', message: message.slice(0, 500) }));
}

function answer(taken: Taken): Response {
  return Response.json(taken, { status: taken.allowed ? TAKEN : EXHAUSTED });
}

/** Windows that are used up, as far as this isolate has been told, by when they end (ms since the epoch). */
const exhausted = new Map<string, number>();

/** Null: nobody could be asked, or no more windows can be counted. */
export function take(namespace: ObjectNamespace, wanted: Take): Promise<Taken | null> {
  return ask(namespace, wanted, wanted.spent === true ? '/spent' : '');
}

/** Gives back what was taken and not used to its window, which ends about `until` (ms since the epoch), and to no later one. */
export function giveBack(namespace: ObjectNamespace, wanted: Take, until: number): Promise<Taken | null> {
  return ask(namespace, { ...wanted, refundable: true }, `/back/${Math.floor(until)}`);
}

async function ask(namespace: ObjectNamespace, wanted: Take, more: string): Promise<Taken | null> {
  const { rule, key, limit, windowSeconds, cost = 1, refundable = false } = wanted;
  const hash = new Uint8Array(
    await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify([rule, windowSeconds, key]))),
  );
  const id = base64Url(hash);
  const window = `${id}/${limit}`; // whoever raises a limit need not wait
  const known = more !== '' || refundable ? undefined : exhausted.get(window);
  // PERF: a flood of one key is answered here, and its object hears of it no more.
  if (known !== undefined) {
    const left = known - Date.now();
    if (left > 0) return { allowed: false, remaining: 0, resetSeconds: left / 1000 };
    exhausted.delete(window);
  }
  try {
    const stub = namespace.get(namespace.idFromName(`limit-${(hash[0] ?? 0) % LIMITER_SHARDS}`) as never);
    const signal = AbortSignal.timeout(LIMITER_TIMEOUT_MS);
    const url = `http://limit/${id}/${limit}/${windowSeconds}/${cost}${more}`;
    const response = await stub.fetch(url, { method: 'POST', signal });
    if (response.status !== TAKEN && response.status !== EXHAUSTED) {
      await response.body?.cancel();
      return null;
    }
    const taken = (await response.json()) as Taken;
    if (taken.remaining === 0 && !refundable) remember(window, Date.now() + taken.resetSeconds * 1000);
    return taken;
  } catch {
    return null;
  }
}

function remember(id: string, until: number): void {
  if (exhausted.size >= MAX_EXHAUSTED) {
    // SAFETY: a Map keeps its order, so the first is the oldest.
    for (const oldest of exhausted.keys()) {
      exhausted.delete(oldest);
      break;
    }
  }
  exhausted.set(id, until);
}
