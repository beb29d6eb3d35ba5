/**
 * `npm run bench -- tunnel`: Sallyport's tunnel beside chisel, frp and `ssh -R`, in front of one nginx, under one load
 * (bench/peers/tunnel/tunnels.ts says with which settings).
 *
 * `first.*`   from the start of the private end to the first answer through the tunnel; the public end runs already.
 *             `far.first.*`: the same with 25 ms each way between the two ends, as across a continent, where it counts
 *             how often a program goes back and forth before it works.
 * `rate.*`    requests a second over 32 connections that stay open (wrk); `direct` is Sallyport in front of the origin
 *             with no tunnel.
 * `p50.*`, `p99.*`  of requests that are due at a fixed rate (bench/tunnel/load.ts), whatever became of those before.
 * `down.*`, `up.*`  one body of 64 MB; `far.down.*`, `far.up.*`: with the 25 ms, where windows count.
 * `rest.edge.*`, `rest.connector.*`  resident memory of each end after the first answer, all its processes;
 *             `stalled.*`: what both gain while a client has asked for 1 GB and reads none of it.
 * `cpu.edge.*`, `cpu.connector.*`  CPU time for a request, in bursts of 300, peer after peer.
 *
 * The others pass bytes on; Sallyport reads HTTP on both ends, with routes, limits and the log line of every request. That
 * is in its figures. Rounds are interleaved and medians taken; figures of two runs, or of two machines, do not compare.
 */
import { startFaultProxy, type FaultProxy } from '../test/support/fault-proxy.ts';
import { Bursts } from './harness/bursts.ts';
import { cpuMicros, installed, loader, Processes, QUIET, quiet, residentMB } from './harness/processes.ts';
import { quantile, type Benchmark, type Report } from './harness/runner.ts';
import { buildTunnelPeers } from './peers/tunnel/build.ts';
import { direct, HOST, sallyport } from './peers/tunnel/sallyport.ts';
import { chisel, frp, ssh, sshLacks, type RunningTunnel, type TunnelPeer } from './peers/tunnel/tunnels.ts';
import { download, fixedRate, stalledReader, upload } from './tunnel/load.ts';
import { BULK, startOrigin } from './tunnel/origin.ts';

const CONNECTIONS = 32;
/** Requests a second of the open loop: about a quarter of what the slowest can do, so that waits are those of stalls. */
const RATE = 500;
const ONE_WAY = 25; // ms
const GET = `GET / HTTP/1.1\r\nHost: ${HOST}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`;

interface Contestant {
  readonly peer: TunnelPeer;
  readonly tunnel: RunningTunnel;
  readonly samples: Map<string, number[]>;
}

