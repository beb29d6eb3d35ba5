/** What agents may do, by app and by route; and one rule that joins who asks with what is asked. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { DIRECTORY_TYPE } from '../../src/agents/key-directory.ts';
import { parseDictionary } from '../../src/agents/structured-field.ts';
import { ask, type Answer } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import type { Target } from '../gateway.ts';
import { newSigner, signedHeaders, type Signer } from '../support/signed-request.ts';
import { onEachTarget } from './targets.ts';

let signer: Signer;
let echo: Echo;
let directory: Server;
let host = '';

async function policy(): Promise<string> {
  signer = await newSigner();
  echo = await startEcho('web');
  directory = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': DIRECTORY_TYPE }).end(JSON.stringify({ keys: [signer.publicJwk] }));
  }).listen(0, '127.0.0.1');
  await once(directory, 'listening');
  host = `127.0.0.1:${(directory.address() as AddressInfo).port}`;
  return `app: agents
backends: { web: { url: ${echo.url} } }
agents:
  training: block
  search: { rate: { requests: 2, per: 1m } }
  fetch: challenge
rules:
  - name: refunds
    when: agent.verified and agent.operator == "${host}" and mcp.method == "tools/call" and mcp.tool wildcard "refund_*"
    action: rate
    rate: { requests: 3, per: 1m, by: [agent.operator, mcp.tool] }
  - { name: refunds of others, when: 'mcp.tool wildcard "refund_*" and not agent.verified', action: block }
routes:
  - { name: rest, backend: web }
  - { name: open, matches: [{ path: { value: /open } }], backend: web, agents: { training: allow, fetch: log } }
  - { name: quiet, matches: [{ path: { value: /quiet } }], backend: web, agents: { training: { rate: { requests: 1, per: 1m } }, search: block } }
  - { name: proven, matches: [{ path: { value: /proven } }], backend: web, agents: { require: verified } }
  - { name: tools, matches: [{ path: { value: /mcp } }], backend: web, mcp: {} }
`;
}

async function teardown(): Promise<void> {
  await echo.stop();
  directory.closeAllConnections();
  directory.close();
}

const args = (target: Target): string[] =>
  target === 'workerd' ? ['--agents', 'insecure', '--agents', `trusted-host=${host}`] : [];
const env = (target: Target): Record<string, string> =>
  target === 'cloudflare' ? { AGENTS: JSON.stringify({ insecure: true, trustedHosts: [host] }) } : {};

onEachTarget('policy of agents', { policy, args, env, teardown }, (world) => {
  const visit = (path: string, agent: string, more: Record<string, string> = {}): Promise<Answer> =>
    ask(world.url + path, { host: 'shop.example', headers: { 'user-agent': agent, accept: '*/*', ...more } });
  const status = async (path: string, agent: string): Promise<number> => (await visit(path, agent)).status;
  const signed = (path: string, method = 'GET'): Promise<Record<string, string>> => {
    const now = Math.floor(Date.now() / 1000);
    return signedHeaders(signer, {
      ...{ url: `http://shop.example${path}`, agent: `sig1="http://${host}"`, method },
      parameters: { created: now, expires: now + 60 },
    });
  };

  test('the app, and routes that differ from it entry by entry', async () => {
    assert.equal(await status('/', 'GPTBot/1.2'), 403);
    assert.equal(await status('/open', 'GPTBot/1.2'), 200);
    assert.deepEqual([await status('/quiet', 'CCBot/2.0'), await status('/quiet', 'CCBot/2.0')], [200, 429]);
    assert.deepEqual([await status('/', 'ChatGPT-User/1.0'), await status('/open', 'ChatGPT-User/1.0')], [403, 200]);
    assert.equal(await status('/quiet', 'OAI-SearchBot/1.0'), 403);
    assert.equal(await status('/', 'Amazonbot/0.1'), 403, 'of several purposes the strictest holds');
    assert.equal(await status('/robots.txt', 'GPTBot/1.2'), 200);
  });

  test('a rate is of an agent, and one count for all routes that do not differ in it', async () => {
    assert.deepEqual([await status('/', 'bingbot/2.0'), await status('/open', 'bingbot/2.0')], [200, 200]);
    const refused = await visit('/', 'bingbot/2.0');
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['ratelimit-policy'], '"agent";q=2;w=60');
    assert.equal((refused.json() as { detail: string }).detail, 'there were too many requests of this agent');
    assert.equal(await status('/', 'OAI-SearchBot/1.0'), 200, 'another agent has its own');
    assert.equal(await status('/', 'Mozilla/5.0 (X11) Firefox/150.0'), 200);
  });

  test('who has to prove itself is told how; what is used twice is told that alone', async () => {
    const browser = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/154.0.0.0 Safari/537.36';
    const refused = await visit('/proven', 'bingbot/2.0');
    assert.equal(refused.status, 403);
    const wanted = parseDictionary(refused.headers['accept-signature'] ?? '');
    assert.deepEqual([...wanted.keys()], ['sig1']);
    assert.equal(refused.headers['accept-signature'], 'sig1=("@authority" "signature-agent";key="sig1");created;expires;tag="web-bot-auth"'); // prettier-ignore
    // A signature of just that shape is believed.
    const headers = await signed('/proven');
    assert.equal((await visit('/proven', browser, headers)).status, 200);
    const again = await visit('/proven', browser, headers);
    assert.equal(again.status, 429);
    const forged = await visit('/proven', browser, { ...(await signed('/proven')), signature: 'sig1=:AAAA:' });
    assert.equal(forged.status, 403);
    assert.deepEqual(
      [again, forged].map((answer) => (answer.json() as { detail: string }).detail),
      ['agents must prove who they are', 'agents must prove who they are'],
    );
  });

  test('one rule joins who asks with what is asked', async () => {
    const call = async (tool: string, headers: Record<string, string>): Promise<number> => {
      const params = {
        name: tool,
        arguments: { order: 7 },
        _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' },
      };
      const answer = await ask(`${world.url}/mcp`, {
        ...{
          method: 'POST',
          host: 'shop.example',
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
        },
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'tools/call',
          'mcp-name': tool,
          ...headers,
        },
      });
      return answer.status;
    };
    const mine = async (tool: string): Promise<number> => call(tool, await signed('/mcp', 'POST'));
    assert.deepEqual(
      [await mine('refund_order'), await mine('refund_order'), await mine('refund_order')],
      [200, 200, 200],
    );
    assert.equal(await mine('refund_order'), 429);
    assert.equal(await mine('refund_item'), 200, 'each tool has a count');
    assert.equal(await mine('get_order'), 200);
    assert.equal(await call('refund_order', {}), 403);
    assert.equal(await call('get_order', {}), 200);
    // The header alone decides nothing: it has to be what the body says.
    assert.equal(await call('refund_order', { ...(await signed('/mcp', 'POST')), 'mcp-name': 'get_order' }), 400);
  });
});
