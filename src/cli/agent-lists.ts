/**
 * `agents.lists.json`: the addresses of agents as their operators last published them, and when that was. Beside
 * `sallyport.lock`, and like it for version control where a deployment is to be the same wherever it is made; other than that
 * it grows old, so it is written anew by `agents update`.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkPrefixes, ListError } from '../compiler/agents/address-list.ts';
import { ADDRESS_LISTS } from '../compiler/agents/address-lists.ts';
import { LIST_DAYS, type KnownList } from '../compiler/agents/addresses.ts';
import { Failure } from './failure.ts';

export const LISTS_FILE = 'agents.lists.json';
/** Days after which somebody is told that lists should be fetched again. */
const FRESH_DAYS = 7;
const DAY = 86_400_000; // ms

export interface StoredList {
  /** Where it came from: a URL, or the path of a file. */
  readonly source: string;
  /** ISO 8601; when it was last found to be so. */
  readonly fetched: string;
  /** Hex SHA-256 of the list as it came. */
  readonly sha256: string;
  readonly prefixes: readonly string[];
}

/** By the id of ADDRESS_LISTS. */
export type StoredLists = Readonly<Record<string, StoredList>>;

/** The lists of a project, none where it has none; throws a Failure when the file is damaged. */
export function readLists(project: string): StoredLists {
  const path = join(project, LISTS_FILE);
  if (!existsSync(path)) return {};
  const damaged = (what: string): Failure => new Failure(`${path} ${what}; remove it and run sallyport agents update`);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw damaged('is not JSON');
  }
  const given = (value as { lists?: unknown } | null)?.lists;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw damaged('has no `lists`');
  const lists = Object.create(null) as Record<string, StoredList>;
  for (const [id, entry] of Object.entries(given as Record<string, unknown>)) {
    const { source, fetched, sha256, prefixes } = (entry ?? {}) as Record<string, unknown>;
    const sound =
      typeof source === 'string' &&
      typeof fetched === 'string' &&
      !Number.isNaN(Date.parse(fetched)) &&
      typeof sha256 === 'string' &&
      /^[0-9a-f]{64}$/.test(sha256) &&
      Array.isArray(prefixes);
    if (!sound) throw damaged(`is damaged at ${JSON.stringify(id)}`);
    try {
      lists[id] = { source, fetched, sha256, prefixes: checkPrefixes(prefixes) };
    } catch (error) {
      if (!(error instanceof ListError)) throw error;
      throw damaged(`is damaged at ${JSON.stringify(id)}: ${error.message}`);
    }
  }
  return lists;
}

/** Written beside and renamed, so that whoever reads meanwhile has the one or the other. */
export function writeLists(project: string, lists: StoredLists): void {
  const path = join(project, LISTS_FILE);
  const sorted = Object.fromEntries(Object.entries(lists).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(`${path}.new`, `${JSON.stringify({ lists: sorted }, null, 1)}\n`);
  renameSync(`${path}.new`, path);
}

/** As the compiler wants them. Lists of another version of Sallyport are left out there. */
export function knownLists(lists: StoredLists): KnownList[] {
  return Object.entries(lists).map(([id, { prefixes, fetched }]) => ({
    id,
    prefixes,
    fetched: Math.floor(Date.parse(fetched) / 1000),
  }));
}

/** What somebody who starts a gateway should know about the lists; null: all is well. */
export function listNotice(lists: StoredLists, now: number): string | null {
  const known = ADDRESS_LISTS.filter(({ id }) => Object.hasOwn(lists, id));
  const remedy = 'run sallyport agents update';
  if (known.length === 0)
    return `there are no address lists of agents, so those that do not sign are \`claimed\` at best: ${remedy}`;
  const days = Math.max(...known.map(({ id }) => Math.floor((now - Date.parse(lists[id]!.fetched)) / DAY)));
  if (days >= LIST_DAYS)
    return `address lists of agents are ${days} days old and no longer show who is spoofed: ${remedy}`;
  if (days >= FRESH_DAYS) return `address lists of agents are ${days} days old: ${remedy}`;
  return null;
}

/** Says it where a gateway of this folder starts. */
export function tellOfLists(report: (event: { readonly event: 'notice'; readonly message: string }) => void): void {
  const message = listNotice(readLists(process.cwd()), Date.now());
  if (message !== null) report({ event: 'notice', message });
}
