/**
 * Gateway API HTTPRoute, core and extended, as far as it needs no Kubernetes: the scenarios of the standard's own
 * conformance tests, in our words, keyed by their ShortName (one file each in `gateway-api/`).
 *
 * SPEC: https://gateway-api.sigs.k8s.io/reference/spec/ (v1), conformance/tests of kubernetes-sigs/gateway-api v1.6.
 *
 * A file holds an app (or apps for several gateways) and cases: a request and what must come of it. All files share a
 * handful of gateways, told apart by host name, so that thousands of routes beside it do not change a case's answer.
 * Where a file names no host, its app gets `<shortname>.test`, and its cases ask for that.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { Agent, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { parse, stringify } from 'yaml';
import { compile } from '../../src/compiler/index.ts';
import { begin, collect, type Answer } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { certificate, startGateway, type Gateway } from '../gateway.ts';

interface Case {
  name?: string;
  gateway?: string;
  method?: string;
  host?: string;
  path: string;
  headers?: Record<string, string>;
  /** Response headers that the origin is told to send. */
  origin?: Record<string, string>;
  times?: number;
  /** Reason why the runtime cannot show this; counted and printed. */
  skip?: string;

  status?: number | number[];
  backend?: string;
  reaches?: 'none';
  sees?: { path?: string; host?: string; headers?: Record<string, string>; absent?: string[] };
  answer?: {
    headers?: Record<string, string>;
    oneOf?: Record<string, string[]>;
    lists?: Record<string, string[]>;
    absent?: string[];
  };
  redirect?: { scheme?: string; host?: string; port?: string; path?: string };
  mirrors?: string[];
  mirrorShare?: Record<string, number>;
  share?: Record<string, number>;
  /** Every answer's backend is what this request header told it. */
  namedBy?: string;
  webSocket?: (string | number[])[];
}

interface Data {
  about: string;
  app?: Record<string, unknown>;
  apps?: Record<string, Record<string, unknown>[]>;
  /** Policies that must not be accepted, with the code of the diagnostic; if one is, the whole file fails. */
  refused?: { code: string; app: Record<string, unknown> }[];
  cases: Case[];
}

export interface Outcome {
  readonly id: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly detail: string;
}

const FOLDER = fileURLToPath(new URL('gateway-api/', import.meta.url));
const BACKENDS = ['a', 'b', 'c', 'fresh'] as const;
/** Closes each connection after its answer: on one that is reused the runtime repeats a GET itself, uncounted. */
const ONE_SHOT = 'fresh';
/** Chance that a correct share falls outside is about 1 in 16,000. */
const SIGMAS = 4;

export async function runGatewayApi(
  only: readonly string[] = [],
  report: (outcome: Outcome) => void = () => {},
): Promise<Outcome[]> {
  const names = (await readdir(FOLDER))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -5))
    .sort();
  const chosen = names.filter((name) => only.length === 0 || only.includes(name));
  if (chosen.length === 0)
    throw new Error(`no scenarios in ${FOLDER}${only.length > 0 ? ` named ${only.join(' ')}` : ''}`);
  const files = await Promise.all(
    chosen.map(async (name) => ({
      name,
      data: parse(await readFile(join(FOLDER, `${name}.yaml`), 'utf8'), { merge: true }) as Data,
    })),
  );

  const origins = Object.fromEntries(
    await Promise.all(
      BACKENDS.map(async (name) => [name, await startEcho(name, { oneShot: name === ONE_SHOT })] as const),
    ),
  ) as Record<string, Echo>;
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-conformance-'));
  const gateways = new Map<string, Gateway>();
  const outcomes: Outcome[] = [];
  const agents = [
    new Agent({ keepAlive: true, maxSockets: 64 }),
    new TlsAgent({ keepAlive: true, maxSockets: 64 }),
  ] as const;
  try {
    const tlsHosts = files.flatMap(({ name, data }) =>
      data.cases.filter(({ gateway }) => gateway === 'tls').map(({ host }) => host ?? `${name.toLowerCase()}.test`),
    );
    const tls = await certificate(folder, [...new Set(['localhost', ...tlsHosts])]);
    const policies = new Map<string, string[]>();
    for (const { name, data } of files) {
      for (const [gateway, apps] of Object.entries(data.apps ?? { default: [data.app ?? {}] })) {
        const list = policies.get(gateway) ?? [];
        apps.forEach((app, index) => list.push(policyText(name, gateway, index, app, origins)));
        policies.set(gateway, list);
      }
    }
    // All of them settle before one that failed is said, so that those which started are stopped.
    const started = await Promise.allSettled(
      [...policies].map(async ([name, texts]) => {
        const args = name === 'tls' ? ['--tls-cert', tls.certFile, '--tls-key', tls.keyFile] : [];
        gateways.set(name, await startGateway({ policy: texts, args }));
      }),
    );
    for (const start of started) if (start.status === 'rejected') throw start.reason;
    for (const { name, data } of files) {
      const accepted = await wronglyAccepted(name, data, origins);
      const results = await Promise.all(
        data.cases.map(async (one, index): Promise<Outcome> => {
          const id = `${name} ${index + 1}: ${one.name ?? `${one.method ?? 'GET'} ${one.host ?? ''}${one.path}`}`;
          if (accepted !== '') return { id, result: 'failed', detail: accepted };
          if (one.skip !== undefined) return { id, result: 'skipped', detail: one.skip };
          try {
            await check(one, index, name, gateways.get(one.gateway ?? 'default') as Gateway, origins, agents, tls.cert);
            return { id, result: 'passed', detail: '' };
          } catch (error) {
            return { id, result: 'failed', detail: (error as Error).message };
          }
        }),
      );
      results.forEach(report);
      outcomes.push(...results);
    }
  } finally {
    for (const agent of agents) agent.destroy();
    await Promise.allSettled([...gateways.values()].map((gateway) => gateway.stop()));
    await Promise.allSettled(Object.values(origins).map((origin) => origin.stop()));
    await rm(folder, { recursive: true, force: true });
  }
  return outcomes;
}

