import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPublicKey, thumbprint } from './json-web-key.ts';
import { MAX_RSA_BITS, MAX_SIGNATURE_PARAMETER, MIN_RSA_BITS } from './limits.ts';

const ED25519 = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
const P256 = {
  kty: 'EC',
  crv: 'P-256',
  x: 'qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA',
  y: 'Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0',
};
const rsa = (bits: number) => {
  const bytes = Buffer.alloc(Math.ceil(bits / 8), 0xff);
  bytes[0] = 2 ** (((bits + 7) % 8) + 1) - 1;
  return { kty: 'RSA', n: bytes.toString('base64url'), e: 'AQAB' };
};

test('a key is read with its algorithm, its name and its times', () => {
  assert.deepEqual(readPublicKey({ ...ED25519, kid: 'a', nbf: 5, exp: 9, use: 'sig', key_ops: ['verify'] }), {
    members: ED25519,
    algorithm: 'ed25519',
    kid: 'a',
    notBefore: 5,
    expires: 9,
  });
  const algorithms = [
    [P256, 'ecdsa-p256-sha256'],
    [{ ...P256, alg: 'ES256' }, 'ecdsa-p256-sha256'],
    [{ ...ED25519, alg: 'EdDSA' }, 'ed25519'],
    [rsa(2048), 'rsa-pss-sha512'],
    [{ ...rsa(2048), alg: 'PS512' }, 'rsa-pss-sha512'],
    [{ ...rsa(2048), alg: 'RS256' }, 'rsa-v1_5-sha256'],
  ] as const;
  for (const [key, algorithm] of algorithms)
    assert.equal((readPublicKey(key) as { algorithm: string }).algorithm, algorithm);
});

test('what is no usable key says why', () => {
  for (const [key, fault] of [
    [null, 'not-a-key'],
    [[], 'not-a-key'],
    ['x', 'not-a-key'],
    [{}, 'not-a-key'],
    [{ ...ED25519, d: 'n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU' }, 'private'],
    [{ kty: 'oct', k: 'AAAA' }, 'private'],
    [{ kty: 'oct' }, 'unsupported-algorithm'],
    [{ kty: 'OKP', crv: 'X25519', x: ED25519.x }, 'unsupported-algorithm'],
    [{ ...P256, crv: 'secp256k1' }, 'unsupported-algorithm'],
    [{ ...ED25519, alg: 'ES256' }, 'unsupported-algorithm'],
    [{ ...rsa(2048), alg: 'RS512' }, 'unsupported-algorithm'],
    [{ ...ED25519, use: 'enc' }, 'not-for-signatures'],
    [{ ...ED25519, key_ops: ['sign'] }, 'not-for-signatures'],
    [{ ...ED25519, key_ops: 'verify' }, 'not-for-signatures'],
    [{ ...ED25519, x: `${ED25519.x}A` }, 'malformed'],
    [{ ...ED25519, x: ED25519.x.slice(1) }, 'malformed'],
    [{ ...ED25519, x: `${ED25519.x.slice(0, -1)}p` }, 'malformed'], // the same bytes, with stray bits at the end
    [{ ...ED25519, x: `${ED25519.x.slice(0, -1)}=` }, 'malformed'],
    [{ ...ED25519, x: 5 }, 'malformed'],
    [{ ...P256, y: undefined }, 'malformed'],
    [{ ...ED25519, nbf: 'soon' }, 'malformed'],
    [{ ...ED25519, exp: -1 }, 'malformed'],
    [{ ...rsa(2048), e: '_____w8' }, 'unsupported-algorithm'],
    [{ ...rsa(2048), e: 'AA' }, 'unsupported-algorithm'],
    [{ ...rsa(2048), e: 'AQ' }, 'unsupported-algorithm'],
  ] as const)
    assert.equal(readPublicKey(key), fault, JSON.stringify(key));
});

test('limits hold at their edge', () => {
  assert.equal(readPublicKey(rsa(MIN_RSA_BITS - 1)), 'weak');
  assert.equal(typeof readPublicKey(rsa(MIN_RSA_BITS)), 'object');
  assert.equal(typeof readPublicKey(rsa(MAX_RSA_BITS)), 'object');
  assert.equal(readPublicKey(rsa(MAX_RSA_BITS + 1)), 'unsupported-algorithm');
  const kid = (length: number) => readPublicKey({ ...ED25519, kid: 'k'.repeat(length) }) as { kid: string };
  assert.equal(kid(MAX_SIGNATURE_PARAMETER).kid.length, MAX_SIGNATURE_PARAMETER);
  assert.equal(kid(MAX_SIGNATURE_PARAMETER + 1).kid, '');
});

test('thumbprints are those of RFC 8037 and of the keys of RFC 9421', async () => {
  assert.equal(await thumbprint(ED25519), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  const x = 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs';
  assert.equal(await thumbprint({ kty: 'OKP', crv: 'Ed25519', x }), 'poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U');
});
