/** What is registered stays: through kill -9, eviction, restarts, and another number of processes; one name, one object. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { unixRequest } from '../../src/cli/http.ts';
import type { Connector } from '../../src/tunnel/connector/connector.ts';
import type { SessionStatus } from '../../src/tunnel/objects.ts';
import type { TunnelRecord } from '../../src/tunnel/register.ts';
import { ownerOf, shardOf } from '../../src/tunnel/shard.ts';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import { connect, party, type Party } from '../support/tunnels.ts';

/** Enough that each of three processes has some. */
const NAMES = ['ash', 'birch', 'cedar', 'elm', 'fir', 'larch', 'oak', 'pine', 'rowan', 'yew'];

describe('registry of tunnels [workerd]', { skip: process.env['SALLYPORT_TARGET'] === 'cloudflare' }, () => {
  let folder = '';
  let state = '';
  let own: Party;
  let echo: Echo;
  let gateway: Gateway;
  let connectors: Connector[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-registry-'));
    state = join(folder, 'state');
    own = await party(folder, 'own');
    echo = await startEcho('behind');
  });
  after(async () => {
    for (const one of connectors) await one.close(0);
    await gateway?.stop();
    await echo?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(workers: number): Promise<void> {
    gateway = await startGateway({
      policy: 'app: edge\ntunnels: {}\n',
      args: ['--state', state, '--workers', String(workers)],
      env: { XDG_CONFIG_HOME: own.home },
    });
  }
  async function control<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await unixRequest(
      gateway.control,
      method,
      path,
      body === undefined ? undefined : JSON.stringify(body),
      30_000,
    );
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body) as T;
  }
  const listed = async (): Promise<TunnelRecord[]> =>
    (await control<{ tunnels: TunnelRecord[] }>('GET', '/v1/tunnels')).tunnels;
  const get = (name: string) =>
    ask(`${gateway.url}/${name}`, { host: `${name}.localhost:${gateway.port}`, agent: false });
  /** Of which process each file is, by id. */
  async function owners(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const file of await readdir(join(state, 'objects'), { recursive: true })) {
      const [, worker, id] = /^worker-(\d+)\/[^/]+\/([0-9a-f]{64})\.sqlite$/.exec(file) ?? [];
      if (id === undefined) continue;
      assert.ok(!found.has(id), `${id} is there twice`);
      found.set(id, Number(worker));
    }
    return found;
  }
  async function connectAll(): Promise<void> {
    connectors = await Promise.all(
      NAMES.map((name) => connect(gateway, own, { name, sockets: 2, services: { '': echo.port } })),
    );
  }
  /** Whichever process takes a connection, it reaches every tunnel. */
  async function reachAll(): Promise<void> {
    for (let round = 0; round < 3; round++)
      for (const answer of await Promise.all(NAMES.map(get))) assert.equal(answer.status, 200, answer.text());
  }
  const attached = async (name: string): Promise<number> => {
    const { status } = await control<{ status: SessionStatus[] }>('GET', `/v1/tunnels/${name}`);
    return status.flatMap(({ lanes }) => lanes).filter((lane) => lane.attached).length;
  };
  const pids = async (): Promise<number[]> =>
    (await control<{ workers: { pid: number }[] }>('GET', '/v1/status')).workers.map(({ pid }) => pid);
  /** Kills a process as nothing else does, and waits for the next one. */
  async function kill(pid: number): Promise<void> {
    const since = gateway.events.length;
    process.kill(pid, 'SIGKILL');
    await gateway.event('restarted', () => true, since);
  }

  test('one process: what was created, claimed and revoked is there after kill -9, and connectors come back', async () => {
    await start(1);
    await control('POST', '/v1/tunnels', { name: 'ash', sessions: 2 });
    await control('POST', '/v1/tunnels', {
      name: 'unused',
      access: { access: 'private', addresses: [], salt: '', basic: [], keys: [] },
    });
    await control('POST', '/v1/tunnels/unused/revoke');
    await connectAll();
    await reachAll();
    const before = await listed();
    assert.deepEqual(
      before.map(({ name }) => name),
      [...NAMES, 'unused'].sort(),
    );
    assert.deepEqual(
      before.map(({ origin }) => origin === 'created'),
      before.map(({ name }) => /^(ash|unused)$/.test(name)),
    );
    for (let round = 0; round < 2; round++) {
      const back = Promise.all(connectors.map((one) => once(one, 'ready')));
      const [pid] = await pids();
      await kill(pid!);
      assert.deepEqual(await listed(), before);
      await back;
      await reachAll();
    }
  });

  test('three processes: the same objects, each in one, reached from all', async () => {
    const before = await listed();
    for (const one of connectors) await one.close(0);
    await gateway.stop();
    const files = await owners();
    await start(3);
    assert.deepEqual(await listed(), before);
    await connectAll();
    await reachAll();
    const now = await owners();
    for (const id of files.keys()) assert.ok(now.has(id), `${id} is gone`);
    for (const [id, worker] of now) assert.equal(worker, ownerOf(shardOf(id), 3), id);
    assert.equal(new Set(now.values()).size, 3);
  });

  test('three processes: one that is killed takes nothing with it', async () => {
    const before = await listed();
    for (const pid of await pids()) {
      await kill(pid);
      assert.deepEqual(await listed(), before);
    }
    // Their connectors find their way by themselves.
    for (const name of NAMES) {
      let status = 0;
      for (let tries = 0; tries < 100 && status !== 200; tries++) {
        ({ status } = await get(name).catch(() => ({ status: 0 })));
        if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.equal(status, 200, name);
    }
    await owners();
  });

  test('three processes: revoked and deleted wherever the object is', async () => {
    for (const name of NAMES.slice(0, 5)) {
      // One socket is enough for an answer: the other may be on its way back yet, and one that the connector gave up, when
      // processes were killed, may still be open at the edge.
      while ((await attached(name)) !== 2) await new Promise((resolve) => setTimeout(resolve, 50));
      const ended = once(connectors[NAMES.indexOf(name)]!, 'closed');
      const { closed } = await control<{ closed: number }>('POST', `/v1/tunnels/${name}/revoke`);
      assert.equal(closed, 2, name);
      await ended;
    }
    for (const name of NAMES.slice(5)) {
      await control('DELETE', `/v1/tunnels/${name}`);
    }
    assert.deepEqual(
      (await listed()).map(({ name }) => name),
      [...NAMES.slice(0, 5), 'unused'].sort(),
    );
  });

  test('two deployments cannot have one state folder', async () => {
    await assert.rejects(start(1), /in use by process/);
    // The one that has it goes on.
    assert.equal((await listed()).length, 6);
  });
});
