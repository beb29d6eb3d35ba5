import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as abi from '../../assembly/abi.ts';
import { requestHead, testEngine } from '../../test/support/engine.ts';
import { loaded, loadOne, policyImage, routeSources, SETTINGS } from '../../test/support/image.ts';
import { compileHosts } from '../compiler/hosts.ts';
import { parseAddress } from '../compiler/lists.ts';
import { canonicalPath } from '../compiler/path.ts';
import type { SettingsSource } from '../compiler/sources.ts';
import { ImageError, type Generation, type Head, type HeadResult } from './engine.ts';

const engine = await testEngine();
const policy = policyImage(routeSources([{}]));
const plain = loadOne(engine, policy);
const ask = (head: Head, generation: Generation = plain): HeadResult => engine.head(generation, head, 1, 2);
const verdict = ({ outcome, reason }: HeadResult): [number, number] => [outcome, reason];
const rejected = (reason: number): [number, number] => [abi.OUTCOME_REJECT, reason];
const OK: [number, number] = [abi.OUTCOME_OK, abi.REASON_NONE];

test('the number of separators has to be the number of fields', () => {
  const good = requestHead('http://h/', {
    headers: [
      ['host', 'h'],
      ['x-a', 'b'],
    ],
  });
  assert.deepEqual(verdict(ask(good)), OK);
  assert.deepEqual(verdict(ask({ ...good, fields: 9 })), rejected(abi.REASON_SEPARATOR));
  assert.deepEqual(verdict(ask({ ...good, fields: 5 })), rejected(abi.REASON_SEPARATOR));
  assert.deepEqual(verdict(ask({ ...good, fields: 6 })), rejected(abi.REASON_SEPARATOR));
  assert.deepEqual(verdict(ask({ ...good, fields: -1 })), rejected(abi.REASON_SEPARATOR));
  assert.deepEqual(verdict(ask({ text: good.text.slice(0, -1), fields: 7 })), rejected(abi.REASON_SEPARATOR));
  assert.deepEqual(verdict(ask({ text: `${good.text}rest`, fields: 7 })), rejected(abi.REASON_SEPARATOR));
  assert.deepEqual(verdict(ask({ text: '', fields: 0 })), rejected(abi.REASON_SEPARATOR));
  const split = requestHead('http://h/', {
    headers: [
      ['host', 'h'],
      ['x-a', 'b\0x-c\0d'],
    ],
  });
  assert.deepEqual(verdict(ask(split)), rejected(abi.REASON_SEPARATOR));
});

test('control bytes are refused at every place of a vector, tabs and other bytes are not', () => {
  for (let length = 0; length < 40; length++) {
    for (const [char, want] of [
      ['\x01', rejected(abi.REASON_CONTROL)],
      ['\x1f', rejected(abi.REASON_CONTROL)],
      ['\x7f', rejected(abi.REASON_CONTROL)],
      ['\n', rejected(abi.REASON_CONTROL)],
      ['\t', OK],
      ['é', OK],
      ['\x20', OK],
      ['\x80', OK],
    ] as const) {
      const head = requestHead('http://h/', {
        headers: [
          ['host', 'h'],
          ['x', `${'a'.repeat(length)}${char}b`],
        ],
      });
      assert.deepEqual(verdict(ask(head)), want, `${JSON.stringify(char)} after ${length}`);
    }
  }
});

test('too many headers, too long heads and too long targets have their own reasons', () => {
  const headers = (count: number) =>
    Array.from({ length: count }, (_, i): [string, string] => (i === 0 ? ['host', 'h'] : [`x-${i}`, '1']));
  assert.deepEqual(verdict(ask(requestHead('http://h/', { headers: headers(abi.MAX_HEADERS) }))), OK);
  assert.deepEqual(
    verdict(ask(requestHead('http://h/', { headers: headers(abi.MAX_HEADERS + 1) }))),
    rejected(abi.REASON_HEADERS),
  );
  const long = (bytes: number) =>
    requestHead('http://h/', {
      headers: [
        ['host', 'h'],
        ['x', 'a'.repeat(bytes)],
      ],
    });
  assert.deepEqual(verdict(ask(long(abi.MAX_HEAD_BYTES - 100))), OK);
  assert.deepEqual(verdict(ask(long(abi.MAX_HEAD_BYTES))), rejected(abi.REASON_HEADERS));
  assert.deepEqual(verdict(ask(requestHead(`http://h/${'%2e/'.repeat(16_000)}`))), OK);
  assert.deepEqual(
    verdict(ask(requestHead(`http://h/${'a'.repeat(abi.MAX_URL_BYTES)}`))),
    rejected(abi.REASON_URL_LENGTH),
  );
});

