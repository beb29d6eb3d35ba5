import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { thumbprint } from '../control/signature.ts';
import {
  ACCESS_PATH,
  CAPABILITY_HEADER,
  DENIALS,
  generateConnectorKey,
  HANDSHAKE_HEADER,
  HANDSHAKE_SECONDS,
  issueCapability,
  MAX_CAPABILITY_DAYS,
  MAX_CAPABILITY_LENGTH,
  MAX_NAMES,
  MAX_REACH,
  MAX_SOCKETS,
  reaches,
  readCapability,
  signHandshake,
  TUNNEL_PATH,
  verifyHandshake,
  type Capability,
  type Dial,
  type Operators,
} from './capability.ts';

const NOW = 1_800_000_000_000;
const HOST = 'edge.example.com';
const operator = await generateConnectorKey();
const stranger = await generateConnectorKey();
const connector = await generateConnectorKey();
const project = await thumbprint(operator.x);
const operators: Operators = (asked) => (asked === project ? operator.x : null);

const grant: Capability = {
  project,
  names: ['laptop', 'desk'],
  reach: ['office'],
  connector: await thumbprint(connector.x),
  generation: NOW - 1000,
  expires: NOW + 1000,
  exposure: null,
};
const dial: Dial = { host: HOST, path: TUNNEL_PATH, name: 'laptop', service: '', socket: 0, resume: '' };
const capability = await issueCapability(operator.privateKey, grant);

interface Attempt {
  readonly capability?: string;
  readonly proof?: string;
  readonly key?: typeof connector;
  readonly dial?: Partial<Dial>;
  readonly host?: string;
  readonly path?: string;
  readonly at?: number;
  readonly signedAt?: number;
}

async function attempt(options: Attempt = {}) {
  const held = options.capability ?? capability;
  const signed =
    options.proof ??
    (await signHandshake(options.key ?? connector, held, { ...dial, ...options.dial }, options.signedAt ?? NOW));
  const headers = new Headers({ [CAPABILITY_HEADER]: held, [HANDSHAKE_HEADER]: signed });
  return await verifyHandshake(
    headers,
    options.host ?? HOST,
    options.path ?? TUNNEL_PATH,
    operators,
    options.at ?? NOW,
  );
}

const issued = (change: Partial<Capability>, key = operator.privateKey) =>
  issueCapability(key, { ...grant, ...change });

describe('a dial', () => {
  test('with a capability and a handshake by its key has its rights', async () => {
    const rights = await attempt({ dial: { socket: 3, resume: 'token' } });
    assert.ok(typeof rights === 'object');
    assert.deepEqual(rights.capability, grant);
    const { nonce, ...rest } = rights.handshake;
    assert.match(nonce, /^[A-Za-z0-9_-]{24}$/);
    assert.deepEqual(rest, { ...dial, socket: 3, resume: 'token', time: NOW });
  });

  test('never has the nonce of another', async () => {
    const [one, two] = await Promise.all([attempt(), attempt()]);
    assert.ok(typeof one === 'object' && typeof two === 'object');
    assert.notEqual(one.handshake.nonce, two.handshake.nonce);
  });

  test('without headers is told which it needs', async () => {
    for (const headers of [{}, { [CAPABILITY_HEADER]: capability }, { [HANDSHAKE_HEADER]: 'v1.e30.x' }])
      assert.equal(await verifyHandshake(new Headers(headers), HOST, TUNNEL_PATH, operators, NOW), 'absent');
    assert.match(DENIALS.absent, /sallyport-capability .*sallyport-handshake/);
  });

  test('of another project, or signed by anybody else, is refused', async () => {
    const foreign = await issued({ project: await thumbprint(stranger.x) }, stranger.privateKey);
    assert.equal(await attempt({ capability: foreign }), 'foreign');
    assert.equal(await attempt({ capability: await issued({}, stranger.privateKey) }), 'forged');
    assert.equal(await attempt({ key: stranger }), 'forged');
    // Whoever stole a capability has not the key; naming the right public half does not help.
    assert.equal(await attempt({ key: { x: connector.x, privateKey: stranger.privateKey } }), 'forged');
  });

  test('is not believed by a list of keys that names one wrongly', async () => {
    const forged = await issued({}, stranger.privateKey);
    const headers = new Headers({
      [CAPABILITY_HEADER]: forged,
      [HANDSHAKE_HEADER]: await signHandshake(connector, forged, dial, NOW),
    });
    assert.equal(await verifyHandshake(headers, HOST, TUNNEL_PATH, () => stranger.x, NOW), 'foreign');
    assert.equal(await verifyHandshake(headers, HOST, TUNNEL_PATH, () => 'AAAA', NOW), 'foreign');
  });

  test('for another host, path or capability is refused', async () => {
    assert.equal(await attempt({ host: 'other.example.com' }), 'misdirected');
    assert.equal(await attempt({ path: ACCESS_PATH }), 'misdirected');
    const other = await issued({ expires: NOW + 2000 });
    const proof = await signHandshake(connector, other, dial, NOW);
    assert.equal(await attempt({ proof }), 'misdirected');
  });

  test('to a tunnel that the capability does not name is refused', async () => {
    assert.equal(typeof (await attempt({ dial: { name: 'desk' } })), 'object');
    assert.equal(await attempt({ dial: { name: 'office' } }), 'unnamed');
    const access = { path: ACCESS_PATH, name: 'office', service: 'db' };
    assert.equal(typeof (await attempt({ path: ACCESS_PATH, dial: access })), 'object');
    assert.equal(await attempt({ path: ACCESS_PATH, dial: { ...access, name: 'laptop' } }), 'unnamed');
  });

  test('holds at the edges of time and not beyond', async () => {
    const far = HANDSHAKE_SECONDS * 1000;
    const late = await issued({ expires: NOW + 10 * far });
    assert.equal(typeof (await attempt({ capability: late, signedAt: NOW - far })), 'object');
    assert.equal(typeof (await attempt({ capability: late, signedAt: NOW + far })), 'object');
    assert.equal(await attempt({ capability: late, signedAt: NOW - far - 1 }), 'untimely');
    assert.equal(await attempt({ capability: late, signedAt: NOW + far + 1 }), 'untimely');
    assert.equal(typeof (await attempt({ at: grant.expires - 1 })), 'object');
    assert.equal(await attempt({ at: grant.expires }), 'expired');
    const ahead = await issued({ generation: NOW + far, expires: NOW + 10 * far });
    assert.equal(typeof (await attempt({ capability: ahead })), 'object');
    const further = await issued({ generation: NOW + far + 1, expires: NOW + 10 * far });
    assert.equal(await attempt({ capability: further }), 'untimely');
  });
});

