/**
 * The control socket of an on-prem deployment: one unix socket, mode 0600, that speaks for all its processes. Each of
 * them has a private one (src/control/); here their answers are asked for and joined.
 *
 *   GET  /v1/status    the deployment, its processes and what each says of itself
 *   POST /v1/reload    compiles the policy files again and swaps them in
 *   GET  /healthz      200 while any process answers     GET /readyz   200 while all do
 *   /v1/tunnels..., /v1/offers    tunnels (src/control/tunnels.ts), of whichever process is up
 *   GET, POST /v1/payments      what agents were charged and have paid (src/control/payments.ts)
 *   GET  /v1/agents?since=DAY   what agents did (src/control/agents.ts), of all processes
 *   GET  /metrics      Prometheus text, summed over the processes
 *   GET  /v1/openapi.json   this API, described (openapi.ts)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Gateway } from './gateway.ts';
import { OPENAPI } from './openapi.ts';
import { openPrivateSocket, sendJson } from './private-socket.ts';
import type { Supervisor } from './supervisor.ts';

const MAX_BODY = 65_536; // bytes of a request
const PATIENCE = 30_000; // ms for what a process does to tunnels

interface Parts {
  readonly gateway: Gateway;
  readonly supervisor: Supervisor;
}

/** Opens the socket; the answer closes it. */
export function openControl(path: string, parts: Parts): Promise<() => void> {
  return openPrivateSocket(path, (request, response) => answer(parts, request, response));
}

async function answer(
  { gateway, supervisor }: Parts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '', url = '' } = request;
  const [path = ''] = url.split('?');
  const body = await textOf(request);
  if (body === null) return sendJson(response, 413, { ok: false, reason: 'the body is too large' });
  if (/^\/v1\/(?:tunnels|offers|agents|payments)(?:\/|$)/.test(path))
    return await forward(supervisor, method, url, body, response);
  const call = `${method} ${path}`;
  const ask = (path: string) =>
    Promise.all(supervisor.workers.map((worker) => worker.request('GET', path).catch(() => null)));
  if (call === 'GET /v1/status') {
    const own = await ask('/v1/status');
    const status = gateway.status();
    const workers = status.workers.map((worker, index) => ({ ...worker, reports: parsed(own[index]?.body) }));
    sendJson(response, 200, { ...status, workers });
  } else if (call === 'POST /v1/reload') {
    const result = await gateway.reload();
    sendJson(response, result.ok ? 200 : 409, result);
  } else if (call === 'GET /healthz' || call === 'GET /readyz') {
    const answers = (await ask(call.slice(4))).map((one) => one?.status === 200);
    const good = call === 'GET /healthz' ? answers.includes(true) : !answers.includes(false);
    sendJson(response, good ? 200 : 503, { ok: good, workers: answers });
  } else if (call === 'GET /metrics') {
    const texts = (await ask('/metrics')).flatMap((one) => (one?.status === 200 ? [one.body] : []));
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
    response.end(sumMetrics(texts));
  } else if (call === 'GET /v1/openapi.json') {
    sendJson(response, 200, OPENAPI);
  } else {
    sendJson(response, 404, { ok: false, reason: `there is no ${call}` });
  }
}

/** Tunnels are held by objects that every process reaches: whichever is up is asked. */
async function forward(
  supervisor: Supervisor,
  method: string,
  target: string,
  body: string,
  response: ServerResponse,
): Promise<void> {
  for (const worker of supervisor.workers) {
    if (worker.status().state !== 'ready') continue;
    const given = await worker.request(method, target, body === '' ? undefined : body, PATIENCE);
    response.writeHead(given.status, { 'content-type': 'application/json' });
    return void response.end(given.body);
  }
  sendJson(response, 503, { ok: false, reason: 'no process is up' });
}

/** The whole body; null: it is too long. */
async function textOf(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= MAX_BODY) parts.push(part);
  }
  return size > MAX_BODY ? null : Buffer.concat(parts).toString('utf8');
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** Adds up Prometheus text: equal series are summed, comments are kept once, in the order of their first appearance. */
export function sumMetrics(texts: readonly string[]): string {
  const series = new Map<string, number | null>(); // null: a comment
  for (const text of texts) {
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const space = line.lastIndexOf(' ');
      if (line.startsWith('#') || space < 0) {
        series.set(line, null);
      } else {
        const name = line.slice(0, space);
        series.set(name, (series.get(name) ?? 0) + Number(line.slice(space + 1)));
      }
    }
  }
  return [...series].map(([name, value]) => (value === null ? `${name}\n` : `${name} ${value}\n`)).join('');
}
