import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { McpPlan, Plan } from '../../plan.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { compile } from '../index.ts';

async function read(
  mcp: string,
  hostnames = '[tools.example, "*.tools.example"]',
): Promise<{ plan: Plan | undefined; diagnostics: readonly Diagnostic[] }> {
  const text = `app: shop
hostnames: ${hostnames}
backends: { one: { url: http://10.0.0.1 } }
routes:
  - { name: server, matches: [{ path: { value: /mcp } }], backend: one, mcp: ${mcp} }
  - { name: rest, backend: one }
`;
  const { plans, diagnostics } = await compile({ files: [{ path: 'a.yaml', text }], target: 'workerd', agents: null });
  return { plan: plans[0], diagnostics };
}
async function good(mcp: string): Promise<Plan> {
  const { plan, diagnostics } = await read(mcp);
  assert.deepEqual(diagnostics, []);
  return plan!;
}
const codes = async (mcp: string): Promise<[string, string][]> =>
  (await read(mcp)).diagnostics.map(({ severity, code }) => [severity, code]);

const all = { allow: null, deny: [] };

test('where any host is served, origins have to be said', async () => {
  const { diagnostics } = await read('{}', '["*"]');
  assert.deepEqual(
    diagnostics.map(({ severity, code, line }) => [severity, code, line]),
    [['warning', 'any-origin', 5]],
  );
  const said = ['{ origins: [] }', '{ origins: ["https://a.example"] }', '{ mode: off }'];
  for (const fields of said) assert.deepEqual((await read(fields, '["*"]')).diagnostics, [], fields);
});

test('defaults are filled in', async () => {
  const plan = await good('{}');
  assert.deepEqual(plan.routeActions.map((action) => plan.actions[action]!.mcp), [0, -1]); // prettier-ignore
  assert.deepEqual(plan.mcps, [
    {
      ...{ mode: 'enforce', versions: null },
      ...{ methods: all, tools: all, resources: all, prompts: all, limit: 1_048_576, origins: null, auth: null },
      ...{ forwardAuthorization: true, sessionTtl: 3600, join: null },
    },
  ] satisfies McpPlan[]);
  assert.equal((await good('{ mode: off }')).actions[0]!.mcp, -1);
});

const AUTH = `auth: { resource: "https://tools.example/mcp", scopes: [a, b, a], toolScopes: { "refund_*": [refund] },
      authorizationServers: [{ issuer: "https://login.example", jwks: "https://login.example/keys" }] }`;

test('all of it', async () => {
  const plan = await good(`{ mode: log, versions: ["2025-06-18", "2026-07-28"], methods: { deny: ["tasks/*"] },
    tools: { allow: ["get_*"], deny: [get_secret] }, origins: ["https://App.example", "*"], bodyLimit: 64KB, sessionTtl: 2h, ${AUTH} }`);
  const [mcp] = plan.mcps;
  assert.deepEqual(mcp?.versions, ['2026-07-28', '2025-06-18']);
  assert.deepEqual(mcp.tools, { allow: ['get_*'], deny: ['get_secret'] });
  assert.deepEqual(mcp.origins, ['https://app.example', '*']);
  assert.deepEqual(mcp.auth, {
    resource: 'https://tools.example/mcp',
    authorizationServers: ['https://login.example'],
    scopes: ['a', 'b'],
    jwks: ['https://login.example/keys'],
    toolScopes: [{ match: 'refund_*', scopes: ['refund'] }],
  });
  assert.equal(mcp.forwardAuthorization, false);
  assert.deepEqual([mcp.mode, mcp.limit, mcp.sessionTtl], ['log', 65_536, 7200]);
});

test('a protected resource has a route for its metadata', async () => {
  const plan = await good(`{ ${AUTH} }`);
  assert.deepEqual(plan.routeNames, ['server', 'server metadata', 'rest']);
  const { filters, cors, mcp } = plan.actions[plan.routeActions[1]!]!;
  assert.equal(mcp, -1);
  assert.deepEqual(cors?.allowOrigins, ['*']);
  assert.ok(filters[0]?.type === 'direct');
  assert.deepEqual(JSON.parse(filters[0].direct.body), {
    resource: 'https://tools.example/mcp',
    authorization_servers: ['https://login.example'],
    scopes_supported: ['a', 'b'],
    bearer_methods_supported: ['header'],
  });
});

test('what contradicts itself is told', async () => {
  const auth = (servers: string, more = '', resource = 'https://tools.example/mcp') =>
    `{ auth: { resource: "${resource}", authorizationServers: [${servers}] }${more} }`;
  const [login, bare] = [
    '{ issuer: "https://a.example", jwks: "https://a.example/k" }',
    '{ issuer: "https://b.example" }',
  ];
  assert.deepEqual(await codes(auth(bare)), [['error', 'unchecked']]);
  assert.deepEqual(await codes(auth(bare, ', forwardAuthorization: true')), []);
  const scoped = `{ auth: { resource: "https://tools.example/mcp", toolScopes: { a: [b] }, authorizationServers: [${bare}] }, forwardAuthorization: true }`;
  assert.deepEqual(await codes(scoped), [['error', 'unchecked']]);
  assert.deepEqual(await codes(auth(`${login}, ${bare}`)), [['error', 'missing-field']]);
  assert.deepEqual(await codes(auth(`${login}, ${login}`)), [['error', 'duplicate-name']]);
  assert.deepEqual(await codes(auth(login, '', 'https://other.example/mcp')), [['warning', 'hostname-outside']]);
  assert.deepEqual(await codes(auth(login, '', 'https://a.tools.example/mcp')), []);
  assert.deepEqual(await codes(auth(login, '', 'https://[/mcp')), [['error', 'bad-url']]);
  assert.deepEqual(await codes(auth(login, '', 'tools.example')), [['error', 'bad-format']]);
  assert.deepEqual(await codes('{ versions: ["2023-01-01"] }'), [['error', 'unknown-value']]);
  assert.deepEqual(await codes('{ origins: ["app.example"] }'), [['error', 'bad-format']]);
  assert.deepEqual(await codes('{ bodyLimit: 17MB }'), [['error', 'out-of-range']]);
  assert.deepEqual(await codes('{ tool: {} }'), [['error', 'unknown-field']]);
  assert.deepEqual(await codes('{}, llm: { provider: openai }'), [['error', 'conflict']]);
});
