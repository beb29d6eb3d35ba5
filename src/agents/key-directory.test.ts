import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newSigner, type Signer } from '../../test/support/signed-request.ts';
import { DIRECTORY_TYPE, type DirectoryFault, KeyDirectories, type KeyDirectoriesOptions } from './key-directory.ts';
import {
  DIRECTORY_TIMEOUT_MS,
  MAX_DIRECTORIES,
  MAX_DIRECTORY_BYTES,
  MAX_DIRECTORY_KEYS,
  MAX_DIRECTORY_SECONDS,
  MAX_FETCHES,
  MAX_HOST_FETCHES,
  MAX_RETRY_SECONDS,
  MIN_DIRECTORY_SECONDS,
  MIN_RETRY_SECONDS,
  REFETCH_SECONDS,
} from './limits.ts';
import { type AgentUrl, agentUrl } from './signature-agent.ts';

const place = (value: string): AgentUrl => {
  const url = agentUrl(value, 'keys');
  assert.equal(typeof url, 'object', String(url));
  return url as AgentUrl;
};
const KEYS = place('https://agent.example/keys.json');
const WELL_KNOWN = place('https://agent.example');
const MEMBER = { resource: 'keys' } as const;

const json = (value: unknown, headers: Record<string, string> = {}, status = 200) =>
  new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } });

/** A directory behind a network that a test owns, with a clock that it turns. */
function world(answer: (url: string) => Response | Promise<Response>, options: Partial<KeyDirectoriesOptions> = {}) {
  const state = { now: 1_000_000_000_000, fetched: [] as string[], answer };
  const directories = new KeyDirectories({
    fetch(url, init) {
      assert.equal(init.redirect, 'manual');
      state.fetched.push(url);
      return Promise.resolve().then(() => state.answer(url));
    },
    now: () => state.now,
    ...options,
  });
  const ask = async (keyid: string, url = KEYS) => {
    const found = await directories.key(url, MEMBER, keyid);
    return typeof found === 'string' ? found : 'found';
  };
  const later = (seconds: number) => (state.now += seconds * 1000);
  return { state, directories, ask, later };
}

const down = () => Promise.reject(new Error('connection refused'));

