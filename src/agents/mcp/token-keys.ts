/**
 * Keys of authorization servers, fetched from where the policy says and kept as key directories of agents are: a set that
 * answers replaces what was known, one that fails takes nothing away, and what a client sends can make no more of fetches
 * than one in REFETCH_SECONDS.
 */
import type { JSONWebKeySet } from 'jose';
import { raced, readBytes } from '../../bytes.ts';
import { freshness } from '../key-directory.ts';
import {
  DIRECTORY_TIMEOUT_MS,
  MAX_DIRECTORY_BYTES,
  MAX_DIRECTORY_KEYS,
  MIN_RETRY_SECONDS,
  REFETCH_SECONDS,
} from '../limits.ts';
import { isObject, readJson } from './json.ts';

interface KeySet {
  readonly keys: JSONWebKeySet;
  readonly fetchedAt: number; // seconds
  readonly freshUntil: number;
}

export interface TokenKeysOptions {
  /** Reaches public addresses only, and follows no redirect. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const MAX_DEPTH = 8;

export class TokenKeys {
  readonly #options: TokenKeysOptions;
  // As many as policies name.
  readonly #sets = new Map<string, KeySet>();
  readonly #failedAt = new Map<string, number>();
  readonly #fetches = new Map<string, { readonly startedAt: number; readonly result: Promise<KeySet | null> }>();

  constructor(options: TokenKeysOptions) {
    this.#options = options;
  }

  /**
   * The key set at `url`; null when there is none to be had. `missing`: the one before lacked a key. `keep` is told of a
   * fetch that others may wait for too.
   */
  async get(url: string, missing: boolean, keep: (work: Promise<unknown>) => void): Promise<JSONWebKeySet | null> {
    const now = Math.floor(this.#options.now() / 1000);
    const known = this.#sets.get(url);
    const due = known === undefined || now >= known.freshUntil || (missing && now - known.fetchedAt >= REFETCH_SECONDS);
    if (!due) return known.keys;
    return (await this.#fetched(url, now, keep))?.keys ?? known?.keys ?? null;
  }

  /** One fetch for all who ask meanwhile; none while a failure is young. */
  #fetched(url: string, now: number, keep: (work: Promise<unknown>) => void): Promise<KeySet | null> {
    const pending = this.#fetches.get(url);
    // The runtime may drop a request with all that it waits for: such a fetch never ends.
    if (pending !== undefined && this.#options.now() - pending.startedAt < 2 * DIRECTORY_TIMEOUT_MS)
      return withinTime(pending.result);
    const failedAt = this.#failedAt.get(url);
    if (failedAt !== undefined && now - failedAt < MIN_RETRY_SECONDS) return Promise.resolve(null);
    const result = this.#load(url).then((set) => {
      this.#fetches.delete(url);
      if (set === null) this.#failedAt.set(url, Math.floor(this.#options.now() / 1000));
      else {
        this.#failedAt.delete(url);
        this.#sets.set(url, set);
      }
      return set;
    });
    this.#fetches.set(url, { startedAt: this.#options.now(), result });
    keep(result);
    return result;
  }

  async #load(url: string): Promise<KeySet | null> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), DIRECTORY_TIMEOUT_MS);
    const { signal } = abort;
    try {
      const headers = { accept: 'application/jwk-set+json, application/json' };
      const response = await raced(this.#options.fetch(url, { redirect: 'manual', signal, headers }), signal);
      if (response.status !== 200) return null;
      const bytes = await readBytes(response.body, MAX_DIRECTORY_BYTES, signal);
      const json = bytes === null ? 'not-json' : readJson(bytes, MAX_DEPTH);
      if (typeof json === 'string' || !isObject(json.value)) return null;
      const { keys } = json.value;
      if (!Array.isArray(keys) || keys.length > MAX_DIRECTORY_KEYS || !keys.every(isObject)) return null;
      const fetchedAt = Math.floor(this.#options.now() / 1000);
      return { keys: { keys } as JSONWebKeySet, fetchedAt, freshUntil: fetchedAt + freshness(response.headers) };
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
      // Whatever was not read is not wanted.
      abort.abort();
    }
  }
}

function withinTime(work: Promise<KeySet | null>): Promise<KeySet | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), DIRECTORY_TIMEOUT_MS);
    work.then(resolve, () => resolve(null)).finally(() => clearTimeout(timer));
  });
}
