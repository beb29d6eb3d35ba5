/**
 * What must not be verified, and some that must: one fault each, all else right. The cases are those of the project's
 * reference and of the checklists of the draft, in our words; each says what must come of it and by which reason.
 */
import { contentDigest } from '../../../src/agents/content-digest.ts';
import { component } from '../../../src/agents/message-signature.ts';
import type { AgentResult } from '../../../src/agents/web-bot-auth.ts';
import { AGENT_URL, type Draft, type Judgement, judgeRequest, newSigner, NOW, type Signer, signedHeaders, TARGET } from '../../support/signed-request.ts'; // prettier-ignore

interface Case {
  readonly id: string;
  readonly draft?: Draft;
  /** What happens to the headers after they were signed. */
  readonly change?: (headers: Record<string, string>, signer: Signer, other: Signer) => Record<string, string> | Promise<Record<string, string>>; // prettier-ignore
  readonly judge?: (signer: Signer, other: Signer) => Partial<Judgement>;
  /** `verified`, `none` or `outcome reason`. */
  readonly expected: string;
}

const AUTHORITY = component('@authority');
const MEMBER = component('signature-agent', { key: 'sig1' });
const WELL_KNOWN = 'https://agent.example/.well-known/http-message-signatures-directory';
const without = (headers: Record<string, string>, name: string): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([one]) => one !== name));
const agent = (value: string, expected: string, more: Partial<Case> = {}): Case => ({
  id: `Signature-Agent ${value}`,
  draft: { agent: value },
  expected,
  ...more,
});
const BODY = new TextEncoder().encode('{"a":1}');

