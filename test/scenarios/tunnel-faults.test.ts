/**
 * What a tunnel survives: connections that are reset, cut or go silent, processes that are killed on every side, clocks
 * that are wrong. Within the grace nothing that is under way is lost, doubled or reordered; beyond it it ends, and what
 * comes later works.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ClientRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { family } from '../../bench/harness/processes.ts';
import { collect } from '../client.ts';
import { bytes, sha256, startEcho, type Echo } from '../echo.ts';
import { HOST, startTunnel, type Tunnel, type TunnelOptions } from '../support/tunnel.ts';

const CLOCK = new URL('../support/clock.mjs', import.meta.url).href;
const answerTo = async (request: ClientRequest): Promise<IncomingMessage> =>
  ((await once(request, 'response')) as [IncomingMessage])[0];
const pause = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));

/** Runs `body` with a tunnel of its own, so that tests can run beside each other. */
async function withTunnel(
  options: TunnelOptions,
  body: (tunnel: Tunnel, origin: Echo) => Promise<void>,
): Promise<void> {
  const origin = await startEcho('behind');
  try {
    const tunnel = await startTunnel(origin.port, options);
    try {
      await body(tunnel, origin);
    } finally {
      await tunnel.stop();
    }
  } finally {
    await origin.stop();
  }
}

/** Everything at once, each byte checked; `load` runs it until `stop`, and tells what went wrong. */
class Load {
  readonly #tunnel: Tunnel;
  #stopped = false;
  #running: Promise<void>[] = [];
  done = 0;

  constructor(tunnel: Tunnel) {
    this.#tunnel = tunnel;
  }

