/**
 * What challenges are signed with: made once for a deployment and kept by an object, so that all isolates and processes
 * believe what one of them has signed.
 */
import type { ObjectNamespace } from '../durable-object.ts';
import { LIMITER_TIMEOUT_MS } from './limits.ts';
import { bytesOfBase64Url } from './json-web-key.ts';

/** The object, which is none of those that count. */
const NAME = 'challenge-secret';

let known: CryptoKey | null = null;
/** Where nobody keeps one. */
let own: Uint8Array<ArrayBuffer> | null = null;

/**
 * Rejects when it can not be had. `namespace` null: there are no objects, and so there is one process alone. What is kept is
 * the key, never the asking for it: the runtime drops that with the request that began it, and others would wait forever.
 */
export async function challengeKey(namespace: ObjectNamespace | null): Promise<CryptoKey> {
  if (known !== null) return known;
  const key = await keyOf(
    namespace === null ? (own ??= crypto.getRandomValues(new Uint8Array(32))) : await ask(namespace),
  );
  return (known ??= key);
}

async function ask(namespace: ObjectNamespace): Promise<Uint8Array<ArrayBuffer>> {
  const stub = namespace.get(namespace.idFromName(NAME) as never);
  const response = await stub.fetch('http://limit/secret', {
    method: 'POST',
    signal: AbortSignal.timeout(LIMITER_TIMEOUT_MS),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`the secret of challenges can not be had: ${response.status}`);
  return bytesOfBase64Url(text);
}

function keyOf(bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
}
