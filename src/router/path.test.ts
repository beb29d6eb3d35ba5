import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOf, authorityOf, hostnameOf, portOf } from '../platform/authority.ts';
import { loops } from './cdn-loop.ts';
import type { Exchange } from './exchange.ts';
import { replacePath } from './path.ts';
import { locationOf } from './redirect.ts';
import { quoted, safeUrl, safeValue } from './text.ts';

test('prefix replacement: slashes neither double nor vanish', () => {
  // The table of HTTPPathModifier in Gateway API; `covered` is what the engine says: the prefix without trailing slash.
  for (const [path, covered, value, expected] of [
    ['/foo/bar', 4, '/xyz', '/xyz/bar'],
    ['/foo/bar', 4, '/xyz/', '/xyz/bar'],
    ['/foo', 4, '/xyz', '/xyz'],
    ['/foo/', 4, '/xyz', '/xyz/'],
    ['/foo/bar', 4, '', '/bar'],
    ['/foo/', 4, '', '/'],
    ['/foo', 4, '', '/'],
    ['/foo/', 4, '/', '/'],
    ['/foo', 4, '/', '/'],
    ['/bar', 0, '/xyz', '/xyz/bar'],
  ] as const)
    assert.equal(replacePath({ type: 'prefix', value }, path, covered), expected, `${path} -> ${value}`);
  assert.equal(replacePath({ type: 'full', value: '/new' }, '/foo', 0), '/new');
});

const at = (scheme: string, authority: string): Exchange =>
  ({ scheme, authority, target: { path: '/p', query: '?q=1' }, result: { prefixLength: 0 } }) as unknown as Exchange;
const redirect = { scheme: null, hostname: null, port: null, path: null, status: 302 } as const;

test('redirects: scheme, host and port follow Gateway API', () => {
  assert.equal(locationOf(at('http', 'a:8080'), redirect), 'http://a:8080/p?q=1');
  assert.equal(locationOf(at('http', 'a:80'), redirect), 'http://a/p?q=1');
  assert.equal(locationOf(at('http', 'a:8080'), { ...redirect, scheme: 'https' }), 'https://a/p?q=1');
  assert.equal(locationOf(at('http', 'a:8080'), { ...redirect, port: 80 }), 'http://a/p?q=1');
  assert.equal(locationOf(at('https', 'a'), { ...redirect, port: 8443 }), 'https://a:8443/p?q=1');
  assert.equal(locationOf(at('http', '[::1]:81'), { ...redirect, hostname: null }), 'http://[::1]:81/p?q=1');
  assert.equal(locationOf(at('http', 'a'), { ...redirect, path: { type: 'full', value: '/x' } }), 'http://a/x?q=1');
});

test('parts of URLs', () => {
  assert.equal(authorityOf('http://a.b:81/x?y'), 'a.b:81');
  assert.equal(authorityOf('https://[::1]:9'), '[::1]:9');
  assert.equal(hostnameOf('[::1]:9'), '[::1]');
  assert.equal(hostnameOf('[::1]'), '[::1]');
  assert.equal(portOf('[::1]'), '');
  assert.equal(portOf('a:81'), '81');
});

test('peers as the runtime writes them', () => {
  for (const [peer, address] of [
    ['127.0.0.1:55336', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.1'],
    ['[::1]:8080', '::1'],
    ['[::ffff:1.2.3.4]:80', '1.2.3.4'],
    ['2001:db8::1', '2001:db8::1'],
    ['', ''],
  ] as const)
    assert.equal(addressOf(peer), address);
});

test('computed texts stay inside their place', () => {
  assert.equal(safeUrl('https://a/b?c=%41&d'), 'https://a/b?c=%41&d');
  assert.equal(safeUrl('/a b\r\n"<é>\\'), '/a%20b%0D%0A%22%3C%C3%A9%3E%5C');
  assert.equal(safeValue(' a\r\nb: c\u0000é '), 'a??b: c??');
  assert.equal(quoted('say "hi"\\\n'), '"say \\"hi\\"\\\\?"');
});

test('CDN-Loop counts ids, not their parameters or parts', () => {
  assert.equal(loops('sallyport', 'sallyport'), 1);
  assert.equal(loops('a;x=sallyport, notsallyport', 'sallyport'), 0);
  assert.equal(loops(' Sallyport ; v=1,sallyport', 'sallyport'), 2);
});
