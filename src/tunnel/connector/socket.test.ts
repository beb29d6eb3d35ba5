import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { listening } from '../../../test/support/tunnel-pair.ts';
import { EdgeSocket } from './socket.ts';

test('an edge behind TLS is dialled by the proxy of the environment, but for those that NO_PROXY names', async () => {
  const asked: string[] = [];
  const sockets: EdgeSocket[] = [];
  const proxy = createServer();
  proxy.on('connect', (request, socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`);
    socket.end('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n');
  });
  const at = `http://ann:secret@127.0.0.1:${await listening(proxy)}`;
  const dialled = (url: string): Promise<string> =>
    new Promise((resolve) => {
      const quiet = { onText: () => {}, onMessage: () => true, busy: () => false };
      const events = { ...quiet, onClose: (code: number, reason: string) => resolve(`${code} ${reason}`) };
      sockets.push(new EdgeSocket(new URL(url), {}, events));
    });
  const before = { ...process.env };
  try {
    Object.assign(process.env, {
      HTTPS_PROXY: at,
      https_proxy: at,
      NO_PROXY: 'near.localhost',
      no_proxy: 'near.localhost',
    });
    // What the proxy says of it names no password.
    assert.match(await dialled('wss://edge.example:8443/x'), /^1006 (?!.*secret).+/);
    assert.deepEqual(asked, [`edge.example:8443 Basic ${btoa('ann:secret')}`]);
    assert.match(await dialled('wss://near.localhost:1/x'), /ECONNREFUSED/);
    assert.equal(asked.length, 1);
  } finally {
    for (const name of ['HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy'])
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
  }
});
