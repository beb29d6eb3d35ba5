/** `sallyport tunnel listen`, and what looks at it on the same machine: ps, logs, replay. The edge is a small one of the test's. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readLines } from '../../src/cli/lines.ts';
import { thumbprint } from '../../src/control/signature.ts';
import { DENIALS, generateConnectorKey, issueCapability } from '../../src/tunnel/capability.ts';
import { RESET_CODE } from '../../src/tunnel/frame.ts';
import { REDACTED } from '../../src/tunnel/redact.ts';
import type { ShownWhole } from '../../src/tunnel/shown.ts';
import { ROOT, run, type RunResult } from '../gateway.ts';
import { TestEdge } from '../support/tunnel-edge.ts';
import { until } from '../support/tunnel-pair.ts';

const BIN = join(ROOT, 'bin/sallyport.mjs');
let folder = '';
let edge: TestEdge;
let port = 0;
const waiting: ServerResponse[] = [];
const children = new Set<ChildProcess>();
const origin = createServer((request, response) => {
  if (request.url === '/wait') return void waiting.push(response);
  response.setHeader('Set-Cookie', 'session=secret');
  request.pipe(response);
});

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sp-listen-'));
  mkdirSync(join(folder, 'project'));
  edge = await TestEdge.open();
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  ({ port } = origin.address() as AddressInfo);
});
after(async () => {
  // What a failed test left would keep this file from ending.
  for (const child of children) child.kill('SIGKILL');
  origin.close();
  origin.closeAllConnections();
  await edge.close();
  rmSync(folder, { recursive: true, force: true });
});

const environment = () => ({
  XDG_STATE_HOME: join(folder, 'state'),
  XDG_CONFIG_HOME: join(folder, 'config'),
  XDG_CACHE_HOME: folder,
  SALLYPORT_EDGE: '',
});
const command = (...args: string[]): Promise<RunResult> =>
  run(['tunnel', ...args], join(folder, 'project'), environment());

interface Listening {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  readonly lines: string[];
  errors: string;
  /** The first line from here on that the test is true for. */
  line(test: (line: string) => boolean): Promise<string>;
  event(name: string): Promise<Record<string, unknown>>;
}

const listen = (...args: string[]): Listening => listenBy(BIN, ...args);

