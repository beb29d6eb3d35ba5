/**
 * Web Bot Auth, with signed requests that were changed and directories that were made up: always one of the outcomes with
 * a reason, never an exception, and nothing is verified but what was left as it was signed.
 */
import assert from 'node:assert/strict';
import { KeyDirectories } from '../../src/agents/key-directory.ts';
import { agentUrl } from '../../src/agents/signature-agent.ts';
import { conclude, verifyWebBotAuth } from '../../src/agents/web-bot-auth.ts';
import { requestMessage } from '../../src/agents/message.ts';
import { AGENT_URL, newSigner, NOW, type Signer, signedHeaders, TARGET } from '../support/signed-request.ts';
import { random, type Random } from './random.ts';

const PIECES = ['"', ';', '=', ', ', '(', ')', 'sig1=', ';key="sig1"', '"@authority"', 'https://', '127.0.0.1', 'web-bot-auth', ':', '@', ' ', '\\', '%2e', '0', 'a']; // prettier-ignore
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e300,
  '',
  'OKP',
  'Ed25519',
  'RSA',
  'oct',
  [],
  {},
  ['verify'],
  'sig',
  'x'.repeat(3000),
];

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const signer = await newSigner();
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) await (cases % 3 === 0 ? readDirectory(r, signer) : verify(r, signer));
  return cases;
}

function mutate(r: Random, text: string): string {
  const at = r.below(text.length + 1);
  const piece = r.below(3) === 0 ? String.fromCharCode(0x20 + r.below(0x5f)) : r.pick(PIECES);
  return text.slice(0, at) + piece.repeat(r.below(50) === 0 ? r.below(900) : 1) + text.slice(at + r.below(6));
}

async function verify(r: Random, signer: Signer): Promise<void> {
  const signed = await signedHeaders(signer);
  const headers: Record<string, string> = { ...signed };
  for (let i = r.below(3); i > 0; i--) {
    const name = r.pick(Object.keys(headers));
    headers[name] = mutate(r, headers[name] ?? '');
  }
  const results = await verifyWebBotAuth(requestMessage('GET', TARGET, new Headers(headers)), {
    now: NOW,
    key: ({ fetched }, _member, keyid) =>
      Promise.resolve(fetched === AGENT_URL && keyid === signer.keyid ? signer.directoryKey : 'key-unknown'),
    body: () => Promise.resolve(null),
    fresh: () => Promise.resolve(true),
  });
  const result = conclude(results);
  const same = Object.keys(signed).every((name) => signed[name] === headers[name]);
  if (same) return assert.equal(result?.outcome, 'verified');
  if (result?.outcome === 'verified') {
    // Spaces, and other signatures beside it, change nothing of what was signed.
    assert.equal(result.agent, AGENT_URL);
    assert.equal(result.keyid, signer.keyid);
    assert.equal(result.expires, NOW + 60);
    assert.deepEqual(result.components, ['"@authority"', '"signature-agent";key="sig1"']);
  } else if (result !== null) assert.match(result.reason, /^[a-z-]+$/);
}

async function readDirectory(r: Random, signer: Signer): Promise<void> {
  const key: Record<string, unknown> = { ...signer.publicJwk };
  for (let i = r.below(4); i > 0; i--)
    key[r.pick(['kty', 'crv', 'x', 'y', 'n', 'e', 'd', 'alg', 'use', 'key_ops', 'kid', 'nbf', 'exp'])] = r.pick(VALUES);
  const keys: unknown = r.below(8) === 0 ? r.pick(VALUES) : [r.pick(VALUES), key];
  let text = JSON.stringify(r.below(8) === 0 ? r.pick(VALUES) : { keys });
  if (r.below(4) === 0) text = mutate(r, text);
  const headers = { 'cache-control': mutate(r, 'max-age=60, no-store'), age: mutate(r, '5'), expires: mutate(r, 'Sat, 21 Nov 2026 12:00:00 GMT') }; // prettier-ignore
  const directories = new KeyDirectories({
    fetch: () => Promise.resolve(new Response(text, { headers })),
    now: () => NOW * 1000,
    wire: r.pick(['strict', 'compat']),
  });
  const url = agentUrl(AGENT_URL, 'keys');
  assert.ok(typeof url === 'object');
  const found = await directories.key(url, { resource: r.pick(['keys', 'card']) }, signer.keyid);
  if (typeof found === 'string') assert.match(found, /^(directory|key|card)-[a-z-]+$/);
  else {
    assert.equal(found.thumbprint === signer.keyid || found.kid === signer.keyid, true);
    assert.ok(!Number.isNaN(found.notBefore) && !Number.isNaN(found.expires));
  }
  // Whatever a client says is judged, and never thrown at us.
  assert.ok(['string', 'object'].includes(typeof agentUrl(mutate(r, mutate(r, AGENT_URL)), 'keys')));
}
