/**
 * What clients of a joined endpoint see of servers' names: `github_search` is the tool `search` of the server `github`, and
 * `github+file:///a` its resource `file:///a`. Names of servers have neither `_` nor `+` in them, and those characters stand
 * in nothing before the first of them, so a name means one server and no list has to be asked which.
 *
 * Ids that servers give to what they ask of clients, event ids and cursors are made tokens of the same kind.
 */
import type { McpJoinPlan, McpServerPlan } from '../../plan.ts';
import { base64Url, bytesOfBase64Url } from '../json-web-key.ts';
import { MAX_CUT_NAMES, MAX_JOINED_TOKEN } from './join-limits.ts';

/** Behind the server's name; in names that clients and models see only letters, digits, `_`, `-` and `.` are safe. */
export const NAME_SEPARATOR = '_';
/** A character that the scheme of a URI may have, so that what it stands before stays a URI. */
export const URI_SEPARATOR = '+';

const HASH_LENGTH = 8;
const CUT = /-[0-9a-f]{8}$/;

/** A name of a server for clients: cut, with a hash at its end, where it is longer than `length`. */
export function joinedName({ name: server }: McpServerPlan, name: string, length: number): string {
  const full = server + NAME_SEPARATOR + name;
  if (full.length <= length) return full;
  const cut = `${full.slice(0, length - HASH_LENGTH - 1)}-${hash(full)}`;
  remember(cut, name);
  return cut;
}

/**
 * Which server a name is of, and its name there; null where no server is meant. A name that is cut for clients has no other
 * one: by two names a tool would pass a list or a rule that has one of them.
 */
export function splitName(join: McpJoinPlan, name: string): { server: McpServerPlan; name: string } | null {
  return name.length > join.nameLength ? null : split(join, name, NAME_SEPARATOR);
}

/** Whether a name may stand for a longer one. */
export function isCut(join: McpJoinPlan, name: string): boolean {
  return name.length === join.nameLength && CUT.test(name);
}

/** What a name that was cut in this isolate stood for; undefined when it was not, or is forgotten. */
export function longName(cut: string): string | undefined {
  return cutNames.get(cut);
}

export function joinedUri({ name: server }: McpServerPlan, uri: string): string {
  return server + URI_SEPARATOR + uri;
}

export function splitUri(join: McpJoinPlan, uri: string): { server: McpServerPlan; name: string } | null {
  return split(join, uri, URI_SEPARATOR);
}

/** The server of what a request asks for; undefined where it asks for nothing of one. For `mcp.server` of rules. */
export function serverOf(
  join: McpJoinPlan,
  asked: { readonly tool?: string; readonly prompt?: string; readonly resource?: string },
): string | undefined {
  const name = asked.tool ?? asked.prompt;
  const found = name !== undefined ? splitName(join, name) : splitUri(join, asked.resource ?? '');
  return found?.server.name;
}

function split(
  { servers }: McpJoinPlan,
  text: string,
  separator: string,
): { server: McpServerPlan; name: string } | null {
  const at = text.indexOf(separator);
  const server = at < 0 ? undefined : servers.find(({ name }) => name.length === at && text.startsWith(name));
  return server === undefined ? null : { server, name: text.slice(at + 1) };
}

/** What stands for the id (JSON text) of a request of a server: as JSON text, a string. */
export function joinedId({ name: server }: McpServerPlan, id: string): string {
  return JSON.stringify(`${server}:${id}`);
}

/** The other way round, from JSON text; null for what is none of ours. */
export function splitId(join: McpJoinPlan, text: string): { server: McpServerPlan; id: string } | null {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'string') return null;
  const found = split(join, value, ':');
  // What comes back goes to the server as it stands: only what can be an id may.
  return found === null ||
    !/^(?:-?\d{1,20}|"(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")$/.test(found.name)
    ? null
    : { server: found.server, id: found.name };
}

/** Where each server goes on: cursors of a list, or event ids of a stream. */
export type Places = ReadonlyMap<McpServerPlan, string>;

/** A token of `kind` for places. One that is too long is not made: ''. */
export function joinedPlaces(kind: string, places: Places): string {
  const pairs = [...places].map(([{ name }, place]) => [name, place]);
  const token = base64Url(new TextEncoder().encode(JSON.stringify([kind, ...pairs])));
  return token.length > MAX_JOINED_TOKEN ? '' : token;
}

/** The places of a token that clients give back; null when it is none of that kind. */
export function splitPlaces({ servers }: McpJoinPlan, kind: string, token: string): Places | null {
  if (token.length > MAX_JOINED_TOKEN || !/^[A-Za-z0-9_-]+$/.test(token)) return null;
  let list: unknown;
  try {
    list = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytesOfBase64Url(token)));
  } catch {
    return null;
  }
  if (!Array.isArray(list) || list[0] !== kind || list.length > servers.length + 1) return null;
  const places = new Map<McpServerPlan, string>();
  for (const pair of list.slice(1) as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return null;
    const [name, place] = pair as [unknown, unknown];
    const server = servers.find((one) => one.name === name);
    if (typeof place !== 'string') return null;
    if (server !== undefined) places.set(server, place); // else the policy has it no more
  }
  return places;
}

const cutNames = new Map<string, string>();

function remember(cut: string, name: string): void {
  cutNames.delete(cut);
  cutNames.set(cut, name);
  if (cutNames.size <= MAX_CUT_NAMES) return;
  for (const oldest of cutNames.keys()) {
    cutNames.delete(oldest);
    break;
  }
}

/** FNV-1a of 32 bits over code units: tells names of one server apart, and says nothing that the name does not. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return (value >>> 0).toString(16).padStart(HASH_LENGTH, '0');
}
