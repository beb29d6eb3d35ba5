/**
 * An MCP server behind the gateway, over sockets: what its lists tell, what may be called and how often, tokens, streams,
 * and what the WAF finds in arguments and results.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { VERSION_KEY } from '../../src/agents/mcp/message.ts';
import { ask, begin, type Answer } from '../client.ts';
import type { Target } from '../gateway.ts';
import { indented, SCORING } from '../support/scoring.ts';
import { onEachTarget } from './targets.ts';

interface Rpc {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { name?: string; arguments?: Record<string, string> };
  readonly result?: { tools?: { name: string }[]; content?: unknown; cacheScope?: string };
  readonly error?: { code: number; message: string; data: Record<string, unknown> };
}

let server: Server;
let login: Server;
let host = '';
let key: CryptoKey;
/** Messages that reached the server, headers of the last one, and streams that its clients have left. */
let received: Rpc[] = [];
let last: IncomingMessage['headers'] = {};
let left = 0;

const TOOLS = ['echo', 'search', 'refund_all', 'hidden', 'stream', 'slow'];

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  last = request.headers;
  let text = '';
  for await (const chunk of request) text += String(chunk);
  if (request.method !== 'POST')
    return void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': hi\n\n');
  const message = JSON.parse(text) as Rpc;
  received.push(message);
  const answer = (result: object): string => JSON.stringify({ jsonrpc: '2.0', id: message.id, result });
  if (message.method === 'tools/list') {
    const result = {
      tools: TOOLS.map((name) => ({ name, inputSchema: { type: 'object' } })),
      cacheScope: 'public',
      ttlMs: 1,
    };
    return void response.writeHead(200, { 'content-type': 'application/json' }).end(answer(result));
  }
  const said = answer({ content: [{ type: 'text', text: message.params?.arguments?.['text'] ?? '' }] });
  if (message.params?.name === 'stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}\n\n');
    return void response.end(`data: ${said}\n\n`);
  }
  if (message.params?.name === 'slow') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let ticks = 0;
    const timer = setInterval(
      () => response.write(`data: {"jsonrpc":"2.0","method":"x","params":{"n":${ticks++}}}\n\n`),
      50,
    );
    response.on('close', () => {
      clearInterval(timer);
      left++;
    });
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(said);
}

async function setUp(): Promise<string> {
  [received, left] = [[], 0];
  const pair = await generateKeyPair('ES256');
  key = pair.privateKey;
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'ES256' }] });
  login = createServer((_request, response) => void response.end(keys)).listen(0, '127.0.0.1');
  server = createServer((request, response) => void serve(request, response)).listen(0, '127.0.0.1');
  await Promise.all([once(login, 'listening'), once(server, 'listening')]);
  host = `127.0.0.1:${(login.address() as AddressInfo).port}`;
  return `app: tools
backends: { server: { url: http://127.0.0.1:${(server.address() as AddressInfo).port} } }
rules:
  - { name: refunds, when: 'mcp.method == "tools/call" and mcp.tool wildcard "refund_*" and not agent.verified', action: block, reason: only for those we know }
  - { name: searches, when: 'mcp.tool == "search"', action: rate, rate: { requests: 2, per: 60s, by: [x-key] } }
routes:
  - { name: plain, matches: [{ path: { value: /mcp } }], backend: server, mcp: { tools: { deny: [hidden] } } }
  - name: locked
    matches: [{ path: { value: /locked } }]
    backend: server
    mcp:
      auth: { resource: "https://tools.example/locked", scopes: [use], toolScopes: { "refund_*": [refund] }, authorizationServers: [{ issuer: "https://login.example", jwks: "http://${host}/keys" }] }
  - { name: core, matches: [{ path: { value: /core } }], backend: server, mcp: {}, waf: {} }
  - { name: watched, matches: [{ path: { value: /watched } }], backend: server, mcp: {}, waf: { mode: log } }
  - name: results
    matches: [{ path: { value: /results } }]
    backend: server
    mcp: {}
    waf:
      ruleset: none
      messages: enforce
      response: { inspect: true }
      secLang: |
${indented(SCORING, 8)}
  - { name: others, backend: server }
`;
}

async function tearDown(): Promise<void> {
  for (const one of [server, login]) {
    one.closeAllConnections();
    one.close();
  }
}