export const run: Benchmark = async (report, { quick }) => {
  const busy = await quiet(quick ? 5 : 60);
  if (busy > QUIET) report.note(`the machine was ${Math.round(busy * 100)} % busy with other things at the start`);
  if (!installed('nginx')) throw new Error('the origin of this benchmark is nginx, which is not installed');
  const built = await buildTunnelPeers();
  if ('missing' in built) report.note(built.missing);
  if (sshLacks() !== '') report.note(sshLacks());
  const peers: TunnelPeer[] = [
    sallyport,
    ...('path' in built ? [chisel(built.path), frp(built.path)] : []),
    ...(sshLacks() === '' ? [ssh] : []),
  ];
  const processes = new Processes(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
  const origin = await startOrigin(processes);
  try {
    await measureFar(peers, processes, origin.port, report, quick);
    await measureNear([direct, ...peers], processes, origin.port, report, quick);
  } finally {
    origin.stop();
    await processes.stop();
  }
  goals(report, peers);
};

function keep({ samples }: Contestant, row: string, value: number): void {
  samples.set(row, [...(samples.get(row) ?? []), value]);
}

async function measureNear(
  peers: readonly TunnelPeer[],
  processes: Processes,
  originPort: number,
  report: Report,
  quick: boolean,
): Promise<void> {
  const load = loader(processes);
  report.machine['load'] = load.name;
  const contestants: Contestant[] = [];
  for (const peer of peers) {
    const tunnel = await peer.start(processes, originPort);
    contestants.push({ peer, tunnel, samples: new Map() });
  }
  const total = (pids: readonly number[], of: (pid: number) => number): number =>
    pids.reduce((sum, pid) => sum + of(pid), 0);
  const both = ({ tunnel }: Contestant): number => total([...tunnel.edge(), ...tunnel.connector()], residentMB);
  // Turns: the order moves on by one each round, so that nobody always runs after the same one.
  const rounds = async (count: number, turn: (one: Contestant, round: number) => Promise<void>): Promise<void> => {
    for (let round = 0; round < count; round++) {
      for (const [at] of contestants.entries()) {
        const one = contestants[(round + at) % contestants.length]!;
        try {
          await turn(one, round);
        } catch (error) {
          report.note(`${one.peer.name}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
    }
  };

  for (const one of contestants) {
    keep(one, 'rest.edge', total(one.tunnel.edge(), residentMB));
    if (one.peer !== direct) keep(one, 'rest.connector', total(one.tunnel.connector(), residentMB));
  }
  await rounds(1, async (one) => {
    const before = both(one);
    const reader = await stalledReader(one.tunnel.port, HOST, '/endless');
    let most = 0;
    for (let look = 0; look < (quick ? 10 : 40); look++) {
      await new Promise((done) => setTimeout(done, 100));
      most = Math.max(most, both(one) - before);
    }
    reader.stop();
    keep(one, 'stalled', most);
  });
  await rounds(quick ? 3 : 11, async (one, round) => {
    if (one.peer !== direct) keep(one, 'first', round === 0 ? one.tunnel.firstByte : await one.tunnel.again());
  });

  const bursts = new Map(contestants.map((one) => [one, new Bursts(one.tunnel.port, CONNECTIONS, [GET])]));
  for (const each of bursts.values()) await each.send(quick ? 1000 : 5000);
  await rounds(quick ? 5 : 40, async (one) => {
    const [edge, connector] = [one.tunnel.edge(), one.tunnel.connector()];
    const before = [total(edge, cpuMicros), total(connector, cpuMicros)] as const;
    const failed = await bursts.get(one)!.send(300);
    if (failed > 0) report.note(`${one.peer.name}: ${failed} of 300 requests failed`);
    keep(one, 'cpu.edge', (total(edge, cpuMicros) - before[0]) / 300);
    if (one.peer !== direct) keep(one, 'cpu.connector', (total(connector, cpuMicros) - before[1]) / 300);
  });
  for (const each of bursts.values()) each.close();

  await rounds(quick ? 1 : 7, async (one) => {
    const options = { requests: [GET], connections: CONNECTIONS, seconds: quick ? 1 : 3 };
    const { requests, seconds, errors } = await load.run(one.tunnel.port, options);
    keep(one, 'rate', requests / seconds);
    if (errors > 0) report.note(`${one.peer.name}: ${errors} of ${requests} requests failed under full load`);
  });
  await rounds(quick ? 1 : 7, async (one) => {
    const options = { rate: RATE, seconds: quick ? 2 : 8, connections: CONNECTIONS };
    const { samples, failed } = await fixedRate(one.tunnel.port, GET, options);
    keep(one, 'p50', quantile(samples, 0.5));
    keep(one, 'p99', quantile(samples, 0.99));
    if (failed > 0) report.note(`${one.peer.name}: ${failed} requests failed at ${RATE} a second`);
  });
  await rounds(quick ? 2 : 9, async (one) => {
    keep(one, 'down', await download(one.tunnel.port, HOST, '/bulk', BULK));
    keep(one, 'up', await upload(one.tunnel.port, HOST, '/sink', BULK));
  });
  for (const one of contestants) await one.tunnel.stop();
  write(report, contestants);
}

/** With a distance between the two ends. */
async function measureFar(
  peers: readonly TunnelPeer[],
  processes: Processes,
  originPort: number,
  report: Report,
  quick: boolean,
): Promise<void> {
  const contestants: Contestant[] = [];
  const wires: FaultProxy[] = [];
  for (const peer of peers) {
    const tunnel = await peer.start(processes, originPort, async (port) => {
      const wire = await startFaultProxy(port);
      wire.up.latency = ONE_WAY;
      wire.down.latency = ONE_WAY;
      for (const way of [wire.up, wire.down]) way.holds = 1 << 26;
      wires.push(wire);
      return wire.port;
    });
    contestants.push({ peer, tunnel, samples: new Map() });
  }
  for (let round = 0; round < (quick ? 2 : 9); round++) {
    for (const one of contestants) {
      keep(one, 'far.first', round === 0 ? one.tunnel.firstByte : await one.tunnel.again());
      keep(one, 'far.down', await download(one.tunnel.port, HOST, '/bulk', BULK));
      keep(one, 'far.up', await upload(one.tunnel.port, HOST, '/sink', BULK));
    }
  }
  for (const { tunnel } of contestants) await tunnel.stop();
  for (const wire of wires) await wire.stop();
  write(report, contestants);
}

const ABOUT: Readonly<Record<string, readonly [what: string, unit: string]>> = {
  'far.first': ['from start of the connector to the first answer, ends 50 ms apart', 'ms'],
  'far.down': ['download of 64 MB, ends 50 ms apart', 'MB/s'],
  'far.up': ['upload of 64 MB, ends 50 ms apart', 'MB/s'],
  'rest.edge': ['resident at rest, public end', 'MB'],
  'rest.connector': ['resident at rest, private end', 'MB'],
  stalled: ['gained by a reader that stalls, both ends', 'MB'],
  first: ['from start of the connector to the first answer', 'ms'],
  'cpu.edge': ['CPU, public end', 'us/request'],
  'cpu.connector': ['CPU, private end', 'us/request'],
  rate: ['GET over 32 connections', 'requests/s'],
  p50: [`p50 at ${RATE} requests a second`, 'ms'],
  p99: [`p99 at ${RATE} requests a second`, 'ms'],
  down: ['download of 64 MB', 'MB/s'],
  up: ['upload of 64 MB', 'MB/s'],
};

function write(report: Report, contestants: readonly Contestant[]): void {
  for (const [row, [what, unit]] of Object.entries(ABOUT)) {
    for (const { peer, samples } of contestants) {
      const kept = samples.get(row);
      if (kept !== undefined) report.row(`${row}.${peer.id}`, peer.name, what, unit, kept);
    }
  }
}

function goals(report: Report, peers: readonly TunnelPeer[]): void {
  const others = peers.filter((peer) => peer !== sallyport);
  report.goal('first', 'the first answer is there within 1 s of the start', 'first.sallyport <= 1000', 'ms');
  for (const { id, name } of others) {
    report.goal(`first.${id}`, `and before that of ${name}`, `first.${id} / first.sallyport >= 1`, 'x');
    report.goal(
      `far.first.${id}`,
      `and before that of ${name}, the ends 50 ms apart`,
      `far.first.${id} / far.first.sallyport >= 1`,
      'x',
    );
    if (id === 'ssh') continue;
    report.goal(`down.${id}`, `downloads faster than ${name}`, `down.sallyport / down.${id} >= 1`, 'x');
    report.goal(`up.${id}`, `uploads faster than ${name}`, `up.sallyport / up.${id} >= 1`, 'x');
    for (const [row, what] of [
      ['far.down', 'downloads'],
      ['far.up', 'uploads'],
    ] as const) {
      const formula = `${row}.sallyport / ${row}.${id} >= 1`;
      report.goal(`${row}.${id}`, `${what} faster than ${name}, the ends 50 ms apart`, formula, 'x');
    }
  }
  report.goal(
    'rate',
    'at least 0.6 of the requests a second of Sallyport with no tunnel',
    'rate.sallyport / rate.direct >= 0.6',
    'x',
  );
  if (others.some(({ id }) => id === 'frp'))
    report.goal('p99', 'p99 ahead of frp at the same rate', 'p99.frp / p99.sallyport >= 1', 'x');
}
