/**
 * Who may use a tunnel by its host, beside anybody: clients of listed addresses, users with a password, holders of a key.
 * The same question for what a policy says and for what the registry says of one tunnel; both must let a client in.
 *
 * Credentials are compared as SHA-256 digests, all of them, without a jump that depends on a byte: how long it takes says
 * neither which one is right nor how far. A digest with one round is no password hash, and none is wanted in front of
 * every request: a slow one would be a lever for who wants to stop the edge. So passwords have a length that cannot be
 * searched (MIN_SECRET_LENGTH), and the command makes them itself unless it is given one.
 */
import { base64url } from './sealed.ts';

export const MIN_SECRET_LENGTH = 12; // characters
export const MAX_ADDRESSES = 256;
export const MAX_CREDENTIALS = 64;
const MAX_AUTHORIZATION = 1024; // characters of the header that are looked at

export interface AccessRule {
  readonly access: 'public' | 'restricted' | 'private';
  /** Addresses and CIDR blocks; none: of any address. */
  readonly addresses: readonly string[];
  /** Of the digests, base64url. */
  readonly salt: string;
  /** Digests as `basicDigest` makes them. With any credential, one of either list is needed. */
  readonly basic: readonly string[];
  /** Digests as `keyDigest` makes them. */
  readonly keys: readonly string[];
}

export const PUBLIC: AccessRule = { access: 'public', addresses: [], salt: '', basic: [], keys: [] };

export interface Caller {
  /** As text; '' when it is not known. */
  readonly address: string;
  /** Authorization as it came, '' for none. */
  readonly authorization: string;
}

export type Entry =
  /** `spent`: Authorization was for us, and is none of the origin's business. */
  | { readonly admitted: true; readonly spent: boolean }
  /** `challenge`: value for WWW-Authenticate, '' where no credential would help. */
  | { readonly admitted: false; readonly status: 401 | 403; readonly reason: string; readonly challenge: string };

const PRIVATE: Entry = { admitted: false, status: 403, reason: 'the tunnel is private', challenge: '' };
const STRANGE: Entry = {
  ...{ admitted: false, status: 403, reason: 'the tunnel is not for clients of this address', challenge: '' },
};
const OPEN: Entry = { admitted: true, spent: false };
const SPENT: Entry = { admitted: true, spent: true };

/** Whether `caller` is let in. */
export async function enter(rule: AccessRule, { address, authorization }: Caller): Promise<Entry> {
  if (rule.access === 'public') return OPEN;
  const { addresses, basic, keys, salt } = rule;
  // Restricted to nobody in particular is to nobody.
  if (rule.access === 'private' || addresses.length + basic.length + keys.length === 0) return PRIVATE;
  if (addresses.length > 0 && !addresses.some((block) => within(address, block))) return STRANGE;
  if (basic.length + keys.length === 0) return OPEN;
  const given = readAuthorization(authorization);
  if (given !== null) {
    const key = 'key' in given;
    const digest = key ? await keyDigest(salt, given.key) : await basicDigest(salt, given.user, given.password);
    if (anyEqual(key ? keys : basic, digest)) return SPENT;
  }
  return {
    ...{ admitted: false, status: 401 },
    reason: given === null ? 'the tunnel asks for a credential' : 'the credential is not one of this tunnel',
    challenge: [basic.length > 0 ? 'Basic realm="tunnel", charset="UTF-8"' : '', keys.length > 0 ? 'Bearer' : '']
      .filter((one) => one !== '')
      .join(', '),
  };
}

export function basicDigest(salt: string, user: string, password: string): Promise<string> {
  return digestOf(['basic', salt, user, password]);
}

export function keyDigest(salt: string, key: string): Promise<string> {
  return digestOf(['key', salt, key]);
}

export function newSalt(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(16)));
}

/** The rule that a JSON value is, or what is wrong with it. */
export function readAccessRule(value: unknown): AccessRule | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it must be an object';
  const { access, addresses, salt, basic, keys, ...unknown } = value as Record<string, unknown>;
  const [more] = Object.keys(unknown);
  if (more !== undefined) return `it has no field ${JSON.stringify(more).slice(0, 40)}`;
  if (access !== 'public' && access !== 'restricted' && access !== 'private')
    return 'access must be public, restricted or private';
  if (!isList(addresses, MAX_ADDRESSES) || !addresses.every((one) => parseBlock(one) !== null))
    return `addresses must be a list of at most ${MAX_ADDRESSES} addresses and CIDR blocks`;
  if (typeof salt !== 'string' || !/^[A-Za-z0-9_-]{0,64}$/.test(salt)) return 'salt must be base64url';
  if (!isList(basic, MAX_CREDENTIALS) || !basic.every(isDigest))
    return `basic must be a list of at most ${MAX_CREDENTIALS} digests`;
  if (!isList(keys, MAX_CREDENTIALS) || !keys.every(isDigest))
    return `keys must be a list of at most ${MAX_CREDENTIALS} digests`;
  if (access === 'restricted' && addresses.length + basic.length + keys.length === 0)
    return 'restricted needs addresses, users or keys';
  return { access, addresses, salt, basic, keys };
}

