import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { memoryImages } from '../platform/images.ts';
import { Generations } from '../router/generation.ts';
import { fakeEngine } from '../router/testing.ts';
import type { ControlContext } from './call.ts';
import { MAX_NONCES, Operator } from './operator.ts';
import { contentDigest, sign, SIGNATURE_SECONDS, thumbprint } from './signature.ts';

const HOST = 'control.example.com';
const NOW = 1_800_000_000; // seconds
const encoder = new TextEncoder();

interface Pair {
  readonly key: CryptoKey;
  readonly x: string;
  readonly keyid: string;
}

async function pair(): Promise<Pair> {
  const { privateKey } = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const { x = '' } = await crypto.subtle.exportKey('jwk', privateKey);
  return { key: privateKey, x, keyid: await thumbprint(x) };
}

let mine: Pair;
let other: Pair;
before(async () => ([mine, other] = await Promise.all([pair(), pair()])));

function context(): ControlContext {
  const dial = (): never => assert.fail('the control API dials nobody');
  const images = memoryImages(null);
  const platform = { name: 'cloudflare' as const, images, peer: () => '', dial, agents: null, secret: () => undefined };
  return { generations: new Generations(fakeEngine()), platform, env: { PLATFORM: 'cloudflare' } };
}

interface Sent {
  method?: string;
  url?: string;
  body?: string;
  /** Host header, where it is not that of the URL. */
  host?: string;
  headers?: Record<string, string>;
}

/** The constructor would drop a Host header. */
function requestOf({ method = 'GET', url = `https://${HOST}/v1/status`, body, host, headers = {} }: Sent): Request {
  const request = new Request(url, { method, ...(body !== undefined && { body }) });
  const all = new Headers({ ...headers, host: host ?? new URL(url).host });
  Object.defineProperty(request, 'headers', { value: all });
  return request;
}

async function headersFor(sent: Sent, now = NOW, by = mine): Promise<Record<string, string>> {
  const url = new URL(sent.url ?? `https://${HOST}/v1/status`);
  const digest = sent.body === undefined ? null : await contentDigest(encoder.encode(sent.body));
  return sign(by.key, by.keyid, { method: sent.method ?? 'GET', url, digest }, now);
}

async function answer(operator: Operator, sent: Sent, now = NOW): Promise<{ response: Response; logged: string[] }> {
  const { log } = console;
  const logged: string[] = [];
  console.log = (line: string) => void logged.push(line);
  try {
    return { response: await operator.answer(requestOf(sent), context(), now * 1000), logged };
  } finally {
    console.log = log;
  }
}

const signedBy = async (sent: Sent, now = NOW): Promise<Sent> => ({ ...sent, headers: await headersFor(sent, now) });

/** Refused with 401, told the class alone, and logged. */
async function refused(operator: Operator, sent: Sent, reason: string, now = NOW): Promise<void> {
  const { response, logged } = await answer(operator, sent, now);
  const problem = (await response.json()) as Record<string, unknown>;
  assert.equal(response.status, 401, JSON.stringify(problem));
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  assert.match(response.headers.get('www-authenticate') ?? '', /^Signature /);
  assert.deepEqual(Object.keys(problem).sort(), ['detail', 'requestId', 'status', 'title', 'type']);
  assert.deepEqual(
    logged.map((line) => (JSON.parse(line) as { reason: string }).reason),
    [reason],
  );
}

describe('a signed request', () => {
  test('is answered, whatever method, path and query', async () => {
    const operator = new Operator(HOST, mine.x);
    for (const sent of [
      {},
      { url: `https://${HOST}/metrics` },
      { url: `https://${HOST}/v1/status?a=1&b=%20` },
      { url: `https://${HOST}:8443/v1/openapi.json` },
      { method: 'HEAD' },
    ])
      assert.equal((await answer(operator, await signedBy(sent))).response.status, 200, JSON.stringify(sent));
  });

  test('without signature only /healthz is answered', async () => {
    const operator = new Operator(HOST, mine.x);
    const { response } = await answer(operator, { url: `https://${HOST}/healthz` });
    assert.equal(await response.text(), 'ok\n');
    assert.equal((await answer(operator, { url: `https://${HOST}/healthz`, method: 'HEAD' })).response.status, 200);
    const paths = [
      '/',
      '/readyz',
      '/metrics',
      '/v1/status',
      '/v1/openapi.json',
      '/healthz/',
      '//healthz',
      '/%68ealthz',
    ];
    for (const path of paths) await refused(operator, { url: `https://${HOST}${path}` }, 'unsigned');
    await refused(operator, { url: `https://${HOST}/healthz`, method: 'POST', body: 'x' }, 'unsigned');
    await refused(operator, { url: `https://${HOST}/v1/swap`, method: 'POST', body: '{}' }, 'unsigned');
  });

  test('a swap is refused and logged: images are modules of the bundle', async () => {
    const sent = { method: 'POST', url: `https://${HOST}/v1/swap`, body: '{}' };
    const { response, logged } = await answer(new Operator(HOST, mine.x), await signedBy(sent));
    assert.equal(response.status, 501);
    assert.match(((await response.json()) as { detail: string }).detail, /bundle/);
    assert.equal((JSON.parse(logged[0] ?? '') as { control: string }).control, 'swap refused');
  });

  test('a body over the limit is 413, a method that is not served 405', async () => {
    const operator = new Operator(HOST, mine.x);
    const large = { method: 'POST', url: `https://${HOST}/v1/swap`, body: ' '.repeat(2 * 1024 * 1024 + 1) };
    assert.equal((await answer(operator, await signedBy(large))).response.status, 413);
    assert.equal((await answer(operator, await signedBy({ method: 'PUT' }))).response.status, 405);
  });
});

