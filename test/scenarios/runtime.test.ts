/**
 * What the runtime does that one would not expect, and what we make of it. Each was measured first; each test says
 * whether it is handled or a limit that ARCHITECTURE.md names.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { ask, begin } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { ROOT, run, startGateway, type Gateway } from '../gateway.ts';
import { exchange, head, startRawOrigin, type RawOrigin } from '../raw.ts';

let echo: Echo;
let raw: RawOrigin;
let trailing: RawOrigin;
let gateway: Gateway;
const H = 'Host: runtime.test';

describe('runtime', { concurrency: true }, () => {
  before(async () => {
    [echo, raw, trailing] = await Promise.all([
      startEcho('web'),
      startRawOrigin(),
      startRawOrigin(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n2\r\nok\r\n0\r\nx-late: 1\r\n\r\n',
      ),
    ]);
    gateway = await startGateway({
      policy: `
app: runtime
backends: { web: { url: ${echo.url} }, raw: { url: ${raw.url} }, trailing: { url: ${trailing.url} } }
routes:
  - { matches: [{ path: { type: PathPrefix, value: /raw } }], backend: raw }
  - { matches: [{ path: { type: PathPrefix, value: /trailing } }], backend: trailing }
  - { matches: [{ path: { type: PathPrefix, value: /limited } }], backend: web, timeouts: { request: 700ms } }
  - { matches: [{ path: { type: PathPrefix, value: /hang } }], backend: web, timeouts: { request: 1500ms } }
  - { matches: [{ path: { type: PathPrefix, value: /retried } }], backend: web, retry: { attempts: 3, backoff: 1ms } }
  - { backend: web }
`,
    });
  });
  after(async () => {
    await gateway?.stop();
    await Promise.all([echo, raw, trailing].map((origin) => origin.stop()));
  });

  /** What a script answers in a workerd of its own, with the date and flags of the gateway. */
  async function probe(name: string, script: string): Promise<{ text: string; flags: string }> {
    const { port } = new URL(gateway.url);
    const config = await readFile(join(gateway.folder, `.sallyport/127.0.0.1-${port}/config.capnp`), 'utf8');
    const flags = /compatibilityFlags\s*=\s*(\[[^\]]*\])/.exec(config)?.[1] ?? '';
    const date = /compatibilityDate\s*=\s*"([^"]+)"/.exec(config)?.[1] ?? '';
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const at = (free.address() as AddressInfo).port;
    free.close();
    await writeFile(join(gateway.folder, `${name}.js`), script);
    await writeFile(
      join(gateway.folder, `${name}.capnp`),
      `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "${name}.js", esModule = embed "${name}.js")], compatibilityDate = "${date}", compatibilityFlags = ${flags}))],
  sockets = [(name = "http", address = "127.0.0.1:${at}", http = (), service = "main")]);`,
    );
    const { default: workerd } = createRequire(join(ROOT, 'package.json'))('workerd') as { default: string };
    const child = spawn(workerd, ['serve', join(gateway.folder, `${name}.capnp`)], { stdio: 'ignore' });
    try {
      let text = '';
      for (let tries = 0; text === ''; tries++) {
        assert.ok(tries < 100 && child.exitCode === null, 'the probe did not start');
        text = await ask(`http://127.0.0.1:${at}/`).then(
          (answer) => answer.text(),
          () => '',
        );
        if (text === '') await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return { text, flags };
    } finally {
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
    }
  }

  test(
    'no Node API is in the worker: process and Buffer are not there, node: is not to be imported',
    { timeout: 30_000 },
    async () => {
      // A worker that looks for itself: its answer is a script that ends by itself.
      const { text, flags } = await probe(
        'probe',
        `export default { async fetch() {
        const found = await import('node:fs').then(() => 'imported', () => 'refused');
        return new Response([typeof process, typeof Buffer, typeof global, found].join(' '));
      } };`,
      );
      assert.match(flags, /"no_nodejs_compat"/);
      assert.match(flags, /"no_nodejs_compat_v2"/);
      assert.equal(text, 'undefined undefined undefined refused');
      assert.doesNotMatch(await readFile(join(ROOT, 'dist/worker.js'), 'utf8'), /from\s*["']node:|import\(["']node:/);
    },
  );

  // V8 12.8 to at least 14.6, and so Node 24, take the name that an object of the same shape had before for one with an
  // escape: who sends `skill\\u` first hides `skillId` (nodejs/node#63785). What agents ask for is read by JSON.parse.
  test('JSON.parse reads escaped names as they are, whatever it has read before', { timeout: 30_000 }, async () => {
    const { text } = await probe(
      'names',
      String.raw`export default { fetch() {
        const wrong = [];
        for (const before of ['', '"h":1,', '"h":[],', '"h":1,"i":"x",'])
          for (const [first, then, name] of [['\\\\', '\\"', '"'], ['skill\\\\u', 'skill\\u0049d', 'skillId'], ['a\\\\', 'a\\n', 'a\n']]) {
            JSON.parse('{' + before + '"' + first + '":0}');
            const text = '{' + before + '"' + then + '":2}';
            for (const one of [text, '[{"z":1},' + text + ']'].map((whole) => [JSON.parse(whole)].flat().at(-1)))
              if (Object.keys(one).at(-1) !== name) wrong.push(text);
          }
        return new Response(JSON.stringify(wrong));
      } };`,
    );
    assert.equal(text, '[]');
  });

  test('the bundle for Cloudflare has the same flags and date', { timeout: 60_000 }, async () => {
    const out = join(gateway.folder, 'deployed');
    const file = join(gateway.folder, 'app-0.yaml');
    const { code, stdout, stderr } = await run(
      ['deploy', file, '--dry-run', '--outdir', out, '--json'],
      gateway.folder,
    );
    assert.equal(code, 0, stdout + stderr);
    const config = JSON.parse(await readFile(join(out, 'wrangler.json'), 'utf8')) as { compatibility_flags: string[] };
    assert.ok(
      config.compatibility_flags.includes('no_nodejs_compat') &&
        config.compatibility_flags.includes('no_nodejs_compat_v2'),
    );
    const sizes = JSON.parse(stdout) as { total: { gzip: number } };
    assert.ok(sizes.total.gzip > 0 && sizes.total.gzip < 3 * 1048576, String(sizes.total.gzip));
  });

  test('handled: repeated header lines, which the worker sees joined, reach the origin as they were', async () => {
    const seen = (
      await ask(`${gateway.url}/`, {
        headers: [
          ['X-Many', 'a'],
          ['x-many', 'b'],
          ['X-MANY', 'c, d'],
        ],
      })
    ).echo();
    assert.deepEqual(
      seen.lines.filter(([name]) => name.toLowerCase() === 'x-many').map(([, value]) => value),
      ['a', 'b', 'c, d'],
    );
  });

  test('limit: bytes that are not UTF-8 are U+FFFD to the rules; the origin gets them as they were', async () => {
    await exchange(gateway.port, head('GET /raw/latin HTTP/1.1', H, 'X-Word: caf\xe9'));
    const bytes = Buffer.concat(raw.connections.map((one) => one.bytes)).toString('latin1');
    assert.match(bytes, /x-word: caf\xe9\r\n/i);
  });

  test('limit: trailers are dropped in both directions, and the body is whole', async () => {
    const sent = await exchange(gateway.port, [
      head('POST /trailed HTTP/1.1', H, 'Transfer-Encoding: chunked', 'Trailer: X-Late'),
      '5\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n',
    ]);
    const seen = JSON.parse(String(sent.responses[0]?.body)) as {
      headers: Record<string, string>;
      body: { length: number };
    };
    assert.equal(seen.body.length, 5);
    assert.equal(seen.headers['x-late'], undefined);
    const back = await exchange(gateway.port, head('GET /trailing HTTP/1.1', H));
    assert.equal(String(back.responses[0]?.body), 'ok');
    assert.doesNotMatch(back.bytes.toString('latin1'), /x-late: 1/i);
  });

  test('handled: HTTP/1.0 with a Host is answered and closed', async () => {
    const result = await exchange(gateway.port, head('GET /old HTTP/1.0', H), { expect: 2 });
    assert.equal(result.responses[0]?.status, 200);
    assert.ok(result.closed);
  });

  test(
    'handled: a body that stalls is bounded by timeouts.request, since the runtime has no timeout for bodies',
    { timeout: 10_000 },
    async () => {
      const result = await exchange(gateway.port, head('POST /limited HTTP/1.1', H, 'Content-Length: 100') + 'abc', {
        patience: 5000,
      });
      assert.ok([408, 504].includes(result.responses[0]?.status ?? 0), String(result.responses[0]?.status));
    },
  );

  test(
    'limit: a client that only half-closes while it waits is not noticed; timeouts.request ends it',
    { timeout: 10_000 },
    async () => {
      const socket = connect(gateway.port, '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.end(head('GET /hang?half-closed HTTP/1.1', H));
      await echo.arrival((request) => request.path === '/hang?half-closed');
      await echo.abort('/hang?half-closed');
      socket.destroy();
    },
  );

  test(
    'handled: a kept connection that the origin has closed meanwhile: GET and retried PUT go through, no POST hangs',
    { timeout: 20_000 },
    async () => {
      // An origin that closes each connection right after its answer, without saying so: the pool keeps dead ones.
      let served = 0;
      const origin = createServer((socket: Socket) => {
        socket.on('error', () => {});
        socket.on('data', (data) => {
          if (!data.includes('\r\n\r\n')) return;
          served++;
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok', () => socket.destroy());
        });
      }).listen(0, '127.0.0.1');
      await once(origin, 'listening');
      const own = await startGateway({
        policy: `app: race\nbackends: { web: { url: "http://127.0.0.1:${(origin.address() as AddressInfo).port}" } }\nroutes:\n  - { matches: [{ path: { type: PathPrefix, value: /retried } }], backend: web, retry: { attempts: 3, backoff: 1ms } }\n  - { backend: web }\n`,
      });
      try {
        for (let i = 0; i < 25; i++) assert.equal((await ask(`${own.url}/get`)).status, 200);
        for (let i = 0; i < 25; i++)
          assert.equal((await ask(`${own.url}/retried`, { method: 'PUT', body: 'x' })).status, 200);
        for (let i = 0; i < 25; i++)
          assert.ok([200, 502].includes((await ask(`${own.url}/post`, { method: 'POST', body: 'x' })).status));
        assert.ok(served >= 50);
      } finally {
        await own.stop();
        origin.close();
      }
    },
  );

  test(
    'handled: WebSocket messages beyond the runtime’s 32 MiB pass, since the two sockets are joined natively',
    { timeout: 30_000 },
    async () => {
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/chat`);
      await once(socket, 'open');
      const back = once(socket, 'message');
      socket.send(Buffer.alloc(33_554_433));
      const [data] = (await back) as [Buffer];
      assert.equal(data.length, 33_554_433);
      socket.terminate();
    },
  );

  test('handled: a head that never ends is dropped by the runtime within its 15 s', { timeout: 40_000 }, async () => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => socket.write('X-Drip: 1\r\n'), 1000);
    socket.resume();
    await once(socket, 'close');
    clearInterval(drip);
  });

  test('handled: on [::] an IPv4 client has its IPv4 address', { timeout: 30_000 }, async () => {
    const own = await startGateway({
      policy: `app: six\nbackends: { web: { url: ${echo.url} } }\nroutes: [{ backend: web }]\n`,
      listen: '[::]:0',
    });
    try {
      assert.equal((await ask(`${own.url}/v4`)).echo().headers['x-forwarded-for'], '127.0.0.1');
      assert.equal((await ask(`http://[::1]:${own.port}/v6`)).echo().headers['x-forwarded-for'], '::1');
    } finally {
      await own.stop();
    }
  });

  test('handled: an open WebSocket does not hold up the end beyond --grace', { timeout: 30_000 }, async () => {
    const own = await startGateway({
      policy: `app: grace\nbackends: { web: { url: ${echo.url} } }\nroutes: [{ backend: web }]\n`,
      args: ['--grace', '1'],
    });
    const socket = new WebSocket(`${own.url.replace('http', 'ws')}/chat`);
    socket.on('error', () => {});
    await once(socket, 'open');
    const closed = once(socket, 'close');
    const started = Date.now();
    own.signal('SIGTERM');
    assert.equal(await own.exited, 0);
    await closed;
    assert.ok(Date.now() - started < 8000);
    await own.stop();
  });

  test('handled: killing the supervisor leaves no worker behind that holds the port', { timeout: 30_000 }, async () => {
    const own = await startGateway({
      policy: `app: orphan\nbackends: { web: { url: ${echo.url} } }\nroutes: [{ backend: web }]\n`,
    });
    own.signal('SIGKILL');
    await own.exited;
    const late = Date.now() + 10_000;
    while (
      await ask(`${own.url}/`).then(
        () => true,
        () => false,
      )
    ) {
      assert.ok(Date.now() < late, 'still served 10 s later');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await own.stop();
  });

  test('a request that is aborted while its body goes up ends at the origin', { timeout: 15_000 }, async () => {
    const request = begin(`${gateway.url}/stream?cut-up`, { method: 'POST', headers: { 'content-length': '1000000' } });
    request.on('error', () => {});
    request.write(Buffer.alloc(1000));
    await echo.arrival((one) => one.path === '/stream?cut-up');
    request.destroy();
    await echo.abort('/stream?cut-up');
  });
});
