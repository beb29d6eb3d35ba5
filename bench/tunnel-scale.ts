/**
 * `npm run bench -- tunnel-scale`: thousands of tunnels on one machine of which each has one socket and nothing to do.
 *
 * `memory.socket`  resident memory of the edge for each more: workerd with all asleep, less with a fifth of them asleep,
 *                  with never more objects awake at once than before the first of them.
 *                  `memory.floor`: the same in a worker that does nothing but hand them to objects, which is the
 *                  runtime's part of it. `memory.all`: all of workerd's, over all tunnels.
 * `awake.*`        databases of objects that workerd holds open: an object that is awake has its own open, so this tells
 *                  how many are. After all have been quiet for a while, and after each has been pinged: pings wake none.
 * `cpu.ping`       CPU of workerd for a ping, `cpu.idle` for a second in which nothing happens.
 * `reach.*`        from a request of the public to its answer by a tunnel that slept.
 * `open`           tunnels that became ready in a second: signatures checked, an object made, its name written down.
 *
 * The connectors are bare sockets of this process (bench/tunnel/idle.ts), so that thousands fit beside the edge.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { generateConnectorKey } from '../src/tunnel/capability.ts';
import { MAX_TUNNELS } from '../src/tunnel/register.ts';
import { begin, collect } from '../test/client.ts';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { cpuMicros, family, Processes, residentMB } from './harness/processes.ts';
import { quantile, type Benchmark } from './harness/runner.ts';
import { NAME_HEADER, startBareObjects } from './peers/tunnel/bare-objects.ts';
import { startEdge } from './peers/tunnel/sallyport.ts';
import { IdleTunnel, openTunnels } from './tunnel/idle.ts';

const KB = 1024;
/** An object sleeps 10 s after the last that happened; its own ticks of a second come before that. */
const ASLEEP = 16_000; // ms
const ASKED = 400; // tunnels that are asked

