/**
 * A hostile edge before a real connector with a real target: upgrades that are refused, broken or silent, welcomes and
 * resumes that lie, frames that are sound, out of turn or broken, openings of services that were never published, sockets
 * that go at any moment. The connector never throws, asks no target but its own, and keeps neither streams nor connections
 * once it is closed. A right that is refused ends it; anything else has it dial again.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { generateConnectorKey } from '../../src/tunnel/capability.ts';
import { Connector } from '../../src/tunnel/connector/connector.ts';
import { Targets } from '../../src/tunnel/connector/targets.ts';
import {
  ackFrame,
  DATA,
  END,
  frame,
  GOAWAY,
  HEAD,
  OPEN,
  PING,
  PONG,
  reasonFrame,
  RESET,
  SUBPROTOCOL,
  windowFrame,
} from '../../src/tunnel/frame.ts';
import { encodeMessage, TEXT } from '../../src/tunnel/message.ts';
import { encodeOpening, HTTP, TCP, WEBSOCKET } from '../../src/tunnel/opening.ts';
import { writeWelcome } from '../../src/tunnel/welcome.ts';
import { random, type Random } from './random.ts';
import { hostileBytes } from './tunnel-frame.ts';

/** Of a server that is not published. */
let otherPort = 0;

function opening(r: Random, stream: number): Uint8Array {
  const service = r.pick(['', '', '', 'web', 'secret', 'localhost']);
  if (r.below(5) === 0) return frame(OPEN, stream, encodeOpening({ kind: TCP, service }));
  const fields: [string, string][] = [
    ['Host', r.pick(['a', '169.254.169.254', `127.0.0.1:${otherPort}`])],
    r.pick([
      ['Content-Length', '5'],
      ['Transfer-Encoding', 'chunked'],
      ['Connection', 'upgrade'],
      ['Expect', '100-continue'],
      ['X-A', 'b'],
    ]) as [string, string],
  ];
  const target = r.pick([
    '/',
    '/echo',
    '/endless',
    '/hang',
    'http://169.254.169.254/',
    `http://127.0.0.1:${otherPort}/`,
    '*',
    '//evil.example/',
  ]);
  const head = { method: r.pick(['GET', 'POST', 'CONNECT', 'HEAD', 'TRACE']), target, fields };
  return frame(OPEN, stream, encodeOpening({ kind: r.pick([HTTP, HTTP, HTTP, WEBSOCKET]), service, head }));
}

function message(r: Random, next: () => number): Uint8Array {
  const any = 1 + 2 * r.below(20);
  switch (r.below(11)) {
    case 0:
    case 1:
    case 2:
      return opening(r, next());
    case 3: {
      const id = next();
      return Buffer.concat([opening(r, id), frame(DATA, id, Buffer.alloc(r.below(2000), 'x')), frame(END, id)]);
    }
    case 4:
      return frame(DATA, any, Buffer.alloc(r.below(r.below(10) === 0 ? 65_536 : 2000)));
    case 5:
      return frame(r.pick([END, HEAD]), any, new Uint8Array(r.below(20)));
    case 6:
      return reasonFrame(RESET, any, r.below(9), 'why');
    case 7:
      return windowFrame(r.below(2) === 0 ? 0 : any, 1 + r.below(100_000));
    case 8:
      return r.pick([ackFrame(r.below(1000)), frame(PING, 0, new Uint8Array(8)), frame(PONG, 0, new Uint8Array(8))]);
    case 9:
      return frame(DATA, any, encodeMessage(TEXT, Buffer.from('hello')));
    default:
      return r.below(6) === 0 ? reasonFrame(GOAWAY, 0, 1, 'bye') : hostileBytes(r, opening(r, next()));
  }
}

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  let cases = 0; // messages, and lives of connectors
  const sockets = new Set<Socket>();
  const counted = (server: Server): Server => server.on('connection', (socket: Socket) => sockets.add(socket));

  const strangers: string[] = [];
  const origin = counted(
    createServer((request, response) => {
      request.on('error', () => {});
      response.on('error', () => {});
      if (request.url === '/hang') return;
      if (request.url === '/echo') return void request.pipe(response);
      if (request.url !== '/endless') return void response.end('fine');
      const chunk = Buffer.alloc(16_384);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    }),
  );
  const secret = counted(
    createServer((_request, response) => {
      strangers.push('the secret');
      response.end();
    }),
  );
  const port = async (server: Server): Promise<number> => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return (server.address() as AddressInfo).port;
  };
  const originPort = await port(origin);
  otherPort = await port(secret);

  const act = async (socket: WebSocket): Promise<void> => {
    let id = -1;
    const next = (): number => (id += 2);
    const lane = r.pick(['a', 'b']);
    const welcome = writeWelcome({
      lane,
      token: 't',
      resumed: r.below(4) === 0,
      received: r.below(3) === 0 ? r.below(5000) : 0,
      url: '',
    });
    if (r.below(12) > 0) socket.send(r.below(12) === 0 ? hostileBytes(r, Buffer.from(welcome)).toString() : welcome);
    for (let left = r.below(60); left > 0 && socket.readyState === socket.OPEN; left--) {
      socket.send(message(r, next));
      cases++;
      if (r.below(40) === 0) socket.send(r.pick(['pong', 'ping', '{', welcome]));
      if (r.below(6) === 0) await new Promise((done) => setTimeout(done, r.below(4)));
    }
    if (r.below(3) === 0) socket.terminate();
    else socket.close(r.pick([1000, 1011, 4400, 4408, 4413, 4503]), 'enough');
  };
  const upgrades = new WebSocketServer({ noServer: true, handleProtocols: () => SUBPROTOCOL });
  const edge = counted(createServer((_request, response) => response.writeHead(404).end()));
  edge.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    const answer = r.below(30);
    if (answer === 0) return void socket.end('HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno');
    if (answer === 1) return void socket.end(Buffer.from(Array.from({ length: r.below(300) }, () => r.below(256))));
    if (answer === 2) return void socket.destroy();
    upgrades.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => {});
      void act(client);
    });
  });
  const url = new URL(`http://127.0.0.1:${await port(edge)}`);

  const key = await generateConnectorKey();
  const until = performance.now() + seconds * 1000;
  try {
    while (performance.now() < until) {
      const connector = new Connector({
        edge: url,
        name: 'fuzzed',
        credentials: () => Promise.resolve({ capability: 'v1.none', key }),
        targets: new Targets(new Map([['', { protocol: 'any', host: '127.0.0.1', port: originPort }]])),
        sockets: 2,
      });
      let ended = 0;
      connector.on('closed', () => ended++);
      if (r.below(2) === 0) connector.on('end', () => {});
      connector.start();
      await once(edge, 'upgrade');
      await new Promise((done) => setTimeout(done, 30 + r.below(Math.min(600, 1 + seconds * 200))));
      assert.equal(ended, 0, 'nothing but a refused right ends it');
      await connector.close(0);
      cases++;
      assert.deepEqual([ended, connector.streams, connector.sockets], [1, 0, 0]);
      assert.deepEqual(strangers, [], 'no target but its own');
    }
    return cases;
  } finally {
    for (const client of upgrades.clients) client.terminate();
    for (const server of [origin, secret, edge]) server.close();
    for (const socket of sockets) socket.destroy();
  }
}
