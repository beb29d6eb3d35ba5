import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listAgents } from '../compiler/agents/agents.ts';
import { AddressNames } from './address-names.ts';
import {
  DNS_TIMEOUT_MS,
  MAX_ADDRESS_NAMES,
  MAX_DNS_FORWARD,
  MAX_DNS_LOOKUPS,
  NAME_RETRY_SECONDS,
  NAME_SECONDS,
} from './limits.ts';
import { isBelow, REVERSE_AGENTS, reverseSuffixes } from './reverse-names.ts';

const GOOGLE = ['googlebot.com', 'google.com'];
const HOUR = NAME_SECONDS * 1000;

/** A resolver that knows these records, `type name` to data; what is null it fails on. */
function world(records: Record<string, string[] | null>) {
  const asked: string[] = [];
  const work: Promise<void>[] = [];
  let now = 1_790_000_000_000;
  let hang = false;
  const names = new AddressNames({
    resolver: 'https://dns.example/',
    now: () => now,
    fetch(url) {
      const query = new URL(url).searchParams;
      const [type, name] = [query.get('type')!, query.get('name')!];
      asked.push(`${type} ${name}`);
      const found = records[`${type} ${name}`];
      if (hang) return new Promise(() => {});
      if (found === null) return Promise.resolve(new Response('', { status: 500 }));
      const number = { A: 1, AAAA: 28, PTR: 12 }[type];
      const answer = { Status: found === undefined ? 3 : 0, Answer: found?.map((data) => ({ type: number, data })) };
      return Promise.resolve(new Response(JSON.stringify(answer)));
    },
  });
  const verdict = (address: string, suffixes: readonly string[] = GOOGLE) =>
    names.verdict(address, suffixes, (one) => void work.push(one));
  return {
    asked,
    verdict,
    async settled(address: string, suffixes?: readonly string[]) {
      assert.equal(verdict(address, suffixes), null, 'the first is answered without');
      await Promise.all(work.splice(0));
      return verdict(address, suffixes);
    },
    pass: (ms: number) => void (now += ms),
    hang: () => void (hang = true),
    work,
  };
}

const PTR = 'PTR 1.66.249.66.in-addr.arpa';

test('every agent that is listed is in the table', () => {
  const names = new Set(listAgents().map(({ name }) => name));
  for (const name of REVERSE_AGENTS) {
    assert.ok(names.has(name), name);
    for (const suffix of reverseSuffixes(name)!) assert.match(suffix, /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/);
  }
  assert.equal(reverseSuffixes('constructor'), null);
});

test('domains end at a dot', () => {
  assert.ok(isBelow('crawl-1.googlebot.com', GOOGLE) && isBelow('googlebot.com', GOOGLE));
  for (const name of ['evilgooglebot.com', 'googlebot.com.evil.example', 'com', '', 'googlebot.co', '.googlebot.comx'])
    assert.ok(!isBelow(name, GOOGLE), name);
});

test('a name in the domain that has the address confirms it', async () => {
  const { settled, asked } = world({
    [PTR]: ['crawl-66.googlebot.com.'],
    'A crawl-66.googlebot.com': ['66.249.66.9', '66.249.66.1'],
  });
  assert.equal(await settled('66.249.66.1'), 'confirmed');
  assert.deepEqual(asked, [PTR, 'A crawl-66.googlebot.com']);
});

test('IPv6 is asked for by AAAA, and compared as an address', async () => {
  const name = 'PTR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.1.0.8.4.0.6.8.4.1.0.0.2.ip6.arpa';
  const { settled } = world({
    [name]: ['crawl.googlebot.com'],
    'AAAA crawl.googlebot.com': ['2001:4860:4801:0001:0:0:0:1'],
  });
  assert.equal(await settled('2001:4860:4801:1::1'), 'confirmed');
});

test('anything else refutes it', async () => {
  assert.equal(await world({}).settled('66.249.66.1'), 'refuted'); // no name
  assert.equal(await world({ [PTR]: ['host.evil.example'] }).settled('66.249.66.1'), 'refuted');
  assert.equal(
    await world({ [PTR]: ['evilgooglebot.com'], 'A evilgooglebot.com': ['66.249.66.1'] }).settled('66.249.66.1'),
    'refuted',
  );
  // Whoever has an address names it as he likes; the owner of the domain has the last word.
  assert.equal(
    await world({ [PTR]: ['crawl.googlebot.com'], 'A crawl.googlebot.com': ['66.249.66.2'] }).settled('66.249.66.1'),
    'refuted',
  );
  const many = world({ [PTR]: Array.from({ length: 9 }, (_, i) => `c${i}.googlebot.com`) });
  assert.equal(await many.settled('66.249.66.1'), 'refuted');
  assert.equal(many.asked.length, 1 + MAX_DNS_FORWARD);
});

test('a resolver that fails decides nothing, and is asked again after a while', async () => {
  for (const records of [{ [PTR]: null }, { [PTR]: ['crawl.googlebot.com'], 'A crawl.googlebot.com': null }]) {
    const one = world(records);
    assert.equal(await one.settled('66.249.66.1'), null);
    const { length } = one.asked;
    one.pass(NAME_RETRY_SECONDS * 1000 - 1);
    assert.equal(await one.settled('66.249.66.1'), null);
    assert.equal(one.asked.length, length);
    one.pass(1);
    await one.settled('66.249.66.1');
    assert.ok(one.asked.length > length);
  }
});

test('a verdict holds for an hour, and for its domains alone', async () => {
  const one = world({ [PTR]: ['crawl.googlebot.com'], 'A crawl.googlebot.com': ['66.249.66.1'] });
  assert.equal(await one.settled('66.249.66.1'), 'confirmed');
  assert.equal(await one.settled('66.249.66.1', ['search.msn.com']), 'refuted');
  one.pass(HOUR - 1);
  assert.equal(one.verdict('66.249.66.1'), 'confirmed');
  one.pass(1);
  assert.equal(await one.settled('66.249.66.1'), 'confirmed');
});

test('an address is looked up once at a time, and few at once', async () => {
  const one = world({});
  one.hang();
  for (let i = 0; i < 3; i++) one.verdict('66.249.66.1');
  assert.equal(one.work.length, 1);
  for (let i = 2; i < 30; i++) one.verdict(`66.249.66.${i}`);
  assert.equal(one.work.length, MAX_DNS_LOOKUPS);
  // Those that were dropped on their way are given up.
  one.pass(DNS_TIMEOUT_MS * (1 + MAX_DNS_FORWARD));
  one.verdict('66.249.66.1');
  assert.equal(one.work.length, MAX_DNS_LOOKUPS + 1);
});

test('what is no address is not asked for', () => {
  const one = world({});
  for (const address of ['', 'unknown', '1.2.3']) assert.equal(one.verdict(address), null);
  assert.equal(one.work.length, 0);
});

test('verdicts are kept up to a number, the least recently used go first', async () => {
  const one = world({});
  assert.equal(await one.settled('66.249.66.1'), 'refuted');
  for (let i = 0; i < MAX_ADDRESS_NAMES - 1; i++) await one.settled(`20.0.${i >> 8}.${i & 255}`);
  assert.equal(one.verdict('66.249.66.1'), 'refuted'); // and is the most recent now
  await one.settled('21.0.0.1');
  assert.equal(one.verdict('66.249.66.1'), 'refuted');
  assert.equal(one.verdict('20.0.0.0'), null);
});
