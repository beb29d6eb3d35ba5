import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAgentKey, keyDirectory, readAgentKey, serveDirectory } from './agent-key.ts';
import { DIRECTORY_TYPE, KeyDirectories } from './key-directory.ts';
import { requestMessage, type ResponseMessage, headerSource } from './message.ts';
import { readSignatures, verifySignature } from './message-signature.ts';
import { importKey } from './signature-algorithm.ts';
import { agentSigner } from './signer.ts';
import { conclude, verifyWebBotAuth } from './web-bot-auth.ts';

const AGENT = 'https://agent.example';
const NOW = 1_790_000_000;
const key = await readAgentKey(await createAgentKey());
const served = () => serveDirectory(new Request(`${AGENT}/.well-known/http-message-signatures-directory`), [key], NOW);

async function verify(request: Request, at = NOW) {
  const directories = new KeyDirectories({ fetch: served, now: () => NOW * 1000 });
  const nonces = new Set<string>();
  const body = new Uint8Array(await request.clone().arrayBuffer());
  const results = await verifyWebBotAuth(requestMessage(request.method, request.url, request.headers), {
    now: at,
    key: (url, member, keyid) => directories.key(url, member, keyid),
    body: () => Promise.resolve(body),
    fresh: (agent, nonce) => Promise.resolve(!nonces.has(agent + nonce) && nonces.add(agent + nonce) !== undefined),
  });
  return conclude(results);
}

/** Requests as they are sent, answered by `answer`. */
function network(answer: (request: Request) => Response) {
  const sent: Request[] = [];
  const fetch = (request: Request) => {
    sent.push(request.clone());
    return Promise.resolve(answer(request));
  };
  return { sent, fetch };
}

describe('a signing agent', () => {
  for (const form of ['dictionary', 'string'] as const)
    test(`is verified by its directory, form ${form}`, async () => {
      const { sent, fetch } = network(() => new Response('hello'));
      const agent = agentSigner({ key, agent: AGENT, form, now: () => NOW * 1000, fetch });
      await agent.fetch('https://shop.example/things?id=7');
      await agent.fetch(new URL('https://SHOP.example:443/a/../b'), { method: 'POST', body: 'a=1' });
      await agent.fetch(new Request('https://shop.example/', { headers: { accept: 'text/html' } }));
      for (const request of sent) {
        const result = await verify(request);
        assert.equal(result?.outcome, 'verified', JSON.stringify(result));
        assert.ok(result.outcome === 'verified' && result.wellKnown && result.replay === 'fresh');
        assert.equal(result.agent, `${AGENT}/.well-known/http-message-signatures-directory`);
      }
      assert.match(sent[1]?.headers.get('signature-input') ?? '', /"content-digest"/);
      assert.equal((await verify(sent[0] as Request, NOW + 60))?.outcome, 'invalid');
      // Good for that request only.
      const elsewhere = new Request('https://shop.example/things?id=8', { headers: sent[0]?.headers ?? {} });
      assert.deepEqual(await verify(elsewhere), {
        ...{ outcome: 'invalid', reason: 'signature-wrong' },
        agent: `${AGENT}/.well-known/http-message-signatures-directory`,
      });
    });

  test('covers the host alone, or more headers, where it is told so', async () => {
    const signed = async (options: Partial<Parameters<typeof agentSigner>[0]>, headers = {}) => {
      const agent = agentSigner({ key, agent: AGENT, now: () => NOW * 1000, ...options });
      return (await agent.sign({ method: 'GET', url: 'https://shop.example/', headers }))['signature-input'] ?? '';
    };
    assert.ok((await signed({ covers: 'authority' })).startsWith('sig1=("@authority" "signature-agent";key="sig1");'));
    const input = await signed({ headers: ['accept', 'x-absent', 'accept'] }, { accept: '*/*' });
    assert.ok(
      input.startsWith('sig1=("@authority" "@method" "@target-uri" "signature-agent";key="sig1" "accept");'),
      input,
    );
    assert.ok((await signed({ lifetime: 5 })).includes(`;expires=${NOW + 5};`));
  });

  test('signs anew where a redirect leads, and takes no secret there', async () => {
    const { sent, fetch } = network(({ url }) => {
      if (url === 'https://a.example/1') return new Response(null, { status: 307, headers: { location: '/2' } });
      if (url === 'https://a.example/2')
        return new Response(null, { status: 302, headers: { location: 'https://b.example/3' } });
      return new Response('there');
    });
    const agent = agentSigner({ key, agent: AGENT, now: () => NOW * 1000, fetch });
    const headers = { authorization: 'Bearer x', 'content-type': 'text/plain', 'x-a': '1' };
    const answer = await agent.fetch('https://a.example/1', { method: 'POST', body: 'a', headers });
    assert.equal(await answer.text(), 'there');
    const shown = sent.map(({ method, url, headers: h }) => [method, url, h.has('authorization'), h.has('content-digest'), h.get('x-a')]); // prettier-ignore
    assert.deepEqual(shown, [
      ['POST', 'https://a.example/1', true, true, '1'],
      ['POST', 'https://a.example/2', true, true, '1'],
      ['GET', 'https://b.example/3', false, false, '1'],
    ]);
    for (const request of sent) assert.equal((await verify(request))?.outcome, 'verified');
  });

  test('redirects end, are errors, or are left alone, as with fetch', async () => {
    const { sent, fetch } = network(() => new Response(null, { status: 302, headers: { location: '/' } }));
    const agent = agentSigner({ key, agent: AGENT, fetch });
    await assert.rejects(agent.fetch('https://a.example/'), /more than 20 redirects/);
    assert.equal(sent.length, 21);
    await assert.rejects(agent.fetch('https://a.example/', { redirect: 'error' }), /the answer is a redirect/);
    assert.equal((await agent.fetch('https://a.example/', { redirect: 'manual' })).status, 302);
  });

  test('refuses what no verifier would take', async () => {
    for (const agent of ['http://agent.example', 'https://localhost', 'https://10.0.0.1/keys', 'agent.example'])
      assert.throws(() => agentSigner({ key, agent }), /can not be the agent/, agent);
    assert.throws(() => agentSigner({ key, agent: `${AGENT}/keys.json`, form: 'string' }), /no origin/);
    assert.throws(() => agentSigner({ key, agent: AGENT, lifetime: 0 }), /whole number/);
    await assert.rejects(readAgentKey({ kty: 'OKP', crv: 'Ed25519', x: key.publicJwk.x ?? '' }), /no private half/);
    await assert.rejects(readAgentKey({ ...key.publicJwk, d: 'AAAA' }), /private half of the key is not well formed/);
    await assert.rejects(readAgentKey({ kty: 'oct', d: 'AAAA' }), /can not be used: unsupported-algorithm/);
  });
});

