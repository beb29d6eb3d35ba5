import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { sessionObjects } from '../../test/support/mcp-sessions.ts';
import type { McpPlan, Plan } from '../plan.ts';
import type { AgentPlatform } from '../platform/platform.ts';
import { action, backend, plan, run, type RunOptions, type Sent } from './testing.ts';

const all = { allow: null, deny: [] };
const mcp: McpPlan = {
  ...{ mode: 'log', versions: ['2025-11-25'], methods: all, tools: all, resources: all, prompts: all },
  ...{ limit: 65_536, origins: null, auth: null, forwardAuthorization: true, sessionTtl: 3600, join: null },
};
const two = backend('two', ['http://10.0.0.1', 'http://10.0.0.2', 'http://10.0.0.3']);
const source = (more: Partial<Plan> = {}): Plan => plan({ '/': action({ mcp: 0 }) }, [two], { mcps: [mcp], ...more });

/** Servers that count their sessions from one, as nobody should. */
function servers() {
  const { namespace, kept } = sessionObjects();
  const known = new Map<string, Set<string>>();
  let down = '';
  const origin = ({ endpoint: { url }, method, headers }: Sent): Response => {
    if (url === down) throw new Error('connection refused');
    const sessions = known.get(url) ?? new Set();
    known.set(url, sessions);
    const id = headers.get('mcp-session-id');
    if (id === null) {
      const made = String(sessions.size + 1);
      sessions.add(made);
      return new Response(url, { headers: { 'mcp-session-id': made } });
    }
    if (!sessions.has(id)) return new Response('Session not found', { status: 404 });
    if (method === 'DELETE') sessions.delete(id);
    return new Response(url, { headers: { 'mcp-session-id': id } });
  };
  const options: RunOptions = { origin, mcpSessions: namespace as never };
  const ask = async (session: string | null, method = 'POST', more: Record<string, string> = {}, from = source()) => {
    const headers = { ...more, ...(session !== null && { 'mcp-session-id': session }) };
    const done = await run(from, '/mcp', { method, headers }, {}, options);
    return { ...done, text: await done.response.text(), id: done.response.headers.get('mcp-session-id') };
  };
  return { ask, kept, known, take: (url: string) => (down = url) };
}

test('a session stays at the endpoint that made it, under an id of ours', async () => {
  const { ask } = servers();
  const opened = await Promise.all(Array.from({ length: 16 }, () => ask(null)));
  assert.ok(new Set(opened.map(({ text }) => text)).size > 1, 'several endpoints take part');
  assert.equal(new Set(opened.map(({ id }) => id)).size, 16);
  const used = await Promise.all(
    opened.map(async ({ id, text }, n) => ({ id, text, again: await ask(id, n % 2 === 0 ? 'POST' : 'GET') })),
  );
  for (const { id, text, again } of used) {
    assert.match(id ?? '', /^[A-Za-z0-9_-]{43}$/);
    assert.deepEqual([again.response.status, again.text, again.id], [200, text, id]);
    assert.match(again.sent[0]!.headers.get('mcp-session-id') ?? '', /^\d+$/);
  }
});

test('a session of one app is none of another', async () => {
  const { ask } = servers();
  const { id, text } = await ask(null);
  for (const method of ['POST', 'DELETE']) {
    const other = await ask(id, method, {}, source({ app: 'other' }));
    assert.deepEqual([other.response.status, other.sent.length], [404, 0], method);
  }
  assert.equal((await ask(id)).text, text);
});

test('a session is of whom its token was given to', async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const set = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] };
  const resource = { resource: 'https://tools.example/mcp', authorizationServers: ['https://login.example'] };
  const auth = { ...resource, jwks: ['https://login.example/keys'], scopes: [], toolScopes: [] };
  const { namespace } = sessionObjects();
  const from = source({ mcps: [{ ...mcp, mode: 'enforce', versions: null, auth }] });
  const origin = (): Response =>
    Response.json({ jsonrpc: '2.0', id: 1, result: {} }, { headers: { 'mcp-session-id': '1' } });
  const agents = { options: {}, fetch: () => Promise.resolve(Response.json(set)) } as unknown as AgentPlatform;
  const ask = async (sub: string, session: string | null) => {
    const token = await new SignJWT({ sub, iss: 'https://login.example', aud: auth.resource, jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setExpirationTime('1h')
      .sign(privateKey);
    const headers = {
      ...{ 'content-type': 'application/json', authorization: `Bearer ${token}` },
      ...(session !== null && { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }),
    };
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: session === null ? 'initialize' : 'ping',
      params: {},
    });
    const init = { method: 'POST', body, headers };
    return await run(from, '/mcp', init, {}, { origin, agents, mcpSessions: namespace as never });
  };
  const id = (await ask('ann', null)).response.headers.get('mcp-session-id');
  assert.match(id ?? '', /^[A-Za-z0-9_-]{43}$/);
  const { response, sent } = await ask('bob', id);
  assert.deepEqual([response.status, sent.length], [404, 0]);
  assert.equal((await ask('ann', id)).response.status, 200);
});

