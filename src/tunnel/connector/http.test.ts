import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { STREAM_WINDOW } from '../credit.ts';
import { RESET_CODE } from '../frame.ts';
import type { StreamReset } from '../stream.ts';
import {
  bodyOf as body,
  listening,
  origin,
  pair,
  pause,
  rawOrigin,
  resetOf,
  until,
} from '../../../test/support/tunnel-pair.ts';

test('heads go through in order and case, doubled fields doubled; fields of a hop do not', async () => {
  let seen: string[] = [];
  const { edge } = await origin((request, response) => {
    seen = request.rawHeaders;
    response.writeHead(299, 'As You Like', [
      ...['X-One', '1', 'set-COOKIE', 'a=1', 'x-TWO', '2', 'Set-Cookie', 'b=2', 'Keep-Alive', 'timeout=5'],
      ...['Content-Length', '2'],
    ]);
    response.end('ok');
  });
  const fields = [
    ['HOST', 'app.test'],
    ['x-b', '1'],
    ['X-A', '2'],
    ['x-b', '3'],
    ['Connection', 'x-b, keep-alive'],
    ['Transfer-Encoding', 'chunked'],
    ['TE', 'trailers'],
    ['Upgrade', 'h2c'],
  ] as const;
  const answer = await edge.request({ fields, target: '/a//b/../c?d=%zz' });
  assert.deepEqual(seen.slice(0, 8), ['HOST', 'app.test', 'x-b', '1', 'X-A', '2', 'x-b', '3']);
  assert.doesNotMatch(seen.join('\n').toLowerCase(), /transfer-encoding|upgrade|trailers/);
  assert.deepEqual([answer.status, answer.reason, String(answer.body)], [299, 'As You Like', 'ok']);
  assert.deepEqual(
    answer.fields.filter(([name]) => name !== 'Date'),
    [
      ['X-One', '1'],
      ['set-COOKIE', 'a=1'],
      ['x-TWO', '2'],
      ['Set-Cookie', 'b=2'],
      ['Content-Length', '2'],
    ],
  );
});

test('methods, ranges, HEAD, 304 and empty bodies', async () => {
  const { edge } = await origin((request, response) => {
    if (request.url === '/304') return response.writeHead(304, { etag: '"x"' }).end();
    if (request.url === '/range') return response.writeHead(206, { 'content-range': 'bytes 0-3/10' }).end('0123');
    response.writeHead(200, {
      'content-length': 5,
      'x-method': request.method,
      'x-length': request.headers['content-length'] ?? 'none',
    });
    response.end(request.method === 'HEAD' ? '' : 'hello');
  });
  const head = await edge.request({ method: 'HEAD' });
  assert.deepEqual([head.status, head.body.length, Object.fromEntries(head.fields)['content-length']], [200, 0, '5']);
  const range = await edge.request({ target: '/range', fields: [['Range', 'bytes=0-3']] });
  assert.deepEqual([range.status, String(range.body)], [206, '0123']);
  assert.equal((await edge.request({ target: '/304' })).status, 304);
  for (const [method, length] of [
    ['GET', 'none'],
    ['DELETE', 'none'],
    ['POST', '0'],
    ['PUT', '0'],
    ['PROPFIND', 'none'],
  ] as const) {
    const answer = await edge.request({ method });
    const fields = Object.fromEntries(answer.fields);
    assert.deepEqual([fields['x-method'], fields['x-length'], String(answer.body)], [method, length, 'hello']);
  }
});

test('large bodies both ways at once, byte for byte, on many streams', async () => {
  const { edge } = await origin((request, response) => void request.pipe(response), { sockets: 2 });
  const one = async (size: number): Promise<void> => {
    const bytes = Buffer.alloc(size, `${size}-and-a-tail-`);
    const answer = await edge.request({ method: 'POST', fields: [['Content-Length', String(size)]] }, bytes);
    assert.equal(
      createHash('sha256').update(answer.body).digest('hex'),
      createHash('sha256').update(bytes).digest('hex'),
    );
  };
  await Promise.all([1, 65_535, 65_536, 65_537, 1_000_000, 3_333_333, 262_144, 262_145].map(one));
});

test('a chunked body and its trailers, both ways', async () => {
  const { edge } = await origin(async (request, response) => {
    const got = await body(request);
    response.writeHead(200, { trailer: 'x-sum', 'x-te': request.headers['transfer-encoding'] });
    response.write(got);
    response.addTrailers({ 'x-sum': `${got.length} ${request.trailers['x-in']}` });
    response.end();
  });
  const { stream, answer } = edge.exchange({ method: 'POST', fields: [['Trailer', 'x-in']] });
  await stream.write(Buffer.from('abc'));
  await pause(20);
  await stream.write(Buffer.from('def'));
  stream.end(Buffer.from('\0\x01\0\x04x-in\0\0\0\x03end', 'latin1'));
  const { fields, body: bytes, trailers } = await answer;
  assert.equal(Object.fromEntries(fields)['x-te'], 'chunked');
  assert.deepEqual([String(bytes), trailers], ['abcdef', [['x-sum', '6 end']]]);
});

