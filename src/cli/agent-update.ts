/**
 * `sallyport agents update`: fetches the address lists that operators of agents publish. Each list is taken whole or not at
 * all: one that cannot be had, or is not believed, leaves the last good one in its place and is reported.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pc from 'picocolors';
import { keptShare, LEAST_KEPT, ListError, MAX_LIST_BYTES, parseAddressList } from '../compiler/agents/address-list.ts';
import { ADDRESS_LISTS, type AddressList } from '../compiler/agents/address-lists.ts';
import { nearest } from '../compiler/spelling.ts';
import { printable } from './accesslog.ts';
import { LISTS_FILE, readLists, writeLists, type StoredList } from './agent-lists.ts';
import { Failure, sentence } from './failure.ts';
import { sha256 } from './lock.ts';

export const FETCH_TIMEOUT = 20_000; // ms for one list, from the first byte asked for to the last that comes
const MAX_REDIRECTS = 3;
const AT_ONCE = 6;

export interface UpdateOptions {
  /** A folder with the lists as files named by their ids. */
  readonly from?: string | undefined;
  /** Where all of them are, by the same names. */
  readonly mirror?: string | undefined;
  /** Ids of lists; none: all. */
  readonly only?: readonly string[];
  /** Take a list that lost most of what the last one had. */
  readonly force?: boolean | undefined;
  readonly timeout?: number;
  readonly now?: () => number;
}

export interface Updated {
  readonly id: string;
  readonly operator: string;
  /** `kept`: not to be had now, the last good one stays; `missing`: nor was it ever. */
  readonly status: 'updated' | 'unchanged' | 'kept' | 'missing';
  readonly source: string;
  /** Of what is there now; 0 and '' for nothing. */
  readonly prefixes: number;
  readonly fetched: string;
  readonly sha256: string;
  /** Why it is `kept` or `missing`. */
  readonly problem: string;
}

/** The name of a list in a folder, or at a mirror. */
export const fileOf = ({ id, format }: AddressList): string =>
  `${id}.${format === 'json' ? 'json' : format === 'geofeed' ? 'csv' : 'txt'}`;

/** Fetches lists and writes those that are good; throws a Failure only when nothing could be done at all. */
export async function updateLists(project: string, options: UpdateOptions = {}): Promise<Updated[]> {
  const wanted = choose(options.only ?? []);
  const before = readLists(project);
  const lists: Record<string, StoredList> = { ...before };
  const results = new Map<string, Updated>();
  const queue = [...wanted];
  const work = async (): Promise<void> => {
    for (let list = queue.shift(); list !== undefined; list = queue.shift()) {
      const { id, operator } = list;
      const last = before[id];
      const source = sourceOf(list, options);
      let problem = '';
      try {
        lists[id] = take(list, last, source, await obtain(list, source, options), options);
      } catch (error) {
        if (!(error instanceof ListError)) throw error;
        problem = error.message;
      }
      const status =
        problem === '' ? (last?.sha256 === lists[id]!.sha256 ? 'unchanged' : 'updated') : last ? 'kept' : 'missing';
      const { prefixes = [], fetched = '', sha256: hash = '' } = lists[id] ?? {};
      results.set(id, { id, operator, status, source, prefixes: prefixes.length, fetched, sha256: hash, problem });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const all = wanted.map(({ id }) => results.get(id)!);
  if (all.some(({ problem }) => problem === '')) {
    try {
      writeLists(project, lists);
    } catch (error) {
      throw new Failure(sentence(error));
    }
  }
  return all;
}

function choose(only: readonly string[]): readonly AddressList[] {
  const ids = ADDRESS_LISTS.map(({ id }) => id);
  for (const id of only) {
    if (ids.includes(id)) continue;
    const near = nearest(id, ids);
    throw new Failure(
      `there is no list "${id}"${near === null ? `; there are ${ids.join(', ')}` : `; did you mean ${near}?`}`,
    );
  }
  return only.length === 0 ? ADDRESS_LISTS : ADDRESS_LISTS.filter(({ id }) => only.includes(id));
}

function sourceOf(list: AddressList, { from, mirror }: UpdateOptions): string {
  if (from !== undefined) return join(from, fileOf(list));
  return mirror === undefined ? list.url : `${mirror.replace(/\/+$/, '')}/${fileOf(list)}`;
}

function take(
  list: AddressList,
  last: StoredList | undefined,
  source: string,
  bytes: Uint8Array,
  options: UpdateOptions,
): StoredList {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ListError('it is no text');
  }
  const prefixes = parseAddressList(list.format, text);
  const kept = last === undefined ? 1 : keptShare(last.prefixes, prefixes);
  if (kept < LEAST_KEPT && options.force !== true)
    throw new ListError(
      `it has ${prefixes.length} prefixes, and of the ${last!.prefixes.length} of the last one only ${Math.round(kept * 100)} % are in it; --force takes it all the same`,
    );
  return { source, fetched: new Date((options.now ?? Date.now)()).toISOString(), sha256: sha256(bytes), prefixes };
}

async function obtain(list: AddressList, source: string, options: UpdateOptions): Promise<Uint8Array> {
  if (options.from === undefined) return download(source, options.timeout ?? FETCH_TIMEOUT);
  if (!existsSync(source)) throw new ListError(`there is no file ${fileOf(list)}`);
  if (statSync(source).size > MAX_LIST_BYTES) throw new ListError(`it has more than ${MAX_LIST_BYTES} bytes`);
  try {
    return new Uint8Array(readFileSync(source));
  } catch (error) {
    throw new ListError(sentence(error));
  }
}

async function download(url: string, timeout: number): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(timeout);
  const first = URL.parse(url);
  let target = first;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    if (first === null || target === null || !isSafe(target))
      throw new ListError(`lists come over https, not from ${url}`);
    if (siteOf(target) !== siteOf(first))
      throw new ListError(`${first.host} redirects to another host, ${target.host}`);
    let response: Response;
    try {
      response = await fetch(target, {
        redirect: 'manual',
        signal,
        headers: { accept: '*/*', 'user-agent': 'sallyport' },
      });
    } catch (error) {
      throw new ListError(signal.aborted ? tooSlow(timeout) : `it cannot be reached: ${causeOf(error)}`);
    }
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      const location = response.headers.get('location');
      target = location === null ? null : URL.parse(location, target);
      if (target === null) throw new ListError('it redirects to nowhere');
      continue;
    }
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new ListError(`${target.host} answers ${response.status}`);
    }
    return readBody(response, signal, timeout);
  }
  throw new ListError(`it redirects more than ${MAX_REDIRECTS} times`);
}

