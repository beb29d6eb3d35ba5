/** Answers of resolvers, mutated: names and addresses within the limits, or null; and addresses of clients, as anybody writes them. */
import assert from 'node:assert/strict';
import { addressBytes, readDnsAnswer, reverseName, type DnsType } from '../../src/agents/dns.ts';
import { MAX_DNS_RECORDS } from '../../src/agents/limits.ts';
import { random, type Random } from './random.ts';

const PIECES = ['{', '}', '[', ']', '"', ',', ':', '0', '12', '28', 'null', 'true', '"Answer"', '"__proto__"', '"data"', '"type"', '.', '::', 'ffff', '%', '/', '\\u0000', '1e99', '\ud800']; // prettier-ignore
const SEEDS = [
  '{"Status":0,"TC":false,"Answer":[{"name":"1.66.249.66.in-addr.arpa","type":12,"TTL":60,"data":"crawl.googlebot.com."}]}',
  '{"Status":0,"Answer":[{"name":"a","type":5,"data":"b."},{"name":"b","type":1,"data":"66.249.66.1"}]}',
  '{"Status":3}',
];
const ADDRESSES = ['66.249.66.1', '2001:4860:4801:1::1', '::ffff:66.249.66.1', '[::1]:80', '::'];
const TYPES: readonly DnsType[] = ['A', 'AAAA', 'PTR'];

export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    const found = readDnsAnswer(mutate(r, r.pick(SEEDS)), r.pick(TYPES));
    if (found !== null) {
      assert.ok(found.length <= MAX_DNS_RECORDS);
      for (const one of found) assert.ok(typeof one === 'string' && one.length <= 255);
    }
    const address = addressBytes(mutate(r, r.pick(ADDRESSES)));
    if (address === null) continue;
    assert.ok(address.length === 4 || address.length === 16);
    assert.match(reverseName(address), /^(?:\d{1,3}\.){4}in-addr\.arpa$|^(?:[0-9a-f]\.){32}ip6\.arpa$/);
  }
  return Promise.resolve(cases);
}

function mutate(r: Random, text: string): string {
  for (let i = r.below(4); i > 0; i--) {
    const at = r.below(text.length + 1);
    const piece = r.below(4) === 0 ? String.fromCharCode(r.below(300)) : r.pick(PIECES);
    text = text.slice(0, at) + piece.repeat(r.below(100) === 0 ? r.below(500) : 1) + text.slice(at + r.below(4));
  }
  return text;
}
