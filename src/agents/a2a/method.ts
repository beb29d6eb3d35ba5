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

/**
 * The card, a call of the REST binding, or neither: `rpc` for a POST, `none` for what is no part of A2A. Null: a path that
 * can't be decoded, or a call with a method that it does not have.
 *
 * SPEC: A2A 11.3, and section 3.5 of 0.3. Frameworks match paths without regard to case or to a slash at the end, some of
 * them decoded: what one of them would take for a call is one here.
 */
export function callOf(method: string, path: string): RestCall | 'card' | 'rpc' | 'none' | null {
  let plain: string;
  try {
    plain = decodeURIComponent(path);
  } catch {
    return null;
  }
  const reads = method === 'GET' || method === 'HEAD';
  if (CARD.test(plain)) return reads ? 'card' : null;
  const message = MESSAGE.exec(plain);
  if (message !== null) {
    const streams = message[1]!.toLowerCase() === 'stream';
    return method === 'POST' ? { method: streams ? 'SendStreamingMessage' : 'SendMessage', task: '' } : null;
  }
  if (EXTENDED.test(plain)) return reads ? { method: 'GetExtendedAgentCard', task: '' } : null;
  const push = PUSH.exec(plain);
  if (push !== null) return pushCall(method, push[1]!, push[2] !== undefined);
  if (TASKS.test(plain)) return reads ? { method: 'ListTasks', task: '' } : null;
  const [, task] = TASK.exec(plain) ?? [];
  if (task !== undefined) {
    const verb = VERB.exec(task)?.[1]?.toLowerCase();
    const id = task.replace(VERB, '');
    if (verb === undefined) return reads ? { method: 'GetTask', task: id } : null;
    if (verb === 'cancel') return method === 'POST' ? { method: 'CancelTask', task: id } : null;
    // SPEC: 0.3 has it as GET in some bindings.
    return method === 'POST' || method === 'GET' ? { method: 'SubscribeToTask', task: id } : null;
  }
  if (method === 'POST') return 'rpc';
  return reads || method === 'OPTIONS' ? 'none' : null;
}

function pushCall(method: string, task: string, one: boolean): RestCall | null {
  if (method === 'POST') return one ? null : { method: 'CreateTaskPushNotificationConfig', task };
  if (method === 'DELETE') return one ? { method: 'DeleteTaskPushNotificationConfig', task } : null;
  if (method !== 'GET' && method !== 'HEAD') return null;
  return { method: one ? 'GetTaskPushNotificationConfig' : 'ListTaskPushNotificationConfigs', task };
}
