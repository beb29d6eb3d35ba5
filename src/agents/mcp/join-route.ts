/** Which server a request is for, and the request in that server's own words. */
import type { McpJoinPlan, McpServerPlan } from '../../plan.ts';
import { MAX_NAME_PAGES } from './join-limits.ts';
import { isCut, joinedName, longName, splitName, splitUri } from './join-names.ts';
import { LISTS, type Message } from './join-rewrite.ts';
import { mapMember, member, partsOf, stringOf } from './json-parts.ts';

export interface Routed {
  readonly server: McpServerPlan;
  readonly body: string;
  readonly method: string;
  readonly name: string; // '' where there is none
}

/** The list that has the names of a method, by what is named. */
const NAMED: Readonly<Record<string, 'tools/list' | 'prompts/list'>> = {
  'tools/call': 'tools/list',
  'prompts/get': 'prompts/list',
};
const BY_URI = new Set(['resources/read', 'resources/subscribe', 'resources/unsubscribe']);

export function isRouted(method: string): boolean {
  return Object.hasOwn(NAMED, method) || BY_URI.has(method) || method === 'completion/complete';
}

/** A page of a list of a server: its result. */
export type AskPage = (server: McpServerPlan, method: string, cursor: string) => Promise<string>;

/** Where a request goes; the name that means no server, where it means none. */
export async function route(
  join: McpJoinPlan,
  { text, method, params = '{}' }: Message,
  page: AskPage,
): Promise<Routed | string> {
  if (method === 'completion/complete') {
    const ref = member(params, 'ref') ?? '{}';
    const prompt = stringOf(member(ref, 'type')) === 'ref/prompt';
    const key = prompt ? 'name' : 'uri';
    const shown = stringOf(member(ref, key)) ?? '';
    const found = prompt ? await ownName(join, shown, 'prompts/list', page) : splitUri(join, shown);
    if (found === null) return shown;
    const value = JSON.stringify(found.name);
    const own = mapMember(params, 'ref', (whole) => whole && mapMember(whole, key, () => value));
    return { server: found.server, body: mapMember(text, 'params', () => own), method, name: '' };
  }
  const list = NAMED[method];
  const key = list === undefined ? 'uri' : 'name';
  const shown = stringOf(member(params, key)) ?? '';
  const found = list === undefined ? splitUri(join, shown) : await ownName(join, shown, list, page);
  if (found === null) return shown;
  const own = mapMember(params, key, () => JSON.stringify(found.name));
  return { server: found.server, body: mapMember(text, 'params', () => own), method, name: found.name };
}

/** The name at its server; of one that was cut, the one in the server's list that is cut to it. */
async function ownName(
  join: McpJoinPlan,
  shown: string,
  list: 'tools/list' | 'prompts/list',
  page: AskPage,
): Promise<{ server: McpServerPlan; name: string } | null> {
  const found = splitName(join, shown);
  if (found === null || !isCut(join, shown)) return found;
  const { server } = found;
  const known = longName(shown);
  if (known !== undefined && joinedName(server, known, join.nameLength) === shown) return { server, name: known };
  const { entries, name } = LISTS[list]!;
  let cursor = '';
  for (let pages = 0; pages < MAX_NAME_PAGES; pages++) {
    const result = await page(server, list, cursor);
    const all = member(result, entries) ?? '[]';
    for (const { from, to } of partsOf(all)) {
      const own = stringOf(member(all.slice(from, to), name));
      if (own !== undefined && joinedName(server, own, join.nameLength) === shown) return { server, name: own };
    }
    cursor = stringOf(member(result, 'nextCursor')) ?? '';
    if (cursor === '') break;
  }
  // No longer name is cut to it, so it stands for itself.
  return found;
}