test('events of a stream arrive one by one', async () => {
  let push: ServerResponse | null = null;
  const { edge } = await origin((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    push = response;
  });
  const exchange = edge.exchange();
  exchange.stream.end();
  await until(() => exchange.head !== null && push !== null);
  for (let i = 1; i <= 5; i++) {
    push!.write(`data: ${i}\n\n`);
    await until(
      () =>
        Buffer.concat(exchange.chunks).toString() ===
        Array.from({ length: i }, (_, k) => `data: ${k + 1}\n\n`).join(''),
    );
  }
  // The client goes: the origin is told.
  const gone = new Promise((resolve) => push!.once('close', resolve));
  exchange.stream.reset(RESET_CODE.cancelled, 'the client has gone');
  await gone;
});

test('a client that goes before the answer is told to the origin', async () => {
  let closed = false;
  const { edge } = await origin((request) => void request.on('close', () => (closed = true)));
  const exchange = edge.exchange();
  exchange.stream.end();
  await pause(30);
  exchange.stream.reset(RESET_CODE.cancelled, 'gone');
  await until(() => closed);
});

test('an origin that breaks off is told to the client, whatever has been sent', async () => {
  const { edge } = await origin((request, response) => {
    if (request.url === '/mid') {
      response.writeHead(200, { 'content-length': 100 });
      response.write('some');
      setTimeout(() => response.destroy(), 20);
    } else response.destroy();
  });
  const early = await resetOf(edge.request({ method: 'POST' }));
  assert.equal(early.code, RESET_CODE.internal);
  const exchange = edge.exchange({ target: '/mid' });
  exchange.stream.end();
  assert.equal((await resetOf(exchange.answer)).code, RESET_CODE.internal);
  assert.equal(Buffer.concat(exchange.chunks).toString(), 'some');
});

test('nobody at the target, no such service, a kind that it does not carry', async () => {
  const { edge } = await pair({
    '': { protocol: 'http', host: '127.0.0.1', port: 1 },
    db: { protocol: 'tcp', host: '127.0.0.1', port: 1 },
  });
  const unreachable = await resetOf(edge.request());
  assert.deepEqual(
    [unreachable.code, unreachable.message],
    [RESET_CODE.unreachable, 'nobody listens at 127.0.0.1:1 (ECONNREFUSED)'],
  );
  assert.equal((await resetOf(edge.request({}, '', 'admin'))).code, RESET_CODE.refused);
  assert.equal((await resetOf(edge.request({}, '', 'db'))).code, RESET_CODE.refused);
  const tcp = edge.tcp();
  const reset = await new Promise<StreamReset>((resolve) => (tcp.onReset = resolve));
  assert.equal(reset.code, RESET_CODE.refused);
});

test('no second request can hide in a body', async () => {
  const heads: string[] = [];
  const { edge } = await origin(async (request, response) => {
    heads.push(`${request.method} ${request.url}`);
    response.end(
      await body(request).then(
        (bytes) => String(bytes.length),
        () => '',
      ),
    );
  });
  const smuggled = 'xxxxGET /admin HTTP/1.1\r\nHost: app.test\r\n\r\n';
  const longer = await resetOf(
    edge.request({ method: 'POST', target: '/1', fields: [['Content-Length', '4']] }, smuggled),
  );
  assert.equal(longer.code, RESET_CODE.protocol);
  const late = edge.exchange({ method: 'POST', target: '/2', fields: [['Content-Length', '4']] });
  await pause(20);
  await late.stream.write(Buffer.from(smuggled));
  assert.equal((await resetOf(late.answer)).code, RESET_CODE.protocol);
  const shorter = edge.exchange({ method: 'POST', target: '/3', fields: [['Content-Length', '9']] });
  await shorter.stream.write(Buffer.from('four'));
  shorter.stream.end();
  assert.equal((await resetOf(shorter.answer)).code, RESET_CODE.protocol);
  for (const value of ['4, 4', '+4', '0x4', '-1', ''])
    assert.equal(
      (await resetOf(edge.request({ method: 'POST', fields: [['Content-Length', value]] }, 'four'))).code,
      RESET_CODE.protocol,
      value,
    );
  const twice = edge.request(
    {
      method: 'POST',
      fields: [
        ['Content-Length', '4'],
        ['content-length', '4'],
      ],
    },
    'four',
  );
  assert.equal((await resetOf(twice)).code, RESET_CODE.protocol);
  // Transfer-Encoding of the edge's client is no framing of ours.
  const both = await edge.request(
    {
      method: 'POST',
      target: '/4',
      fields: [
        ['Transfer-Encoding', 'chunked'],
        ['Content-Length', '4'],
      ],
    },
    'four',
  );
  assert.equal(String(both.body), '4');
  assert.ok(!heads.some((head) => head.includes('admin')), heads.join());
});

