/** Small operations on text that becomes a URL or a header. All linear, none allocates when nothing has to change. */

// Bytes a URL may carry as they are; everything else is percent-encoded before it goes into Location or a path.
const UNSAFE_IN_URL = /[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7e]/;

/** Percent-encodes what must not stand in a URL: controls, space, quotes, `<>`, `\`, `^`, backtick, non-ASCII. */
export function safeUrl(text: string): string {
  if (!UNSAFE_IN_URL.test(text)) return text;
  let out = '';
  for (const byte of new TextEncoder().encode(text)) {
    const c = String.fromCharCode(byte);
    out += byte > 0x7e || UNSAFE_IN_URL.test(c) ? '%' + (byte < 16 ? '0' : '') + byte.toString(16).toUpperCase() : c;
  }
  return out;
}

const UNSAFE_IN_VALUE = /[^\x20-\x7e\t]/g;

/** Makes a computed text fit to be a header value: what is not printable ASCII becomes `?`, ends are trimmed. */
export function safeValue(text: string): string {
  return text.replace(UNSAFE_IN_VALUE, '?').trim();
}

const NOT_IN_QUOTES = /[^\x20-\x7e]/g;

/** A quoted-string of RFC 9110, also an sf-string of RFC 9651: printable ASCII only. */
export function quoted(text: string): string {
  return '"' + text.replace(NOT_IN_QUOTES, '?').replace(/["\\]/g, '\\$&') + '"';
}

/** FNV-1a over UTF-16 units, 32 bits: spreads keys, hides nothing. */
export function hash32(text: string, seed = 0x811c9dc5): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  // Final avalanche (murmur3): FNV alone leaves the high bits of short keys alike, and rendezvous compares high bits.
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
