import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { WebSocketServer, type WebSocket } from 'ws';
import { RESET_CODE } from '../frame.ts';
import { BINARY, CLOSING, decodeClose, MAX_SOCKET_MESSAGE, MESSAGE_HEADER, TEXT } from '../message.ts';
import { MAX_ASSEMBLED } from './websocket.ts';
import { listening, pair, pause, until, type Pair } from '../../../test/support/tunnel-pair.ts';

async function webSocketOrigin(onSocket: (socket: WebSocket, request: IncomingMessage) => void): Promise<Pair> {
  const http = createServer((_request, response) => response.writeHead(426, { 'x-why': 'no' }).end('upgrade first'));
  const server = new WebSocketServer({
    server: http,
    handleProtocols: (all) => (all.has('b') ? 'b' : false),
    maxPayload: 0,
  });
  server.on('connection', onSocket);
  server.on('headers', (headers) => headers.push('X-Extra: Yes'));
  return await pair({ '': { protocol: 'http', host: '127.0.0.1', port: await listening(http) } });
}

test('messages that are not whole are held up to a limit, of all streams together', async () => {
  const { edge, connector } = await webSocketOrigin(() => {});
  const most = MAX_SOCKET_MESSAGE - 1;
  // A header that promises more than ever comes.
  const begun = new Uint8Array(MESSAGE_HEADER + most);
  begun[0] = BINARY;
  new DataView(begun.buffer).setUint32(1, MAX_SOCKET_MESSAGE);
  const fitting = Math.floor(MAX_ASSEMBLED / begun.byteLength);
  const sockets = [];
  for (let i = 0; i < fitting; i++) {
    const socket = await edge.webSocket();
    await socket.stream.write(begun);
    sockets.push(socket);
  }
  assert.equal(connector.streams, fitting);
  const last = await edge.webSocket();
  await last.stream.write(begun).catch(() => {});
  assert.match((await last.ended)!.message, /messages that are not whole/);
  // Those that go make room.
  for (const { stream } of sockets) stream.reset(RESET_CODE.cancelled, '');
  await until(() => connector.streams === 0);
  const next = await edge.webSocket();
  await next.stream.write(begun);
  await next.send('').catch(() => {});
  assert.ok(next.stream.open);
});

test('texts, binaries, the subprotocol and fields go through', async () => {
  let asked: string[] = [];
  let path: string | undefined;
  const { edge } = await webSocketOrigin((socket, request) => {
    asked = request.rawHeaders;
    path = request.url;
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  const fields = [
    ['Sec-WebSocket-Protocol', 'a, b'],
    ['Sec-WebSocket-Key', 'of the hop before'],
    ['Sec-WebSocket-Extensions', 'permessage-deflate'],
    ['Origin', 'https://app.test'],
    ['Cookie', 'a=1'],
    ['constructor', 'of nothing'],
    ['__proto__', 'a client may say so'],
    ['X-Twice', '1'],
    ['X-Twice', '2'],
  ] as const;
  const target = "/a/../live//%2e%2e/\\x?x=1|'#y";
  const socket = await edge.webSocket({ target, fields });
  assert.equal(socket.head.status, 101);
  const head = new Map(socket.head.fields.map(([name, value]) => [name, value]));
  assert.deepEqual([head.get('Sec-WebSocket-Protocol'), head.get('X-Extra')], ['b', 'Yes']);
  assert.ok(!head.has('Sec-WebSocket-Accept') && !head.has('Upgrade'));
  const sent = new Map(
    asked.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), asked[i + 1]]] : [])) as [string, string][],
  );
  assert.deepEqual([sent.get('host'), sent.get('origin'), sent.get('cookie')], ['app.test', 'https://app.test', 'a=1']);
  assert.equal(path, target);
  assert.deepEqual([sent.get('constructor'), sent.get('__proto__')], ['of nothing', 'a client may say so']);
  assert.deepEqual(
    asked.filter((_, i) => asked[i - 1]?.toLowerCase() === 'x-twice'),
    ['1', '2'],
  );
  assert.equal(sent.has('sec-websocket-extensions'), false);
  assert.notEqual(sent.get('sec-websocket-key'), 'of the hop before');
  const large = new Uint8Array(1_500_000).map((_, i) => i % 251);
  await Promise.all([socket.send('grüße'), socket.send(Uint8Array.of(0, 255)), socket.send(''), socket.send(large)]);
  await until(() => socket.messages.length === 4);
  assert.deepEqual(
    socket.messages.map(({ opcode }) => opcode),
    [TEXT, BINARY, TEXT, BINARY],
  );
  assert.equal(new TextDecoder().decode(socket.messages[0]!.payload), 'grüße');
  assert.deepEqual([...socket.messages[1]!.payload], [0, 255]);
  assert.deepEqual(Buffer.compare(socket.messages[3]!.payload, large), 0);
});

