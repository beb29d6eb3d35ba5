/**
 * The MCP conformance suite (`@modelcontextprotocol/conformance`, which is the client) against reference servers: directly,
 * then through the gateway, where every check must come out as it did directly; and against our joined endpoint. A check
 * that the reference server fails by itself says nothing about us and counts as skipped; so does one that may differ, with
 * its reason, in `mcp/differences.yaml`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { ROOT, startGateway, type Gateway } from '../gateway.ts';
import type { Outcome } from './gateway-api.ts';
import { startPrefixes } from './mcp/prefixes.ts';
import { startSessionsServer, type ReferenceServer } from './mcp/sessions-server.ts';
import { startStatelessServer } from './mcp/stateless-server.ts';

const SUITE = join(ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const DIFFERENCES = fileURLToPath(new URL('mcp/differences.yaml', import.meta.url));
const VERSIONS = ['2025-06-18', '2025-11-25', '2026-07-28'] as const;
type Version = (typeof VERSIONS)[number];
/** Milliseconds for all scenarios of one version at one place. */
const PATIENCE = 90_000;

/** Outcome of a check, by scenario, id, and how many of that id came before it. */
type Checks = Map<string, { readonly status: string; readonly message: string }>;

/** Place -> check, or a whole scenario with `*` -> why it may come out differently there. */
type Differences = Readonly<Record<string, Readonly<Record<string, string>> | null>>;

export async function runMcp(
  only: readonly string[] = [],
  report: (outcome: Outcome) => void = () => {},
): Promise<Outcome[]> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-mcp-'));
  const servers: ReferenceServer[] = [];
  const gateways: Gateway[] = [];
  const shims: Awaited<ReturnType<typeof startPrefixes>>[] = [];
  const keep = async <T extends { stop(): Promise<void> }>(list: T[], starting: Promise<T>): Promise<T> => {
    const started = await starting;
    list.push(started);
    return started;
  };
  try {
    const differences = (parse(await readFile(DIFFERENCES, 'utf8')) ?? {}) as Differences;
    const [one, two, stateless] = await Promise.all([
      keep(servers, startSessionsServer()),
      keep(servers, startSessionsServer()),
      keep(servers, startStatelessServer()),
    ]);
    const urls = { one: one.url, two: two.url, stateless: stateless.url };
    // Two processes, two endpoints: a session has to be found from anywhere.
    const gateway = await keep(gateways, startGateway({ policy: policy(urls), args: ['--workers', '2'] }));
    const outcomes: Outcome[] = [];
    for (const version of VERSIONS) {
      const kind = version < '2026' ? 'sessions' : 'stateless';
      const direct = await run(
        `${urls[kind === 'sessions' ? 'one' : 'stateless']}/mcp`,
        version,
        join(folder, version),
      );
      const prefixes = await keep(shims, startPrefixes(`${gateway.url}/joined-${kind}/mcp`, 'every'));
      const places = { gateway: `${gateway.url}/${kind}/mcp`, joined: `${prefixes.url}/mcp` };
      for (const [place, url] of Object.entries(places)) {
        const there = await run(url, version, join(folder, `${place}-${version}`));
        const compared = compare(`${place} ${version}`, direct, there, differences[`${place} ${version}`] ?? {});
        const chosen = compared.filter(({ id }) => only.length === 0 || only.some((name) => id.includes(name)));
        chosen.forEach(report);
        outcomes.push(...chosen);
      }
    }
    return outcomes;
  } finally {
    await Promise.allSettled([...shims, ...gateways, ...servers].map((one) => one.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Routes `/NAME/mcp`: to a server of each era, and to both joined, whose names begin with `every_` and `other_`. */
function policy(urls: Readonly<Record<'one' | 'two' | 'stateless', string>>): string {
  const route = (name: string, more: object): object => ({
    ...{ name, matches: [{ path: { value: `/${name}` } }] },
    filters: [{ urlRewrite: { path: { replacePrefixMatch: '/' } } }],
    ...more,
  });
  const joined = (every: string, other: string): object => ({
    mcp: { servers: { every: { backend: every }, other: { backend: other } } },
  });
  return JSON.stringify({
    app: 'mcp',
    hostnames: ['127.0.0.1', 'localhost'],
    backends: {
      sessions: { endpoints: [{ url: urls.one }, { url: urls.two }] },
      stateless: { url: urls.stateless },
    },
    routes: [
      route('sessions', { backend: 'sessions', mcp: {} }),
      route('stateless', { backend: 'stateless', mcp: {} }),
      route('joined-sessions', joined('sessions', 'stateless')),
      route('joined-stateless', joined('stateless', 'sessions')),
    ],
  });
}

/** All scenarios of a version against a URL. */
async function run(url: string, version: Version, output: string): Promise<Checks> {
  const args = [SUITE, 'server', '--url', url, '--suite', 'all', '--spec-version', version, '-o', output];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: tmpdir() });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  await once(child, 'close');
  clearTimeout(timer);
  const checks: Checks = new Map();
  for (const folder of await readdir(output).catch(() => [] as string[])) {
    const scenario = folder.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '');
    const list = JSON.parse(await readFile(join(output, folder, 'checks.json'), 'utf8')) as {
      id: string;
      status: string;
      errorMessage?: string;
    }[];
    const times = new Map<string, number>();
    for (const { id, status, errorMessage = '' } of list) {
      const time = (times.get(id) ?? 0) + 1;
      times.set(id, time);
      checks.set(`${scenario} ${id}${time > 1 ? ` ${time}` : ''}`, { status, message: errorMessage });
    }
  }
  if (checks.size === 0) throw new Error(`the suite made no checks of ${url}\n${said.slice(-2000)}`);
  return checks;
}

function compare(
  place: string,
  direct: Checks,
  there: Checks,
  differences: Readonly<Record<string, string>>,
): Outcome[] {
  const outcomes: Outcome[] = [];
  const used = new Set<string>();
  for (const id of new Set([...direct.keys(), ...there.keys()])) {
    const [was, is] = [direct.get(id), there.get(id)];
    const say = (result: Outcome['result'], detail: string): void =>
      void outcomes.push({ id: `${place}: ${id}`, result, detail });
    const key = [id, `${id.split(' ', 1)[0]} *`].find((one) => differences[one] !== undefined);
    if (was?.status === 'FAILURE') say('skipped', `the reference server fails it directly: ${was.message}`);
    else if (was?.status === is?.status) say('passed', '');
    else if (key !== undefined) {
      used.add(key);
      say('skipped', differences[key]!);
    } else
      say(
        'failed',
        `directly ${was?.status ?? 'there is no such check'}, here ${is?.status ?? 'none'}: ${is?.message ?? ''}`,
      );
  }
  // What is listed and does not differ would hide the next difference.
  for (const key of Object.keys(differences).filter((one) => !used.has(one)))
    outcomes.push({
      id: `${place}: ${key}`,
      result: 'failed',
      detail: 'is listed in differences.yaml, and does not differ',
    });
  return outcomes;
}
