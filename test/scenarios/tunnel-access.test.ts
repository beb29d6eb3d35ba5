/**
 * What a connection of `sallyport tunnel access` survives: its network, and that of the connector, reset, cut or silent,
 * and an object that slept. Every byte is held against what was sent.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { family, freePort, installed, listens, Processes } from '../../bench/harness/processes.ts';
import { sshLacks, startSshd } from '../../bench/peers/tunnel/tunnels.ts';
import { bytes, sha256, startEcho, type Echo } from '../echo.ts';
import type { CommandProcess } from '../gateway.ts';
import { output } from '../support/child-output.ts';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts';
import { startTunnel, TUNNEL, type Tunnel } from '../support/tunnel.ts';

let origin: Echo;
let server: Server;
let tunnel: Tunnel;
/** Between the guest and the edge; between the connector and the edge is `tunnel.wire`. */
let wire: FaultProxy;
let guest: CommandProcess;
let local: number;
let redis: { port: number; local: number };
let ssh: { port: number; words: readonly string[] } | null = null;
let processes: Processes;
const open = new Set<Socket>();

before(async () => {
  origin = await startEcho('behind');
  server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => open.delete(socket));
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  processes = new Processes('');
  const sshd = sshLacks() === '' ? await startSshd(processes) : null;
  const services = {
    echo: (server.address() as AddressInfo).port,
    redis: await freePort(),
    ssh: sshd?.edge.port ?? 1,
  };
  const args = Object.entries(services).flatMap(([name, port]) => ['--service', `${name}=127.0.0.1:${port}`]);
  tunnel = await startTunnel(origin.port, { args });
  wire = await startFaultProxy(tunnel.gateway.port);
  guest = await access('echo');
  local = await listenOf(guest);
  redis = { port: services.redis, local: await listenOf(await access('redis')) };
  if (sshd !== null) ssh = { port: await listenOf(await access('ssh')), words: sshd.words };
});
afterEach(() => {
  wire.heal();
  tunnel.wire.heal();
});
after(async () => {
  await tunnel?.stop();
  await wire?.stop();
  await origin?.stop();
  for (const socket of open) socket.destroy();
  server?.close();
  await processes?.stop();
});

/** A local port for a service, whose connections go to the edge by `wire`. */
function access(service: string): Promise<CommandProcess> {
  return tunnel.run(['tunnel', 'access', 'tcp', `${service}.${TUNNEL}`, '--listen', '127.0.0.1:0'], wire.port);
}

async function listenOf(command: CommandProcess): Promise<number> {
  const { listen } = await command.event('ready');
  return Number(/:(\d+)$/.exec(String(listen))?.[1]);
}

const dial = (): Socket => connect({ port: local, host: '127.0.0.1', allowHalfOpen: true });

