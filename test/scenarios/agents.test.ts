/**
 * Signed crawlers over sockets: one that is who it says, one that is forged, one that is replayed, and those whose directory
 * is down, slow, huge, redirecting, broken or at a private address. The policy shows to the origin what rules know.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { type AgentKey, createAgentKey, keyDirectory, readAgentKey } from '../../src/agents/agent-key.ts';
import { contentDigest } from '../../src/agents/content-digest.ts';
import { DIRECTORY_TYPE } from '../../src/agents/key-directory.ts';
import { MAX_DIRECTORY_BYTES } from '../../src/agents/limits.ts';
import { component } from '../../src/agents/message-signature.ts';
import { type Draft, newSigner, signedHeaders, type Signer } from '../support/signed-request.ts';
import { type Answer, ask, type Options } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import type { Target } from '../gateway.ts';
import { onEachTarget } from './targets.ts';

/** What each path of the directory's host answers. */
const PLACES: Readonly<Record<string, (response: ServerResponse, request: IncomingMessage) => void>> = {
  '/keys.json': (response) => json(response, { keys: [signer.publicJwk] }),
  '/.well-known/http-message-signatures-directory': (response) => json(response, keyDirectory([key]), DIRECTORY_TYPE),
  '/typeless/.well-known/http-message-signatures-directory': (response) => json(response, keyDirectory([key])),
  '/others.json': (response) => json(response, { keys: [other.publicJwk] }),
  '/huge.json': (response) => json(response, { keys: [signer.publicJwk], padding: 'x'.repeat(MAX_DIRECTORY_BYTES) }),
  '/redirect.json': (response) => void response.writeHead(302, { location: '/moved.json' }).end(),
  '/moved.json': (response) => json(response, { keys: [signer.publicJwk] }),
  '/broken.json': (response) => void response.end('{"keys":'),
  '/missing.json': (response) => void response.writeHead(404).end(),
  '/slow.json': () => {},
};
const json = (response: ServerResponse, value: unknown, type = 'application/json'): void =>
  void response.writeHead(200, { 'content-type': type }).end(JSON.stringify(value));

let key: AgentKey;
let signer: Signer;
let other: Signer;
let echo: Echo;
let directory: Server;
let host = '';
let asked: string[] = [];

async function setUp(): Promise<string> {
  key = await readAgentKey(await createAgentKey());
  [signer, other] = [await newSigner(), await newSigner()];
  asked = [];
  directory = createServer((request, response) => {
    asked.push(request.url ?? '');
    const place = PLACES[request.url ?? ''];
    if (place === undefined) response.writeHead(404).end();
    else place(response, request);
  }).listen(0, '127.0.0.1');
  await once(directory, 'listening');
  host = `127.0.0.1:${(directory.address() as AddressInfo).port}`;
  echo = await startEcho('web');
  return `app: agents
backends: { web: { url: ${echo.url} } }
routes:
  - { name: all, backend: web }
rules:
  - { name: only the proven, when: 'http.request.uri.path == "/orders" and not agent.verified', action: block }
  - { name: no forgeries, when: 'starts_with(http.request.uri.path, "/strict") and agent.identity == "spoofed"', action: block }
  - { name: one agent, when: 'http.request.uri.path == "/one" and agent.domain != "${host}"', action: block }
  - { name: bodies, when: 'http.request.uri.path == "/held" and http.request.body.raw contains "forbidden"', action: block }
  - { name: show, when: 'true', action: rewrite, rewrite: { headers: { set: { x-identity: agent.identity } } } }
  - { name: show who, when: agent.verified, action: rewrite, rewrite: { headers: { set: { x-operator: agent.operator } } } }
`;
}

async function tearDown(): Promise<void> {
  await echo.stop();
  directory.closeAllConnections();
  directory.close();
}

const args = (target: Target): string[] =>
  target === 'workerd' ? ['--agents', 'insecure', '--agents', `trusted-host=${host}`] : [];
const env = (target: Target): Record<string, string> =>
  target === 'cloudflare' ? { AGENTS: JSON.stringify({ insecure: true, trustedHosts: [host] }) } : {};

