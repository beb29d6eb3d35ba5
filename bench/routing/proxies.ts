/** Parts (a), (c) and (d) of `routing`: whole proxies under load, in plain workerd, in front of one origin. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { capnpConfig, Embed } from '../../src/cli/capnp.ts';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, workerdBinary } from '../../src/cli/workerd.ts';
import { Bursts } from '../harness/bursts.ts';
import { cpuMicros, freePort, installed, loader, Processes, residentMB, type Server } from '../harness/processes.ts';
import type { Options, Report } from '../harness/runner.ts';
import { BROWSER_HEADERS, requestsFor } from '../harness/table.ts';
import { HOST } from '../peers/deployment.ts';
import { gateway } from '../peers/gateway.ts';
import { compareWithCopying } from './parity.ts';

const ROUTES = 1000;
const CONNECTIONS = 32;

type Layer = 'hono' | 'headers' | 'log' | 'engine';
interface Peer {
  readonly id: string;
  readonly name: string;
  readonly what: string;
  readonly layers: readonly Layer[];
}
const LAYERED: readonly Peer[] = [
  { id: 'bare', name: 'bare worker', what: 'return env.ORIGIN.fetch(request)', layers: [] },
  { id: 'hono', name: 'bare + Hono', what: 'the same in a Hono handler', layers: ['hono'] },
  {
    id: 'headers',
    name: '+ headers',
    what: 'Hono, headers copied, forwarding headers set',
    layers: ['hono', 'headers'],
  },
  { id: 'log', name: '+ log', what: 'Hono, headers, the log line', layers: ['hono', 'headers', 'log'] },
  {
    id: 'engine',
    name: '+ engine',
    what: 'Hono, headers, log, head call on 1,000 routes',
    layers: ['hono', 'headers', 'log', 'engine'],
  },
  { id: 'copying', name: 'copying worker', what: 'headers and log, without Hono', layers: ['headers', 'log'] },
];

/** A proxy under test. Two processes of one program differ by some percent for their lives, so each peer has several. */
interface Contestant {
  readonly id: string;
  readonly name: string;
  readonly what: string;
  readonly servers: readonly Server[];
  readonly bursts: readonly Bursts[];
  readonly idleMB: readonly number[];
  readonly cpu: number[];
  readonly rate: number[];
}

