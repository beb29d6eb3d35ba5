import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressBytes, askDns, readDnsAnswer, reverseName } from './dns.ts';
import { MAX_DNS_BYTES, MAX_DNS_RECORDS } from './limits.ts';

test('reads the records of the type that was asked for', () => {
  const answer = (records: unknown, rest: object = {}): string =>
    JSON.stringify({ Status: 0, ...rest, Answer: records });
  const ptr = (data: unknown, type: unknown = 12): object => ({ name: 'x', type, TTL: 60, data });
  assert.deepEqual(readDnsAnswer(answer([ptr('Crawl-1.GoogleBot.com.'), ptr('b.example', 5)]), 'PTR'), [
    'crawl-1.googlebot.com',
  ]);
  assert.deepEqual(readDnsAnswer(answer([ptr('66.249.66.1', 1)]), 'A'), ['66.249.66.1']);
  assert.deepEqual(readDnsAnswer('{"Status":0}', 'A'), []);
  assert.deepEqual(readDnsAnswer('{"Status":3}', 'A'), []);
  const many = Array.from({ length: MAX_DNS_RECORDS + 5 }, (_, i) => ptr(`n${i}.example`));
  assert.equal(readDnsAnswer(answer(many), 'PTR')?.length, MAX_DNS_RECORDS);
  for (const bad of [
    '',
    'null',
    '[]',
    '{}',
    '{"Status":2}',
    '{"Status":"0"}',
    answer({}),
    answer([null]),
    answer(['x']),
    answer([ptr(7)]),
    answer([ptr('x'.repeat(256))]),
    answer([], { TC: true }),
  ])
    assert.equal(readDnsAnswer(bad, 'PTR'), null, bad);
});

test('asks with name and type, and takes nothing that is too long, moved or late', async () => {
  const asked: string[] = [];
  const resolver = 'https://dns.example/resolve?key=1';
  const ask = (answer: () => Response | Promise<Response>): Promise<string[] | null> =>
    askDns((url) => (asked.push(url), Promise.resolve(answer())), resolver, '1.0.0.127.in-addr.arpa', 'PTR');
  assert.deepEqual(await ask(() => new Response('{"Status":3}')), []);
  assert.deepEqual(asked, ['https://dns.example/resolve?key=1&name=1.0.0.127.in-addr.arpa&type=PTR']);
  assert.equal(await ask(() => new Response('{"Status":3}' + ' '.repeat(MAX_DNS_BYTES))), null);
  assert.deepEqual(await ask(() => new Response('{"Status":3}' + ' '.repeat(MAX_DNS_BYTES - 12))), []);
  assert.equal(await ask(() => new Response('{"Status":3}', { status: 500 })), null);
  assert.equal(await ask(() => new Response(null, { status: 302, headers: { location: 'https://x/' } })), null);
  assert.equal(await ask(() => Promise.reject(new Error('down'))), null);
});

test('addresses and their names', () => {
  assert.equal(reverseName(addressBytes('66.249.66.1')!), '1.66.249.66.in-addr.arpa');
  assert.equal(reverseName(addressBytes('::ffff:66.249.66.1')!), '1.66.249.66.in-addr.arpa');
  assert.equal(
    reverseName(addressBytes('2001:DB8::567:89ab')!),
    'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa', // SPEC: RFC 3596 section 2.5, in another form
  );
  assert.deepEqual([...addressBytes('::')!], new Array(16).fill(0));
  for (const bad of [
    '',
    'x',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    ':',
    ':::',
    '1::2::3',
    '::1%eth0',
    '[::1]',
    '::1]/x',
    '1:2:3:4:5:6:7:8:9',
  ])
    assert.equal(addressBytes(bad), null, bad);
});