describe('key directories', () => {
  test('a key is found by its thumbprint, and by kid where no thumbprint is it', async () => {
    const [a, b] = [await newSigner(), await newSigner()];
    // An operator may call its key whatever it likes; what a key is goes before what it is called.
    const { directories } = world(() =>
      json({
        keys: [
          { ...a.publicJwk, kid: b.keyid },
          { ...b.publicJwk, kid: 'b' },
        ],
      }),
    );
    const print = async (keyid: string) => {
      const found = await directories.key(KEYS, MEMBER, keyid);
      return typeof found === 'string' ? found : found.thumbprint;
    };
    assert.equal(await print(a.keyid), a.keyid);
    assert.equal(await print(b.keyid), b.keyid);
    assert.equal(await print('b'), b.keyid);
    assert.equal(await print('c'), 'key-unknown');
  });

  test('one fetch serves all who ask meanwhile, and all who ask after', async () => {
    const signer = await newSigner();
    const { ask, state } = world(() => json({ keys: [signer.publicJwk] }));
    assert.deepEqual(await Promise.all([ask(signer.keyid), ask(signer.keyid), ask('x')]), [
      'found',
      'found',
      'key-unknown',
    ]);
    assert.equal(await ask(signer.keyid), 'found');
    assert.equal(state.fetched.length, 1);
  });

  test('a key that another directory has is not found', async () => {
    const [victim, attacker] = [await newSigner(), await newSigner()];
    const { ask } = world((url) => json({ keys: [url.includes('agent') ? victim.publicJwk : attacker.publicJwk] }));
    const other = place('https://attacker.example/keys.json');
    assert.equal(await ask(attacker.keyid, other), 'found');
    assert.equal(await ask(attacker.keyid), 'key-unknown');
  });

  const faults: readonly [name: string, answer: () => Response | Promise<Response>, fault: DirectoryFault][] = [
    ['nobody answers', down, 'directory-unreachable'],
    ['another status', () => json({ keys: [] }, {}, 404), 'directory-status'],
    ['no content', () => new Response(null, { status: 204 }), 'directory-status'],
    ['a redirect', () => new Response(null, { status: 302, headers: { location: 'https://127.0.0.1/' } }), 'directory-redirect'],
    ['no JSON', () => new Response('<html>'), 'directory-malformed'],
    ['no UTF-8', () => new Response(Uint8Array.of(0x22, 0xff, 0x22)), 'directory-malformed'],
    ['no set', () => json([]), 'directory-malformed'],
    ['null', () => json(null), 'directory-malformed'],
    ['no list', () => json({ keys: {} }), 'directory-malformed'],
    ['a bare key', () => json({ kty: 'OKP', crv: 'Ed25519', x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs' }), 'directory-malformed'],
    ['nothing', () => new Response(''), 'directory-malformed'],
  ]; // prettier-ignore
  for (const [name, answer, fault] of faults)
    test(`${name}: ${fault}`, async () => {
      assert.equal(await world(answer).ask('k'), fault);
    });

  test('the well-known place wants its media type, in strict mode', async () => {
    const signer = await newSigner();
    const plain = () => json({ keys: [signer.publicJwk] });
    const right = () => json({ keys: [signer.publicJwk] }, { 'content-type': `${DIRECTORY_TYPE}; charset=utf-8` });
    assert.equal(await world(plain).ask(signer.keyid, WELL_KNOWN), 'directory-type');
    assert.equal(await world(right).ask(signer.keyid, WELL_KNOWN), 'found');
    assert.equal(await world(plain, { wire: 'compat' }).ask(signer.keyid, WELL_KNOWN), 'found');
    assert.equal(await world(() => json(signer.publicJwk), { wire: 'compat' }).ask(signer.keyid), 'found');
  });

  test('a key that is unusable hides no other', async () => {
    const signer = await newSigner();
    const keys = [
      null,
      { kty: 'oct', k: 'AAAA' },
      signer.privateJwk,
      { kty: 'OKP', crv: 'Ed25519', x: '' },
      signer.publicJwk,
    ];
    assert.equal(await world(() => json({ keys })).ask(signer.keyid), 'found');
    assert.equal(await world(() => json({ keys: [signer.privateJwk] })).ask(signer.keyid), 'key-unknown');
  });

  test('a directory that fails takes nothing away; one that lacks the key does', async () => {
    const signer = await newSigner();
    const { ask, state, later } = world(() => json({ keys: [signer.publicJwk] }, { 'cache-control': 'max-age=600' }));
    assert.equal(await ask(signer.keyid), 'found');
    state.answer = down;
    later(700);
    assert.equal(await ask(signer.keyid), 'found');
    assert.equal(state.fetched.length, 2);
    later(86_400 * 30);
    assert.equal(await ask(signer.keyid), 'found');
    state.answer = () => json({ keys: [] });
    later(MAX_RETRY_SECONDS);
    assert.equal(await ask(signer.keyid), 'key-unknown');
    state.answer = down;
    later(86_400);
    assert.equal(await ask(signer.keyid), 'directory-unreachable');
  });

  test('a new key is looked for, but not with every request', async () => {
    const [old, fresh] = [await newSigner(), await newSigner()];
    const { ask, state, later } = world(() => json({ keys: [old.publicJwk] }));
    assert.equal(await ask(old.keyid), 'found');
    state.answer = () => json({ keys: [old.publicJwk, fresh.publicJwk] });
    later(REFETCH_SECONDS - 1);
    assert.equal(await ask(fresh.keyid), 'key-unknown');
    assert.equal(state.fetched.length, 1);
    later(1);
    assert.equal(await ask(fresh.keyid), 'found');
    assert.equal(await ask(old.keyid), 'found');
    assert.equal(state.fetched.length, 2);
  });

  test('a failure is remembered for a while, longer each time', async () => {
    const { ask, state, later } = world(down);
    assert.equal(await ask('k'), 'directory-unreachable');
    later(MIN_RETRY_SECONDS - 1);
    assert.equal(await ask('k'), 'directory-unreachable');
    assert.equal(state.fetched.length, 1);
    later(1);
    await ask('k');
    assert.equal(state.fetched.length, 2);
    later(MIN_RETRY_SECONDS);
    await ask('k');
    assert.equal(state.fetched.length, 2);
    for (let i = 0; i < 10; i++) {
      later(MAX_RETRY_SECONDS);
      await ask('k');
      assert.equal(state.fetched.length, 3 + i);
    }
  });

  test('how long a directory is believed lies between two limits', async () => {
    const signer = await newSigner();
    const count = async (headers: Record<string, string>, seconds: number) => {
      const { ask, state, later } = world(() => json({ keys: [signer.publicJwk] }, headers));
      await ask(signer.keyid);
      later(seconds);
      await ask(signer.keyid);
      return state.fetched.length;
    };
    assert.equal(await count({ 'cache-control': 'no-store' }, MIN_DIRECTORY_SECONDS * 0.9 - 1), 1);
    assert.equal(await count({ 'cache-control': 'no-store' }, MIN_DIRECTORY_SECONDS), 2);
    assert.equal(await count({ 'cache-control': 'max-age=0' }, MIN_DIRECTORY_SECONDS * 0.9 - 1), 1);
    assert.equal(await count({ 'cache-control': 'public, max-age=99999999' }, MAX_DIRECTORY_SECONDS), 2);
    assert.equal(await count({ 'cache-control': 'public, max-age=99999999' }, MAX_DIRECTORY_SECONDS * 0.9 - 1), 1);
    assert.equal(await count({ 'cache-control': 'max-age=1000', age: '900' }, 101), 2);
    assert.equal(await count({ 'cache-control': 'max-age=1000', age: '500' }, 400), 1);
    const date = 'Sat, 21 Nov 2026 12:00:00 GMT';
    assert.equal(await count({ date, expires: 'Sat, 21 Nov 2026 12:10:00 GMT' }, 500), 1);
    assert.equal(await count({ date, expires: 'Sat, 21 Nov 2026 12:10:00 GMT' }, 600), 2);
  });

  test('sizes hold at their edge', async () => {
    const signer = await newSigner();
    const padded = (bytes: number) => {
      const text = JSON.stringify({ keys: [signer.publicJwk] });
      return new Response(text + ' '.repeat(bytes - text.length));
    };
    assert.equal(await world(() => padded(MAX_DIRECTORY_BYTES)).ask(signer.keyid), 'found');
    assert.equal(await world(() => padded(MAX_DIRECTORY_BYTES + 1)).ask(signer.keyid), 'directory-too-large');
    const many = (count: number) => json({ keys: [signer.publicJwk, ...Array<null>(count - 1).fill(null)] });
    assert.equal(await world(() => many(MAX_DIRECTORY_KEYS)).ask(signer.keyid), 'found');
    assert.equal(await world(() => many(MAX_DIRECTORY_KEYS + 1)).ask(signer.keyid), 'directory-too-large');
  });

  test('a slow directory is given up, before its head or in the middle of its body', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const never = () => new Promise<Response>(() => {});
    const stuck = () => new Response(new ReadableStream({ start: (controller) => controller.enqueue(Uint8Array.of(0x7b)) })); // prettier-ignore
    for (const answer of [never, stuck]) {
      const { ask, state, later } = world(answer);
      const asked = [ask('k'), ask('k')];
      // The fetch and the first chunk take turns of their own.
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      t.mock.timers.tick(DIRECTORY_TIMEOUT_MS);
      assert.deepEqual(await Promise.all(asked), ['directory-slow', 'directory-slow']);
      assert.equal(state.fetched.length, 1);
      later(1);
      assert.equal(await ask('k'), 'directory-slow');
      assert.equal(state.fetched.length, 1);
    }
  });

  test('a fetch that was lost with its request holds nobody up for long', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const signer = await newSigner();
    const { directories, ask, state, later } = world(() => new Promise<Response>(() => {}));
    void directories.key(KEYS, MEMBER, signer.keyid);
    state.answer = () => json({ keys: [signer.publicJwk] });
    later((2 * DIRECTORY_TIMEOUT_MS) / 1000 + 1);
    assert.equal(await ask(signer.keyid), 'found');
  });

  test('a body without end is given up', async () => {
    let sent = 0;
    const endless = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            sent += 8192;
            controller.enqueue(new Uint8Array(8192));
          },
        }),
      );
    assert.equal(await world(endless).ask('k'), 'directory-too-large');
    assert.ok(sent < MAX_DIRECTORY_BYTES * 2, `${sent} bytes were read`);
  });

  test('fetches at once are few, for one host and in all', async () => {
    const held: (() => void)[] = [];
    const { ask } = world(() => new Promise((resolve) => held.push(() => resolve(json({ keys: [] })))));
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const first = Array.from({ length: MAX_HOST_FETCHES }, (_, i) => ask('k', place(`https://agent.example/${i}`)));
    assert.equal(await ask('k', place('https://agent.example/more')), 'directory-busy');
    const rest = Array.from({ length: MAX_FETCHES - MAX_HOST_FETCHES }, (_, i) =>
      ask('k', place(`https://a${i}.example/k`)),
    );
    assert.equal(await ask('k', place('https://more.example/k')), 'directory-busy');
    await turn();
    for (const free of held) free();
    assert.deepEqual(new Set(await Promise.all([...first, ...rest])), new Set(['key-unknown']));
    held.length = 0;
    const again = ask('k', place('https://more.example/k'));
    await turn();
    for (const free of held) free();
    assert.equal(await again, 'key-unknown');
  });

  test('only so many directories are kept: the least recently used goes', async () => {
    const signer = await newSigner();
    const { ask, state } = world(() => json({ keys: [signer.publicJwk] }));
    await ask(signer.keyid);
    const fill = async (from: number, count: number) => {
      for (let i = from; i < from + count; i++) await ask(signer.keyid, place(`https://a${i}.example/k`));
    };
    await fill(0, MAX_DIRECTORIES - 1);
    await ask(signer.keyid); // used again
    await fill(MAX_DIRECTORIES, 1); // drops a0
    const before = state.fetched.length;
    await ask(signer.keyid);
    assert.equal(state.fetched.length, before);
    await ask(signer.keyid, place('https://a0.example/k'));
    assert.equal(state.fetched.length, before + 1);
  });

  test('cards are followed once, in compat mode, and by the same rules', async () => {
    const signer: Signer = await newSigner();
    const card = 'https://agent.example/card';
    const keys = 'https://keys.example/jwks.json';
    const ask = async (document: unknown, wire: 'strict' | 'compat' = 'compat') => {
      const { directories } = world((url) => json(url === card ? document : { keys: [signer.publicJwk] }), { wire });
      const url = agentUrl(card, 'card') as AgentUrl;
      const found = await directories.key(url, { resource: 'card' }, signer.keyid);
      return typeof found === 'string' ? found : 'found';
    };
    assert.equal(await ask({ client_id: card, jwks_uri: keys }), 'found');
    assert.equal(await ask({ client_id: card, jwks: { keys: [signer.publicJwk] } }), 'found');
    assert.equal(await ask({ client_id: card, jwks_uri: keys }, 'strict'), 'card-refused');
    assert.equal(await ask({ client_id: 'https://other.example/card', jwks_uri: keys }), 'card-refused');
    assert.equal(await ask({ client_id: card, jwks_uri: 'https://169.254.169.254/' }), 'card-refused');
    assert.equal(await ask({ client_id: card, jwks_uri: 'http://keys.example/' }), 'card-refused');
    assert.equal(await ask({ client_id: card, jwks_uri: keys, jwks: { keys: [] } }), 'card-refused');
  });
});
