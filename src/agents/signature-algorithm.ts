/**
 * The algorithms of HTTP message signatures, by WebCrypto.
 *
 * SPEC: RFC 9421 section 3.3. An algorithm belongs to a key, never to a message: what a message says can only agree.
 */
import type { JsonWebKeyMembers } from './json-web-key.ts';

export type SignatureAlgorithm =
  'ed25519' | 'rsa-pss-sha512' | 'ecdsa-p256-sha256' | 'ecdsa-p384-sha384' | 'rsa-v1_5-sha256' | 'hmac-sha256';

interface Scheme {
  /** For importKey. */
  readonly key: { readonly name: string; readonly hash?: string; readonly namedCurve?: string };
  /** For sign and verify. */
  readonly use: { readonly name: string; readonly hash?: string; readonly saltLength?: number };
}

const SCHEMES: Readonly<Record<SignatureAlgorithm, Scheme>> = {
  ed25519: { key: { name: 'Ed25519' }, use: { name: 'Ed25519' } },
  'rsa-pss-sha512': { key: { name: 'RSA-PSS', hash: 'SHA-512' }, use: { name: 'RSA-PSS', saltLength: 64 } },
  'ecdsa-p256-sha256': { key: { name: 'ECDSA', namedCurve: 'P-256' }, use: { name: 'ECDSA', hash: 'SHA-256' } },
  'ecdsa-p384-sha384': { key: { name: 'ECDSA', namedCurve: 'P-384' }, use: { name: 'ECDSA', hash: 'SHA-384' } },
  'rsa-v1_5-sha256': { key: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, use: { name: 'RSASSA-PKCS1-v1_5' } },
  'hmac-sha256': { key: { name: 'HMAC', hash: 'SHA-256' }, use: { name: 'HMAC' } },
};

export interface SignatureKey {
  readonly algorithm: SignatureAlgorithm;
  readonly key: CryptoKey;
}

/** A public key, to verify with, or a private one (it has `d`), to sign with. Rejects when it is none of the algorithm. */
export async function importKey(jwk: JsonWebKeyMembers, algorithm: SignatureAlgorithm): Promise<SignatureKey> {
  // Whatever else the key says (`alg`, `key_ops`, `ext`) has been judged by who read it, and must not stop WebCrypto.
  const { kty, crv, x, y, n, e, d, p, q, dp, dq, qi } = jwk;
  const members = { kty, crv, x, y, n, e, d, p, q, dp, dq, qi };
  const given = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
  const usage = d === undefined ? 'verify' : 'sign';
  const key = await crypto.subtle.importKey('jwk', given as unknown as JsonWebKey, SCHEMES[algorithm].key, false, [
    usage,
  ]);
  return { algorithm, key };
}

/** Rejects when `secret` is too short to keep anything. */
export async function importSecret(secret: Uint8Array<ArrayBuffer>): Promise<SignatureKey> {
  if (secret.byteLength < 32) throw new Error('a shared secret needs 32 bytes');
  const { key } = SCHEMES['hmac-sha256'];
  return {
    algorithm: 'hmac-sha256',
    key: await crypto.subtle.importKey('raw', secret, key as HmacImportParams, false, ['sign', 'verify']),
  };
}

interface HmacImportParams {
  readonly name: string;
  readonly hash: string;
}

const encoder = new TextEncoder();

/** `base` is ASCII. */
export async function signBase({ algorithm, key }: SignatureKey, base: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign(SCHEMES[algorithm].use, key, encoder.encode(base)));
}

/** Bytes of a signature, where the algorithm says how many; for RSA the key does. */
const LENGTHS: Readonly<Partial<Record<SignatureAlgorithm, number>>> = {
  ed25519: 64,
  'ecdsa-p256-sha256': 64,
  'ecdsa-p384-sha384': 96,
  'hmac-sha256': 32,
};

/** Constant time is the library's. False for a signature of another length, which some runtimes refuse with an exception. */
export async function verifyBase(
  { algorithm, key }: SignatureKey,
  base: string,
  signature: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const length = LENGTHS[algorithm];
  if (length !== undefined && signature.byteLength !== length) return false;
  try {
    return await crypto.subtle.verify(SCHEMES[algorithm].use, key, signature, new TextEncoder().encode(base));
  } catch {
    // Whatever a runtime can not make sense of was not signed.
    return false;
  }
}
