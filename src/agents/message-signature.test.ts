import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ComponentError } from './component.ts';
import {
  MAX_COMPONENTS,
  MAX_SIGNATURE_BASE,
  MAX_SIGNATURE_FIELD,
  MAX_SIGNATURE_PARAMETER,
  MAX_SIGNATURES,
} from './limits.ts';
import { requestMessage } from './message.ts';
import { component, readSignatures, SignatureError, signMessage, verifySignature } from './message-signature.ts';
import { importKey, importSecret, type SignatureAlgorithm, type SignatureKey } from './signature-algorithm.ts';
import { signatureBase } from './signature-base.ts';
import type { BareItem, InnerList } from './structured-field.ts';

const URL = 'https://example.com/a?b=c';
const PARAMETERS = new Map<string, BareItem>([['created', { type: 'integer', value: 1 }]]);
const list = (...items: InnerList['items']): InnerList => ({ items, parameters: PARAMETERS });
const message = (headers: Record<string, string> = {}) => requestMessage('GET', URL, new Headers(headers));
const signed = (input: string, value: string) => message({ 'signature-input': input, signature: value });

async function pairOf(algorithm: SignatureAlgorithm): Promise<{ verify: SignatureKey; sign: SignatureKey }> {
  const generate = {
    ed25519: { name: 'Ed25519' },
    'rsa-pss-sha512': { name: 'RSA-PSS', hash: 'SHA-512' },
    'rsa-v1_5-sha256': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    'ecdsa-p256-sha256': { name: 'ECDSA', namedCurve: 'P-256' },
    'ecdsa-p384-sha384': { name: 'ECDSA', namedCurve: 'P-384' },
    'hmac-sha256': { name: 'HMAC', hash: 'SHA-256' },
  }[algorithm];
  const rsa = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
  const pair = (await crypto.subtle.generateKey({ ...rsa, ...generate } as RsaHashedKeyGenParams, true, ['sign', 'verify'])) as CryptoKeyPair; // prettier-ignore
  const jwk = async (key: CryptoKey) => (await crypto.subtle.exportKey('jwk', key)) as never;
  return {
    verify: await importKey(await jwk(pair.publicKey), algorithm),
    sign: await importKey(await jwk(pair.privateKey), algorithm),
  };
}

