/** Backends: where requests can go, and how to connect. */
import type { Backend, BalancePlan, Endpoint, PassiveHealth } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import { parseAddress } from '../lists.ts';
import { shown } from '../spelling.ts';
import { covers, inZone, isHostname, readHostname } from './hostname.ts';
import { parseDuration, parsePercent } from './quantity.ts';
import type { Reading } from './reading.ts';
import type { Percent } from './primitives.ts';
import type { Backend as Source } from './schema.ts';

export interface Dial {
  readonly scheme: 'http' | 'https';
  readonly host: string; // IPv6 in brackets
  readonly port: number;
  /** The name that TLS verifies, where it is not `host`; else null. */
  readonly tlsName: string | null;
}

/** The parts of an `Endpoint.dial`, `scheme://host:port` with ` as NAME` behind it or not. */
export function parseDial(dial: string): Dial {
  const match = /^(https?):\/\/(.+):([0-9]+?)(?: as (.+))?$/.exec(dial);
  if (match === null) throw new RangeError(`not a dial key: ${dial}`);
  return { scheme: match[1] as 'http' | 'https', host: match[2]!, port: Number(match[3]), tlsName: match[4] ?? null };
}

/** Tunnels need no service of their own. */
export function isTunnelDial(dial: string): boolean {
  return dial.startsWith('tunnel:');
}

/** The backend for the plan; what is wrong is reported, and such a backend may lack endpoints. */
export function readBackend(name: string, source: Source, path: DocumentPath, reading: Reading): Backend {
  const { reporter } = reading;
  const endpoints: Endpoint[] = [];
  const own = source.url === undefined ? 'tunnel' : 'url';
  if (source.endpoints !== undefined && source[own] !== undefined) {
    reporter.report(
      'error',
      [...path, 'endpoints'],
      'conflict',
      `a backend has \`${own}\` or \`endpoints\`, not both`,
      {
        at: 'key',
        fix: `move \`${own}\` into \`endpoints\``,
      },
    );
  } else if (source.endpoints !== undefined) {
    for (const field of ['address', 'host'] as const) {
      if (source[field] !== undefined)
        reporter.report('error', [...path, field], 'conflict', `\`${field}\` belongs to each endpoint`, {
          at: 'key',
          fix: 'move it into `endpoints`',
        });
    }
    source.endpoints.forEach((entry, index) => {
      const endpoint = readEndpoint(entry, [...path, 'endpoints', index], reading);
      if (endpoint !== null) endpoints.push(endpoint);
    });
    if (source.endpoints.every((entry) => entry.weight === 0)) {
      reporter.report(
        'warning',
        [...path, 'endpoints'],
        'zero-weights',
        `every endpoint of \`${name}\` has weight 0: requests to it are answered 503`,
        { at: 'key' },
      );
    }
  } else if (source[own] !== undefined) {
    const endpoint = readEndpoint({ ...source, weight: 1 }, path, reading);
    if (endpoint !== null) endpoints.push(endpoint);
  } else {
    reporter.report('error', path, 'missing-field', `backend \`${name}\` has no \`url\``, {
      at: 'key',
      fix: 'add `url: http://host:port`, `tunnel: NAME`, or `endpoints`',
    });
  }
  return {
    name,
    endpoints,
    balance: readBalance(source, path, reading),
    stickiness: source.sessionPersistence
      ? {
          cookie: source.sessionPersistence.cookie,
          ttl: Math.ceil(parseDuration(source.sessionPersistence.ttl)! / 1000),
        }
      : null,
    health: readHealth(source, endpoints.length, path, reading),
  };
}

interface EndpointSource {
  readonly url?: string | undefined;
  readonly tunnel?: string | undefined;
  readonly address?: string | undefined;
  readonly host?: string | undefined;
  readonly weight: number;
}

