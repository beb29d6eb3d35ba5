/**
 * What a connector forwards to: named services and nothing else, whatever the edge asks for.
 *
 * SAFETY: a name is looked up for each connection, and the addresses that the socket is going to dial are the ones that
 * are checked, so that a resolver that changes its mind (DNS rebinding) gains nothing. Link-local and metadata addresses
 * are refused unless the operator wrote the address itself: then it is listed. Loopback and private addresses are what
 * tunnels are for.
 */
import { lookup as resolve, type LookupAddress } from 'node:dns';
import { Server as HttpServer } from 'node:http';
import { BlockList, connect, isIP, type LookupFunction, type Server, type Socket } from 'node:net';
import { duplexPair, type Duplex } from 'node:stream';
import { SERVICE } from '../opening.ts';
import { isLoopback } from './loopback.ts';
import { reading } from './read-room.ts';
import { OriginPool } from './origin.ts';

export const CONNECT_TIMEOUT = 10_000; // ms for a connection to a target
export const MAX_SERVICES = 64;

/** Where a service is: an address of this network, or a server in this process. */
export type Target = AddressTarget | { readonly server: Server };

export interface AddressTarget {
  /** `any` carries HTTP and TCP. */
  readonly protocol: 'http' | 'https' | 'tcp' | 'any';
  readonly host: string;
  readonly port: number;
}

/** A target in use. */
export interface Dialable {
  readonly label: string; // for messages: host:port
  readonly secure: boolean;
  readonly carriesHttp: boolean;
  readonly carriesTcp: boolean;
  /** Connections for HTTP. */
  readonly pool: OriginPool;
  /** A connection of its own. */
  dial(): Duplex;
}

export class TargetError extends Error {}

/** `3000`, `host:port`, `[v6]:port`, or one of them behind `http://`, `https://` or `tcp://`. Throws TargetError. */
export function parseTarget(text: string, protocol: AddressTarget['protocol'] = 'any'): AddressTarget {
  const [, scheme, v6, name, port = ''] =
    /^(?:(https?|tcp):\/\/)?(?:(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]{1,253})):)?(\d{1,5})\/?$/.exec(text) ?? [];
  const number = Number(port);
  if (port === '' || number < 1 || number > 65_535 || (v6 !== undefined && isIP(v6) !== 6))
    throw new TargetError(
      `a target is a port or HOST:PORT, such as 3000 or 127.0.0.1:3000, not "${text.slice(0, 80)}"`,
    );
  const said = scheme as 'http' | 'https' | 'tcp' | undefined;
  if (said !== undefined && protocol !== 'any' && said.slice(0, 4) !== protocol.slice(0, 4))
    throw new TargetError(`${text} is no ${protocol} target`);
  return { protocol: said ?? protocol, host: v6 ?? name ?? 'localhost', port: number };
}

export class Targets {
  readonly #services = new Map<string, Dialable>();

  /** By service; '' is the default one. Throws TargetError. */
  constructor(targets: ReadonlyMap<string, Target>) {
    if (targets.size > MAX_SERVICES) throw new TargetError(`${targets.size} services; the limit is ${MAX_SERVICES}`);
    for (const [service, target] of targets) {
      if (service !== '' && !SERVICE.test(service))
        throw new TargetError(`"${service}" is no name of a service: letters, digits and - in lower case, at most 63`);
      this.#services.set(service, 'server' in target ? serverTarget(target.server) : addressTarget(target));
    }
  }