test('Host has to be there once, be well formed, and agree with the target', () => {
  const cases: [url: string, hosts: string[], host: string | null][] = [
    ['http://Example.COM/', ['Example.COM'], 'example.com'],
    ['http://example.com./', ['example.com.'], 'example.com'],
    ['http://example.com/', ['example.com:80'], 'example.com'],
    ['https://example.com/', ['example.com:443'], 'example.com'],
    ['http://example.com:8080/', ['example.com:8080'], 'example.com'],
    ['http://[2001:DB8::1]:80/', ['[2001:db8::1]'], '[2001:db8::1]'],
    ['http://a_b-c.1/', ['a_b-c.1'], 'a_b-c.1'],
    ['http://example.com/', [], null],
    ['http://example.com/', ['example.com', 'example.com'], null],
    ['http://a, b/', ['a, b'], null],
    ['http://user@a/', ['user@a'], null],
    ['http://user@a/', ['a'], null],
    ['http://a:65536/', ['a:65536'], null],
    ['http://a:8o/', ['a:8o'], null],
    ['http://a:-1/', ['a:-1'], null],
    ['http://a..b/', ['a..b'], null],
    ['http://.a/', ['.a'], null],
    ['http://./', ['.'], null],
    ['http:///', [''], null],
    ['http://a%2eb/', ['a%2eb'], null],
    ['http://é/', ['é'], null],
    ['http://a\\b/', ['a\\b'], null],
    ['http://[::1/', ['[::1'], null],
    ['http://[::g]/', ['[::g]'], null],
    ['http://[1::2::3]/', ['[1::2::3]'], null],
    ['http://[::1.2.3.4]/', ['[::1.2.3.4]'], '[::1.2.3.4]'],
    // More dots than labels: the table of suffixes has no room for them.
    [`http://[${'.'.repeat(200)}]/`, [`[${'.'.repeat(200)}]`], null],
    ['http://a/', ['b'], null],
    ['http://a/', ['a:81'], null],
    ['https://a/', ['a:80'], null],
    [`http://${'a'.repeat(256)}/`, ['a'.repeat(256)], null],
  ];
  for (const [url, hosts, host] of cases) {
    const lines = hosts.map((value) => `host\0${value}\0`).join('');
    const result = ask({ text: `GET\0${url}\x001.2.3.4\0${lines}`, fields: 3 + hosts.length * 2 });
    if (host === null) assert.deepEqual(verdict(result), rejected(abi.REASON_HOST), url);
    else assert.deepEqual([verdict(result), result.host], [OK, host], url);
  }
});

test('a target has to be absolute http or https', () => {
  for (const url of ['/', 'h/', 'http:/h/', 'ftp://h/', 'httpx://h/', 'http', '', '://h/', 'https:h']) {
    const text = `GET\0${url}\x001.2.3.4\0host\0h\0`;
    assert.deepEqual(verdict(ask({ text, fields: 5 })), rejected(abi.REASON_URL), url);
  }
  assert.deepEqual(verdict(ask(requestHead('HTTP://h/'))), OK);
});

test('path and query come apart, the fragment is dropped, and changes are marked', () => {
  const cases: [target: string, path: string, query: string, changed: boolean][] = [
    ['', '/', '', true],
    ['?a', '/', '?a', true],
    ['/', '/', '', false],
    ['/?', '/', '?', false],
    ['/a/b?c=/../d?e#f?g', '/a/b', '?c=/../d?e', false],
    ['/a#b', '/a', '', false],
    ['/a/../b', '/b', '', true],
    ['/a/%2E%2e/%62', '/b', '', true],
    ['/../../x/.', '/x/', '', true],
    ['/a/b/..', '/a/', '', true],
    ['/.well-known/x', '/.well-known/x', '', false],
    ['/...', '/...', '', false],
    ['//a//', '//a//', '', false],
    ['/a%2fb%5cc%00', '/a%2Fb%5Cc%00', '', true],
    ['/a%2Fb%5Cc', '/a%2Fb%5Cc', '', false],
    ['/a\\b', '/a%5Cb', '', true],
    ['/%%32%65%%32%65/x', '/%252e%252e/x', '', true],
    ['/%zz%4', '/%25zz%254', '', true],
    ['/a b"<>^`{}|', '/a%20b%22%3C%3E%5E%60%7B%7D|', '', true],
    ['/é?é', '/%C3%A9', '?é', true],
    ['/%41%7e%2d', '/A~-', '', true],
  ];
  for (const [target, path, query, changed] of cases) {
    const result = ask(requestHead(`http://h${target}`));
    assert.deepEqual([result.path, result.query, result.pathChanged], [path, query, changed], target);
  }
});

