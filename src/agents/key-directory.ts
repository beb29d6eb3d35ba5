/**
 * The keys that agents publish, fetched and kept.
 *
 * Whoever sends a request chooses what is fetched, so everything about a fetch is bounded: no redirect, one address rule
 * (`signature-agent.ts`, and the network below it), a time, a size, a number of keys, of fetches at once and of entries.
 * A directory that answers replaces what was known of it; one that fails takes nothing away.
 *
 * SPEC: draft-ietf-webbotauth-httpsig-protocol sections 4.5, 5.8, 5.10 and appendix C.
 */
import { raced, readBytes } from '../bytes.ts';
import { type PublicKey, readPublicKey, thumbprint } from './json-web-key.ts';
import {
  DEFAULT_DIRECTORY_SECONDS,
  DIRECTORY_TIMEOUT_MS,
  MAX_DIRECTORIES,
  MAX_DIRECTORY_BYTES,
  MAX_DIRECTORY_FAILURES,
  MAX_DIRECTORY_KEYS,
  MAX_DIRECTORY_SECONDS,
  MAX_FETCHES,
  MAX_HOST_FETCHES,
  MAX_RETRY_SECONDS,
  MIN_DIRECTORY_SECONDS,
  MIN_RETRY_SECONDS,
  REFETCH_SECONDS,
} from './limits.ts';
import { importKey, type SignatureKey } from './signature-algorithm.ts';
import { type AgentMember, type AgentUrl, agentUrl, type AgentUrlOptions } from './signature-agent.ts';
import { readCard } from './signature-agent-card.ts';

export const DIRECTORY_TYPE = 'application/http-message-signatures-directory+json';

/** Why there is no key; each of them leaves a request unverified. */
export type DirectoryFault =
  | 'directory-unreachable'
  | 'directory-slow'
  | 'directory-status'
  | 'directory-redirect'
  | 'directory-type'
  | 'directory-too-large'
  | 'directory-malformed'
  | 'directory-busy'
  | 'card-refused'
  | 'key-unknown';

export interface DirectoryKey extends PublicKey {
  readonly thumbprint: string;
  /** For WebCrypto. */
  readonly imported: SignatureKey;
}

interface Directory {
  readonly keys: readonly DirectoryKey[];
  readonly fetchedAt: number; // seconds
  readonly freshUntil: number;
}

interface Failure {
  readonly fault: DirectoryFault;
  readonly retryAt: number; // seconds
  readonly wait: number;
}

interface Fetch {
  readonly host: string;
  readonly startedAt: number; // ms
  readonly result: Promise<Directory | DirectoryFault>;
}

export interface KeyDirectoriesOptions extends AgentUrlOptions {
  /** Must not follow redirects by itself and must reach public addresses only. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** `compat`: any media type at the well-known place, a single key in the place of a set, and cards. */
  readonly wire?: 'strict' | 'compat';
}

export class KeyDirectories {
  readonly #options: KeyDirectoriesOptions;
  /** By what is fetched, a card apart from keys. The first are the least recently used. */
  readonly #directories = new Map<string, Directory>();
  readonly #failures = new Map<string, Failure>();
  readonly #fetches = new Map<string, Fetch>();

  constructor(options: KeyDirectoriesOptions) {
    this.#options = options;
  }

  /**
   * The key of `url` that is named `keyid`: by its thumbprint, else by `kid`. Looked up in that directory and in no
   * other: one agent's key says nothing about another's URL. `keep` is told of a fetch that others may wait for too, so
   * that it goes on if the request that began it is dropped.
   */
  async key(
    url: AgentUrl,
    { resource }: Pick<AgentMember, 'resource'>,
    keyid: string,
    keep: (work: Promise<unknown>) => void = ignore,
  ): Promise<DirectoryKey | DirectoryFault> {
    const id = `${resource} ${url.fetched}`;
    const now = this.#seconds();
    let known = this.#directories.get(id);
    const found = known === undefined ? undefined : keyIn(known, keyid);
    const missing = known !== undefined && found === undefined && now - known.fetchedAt >= REFETCH_SECONDS;
    if (known === undefined || now >= known.freshUntil || missing) {
      const fetched = await this.#fetched(id, url, resource, now, keep);
      if (typeof fetched !== 'string') known = fetched;
      // A directory that fails is no evidence against what it said before.
      else if (known === undefined || found === undefined) return fetched;
    }
    this.#touch(id, known);
    return keyIn(known, keyid) ?? 'key-unknown';
  }

