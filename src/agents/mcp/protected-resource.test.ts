import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { MIN_RETRY_SECONDS, REFETCH_SECONDS } from '../limits.ts';
import { MAX_MCP_TOKEN, MAX_MCP_TOKEN_KEYS, MCP_TOKEN_SKEW_SECONDS } from './limits.ts';
import { challenge, checkToken, missingScopes } from './protected-resource.ts';
import { metadataPath, metadataUrl, type ProtectedResource, resourceMetadata } from './resource-metadata.ts';
import { TokenKeys } from './token-keys.ts';

const NOW = 1_900_000_000;
const policy: ProtectedResource = {
  resource: 'https://tools.example/mcp',
  authorizationServers: ['https://login.example', 'https://other.example'],
  scopes: ['read', 'write'],
  jwks: ['https://login.example/keys', 'https://other.example/keys'],
  toolScopes: [
    { match: 'refund_*', scopes: ['refund', 'write'] },
    { match: '*_all', scopes: ['all'] },
  ],
};
const [rsa, ec, other] = await Promise.all([
  generateKeyPair('RS256'),
  generateKeyPair('ES256'),
  generateKeyPair('RS256'),
]);
const published = async (pair: { publicKey: CryptoKey }, kid: string, alg: string) => ({ ...(await exportJWK(pair.publicKey)), kid, alg }); // prettier-ignore
const sets: Record<string, object> = {
  'https://login.example/keys': { keys: [await published(rsa, 'r1', 'RS256'), await published(ec, 'e1', 'ES256')] },
  'https://other.example/keys': { keys: [await published(other, 'o1', 'RS256')] },
};

function fetching(answer: (url: string) => Response | Promise<Response> = (url) => Response.json(sets[url])) {
  const clock = { now: NOW * 1000 };
  const asked: string[] = [];
  const keys = new TokenKeys({
    fetch: (url, init) => {
      assert.equal(init.redirect, 'manual');
      asked.push(url);
      return Promise.resolve(answer(url));
    },
    now: () => clock.now,
  });
  return { keys, clock, asked };
}

const claims: JWTPayload = {
  iss: 'https://login.example',
  aud: policy.resource,
  scope: 'read write more',
  exp: NOW + 60,
};
const sign = (more: Record<string, unknown> = {}, key = rsa.privateKey, kid = 'r1', alg = 'RS256') => {
  const payload = Object.fromEntries(Object.entries({ ...claims, ...more }).filter(([, value]) => value !== undefined));
  return new SignJWT(payload).setProtectedHeader({ alg, kid }).sign(key);
};
const { keys } = fetching();
const faultOf = (found: Awaited<ReturnType<typeof checkToken>>) => (typeof found === 'string' ? found : null);
const check = async (token: string | Promise<string>, which = policy) =>
  faultOf(await checkToken(which, `Bearer ${await token}`, keys, NOW));

test('a token is good that an authorization server made out to this resource', async () => {
  assert.equal(await check(sign()), null);
  assert.equal(await check(sign({ aud: ['x', policy.resource] })), null);
  assert.equal(await check(sign({}, ec.privateKey, 'e1', 'ES256')), null);
  assert.equal(await check(sign({ iss: 'https://other.example' }, other.privateKey, 'o1')), null);
  assert.equal(await check(sign({ exp: NOW - MCP_TOKEN_SKEW_SECONDS + 1 })), null);
  assert.equal(await check(sign({ nbf: NOW + MCP_TOKEN_SKEW_SECONDS })), null);
  assert.equal(await check(sign({ scope: undefined, scp: ['write', 'read'] })), null);
  const root = { ...policy, resource: 'https://tools.example' };
  for (const aud of ['https://tools.example', 'https://tools.example/'])
    assert.equal(await check(sign({ aud }), root), null);
});