test('engine and compiler make the same canonical path, and making it again changes nothing', () => {
  const piece = fc.constantFrom(
    '/',
    '/',
    'a',
    '.',
    '..',
    '%',
    '%2',
    '2e',
    '%2e',
    '%2F',
    '%5c',
    '\\',
    '%41',
    '%c3%a9',
    'é',
    ' ',
    '~',
    ';',
    '%25',
    '%%32%65',
  );
  const merging = loadOne(engine, policyImage(routeSources([{}]), { ...SETTINGS, mergeSlashes: true }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 24 }), fc.boolean(), (pieces, merge) => {
      const raw = `/${pieces.join('')}`;
      const { path, pathChanged } = ask(requestHead(`http://h${raw}`), merge ? merging : plain);
      assert.equal(path, canonicalPath(raw, merge));
      assert.equal(pathChanged, path !== raw);
      assert.equal(ask(requestHead(`http://h${path}`), merge ? merging : plain).path, path);
      assert.doesNotMatch(path, /\/\.\.?(\/|$)/);
    }),
    { numRuns: 1500 },
  );
  engine.release(merging);
});

test('escaped slashes are refused where the policy says so', () => {
  const strict = loadOne(engine, policyImage(routeSources([{}]), { ...SETTINGS, escapedSlashes: 'reject' }));
  for (const path of ['/a%2fb', '/a%5Cb', '/a\\b']) {
    assert.deepEqual(verdict(ask(requestHead(`http://h${path}`), strict)), rejected(abi.REASON_ESCAPED_SLASH), path);
  }
  assert.deepEqual(verdict(ask(requestHead('http://h/a%252fb?x=%2f'), strict)), OK);
  engine.release(strict);
});

test('hosts lead to their apps: exact, longest wildcard, any', () => {
  const apps = [
    { name: 'exact', hostnames: ['a.example.com'] },
    { name: 'wild', hostnames: ['*.example.com', 'solo'] },
    { name: 'deep', hostnames: ['*.b.example.com'] },
  ];
  const generation = (hosts: Uint8Array) =>
    engine.load({ id: 'x', hosts: loaded(hosts), agents: null, apps: apps.map(() => loaded(policy)) });
  const some = generation(compileHosts(apps));
  const any = generation(compileHosts([...apps.slice(0, 2), { name: 'any', hostnames: ['*', '*.b.example.com'] }]));
  const cases: [host: string, app: number, orElse: number][] = [
    ['a.example.com', 0, 0],
    ['A.EXAMPLE.com:8080', 0, 0],
    ['x.a.example.com', 1, 1],
    ['b.example.com', 1, 1],
    ['x.b.example.com', 2, 2],
    ['x.y.b.example.com.', 2, 2],
    ['solo', 1, 1],
    ['x.solo', -1, 2],
    ['example.com', -1, 2],
    ['notexample.com', -1, 2],
  ];
  for (const [host, app, orElse] of cases) {
    assert.equal(ask(requestHead(`http://${host}/`), some).app, app, host);
    assert.equal(ask(requestHead(`http://${host}/`), any).app, orElse, host);
  }
  assert.equal(ask(requestHead('http://example.com/'), some).outcome, abi.OUTCOME_NO_APP);
  engine.release(some);
  engine.release(any);
  assert.throws(
    () =>
      compileHosts([
        { name: 'a', hostnames: ['X'] },
        { name: 'b', hostnames: ['x'] },
      ]),
    RangeError,
  );
});

