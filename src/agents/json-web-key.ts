/**
 * Keys as JSON, as directories publish them: which are usable, for which algorithm, and how they are named.
 *
 * SPEC: RFC 7517 and 7518 (keys), RFC 8037 (Ed25519), RFC 7638 (thumbprints).
 */
import { MAX_RSA_BITS, MAX_SIGNATURE_PARAMETER, MIN_RSA_BITS } from './limits.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';
import { base64OfBytes } from './structured-field-text.ts';
import { bytesOfBase64 } from './structured-field.ts';

/** Members that hold key material; all of them base64url but `kty` and `crv`. */
export interface JsonWebKeyMembers {
  readonly kty: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly n?: string;
  readonly e?: string;
  /** Of a private key, with those below for RSA. */
  readonly d?: string;
  readonly p?: string;
  readonly q?: string;
  readonly dp?: string;
  readonly dq?: string;
  readonly qi?: string;
}

/** A public key that signatures may be verified with. */
export interface PublicKey {
  readonly members: JsonWebKeyMembers;
  readonly algorithm: SignatureAlgorithm;
  /** As the directory names it; '' when it does not. */
  readonly kid: string;
  /** Seconds since the epoch; 0 and Infinity where the key does not say. */
  readonly notBefore: number;
  readonly expires: number;
}

/** Why a key can't be used; for logs. */
export type KeyFault = 'not-a-key' | 'private' | 'not-for-signatures' | 'unsupported-algorithm' | 'weak' | 'malformed';

/** Reads one member of `keys`. Symmetric keys are refused with all others that are unknown. */
export function readPublicKey(value: unknown): PublicKey | KeyFault {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not-a-key';
  const key = value as Record<string, unknown>;
  // Whoever publishes the private half has no key any more.
  if ('d' in key || 'k' in key) return 'private';
  if (key['use'] !== undefined && key['use'] !== 'sig') return 'not-for-signatures';
  const operations = key['key_ops'];
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'not-for-signatures';
  const members = readMembers(key);
  if (typeof members === 'string') return members;
  const algorithm = algorithmOf(members, key['alg']);
  if (algorithm === null) return 'unsupported-algorithm';
  const notBefore = readTime(key['nbf'], 0);
  const expires = readTime(key['exp'], Infinity);
  if (Number.isNaN(notBefore) || Number.isNaN(expires)) return 'malformed';
  const kid = key['kid'];
  return {
    members,
    algorithm,
    kid: typeof kid === 'string' && kid.length <= MAX_SIGNATURE_PARAMETER ? kid : '',
    notBefore,
    expires,
  };
}

function readMembers(key: Record<string, unknown>): JsonWebKeyMembers | KeyFault {
  const { kty, crv } = key;
  if (kty === 'OKP' && crv === 'Ed25519') {
    const x = octets(key['x'], 32);
    return x === null ? 'malformed' : { kty, crv, x };
  }
  if (kty === 'EC' && (crv === 'P-256' || crv === 'P-384')) {
    const size = crv === 'P-256' ? 32 : 48;
    const x = octets(key['x'], size);
    const y = octets(key['y'], size);
    return x === null || y === null ? 'malformed' : { kty, crv, x, y };
  }
  if (kty === 'RSA') {
    const n = octets(key['n'], 0);
    const e = octets(key['e'], 0);
    if (n === null || e === null) return 'malformed';
    const bits = bitsOf(n);
    if (bits < MIN_RSA_BITS) return 'weak';
    // A large exponent makes verification as dear as its author likes.
    return bits > MAX_RSA_BITS || bitsOf(e) > 32 || bitsOf(e) < 2 ? 'unsupported-algorithm' : { kty, n, e };
  }
  return typeof kty === 'string' ? 'unsupported-algorithm' : 'not-a-key';
}

/** SPEC: RFC 9421 section 6.2.2 with the names of RFC 7518 and 9864. Null where key and `alg` do not go together. */
function algorithmOf({ kty, crv }: JsonWebKeyMembers, alg: unknown): SignatureAlgorithm | null {
  if (crv === 'Ed25519') return alg === undefined || alg === 'EdDSA' || alg === 'Ed25519' ? 'ed25519' : null;
  if (crv === 'P-256') return alg === undefined || alg === 'ES256' ? 'ecdsa-p256-sha256' : null;
  if (crv === 'P-384') return alg === undefined || alg === 'ES384' ? 'ecdsa-p384-sha384' : null;
  // An RSA key that says nothing is taken for the algorithm that is still recommended, and never for both.
  if (kty === 'RSA' && (alg === undefined || alg === 'PS512')) return 'rsa-pss-sha512';
  return kty === 'RSA' && alg === 'RS256' ? 'rsa-v1_5-sha256' : null;
}

function readTime(value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : NaN;
}

const BASE64URL = /^[A-Za-z0-9_-]+$/;
const MAX_OCTETS_TEXT = 2048;

/** Base64url in its one spelling, of `size` bytes (0: any number); null for anything else. */
function octets(value: unknown, size: number): string | null {
  if (typeof value !== 'string' || value.length > MAX_OCTETS_TEXT || !BASE64URL.test(value)) return null;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = bytesOfBase64Url(value);
  } catch {
    return null;
  }
  // Stray bits at the end would give one key several thumbprints.
  return (size === 0 || bytes.byteLength === size) && base64Url(bytes) === value ? value : null;
}

function bitsOf(text: string): number {
  const bytes = bytesOfBase64Url(text);
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.byteLength - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
}

/** SPEC: RFC 7638: SHA-256 over the required members in the order of their names, base64url. */
export async function thumbprint({ kty, crv, x, y, n, e }: JsonWebKeyMembers): Promise<string> {
  const required = kty === 'RSA' ? { e, kty, n } : kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x };
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(required)));
  return base64Url(new Uint8Array(digest));
}

export function base64Url(bytes: Uint8Array): string {
  return base64OfBytes(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Throws when `text` is no base64url. */
export function bytesOfBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return bytesOfBase64(text.replaceAll('-', '+').replaceAll('_', '/'));
}