describe('a directory of one’s own', () => {
  test('has the public halves, named by their thumbprints, and nothing else', () => {
    const { keys } = keyDirectory([key]);
    assert.deepEqual(keys, [{ kty: 'OKP', crv: 'Ed25519', x: key.publicJwk.x, kid: key.keyid, use: 'sig' }]);
  });

  test('proves that its keys are held, for the host that was asked', async () => {
    const other = await readAgentKey(await createAgentKey());
    const request = new Request(`${AGENT}/.well-known/http-message-signatures-directory`);
    const response = await serveDirectory(request, [key, other], NOW);
    assert.equal(response.headers.get('content-type'), DIRECTORY_TYPE);
    const judge = async (url: string) => {
      const asked = requestMessage('GET', url, new Headers());
      const message: ResponseMessage = {
        kind: 'response',
        status: 200,
        request: asked,
        ...headerSource(response.headers),
      };
      const signatures = readSignatures(message);
      assert.deepEqual(signatures.map(({ tag }) => tag), ['http-message-signatures-directory', 'http-message-signatures-directory']); // prettier-ignore
      const results = [];
      for (const [at, signature] of signatures.entries()) {
        const verifier = await importKey([key, other][at]?.publicJwk ?? key.publicJwk, 'ed25519');
        results.push(await verifySignature(message, signature, verifier));
      }
      return results;
    };
    assert.deepEqual(await judge(request.url), [true, true]);
    assert.deepEqual(await judge('https://thief.example/'), [false, false]);
    const head = await serveDirectory(new Request(request.url, { method: 'HEAD' }), [key], NOW);
    assert.equal(await head.text(), '');
    assert.equal((await serveDirectory(new Request(request.url, { method: 'POST' }), [key], NOW)).status, 405);
  });
});