test('the client address follows the rule, and a header alone never decides', () => {
  const client = (rule: Partial<SettingsSource['clientAddress']>, peer: string, headers: [string, string][] = []) => {
    const clientAddress = { from: 'peer', trustedHops: 0, trustedCIDRs: [], failClosed: true, ...rule } as const;
    const generation = loadOne(engine, policyImage(routeSources([{}]), { ...SETTINGS, clientAddress }));
    const result = ask(requestHead('http://h/', { peer, headers: [['host', 'h'], ...headers] }), generation);
    engine.release(generation);
    return result.reason === abi.REASON_CLIENT ? 'refused' : `${result.client}${result.trusted ? ' by proxy' : ''}`;
  };
  const xff = (value: string): [string, string][] => [['x-forwarded-for', value]];
  const near = { from: 'xff', trustedCIDRs: ['10.0.0.0/8', 'fd00::/8'] } as const;
  assert.equal(client({}, '1.2.3.4:5', xff('9.9.9.9')), '1.2.3.4');
  assert.equal(client({}, '[2001:db8::1]:443'), '2001:db8::1');
  assert.equal(client({}, '2001:db8::1'), '2001:db8::1');
  assert.equal(client({}, ''), 'refused');
  assert.equal(client({}, 'unix:/run/x.sock'), 'refused');
  assert.equal(client({ failClosed: false }, ''), '');
  // by addresses
  assert.equal(client(near, '10.0.0.1:1', xff('9.9.9.9')), '9.9.9.9 by proxy');
  assert.equal(client(near, '10.0.0.1:1', xff('6.6.6.6, 9.9.9.9 , 10.1.1.1,[fd00::2]:80')), '9.9.9.9 by proxy');
  assert.equal(client(near, '[::ffff:10.0.0.1]:1', xff('9.9.9.9:1234')), '9.9.9.9 by proxy');
  assert.equal(client(near, '10.0.0.1', xff('10.0.0.3, 10.0.0.2')), '10.0.0.3 by proxy');
  assert.equal(client(near, '8.8.8.8:1', xff('9.9.9.9')), '8.8.8.8');
  assert.equal(client(near, '10.0.0.1:1'), 'refused');
  assert.equal(client(near, '10.0.0.1:1', xff('9.9.9.9, unknown')), 'refused');
  assert.equal(client(near, '10.0.0.1:1', xff('9.9.9.9,')), 'refused');
  assert.equal(client({ ...near, failClosed: false }, '10.0.0.1:1', xff('x')), '10.0.0.1 by proxy');
  assert.equal(client(near, '10.0.0.1:1', xff(`${'10.0.0.2,'.repeat(abi.MAX_XFF_HOPS)}1.1.1.1`)), '1.1.1.1 by proxy');
  assert.equal(client(near, '10.0.0.1:1', xff(`1.1.1.1${',10.0.0.2'.repeat(abi.MAX_XFF_HOPS)}`)), 'refused');
  // on two lines: which of them is the proxy's can't be told
  assert.equal(client(near, '10.0.0.1:1', [...xff('9.9.9.9'), ...xff('8.8.8.8')]), 'refused');
  // by count
  const hops = (trustedHops: number) => ({ from: 'xff', trustedHops }) as const;
  assert.equal(client(hops(1), '8.8.8.8:1', xff('6.6.6.6, 9.9.9.9')), '9.9.9.9 by proxy');
  assert.equal(client(hops(2), '8.8.8.8:1', xff('6.6.6.6, 9.9.9.9')), '6.6.6.6 by proxy');
  assert.equal(client(hops(3), '8.8.8.8:1', xff('6.6.6.6, 9.9.9.9')), 'refused');
  assert.equal(client({ ...near, trustedHops: 1 }, '8.8.8.8:1', xff('9.9.9.9')), '8.8.8.8');
  assert.equal(client({ ...near, trustedHops: 1 }, '10.9.9.9:1', xff('6.6.6.6, 10.7.7.7')), '10.7.7.7 by proxy');
  // neither: nobody is believed
  assert.equal(client({ from: 'xff' }, '8.8.8.8:1', xff('9.9.9.9')), '8.8.8.8');
  // Cloudflare's header, from Cloudflare's addresses only
  const cf: [string, string][] = [['cf-connecting-ip', '9.9.9.9']];
  assert.equal(client({ from: 'cf', trustedCIDRs: ['10.0.0.0/8'] }, '10.0.0.1:1', cf), '9.9.9.9 by proxy');
  assert.equal(client({ from: 'cf', trustedCIDRs: ['10.0.0.0/8'] }, '8.8.8.8:1', cf), '8.8.8.8');
  assert.equal(client({ from: 'cf' }, '8.8.8.8', cf), '8.8.8.8');
  assert.equal(client({ from: 'cf', trustedCIDRs: ['10.0.0.0/8'] }, '10.0.0.1:1', [...cf, ...cf]), 'refused');
  // Where nothing could be established, the peer stands in, not the last proxy that was looked at.
  const endless = xff(`1.1.1.1${',10.0.0.2'.repeat(abi.MAX_XFF_HOPS)}`);
  assert.equal(client({ ...near, failClosed: false }, '10.0.0.1:1', endless), '10.0.0.1 by proxy');
});

