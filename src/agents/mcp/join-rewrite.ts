/**
 * Messages on their way through a joined endpoint: names, URIs and ids of one server into those that clients see, and back.
 * Only these places of a message change.
 */
import type { McpJoinPlan, McpServerPlan } from '../../plan.ts';
import { joinedId, joinedName, joinedUri } from './join-names.ts';
import { mapMember, mapParts, mapString, member, partsOf, stringOf } from './json-parts.ts';

/** A request, notification or response, as text with what decides about it. */
export interface Message {
  readonly text: string;
  /** '' for a response. */
  readonly method: string;
  /** JSON text; undefined for a notification. */
  readonly id: string | undefined;
  readonly params: string | undefined;
}

/** SAFETY: of text that `readJsonText` accepted: an object without a key twice. */
export function readMessage(text: string): Message {
  let method = '';
  let id: string | undefined;
  let params: string | undefined;
  for (const { name, from, to } of partsOf(text)) {
    const value = text.slice(from, to);
    if (name === 'method') method = stringOf(value) ?? '';
    else if (name === 'id' && value !== 'null') id = value;
    else if (name === 'params') params = value;
  }
  return { text, method, id, params };
}

/** Names in lists, by method: which member of the result, and what of each entry. */
export const LISTS: Readonly<
  Record<string, { readonly entries: string; readonly name: string; readonly uri: boolean }>
> = {
  'tools/list': { entries: 'tools', name: 'name', uri: false },
  'prompts/list': { entries: 'prompts', name: 'name', uri: false },
  'resources/list': { entries: 'resources', name: 'uri', uri: true },
  'resources/templates/list': { entries: 'resourceTemplates', name: 'uriTemplate', uri: true },
};

/** One entry of a list as clients see it; null when it has no name. */
export function joinedEntry(join: McpJoinPlan, server: McpServerPlan, method: string, entry: string): string | null {
  const { name, uri } = LISTS[method]!;
  const own = stringOf(member(entry, name));
  if (own === undefined) return null;
  const shown = uri ? joinedUri(server, own) : joinedName(server, own, join.nameLength);
  const renamed = mapMember(entry, name, () => JSON.stringify(shown));
  return method === 'tools/list' && renamed.includes('resourceUri') ? withInterface(server, renamed) : renamed;
}

/** SPEC: MCP Apps: where the interface of a tool is, in both spellings that are in use. */
function withInterface(server: McpServerPlan, tool: string): string {
  const joined = (uri: string): string => joinedUri(server, uri);
  return mapMember(tool, '_meta', (meta) => {
    if (meta === undefined) return undefined;
    const flat = mapString(meta, 'ui/resourceUri', joined);
    return mapMember(flat, 'ui', (ui) => (ui === undefined ? undefined : mapString(ui, 'resourceUri', joined)));
  });
}

/** A message of a server as clients see it. `id` in the place of that of a response, where it has to be another. */
export function fromServer(server: McpServerPlan, { text, method, id, params }: Message): string {
  if (method === '')
    return text.includes('uri') ? mapMember(text, 'result', (result) => result && joinedResult(server, result)) : text;
  if (id !== undefined) {
    const asked = mapMember(text, 'id', () => joinedId(server, id));
    return params?.includes('progressToken') === true
      ? mapMember(asked, 'params', (own) => own && withToken(server, own))
      : asked;
  }
  const change =
    method === 'notifications/resources/updated'
      ? (own: string) => mapString(own, 'uri', (uri) => joinedUri(server, uri))
      : method === 'notifications/cancelled'
        ? (own: string) => mapMember(own, 'requestId', (of) => of && joinedId(server, of))
        : null;
  return change === null ? text : mapMember(text, 'params', (own) => own && change(own));
}

function withToken(server: McpServerPlan, params: string): string {
  return mapMember(
    params,
    '_meta',
    (meta) => meta && mapMember(meta, 'progressToken', (own) => own && joinedId(server, own)),
  );
}

/** URIs of resources in the result of a call, a prompt or a read. */
function joinedResult(server: McpServerPlan, result: string): string {
  return mapParts(result, (value, name) => {
    if (name === 'contents') return mapParts(value, (one) => withUri(server, one));
    if (name === 'content') return mapParts(value, (one) => joinedContent(server, one));
    if (name !== 'messages') return value;
    return mapParts(value, (message) =>
      mapMember(message, 'content', (content) =>
        content?.startsWith('[') === true
          ? mapParts(content, (one) => joinedContent(server, one))
          : content && joinedContent(server, content),
      ),
    );
  });
}

function joinedContent(server: McpServerPlan, content: string): string {
  const type = stringOf(member(content, 'type'));
  if (type === 'resource_link') return withUri(server, content);
  return type === 'resource' ? mapMember(content, 'resource', (own) => own && withUri(server, own)) : content;
}

function withUri(server: McpServerPlan, object: string): string {
  return mapString(object, 'uri', (uri) => joinedUri(server, uri));
}
