/**
 * The rule sets of a project: fetched or copied once into `.sallyport/rules/`, held to `sallyport.lock`, read from there
 * by every command that compiles a policy. `core` is embedded and always there.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { digestOf, readLock, sha256, writeLock, type LockedRules } from './lock.ts';
import { MAX_ARCHIVE_BYTES, readArchive, readFolder, type RuleFiles } from './archive.ts';
import { Failure, sentence } from './failure.ts';

export const RULES_FOLDER = join('.sallyport', 'rules');
const DOWNLOAD_TIMEOUT = 120_000; // ms for the whole archive
const MAX_REDIRECTS = 5;
/** Names that mean something else: the embedded rule set, and none at all. */
export const RESERVED = ['core', 'none'];

export interface RuleSetName {
  readonly name: string; // `crs@4.28.0`
  readonly set: string; // `crs`
  readonly version: string; // `4.28.0`, '' for none
}

/** Throws a Failure for what cannot be the name of a rule set. It becomes the name of a folder. */
export function parseName(text: string): RuleSetName {
  const parts = /^([a-z0-9][a-z0-9_-]{0,31})(?:@([0-9A-Za-z][0-9A-Za-z._+-]{0,31}))?$/.exec(text);
  if (parts === null || text.includes('..'))
    throw new Failure(`a rule set is named like crs@4.28.0, in small letters, not "${text}"`);
  return { name: text, set: parts[1]!, version: parts[2] ?? '' };
}

/** Where a release of the OWASP CRS is at home. */
export const crsUrl = (version: string): string =>
  `https://github.com/coreruleset/coreruleset/releases/download/v${version}/coreruleset-${version}-minimal.tar.gz`;

export interface AddOptions {
  /** A directory or an archive on this machine. */
  readonly from?: string | undefined;
  /** Another place to download from; what comes is held to the lock all the same. */
  readonly url?: string | undefined;
  /** Whether rules with patterns that the engine does not have are left out; undefined: as the lock says. */
  readonly leaveOut?: boolean | undefined;
  readonly onProgress?: (bytes: number, total: number) => void;
}

export interface Added extends LockedRules {
  readonly name: string;
  readonly count: number; // files
  readonly fresh: boolean; // not in the lock before, or not so
}

/** Brings a rule set here. Throws a Failure, changing nothing, when it is not the one that the lock records. */
export async function addRules(project: string, name: string, options: AddOptions = {}): Promise<Added> {
  const parsed = parseName(name);
  if (RESERVED.includes(parsed.set)) throw new Failure(`"${parsed.set}" is part of Sallyport; there is nothing to add`);
  const lock = readLock(project);
  const locked = lock[name];
  const { source, bytes, files } = await obtain(parsed, locked, options);
  const found: LockedRules = {
    source,
    sha256: bytes === null ? digestOf(files) : sha256(bytes),
    files: digestOf(files),
  };
  // One release has several archives; what counts is that the files are the same.
  if (locked !== undefined && locked.files !== found.files) {
    throw new Failure(
      `${name} from ${source} is not what it was when it was added: SHA-256 ${found.sha256}, and sallyport.lock has ${locked.sha256}; nothing was changed. If that is meant, remove its entry from sallyport.lock`,
      { expected: locked.sha256, found: found.sha256 },
    );
  }
  writeFiles(folderOf(project, name), files);
  const { unsupported: before, ...kept }: LockedRules = locked ?? found;
  const leaveOut = options.leaveOut ?? before === 'leave-out';
  const entry: LockedRules = leaveOut ? { ...kept, unsupported: 'leave-out' } : kept;
  const fresh = locked === undefined || entry.unsupported !== before;
  if (fresh) writeLock(project, { ...lock, [name]: entry });
  return { name, ...entry, count: files.size, fresh };
}

async function obtain(
  { name, set, version }: RuleSetName,
  locked: LockedRules | undefined,
  { from, url, onProgress }: AddOptions,
): Promise<{ source: string; bytes: Uint8Array | null; files: RuleFiles }> {
  if (from !== undefined) return readLocal(from);
  if (url === undefined && locked !== undefined && !/^https?:/.test(locked.source)) return readLocal(locked.source);
  const known = set === 'crs' && version !== '' ? crsUrl(version) : undefined;
  const source = url ?? locked?.source ?? known;
  if (source === undefined)
    throw new Failure(
      set === 'crs'
        ? `which release? Write crs@4.28.0`
        : `where is ${name}? Give --from DIRECTORY, --from ARCHIVE or --url URL; by name only crs@VERSION is known`,
    );
  const bytes = await download(source, onProgress);
  return { source, bytes, files: await readArchive(bytes, source) };
}

