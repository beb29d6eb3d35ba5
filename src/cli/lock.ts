/**
 * `sallyport.lock`: which bytes the rule sets of a project are. Belongs into version control: what was added once is
 * what everybody gets, or an error.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuleFiles } from './archive.ts';
import { Failure } from './failure.ts';

export const LOCK_FILE = 'sallyport.lock';

export interface LockedRules {
  /** Where it came from: a URL, or a path as it was given. */
  readonly source: string;
  /** Hex SHA-256 of the archive as it came; of `files` for a directory. */
  readonly sha256: string;
  /** Hex SHA-256 of names and contents of the files that are used. */
  readonly files: string;
  /** Rules with patterns that the engine does not have: refused with the rule set when absent, else left out. */
  readonly unsupported?: 'leave-out';
}

export type Lock = Readonly<Record<string, LockedRules>>;

export function readLock(folder: string): Lock {
  const path = join(folder, LOCK_FILE);
  if (!existsSync(path)) return {};
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new Failure(`${path} is not JSON; take it from version control`);
  }
  const rulesets = (value as { rulesets?: unknown } | null)?.rulesets;
  if (typeof rulesets !== 'object' || rulesets === null || Array.isArray(rulesets))
    throw new Failure(`${path} has no \`rulesets\`; take it from version control`);
  const lock: Record<string, LockedRules> = Object.create(null) as Record<string, LockedRules>;
  for (const [name, entry] of Object.entries(rulesets as Record<string, unknown>)) {
    const { source, sha256, files, unsupported } = (entry ?? {}) as Record<string, unknown>;
    const hash = (text: unknown): text is string => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
    if (
      typeof source !== 'string' ||
      !hash(sha256) ||
      !hash(files) ||
      ![undefined, 'leave-out'].includes(unsupported as undefined)
    )
      throw new Failure(`${path}: the entry of ${JSON.stringify(name)} is damaged; take the file from version control`);
    lock[name] = { source, sha256, files, ...(unsupported !== undefined && { unsupported: 'leave-out' }) };
  }
  return lock;
}

export function writeLock(folder: string, lock: Lock): void {
  const path = join(folder, LOCK_FILE);
  const sorted = Object.fromEntries(Object.entries(lock).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(`${path}.new`, `${JSON.stringify({ rulesets: sorted }, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Over names and contents, each with its length in front, so that nothing can move from one into the other. */
export function digestOf(files: RuleFiles): string {
  const hash = createHash('sha256');
  for (const [path, content] of files) {
    const name = Buffer.from(path);
    hash.update(`${name.length} ${content.length}\n`).update(name).update(content);
  }
  return hash.digest('hex');
}
