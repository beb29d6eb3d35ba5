/** Keys of an agent of one's own: made, read, and published as a directory. */
import { base64Url, type JsonWebKeyMembers, readPublicKey, thumbprint } from './json-web-key.ts';
import { contentDigest } from './content-digest.ts';
import { DIRECTORY_TYPE } from './key-directory.ts';
import { DEFAULT_DIRECTORY_SECONDS, SIGNATURE_SECONDS } from './limits.ts';
import { headerSource, requestMessage, type ResponseMessage } from './message.ts';
import { component, signMessage } from './message-signature.ts';
import { importKey, type SignatureKey } from './signature-algorithm.ts';
import type { BareItem } from './structured-field.ts';

export const DIRECTORY_TAG = 'http-message-signatures-directory';

export interface AgentKey {
  /** JWK thumbprint, the `keyid` of signatures. */
  readonly keyid: string;
  readonly publicJwk: JsonWebKeyMembers;
  readonly sign: SignatureKey;
}

/** A new Ed25519 key pair as a private JWK: whoever has it is the agent. */
export async function createAgentKey(): Promise<JsonWebKeyMembers> {
  const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const { x, d } = (await crypto.subtle.exportKey('jwk', pair.privateKey)) as { x?: string; d?: string };
  if (x === undefined || d === undefined) throw new Error('this runtime makes no Ed25519 keys');
  return { kty: 'OKP', crv: 'Ed25519', x, d };
}

/** Reads a private JWK: Ed25519, P-256 or RSA for PSS. Throws what a person can act on; never says any of the key. */
export async function readAgentKey(jwk: JsonWebKeyMembers): Promise<AgentKey> {
  const { kty, crv, x, y, n, e, d } = jwk;
  if (d === undefined) throw new Error('the key has no private half');
  const readable = readPublicKey({ kty, crv, x, y, n, e });
  if (typeof readable === 'string') throw new Error(`the key can not be used: ${readable}`);
  const keyid = await thumbprint(readable.members);
  const sign = await importKey(jwk, readable.algorithm).catch(() => {
    throw new Error('the private half of the key is not well formed');
  });
  return { keyid, publicJwk: readable.members, sign };
}

/** The document to serve at the well-known place, or at a URL of one's own. `kid` is the thumbprint, as the draft wants. */
export function keyDirectory(keys: readonly AgentKey[]): { readonly keys: readonly Record<string, unknown>[] } {
  return { keys: keys.map(({ keyid, publicJwk }) => ({ ...publicJwk, kid: keyid, use: 'sig' })) };
}

/**
 * Answers a request for the directory, with one signature per key that proves its possession and, by the host that was
 * asked, that the set was made for it.
 *
 * SPEC: draft-ietf-webbotauth-httpsig-protocol appendix B.1. `now` in seconds since the epoch.
 */
export async function serveDirectory(
  request: Request,
  keys: readonly AgentKey[],
  now = Math.floor(Date.now() / 1000),
): Promise<Response> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } });
  const body = new Uint8Array(new TextEncoder().encode(JSON.stringify(keyDirectory(keys))));
  const headers = new Headers({
    'content-type': DIRECTORY_TYPE,
    'cache-control': `max-age=${DEFAULT_DIRECTORY_SECONDS}`,
    'content-digest': await contentDigest(body),
  });
  const asked = requestMessage(request.method, request.url, request.headers);
  const message: ResponseMessage = { kind: 'response', status: 200, request: asked, ...headerSource(headers) };
  const inputs: string[] = [];
  const values: string[] = [];
  for (const [index, { keyid, sign }] of keys.entries()) {
    const parameters = new Map<string, BareItem>([
      ['created', { type: 'integer', value: now }],
      ['expires', { type: 'integer', value: now + SIGNATURE_SECONDS + DEFAULT_DIRECTORY_SECONDS }],
      ['keyid', { type: 'string', value: keyid }],
      ['alg', { type: 'string', value: sign.algorithm }],
      ['tag', { type: 'string', value: DIRECTORY_TAG }],
    ]);
    const components = [component('@authority', { req: true }), component('content-digest')];
    const made = await signMessage(message, { label: `binding${index}`, components, parameters }, sign);
    inputs.push(made.signatureInput);
    values.push(made.signature);
  }
  if (inputs.length > 0) {
    headers.set('signature-input', inputs.join(', '));
    headers.set('signature', values.join(', '));
  }
  return new Response(request.method === 'HEAD' ? null : body, { headers });
}

/** 128 random bits. */
export function newNonce(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(16)));
}