test('any other is not', async () => {
  const hmac = new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', kid: 'r1' })
    .sign(new TextEncoder().encode('x'.repeat(32)));
  const refused: readonly (string | Promise<string>)[] = [
    'nonsense',
    'a.b.c',
    new UnsecuredJWT(claims).encode(),
    hmac,
    sign({ aud: 'https://tools.example/other' }),
    sign({ aud: 'https://tools.example/mcp/' }),
    sign({ aud: undefined }),
    sign({ iss: 'https://evil.example' }),
    sign({ iss: undefined }),
    // Keys of one server say nothing of the tokens of another.
    sign({ iss: 'https://other.example' }),
    sign({}, other.privateKey, 'o1'),
    sign({}, other.privateKey, 'r1'),
    sign({ exp: undefined }),
    sign({ exp: NOW - MCP_TOKEN_SKEW_SECONDS }),
    sign({ nbf: NOW + MCP_TOKEN_SKEW_SECONDS + 1 }),
    sign({ pad: 'x'.repeat(MAX_MCP_TOKEN) }),
  ];
  for (const [index, token] of refused.entries()) assert.equal(await check(token), 'invalid', String(index));
  assert.equal(await checkToken(policy, '', keys, NOW), 'missing');
  assert.equal(await checkToken(policy, `Basic ${await sign()}`, keys, NOW), 'invalid');
  assert.equal(await checkToken(policy, `Bearer ${await sign()}, Bearer x`, keys, NOW), 'invalid');
});

test('a good one that allows too little is told what is missing', async () => {
  assert.equal(await check(sign({ scope: 'read' })), 'scope');
  assert.equal(await check(sign({ scope: 'readwrite' })), 'scope');
  assert.equal(await check(sign({ scope: undefined })), 'scope');
  const line = 'resource_metadata="https://tools.example/.well-known/oauth-protected-resource/mcp", scope="read write"';
  assert.equal(challenge(policy, 'missing'), `Bearer ${line}`);
  assert.equal(challenge(policy, 'invalid'), `Bearer error="invalid_token", ${line}`);
  assert.equal(challenge(policy, 'scope'), `Bearer error="insufficient_scope", ${line}`);
});

test('tools may need more', async () => {
  const grant = await checkToken(policy, `Bearer ${await sign({ scope: 'read write refund' })}`, keys, NOW);
  assert.ok(typeof grant === 'object');
  assert.equal(missingScopes(policy, 'get', grant), null);
  assert.equal(missingScopes(policy, 'refund_one', grant), null);
  assert.deepEqual(missingScopes(policy, 'refund_all', grant), ['read', 'write', 'refund', 'all']);
  assert.equal(missingScopes(policy, 'refund_all', { scopes: null }), null);
  assert.match(challenge(policy, 'scope', ['read', 'all']), /scope="read all"$/);
});

test('where the server behind checks tokens, one has to be there', async () => {
  const passed = { ...policy, jwks: [] };
  assert.deepEqual(await checkToken(passed, 'Bearer opaque', null, NOW), { scopes: null, principal: '' });
  assert.equal(await checkToken(passed, '', null, NOW), 'missing');
});

test('keys are fetched once, and again when one is missing, but not for each token', async () => {
  const { keys: kept, clock, asked } = fetching();
  const ask = async (kid: string) =>
    faultOf(await checkToken(policy, `Bearer ${await sign({}, rsa.privateKey, kid)}`, kept, NOW));
  await Promise.all([ask('r1'), ask('r1'), ask('r1')]);
  assert.equal(asked.length, 1);
  for (let i = 0; i < 5; i++) assert.equal(await ask('unknown'), 'invalid');
  assert.equal(asked.length, 1);
  clock.now += REFETCH_SECONDS * 1000;
  for (let i = 0; i < 5; i++) assert.equal(await ask('unknown'), 'invalid');
  assert.equal(asked.length, 2);
});

