import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_PROTOCOL_VALUE } from '../../assembly/abi.ts';
import { VERSION_KEY } from '../agents/mcp/message.ts';
import type { McpPlan, Plan } from '../plan.ts';
import { action, backend, plan, run, type RunOptions } from './testing.ts';

const all = { allow: null, deny: [] };
const MCP: McpPlan = {
  ...{
    mode: 'enforce',
    versions: ['2026-07-28', '2025-11-25', '2025-03-26'],
    methods: all,
    tools: all,
    resources: all,
  },
  ...{ prompts: all, limit: 4096, origins: null, auth: null, forwardAuthorization: true, sessionTtl: 3600, join: null },
};
const policy = (mcp: Partial<McpPlan> = {}, more: Partial<Plan> = {}): Plan =>
  plan({ '/': action({ mcp: 0 }) }, [backend('server', ['http://10.0.0.1'])], { mcps: [{ ...MCP, ...mcp }], ...more });

const NEW = { 'mcp-protocol-version': '2026-07-28' };
const OLD = { 'mcp-protocol-version': '2025-11-25' };
const meta = { _meta: { [VERSION_KEY]: '2026-07-28' } };

/** A POST with this message; what was answered, as JSON-RPC where it is, and what went on. */
async function post(
  message: unknown,
  headers: Record<string, string> = {},
  mcp: Partial<McpPlan> = {},
  options: RunOptions = {},
  more: Partial<Plan> = {},
) {
  const body = typeof message === 'string' ? message : JSON.stringify(message);
  const init = { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } };
  const { response, sent, lines, exchange } = await run(policy(mcp, more), '/mcp', init, {}, options);
  const text = await response.text();
  const rpc = text.startsWith('{')
    ? (JSON.parse(text) as { id?: unknown; error?: { code: number; data: object } })
    : {};
  return { status: response.status, code: rpc.error?.code, rpc, sent, lines, exchange, response, text };
}
const request = (method: string, params: object = {}, id: unknown = 7) => ({ jsonrpc: '2.0', id, method, params });
const modern = (method: string, params: object = {}) => request(method, { ...params, ...meta });
const call = (name: string) => modern('tools/call', { name, arguments: {} });
const named = (method: string, name?: string) => ({
  ...{ ...NEW, 'mcp-method': method },
  ...(name !== undefined && { 'mcp-name': name }),
});

