/** `sallyport/connector` as somebody else's project imports it: by its name, from the package, with its types. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readLines } from '../../src/cli/lines.ts';
import { ROOT } from '../gateway.ts';
import { TestEdge } from '../support/tunnel-edge.ts';

const APP = `
import { connect, type ConnectorEvents, type Exchange } from 'sallyport/connector';
import { createServer } from 'node:http';
import { createHash } from 'node:crypto';

const [edge = '', key = ''] = process.argv.slice(2);
const say = (event: string, value: unknown): void => console.log(JSON.stringify({ event, value }));

const server = createServer((request, response) => {
  if (request.method === 'GET') return void response.end(\`hello from \${request.url} at \${request.headers.host}\`);
  const hash = createHash('sha256');
  request.on('data', (part: Buffer) => hash.update(part)).on('end', () => response.end(hash.digest('hex')));
});
const tunnel = await connect({
  edge,
  name: 'laptop',
  operatorKey: key,
  server,
  targets: { hook: (_request, response) => response.writeHead(202).end() },
});
say('connected', { url: tunnel.url, listening: server.listening });
tunnel.on('request', (exchange: Exchange) => say('request', exchange.request?.target));
tunnel.on('response', ({ request, response }) => say('response', request.target === '' ? 0 : response.status));
tunnel.on('reconnecting', ({ left }: ConnectorEvents['reconnecting'][0]) => say('reconnecting', left));
tunnel.on('ready', ({ name }) => say('ready', name));
tunnel.on('closed', ({ error }) => say('closed', error?.code ?? null));
process.on('SIGTERM', () => void tunnel.close());
`;

let folder = '';
let edge: TestEdge;
before(async () => {
  const { privateKey } = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const jwk = await crypto.subtle.exportKey('jwk', privateKey);
  folder = mkdtempSync(join(tmpdir(), 'sallyport-connector-'));
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
  symlinkSync(ROOT, join(folder, 'node_modules/sallyport'), 'dir');
  symlinkSync(join(ROOT, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'), 'dir');
  symlinkSync(join(ROOT, 'node_modules/undici-types'), join(folder, 'node_modules/undici-types'), 'dir');
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'operator.jwk'), JSON.stringify(jwk), { mode: 0o600 });
  writeFileSync(join(folder, 'app.ts'), APP);
  edge = await TestEdge.open({ operator: jwk.x! });
});
after(async () => {
  await edge.close();
  rmSync(folder, { recursive: true, force: true });
});

test('its types hold without any other package', () => {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024'];
  const run = (file: string) =>
    spawnSync(process.execPath, [tsc, ...options, '--types', 'node', file], { cwd: folder, encoding: 'utf8' });
  const good = run('app.ts');
  assert.equal(good.status, 0, good.stdout);
  writeFileSync(
    join(folder, 'wrong.ts'),
    APP.replace("name: 'laptop'", 'name: 7').replace("'reconnecting',", "'nothing',"),
  );
  const wrong = run('wrong.ts');
  assert.match(wrong.stdout, /'number' is not assignable to type 'string'/);
  assert.match(wrong.stdout, /is not assignable to parameter of type 'never'/); // there is no such event
});

test('a server with no port is served, and told what happens', async () => {
  const child = spawn(process.execPath, ['app.ts', edge.url, 'operator.jwk'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (part: Buffer) => (errors += part.toString()));
  const events: [string, unknown][] = [];
  let wake: () => void = () => {};
  readLines(child.stdout, (line) => {
    const { event, value } = JSON.parse(line) as { event: string; value: unknown };
    events.push([event, value]);
    wake();
  });
  const exited = once(child, 'exit');
  void exited.then(() => wake());
  const event = async (name: string): Promise<unknown> => {
    for (;;) {
      const at = events.findIndex(([found]) => found === name);
      if (at >= 0) return events.splice(at, 1)[0]![1];
      assert.equal(child.exitCode, null, `it ended before ${name}: ${errors}`);
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  assert.deepEqual(await event('connected'), { url: 'http://test.localhost/', listening: false });
  const hello = await edge.request({ target: '/a' });
  assert.deepEqual([hello.status, String(hello.body)], [200, 'hello from /a at app.test']);
  assert.deepEqual([await event('request'), await event('response')], ['/a', 200]);
  const bytes = Buffer.alloc(3_000_000, 'some text, ');
  const { createHash } = await import('node:crypto');
  const hashes = await Promise.all(
    Array.from({ length: 8 }, async () => String((await edge.request({ method: 'POST' }, bytes)).body)),
  );
  assert.deepEqual([...new Set(hashes)], [createHash('sha256').update(bytes).digest('hex')]);
  assert.equal((await edge.request({}, '', 'hook')).status, 202);
  for (const { socket } of edge.lanes) socket?.terminate();
  await event('reconnecting');
  assert.equal(await event('ready'), 'laptop');
  child.kill('SIGTERM');
  assert.equal(await event('closed'), null);
  assert.deepEqual(await exited, [0, null]);
  assert.equal(errors, '');
});

test('what is wrong is said at once', async () => {
  const { connect } = (await import(
    join(ROOT, 'pkg/connector.js')
  )) as typeof import('../../src/tunnel/connector/index.ts');
  const operatorKey = join(folder, 'operator.jwk');
  const server = (): void => {};
  for (const [options, message] of [
    [{ edge: 'nowhere', name: 'a', operatorKey, server }, /URL of an edge/],
    [{ edge: edge.url, name: 'A b', operatorKey, server }, /no name of a tunnel/],
    [{ edge: edge.url, name: 'a', server }, /either operatorKey or capability/],
    [{ edge: edge.url, name: 'a', operatorKey }, /server or targets/],
    [{ edge: edge.url, name: 'a', operatorKey, targets: { api: 'x y' } }, /a target is a port/],
    [{ edge: edge.url, name: 'a', operatorKey: { kty: 'OKP', crv: 'Ed25519', x: '', d: 7 } as never, server }, /JWK/],
    [{ edge: edge.url, name: 'a', operatorKey: join(folder, 'none'), server }, /ENOENT/],
  ] as const)
    await assert.rejects(connect(options), message);
  edge.refuse = { status: 403, text: 'the tunnel is of another project' };
  await assert.rejects(connect({ edge: edge.url, name: 'a', operatorKey, server }), {
    code: 403,
    message: 'the tunnel is of another project',
  });
  edge.refuse = { status: 503, text: 'later' };
  const signal = AbortSignal.timeout(200);
  await assert.rejects(connect({ edge: edge.url, name: 'a', operatorKey, server, signal }), { name: 'TimeoutError' });
  edge.refuse = null;
});
