import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AGENT_TABLE } from '../compiler/agents/table.ts';
import { KNOWN_AGENTS, knownAgent } from '../agents/known-agents.ts';
import { MAX_DIGEST_BODY } from '../agents/limits.ts';
import { component } from '../agents/message-signature.ts';
import { contentDigest } from '../agents/content-digest.ts';
import type { AgentOptions, AgentPlatform } from '../platform/platform.ts';
import { type Draft, newSigner, signedHeaders } from '../../test/support/signed-request.ts';
import { action, backend, plan, run } from './testing.ts';

const signer = await newSigner();
const PLAN = plan({ '/': action() }, [backend('web', ['http://10.0.0.1:81'])]);
const AUTHORITY = component('@authority');
const MEMBER = component('signature-agent', { key: 'sig1' });
const URL = 'https://shop.example/';

/** Surroundings in which the signer's keys are published, and a guard that remembers. */
function surroundings(options: AgentOptions = { https: true }, guarded = true) {
  const fetched: string[] = [];
  const seen = new Set<string>();
  const agents: AgentPlatform = {
    options,
    fetch(url) {
      fetched.push(url);
      return Promise.resolve(Response.json({ keys: [signer.publicJwk] }));
    },
    guard: !guarded
      ? null
      : {
          idFromName: (name) => name,
          get: () => ({
            fetch(url) {
              const used = seen.has(url);
              seen.add(url);
              return Promise.resolve(new Response(null, { status: used ? 409 : 201 }));
            },
          }),
        },
  };
  return { agents, fetched };
}

async function headersFor(draft: Draft = {}): Promise<Record<string, string>> {
  const now = Math.floor(Date.now() / 1000);
  return signedHeaders(signer, { url: URL, ...draft, parameters: { created: now, expires: now + 60, ...draft.parameters } }); // prettier-ignore
}

const lineOf = (lines: readonly string[]) => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>;