function readEndpoint(source: EndpointSource, path: DocumentPath, reading: Reading): Endpoint | null {
  if (source.tunnel !== undefined) return readTunnel(source, source.tunnel, path, reading);
  if (source.url === undefined) {
    reading.reporter.report('error', path, 'missing-field', 'an endpoint has no `url`', {
      fix: 'add `url: http://host:port`, or `tunnel: NAME`',
    });
    return null;
  }
  const url = readUrl(source.url, [...path, 'url'], reading);
  if (url === null) return null;
  const scheme = url.protocol.slice(0, -1);
  const defaultPort = scheme === 'https' ? 443 : 80;
  const own = { host: url.hostname, port: url.port === '' ? defaultPort : Number(url.port) };
  const address =
    source.address === undefined ? own : readAddress(source.address, own.port, [...path, 'address'], reading);
  if (address === null) return null;
  const tls = scheme === 'https' && address.host !== own.host ? ` as ${own.host}` : '';
  const host = readHost(source.host, url, path, reading);
  if (reading.target === 'cloudflare' && (address.host !== own.host || address.port !== own.port))
    checkOverride(address, own, [...path, 'address'], reading);
  return {
    url: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`,
    dial: `${scheme}://${address.host}:${address.port}${tls}`,
    host,
    weight: source.weight,
  };
}

/** Host reaches a tunnel's origin as it is written on either target: no `fetch` is in between. */
function readTunnel(source: EndpointSource, name: string, path: DocumentPath, reading: Reading): Endpoint | null {
  const { reporter } = reading;
  for (const field of ['url', 'address'] as const) {
    if (source[field] === undefined) continue;
    const cause = 'the connector knows where the origin is';
    const fix = `remove \`${field}\`, or \`tunnel\``;
    reporter.report('error', [...path, field], 'conflict', `\`${field}\` beside \`tunnel\``, { at: 'key', cause, fix });
    return null;
  }
  if (name === '*' && reading.tunnelDomain === null) {
    const fix = 'name a tunnel, or add `tunnels: { domain: "*.t.example.com" }`';
    reporter.report('error', [...path, 'tunnel'], 'no-tunnels', 'no host names a tunnel in this app', { fix });
    return null;
  }
  const at = [...path, 'host'];
  const host = hostOrWord(source.host ?? 'preserve', at, reading);
  if (name === '*' && host !== 'preserve') {
    const cause = 'the host of the request is what names the tunnel';
    reporter.report('error', at, 'conflict', '`host` beside `tunnel: "*"`', { at: 'key', cause, fix: 'remove it' });
  }
  const [tunnel = '', service = ''] = name.split('/');
  return {
    url: `http://${name === '*' ? 'tunnel' : service === '' ? tunnel : `${service}.${tunnel}`}`,
    dial: `tunnel:${name === '*' ? reading.tunnelDomain : name}`,
    host,
    weight: source.weight,
  };
}

function readUrl(text: string, path: DocumentPath, { reporter }: Reading): URL | null {
  const report = (message: string, cause?: string, fix?: string): null => {
    reporter.report('error', path, 'bad-url', message, { ...(cause && { cause }), ...(fix && { fix }) });
    return null;
  };
  let url: URL;
  try {
    if (/[\s\u0000-\u001f\\]/.test(text)) throw new TypeError('space');
    url = new URL(text);
  } catch {
    const fix = /^[a-z0-9.-]+(:[0-9]+)?(\/|$)/i.test(text)
      ? `write \`http://${shown(text)}\``
      : 'write it as `http://host:port` or `https://host`';
    return report(`\`${shown(text)}\` is not a URL`, undefined, fix);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    const bare = /^[a-z0-9.-]+:[0-9]+/i.test(text);
    return report(
      `the scheme of \`${shown(text)}\` is not http or https`,
      undefined,
      bare ? `write \`http://${shown(text)}\`` : 'write `http://` or `https://`',
    );
  }
  if (!/^https?:\/\/[^/]/i.test(text))
    return report(`\`${shown(text)}\` is not a URL`, 'two slashes and a host follow the scheme');
  // URL parsers let characters through that no name has; what is dialled goes into configuration and logs.
  if (!isHostname(url.hostname)) return report(`\`${shown(url.hostname)}\` is not a host name`);
  if (url.username !== '' || url.password !== '' || /^[^/]*\/\/[^/]*@/.test(text)) {
    return report(
      'a backend URL cannot hold a user name or password',
      'a policy is stored, compiled and shown',
      'set `authorization: { secret: NAME }` with a requestHeaderModifier',
    );
  }
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text))
    return report('a backend URL has no query and no fragment', undefined, 'end it after the path');
  return url;
}