test('engine and compiler read the same addresses', () => {
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc
      .array(fc.constantFrom('0', '1', 'f', 'ffff', '::', ':', '.', '255', '256', '01', 'g', '1.2.3.4'), {
        maxLength: 12,
      })
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (address) => {
      const known = ask(requestHead('http://h/', { peer: address })).client !== '';
      // A lone colon and digits behind IPv4 is a port for the engine; the compiler's lists have none.
      if (/^[0-9.]+:[0-9]*$/.test(address)) return;
      assert.equal(known, parseAddress(address) !== undefined, address);
    }),
    { numRuns: 1000 },
  );
});

test('text is cut from the head only where bytes and characters agree', () => {
  const result = ask(
    requestHead('http://Exämple/'.replace('ä', 'a') + 'ü?ö=ß', {
      headers: [
        ['host', 'Example'],
        ['x', '日本'],
      ],
    }),
  );
  assert.deepEqual(
    [result.host, result.path, result.query, result.client],
    ['example', '/%C3%BC', '?ö=ß', '192.0.2.1'],
  );
});

test('a refused image changes nothing', () => {
  const before = ask(requestHead('http://h/'));
  const bad = policy.slice();
  bad[0]! ^= 1;
  const hosts = loaded(compileHosts([{ name: 'a', hostnames: ['*'] }]));
  assert.throws(() => engine.load({ id: 'bad', hosts, agents: null, apps: [loaded(bad)] }), ImageError);
  assert.throws(
    () => engine.load({ id: 'short', hosts, agents: null, apps: [loaded(policy.slice(0, 100))] }),
    ImageError,
  );
  assert.throws(() => engine.load({ id: 'cut', hosts, agents: null, apps: [loaded(policy.slice(0, -4))] }), ImageError);
  assert.throws(() => engine.load({ id: 'kind', hosts: loaded(policy), agents: null, apps: [loaded(policy)] }), /kind/);
  assert.throws(() => engine.load({ id: 'none', hosts, agents: null, apps: [loaded(new Uint8Array())] }), ImageError);
  assert.deepEqual(ask(requestHead('http://h/')), before);
});

test('space of released generations is used again', async () => {
  const small = await testEngine();
  const size = 3_000_000;
  const big = (): Uint8Array => {
    const routes = routeSources([
      { matches: [{ queryParams: [{ name: 'a', type: 'Exact', value: 'x'.repeat(size) }] }] },
    ]);
    return policyImage(routes);
  };
  const image = big();
  const peak = abi.MAX_MEMORY_PAGES * abi.PAGE_BYTES;
  // More in all than the memory can hold, so that eviction has to work.
  for (let i = 0; i * size < peak * 1.2; i++) {
    const generation = loadOne(small, image);
    assert.equal(small.head(generation, requestHead('http://h/?a=1'), 0, 0).outcome, abi.OUTCOME_NO_ROUTE);
    small.release(generation);
    small.release(generation); // twice does no harm
  }
  const held: Generation[] = [];
  assert.throws(() => {
    for (;;) held.push(loadOne(small, image));
  }, ImageError);
  assert.ok(held.length > 70, `held ${held.length}`);
  for (const generation of held) small.release(generation);
  small.release(loadOne(small, image));
});

test('after a trap the instance is replaced over the same memory, and the next call is answered', async () => {
  const other = await testEngine();
  const generation = loadOne(other, policy);
  const lost: Generation = { ...generation, id: generation.id, at: 0x7fff0000 };
  const good = requestHead('http://h/');
  assert.deepEqual(verdict(other.head(lost, good, 0, 0)), [abi.OUTCOME_LIMIT, abi.REASON_TRAP]);
  assert.equal(other.body(lost, 0, good, new Uint8Array(), 0, false, 0, 0).reason, abi.REASON_TRAP);
  assert.equal(other.traps, 2);
  assert.deepEqual(verdict(other.head(generation, good, 0, 0)), OK);
  assert.equal(other.traps, 2);
});

test('a released generation answers no more', async () => {
  const other = await testEngine();
  const generation = loadOne(other, policy);
  other.release(generation);
  assert.throws(() => other.head(generation, requestHead('http://h/'), 0, 0), /released/);
});
