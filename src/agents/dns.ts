/**
 * Questions to a resolver over HTTPS, in the JSON form (`application/dns-json`) that public resolvers have: what comes back is
 * checked by the parser of the runtime and cut to what is needed. The binary form of RFC 8484 was rejected: a decoder of our own
 * for bytes of strangers, with compression pointers, for two record types.
 */
import { raced, readBytes } from '../bytes.ts';
import { DNS_TIMEOUT_MS, MAX_DNS_BYTES, MAX_DNS_RECORDS } from './limits.ts';

export type DnsType = 'A' | 'AAAA' | 'PTR';
const NUMBERS: Readonly<Record<DnsType, number>> = { A: 1, AAAA: 28, PTR: 12 };
const NO_ERROR = 0;
const NO_SUCH_NAME = 3;

/** What the records of a type say, at most MAX_DNS_RECORDS; none where there is no such name. Null: the answer is no answer. */
export function readDnsAnswer(text: string, type: DnsType): string[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const { Status: status, TC: truncated, Answer: answer = [] } = value as Record<string, unknown>;
  if (status === NO_SUCH_NAME) return [];
  if (status !== NO_ERROR || truncated === true || !Array.isArray(answer)) return null;
  const found: string[] = [];
  // The name of a record is not looked at: an alias has another than the one that was asked for.
  for (const record of answer as readonly unknown[]) {
    if (typeof record !== 'object' || record === null) return null;
    const { type: number, data } = record as Record<string, unknown>;
    if (number !== NUMBERS[type]) continue;
    if (typeof data !== 'string' || data.length > 255) return null;
    if (found.push(data.toLowerCase().replace(/\.$/, '')) === MAX_DNS_RECORDS) break;
  }
  return found;
}

/** Asks; null where the resolver does not answer, or not in order. */
export async function askDns(
  fetch: (url: string, init: RequestInit) => Promise<Response>,
  resolver: string,
  name: string,
  type: DnsType,
): Promise<string[] | null> {
  const url = new URL(resolver);
  url.searchParams.set('name', name);
  url.searchParams.set('type', type);
  const signal = AbortSignal.timeout(DNS_TIMEOUT_MS);
  try {
    const init: RequestInit = { headers: { accept: 'application/dns-json' }, redirect: 'manual', signal };
    const response = await raced(fetch(url.href, init), signal);
    if (response.status !== 200) {
      await response.body?.cancel();
      return null;
    }
    const bytes = await readBytes(response.body as ReadableStream<Uint8Array> | null, MAX_DNS_BYTES, signal);
    return bytes === null ? null : readDnsAnswer(new TextDecoder().decode(bytes), type);
  } catch {
    return null;
  }
}

/** The 4 or 16 bytes of an address; null for what is none. IPv4 in IPv6 clothes is IPv4. */
export function addressBytes(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return Uint8Array.from(parts, Number);
  if (!text.includes(':') || !/^[0-9a-f:.]{2,45}$/i.test(text)) return null;
  const url = URL.parse(`http://[${text}]/`);
  if (url === null) return null;
  // The URL parser writes hexadecimal groups with one `::` at most.
  const halves = url.hostname.slice(1, -1).split('::');
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  const bytes = Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]),
  );
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  return mapped ? bytes.slice(12) : bytes;
}

/** The name under which the names of an address are asked for. */
export function reverseName(address: Uint8Array): string {
  if (address.length === 4) return `${[...address].toReversed().join('.')}.in-addr.arpa`;
  const digits = Array.from(address, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${[...digits].toReversed().join('.')}.ip6.arpa`;
}
