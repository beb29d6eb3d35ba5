/**
 * Which nonces were used: a Durable Object, so that all isolates share one memory, in shards, so that none is asked for
 * all. A nonce is looked up and recorded in one step that nothing comes between, and kept until its signature expires.
 *
 * SPEC: RFC 9421 section 7.2.2; draft-ietf-webbotauth-httpsig-protocol appendix C: where the store can not be asked, no
 * protection is claimed.
 */
import type { ObjectNamespace, ObjectStorage } from '../durable-object.ts';
import { base64Url } from './json-web-key.ts';
import { MAX_NONCES, MAX_SIGNATURE_SECONDS, NONCE_SLOT_SECONDS, REPLAY_SHARDS } from './limits.ts';

/** The answers of an object, as statuses. */
const FRESH = 201;
const SEEN = 409;
const FULL = 507;
const MALFORMED = 400;

/** A hash, base64url, and seconds since the epoch. */
const PATH = /^\/([A-Za-z0-9_-]{43})\/([0-9]{1,15})$/;
/** Longest that anything is kept, whatever a signature says: policies may let signatures live longer than nonces. */
const MAX_KEPT_SECONDS = 7 * MAX_SIGNATURE_SECONDS;

export class ReplayGuard {
  readonly #storage: ObjectStorage;
  readonly #now: () => number;
  #swept = 0;
  #count: number;

  /** `now`: milliseconds since the epoch. */
  constructor(state: { readonly storage: ObjectStorage }, _environment?: unknown, now: () => number = Date.now) {
    this.#storage = state.storage;
    this.#now = now;
    this.#exec('CREATE TABLE IF NOT EXISTS nonce (id TEXT PRIMARY KEY, slot INTEGER NOT NULL) WITHOUT ROWID');
    this.#exec('CREATE INDEX IF NOT EXISTS nonce_slot ON nonce (slot)');
    this.#count = this.#total();
  }

  /** `POST /HASH/EXPIRES`: 201 when the nonce is new, 409 when it is not, 507 when no more can be remembered. */
  async fetch(request: { readonly url: string }): Promise<Response> {
    const [, id, expires] = PATH.exec(new URL(request.url).pathname) ?? [];
    if (id === undefined || expires === undefined) return new Response(null, { status: MALFORMED });
    const now = Math.floor(this.#now() / 1000);
    this.#sweep(now);
    // No `await` from here to the record: nothing else runs in this object meanwhile.
    if (this.#storage.sql.exec('SELECT 1 FROM nonce WHERE id = ?', id).toArray().length > 0)
      return new Response(null, { status: SEEN });
    if (this.#count >= MAX_NONCES) return new Response(null, { status: FULL });
    const until = Math.min(Number(expires), now + MAX_KEPT_SECONDS);
    this.#exec('INSERT INTO nonce (id, slot) VALUES (?, ?)', id, Math.floor(until / NONCE_SLOT_SECONDS) + 1);
    this.#count++;
    await this.#wake();
    return new Response(null, { status: FRESH });
  }

  /** Nobody may ask any more: what is over is dropped all the same. */
  async alarm(): Promise<void> {
    this.#swept = 0;
    this.#sweep(Math.floor(this.#now() / 1000));
    if (this.#count > 0) await this.#wake();
    else {
      await this.#storage.deleteAll();
      // What asks next finds this instance, or one that makes the table anew.
      this.#exec('CREATE TABLE IF NOT EXISTS nonce (id TEXT PRIMARY KEY, slot INTEGER NOT NULL) WITHOUT ROWID');
      this.#exec('CREATE INDEX IF NOT EXISTS nonce_slot ON nonce (slot)');
    }
  }

  #sweep(now: number): void {
    const slot = Math.floor(now / NONCE_SLOT_SECONDS);
    if (slot <= this.#swept) return;
    this.#swept = slot;
    this.#exec('DELETE FROM nonce WHERE slot < ?', slot);
    this.#count = this.#total();
  }

  async #wake(): Promise<void> {
    if ((await this.#storage.getAlarm()) !== null) return;
    const [row] = this.#storage.sql.exec('SELECT max(slot) AS last FROM nonce').toArray();
    const last = Number(row?.['last'] ?? 0);
    await this.#storage.setAlarm((last + 1) * NONCE_SLOT_SECONDS * 1000);
  }

  #total(): number {
    return Number(this.#storage.sql.exec('SELECT count(*) AS total FROM nonce').toArray()[0]?.['total'] ?? 0);
  }

  #exec(query: string, ...values: (string | number)[]): void {
    this.#storage.sql.exec(query, ...values).toArray();
  }
}

/** Milliseconds for the guard's answer; without it there is no protection, and nobody says there is. */
const GUARD_TIMEOUT_MS = 2000;

/** For `WebBotAuthSources.fresh`. */
export async function askReplayGuard(
  namespace: ObjectNamespace,
  agent: string,
  nonce: string,
  expires: number,
): Promise<boolean | null> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`${agent}\0${nonce}`)));
  const shard = (hash[0] ?? 0) % REPLAY_SHARDS;
  try {
    const stub = namespace.get(namespace.idFromName(`replay-${shard}`) as never);
    const signal = AbortSignal.timeout(GUARD_TIMEOUT_MS);
    const { status } = await stub.fetch(`http://replay/${base64Url(hash)}/${expires}`, { method: 'POST', signal });
    return status === FRESH ? true : status === SEEN ? false : null;
  } catch {
    return null;
  }
}
