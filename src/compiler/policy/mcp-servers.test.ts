import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_JOINED_SERVERS } from '../../../assembly/abi.ts';
import { compile } from '../index.ts';

async function read(mcp: string, more = '') {
  const text = `app: shop
hostnames: [tools.example]
backends: { gh: { url: http://10.0.0.1 }, jira: { url: http://10.0.0.2 } }
routes:
  - { name: all, ${more}mcp: ${mcp} }
`;
  const { plans, diagnostics } = await compile({ files: [{ path: 'a.yaml', text }], target: 'workerd', agents: null });
  return {
    mcp: plans[0]?.mcps[0],
    codes: diagnostics.map(({ severity, code, line }) => `${severity} ${code} ${line}`),
    diagnostics,
  };
}

test('servers are joined, with what is not said filled in', async () => {
  const { mcp, codes } = await read(
    '{ servers: { git-hub: { backend: gh }, jira: { backend: jira, path: /v1/mcp, timeout: 2s } } }',
  );
  assert.deepEqual(codes, []);
  assert.deepEqual(mcp?.join, {
    nameLength: 64,
    servers: [
      { name: 'git-hub', backend: 0, path: '/mcp', timeout: 10_000 },
      { name: 'jira', backend: 1, path: '/v1/mcp', timeout: 2000 },
    ],
  });
  // The token of a client is made out to this route, and none of several others' business.
  assert.equal(mcp?.forwardAuthorization, false);
  assert.deepEqual(mcp?.versions, ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26']);
});

for (const [what, mcp, code, more] of [
  ['a name with the separator in it', '{ servers: { a_b: { backend: gh } } }', 'error bad-format 5'],
  ['a name that begins no scheme', '{ servers: { 1a: { backend: gh } } }', 'error bad-format 5'],
  ['no servers', '{ servers: {} }', 'error out-of-range 5'],
  [
    'too many',
    `{ servers: { ${Array.from({ length: MAX_JOINED_SERVERS + 1 }, (_, n) => `s${n}: { backend: gh }`).join(', ')} } }`,
    'error out-of-range 5',
  ],
  ['a backend that is not there', '{ servers: { a: { backend: no } } }', 'error unknown-backend 5'],
  ['no time', '{ servers: { a: { backend: gh, timeout: 0s } } }', 'error out-of-range 5'],
  ['a path that is none', '{ servers: { a: { backend: gh, path: mcp } } }', 'error bad-format 5'],
  ['mode off', '{ mode: off, servers: { a: { backend: gh } } }', 'error conflict 5'],
  ['a backend beside them', '{ servers: { a: { backend: gh } } }', 'error conflict 5', 'backend: gh, '],
  ['retries', '{ servers: { a: { backend: gh } } }', 'error conflict 5', 'retry: { attempts: 1 }, '],
  ['another length', '{ nameLength: 65, servers: { a: { backend: gh } } }', 'error unknown-value 5'],
] as const)
  test(`${what} is an error`, async () => {
    const { codes, diagnostics } = await read(mcp, more);
    assert.ok(codes.includes(code), JSON.stringify(diagnostics));
  });

test('as many servers as the limit are joined', async () => {
  const { codes, mcp } = await read(
    `{ nameLength: 128, servers: { ${Array.from({ length: MAX_JOINED_SERVERS }, (_, n) => `s${n}: { backend: gh }`).join(', ')} } }`,
  );
  assert.deepEqual([codes, mcp?.join?.servers.length, mcp?.join?.nameLength], [[], MAX_JOINED_SERVERS, 128]);
});
