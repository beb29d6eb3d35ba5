/** Which methods, tools, resources and prompts a policy lets through. */
import { allows, type NameFilter } from '../name-pattern.ts';
import type { McpMessage } from './message.ts';

export interface NameLists {
  readonly methods: NameFilter;
  readonly tools: NameFilter;
  readonly resources: NameFilter;
  readonly prompts: NameFilter;
}

/** True when the list refuses anything, so that lists in answers have to be cut. */
export function restricts({ allow, deny }: NameFilter): boolean {
  return allow !== null || deny.length > 0;
}

/** Without these nothing else works: only `deny` refuses them. */
const LIFECYCLE = new Set(
  ['initialize', 'ping', 'server/discover', 'notifications/initialized', 'notifications/cancelled'], // prettier-ignore
);

/** Segments `.` and `..`, in any spelling: a pattern `file:///public/*` would let `file:///public/../secret` through. */
const WITHIN = /(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?=$|[/\\?#]|%2f|%5c)/i;

/** What of a message the lists refuse; null: nothing. */
export function deniedName(lists: NameLists, message: McpMessage): keyof NameLists | null {
  const { kind, method, tool, prompt, resources } = message;
  if (kind === 'response') return null;
  const { allow, deny } = lists.methods;
  if (!allows({ allow: LIFECYCLE.has(method) ? null : allow, deny }, method)) return 'methods';
  if (tool !== null && !allows(lists.tools, tool)) return 'tools';
  if (prompt !== null && !allows(lists.prompts, prompt)) return 'prompts';
  const within = restricts(lists.resources) ? WITHIN : null;
  if (resources.some((uri) => !allows(lists.resources, uri) || within?.test(uri) === true)) return 'resources';
  return null;
}
