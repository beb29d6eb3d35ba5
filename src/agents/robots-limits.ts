/** Limits of robots.txt: of files that origins write, and of what is asked of them. */

/** Bytes that are read of a file. SPEC: RFC 9309 section 2.5: at least 500 KiB. */
export const MAX_ROBOTS_BYTES = 512_000;
/** Bytes of a line; the rest of a longer one is not read. As much as crawlers read of one. */
export const MAX_ROBOTS_LINE = 16_663;
/** Allow and Disallow lines of a file; further ones are not read. */
export const MAX_ROBOTS_RULES = 8192;
/** User-agent lines of a file; further ones are not read, nor rules below them. */
export const MAX_ROBOTS_AGENTS = 8192;
/** Characters of a path and query that rules are compared with. */
export const MAX_ROBOTS_PATH = 16_663;
/**
 * Characters that rules with wildcards may look at for one request, 16 ms at worst; further such rules match nothing. Rules
 * without wildcards cost nothing of it.
 */
export const MAX_ROBOTS_STEPS = 2_097_152;
/** Agents whose rules are kept sorted for the next request. */
export const MAX_SORTED_AGENTS = 64;

/** Milliseconds for an origin's file, redirects included. */
export const ROBOTS_TIMEOUT_MS = 3000;
/** SPEC: RFC 9309 section 2.3.1.2: at least five consecutive redirects. */
export const MAX_ROBOTS_REDIRECTS = 5;
/** Seconds that an origin's file is good for: unless it says so, at least, and at most (RFC 9309 section 2.4). */
export const DEFAULT_ROBOTS_SECONDS = 3600;
export const MIN_ROBOTS_SECONDS = 60;
export const MAX_ROBOTS_SECONDS = 86_400;
/** Seconds until an origin is asked again that gave no file, or could not be reached. */
export const ROBOTS_RETRY_SECONDS = 30;
/** Files of origins that are kept: one for each host, where origins are sent the host. */
export const MAX_ROBOTS_FILES = 64;
/** Bytes of them together; the least recently fetched go first. */
export const MAX_ROBOTS_KEPT_BYTES = 4_194_304;
/** Fetches of files at one time. */
export const MAX_ROBOTS_FETCHES = 8;
