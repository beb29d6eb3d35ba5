/**
 * The CRS suite over real sockets: go-ftw's bytes to `sallyport serve` in workerd, with the suite's reflecting backend
 * behind it, at paranoia level 4 in mode log, so that the answer is the backend's and the access log tells what fired.
 *
 * Beside what a stage asserts, every stage is held against the same request judged in the process: where the HTTP layer
 * lets it through, no rule may be missing. What differs has its reason in crs/http-differences.json, by stage; a reason
 * that is no longer needed is a failure too.
 */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { compiledRules } from '../../src/cli/rule-images.ts';
import { addRules } from '../../src/cli/rulesets.ts';
import { dataFolder } from '../data.ts';
import { ROOT, startGateway, type Gateway, type GatewayEvent } from '../gateway.ts';
import { parseResponse } from '../raw.ts';
import { assertsRules, faults, type Fired } from './crs/judgement.ts';
import { reflect } from './crs/reflection.ts';
import { transactionOf, wireOf } from './crs/request.ts';
import { Sallyport } from './crs/sallyport.ts';
import { loadSuite, type Stage } from './crs/suite.ts';
import type { Outcome } from './gateway-api.ts';

const RULESET = 'crs@4.28.0';
/** For an answer; a request that never gets complete has none. */
const PATIENCE = 700;

type Differences = Record<string, { why: string; stages: string[] }>;
const DIFFERENCES = new URL('crs/http-differences.json', import.meta.url);

export async function runCrsHttp(only: readonly string[], report: (outcome: Outcome) => void): Promise<Outcome[]> {
  const stages = loadSuite().filter(({ id }) => only.length === 0 || only.some((start) => id.startsWith(start)));
  const reasons = new Map<string, string>();
  const differences = JSON.parse(readFileSync(DIFFERENCES, 'utf8')) as Differences;
  for (const { why, stages: ids } of Object.values(differences)) for (const id of ids) reasons.set(id, why);
  const own = await Sallyport.start();
  const origin = await startOrigin();
  const outcomes: Outcome[] = [];
  let gateway: Gateway | null = null;
  try {
    gateway = await startGateway({
      policy: policyFor((origin.address() as AddressInfo).port),
      prepare: addCrs,
    });
    for (const stage of stages) {
      const seen = await send(gateway, stage);
      const inside = (await own.run(transactionOf(stage.input))).hits.map(({ id }) => id);
      const wrong = judge(stage, seen, inside);
      const reason = reasons.get(stage.id);
      let outcome: Outcome;
      if (wrong.length === 0 && reason !== undefined)
        outcome = { id: stage.id, result: 'failed', detail: `needs its reason no longer: ${reason}` };
      else if (wrong.length === 0) outcome = { id: stage.id, result: 'passed', detail: '' };
      else if (reason === undefined) outcome = { id: stage.id, result: 'failed', detail: wrong.join('; ') };
      else outcome = { id: stage.id, result: 'skipped', detail: reason };
      if (outcome.result !== 'passed') report(outcome);
      outcomes.push(outcome);
    }
  } finally {
    await gateway?.stop();
    origin.close();
    origin.closeAllConnections();
  }
  return outcomes;
}

/** The rule set as a project has it, compiled: once under build/, and a copy of that for the gateway. */
async function addCrs(folder: string): Promise<void> {
  const project = join(ROOT, 'build/waf/project');
  mkdirSync(project, { recursive: true });
  await addRules(project, RULESET, { from: dataFolder('crs') });
  await compiledRules(project, RULESET);
  cpSync(project, folder, { recursive: true });
}

const policyFor = (port: number): string => `
app: crs
backends: { origin: { url: "http://127.0.0.1:${port}" } }
routes: [{ backend: origin }]
waf:
  ruleset: ${RULESET}
  mode: log
  paranoia: { blocking: 4, detection: 4 }
  body: { limit: 1MB, over: inspect-prefix }
  response: { inspect: true }
  evidence: plain
  variables:
    crs_validate_utf8_encoding: 1
    arg_name_length: 100
    arg_length: 400
    total_arg_length: 64000
    max_num_args: 255
    max_file_size: 64100
    combined_file_sizes: 65535
`;

