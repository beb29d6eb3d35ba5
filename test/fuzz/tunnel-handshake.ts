/**
 * Upgrades of hostile dialers: texts that were changed, cut, swapped between each other, or sealed anew by a key that is
 * not the right one. None gets in but what the operator and the connector have signed, and nothing throws.
 */
import assert from 'node:assert/strict';
import { thumbprint } from '../../src/control/signature.ts';
import {
  ACCESS_PATH,
  CAPABILITY_HEADER,
  DENIALS,
  generateConnectorKey,
  HANDSHAKE_HEADER,
  issueCapability,
  readCapability,
  signHandshake,
  TUNNEL_PATH,
  verifyHandshake,
  type Capability,
  type ConnectorKey,
  type Dial,
} from '../../src/tunnel/capability.ts';
import { random, type Random } from './random.ts';

const NOW = 1_800_000_000_000;
const HOST = 'edge.example.com';
const SLOWEST = 500; // ms for one upgrade; it takes about one
const VALUES: readonly unknown[] = [
  null,
  0,
  -1,
  1e308,
  Number.MAX_SAFE_INTEGER + 1,
  '',
  'laptop',
  'LAPTOP',
  'a..b',
  '__proto__',
  '\u0000',
  'x'.repeat(70),
  [],
  ['laptop', 'laptop'],
  ['other'],
  {},
  true,
  HOST,
  TUNNEL_PATH,
  ACCESS_PATH,
];

const encode = (text: string | Uint8Array): string => Buffer.from(text).toString('base64url');

/** Seals any payload, as somebody with a key and no scruples would. */
async function seal(key: ConnectorKey, context: string, payload: string): Promise<string> {
  const encoded = encode(payload);
  const bytes = Buffer.from(`${context}\n${encoded}`);
  return `v1.${encoded}.${encode(new Uint8Array(await crypto.subtle.sign('Ed25519', key.privateKey, bytes)))}`;
}

function payloadOf(text: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(text.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
}

function mutated(r: Random, text: string): string {
  const at = r.below(text.length + 1);
  switch (r.below(6)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(33 + r.below(94)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at);
    case 2:
      return text.slice(0, at) + r.pick(['.', 'v1.', '=', '-', 'A', ' ', 'é', 'v1..', '%']) + text.slice(at);
    case 3:
      return text.slice(0, at) + text.slice(at + 1 + r.below(10));
    case 4:
      return text + text.slice(at);
    default:
      return 'x'.repeat(r.below(6000));
  }
}

function changed(r: Random, payload: Record<string, unknown>): string {
  const keys = Object.keys(payload);
  const copy: Record<string, unknown> = { ...payload };
  for (let edits = 1 + r.below(2); edits > 0; edits--) {
    const key = r.below(6) === 0 ? r.pick(['admin', '__proto__', 'constructor']) : r.pick(keys);
    if (r.below(6) === 0) delete copy[key];
    else Object.defineProperty(copy, key, { value: r.pick(VALUES), enumerable: true, configurable: true });
  }
  return r.below(20) === 0 ? r.pick(['', '[]', 'null', '{', '\ud800', '{"a":'.repeat(500)]) : JSON.stringify(copy);
}

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const [operator, stranger, connector] = await Promise.all([1, 2, 3].map(() => generateConnectorKey()));
  if (operator === undefined || stranger === undefined || connector === undefined) throw new Error('no keys');
  const project = await thumbprint(operator.x);
  const operators = (asked: string): string | null => (asked === project ? operator.x : null);
  const grant: Capability = {
    project,
    names: ['laptop'],
    reach: ['db.office'],
    connector: await thumbprint(connector.x),
    generation: NOW - 1000,
    expires: NOW + 100_000,
    exposure: null,
  };
  const capability = await issueCapability(operator.privateKey, grant);
  const dial: Dial = { host: HOST, path: TUNNEL_PATH, name: 'laptop', service: '', socket: 0, resume: '' };
  const handshake = await signHandshake(connector, capability, dial, NOW);

  const until = performance.now() + seconds * 1000;
  let cases = 0;
  let entered = 0;
  for (; performance.now() < until; cases++) {
    let [rights, proof] = [capability, handshake];
    // What a holder of the right key signs may be taken: it is the edge's to judge by its fields, not by its origin.
    let signed = false;
    switch (r.below(7)) {
      case 0:
        rights = mutated(r, rights);
        break;
      case 1:
        proof = mutated(r, proof);
        break;
      case 2:
        [rights, proof] = r.pick([
          [proof, rights],
          [rights, rights],
          [proof, proof],
        ] as [string, string][]);
        break;
      case 3:
        rights = await seal(r.pick([stranger, connector]), 'sallyport-capability-1', changed(r, payloadOf(rights)));
        break;
      case 4:
        proof = await seal(r.pick([stranger, operator]), 'sallyport-handshake-1', changed(r, payloadOf(proof)));
        break;
      case 5:
        signed = true;
        proof = await seal(connector, 'sallyport-handshake-1', changed(r, payloadOf(proof)));
        break;
      default:
        // The right signatures in the wrong context, over the payload of the other kind.
        proof = await seal(connector, 'sallyport-capability-1', JSON.stringify(payloadOf(proof)));
    }
    const headers = new Headers();
    try {
      headers.set(CAPABILITY_HEADER, rights);
      headers.set(HANDSHAKE_HEADER, proof);
    } catch {
      continue; // no header can hold it
    }
    const began = performance.now();
    const path = r.below(4) === 0 ? ACCESS_PATH : TUNNEL_PATH;
    const judged = await verifyHandshake(headers, HOST, path, operators, NOW + r.below(1000));
    assert.ok(performance.now() - began < SLOWEST);
    if (typeof judged === 'string') {
      assert.ok(judged in DENIALS, judged);
    } else {
      entered++;
      const same = headers.get(CAPABILITY_HEADER) === capability;
      assert.ok(same && (signed || headers.get(HANDSHAKE_HEADER) === handshake), `${rights}\n${proof}`);
      assert.deepEqual([judged.handshake.host, judged.handshake.path, judged.handshake.name], [HOST, path, 'laptop']);
    }
    const read = await readCapability(mutated(r, capability), operators, NOW);
    assert.ok(typeof read === 'string' ? read in DENIALS : read.project === project);
  }
  assert.ok(entered > 0 || cases < 1000, 'some changes are ones that the edge may take');
  return cases;
}
