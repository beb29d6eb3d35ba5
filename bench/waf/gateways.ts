/** The parts of `waf` that need whole servers: requests a second and core, start, sizes. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { compile } from '../../src/compiler/index.ts';
import { requireDeployment, ruleSetFinder } from '../../src/cli/deployment.ts';
import { compiledRules } from '../../src/cli/rule-images.ts';
import { addRules } from '../../src/cli/rulesets.ts';
import { artefact, WORKER_FILES, workerdBinary } from '../../src/cli/workerd.ts';
import { dataFolder } from '../../test/data.ts';
import { ROOT } from '../../test/gateway.ts';
import { Bursts } from '../harness/bursts.ts';
import { cpuMicros, freePort, installed, Processes, type Server } from '../harness/processes.ts';
import type { Options, Report } from '../harness/runner.ts';
import { worker } from '../peers/gateway.ts';
import { peerConfiguration } from '../peers/waf/rules.ts';
import { gets, post } from './traffic.ts';
import type { Octets, RawTransaction } from '../../src/waf/transaction.ts';

const RULESET = 'crs@4.28.0';
const MODULE = '/usr/lib/nginx/modules/ngx_http_modsecurity_module.so';
const CONNECTIONS = 16;

/** CRS as a project has it, compiled once under build/. */
async function project(): Promise<string> {
  const folder = join(ROOT, 'build/waf/project');
  mkdirSync(folder, { recursive: true });
  await addRules(folder, RULESET, { from: dataFolder('crs') });
  await compiledRules(folder, RULESET);
  return folder;
}

/** Sallyport as `serve` runs it, supervisor apart, with CRS at that level in mode enforce; its configuration for a port. */
async function gateway(processes: Processes, origin: string, level: number): Promise<(port: number) => string> {
  const name = `sallyport-pl${level}`;
  const folder = join(processes.folder, name);
  const policy = `app: bench
backends: { origin: { url: "http://${origin}" } }
routes: [{ backend: origin }]
waf: { ruleset: ${RULESET}, mode: enforce, paranoia: { blocking: ${level} } }
`;
  const { manifest, images, dials, diagnostics } = await compile({
    files: [{ path: 'bench.yaml', text: policy }],
    target: 'workerd',
    agents: readFileSync(artefact('agents.img')),
    rulesets: ruleSetFinder(await project()),
  });
  if (manifest === null) return requireDeployment({ diagnostics, deployment: null }, false) as never;
  return worker(folder, { manifest, images, dials });
}

const nginx = (body: string, head = ''): string => `${head}
daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log /dev/null;
events { worker_connections 256; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
${body}
}
`;

