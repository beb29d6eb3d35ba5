/** Versions of the Model Context Protocol. SPEC: modelcontextprotocol.io/specification, versioning. */

/** From here on there are no sessions, and headers say what the body says. */
export const STATELESS_SINCE = '2026-07-28';

/** Newest first. */
export const MCP_VERSIONS = ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;

/** What holds for a request without the header, which 2025-06-18 brought. */
export const UNTOLD_VERSION = '2025-03-26';

/** Versions are dates, which compare as text; whatever else is one to nobody. */
export function isStateless(version: string): boolean {
  return /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(version) && version >= STATELESS_SINCE;
}

/** SPEC: 2025-06-18, changes: batches were removed. */
export function hasBatches(version: string): boolean {
  return version < '2025-06-18';
}
