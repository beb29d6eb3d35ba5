/**
 * Reads a rule set out of a tar archive (gzip or plain), or out of a directory. SAFETY: an archive comes from somewhere
 * else: links are never followed nor made, no name leads out of the folder, and sizes are bounded before anything is kept.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { Failure } from './failure.ts';

export const MAX_ARCHIVE_BYTES = 33_554_432; // 32 MiB, as downloaded
export const MAX_UNPACKED_BYTES = 134_217_728; // 128 MiB, kept or not
export const MAX_RULE_FILE_BYTES = 8_388_608; // 8 MiB, of one file that is kept
export const MAX_RULE_FILES = 2000; // that are kept
export const MAX_ARCHIVE_ENTRIES = 50_000;
const MAX_FOLDERS = 32; // of one name
const BLOCK = 512;

/** By path with `/`, in the order of the paths. Only what a rule set is made of: rules, their data, its licence. */
export type RuleFiles = ReadonlyMap<string, Uint8Array>;

const KEPT = /\.(conf|data|conf\.example|lst|txt)$|(^|\/)(LICENSE|NOTICE)(\.[a-z]+)?$/;
const LEFT_OUT = /(^|\/)(tests?|docs|util|\.[^/]+)\//;

/** Files of an archive; throws a Failure that names what is wrong with it. A single folder around all of them is left out. */
export async function readArchive(bytes: Uint8Array, name: string): Promise<RuleFiles> {
  if (bytes.length > MAX_ARCHIVE_BYTES) throw tooLarge(name, 'archive', MAX_ARCHIVE_BYTES);
  if (bytes[0] === 0x50 && bytes[1] === 0x4b)
    throw new Failure(`${name} is a zip archive; take the tar.gz, or unpack it`);
  const tar = bytes[0] === 0x1f && bytes[1] === 0x8b ? await gunzip(bytes, name) : bytes;
  return collect(
    (function* () {
      for (const { path, content } of tarEntries(tar, name)) yield [path, () => content] as const;
    })(),
    name,
  );
}

/** Files of a directory, without those behind links. */
export function readFolder(folder: string): RuleFiles {
  const walk = function* (path: string, depth: number): Generator<readonly [string, () => Uint8Array]> {
    if (depth > MAX_FOLDERS) throw new Failure(`${folder} is more than ${MAX_FOLDERS} folders deep`);
    for (const entry of readdirSync(join(folder, path), { withFileTypes: true })) {
      const inside = path === '' ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!LEFT_OUT.test(`${inside}/`)) yield* walk(inside, depth + 1);
      } else if (entry.isFile() && KEPT.test(inside)) {
        const file = join(folder, inside);
        if (lstatSync(file).size > MAX_RULE_FILE_BYTES) throw tooLarge(file, 'file', MAX_RULE_FILE_BYTES);
        yield [inside, () => readFileSync(file)];
      }
    }
  };
  return collect(walk('', 0), folder);
}

function collect(entries: Iterable<readonly [path: string, read: () => Uint8Array]>, name: string): RuleFiles {
  const files = new Map<string, Uint8Array>();
  let roots: Set<string> | null = new Set();
  for (const [path, read] of entries) {
    if (!KEPT.test(path) || LEFT_OUT.test(path)) continue;
    if (files.has(path)) throw new Failure(`${name} holds ${shown(path)} twice`);
    const content = read();
    if (content.length > MAX_RULE_FILE_BYTES) throw tooLarge(`${shown(path)} in ${name}`, 'file', MAX_RULE_FILE_BYTES);
    if (files.size === MAX_RULE_FILES) throw new Failure(`${name} holds more than ${MAX_RULE_FILES} rule files`);
    const slash = path.indexOf('/');
    if (slash < 0) roots = null;
    else roots?.add(path.slice(0, slash));
    // A copy: what is cut out of an archive would keep all of it.
    files.set(path, new Uint8Array(content));
  }
  if (![...files.keys()].some((path) => path.endsWith('.conf') || path.endsWith('.conf.example')))
    throw new Failure(`${name} holds no rule files: none ends in .conf`);
  const cut = roots?.size === 1 ? [...roots][0]!.length + 1 : 0;
  // Releases have one folder with the version around everything; `rules/` alone is none of those.
  const folder = cut > 0 && [...roots!][0] !== 'rules' ? cut : 0;
  return new Map([...files].map(([path, content]) => [path.slice(folder), content] as const).sort(byPath));
}

const byPath = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;

