/**
 * Sessions of MCP versions before 2026-07-28, where the gateway has to know more of a session than its id: which endpoint
 * of several holds it, or which sessions of several servers it stands for. Durable Objects, so that every isolate and every
 * process finds them, in shards, so that none is asked for all. What an object keeps is text of its caller's own.
 *
 * The ids that clients see are ours: 256 random bits, of which an object knows the hash alone. Ids of servers never leave
 * the gateway, so it does not matter that two servers may count theirs from one. Whose session it is goes into the hash, so
 * that an id which got into other hands is none there.
 */
import type { ObjectNamespace, ObjectStorage } from '../../durable-object.ts';
import { base64Url } from '../json-web-key.ts';
import {
  MAX_MCP_SESSIONS,
  MAX_MCP_SESSION_BYTES,
  MCP_SESSION_SHARDS,
  MCP_SESSION_SLOT_SECONDS,
} from './join-limits.ts';

/** A hash, base64url. */
const PATH = /^\/([A-Za-z0-9_-]{43})$/;
/** Seconds. */
const TTL = /^[1-9][0-9]{0,6}$/;

export class McpSessions {
  readonly #storage: ObjectStorage;
  readonly #now: () => number;
  #swept = 0;
  #count = 0;

  /** `now`: milliseconds since the epoch. */
  constructor(state: { readonly storage: ObjectStorage }, _environment?: unknown, now: () => number = Date.now) {
    this.#storage = state.storage;
    this.#now = now;
    this.#prepare();
  }

  /**
   * `PUT /HASH?ttl=SECONDS` keeps the body: 201, 413 when it is too long. `GET /HASH` gives it back and keeps it for as long
   * again: 200, else 404. `DELETE /HASH` gives it back for the last time.
   */
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, id] = PATH.exec(pathname) ?? [];
    if (id === undefined) return new Response(null, { status: 400 });
    if (request.method === 'PUT') {
      const ttl = searchParams.get('ttl') ?? '';
      const value = await request.text();
      if (!TTL.test(ttl)) return new Response(null, { status: 400 });
      if (value.length > MAX_MCP_SESSION_BYTES) return new Response(null, { status: 413 });
      return await this.#put(id, value, Number(ttl));
    }
    const slot = this.#slot();
    this.#sweep(slot);
    const [row] = this.#exec('SELECT value, ttl, slot FROM session WHERE id = ?', id);
    if (row === undefined) return new Response(null, { status: 404 });
    if (request.method === 'DELETE') {
      this.#exec('DELETE FROM session WHERE id = ?', id);
      this.#count--;
    } else {
      // PERF: one write for each slot that a session is used in, not one for each use.
      const until = this.#slot(Number(row['ttl']));
      if (until !== Number(row['slot'])) this.#exec('UPDATE session SET slot = ? WHERE id = ?', until, id);
    }
    return new Response(String(row['value']));
  }

  async alarm(): Promise<void> {
    this.#swept = 0;
    this.#sweep(this.#slot());
    if (this.#count > 0) return await this.#wake();
    await this.#storage.deleteAll();
    // What asks next finds this instance, or one that makes the table anew.
    this.#prepare();
  }

  async #put(id: string, value: string, ttl: number): Promise<Response> {
    this.#sweep(this.#slot());
    // The one that was used longest ago goes: its client is told 404 and starts another, if it is still there at all.
    if (this.#count >= MAX_MCP_SESSIONS) {
      const oldest = Math.ceil(MAX_MCP_SESSIONS / 100);
      this.#exec('DELETE FROM session WHERE id IN (SELECT id FROM session ORDER BY slot LIMIT ?)', oldest);
      this.#count = this.#total();
    }
    const until = this.#slot(ttl);
    // Ids of sessions are random, those of A2A tasks may come again.
    const [known] = this.#exec('SELECT ttl FROM session WHERE id = ?', id);
    this.#exec('INSERT OR REPLACE INTO session (id, value, ttl, slot) VALUES (?, ?, ?, ?)', id, value, ttl, until);
    if (known === undefined) this.#count++;
    await this.#wake();
    return new Response(null, { status: 201 });
  }

  /** The slot after which something is over that lives for so many seconds from now; the present one without. */
  #slot(seconds = -MCP_SESSION_SLOT_SECONDS): number {
    return Math.floor((this.#now() / 1000 + seconds) / MCP_SESSION_SLOT_SECONDS) + 1;
  }

  #sweep(slot: number): void {
    if (slot <= this.#swept) return;
    this.#swept = slot;
    this.#exec('DELETE FROM session WHERE slot < ?', slot);
    this.#count = this.#total();
  }

  async #wake(): Promise<void> {
    if ((await this.#storage.getAlarm()) !== null) return;
    const last = Number(this.#exec('SELECT max(slot) AS last FROM session')[0]?.['last'] ?? 0);
    await this.#storage.setAlarm((last + 1) * MCP_SESSION_SLOT_SECONDS * 1000);
  }

  #prepare(): void {
    this.#exec(
      'CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, value TEXT NOT NULL, ttl INTEGER NOT NULL, slot INTEGER NOT NULL) WITHOUT ROWID',
    );
    this.#exec('CREATE INDEX IF NOT EXISTS session_slot ON session (slot)');
    this.#count = this.#total();
  }

  #total(): number {
    return Number(this.#exec('SELECT count(*) AS total FROM session')[0]?.['total'] ?? 0);
  }

  #exec(query: string, ...values: (string | number)[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...values).toArray();
  }
}