describe('version 2026-07-28', () => {
  test('goes on when headers and body agree', async () => {
    const { status, sent, exchange, lines } = await post(call('get'), named('tools/call', 'get'));
    assert.equal(status, 200);
    assert.equal(sent[0]?.body, JSON.stringify(call('get')));
    assert.equal(sent[0].headers.get('mcp-name'), 'get');
    assert.deepEqual(exchange.protocol, { mcp: { method: 'tools/call', tool: 'get', version: '2026-07-28' } });
    assert.match(lines[0] ?? '', /,"mcp":\{"version":"2026-07-28","method":"tools\/call","tool":"get"\},/);
    const encoded = await post(call('größe'), named('tools/call', '=?base64?Z3LDtsOfZQ==?='));
    assert.equal(encoded.status, 200);
  });

  test('is refused where they do not', async () => {
    const cases: readonly (readonly [object, Record<string, string>, number, number])[] = [
      [call('get'), NEW, 400, -32020], // no Mcp-Method
      [call('get'), named('tools/call'), 400, -32020], // no Mcp-Name
      [call('get'), named('tools/list', 'get'), 400, -32020],
      [call('get'), named('Tools/Call', 'get'), 400, -32020],
      [call('get'), named('tools/call', 'refund'), 400, -32020],
      [call('get'), named('tools/call', '=?base64?cmVmdW5k?='), 400, -32020],
      [call('get'), named('tools/call', '=?base64?Z2V0?'), 400, -32020],
      [call('get'), named('tools/call', 'get, refund'), 400, -32020],
      [call('get'), { ...named('tools/call', 'get'), 'mcp-param-region': '=?base64?x?=' }, 400, -32020],
      [call('get'), { 'mcp-method': 'tools/call', 'mcp-name': 'get' }, 400, -32020], // no version
      [call('get'), { ...named('tools/call', 'get'), ...OLD }, 400, -32020], // another version
      [request('tools/call', { name: 'get' }), named('tools/call', 'get'), 400, -32602], // no version in the body
      [modern('resources/read', { uri: 'file:///a' }), named('resources/read', 'file:///b'), 400, -32020],
      [modern('prompts/get', { name: 'a' }), named('prompts/get', 'b'), 400, -32020],
      [modern('tasks/get', { taskId: 'a' }), named('tasks/get', 'b'), 400, -32020],
      [{ jsonrpc: '2.0', id: 7, result: {} }, NEW, 400, -32600],
    ];
    for (const [message, headers, status, code] of cases) {
      const done = await post(message, headers);
      assert.deepEqual([done.status, done.code, done.rpc.id, done.sent.length], [status, code, 7, 0], done.text);
    }
  });

  test('of a version that is not taken, says which are', async () => {
    const asked = { ...call('get'), params: { name: 'get', _meta: { [VERSION_KEY]: '1900-01-01' } } };
    const done = await post(asked, { ...named('tools/call', 'get'), 'mcp-protocol-version': '1900-01-01' });
    assert.deepEqual([done.status, done.code, done.rpc.id], [400, -32022, 7]);
    const { supported, requested } = done.rpc.error!.data as { supported: string[]; requested: string };
    assert.deepEqual([supported, requested], [MCP.versions, '1900-01-01']);
  });

  test('has no sessions, and one method of HTTP', async () => {
    const headers = { ...named('ping'), 'mcp-session-id': 'x', 'last-event-id': 'y' };
    const origin = () => new Response('{}', { headers: { 'mcp-session-id': 'minted' } });
    const { sent, response } = await post(modern('ping'), headers, {}, { origin });
    assert.deepEqual([sent[0]?.headers.get('mcp-session-id'), sent[0]?.headers.get('last-event-id')], [null, null]);
    assert.equal(response.headers.get('mcp-session-id'), null);
    for (const method of ['GET', 'DELETE', 'PUT', 'PATCH', 'OPTIONS']) {
      const done = await run(policy(), '/mcp', { method, headers: NEW });
      assert.deepEqual([done.response.status, done.response.headers.get('allow'), done.sent.length], [405, 'POST', 0]);
    }
  });

  test('lets notifications through, whose headers are optional, and methods that are not known', async () => {
    const notification = { jsonrpc: '2.0', method: 'notifications/x' };
    assert.equal((await post(notification, NEW)).status, 200);
    assert.equal((await post(notification, named('notifications/y'))).code, -32020);
    assert.equal((await post(modern('x/y', { name: 'z' }), named('x/y'))).status, 200);
  });
});