export async function measureGateways(report: Report, { quick }: Options): Promise<void> {
  if (!installed('nginx')) return report.note('nginx is not installed: no rows end to end');
  const processes = new Processes(
    'GET / HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nConnection: close\r\n\r\n',
  );
  try {
    const originPort = await freePort();
    const startNginx = async (name: string, port: number, text: string): Promise<Server> => {
      const prefix = join(processes.folder, name);
      mkdirSync(prefix, { recursive: true });
      const file = processes.write(`${name}/nginx.conf`, text);
      return await processes.start('nginx', ['-p', prefix, '-c', file, '-e', '/dev/null'], port);
    };
    await startNginx(
      'origin',
      originPort,
      nginx(`  server { listen 127.0.0.1:${originPort}; location / { default_type text/plain; return 200 "ok"; } }`),
    );
    const startSallyport = async (level: number): Promise<Server & { firstResponse: number }> => {
      const port = await freePort();
      const text = await gateway(processes, `127.0.0.1:${originPort}`, level);
      const file = processes.write(`sallyport-pl${level}/config.capnp`, text(port));
      return await processes.start(workerdBinary(), ['serve', file], port);
    };
    const requests = [...gets(40), post('json', 1024), post('form', 1024), post('prose', 1024)].map(wire);
    for (const level of quick ? [1] : [1, 4]) {
      const contestants: { id: string; name: string; server: Server; bursts: Bursts; cpu: number[] }[] = [];
      const enter = (id: string, name: string, server: Server): void =>
        void contestants.push({ id, name, server, bursts: new Bursts(server.port, CONNECTIONS, requests), cpu: [] });
      enter('sallyport', 'Sallyport in workerd', await startSallyport(level));
      const port = await freePort();
      try {
        const rules = processes.write(
          `rules-pl${level}.conf`,
          peerConfiguration({ crs: dataFolder('crs'), mode: 'enforce', paranoia: level as 1 | 4 }),
        );
        const server = `  upstream origin { server 127.0.0.1:${originPort}; keepalive 32; }
  server { listen 127.0.0.1:${port}; modsecurity on; modsecurity_rules_file ${rules};
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; } }`;
        enter(
          'nginx',
          'nginx with ModSecurity 3',
          await startNginx(`nginx-pl${level}`, port, nginx(server, `load_module ${MODULE};`)),
        );
      } catch (error) {
        report.note(`nginx with ModSecurity did not start: ${error instanceof Error ? error.message : String(error)}`);
      }
      const count = quick ? 200 : 400;
      for (const { bursts } of contestants) await bursts.send(count * (quick ? 3 : 10));
      for (let round = 0; round < (quick ? 3 : 15); round++) {
        for (const { server, bursts, cpu, name } of contestants) {
          const before = cpuMicros(server.pid);
          const failed = await bursts.send(count);
          cpu.push((cpuMicros(server.pid) - before) / count);
          if (failed > 0 && round === 0) report.note(`${name}, PL${level}: ${failed} of ${count} answers were not 2xx`);
        }
      }
      for (const { id, name, server, bursts, cpu } of contestants) {
        bursts.close();
        const what = `PL${level}: 40 page views, 3 POSTs of 1 KB; CPU of the whole server`;
        report.row(`cpu.pl${level}.${id}`, name, what, 'us/request', cpu);
        const perSecond = cpu.map((micros) => 1e6 / micros);
        report.row(`rate.pl${level}.${id}`, name, `${what}, as requests`, 'requests/s/core', perSecond);
        await processes.end(server);
      }
      if (contestants.some(({ id }) => id === 'nginx'))
        report.goal(
          `gateway.pl${level}`,
          `whole server at PL${level}: at least 8 times the requests a second and core of nginx with ModSecurity`,
          `cpu.pl${level}.nginx / cpu.pl${level}.sallyport >= 8`,
          'x',
        );
    }
    for (const [level, limit] of [
      [1, 60],
      [4, 110],
    ] as const) {
      const samples: number[] = [];
      for (let round = 0; round < (quick ? 3 : 11); round++) {
        const server = await startSallyport(level);
        samples.push(server.firstResponse);
        await processes.end(server);
      }
      report.row(
        `start.pl${level}`,
        'Sallyport in workerd',
        `PL${level}: from spawn to the first response`,
        'ms',
        samples,
      );
      report.goal(
        `start.pl${level}`,
        `first response within ${limit} ms of start with CRS at PL${level}`,
        `start.pl${level} <= ${limit}`,
        'ms',
      );
    }
    await measureSizes(report);
  } finally {
    await processes.stop();
  }
}

async function measureSizes(report: Report): Promise<void> {
  const { image } = await compiledRules(await project(), RULESET);
  const megabytes = (...parts: Uint8Array[]): number =>
    parts.reduce((sum, part) => sum + gzipSync(part, { level: 9 }).length, 0) / 1024 / 1024;
  report.row('image.crs', 'Sallyport', 'rule-set image of CRS, gzip', 'MB', [megabytes(image)]);
  const parts = WORKER_FILES.map((name) => new Uint8Array(readFileSync(artefact(name))));
  report.row('worker', 'Sallyport', 'worker script, engine and CRS image, gzip', 'MB', [megabytes(...parts, image)]);
  report.goal('image', 'the image of CRS is at most 1 MB gzip', 'image.crs <= 1', 'MB');
  report.goal('worker', 'the whole worker with CRS is under 3 MB gzip', 'worker < 3', 'MB');
}

/** A request as bytes on a connection that stays open. */
function wire({ method, uri, headers, body }: RawTransaction): string {
  const text = (octets: Octets): string =>
    typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1');
  const lines = headers.map(([name, value]) => `${text(name)}: ${text(value)}\r\n`).join('');
  return `${text(method)} ${text(uri)} HTTP/1.1\r\n${lines}\r\n${text(body)}`;
}
