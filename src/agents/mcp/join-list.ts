/**
 * Answers that are put together of those of all servers: lists, what servers say of themselves, and their capabilities. A
 * server that fails is left out, and `_meta` says so; only when all fail is there no answer.
 */
import type { McpJoinPlan, McpServerPlan } from '../../plan.ts';
import { errorOf, inTime, type JoinContext, readResponse, ServerFailure, SessionLost } from './join-server.ts';
import { joinedName, joinedPlaces, type Places, splitPlaces } from './join-names.ts';
import { joinedEntry, LISTS, type Message } from './join-rewrite.ts';
import { mapMember, member, partsOf, stringOf } from './json-parts.ts';

/** In `_meta` of what is put together: names of the servers that are missing in it. */
export const UNAVAILABLE_KEY = 'sallyport/unavailable';

/** What each server answered, and who did not. */
export interface Gathered {
  readonly results: ReadonlyMap<McpServerPlan, string>;
  readonly missing: readonly McpServerPlan[];
}

/** Asks servers at the same time. `SessionLost` goes on to the caller; any other failure leaves a server out. */
export async function gather(
  context: JoinContext,
  servers: readonly McpServerPlan[],
  ask: (server: McpServerPlan, signal: AbortSignal) => Promise<string>,
): Promise<Gathered> {
  const results = new Map<McpServerPlan, string>();
  const missing: McpServerPlan[] = [];
  let lost: SessionLost | null = null;
  const found = await Promise.all(
    servers.map(async (server) => {
      try {
        return await inTime(context, server, (signal) => ask(server, signal));
      } catch (error) {
        if (error instanceof SessionLost) lost = error;
        else context.note(server, error instanceof ServerFailure ? error.message : 'it could not be reached');
        return null;
      }
    }),
  );
  if (lost !== null) throw lost as SessionLost;
  // In the order of the policy, whoever answered first.
  servers.forEach((server, index) => {
    const result = found[index] ?? null;
    if (result === null) missing.push(server);
    else results.set(server, result);
  });
  return { results, missing };
}

/** The result of a response; the error of one that has none, as a failure of the server. */
export async function resultOf(response: Response): Promise<string> {
  const { text } = await readResponse(response);
  const result = member(text, 'result');
  if (result === undefined) throw new ServerFailure(`it answered with an error: ${errorOf(text)}`);
  return result;
}

/** Where a client wants to go on in a list: all servers from their beginning, or some from their cursors; null: nonsense. */
export function pageOf(join: McpJoinPlan, params: string | undefined): Places | null {
  const cursor = params === undefined ? undefined : member(params, 'cursor');
  if (cursor === undefined || cursor === 'null') return new Map(join.servers.map((server) => [server, '']));
  const token = stringOf(cursor);
  return token === undefined ? null : splitPlaces(join, 'list', token);
}

/** Params of a request for a page of one server. */
export function withCursor(params: string | undefined, cursor: string): string {
  const own = params ?? '{}';
  if (cursor !== '') return mapMember(own, 'cursor', () => JSON.stringify(cursor));
  const part = partsOf(own).find(({ name }) => name === 'cursor');
  if (part === undefined) return own;
  const kept = partsOf(own).filter(({ name }) => name !== 'cursor');
  return `{${kept.map(({ key, to }) => own.slice(key, to)).join(',')}}`;
}

/** One list of the lists of servers. Entries whose names come twice are left out, the first stays. */
export function joinLists(
  context: JoinContext,
  method: string,
  { results, missing }: Gathered,
  stateless: boolean,
): string {
  const { join } = context;
  const { entries, name } = LISTS[method]!;
  const list: string[] = [];
  const names = new Set<string>();
  const cursors = new Map<McpServerPlan, string>();
  for (const [server, result] of results) {
    const own = member(result, entries) ?? '[]';
    for (const { from, to } of partsOf(own)) {
      const entry = joinedEntry(join, server, method, own.slice(from, to));
      const shown = entry === null ? undefined : stringOf(member(entry, name));
      if (entry === null || shown === undefined) continue;
      if (names.has(shown))
        context.note(server, `two of its names are the same once they are cut: ${shown.slice(0, 80)}`);
      else list.push(entry);
      names.add(shown);
    }
    const next = stringOf(member(result, 'nextCursor'));
    if (next !== undefined) cursors.set(server, next);
  }
  let out = `{"${entries}":[${list.join(',')}]`;
  if (cursors.size > 0) {
    const token = joinedPlaces('list', cursors);
    // No half list without a word: who can't go on is missing from here on.
    if (token === '') for (const server of cursors.keys()) context.note(server, 'its cursor is too long');
    else out += `,"nextCursor":${JSON.stringify(token)}`;
  }
  return `${out}${stateless ? caching([...results.values()], missing) : ''}${meta(missing)}}`;
}