describe('versions before', () => {
  test('go by the body: headers that repeat it are dropped', async () => {
    const headers = { ...OLD, 'mcp-method': 'ping', 'mcp-name': 'harmless', 'mcp-param-x': 'y', 'mcp-session-id': 's' };
    const { sent, exchange } = await post(request('tools/call', { name: 'get' }), headers);
    assert.deepEqual(exchange.protocol?.mcp?.tool, 'get');
    for (const name of ['mcp-method', 'mcp-name', 'mcp-param-x']) assert.equal(sent[0]?.headers.get(name), null);
    assert.equal(sent[0]?.headers.get('mcp-session-id'), 's');
  });

  test('have GET and DELETE', async () => {
    for (const method of ['GET', 'DELETE']) {
      for (const headers of [OLD, {}])
        assert.equal((await run(policy(), '/mcp', { method, headers })).response.status, 200);
      const only = await run(policy({ versions: ['2026-07-28'] }), '/mcp', { method });
      assert.equal(only.response.status, 405);
    }
    assert.equal((await run(policy(), '/mcp', { method: 'HEAD', headers: OLD })).response.status, 405);
    const other = { 'mcp-protocol-version': '2025-06-18' };
    assert.equal((await run(policy(), '/mcp', { headers: other })).response.status, 400);
  });

  test('without a header are of 2025-03-26, but for initialize', async () => {
    const versions = ['2025-11-25'];
    assert.equal((await post(request('ping'))).exchange.protocol?.mcp?.version, '2025-03-26');
    assert.equal((await post(request('ping'), {}, { versions })).code, -32022);
    const initialize = request('initialize', { protocolVersion: '2025-11-25' });
    assert.equal((await post(initialize, {}, { versions })).status, 200);
    const refused = await post(initialize, {}, { versions: ['2026-07-28'] });
    assert.deepEqual(refused.rpc.error?.data, {
      requestId: refused.exchange.id,
      ...{ supported: ['2026-07-28'], requested: '2025-11-25' },
    });
  });

  test('are those that the server takes, where the policy has no list', async () => {
    for (const version of ['1900-01-01', '2025-11-25, 2026-07-28', 'new', '2026-7-28']) {
      const headers = { 'mcp-protocol-version': version, 'mcp-name': 'harmless' };
      const { status, sent } = await post(request('tools/call', { name: 'get' }), headers, { versions: null });
      assert.deepEqual([status, sent[0]?.headers.get('mcp-name')], [200, null], version);
      const other = { name: 'get', _meta: { [VERSION_KEY]: '2026-07-28' } };
      assert.equal((await post(request('tools/call', other), headers, { versions: null })).code, -32020);
    }
    const unknown = { ...named('tools/call', 'put'), 'mcp-protocol-version': '2099-01-01' };
    const asked = { name: 'get', _meta: { [VERSION_KEY]: '2099-01-01' } };
    assert.equal((await post(request('tools/call', asked), unknown, { versions: null })).code, -32020);
    assert.equal((await run(policy({ versions: null }), '/mcp', { headers: OLD })).response.status, 200);
  });

  test('have batches until 2025-06-18, unless rules look at what is asked for', async () => {
    const batch = [request('ping'), request('tools/call', { name: 'get' }, 8)];
    assert.equal((await post(batch)).status, 200);
    assert.deepEqual((await post(batch)).exchange.protocol?.mcp, { method: 'ping,tools/call', version: '2025-03-26' });
    assert.equal((await post(batch, OLD)).code, -32600);
    const denied = await post(batch, {}, { tools: { allow: [], deny: [] } });
    assert.deepEqual([denied.status, denied.rpc.id], [403, 8]);
    const stages = { body: false, protocol: true, response: false };
    assert.equal((await post(batch, {}, {}, {}, { stages })).code, -32600);
    assert.equal((await post([call('x')])).code, -32600);
  });
});