/** Milliseconds for the answer of an object. */
const TIMEOUT_MS = 5000;
/** An id of ours; anything else is nobody's. */
const ID = /^[A-Za-z0-9_-]{43}$/;

/** Where sessions are kept, and whose they are. */
export interface SessionStore {
  readonly namespace: ObjectNamespace;
  /** Sessions of one owner are none to another. */
  readonly owner: string;
}

/** Keeps a value under a new id, which it returns. Rejects where that can not be done. */
export async function openSession(
  { namespace, owner }: SessionStore,
  value: string,
  ttlSeconds: number,
): Promise<string> {
  const id = base64Url(crypto.getRandomValues(new Uint8Array(32)));
  const answer = await ask(namespace, owned(id, owner), 'PUT', `?ttl=${ttlSeconds}`, value, 'mcp');
  if (answer.status !== 201) throw new Error(`a session could not be kept: ${answer.status}`);
  return id;
}

/**
 * Keeps a value under an id of the caller's, 43 characters of base64url, among those of tasks: in objects of their own, since
 * whoever knows a task can make its id, and as no session may be found by it, none may make room for it. Rejects where that
 * can not be done.
 */
export async function keepTask(
  namespace: ObjectNamespace,
  id: string,
  value: string,
  ttlSeconds: number,
): Promise<void> {
  const answer = await ask(namespace, id, 'PUT', `?ttl=${ttlSeconds}`, value, 'a2a');
  if (answer.status !== 201) throw new Error(`it could not be kept: ${answer.status}`);
}

/** What `keepTask` has kept; null when there is nothing, or not any more. Rejects when nobody can tell. */
export async function findTask(namespace: ObjectNamespace, id: string): Promise<string | null> {
  return await take(namespace, id, id, 'GET', 'a2a');
}

/** What is kept under an id; null when there is no such session, or not any more. Rejects when nobody can tell. */
export async function findSession({ namespace, owner }: SessionStore, id: string): Promise<string | null> {
  return await take(namespace, id, owned(id, owner), 'GET', 'mcp');
}

/** Ends a session; what was kept, as `findSession` says. */
export async function endSession({ namespace, owner }: SessionStore, id: string): Promise<string | null> {
  return await take(namespace, id, owned(id, owner), 'DELETE', 'mcp');
}

function owned(id: string, owner: string): string {
  return `${id}\n${owner}`;
}

/** Whose objects. */
type Kind = 'mcp' | 'a2a';

async function take(
  namespace: ObjectNamespace,
  id: string,
  key: string,
  method: string,
  kind: Kind,
): Promise<string | null> {
  if (!ID.test(id)) return null;
  const answer = await ask(namespace, key, method, '', null, kind);
  if (answer.status === 404) return null;
  if (answer.status !== 200) throw new Error(`a session could not be looked up: ${answer.status}`);
  return await answer.text();
}

async function ask(
  namespace: ObjectNamespace,
  key: string,
  method: string,
  query: string,
  body: string | null,
  kind: Kind,
): Promise<Response> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)));
  const stub = namespace.get(namespace.idFromName(`${kind}-${(hash[0] ?? 0) % MCP_SESSION_SHARDS}`) as never);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return await stub.fetch(`http://mcp/${base64Url(hash)}${query}`, { method, signal, body });
}
