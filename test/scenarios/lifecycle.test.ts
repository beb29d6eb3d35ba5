/** What an operator does to a running gateway on-prem: reload, stop, kill, spoil; and what clients notice of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request as unixRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { WebSocket } from 'ws';
import { ask, begin, collect } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { certificate, run, startGateway, type Gateway } from '../gateway.ts';

let echo: Echo;
let folder: string;
before(async () => {
  echo = await startEcho('web');
  folder = await mkdtemp(join(tmpdir(), 'sallyport-lifecycle-'));
});
after(async () => {
  await echo.stop();
  await rm(folder, { recursive: true, force: true });
});

const policy = (version: string, more = ''): string => `app: life
backends: { web: { url: ${echo.url} } }
routes:
  - { matches: [{ path: { type: Exact, value: /version } }], filters: [{ directResponse: { status: 200, body: "${version}", contentType: text/plain } }] }
  - { backend: web }
${more}`;

const version = async (gateway: Gateway): Promise<string> => (await ask(`${gateway.url}/version`)).text();

/** Pids of the workerd processes that a supervisor has, from /proc. */
async function children(pid: number): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const fields = (await readFile(`/proc/${entry}/stat`, 'utf8')).split(') ').pop()?.split(' ') ?? [];
      if (Number(fields[1]) === pid && (await readFile(`/proc/${entry}/cmdline`, 'utf8')).includes('workerd'))
        found.push(Number(entry));
    } catch {
      // gone meanwhile
    }
  }
  return found;
}

const control = (socketPath: string, method: string, path: string): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const request = unixRequest({ socketPath, method, path }, (response) => {
      collect(response).then((answer) => resolve({ status: answer.status, text: answer.text() }), reject);
    });
    request.on('error', reject);
    request.end();
  });