// prettier-ignore
const CASES: readonly Case[] = [
  { id: 'as it should be', expected: 'verified' },
  { id: 'by @target-uri', draft: { components: [component('@target-uri'), MEMBER] }, expected: 'verified' },
  // The three forms.
  {
    id: 'form 1: a string',
    draft: { agent: '"https://agent.example"', components: [AUTHORITY, component('signature-agent')] },
    judge: (signer) => ({ directories: { [WELL_KNOWN]: [signer.directoryKey] } }),
    expected: 'verified',
  },
  {
    id: 'form 2: an origin by key',
    draft: { agent: 'sig1="https://agent.example"' },
    judge: (signer) => ({ directories: { [WELL_KNOWN]: [signer.directoryKey] } }),
    expected: 'verified',
  },
  { id: 'form 3: a key set by key', draft: { agent: `sig1="${AGENT_URL}"` }, expected: 'verified' },
  { id: 'a member of another name, the only one covered', draft: { agent: `g="${AGENT_URL}"`, components: [AUTHORITY, component('signature-agent', { key: 'g' })] }, expected: 'verified' },
  { id: 'a second signature with a tag of somebody else', change: (h) => ({ ...h, 'signature-input': `${h['signature-input']}, o=("@method");created=1;tag="other"`, signature: `${h['signature']}, o=:AAAA:` }), expected: 'verified' },
  { id: 'short kid in the directory', draft: { parameters: { keyid: 'k1' } }, judge: (signer) => ({ directories: { [AGENT_URL]: [{ ...signer.directoryKey, kid: 'k1' }] } }), expected: 'verified' },
  { id: 'a label that was changed on its way', change: (h) => ({ ...h, 'signature-input': (h['signature-input'] ?? '').replace('sig1=', 'x='), signature: (h['signature'] ?? '').replace('sig1=', 'x=') }), expected: 'verified' },
  { id: 'without nonce', draft: { parameters: { nonce: null } }, expected: 'verified' },
  { id: 'without alg', draft: { parameters: { alg: null } }, expected: 'verified' },
  // Not ours.
  { id: 'no signature at all', change: () => ({}), expected: 'none' },
  { id: 'another tag, no Signature-Agent', draft: { agent: null, components: [AUTHORITY], parameters: { tag: 'agent-browser-auth' } }, expected: 'none' },
  { id: 'another tag', draft: { parameters: { tag: 'agent-payer-auth' } }, expected: 'unverified signature-absent' },
  { id: 'no tag', draft: { parameters: { tag: null } }, expected: 'unverified signature-absent' },
  { id: 'Signature-Agent alone', change: (h) => without(without(h, 'signature'), 'signature-input'), expected: 'unverified signature-absent' },
  // What can't be read.
  { id: 'Signature-Input is not well formed', change: (h) => ({ ...h, 'signature-input': `${h['signature-input']};` }), expected: 'invalid signature-input-malformed' },
  { id: 'Signature is no byte sequence', change: (h) => ({ ...h, signature: 'sig1="abc"' }), expected: 'invalid signature-malformed' },
  { id: 'Signature without our label', change: (h) => ({ ...h, signature: 'sig2=:AAAA:' }), expected: 'invalid signature-missing' },
  { id: 'Signature is absent', change: (h) => without(h, 'signature'), expected: 'invalid signature-missing' },
  { id: 'a label twice', change: (h) => ({ ...h, 'signature-input': `${h['signature-input']}, ${h['signature-input']}` }), expected: 'invalid signature-input-malformed' },
  { id: 'more signatures than are looked at', change: (h) => ({ ...h, 'signature-input': Array.from({ length: 9 }, (_, i) => `s${i}=()`).join(', ') + ', ' + h['signature-input'] }), expected: 'invalid too-many-signatures' },
  { id: 'more of our signatures than are looked up', change: (h) => { const copies = (text: string) => ['a', 'b', 'c', 'd'].map((label) => text.replace('sig1=', `${label}=`)).join(', '); return { ...h, 'signature-input': copies(h['signature-input'] ?? ''), signature: copies(h['signature'] ?? '') }; }, expected: 'invalid too-many-signatures' },
  { id: 'Signature-Agent is not well formed', change: (h) => ({ ...h, 'signature-agent': 'sig1="https://agent.example/keys.json' }), expected: 'invalid agent-malformed' },
  { id: 'Signature-Agent is a token', change: (h) => ({ ...h, 'signature-agent': 'sig1=agent' }), expected: 'invalid agent-malformed' },
  // Parameters.
  ...['created', 'expires', 'keyid'].map((name): Case => ({ id: `without ${name}`, draft: { parameters: { [name]: null } }, expected: 'invalid parameter-missing' })),
  { id: 'created is a string', draft: { parameters: { created: String(NOW) } }, expected: 'invalid parameter-malformed' },
  { id: 'created ahead of the clock', draft: { parameters: { created: NOW + 31, expires: NOW + 90 } }, expected: 'invalid created-in-future' },
  { id: 'created ahead, within what clocks differ by', draft: { parameters: { created: NOW + 30, expires: NOW + 90 } }, expected: 'verified' },
  { id: 'expired', draft: { parameters: { created: NOW - 60, expires: NOW } }, expected: 'invalid expired' },
  { id: 'in its last second', draft: { parameters: { created: NOW - 60, expires: NOW + 1 } }, expected: 'verified' },
  { id: 'expires before it was created', draft: { parameters: { created: NOW + 20, expires: NOW + 10 } }, expected: 'invalid expired' },
  { id: 'lives for a day', draft: { parameters: { expires: NOW + 86_400 } }, expected: 'verified' },
  { id: 'lives for a day and a second', draft: { parameters: { expires: NOW + 86_401 } }, expected: 'invalid lifetime-too-long' },
  { id: 'lives for ten years', draft: { parameters: { expires: NOW + 315_360_000 } }, expected: 'invalid lifetime-too-long' },
  { id: 'alg is hmac-sha256', draft: { parameters: { alg: 'hmac-sha256' } }, expected: 'invalid algorithm-forbidden' },
  { id: 'alg is not registered', draft: { parameters: { alg: 'none' } }, expected: 'invalid algorithm-forbidden' },
  { id: 'alg is of another kind of key', draft: { parameters: { alg: 'rsa-pss-sha512' } }, expected: 'invalid algorithm-mismatch' },
  { id: 'a nonce is asked for', draft: { parameters: { nonce: null } }, judge: () => ({ options: { nonce: 'required' } }), expected: 'invalid nonce-missing' },
  // What is covered.
  { id: 'neither @authority nor @target-uri', draft: { components: [component('@method'), component('@path'), MEMBER] }, expected: 'invalid target-not-covered' },
  { id: 'nothing is covered', draft: { components: [] }, expected: 'invalid target-not-covered' },
  { id: 'Signature-Agent is not covered', draft: { components: [AUTHORITY] }, expected: 'invalid agent-not-covered' },
  { id: 'Signature-Agent is not covered, form 1', draft: { agent: '"https://agent.example"', components: [AUTHORITY] }, expected: 'invalid agent-not-covered' },
  { id: 'a dictionary that is covered whole', draft: { components: [AUTHORITY, component('signature-agent')] }, expected: 'invalid agent-not-covered' },
  { id: 'a dictionary that is covered whole, compat', draft: { components: [AUTHORITY, component('signature-agent')] }, judge: () => ({ options: { wire: 'compat' } }), expected: 'verified' },
  { id: 'a member that is not there', change: (h) => ({ ...h, 'signature-agent': 'other="https://agent.example"' }), expected: 'invalid component-absent' },
  { id: 'two members, neither of the label', draft: { agent: `a="${AGENT_URL}", b="${AGENT_URL}"`, components: [AUTHORITY, component('signature-agent', { key: 'a' }), component('signature-agent', { key: 'b' })] }, expected: 'invalid agent-ambiguous' },
  { id: 'two members, one of the label', draft: { agent: `sig1="${AGENT_URL}", b="https://b.example"`, components: [AUTHORITY, MEMBER, component('signature-agent', { key: 'b' })] }, expected: 'verified' },
  { id: 'a member with parameters', draft: { agent: `sig1="${AGENT_URL}";type=jwks_uri` }, expected: 'unverified agent-ignored' },
  { id: 'a member with parameters, compat', draft: { agent: `sig1="${AGENT_URL}";type=jwks_uri` }, judge: () => ({ options: { wire: 'compat' } }), expected: 'verified' },
  { id: 'Signature-Agent is absent', draft: { agent: null, components: [AUTHORITY] }, expected: 'unverified agent-absent' },
  { id: 'Signature-Agent is covered and absent', change: (h) => without(h, 'signature-agent'), expected: 'invalid component-absent' },
  { id: 'a covered header is absent', draft: { headers: { 'x-a': '1' }, components: [AUTHORITY, MEMBER, component('x-a')] }, change: (h) => without(h, 'x-a'), expected: 'invalid component-absent' },
  { id: 'a component twice', change: (h) => ({ ...h, 'signature-input': (h['signature-input'] ?? '').replace('"@authority"', '"@authority" "@authority"') }), expected: 'invalid component-duplicate' },
  { id: 'a component that nobody knows', change: (h) => ({ ...h, 'signature-input': (h['signature-input'] ?? '').replace('"@authority"', '"@authority" "@moon"') }), expected: 'unverified component-unsupported' },
  { id: 'a component of the request in a request', change: (h) => ({ ...h, 'signature-input': (h['signature-input'] ?? '').replace('"@authority"', '"@authority" "@method";req') }), expected: 'invalid component-malformed' },
  { id: 'a trailer', change: (h) => ({ ...h, 'signature-input': (h['signature-input'] ?? '').replace('"@authority"', '"@authority" "x-a";tr') }), expected: 'unverified component-unsupported' },
  { id: 'a signature within, not covered with all that it covers', change: async (h, signer) => { const outer = await signedHeaders(signer, { label: 'out', headers: h, agent: `${h['signature-agent']}, out="${AGENT_URL}"`, components: [AUTHORITY, component('signature-agent', { key: 'out' }), component('signature', { key: 'sig1' })] }); return { ...outer, 'signature-input': `sig1=();created=${NOW};tag="x", ${outer['signature-input']}`, signature: `${h['signature']}, ${outer['signature']}` }; }, expected: 'invalid inner-signature-uncovered' },
  // Where keys are said to be.
  agent('sig1="http://agent.example/keys.json"', 'invalid agent-url-not-https'),
  agent('sig1="data:application/json,{}"', 'invalid agent-url-malformed'),
  agent('sig1="/keys.json"', 'invalid agent-url-malformed'),
  agent('sig1="agent.example"', 'invalid agent-url-malformed'),
  agent('sig1="https://user:pw@agent.example/keys.json"', 'invalid agent-url-malformed'),
  agent('sig1="https://agent.example@127.0.0.1/keys.json"', 'invalid agent-url-malformed'),
  agent('sig1="https://agent.example/keys.json#x"', 'invalid agent-url-malformed'),
  agent('sig1="https://agent.example:8443/keys.json"', 'invalid agent-port-refused'),
  ...['localhost', 'agent.localhost', 'agent.local', 'metadata.google.internal', 'agent', '127.0.0.1', '10.0.0.1', '169.254.169.254', '192.168.1.1', '[::1]', '[fe80::1]', '[fd00:ec2::254]', '[::ffff:127.0.0.1]', '0x7f.1', '2130706433', '017700000001', '8.8.8.8', 'localhost.', '1.0.0.127.in-addr.arpa'].map((host) =>
    agent(`sig1="https://${host}/keys.json"`, 'invalid agent-host-private'),
  ),
  { id: 'over plain HTTP', draft: { url: 'http://shop.example/' }, judge: () => ({ url: 'http://shop.example/' }), expected: 'unverified insecure-transport' },
  { id: 'over plain HTTP, which the operator allows', draft: { url: 'http://shop.example/' }, judge: () => ({ url: 'http://shop.example/', options: { insecure: true } }), expected: 'verified' },
  // Keys.
  { id: 'the directory is down', judge: () => ({ directories: {} }), expected: 'unverified directory-unreachable' },
  { id: 'the directory has other keys', judge: (_signer, other) => ({ directories: { [AGENT_URL]: [other.directoryKey] } }), expected: 'unverified key-unknown' },
  { id: 'the key of another agent’s directory', draft: { agent: 'sig1="https://victim.example/keys.json"' }, judge: (signer, other) => ({ directories: { [AGENT_URL]: [signer.directoryKey], 'https://victim.example/keys.json': [other.directoryKey] } }), expected: 'unverified key-unknown' },
  { id: 'a key that says it is another', draft: {}, judge: (signer, other) => ({ directories: { [AGENT_URL]: [{ ...other.directoryKey, kid: signer.keyid }] } }), expected: 'invalid signature-wrong' },
  { id: 'a key of tomorrow', judge: (signer) => ({ directories: { [AGENT_URL]: [{ ...signer.directoryKey, notBefore: NOW + 1 }] } }), expected: 'invalid key-not-yet-valid' },
  { id: 'a key of yesterday', judge: (signer) => ({ directories: { [AGENT_URL]: [{ ...signer.directoryKey, expires: NOW }] } }), expected: 'invalid key-expired' },
  { id: 'the test key of RFC 9421', judge: (signer) => ({ directories: { [AGENT_URL]: [{ ...signer.directoryKey, kid: signer.keyid, thumbprint: 'poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U' }] } }), expected: 'invalid test-key' },
  // The signature itself, and what it was made over.
  { id: 'a byte of it is changed', change: (h) => ({ ...h, signature: (h['signature'] ?? '').replace(/:(.)/, (_, c: string) => `:${c === 'A' ? 'B' : 'A'}`) }), expected: 'invalid signature-wrong' },
  { id: 'it is empty', change: (h) => ({ ...h, signature: 'sig1=::' }), expected: 'invalid signature-wrong' },
  { id: 'it was made by another key', change: (h, _signer, other) => signedHeaders(other, {}).then((forged) => ({ ...h, signature: forged['signature'] ?? '' })), expected: 'invalid signature-wrong' },
  { id: 'for another host', judge: () => ({ url: 'https://elsewhere.example/things?id=7' }), expected: 'invalid signature-wrong' },
  { id: 'another query, where the target is covered', draft: { components: [component('@target-uri'), MEMBER] }, judge: () => ({ url: 'https://shop.example/things?id=8' }), expected: 'invalid signature-wrong' },
  { id: 'another method, where it is covered', draft: { components: [AUTHORITY, component('@method'), MEMBER] }, judge: () => ({ method: 'DELETE' }), expected: 'invalid signature-wrong' },
  { id: 'another Signature-Agent', change: (h) => ({ ...h, 'signature-agent': 'sig1="https://agent.example/other.json"' }), judge: (signer) => ({ directories: { 'https://agent.example/other.json': [signer.directoryKey] } }), expected: 'invalid signature-wrong' },
  { id: 'a longer life than was signed', change: (h) => ({ ...h, 'signature-input': (h['signature-input'] ?? '').replace(`expires=${NOW + 60}`, `expires=${NOW + 61}`) }), expected: 'invalid signature-wrong' },
  // Bodies.
  { id: 'the digest of another body', draft: { headers: { 'content-digest': 'sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:' }, components: [AUTHORITY, MEMBER, component('content-digest')] }, judge: () => ({ body: BODY }), expected: 'invalid digest-mismatch' },
  { id: 'a digest that is none', draft: { headers: { 'content-digest': 'sha-256=abc' }, components: [AUTHORITY, MEMBER, component('content-digest')] }, judge: () => ({ body: BODY }), expected: 'invalid digest-mismatch' },
  { id: 'a digest by MD5', draft: { headers: { 'content-digest': 'md5=:Rzk46FUdTKISyuH9Rp9LrQ==:' }, components: [AUTHORITY, MEMBER, component('content-digest')] }, judge: () => ({ body: BODY }), expected: 'unverified digest-unsupported' },
  { id: 'a body that can not be held', draft: { headers: { 'content-digest': 'sha-256=:AAAA:' }, components: [AUTHORITY, MEMBER, component('content-digest')] }, judge: () => ({ body: null }), expected: 'unverified body-unread' },
  // Replay.
  { id: 'the nonce was used', judge: () => ({ fresh: false }), expected: 'invalid replayed' },
  { id: 'the guard is down', judge: () => ({ fresh: null }), expected: 'verified' },
  { id: 'the guard is down, and must be asked', judge: () => ({ fresh: null, options: { nonce: 'required' } }), expected: 'unverified replay-unchecked' },
];