/** '' or which policy was accepted although the standard says that it is not. */
async function wronglyAccepted(name: string, data: Data, origins: Record<string, Echo>): Promise<string> {
  for (const { code, app } of data.refused ?? []) {
    const text = policyText(name, 'refused', 0, app, origins);
    const { ok, diagnostics } = await compile({ files: [{ path: `${name}.yaml`, text }], target: 'workerd' });
    const said = diagnostics.filter(({ severity }) => severity === 'error').map((diagnostic) => diagnostic.code);
    if (ok || !said.includes(code))
      return `a policy that must be refused with ${code} was not: ${said.join(', ') || 'no error'}`;
  }
  return '';
}

function policyText(
  name: string,
  gateway: string,
  index: number,
  app: Record<string, unknown>,
  origins: Record<string, Echo>,
): string {
  const backends = Object.fromEntries(Object.values(origins).map((origin) => [origin.name, { url: origin.url }]));
  return stringify(
    { app: `${name.toLowerCase()}-${gateway}-${index}`, hostnames: [`${name.toLowerCase()}.test`], backends, ...app },
    { lineWidth: 0 },
  );
}

function need(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(message);
}

async function check(
  one: Case,
  index: number,
  name: string,
  gateway: Gateway,
  origins: Record<string, Echo>,
  agents: readonly [Agent, TlsAgent],
  ca: string,
): Promise<void> {
  const host = one.host ?? `${name.toLowerCase()}.test`;
  if (one.webSocket) return checkWebSocket(gateway, host, one);
  const secure = gateway.url.startsWith('https:');
  /** Marks the requests of this case at the origins; the header survives every change that a case makes. */
  const mark = `${name}-${index}-${randomUUID()}`;
  const ask = async (): Promise<Answer> => {
    const path = one.path.includes('succeedAfter=') ? `${one.path}&uuid=${randomUUID()}` : one.path;
    const headers: Record<string, string> = { ...one.headers, 'X-Case': mark };
    if (one.origin)
      headers['X-Echo-Set-Header'] = Object.entries(one.origin)
        .map(([key, value]) => `${key}:${value}`)
        .join(',');
    const request = begin(`${gateway.url}${path}`, {
      method: one.method ?? 'GET',
      host,
      headers,
      agent: agents[secure ? 1 : 0],
      ca,
      servername: host.split(':')[0] as string,
    });
    const answered = once(request, 'response');
    request.end();
    const [response] = (await answered) as [IncomingMessage];
    return collect(response);
  };
  const answers: Answer[] = [];
  const total = one.times ?? 1;
  while (answers.length < total)
    answers.push(...(await Promise.all(Array.from({ length: Math.min(25, total - answers.length) }, ask))));

  for (const answer of answers) checkAnswer(one, answer, host);
  const marked = (backend: string): number =>
    origins[backend]?.received.filter((request) => request.headers['x-case'] === mark).length ?? 0;
  if (one.reaches === 'none')
    need(
      BACKENDS.every((backend) => marked(backend) === 0),
      'reached a backend',
    );
  for (const backend of one.mirrors ?? []) {
    const copy = await origins[backend]?.arrival((request) => request.headers['x-case'] === mark);
    need(copy !== undefined, `no copy at ${backend}`);
    need(marked(backend) === 1, `${marked(backend)} copies at ${backend}`);
    if (one.sees) checkSeen(one.sees, copy);
  }
  if (one.share) {
    const counts: Record<string, number> = {};
    for (const answer of answers) counts[answer.echo().backend] = (counts[answer.echo().backend] ?? 0) + 1;
    for (const [backend, percent] of Object.entries(one.share))
      checkShare(backend, counts[backend] ?? 0, total, percent);
  }
  for (const [backend, percent] of Object.entries(one.mirrorShare ?? {})) {
    // Copies may still be on their way when the last answer is here: count until the number stands for a while.
    let last = -1;
    while (last !== marked(backend)) {
      last = marked(backend);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    checkShare(`mirror ${backend}`, last, total, percent);
  }
}

function checkShare(what: string, count: number, total: number, percent: number): void {
  const share = percent / 100;
  const band = SIGMAS * Math.sqrt(total * share * (1 - share));
  need(
    Math.abs(count - total * share) <= band,
    `${what} got ${count} of ${total}, wanted ${percent} % ± ${band.toFixed(0)}`,
  );
}

function checkAnswer(one: Case, answer: Answer, host: string): void {
  const wanted = one.status ?? (one.backend === undefined ? undefined : 200);
  if (wanted !== undefined)
    need(
      [wanted].flat().includes(answer.status),
      `status ${answer.status}, wanted ${[wanted].flat().join(' or ')}: ${answer.text().slice(0, 300)}`,
    );
  if (one.backend !== undefined || one.sees || one.namedBy !== undefined) {
    const seen = answer.echo();
    if (one.backend !== undefined) need(seen.backend === one.backend, `backend ${seen.backend}, wanted ${one.backend}`);
    if (one.sees) checkSeen(one.sees, seen);
    if (one.namedBy !== undefined)
      need(seen.headers[one.namedBy] === seen.backend, `backend ${seen.backend} was told ${seen.headers[one.namedBy]}`);
  }
  const { headers = {}, oneOf = {}, lists = {}, absent = [] } = one.answer ?? {};
  const items = (text: string | undefined): string[] =>
    (text ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean)
      .sort();
  for (const [key, value] of Object.entries(headers))
    need(items(answer.headers[key]).join() === items(value).join(), `${key}: ${answer.headers[key]}, wanted ${value}`);
  for (const [key, values] of Object.entries(oneOf))
    need(
      values.includes(answer.headers[key] ?? ''),
      `${key}: ${answer.headers[key]}, wanted one of ${values.join(' | ')}`,
    );
  for (const [key, values] of Object.entries(lists))
    need(
      items(answer.headers[key]).join() === [...values].sort().join(),
      `${key}: ${answer.headers[key]}, wanted ${values.join(', ')}`,
    );
  for (const key of absent) need(!(key in answer.headers), `${key} is there: ${answer.headers[key]}`);
  if (one.redirect) checkRedirect(one.redirect, answer.headers['location'] ?? '', host);
}

function checkSeen(
  wanted: NonNullable<Case['sees']>,
  seen: { path: string; host: string; headers: Record<string, string> },
): void {
  if (wanted.path !== undefined) need(seen.path === wanted.path, `path ${seen.path}, wanted ${wanted.path}`);
  if (wanted.host !== undefined) need(seen.host === wanted.host, `host ${seen.host}, wanted ${wanted.host}`);
  for (const [key, value] of Object.entries(wanted.headers ?? {})) {
    need(
      (seen.headers[key] ?? '').replaceAll(', ', ',') === value,
      `origin saw ${key}: ${seen.headers[key]}, wanted ${value}`,
    );
  }
  for (const key of wanted.absent ?? []) need(!(key in seen.headers), `origin saw ${key}: ${seen.headers[key]}`);
}

/** A field that a case does not name must be as the client asked for it; a port may be written where it is the scheme's own. */
function checkRedirect(wanted: NonNullable<Case['redirect']>, location: string, host: string): void {
  const url = URL.parse(location);
  need(url !== null, `location ${location}`);
  const scheme = url.protocol.slice(0, -1);
  if (wanted.scheme !== undefined)
    need(scheme === wanted.scheme, `location ${location}: scheme, wanted ${wanted.scheme}`);
  need(
    url.hostname === (wanted.host ?? host.split(':')[0]),
    `location ${location}: host, wanted ${wanted.host ?? host}`,
  );
  if (wanted.port !== undefined)
    need(url.port === wanted.port, `location ${location}: port, wanted ${wanted.port || 'none'}`);
  if (wanted.path !== undefined)
    need(url.pathname === wanted.path, `location ${location}: path, wanted ${wanted.path}`);
}

async function checkWebSocket(gateway: Gateway, host: string, one: Case): Promise<void> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}${one.path}`, { headers: { Host: host } });
  try {
    await once(socket, 'open');
    for (const message of one.webSocket ?? []) {
      const sent = typeof message === 'string' ? Buffer.from(message) : Buffer.from(message);
      const back = once(socket, 'message');
      socket.send(sent, { binary: typeof message !== 'string' });
      const [data, binary] = (await back) as [Buffer, boolean];
      need(
        sent.equals(data) && binary === (typeof message !== 'string'),
        `sent ${JSON.stringify(message)}, got ${data.toString()}`,
      );
    }
  } finally {
    socket.terminate();
  }
}
