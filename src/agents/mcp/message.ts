/**
 * JSON-RPC messages of the Model Context Protocol, read from the body of a request: what a gateway decides by, and no more.
 * Strict where two readers could disagree, since the server behind reads the same bytes with a reader of its own.
 * SPEC: JSON-RPC 2.0; modelcontextprotocol.io/specification/2026-07-28/basic and those before it.
 */
import { hasLookalike } from '../json-text.ts';
import { isObject, member, readJson, type JsonFault } from './json.ts';
import { MAX_MCP_BATCH, MAX_MCP_DEPTH, MAX_MCP_METHOD } from './limits.ts';

export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const HEADER_MISMATCH = -32020;
export const MISSING_CAPABILITY = -32021;
export const UNSUPPORTED_VERSION = -32022;

export type RpcId = string | number;

export interface McpMessage {
  readonly kind: 'request' | 'notification' | 'response';
  /** Undefined for a notification, and for an error whose request could not be read. */
  readonly id: RpcId | undefined;
  /** '' for a response. */
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  /** What it names: one tool or prompt; resources may be several (subscriptions/listen). */
  readonly tool: string | null;
  readonly prompt: string | null;
  readonly resources: readonly string[];
  /** What Mcp-Name repeats; null where there is no such thing. */
  readonly name: string | null;
  /** `io.modelcontextprotocol/protocolVersion` of its `_meta`; null without: a version that has a handshake. */
  readonly version: string | null;
  /** The whole message. */
  readonly value: Readonly<Record<string, unknown>>;
}

export interface McpBody {
  readonly messages: readonly McpMessage[];
  /** True when they came as an array. */
  readonly batch: boolean;
}

/** Why a body is no message. */
export interface RpcFault {
  readonly code: number;
  /** For the client. */
  readonly message: string;
  /** Of the message that is at fault, where it could be read. */
  readonly id?: RpcId;
}

export const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

/** Names that decide what a message is, by where they stand: looked at in any case of their letters. */
const MESSAGE_NAMES = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);
const PARAM_NAMES = new Set(
  ['name', 'uri', 'ref', 'arguments', 'notifications', 'taskId', 'protocolVersion', 'cursor', '_meta'], // prettier-ignore
);
const REF_NAMES = new Set(['type', 'name', 'uri']);
const NOTIFICATION_NAMES = new Set(['resourceSubscriptions']);
const META_NAMES = new Set([VERSION_KEY]);

const FAULTS: Readonly<Record<JsonFault, RpcFault>> = {
  'not-utf8': { code: PARSE_ERROR, message: 'Parse error: the body is not UTF-8' },
  'not-json': { code: PARSE_ERROR, message: 'Parse error: the body is not JSON' },
  depth: { code: INVALID_REQUEST, message: 'Invalid request: the message is nested too deep' },
  duplicate: { code: INVALID_REQUEST, message: 'Invalid request: a name stands twice in one object' },
  prototype: { code: INVALID_REQUEST, message: 'Invalid request: __proto__ is not allowed' },
};

/** Never throws; linear in `bytes`. */
export function readMcpBody(bytes: Uint8Array): McpBody | RpcFault {
  const json = readJson(bytes, MAX_MCP_DEPTH);
  if (typeof json === 'string') return FAULTS[json];
  if (!Array.isArray(json.value)) {
    const message = readMcpMessage(json.value);
    return 'code' in message ? message : { messages: [message], batch: false };
  }
  const values: readonly unknown[] = json.value;
  if (values.length === 0) return invalid('an empty batch');
  if (values.length > MAX_MCP_BATCH) return invalid(`a batch has at most ${MAX_MCP_BATCH} messages`);
  const messages: McpMessage[] = [];
  for (const value of values) {
    const message = readMcpMessage(value);
    if ('code' in message) return message;
    messages.push(message);
  }
  return { messages, batch: true };
}