const isDigest = (text: string): boolean => /^[A-Za-z0-9_-]{43}$/.test(text);

function isList(value: unknown, limit: number): value is string[] {
  return Array.isArray(value) && value.length <= limit && value.every((one) => typeof one === 'string');
}

type Given = { readonly user: string; readonly password: string } | { readonly key: string };

/** SPEC: RFC 7617 (Basic, UTF-8) and RFC 6750 section 2.1 (Bearer); null for anything else. */
function readAuthorization(value: string): Given | null {
  if (value.length > MAX_AUTHORIZATION) return null;
  const [, scheme = '', token = ''] = /^([A-Za-z]+) +([A-Za-z0-9._~+/-]+=*) *$/.exec(value) ?? [];
  if (scheme.toLowerCase() === 'bearer') return { key: token };
  if (scheme.toLowerCase() !== 'basic') return null;
  try {
    const bytes = Uint8Array.from(atob(token), (character) => character.charCodeAt(0));
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const colon = text.indexOf(':');
    return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return null;
  }
}

/** Looks at all of `digests`, and at all of each. */
function anyEqual(digests: readonly string[], digest: string): boolean {
  let found = 0;
  for (const one of digests) {
    let difference = one.length ^ digest.length;
    for (let i = 0; i < digest.length; i++) difference |= one.charCodeAt(i) ^ digest.charCodeAt(i);
    found |= Number(difference === 0);
  }
  return found !== 0;
}

/** Parts are told apart by their lengths, so that no two lists of parts have one digest. */
async function digestOf(parts: readonly string[]): Promise<string> {
  const text = parts.map((part) => `${part.length}:${part}`).join('');
  const bytes = new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

interface Block {
  readonly words: readonly number[]; // eight of 16 bits; IPv4 mapped
  readonly bits: number; // that count, of 128
}

// PERF: the blocks of a rule are few and are the same text each time.
const blocks = new Map<string, Block | null>();
const MAX_BLOCKS = 4096;

/** Whether an address lies in a block; an unknown address lies in none. */
export function within(address: string, block: string): boolean {
  const known = blocks.get(block);
  const outer = known === undefined ? parseBlock(block) : known;
  if (known === undefined) {
    if (blocks.size >= MAX_BLOCKS) blocks.clear();
    blocks.set(block, outer);
  }
  const inner = address.includes('/') ? null : parseBlock(address);
  if (outer === null || inner === null) return false;
  for (let i = 0; i < 8; i++) {
    const bits = Math.max(0, Math.min(16, outer.bits - i * 16));
    if ((outer.words[i]! ^ inner.words[i]!) >> (16 - bits) !== 0) return false;
  }
  return true;
}

function parseBlock(text: string): Block | null {
  const [, host = '', , prefix] = /^([0-9a-fA-F:.]{2,45})(\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host);
  if (four !== null) {
    const bytes = four.slice(1).map(Number);
    const length = prefix === undefined ? 32 : Number(prefix);
    if (length > 32 || bytes.some((byte) => byte > 255) || /(^|\.)0\d/.test(host)) return null;
    const [a, b, c, d] = bytes as [number, number, number, number];
    return { words: [0, 0, 0, 0, 0, 0xffff, (a << 8) | b, (c << 8) | d], bits: 96 + length };
  }
  // The URL parser knows every spelling of IPv6 and writes one: groups in hex, the longest run of zeros as `::`.
  const canonical = host.includes(':') ? URL.parse(`http://[${host}]/`)?.hostname.slice(1, -1) : undefined;
  const length = prefix === undefined ? 128 : Number(prefix);
  if (canonical === undefined || length > 128) return null;
  const [head = '', tail] = canonical.split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [left, right] = [groups(head), tail === undefined ? [] : groups(tail)];
  const zeros = new Array<number>(8 - left.length - right.length).fill(0);
  return { words: [...left, ...zeros, ...right], bits: length };
}