/** SPEC: MCP 2026-07-28, caching: as short and as private as any part. A list that lacks a server is not kept. */
function caching(results: readonly string[], missing: readonly McpServerPlan[]): string {
  let ttl = missing.length > 0 ? 0 : Infinity;
  let scope = 'public';
  for (const result of results) {
    const own = Number(member(result, 'ttlMs') ?? 0);
    ttl = Math.min(ttl, Number.isFinite(own) && own > 0 ? own : 0);
    if (stringOf(member(result, 'cacheScope')) !== 'public') scope = 'private';
  }
  return `,"resultType":"complete","ttlMs":${Number.isFinite(ttl) ? ttl : 0},"cacheScope":"${scope}"`;
}

function meta(missing: readonly McpServerPlan[], more = ''): string {
  const left = missing.length === 0 ? '' : `"${UNAVAILABLE_KEY}":${JSON.stringify(missing.map(({ name }) => name))}`;
  const parts = [more, left].filter((part) => part !== '');
  return parts.length === 0 ? '' : `,"_meta":{${parts.join(',')}}`;
}

/** Capabilities that a joined endpoint can keep the promise of, with those of their settings that are true or not. */
const CAPABILITIES: Readonly<Record<string, readonly string[]>> = {
  tools: ['listChanged'],
  prompts: ['listChanged'],
  resources: ['subscribe', 'listChanged'],
  logging: [],
  completions: [],
};
/** Extensions that need nothing of who is in between. */
const EXTENSIONS = ['io.modelcontextprotocol/ui'];

/** What any of the servers can do, as JSON text. */
export function joinCapabilities(all: readonly string[]): string {
  const parts: string[] = [];
  for (const [name, settings] of Object.entries(CAPABILITIES)) {
    const own = all.map((one) => member(one, name)).filter((one) => one !== undefined);
    if (own.length === 0) continue;
    const set = settings.filter((setting) => own.some((one) => member(one, setting) === 'true'));
    parts.push(`"${name}":{${set.map((setting) => `"${setting}":true`).join(',')}}`);
  }
  const extensions = EXTENSIONS.flatMap((name) => {
    const first = all.map((one) => member(member(one, 'extensions') ?? '', name)).find((one) => one !== undefined);
    return first === undefined ? [] : [`${JSON.stringify(name)}:${first}`];
  });
  if (extensions.length > 0) parts.push(`"extensions":{${extensions.join(',')}}`);
  return `{${parts.join(',')}}`;
}

/** Instructions of servers, under their names. */
function joinInstructions(results: ReadonlyMap<McpServerPlan, string>): string {
  const texts = [...results].flatMap(([server, result]) => {
    const own = stringOf(member(result, 'instructions'));
    const prefix = joinedName(server, '', 128);
    return own === undefined ? [] : [`${server.name} (its names begin with ${prefix}): ${own}`];
  });
  return texts.length === 0 ? '' : `,"instructions":${JSON.stringify(texts.join('\n\n'))}`;
}

const SERVER_INFO = '{"name":"sallyport","version":"1"}';

/** The result of `initialize`. */
export function joinInitialized(version: string, { results, missing }: Gathered): string {
  const capabilities = joinCapabilities([...results.values()].map((one) => member(one, 'capabilities') ?? '{}'));
  return `{"protocolVersion":${JSON.stringify(version)},"capabilities":${capabilities},"serverInfo":${SERVER_INFO}${joinInstructions(results)}${meta(missing)}}`;
}

/** The result of `server/discover`: what clients of 2026-07-28 may speak here is for us to say, whatever servers behind speak. */
export function joinDiscovered(versions: readonly string[], { results, missing }: Gathered): string {
  const capabilities = joinCapabilities([...results.values()].map((one) => member(one, 'capabilities') ?? '{}'));
  const info = `"io.modelcontextprotocol/serverInfo":${SERVER_INFO}`;
  return `{"supportedVersions":${JSON.stringify(versions)},"capabilities":${capabilities}${joinInstructions(results)}${caching([...results.values()], missing)}${meta(missing, info)}}`;
}

/** A response with a result, as text. */
export function success({ id }: Pick<Message, 'id'>, result: string): string {
  return `{"jsonrpc":"2.0","id":${id ?? 'null'},"result":${result}}`;
}

export function failure({ id }: Pick<Message, 'id'>, code: number, message: string): string {
  return `{"jsonrpc":"2.0","id":${id ?? 'null'},"error":{"code":${code},"message":${JSON.stringify(message)}}}`;
}
