/** What is asked of an A2A agent, by its JSON-RPC method or its REST binding, in the names of version 1.0. */

export const A2A_METHODS = [
  'SendMessage',
  'SendStreamingMessage',
  'GetTask',
  'ListTasks',
  'CancelTask',
  'SubscribeToTask',
  'CreateTaskPushNotificationConfig',
  'GetTaskPushNotificationConfig',
  'ListTaskPushNotificationConfigs',
  'DeleteTaskPushNotificationConfig',
  'GetExtendedAgentCard',
] as const;

export type A2aMethod = (typeof A2A_METHODS)[number];

/** SPEC: A2A 0.3, section 7. */
const OLD: ReadonlyMap<string, A2aMethod> = new Map([
  ['message/send', 'SendMessage'],
  ['message/stream', 'SendStreamingMessage'],
  ['tasks/get', 'GetTask'],
  ['tasks/list', 'ListTasks'],
  ['tasks/cancel', 'CancelTask'],
  ['tasks/resubscribe', 'SubscribeToTask'],
  ['tasks/pushNotificationConfig/set', 'CreateTaskPushNotificationConfig'],
  ['tasks/pushNotificationConfig/get', 'GetTaskPushNotificationConfig'],
  ['tasks/pushNotificationConfig/list', 'ListTaskPushNotificationConfigs'],
  ['tasks/pushNotificationConfig/delete', 'DeleteTaskPushNotificationConfig'],
  ['agent/getAuthenticatedExtendedCard', 'GetExtendedAgentCard'],
]);

/** The name of version 1.0; a method that is not known keeps its own. */
export function canonicalMethod(name: string): string {
  return OLD.get(name) ?? name;
}

/** What a path names on an A2A route. */
export interface RestCall {
  readonly method: A2aMethod;
  /** Id of the task in the path, '' for none. */
  readonly task: string;
}

const CARD = /\/\.well-known\/agent(?:-card)?\.json\/?$/i;
const MESSAGE = /\/message:(send|stream)\/?$/i;
const EXTENDED = /\/(?:extendedagentcard|v1\/card)\/?$/i;
const TASKS = /\/tasks\/?$/i;
const TASK = /\/tasks\/([^/]+)\/?$/i;
const PUSH = /\/tasks\/([^/]+)\/pushnotificationconfigs(?:\/([^/]+))?\/?$/i;
const VERB = /:(cancel|subscribe)$/i;

/** What is left of a path that says nothing to A2A, but to a framework that reads it in a way of its own it might. */
const RESEMBLING =
  /(?:^|[/\\])(?:message:|(?:tasks|extendedagentcard|v1[/\\]+card)(?![\w-]))|pushnotificationconfigs/iu;

/**
 * The card, a call of the REST binding, or neither: `rpc` for a POST, `none` for what is no part of A2A. Null: a call with a
 * method that it does not have, or a path of which it can't be told what it is.
 *
 * SPEC: A2A 11.3, and section 3.5 of 0.3. Frameworks match paths without regard to case or to a slash at the end, some of
 * them decoded, some without what follows a `;` in a segment. A path is what any of them would take it for: when two take it
 * for two calls, or it only resembles one, nobody knows what would be done, and it is null.
 */
export function callOf(method: string, path: string): RestCall | 'card' | 'rpc' | 'none' | null {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return null;
  }
  if (ENCODED.test(decoded)) return null;
  // Decoded first: a task has its id from there.
  const readings = new Set(
    [decoded, path].flatMap((text) => [text, text.replaceAll('\\', '/').replace(PARAMETER, '')]),
  );
  const calls = [...readings].flatMap((text) => callsAt(method, text));
  const found = calls.filter((call) => call !== null);
  if (new Set(found.map((call) => (call === 'card' ? call : call.method))).size > 1) return null;
  for (const call of found)
    return call === 'card' || !ENCODED.test(call.task) ? call : { ...call, task: decodeURIComponent(call.task) };
  if (calls.length > 0) return null;
  for (const text of readings) if (RESEMBLING.test(text)) return null;
  if (method === 'POST') return 'rpc';
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' ? 'none' : null;
}

/** Encoded twice. */
const ENCODED = /%[0-9a-f]{2}/i;
const PARAMETER = /[;?#][^/]*/g;

/** All that this text of a path may be, null for a call with another method. */
function callsAt(method: string, path: string): (RestCall | 'card' | null)[] {
  const found: (RestCall | 'card' | null)[] = [];
  const posts = method === 'POST';
  const reads = method === 'GET' || method === 'HEAD';
  const add = (name: A2aMethod, task: string, may: boolean): unknown => found.push(may ? { method: name, task } : null);
  if (CARD.test(path)) found.push(reads ? 'card' : null);
  const [, kind] = MESSAGE.exec(path) ?? [];
  if (kind !== undefined) add(kind.toLowerCase() === 'send' ? 'SendMessage' : 'SendStreamingMessage', '', posts);
  if (EXTENDED.test(path)) add('GetExtendedAgentCard', '', reads);
  const [, owner, config] = PUSH.exec(path) ?? [];
  if (owner !== undefined) found.push(pushCall(method, owner, config !== undefined));
  if (TASKS.test(path)) add('ListTasks', '', reads);
  const [, task] = TASK.exec(path) ?? [];
  if (task === undefined) return found;
  const verb = VERB.exec(task)?.[1]?.toLowerCase();
  const id = task.replace(VERB, '');
  if (verb === undefined) add('GetTask', id, reads);
  else if (verb === 'cancel') add('CancelTask', id, posts);
  // SPEC: 0.3 has it as GET in some bindings.
  else add('SubscribeToTask', id, posts || method === 'GET');
  return found;
}

function pushCall(method: string, task: string, one: boolean): RestCall | null {
  if (method === 'POST') return one ? null : { method: 'CreateTaskPushNotificationConfig', task };
  if (method === 'DELETE') return one ? { method: 'DeleteTaskPushNotificationConfig', task } : null;
  if (method !== 'GET' && method !== 'HEAD') return null;
  return { method: one ? 'GetTaskPushNotificationConfig' : 'ListTaskPushNotificationConfigs', task };
}