  start(...kinds: ((tunnel: Tunnel) => Promise<void>)[]): this {
    const loop = async (kind: (tunnel: Tunnel) => Promise<void>): Promise<void> => {
      do {
        await kind(this.#tunnel).catch((cause: unknown) => {
          throw new Error(`${kind.name}: ${String(cause)}`, { cause });
        });
        this.done++;
      } while (!this.#stopped);
    };
    this.#running = kinds.map(loop);
    // A failure is told by `stop`.
    for (const one of this.#running) one.catch(() => (this.#stopped = true));
    return this;
  }

  /** Resolves once so many more are done, or one has failed. */
  async more(count: number): Promise<void> {
    for (const until = this.done + count; this.done < until && !this.#stopped;) await pause(20);
  }

  async stop(): Promise<number> {
    this.#stopped = true;
    await Promise.all(this.#running);
    return this.done;
  }
}

const downloads = async (tunnel: Tunnel): Promise<void> => {
  const answer = await tunnel.ask('/bytes/3000000', { agent: false });
  assert.equal(answer.status, 200, answer.text().slice(0, 300));
  assert.equal(sha256(answer.body), sha256(bytes(3_000_000)));
};
const echoes = async (tunnel: Tunnel): Promise<void> => {
  const body = bytes(1_500_000);
  const request = tunnel.begin('/stream', { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
  const answered = answerTo(request);
  for (let at = 0; at < body.length; at += 40_000)
    if (!request.write(body.subarray(at, at + 40_000))) await once(request, 'drain');
  request.end();
  assert.equal(sha256((await collect(await answered)).body), sha256(body));
};
const uploads = async (tunnel: Tunnel): Promise<void> => {
  const body = bytes(2_000_000);
  const answer = await tunnel.ask('/anything', { method: 'PUT', body, agent: false });
  assert.equal(answer.status, 200, answer.text().slice(0, 300));
  assert.equal(answer.echo().body.sha256, sha256(body));
};
const gets = async (tunnel: Tunnel): Promise<void> => {
  const path = `/anything/${Math.random()}`;
  const answer = await tunnel.ask(path, { agent: false });
  assert.equal(answer.status, 200, answer.text().slice(0, 300));
  assert.equal(answer.echo().path, path);
};
/** Numbers over a WebSocket, each exactly once and in order. */
const numbers = async (tunnel: Tunnel): Promise<void> => {
  const socket = new WebSocket(`ws://127.0.0.1:${tunnel.gateway.port}/numbers`, { headers: { host: HOST } });
  await once(socket, 'open');
  let next = 0;
  let failure: Error | null = null;
  const all = new Promise<void>((done) => {
    socket.on('message', (data: Buffer) => {
      if (String(data) !== `${next} ${'x'.repeat(500)}`)
        failure ??= new Error(`${String(data).slice(0, 20)}, not ${next}`);
      if (++next === 1000) done();
    });
    socket.on('close', (code) => {
      failure ??= new Error(`closed with ${code} at ${next}`);
      done();
    });
  });
  for (let i = 0; i < 1000; i++) {
    socket.send(`${i} ${'x'.repeat(500)}`);
    if (i % 50 === 0) await pause(5);
  }
  await all;
  if (failure !== null) throw failure;
  socket.removeAllListeners('close');
  socket.terminate();
};

/** The gateway's one worker. */
const childOf = (pid: number): number => {
  const [child, ...more] = family(pid).filter((one) => one !== pid);
  assert.ok(child !== undefined && more.length === 0);
  return child;
};
const gone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

describe('a tunnel survives', { concurrency: 2 }, () => {
  test('resets while everything is under way', { timeout: 90_000 }, () =>
    withTunnel({}, async (tunnel) => {
      const load = new Load(tunnel).start(downloads, downloads, echoes, uploads, numbers, gets);
      for (let cut = 0; cut < 4; cut++) {
        const { accepted, passed } = tunnel.wire;
        const seen = passed.up + passed.down;
        await tunnel.wire.until(() => passed.up + passed.down > seen + 1_000_000);
        tunnel.wire.reset();
        await tunnel.wire.until(() => tunnel.wire.accepted > accepted);
      }
      assert.ok((await load.stop()) >= 6);
      const lost = tunnel.connectors[0]!.events.filter(({ event }) => event === 'reconnecting');
      assert.ok(lost.length >= 4, `${lost.length} sockets were lost`);
    }),
  );

  test('connections that are cut after some bytes, wherever that is in a frame', { timeout: 90_000 }, () =>
    withTunnel({ args: ['--sockets', '1'] }, async (tunnel) => {
      const cut = 1_234_567;
      tunnel.wire.down.cutAfter = cut;
      tunnel.wire.up.cutAfter = cut;
      await Promise.all([downloads(tunnel), uploads(tunnel), echoes(tunnel)]);
      assert.ok(tunnel.wire.accepted >= 4, `${tunnel.wire.accepted} connections`);
    }),
  );

  test('a connection that falls silent', { timeout: 90_000 }, () =>
    withTunnel({ args: ['--sockets', '2'] }, async (tunnel) => {
      const request = tunnel.begin('/bytes/9000000');
      const answered = answerTo(request);
      request.end();
      const response = await answered;
      await once(response, 'readable');
      // Neither side is told. New connections go through.
      tunnel.wire.abandon();
      const body = collect(response);
      await tunnel.connectors[0]!.event('reconnecting');
      assert.equal(sha256((await body).body), sha256(bytes(9_000_000)));
      await gets(tunnel);
    }),
  );

  test('a network that is gone for longer than the grace', { timeout: 90_000 }, () =>
    withTunnel({}, async (tunnel, origin) => {
      const request = tunnel.begin('/drip?long');
      const answered = answerTo(request);
      request.end();
      const response = await answered;
      await once(response, 'data');
      const body = collect(response);
      const aborted = origin.abort('/drip?long');
      tunnel.wire.accept = 'refuse';
      tunnel.wire.reset();
      // What was under way ends for both, and what comes now is told so.
      await assert.rejects(body, /aborted/);
      await aborted;
      const answer = await tunnel.ask('/anything', { agent: false });
      assert.ok([502, 503, 504].includes(answer.status), String(answer.status));
      tunnel.wire.heal();
      await tunnel.works('/anything');
      await downloads(tunnel);
    }),
  );

  test('one of two connectors dying under load: no request that may be repeated fails', { timeout: 90_000 }, () =>
    withTunnel({}, async (tunnel) => {
      for (let round = 0; round < 2; round++) {
        await tunnel.connect();
        const load = new Load(tunnel).start(gets, gets, gets, gets, gets, gets, gets, gets);
        await load.more(30);
        await tunnel.connectors[round]!.kill();
        await load.more(60);
        await load.stop();
      }
    }),
  );

  test('a connector that is asked to stop: what is under way ends well', { timeout: 60_000 }, () =>
    withTunnel({}, async (tunnel, origin) => {
      await tunnel.connect();
      const [first, second] = tunnel.connectors as [(typeof tunnel.connectors)[0], (typeof tunnel.connectors)[0]];
      // Enough for some to be with the first.
      const slow = Array.from({ length: 8 }, () => tunnel.ask('/anything?delay=1s', { agent: false }));
      await origin.arrival(({ path }) => path.includes('delay'));
      await pause(200);
      const load = new Load(tunnel).start(gets, gets);
      first.signal('SIGTERM');
      assert.equal(await first.exited, 0, first.stderr());
      for (const answer of await Promise.all(slow)) assert.equal(answer.status, 200, answer.text());
      await load.stop();
      second.signal('SIGINT');
      assert.equal(await second.exited, 0, second.stderr());
    }),
  );

  test(
    'workerd killed under load: the connector is back by itself, and the name is still its own',
    { timeout: 90_000 },
    () =>
      withTunnel({}, async (tunnel) => {
        const before = childOf(tunnel.gateway.pid);
        const load = new Load(tunnel).start(
          ...Array.from({ length: 4 }, () => (one: Tunnel) => gets(one).catch(() => pause(20))),
        );
        await pause(200);
        process.kill(before, 'SIGKILL');
        await tunnel.gateway.event('crashed');
        await tunnel.works('/anything');
        await load.stop();
        assert.ok(gone(before));
        await downloads(tunnel);
        await numbers(tunnel);
        // A stranger may not have the name, though nobody holds it at this moment in memory.
        await tunnel.connectors[0]!.kill();
        await tunnel.connect();
        await gets(tunnel);
      }),
  );

  test('an origin that is killed and comes back, with no word to the edge', { timeout: 60_000 }, async () => {
    let server: Server;
    const open = new Set<Socket>();
    const start = async (port: number): Promise<number> => {
      server = createServer((_request, response) => response.end('here')).listen(port, '127.0.0.1');
      server.on('connection', (socket) => open.add(socket));
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    };
    const end = async (): Promise<void> => {
      for (const socket of open) socket.resetAndDestroy();
      open.clear();
      const closed = once(server, 'close');
      server.close();
      await closed;
    };
    const port = await start(0);
    const tunnel = await startTunnel(port);
    try {
      assert.equal((await tunnel.ask('/')).text(), 'here');
      const { accepted } = tunnel.wire;
      await end();
      assert.equal((await tunnel.ask('/')).status, 502);
      await start(port);
      assert.equal((await tunnel.ask('/')).text(), 'here');
      assert.equal(tunnel.wire.accepted, accepted);
    } finally {
      await tunnel.stop();
      await end();
    }
  });

  test('clients that read nothing of what never ends: others are served', { timeout: 60_000 }, async () => {
    const chunk = Buffer.alloc(65_536, 'x');
    const server = createServer((request, response) => {
      if (request.url !== '/endless') return void response.end('here');
      response.on('error', () => {});
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const tunnel = await startTunnel((server.address() as AddressInfo).port);
    try {
      const stalled = Array.from({ length: 40 }, () => tunnel.begin('/endless').on('error', () => {}));
      await Promise.all(
        stalled.map(async (request) => {
          const answered = answerTo(request);
          request.end();
          (await answered).on('error', () => {}).pause();
        }),
      );
      // Until nothing moves any more: all that may be held is held.
      for (let before = -1; before !== tunnel.wire.passed.up;) {
        before = tunnel.wire.passed.up;
        await pause(500);
      }
      for (let i = 0; i < 20; i++) assert.equal((await tunnel.ask('/', { agent: false })).text(), 'here');
      for (const request of stalled) request.destroy();
      assert.equal((await tunnel.ask('/')).text(), 'here');
    } finally {
      await tunnel.stop();
      server.closeAllConnections();
      server.close();
    }
  });

  test('clocks that are wrong, and that jump', { timeout: 60_000 }, () => {
    const env = { NODE_OPTIONS: `--import=${CLOCK}`, SALLYPORT_TEST_CLOCK: '-3600000', SALLYPORT_TEST_JUMP: '7200000' };
    return withTunnel({ env }, async (tunnel) => {
      await gets(tunnel);
      const [connector] = tunnel.connectors;
      for (let jump = 0; jump < 2; jump++) {
        connector!.signal('SIGUSR2');
        await pause(50);
        const load = new Load(tunnel).start(downloads);
        tunnel.wire.reset();
        await load.stop();
        await gets(tunnel);
      }
    });
  });
});
