/**
 * `sallyport/connector`: publishes a server of this process through an edge, with no local port.
 *
 *   import { connect } from 'sallyport/connector';
 *   const tunnel = await connect({ edge: 'https://edge.example.com', name: 'laptop', operatorKey, server });
 *   console.log(tunnel.url);
 *   await tunnel.close();
 *
 * `server` is a Node HTTP server that need not listen: it gets each connection as a stream, through its own `connection`
 * event, so what it does with requests, upgrades and errors is what it always does.
 */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { Server } from 'node:net';
import { Connector, type ConnectorOptions, type Credentials } from './connector.ts';
import { given, issued } from './credentials.ts';
import type { PrivateJwk } from './private-jwk.ts';
import type { Tunnel } from './tunnel.ts';
import { DialError } from './dial-error.ts';
import { parseTarget, TargetError, Targets, type Target } from './targets.ts';

export { DialError, TargetError };
export type { ConnectorEvents, Tunnel } from './tunnel.ts';
export type { PrivateJwk } from './private-jwk.ts';
export type { Answered, Capture, Exchange } from '../exchange.ts';
export type { Fields, RequestHead, ResponseHead } from '../head.ts';

export interface ConnectOptions {
  /** URL of the edge, without path: `https://edge.example.com`. */
  readonly edge: string | URL;
  /** Of the tunnel: a DNS label, in lower case. */
  readonly name: string;
  /** The operator's private key, as a JWK or the path of a file with one: a short-lived capability is issued from it. */
  readonly operatorKey?: PrivateJwk | string;
  /** Instead: what `sallyport tunnel create` gave, as an object or the path of its file. */
  readonly capability?: { readonly capability: string; readonly key: PrivateJwk } | string;
  /** What answers requests of the tunnel's own name: a server that need not listen, or a request listener. */
  readonly server?: Server | RequestListener;
  /** Servers and addresses (`3000`, `127.0.0.1:4000`) by service; '' is the tunnel's own name. */
  readonly targets?: Readonly<Record<string, Server | RequestListener | string>>;
  /** Connections to the edge that are kept; default 2. */
  readonly sockets?: number;
  /** Bytes of each body that events carry; default 0. */
  readonly capture?: number;
  /** Ends the attempt to connect. */
  readonly signal?: AbortSignal;
}

/**
 * Connects, and resolves once the tunnel is up. Rejects with a DialError when the edge refuses the tunnel, a TypeError or
 * TargetError when the options are wrong, and the signal's reason when that ends it. An edge that does not answer is
 * dialled again until it does: give a signal to wait no longer.
 */
export async function connect(options: ConnectOptions): Promise<Tunnel> {
  const { signal } = options;
  signal?.throwIfAborted();
  const connector = new Connector(connectorOptions(options));
  return await new Promise((resolve, reject) => {
    const settle = (): void => {
      signal?.removeEventListener('abort', aborted);
      connector.off('ready', ready).off('closed', closed);
    };
    const ready = (): void => {
      settle();
      resolve(connector);
    };
    const closed = ({ reason, error }: { reason: string; error: DialError | null }): void => {
      settle();
      reject(error ?? new DialError(0, reason));
    };
    const aborted = (): void => {
      settle();
      void connector.close(0);
      reject(signal!.reason as Error);
    };
    signal?.addEventListener('abort', aborted);
    connector.on('ready', ready).on('closed', closed).start();
  });
}

function connectorOptions(options: ConnectOptions): ConnectorOptions {
  const { edge, name, sockets, capture } = options;
  // Node 20 has no URL.parse.
  const url = URL.canParse(String(edge)) ? new URL(String(edge)) : null;
  if (url === null || !/^(https?|wss?):$/.test(url.protocol) || url.pathname !== '/')
    throw new TypeError(`edge is the URL of an edge without path, not ${String(edge)}`);
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) throw new TypeError(`${name} is no name of a tunnel`);
  return {
    edge: url,
    name,
    credentials: credentialsOf(options),
    targets: new Targets(targetsOf(options)),
    ...(sockets !== undefined && { sockets }),
    ...(capture !== undefined && { capture }),
  };
}

function credentialsOf({ name, operatorKey, capability }: ConnectOptions): Credentials {
  if ((operatorKey === undefined) === (capability === undefined))
    throw new TypeError('either operatorKey or capability proves the right to the name');
  if (operatorKey !== undefined) return issued(jwkOf(read(operatorKey), 'operatorKey'), [name]);
  const { capability: text, key } = read(capability!) as { capability?: unknown; key?: unknown };
  if (typeof text !== 'string') throw new TypeError('capability holds no capability');
  return given(text, jwkOf(key, 'capability.key'));
}

function read(value: object | string): unknown {
  if (typeof value !== 'string') return value;
  const text = readFileSync(value, 'utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // SAFETY: what the parser says may quote the key
    throw new TypeError(`${value} holds no JSON`);
  }
}

function jwkOf(value: unknown, what: string): PrivateJwk {
  const { crv, x, d } = (value ?? {}) as Partial<PrivateJwk>;
  if (crv !== 'Ed25519' || typeof x !== 'string' || typeof d !== 'string')
    throw new TypeError(`${what} is no Ed25519 key pair as a JWK`);
  return { kty: 'OKP', crv, x, d };
}

function targetsOf({ server, targets = {} }: ConnectOptions): Map<string, Target> {
  const all = new Map<string, Target>();
  if (server !== undefined) all.set('', targetOf(server));
  for (const [service, target] of Object.entries(targets)) {
    if (all.has(service)) throw new TypeError('server and targets both name what answers the tunnel itself');
    all.set(service, targetOf(target));
  }
  if (all.size === 0) throw new TypeError('server or targets says what is published');
  return all;
}

function targetOf(target: Server | RequestListener | string): Target {
  if (typeof target === 'string') return parseTarget(target);
  if (typeof target === 'function') return { server: createServer(target) };
  return { server: target };
}