function listenBy(bin: string, ...args: string[]): Listening {
  const child = spawn(process.execPath, [bin, 'tunnel', 'listen', ...args], {
    cwd: join(folder, 'project'),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', ...environment() },
  });
  children.add(child);
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
  let wake: () => void = () => {};
  let at = 0;
  const listening: Listening = {
    child,
    exited,
    lines: [],
    errors: '',
    async line(test) {
      for (;;) {
        while (at < listening.lines.length) {
          const line = listening.lines[at++]!;
          if (test(line)) return line;
        }
        assert.equal(child.exitCode, null, `it has ended: ${listening.errors}${listening.lines.join('\n')}`);
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    event: async (name) =>
      JSON.parse(await listening.line((line) => line.startsWith(`{"event":"${name}"`))) as Record<string, unknown>,
  };
  readLines(child.stdout!, (line) => {
    listening.lines.push(line);
    wake();
  });
  child.stderr!.on('data', (part: Buffer) => (listening.errors += part.toString()));
  void exited.then(() => wake());
  return listening;
}

const stop = async (listening: Listening): Promise<void> => {
  listening.child.kill('SIGINT');
  assert.equal(await listening.exited, 0, listening.errors);
};

test('a name is made up, kept for this folder and target, and the URL is printed', { timeout: 60_000 }, async () => {
  const first = listen(String(port), '--edge', edge.url, '--json');
  const ready = await first.event('ready');
  assert.match(String(ready['name']), /^[a-z]+-[a-z]+-[0-9a-z]{5}$/);
  assert.deepEqual([ready['url'], ready['edge']], ['http://test.localhost/', edge.url]);
  await stop(first);
  const again = listen(String(port), '--edge', edge.url);
  assert.match(
    await again.line((line) => line.startsWith('ready')),
    /^ready http:\/\/test\.localhost\/ {2}-> {2}localhost:\d+ {2}\(\d+ ms\)$/,
  );
  assert.ok((await again.line((line) => line.startsWith('tunnel'))).includes(String(ready['name'])));
  await stop(again);
  assert.equal(again.lines.at(-1), 'stopped');
  const other = listen('1', '--edge', edge.url, '--json');
  assert.notEqual((await other.event('ready'))['name'], ready['name']);
  await stop(other);
});

test('as an installed package: a request goes through, and code is kept', { timeout: 60_000 }, async () => {
  const root = join(folder, 'node_modules/sallyport');
  const bin = join(root, 'bin/sallyport.mjs');
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync(BIN, bin);
  symlinkSync(join(ROOT, 'dist'), join(root, 'dist'));
  const one = listenBy(bin, String(port), 'packed', '--edge', edge.url, '--json');
  await one.event('ready');
  const { body } = await edge.request({ method: 'POST', target: '/' }, 'echo');
  assert.equal(Buffer.from(body).toString(), 'echo');
  await stop(one);
  assert.ok(readdirSync(join(folder, 'sallyport/code'), { recursive: true }).length > 2);
  // What a mistake is called by a class of the other bundle.
  const mistaken = listenBy(bin, '0');
  assert.equal(await mistaken.exited, 1);
  assert.match(mistaken.errors, /^sallyport: a target is a port .*\n$/);
});

test(
  'events a line; ps, logs and replay show the same, and secrets only where asked',
  { timeout: 60_000 },
  async () => {
    const one = listen(
      `127.0.0.1:${port}`,
      'laptop',
      '--edge',
      edge.url,
      '--json',
      '--inspect',
      '--service',
      'api=127.0.0.1:1',
    );
    await one.event('ready');
    const fields = [
      ['Authorization', 'Basic c2VjcmV0'],
      ['Cookie', 'session=secret'],
      ['X-Plain', 'shown'],
      ['X-Api-Key', 'k-1'],
    ] as const;
    await edge.request({ method: 'POST', target: '/form?a=1', fields }, 'name=value');
    const [request, response, end] = [await one.event('request'), await one.event('response'), await one.event('end')];
    assert.deepEqual(
      [request['method'], request['target'], response['status'], end['bytesIn'], end['bytesOut'], end['error']],
      ['POST', '/form?a=1', 200, 10, 10, ''],
    );
    await edge.request({ target: '/x' }, '', 'api').catch(() => {});
    assert.match(String((await one.event('end'))['error']), /nobody listens at 127\.0\.0\.1:1/);

    const [listed] = JSON.parse((await command('ps', '--json')).stdout) as [Record<string, unknown>];
    assert.deepEqual(
      [listed['name'], listed['sockets'], listed['services'], listed['pid']],
      ['laptop', 2, { '': `127.0.0.1:${port}`, api: '127.0.0.1:1' }, one.child.pid],
    );
    assert.match((await command('ps')).stdout, /^laptop {2}http:\/\/test\.localhost\//);

    const logs = await command('logs', '--inspect', '--json');
    const [whole] = logs.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ShownWhole);
    assert.deepEqual(
      whole!.requestFields.map(([name, value]) => [name.toLowerCase(), value]).filter(([name]) => name !== 'host'),
      [
        ['authorization', REDACTED],
        ['cookie', REDACTED],
        ['x-plain', 'shown'],
        ['x-api-key', REDACTED],
      ],
    );
    assert.deepEqual([whole!.requestBody?.text, whole!.responseBody?.text], ['name=value', 'name=value']);
    for (const text of [
      logs.stdout,
      (await command('logs', 'laptop', '--inspect')).stdout,
      (await command('logs')).stdout,
    ])
      assert.doesNotMatch(text, /c2VjcmV0|session=secret|k-1/);

    // What is sent again is what came, secrets and all.
    let seen: string | undefined;
    origin.once('request', (again) => (seen = again.headers.authorization));
    const replayed = await command('replay', String(whole!.id), '--json');
    const { status, id } = JSON.parse(replayed.stdout) as { status: number; id: number };
    assert.deepEqual([status, seen], [200, 'Basic c2VjcmV0']);
    assert.ok(id > whole!.id);
    assert.deepEqual([(await one.event('end'))['id'], replayed.code], [id, 0]);
    assert.match((await command('replay', '999')).stderr, /request 999 is not, or not any more, among those kept/);
    assert.match((await command('replay', 'x')).stderr, /takes the number of a request/);

    const followed = spawn(process.execPath, [BIN, 'tunnel', 'logs', '--follow', '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...environment() },
    });
    const followedExit = once(followed, 'exit');
    const followedLines: string[] = [];
    const found = new Promise<void>((resolve) =>
      readLines(followed.stdout, (line) => {
        followedLines.push(line);
        if (followedLines.length === 3) void edge.request({ target: '/followed' });
        if (line.includes('/followed')) resolve();
      }),
    );
    await found;
    // The connector ends, and so does who follows it.
    await stop(one);
    await followedExit;

    const all = listen(String(port), 'laptop', '--edge', edge.url, '--json', '--inspect=all');
    await all.event('ready');
    await edge.request({ fields });
    await all.event('end');
    assert.match((await command('logs', '--inspect')).stdout, /c2VjcmV0/);
    await stop(all);
  },
);

test(
  'without --inspect bodies are not kept, and a request with one is not sent again',
  { timeout: 60_000 },
  async () => {
    const one = listen(String(port), 'laptop', '--edge', edge.url, '--json');
    await one.event('ready');
    await edge.request({ method: 'POST', target: '/1' }, 'body');
    const { id } = await one.event('end');
    await edge.request({ target: '/2' });
    const second = await one.event('end');
    assert.match(
      (await command('replay', String(id))).stderr,
      /its body was not kept; start the connector with --inspect/,
    );
    assert.equal((await command('replay', String(second['id']))).code, 0);
    // The beginning of a body is not what its client meant.
    const broken = edge.exchange({ method: 'POST', target: '/3' });
    await broken.stream.write(new Uint8Array(10));
    let third = await one.event('request');
    while (third['target'] !== '/3') third = await one.event('request');
    broken.stream.reset(RESET_CODE.cancelled, '');
    while ((await one.event('end'))['id'] !== third['id']);
    assert.match((await command('replay', String(third['id']))).stderr, /it is not whole/);
    await stop(one);
  },
);

test('only its user reaches what it keeps, and nothing is left of it', { timeout: 60_000 }, async () => {
  const one = listen(String(port), 'laptop', '--edge', edge.url, '--json');
  await one.event('ready');
  const state = join(folder, 'state/sallyport/tunnels');
  const socket = readdirSync(state).find((name) => name.endsWith('.sock'))!;
  assert.equal(statSync(join(state, socket)).mode & 0o777, 0o600);
  assert.equal(statSync(state).mode & 0o777, 0o700);
  one.child.kill('SIGKILL');
  await one.exited;
  assert.equal((await command('ps', '--json')).stdout, '[]\n');
  assert.deepEqual(
    readdirSync(state).filter((name) => name.endsWith('.sock')),
    [],
  );
  assert.match((await command('logs')).stderr, /no connector of yours is running/);
  assert.match(
    (await command('logs', 'desk')).stderr,
    /connector of yours on this machine is called desk .* no deployment was started in this directory/,
  );
});

test('of two connectors of a tunnel one is chosen by its process', { timeout: 60_000 }, async () => {
  const [one, two] = [
    listen(String(port), 'twin', '--edge', edge.url, '--json'),
    listen('1', '--edge', edge.url, '--json'),
  ];
  const three = listen(String(port), 'twin', '--edge', edge.url, '--json');
  const pids = await Promise.all([one, three].map(async (each) => Number((await each.event('ready'))['pid'])));
  const { name } = await two.event('ready');
  const { stderr } = await command('logs');
  for (const choice of [...pids.map((pid) => `${pid} (twin)`), String(name)])
    assert.ok(stderr.includes(choice), stderr);
  assert.match((await command('replay', '1', 'twin')).stderr, /by its name or process: \d+ \(twin\), \d+ \(twin\)/);
  assert.match(
    (await command('replay', '1', String(pids[0]))).stderr,
    /request 1 is not, or not any more, among those kept/,
  );
  for (const each of [one, two, three]) await stop(each);
});

test('a file of rights names its tunnel', { timeout: 60_000 }, async () => {
  const key = await generateConnectorKey(true);
  const operator = await generateConnectorKey();
  const { d } = (await crypto.subtle.exportKey('jwk', key.privateKey)) as { d: string };
  const file = async (...names: string[]): Promise<string> => {
    const [project, connector] = [await thumbprint(operator.x), await thumbprint(key.x)];
    const [generation, expires] = [Date.now(), Date.now() + 86_400_000];
    const capability = await issueCapability(operator.privateKey, {
      ...{ project, names, reach: [], connector, generation, expires, exposure: null },
    });
    const path = join(folder, `${names.join('-') || 'none'}.json`);
    writeFileSync(path, JSON.stringify({ capability, key: { kty: 'OKP', crv: 'Ed25519', x: key.x, d } }), {
      mode: 0o600,
    });
    return path;
  };
  const one = listen(String(port), '--capability', await file('office'), '--edge', edge.url, '--json');
  assert.equal((await one.event('ready'))['name'], 'office');
  await stop(one);
  const refused = async (names: string[], ...args: string[]): Promise<string> =>
    (await command('listen', String(port), ...args, '--capability', await file(...names), '--edge', edge.url)).stderr;
  assert.match(await refused(['office'], 'desk'), /office\.json covers office, not desk/);
  assert.match(await refused(['desk', 'office']), /covers desk, office: name one of them/);
  assert.match(await refused([]), /covers no tunnel/);
});

test('a key that the edge does not know is told, with what its operator needs', { timeout: 60_000 }, async () => {
  edge.refuse = { status: 403, text: DENIALS.foreign };
  const { stderr } = await command('listen', '3000', 'laptop', '--edge', edge.url);
  const { x } = JSON.parse(readFileSync(join(folder, 'config/sallyport/operator.jwk'), 'utf8')) as { x: string };
  assert.ok(stderr.includes(`your key is ${x}`), stderr);
  edge.refuse = null;
});

test('help shows command lines as they are typed', async () => {
  const { stdout } = await command('listen', '--help');
  assert.match(stdout, /^USAGE sallyport tunnel listen \[OPTIONS\]/m);
  assert.match(stdout, /^EXAMPLES\n\n {2}sallyport tunnel listen 3000 /m);
});

test('the first signal lets requests end, the second does not', { timeout: 60_000 }, async () => {
  const one = listen(String(port), 'laptop', '--edge', edge.url, '--json');
  await one.event('ready');
  const open = edge.request({ target: '/wait' });
  await one.event('request');
  one.child.kill('SIGINT');
  assert.equal((await one.event('draining'))['streams'], 1);
  await until(() => waiting.length === 1);
  waiting.shift()!.end('in the end');
  assert.equal(String((await open).body), 'in the end');
  assert.equal(await one.exited, 0);

  const two = listen(String(port), 'laptop', '--edge', edge.url, '--json');
  await two.event('ready');
  const cut = edge.request({ target: '/wait' });
  cut.catch(() => {});
  await two.event('request');
  two.child.kill('SIGTERM');
  await two.event('draining');
  // Two of the same Ctrl-C come at once, so the second one counts after a moment.
  await new Promise((resolve) => setTimeout(resolve, 600));
  two.child.kill('SIGTERM');
  assert.equal(await two.exited, 130);
});

test('who reads its output no more ends it, and cuts nothing', { timeout: 60_000 }, async () => {
  const one = listen(String(port), 'laptop', '--edge', edge.url, '--json');
  await one.event('ready');
  waiting.length = 0;
  const open = Array.from({ length: 3 }, () => edge.request({ target: '/wait' }));
  await until(() => waiting.length === 3);
  one.child.stdout!.destroy();
  for (let left = 3; left > 0; left--) {
    waiting.shift()!.end('whole');
    // What is printed now fails again, later than two signals that are one.
    if (left > 1) await new Promise((resolve) => setTimeout(resolve, 600));
  }
  for (const answer of open) assert.equal(String((await answer).body), 'whole');
  assert.equal(await one.exited, 0, one.errors);
});

test('what is wrong is said in one sentence', { timeout: 60_000 }, async () => {
  const refused = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await command(...args);
    assert.equal(code, 1, args.join(' '));
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    return stderr;
  };
  assert.match(await refused('listen'), /what is to be published\?/);
  assert.match(await refused('listen', 'x y'), /a target is a port or HOST:PORT/);
  assert.match(await refused('listen', '3000', 'A'), /a tunnel has a name like laptop/);
  assert.match(await refused('listen', '3000', '--service', 'x'), /--service takes name=host:port/);
  assert.match(await refused('listen', '3000', '--inspect=some'), /--inspect takes nothing or =all/);
  assert.match(await refused('listen', '3000', '--edge', 'http://a/b'), /--edge takes the URL of an edge without path/);
  assert.match(await refused('listen', '3000', '--sockets', '99'), /--sockets takes a whole number/);
  assert.match(await refused('listen', '3000', 'a', 'b'), /nothing takes "b"/);
  assert.match(
    await refused('create', 'a', '--allow', 'banana'),
    /--allow takes an address or a CIDR block.*not "banana"/,
  );
  assert.match(await refused('dance'), /tunnel takes listen, ps/);
  assert.match(await refused('access', 'udp', 'a.b', '--listen', '1'), /access takes tcp/);
  assert.match(await refused('access', 'tcp', 'a.b.c', '--listen', '1'), /SERVICE\.TUNNEL/);
  edge.refuse = { status: 403, text: 'the tunnel is of another project' };
  assert.match(
    await refused('listen', '3000', 'laptop', '--edge', edge.url),
    /the edge refuses the tunnel laptop: the tunnel is of another project/,
  );
  edge.refuse = null;
});