/** Plain HTTP is for a server on this very machine. */
function isSafe(url: URL): boolean {
  const loopback =
    url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopback);
}

const siteOf = ({ host }: URL): string => host.replace(/^www\./, '');

async function readBody(response: Response, signal: AbortSignal, timeout: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > MAX_LIST_BYTES) throw new ListError(`it has more than ${MAX_LIST_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ListError) throw error;
    throw new ListError(signal.aborted ? tooSlow(timeout) : `it broke off: ${causeOf(error)}`);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

const tooSlow = (timeout: number): string => `it took longer than ${timeout / 1000} seconds`;

function causeOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? sentence(error);
}

export interface UpdateArguments {
  readonly from?: string | undefined;
  readonly mirror?: string | undefined;
  readonly force?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly lists: readonly string[];
}

/** The command. */
export async function update(args: UpdateArguments): Promise<void> {
  if (args.from !== undefined && args.mirror !== undefined) throw new Failure('--from and --mirror exclude each other');
  if (args.from !== undefined && !existsSync(args.from)) throw new Failure(`there is no folder ${args.from}`);
  const lists = await updateLists(process.cwd(), {
    from: args.from,
    mirror: args.mirror,
    force: args.force,
    only: args.lists,
  });
  const bad = lists.filter(({ problem }) => problem !== '');
  if (bad.length > 0) process.exitCode = 1;
  if (args.json === true)
    return void process.stdout.write(`${JSON.stringify({ ok: bad.length === 0, file: LISTS_FILE, lists })}\n`);
  const width = Math.max(...lists.map(({ id }) => id.length));
  for (const { id, status, prefixes, problem, fetched } of lists) {
    const color = problem === '' ? pc.green : status === 'kept' ? pc.yellow : pc.red;
    const what =
      problem === ''
        ? `${prefixes} prefixes`
        : printable(problem) + (fetched === '' ? '' : `; that of ${fetched} stays`);
    process.stdout.write(`${id.padEnd(width)}  ${color(status.padEnd(9))}  ${what}\n`);
  }
  if (bad.length < lists.length)
    process.stdout.write(`${LISTS_FILE} is written; a running gateway takes it with sallyport reload\n`);
}
