import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { later, listening, pause } from '../../../test/support/tunnel-pair.ts';
import { generateConnectorKey } from '../capability.ts';
import { accessDialer, type AccessResult } from './access.ts';

test('a local side that takes nothing for long is not taken for an edge that is silent', async () => {
  const bytes = Buffer.alloc(24 * 1_048_576, 'the rows of a large table; ');
  const http = createServer();
  const edge = new WebSocketServer({ server: http, perMessageDeflate: false });
  edge.on('connection', (socket) => {
    socket.on('error', () => {});
    for (let at = 0; at < bytes.length; at += 65_536) socket.send(bytes.subarray(at, at + 65_536));
    socket.send(Buffer.alloc(0));
  });
  const url = new URL(`http://127.0.0.1:${await listening(http)}`);
  later(() => {
    for (const socket of edge.clients) socket.terminate();
  });
  const key = await generateConnectorKey();
  const dial = accessDialer({
    ...{ edge: url, name: 'office', service: 'db', ping: 20 },
    credentials: async () => ({ capability: 'none', key }),
  });
  let over: Promise<AccessResult> | null = null;
  const server = createTcpServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket: Socket) => {
    over = dial(socket);
    over.catch(() => {});
  });
  const local = connect({ port: await listening(server), host: '127.0.0.1' });
  later(() => local.destroy());
  await new Promise((resolve) => local.once('readable', resolve));
  await pause(300); // many pings
  const parts: Buffer[] = [];
  for await (const part of local) parts.push(part as Buffer);
  assert.equal(Buffer.compare(Buffer.concat(parts), bytes), 0);
  assert.equal((await over!).bytesIn, bytes.length);
});