test('a set that fails takes nothing away, and is not asked again at once', async () => {
  const answers: Response[] = [];
  const {
    keys: kept,
    clock,
    asked,
  } = fetching(() => answers.shift() ?? Response.json(sets['https://login.example/keys']));
  const ask = async () => faultOf(await checkToken(policy, `Bearer ${await sign({ exp: NOW + 1e9 })}`, kept, NOW));
  answers.push(new Response('no', { status: 500 }));
  assert.equal(await ask(), 'unavailable');
  assert.equal(await ask(), 'unavailable');
  assert.equal(asked.length, 1);
  clock.now += MIN_RETRY_SECONDS * 1000;
  assert.equal(await ask(), null);
  clock.now += 86_400_000;
  answers.push(new Response(null, { status: 302, headers: { location: 'https://x' } }));
  assert.equal(await ask(), null);
  assert.equal(asked.length, 3);
});

test('what is no set of keys is none', async () => {
  const many = { keys: Array.from({ length: 65 }, () => ({})) };
  for (const text of [
    '',
    '[]',
    '{}',
    '{"keys":{}}',
    '{"keys":[1]}',
    '{"keys":[],"keys":[]}',
    JSON.stringify(many),
    ' '.repeat(70_000),
  ]) {
    const { keys: kept } = fetching(() => new Response(text));
    assert.equal(await kept.get('https://x', false, () => {}), null, text.slice(0, 20));
  }
  const { keys: lost } = fetching(() => Promise.reject(new Error('down')));
  assert.equal(await lost.get('https://x', false, () => {}), null);
});

test('metadata lies where clients look for it', () => {
  assert.equal(metadataPath('https://a.example'), '/.well-known/oauth-protected-resource');
  assert.equal(metadataPath('https://a.example/'), '/.well-known/oauth-protected-resource');
  assert.equal(
    metadataUrl('https://a.example:8443/x/mcp'),
    'https://a.example:8443/.well-known/oauth-protected-resource/x/mcp',
  );
  assert.deepEqual(resourceMetadata({ ...policy, scopes: [] }), {
    resource: policy.resource,
    authorization_servers: policy.authorizationServers,
    bearer_methods_supported: ['header'],
  });
});

test('whom a token was given to stays the same when it is renewed, and is nobody else', async () => {
  const of = async (more: Record<string, unknown>, key = rsa.privateKey, kid = 'r1'): Promise<string> => {
    const found = await checkToken(policy, `Bearer ${await sign(more, key, kid)}`, keys, NOW);
    assert.ok(typeof found === 'object');
    return found.principal;
  };
  const ann = await of({ sub: 'ann' });
  assert.equal(await of({ sub: 'ann', exp: NOW + 600, client_id: 'c', scope: 'read write' }), ann);
  const others = [
    await of({ sub: 'bob' }),
    await of({ sub: 'ann', iss: 'https://other.example' }, other.privateKey, 'o1'),
    await of({ client_id: 'ann' }),
    await of({}),
  ];
  assert.equal(new Set([ann, ...others]).size, 5);
  assert.equal(await of({ azp: 'c' }), await of({ client_id: 'c' }));
});

test('a token that names no key is tried with those that fit it, up to a limit', async () => {
  const pairs = await Promise.all(Array.from({ length: MAX_MCP_TOKEN_KEYS + 1 }, () => generateKeyPair('ES256')));
  const set = { keys: await Promise.all(pairs.map((pair, n) => published(pair, `k${n}`, 'ES256'))) };
  const { keys: several } = fetching(() => Response.json(set));
  const found = async (pair: { privateKey: CryptoKey }, more: Record<string, unknown> = {}) => {
    const token = await new SignJWT({ ...claims, ...more }).setProtectedHeader({ alg: 'ES256' }).sign(pair.privateKey);
    return faultOf(await checkToken(policy, `Bearer ${token}`, several, NOW));
  };
  assert.equal(await found(pairs[0]!), null);
  assert.equal(await found(pairs[MAX_MCP_TOKEN_KEYS - 1]!), null);
  assert.equal(await found(pairs[MAX_MCP_TOKEN_KEYS]!), 'invalid');
  assert.equal(await found(ec), 'invalid');
  assert.equal(await found(pairs[0]!, { exp: NOW - 600 }), 'invalid');
  assert.equal(await found(pairs[0]!, { scope: 'read' }), 'scope');
});
