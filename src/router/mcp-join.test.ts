import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionObjects } from '../../test/support/mcp-sessions.ts';
import type { McpPlan, Plan } from '../plan.ts';
import { action, backend, plan, run, type Sent } from './testing.ts';

const all = { allow: null, deny: [] };
const mcp: McpPlan = {
  ...{ mode: 'enforce', versions: null, methods: all, tools: all, resources: all, prompts: all },
  ...{ limit: 65_536, origins: null, auth: null, forwardAuthorization: false, sessionTtl: 3600 },
  join: { nameLength: 64, servers: [{ name: 'git', backend: 0, path: '/rpc', timeout: 1000 }] },
};
const source = (url: string): Plan => plan({ '/': action({ mcp: 0 }) }, [backend('git', [url])], { mcps: [mcp] });

function origin({ method, body }: Sent): Response {
  if (method !== 'POST') return new Response(null, { status: 405 });
  const { id } = JSON.parse(body ?? '') as { id?: unknown };
  const result = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: {}, tools: [{ name: 'x' }] };
  return Response.json({ jsonrpc: '2.0', id, result }, { headers: { 'mcp-session-id': 'own' } });
}

test('a session whose endpoint the policy has no more is over, so that its client begins another', async () => {
  const { namespace, kept } = sessionObjects();
  const ask = (url: string, method: string, id: string | null, message: string | null = null) =>
    run(
      source(url),
      '/mcp',
      {
        method,
        ...(message !== null && { body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: message, params: {} }) }),
        headers: {
          'content-type': 'application/json',
          authorization: 'Bearer client',
          cookie: 'a=b',
          ...(id !== null && { 'mcp-session-id': id }),
        },
      },
      {},
      { origin, mcpSessions: namespace as never },
    );
  for (const method of ['POST', 'GET']) {
    const opened = await ask('http://10.0.0.1', 'POST', null, 'initialize');
    assert.deepEqual(
      opened.sent.map(({ url, headers }) => [url, headers.get('authorization'), headers.get('cookie')]),
      [['http://shop.example/rpc', null, null]],
    );
    const id = opened.response.headers.get('mcp-session-id');
    assert.equal((await ask('http://10.0.0.1', 'POST', id, 'tools/list')).response.status, 200);
    const moved = await ask('http://10.0.0.2', method, id, method === 'POST' ? 'tools/list' : null);
    assert.deepEqual([moved.response.status, moved.sent.length, kept.size], [404, 0, 0], method);
  }
});
