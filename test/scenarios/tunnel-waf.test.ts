/** The web application firewall stands before a tunnelled app exactly as before any other, messages of WebSockets too. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { startEcho, type Echo } from '../echo.ts';
import { indented, SCORING } from '../support/scoring.ts';
import { HOST, startTunnel, tunnelPolicy, type Tunnel } from '../support/tunnel.ts';

const POLICY = tunnelPolicy(`
waf:
  ruleset: none
  mode: enforce
  messages: enforce
  secLang: |
${indented(SCORING, 4)}
`).replace(
  'routes: [{ backend: origin }]',
  `routes:
  - { name: quiet, matches: [{ path: { value: /quiet } }], backend: origin, waf: { messages: log } }
  - { name: off, matches: [{ path: { value: /off } }], backend: origin, waf: { messages: "off" } }
  - { name: rest, backend: origin }`,
);

describe('the WAF before a tunnel', () => {
  let origin: Echo;
  let tunnel: Tunnel;
  before(async () => {
    origin = await startEcho('behind');
    tunnel = await startTunnel(origin.port, { policy: POLICY });
  });
  after(async () => {
    await tunnel?.stop();
    await origin?.stop();
  });

  const open = async (path: string): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${tunnel.gateway.port}${path}`, { headers: { host: HOST } });
    socket.on('error', () => {});
    await once(socket, 'open');
    return socket;
  };
  const echoed = async (socket: WebSocket, message: string): Promise<string> => {
    const back = once(socket, 'message');
    socket.send(message);
    return String((await back)[0]);
  };
  const told = (since: number) => tunnel.gateway.event('access', (event) => event['method'] === 'MESSAGE', since);

  test(
    'stops requests by their query and their body, and the origin never sees them',
    { timeout: 20_000 },
    async () => {
      const count = origin.received.length;
      assert.equal((await tunnel.ask('/anything?q=p1')).status, 403);
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      assert.equal((await tunnel.ask('/anything', { method: 'POST', headers: form, body: 'q=p1' })).status, 403);
      assert.equal(origin.received.length, count);
      const fine = await tunnel.ask('/anything', { method: 'POST', headers: form, body: 'q=fine' });
      assert.deepEqual([fine.status, fine.echo().body.length], [200, 6]);
    },
  );

  test('messages enforce: the attack closes the socket, and does not arrive', { timeout: 20_000 }, async () => {
    const socket = await open('/chat');
    assert.equal(await echoed(socket, 'hello'), 'hello');
    const since = tunnel.gateway.events.length;
    const [closed, behind] = [once(socket, 'close'), origin.closed()];
    socket.send('say p1 now');
    assert.equal((await closed)[0], 1008);
    await behind;
    assert.equal((await told(since))['from'], 'client');
  });

  test('messages log: it passes and is told', { timeout: 20_000 }, async () => {
    const since = tunnel.gateway.events.length;
    const socket = await open('/quiet');
    assert.equal(await echoed(socket, 'say p1 now'), 'say p1 now');
    assert.equal(((await told(since))['waf'] as Record<string, unknown>)['blocked'], true);
    const closed = origin.closed();
    socket.close();
    await closed;
  });

  test('messages off: it passes, and nothing is told', { timeout: 20_000 }, async () => {
    const since = tunnel.gateway.events.length;
    const socket = await open('/off');
    assert.equal(await echoed(socket, 'say p1 now'), 'say p1 now');
    const closed = origin.closed();
    socket.close(4000, 'enough');
    assert.deepEqual(await closed, { code: 4000, reason: 'enough' });
    await tunnel.ask('/off/later');
    await tunnel.gateway.event('access', (event) => event['path'] === '/off/later', since);
    assert.equal(tunnel.gateway.events.slice(since).filter((event) => event['method'] === 'MESSAGE').length, 0);
  });
});
