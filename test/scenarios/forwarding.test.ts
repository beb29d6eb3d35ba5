import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import type { Target } from '../gateway.ts';
import { onEachTarget } from './targets.ts';

let echo: Echo;

const policy = async (target: Target): Promise<string[]> => {
  echo = await startEcho('web');
  const backends = `backends: { web: { url: ${echo.url} }, url: { url: ${echo.url}, host: url }, named: { url: ${echo.url}${target === 'workerd' ? ', host: inside.test' : ''} } }`;
  const routes = `routes: [{ matches: [{ path: { type: PathPrefix, value: /url } }], backend: url }, { matches: [{ path: { type: PathPrefix, value: /named } }], backend: named }, { backend: web }]`;
  return [
    `app: plain\nhostnames: [plain.test]\n${backends}\n${routes}\n`,
    `app: trusting\nhostnames: [trusting.test]\nclientAddress: { from: xff, trustedCIDRs: [127.0.0.0/8, "::1/128"], failClosed: false }\nforwarded: { xForwardedFor: append, forwarded: true }\n${backends}\n${routes}\n`,
    `app: strict\nhostnames: [strict.test]\nclientAddress: { from: xff, trustedCIDRs: [127.0.0.0/8, "::1/128"], failClosed: true }\n${backends}\n${routes}\n`,
    `app: untrusting\nhostnames: [untrusting.test]\nclientAddress: { from: xff, trustedCIDRs: [192.0.2.0/24], failClosed: true }\n${backends}\n${routes}\n`,
    `app: silent\nhostnames: [silent.test]\nforwarded: { xForwardedFor: off, forwarded: false }\nproxyStatus: false\n${backends}\n${routes}\n`,
    `app: loop\nhostnames: [loop.test]\ncdnLoop: { id: my-edge, max: 2 }\n${backends}\n${routes}\n`,
    `app: by-address\nhostnames: [address.test]\n${backends}\nrules: [{ name: locals, when: 'ip.src in {127.0.0.0/8 ::1}', action: block, status: 403 }]\n${routes}\n`,
  ];
};