test('Expect: 100-continue: the body waits, and is never sent to a target that refuses it', async () => {
  const server = createServer((_request, response) => response.end());
  const seen: string[] = [];
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/no') {
      request.on('data', () => seen.push('data'));
      return response.writeHead(417).end('no');
    }
    setTimeout(async () => {
      seen.push('continue');
      response.writeContinue();
      response.end(String((await body(request)).length));
    }, 30);
  });
  const port = await listening(server);
  const { edge } = await pair({ '': { protocol: 'http', host: '127.0.0.1', port } });
  const fields = [
    ['Content-Length', '400000'],
    ['Expect', '100-continue'],
  ] as const;
  const yes = await edge.request({ method: 'POST', fields }, new Uint8Array(400_000));
  assert.deepEqual([String(yes.body), seen], ['400000', ['continue']]);
  const no = edge.exchange({ method: 'POST', target: '/no', fields });
  void no.stream.write(new Uint8Array(400_000)).catch(() => {});
  const refused = await no.answer;
  assert.deepEqual([refused.status, String(refused.body), seen], [417, 'no', ['continue']]);
  assert.equal(
    (await edge.request({ method: 'POST', target: '/yes' }, 'after')).status,
    200,
    'the next one is not confused',
  );
});

test('a target that answers before it has the body, and goes', async () => {
  const { edge } = await rawOrigin((socket) => {
    socket.on('error', () => {});
    socket.once('data', () =>
      socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig'),
    );
  });
  const exchange = edge.exchange({ method: 'POST' });
  const writing = exchange.stream.write(new Uint8Array(64 * 1_048_576)).catch((error: StreamReset) => error.code);
  const answer = await exchange.answer;
  assert.deepEqual([answer.status, String(answer.body)], [413, 'big']);
  // What is still to come is stopped, not swallowed for ever.
  assert.equal(await writing, RESET_CODE.cancelled);
});

test('a kept connection that has died costs a request nothing that may be sent again', async () => {
  let connections = 0;
  const { edge } = await rawOrigin((socket) => {
    connections++;
    let requests = 0;
    socket.on('error', () => {});
    socket.on('data', () => {
      // The second request on a connection meets one that is closing.
      if (++requests === 2) return socket.destroy();
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  assert.equal((await edge.request()).status, 200);
  await pause(20);
  assert.equal((await edge.request()).status, 200);
  assert.equal(connections, 2);
  await pause(20);
  const post = await resetOf(edge.request({ method: 'POST' }, 'x'));
  assert.equal(post.code, RESET_CODE.internal, 'it may have been acted on');
});

test('what is sent again is framed by what is known by then', async () => {
  const seen: string[] = [];
  const { edge } = await rawOrigin((socket) => {
    const at = seen.push('') - 1;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      seen[at] += bytes.toString('latin1');
      // Chunked, as its end was not there with its head; the connection dies once it is.
      if (at === 0 && seen[at]!.endsWith('\r\n0\r\n\r\n')) return socket.destroy();
      if (at === 1 || !seen[at]!.includes('chunked')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  assert.equal((await edge.request({ target: '/1' })).status, 200);
  const late = edge.exchange({ target: '/2' });
  await until(() => /\/2 .*chunked\r\n\r\n$/s.test(seen[0]!));
  late.stream.end();
  assert.equal((await late.answer).status, 200);
  assert.equal((await edge.request({ target: '/3' })).status, 200);
  assert.equal(seen[1], 'GET /2 HTTP/1.1\r\nHost: app.test\r\n\r\nGET /3 HTTP/1.1\r\nHost: app.test\r\n\r\n');
});

test('what is no HTTP, and heads that do not fit', async () => {
  const answers: Record<string, string> = {
    '/no': 'SSH-2.0-OpenSSH_9.9\r\n',
    '/large': `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`,
    '/split': 'HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n',
    '/both': 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  };
  const { edge } = await rawOrigin((socket) => {
    socket.on('error', () => {});
    socket.once('data', (head) => socket.end(answers[/ (\/\w+) /.exec(String(head))![1]!]!));
  });
  for (const target of Object.keys(answers))
    assert.equal((await resetOf(edge.request({ target }))).code, RESET_CODE.internal, target);
});

test('a reader that takes nothing stops the origin at its window', async () => {
  let written = 0;
  const { edge } = await origin((_request, response) => {
    const chunk = Buffer.alloc(65_536);
    const more = (): void => {
      while (written < 64 * 1_048_576 && response.writable) {
        written += chunk.length;
        if (!response.write(chunk)) return void response.once('drain', more);
      }
    };
    more();
  });
  const stalled = edge.exchange({}, '', false);
  stalled.stream.end();
  let last = -1;
  await until(() => stalled.chunks.length > 0);
  while (last !== written) {
    last = written;
    await pause(150);
  }
  const arrived = stalled.chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  assert.ok(arrived <= STREAM_WINDOW, `${arrived} bytes`);
  // The rest lies in the kernel's buffers between origin and connector.
  assert.ok(written < 24 * 1_048_576, `${written} bytes`);
  // And others are not held up.
  const other = edge.exchange({ target: '/other' });
  other.stream.end();
  await until(() => other.chunks.length > 2);
  stalled.stream.reset(RESET_CODE.cancelled);
  other.stream.reset(RESET_CODE.cancelled);
});
