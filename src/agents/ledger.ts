/**
 * Who owes what, and who has paid: a Durable Object, so that all isolates share one book, in shards by account.
 *
 * A charge is reserved before the origin is asked and captured once there is something to be paid for; what is neither
 * captured nor released is released by itself, so that whatever goes wrong is in favour of the agent. A charge has an id
 * that stands for what was signed, and an id is used once.
 */
import type { ObjectNamespace, ObjectStorage } from '../durable-object.ts';
import { base64Url } from './json-web-key.ts';
import { CHARGE_SLOT_SECONDS, LEDGER_SHARDS, MAX_ACCOUNTS, MAX_CHARGES, RESERVATION_SECONDS } from './limits.ts';
import { MAX_PRICE_UNITS } from './price.ts';

export interface Charge {
  /** 43 characters base64url: a hash of what was signed. */
  readonly id: string;
  /** `METHOD:WHO`, say `crawler:agent.example`. */
  readonly account: string;
  readonly currency: string;
  readonly micros: number;
  /** Seconds since the epoch until which the id must not be used again. */
  readonly until: number;
  /** What the account may owe, with this charge; null: it pays at once, and never owes. */
  readonly credit: number | null;
}

export interface Account {
  readonly account: string;
  readonly currency: string;
  readonly charges: number;
  /** Millionths of the currency. */
  readonly charged: number;
  readonly paid: number;
}

/** `used`: that id was there before. `credit`: the account may not owe so much. `full`: no more can be remembered. */
export type Reservation = 'reserved' | 'used' | 'credit' | 'full';

