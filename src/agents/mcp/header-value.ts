/**
 * Values of `Mcp-Name` and `Mcp-Param-*`, which repeat what the body says. What a header cannot carry stands there as
 * `=?base64?…?=`; it is decoded before anything is compared with it, or a list of names could be passed by.
 * SPEC: modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http, Value Encoding.
 */

const PREFIX = '=?base64?';
const SUFFIX = '?=';

/** The text that the value stands for; null when it is none: other bytes than visible ASCII, blank and tab, or bad Base64. */
export function readHeaderValue(value: string): string | null {
  if (!/^[\t\x20-\x7e]*$/.test(value)) return null;
  if (!value.startsWith(PREFIX) || !value.endsWith(SUFFIX) || value.length < PREFIX.length + SUFFIX.length)
    return value;
  const text = value.slice(PREFIX.length, -SUFFIX.length);
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  try {
    const binary = atob(text);
    // Bits behind the last byte must be 0: readers differ about those.
    if (btoa(binary) !== text) return null;
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The value of a header that stands for `text`. */
export function writeHeaderValue(text: string): string {
  const plain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text);
  if (plain && !(text.startsWith(PREFIX) && text.endsWith(SUFFIX))) return text;
  const bytes = new TextEncoder().encode(text);
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return PREFIX + btoa(binary) + SUFFIX;
}