export async function measureProxies(report: Report, { quick }: Options): Promise<void> {
  // A path of the table, so that Sallyport's first response has been through a route to the origin and back.
  const processes = new Processes(`GET /billing-0/healthz HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
  try {
    const folder = processes.folder;
    const originPort = await freePort();
    const origin = installed('nginx') ? 'nginx' : 'node';
    if (origin === 'nginx') {
      await processes.start('nginx', nginxArguments(processes, 'origin', originConfig(originPort)), originPort);
    } else {
      report.note('nginx is not installed: the origin is a Node server and there is no row for proxy_pass');
      await processes.start(
        process.execPath,
        [new URL('../peers/origin.ts', import.meta.url).pathname, String(originPort)],
        originPort,
      );
    }
    const load = loader(processes);
    if (load.name !== 'wrk')
      report.note('wrk is not installed: load comes from this Node process, so rates are lower than the servers allow');
    report.machine['load'] = load.name;
    report.machine['origin'] = origin;
    report.machine['workerd'] = JSON.parse(
      readFileSync(new URL('../../node_modules/workerd/package.json', import.meta.url), 'utf8'),
    ).version;

    // Every worker is ready on disk before anything is timed.
    const sallyport = await gateway(folder, `127.0.0.1:${originPort}`, ROUTES);
    const configs = new Map<string, (port: number) => string>();
    for (const peer of LAYERED) {
      const bundle = `${peer.id}.js`;
      processes.write(bundle, await layered(peer.layers));
      configs.set(peer.id, (port) => layeredConfig(bundle, peer.layers, port, originPort, folder));
    }
    configs.set('sallyport', sallyport);
    const peers = [
      ...LAYERED,
      { id: 'sallyport', name: 'Sallyport', what: '1,000 routes, rules, agent class, headers, log', layers: [] },
    ];
    const start = async (id: string): Promise<Server & { firstResponse: number }> => {
      const port = await freePort();
      return await processes.start(
        workerdBinary(),
        ['serve', processes.write(`${id}.capnp`, configs.get(id)!(port))],
        port,
      );
    };

    await compareWithCopying(HOST, { copying: configs.get('copying')!, sallyport }, processes);

    const requests = rawRequests();
    const instances = quick ? 1 : 3;
    const contestants: Contestant[] = [];
    const enter = async (id: string, name: string, what: string, begin: () => Promise<Server>): Promise<void> => {
      const servers: Server[] = [];
      while (servers.length < instances) servers.push(await begin());
      const bursts = servers.map(({ port }) => new Bursts(port, CONNECTIONS, requests));
      const idleMB = servers.map(({ pid }) => residentMB(pid));
      contestants.push({ id, name, what, servers, bursts, idleMB, cpu: [], rate: [] });
    };
    for (const { id, name, what } of peers) await enter(id, name, what, () => start(id));
    if (origin === 'nginx') {
      const what = 'proxy_pass with keep-alive, one process, for orientation; no routes, no log';
      let instance = 0;
      await enter('nginx', 'nginx', what, async () => {
        const port = await freePort();
        const file = `proxy-${instance++}`;
        return await processes.start('nginx', nginxArguments(processes, file, proxyConfig(port, originPort)), port);
      });
    }

    const failures = new Map<string, number>();
    const burst = async ({ id, servers, bursts }: Contestant, instance: number, count: number): Promise<number> => {
      const { pid } = servers[instance]!;
      const before = cpuMicros(pid);
      const failed = await bursts[instance]!.send(count);
      if (failed > 0) failures.set(id, (failures.get(id) ?? 0) + failed);
      return (cpuMicros(pid) - before) / count;
    };
    // Optimised code, a heap that has found its size: it takes some thousand requests.
    for (const contestant of contestants) {
      for (let instance = 0; instance < instances; instance++) await burst(contestant, instance, quick ? 2000 : 8000);
    }
    for (let round = 0; round < (quick ? 10 : 60); round++) {
      for (const [turn] of contestants.entries()) {
        // The order turns, so that no peer always runs after the same one.
        const contestant = contestants[(round + turn) % contestants.length]!;
        let sum = 0;
        for (let instance = 0; instance < instances; instance++) sum += await burst(contestant, instance, 300);
        contestant.cpu.push(sum / instances);
      }
    }
    for (const { bursts } of contestants) for (const each of bursts) each.close();
    for (const [id, failed] of failures) report.note(`${id}: ${failed} requests failed`);

    for (let round = 0; round < (quick ? 1 : 5); round++) {
      for (const { id, servers, rate } of contestants) {
        const done = await load.run(servers[0]!.port, { requests, connections: CONNECTIONS, seconds: quick ? 1 : 3 });
        rate.push(done.requests / done.seconds);
        if (done.errors > 0) report.note(`${id}: ${done.errors} of ${done.requests} requests failed under full load`);
      }
    }
    for (const { id, name, what, cpu } of contestants) report.row(`cpu.${id}`, name, what, 'us/request', cpu);
    for (const { id, name, what, rate } of contestants) report.row(`rate.${id}`, name, what, 'requests/s', rate);

    // (d) Processes under load stay as they are while fresh ones are started beside them.
    const starts = new Map<string, number[]>(['bare', 'copying', 'sallyport'].map((id) => [id, []]));
    for (let round = 0; round < (quick ? 3 : 15); round++) {
      for (const [id, samples] of starts) {
        const server = await start(id);
        samples.push(server.firstResponse);
        await processes.end(server);
      }
    }
    for (const { id, name } of contestants) {
      const samples = starts.get(id);
      if (samples) report.row(`start.${id}`, name, 'from spawn to the first response', 'ms', samples);
    }
    for (const { id, name, idleMB, servers } of contestants) {
      const loadedMB = servers.map(({ pid }) => residentMB(pid));
      report.row(`memory.idle.${id}`, name, 'resident after the first response', 'MB', idleMB);
      report.row(`memory.load.${id}`, name, 'resident after all rounds of load', 'MB', loadedMB);
    }
  } finally {
    await processes.stop();
  }

  report.goal(
    'copying',
    'Sallyport costs at most 10 % more CPU than a worker that copies headers and logs',
    'cpu.sallyport / cpu.copying <= 1.1',
    'x',
  );
  report.goal(
    'bare',
    'Sallyport costs at most 1.5 times the CPU of a bare worker proxy',
    'cpu.sallyport / cpu.bare <= 1.5',
    'x',
  );
}

function rawRequests(): string[] {
  const headers = [['host', HOST], ...BROWSER_HEADERS].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return requestsFor(ROUTES, 1000).map(({ method, target }) => {
    const body = method === 'POST' ? '{"reason":"damaged"}' : '';
    const more = body === '' ? '' : `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
    return `${method} ${target} HTTP/1.1\r\n${headers}${more}\r\n${body}`;
  });
}

