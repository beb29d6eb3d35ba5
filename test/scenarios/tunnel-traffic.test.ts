/** What a tunnel carries, on a good network and on bad ones: every byte accounted for. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { collect } from '../client.ts';
import { bytes, sha256, startEcho, TEXT, type Echo } from '../echo.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { HOST, startTunnel, type Tunnel } from '../support/tunnel.ts';

let origin: Echo;
let tunnel: Tunnel;

before(async () => {
  origin = await startEcho('behind');
  tunnel = await startTunnel(origin.port);
});
after(async () => {
  await tunnel?.stop();
  await origin?.stop();
});

const answerTo = async (request: ClientRequest): Promise<IncomingMessage> =>
  ((await once(request, 'response')) as [IncomingMessage])[0];

async function webSocket(path = '/socket'): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${tunnel.gateway.port}${path}`, { headers: { host: HOST } });
  socket.on('error', () => {});
  await once(socket, 'open');
  return socket;
}

/** A body both ways at once, in pieces, with a checksum over what came back. */
async function echoed(length: number, path = '/stream'): Promise<void> {
  const body = bytes(length);
  const request = tunnel.begin(path, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
  const answered = answerTo(request);
  const write = (async () => {
    for (let at = 0; at < length; at += 50_000)
      if (!request.write(body.subarray(at, at + 50_000))) await once(request, 'drain');
    request.end();
  })();
  const answer = await collect(await answered);
  await write;
  assert.equal(answer.status, 200);
  assert.equal(answer.body.length, length);
  assert.equal(sha256(answer.body), sha256(body));
}

describe('a tunnel carries', () => {
  test('methods, targets, header lines and bodies as they were', { timeout: 20_000 }, async () => {
    const headers: [string, string][] = [
      ['X-Tone', 'one'],
      ['accept', 'text/plain'],
      ['x-tone', 'two'],
    ];
    const answer = await tunnel.ask('/anything/a%2Fb?q=%zz&r=1', { method: 'PROPFIND', headers, body: 'a body' });
    assert.equal(answer.status, 200, answer.text());
    const got = answer.echo();
    assert.deepEqual([got.method, got.path], ['PROPFIND', '/anything/a%2Fb?q=%zz&r=1']);
    assert.equal(got.host, HOST);
    assert.equal(got.headers['x-tone'], 'one, two');
    assert.deepEqual(got.body, { length: 6, sha256: sha256('a body') });
  });

  test('status, header lines and their order, of the origin', { timeout: 20_000 }, async () => {
    const set = 'X-Second: 2, X-First: 1, X-Second: 3';
    const answer = await tunnel.ask('/status/418', { headers: { 'X-Echo-Set-Header': set } });
    assert.equal(answer.status, 418);
    const order = answer.lines.filter(([name]) => name.startsWith('x-')).map(([name, value]) => `${name}=${value}`);
    assert.equal(answer.headers['x-second'], '2, 3');
    assert.ok(order.includes('x-first=1'), order.join());
    const cookies = await tunnel.ask('/cookies/3');
    assert.equal(cookies.lines.filter(([name]) => name === 'set-cookie').length, 3);
    for (const status of [204, 304, 404, 503]) assert.equal((await tunnel.ask(`/status/${status}`)).status, status);
  });

  test('HEAD, ranges, compressed bodies', { timeout: 20_000 }, async () => {
    const head = await tunnel.ask('/bytes/5000', { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '5000', 0]);
    const part = await tunnel.ask('/bytes/5000', { headers: { range: 'bytes=1000-2999' } });
    assert.equal(part.status, 206);
    assert.equal(part.headers['content-range'], 'bytes 1000-2999/5000');
    assert.ok(part.body.equals(bytes(5000).subarray(1000, 3000)));
    assert.equal((await tunnel.ask('/bytes/10', { headers: { range: 'bytes=10-' } })).status, 416);
    const packed = await tunnel.ask('/gzip', { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    const { gunzipSync } = await import('node:zlib');
    assert.equal(gunzipSync(packed.body).toString(), TEXT);
  });

  test('Expect: 100-continue', { timeout: 20_000 }, async () => {
    const request = tunnel.begin('/anything', {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': '5' },
    });
    const answered = answerTo(request);
    const go = once(request, 'continue');
    request.flushHeaders();
    await go;
    request.end('hello');
    const answer = await collect(await answered);
    assert.equal(answer.echo().body.sha256, sha256('hello'));
  });

  test('large bodies, up and down, with and without a length', { timeout: 60_000 }, async () => {
    const size = 20_000_003;
    const all = bytes(size);
    const down = await tunnel.ask(`/bytes/${size}`);
    assert.equal(down.headers['content-length'], String(size));
    assert.ok(down.body.equals(all));
    const chunked = await tunnel.ask('/bytes/3000001?chunked');
    assert.ok(chunked.body.equals(bytes(3_000_001)));
    const up = await tunnel.ask('/anything', { method: 'PUT', body: all });
    assert.deepEqual(up.echo().body, { length: size, sha256: sha256(all) });
  });

  test('both directions at once, as they come', { timeout: 30_000 }, async () => {
    const request = tunnel.begin('/stream', { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
    const answered = answerTo(request);
    request.write('first');
    const response = await answered;
    const next = async (): Promise<string> => String(((await once(response, 'data')) as [Buffer])[0]);
    assert.equal(await next(), 'first');
    request.write('second');
    assert.equal(await next(), 'second');
    request.end();
    await once(response, 'end');
    await echoed(5_000_000);
  });

  test('server-sent events one by one', { timeout: 20_000 }, async () => {
    const request = tunnel.begin('/sse?events=3');
    const answered = answerTo(request);
    request.end();
    const response = await answered;
    for (let event = 1; event <= 3; event++) {
      const [chunk] = (await once(response, 'data')) as [Buffer];
      assert.match(String(chunk), new RegExp(`data: event ${event}\n`));
      origin.release();
    }
  });

  test('WebSockets: text, binary, large messages, close codes of either side', { timeout: 30_000 }, async () => {
    const socket = await webSocket();
    const echo = async (message: string | Buffer): Promise<{ data: Buffer; binary: boolean }> => {
      const back = once(socket, 'message');
      socket.send(message);
      const [data, binary] = (await back) as [Buffer, boolean];
      return { data, binary };
    };
    assert.deepEqual(await echo('grüße'), { data: Buffer.from('grüße'), binary: false });
    assert.deepEqual(await echo(''), { data: Buffer.alloc(0), binary: false });
    const large = bytes(900_000);
    const back = await echo(large);
    assert.ok(back.binary && back.data.equals(large));
    // Many in a row stay in order.
    const got: number[] = [];
    const all = new Promise<void>((done) =>
      socket.on('message', (data: Buffer) => got.push(Number(data)) === 2000 && done()),
    );
    for (let i = 0; i < 2000; i++) socket.send(String(i));
    await all;
    assert.deepEqual(
      got,
      Array.from({ length: 2000 }, (_, i) => i),
    );
    const ended = once(socket, 'close');
    const told = origin.closed();
    socket.send('close 4321 enough');
    assert.deepEqual((await ended).map(String), ['4321', 'enough']);
    await told;
    const other = await webSocket();
    const closed = origin.closed();
    other.close(4001, 'done');
    assert.deepEqual(await closed, { code: 4001, reason: 'done' });
  });

  test('hundreds of requests at once, each with its own answer', { timeout: 60_000 }, async () => {
    const connections = origin.connections;
    await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const body = bytes(1 + ((i * 7919) % 60_000));
        const answer = await tunnel.ask(`/anything/${i}`, { method: 'POST', body, agent: false });
        assert.deepEqual([answer.status, answer.echo().path], [200, `/anything/${i}`], answer.text().slice(0, 200));
        assert.equal(answer.echo().body.sha256, sha256(body));
      }),
    );
    assert.ok(origin.connections - connections <= 300);
  });

  test('slow readers hold nobody else up, and get everything', { timeout: 60_000 }, async () => {
    const size = 12_000_000;
    const slow = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const request = tunnel.begin(`/bytes/${size}`);
        const answered = answerTo(request);
        request.end();
        const response = await answered;
        response.pause();
        return response;
      }),
    );
    // While they read nothing.
    for (let i = 0; i < 20; i++) assert.equal((await tunnel.ask('/anything')).status, 200);
    const want = sha256(bytes(size));
    await Promise.all(slow.map(async (response) => assert.equal(sha256((await collect(response)).body), want)));
  });

  test('slow writers too', { timeout: 30_000 }, async () => {
    const request = tunnel.begin('/anything/slow', { method: 'POST', headers: { 'content-length': '30' } });
    const answered = answerTo(request);
    for (let i = 0; i < 10; i++) {
      request.write('abc');
      assert.equal((await tunnel.ask('/anything')).status, 200);
    }
    request.end();
    assert.equal((await collect(await answered)).echo().body.sha256, sha256('abc'.repeat(10)));
  });

  test('aborts: of the client to the origin, of the origin to the client', { timeout: 30_000 }, async () => {
    const dripping = tunnel.begin('/drip?client-goes');
    const answered = answerTo(dripping);
    dripping.end();
    const response = await answered;
    await once(response, 'data');
    const aborted = origin.abort('/drip?client-goes');
    dripping.destroy();
    await aborted;
    const cut = tunnel.begin('/cut');
    const half = answerTo(cut).then(collect);
    cut.end();
    await assert.rejects(half, /aborted|ECONNRESET|hang up/);
    assert.equal((await tunnel.ask('/reset')).status, 502);
    assert.equal((await tunnel.ask('/anything')).status, 200);
  });

  const networks: readonly [string, number, (wire: FaultProxy) => void][] = [
    [
      'in segments of one byte',
      20_000,
      ({ up, down }) => {
        up.segment = 1;
        down.segment = 1;
      },
    ],
    [
      'with a latency of 40 ms',
      400_000,
      ({ up, down }) => {
        up.latency = 40;
        down.latency = 40;
      },
    ],
    [
      'over 4 MB a second',
      1_000_000,
      ({ up, down }) => {
        up.bytesPerSecond = 4_000_000;
        down.bytesPerSecond = 4_000_000;
      },
    ],
  ];
  for (const [name, size, fault] of networks) {
    test(`all of it ${name}`, { timeout: 60_000 }, async () => {
      fault(tunnel.wire);
      try {
        await Promise.all([
          echoed(size),
          (async () => {
            const hash = createHash('sha256');
            const socket = await webSocket();
            const message = bytes(size / 10);
            for (let i = 0; i < 5; i++) {
              const back = once(socket, 'message');
              socket.send(message);
              hash.update(((await back) as [Buffer])[0]);
            }
            assert.equal(hash.digest('hex'), sha256(Buffer.concat(Array.from({ length: 5 }, () => message))));
            socket.terminate();
          })(),
          (async () => {
            for (let i = 0; i < 10; i++)
              assert.equal((await tunnel.ask(`/anything/${i}`)).echo().path, `/anything/${i}`);
          })(),
        ]);
      } finally {
        tunnel.wire.heal();
      }
    });
  }
});