describe('reload', () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway({ policy: policy('one'), args: ['--watch'] });
  });
  after(() => gateway.stop());

  test(
    'a changed policy is swapped in; WebSocket, stream and waiting request live on',
    { timeout: 30_000 },
    async () => {
      assert.equal(await version(gateway), 'one');
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/chat`);
      await once(socket, 'open');
      const stream = begin(`${gateway.url}/stream`, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
      stream.write('before;');
      const [response] = (await once(stream, 'response')) as [IncomingMessage];
      const waiting = begin(`${gateway.url}/sse?events=2`);
      waiting.end();
      const [events] = (await once(waiting, 'response')) as [IncomingMessage];

      const since = gateway.events.length;
      await gateway.write(policy('two'));
      await gateway.event('swapped', () => true, since);
      assert.equal(await version(gateway), 'two');

      const back = once(socket, 'message');
      socket.send('still here');
      assert.equal(String((await back)[0]), 'still here');
      const closed = once(socket, 'close');
      socket.close(1000);
      await closed;
      stream.end('after');
      assert.equal((await collect(response)).text(), 'before;after');
      echo.release();
      assert.match((await collect(events)).text(), /event 1[^]*event 2/);
    },
  );

  test(
    'a policy with a mistake: the last good one serves, the mistake is named with its place',
    { timeout: 30_000 },
    async () => {
      const serving = await version(gateway);
      let since = gateway.events.length;
      await gateway.write(policy('bad', 'rules:\n  - { name: r, when: "http.hots eq 1", action: block }\n'));
      const rejected = await gateway.event('rejected', () => true, since);
      const [diagnostic] = rejected['diagnostics'] as { file: string; line: number; column: number; message: string }[];
      assert.ok(
        diagnostic && diagnostic.line === 7 && diagnostic.column > 1 && diagnostic.file.endsWith('app-0.yaml'),
        JSON.stringify(rejected),
      );
      assert.equal(await version(gateway), serving);
      since = gateway.events.length;
      await gateway.write('app: [not, a, policy');
      await gateway.event('rejected', () => true, since);
      assert.equal(await version(gateway), serving);
      since = gateway.events.length;
      await gateway.write(policy('three'));
      await gateway.event('swapped', () => true, since);
      assert.equal(await version(gateway), 'three');
    },
  );

  test('a file that the policy names is watched too', { timeout: 30_000 }, async () => {
    const about = async (): Promise<string> => (await ask(`${gateway.url}/llms.txt`)).text();
    const swapped = async (write: () => Promise<void>): Promise<void> => {
      const since = gateway.events.length;
      await write();
      await gateway.event('swapped', () => true, since);
    };
    const folder = join(gateway.folder, 'texts');
    await mkdir(folder);
    const file = join(folder, 'llms.txt');
    await writeFile(file, '# one');
    await swapped(() => gateway.write(policy('named', 'llms: { text: { file: texts/llms.txt } }\n')));
    assert.equal(await about(), '# one');
    for (const text of ['# two', '# three']) {
      await swapped(() => writeFile(file, text));
      assert.equal(await about(), text);
    }
  });

  test('requests that run all the time notice nothing of ten swaps', { timeout: 60_000 }, async () => {
    const done = new AbortController();
    const failures: string[] = [];
    let served = 0;
    const load = async (): Promise<void> => {
      while (!done.signal.aborted) {
        try {
          const answer = await ask(`${gateway.url}/steady`, { agent: gateway.agent });
          if (answer.status !== 200) failures.push(`${answer.status} ${answer.text()}`);
          served++;
        } catch (error) {
          failures.push(String(error));
        }
      }
    };
    const clients = [load(), load(), load()];
    for (let round = 0; round < 10; round++) {
      const since = gateway.events.length;
      await gateway.write(policy(`round-${round}`));
      await gateway.event('swapped', () => true, since);
      assert.equal(await version(gateway), `round-${round}`);
    }
    done.abort();
    await Promise.all(clients);
    assert.deepEqual(failures, []);
    assert.ok(served > 10);
  });

  test('a new origin address restarts with a drain: a request in flight is finished', { timeout: 30_000 }, async () => {
    const other = await startEcho('other');
    try {
      const inflight = ask(`${gateway.url}/slow?delay=1s`);
      await echo.arrival((request) => request.path === '/slow?delay=1s');
      const since = gateway.events.length;
      await gateway.write(policy('moved').replaceAll(echo.url, other.url));
      await gateway.event('swapped', () => true, since);
      assert.equal((await inflight).status, 200);
      assert.equal((await ask(`${gateway.url}/after`)).echo().backend, 'other');
    } finally {
      await other.stop();
    }
  });
});

test('what cannot be restarted with a new address goes on as it was', { timeout: 30_000 }, async () => {
  const pair = await certificate(await mkdtemp(join(folder, 'tls-')), ['127.0.0.1']);
  const gateway = await startGateway({
    policy: policy('one'),
    args: ['--tls-cert', pair.certFile, '--tls-key', pair.keyFile, '--watch'],
  });
  const other = await startEcho('other');
  const seen = async (): Promise<string> => {
    const asked = secureRequest(`${gateway.url}/x`, { ca: pair.cert, agent: false }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    return (await collect(response)).echo().backend;
  };
  try {
    assert.equal(await seen(), 'web');
    await rm(pair.keyFile);
    let since = gateway.events.length;
    await gateway.write(policy('one').replaceAll(echo.url, other.url));
    const { reason } = await gateway.event('rejected', () => true, since);
    assert.equal(reason, `there is no file ${pair.keyFile}`);
    assert.equal(await seen(), 'web');
    await writeFile(pair.keyFile, 'no key');
    since = gateway.events.length;
    assert.equal((await control(gateway.control, 'POST', '/v1/reload')).status, 409);
    assert.match(String((await gateway.event('rejected', () => true, since))['reason']), /^workerd did not start: /);
    assert.equal(await seen(), 'web');
    await writeFile(pair.keyFile, pair.key);
    assert.equal((await control(gateway.control, 'POST', '/v1/reload')).status, 200);
    assert.equal(await seen(), 'other');
  } finally {
    await gateway.stop();
    await other.stop();
  }
});

describe('control socket', () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway({ policy: policy('one') });
  });
  after(() => gateway.stop());

  test('is a unix socket for its owner alone, and answers health, status and metrics', async () => {
    const { mode } = await stat(gateway.control);
    assert.equal(mode & 0o777, 0o600);
    assert.equal((await control(gateway.control, 'GET', '/healthz')).status, 200);
    assert.equal((await control(gateway.control, 'GET', '/readyz')).status, 200);
    await ask(`${gateway.url}/version`);
    assert.match((await control(gateway.control, 'GET', '/v1/status')).text, /"generation"/);
    assert.match((await control(gateway.control, 'GET', '/metrics')).text, /^# TYPE sallyport_/m);
    assert.equal((await control(gateway.control, 'GET', '/nothing')).status, 404);
  });

  test('is not to be reached through the public port', async () => {
    for (const path of ['/v1/status', '/v1/swap', '/metrics', '/healthz']) {
      assert.equal(
        (
          await ask(`${gateway.url}${path}`, {
            method: path.includes('swap') ? 'POST' : 'GET',
            body: path.includes('swap') ? '{}' : '',
          })
        ).echo().backend,
        'web',
        path,
      );
    }
  });

  test('a corrupted image is refused and the served one stays', async () => {
    const images = await findImages(gateway.folder, gateway.control);
    assert.ok(images.length > 0, 'no images on disk');
    const keep = await Promise.all(images.map((file) => readFile(file)));
    try {
      for (const file of images) {
        const data = await readFile(file);
        data[data.length >> 1] = (data[data.length >> 1] as number) ^ 0xff;
        await writeFile(file, data);
      }
      // A worker that has to load them again must refuse: the digest is in the name.
      const [worker] = await children(gateway.pid);
      assert.ok(worker);
      const since = gateway.events.length;
      process.kill(worker, 'SIGKILL');
      await gateway.event('crashed', () => true, since);
      await until(async () => (await ask(`${gateway.url}/version`).catch(() => null))?.status === 503);
    } finally {
      await Promise.all(images.map((file, index) => writeFile(file, keep[index] as Buffer)));
    }
    await until(async () => (await ask(`${gateway.url}/version`).catch(() => null))?.status === 200);
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const late = Date.now() + 15_000;
  while (!(await holds())) {
    assert.ok(Date.now() < late, 'it did not happen within 15 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function findImages(...places: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const place of places) {
    const base = place.endsWith('.sock') ? join(place, '..') : place;
    const entries = await readdir(base, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries)
      if (entry.isFile() && /^[0-9a-f]{64}(\.img)?$/.test(entry.name)) found.push(join(entry.parentPath, entry.name));
  }
  return [...new Set(found)];
}

describe('processes', () => {
  test('a crash of workerd: another takes its place on the same port', { timeout: 30_000 }, async () => {
    const gateway = await startGateway({ policy: policy('one') });
    try {
      const [worker] = await children(gateway.pid);
      assert.ok(worker);
      process.kill(worker, 'SIGSEGV');
      await gateway.event('restarted');
      assert.equal(await version(gateway), 'one');
      assert.notEqual((await children(gateway.pid))[0], worker);
    } finally {
      await gateway.stop();
    }
  });

  test('SIGTERM: what is in flight is finished, the end is clean, nothing is left', { timeout: 30_000 }, async () => {
    const gateway = await startGateway({ policy: policy('one') });
    const inflight = ask(`${gateway.url}/slow?delay=900ms&drain`);
    await echo.arrival((request) => request.path.endsWith('&drain'));
    const workers = await children(gateway.pid);
    gateway.signal('SIGTERM');
    assert.equal((await inflight).status, 200);
    assert.equal(await gateway.exited, 0);
    for (const pid of workers) assert.throws(() => process.kill(pid, 0));
    await assert.rejects(ask(`${gateway.url}/version`), /ECONNREFUSED/);
    assert.equal(gateway.events.at(-1)?.event, 'stopped');
    await gateway.stop();
  });

  test('--workers 2: both serve one port, both get a swap', { timeout: 40_000 }, async () => {
    const gateway = await startGateway({ policy: policy('one'), args: ['--workers', '2', '--watch'] });
    try {
      const workers = await children(gateway.pid);
      assert.equal(workers.length, 2);
      const since = gateway.events.length;
      await gateway.write(policy('two'));
      await gateway.event('swapped', () => true, since);
      const answers = await Promise.all(Array.from({ length: 40 }, () => version(gateway)));
      assert.deepEqual([...new Set(answers)], ['two']);
      const used = await Promise.all(
        workers.map(async (pid) => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ').pop()?.split(' ')[11]),
      );
      assert.equal(used.length, 2);
      process.kill(workers[0] as number, 'SIGKILL');
      await gateway.event('restarted');
      assert.equal((await children(gateway.pid)).length, 2);
      assert.deepEqual([...new Set(await Promise.all(Array.from({ length: 20 }, () => version(gateway))))], ['two']);
    } finally {
      await gateway.stop();
    }
  });

  test('TLS: 1.2 and 1.3, HTTP/1.1, the scheme reaches the origin', { timeout: 30_000 }, async () => {
    const { cert, keyFile, certFile } = await certificate(folder, ['secure.test', 'localhost', '127.0.0.1']);
    const gateway = await startGateway({ policy: policy('one'), args: ['--tls-cert', certFile, '--tls-key', keyFile] });
    try {
      assert.match(gateway.url, /^https:/);
      const answer = await ask(`${gateway.url}/x`, { host: 'secure.test', servername: 'secure.test', ca: cert });
      assert.equal(answer.status, 200);
      assert.equal(answer.echo().headers['x-forwarded-proto'], 'https');
      for (const [version, works] of [
        ['TLSv1.3', true],
        ['TLSv1.2', true],
        ['TLSv1.1', false],
      ] as const) {
        const socket = tlsConnect({
          port: gateway.port,
          host: '127.0.0.1',
          ca: cert,
          servername: 'secure.test',
          minVersion: version,
          maxVersion: version,
          ALPNProtocols: ['h2', 'http/1.1'],
          ciphers: 'DEFAULT@SECLEVEL=0',
        });
        const outcome = await Promise.race([
          once(socket, 'secureConnect').then(() => true),
          once(socket, 'error').then(() => false),
        ]).catch(() => false);
        assert.equal(outcome, works, version);
        if (works) assert.notEqual(socket.alpnProtocol, 'h2');
        socket.destroy();
      }
    } finally {
      await gateway.stop();
    }
  });

  test(
    'without --allow-loopback an origin on this machine is denied, and it is said',
    { timeout: 30_000 },
    async () => {
      let refusal = '';
      const gateway = await startGateway({ policy: policy('one'), allowLoopback: false }).catch((error: Error) => {
        refusal = error.message;
        return null;
      });
      if (gateway === null) {
        assert.match(refusal, /loopback/);
        return;
      }
      try {
        const answer = await ask(`${gateway.url}/x`);
        assert.ok([502, 503].includes(answer.status), String(answer.status));
        assert.match(JSON.stringify(gateway.events) + gateway.stderr(), /loopback/);
      } finally {
        await gateway.stop();
      }
    },
  );
});

describe('the command line says what is wrong in one sentence', () => {
  test('a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    try {
      const file = join(folder, 'taken.yaml');
      await writeFile(file, policy('one'));
      const { code, stdout, stderr } = await run(['serve', file, '--listen', `127.0.0.1:${port}`, '--allow-loopback']);
      assert.notEqual(code, 0);
      assert.match(stdout + stderr, new RegExp(`${port}.*in use`));
      assert.doesNotMatch(stdout + stderr, /\n\s+at /);
    } finally {
      server.close();
    }
  });

  test('a missing file', async () => {
    const { code, stdout, stderr } = await run(['serve', join(folder, 'nowhere.yaml')]);
    assert.notEqual(code, 0);
    assert.match(stdout + stderr, /nowhere\.yaml/);
    assert.doesNotMatch(stdout + stderr, /\n\s+at /);
  });

  test('a policy with a mistake is not served: file, line, column, cause, fix', async () => {
    const file = join(folder, 'mistake.yaml');
    await writeFile(file, 'app: x\nbackends: { web: { url: http://127.0.0.1:1 } }\nroutes:\n  - { bakend: web }\n');
    const { code, stdout, stderr } = await run(['check', file]);
    assert.equal(code, 1);
    assert.match(stdout + stderr, /mistake\.yaml:4:\d+/);
    assert.match(stdout + stderr, /backend/);
    const json = await run(['check', file, '--json']);
    assert.equal(json.code, 1);
    assert.ok(JSON.parse(json.stdout));
    assert.notEqual((await run(['serve', file, '--listen', '127.0.0.1:0', '--allow-loopback'])).code, 0);
  });
});