onEachTarget('forwarding', { policy, teardown: () => echo.stop() }, (world) => {
  const at = async (host: string, headers: Record<string, string> = {}, path = '/') =>
    ask(`${world.url}${path}`, { host, headers });
  const LOCAL = /^(127\.0\.0\.1|::1|::ffff:127\.0\.0\.1)$/;

  test('X-Forwarded-*: what a stranger says is replaced by what we know', async () => {
    const seen = (
      await at('plain.test', {
        'X-Forwarded-For': '203.0.113.9',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Host': 'evil.test',
        Forwarded: 'for=203.0.113.9;host=evil.test',
        'X-Real-IP': '203.0.113.9',
      })
    ).echo();
    assert.match(seen.headers['x-forwarded-for'] ?? '', LOCAL);
    // On Cloudflare the platform knows the scheme, and Miniflare takes it from this very header.
    if (world.target === 'workerd') assert.equal(seen.headers['x-forwarded-proto'], 'http');
    assert.equal(seen.headers['x-forwarded-host'], 'plain.test');
    assert.doesNotMatch(seen.headers['forwarded'] ?? '', /203\.0\.113\.9|evil/);
  });

  test('X-Forwarded-For: several lines of a stranger are replaced together', async () => {
    const answer = await ask(`${world.url}/`, {
      host: 'plain.test',
      headers: [
        ['X-Forwarded-For', '203.0.113.9'],
        ['x-forwarded-for', '203.0.113.10, 203.0.113.11'],
      ],
    });
    assert.match(answer.echo().headers['x-forwarded-for'] ?? '', LOCAL);
  });

  const EDGE =
    world.target === 'cloudflare'
      ? 'Cloudflare’s edge overwrites it; Miniflare fills it in only where it is absent'
      : false;
  test('CF-Connecting-IP of a client on-prem names nobody', { skip: EDGE }, async () => {
    const seen = (
      await at('plain.test', { 'CF-Connecting-IP': '203.0.113.9', 'True-Client-IP': '203.0.113.9' })
    ).echo();
    assert.match(seen.headers['x-forwarded-for'] ?? '', LOCAL);
    assert.notEqual(seen.headers['cf-connecting-ip'], '203.0.113.9');
  });

  test('a forged address does not get past a rule on ip.src', async () => {
    for (const name of [
      'x-forwarded-for',
      'cf-connecting-ip',
      'forwarded',
      'x-real-ip',
      'true-client-ip',
      'x-client-ip',
    ]) {
      if (name === 'cf-connecting-ip' && world.target === 'cloudflare') continue;
      assert.equal(
        (await at('address.test', { [name]: name === 'forwarded' ? 'for=203.0.113.9' : '203.0.113.9' })).status,
        403,
        name,
      );
    }
  });

  test(
    'from a trusted proxy X-Forwarded-For is appended to',
    {
      skip:
        world.target === 'cloudflare'
          ? 'on Cloudflare the edge is the proxy; its address list is the platform’s'
          : false,
    },
    async () => {
      const seen = (await at('trusting.test', { 'X-Forwarded-For': '203.0.113.9' })).echo();
      assert.match(seen.headers['x-forwarded-for'] ?? '', /^203\.0\.113\.9, ?127\.0\.0\.1$/);
      assert.match(seen.headers['forwarded'] ?? '', /for="?127\.0\.0\.1/);
    },
  );

  test('a proxy that is trusted but names no client, or nonsense: 403 with failClosed', async () => {
    assert.equal((await at('strict.test')).status, 403);
    assert.equal((await at('strict.test', { 'X-Forwarded-For': 'not an address' })).status, 403);
    assert.equal((await at('strict.test', { 'X-Forwarded-For': '192.0.2.7' })).status, 200);
  });

  test('a peer that is no trusted proxy is the client itself, whatever it says', async () => {
    const seen = (await at('untrusting.test', { 'X-Forwarded-For': '203.0.113.9' })).echo();
    assert.match(seen.headers['x-forwarded-for'] ?? '', LOCAL);
  });

  test('forwarding fields can be switched off', async () => {
    const seen = (await at('silent.test')).echo();
    assert.equal(seen.headers['x-forwarded-for'], undefined);
    assert.equal(seen.headers['forwarded'], undefined);
  });

  test('x-sallyport-* of a client never reaches an origin', async () => {
    const seen = (await at('plain.test', { 'X-Sallyport-Client': 'forged', 'x-sallyport-verdict': 'allow' })).echo();
    assert.deepEqual(
      Object.keys(seen.headers).filter((name) => name.startsWith('x-sallyport-')),
      [],
    );
  });

  test('CDN-Loop: named towards the origin, 508 when our name is there already', async () => {
    assert.match((await at('plain.test')).echo().headers['cdn-loop'] ?? '', /\bsallyport\b/);
    const passed = (await at('plain.test', { 'CDN-Loop': 'other; v=1, third' })).echo();
    assert.match(passed.headers['cdn-loop'] ?? '', /^other; ?v=1, ?third, ?sallyport/);
    assert.equal((await at('plain.test', { 'CDN-Loop': 'other, sallyport' })).status, 508);
    assert.equal((await at('plain.test', { 'CDN-Loop': 'other, Sallyport; a=1' })).status, 508);
    assert.equal((await at('plain.test', { 'CDN-Loop': 'sallyport-two' })).status, 200);
    assert.equal((await at('loop.test', { 'CDN-Loop': 'my-edge' })).status, 200);
    assert.equal((await at('loop.test', { 'CDN-Loop': 'my-edge, x, my-edge' })).status, 508);
  });

  test(
    'Host towards the origin: kept, of the url, or a name',
    { skip: world.target === 'cloudflare' ? 'fetch on Cloudflare sends the host of the url; check says so' : false },
    async () => {
      assert.equal((await at('plain.test')).echo().host, 'plain.test');
      assert.equal((await at('plain.test', {}, '/url')).echo().host, `127.0.0.1:${echo.port}`);
      assert.equal((await at('plain.test', {}, '/named')).echo().host, 'inside.test');
    },
  );

  test('no app has the host: not served', async () => {
    assert.ok([404, 421].includes((await at('nobody.test')).status));
  });

  test('each request has an id of ours: at the origin, in the log, in answers that we make', async () => {
    const since = world.gateway.events.length;
    const seen = (await at('plain.test', { 'X-Request-Id': 'forged' }, '/with-id')).echo();
    const id = seen.headers['x-request-id'] ?? '';
    assert.match(id, /^[\w-]{8,64}$/);
    const line = await world.gateway.event('access', (event) => event['path'] === '/with-id', since);
    assert.equal(line['id'], id);
    const refused = await at('nobody.test');
    assert.match(refused.headers['x-request-id'] ?? '', /^[\w-]{8,64}$/);
  });
});