test('an id that is not ours is no session, and reaches no endpoint', async () => {
  const { ask } = servers();
  await ask(null);
  for (const id of ['1', 'x'.repeat(43), '']) {
    const { response, sent } = await ask(id);
    assert.deepEqual([response.status, sent.length], [404, 0], id);
  }
});

test('DELETE ends a session, here and there', async () => {
  const { ask, kept, known } = servers();
  const { id, text } = await ask(null);
  assert.equal(kept.size, 1);
  assert.equal((await ask(id, 'DELETE')).response.status, 200);
  assert.equal(kept.size, 0);
  assert.equal(known.get(text)?.size, 0);
  assert.equal((await ask(id)).response.status, 404);
});

test('a session that its endpoint forgot is forgotten here too', async () => {
  const { ask, kept, known } = servers();
  const { id, text } = await ask(null);
  known.get(text)?.clear();
  assert.equal((await ask(id)).response.status, 404);
  assert.equal(kept.size, 0);
});

test('sessions of an endpoint that takes no connection are gone, so that clients start anew elsewhere', async () => {
  const { ask, kept, take } = servers();
  const { id, text } = await ask(null);
  take(text);
  const { response, sent } = await ask(id);
  assert.equal(response.status, 404);
  assert.deepEqual(
    sent.map(({ method }) => method),
    ['POST', 'HEAD'],
  );
  assert.equal(kept.size, 0);
});

test('one broken connection ends no session', async () => {
  const { namespace } = sessionObjects();
  let breaks = false;
  const origin = ({ method }: Sent): Response => {
    if (breaks && method !== 'HEAD') throw new Error('reset');
    return new Response('', { headers: { 'mcp-session-id': '1' } });
  };
  const options: RunOptions = { origin, mcpSessions: namespace as never };
  const opened = await run(source(), '/mcp', { method: 'POST' }, {}, options);
  const headers = { 'mcp-session-id': opened.response.headers.get('mcp-session-id') ?? '' };
  breaks = true;
  assert.equal((await run(source(), '/mcp', { method: 'POST', headers }, {}, options)).response.status, 502);
  breaks = false;
  assert.equal((await run(source(), '/mcp', { method: 'POST', headers }, {}, options)).response.status, 200);
});

test('an endpoint that the policy has no more takes its sessions with it', async () => {
  const { ask } = servers();
  const { id, text } = await ask(null);
  const without = plan(
    { '/': action({ mcp: 0 }) },
    [backend('two', [...two.endpoints.filter(({ url }) => url !== text), 'http://10.0.0.9'])],
    { mcps: [mcp] },
  );
  const { response, sent } = await ask(id, 'POST', {}, without);
  assert.deepEqual([response.status, sent.length], [404, 0]);
});

test('version 2026-07-28 knows no sessions; an id of one is ignored', async () => {
  const { ask, kept } = servers();
  const { response, id } = await ask(null, 'POST', { 'mcp-protocol-version': '2026-07-28' });
  assert.deepEqual([response.status, id, kept.size], [200, '1', 0]);
});

test('a version that is none hides no session, and no id of an endpoint gets there by any', async () => {
  const { ask } = servers();
  const odd = { 'mcp-protocol-version': 'zzz' };
  const { id } = await ask(null, 'POST', odd);
  assert.match(id ?? '', /^[A-Za-z0-9_-]{43}$/);
  for (const method of ['POST', 'GET', 'DELETE']) {
    const { response, sent } = await ask('1', method, odd);
    assert.deepEqual([response.status, sent.length], [404, 0], method);
  }
  const { sent } = await ask('1', 'POST', { 'mcp-protocol-version': '2026-07-28' });
  assert.deepEqual(
    sent.map(({ headers }) => headers.get('mcp-session-id')),
    [null],
  );
});

test('one endpoint needs none of this: its ids pass as they are', async () => {
  const { ask, kept } = servers();
  const one = plan({ '/': action({ mcp: 0 }) }, [backend('one', ['http://10.0.0.1'])], { mcps: [mcp] });
  const { id } = await ask(null, 'POST', {}, one);
  assert.deepEqual([id, kept.size], ['1', 0]);
  assert.equal((await ask('1', 'POST', {}, one)).response.status, 200);
});

test('where nobody remembers sessions, none is begun that would be lost', async () => {
  const { response, errors } = await run(
    source(),
    '/mcp',
    { method: 'POST' },
    {},
    {
      origin: () => new Response('', { headers: { 'mcp-session-id': '1' } }),
    },
  );
  assert.equal(response.status, 503);
  assert.match(errors.join(), /nobody to remember/);
});