describe('message signatures', () => {
  for (const algorithm of [
    'ed25519',
    'rsa-pss-sha512',
    'rsa-v1_5-sha256',
    'ecdsa-p256-sha256',
    'ecdsa-p384-sha384',
  ] as const)
    // prettier-ignore
    test(`${algorithm}: made, verified, and refused once anything is changed`, async () => {
      const { sign, verify } = await pairOf(algorithm);
      const components = [component('@method'), component('@target-uri'), component('x-a')];
      const request = { label: 's', components, parameters: PARAMETERS };
      const fields = await signMessage(message({ 'x-a': '1' }), request, sign);
      const headers = { 'signature-input': fields.signatureInput, signature: fields.signature };
      const judge = async (of: ReturnType<typeof message>) => {
        const [signature] = readSignatures(of);
        assert.ok(signature);
        return verifySignature(of, signature, verify);
      };
      assert.equal(await judge(message({ ...headers, 'x-a': '1' })), true);
      assert.equal(await judge(message({ ...headers, 'x-a': '2' })), false);
      assert.equal(await judge(requestMessage('POST', URL, new Headers({ ...headers, 'x-a': '1' }))), false);
      assert.equal(await judge(requestMessage('GET', `${URL}d`, new Headers({ ...headers, 'x-a': '1' }))), false);
      const later = fields.signatureInput.replace('created=1', 'created=2');
      assert.equal(await judge(message({ ...headers, 'signature-input': later, 'x-a': '1' })), false);
    });

  test('an algorithm that is not the key’s is refused, though the bytes would verify', async () => {
    const { sign, verify } = await pairOf('ed25519');
    for (const [alg, expected] of [
      ['ed25519', true],
      ['hmac-sha256', false],
      ['ecdsa-p256-sha256', false],
    ] as const) {
      const parameters = new Map<string, BareItem>([['alg', { type: 'string', value: alg }]]);
      const fields = await signMessage(message(), { label: 's', components: [component('@method')], parameters }, sign);
      const of = signed(fields.signatureInput, fields.signature);
      const [signature] = readSignatures(of);
      assert.ok(signature);
      assert.equal(await verifySignature(of, signature, verify), expected, alg);
    }
  });

  test('a shared secret below 32 bytes is refused', async () => {
    await assert.rejects(importSecret(new Uint8Array(31)), /32 bytes/);
    await importSecret(new Uint8Array(32));
  });

  test('every fault of the two fields has its name', () => {
    for (const [input, value, fault] of [
      ['a=("@method"', 'a=:AA==:', 'signature-input-malformed'],
      ['a=("@method"), a=("@path")', 'a=:AA==:', 'signature-input-malformed'],
      ['a=("@method";req;req)', 'a=:AA==:', 'signature-input-malformed'],
      ['a=1', 'a=:AA==:', 'signature-input-malformed'],
      ['a=(method)', 'a=:AA==:', 'signature-input-malformed'],
      ['a=("@method")', 'b=:AA==:', 'signature-missing'],
      ['a=("@method")', 'a=AA', 'signature-malformed'],
      ['a=("@method")', 'a=:AA==:, a=:AQ==:', 'signature-malformed'],
      ['a=("@method")', 'a=(:AA==:)', 'signature-malformed'],
      ['a=("@method");created="1"', 'a=:AA==:', 'parameter-malformed'],
      ['a=("@method");created=-1', 'a=:AA==:', 'parameter-malformed'],
      ['a=("@method");expires=1.5', 'a=:AA==:', 'parameter-malformed'],
      ['a=("@method");keyid=k', 'a=:AA==:', 'parameter-malformed'],
      ['a=("@method");created=1;created=2', 'a=:AA==:', 'signature-input-malformed'],
    ] as const)
      assert.throws(
        () => readSignatures(signed(input, value)),
        (error) => error instanceof SignatureError && error.fault === fault,
        `${input} and ${value}`,
      );
    assert.deepEqual(readSignatures(message()), []);
  });

  test('limits hold at their edge', () => {
    const many = (count: number) => {
      const labels = Array.from({ length: count }, (_, at) => `s${at}`);
      return signed(
        labels.map((label) => `${label}=()`).join(', '),
        labels.map((label) => `${label}=:AA==:`).join(', '),
      );
    };
    assert.equal(readSignatures(many(MAX_SIGNATURES)).length, MAX_SIGNATURES);
    assert.throws(() => readSignatures(many(MAX_SIGNATURES + 1)), /more than 8 signatures/);

    const nonce = (length: number) => signed(`a=();nonce="${'n'.repeat(length)}"`, 'a=:AA==:');
    assert.equal(readSignatures(nonce(MAX_SIGNATURE_PARAMETER))[0]?.nonce?.length, MAX_SIGNATURE_PARAMETER);
    assert.throws(() => readSignatures(nonce(MAX_SIGNATURE_PARAMETER + 1)), /nonce is no string, or too long/);

    const long = (length: number) => `a=();x="${'x'.repeat(length - 9)}"`;
    assert.equal(readSignatures(signed(long(MAX_SIGNATURE_FIELD), 'a=:AA==:')).length, 1);
    assert.throws(() => readSignatures(signed(long(MAX_SIGNATURE_FIELD + 1), 'a=:AA==:')), /longer than 8192/);

    const names = (count: number) => Array.from({ length: count }, (_, at) => component(`x-${at}`));
    const headers = Object.fromEntries(names(MAX_COMPONENTS + 1).map((_, at) => [`x-${at}`, 'v']));
    signatureBase(message(headers), list(...names(MAX_COMPONENTS)));
    assert.throws(() => signatureBase(message(headers), list(...names(MAX_COMPONENTS + 1))), /more than 32 components/);

    const value = (length: number) => message({ 'x-a': 'v'.repeat(length) });
    const line = '"x-a": \n'.length;
    signatureBase(value(MAX_SIGNATURE_BASE - line), list(component('x-a')));
    assert.throws(
      () => signatureBase(value(MAX_SIGNATURE_BASE - line + 1), list(component('x-a'))),
      (error) => error instanceof ComponentError && error.message.includes('longer than 65536'),
    );
  });

  test('a component that no field can be named is refused', () => {
    for (const name of ['', 'Host', 'a b', '"', 'a:'])
      assert.throws(() => signatureBase(message(), list(component(name))), /named as no field is/, name);
  });

  test('lines that were joined on their way can not be wrapped one by one', () => {
    const wrapped = list(component('x-a', { bs: true }));
    assert.ok(signatureBase(message({ 'x-a': 'one' }), wrapped).startsWith('"x-a";bs: :b25l:\n'));
    assert.throws(() => signatureBase(message({ 'x-a': 'one, two' }), wrapped), /can not be told apart/);
  });
});