function readAddress(
  text: string,
  port: number,
  path: DocumentPath,
  { reporter }: Reading,
): { host: string; port: number } | null {
  const bare = text.includes(':') && parseAddress(text) !== undefined ? `[${text}]` : text;
  const match = /^(\[[^\]]*\]|[^:\s]+)(?::([0-9]{1,5}))?$/.exec(bare.toLowerCase());
  const host = match?.[1];
  const chosen = match?.[2] === undefined ? port : Number(match[2]);
  if (host === undefined || !isHostname(host) || chosen < 1 || chosen > 65535) {
    const fix = text.includes('://')
      ? 'leave out the scheme: it follows from `url`'
      : 'write it as `10.0.0.5:8080`, `[fd00::5]:8080` or `origin.internal:8080`';
    reporter.report('error', path, 'bad-address', `\`${shown(text)}\` is not an address to connect to`, { fix });
    return null;
  }
  return { host, port: chosen };
}

/**
 * Host towards the origin. On-prem each dial is a service of its own and carries any Host. Cloudflare's fetch writes Host
 * from the URL, so another one is possible only where URL and resolveOverride are both inside of the account's zone.
 */
function readHost(host: string | undefined, url: URL, path: DocumentPath, reading: Reading): string {
  if (host === undefined) return reading.target === 'cloudflare' ? 'url' : 'preserve';
  if (host === 'url') return host;
  const at = [...path, 'host'];
  const needed = host === 'preserve' ? reading.hostnames : [];
  const name = hostOrWord(host, at, reading);
  if (reading.target === 'cloudflare') {
    const inside = (one: string) =>
      reading.zone !== null && (inZone(one, reading.zone) || covers(`*.${reading.zone}`, one));
    if (!inside(url.hostname) || !(host === 'preserve' ? needed.every(inside) : inside(name))) {
      reading.reporter.report(
        'error',
        at,
        'host-outside-zone',
        `Cloudflare cannot send Host \`${host}\` to \`${url.hostname}\``,
        {
          cause: "fetch writes Host from the URL; another one needs both names in the account's zone",
          fix:
            reading.zone === null
              ? 'write `host: url`, or name your zone: `cloudflare: { zone: example.com }`'
              : 'write `host: url`',
        },
      );
    }
  }
  return name;
}

/** `preserve`, `url`, or a name with or without port. */
function hostOrWord(host: string, at: DocumentPath, { reporter }: Reading): string {
  if (host === 'preserve' || host === 'url') return host;
  const [bare, port] = /^(.*):([0-9]{1,5})$/.exec(host)?.slice(1) ?? [host, ''];
  const name = readHostname(bare!, false, at, reporter);
  return name === null || port === '' ? (name ?? 'url') : `${name}:${port}`;
}

function checkOverride(
  address: { host: string; port: number },
  own: { host: string; port: number },
  path: DocumentPath,
  reading: Reading,
): void {
  const cause =
    address.port !== own.port
      ? 'resolveOverride changes the host, not the port'
      : parseAddress(address.host.replace(/^\[|\]$/g, '')) !== undefined
        ? 'resolveOverride takes a host name, not an address'
        : !inZone(address.host, reading.zone) || !inZone(own.host, reading.zone)
          ? "resolveOverride is ignored unless both names are in the account's zone"
          : null;
  if (cause === null) return;
  reading.reporter.report('error', path, 'address-outside-zone', 'on Cloudflare this `address` cannot be used', {
    cause,
    fix:
      reading.zone === null
        ? 'leave `address` out, or name your zone: `cloudflare: { zone: example.com }`'
        : 'leave `address` out, or use a proxied host name of the zone',
  });
}

