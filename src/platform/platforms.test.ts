import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint } from '../router/testing.ts';
import type { Fetcher } from './bindings.ts';
import { cloudflarePlatform } from './cloudflare.ts';
import { dryPlatform } from './dry.ts';
import { workerdPlatform } from './workerd.ts';

const fetcher = (name: string, calls: string[]): Fetcher => ({
  async fetch(url) {
    calls.push(`${name} ${url as string}`);
    return new Response('ok');
  },
});

test('workerd: a dial goes to its own service with any Host, others to the network with their own', async () => {
  const calls: string[] = [];
  const env = {
    PLATFORM: 'workerd' as const,
    DIALS: { 'http://10.0.0.1:80': 'ORIGIN_0' },
    ORIGIN_0: fetcher('external', calls),
    ORIGINS: fetcher('network', calls),
  };
  const platform = workerdPlatform(env);
  await platform.dial(endpoint('http://10.0.0.1', { dial: 'http://10.0.0.1:80' }), 'http://shop.example/a?b', {});
  await platform.dial(
    endpoint('https://10.0.0.2:8443/base', { dial: 'https://10.0.0.2:8443' }),
    'https://shop.example/base/a',
    {},
  );
  assert.deepEqual(calls, ['external http://shop.example/a?b', 'network https://10.0.0.2:8443/base/a']);
  assert.throws(() => workerdPlatform({ PLATFORM: 'workerd', DIALS: '{"a":"NONE"}' }), /NONE/);
  const closed = workerdPlatform({ PLATFORM: 'workerd' });
  await assert.rejects(closed.dial(endpoint('http://10.0.0.1'), 'http://10.0.0.1/', {}), /no connection is configured/);
});

test('secrets: only what is bound as one', () => {
  const env = {
    PLATFORM: 'workerd' as const,
    SECRET_TOKEN: 's3cret',
    TOKEN: 'not a secret of policies',
    SECRET_OBJECT: {},
  };
  for (const platform of [workerdPlatform(env), cloudflarePlatform(env, null)]) {
    assert.equal(platform.secret('TOKEN'), 's3cret');
    assert.equal(platform.secret('OBJECT'), undefined);
    assert.equal(platform.secret('NONE'), undefined);
  }
});

test('the peer is what the platform vouches for', () => {
  const request = new Request('http://a/', { headers: { 'cf-connecting-ip': '9.9.9.9' } });
  assert.equal(workerdPlatform({ PLATFORM: 'workerd' }).peer(request), '');
  assert.equal(
    workerdPlatform({ PLATFORM: 'workerd' }).peer(Object.assign(request, { cf: { clientIp: '192.0.2.1:5' } })),
    '192.0.2.1:5',
  );
  assert.equal(cloudflarePlatform({ PLATFORM: 'cloudflare' }, null).peer(request), '9.9.9.9');
});

test('Cloudflare: another address than the Host becomes resolveOverride', async () => {
  const calls: unknown[] = [];
  const { fetch } = globalThis;
  globalThis.fetch = (async (url: string, init?: { cf?: unknown }) => {
    calls.push([url, init?.cf]);
    return new Response('ok');
  }) as typeof fetch;
  try {
    const platform = cloudflarePlatform({ PLATFORM: 'cloudflare' }, null);
    await platform.dial(endpoint('https://o.example', { dial: 'https://o.example:443' }), 'https://o.example/', {});
    await platform.dial(
      endpoint('https://o.example', { dial: 'https://o.example:443 as x' }),
      'https://shop.example/',
      {},
    );
    // The port is the endpoint's, whatever the client wrote into Host.
    const other = endpoint('https://o.example:8443', { dial: 'https://o.example:8443' });
    await platform.dial(other, 'https://shop.example/a:1/', {});
    await platform.dial(endpoint('https://o.example', { dial: 'https://o.example:443' }), 'https://o.example:22/', {});
  } finally {
    globalThis.fetch = fetch;
  }
  assert.deepEqual(calls, [
    ['https://o.example/', undefined],
    ['https://shop.example/', { resolveOverride: 'o.example' }],
    ['https://shop.example:8443/a:1/', { resolveOverride: 'o.example' }],
    ['https://o.example/', undefined],
  ]);
});

test('dry: nothing leaves, what would leave is told, secrets are not resolved', async () => {
  const sent: unknown[] = [];
  const platform = dryPlatform({
    bundle: null,
    peer: '192.0.2.1',
    onDial: ({ method, url, headers }) => sent.push([method, url, headers]),
  });
  const response = await platform.dial(endpoint('http://10.0.0.1'), 'http://a/x', {
    method: 'PUT',
    headers: { b: '1' },
  });
  assert.match(await response.text(), /dry run/);
  assert.deepEqual(sent, [['PUT', 'http://a/x', [['b', '1']]]]);
  assert.equal(platform.secret('X'), '<secret X>');
});
