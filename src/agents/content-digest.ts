/**
 * Content-Digest: what a body is, so that a signature which covers the field covers the body.
 *
 * SPEC: RFC 9530 section 2; sha-256 and sha-512, the algorithms that it does not call insecure.
 */
import { base64OfBytes } from './structured-field-text.ts';
import { isInnerList, parseDictionary, StructuredFieldError } from './structured-field.ts';

const HASHES: Readonly<Record<string, string>> = { 'sha-256': 'SHA-256', 'sha-512': 'SHA-512' };

export type DigestResult = 'match' | 'mismatch' | 'unsupported' | 'malformed';

/** Every digest that is known must be the body's; `unsupported` when none is known. */
export async function checkDigest(field: string, body: Uint8Array<ArrayBuffer>): Promise<DigestResult> {
  let known = 0;
  try {
    for (const [name, member] of parseDictionary(field, { unique: true })) {
      if (isInnerList(member) || member.item.type !== 'bytes') return 'malformed';
      const hash = Object.hasOwn(HASHES, name) ? HASHES[name] : undefined;
      if (hash === undefined) continue;
      known++;
      const digest = new Uint8Array(await crypto.subtle.digest(hash, body));
      const given = member.item.value;
      if (given.byteLength !== digest.byteLength || !digest.every((byte, at) => byte === given[at])) return 'mismatch';
    }
  } catch (error) {
    if (error instanceof StructuredFieldError) return 'malformed';
    throw error;
  }
  return known === 0 ? 'unsupported' : 'match';
}

/** Value of the field for a body. */
export async function contentDigest(body: Uint8Array<ArrayBuffer>): Promise<string> {
  return `sha-256=:${base64OfBytes(new Uint8Array(await crypto.subtle.digest('SHA-256', body)))}:`;
}