async function readLocal(path: string): Promise<{ source: string; bytes: Uint8Array | null; files: RuleFiles }> {
  let stats;
  try {
    stats = statSync(path);
  } catch (error) {
    throw new Failure(sentence(error));
  }
  if (stats.isDirectory()) return { source: path, bytes: null, files: readFolder(path) };
  if (stats.size > MAX_ARCHIVE_BYTES) throw new Failure(`${path} is larger than ${MAX_ARCHIVE_BYTES} bytes`);
  const bytes = readFileSync(path);
  return { source: path, bytes, files: await readArchive(bytes, path) };
}

/** An archive over https; http only from this machine. Redirects are followed, each held to the same rule. */
export async function download(url: string, onProgress?: AddOptions['onProgress']): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(DOWNLOAD_TIMEOUT);
  let target = url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const parsed = URL.parse(target);
    if (parsed === null || (parsed.protocol !== 'https:' && !(parsed.protocol === 'http:' && isLoopback(parsed))))
      throw new Failure(`rule sets come over https, not from "${target}"`);
    let response: Response;
    try {
      response = await fetch(parsed, {
        redirect: 'manual',
        signal,
        headers: { accept: 'application/octet-stream, */*' },
      });
    } catch (error) {
      throw new Failure(
        `${target} cannot be reached: ${causeOf(error)}; --from takes a copy on this machine, --url a mirror`,
      );
    }
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      const location = response.headers.get('location');
      if (location === null) throw new Failure(`${target} redirects to nowhere`);
      target = new URL(location, parsed).href;
      continue;
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw new Failure(`${target} answers ${response.status}; is there such a release?`);
    }
    return await readBody(response, target, onProgress);
  }
  throw new Failure(`${url} redirects more than ${MAX_REDIRECTS} times`);
}

async function readBody(response: Response, url: string, onProgress: AddOptions['onProgress']): Promise<Uint8Array> {
  const total = Number(response.headers.get('content-length') ?? 0);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > MAX_ARCHIVE_BYTES) throw new Failure(`${url} sends more than ${MAX_ARCHIVE_BYTES} bytes`);
      chunks.push(chunk);
      onProgress?.(length, total);
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(`${url} broke off: ${causeOf(error)}`);
  }
  return Buffer.concat(chunks, length);
}

const isLoopback = ({ hostname }: URL): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);

const causeOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return sentence(cause);
};

export const folderOf = (project: string, name: string): string => join(project, RULES_FOLDER, name);

/** Beside, then renamed: a reader sees all of it or nothing. */
function writeFiles(folder: string, files: RuleFiles): void {
  const draft = `${folder}.new`;
  rmSync(draft, { recursive: true, force: true });
  for (const [path, content] of files) {
    const file = join(draft, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(draft, folder);
}

/** Files of a rule set that was added, held to the lock; throws a Failure when they are missing or altered. */
export function lockedFiles(project: string, name: string): RuleFiles {
  const locked = readLock(project)[parseName(name).name];
  if (locked === undefined)
    throw new Failure(
      `there is no rule set ${name}; sallyport rules add ${name} brings it, sallyport rules list shows those that are here`,
    );
  const folder = folderOf(project, name);
  if (!existsSync(folder))
    throw new Failure(`${name} is in sallyport.lock but not here; sallyport rules add ${name} brings it`);
  const files = readFolder(folder);
  if (digestOf(files) !== locked.files)
    throw new Failure(
      `the files in ${folder} are not those of sallyport.lock; remove the folder and add ${name} again`,
    );
  return files;
}

/**
 * The files to begin with, in order; others are reached by Include. SPEC: CRS INSTALL: setup, then plugins that
 * configure and come before, the rules by name, then plugins that come after.
 */
export function entryFiles(files: RuleFiles): string[] {
  const paths = [...files.keys()];
  if (files.has('main.conf')) return ['main.conf'];
  const setup =
    paths.find((path) => path === 'crs-setup.conf') ?? paths.find((path) => path === 'crs-setup.conf.example');
  const rank = (path: string): number => {
    if (path === setup) return 0;
    if (!path.startsWith('plugins/')) return 3;
    return path.endsWith('-config.conf') ? 1 : path.endsWith('-before.conf') ? 2 : 4;
  };
  return paths
    .filter((path) => path === setup || (path.endsWith('.conf') && path !== 'crs-setup.conf'))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0));
}