describe('what is malformed', () => {
  const payload = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signature = 'A'.repeat(86);

  test('is refused before any key is looked up', async () => {
    const never: Operators = () => assert.fail('asked for a key');
    const texts = [
      '',
      'v1',
      'v2.e30.' + signature,
      `v1.e30.${signature}`,
      `v1.${payload([])}.${signature}`,
      `v1.${payload(null)}.${signature}`,
      `v1.____.${signature}`,
      `v1.A.${signature}`,
      `v1.${payload(grant)}.${signature}A`,
      `v1.${payload({ ...grant, more: 1 })}.${signature}`,
      ...[
        { names: ['Laptop'] },
        { names: ['-a'] },
        { names: ['a'.repeat(64)] },
        { names: ['a', 'a'] },
        { names: 'a' },
        { names: Array.from({ length: MAX_NAMES + 1 }, (_, index) => `n${index}`) },
        { reach: Array.from({ length: MAX_REACH + 1 }, (_, index) => `n${index}`) },
        { reach: ['a.b.c'] },
        { connector: 'x' },
        { generation: 0 },
        { generation: 1.5 },
        { generation: '1' },
        { expires: grant.generation },
        { expires: grant.generation + MAX_CAPABILITY_DAYS * 86_400_000 + 1 },
        { exposure: 'open' },
        { exposure: undefined },
      ].map((change) => `v1.${payload({ ...grant, ...change })}.${signature}`),
    ];
    for (const text of texts) assert.equal(await readCapability(text, never, NOW), 'malformed', text);
  });

  test('is refused when it is issued, too', async () => {
    await assert.rejects(issued({ names: ['a b'] }), RangeError);
    await assert.rejects(issued({ expires: grant.generation }), RangeError);
    const most = Array.from({ length: MAX_NAMES }, (_, index) => `n${index}`);
    assert.equal(typeof (await readCapability(await issued({ names: most }), operators, NOW)), 'object');
    const long = (length: number) => `${'a'.repeat(length)}`;
    await assert.rejects(
      issued({ reach: Array.from({ length: MAX_REACH }, (_, index) => `${long(60)}${index}`) }),
      new RegExp(`limit is ${MAX_CAPABILITY_LENGTH}`),
    );
    await assert.rejects(signHandshake(connector, capability, { ...dial, socket: MAX_SOCKETS }, NOW), RangeError);
    assert.equal(typeof (await attempt({ dial: { socket: MAX_SOCKETS - 1 } })), 'object');
  });

  test('never passes, whatever is changed, added or left out', async () => {
    const proof = await signHandshake(connector, capability, dial, NOW);
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.nat(), fc.nat(255), fc.nat(2), async (which, at, byte, how) => {
        const text = which ? capability : proof;
        const index = at % text.length;
        const changed =
          text.slice(0, index) +
          (how === 2 ? '' : String.fromCharCode(33 + (byte % 94))) +
          text.slice(index + (how === 0 ? 1 : how === 1 ? 0 : 1));
        if (changed === text) return;
        const rights = await attempt(which ? { capability: changed, proof } : { proof: changed });
        assert.equal(typeof rights, 'string', changed);
      }),
      { numRuns: 200 },
    );
  });

  test('a signature has one spelling', async () => {
    const proof = await signHandshake(connector, capability, dial, NOW);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(proof.slice(-1));
    for (let bits = 1; bits < 16; bits++)
      assert.equal(await attempt({ proof: proof.slice(0, -1) + alphabet[last ^ bits] }), 'malformed');
  });

  test('a handshake is no capability, and a capability no handshake', async () => {
    const proof = await signHandshake(connector, capability, dial, NOW);
    assert.equal(await attempt({ capability: proof, proof }), 'malformed');
    assert.equal(await attempt({ proof: capability }), 'malformed');
  });
});

test('reach names all, a tunnel, a service of one, or a service of any', () => {
  const cases: readonly (readonly [readonly string[], string, string, boolean])[] = [
    [['*'], 'office', 'db', true],
    [[], 'office', 'db', false],
    [['office'], 'office', 'db', true],
    [['office'], 'office', '', true],
    [['office'], 'home', '', false],
    [['db.office'], 'office', 'db', true],
    [['db.office'], 'office', 'web', false],
    [['db.office'], 'office', '', false],
    [['db.*'], 'home', 'db', true],
    [['db.*'], 'home', '', false],
  ];
  for (const [reach, name, service, expected] of cases)
    assert.equal(reaches(reach, name, service), expected, `${reach.join()} ${service}.${name}`);
});