function readBalance(source: Source, path: DocumentPath, { reporter }: Reading): BalancePlan {
  const balancer = source.loadBalancer;
  if (balancer === undefined) return { type: 'WeightedRandom' };
  const at = [...path, 'loadBalancer'];
  const given = (['header', 'cookie', 'address'] as const).filter((field) => balancer[field] !== undefined);
  if (balancer.type !== 'ConsistentHash') {
    for (const field of given) {
      reporter.report('error', [...at, field], 'conflict', `\`${field}\` belongs to ConsistentHash`, {
        at: 'key',
        fix: 'write `type: ConsistentHash`, or leave it out',
      });
    }
    return { type: balancer.type };
  }
  const by = given[0];
  if (by === undefined || given.length > 1) {
    reporter.report('error', at, 'conflict', 'ConsistentHash needs one of `header`, `cookie` and `address: true`', {
      at: 'key',
    });
    return { type: 'WeightedRandom' };
  }
  if (by === 'address') return { type: 'ConsistentHash', by, name: '' };
  return { type: 'ConsistentHash', by, name: by === 'header' ? balancer.header!.toLowerCase() : balancer.cookie! };
}

function readHealth(source: Source, endpoints: number, path: DocumentPath, reading: Reading): PassiveHealth | null {
  if (source.health === undefined) return null;
  const { passive, panicThreshold } = source.health;
  const at = [...path, 'health'];
  const health: PassiveHealth = {
    consecutive5xx: passive.consecutive5xx,
    consecutiveGatewayErrors: passive.consecutiveGatewayErrors,
    baseEjectionTime: parseDuration(passive.baseEjectionTime)!,
    maxEjectionTime: parseDuration(passive.maxEjectionTime)!,
    maxEjectionPercent: readPercent(passive.maxEjectionPercent, [...at, 'passive', 'maxEjectionPercent'], reading),
    panicThreshold: readPercent(panicThreshold, [...at, 'panicThreshold'], reading),
  };
  if (health.consecutive5xx === 0 && health.consecutiveGatewayErrors === 0) {
    reading.reporter.report('error', [...at, 'passive'], 'no-effect', 'passive health that never ejects', {
      at: 'key',
      cause: 'both counts are 0',
      fix: 'leave `health` out, or set one of the counts',
    });
  }
  if (health.baseEjectionTime === 0) {
    reading.reporter.report(
      'error',
      [...at, 'passive', 'baseEjectionTime'],
      'out-of-range',
      '`baseEjectionTime` must be more than 0s',
    );
  }
  if (health.maxEjectionTime < health.baseEjectionTime) {
    reading.reporter.report(
      'error',
      [...at, 'passive'],
      'ejection-times',
      '`maxEjectionTime` is shorter than `baseEjectionTime`',
      { at: 'key', fix: 'make it at least as long' },
    );
  }
  if (health.maxEjectionPercent === 0) {
    reading.reporter.report(
      'warning',
      [...at, 'passive', 'maxEjectionPercent'],
      'no-effect',
      'no endpoint is ever ejected with `maxEjectionPercent` 0',
    );
  }
  if (endpoints === 1) {
    reading.reporter.report('warning', at, 'no-effect', 'a single endpoint is used whether it is healthy or not', {
      at: 'key',
      fix: 'add `endpoints`, or leave `health` out',
    });
  }
  return health;
}

/** 0 to 100; out-of-range text is reported and read as 100. */
export function readPercent(value: Percent, path: DocumentPath, { reporter }: Reading): number {
  if (typeof value === 'number') return value;
  const percent = parsePercent(value);
  if (percent === null)
    reporter.report('error', path, 'out-of-range', `\`${String(path.at(-1))}\` must be at most 100%`);
  return percent ?? 100;
}
