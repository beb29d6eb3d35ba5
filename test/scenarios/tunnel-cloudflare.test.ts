/** Tunnels of the bundle that `deploy` writes: the objects that its configuration binds, its control host, its hosts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { PrivateJwk } from '../../src/tunnel/connector/credentials.ts';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { run, startGateway, type Gateway } from '../gateway.ts';
import { connect, dialAs, party, rightsOf, type Party } from '../support/tunnels.ts';

const HOST = 'control.localhost';

describe('tunnels of a bundle [cloudflare]', { skip: process.env['SALLYPORT_TARGET'] === 'workerd' }, () => {
  let folder = '';
  let own: Party;
  let echo: Echo;
  let gateway: Gateway;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-bundle-'));
    own = await party(folder, 'own');
    echo = await startEcho('behind');
    gateway = await startGateway({
      policy: 'app: edge\ntunnels: { domain: "*.t.localhost" }\n',
      target: 'cloudflare',
      deploy: ['--control-host', HOST, `--operator-key=${own.jwk.x}`],
    });
  });
  after(async () => {
    await gateway?.stop();
    await echo?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const told = async <T>(...args: string[]): Promise<T> => {
    const place = ['--url', `http://${HOST}:${gateway.port}`, '--json'];
    const { code, stdout, stderr } = await run(['tunnel', ...args, ...place], folder, { XDG_CONFIG_HOME: own.home });
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  const get = (name: string) =>
    ask(`${gateway.url}/`, { host: `${name}.t.localhost:${gateway.port}`, agent: gateway.agent });

  test('are created, served, listed and revoked by signed requests', async () => {
    const { file } = await told<{ file: string }>('create', 'laptop');
    const rights = JSON.parse(await readFile(file, 'utf8')) as { capability: string; key: PrivateJwk };
    const connector = await connect(gateway, own, { name: 'laptop', services: { '': echo.port }, rights });
    assert.equal(connector.url, `http://laptop.t.localhost:${gateway.port}`);
    assert.equal((await get('laptop')).status, 200);
    const { tunnels } = await told<{ tunnels: { name: string }[] }>('list');
    assert.deepEqual(
      tunnels.map(({ name }) => name),
      ['laptop'],
    );
    const ended = once(connector, 'closed');
    assert.equal((await told<{ closed: number }>('revoke', 'laptop')).closed, 1);
    await ended;
    const dialled = await dialAs(
      gateway,
      await rightsOf(own, { names: ['laptop'], generation: 1, expires: 2 }),
      'laptop',
    );
    assert.equal(dialled.status, 401);
    await told('delete', 'laptop');
    assert.deepEqual((await told<{ tunnels: unknown[] }>('list')).tunnels, []);
  });
});
