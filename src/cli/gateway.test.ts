import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { egressPolicy } from './egress.ts';
import { Gateway, type GatewayEvent } from './gateway.ts';

test(
  'an origin whose name moves is followed; a resolver that fails takes nothing away',
  { skip: process.platform === 'linux' ? false : 'only Linux has all of 127.0.0.0/8', timeout: 60_000 },
  async () => {
    const origin = createServer((request, response) => response.end(request.socket.localAddress));
    origin.listen(0, '0.0.0.0');
    await once(origin, 'listening');
    const { port } = origin.address() as AddressInfo;
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
    const policy = join(folder, 'sallyport.yaml');
    writeFileSync(
      policy,
      `app: moving\nhostnames: ['*']\nbackends: { web: { url: 'http://moving.test:${port}' } }\nroutes: [{ backend: web }]\n`,
    );
    const events: GatewayEvent[] = [];
    let addresses: readonly string[] | Error = ['127.0.0.1'];
    const lookup = (host: string): Promise<readonly string[]> => {
      assert.equal(host, 'moving.test');
      return addresses instanceof Error ? Promise.reject(addresses) : Promise.resolve(addresses);
    };
    const gateway = await Gateway.open({
      ...{ files: [policy], host: '127.0.0.1', port: 0, workers: 1, tls: null, authorities: [] },
      ...{ egress: { ...egressPolicy([], true), lookup }, secrets: new Map(), grace: 1000, maxMemory: 0 },
      ...{ v8Flags: [], state: join(folder, 'state'), watch: false },
      report: (event) => events.push(event),
      access: () => {},
    });
    const reached = async (): Promise<string> =>
      (await fetch(gateway.url, { headers: { connection: 'close' } })).text();
    const restarts = (): string[] => events.flatMap((event) => (event.event === 'restarting' ? [event.reason] : []));
    try {
      assert.equal(await reached(), '127.0.0.1');

      addresses = ['127.0.0.2', '127.0.0.1'];
      await gateway.resolveAgain();
      assert.deepEqual([await reached(), restarts()], ['127.0.0.1', []], 'the old one is still among the answers');

      addresses = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
      await gateway.resolveAgain();
      assert.deepEqual([await reached(), restarts()], ['127.0.0.1', []]);

      addresses = ['127.0.0.2'];
      await gateway.resolveAgain();
      assert.equal(await reached(), '127.0.0.2');
      assert.deepEqual(restarts(), [`http://moving.test:${port} is now 127.0.0.2`]);

      // A name that moves to where nobody may go is denied at once.
      addresses = ['169.254.169.254'];
      await gateway.resolveAgain();
      assert.equal((await fetch(gateway.url, { headers: { connection: 'close' } })).status, 502);
      assert.match(restarts()[1] ?? '', /is now nowhere .* is denied: 169\.254\.169\.254/);
    } finally {
      await gateway.stop();
      origin.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
