/**
 * Objects of several processes, on-prem. Every object belongs to one of OBJECT_SHARDS virtual shards, by the first byte of its
 * id, and every shard to one process, which alone has its folder. A process that is asked for an object of another asks
 * that one, over a private unix socket. So a name always means the same object, and another number of processes only
 * moves files (src/cli/objects.ts), never changes what a name means.
 *
 * HTTP between the processes, no RPC: `fetch` passes bodies and WebSockets as they are, a method travels as JSON.
 */
import type { TunnelSessionMethods, TunnelSessionStub } from '../tunnel/objects.ts';
import { ownerOf, shardOf } from '../tunnel/shard.ts';
import type { Env, Fetcher } from './bindings.ts';
import { requestInit, responseInit, webSocketOf } from './runtime.ts';

const OBJECT_HEADER = 'x-sallyport-object';
const METHOD_HEADER = 'x-sallyport-method';
const MAX_ARGUMENTS = 65_536; // characters

/** What one process may ask another to do to an object. */
const CALLS: Readonly<Record<keyof TunnelSessionMethods | 'exists', true>> = {
  ...{ admit: true, revoke: true, reserve: true, expose: true, exposed: true, cut: true, drain: true, spread: true },
  ...{ listed: true, trust: true, retire: true, status: true, requests: true, forget: true, exists: true },
};
const METHODS: ReadonlySet<string> = new Set(Object.keys(CALLS));

/** A namespace as the runtime has it. */
interface Namespace {
  idFromName(name: string): ObjectId;
  get(id: ObjectId): Fetcher;
}

interface ObjectId {
  toString(): string;
}

type Binding = (typeof BINDINGS)[number];
const BINDINGS = [
  'TUNNEL_SESSION',
  'TUNNEL_REGISTRY',
  'REPLAY_GUARD',
  'MCP_SESSIONS',
  'AGENT_REPORT',
  'RATE_LIMITER',
  'LEDGER',
] as const;

let known: { readonly from: Env; readonly env: Env } | null = null;

/** The bindings with namespaces that find every object, wherever it is. */
export function withShards(env: Env): Env {
  if (env.PLATFORM !== 'workerd' || env.OBJECTS === undefined) return env;
  if (known?.from !== env) {
    const there = BINDINGS.filter((binding) => env[binding] !== undefined);
    const objects = Object.fromEntries(there.map((binding) => [binding, namespaceOf(env, binding)]));
    known = { from: env, env: { ...env, ...objects } };
  }
  return known.env;
}

/** A namespace whose ids are names. */
interface Names {
  getByName(name: string): unknown;
  idFromName(name: string): unknown;
  get(name: string): unknown;
  exists(name: string): Promise<boolean>;
}

function namespaceOf(env: Env, binding: Binding): Names {
  const own = env[binding] as unknown as Namespace;
  const processes = Number(env.SHARDS ?? 1);
  const self = Number(env.SHARD ?? 0);
  const peerOf = (id: string): Fetcher | null => {
    const owner = ownerOf(shardOf(id), processes);
    return owner === self ? null : (env[`SHARD_${owner}`] as Fetcher);
  };
  const getByName = (name: string): unknown => {
    const id = own.idFromName(name);
    const peer = peerOf(id.toString());
    return peer === null ? own.get(id) : remote(peer, binding, name);
  };
  return {
    getByName,
    idFromName: (name) => name,
    get: getByName,
    async exists(name) {
      const id = own.idFromName(name).toString();
      const peer = peerOf(id);
      if (peer !== null) return (await call(peer, binding, name, 'exists', [])) === true;
      return await exists(env, id);
    },
  };
}

/**
 * Whether there ever was an object of that id: the runtime makes a file for any that is so much as asked for, so who may
 * be asked for by strangers is looked up first.
 */
async function exists({ OBJECTS: disk, SESSION_KEY: key = '' }: Env, id: string): Promise<boolean> {
  if (disk === undefined) return true;
  const { status, body } = await disk.fetch(`http://objects/${key}/${id}.sqlite`, { method: 'HEAD' });
  await body?.cancel();
  return status === 200;
}

