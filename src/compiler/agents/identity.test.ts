/** Who sent a request, where several things speak: a signature goes before the address, and that before its name. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { PROOF_CLAIMED, PROOF_SPOOFED, PROOF_VERIFIED } from '../../../assembly/abi.ts';
import { IDENTITY_BY_ADDRESS, IDENTITY_BY_NAME, IDENTITY_BY_SIGNATURE } from '../../../assembly/agents/abi.ts';
import { requestHead, testEngine } from '../../../test/support/engine.ts';
import { rulePolicy } from '../../../test/support/rules.ts';
import type { Engine, Generation, Loaded } from '../../waf/engine.ts';
import type { Proof } from '../../waf/proof.ts';
import { compileHosts } from '../hosts.ts';
import { LIST_DAYS, withAddresses } from './addresses.ts';
import { compileAgents } from './agents.ts';

const FETCHED = 1_790_000_000;
const LISTS = [{ id: 'openai-gptbot', prefixes: ['20.42.10.0/24'], fetched: FETCHED }];
const [INSIDE, OUTSIDE] = ['20.42.10.7:443', '20.42.11.7:443'];
const GPTBOT = 'Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)';
const BINGBOT = 'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';
const NOBODY = { name: '', operator: '', category: '', domain: '' };
const ACME: Proof = {
  identity: 'verified',
  name: 'AcmeBot',
  operator: 'Acme',
  category: 'search',
  domain: 'acme.example',
};

let engine: Engine;
let listed: Generation;
let bare: Generation;
let without: Generation;

before(async () => {
  engine = await testEngine();
  const { image } = rulePolicy([
    { when: 'agent.verified' },
    { when: 'agent.identity eq "spoofed"' },
    { when: 'agent.operator eq "OpenAI"' },
    { when: 'agent.domain eq "acme.example"' },
    { when: 'http.request.body.size ge 0 and agent.verified' },
    { when: 'http.response.code eq 200 and agent.verified' },
  ]);
  const loaded = (bytes: Uint8Array): Loaded => ({ hash: `${bytes.length}-${Math.random()}`, bytes });
  const [hosts, apps, table] = [
    loaded(compileHosts([{ name: 'test', hostnames: ['*'] }])),
    [loaded(image)],
    compileAgents(),
  ];
  listed = engine.load({ id: 'listed', hosts, agents: loaded(withAddresses(table, LISTS)), apps });
  bare = engine.load({ id: 'bare', hosts, agents: loaded(table), apps });
  without = engine.load({ id: 'without', hosts, agents: null, apps });
});

/** What it is and by what, and the rules that matched in all stages. */
function judge(userAgent: string, peer: string, proof?: Proof, generation = listed, now = FETCHED): [number, number[]] {
  const given = requestHead('http://shop.example/', { headers: [['user-agent', userAgent]], peer });
  const head = proof === undefined ? given : { ...given, proof };
  const first = engine.head(generation, head, 1, now);
  const stages = [
    first,
    engine.body(generation, 0, head, new Uint8Array(1), 1, false, 1, now),
    engine.response(generation, 0, head, { text: '200\0', fields: 1 }, 1, now),
  ];
  return [first.identity, stages.flatMap(({ effects }) => effects.map(({ index }) => index))];
}

test('by its address, in every stage', () => {
  assert.deepEqual(judge(GPTBOT, INSIDE), [PROOF_VERIFIED | IDENTITY_BY_ADDRESS, [0, 2, 4, 5]]);
  assert.deepEqual(judge(GPTBOT, OUTSIDE), [PROOF_SPOOFED | IDENTITY_BY_ADDRESS, [1, 2]]);
  assert.deepEqual(judge(GPTBOT, '[2600::1]:443'), [PROOF_SPOOFED | IDENTITY_BY_ADDRESS, [1, 2]]);
  assert.deepEqual(judge(GPTBOT, ''), [PROOF_CLAIMED, [2]]); // nobody knows where from
  assert.deepEqual(judge(BINGBOT, OUTSIDE), [PROOF_CLAIMED, []]);
  assert.deepEqual(judge(FIREFOX, INSIDE), [0, []]);
});

