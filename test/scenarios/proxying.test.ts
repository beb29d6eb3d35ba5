import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { LOST_AFTER_MS, GUARD_MS } from '../../assembly/abi.ts';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { ask, begin, collect } from '../client.ts';
import { bytes, sha256, startEcho, TEXT, type Echo } from '../echo.ts';
import { exchange, head } from '../raw.ts';
import { onEachTarget } from './targets.ts';

let echo: Echo;

const policy = async (): Promise<string> => {
  echo = await startEcho('web');
  return `
app: proxying
backends:
  web: { url: ${echo.url} }
  based: { url: ${echo.url}/base }
routes:
  - { name: based, matches: [{ path: { type: PathPrefix, value: /under } }], backend: based }
  - { name: all, backend: web }
`;
};

/** Reads a response body until `done` says so; tells a missing piece apart from a late one by the test's own timeout. */
async function readUntil(response: IncomingMessage, done: (text: string) => boolean): Promise<string> {
  let text = '';
  for (;;) {
    const chunk = response.read() as Buffer | null;
    if (chunk !== null) text += chunk.toString('latin1');
    if (done(text)) return text;
    if (chunk === null)
      await Promise.race([
        once(response, 'readable'),
        once(response, 'end').then(() => Promise.reject(new Error(`ended after ${JSON.stringify(text)}`))),
      ]);
  }
}

