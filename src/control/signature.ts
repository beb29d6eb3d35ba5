/**
 * Signatures of control requests, for both ends: the worker that checks them and the command that makes them. Web APIs
 * only, and no import, so that either side may use it.
 *
 * SPEC: RFC 9421 (HTTP Message Signatures) with Ed25519, one signature, the components and parameters below and no
 * others; RFC 9530 (Content-Digest) with SHA-256 for requests with a body; RFC 7638 thumbprints as key ids. What the RFCs
 * leave open is closed here: a profile with no choices has no downgrade.
 *
 * Constant time: only public values are compared here (a key id, a digest, the result of a verification), so nothing is
 * to be learnt from how long a comparison takes. The secret stays with the operator, where `crypto.subtle` signs.
 */
export const SIGNATURE_TAG = 'sallyport-control';
/** Seconds: the longest life of a signature, and how far `created` may be from the clock of the worker. */
export const SIGNATURE_SECONDS = 60;

const COMPONENTS = '"@method" "@authority" "@path" "@query"';
const COMPONENTS_WITH_BODY = `${COMPONENTS} "content-digest"`;
const PARAMETERS = ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'];
const MAX_INPUT_LENGTH = 1024; // characters; one that is made here has about 300

/** SPEC: RFC 9421 section 4.1, as far as it is used here: one member, its components and its parameters. */
const INPUT =
  /^([a-z*][a-z0-9_.*-]{0,31})=(\(([a-z0-9@" -]{0,200})\)((?:;[a-z]{1,16}=(?:[0-9]{1,12}|"[!#-[\]-~]{0,128}"))*))$/;
const PARAMETER = /;([a-z]+)=(?:([0-9]+)|"([^"]*)")/g;
const SIGNATURE = /^([a-z*][a-z0-9_.*-]{0,31})=:([A-Za-z0-9+/]{86}==):$/;
const DIGEST = /^sha-256=:[A-Za-z0-9+/]{43}=:$/;
const NONCE = /^[A-Za-z0-9_-]{22,64}$/; // 128 bits or more
const PUBLIC_KEY = /^[A-Za-z0-9_-]{43}$/;

/** Why a signature is not believed. The class is all that its sender is told. */
export type Refusal = 'unsigned' | 'malformed' | 'untimely' | 'foreign' | 'altered' | 'replayed';

/** What is signed of a request. */
export interface Message {
  readonly method: string;
  /** Absolute; parsed, so that both ends see one spelling of it. */
  readonly url: URL;
  /** Value of Content-Digest, null for a request without body. */
  readonly digest: string | null;
}

/** A signature that is well-formed and of this time; whether it is genuine is the next question. */
export interface Claim {
  readonly nonce: string;
  readonly keyid: string;
  readonly expires: number; // seconds since the epoch
  readonly digest: string | null;
  readonly base: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** Headers that sign `message`. `now` in seconds since the epoch. */
export async function sign(
  key: CryptoKey,
  keyid: string,
  message: Message,
  now: number,
): Promise<Record<string, string>> {
  const nonce = base64url(crypto.getRandomValues(new Uint8Array(18)));
  const components = message.digest === null ? COMPONENTS : COMPONENTS_WITH_BODY;
  const parameters = `(${components});created=${now};expires=${now + SIGNATURE_SECONDS};nonce="${nonce}";keyid="${keyid}";alg="ed25519";tag="${SIGNATURE_TAG}"`;
  const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', key, baseOf(message, parameters)));
  return {
    ...(message.digest === null ? {} : { 'content-digest': message.digest }),
    'signature-input': `sallyport=${parameters}`,
    signature: `sallyport=:${base64(signature)}:`,
  };
}

/** Reads the signature of a request, without believing it. `now` in seconds since the epoch. */
export function readClaim(headers: Headers, method: string, url: URL, now: number): Claim | Refusal {
  const input = headers.get('signature-input');
  const value = headers.get('signature');
  if (input === null || value === null) return 'unsigned';
  if (input.length > MAX_INPUT_LENGTH) return 'malformed';
  const [, label, whole, components, list] = INPUT.exec(input) ?? [];
  const [, label2, bytes] = SIGNATURE.exec(value) ?? [];
  if (label === undefined || label !== label2 || whole === undefined || bytes === undefined) return 'malformed';
  if (components !== COMPONENTS && components !== COMPONENTS_WITH_BODY) return 'malformed';

  const numbers = new Map<string, number>();
  const texts = new Map<string, string>();
  let count = 0;
  for (const [, name = '', number, text] of (list ?? '').matchAll(PARAMETER)) {
    count++;
    if (number !== undefined) numbers.set(name, Number(number));
    else texts.set(name, text ?? '');
  }
  const created = numbers.get('created');
  const expires = numbers.get('expires');
  const nonce = texts.get('nonce');
  const keyid = texts.get('keyid');
  // Each of them once, of its type, and nothing else: as many were written as there are names, and all names are there.
  if (count !== PARAMETERS.length || created === undefined || expires === undefined) return 'malformed';
  if (nonce === undefined || !NONCE.test(nonce) || keyid === undefined) return 'malformed';
  if (texts.get('alg') !== 'ed25519' || texts.get('tag') !== SIGNATURE_TAG) return 'malformed';
  if (expires <= created || expires - created > SIGNATURE_SECONDS) return 'malformed';
  if (Math.abs(now - created) > SIGNATURE_SECONDS || expires <= now) return 'untimely';

  let digest: string | null = null;
  if (components === COMPONENTS_WITH_BODY) {
    digest = headers.get('content-digest');
    if (digest === null || !DIGEST.test(digest)) return 'malformed';
  }
  const base = baseOf({ method, url, digest }, whole);
  return { nonce, keyid, expires, digest, base, signature: bytesOf(bytes) };
}

/** SPEC: RFC 9421 section 2.5. The URL class gives 2.2.3, 2.2.6 and 2.2.7 their normal forms. */
function baseOf({ method, url, digest }: Message, parameters: string): Uint8Array<ArrayBuffer> {
  const lines = [
    `"@method": ${method}`,
    `"@authority": ${url.host}`,
    `"@path": ${url.pathname}`,
    `"@query": ${url.search === '' ? '?' : url.search}`,
    ...(digest === null ? [] : [`"content-digest": ${digest}`]),
    `"@signature-params": ${parameters}`,
  ];
  return new Uint8Array(new TextEncoder().encode(lines.join('\n')));
}

/** Value of Content-Digest for a body. */
export async function contentDigest(body: Uint8Array<ArrayBuffer>): Promise<string> {
  return `sha-256=:${base64(new Uint8Array(await crypto.subtle.digest('SHA-256', body)))}:`;
}

/** True for the `x` of an Ed25519 JWK: 32 bytes as base64url. */
export function isPublicKey(x: string): boolean {
  return PUBLIC_KEY.test(x);
}

/** SPEC: RFC 7638, RFC 8037 appendix A.3: SHA-256 over the required members of the JWK, in the order of their names. */
export async function thumbprint(x: string): Promise<string> {
  const jwk = new TextEncoder().encode(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }));
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', jwk)));
}

/** The key that `x` is, for `crypto.subtle.verify`. Rejects when it is none. */
export function publicKey(x: string): Promise<CryptoKey> {
  return crypto.subtle.importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x }, 'Ed25519', false, ['verify']);
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function base64url(bytes: Uint8Array): string {
  return base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
