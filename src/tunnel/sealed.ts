/**
 * Signed texts of tunnels: `v1.PAYLOAD.SIGNATURE`, JSON and Ed25519 as base64url. What is signed is a context and the
 * payload as it was sent, so that no text of one kind passes for another and nobody has to write JSON twice the same way.
 */
import { publicKey } from '../control/signature.ts';

const TEXT = /^v1\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/;

/** A text that was taken apart and is not believed yet. */
export interface Sealed {
  readonly payload: Readonly<Record<string, unknown>>;
  readonly encoded: string;
  readonly signature: Uint8Array<ArrayBuffer>;
}

export async function seal(key: CryptoKey, context: string, payload: object): Promise<string> {
  const encoded = base64url(new TextEncoder().encode(JSON.stringify(payload)));
  const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', key, signedBytes(context, encoded)));
  return `v1.${encoded}.${base64url(signature)}`;
}

/** Null for a text of another form, or of more than `limit` characters. */
export function open(text: string, limit: number): Sealed | null {
  if (text.length > limit) return null;
  const [, encoded, signature] = TEXT.exec(text) ?? [];
  if (encoded === undefined || signature === undefined) return null;
  // 86 characters are four bits more than a signature: one spelling of it, so that no text stands for another.
  if (base64url(bytesOf(signature)) !== signature) return null;
  try {
    const payload: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytesOf(encoded)),
    );
    if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return null;
    return { payload: payload as Record<string, unknown>, encoded, signature: bytesOf(signature) };
  } catch {
    return null; // not base64url, not UTF-8, not JSON
  }
}

/** Whether the key with that `x` has signed it. */
export async function genuine(x: string, context: string, { encoded, signature }: Sealed): Promise<boolean> {
  try {
    return await crypto.subtle.verify('Ed25519', await publicKey(x), signature, signedBytes(context, encoded));
  } catch {
    return false; // 32 bytes that are no point of the curve
  }
}

function signedBytes(context: string, encoded: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${context}\n${encoded}`) as Uint8Array<ArrayBuffer>;
}

export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}
