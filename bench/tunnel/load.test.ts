import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { download, fixedRate, upload } from './load.ts';

let server: Server;
let port: number;
let busy = 0;
let most = 0;

before(async () => {
  server = createServer((request, response) => {
    if (request.method === 'POST') {
      let got = 0;
      request.on('data', (chunk: Buffer) => (got += chunk.length));
      request.on('end', () => response.writeHead(got === 3_000_000 ? 200 : 400).end());
      return;
    }
    if (request.url === '/big') return void response.end(Buffer.alloc(3_000_000));
    if (request.url === '/chunked') return void (response.write('a'), response.end('b'));
    most = Math.max(most, ++busy);
    setTimeout(
      () => {
        busy--;
        response.writeHead(request.url === '/fails' ? 503 : 200).end('ok');
      },
      request.url === '/slow' ? 50 : 0,
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

test('a fixed rate asks as often as it says and counts what fails', { timeout: 20_000 }, async () => {
  const load = { rate: 500, seconds: 0.2, connections: 4 };
  const fine = await fixedRate(port, get('/'), load);
  assert.deepEqual([fine.samples.length, fine.failed], [100, 0]);
  assert.deepEqual((await fixedRate(port, get('/chunked'), load)).samples.length, 100);
  const failing = await fixedRate(port, get('/fails'), load);
  assert.deepEqual([failing.samples.length, failing.failed], [0, 100]);
});

test('the wait for a connection counts', { timeout: 20_000 }, async () => {
  most = 0;
  const { samples } = await fixedRate(port, get('/slow'), { rate: 100, seconds: 0.2, connections: 1 });
  assert.equal(most, 1);
  assert.equal(samples.length, 20);
  // 20 requests of 50 ms one after the other, due within 200 ms: a lower bound.
  assert.ok(Math.max(...samples) > 700, String(Math.max(...samples)));
});

test('bulk both ways is all there or an error', { timeout: 20_000 }, async () => {
  assert.ok((await download(port, 'a', '/big', 3_000_000)) > 0);
  await assert.rejects(download(port, 'a', '/big', 3_100_000), /only/);
  assert.ok((await upload(port, 'a', '/', 3_000_000)) > 0);
  await assert.rejects(upload(port, 'a', '/', 2_000_000), /answered 400/);
});