/** One message that was read with `readJson`. */
export function readMcpMessage(value: unknown): McpMessage | RpcFault {
  if (!isObject(value)) return invalid('a message is an object');
  if (hasLookalike(value, MESSAGE_NAMES)) return invalid('a name is written with other letters');
  const id = member(value, 'id');
  const known = typeof id === 'string' || (typeof id === 'number' && Number.isSafeInteger(id)) ? id : undefined;
  const fault = (why: string, code = INVALID_REQUEST): RpcFault => ({ ...invalid(why, code), ...(known !== undefined && { id: known }) }); // prettier-ignore
  if (member(value, 'jsonrpc') !== '2.0') return fault('jsonrpc must be "2.0"');
  const method = member(value, 'method');
  const answers = member(value, 'result') !== undefined || member(value, 'error') !== undefined;
  if (method === undefined) {
    if (!answers) return fault('neither a method nor a result');
    // An error whose request could not be read has no id, or null.
    if (known === undefined && !(member(value, 'error') !== undefined && (id === undefined || id === null)))
      return fault('id must be a string or an integer');
    return { ...NOTHING, kind: 'response', id: known, value };
  }
  if (answers) return fault('both a method and a result');
  if (typeof method !== 'string' || method.length > MAX_MCP_METHOD || !/^[\x21-\x7e]+$/.test(method))
    return fault('method must be a name');
  if (id !== undefined && known === undefined) return fault('id must be a string or an integer');
  const params = member(value, 'params');
  if (params !== undefined && !isObject(params)) return fault('params must be an object');
  const kind = known === undefined ? 'notification' : 'request';
  const base = { ...NOTHING, kind, id: known, method, value } as const;
  if (params === undefined) {
    if (named(method) !== null && !method.endsWith('subscribe')) return fault(`${method} needs params`, INVALID_PARAMS);
    return base;
  }
  if (hasLookalike(params, PARAM_NAMES)) return fault('a name in params is written with other letters');
  const subject = subjectOf(method, params);
  if (typeof subject === 'string') return fault(subject, INVALID_PARAMS);
  const meta = member(params, '_meta');
  if (meta !== undefined && !isObject(meta)) return fault('_meta must be an object', INVALID_PARAMS);
  if (meta !== undefined && hasLookalike(meta, META_NAMES))
    return fault('a name in _meta is written with other letters');
  const version = meta === undefined ? undefined : member(meta, VERSION_KEY);
  if (version !== undefined && typeof version !== 'string') return fault('the protocol version must be text', INVALID_PARAMS); // prettier-ignore
  return { ...base, ...subject, params, version: version ?? null };
}

const NOTHING = {
  ...{ method: '', params: null, tool: null, prompt: null, resources: [] as readonly string[], name: null },
  version: null,
} as const;

type Subject = Pick<McpMessage, 'tool' | 'prompt' | 'resources' | 'name'>;
const NO_SUBJECT: Subject = { tool: null, prompt: null, resources: [], name: null };

/** The parameter that a method must have, as text. */
function named(method: string): 'name' | 'uri' | null {
  switch (method) {
    case 'tools/call':
    case 'prompts/get':
      return 'name';
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return 'uri';
    default:
      return null;
  }
}

/** What the request is about, or what is wrong with that. */
function subjectOf(method: string, params: Readonly<Record<string, unknown>>): Subject | string {
  const field = named(method);
  if (field !== null) {
    const text = member(params, field);
    const removed = method === 'resources/subscribe' || method === 'resources/unsubscribe';
    // Of nothing that is named; a server of 2026-07-28 says that it has no such method.
    if (removed && text === undefined) return NO_SUBJECT;
    if (!isName(text)) return `params.${field} must be text`;
    const name = removed ? null : text;
    if (field === 'uri') return { ...NO_SUBJECT, resources: [text], name };
    return method === 'tools/call' ? { ...NO_SUBJECT, tool: text, name } : { ...NO_SUBJECT, prompt: text, name };
  }
  if (method === 'completion/complete') return completed(member(params, 'ref'));
  if (method === 'subscriptions/listen') return listened(member(params, 'notifications'));
  if (/^tasks\/(?:get|update|cancel|result)$/.test(method)) {
    const task = member(params, 'taskId');
    return isName(task) ? { ...NO_SUBJECT, name: method === 'tasks/result' ? null : task } : NO_SUBJECT;
  }
  return NO_SUBJECT;
}

/** A completion tells of the prompt or the resource that it completes. */
function completed(ref: unknown): Subject | string {
  if (!isObject(ref)) return 'params.ref must be an object';
  if (hasLookalike(ref, REF_NAMES)) return 'a name in params.ref is written with other letters';
  const [name, uri] = [member(ref, 'name'), member(ref, 'uri')];
  if (name !== undefined && !isName(name)) return 'params.ref.name must be text';
  if (uri !== undefined && !isName(uri)) return 'params.ref.uri must be text';
  return { ...NO_SUBJECT, prompt: name ?? null, resources: uri === undefined ? [] : [uri] };
}

function listened(filter: unknown): Subject | string {
  if (filter === undefined) return NO_SUBJECT;
  if (!isObject(filter)) return 'params.notifications must be an object';
  if (hasLookalike(filter, NOTIFICATION_NAMES)) return 'a name in params.notifications is written with other letters';
  const uris = member(filter, 'resourceSubscriptions');
  if (uris === undefined) return NO_SUBJECT;
  if (!Array.isArray(uris) || !uris.every(isName)) return 'resourceSubscriptions must be a list of texts';
  return { ...NO_SUBJECT, resources: uris };
}

/** Text without control characters, at which some readers end it, and without halves of characters, which some replace. */
function isName(value: unknown): value is string {
  // eslint-disable-next-line no-control-regex
  return typeof value === 'string' && value !== '' && !/[\u0000-\u001f\u007f]/.test(value) && value.isWellFormed();
}

function invalid(why: string, code = INVALID_REQUEST): RpcFault {
  return { code, message: `${code === INVALID_PARAMS ? 'Invalid params' : 'Invalid request'}: ${why}` };
}
