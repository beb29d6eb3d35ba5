import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { onEachTarget } from './targets.ts';

let echo: Echo;
const policy = async (): Promise<string> => {
  echo = await startEcho('web');
  return `app: cors
backends: { web: { url: ${echo.url} } }
routes:
  - filters:
      - cors: { allowOrigins: ["https://*.shop.test", "https://exact.test:8443"], allowMethods: [GET, PUT], allowHeaders: [x-a], exposeHeaders: [x-b], maxAge: 600s, allowCredentials: true }
    backend: web
`;
};

onEachTarget('cors', { policy, teardown: () => echo.stop() }, (world) => {
  const preflight = (origin: string, method = 'PUT', headers = 'x-a') =>
    ask(`${world.url}/x`, {
      method: 'OPTIONS',
      headers: { Origin: origin, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': headers },
    });

  test('a preflight is answered by the gateway', async () => {
    const before = echo.received.length;
    const answer = await preflight('https://a.b.shop.test');
    assert.ok([200, 204].includes(answer.status));
    assert.equal(answer.headers['access-control-allow-origin'], 'https://a.b.shop.test');
    assert.equal(answer.headers['access-control-allow-credentials'], 'true');
    assert.equal(answer.headers['access-control-max-age'], '600');
    assert.match(answer.headers['vary'] ?? '', /origin/i);
    assert.equal(echo.received.length, before);
  });

  test('others are not allowed, however alike', async () => {
    for (const origin of [
      'https://shop.test',
      'https://evilshop.test',
      'http://a.shop.test',
      'https://a.shop.test.evil.test',
      'https://a.shop.test:444',
      'https://exact.test',
      'null',
      'https://a.shop.test/',
      'https://a@b.shop.test',
    ]) {
      assert.equal((await preflight(origin)).headers['access-control-allow-origin'], undefined, origin);
    }
    assert.equal(
      (await preflight('https://exact.test:8443')).headers['access-control-allow-origin'],
      'https://exact.test:8443',
    );
  });

  test('an answer of the origin gets the fields, and its own are replaced', async () => {
    const answer = await ask(`${world.url}/x`, {
      headers: { Origin: 'https://a.shop.test', 'X-Echo-Set-Header': 'access-control-allow-origin:*,vary:accept' },
    });
    assert.equal(answer.headers['access-control-allow-origin'], 'https://a.shop.test');
    assert.equal(answer.headers['access-control-expose-headers'], 'x-b');
    assert.match(answer.headers['vary'] ?? '', /accept/i);
    assert.match(answer.headers['vary'] ?? '', /origin/i);
  });
});