const STATUS = { reserved: 201, used: 409, credit: 402, full: 507 } as const;
const TABLES = [
  `CREATE TABLE IF NOT EXISTS charge (id TEXT PRIMARY KEY, account TEXT NOT NULL, currency TEXT NOT NULL,
    micros INTEGER NOT NULL, state INTEGER NOT NULL, slot INTEGER NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS charge_slot ON charge (slot)',
  'CREATE INDEX IF NOT EXISTS charge_state ON charge (state, since)',
  `CREATE TABLE IF NOT EXISTS account (account TEXT NOT NULL, currency TEXT NOT NULL, charges INTEGER NOT NULL,
    reserved INTEGER NOT NULL, charged INTEGER NOT NULL, paid INTEGER NOT NULL, PRIMARY KEY (account, currency)) WITHOUT ROWID`,
];
const RESERVED = 0;
const CAPTURED = 1;
const MAX_MICROS = MAX_PRICE_UNITS * 1_000_000;

export class Ledger {
  readonly #storage: ObjectStorage;
  readonly #now: () => number;
  /** Charges and accounts that are remembered. PERF: counting a table reads it whole. */
  #charges = 0;
  #holders = 0;

  /** `now`: milliseconds since the epoch. */
  constructor(state: { readonly storage: ObjectStorage }, _environment?: unknown, now: () => number = Date.now) {
    this.#storage = state.storage;
    this.#now = now;
    for (const table of TABLES) this.#rows(table);
    this.#count();
  }

  /** `POST /reserve | /capture | /release | /pay` and `GET /accounts`; bodies are JSON of this module's own making. */
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === '/accounts') return Response.json(this.#accounts());
    const body = (await request.json()) as Charge & { readonly since?: number };
    // No `await` from here to the record: nothing else runs in this object meanwhile.
    if (pathname === '/reserve') {
      const now = this.#seconds();
      const outcome = this.#reserve(body, now);
      if (outcome !== 'reserved') return new Response(null, { status: STATUS[outcome] });
      await this.#wake();
      return new Response(String(now), { status: STATUS.reserved });
    }
    if (pathname === '/capture') return new Response(null, { status: this.#capture(body) ? 200 : 409 });
    if (pathname === '/release')
      return new Response(null, { status: this.#release(body.id, body.since ?? -1) ? 200 : 404 });
    if (pathname === '/pay') return new Response(null, { status: this.#pay(body) ? 200 : 404 });
    return new Response(null, { status: 404 });
  }

  #reserve({ id, account, currency, micros, until, credit }: Charge, now: number): Reservation {
    this.#sweep(now);
    if (this.#rows('SELECT 1 FROM charge WHERE id = ?', id).length > 0) return 'used';
    if (this.#charges >= MAX_CHARGES) return 'full';
    const [held] = this.#rows('SELECT * FROM account WHERE account = ? AND currency = ?', account, currency);
    if (held === undefined && this.#holders >= MAX_ACCOUNTS) return 'full';
    const owed = Number(held?.['charged'] ?? 0) + Number(held?.['reserved'] ?? 0) - Number(held?.['paid'] ?? 0);
    if (credit !== null && owed + micros > credit) return 'credit';
    if (Number(held?.['charged'] ?? 0) + Number(held?.['reserved'] ?? 0) + micros > MAX_MICROS) return 'full';
    const slot = Math.ceil(Math.max(until, now + RESERVATION_SECONDS) / CHARGE_SLOT_SECONDS);
    this.#rows(
      'INSERT INTO charge (id, account, currency, micros, state, slot, since) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ...[id, account, currency, micros, RESERVED, slot, now],
    );
    this.#rows(
      `INSERT INTO account (account, currency, charges, reserved, charged, paid) VALUES (?, ?, 0, ?, 0, 0)
       ON CONFLICT (account, currency) DO UPDATE SET reserved = reserved + excluded.reserved`,
      ...[account, currency, micros],
    );
    this.#charges++;
    if (held === undefined) this.#holders++;
    return 'reserved';
  }

  /** What was settled with a facilitator is paid as it is charged. Also for a reservation that took too long. */
  #capture({ id, account, currency, micros, until, credit }: Charge): boolean {
    const [known] = this.#rows('SELECT state FROM charge WHERE id = ?', id);
    if (known?.['state'] === CAPTURED) return false;
    const reserved = known?.['state'] === RESERVED ? micros : 0;
    const slot = Math.ceil(Math.max(until, this.#seconds() + RESERVATION_SECONDS) / CHARGE_SLOT_SECONDS);
    this.#rows(
      `INSERT INTO charge (id, account, currency, micros, state, slot, since) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET state = excluded.state`,
      ...[id, account, currency, micros, CAPTURED, slot, this.#seconds()],
    );
    const paid = credit === null ? micros : 0;
    this.#rows(
      `INSERT INTO account (account, currency, charges, reserved, charged, paid) VALUES (?, ?, 1, 0, ?, ?)
       ON CONFLICT (account, currency) DO UPDATE SET charges = charges + 1, reserved = reserved - ?,
         charged = charged + excluded.charged, paid = paid + excluded.paid`,
      ...[account, currency, micros, paid, reserved],
    );
    if (known === undefined) this.#count();
    return true;
  }

  /**
   * Ends a reservation without a charge. What brought nothing may be tried again, so nothing is kept of it: whoever sends
   * payments that are not good, or asks for what is not there, would fill the tables for a day at no cost. `since`: when it
   * was made; one that ended by itself may have been followed by another of the same id, whose it is not to end.
   */
  #release(id: string, since: number): boolean {
    const [known] = this.#rows(
      'SELECT account, currency, micros FROM charge WHERE id = ? AND state = ? AND since = ?',
      ...[id, RESERVED, since],
    );
    if (known === undefined) return false;
    const of = [String(known['account']), String(known['currency'])];
    this.#rows('DELETE FROM charge WHERE id = ?', id);
    this.#rows(
      'UPDATE account SET reserved = reserved - ? WHERE account = ? AND currency = ?',
      ...[Number(known['micros']), ...of],
    );
    const bare = 'account = ? AND currency = ? AND charges = 0 AND reserved = 0 AND paid = 0';
    this.#charges--;
    if (this.#rows(`SELECT 1 FROM account WHERE ${bare}`, ...of).length === 0) return true;
    this.#rows(`DELETE FROM account WHERE ${bare}`, ...of);
    this.#holders--;
    return true;
  }

  /** An operator has seen the money of an account that owes. */
  #pay({ account, currency, micros }: Pick<Charge, 'account' | 'currency' | 'micros'>): boolean {
    const found = this.#rows('SELECT 1 FROM account WHERE account = ? AND currency = ?', account, currency).length > 0;
    if (found)
      this.#rows('UPDATE account SET paid = paid + ? WHERE account = ? AND currency = ?', micros, account, currency);
    return found;
  }

  #accounts(): Account[] {
    this.#sweep(this.#seconds());
    return this.#rows('SELECT account, currency, charges, charged, paid FROM account ORDER BY account, currency').map(
      (row) => ({
        account: String(row['account']),
        currency: String(row['currency']),
        ...{ charges: Number(row['charges']), charged: Number(row['charged']), paid: Number(row['paid']) },
      }),
    );
  }

  async alarm(): Promise<void> {
    this.#sweep(this.#seconds());
    await this.#wake();
  }

  /** Releases what was reserved and never captured; forgets ids that nobody could use again. */
  #sweep(now: number): void {
    const late = this.#rows(
      'SELECT id, since FROM charge WHERE state = ? AND since < ?',
      ...[RESERVED, now - RESERVATION_SECONDS],
    );
    for (const { id, since } of late) this.#release(String(id), Number(since));
    const slot = Math.floor(now / CHARGE_SLOT_SECONDS);
    if (this.#rows('SELECT 1 FROM charge WHERE slot < ? LIMIT 1', slot).length === 0) return;
    this.#rows('DELETE FROM charge WHERE slot < ?', slot);
    this.#count();
  }

  #count(): void {
    const [row] = this.#rows(
      'SELECT (SELECT count(*) FROM charge) AS charges, (SELECT count(*) FROM account) AS holders',
    );
    this.#charges = Number(row!['charges']);
    this.#holders = Number(row!['holders']);
  }

  async #wake(): Promise<void> {
    const [row] = this.#rows('SELECT min(slot) AS slot FROM charge');
    if (row?.['slot'] === null || row === undefined || (await this.#storage.getAlarm()) !== null) return;
    await this.#storage.setAlarm((Number(row['slot']) + 1) * CHARGE_SLOT_SECONDS * 1000);
  }

  #seconds(): number {
    return Math.floor(this.#now() / 1000);
  }

  #rows(query: string, ...values: (string | number)[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...values).toArray();
  }
}

const TIMEOUT_MS = 3000;

/** The book of a deployment. Each call rejects when the object can not be asked. */
export class Books {
  readonly #namespace: ObjectNamespace;
  /** When charges were reserved, by the clock of their object. */
  readonly #since = new WeakMap<Charge, number>();

  constructor(namespace: ObjectNamespace) {
    this.#namespace = namespace;
  }

  async reserve(charge: Charge): Promise<Reservation> {
    const answer = await this.#ask('reserve', charge);
    const { status } = answer;
    const found = (Object.keys(STATUS) as Reservation[]).find((name) => STATUS[name] === status);
    if (found === undefined) throw new Error(`the ledger answered ${status}`);
    if (found === 'reserved') this.#since.set(charge, Number(await answer.text()));
    return found;
  }

  /** False when it was captured before. */
  async capture(charge: Charge): Promise<boolean> {
    return (await this.#post('capture', charge)) === 200;
  }

  /** Of a charge that was reserved as this very object; another one is left to end by itself. */
  async release(charge: Charge): Promise<void> {
    const since = this.#since.get(charge);
    if (since !== undefined) await this.#post('release', { ...charge, since });
  }

  /** False when there is no such account. */
  async pay(account: string, currency: string, micros: number): Promise<boolean> {
    return (await this.#post('pay', { account, currency, micros })) === 200;
  }

  async accounts(): Promise<Account[]> {
    const all = await Promise.all(
      Array.from({ length: LEDGER_SHARDS }, async (_, shard) => {
        const response = await this.#stub(shard).fetch('http://ledger/accounts', {
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        return (await response.json()) as Account[];
      }),
    );
    return all.flat().sort((a, b) => (a.account < b.account ? -1 : a.account > b.account ? 1 : 0));
  }

  async #post(what: string, body: Partial<Charge> & Pick<Charge, 'account'> & { since?: number }): Promise<number> {
    return (await this.#ask(what, body)).status;
  }

  async #ask(what: string, body: Partial<Charge> & Pick<Charge, 'account'>): Promise<Response> {
    const stub = this.#stub(await shardOf(body.account));
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const init = { method: 'POST', body: JSON.stringify(body), signal };
    return await stub.fetch(`http://ledger/${what}`, init);
  }

  #stub(shard: number): { fetch(url: string, init?: RequestInit): Promise<Response> } {
    return this.#namespace.get(this.#namespace.idFromName(`ledger-${shard}`) as never);
  }
}

async function shardOf(account: string): Promise<number> {
  return (await digest(account))[0]! % LEDGER_SHARDS;
}

/** The id of a charge for what was signed. */
export async function chargeId(...signed: readonly string[]): Promise<string> {
  return base64Url(await digest(signed.join('\0')));
}

async function digest(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}