test('without lists, or without a table, nothing is proven', () => {
  assert.deepEqual(judge(GPTBOT, INSIDE, undefined, bare), [PROOF_CLAIMED, [2]]);
  assert.deepEqual(judge(GPTBOT, INSIDE, undefined, without), [0, []]);
});

test('a list that is old still proves, and denies no more', () => {
  const old = FETCHED + LIST_DAYS * 86_400;
  assert.deepEqual(judge(GPTBOT, INSIDE, undefined, listed, old), [PROOF_VERIFIED | IDENTITY_BY_ADDRESS, [0, 2, 4, 5]]);
  assert.deepEqual(judge(GPTBOT, OUTSIDE, undefined, listed, old - 1), [PROOF_SPOOFED | IDENTITY_BY_ADDRESS, [1, 2]]);
  assert.deepEqual(judge(GPTBOT, OUTSIDE, undefined, listed, old), [PROOF_CLAIMED, [2]]);
});

test('a signature goes before the address', () => {
  const signed = PROOF_VERIFIED | IDENTITY_BY_SIGNATURE;
  assert.deepEqual(judge(GPTBOT, OUTSIDE, ACME), [signed, [0, 3, 4, 5]]);
  assert.deepEqual(judge(GPTBOT, OUTSIDE, { ...ACME, operator: 'OpenAI' }), [signed, [0, 2, 3, 4, 5]]);
  assert.deepEqual(judge(GPTBOT, INSIDE, { ...NOBODY, identity: 'spoofed' }), [
    PROOF_SPOOFED | IDENTITY_BY_SIGNATURE,
    [1, 2],
  ]);
  // One that could not be checked says nothing against the address.
  const unchecked: Proof = { ...NOBODY, identity: 'claimed' };
  assert.deepEqual(judge(GPTBOT, INSIDE, unchecked), [PROOF_VERIFIED | IDENTITY_BY_ADDRESS, [0, 2, 4, 5]]);
  assert.deepEqual(judge(GPTBOT, OUTSIDE, unchecked), [PROOF_SPOOFED | IDENTITY_BY_ADDRESS, [1, 2]]);
  assert.deepEqual(judge(FIREFOX, OUTSIDE, unchecked), [PROOF_CLAIMED, []]);
});

test('the name of an address counts where its lists say nothing, and for a user agent that is known', () => {
  const [confirmed, refuted] = (['confirmed', 'refuted'] as const).map((identity): Proof => ({ ...NOBODY, identity }));
  assert.deepEqual(judge(BINGBOT, OUTSIDE, confirmed), [PROOF_VERIFIED | IDENTITY_BY_NAME, [0, 4, 5]]);
  assert.deepEqual(judge(BINGBOT, OUTSIDE, refuted), [PROOF_SPOOFED | IDENTITY_BY_NAME, [1]]);
  assert.deepEqual(judge(GPTBOT, OUTSIDE, confirmed), [PROOF_SPOOFED | IDENTITY_BY_ADDRESS, [1, 2]]);
  assert.deepEqual(judge(GPTBOT, INSIDE, refuted), [PROOF_VERIFIED | IDENTITY_BY_ADDRESS, [0, 2, 4, 5]]);
  assert.deepEqual(judge(FIREFOX, OUTSIDE, confirmed), [0, []]);
});

test('nothing of one call is left for the next', () => {
  judge(GPTBOT, INSIDE, ACME);
  assert.deepEqual(judge(FIREFOX, OUTSIDE), [0, []]);
  judge(BINGBOT, OUTSIDE, { ...NOBODY, identity: 'confirmed' });
  assert.deepEqual(judge(BINGBOT, OUTSIDE), [PROOF_CLAIMED, []]);
});
