import assert from 'node:assert/strict';
import { test } from 'node:test';
import { thumbprint } from '../../control/signature.ts';
import { readCapability } from '../capability.ts';
import { issued, type PrivateJwk } from './credentials.ts';

const NOW = 1_800_000_000_000;
const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
const operator = (await crypto.subtle.exportKey('jwk', pair.privateKey)) as PrivateJwk;

test('sockets that dial at the same moment have one key, and it outlives their capability', async () => {
  const credentials = issued(operator, ['laptop']);
  const [one, other] = await Promise.all([credentials(NOW), credentials(NOW)]);
  assert.equal(one.key.x, other.key.x);
  const [soon, later] = [await credentials(NOW + 1000), await credentials(NOW + 3_500_000)];
  assert.ok([one.capability, other.capability].includes(soon.capability));
  assert.notEqual(later.capability, soon.capability);
  assert.equal(later.key.x, one.key.x);
  // A clock that was set back needs one that is not issued in the future.
  assert.notEqual((await credentials(NOW - 10_000)).capability, later.capability);
  const project = await thumbprint(operator.x);
  const read = await readCapability(
    later.capability,
    (asked) => (asked === project ? operator.x : null),
    NOW + 3_500_001,
  );
  assert.ok(typeof read !== 'string' && read.connector === (await thumbprint(one.key.x)), String(read));
});