const args = (target: Target): string[] =>
  target === 'workerd' ? ['--agents', 'insecure', '--agents', `trusted-host=${host}`] : [];
const env = (target: Target): Record<string, string> =>
  target === 'cloudflare' ? { AGENTS: JSON.stringify({ insecure: true, trustedHosts: [host] }) } : {};

onEachTarget('mcp', { policy: setUp, args, env, teardown: tearDown }, (world) => {
  let serial = 0;
  const OLD = { 'mcp-protocol-version': '2025-11-25' };
  const message = (method: string, params: object) => JSON.stringify({ jsonrpc: '2.0', id: ++serial, method, params });
  const post = (path: string, body: string, headers: Record<string, string> = OLD): Promise<Answer> => {
    const accept = 'application/json, text/event-stream';
    return ask(world.url + path, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', accept, ...headers },
    });
  };
  const call = (path: string, name: string, text = '', headers: Record<string, string> = OLD) =>
    post(path, message('tools/call', { name, arguments: { text } }), headers);
  const rpc = (answer: Answer): Rpc => JSON.parse(answer.text()) as Rpc;

  test('lists tell of what may be called, by lists and by rules', async () => {
    const listed = rpc(await post('/mcp', message('tools/list', {})));
    assert.deepEqual(listed.result?.tools?.map(({ name }) => name), ['echo', 'search', 'stream', 'slow']); // prettier-ignore
    assert.equal(listed.result.cacheScope, 'private');
    for (const name of TOOLS) {
      const before = received.length;
      if (name === 'slow') continue;
      const { status } = await call('/mcp', name, '', { ...OLD, 'x-key': `list-${world.target}` });
      assert.equal(status, name === 'hidden' || name === 'refund_all' ? 403 : 200, name);
      assert.equal(received.length - before, status === 200 ? 1 : 0);
    }
  });

  test('refusals of rules are errors of JSON-RPC too, with the id and why', async () => {
    const since = world.gateway.events.length;
    const { error, id } = rpc(await call('/mcp', 'refund_all'));
    assert.deepEqual([id, error?.code, error?.message], [serial, 403, 'only for those we know']);
    const line = await world.gateway.event('access', (event) => event['status'] === 403, since);
    assert.equal(line['id'], error?.data['requestId']);
    assert.deepEqual(line['mcp'], { version: '2025-11-25', method: 'tools/call', tool: 'refund_all' });
  });

  test('a tool has a rate of its own', async () => {
    const headers = { ...OLD, 'x-key': 'one' };
    for (const status of [200, 200, 429, 429]) {
      const answer = await call('/mcp', 'search', '', headers);
      assert.equal(answer.status, status);
      if (status === 429) assert.deepEqual([rpc(answer).id, rpc(answer).error?.code], [serial, 429]);
    }
    assert.equal((await call('/mcp', 'echo', '', headers)).status, 200);
  });

  test('rules hold no body of routes that speak no protocol', async () => {
    const headers = { 'content-type': 'text/plain' };
    assert.equal((await ask(`${world.url}/other`, { method: 'POST', body: '{}', headers })).status, 200);
  });

  test('version 2026-07-28 and those before pass to the same server', async () => {
    const params = { name: 'echo', arguments: { text: 'hi' }, _meta: { [VERSION_KEY]: '2026-07-28' } };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' };
    assert.deepEqual(rpc(await post('/mcp', message('tools/call', params), headers)).result?.content, [{ type: 'text', text: 'hi' }]); // prettier-ignore
    assert.equal(last['mcp-name'], 'echo');
    const lied = await post('/mcp', message('tools/call', params), { ...headers, 'mcp-name': 'search' });
    assert.deepEqual([lied.status, rpc(lied).error?.code], [400, -32020]);
    await call('/mcp', 'echo', '', { ...OLD, 'mcp-name': 'search' });
    assert.equal(last['mcp-name'], undefined);
    const get = await ask(`${world.url}/mcp`, { headers: OLD });
    assert.deepEqual([get.status, get.text(), get.headers['x-accel-buffering']], [200, ': hi\n\n', 'no']);
    const twice = '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"echo"}}';
    assert.equal(rpc(await post('/mcp', twice)).error?.code, -32600);
  });

  test('pages of other origins are refused', async () => {
    const from = async (origin: string) => (await call('/mcp', 'echo', '', { ...OLD, origin })).status;
    assert.equal(await from(world.url), 200);
    assert.equal(await from('http://evil.example'), 403);
  });

  test('tokens are asked for, checked, and go no further', async () => {
    const sign = (aud: string, scope: string) =>
      new SignJWT({ iss: 'https://login.example', aud, scope })
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .setExpirationTime('5m')
        .sign(key);
    const resource = 'https://tools.example/locked';
    const metadata = 'https://tools.example/.well-known/oauth-protected-resource/locked';
    const none = await call('/locked', 'echo');
    assert.equal(none.status, 401);
    assert.equal(none.headers['www-authenticate'], `Bearer resource_metadata="${metadata}", scope="use"`);
    const told = await ask(world.url + new URL(metadata).pathname, { headers: { origin: 'https://anybody.example' } });
    assert.deepEqual([told.status, told.headers['access-control-allow-origin']], [200, 'https://anybody.example']);
    assert.equal(told.json()['resource'], resource);
    const by = async (token: string) => {
      const before = received.length;
      const answer = await call('/locked', 'echo', '', { ...OLD, authorization: `Bearer ${token}` });
      return { ...answer, reached: received.length - before };
    };
    const good = await by(await sign(resource, 'use more'));
    assert.deepEqual([good.status, good.reached, last.authorization], [200, 1, undefined]);
    const wrong = await by(await sign('https://other.example', 'use'));
    assert.deepEqual([wrong.status, wrong.reached], [401, 0]);
    assert.match(wrong.headers['www-authenticate'] ?? '', /error="invalid_token"/);
    const more = await call('/locked', 'refund_all', '', {
      ...OLD,
      authorization: `Bearer ${await sign(resource, 'use')}`,
    });
    assert.deepEqual([more.status, rpc(more).id], [403, serial]);
    assert.match(more.headers['www-authenticate'] ?? '', /error="insufficient_scope".*scope="use refund"/);
    const little = await by(await sign(resource, 'other'));
    assert.deepEqual([little.status, little.reached], [403, 0]);
    assert.match(little.headers['www-authenticate'] ?? '', /error="insufficient_scope".*scope="use"/);
  });

  test('an attack in arguments is caught by the WAF, and told in mode log', async () => {
    const attack = '1 UNION SELECT password FROM users -- ';
    assert.equal((await call('/core', 'echo', 'the weather in Rome')).status, 200);
    const before = received.length;
    const caught = await call('/core', 'echo', attack);
    assert.deepEqual([caught.status, rpc(caught).id, rpc(caught).error?.code], [403, serial, 403]);
    assert.equal(received.length, before);
    const deep = message('tools/call', { name: 'echo', arguments: { a: [{ b: { c: attack } }] } });
    assert.equal((await post('/core', deep)).status, 403);
    const since = world.gateway.events.length;
    assert.equal((await call('/watched', 'echo', attack)).status, 200);
    const line = await world.gateway.event('access', (event) => event['path'] === '/watched', since);
    assert.equal((line['waf'] as { blocked: boolean }).blocked, true);
    assert.equal((await call('/mcp', 'echo', attack)).status, 200);
  });

  test('a leak in results is caught by the WAF, in an answer and in a stream', async () => {
    assert.equal((await call('/results', 'echo', 'fine')).status, 200);
    const whole = await call('/results', 'echo', 'here: leak-7');
    assert.deepEqual([whole.status, whole.text().includes('leak-7')], [403, false]);
    const stream = await call('/results', 'stream', 'here: leak-7');
    assert.match(stream.text(), /notifications\/progress/);
    assert.doesNotMatch(stream.text(), /leak-7/);
    assert.match((await call('/results', 'stream', 'fine')).text(), /fine/);
  });

  test('streams pass as they come, and end when the client leaves', async () => {
    const before = left;
    const body = message('tools/call', { name: 'slow', arguments: {} });
    const headers = { ...OLD, 'content-type': 'application/json' };
    const request = begin(`${world.url}/mcp`, {
      method: 'POST',
      headers: { ...headers, 'content-length': String(body.length) },
    });
    request.on('error', () => {});
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal(response.headers['x-accel-buffering'], 'no');
    let text = '';
    for await (const chunk of response) {
      text += String(chunk);
      if (text.includes('"n":2')) break; // long before it ends, which it never does
    }
    request.destroy();
    for (let i = 0; i < 100; i++) {
      if (left > before) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(left, before + 1);
  });
});
