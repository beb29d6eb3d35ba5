/** `Origin` of requests to MCP servers: pages of others must not reach them through a browser (DNS rebinding). */
import { matchesPattern } from '../name-pattern.ts';

/**
 * Without the header it is no browser that asks. `allowed` null: pages of the same host and port only, else what a pattern
 * matches.
 * SPEC: modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http: an invalid Origin is 403.
 */
export function isAllowedOrigin(origin: string | null, host: string, allowed: readonly string[] | null): boolean {
  if (origin === null || origin === '') return true;
  if (allowed !== null) {
    const lower = origin.toLowerCase();
    return allowed.some((pattern) => matchesPattern(pattern, lower));
  }
  const scheme = /^(https?):\/\/[^/]/i.exec(origin)?.[1];
  if (scheme === undefined) return false;
  // A port that is the scheme's own may stand in one of the two and not in the other.
  const [a, b] = [hostOf(origin), hostOf(`${scheme}://${host}`)];
  return a !== null && a === b;
}

function hostOf(url: string): string | null {
  try {
    const { host, pathname, search, hash, username } = new URL(url);
    return pathname === '/' && search === '' && hash === '' && username === '' ? host : null;
  } catch {
    return null;
  }
}