async function whole(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** What comes back of bytes that are sent to be echoed. */
async function echoed(socket: Socket, sent: Buffer): Promise<void> {
  let left = sent.length;
  const parts: Buffer[] = [];
  const all = new Promise<void>((resolve, reject) => {
    const more = (part: Buffer): void => {
      parts.push(part);
      left -= part.length;
      if (left > 0) return;
      socket.off('data', more);
      resolve();
    };
    socket.on('data', more).once('close', () => reject(new Error(`it ended with ${left} bytes left`)));
  });
  socket.write(sent);
  await all;
  assert.equal(sha256(Buffer.concat(parts)), sha256(sent));
}

/** Resets what goes by `proxies`, again and again while bytes pass, `times` in all. */
async function resets(times: number, every: number, ...proxies: FaultProxy[]): Promise<void> {
  for (let cut = 0; cut < times; cut++) {
    const [first] = proxies;
    const { up, down } = first!.passed;
    await first!.until(() => first!.passed.up + first!.passed.down > up + down + every);
    for (const proxy of proxies) proxy.reset();
  }
}

describe('a guest’s connection survives', () => {
  test('resets while bytes go both ways', { timeout: 60_000 }, async () => {
    const all = bytes(8_000_000);
    const sockets = [dial(), dial()];
    const back = Promise.all(sockets.map(whole));
    wire.down.bytesPerSecond = 8_000_000;
    for (const socket of sockets) socket.end(all);
    await resets(4, 1_500_000, wire);
    for (const one of await back) assert.equal(sha256(one), sha256(all));
    assert.ok(guest.events.filter(({ event }) => event === 'reconnecting').length >= 4);
  });

  test('cuts after some bytes, wherever that is in a frame', { timeout: 60_000 }, async () => {
    const all = bytes(5_000_000);
    const { accepted } = wire;
    wire.up.cutAfter = 1_234_567;
    wire.down.cutAfter = 1_123_456;
    const socket = dial();
    const back = whole(socket);
    socket.end(all);
    assert.equal(sha256(await back), sha256(all));
    assert.ok(wire.accepted - accepted >= 4, `${wire.accepted - accepted} connections`);
  });

  test('resets of its own network and the connector’s at once', { timeout: 60_000 }, async () => {
    const all = bytes(8_000_000);
    const socket = dial();
    const back = whole(socket);
    wire.down.bytesPerSecond = 6_000_000;
    socket.end(all);
    await resets(3, 2_000_000, wire, tunnel.wire);
    assert.equal(sha256(await back), sha256(all));
  });

  test('a network that falls silent', { timeout: 60_000 }, async () => {
    const all = bytes(6_000_000);
    const socket = dial();
    const back = whole(socket);
    wire.down.bytesPerSecond = 6_000_000;
    socket.end(all);
    const since = guest.events.length;
    const { down } = wire.passed;
    await wire.until(() => wire.passed.down > down + 1_000_000);
    // Neither side is told. New connections go through.
    wire.abandon();
    wire.heal();
    await guest.event('reconnecting', undefined, since);
    assert.equal(sha256(await back), sha256(all));
  });

  test(
    'resets at any moment of its life: what it said last arrives, and so does its end',
    { timeout: 60_000 },
    async () => {
      const all = bytes(40_000);
      const cuts = resets(40, 100_000, wire);
      const loop = async (): Promise<void> => {
        for (let round = 0; round < 40; round++) {
          const socket = dial();
          socket.end(all);
          assert.equal(sha256(await whole(socket)), sha256(all), `round ${round}`);
        }
      };
      await Promise.all([loop(), loop(), loop()]);
      await cuts;
    },
  );

  test('an object that slept, before the reset and after it', { timeout: 90_000 }, async () => {
    const socket = dial();
    await echoed(socket, bytes(300_000));
    // Longer than it takes until an object with nothing to do is evicted.
    await sleep(14_000);
    let since = guest.events.length;
    wire.reset();
    await guest.event('reconnecting', undefined, since);
    await echoed(socket, bytes(300_000));
    await sleep(14_000);
    await echoed(socket, bytes(300_000));
    since = guest.events.length;
    tunnel.wire.reset();
    wire.reset();
    await echoed(socket, bytes(3_000_000));
    socket.end();
    await once(socket, 'end');
  });

  const hasRedis = installed('redis-server') && installed('redis-cli');
  test('Redis, over resets', { skip: !hasRedis && 'redis-server is not installed', timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-redis-'));
    const words = ['--port', String(redis.port), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
    const database = spawn('redis-server', words, { stdio: 'ignore' });
    try {
      while (!(await listens(redis.port))) await sleep(20);
      const command = (...more: string[]): ChildProcess =>
        spawn('redis-cli', ['-h', '127.0.0.1', '-p', String(redis.local), ...more], { stdio: 'pipe' });
      // Each command waits for the answer of the last one: doubled or lost, the sum would be another.
      const many = Array.from({ length: 3000 }, (_, i) => `incrby n ${i}\n`).join('');
      const counted = output(command(), many);
      const cuts = resets(5, 30_000, wire);
      const answers = String(await counted)
        .trim()
        .split('\n')
        .map(Number);
      await cuts;
      assert.deepEqual([answers.length, answers.at(-1)], [3000, (2999 * 3000) / 2]);
      wire.up.bytesPerSecond = 4_000_000;
      const value = bytes(3_000_000).toString('base64');
      const set = output(command('-x', 'set', 'key'), value);
      await resets(3, 800_000, wire);
      assert.equal(String(await set).trim(), 'OK');
      const got = output(command('get', 'key'), '');
      wire.down.bytesPerSecond = 4_000_000;
      await resets(3, 800_000, wire);
      assert.equal(sha256(String(await got).trim()), sha256(value));
    } finally {
      database.kill();
      await once(database, 'exit');
      await rm(folder, { recursive: true, force: true });
    }
  });

  test(
    'ssh, over resets',
    { skip: sshLacks() !== '' && 'openssh-server is not installed', timeout: 60_000 },
    async () => {
      const words = ssh!.words.map((word, at, all) => (all[at - 1] === '-p' ? String(ssh!.port) : word));
      const body = bytes(6_000_000);
      wire.down.bytesPerSecond = 6_000_000;
      const back = output(spawn('ssh', [...words, '127.0.0.1', 'cat'], { stdio: 'pipe' }), body);
      await resets(4, 1_200_000, wire);
      assert.equal(sha256(await back), sha256(body));
    },
  );
});

describe('a guest’s connection ends', () => {
  const failure = async (since: number): Promise<string> =>
    String((await guest.event('error', undefined, since))['reason']);

  test('when the network is gone for longer than the grace, on both sides', { timeout: 60_000 }, async () => {
    const socket = dial();
    await echoed(socket, bytes(1000));
    const before = open.size;
    const since = guest.events.length;
    wire.accept = 'refuse';
    wire.reset();
    await assert.rejects(whole(socket), /ECONNRESET/);
    assert.match(await failure(since), /lost for longer/);
    while (open.size >= before) await sleep(20);
  });

  test('when its service does', { timeout: 60_000 }, async () => {
    const socket = dial();
    await echoed(socket, bytes(1000));
    const since = guest.events.length;
    for (const one of open) one.resetAndDestroy();
    await assert.rejects(whole(socket), /ECONNRESET/);
    assert.match(await failure(since), /closed the connection/);
  });

  test('when the edge that had it was killed, and says so', { timeout: 60_000 }, async () => {
    const socket = dial();
    await echoed(socket, bytes(1000));
    const since = guest.events.length;
    const worker = family(tunnel.gateway.pid).find((pid) => pid !== tunnel.gateway.pid);
    process.kill(worker!, 'SIGKILL');
    await assert.rejects(whole(socket), /ECONNRESET/);
    assert.match(await failure(since), /has not kept the connection/);
    // The next one works.
    for (;;) {
      const next = dial();
      const ok = await echoed(next, bytes(1000)).then(
        () => true,
        () => false,
      );
      next.destroy();
      if (ok) break;
    }
  });
});