describe('names', () => {
  const only = (allow: string[], deny: string[] = []) => ({ allow, deny });
  test('are let through by lists, and refused by status and code', async () => {
    const tools = only(['get_*'], ['get_secret']);
    const old = async (name: string) => {
      const { status, code, rpc } = await post(request('tools/call', { name }), OLD, { tools });
      return [status, code, rpc.id];
    };
    assert.deepEqual(await old('get_x'), [200, undefined, undefined]);
    assert.deepEqual(await old('get_secret'), [403, 403, 7]);
    assert.deepEqual(await old('put'), [403, 403, 7]);
    const resources = only(['file:///public/*']);
    const read = (uri: string) => post(request('resources/read', { uri }), OLD, { resources });
    assert.equal((await read('file:///public/a')).status, 200);
    assert.equal((await read('file:///secret')).status, 403);
    const { lines } = await post(request('resources/read', { uri: 'https://a/b?token=x' }), OLD);
    assert.match(lines[0] ?? '', /"resource":"https:\/\/a\/b"\}/);
    const complete = request('completion/complete', { ref: { type: 'ref/prompt', name: 'b' } });
    assert.equal((await post(complete, OLD, { prompts: only(['a']) })).status, 403);
    const listen = { notifications: { resourceSubscriptions: ['file:///public/a', 'file:///secret'] } };
    const listened = await post(modern('subscriptions/listen', listen), named('subscriptions/listen'), { resources });
    assert.equal(listened.status, 403);
  });

  test('of methods are as if they were not there', async () => {
    const methods = only(['tools/*']);
    assert.equal((await post(request('initialize'), OLD, { methods })).status, 200);
    assert.equal((await post(request('tools/list'), OLD, { methods })).status, 200);
    const old = await post(request('prompts/list'), OLD, { methods });
    assert.deepEqual([old.status, old.code], [200, -32601]);
    const stateless = await post(modern('prompts/list'), named('prompts/list'), { methods });
    assert.deepEqual([stateless.status, stateless.code], [404, -32601]);
    assert.equal((await post({ jsonrpc: '2.0', method: 'x' }, OLD, { methods })).status, 403);
    assert.equal((await post(request('ping'), OLD, { methods: only([], ['ping']) })).code, -32601);
  });

  test('that are too long for rules are refused', async () => {
    const of = (length: number) => post(request('tools/call', { name: 'x'.repeat(length) }), OLD);
    assert.equal((await of(MAX_PROTOCOL_VALUE)).status, 200);
    assert.equal((await of(MAX_PROTOCOL_VALUE + 1)).status, 400);
  });

  test('in mode log are written down, and nothing is refused', async () => {
    const { status, lines, sent } = await post(request('tools/call', { name: 'x' }), OLD, {
      mode: 'log',
      tools: only([]),
    });
    assert.deepEqual([status, sent.length], [200, 1]);
    assert.match(lines[0] ?? '', /"rule":"mcp\.tools","status":403,"reason":"[^"]+","mode":"log"/);
    assert.equal((await post('{', OLD, { mode: 'log' })).sent[0]?.body, '{');
  });
});

describe('bodies', () => {
  test('are JSON, in UTF-8, and no longer than the limit', async () => {
    const ping = request('ping');
    const status = async (type: string, more = {}) => (await post(ping, { 'content-type': type, ...more })).status;
    assert.equal(await status('application/json; charset=utf-8'), 200);
    assert.equal(await status('APPLICATION/JSON;charset="UTF-8"'), 200);
    for (const type of [
      'text/plain',
      'application/json; charset=utf-7',
      'application/json, text/plain',
      'application/jsonx',
      '',
    ])
      assert.equal(await status(type), 415, type);
    assert.equal(await status('application/json', { 'content-encoding': 'gzip' }), 415);
    const long = (length: number) => post(JSON.stringify(ping).padEnd(length));
    assert.equal((await long(MCP.limit)).status, 200);
    assert.equal((await long(MCP.limit + 1)).status, 413);
    const declared = await post(JSON.stringify(ping), { 'content-length': String(MCP.limit + 1) });
    assert.equal(declared.status, 413);
    assert.equal((await post('')).code, -32700);
    assert.equal((await post('{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}')).code, -32600);
  });
});

describe('origins', () => {
  test('are those of the host, or of the list', async () => {
    const from = async (origin: string, origins: string[] | null = null) =>
      (await post(request('ping'), { ...OLD, origin }, { origins })).status;
    assert.equal(await from('https://shop.example'), 200);
    assert.equal(await from('http://shop.example:80'), 200);
    for (const origin of [
      'http://evil.example',
      'null',
      'https://shop.example.evil.example',
      'https://shop.example:8443',
      'x',
    ])
      assert.equal(await from(origin), 403, origin);
    assert.equal(await from('https://a.app.example', ['https://*.app.example']), 200);
    assert.equal(await from('https://A.APP.example', ['https://*.app.example']), 200);
    assert.equal(await from('http://a.app.example', ['https://*.app.example']), 403);
    assert.equal(await from('https://shop.example', []), 403);
    assert.equal(await from('null', ['*']), 200);
    const done = await post(request('ping'), { ...OLD, origin: 'http://evil.example' });
    assert.deepEqual([done.code, 'id' in done.rpc, done.sent.length], [403, false, 0]);
  });
});

