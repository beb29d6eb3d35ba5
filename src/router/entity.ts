/** Texts that the gateway itself answers with, as representations: entity tags, conditional requests, HEAD. */

/** A strong entity tag of the bytes. */
export async function entityTag(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `"${Array.from(digest.subarray(0, 12), (byte) => byte.toString(16).padStart(2, '0')).join('')}"`;
}

/** SPEC: RFC 9110 section 13.1.2: weak comparison. */
export function noneMatches(condition: string | null, etag: string): boolean {
  if (condition === null) return true;
  if (condition.trim() === '*') return false;
  return !condition.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag.replace(/^W\//, ''));
}

/** 200, or 304 where the client has it already. */
export function entityResponse(request: Request, bytes: Uint8Array<ArrayBuffer>, etag: string, type: string): Response {
  const headers = new Headers({ etag, 'cache-control': 'public, max-age=3600' });
  if (!noneMatches(request.headers.get('if-none-match'), etag)) return new Response(null, { status: 304, headers });
  headers.set('content-type', type);
  headers.set('content-length', String(bytes.byteLength));
  return new Response(request.method === 'HEAD' ? null : bytes, { headers });
}
