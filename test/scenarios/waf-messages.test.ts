/** WebSocket messages and server-sent events that the WAF looks at. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { MAX_BACKLOG } from '../../src/backlog.ts';
import { ask } from '../client.ts';
import { indented, SCORING } from '../support/scoring.ts';
import { onEachTarget } from './targets.ts';

let server: Server;
let sockets: WebSocketServer;

/** Bytes that `flood` has sent so far. */
let flooded = 0;
/** Sends as fast as it is read. */
function flood(socket: WebSocket): void {
  if (socket.readyState !== WebSocket.OPEN) return;
  flooded += 60_000;
  socket.send(Buffer.alloc(60_000), () => setImmediate(flood, socket));
}

/** Echoes messages, `leak` with one that leaks; /events sends the events that the query asks for, `|` between them. */
const policy = async (): Promise<string> => {
  server = createServer((request, response) => {
    const events = decodeURIComponent(new URL(request.url ?? '', 'http://a').search.slice(1)).split('|');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of events) response.write(`data: ${event}\n\n`);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, { url = '' }) => {
    socket.on('error', () => {});
    if (url.includes('sink')) socket.pause();
    if (url.includes('flood')) flood(socket);
    socket.on('message', (data: Buffer, binary) =>
      socket.send(data.toString() === 'leak' ? 'here: leak-7' : data, { binary }),
    );
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `
app: messages
backends: { web: { url: http://127.0.0.1:${port} } }
waf:
  ruleset: none
  messages: enforce
  secLang: |
${indented(SCORING, 4)}
routes:
  - { name: quiet, matches: [{ path: { value: /quiet } }], backend: web, waf: { messages: log } }
  - { name: off, matches: [{ path: { value: /off } }], backend: web, waf: { messages: "off" } }
  - { name: rest, backend: web }
`;
};

const teardown = async (): Promise<void> => {
  for (const socket of sockets.clients) socket.terminate();
  sockets.close();
  server.closeAllConnections();
  server.close();
};

onEachTarget('waf messages', { policy, teardown }, (world) => {
  const open = async (path: string): Promise<WebSocket> => {
    const socket = new WebSocket(`${world.url.replace('http', 'ws')}${path}`, { perMessageDeflate: false });
    socket.on('error', () => {});
    await once(socket, 'open');
    return socket;
  };
  const echoed = async (socket: WebSocket, message: string | Buffer): Promise<Buffer> => {
    const back = once(socket, 'message');
    socket.send(message);
    return (await back)[0] as Buffer;
  };
  const closedBy = async (socket: WebSocket, message: string): Promise<number> => {
    const closed = once(socket, 'close');
    socket.send(message);
    return (await closed)[0] as number;
  };

  test('harmless messages pass both ways, binary ones untouched', { timeout: 20_000 }, async () => {
    const socket = await open('/chat');
    assert.equal(String(await echoed(socket, 'hello')), 'hello');
    assert.equal(String(await echoed(socket, '{"a":["b"]}')), '{"a":["b"]}');
    // Text that only begins like JSON is text: no body that is malformed.
    assert.equal(String(await echoed(socket, '[12:30] hello')), '[12:30] hello');
    assert.deepEqual(await echoed(socket, Buffer.from('p1 \u0000')), Buffer.from('p1 \u0000'));
    const closed = once(socket, 'close');
    socket.close(4001, 'done');
    assert.equal((await closed)[0], 4001);
  });

  test('a message that scores closes the socket with 1008, as text and inside JSON', { timeout: 20_000 }, async () => {
    const since = world.gateway.events.length;
    assert.equal(await closedBy(await open('/chat'), 'say p1 now'), 1008);
    assert.equal(await closedBy(await open('/chat'), '{"a":{"b":["p1"]}}'), 1008);
    assert.equal(await closedBy(await open('/chat'), '{"a": p1'), 1008);
    const line = await world.gateway.event('access', (event) => event['method'] === 'MESSAGE', since);
    const { events } = line['waf'] as { events: { rule: number; matched: string }[] };
    assert.equal(events[0]?.rule, 201);
    assert.match(events[0]?.matched ?? '', /redacted/, 'messages are bodies');
    assert.equal(line['from'], 'client');
  });

  test('what an origin says is judged as an answer', { timeout: 20_000 }, async () => {
    assert.equal(await closedBy(await open('/chat'), 'leak'), 1008);
  });

  test('a message longer than is inspected closes the socket', { timeout: 20_000 }, async () => {
    assert.equal(await closedBy(await open('/chat'), 'x'.repeat(65_537)), 1009);
    assert.equal((await echoed(await open('/chat'), 'x'.repeat(65_536))).length, 65_536);
  });

  test(
    'an origin that reads nothing: the client is let go, and not all it sends is held',
    { timeout: 30_000 },
    async () => {
      const socket = await open('/sink');
      let sent = 0;
      const closed = once(socket, 'close');
      const send = (): void => {
        if (socket.readyState !== WebSocket.OPEN) return;
        sent += 60_000;
        socket.send(Buffer.alloc(60_000), () => setImmediate(send));
      };
      send();
      assert.equal((await closed)[0], 1013);
      assert.ok(sent > MAX_BACKLOG);
    },
  );

  test('a client that reads nothing: it is let go, and the origin is told', { timeout: 30_000 }, async () => {
    flooded = 0;
    const told = once(sockets, 'connection').then(([socket]) => once(socket as WebSocket, 'close'));
    const socket = await open('/flood');
    socket.pause();
    assert.equal((await told)[0], 1013);
    assert.ok(flooded > MAX_BACKLOG);
    const closed = once(socket, 'close');
    socket.resume();
    assert.equal((await closed)[0], 1013);
  });

  test('mode log lets everything pass and tells it; off tells nothing', { timeout: 20_000 }, async () => {
    const since = world.gateway.events.length;
    const quiet = await open('/quiet');
    assert.equal(String(await echoed(quiet, 'p1')), 'p1');
    const line = await world.gateway.event('access', (event) => event['method'] === 'MESSAGE', since);
    assert.deepEqual([line['status'], (line['waf'] as Record<string, unknown>)['blocked']], [0, true]);
    assert.equal(String(await echoed(await open('/off'), 'p1')), 'p1');
  });

  test('server-sent events pass one by one until one is blocked', { timeout: 20_000 }, async () => {
    const passed = await ask(`${world.url}/events?one|two|three`);
    assert.equal(passed.text(), 'data: one\n\ndata: two\n\ndata: three\n\n');
    const cut = await ask(`${world.url}/events?one|leak-5|three`);
    assert.equal(cut.text(), 'data: one\n\n');
    const quiet = await ask(`${world.url}/quiet?one|leak-5|three`);
    assert.match(quiet.text(), /leak-5/);
  });
});