function startOrigin(): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { status, headers, body } = reflect(request.method ?? '', request.url ?? '', Buffer.concat(chunks));
      response.writeHead(status, headers.flat());
      response.end(body);
    });
  });
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)));
}

interface Seen {
  /** Of the answer; 0 for none. */
  readonly status: number;
  /** Whether the request was routed: an access line with a backend. */
  readonly passed: boolean;
  readonly fired: readonly Fired[];
  /** What the log says of the decision. */
  readonly verdicts: string;
}

let marks = 0;

/** Sends a stage, and a marker after it: what the log says in between is the stage's. */
async function send(gateway: Gateway, stage: Stage): Promise<Seen> {
  const since = gateway.events.length;
  const status = await exchange(gateway.port, wireOf(stage.input));
  const mark = `/sallyport-mark-${++marks}`;
  const line = `GET ${mark} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: mark\r\nAccept: */*\r\nConnection: close\r\n\r\n`;
  if ((await exchange(gateway.port, Buffer.from(line))) !== 200) throw new Error(`${stage.id}: the marker failed`);
  await gateway.event('access', ({ path }) => path === mark, since);
  const lines = gateway.events.slice(since).filter(({ event, path }) => event === 'access' && path !== mark);
  return {
    status,
    passed: lines.some((access) => access['upstream'] !== undefined),
    fired: lines.flatMap(firedOf),
    verdicts: lines.map(({ verdict }) => JSON.stringify(verdict)).join(),
  };
}

function firedOf(access: GatewayEvent): Fired[] {
  const waf = access['waf'] as { events: { rule: number; message: string }[]; truncated: boolean } | undefined;
  return (waf?.events ?? []).map(({ rule, message }) => ({ id: rule, message, data: '' }));
}

function exchange(port: number, wire: Uint8Array): Promise<number> {
  return new Promise((done) => {
    let data = Buffer.alloc(0);
    const socket = connect(port, '127.0.0.1', () => socket.write(wire));
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      done(Number(/^HTTP\/1\.[01] (\d{3})/.exec(data.subarray(0, 20).toString('latin1'))?.[1] ?? 0));
    };
    const timer = setTimeout(finish, PATIENCE);
    const method = /^\w+/.exec(Buffer.from(wire.subarray(0, 10)).toString('latin1'))?.[0];
    socket.on('data', (chunk) => {
      data = Buffer.concat([data, chunk]);
      if (parseResponse(data, false, method)) finish();
    });
    socket.once('end', finish);
    socket.once('error', finish);
  });
}

/** What does not hold, one sentence each. */
function judge(stage: Stage, { status, passed, fired, verdicts }: Seen, inside: readonly number[]): string[] {
  const { expects } = stage;
  const wrong: string[] = [];
  if (expects.error) return status === 0 || status >= 400 ? [] : [`an error was due, and ${status} came`];
  if (expects.status !== 0 && status !== expects.status) wrong.push(`status ${status}, not ${expects.status}`);
  // The access log has no logdata: what a line of the log looks like is asserted in the process.
  if (assertsRules(expects)) wrong.push(...faults({ ...stage, expects: { ...expects, matches: null } }, fired));
  const there = new Set(fired.map(({ id }) => id));
  // 200002 and 200003 are rules of the configuration that engines are compared with, not of the policy.
  const missing = [...new Set(inside)].filter((id) => !there.has(id) && id !== 200002 && id !== 200003);
  if (passed && missing.length > 0) wrong.push(`let through without ${missing.join(', ')}`);
  if (wrong.length > 0)
    wrong.push(`(status ${status}${passed ? ', let through' : `, refused: ${verdicts || 'by the runtime'}`})`);
  return wrong;
}
