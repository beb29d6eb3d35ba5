import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { capnpConfig } from './capnp.ts';
import { freePort } from './sockets.ts';
import { Supervisor, type ProcessEvent, type SupervisorOptions, WATCH_INTERVAL } from './supervisor.ts';
import { workerdBinary } from './workerd.ts';

const worker = `
import { WorkerEntrypoint } from 'cloudflare:workers';
export default { async fetch(request, env) {
  const path = new URL(request.url).pathname;
  if (path === '/slow') await scheduler.wait(700);
  if (path === '/spin') for (;;);
  if (path === '/many') for (let i = 1; i < 5000; i++) console.log('line ' + i + ' '.repeat(100));
  console.log('served ' + path);
  return new Response(String(request.headers.get('cf-connecting-ip')) + ' ' + env.TOKEN);
} };
export class control extends WorkerEntrypoint { fetch() { return new Response('ok'); } }
`;

suite('supervisor', () => {
  let folder: string;
  let lines: string[];
  let events: ProcessEvent[];
  let running: Supervisor | null;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
    lines = [];
    events = [];
    running = null;
    write(worker);
  });
  afterEach(async () => {
    await running?.stop(0);
    rmSync(folder, { recursive: true, force: true });
  });

  function write(source: string): void {
    const module = { name: 'w.js', esModule: source };
    const main = {
      modules: [module],
      compatibilityDate: '2026-11-01',
      bindings: [{ name: 'TOKEN', fromEnvironment: 'TEST_TOKEN' }],
    };
    const config = {
      services: [{ name: 'main', worker: main }],
      sockets: [
        { name: 'http', http: { injectRequestHeaders: [{ name: 'cf-connecting-ip' }] }, service: 'main' },
        { name: 'control', http: {}, service: { name: 'main', entrypoint: 'control' } },
      ],
    };
    writeFileSync(join(folder, 'config.capnp'), capnpConfig(config));
  }

  async function supervise(
    more: Partial<SupervisorOptions> = {},
  ): Promise<{ supervisor: Supervisor; get: (path: string) => Promise<string> }> {
    const port = await freePort('127.0.0.1', 0);
    const supervisor = new Supervisor({
      workerd: workerdBinary(),
      config: join(folder, 'config.capnp'),
      sockets: folder,
      workers: 1,
      host: '127.0.0.1',
      port,
      grace: 3000,
      maxMemory: 0,
      environment: { TEST_TOKEN: 'from-the-environment' },
      onLine: (line) => lines.push(line),
      onError: () => {},
      onEvent: (event) => events.push(event),
      ...more,
    });
    running = supervisor;
    await supervisor.start();
    // A new connection each time, so that every process of a port gets some.
    const get = async (path: string) =>
      (
        await fetch(`http://127.0.0.1:${port}${path}`, {
          headers: { connection: 'close', 'cf-connecting-ip': '9.9.9.9' },
        })
      ).text();
    return { supervisor, get };
  }

  async function until(condition: () => boolean, ms = 10_000): Promise<void> {
    for (const end = Date.now() + ms; !condition(); await sleep(10))
      assert.ok(Date.now() < end, `it did not happen within ${ms / 1000} s`);
  }

  /** Processes that this one started and that are still there. */
  function children(): number[] {
    const found = spawnSync('ps', ['-o', 'pid=,ppid=,comm=', '-A'], { encoding: 'utf8' }).stdout;
    return found.split('\n').flatMap((line) => {
      const [pid = '', parent = '', name = ''] = line.trim().split(/\s+/);
      return Number(parent) === process.pid && name.includes('workerd') ? [Number(pid)] : [];
    });
  }

  test('serves with secrets from the environment, and without the headers that only Cloudflare may set', async () => {
    const { get } = await supervise();
    assert.equal(await get('/a'), 'null from-the-environment');
    await until(() => lines.includes('served /a'));
  });

  test('a crashed process is started again on the same port', async () => {
    const { supervisor, get } = await supervise();
    const before = supervisor.status()[0]!.pid;
    process.kill(before, 'SIGKILL');
    await until(() => events.some(({ event }) => event === 'restarted'));
    assert.deepEqual(
      events.map(({ event }) => event),
      ['crashed', 'restarted'],
    );
    assert.notEqual(supervisor.status()[0]!.pid, before);
    assert.equal(supervisor.status()[0]!.restarts, 1);
    assert.match(await get('/b'), /environment/);
  });

  test(
    'several processes share one port',
    { skip: process.platform !== 'linux' && 'SO_REUSEPORT is used on Linux' },
    async () => {
      const { supervisor, get } = await supervise({ workers: 2 });
      for (let i = 0; i < 20; i++) assert.match(await get('/c'), /environment/);
      assert.equal(new Set(supervisor.status().map(({ pid }) => pid)).size, 2);
      await supervisor.restart();
      for (let i = 0; i < 20; i++) assert.match(await get('/c'), /environment/);
      assert.deepEqual(events, [], 'a restart that was asked for is no crash');
    },
  );

  test('stopping waits for requests in flight, then nothing is left', async () => {
    const { supervisor, get } = await supervise();
    const slow = get('/slow');
    await sleep(150);
    const { pid } = supervisor.status()[0]!;
    await supervisor.stop();
    assert.match(await slow, /environment/);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });

  test('a process that does not end within the grace is killed', async () => {
    const { supervisor, get } = await supervise();
    const stuck = get('/spin').catch(() => 'cut');
    await sleep(200);
    const started = Date.now();
    await supervisor.stop(300);
    assert.ok(Date.now() - started < 3000);
    assert.equal(await stuck, 'cut');
  });

  test('a process that takes more memory than it may is drained and started again, once a minute at most', async () => {
    const { supervisor, get } = await supervise({ maxMemory: 1_000_000 });
    const [before] = supervisor.status();
    const slow = get('/slow');
    await until(() => events.some(({ event }) => event === 'restarted'));
    assert.equal(await slow, 'null from-the-environment');
    assert.deepEqual(
      events.map(({ event }) => event),
      ['recycling', 'restarted'],
    );
    assert.match((events[0] as { cause: string }).cause, /^\d+ MiB resident, the limit is 1$/);
    assert.notEqual(supervisor.status()[0]!.pid, before!.pid);
    assert.equal(await get('/a'), 'null from-the-environment');
    await sleep(WATCH_INTERVAL + 200);
    assert.equal(events.length, 2);
  });

  test('a process that answers no health check is killed and started again', { timeout: 60_000 }, async () => {
    const { supervisor, get } = await supervise();
    const [before] = supervisor.status();
    const spun = get('/spin').catch(() => 'cut');
    await until(() => events.some(({ event }) => event === 'restarted'), 40_000);
    assert.equal(await spun, 'cut');
    assert.deepEqual(
      events.map(({ event }) => event),
      ['recycling', 'crashed', 'restarted'],
    );
    assert.equal((events[0] as { cause: string }).cause, 'no answer to 3 health checks');
    assert.notEqual(supervisor.status()[0]!.pid, before!.pid);
    assert.equal(await get('/a'), 'null from-the-environment');
  });

  test('lines that a process wrote last are read before it counts as gone', async () => {
    const { supervisor, get } = await supervise();
    await Promise.all([get('/many'), get('/many')]);
    await supervisor.stop();
    assert.equal(lines.filter((line) => line.startsWith('line ')).length, 2 * 4999);
    assert.equal(lines.filter((line) => line === 'served /many').length, 2);
  });

  test('a restart that is asked for while a crashed process comes back leaves one process', async () => {
    const { supervisor, get } = await supervise();
    for (const offset of [-2, 0, 2]) {
      process.kill(supervisor.status()[0]!.pid, 'SIGKILL');
      await until(() => events.some(({ event }) => event === 'crashed'));
      const [crashed] = events;
      assert.ok(crashed?.event === 'crashed');
      await sleep(crashed.restartIn + offset);
      await supervisor.restart();
      assert.equal(supervisor.status()[0]!.state, 'ready');
      assert.deepEqual(children(), [supervisor.status()[0]!.pid]);
      events.length = 0;
    }
    assert.match(await get('/d'), /environment/);
  });

  test('stopping while a process is being replaced leaves none, and reports no crash', async () => {
    for (const delay of [0, 5, 20, 60]) {
      const { supervisor } = await supervise({ workers: 2 });
      const restart = supervisor.restart().catch(() => {});
      await sleep(delay);
      await supervisor.stop(0);
      await restart;
      await sleep(50);
      assert.deepEqual(children(), []);
    }
    assert.deepEqual(events, []);
  });

  test('a process comes back when somebody cleaned the directory of its control socket away', async () => {
    const sockets = join(folder, 'sockets');
    const { supervisor, get } = await supervise({ sockets });
    rmSync(sockets, { recursive: true });
    process.kill(supervisor.status()[0]!.pid, 'SIGKILL');
    await until(() => events.some(({ event }) => event === 'restarted'));
    assert.match(await get('/e'), /environment/);
  });

  test('a configuration that does not start after all is said, and tried again', async () => {
    const { supervisor, get } = await supervise();
    write('export default {}; syntax error');
    await assert.rejects(supervisor.restart(), { name: 'Failure', message: /workerd did not start/ });
    write(worker);
    await until(() => events.some(({ event }) => event === 'restarted'));
    assert.match(await get('/f'), /environment/);
    assert.equal(events[0]?.event, 'crashed');
  });

  test('a configuration that workerd refuses is one sentence', async () => {
    write('export default {}; syntax error');
    await assert.rejects(supervise(), { name: 'Failure', message: /workerd did not start/ });
  });

  test('a port that somebody has is one sentence, even when they would share it', async () => {
    const other = createServer();
    await new Promise<void>((resolve) =>
      other.listen({ host: '127.0.0.1', port: 0, reusePort: process.platform === 'linux' }, resolve),
    );
    const { port } = other.address() as { port: number };
    try {
      await assert.rejects(freePort('127.0.0.1', port), { name: 'Failure', message: /already in use/ });
    } finally {
      other.close();
    }
  });
});