  get names(): readonly string[] {
    return [...this.#services.keys()];
  }

  find(service: string): Dialable | null {
    return this.#services.get(service) ?? null;
  }

  /** Closes kept connections. */
  close(): void {
    for (const { pool } of this.#services.values()) pool.close();
  }
}

function addressTarget({ protocol, host, port }: AddressTarget): Dialable {
  const secure = protocol === 'https';
  const options = { host, port, lookup: checkedLookup, autoSelectFamily: true };
  const plain = { ...options, noDelay: true, keepAlive: true, allowHalfOpen: true };
  // PERF: Node compiles its pattern of IPv6 addresses for the first name, 4 ms: now, while the edge is dialled.
  setImmediate(isIP, host);
  const dial = (): Duplex =>
    secure ? withTimeout(connectSecure(options), 'secureConnect') : withTimeout(connect(plain), 'connect');
  const read = (bytes: (chunk: Buffer) => void): Duplex =>
    secure ? dial().on('data', bytes) : withTimeout(connect({ ...plain, onread: reading(bytes) }), 'connect');
  return {
    label: `${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
    secure,
    carriesHttp: protocol !== 'tcp',
    carriesTcp: protocol === 'tcp' || protocol === 'any',
    pool: new OriginPool(read),
    dial,
  };
}

/** PERF: TLS is 10 ms of a start, so it is loaded where it is needed. */
function connectSecure(options: { host: string; port: number; lookup: LookupFunction }): Socket {
  const { host } = options;
  // On this machine there is nobody in between, and certificates of development are signed by nobody.
  const trust = { rejectUnauthorized: !isLoopback(host), servername: isIP(host) > 0 ? '' : host };
  return process.getBuiltinModule('node:tls').connect({ ...options, ...trust });
}

/** A server of this process has no port: it is handed one end of a pair of streams as a connection. */
function serverTarget(server: Server): Dialable {
  const dial = (): Duplex => {
    const [ours, theirs] = duplexPair({ allowHalfOpen: true });
    // What servers and their users ask of a socket.
    Object.assign(theirs, SOCKET_LIKE);
    Object.assign(ours, SOCKET_LIKE);
    server.emit('connection', theirs);
    return ours;
  };
  // A server of node:http, node:https would want TLS of its own; any other one speaks what it speaks.
  const carriesHttp = server instanceof HttpServer;
  return {
    label: 'the server',
    secure: false,
    carriesHttp,
    carriesTcp: !carriesHttp,
    pool: new OriginPool((read) => dial().on('data', read)),
    dial,
  };
}

const chained = function (this: Duplex): Duplex {
  return this;
};
const SOCKET_LIKE = {
  setNoDelay: chained,
  setKeepAlive: chained,
  setTimeout: chained,
  ref: chained,
  unref: chained,
  remoteAddress: '127.0.0.1',
  remoteFamily: 'IPv4',
  remotePort: 0,
  encrypted: false,
};

function withTimeout(socket: ReturnType<typeof connect>, ready: string): ReturnType<typeof connect> {
  const timer = setTimeout(() => {
    socket.destroy(Object.assign(new Error('the target does not answer'), { code: 'ETIMEDOUT' }));
  }, CONNECT_TIMEOUT);
  const done = (): void => clearTimeout(timer);
  socket.once(ready, done).once('close', done);
  return socket;
}

/** `dns.lookup` for sockets: addresses that no tunnel may reach by a name are an error. */
export const checkedLookup: LookupFunction = (hostname, options, callback) => {
  // SPEC: RFC 6761 section 6.3: names under localhost are this machine, whatever a resolver says.
  const name = /(^|\.)localhost\.?$/i.test(hostname) ? 'localhost' : hostname;
  resolve(name, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    const fail = (cause: Error): void => callback(cause as NodeJS.ErrnoException, '', 0);
    if (error !== null) return fail(error);
    const refused = addresses.find(({ address }) => isForbidden(address));
    if (refused !== undefined)
      return fail(
        Object.assign(new TargetError(`${hostname} is ${refused.address}, which is not to be reached by a name`), {
          code: 'EFORBIDDEN',
        }),
      );
    const first = addresses[0];
    if (first === undefined) return fail(Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' }));
    if (options.all === true) return callback(null, addresses);
    callback(null, first.address, first.family);
  });
};

const forbidden = new BlockList();
for (const [net, prefix, family] of [
  ['0.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'], // link-local, and the metadata services of most clouds
  ['100.100.100.200', 32, 'ipv4'], // metadata, Alibaba
  ['168.63.129.16', 32, 'ipv4'], // host agent, Azure
  ['192.0.0.192', 32, 'ipv4'], // metadata, Oracle
  ['224.0.0.0', 4, 'ipv4'],
  ['255.255.255.255', 32, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['fec0::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
  ['fd00:ec2::', 32, 'ipv6'], // metadata, Amazon
  ['fd20:ce::254', 128, 'ipv6'], // metadata, Google
] as const)
  forbidden.addSubnet(net, prefix, family);

/** Whether a name may not stand for this address. IPv4 within IPv6 (mapped, 6to4, NAT64) counts as what it holds. */
export function isForbidden(address: string): boolean {
  if (isIP(address) === 4) return forbidden.check(address, 'ipv4');
  const plain = address.split('%', 1)[0]!;
  if (isIP(plain) !== 6 || plain !== address) return true; // a scope id: link-local
  if (forbidden.check(plain, 'ipv6')) return true;
  const embedded = embeddedIpv4(plain);
  return embedded !== null && forbidden.check(embedded, 'ipv4');
}

const embedding = [
  { net: '::ffff:0:0', prefix: 96, at: 6 },
  { net: '64:ff9b::', prefix: 96, at: 6 },
  { net: '2002::', prefix: 16, at: 1 },
].map(({ net, prefix, at }) => {
  const list = new BlockList();
  list.addSubnet(net, prefix, 'ipv6');
  return { list, at };
});

function embeddedIpv4(address: string): string | null {
  const found = embedding.find(({ list }) => list.check(address, 'ipv6'));
  if (found === undefined) return null;
  const dotted = /(?:^|:)(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (dotted !== undefined && found.at === 6) return dotted;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined ? left : [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  const [high, low] = [parseInt(groups[found.at]!, 16), parseInt(groups[found.at + 1]!, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
