/**
 * Reading a list of addresses that an operator publishes. It decides who is let through and who is not, so it is believed as a
 * whole or not at all: one line that is no address, a private network or half the Internet, and nothing of it counts.
 */
import { addressRanges, parseCidr, type Cidr } from '../lists.ts';
import type { ListFormat } from './address-lists.ts';

export const MAX_LIST_BYTES = 2_097_152; // of a list as it is fetched
export const MAX_LIST_PREFIXES = 20_000;
/** Shortest prefixes: what the largest networks have, not what a list of crawlers needs. */
export const SHORTEST_V4 = 8;
export const SHORTEST_V6 = 20;
export const MAX_LIST_ADDRESSES = 1 << 25; // IPv4 addresses of one list together: two blocks of /8
/** Of the last good list at least this share must be in the next one. */
export const LEAST_KEPT = 0.5;

/** What is wrong with a list, for its reader. */
export class ListError extends Error {
  override readonly name = 'ListError';
}

/** Prefixes in canonical form, each once, in their order; throws ListError. */
export function parseAddressList(format: ListFormat, text: string): string[] {
  if (text.length > MAX_LIST_BYTES) throw new ListError(`it has more than ${MAX_LIST_BYTES} bytes`);
  const found = format === 'json' ? fromJson(text) : fromLines(text, format === 'geofeed');
  return checkPrefixes(found);
}

/** The same for prefixes that were read already. */
export function checkPrefixes(found: readonly unknown[]): string[] {
  if (found.length === 0) throw new ListError('it has no addresses');
  if (found.length > MAX_LIST_PREFIXES) throw new ListError(`it has more than ${MAX_LIST_PREFIXES} prefixes`);
  const prefixes = new Set<string>();
  for (const item of found) {
    const cidr = typeof item === 'string' && item.length <= 64 ? parseCidr(item) : undefined;
    if (cidr === undefined) throw new ListError(`${shown(item)} is no address or block`);
    if (cidr.prefix < (cidr.version === 4 ? SHORTEST_V4 : SHORTEST_V6))
      throw new ListError(`${shown(item)} is too large a part of the Internet`);
    const special = specialOf(cidr);
    if (special !== null) throw new ListError(`${shown(item)} is ${special}`);
    prefixes.add(canonical(cidr));
  }
  const list = [...prefixes];
  let addresses = 0;
  for (const [low, high] of addressRanges(list).v4) addresses += high - low + 1;
  if (addresses > MAX_LIST_ADDRESSES)
    throw new ListError(`it has ${addresses} addresses, too many for a list of agents`);
  return list;
}

/** Share of the prefixes of `before` that are wholly in `after`. */
export function keptShare(before: readonly string[], after: readonly string[]): number {
  if (before.length === 0) return 1;
  const next = addressRanges(after);
  let kept = 0;
  for (const prefix of before) {
    const { v4, v6 } = addressRanges([prefix]);
    const in4 = v4.every((range) => covered(next.v4, range, (a, b) => a - b));
    if (in4 && v6.every((range) => covered(next.v6, range, compare))) kept++;
  }
  return kept / before.length;
}

/** Whether one of the ranges, sorted and disjoint, has all of [low, high]. */
function covered<T>(ranges: readonly [T, T][], [low, high]: [T, T], order: (a: T, b: T) => number): boolean {
  let [from, to] = [0, ranges.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (order(ranges[middle]![0], low) <= 0) from = middle + 1;
    else to = middle;
  }
  return from > 0 && order(high, ranges[from - 1]![1]) <= 0;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 16; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

const MEMBERS = ['ipv4Prefix', 'ipv6Prefix', 'ip_address'];

function fromJson(text: string): unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ListError('it is not JSON');
  }
  const { prefixes, ips } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const items = prefixes ?? ips;
  if (!Array.isArray(items)) throw new ListError('it has neither `prefixes` nor `ips`');
  return items.flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null) return [item];
    const given = MEMBERS.filter((name) => Object.hasOwn(item, name)).map(
      (name) => (item as Record<string, unknown>)[name],
    );
    if (given.length === 0) throw new ListError(`an entry has none of ${MEMBERS.join(', ')}`);
    return given;
  });
}

/** Comments begin with `#`. Of a geofeed the first column counts. */
function fromLines(text: string, columns: boolean): string[] {
  const found: string[] = [];
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.replace(/#.*$/, '');
    const entry = (columns ? line.slice(0, line.includes(',') ? line.indexOf(',') : line.length) : line).trim();
    if (entry === '') continue;
    if (found.push(entry) > MAX_LIST_PREFIXES) break; // which is said by whoever counts
  }
  return found;
}

const SPECIAL_V4: readonly (readonly [block: string, what: string])[] = [
  ['0.0.0.0/8', 'this network'],
  ['10.0.0.0/8', 'a private network'],
  ['100.64.0.0/10', 'shared by customers of a provider'],
  ['127.0.0.0/8', 'this machine'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'a private network'],
  ['192.0.0.0/24', 'reserved for protocols'],
  ['192.0.2.0/24', 'for documentation'],
  ['192.168.0.0/16', 'a private network'],
  ['198.18.0.0/15', 'for benchmarks'],
  ['198.51.100.0/24', 'for documentation'],
  ['203.0.113.0/24', 'for documentation'],
  ['224.0.0.0/3', 'multicast or reserved'],
];
const SPECIAL_V6: readonly (readonly [block: string, what: string])[] = [
  ['2001::/23', 'reserved for protocols'],
  ['2001:db8::/32', 'for documentation'],
  ['2002::/16', 'a tunnel of IPv4'],
  ['3fff::/20', 'for documentation'],
];
const parsed = (blocks: typeof SPECIAL_V4) => blocks.map(([block, what]) => ({ cidr: parseCidr(block)!, what }));
const SPECIAL = { 4: parsed(SPECIAL_V4), 6: parsed(SPECIAL_V6) } as const;

/** What a block is, or overlaps, that no client of the Internet has; null: nothing of the kind. */
function specialOf(cidr: Cidr): string | null {
  if (cidr.version === 6 && cidr.address[0]! >> 5 !== 1) return 'not a global address'; // SPEC: IANA, 2000::/3
  for (const { cidr: block, what } of SPECIAL[cidr.version])
    if (sameStart(cidr, block, Math.min(cidr.prefix, block.prefix))) return what;
  return null;
}

function sameStart(a: Cidr, b: Cidr, bits: number): boolean {
  const skip = a.version === 4 ? 96 : 0;
  for (let bit = skip; bit < skip + bits; bit++)
    if (((a.address[bit >> 3]! ^ b.address[bit >> 3]!) >> (7 - (bit & 7))) & 1) return false;
  return true;
}

/** Host bits cleared; IPv6 in full groups without leading zeros, which is one form for one block. */
function canonical({ version, address, prefix }: Cidr): string {
  const bytes = address.slice(version === 4 ? 12 : 0);
  for (let bit = prefix; bit < bytes.length * 8; bit++) bytes[bit >> 3]! &= ~(128 >> (bit & 7));
  if (version === 4) return `${bytes.join('.')}/${prefix}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[i * 2]! << 8) | bytes[i * 2 + 1]!).toString(16));
  // Zeros at the end, of which most blocks have many, are left out.
  let used = 8;
  while (used > 0 && groups[used - 1] === '0') used--;
  return `${used > 6 ? groups.join(':') : `${groups.slice(0, used).join(':')}::`}/${prefix}`;
}

const shown = (item: unknown): string => JSON.stringify(item)?.slice(0, 60) ?? String(item);