async function layered(layers: readonly Layer[]): Promise<string> {
  const flags = Object.fromEntries(
    (['hono', 'headers', 'log', 'engine'] as const).map((layer) => [layer, layers.includes(layer)]),
  );
  const result = await build({
    entryPoints: [new URL('../peers/layers.ts', import.meta.url).pathname],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'browser'],
    external: ['*.wasm', './images.js'],
    define: { LAYERS: JSON.stringify(flags) },
  });
  return result.outputFiles[0]!.text;
}

/** The form of Sallyport's own configuration (src/cli/workerd.ts): same date, flags, kind of origin and of socket. */
function layeredConfig(
  bundle: string,
  layers: readonly Layer[],
  port: number,
  originPort: number,
  folder: string,
): string {
  const engine = layers.includes('engine');
  return capnpConfig({
    services: [
      { name: 'origin-0', external: { address: `127.0.0.1:${originPort}`, http: {} } },
      { name: 'internet', network: { allow: [] } },
      ...(engine ? [{ name: 'images', disk: { path: join(folder, 'images') } }] : []),
      {
        name: 'main',
        worker: {
          modules: [
            { name: 'worker.js', esModule: new Embed(bundle) },
            ...(engine ? [{ name: './engine.wasm', wasm: new Embed('engine.wasm') }] : []),
          ],
          compatibilityDate: COMPATIBILITY_DATE,
          compatibilityFlags: COMPATIBILITY_FLAGS,
          bindings: [
            { name: 'ORIGIN', service: 'origin-0' },
            ...(engine ? [{ name: 'IMAGES', service: 'images' }] : []),
          ],
          globalOutbound: 'internet',
        },
      },
    ],
    sockets: [
      {
        name: 'http',
        address: `127.0.0.1:${port}`,
        http: { injectRequestHeaders: [{ name: 'cf-connecting-ip' }] },
        service: 'main',
      },
    ],
  });
}

function nginxArguments(processes: Processes, name: string, http: string): string[] {
  const { folder } = processes;
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${name}-${kind};`)
    .join(' ');
  const file = processes.write(
    `${name}.conf`,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/${name}.pid; error_log stderr crit;
events { worker_connections 1024; }
http { access_log off; ${paths} keepalive_requests 100000000; keepalive_timeout 3600s;
${http} }\n`,
  );
  return ['-c', file, '-p', folder, '-e', 'stderr'];
}

/** A small answer, as the most demanding case for whoever stands in front. */
function originConfig(port: number): string {
  return `server { listen 127.0.0.1:${port}; location / { default_type text/plain; return 200 "ok\\n"; } }`;
}

function proxyConfig(port: number, originPort: number): string {
  return `upstream origin { server 127.0.0.1:${originPort}; keepalive 64; keepalive_requests 100000000; keepalive_timeout 3600s; }
server { listen 127.0.0.1:${port}; location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; } }`;
}