describe('a signature is refused', () => {
  test('when anything that it covers was changed', async () => {
    const operator = new Operator(HOST, mine.x);
    const sent = { method: 'POST', url: `https://${HOST}/v1/swap?a=1`, body: '{"a":1}' };
    const changes: Sent[] = [
      { method: 'PUT' },
      { url: `https://${HOST}/v1/swap?a=2` },
      { url: `https://${HOST}/v1/swap` },
      { url: `https://${HOST}/v1/other?a=1` },
      { url: `https://${HOST}:8443/v1/swap?a=1` },
      { url: `https://${HOST}./v1/swap?a=1` },
    ];
    for (const change of changes) {
      const headers = await headersFor(sent);
      await refused(operator, { ...sent, ...change, headers }, 'foreign');
    }
    const headers = await headersFor(sent);
    await refused(operator, { ...sent, body: '{"a":2}', headers }, 'altered');
    await refused(
      operator,
      { ...sent, headers: { ...(await headersFor(sent)), 'content-digest': await contentDigest(encoder.encode('')) } },
      'foreign',
    );
  });

  test('when a body came that it does not cover', async () => {
    const headers = await headersFor({ method: 'POST' });
    await refused(new Operator(HOST, mine.x), { method: 'POST', body: '{}', headers }, 'altered');
  });

  test('when another key made it, under whatever name', async () => {
    const operator = new Operator(HOST, mine.x);
    await refused(operator, { headers: await headersFor({}, NOW, other) }, 'foreign');
    await refused(operator, { headers: await headersFor({}, NOW, { ...other, keyid: mine.keyid }) }, 'foreign');
    await refused(operator, { headers: await headersFor({}, NOW, { ...mine, keyid: other.keyid }) }, 'foreign');
    assert.equal((await answer(operator, await signedBy({}))).response.status, 200);
  });

  test('outside of its time, at the second', async () => {
    const at = (created: number) => signedBy({}, created);
    for (const [created, fine] of [
      [NOW - SIGNATURE_SECONDS, false], // `expires` is now
      [NOW - SIGNATURE_SECONDS + 1, true],
      [NOW + SIGNATURE_SECONDS, true],
      [NOW + SIGNATURE_SECONDS + 1, false],
      [0, false],
    ] as const) {
      if (!fine) await refused(new Operator(HOST, mine.x), await at(created), 'untimely');
      else assert.equal((await answer(new Operator(HOST, mine.x), await at(created))).response.status, 200);
    }
  });

  test('a second time, for as long as it would be believed', async () => {
    const operator = new Operator(HOST, mine.x);
    const sent = await signedBy({}, NOW + SIGNATURE_SECONDS);
    assert.equal((await answer(operator, sent)).response.status, 200);
    for (const later of [0, SIGNATURE_SECONDS, 2 * SIGNATURE_SECONDS - 1])
      await refused(operator, sent, 'replayed', NOW + later);
    await refused(operator, sent, 'untimely', NOW + 2 * SIGNATURE_SECONDS);
  });

  test('of two equal requests at once one is answered', async () => {
    const operator = new Operator(HOST, mine.x);
    const sent = await signedBy({});
    const { log } = console;
    console.log = () => {};
    const both = [sent, sent].map((one) => operator.answer(requestOf(one), context(), NOW * 1000));
    const statuses = (await Promise.all(both)).map(({ status }) => status);
    console.log = log;
    assert.deepEqual(statuses.sort(), [200, 401]);
  });

  test('when its form is not exactly ours', async () => {
    const operator = new Operator(HOST, mine.x);
    const good = await headersFor({});
    const input = good['signature-input'] ?? '';
    const value = good['signature'] ?? '';
    const forms: Record<string, [string, string]> = {
      'another order of components': [input.replace('"@method" "@authority"', '"@authority" "@method"'), value],
      'a component less': [input.replace(' "@query"', ''), value],
      'no component': [input.replace(/\(.*\)/, '()'), value],
      'a component more': [input.replace('"@query"', '"@query" "host"'), value],
      'a component with a parameter': [input.replace('"@query"', '"@query";req'), value],
      'a body that is not there': [input.replace('"@query"', '"@query" "content-digest"'), value],
      'no created': [input.replace(/;created=\d+/, ''), value],
      'no expires': [input.replace(/;expires=\d+/, ''), value],
      'no nonce': [input.replace(/;nonce="[^"]*"/, ''), value],
      'no keyid': [input.replace(/;keyid="[^"]*"/, ''), value],
      'no alg': [input.replace(/;alg="[^"]*"/, ''), value],
      'no tag': [input.replace(/;tag="[^"]*"/, ''), value],
      'another alg': [input.replace('"ed25519"', '"hmac-sha256"'), value],
      'another tag': [input.replace('"sallyport-control"', '"web-bot-auth"'), value],
      'created as text': [input.replace(/created=(\d+)/, 'created="$1"'), value],
      'created twice': [input.replace(/;created=\d+/, '$&$&'), value],
      'a parameter twice in the place of another': [input.replace(/;tag="[^"]*"/, ';alg="ed25519"'), value],
      'a parameter more': [`${input};x=1`, value],
      'a life of 61 s': [input.replace(/expires=\d+/, `expires=${NOW + 61}`), value],
      'no life': [input.replace(/expires=\d+/, `expires=${NOW}`), value],
      'a short nonce': [input.replace(/nonce="[^"]*"/, 'nonce="abc"'), value],
      'two signatures': [`${input}, other=("@method")`, `${value}, other=:AAAA:`],
      'another label': [input, value.replace('sallyport=', 'other=')],
      'a short signature': [input, value.replace(/.{8}==:$/, '==:')],
      'no base64': [input, value.replace(/=:./, '=:!')],
      'empty fields': ['', ''],
      spaces: [input.replace(';created', ' ;created'), value],
      'a long field': [`${input};${'x'.repeat(2000)}=1`, value],
    };
    for (const [name, [signatureInput, signature]] of Object.entries(forms)) {
      assert.ok(signatureInput !== input || signature !== value, `${name} changes something`);
      await refused(operator, { headers: { 'signature-input': signatureInput, signature } }, 'malformed');
    }
    await refused(operator, { headers: { signature: value } }, 'unsigned');
    await refused(operator, { headers: { 'signature-input': input } }, 'unsigned');
    // None of these used it up, and its parameters may stand in another order only if that is what was signed.
    const moved = input.replace(/(;created=\d+)(;expires=\d+)/, '$2$1');
    await refused(operator, { headers: { 'signature-input': moved, signature: value } }, 'foreign');
    assert.equal((await answer(operator, { headers: good })).response.status, 200);
  });
});

test('any label and order of parameters is taken, as RFC 9421 allows', async () => {
  const parameters = `("@method" "@authority" "@path" "@query");tag="sallyport-control";alg="ed25519";keyid="${mine.keyid}";nonce="abcdefghijklmnopqrstuv";expires=${NOW + 5};created=${NOW}`;
  const base = `"@method": GET\n"@authority": ${HOST}\n"@path": /v1/status\n"@query": ?\n"@signature-params": ${parameters}`;
  const bytes = await crypto.subtle.sign('Ed25519', mine.key, encoder.encode(base));
  const headers = {
    'signature-input': `sig1=${parameters}`,
    signature: `sig1=:${Buffer.from(bytes).toString('base64')}:`,
  };
  assert.equal((await answer(new Operator(HOST, mine.x), { headers })).response.status, 200);
});

test('nonces are bounded, and room is made by time alone', { timeout: 60_000 }, async () => {
  const operator = new Operator(HOST, mine.x);
  const parts = context();
  const call = async (now: number): Promise<number> =>
    (await operator.answer(requestOf(await signedBy({ url: `https://${HOST}/nowhere` }, now)), parts, now * 1000))
      .status;
  for (let i = 0; i < MAX_NONCES; i++) assert.equal(await call(NOW), 404);
  assert.equal(await call(NOW), 503);
  assert.equal(await call(NOW + SIGNATURE_SECONDS - 1), 503);
  assert.equal(await call(NOW + SIGNATURE_SECONDS), 404);
});

test('the control host in every spelling, and no other', () => {
  const operator = new Operator('Control.Example.com.', mine.x);
  const host = (text: string) => operator.covers(requestOf({ url: 'https://elsewhere.example/', host: text }));
  for (const text of [HOST, 'CONTROL.example.COM', `${HOST}.`, `${HOST}:443`, `${HOST}:8443`, `${HOST}.:443`])
    assert.equal(host(text), true, text);
  for (const text of [
    'example.com',
    `x.${HOST}`,
    `${HOST}.evil.org`,
    `${HOST}, shop.example.com`,
    `${HOST}..`,
    '',
    '*',
  ])
    assert.equal(host(text), false, text);
});

test('Host and target have to agree', async () => {
  const sent = { url: 'https://control.other.example/v1/status', host: HOST };
  const { response } = await answer(new Operator(HOST, mine.x), await signedBy(sent));
  assert.equal(response.status, 400);
});

test('without a usable key nothing but /healthz is answered, and nothing is said of why', async () => {
  for (const x of ['', 'not a key', 'A'.repeat(44)]) {
    const operator = new Operator(HOST, x);
    const { response } = await answer(operator, await signedBy({}));
    assert.equal(response.status, 500);
    assert.equal(((await response.json()) as { detail: string }).detail, 'the control API failed');
  }
});
