/** What a request to an A2A agent says: version, method, whose task, which skill. */
import { hasLookalike, type JsonFault, memberOf, readJsonObject } from '../json-text.ts';
import { canonicalMethod, type RestCall } from './method.ts';

export interface A2aCall {
  /** Name of version 1.0. */
  readonly method: string;
  /** '' for none. */
  readonly task: string;
  readonly context: string;
  readonly skill: string;
  /** JSON-RPC: its id, null where it has none; undefined: a call of the REST binding. */
  readonly id: string | number | null | undefined;
}

export type A2aFault = JsonFault | 'ambiguous' | 'not-rpc';

export const A2A_FAULTS: Readonly<Record<A2aFault, string>> = {
  malformed: 'the body is not JSON in UTF-8',
  'not-an-object': 'the body is not one JSON object',
  'duplicate-key': 'the body has a key twice in one object',
  'too-deep': 'the body is nested too deeply',
  ambiguous:
    'the body names two skills, one that is no text, a member in two ways, or is of another binding than its path',
  'not-rpc': 'the body is not a JSON-RPC 2.0 request',
};

/** Longer names and ids are not looked at. */
export const MAX_A2A_NAME = 1024;

const VERSION = /^([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]{1,6})?$/;
/** SPEC: A2A 3.6.2: an empty value is version 0.3. */
const FIRST = '0.3';

/**
 * Major and minor number of the version that a request is of; null: none that there can be, or two that differ.
 * SPEC: A2A 3.6.1: a header, or a parameter of the query. `query` begins with `?`, or is ''.
 */
export function versionOf(header: string | null, query: string): string | null {
  const said = [header ?? '', ...parametersOf(query)].map((text) => text.trim()).filter((text) => text !== '');
  const found = new Set(said.map((text) => VERSION.exec(text)?.slice(1, 3).map(Number).join('.') ?? null));
  if (found.size > 1) return null;
  for (const one of found) return one;
  return FIRST;
}

function parametersOf(query: string): string[] {
  if (query.length < 2) return [];
  return [...new URLSearchParams(query)]
    .filter(([name]) => name.toLowerCase() === 'a2a-version')
    .map(([, value]) => value);
}

/** The JSON-RPC call in a body. */
export function readRpc(bytes: Uint8Array): A2aCall | A2aFault {
  const json = readJsonObject(bytes);
  if (typeof json === 'string') return json;
  const { value } = json;
  if (hasLookalike(value, RPC)) return 'ambiguous';
  const method = memberOf(value, 'method');
  const id = memberOf(value, 'id') ?? null;
  const called = typeof id === 'string' || typeof id === 'number' || id === null;
  if (memberOf(value, 'jsonrpc') !== '2.0' || typeof method !== 'string' || !called) return 'not-rpc';
  if (method.length > MAX_A2A_NAME) return 'not-rpc';
  const params = memberOf(value, 'params');
  if (isAmbiguous(params)) return 'ambiguous';
  const found = idsOf(params);
  const name = canonicalMethod(method);
  // `id` is that of a task, but for push notifications of version 1.0, where it is that of a configuration.
  const task = found.task !== '' ? found.task : textOf(memberOf(params, 'id'));
  const skill = skillOf(params);
  return skill === null ? 'ambiguous' : { method: name, task, context: found.context, skill, id };
}

const VERSION_MEMBER = new Set(['jsonrpc']);
const RPC = new Set(['jsonrpc', 'method', 'id', 'params']);
/** Of params and of a message, what decides here. Ids in both spellings of ProtoJSON. */
const NAMES = new Set(['message', 'metadata', 'id', 'taskId', 'task_id', 'contextId', 'context_id']);
const SKILL = new Set(['skillId', 'skill_id', 'skill']);

/** Some readers take names in any case, and would find another message or skill. */
function isAmbiguous(params: unknown): boolean {
  const message = memberOf(params, 'message');
  for (const one of [params, message]) {
    if (isObject(one) && hasLookalike(one, NAMES)) return true;
    const metadata = memberOf(one, 'metadata');
    if (isObject(metadata) && hasLookalike(metadata, SKILL)) return true;
  }
  return false;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A call of the REST binding with its body, which is empty for most. */
export function readRest(call: RestCall, bytes: Uint8Array, query: string): A2aCall | A2aFault {
  const { method } = call;
  if (bytes.byteLength === 0) {
    const context = new URLSearchParams(query).get('contextId') ?? '';
    return { method, task: call.task, context: textOf(context), skill: '', id: undefined };
  }
  const json = readJsonObject(bytes);
  if (typeof json === 'string') return json;
  // An agent that takes JSON-RPC at any path would do what the body says.
  if (memberOf(json.value, 'jsonrpc') !== undefined || hasLookalike(json.value, VERSION_MEMBER)) return 'ambiguous';
  if (isAmbiguous(json.value)) return 'ambiguous';
  const { task, context } = idsOf(json.value);
  const skill = skillOf(json.value);
  return skill === null ? 'ambiguous' : { method, task: call.task || task, context, skill, id: undefined };
}

function idsOf(params: unknown): { task: string; context: string } {
  const message = memberOf(params, 'message');
  const of = (names: readonly string[]): string => {
    for (const from of [message, params])
      for (const name of names) if (textOf(memberOf(from, name)) !== '') return textOf(memberOf(from, name));
    return '';
  };
  return { task: of(['taskId', 'task_id']), context: of(['contextId', 'context_id']) };
}

/**
 * The skill that a message is for. The protocol has no place for it; what agents agree on is `skillId` in the metadata of
 * the message or of the request. Null: there are two, or one is no text, which agents may compare as one.
 */
function skillOf(params: unknown): string | null {
  const found = new Set<string>();
  for (const from of [memberOf(params, 'metadata'), memberOf(memberOf(params, 'message'), 'metadata')])
    for (const name of ['skillId', 'skill_id', 'skill']) {
      const one = memberOf(from, name);
      if (one === undefined || one === null) continue;
      if (typeof one !== 'string') return null;
      found.add(one);
    }
  if (found.size > 1) return null;
  for (const one of found) return one.length > MAX_A2A_NAME ? null : one;
  return '';
}

function textOf(value: unknown): string {
  return typeof value === 'string' && value.length <= MAX_A2A_NAME ? value : '';
}
