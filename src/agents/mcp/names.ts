/** Which methods, tools, resources and prompts a policy lets through. */
import { matchesPattern } from '../name-pattern.ts';
import type { McpMessage } from './message.ts';

/** What is denied is refused, whatever allows it; `allow` null lets everything else through. */
export interface NameList {
  readonly allow: readonly string[] | null;
  readonly deny: readonly string[];
}

export interface NameLists {
  readonly methods: NameList;
  readonly tools: NameList;
  readonly resources: NameList;
  readonly prompts: NameList;
}

export function isAllowed({ allow, deny }: NameList, name: string): boolean {
  if (deny.some((pattern) => matchesPattern(pattern, name))) return false;
  return allow === null || allow.some((pattern) => matchesPattern(pattern, name));
}

/** True when the list refuses anything, so that lists in answers have to be cut. */
export function restricts({ allow, deny }: NameList): boolean {
  return allow !== null || deny.length > 0;
}

/** Without these nothing else works: only `deny` refuses them. */
const LIFECYCLE = new Set(
  ['initialize', 'ping', 'server/discover', 'notifications/initialized', 'notifications/cancelled'], // prettier-ignore
);

/** What of a message the lists refuse; null: nothing. */
export function deniedName(lists: NameLists, message: McpMessage): keyof NameLists | null {
  const { kind, method, tool, prompt, resources } = message;
  if (kind === 'response') return null;
  const { allow, deny } = lists.methods;
  if (!isAllowed({ allow: LIFECYCLE.has(method) ? null : allow, deny }, method)) return 'methods';
  if (tool !== null && !isAllowed(lists.tools, tool)) return 'tools';
  if (prompt !== null && !isAllowed(lists.prompts, prompt)) return 'prompts';
  if (resources.some((uri) => !isAllowed(lists.resources, uri))) return 'resources';
  return null;
}
