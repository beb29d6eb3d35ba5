/**
 * Raw TCP through a tunnel, by `sallyport tunnel access tcp`: bytes both ways with an end for each direction, and real
 * protocols where their programs are installed (Debian: redis-server, openssh-server).
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort, installed, listens, Processes } from '../../bench/harness/processes.ts';
import { sshLacks, startSshd } from '../../bench/peers/tunnel/tunnels.ts';
import { bytes, sha256, startEcho, type Echo } from '../echo.ts';
import { output } from '../support/child-output.ts';
import { startTunnel, TUNNEL, type Tunnel } from '../support/tunnel.ts';

let origin: Echo;
let server: Server;
let tunnel: Tunnel;
let redisPort: number;
let processes: Processes;
let ssh: Awaited<ReturnType<typeof startSshd>> | null = null;
const open = new Set<Socket>();
/** Set by a test that wants to know what became of connections. */
let onGone: (() => void) | null = null;

before(async () => {
  origin = await startEcho('behind');
  server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      open.delete(socket);
      onGone?.();
    });
    // What comes goes back, and the end too; `bye` ends at once.
    socket.on('data', (data: Buffer) => (String(data) === 'bye' ? socket.end('bye') : socket.write(data)));
    socket.on('end', () => socket.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  processes = new Processes('');
  redisPort = await freePort();
  if (sshLacks() === '') ssh = await startSshd(processes);
  const services = { echo: (server.address() as AddressInfo).port, redis: redisPort, ssh: ssh?.edge.port ?? 1 };
  const args = Object.entries(services).flatMap(([name, port]) => ['--service', `${name}=127.0.0.1:${port}`]);
  tunnel = await startTunnel(origin.port, { args });
});
after(async () => {
  await tunnel?.stop();
  await origin?.stop();
  for (const socket of open) socket.destroy();
  server?.close();
  await processes?.stop();
});

/** A local port for a service, by the command. */
async function access(service: string): Promise<{ port: number; stop(): Promise<void> }> {
  const guest = await tunnel.run(['tunnel', 'access', 'tcp', `${service}.${TUNNEL}`, '--listen', '127.0.0.1:0']);
  const { listen } = await guest.event('ready');
  return { port: Number(/:(\d+)$/.exec(String(listen))?.[1]), stop: () => guest.kill() };
}

async function whole(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

describe('raw TCP through a tunnel', () => {
  test('bytes both ways, each direction with its own end', { timeout: 60_000 }, async () => {
    const local = await access('echo');
    try {
      const all = bytes(8_000_000);
      await Promise.all(
        Array.from({ length: 4 }, async () => {
          const socket = connect({ port: local.port, host: '127.0.0.1', allowHalfOpen: true });
          socket.end(all);
          assert.equal(sha256(await whole(socket)), sha256(all));
        }),
      );
      const other = connect({ port: local.port, host: '127.0.0.1', allowHalfOpen: true });
      other.write('bye');
      assert.equal(String(await whole(other)), 'bye');
      other.end();
      const idle = connect(local.port, '127.0.0.1');
      idle.write('x');
      await once(idle, 'data');
      const left = new Promise<void>((done) => (onGone = done));
      idle.resetAndDestroy();
      await left;
    } finally {
      onGone = null;
      await local.stop();
    }
  });

  test('bytes survive connections that are reset', { timeout: 60_000 }, async () => {
    const local = await access('echo');
    try {
      const all = bytes(6_000_000);
      const socket = connect({ port: local.port, host: '127.0.0.1', allowHalfOpen: true });
      const back = whole(socket);
      tunnel.wire.down.bytesPerSecond = 8_000_000;
      socket.end(all);
      for (let cut = 0; cut < 3; cut++) {
        const { up } = tunnel.wire.passed;
        await tunnel.wire.until(() => tunnel.wire.passed.up > up + 500_000);
        tunnel.wire.reset();
      }
      assert.equal(sha256(await back), sha256(all));
    } finally {
      tunnel.wire.heal();
      await local.stop();
    }
  });

  test(
    'a service that is not published, and one where nobody listens, end the connection',
    { timeout: 60_000 },
    async () => {
      for (const service of ['nothing', 'redis']) {
        const local = await access(service);
        const socket = connect(local.port, '127.0.0.1').on('error', () => {});
        socket.write('hello');
        assert.equal((await whole(socket).catch(() => Buffer.alloc(0))).length, 0);
        await local.stop();
      }
    },
  );

  const redis = installed('redis-server') && installed('redis-cli');
  test('Redis', { skip: !redis && 'redis-server is not installed', timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-redis-'));
    const words = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
    const database = spawn('redis-server', words, { stdio: 'ignore' });
    const local = await access('redis');
    try {
      while (!(await listens(redisPort))) await new Promise((done) => setTimeout(done, 20));
      const command = (...more: string[]): ChildProcess =>
        spawn('redis-cli', ['-h', '127.0.0.1', '-p', String(local.port), ...more], { stdio: 'pipe' });
      const value = bytes(3_000_000).toString('base64');
      assert.equal(String(await output(command('-x', 'set', 'key'), value)).trim(), 'OK');
      assert.equal(sha256(String(await output(command('get', 'key'), '')).trim()), sha256(value));
      // Many commands in one go, their answers in order.
      const many = Array.from({ length: 2000 }, (_, i) => `incrby n ${i}\n`).join('');
      const answers = String(await output(command(), many))
        .trim()
        .split('\n')
        .map(Number);
      assert.equal(answers.length, 2000);
      assert.equal(answers.at(-1), (1999 * 2000) / 2);
    } finally {
      await local.stop();
      database.kill();
      await once(database, 'exit');
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('ssh', { skip: sshLacks() !== '' && 'openssh-server is not installed', timeout: 60_000 }, async () => {
    const local = await access('ssh');
    try {
      const words = ssh!.words.map((word, at, all) => (all[at - 1] === '-p' ? String(local.port) : word));
      const body = bytes(5_000_000);
      const child = spawn('ssh', [...words, '127.0.0.1', 'cat'], { stdio: 'pipe' });
      assert.equal(sha256(await output(child, body)), sha256(body));
    } finally {
      await local.stop();
    }
  });
});