test('close codes go through, either way', async () => {
  const closes: [number, string][] = [];
  const { edge } = await webSocketOrigin((socket, request) => {
    socket.on('close', (code, reason) => closes.push([code, reason.toString()]));
    if (request.url === '/first') socket.close(4123, 'enough');
    if (request.url === '/none') socket.close();
    if (request.url === '/burst') {
      for (let i = 0; i < 300; i++) socket.send(`${i}`);
      socket.close(1001, 'going');
    }
  });
  for (const [target, code, reason, messages] of [
    ['/first', 4123, 'enough', 0],
    ['/none', 1005, '', 0],
    ['/burst', 1001, 'going', 300],
  ] as const) {
    const socket = await edge.webSocket({ target });
    assert.equal(await socket.ended, null);
    const close = socket.messages.at(-1)!;
    assert.deepEqual([close.opcode, decodeClose(close.payload)], [CLOSING, { code, reason }]);
    assert.deepEqual(
      socket.messages.slice(0, -1).map(({ payload }) => new TextDecoder().decode(payload)),
      Array.from({ length: messages }, (_, i) => `${i}`),
    );
  }
  closes.length = 0;
  const ours = await edge.webSocket({ target: '/wait' });
  await ours.close(3001, 'bye');
  await until(() => closes.length === 1);
  const plain = await edge.webSocket({ target: '/wait' });
  await plain.close(1005, '');
  await until(() => closes.length === 2);
  const gone = await edge.webSocket({ target: '/wait' });
  gone.stream.reset(RESET_CODE.cancelled, 'the client has gone');
  await until(() => closes.length === 3);
  assert.deepEqual(closes, [
    [3001, 'bye'],
    [1005, ''],
    [1006, ''],
  ]);
});

test('a target that refuses the upgrade, breaks off, or sends what is too long', async () => {
  const { edge } = await webSocketOrigin((socket, request) => {
    if (request.url === '/break') socket.terminate();
    if (request.url === '/long') socket.send(new Uint8Array(MAX_SOCKET_MESSAGE + 1));
    if (request.url === '/fits') socket.send(new Uint8Array(MAX_SOCKET_MESSAGE));
  });
  assert.equal((await (await edge.webSocket({ target: '/break' })).ended)?.code, RESET_CODE.internal);
  const fits = await edge.webSocket({ target: '/fits' });
  await until(() => fits.messages.length === 1);
  const long = await edge.webSocket({ target: '/long' });
  assert.notEqual((await long.ended)?.code, undefined);

  const http = createServer();
  http.on('upgrade', (_request, socket) =>
    socket.end('HTTP/1.1 403 No\r\nX-Why: rights\r\nContent-Length: 4\r\n\r\nnope'),
  );
  const { edge: other } = await pair({ '': { protocol: 'http', host: '127.0.0.1', port: await listening(http) } });
  const refused = await other.webSocket();
  await refused.ended;
  assert.deepEqual([refused.head.status, refused.head.reason, refused.body()], [403, 'No', 'nope']);
});

test('a client that reads nothing stops the target', async () => {
  let target: WebSocket | null = null;
  const { edge } = await webSocketOrigin((socket) => {
    target = socket;
    const more = (): void => {
      if (socket.readyState === socket.OPEN && socket.bufferedAmount < 4_000_000) socket.send(new Uint8Array(65_536));
      if (socket.readyState === socket.OPEN) setTimeout(more, socket.bufferedAmount < 4_000_000 ? 0 : 10);
    };
    more();
  });
  const socket = await edge.webSocket();
  let bytes = 0;
  socket.stream.onData = (chunk) => (bytes += chunk.byteLength);
  await until(() => (target?.bufferedAmount ?? 0) >= 4_000_000);
  await pause(50);
  assert.ok(bytes <= 262_144, `${bytes} bytes`);
  socket.stream.reset(RESET_CODE.cancelled);
});
