/** The registry's object by itself, in plain workerd: what the library around it would let anybody do, and what it forgets. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { build, stop as stopBundler } from 'esbuild';
import { capnpConfig, Embed } from '../../src/cli/capnp.ts';
import { unixRequest, type Answer } from '../../src/cli/http.ts';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, workerdBinary } from '../../src/cli/workerd.ts';
import { ROOT } from '../gateway.ts';

/** Passes a request on to the object as it came; the class is counted, so that an eviction can be seen. */
const WORKER = `
import { TunnelRegistry } from ${JSON.stringify(join(ROOT, 'src/tunnel/registry.ts'))};
let made = 0;
export class Registry extends TunnelRegistry {
  constructor(state) { super(state); made++; }
}
export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname === '/made') return new Response(String(made));
    return await env.REGISTRY.get(env.REGISTRY.idFromName('one')).fetch(request);
  },
};
`;

describe('registry object [workerd]', { skip: process.env['SALLYPORT_TARGET'] === 'cloudflare' }, () => {
  let folder = '';
  let socket = '';
  let child: ChildProcess | null = null;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-object-'));
    socket = join(folder, 'http.sock');
    mkdirSync(join(folder, 'objects'));
    writeFileSync(join(folder, 'entry.js'), WORKER);
    await build({
      ...{ entryPoints: [join(folder, 'entry.js')], outfile: join(folder, 'worker.js'), bundle: true, format: 'esm' },
      ...{
        platform: 'neutral',
        mainFields: ['module', 'main'],
        logLevel: 'error',
        nodePaths: [join(ROOT, 'node_modules')],
      },
    });
    await stopBundler();
    const worker = {
      modules: [{ name: 'worker.js', esModule: new Embed('worker.js') }],
      ...{ compatibilityDate: COMPATIBILITY_DATE, compatibilityFlags: COMPATIBILITY_FLAGS },
      bindings: [{ name: 'REGISTRY', durableObjectNamespace: 'Registry' }],
      durableObjectNamespaces: [{ className: 'Registry', uniqueKey: 'registry', enableSql: true }],
      durableObjectStorage: { localDisk: 'objects' },
    };
    writeFileSync(
      join(folder, 'config.capnp'),
      capnpConfig({
        services: [
          { name: 'main', worker },
          { name: 'objects', disk: { path: join(folder, 'objects'), writable: true } },
        ],
        sockets: [{ name: 'http', address: `unix:${socket}`, http: {}, service: 'main' }],
      }),
    );
    await start();
  });
  after(async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(): Promise<void> {
    rmSync(socket, { force: true });
    child = spawn(workerdBinary(), ['serve', join(folder, 'config.capnp')], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    for (let tries = 0; tries < 500; tries++) {
      if ((await send('GET', '/made').catch(() => null)) !== null) return;
      await sleep(20);
    }
    throw new Error('workerd did not start');
  }
  async function kill(): Promise<void> {
    if (child === null || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child!.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  const send = (method: string, path: string, body?: string): Promise<Answer> =>
    unixRequest(socket, method, path, body, 5000);
  async function call<T>(method: string, ...args: unknown[]): Promise<T> {
    const { status, body } = await send('POST', `/${method}`, JSON.stringify(args));
    assert.equal(status, 200, `${method}: ${status} ${body}`);
    return JSON.parse(body) as T;
  }
  const names = async (): Promise<string[]> => (await call<{ name: string }[]>('list')).map(({ name }) => name);
  const made = async (): Promise<number> => Number((await send('GET', '/made')).body);

  test('nothing of the library is within reach', async () => {
    await call('create', 'laptop', null, 1, 1);
    for (const [method, path] of [
      ['GET', '/do/call/destroy'],
      ['POST', '/do/call/destroy'],
      ['GET', '/do/set/register'],
      ['POST', '/do/set/register'],
      ['GET', '/do/get-prop/register'],
      ['GET', '/list'],
      ...[
        'destroy',
        'reset',
        'persist',
        'getPersistable',
        'alarm',
        'setAlarm',
        'constructor',
        '__proto__',
        'fetch',
        '',
      ].map((name) => ['POST', `/${name}`]),
    ] as [string, string][])
      assert.equal((await send(method, path, method === 'POST' ? '[]' : undefined)).status, 404, `${method} ${path}`);
    assert.deepEqual(await names(), ['laptop']);
  });

  test('arguments of any script arrive as they were, and too long ones are refused', async () => {
    const refused = await call<{ reason: string }>('create', 'lăptop 💻\n', null, 1, 1);
    assert.match(refused.reason, /lăptop 💻\\n/);
    assert.equal((await send('POST', '/create', `["${'a'.repeat(65_536)}"]`)).status, 413);
    assert.notEqual((await send('POST', '/create', 'no JSON')).status, 200);
    assert.deepEqual(await names(), ['laptop']);
  });

  test('what was answered is there after kill -9', async () => {
    for (let round = 0; round < 3; round++) {
      const name = `round-${round}`;
      await call('create', name, null, 1, 1);
      await kill();
      await start();
      assert.ok((await names()).includes(name), name);
    }
  });

  test('an eviction forgets nothing', async () => {
    const before = await names();
    const objects = await made();
    // workerd evicts an object some 10 s after its last request.
    for (let tries = 0; tries < 3 && (await made()) === objects; tries++) {
      await sleep(11_000);
      assert.deepEqual(await names(), before);
    }
    assert.ok((await made()) > objects, 'it was evicted');
    assert.equal((await call<{ refused: string }>('create', 'laptop', null, 1, 1)).refused, 'exists');
  });

  test('an alarm that comes first after a start forgets spent nonces, and nothing else', async () => {
    const before = await names();
    const now = Date.now();
    assert.deepEqual(await call('spend', 'n'.repeat(24), now + 1500, now), { fresh: true });
    assert.deepEqual(await call('spend', 'n'.repeat(24), now + 1500, now), { fresh: false });
    assert.deepEqual(await call('spend', 'm'.repeat(24), now + 600_000, now), { fresh: true });
    await kill();
    await sleep(Math.max(0, now + 2600 - Date.now()));
    await start();
    // Nobody has asked the object for anything before its alarm: that it ran is seen by what it left.
    for (let tries = 0; tries < 200 && (await made()) === 0; tries++) await sleep(50);
    assert.equal(await made(), 1);
    await sleep(500); // the alarm writes
    await kill();
    await start();
    assert.deepEqual(await call('spend', 'n'.repeat(24), now + 600_000, Date.now()), { fresh: true });
    assert.deepEqual(await call('spend', 'm'.repeat(24), now + 600_000, Date.now()), { fresh: false });
    assert.deepEqual(await names(), before);
  });
});
