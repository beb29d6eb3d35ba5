/** Tunnels as backends of a policy: weights, fail-over to others, health, services, and the app's rules in front. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Connector } from '../../src/tunnel/connector/connector.ts';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import { connect, party, type Party } from '../support/tunnels.ts';

describe('tunnels as backends [workerd]', { skip: process.env['SALLYPORT_TARGET'] === 'cloudflare' }, () => {
  let folder = '';
  let own: Party;
  let near: Echo;
  let far: Echo;
  let api: Echo;
  let gateway: Gateway;
  let connector: Connector | null = null;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-backends-'));
    own = await party(folder, 'own');
    [near, far, api] = (await Promise.all(['near', 'far', 'api'].map((name) => startEcho(name)))) as [Echo, Echo, Echo];
    gateway = await startGateway({
      policy: `app: shop
hostnames: [shop.example]
backends:
  both:
    endpoints: [{ tunnel: laptop, weight: 9 }, { url: "${near.url}", weight: 1 }]
    health: { passive: { consecutiveGatewayErrors: 2, consecutive5xx: 0, baseEjectionTime: 500ms } }
  api: { tunnel: laptop/api, host: api.internal }
rules: [{ name: no-admin, when: 'http.request.uri.path contains "/admin"', action: block }]
routes:
  - { name: api, matches: [{ path: { value: /api } }], backend: api }
  - { name: both, backend: both, retry: { attempts: 2, backoff: 1ms, budget: 100% } }
`,
      env: { XDG_CONFIG_HOME: own.home },
    });
  });
  after(async () => {
    await connector?.close(0);
    await gateway?.stop();
    await Promise.all([near, far, api].map((echo) => echo?.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  const get = (path: string) => ask(`${gateway.url}${path}`, { host: 'shop.example', agent: gateway.agent });
  /** Who answered, of so many requests that all have to succeed. */
  async function answers(count: number): Promise<Record<string, number>> {
    const by: Record<string, number> = {};
    for (let index = 0; index < count; index++) {
      const answer = await get('/');
      assert.equal(answer.status, 200, answer.text());
      const { backend } = answer.echo();
      by[backend] = (by[backend] ?? 0) + 1;
    }
    return by;
  }

  test('without a connector another endpoint answers', async () => {
    assert.deepEqual(await answers(20), { near: 20 });
    const none = await get('/api');
    assert.deepEqual([none.status, none.headers['retry-after']], [503, '1']);
  });

  test('with one the tunnel has its share, as soon as it counts as healthy again', async () => {
    connector = await connect(gateway, own, { name: 'laptop', services: { '': far.port, api: api.port } });
    let by: Record<string, number> = {};
    for (let tries = 0; tries < 50 && (by['far'] ?? 0) < 10; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      by = await answers(20);
    }
    assert.ok((by['far'] ?? 0) >= 10, JSON.stringify(by));
  });

  test('a service of the tunnel is a backend too, with a Host of its own', async () => {
    const answer = await get('/api/things?x=1');
    assert.equal(answer.status, 200);
    const { backend, host, path } = answer.echo();
    assert.deepEqual([backend, host, path], ['api', 'api.internal', '/api/things?x=1']);
  });

  test('rules stand in front of it', async () => {
    assert.equal((await get('/api/admin')).status, 403);
  });

  test('when the connector goes no request fails', async () => {
    const under = answers(60);
    await connector?.close();
    connector = null;
    await under;
    assert.deepEqual(await answers(10), { near: 10 });
  });
});
