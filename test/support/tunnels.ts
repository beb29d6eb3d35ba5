/** Parties of a tunnel for scenarios: operators, connectors, dials that are anything but right, and the command. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { type ClientOptions, WebSocket } from 'ws';
import { ensureOperatorKey, readOperatorKey } from '../../src/cli/operator.ts';
import { thumbprint } from '../../src/control/signature.ts';
import {
  ACCESS_PATH,
  CAPABILITY_HEADER,
  generateConnectorKey,
  HANDSHAKE_HEADER,
  issueCapability,
  signHandshake,
  TUNNEL_PATH,
  type Capability,
  type ConnectorKey,
  type Dial,
} from '../../src/tunnel/capability.ts';
import { Connector, type Credentials } from '../../src/tunnel/connector/connector.ts';
import { given, issued, type PrivateJwk } from '../../src/tunnel/connector/credentials.ts';
import { Targets, type Target } from '../../src/tunnel/connector/targets.ts';
import { SUBPROTOCOL } from '../../src/tunnel/frame.ts';
import { Lane } from '../../src/tunnel/lane.ts';
import type { TunnelStream } from '../../src/tunnel/stream.ts';
import { run, type Gateway, type RunResult } from '../gateway.ts';

export interface Party {
  /** XDG_CONFIG_HOME. */
  readonly home: string;
  readonly jwk: PrivateJwk;
  readonly key: CryptoKey;
  readonly project: string;
}

/** An operator with a home of its own below `folder`. */
export async function party(folder: string, name: string): Promise<Party> {
  const home = join(folder, name);
  const file = join(home, 'sallyport', 'operator.jwk');
  await ensureOperatorKey(file);
  const jwk = readOperatorKey(file);
  const key = await crypto.subtle.importKey('jwk', { ...jwk }, 'Ed25519', false, ['sign']);
  return { home, jwk, key, project: await thumbprint(jwk.x) };
}

/** `sallyport tunnel ...` of an operator, for a deployment. */
export function tunnel(gateway: Gateway, who: Party, ...args: string[]): Promise<RunResult> {
  const place = /^(offer|accept|withdraw)$/.test(args[0] ?? '')
    ? ['--edge', gateway.url]
    : ['--control', gateway.control];
  return run(['tunnel', ...args, ...place], who.home, { XDG_CONFIG_HOME: who.home, XDG_STATE_HOME: who.home });
}

/** The same with --json; throws with what was said when it fails. */
export async function told<T = Record<string, unknown>>(gateway: Gateway, who: Party, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await tunnel(gateway, who, ...args, '--json');
  if (code !== 0) throw new Error(`tunnel ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

export interface ConnectorOptions {
  readonly name: string;
  readonly sockets?: number;
  readonly services: Readonly<Record<string, number>>; // ports by service
  /** What `create` wrote; without, the operator issues to itself. */
  readonly rights?: { readonly capability: string; readonly key: PrivateJwk };
  readonly credentials?: Credentials;
}

export async function connect(gateway: Gateway, who: Party, options: ConnectorOptions): Promise<Connector> {
  const { name, sockets = 1, services, rights, credentials } = options;
  const targets = Object.entries(services).map(
    ([service, port]) => [service, { protocol: 'any', host: '127.0.0.1', port }] as [string, Target],
  );
  const made = new Connector({
    edge: new URL(gateway.url),
    name,
    sockets,
    credentials: credentials ?? (rights === undefined ? issued(who.jwk, [name]) : given(rights.capability, rights.key)),
    targets: new Targets(new Map(targets)),
  });
  const ready = once(made, 'ready');
  const closed = once(made, 'closed').then(([event]) => {
    throw new Error((event as { reason: string }).reason);
  });
  closed.catch(() => {});
  made.start();
  await Promise.race([ready, closed]);
  return made;
}

export interface Rights {
  readonly capability: string;
  readonly key: ConnectorKey;
}

/** Rights as `who` would issue them, but for what is said. */
export async function rightsOf(who: Party, grant: Partial<Capability>, key?: ConnectorKey): Promise<Rights> {
  const own = key ?? (await generateConnectorKey());
  const now = Date.now();
  const capability = await issueCapability(who.key, {
    ...{ project: who.project, names: [], reach: [], connector: await thumbprint(own.x) },
    ...{ generation: now, expires: now + 60_000, exposure: null },
    ...grant,
  });
  return { capability, key: own };
}

export interface Dialled {
  readonly socket: WebSocket | null;
  readonly status: number; // 101 for a socket
  readonly detail: string;
}

/** The headers of a dial. */
export async function headersFor(
  gateway: Gateway,
  { capability, key }: Rights,
  dial: Partial<Dial>,
  at = Date.now(),
): Promise<Record<string, string>> {
  const whole = { host: `127.0.0.1:${gateway.port}`, path: TUNNEL_PATH, name: '', service: '', socket: 0, resume: '' };
  return {
    [CAPABILITY_HEADER]: capability,
    [HANDSHAKE_HEADER]: await signHandshake(key, capability, { ...whole, ...dial }, at),
  };
}

export async function dialWith(
  gateway: Gateway,
  headers: Record<string, string>,
  path = TUNNEL_PATH,
): Promise<Dialled> {
  // As connectors do: workerd ends the connection of a socket that its object closed when it evicts the object.
  const options: ClientOptions & { closeTimeout: number } = { headers, closeTimeout: 1000 };
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, SUBPROTOCOL, options);
  socket.on('error', () => {});
  return await new Promise((resolve) => {
    socket.once('open', () => resolve({ socket, status: 101, detail: '' }));
    socket.once('unexpected-response', (_request: unknown, response: IncomingMessage) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += String(chunk)));
      response.on('end', () => {
        const { detail = text } = JSON.parse(text === '' ? '{}' : text) as { detail?: string };
        resolve({ socket: null, status: response.statusCode ?? 0, detail });
      });
    });
  });
}

/** One dial to serve, or with a service to reach, a tunnel. */
export async function dialAs(
  gateway: Gateway,
  rights: Rights,
  name: string,
  service?: string,
  at?: number,
): Promise<Dialled> {
  const path = service === undefined ? TUNNEL_PATH : ACCESS_PATH;
  return await dialWith(gateway, await headersFor(gateway, rights, { name, path, service: service ?? '' }, at), path);
}

/** The stream that the edge opens for a guest, once it does. */
export function streamOf(socket: WebSocket): Promise<TunnelStream> {
  return new Promise((resolve, reject) => {
    const lane = new Lane({ role: 'connector', now: Date.now, onGoaway: () => {}, onStream: resolve });
    socket.on('message', (data: Buffer, binary) => {
      if (binary) lane.receive(data);
      else lane.attach((message) => socket.send(message));
    });
    socket.once('close', (code) => reject(new Error(`closed with ${code}`)));
  });
}

/** Close code of a socket. */
export async function closeOf(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, 'close')) as [number];
  return code;
}
