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

/** `1.2.3.4:5`, `[::1]:5`, `[::ffff:1.2.3.4]:5`, or a bare address -> the address, IPv4 where IPv6 only wraps it. */
export function addressOf(peer: string): string {
  const first = peer.indexOf(':');
  if (first < 0) return peer;
  if (peer.charCodeAt(0) !== 0x5b) return peer.indexOf(':', first + 1) < 0 ? peer.slice(0, first) : peer;
  const bare = hostnameOf(peer).slice(1, -1);
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
}