  #seconds(): number {
    return Math.floor(this.#options.now() / 1000);
  }

  #touch(id: string, directory: Directory): void {
    if (this.#directories.delete(id)) this.#directories.set(id, directory);
  }

  /** One fetch for all who ask meanwhile; none while a failure is young. */
  #fetched(
    id: string,
    url: AgentUrl,
    resource: AgentMember['resource'],
    now: number,
    keep: (work: Promise<unknown>) => void,
  ): Promise<Directory | DirectoryFault> {
    this.#forgetLost();
    const pending = this.#fetches.get(id);
    if (pending !== undefined) return withinTime(pending.result);
    const failure = this.#failures.get(id);
    if (failure !== undefined && now < failure.retryAt) return Promise.resolve(failure.fault);
    let onHost = 0;
    for (const { host } of this.#fetches.values()) if (host === url.host) onHost++;
    if (this.#fetches.size >= MAX_FETCHES || onHost >= MAX_HOST_FETCHES) return Promise.resolve('directory-busy');
    const result = this.#load(url, resource)
      .then((loaded) => this.#keep(id, loaded))
      .finally(() => this.#fetches.delete(id));
    this.#fetches.set(id, { host: url.host, startedAt: this.#options.now(), result });
    keep(result);
    return result;
  }

  /** The runtime may drop a request with all that it waits for: such a fetch never comes to its `finally`. */
  #forgetLost(): void {
    const since = this.#options.now() - 2 * DIRECTORY_TIMEOUT_MS;
    for (const [id, { startedAt }] of this.#fetches) if (startedAt < since) this.#fetches.delete(id);
  }

  #keep(id: string, result: Directory | DirectoryFault): Directory | DirectoryFault {
    if (typeof result !== 'string') {
      this.#failures.delete(id);
      this.#directories.delete(id);
      this.#directories.set(id, result);
      trim(this.#directories, MAX_DIRECTORIES);
      return result;
    }
    const before = this.#failures.get(id)?.wait ?? MIN_RETRY_SECONDS / 2;
    const wait = Math.min(before * 2, MAX_RETRY_SECONDS);
    this.#failures.delete(id);
    this.#failures.set(id, { fault: result, retryAt: this.#seconds() + wait, wait });
    trim(this.#failures, MAX_DIRECTORY_FAILURES);
    return result;
  }

  async #load(url: AgentUrl, resource: AgentMember['resource']): Promise<Directory | DirectoryFault> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), DIRECTORY_TIMEOUT_MS);
    try {
      if (resource === 'keys') return await this.#loadKeys(url, abort.signal);
      if (this.#options.wire !== 'compat') return 'card-refused';
      const fetched = await this.#read(url.fetched, null, abort.signal);
      if (typeof fetched === 'string') return fetched;
      const card = readCard(url.fetched, fetched.value);
      if (typeof card === 'string') return 'card-refused';
      if (card.jwksUri === null) return await this.#directory(card.jwks, fetched.freshSeconds);
      const keys = agentUrl(card.jwksUri, 'keys', this.#options);
      return typeof keys === 'string' ? 'card-refused' : await this.#loadKeys(keys, abort.signal);
    } catch {
      return abort.signal.aborted ? 'directory-slow' : 'directory-unreachable';
    } finally {
      clearTimeout(timer);
      // Whatever was not read is not wanted.
      abort.abort();
    }
  }

  async #loadKeys(url: AgentUrl, signal: AbortSignal): Promise<Directory | DirectoryFault> {
    const type = url.wellKnown && this.#options.wire !== 'compat' ? DIRECTORY_TYPE : null;
    const fetched = await this.#read(url.fetched, type, signal);
    return typeof fetched === 'string' ? fetched : this.#directory(fetched.value, fetched.freshSeconds);
  }

  /** JSON of `url`, which has to be of media type `type`. */
  async #read(
    url: string,
    type: string | null,
    signal: AbortSignal,
  ): Promise<{ readonly value: unknown; readonly freshSeconds: number } | DirectoryFault> {
    const accept = `${DIRECTORY_TYPE}, application/jwk-set+json;q=0.9, application/json;q=0.8`;
    const response = await raced(this.#options.fetch(url, { redirect: 'manual', signal, headers: { accept } }), signal);
    const { status, headers } = response;
    if (status !== 200) {
      response.body?.cancel().catch(ignore);
      return status >= 300 && status < 400 ? 'directory-redirect' : 'directory-status';
    }
    const given = (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
    if (type !== null && given !== type) {
      response.body?.cancel().catch(ignore);
      return 'directory-type';
    }
    const bytes = await readBytes(response.body, MAX_DIRECTORY_BYTES, signal);
    if (bytes === null) return 'directory-too-large';
    try {
      const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes));
      return { value, freshSeconds: freshness(headers) };
    } catch {
      return 'directory-malformed';
    }
  }

  async #directory(value: unknown, freshSeconds: number): Promise<Directory | DirectoryFault> {
    const set = value as { keys?: unknown; kty?: unknown } | null;
    if (typeof set !== 'object' || set === null) return 'directory-malformed';
    const bare = this.#options.wire === 'compat' && set.keys === undefined && set.kty !== undefined;
    const listed = bare ? [set] : set.keys;
    if (!Array.isArray(listed)) return 'directory-malformed';
    if (listed.length > MAX_DIRECTORY_KEYS) return 'directory-too-large';
    const keys: DirectoryKey[] = [];
    for (const entry of listed) {
      const key = readPublicKey(entry);
      // One entry that is for something else, or that is broken, says nothing about the others.
      if (typeof key === 'string') continue;
      const imported = await importKey(key.members, key.algorithm).catch(() => null);
      if (imported !== null) keys.push({ ...key, thumbprint: await thumbprint(key.members), imported });
    }
    const fetchedAt = this.#seconds();
    return { keys, fetchedAt, freshUntil: fetchedAt + freshSeconds };
  }
}

function keyIn({ keys }: Directory, keyid: string): DirectoryKey | undefined {
  return keys.find((key) => key.thumbprint === keyid) ?? keys.find((key) => key.kid === keyid);
}

/** Drops the least recently used. */
function trim(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

/** SPEC: RFC 9111 section 4.2.1, within our bounds. `no-store` and `no-cache` get the least. */
export function freshness(headers: Headers): number {
  const control = (headers.get('cache-control') ?? '').toLowerCase();
  const age = /^[0-9]{1,9}$/.exec(headers.get('age') ?? '')?.[0] ?? '0';
  const maxAge = /(?:^|[\s,])max-age="?([0-9]{1,9})/.exec(control)?.[1];
  const refused = /(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])/.test(control);
  const expires = Date.parse(headers.get('expires') ?? '');
  const date = Date.parse(headers.get('date') ?? '');
  let seconds = DEFAULT_DIRECTORY_SECONDS;
  if (refused) seconds = 0;
  else if (maxAge !== undefined) seconds = Number(maxAge) - Number(age);
  else if (!Number.isNaN(expires) && !Number.isNaN(date)) seconds = (expires - date) / 1000 - Number(age);
  const bounded = Math.min(Math.max(seconds, MIN_DIRECTORY_SECONDS), MAX_DIRECTORY_SECONDS);
  // So that directories fetched together are not all fetched again together.
  return Math.floor(bounded * (1 - Math.random() / 10));
}

/** For those who wait for the fetch of somebody else. */
function withinTime(work: Promise<Directory | DirectoryFault>): Promise<Directory | DirectoryFault> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('directory-slow'), DIRECTORY_TIMEOUT_MS);
    work.then(resolve, () => resolve('directory-unreachable')).finally(() => clearTimeout(timer));
  });
}

const ignore = (): void => {};