describe('identity', () => {
  test('an unsigned request asks nobody, and its line says nothing', async () => {
    const { agents, fetched } = surroundings();
    const { exchange, lines } = await run(PLAN, '/', {}, {}, { agents });
    assert.equal(exchange.identity, null);
    assert.equal(exchange.head.proof, undefined);
    assert.deepEqual(fetched, []);
    assert.equal('identity' in lineOf(lines), false);
  });

  test('a signed one is verified before the engine sees it, and goes on as it came', async () => {
    const { agents } = surroundings();
    const headers = await headersFor();
    const { exchange, lines, sent } = await run(PLAN, '/', { headers }, {}, { agents });
    assert.deepEqual(exchange.head.proof, {
      ...{ identity: 'verified', name: 'https://agent.example/keys.json', operator: 'https://agent.example/keys.json' },
      ...{ category: '', domain: '' },
    });
    assert.deepEqual(lineOf(lines)['identity'], {
      ...{ is: 'verified', url: 'https://agent.example/keys.json', keyid: signer.keyid, replay: 'fresh' },
    });
    for (const [name, value] of Object.entries(headers)) assert.equal(sent[0]?.headers.get(name), value, name);
  });

  test('the second time it is a replay', async () => {
    const { agents } = surroundings();
    const headers = await headersFor();
    const twice = async () => (await run(PLAN, '/', { headers }, {}, { agents })).exchange;
    assert.equal((await twice()).head.proof?.identity, 'verified');
    const second = await twice();
    assert.equal(second.head.proof?.identity, 'spoofed');
    assert.equal(second.identity?.outcome === 'invalid' && second.identity.reason, 'replayed');
  });

  test('without objects nobody says that it is fresh', async () => {
    const { agents } = surroundings({ https: true }, false);
    const { lines } = await run(PLAN, '/', { headers: await headersFor() }, {}, { agents });
    assert.equal((lineOf(lines)['identity'] as { replay: string }).replay, 'unchecked');
  });

  test('what is wrong is spoofed, what can not be told is a claim; the client learns neither', async () => {
    const { agents } = surroundings();
    const forged = { ...(await headersFor()), signature: 'sig1=:AAAA:' };
    const { exchange, lines, response } = await run(PLAN, '/', { headers: forged }, {}, { agents });
    assert.deepEqual(exchange.head.proof?.identity, 'spoofed');
    assert.deepEqual(lineOf(lines)['identity'], { is: 'spoofed', reason: 'signature-wrong', url: 'https://agent.example/keys.json' }); // prettier-ignore
    assert.equal(response.status, 200);
    assert.doesNotMatch(JSON.stringify([...response.headers]), /signature-wrong|spoofed/);
    const claim = await run(PLAN, '/', { headers: { 'signature-agent': '"https://agent.example"' } }, {}, { agents });
    assert.deepEqual(lineOf(claim.lines)['identity'], { is: 'claimed', reason: 'signature-absent' });
  });

  test('over plain HTTP nothing is verified, unless TLS ends in front', async () => {
    const is = async (options: AgentOptions, url = URL) => {
      const { agents } = surroundings(options);
      const headers = await headersFor({ url });
      return (await run(PLAN, '/', { headers }, {}, { agents })).exchange.head.proof?.identity;
    };
    assert.equal(await is({}), 'claimed');
    assert.equal(await is({ insecure: true }, 'http://shop.example/'), 'verified');
    assert.equal(await is({ https: true }), 'verified');
  });

  test('a body whose digest is signed is read once, and sent on', async () => {
    const { agents } = surroundings();
    const body = '{"a":1}';
    const digest = await contentDigest(new TextEncoder().encode(body));
    const draft: Draft = { method: 'POST', headers: { 'content-digest': digest }, components: [AUTHORITY, MEMBER, component('content-digest')] }; // prettier-ignore
    const post = async (content: string, length = String(content.length)) => {
      const headers = { ...(await headersFor(draft)), 'content-length': length };
      return run(PLAN, '/', { method: 'POST', body: content, headers }, {}, { agents });
    };
    const good = await post(body);
    assert.equal(good.exchange.head.proof?.identity, 'verified');
    assert.equal(good.sent[0]?.body, body);
    const altered = await post('{"a":2}');
    assert.equal(
      altered.exchange.identity?.outcome === 'invalid' && altered.exchange.identity.reason,
      'digest-mismatch',
    );
    assert.equal(altered.sent[0]?.body, '{"a":2}');
    for (const length of ['', String(MAX_DIGEST_BODY + 1)]) {
      const unread = await post(body, length);
      const { identity } = unread.exchange;
      assert.equal(identity?.outcome === 'unverified' && identity.reason, 'body-unread', length);
      assert.equal(unread.sent[0]?.body, body);
    }
  });

  test('an address is no agent: nothing is fetched for it', async () => {
    const { agents, fetched } = surroundings();
    for (const host of ['localhost', '169.254.169.254', '10.0.0.1:8443', '[::1]']) {
      const headers = await headersFor({ agent: `sig1="https://${host}/keys"` });
      const { exchange } = await run(PLAN, '/', { headers }, {}, { agents });
      assert.equal(exchange.head.proof?.identity, 'spoofed', host);
    }
    assert.deepEqual(fetched, []);
  });
});

describe('known agents', () => {
  test('are those of the table of user agents, by their directories', () => {
    for (const [host, known] of Object.entries(KNOWN_AGENTS)) {
      const row = AGENT_TABLE.find(([name]) => name === known.name);
      assert.deepEqual([row?.[2], row?.[3]], [known.operator, known.category], host);
      assert.ok(row?.[5].includes(host), `${host} is not how ${known.name} is verified`);
    }
  });

  test('a host stands for itself with the keys of its well-known place, and with no others', () => {
    const of = (host: string, wellKnown: boolean) => knownAgent({ agent: `https://${host}/x`, host, wellKnown });
    assert.equal(of('chatgpt.com', true).operator, 'OpenAI');
    assert.equal(of('chatgpt.com', false).operator, 'https://chatgpt.com/x');
    assert.equal(of('a1.keydirectory.signer.eu-west-1.on.aws', true).operator, 'Amazon');
    assert.equal(of('evil.on.aws', true).operator, 'evil.on.aws');
    assert.equal(of('constructor', true).operator, 'constructor');
  });
});
