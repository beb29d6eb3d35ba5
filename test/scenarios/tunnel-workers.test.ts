/** Tunnels of a deployment of several processes: whichever takes a connection, the object may be in another one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { connect as open, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../../src/cli/sockets.ts';
import type { Connector } from '../../src/tunnel/connector/connector.ts';
import { ask } from '../client.ts';
import { sha256, startEcho, type Echo } from '../echo.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import { connect, party } from '../support/tunnels.ts';

/** Enough that each of three processes has some. */
const NAMES = ['ash', 'birch', 'cedar', 'elm', 'fir', 'larch', 'oak', 'pine', 'rowan', 'yew'];

describe('tunnels of several processes [workerd]', { skip: process.env['SALLYPORT_TARGET'] === 'cloudflare' }, () => {
  let folder = '';
  let echo: Echo;
  let gateway: Gateway;
  let database: Server;
  let tcp = 0;
  const connectors: Connector[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-workers-'));
    const own = await party(folder, 'own');
    echo = await startEcho('behind');
    database = createServer((socket) => void socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
    await once(database, 'listening');
    tcp = await freePort('127.0.0.1', 0);
    gateway = await startGateway({
      policy: 'app: edge\ntunnels: {}\n',
      args: ['--workers', '3', '--state', join(folder, 'state'), '--tcp', `127.0.0.1:${tcp}=ash/db`],
      env: { XDG_CONFIG_HOME: own.home },
    });
    const services = { '': echo.port, db: (database.address() as AddressInfo).port };
    connectors.push(...(await Promise.all(NAMES.map((name) => connect(gateway, own, { name, services })))));
  });
  after(async () => {
    for (const one of connectors) await one.close(0);
    await gateway?.stop();
    await echo?.stop();
    database?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const hostOf = (name: string): string => `${name}.localhost:${gateway.port}`;

  test('requests with bodies arrive whole, a GET with one too', { timeout: 60_000 }, async () => {
    const body = Buffer.alloc(300_000, 'a piece of a long text; ');
    for (const method of ['GET', 'POST'])
      for (const name of NAMES) {
        const headers = { 'content-length': String(body.length) };
        const answer = await ask(gateway.url, { host: hostOf(name), method, headers, body, agent: false });
        assert.equal(answer.status, 200, `${method} ${name}: ${answer.text()}`);
        assert.deepEqual(answer.echo().body, { length: body.length, sha256: sha256(body) }, `${method} ${name}`);
      }
  });

  test('a client that leaves is told to the origin', { timeout: 60_000 }, async () => {
    for (const name of NAMES) {
      const path = `/hang?${name}`;
      const asked = request(`${gateway.url}${path}`, { headers: { host: hostOf(name) } }).on('error', () => {});
      asked.end();
      await echo.arrival((one) => one.path === path);
      asked.socket!.resetAndDestroy();
      await echo.abort(path);
    }
  });

  test('TCP from whichever process takes the connection', { timeout: 60_000 }, async () => {
    const sockets = Array.from({ length: 12 }, () => open({ port: tcp, host: '127.0.0.1', allowHalfOpen: true }));
    await Promise.all(
      sockets.map(async (socket, index) => {
        const said = `${index};`.repeat(50_000);
        const heard = text(socket);
        socket.end(said);
        assert.equal(await heard, said);
      }),
    );
  });

  test('a deployment that stops tells every connector, and lets what is open end', { timeout: 60_000 }, async () => {
    const requests = NAMES.map((name) =>
      request(`${gateway.url}/stream`, { method: 'POST', headers: { host: hostOf(name) }, agent: false }),
    );
    const answers = await Promise.all(
      requests.map(async (one) => {
        one.write('begin;');
        const [response] = (await once(one, 'response')) as [IncomingMessage];
        return response;
      }),
    );
    const told = connectors.map((one) => once(one, 'reconnecting') as Promise<[{ reason: string }]>);
    gateway.signal('SIGTERM');
    for (const [{ reason }] of await Promise.all(told)) assert.match(reason, /the edge drains/);
    const bodies = answers.map((one) => text(one));
    for (const one of requests) one.end('end');
    for (const body of await Promise.all(bodies)) assert.equal(body, 'begin;end');
    assert.equal(await gateway.exited, 0);
  });
});
