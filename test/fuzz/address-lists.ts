/**
 * Address lists of operators: mutated lists are read or refused with a ListError, never anything else. What was read is
 * canonical, holds no private network and nothing larger than a list may have, and is read the same again.
 */
import assert from 'node:assert/strict';
import {
  checkPrefixes,
  keptShare,
  ListError,
  MAX_LIST_BYTES,
  parseAddressList,
  SHORTEST_V4,
  SHORTEST_V6,
} from '../../src/compiler/agents/address-list.ts';
import type { ListFormat } from '../../src/compiler/agents/address-lists.ts';
import { encodeAddresses } from '../../src/compiler/agents/addresses.ts';
import { parseCidr } from '../../src/compiler/lists.ts';
import { random, spoil, type Random } from './random.ts';

const PIECES = ['{', '}', '[', ']', '"', ',', ':', '\n', '\r\n', '#', '/', '.', '0', '255', '/0', '/33', '::', 'ffff:', '20.0.0.0/8', '10.0.0.0/8', '"__proto__"', '"ipv4Prefix":', '"ips":', 'null', '1e999', '\u0000', '\ud800', ' ']; // prettier-ignore
const SEEDS: readonly (readonly [format: ListFormat, text: string])[] = [
  ['json', '{"creationTime":"x","prefixes":[{"ipv4Prefix":"20.42.10.0/24"},{"ipv6Prefix":"2600:1f00::/40"}]}'],
  ['json', '{"ips":[{"ip_address":"5.39.1.224"},{"ip_address":"5.39.1.0/27"}]}'],
  ['json', '{"prefixes":["20.42.10.0/24","2600::7"]}'],
  ['geofeed', '# feed\n31.13.24.0/21,IE,,Dublin,\n2a03:2880:1000::/36,US,,,\n'],
  ['lines', '20.1.2.3\n20.1.2.0/25 # some\n\n2600::7\n'],
];

export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) judge(r);
  return Promise.resolve(cases);
}

function judge(r: Random): void {
  const [format, seed] = r.pick(SEEDS);
  const text = spoil(seed, r, PIECES, 5);
  let list: string[];
  try {
    list = parseAddressList(format, text);
  } catch (error) {
    assert.ok(error instanceof ListError, `${JSON.stringify(text.slice(0, 300))}: ${String(error)}`);
    assert.ok(error.message.length < 300);
    return;
  }
  assert.ok(text.length <= MAX_LIST_BYTES && list.length > 0);
  assert.deepEqual(checkPrefixes(list), list, 'canonical');
  assert.equal(keptShare(list, list), 1);
  for (const prefix of list) {
    const cidr = parseCidr(prefix)!;
    assert.ok(cidr.prefix >= (cidr.version === 4 ? SHORTEST_V4 : SHORTEST_V6), prefix);
    const first = cidr.address[cidr.version === 4 ? 12 : 0]!;
    if (cidr.version === 4) assert.ok(first !== 0 && first !== 10 && first !== 127 && first < 224, prefix);
    else assert.equal(first >> 5, 1, prefix);
  }
  assert.notEqual(encodeAddresses([{ id: 'apple', prefixes: list, fetched: 1 }]), null);
}