/** An object of another process. */
function remote(peer: Fetcher, binding: Binding, name: string): TunnelSessionStub {
  return new Proxy({} as TunnelSessionStub, {
    get(_target, property) {
      // It is no promise: an `async` function that returns it would wait for it for ever.
      if (property === 'then') return undefined;
      if (property === 'fetch')
        return (url: string, init: RequestInit = {}) => {
          const headers = new Headers(init.headers);
          headers.set(OBJECT_HEADER, `${binding} ${name}`);
          // SAFETY: a client's word must not become a call, whatever stood before this dial.
          headers.delete(METHOD_HEADER);
          const own = { headers, redirect: 'manual', encodeResponseBody: 'manual' } as const;
          // A GET with a body is the very Request that came in (src/router/upstream.ts), and its parts are no fields.
          if (init instanceof Request) return peer.fetch(url, new Request(init, requestInit(own)));
          return peer.fetch(url, requestInit({ ...init, ...own }));
        };
      return (...args: readonly unknown[]) => call(peer, binding, name, String(property), args);
    },
  });
}

async function call(
  peer: Fetcher,
  binding: Binding,
  name: string,
  method: string,
  args: readonly unknown[],
): Promise<unknown> {
  const headers = { [OBJECT_HEADER]: `${binding} ${name}`, [METHOD_HEADER]: method };
  const answer = await peer.fetch('http://shard/', { method: 'POST', headers, body: JSON.stringify(args) });
  const { value, error } = (await answer.json()) as { value?: unknown; error?: string };
  if (error !== undefined) throw new Error(error);
  return value;
}

/** What another process asks of an object here. The socket is private: only processes of this deployment reach it. */
export async function answerShard(request: Request, env: Env): Promise<Response> {
  const [binding, name = ''] = (request.headers.get(OBJECT_HEADER) ?? '').split(' ');
  const own = BINDINGS.includes(binding as Binding) ? (env[binding as Binding] as Namespace | undefined) : undefined;
  if (own === undefined) return new Response(null, { status: 400 });
  const id = own.idFromName(name);
  // A process that believes in another number of processes must not make an object twice.
  if (ownerOf(shardOf(id.toString()), Number(env.SHARDS ?? 1)) !== Number(env.SHARD ?? 0))
    return Response.json({ error: 'the object belongs to another process' }, { status: 421 });
  const method = request.headers.get(METHOD_HEADER);
  if (method !== null) return await answerCall(request, env, own, id, method);
  const headers = new Headers(request.headers);
  headers.delete(OBJECT_HEADER);
  // The URL as it came: parsing it would change what the origin is to see.
  const init: Parameters<typeof requestInit>[0] = {
    method: request.method,
    headers,
    redirect: 'manual',
    encodeResponseBody: 'manual',
  };
  init.signal = request.signal;
  // The runtime takes no `body` for these, but keeps that of the Request which came in.
  const whole = request.body !== null && (request.method === 'GET' || request.method === 'HEAD');
  if (request.body !== null && !whole) init.body = request.body;
  const sent = whole ? new Request(request, requestInit({ headers, redirect: 'manual' })) : requestInit(init);
  const answer = await own.get(id).fetch(request.url, sent);
  const { status, statusText } = answer;
  const webSocket = webSocketOf(answer);
  const shown = { status, statusText, headers: answer.headers, encodeBody: 'manual' } as const;
  return new Response(answer.body, responseInit(webSocket === null ? shown : { ...shown, webSocket }));
}

async function answerCall(request: Request, env: Env, own: Namespace, id: ObjectId, method: string): Promise<Response> {
  try {
    const text = await request.text();
    if (!METHODS.has(method) || text.length > MAX_ARGUMENTS) return Response.json({ error: 'no such call' });
    if (method === 'exists') return Response.json({ value: await exists(env, id.toString()) });
    const stub = own.get(id) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    return Response.json({ value: await stub[method]!(...(JSON.parse(text) as unknown[])) });
  } catch (error) {
    return Response.json({ error: error instanceof Error ? error.message : String(error) });
  }
}
