/**
 * Agents that are known by the names of their addresses: a resolver is asked behind the request, so that the first is answered
 * as if nobody had been asked, and later ones know.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import type { Target } from '../gateway.ts';
import { onEachTarget } from './targets.ts';

const BINGBOT = 'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)';
/** `type name` to data; null: the resolver fails. */
const RECORDS: Readonly<Record<string, readonly string[] | null>> = {
  'PTR 5.167.77.40.in-addr.arpa': ['msnbot-40-77-167-5.search.msn.com.'],
  'A msnbot-40-77-167-5.search.msn.com': ['40.77.167.5'],
  'PTR 6.167.77.40.in-addr.arpa': ['msnbot.search.msn.com.evil.example.'],
  'PTR 7.167.77.40.in-addr.arpa': null,
};
const NUMBERS: Readonly<Record<string, number>> = { PTR: 12, A: 1, AAAA: 28 };

let echo: Echo;
let resolver: Server;
let host = '';
let asked: string[] = [];

async function setUp(): Promise<string> {
  asked = [];
  resolver = createServer((request, response) => {
    const query = new URL(request.url ?? '/', 'http://x').searchParams;
    const question = `${query.get('type')} ${query.get('name')}`;
    asked.push(question);
    const found = RECORDS[question];
    if (found === null) return void response.writeHead(503).end();
    const type = NUMBERS[query.get('type') ?? ''];
    const answer = { Status: found === undefined ? 3 : 0, Answer: found?.map((data) => ({ type, data })) };
    response.writeHead(200, { 'content-type': 'application/dns-json' }).end(JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(resolver, 'listening');
  host = `127.0.0.1:${(resolver.address() as AddressInfo).port}`;
  echo = await startEcho('web');
  return `app: named
clientAddress: { from: xff, trustedCIDRs: [127.0.0.0/8, "::1/128"], failClosed: false }
backends: { web: { url: ${echo.url} } }
routes:
  - { name: all, backend: web }
agents: { bingbot: allow }
rules:
  - { name: show, when: 'true', action: rewrite, rewrite: { headers: { set: { x-identity: agent.identity } } } }
`;
}

async function tearDown(): Promise<void> {
  await echo.stop();
  resolver.closeAllConnections();
  resolver.close();
}

const args = (target: Target): string[] =>
  target === 'workerd' ? ['--agents', `dns=http://${host}/dns-query`, '--agents', `trusted-host=${host}`] : [];
const env = (target: Target): Record<string, string> =>
  target === 'cloudflare' ? { AGENTS: JSON.stringify({ dns: `http://${host}/dns-query`, trustedHosts: [host] }) } : {};

onEachTarget('names of addresses of agents', { policy: setUp, args, env, teardown: tearDown }, (world) => {
  let paths = 0;
  async function seen(from: string, userAgent = BINGBOT) {
    const path = `/p${++paths}`;
    const since = world.gateway.events.length;
    const answer = await ask(`${world.url}${path}`, { headers: { 'user-agent': userAgent, 'x-forwarded-for': from } });
    const line = await world.gateway.event('access', (event) => event['path'] === path, since);
    const told = answer.status === 200 ? answer.echo().headers['x-identity'] : undefined;
    return [answer.status, told, line['identity'] ?? null];
  }
  /** Asks until it is no longer merely claimed. */
  async function later(from: string) {
    for (let tries = 0; tries < 200; tries++) {
      const now = await seen(from);
      if (now[1] !== 'claimed') return now;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error('nothing was found out');
  }

  test('the first request is claimed, later ones are verified', async () => {
    assert.deepEqual(await seen('40.77.167.5'), [200, 'claimed', null]);
    assert.deepEqual(await later('40.77.167.5'), [200, 'verified', { is: 'verified', by: 'dns' }]);
    const { length } = asked;
    await seen('40.77.167.5');
    assert.equal(asked.length, length, 'what is known is not asked for again');
  });

  test('a name elsewhere, or none, is spoofed', async () => {
    const spoofed = [403, undefined, { is: 'spoofed', by: 'dns' }];
    assert.deepEqual(await later('40.77.167.6'), spoofed);
    assert.deepEqual(await later('203.0.113.9'), spoofed);
    assert.ok(!asked.includes('A msnbot.search.msn.com.evil.example'));
  });

  test('a resolver that fails takes nothing away', async () => {
    assert.deepEqual(await seen('40.77.167.7'), [200, 'claimed', null]);
    while (!asked.includes('PTR 7.167.77.40.in-addr.arpa')) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(await seen('40.77.167.7'), [200, 'claimed', null]);
  });

  test('nobody is asked about those who say nothing, or of whom nothing is documented', async () => {
    const { length } = asked;
    assert.deepEqual(await seen('40.77.167.8', 'curl/8.0'), [200, 'claimed', null]);
    assert.deepEqual(await seen('40.77.167.8', 'Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0'), [
      200,
      'unknown',
      null,
    ]);
    assert.equal(asked.length, length);
  });
});