describe('lists', () => {
  const listed = {
    jsonrpc: '2.0',
    id: 7,
    result: { tools: [{ name: 'get' }, { name: 'put' }, {}], nextCursor: 'c', cacheScope: 'public', ttlMs: 5 },
  };
  const tools = { allow: null, deny: ['put'] };
  const answered = async (text: string, type: string, mcp: Partial<McpPlan> = { tools }, method = 'tools/list') => {
    const origin = () =>
      new Response(text, { headers: { 'content-type': type, 'content-length': String(text.length) } });
    return await post(request(method), { ...OLD, 'accept-encoding': 'br' }, mcp, { origin });
  };
  const kept = { ...listed, result: { ...listed.result, tools: [{ name: 'get' }] } };

  test('tell of no more than may be called', async () => {
    const done = await answered(JSON.stringify(listed), 'application/json');
    assert.deepEqual(JSON.parse(done.text), kept);
    assert.equal(done.response.headers.get('content-length'), null);
    assert.equal(done.sent[0]?.headers.get('accept-encoding'), 'identity');
    const same = await answered(JSON.stringify(listed), 'application/json', {});
    assert.equal(same.text, JSON.stringify(listed));
    assert.equal(same.sent[0]?.headers.get('accept-encoding'), 'br');
  });

  test('in streams too, whose other events stay as they are', async () => {
    const note = ': hi\nid: 1\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n';
    const event = (text: string) => `id: 2\nevent: message\ndata: ${text}\n\n`;
    const stream = note + event(JSON.stringify(listed));
    const done = await answered(stream, 'text/event-stream');
    assert.equal(done.text, note + event(JSON.stringify(kept)));
    assert.equal(done.response.headers.get('x-accel-buffering'), 'no');
    const split = JSON.stringify(listed, null, 1).split('\n').map((line) => `data:${line}`).join('\r\n'); // prettier-ignore
    assert.equal((await answered(`${split}\r\n\r\n`, 'text/event-stream')).text, `data: ${JSON.stringify(kept)}\n\n`);
    // One that is resumed tells of any request.
    const origin = () => new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
    const resumed = await run(policy({ tools }), '/mcp', { headers: OLD }, {}, { origin });
    assert.equal(await resumed.response.text(), note + event(JSON.stringify(kept)));
  });

  test('are private where callers see different ones', async () => {
    const auth = {
      resource: 'http://shop.example/mcp',
      authorizationServers: ['https://a'],
      scopes: [],
      jwks: [],
      toolScopes: [],
    };
    const origin = () => Response.json(listed);
    const headers = { ...OLD, authorization: 'Bearer x' };
    const { text } = await post(request('tools/list'), headers, { tools, auth }, { origin });
    assert.equal((JSON.parse(text) as typeof listed).result.cacheScope, 'private');
  });

  test('of resources, templates and prompts', async () => {
    const answer = {
      jsonrpc: '2.0',
      id: 7,
      result: { resources: [{ uri: 'a:1' }, { uri: 'b:1' }], resourceTemplates: [{ uriTemplate: 'b:{x}' }], prompts: [{ name: 'p' }] }, // prettier-ignore
    };
    const resources = { allow: ['a:*'], deny: [] };
    const { text } = await answered(JSON.stringify(answer), 'application/json', { resources }, 'resources/list');
    assert.deepEqual((JSON.parse(text) as typeof answer).result, { resources: [{ uri: 'a:1' }], resourceTemplates: [], prompts: [{ name: 'p' }] }); // prettier-ignore
  });

  test('that can not be read are not passed on', async () => {
    assert.equal((await answered('{"result":', 'application/json')).status, 502);
    const origin = () =>
      new Response('x', { headers: { 'content-type': 'application/json', 'content-encoding': 'br' } });
    assert.equal((await post(request('tools/list'), OLD, { tools }, { origin })).status, 502);
  });
});