onEachTarget('agents', { policy: setUp, args, env, teardown: tearDown }, (world) => {
  const target = (path: string) => `http://shop.example${path}`;
  /** Headers of a request for `path`, by the clock of now. */
  const signed = (path: string, draft: Draft & { at?: string } = {}, by = signer): Promise<Record<string, string>> => {
    const now = Math.floor(Date.now() / 1000);
    const agent = `sig1="http://${host}${draft.at ?? '/keys.json'}"`;
    const parameters = { created: now, expires: now + 60, ...draft.parameters };
    return signedHeaders(by, { url: target(path), agent, ...draft, parameters });
  };
  const visit = (path: string, headers: Record<string, string> = {}, options: Options = {}): Promise<Answer> =>
    ask(`${world.url}${path}`, { host: 'shop.example', ...options, headers });
  /** What the origin is told, and the line in the log: that of the path, so one whose line nobody waits for has its own. */
  async function seen(path: string, headers: Record<string, string>) {
    const since = world.gateway.events.length;
    const answer = await visit(path, headers);
    const line = await world.gateway.event('access', (event) => event['path'] === path, since);
    const identity = (line['identity'] ?? null) as Record<string, string> | null;
    const told = answer.status === 200 ? answer.echo().headers : {};
    return { status: answer.status, told: told['x-identity'], operator: told['x-operator'], identity, answer };
  }

  test('one that is who it says is let in, and what it signed reaches the origin as it was', async () => {
    const headers = await signed('/orders');
    const { status, told, operator, identity, answer } = await seen('/orders', headers);
    assert.equal(status, 200, answer.text());
    assert.deepEqual([told, operator], ['verified', `http://${host}/keys.json`]);
    assert.deepEqual(identity, {
      is: 'verified',
      url: `http://${host}/keys.json`,
      keyid: signer.keyid,
      replay: 'fresh',
    });
    for (const [name, value] of Object.entries(headers)) assert.equal(answer.echo().headers[name], value, name);
  });

  test('by the well-known place it is its host', async () => {
    const by = { ...signer, sign: key.sign, keyid: key.keyid };
    const draft: Draft = {
      agent: `"http://${host}"`,
      components: [component('@authority'), component('signature-agent')],
    };
    const { status, operator } = await seen('/one', await signed('/one', draft, by));
    assert.deepEqual([status, operator], [200, host]);
    // Keys at a path are that path's, and not the host's.
    assert.equal((await visit('/one', await signed('/one'))).status, 403);
  });

  test('one that says nothing is nobody, and is told no more than that it may not', async () => {
    const { status, answer, identity } = await seen('/orders', {});
    assert.deepEqual([status, identity], [403, null]);
    assert.doesNotMatch(answer.text(), /agent|signature|identity/i);
    assert.equal((await seen('/x', {})).told, 'unknown');
  });

  test('one that is forged is known to be', async () => {
    const forged = { ...(await signed('/strict')), signature: (await signed('/strict', {}, other))['signature'] ?? '' };
    const { status, identity, answer } = await seen('/strict', forged);
    assert.deepEqual([status, identity?.['is'], identity?.['reason']], [403, 'spoofed', 'signature-wrong']);
    assert.doesNotMatch(answer.text() + JSON.stringify(answer.headers), /signature-wrong|spoofed/);
    const borrowed = await seen('/x', await signed('/x', { at: '/others.json' }));
    assert.deepEqual([borrowed.told, borrowed.identity?.['reason']], ['claimed', 'key-unknown']);
  });

  test('one that is replayed is refused the second time, also when both come at once', async () => {
    const headers = await signed('/strict/again');
    assert.equal((await seen('/strict/again', headers)).status, 200);
    const again = await seen('/strict/again', headers);
    assert.deepEqual([again.status, again.identity?.['reason']], [403, 'replayed']);
    const twin = await signed('/strict/twins');
    const visits = Array.from({ length: 8 }, async () => (await visit('/strict/twins', twin)).status);
    const statuses = await Promise.all(visits);
    assert.deepEqual(statuses.sort(), [200, ...Array<number>(7).fill(403)]);
  });

  test('one that was signed for another host, or long ago, is refused', async () => {
    const elsewhere = await signed('/strict/here', { url: 'http://elsewhere.example/strict/here' });
    assert.equal((await visit('/strict/here', elsewhere)).status, 403);
    const old = await signed('/strict', { parameters: { created: 1_600_000_000, expires: 1_600_000_060 } });
    assert.equal((await seen('/strict', old)).identity?.['reason'], 'expired');
  });

  test('a directory that is huge, broken, absent or elsewhere proves nothing', async () => {
    for (const [at, reason] of [
      ['/huge.json', 'directory-too-large'],
      ['/broken.json', 'directory-malformed'],
      ['/missing.json', 'directory-status'],
      ['/redirect.json', 'directory-redirect'],
    ] as const) {
      const { told, identity, status } = await seen('/x', await signed('/x', { at }));
      assert.deepEqual([status, told, identity?.['reason']], [200, 'claimed', reason], at);
    }
    assert.equal(asked.includes('/moved.json'), false, 'a redirect was followed');
  });

  test('a directory that is down is asked once for many', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as AddressInfo;
    gone.close();
    await once(gone, 'close');
    // Not one of the trusted hosts: refused by its address, and never dialled.
    const agent = `sig1="https://127.0.0.1:${port}/keys.json"`;
    const down = await seen('/x', await signed('/x', { agent }));
    assert.deepEqual([down.told, down.identity?.['reason']], ['spoofed', 'agent-host-private']);
    const before = asked.length;
    const reasons = await Promise.all(
      Array.from({ length: 6 }, async () => (await seen('/many', await signed('/many', { at: '/absent.json' }))).told),
    );
    assert.deepEqual(new Set(reasons), new Set(['claimed']));
    assert.ok(asked.length - before <= 1, `asked ${asked.length - before} times`);
  });

  test(
    'a directory that is slow holds its own agent up, for a while, and nobody else',
    { timeout: 60_000 },
    async () => {
      const slow = signed('/x', { at: '/slow.json' }).then((headers) => seen('/x', headers));
      const quick = await seen('/y', await signed('/y'));
      assert.equal(quick.told, 'verified');
      const { told, identity } = await slow;
      assert.deepEqual([told, identity?.['reason']], ['claimed', 'directory-slow']);
      // It is not waited for again.
      const again = await seen('/z', await signed('/z', { at: '/slow.json' }));
      assert.equal(again.identity?.['reason'], 'directory-slow');
      assert.equal(asked.filter((path) => path === '/slow.json').length, 1);
    },
  );

  test('private addresses and odd places are never asked', async () => {
    const before = asked.length;
    for (const value of ['https://10.0.0.1/k', 'https://169.254.169.254/latest', 'https://[::1]/k', 'https://localhost/k', 'https://0x7f000001/k', 'http://agent.example/k', 'ftp://agent.example/k']) {
      const { told } = await seen('/x', await signed('/x', { agent: `sig1="${value}"` }));
      assert.equal(told, 'spoofed', value);
    } // prettier-ignore
    assert.equal(asked.length, before);
  });

  test('a signed body is judged by its digest and by the rules, and arrives whole', async () => {
    const send = async (body: string, content = body) => {
      const digest = await contentDigest(new TextEncoder().encode(content));
      const components = [component('@authority'), component('@method'), component('signature-agent', { key: 'sig1' }), component('content-digest')]; // prettier-ignore
      const headers = await signed('/held', { method: 'POST', headers: { 'content-digest': digest }, components });
      const since = world.gateway.events.length;
      const answer = await visit('/held', { ...headers, 'content-type': 'text/plain' }, { method: 'POST', body });
      const line = await world.gateway.event('access', (event) => event['path'] === '/held', since);
      return { answer, identity: (line['identity'] ?? {}) as Record<string, string> };
    };
    const good = await send('hello');
    assert.equal(good.identity['is'], 'verified');
    assert.equal(good.answer.echo().body.length, 5);
    assert.equal((await send('hello', 'other')).identity['reason'], 'digest-mismatch');
    assert.equal((await send('forbidden')).answer.status, 403);
    const long = await send('x'.repeat(100_000));
    assert.equal(long.answer.echo().body.length, 100_000);
  });
});
