/**
 * Answers to list requests, cut to what a call would be let through: a client is not shown what it may not use.
 * By their shape, not by the request: a stream that is resumed tells of requests that were made on another one.
 */
import { isObject, member } from './json.ts';
import { allows } from '../name-pattern.ts';
import type { NameLists } from './names.ts';

export interface Listing {
  readonly lists: Pick<NameLists, 'tools' | 'resources' | 'prompts'>;
  /** What rules refuse. Null: none of them looks at names. */
  readonly refused: ((kind: 'tool' | 'resource' | 'prompt', name: string) => boolean) | null;
  /** True when others may see another list: it is nothing for a shared cache. */
  readonly perCaller: boolean;
}

/** Members of a result that are lists, and the name in their entries. */
const KINDS = [
  ['tools', 'tools', 'tool', 'name'],
  ['prompts', 'prompts', 'prompt', 'name'],
  ['resources', 'resources', 'resource', 'uri'],
  ['resourceTemplates', 'resources', 'resource', 'uriTemplate'],
] as const;

/** The message as the client may see it; the same object when nothing is to change. Also an array of messages. */
export function cutListing(message: unknown, listing: Listing): unknown {
  if (Array.isArray(message)) {
    const cut = message.map((one: unknown) => cutListing(one, listing));
    return cut.every((one, index) => one === message[index]) ? message : cut;
  }
  if (!isObject(message)) return message;
  const result = member(message, 'result');
  if (!isObject(result)) return message;
  let changed: Record<string, unknown> | null = null;
  for (const [list, policy, kind, key] of KINDS) {
    const entries = member(result, list);
    if (!Array.isArray(entries)) continue;
    const kept = entries.filter((entry: unknown) => {
      const name = isObject(entry) ? member(entry, key) : undefined;
      if (typeof name !== 'string' || !allows(listing.lists[policy], name)) return false;
      return listing.refused === null || !listing.refused(kind, name);
    });
    if (kept.length < entries.length) changed = { ...(changed ?? result), [list]: kept };
    if (listing.perCaller && member(result, 'cacheScope') === 'public') changed = { ...(changed ?? result), cacheScope: 'private' }; // prettier-ignore
  }
  return changed === null ? message : { ...message, result: changed };
}

/** The text of an answer, cut; null when it is not JSON, so that nobody can say what is in it. */
export function cutText(text: string, listing: Listing): string | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const cut = cutListing(value, listing);
  return cut === value ? text : JSON.stringify(cut);
}

/**
 * One server-sent event, cut: its data is written anew, its other lines stay. The same bytes when nothing is to change.
 * SPEC: HTML, 9.2.6: lines of `data` are joined by LF, and one blank behind the colon is no part of it.
 */
export function cutEvent(bytes: Uint8Array, listing: Listing): Uint8Array {
  const text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: false }).decode(bytes);
  const [rest, data]: [string[], string[]] = [[], []];
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (line === 'data' || line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
    else if (line !== '') rest.push(line);
  }
  if (data.length === 0) return bytes;
  const before = data.join('\n');
  const after = cutText(before, listing);
  // What is not JSON is no message, and no list.
  if (after === null || after === before) return bytes;
  const lines = [...rest, ...after.split('\n').map((line) => `data: ${line}`)];
  return new TextEncoder().encode(`${lines.join('\n')}\n\n`);
}
