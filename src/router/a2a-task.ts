/**
 * Tasks of A2A agents, where a route has several endpoints: only the one that made a task knows it. Ids of tasks and contexts
 * are the agent's to give, so which endpoint gave one is learnt from its answers, as they pass, and kept: in this isolate, and
 * in a Durable Object for all others. What nobody has learnt goes by the hash of its id, which at least stays where it is.
 *
 * REJECTED: a hash alone (the first request has no id yet), an endpoint written into the ids (an agent also tells them to
 * webhooks, past the gateway), a cookie (agents keep none).
 */
import { TaskIds } from '../agents/a2a/task-ids.ts';
import { base64Url } from '../agents/json-web-key.ts';
import { findTask, keepTask } from '../agents/mcp/sessions.ts';
import type { Plan } from '../plan.ts';
import { responseInit } from '../platform/runtime.ts';
import { rendezvous } from './balance.ts';
import { type EndpointState, endpointsOf } from './endpoints.ts';
import { type Exchange, watch } from './exchange.ts';
import { usable } from './outlier.ts';

/** Seconds for which it is known where a task is, after it was last asked for. */
export const TASK_SECONDS = 86_400;
/** Ids that an isolate remembers; the oldest go first. */
export const MAX_KNOWN_TASKS = 10_000;

const known = new Map<string, string>();

/** Whether the requests of this route have to find the endpoint that knows their task. */
export function needsTasks({ action, a2a }: Exchange, plan: Plan): boolean {
  if (a2a === null || a2a.call === null || !a2a.plan.sticky || action === null) return false;
  let endpoints = 0;
  for (const { backend, weight } of action.backends) {
    const one = weight > 0 ? plan.backends[backend] : undefined;
    if (one !== undefined) endpoints += endpointsOf(one).length;
  }
  return endpoints > 1;
}

export interface TaskPlace {
  readonly backend: Plan['backends'][number];
  readonly state: EndpointState;
}

/** Where the task of a request is; null: it names none, or nobody can tell. */
export async function placeOf(exchange: Exchange, plan: Plan): Promise<TaskPlace | null> {
  const { call } = exchange.a2a ?? { call: null };
  if (call === null) return null;
  const ids = [call.task, call.context].filter((id) => id !== '');
  for (const id of ids) {
    const value = await find(exchange, id);
    const place = value === null ? null : placeAt(exchange, plan, value);
    if (place !== null) return place;
  }
  const [id] = ids;
  const backend = plan.backends[exchange.backend];
  if (id === undefined || backend === undefined) return null;
  const all = endpointsOf(backend);
  const state = rendezvous(backend.health === null ? all : usable(all, backend.health, Date.now()), id);
  return state === null ? null : { backend, state };
}

/** The endpoint by its URL, among the backends of the route; null: it is gone, or left out for now. */
function placeAt({ action }: Exchange, plan: Plan, value: string): TaskPlace | null {
  const [name = '', url = ''] = value.split('\n');
  for (const { backend: index } of action?.backends ?? []) {
    const backend = plan.backends[index];
    if (backend === undefined || backend.name !== name) continue;
    const all = endpointsOf(backend);
    const candidates = backend.health === null ? all : usable(all, backend.health, Date.now());
    const state = candidates.find(({ endpoint }) => endpoint.url === url);
    if (state !== undefined) return { backend, state };
  }
  return null;
}

async function find(exchange: Exchange, id: string): Promise<string | null> {
  const key = await keyOf(exchange, id);
  const here = known.get(key);
  const { mcpSessions = null } = exchange.platform;
  if (here !== undefined || mcpSessions === null) return here ?? null;
  watch(exchange);
  try {
    const value = await findTask(mcpSessions, key);
    if (value !== null) remember(key, value);
    return value;
  } catch {
    return null; // the hash of the id it is, then
  }
}

/** Ids are an app's own. */
async function keyOf({ plan, routeName }: Exchange, id: string): Promise<string> {
  const text = JSON.stringify(['a2a', plan?.app ?? '', routeName, id]);
  return base64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))));
}

function remember(key: string, value: string): void {
  known.delete(key);
  if (known.size >= MAX_KNOWN_TASKS)
    for (const oldest of known.keys()) {
      known.delete(oldest);
      break;
    }
  known.set(key, value);
}

/** Learns the ids in an answer while it passes. */
export function learnTasks(exchange: Exchange): void {
  const answer = exchange.response;
  const { backend, endpoint } = exchange.upstream;
  if (answer === null || answer.body === null || !answer.ok) return;
  const type = (answer.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  const encoding = (answer.headers.get('content-encoding') ?? '').trim().toLowerCase();
  if (encoding !== '' && encoding !== 'identity') return;
  const value = `${backend}\n${endpoint}`;
  const ids = new TaskIds(type === 'text/event-stream', (found) =>
    exchange.context.waitUntil(keep(exchange, [...found], value)),
  );
  const looked = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      ids.push(chunk);
      controller.enqueue(chunk);
    },
    flush: () => ids.end(),
  });
  const { status, statusText, headers } = answer;
  const body = (answer.body as ReadableStream<Uint8Array>).pipeThrough(looked);
  exchange.response = new Response(
    body as ReadableStream<Uint8Array<ArrayBuffer>>,
    responseInit({ status, statusText, headers, encodeBody: 'manual' }),
  );
  exchange.owned = true;
}

async function keep(exchange: Exchange, ids: readonly string[], value: string): Promise<void> {
  const { mcpSessions = null } = exchange.platform;
  for (const id of ids) {
    const key = await keyOf(exchange, id);
    if (known.get(key) === value) continue;
    remember(key, value);
    if (mcpSessions !== null) await keepTask(mcpSessions, key, value, TASK_SECONDS).catch(() => {});
  }
}
