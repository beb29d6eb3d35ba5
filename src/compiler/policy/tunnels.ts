/** `tunnels:`: which hosts are tunnels, and who may use them. */
import type { TunnelAccessPlan, TunnelsPlan } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { Document } from '../document.ts';
import { parseCidr } from '../lists.ts';
import { shown } from '../spelling.ts';
import { readHostname } from './hostname.ts';
import type { Reading, Target } from './reading.ts';
import type { Restricted, Tunnels } from './tunnels-schema.ts';

/** SPEC: RFC 6761 section 6.3: names under localhost are this machine, so they need no name server. */
export const DEFAULT_DOMAIN = '*.localhost';

/** What stands in for a policy where none speaks of tunnels. */
export const DEFAULT_TUNNELS = { path: '(tunnels)', app: 'tunnels', text: 'app: tunnels\ntunnels: {}\nwaf: {}\n' };

const AT = 'tunnels';

/** The wildcard that stands for the hosts of tunnels, lower case; null after reporting that there is none. */
export function readDomain({ domain }: Tunnels, target: Target, document: Document): string | null {
  const path = [AT, 'domain'];
  if (domain === undefined && target === 'workerd') return DEFAULT_DOMAIN;
  if (domain === undefined) {
    document.report('error', [AT], 'missing-field', '`domain` is missing', {
      at: 'key',
      cause: `\`${DEFAULT_DOMAIN}\`, the default, is of use on one machine only`,
      fix: 'add `domain: "*.t.example.com"`',
    });
    return null;
  }
  const name = readHostname(domain, true, path, document);
  if (name === null) return null;
  if (name.startsWith('*.') && name !== '*') return name;
  document.report('error', path, 'bad-domain', `\`${shown(domain)}\` has no place for the name of a tunnel`, {
    fix: name === '*' ? 'write it as `*.t.example.com`' : `write \`*.${shown(name)}\``,
  });
  return null;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * The fields with a backend for the hosts of tunnels and a route to it, behind those that are written: where a policy has
 * such a backend of its own, it says itself what goes there.
 */
export function withTunnels(fields: Fields, domain: string): Fields {
  const { backends = {}, routes = [] } = fields as { backends?: unknown; routes?: unknown };
  if (typeof (backends ?? {}) !== 'object' || Array.isArray(backends) || !Array.isArray(routes ?? [])) return fields;
  const own = Object.values(backends ?? {}) as (Fields | null)[];
  const dynamic = (one: Fields | null): boolean =>
    one?.['tunnel'] === '*' || (Array.isArray(one?.['endpoints']) && one['endpoints'].some(dynamic));
  if (own.some(dynamic)) return fields;
  const name = 'tunnel of the host';
  return {
    ...fields,
    backends: { ...(backends as object), [name]: { tunnel: '*' } },
    routes: [...((routes ?? []) as unknown[]), { name, hostnames: [domain], backend: name }],
  };
}

export function readTunnels(source: Tunnels, domain: string, reading: Reading): TunnelsPlan {
  const app = readAccess(source, [AT], null, reading);
  const names = Object.entries(source.names ?? {}).map(
    ([name, own]) => [name, readAccess(own, [AT, 'names', name], app, reading)] as const,
  );
  if (source.projects !== undefined && source.edges === undefined)
    reading.reporter.report('warning', [AT, 'projects'], 'any-edge', 'connectors may dial this edge by any host', {
      at: 'key',
      cause: 'another edge that a connector dials too could pass what it signs for that one on to this one',
      fix: 'add `edges: [edge.example.com]`, the hosts by which connectors dial this edge',
    });
  const keys = new Map<string, string>();
  for (const [name, key] of Object.entries(source.projects ?? {})) {
    const namesake = keys.get(key);
    if (namesake !== undefined)
      reading.reporter.report('error', [AT, 'projects', name], 'duplicate-name', `this is the key of \`${namesake}\``, {
        fix: 'remove one of the two',
      });
    keys.set(key, name);
  }
  return {
    domain: domain.slice(2),
    access: app,
    names: Object.fromEntries(names),
    edges: source.edges ?? null,
    projects: [...keys].map(([key, name]) => ({ name, key })),
    networks: source.networks ?? null,
  };
}

/** What is not said of a tunnel holds as for all; lists are replaced as a whole. */
function readAccess(
  source: Pick<Tunnels, 'access' | 'restricted'>,
  path: DocumentPath,
  outer: TunnelAccessPlan | null,
  reading: Reading,
): TunnelAccessPlan {
  const { reporter } = reading;
  const { restricted } = source;
  const access = source.access ?? (restricted === undefined ? (outer?.access ?? 'public') : 'restricted');
  const lists = restricted === undefined ? (outer ?? NOBODY) : readRestricted(restricted, path, reading);
  const empty = lists.addresses.length + lists.basic.length + lists.keys.length === 0;
  if (access === 'restricted' && empty) {
    reporter.report('error', [...path, 'access'], 'nobody', '`restricted` without saying to whom', {
      fix: 'add `restricted: { addresses: […], basic: { user: { secret: NAME } }, keys: [{ secret: NAME }] }`, one of them',
    });
  }
  if (restricted !== undefined && access !== 'restricted') {
    reporter.report(
      'warning',
      [...path, 'restricted'],
      'no-effect',
      `\`restricted\` has no effect on a ${access} tunnel`,
      {
        at: 'key',
        fix: 'write `access: restricted`, or remove it',
      },
    );
  }
  return { ...lists, access };
}

const NOBODY = { addresses: [], basic: [], keys: [] } as const;

function readRestricted(
  { addresses = [], basic = {}, keys = [] }: Restricted,
  path: DocumentPath,
  { reporter, secrets }: Reading,
): Pick<TunnelAccessPlan, 'addresses' | 'basic' | 'keys'> {
  addresses.forEach((text, index) => {
    if (parseCidr(text) !== undefined) return;
    const at = [...path, 'restricted', 'addresses', index];
    reporter.report('error', at, 'bad-address', `\`${shown(text)}\` is not an address or CIDR block`, {
      fix: 'write it as 192.0.2.0/24 or 2001:db8::/32',
    });
  });
  const users = Object.entries(basic).map(([user, { secret }]) => ({ user, secret }));
  for (const secret of [...users.map((one) => one.secret), ...keys.map((one) => one.secret)]) secrets.add(secret);
  return { addresses, basic: users, keys: keys.map((one) => one.secret) };
}
