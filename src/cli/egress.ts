/**
 * Which addresses origins may have. Policies come from app owners, the network is the operator's: what an operator
 * does not list must not be reachable through a policy. Link-local (metadata services), loopback, unspecified and
 * multicast addresses are denied unless listed; private networks are where on-prem origins live and are allowed.
 */
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { parseDial } from '../compiler/policy/backend.ts';
import { Failure, sentence } from './failure.ts';

export interface EgressPolicy {
  readonly allowed: BlockList;
  readonly loopback: boolean;
  /** Addresses of a name; default: the system's resolver. */
  readonly lookup?: (host: string) => Promise<readonly string[]>;
}

/** What an origin's name was resolved to: `address` is null when nothing may be connected to. */
export interface Pinned {
  readonly key: string; // Endpoint.dial
  readonly address: string | null;
  readonly problem: string | null;
}

const DENIED = new BlockList();
DENIED.addSubnet('0.0.0.0', 8);
DENIED.addSubnet('169.254.0.0', 16); // link-local, and the metadata services of most clouds
DENIED.addAddress('100.100.100.200'); // metadata service
DENIED.addAddress('192.0.0.192'); // metadata service
DENIED.addSubnet('224.0.0.0', 4);
DENIED.addSubnet('240.0.0.0', 4);
DENIED.addAddress('::', 'ipv6');
DENIED.addSubnet('fe80::', 10, 'ipv6');
DENIED.addSubnet('fec0::', 10, 'ipv6');
DENIED.addAddress('fd00:ec2::254', 'ipv6'); // metadata service
DENIED.addAddress('fd20:ce::254', 'ipv6'); // metadata service
DENIED.addSubnet('ff00::', 8, 'ipv6');

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** `allow` are the operator's addresses and CIDR blocks. */
export function egressPolicy(allow: readonly string[], loopback: boolean): EgressPolicy {
  const allowed = new BlockList();
  for (const entry of allow) {
    const [address = '', prefix, ...rest] = entry.split('/');
    const family = isIP(address);
    const bits = family === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (family === 0 || rest.length > 0 || length < 0 || length > bits) {
      throw new Failure(`--egress-allow takes addresses and CIDR blocks such as 10.1.0.0/16, not "${entry}"`);
    }
    allowed.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
  }
  return { allowed, loopback };
}

/** Why `address` may not be connected to, or null when it may. */
export function refusal(address: string, policy: EgressPolicy): string | null {
  const plain = embeddedIPv4(address) ?? address;
  const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4';
  if (policy.allowed.check(plain, family)) return null;
  if (LOOPBACK.check(plain, family)) return policy.loopback ? null : 'a loopback address';
  if (DENIED.check(plain, family)) return 'a link-local, metadata, multicast or reserved address';
  return null;
}

/** The IPv4 address inside a mapped, compatible, NAT64 or 6to4 IPv6 address: another spelling must not open a door. */
function embeddedIPv4(address: string): string | null {
  if (isIP(address) !== 6) return null;
  const words = wordsOf(address);
  if (words === null) return null;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = words;
  const dotted = (high: number, low: number) => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  const zeroToFour = a === 0 && b === 0 && c === 0 && d === 0;
  if (zeroToFour && e === 0 && f === 0xffff) return dotted(g, h); // ::ffff:0:0/96
  if (zeroToFour && e === 0xffff && f === 0) return dotted(g, h); // ::ffff:0:0:0/96
  if (zeroToFour && e === 0 && f === 0 && g !== 0) return dotted(g, h); // ::/96
  if (a === 0x64 && b === 0xff9b) return dotted(g, h); // 64:ff9b::/96
  if (a === 0x2002) return dotted(b, c); // 2002::/16
  return null;
}

function wordsOf(address: string): number[] | null {
  // URL writes any spelling of an IPv6 address in one canonical form.
  const canonical = URL.parse(`http://[${address.split('%')[0]}]/`)?.hostname.slice(1, -1);
  if (canonical === undefined) return null;
  const [head = '', tail] = canonical.split('::');
  const parse = (part: string) => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const left = parse(head);
  if (tail === undefined) return left.length === 8 ? left : null;
  const right = parse(tail);
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}

/**
 * Resolves an origin and checks every address of it. The one that was pinned before is kept while it is still
 * among the answers, so that a rotating answer does not restart anything.
 */
export async function pin(key: string, policy: EgressPolicy, before?: string | null): Promise<Pinned> {
  const host = hostOf(key);
  let addresses: readonly string[];
  try {
    addresses = isIP(host) ? [host] : await (policy.lookup ?? systemLookup)(host);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const cause = code === 'ENOTFOUND' || code === 'EAI_AGAIN' ? 'its name does not resolve' : sentence(error);
    return { key, address: null, problem: `${key} cannot be reached: ${cause}` };
  }
  const refusals = new Map(addresses.map((address) => [address, refusal(address, policy)]));
  const allowed = addresses.filter((address) => refusals.get(address) === null);
  const chosen = before !== undefined && before !== null && allowed.includes(before) ? before : allowed[0];
  if (chosen !== undefined) return { key, address: chosen, problem: null };
  const [first = '', why = 'not an address'] = [...refusals][0] ?? [];
  const advice = why === 'a loopback address' ? '--allow-loopback or --egress-allow' : '--egress-allow';
  return {
    key,
    address: null,
    problem: `${key} is denied: ${first} is ${why}; the operator may allow it with ${advice}`,
  };
}

const systemLookup = async (host: string): Promise<readonly string[]> =>
  (await lookup(host, { all: true })).map((answer) => answer.address);

/** Every origin of a deployment, by its key; `before` is what they were pinned to last. */
export async function pinAll(
  keys: readonly string[],
  policy: EgressPolicy,
  before: ReadonlyMap<string, Pinned>,
): Promise<Map<string, Pinned>> {
  const pinned = await Promise.all(keys.map((key) => pin(key, policy, before.get(key)?.address)));
  return new Map(pinned.map((entry) => [entry.key, entry]));
}

/** `host:port` as workerd reads it. */
export function connectAddress(pinned: Pinned): string | null {
  if (pinned.address === null) return null;
  const { port } = parseDial(pinned.key);
  return isIP(pinned.address) === 6 ? `[${pinned.address}]:${port}` : `${pinned.address}:${port}`;
}

/** The host of an origin, an IPv6 address without its brackets. */
const hostOf = (key: string): string => parseDial(key).host.replace(/^\[|\]$/g, '');