export const run: Benchmark = async (report, { quick }) => {
  const count = quick ? 1000 : 5000;
  const processes = new Processes('GET / HTTP/1.1\r\nHost: bare\r\nConnection: close\r\n\r\n');
  try {
    // A project has a limit of tunnels, so that there are several; the edge's own is none of them.
    const operators = await Promise.all(Array.from({ length: Math.ceil(count / MAX_TUNNELS) }, generateConnectorKey));
    const projects = operators.map(({ x }, index) => `p${index}: ${x}`).join(', ');
    const section = `tunnels: { domain: "*.localhost", projects: { ${projects} } }
`;
    const edge = await startEdge(processes, '{ tunnel: bench }', section);
    // The socket listens before there is a workerd to answer.
    let workerd: number[] = [];
    for (const late = performance.now() + 30_000; workerd.length === 0; await pause(20)) {
      workerd = family(edge.pid).filter((one) => one !== edge.pid);
      if (performance.now() > late) throw new Error('there is no workerd');
    }
    const [pid = 0] = workerd;
    if (workerd.length > 1) throw new Error('the edge is one workerd');

    const fifth = count / 5;
    const warm = await openTunnels(edge.port, operators, fifth);
    for (const tunnel of warm) tunnel.close();
    await pause(ASLEEP);
    const { tunnels, each, rates } = await fill(pid, count, (first) => openTunnels(edge.port, operators, fifth, first));
    report.row('open', 'Sallyport', `tunnels opened, ${fifth} at a time`, 'tunnels/s', rates);
    report.row('memory.socket', 'workerd', `resident for each of ${count - fifth} more that sleep`, 'KB', each);
    report.row('memory.all', 'workerd', `all that is resident, over ${count}`, 'KB', [(residentMB(pid) * KB) / count]);
    report.row('awake.quiet', 'workerd', 'objects awake when all is quiet', 'objects', [openDatabases(pid)]);

    const idle: number[] = [];
    for (let round = 0; round < (quick ? 2 : 5); round++) {
      const cpu = cpuMicros(pid);
      await pause(2000);
      idle.push((cpuMicros(pid) - cpu) / 2000);
    }
    report.row('cpu.idle', 'workerd', `${count} tunnels, nothing happens`, 'ms/s', idle);
    const pings: number[] = [];
    const rounds = quick ? 2 : 5;
    for (let round = 1; round <= rounds; round++) {
      const cpu = cpuMicros(pid);
      for (const tunnel of tunnels) tunnel.ping();
      for (const late = performance.now() + 30_000; tunnels.some(({ pongs }) => pongs < round); await pause(20))
        if (performance.now() > late) throw new Error('pings were not answered');
      pings.push((cpuMicros(pid) - cpu) / count);
    }
    report.row('cpu.ping', 'workerd', 'CPU of a ping and its answer', 'us', pings);
    report.row('awake.pinged', 'workerd', 'objects awake after all were pinged', 'objects', [openDatabases(pid)]);

    const reach: number[] = [];
    const step = Math.max(1, Math.floor(count / ASKED));
    for (let at = 0; at < count; at += step) {
      const asked = performance.now();
      const host = `${tunnels[at]!.name}.localhost:${edge.port}`;
      const request = begin(`http://127.0.0.1:${edge.port}/`, { host });
      const answered = once(request, 'response') as Promise<[IncomingMessage]>;
      request.end();
      const { status } = await collect((await answered)[0]);
      if (status !== 204) throw new Error(`${host} answered ${status}`);
      reach.push(performance.now() - asked);
    }
    report.row('awake.asked', 'workerd', `objects awake after ${reach.length} were asked`, 'objects', [
      openDatabases(pid),
    ]);
    report.row('reach', 'Sallyport', 'from a request to the answer of a tunnel that slept', 'ms', reach);
    report.row('reach.p99', 'Sallyport', 'the same, p99', 'ms', [quantile(reach, 0.99)]);
    for (const tunnel of tunnels) tunnel.close();

    const bare = await startBareObjects(processes);
    const floor = await fill(bare.pid, count, (first) => openBare(bare.port, fifth, first));
    report.row('memory.floor', 'bare worker', 'the same of a worker that does nothing with them', 'KB', floor.each);
  } finally {
    await processes.stop();
  }
  report.goal('memory', 'an idle tunnel costs the edge at most 40 KB', 'memory.socket <= 40', 'KB');
  report.goal('own', 'of which at most 40 KB are ours', 'memory.socket - memory.floor <= 40', 'KB');
  report.goal('asleep', 'pings wake no tunnel', 'awake.pinged - awake.quiet <= 0', 'objects');
  report.goal('seen', 'the count of objects awake does see them', 'awake.asked - awake.pinged > 0', 'objects');
  report.goal('reach', 'any of them answers within 100 ms', 'reach.p99 <= 100', 'ms');
};

/**
 * Opens `count`, a fifth at a time, and the next when all sleep: never more are awake at once than in the first fifth, by
 * which heaps have found their size and code is compiled. What each further one costs is what one that sleeps costs.
 */
async function fill(
  pid: number,
  count: number,
  open: (first: number) => Promise<IdleTunnel[]>,
): Promise<{ readonly tunnels: IdleTunnel[]; readonly each: readonly number[]; readonly rates: readonly number[] }> {
  const tunnels: IdleTunnel[] = [];
  const each: number[] = [];
  const rates: number[] = [];
  for (let before = 0; tunnels.length < count; before = residentMB(pid)) {
    const began = performance.now();
    const more = await open(tunnels.length);
    tunnels.push(...more);
    rates.push(more.length / ((performance.now() - began) / 1000));
    await pause(ASLEEP);
    if (before > 0) each.push(((residentMB(pid) - before) * KB) / more.length);
  }
  return { tunnels, each, rates };
}

/** Sockets of the bare worker. */
async function openBare(port: number, count: number, first: number): Promise<IdleTunnel[]> {
  const opened = Array.from({ length: count }, (_, index) => {
    const name = `t${first + index}`;
    return new IdleTunnel(port, name, { [NAME_HEADER]: name });
  });
  await Promise.all(opened.map(({ welcome }) => welcome));
  return opened;
}

const pause = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));

/** Databases of objects that the process holds open. */
function openDatabases(pid: number): number {
  const found = new Set<string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const file = readlinkSync(`/proc/${pid}/fd/${name}`);
      if (/[0-9a-f]{64}\.sqlite$/.test(file)) found.add(file);
    } catch {
      // Closed in the meantime.
    }
  }
  return found.size;
}
