/** Parts of an absolute URL without parsing it: `new URL` normalises, and costs more than a request may spend on it. */

/** `host:port` of an absolute URL, or of `scheme://host:port`. */
export function authorityOf(url: string): string {
  const start = url.indexOf('://') + 3;
  for (let i = start; i < url.length; i++) {
    const c = url.charCodeAt(i);
    if (c === 0x2f || c === 0x3f || c === 0x23) return url.slice(start, i);
  }
  return url.slice(start);
}

/** `host:port` -> `host`; brackets of IPv6 stay. */
export function hostnameOf(authority: string): string {
  const colon = authority.lastIndexOf(':');
  return colon > authority.lastIndexOf(']') ? authority.slice(0, colon) : authority;
}

/** `host:port` -> `port`, '' if there is none. */
export function portOf(authority: string): string {
  const colon = authority.lastIndexOf(':');
  return colon > authority.lastIndexOf(']') ? authority.slice(colon + 1) : '';
}