async function gunzip(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  const inflater = createGunzip();
  const chunks: Buffer[] = [];
  let length = 0;
  inflater.end(bytes);
  try {
    for await (const chunk of inflater as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_UNPACKED_BYTES) throw tooLarge(name, 'unpacked archive', MAX_UNPACKED_BYTES);
      chunks.push(chunk);
    }
  } catch (error) {
    inflater.destroy();
    if (error instanceof Failure) throw error;
    throw new Failure(`${name} is no sound gzip file: ${error instanceof Error ? error.message : String(error)}`);
  }
  return Buffer.concat(chunks, length);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * SPEC: POSIX pax interchange format (and ustar, which it extends; GNU's long names). Regular files only: links, devices
 * and folders are passed over, so nothing in an archive can point anywhere.
 */
export function* tarEntries(tar: Uint8Array, name: string): Generator<{ path: string; content: Uint8Array }> {
  let at = 0;
  let longName: string | null = null;
  let entries = 0;
  const broken = (what: string): Failure => new Failure(`${name} is no sound tar archive: ${what} at byte ${at}`);
  while (at + BLOCK <= tar.length) {
    const header = tar.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return; // the end
    if (++entries > MAX_ARCHIVE_ENTRIES) throw new Failure(`${name} has more than ${MAX_ARCHIVE_ENTRIES} entries`);
    let sum = 0;
    for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : header[i]!;
    if (octal(header, 148, 8) !== sum) throw broken('a checksum is wrong');
    const size = octal(header, 124, 12);
    if (size < 0 || at + BLOCK + size > tar.length) throw broken('an entry is cut off');
    const content = tar.subarray(at + BLOCK, at + BLOCK + size);
    const type = String.fromCharCode(header[156]!);
    if (type === 'L') longName = text(content, 0, content.length, broken);
    else if (type === 'x') longName = paxPath(content, broken) ?? longName;
    else if (type !== 'g') {
      const prefix = text(header, 257, 5, broken) === 'ustar' ? text(header, 345, 155, broken) : '';
      const short = text(header, 0, 100, broken);
      const path = longName ?? (prefix === '' ? short : `${prefix}/${short}`);
      longName = null;
      if (type === '0' || type === '\0' || type === '7') yield { path: safePath(path, name), content };
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  throw broken('its end is missing');
}

/** A path that stays inside, without `./`; throws a Failure for any other. */
function safePath(path: string, name: string): string {
  const parts = path.replace(/^(\.\/)+/, '').split('/');
  const outside = parts.some((part) => part === '' || part === '.' || part === '..' || part.length > 255);
  if (outside || parts.length > MAX_FOLDERS || /[\u0000-\u001f\u007f\\:]/.test(path))
    throw new Failure(`${name} holds a file whose name leads outside or is not portable: ${shown(path)}`);
  return parts.join('/');
}

function octal(bytes: Uint8Array, at: number, length: number): number {
  let digits = '';
  for (const byte of bytes.subarray(at, at + length)) digits += String.fromCharCode(byte);
  digits = digits.replace(/[\0 ]+$/, '').trim();
  return /^[0-7]{1,12}$/.test(digits) ? Number.parseInt(digits, 8) : -1;
}

function text(bytes: Uint8Array, at: number, length: number, broken: (what: string) => Failure): string {
  const part = bytes.subarray(at, at + length);
  const end = part.indexOf(0);
  try {
    return decoder.decode(end < 0 ? part : part.subarray(0, end));
  } catch {
    throw broken('a name is not UTF-8');
  }
}

/** `path` of an extended header: records of `<length> <key>=<value>\n`. */
function paxPath(content: Uint8Array, broken: (what: string) => Failure): string | null {
  let path: string | null = null;
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(0x20, at);
    const digits = space < 0 ? '' : text(content, at, space - at, broken);
    const length = /^[0-9]{1,9}$/.test(digits) ? Number(digits) : 0;
    if (length < digits.length + 2 || at + length > content.length) throw broken('an extended header is wrong');
    const record = text(content, space + 1, at + length - space - 2, broken);
    if (record.startsWith('path=')) path = record.slice(5);
    at += length;
  }
  return path;
}

const tooLarge = (name: string, what: string, limit: number): Failure =>
  new Failure(`${name} is larger than a rule set's ${what} may be, ${limit / 1_048_576} MiB`);

const shown = (path: string): string => JSON.stringify(path.length > 100 ? `${path.slice(0, 100)}…` : path);
