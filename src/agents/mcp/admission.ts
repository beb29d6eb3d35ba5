/**
 * Whether a request to an MCP server goes on: its version, what its headers and its body say, and what the policy allows.
 * Of two places that say the same thing, a server may believe either: they agree, or the request goes no further. Headers
 * of versions before 2026-07-28 are nobody's to believe, so they are dropped.
 * SPEC: modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http, Server Validation.
 */
import { readHeaderValue } from './header-value.ts';
import {
  HEADER_MISMATCH,
  INVALID_PARAMS,
  INVALID_REQUEST,
  METHOD_NOT_FOUND,
  type McpBody,
  type McpMessage,
  type RpcId,
  UNSUPPORTED_VERSION,
} from './message.ts';
import { deniedName, type NameLists } from './names.ts';
import { hasBatches, isStateless, MCP_VERSIONS, UNTOLD_VERSION } from './version.ts';

export interface Admission extends NameLists {
  /** Protocol versions that are taken, newest first; null: whatever the server takes. */
  readonly versions: readonly string[] | null;
  /** True when rules look at what a message asks for: they can only judge one message about one thing. */
  readonly single: boolean;
}

export interface McpHeaders {
  get(name: string): string | null;
  keys(): Iterable<string>;
}

/** Why a request goes no further. */
export interface McpRefusal {
  readonly status: number;
  readonly code: number;
  /** For the client. */
  readonly reason: string;
  /** Which check: for the log. */
  readonly rule: string;
  readonly id: RpcId | undefined;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** What a request asks for: the fields `mcp.*` of rules. */
export interface McpSubject {
  readonly method?: string;
  readonly tool?: string;
  readonly resource?: string;
  readonly prompt?: string;
  /** Of a joined endpoint, the server that has what is named. */
  readonly server?: string;
  readonly version: string;
}

export interface McpCall {
  readonly version: string;
  readonly stateless: boolean;
  readonly messages: readonly McpMessage[];
  readonly batch: boolean;
  /** For rules and the log. */
  readonly fields: McpSubject;
  /** Headers that must not reach the server. */
  readonly dropped: readonly string[];
}

const VERSION = 'MCP-Protocol-Version';
/** Of sessions and of streams that can be resumed, which are no more. */
const STATEFUL_HEADERS = ['mcp-session-id', 'last-event-id'];

/** Of a request without a message: GET, which opens a stream, and DELETE, which ends a session. */
export function admitBare(policy: Admission, method: string, headers: McpHeaders): McpCall | McpRefusal {
  const told = headers.get(VERSION);
  const version = told ?? UNTOLD_VERSION;
  const stateful = hasStateful(policy);
  if ((method !== 'GET' && method !== 'DELETE') || isStateless(version) || !stateful)
    return {
      status: 405,
      code: INVALID_REQUEST,
      reason: `${method} is not allowed here`,
      rule: 'method',
      id: undefined,
    };
  if (told !== null && !takes(policy, told)) return unsupported(policy, told, undefined);
  return { version, stateless: false, messages: [], batch: false, fields: { version }, dropped: mirrored(headers) };
}

/** Of a POST. */
export function admitMessages(policy: Admission, headers: McpHeaders, body: McpBody): McpCall | McpRefusal {
  const told = headers.get(VERSION);
  const first = body.messages[0]!;
  const { id } = first;
  if (body.batch) {
    const reason = 'Invalid request: a batch is not allowed here';
    // SPEC: none of a version that has batches says its version in `_meta`.
    const modern = body.messages.some((message) => message.version !== null);
    if (modern || policy.single || !hasBatches(told ?? UNTOLD_VERSION))
      return { status: 400, code: INVALID_REQUEST, reason, rule: 'batch', id: undefined };
  } else {
    const mismatch = versionMismatch(told, first);
    if (mismatch !== null) return mismatch;
  }
  const version = told ?? UNTOLD_VERSION;
  if (!isTaken(policy, told, first)) return unsupported(policy, told ?? requested(first), id);
  const stateless = isStateless(version);
  if (stateless) {
    if (first.kind === 'response') return invalid('a response is not allowed here', 'response', id);
    const mismatch = headerMismatch(headers, first);
    if (mismatch !== null) return { status: 400, code: HEADER_MISMATCH, reason: `Header mismatch: ${mismatch}`, rule: 'header-mismatch', id }; // prettier-ignore
  }
  for (const message of body.messages) {
    const denied = deniedName(policy, message);
    if (denied !== null) return refusedName(denied, message, stateless);
    if (policy.single && message.resources.length > 1)
      return invalid('one resource at a time is allowed here', 'resources', message.id);
  }
  const dropped = stateless ? STATEFUL_HEADERS : mirrored(headers);
  return { version, stateless, ...body, fields: fieldsOf(version, body), dropped };
}

/** SPEC: the header must match `_meta`, and neither may be missing from a request of a stateless version. */
function versionMismatch(told: string | null, { kind, version, id }: McpMessage): McpRefusal | null {
  const mismatch = (why: string): McpRefusal =>
    ({ status: 400, code: HEADER_MISMATCH, reason: `Header mismatch: ${why}`, rule: 'version-mismatch', id }); // prettier-ignore
  if (version !== null) {
    if (told === null) return mismatch(`${VERSION} is missing`);
    return told === version ? null : mismatch(`${VERSION} does not match the version in _meta`);
  }
  if (told === null || !isStateless(told) || kind !== 'request') return null;
  const reason = 'Invalid params: _meta has no protocol version';
  return { status: 400, code: INVALID_PARAMS, reason, rule: 'version-missing', id };
}

/** What no version is goes to the server too, which has an answer of its own: only the body is believed then. */
function takes({ versions }: Admission, version: string): boolean {
  return versions === null || versions.includes(version);
}

function hasStateful({ versions }: Admission): boolean {
  return versions === null || versions.some((one) => !isStateless(one));
}

/** `initialize` has no version yet: it is what the two agree on by it. */
function isTaken(policy: Admission, told: string | null, { method }: McpMessage): boolean {
  if (told !== null) return takes(policy, told);
  return takes(policy, UNTOLD_VERSION) || (method === 'initialize' && hasStateful(policy));
}

function requested({ method, params }: McpMessage): string {
  const asked = method === 'initialize' ? params?.['protocolVersion'] : undefined;
  return typeof asked === 'string' ? asked.slice(0, 64) : UNTOLD_VERSION;
}

function unsupported({ versions }: Admission, asked: string, id: RpcId | undefined): McpRefusal {
  const data = { supported: versions ?? MCP_VERSIONS, requested: asked.slice(0, 64) };
  return { status: 400, code: UNSUPPORTED_VERSION, reason: 'Unsupported protocol version', rule: 'version', id, data };
}

/** What the headers of a stateless version say of the body that is not so; null: nothing. Those of notifications are optional. */
function headerMismatch(headers: McpHeaders, { kind, method, name }: McpMessage): string | null {
  const told = headers.get('mcp-method');
  if (told === null ? kind === 'request' : told !== method)
    return told === null ? 'Mcp-Method is missing' : 'Mcp-Method does not match the body';
  const text = headers.get('mcp-name');
  if (name !== null) {
    if (text === null) return method.startsWith('tasks/') || kind !== 'request' ? null : 'Mcp-Name is missing';
    const value = readHeaderValue(text);
    if (value === null) return 'Mcp-Name is malformed';
    if (value !== name) return 'Mcp-Name does not match the body';
  }
  for (const header of headers.keys())
    if (header.startsWith('mcp-param-') && readHeaderValue(headers.get(header) ?? '') === null)
      return 'an Mcp-Param header is malformed';
  return null;
}

/** Headers that repeat the body, which nobody has to check before 2026-07-28. */
function mirrored(headers: McpHeaders): string[] {
  const dropped: string[] = [];
  for (const name of headers.keys())
    if (name === 'mcp-method' || name === 'mcp-name' || name.startsWith('mcp-param-')) dropped.push(name);
  return dropped;
}

/**
 * A method that is refused is one that is not there, and is answered as a server would that does not have it. For the
 * others HTTP has the word, and the code is outside of what JSON-RPC and MCP keep for themselves.
 */
function refusedName(denied: keyof NameLists, message: McpMessage, stateless: boolean): McpRefusal {
  const { id, kind } = message;
  if (denied === 'methods') {
    // SPEC: 404 came with 2026-07-28. Before, it ends the session.
    const status = kind !== 'request' ? 403 : stateless ? 404 : 200;
    return { status, code: METHOD_NOT_FOUND, reason: 'Method not found', rule: 'methods', id };
  }
  const what = { tools: 'tool', resources: 'resource', prompts: 'prompt' }[denied];
  return { status: 403, code: 403, reason: `this ${what} is not available here`, rule: denied, id };
}

function invalid(why: string, rule: string, id: RpcId | undefined): McpRefusal {
  return { status: 400, code: INVALID_REQUEST, reason: `Invalid request: ${why}`, rule, id };
}

/** Of a batch, which no rule looks at, its methods. */
function fieldsOf(version: string, { messages }: McpBody): McpSubject {
  const methods = new Set(messages.map(({ method }) => method).filter((method) => method !== ''));
  const fields: { -readonly [Name in keyof McpSubject]: McpSubject[Name] } = { version };
  if (methods.size > 0) fields.method = [...methods].slice(0, 8).join();
  if (messages.length === 1) {
    const { tool, prompt, resources } = messages[0]!;
    if (tool !== null) fields.tool = tool;
    if (resources[0] !== undefined) fields.resource = resources[0];
    if (prompt !== null) fields.prompt = prompt;
  }
  return fields;
}