onEachTarget('proxying', { policy, teardown: () => echo.stop() }, (world) => {
  const METHODS = [
    'GET',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'PROPFIND',
    'PROPPATCH',
    'MKCOL',
    'COPY',
    'MOVE',
    'LOCK',
    'UNLOCK',
    'REPORT',
    'SEARCH',
    'PURGE',
    'QUERY',
  ];
  for (const method of METHODS) {
    test(`method ${method}`, async () => {
      const body = ['GET', 'OPTIONS'].includes(method) ? {} : { body: 'payload' };
      const answer = await ask(`${world.url}/method`, { method, ...body });
      assert.equal(answer.status, 200);
      assert.equal(answer.echo().method, method);
      assert.equal(answer.echo().body.length, 'body' in body ? 7 : 0);
    });
  }

  test('a request arrives as it was sent: target, headers, body, length', async () => {
    const body = bytes(100_000);
    const answer = await ask(`${world.url}/a/b%20c/%C3%A4?x=1&y=a%26b&&z`, {
      method: 'POST',
      headers: { 'X-One': '1', 'content-type': 'application/x-thing' },
      body,
    });
    const seen = answer.echo();
    assert.equal(seen.path, '/a/b%20c/%C3%A4?x=1&y=a%26b&&z');
    assert.equal(seen.headers['x-one'], '1');
    assert.equal(seen.headers['content-type'], 'application/x-thing');
    assert.equal(seen.headers['content-length'], '100000');
    assert.equal(seen.headers['transfer-encoding'], undefined);
    assert.deepEqual(seen.body, { length: 100_000, sha256: sha256(body) });
  });

  test('the base path of a backend goes before the request path', async () => {
    assert.equal((await ask(`${world.url}/under/it?q=1`)).echo().path, '/base/under/it?q=1');
  });

  test('an empty POST stays a POST with length 0', async () => {
    const seen = (await ask(`${world.url}/empty`, { method: 'POST', headers: { 'content-length': '0' } })).echo();
    assert.equal(seen.body.length, 0);
    assert.equal(seen.headers['transfer-encoding'], undefined);
  });

  test('megabytes both ways come out unchanged', async () => {
    const up = bytes(3_000_000);
    assert.deepEqual((await ask(`${world.url}/up`, { method: 'PUT', body: up })).echo().body, {
      length: up.length,
      sha256: sha256(up),
    });
    const down = await ask(`${world.url}/bytes/3000000`);
    assert.equal(down.headers['content-length'], '3000000');
    assert.equal(sha256(down.body), sha256(up));
    assert.equal(sha256((await ask(`${world.url}/bytes/3000000?chunked`)).body), sha256(up));
  });

  test('bodies stream both ways at once: each chunk is back before the next is sent', { timeout: 15_000 }, async () => {
    const request = begin(`${world.url}/stream`, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
    const answered = once(request, 'response');
    request.write('first;');
    const [response] = (await answered) as [IncomingMessage];
    let seen = await readUntil(response, (text) => text.includes('first;'));
    for (const piece of ['second;', 'third;']) {
      request.write(piece);
      seen += await readUntil(response, (text) => text.includes(piece));
    }
    request.end();
    assert.equal(seen, 'first;second;third;');
    assert.equal((await collect(response)).body.length, 0);
  });

  test('server-sent events: each is here before the origin sends the next', { timeout: 15_000 }, async () => {
    const request = begin(`${world.url}/sse?events=3`);
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal(response.headers['content-type'], 'text/event-stream');
    for (const event of [1, 2, 3]) {
      await readUntil(response, (text) => text.includes(`data: event ${event}\n\n`));
      if (event < 3) echo.release();
    }
    assert.equal((await collect(response)).body.length, 0);
  });

  test('Expect: 100-continue', { timeout: 15_000 }, async () => {
    const request = begin(`${world.url}/expect`, {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': '4' },
    });
    request.flushHeaders();
    await once(request, 'continue');
    const answered = once(request, 'response');
    request.end('late');
    const [response] = (await answered) as [IncomingMessage];
    assert.deepEqual((await collect(response)).echo().body, { length: 4, sha256: sha256('late') });
  });

  test('HEAD keeps the length of what GET would send', async () => {
    const answer = await ask(`${world.url}/bytes/12345`, { method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-length'], '12345');
    assert.equal(answer.body.length, 0);
  });

  test('ranges', async () => {
    const part = await ask(`${world.url}/bytes/1000`, { headers: { range: 'bytes=100-199' } });
    assert.equal(part.status, 206);
    assert.equal(part.headers['content-range'], 'bytes 100-199/1000');
    assert.deepEqual(part.body, bytes(1000).subarray(100, 200));
    assert.equal((await ask(`${world.url}/bytes/1000`, { headers: { range: 'bytes=5000-' } })).status, 416);
  });

  for (const [path, packed] of [
    ['/gzip', gzipSync(TEXT)],
    ['/br', brotliCompressSync(TEXT)],
  ] as const) {
    test(`a compressed body goes through byte for byte: ${path}`, async () => {
      const answer = await ask(`${world.url}${path}`, { headers: { 'accept-encoding': path.slice(1) } });
      assert.equal(answer.headers['content-encoding'], path === '/gzip' ? 'gzip' : 'br');
      assert.deepEqual(answer.body, packed);
      assert.equal(answer.headers['content-length'], String(packed.length));
    });
  }

  test(
    'the origin sees the Accept-Encoding of the client, or none',
    { skip: world.target === 'cloudflare' ? 'Miniflare puts its own encoding around answers' : false },
    async () => {
      const asked = await ask(`${world.url}/`, { headers: { 'accept-encoding': 'br;q=0.5' } });
      assert.equal(asked.echo().headers['accept-encoding'], 'br;q=0.5');
      assert.equal((await ask(`${world.url}/`)).echo().headers['accept-encoding'], undefined);
    },
  );

  test('many Set-Cookie lines stay apart and in order', async () => {
    const answer = await ask(`${world.url}/cookies/40`);
    const cookies = answer.lines.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
    assert.equal(cookies.length, 40);
    cookies.forEach((value, index) =>
      assert.ok(value.startsWith(`c${index}=v${index}; Path=/; Expires=Thu, 01 Jan 2037`), value),
    );
  });

  test('two Cookie lines reach the origin as one, joined as cookies are', async () => {
    const seen = (
      await ask(`${world.url}/`, {
        headers: [
          ['Cookie', 'a=1'],
          ['Cookie', 'b=2; c=3'],
        ],
      })
    ).echo();
    assert.equal(seen.headers['cookie'], 'a=1; b=2; c=3');
  });

  test('statuses and bodies pass through', async () => {
    for (const status of [201, 204, 205, 301, 304, 400, 404, 418, 429, 500, 503]) {
      const answer = await ask(`${world.url}/status/${status}`);
      assert.equal(answer.status, status);
      if (![204, 205, 304].includes(status)) assert.equal(answer.echo().path, `/status/${status}`);
    }
  });

  test('redirects of the origin are not followed', async () => {
    const answer = await ask(`${world.url}/status/302`, { headers: { 'x-echo-set-header': 'location:/next' } });
    assert.equal(answer.status, 302);
    assert.equal(answer.headers['location'], '/next');
  });

  test('hop-by-hop fields end at the gateway, both ways', async () => {
    const answer = await exchange(
      world.port,
      head(
        'GET /hop HTTP/1.1',
        `Host: 127.0.0.1:${world.port}`,
        'Connection: close, X-Hop',
        'X-Hop: secret',
        'Keep-Alive: timeout=9',
        'Proxy-Connection: close',
        'TE: trailers',
        'Proxy-Authorization: Basic eDp5',
        'X-Echo-Set-Header: keep-alive:timeout=99,x-kept:1',
      ),
    );
    const [response] = answer.responses;
    assert.equal(response?.status, 200);
    const seen = JSON.parse(String(response?.body)) as { headers: Record<string, string> };
    for (const name of ['x-hop', 'keep-alive', 'proxy-connection', 'te', 'proxy-authorization'])
      assert.equal(seen.headers[name], undefined, name);
    assert.equal(response?.headers['x-kept'], '1');
    assert.notEqual(response?.headers['keep-alive'], 'timeout=99');
  });

  test('a client that goes away while reading: the origin is told', { timeout: 15_000 }, async () => {
    const request = begin(`${world.url}/drip?reading`);
    request.on('error', () => {});
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => {});
    await readUntil(response, (text) => text.includes('drip'));
    request.destroy();
    await echo.abort('/drip?reading');
  });

  test(
    'a client that resets while waiting: the origin is told',
    {
      timeout: 15_000,
      skip:
        world.target === 'cloudflare'
          ? 'Miniflare has its own worker between client and worker, which does not pass a reset on'
          : false,
    },
    async () => {
      const request = begin(`${world.url}/hang?waiting`);
      request.on('error', () => {});
      request.end();
      await echo.arrival((one) => one.path === '/hang?waiting');
      await new Promise((resolve) => setTimeout(resolve, 3 * GUARD_MS));
      // A reset, since the runtime does not look at a mere FIN before it writes: see ARCHITECTURE.md.
      request.socket?.resetAndDestroy();
      await echo.abort('/hang?waiting');
      // The exchange is seen through to its end: its line is written though nobody receives the answer.
      const first = await world.gateway.event(
        'access',
        (event) => event['path'] === '/hang' && event['status'] === 499,
      );
      // One that is lost at once is noticed later, on behalf of another.
      const hasty = begin(`${world.url}/hang?hasty`);
      hasty.on('error', () => {});
      hasty.end();
      await echo.arrival((one) => one.path === '/hang?hasty');
      hasty.socket?.resetAndDestroy();
      await echo.abort('/hang?hasty');
      await new Promise((resolve) => setTimeout(resolve, LOST_AFTER_MS + 1000));
      await fetch(world.url);
      await world.gateway.event(
        'access',
        (event) => event['id'] !== first['id'] && event['path'] === '/hang' && event['status'] === 499,
      );
    },
  );

  test('WebSocket: text, binary, large, subprotocol', { timeout: 15_000 }, async () => {
    const socket = new WebSocket(`${world.url.replace('http', 'ws')}/chat?room=1`, ['one', 'two'], {
      headers: { 'X-Mine': '7' },
    });
    await once(socket, 'open');
    assert.equal(socket.protocol, 'one');
    const seen = await echo.arrival((request) => request.path === '/chat?room=1');
    assert.equal(seen.headers['x-mine'], '7');
    assert.equal(seen.headers['sec-websocket-protocol'], 'one,two');
    for (const message of ['hello', Buffer.from([0, 1, 255]), bytes(900_000)]) {
      const back = once(socket, 'message');
      socket.send(message);
      const [data, binary] = (await back) as [Buffer, boolean];
      assert.equal(binary, typeof message !== 'string');
      assert.ok(Buffer.from(message).equals(data));
    }
    const closed = once(socket, 'close');
    socket.close(4001, 'done here');
    assert.deepEqual(await echo.closed(), { code: 4001, reason: 'done here' });
    assert.equal((await closed)[0], 4001);
  });

  test('WebSocket: code and reason of the origin reach the client', { timeout: 15_000 }, async () => {
    const socket = new WebSocket(`${world.url.replace('http', 'ws')}/chat`);
    await once(socket, 'open');
    const closed = once(socket, 'close');
    socket.send('close 4321 enough');
    const [code, reason] = (await closed) as [number, Buffer];
    assert.equal(code, 4321);
    assert.equal(reason.toString(), 'enough');
    await echo.closed();
  });

  test('WebSocket: an abort of either side ends the other', { timeout: 15_000 }, async () => {
    const first = new WebSocket(`${world.url.replace('http', 'ws')}/chat`);
    await once(first, 'open');
    first.terminate();
    const { code } = await echo.closed();
    assert.ok(code === 1006 || code === 1001 || code === 1011, `code ${code}`);

    const second = new WebSocket(`${world.url.replace('http', 'ws')}/chat`);
    second.on('error', () => {});
    await once(second, 'open');
    const closed = once(second, 'close');
    for (const socket of echo.sockets) socket.terminate();
    await closed;
    await echo.closed();
  });

  test('an upgrade that the origin refuses is an ordinary answer', { timeout: 15_000 }, async () => {
    const answer = await exchange(
      world.port,
      head(
        'GET /plain HTTP/1.1',
        `Host: 127.0.0.1:${world.port}`,
        'Connection: Upgrade',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAAP__',
      ),
    );
    assert.ok([200, 400, 426, 501].includes(answer.responses[0]?.status ?? 0), String(answer.responses[0]?.status));
  });

  test('one access line for each request', { timeout: 15_000 }, async () => {
    const since = world.gateway.events.length;
    const marks = Array.from({ length: 20 }, (_, i) => `/logged/${i}`);
    await Promise.all(marks.map((path) => ask(`${world.url}${path}`)));
    for (const path of marks)
      await world.gateway.event('access', (event) => JSON.stringify(event).includes(`${path}"`), since);
    assert.equal(
      world.gateway.events
        .slice(since)
        .filter((event) => event.event === 'access' && JSON.stringify(event).includes('/logged/')).length,
      20,
    );
  });
});