/** Every case with what is wrong with it, '' when nothing is. */
export async function runNegative(): Promise<[id: string, detail: string][]> {
  const signer = await newSigner();
  const other = await newSigner();
  const results: [string, string][] = [];
  const judge = async (one: Case): Promise<AgentResult | null> => {
    const signed = await signedHeaders(signer, one.draft);
    const headers = one.change === undefined ? signed : await one.change(signed, signer, other);
    return judgeRequest({
      directories: { [AGENT_URL]: [signer.directoryKey] },
      ...one.judge?.(signer, other),
      headers,
    });
  };
  for (const one of [...CASES, await digestCase()]) {
    const found = told(await judge(one));
    results.push([one.id, found === one.expected ? '' : `${found}, and not ${one.expected}`]);
  }
  return results;
}

async function digestCase(): Promise<Case> {
  const headers = { 'content-digest': await contentDigest(BODY) };
  const components = [AUTHORITY, MEMBER, component('content-digest')];
  return { id: 'the digest of its body', draft: { url: TARGET, headers, components }, judge: () => ({ body: BODY }), expected: 'verified' }; // prettier-ignore
}

function told(result: AgentResult | null): string {
  if (result === null) return 'none';
  return result.outcome === 'verified' ? 'verified' : `${result.outcome} ${result.reason}`;
}
