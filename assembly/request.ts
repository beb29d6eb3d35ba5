// Views over the request and response heads of the current call. All of it is set anew by each call; spans are addresses
// into the head, the arena or an image, valid until the call ends.
import { MAX_ARGS, MAX_COOKIES, REASON_ARGS } from './abi';
import { parsePairs } from './pairs';

// Request line. A span is ...At and ...Length in bytes.
export let methodAt: usize = 0;
export let methodLength: i32 = 0;
/** Request.url as it arrived, without fragment. */
export let urlAt: usize = 0;
export let urlLength: i32 = 0;
export let schemeAt: usize = 0; // without `:`
export let schemeLength: i32 = 0;
/** Canonical host: lower case, no port, no trailing dot; IPv6 in brackets. */
export let hostAt: usize = 0;
export let hostLength: i32 = 0;
export let port: i32 = 0; // of the authority, else the scheme's default
export let rawPathAt: usize = 0;
export let rawPathLength: i32 = 0;
/** Canonical path: what routes, rules and the origin see. */
export let pathAt: usize = 0;
export let pathLength: i32 = 0;
/** Without `?`, raw. */
export let queryAt: usize = 0;
export let queryLength: i32 = 0;
export let hasQuery: bool = false; // true also for a bare `?`

/** Header table (headers.ts) of the request, with names resolved against the app's image. */
export let headers: usize = 0;

// Client address: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; 0 when it is unknown.
let client: usize = 0;
export function clientAddress(): usize {
  return client;
}
export function clientIsV4(): bool {
  return client != 0 && load<u64>(client) == 0 && load<u32>(client, 8) == 0xffff0000;
}

// Response head; responseHeaders is 0 outside of the response call.
export let responseStatus: i32 = 0;
export let responseHeaders: usize = 0;

// Body window; bodySize is what Content-Length or counting said in all, bodyTruncated that the window holds only a prefix.
export let bodyAt: usize = 0;
export let bodyLength: i32 = 0;
export let bodySize: i32 = 0;
export let bodyTruncated: bool = false;

let argsTable: usize = 0;
let cookiesTable: usize = 0;

/** Pair table (pairs.ts) of the decoded query parameters, parsed on first use; 0 when a limit was hit: stop the call. */
export function args(): usize {
  if (argsTable == 0) argsTable = parsePairs(queryAt, queryLength, 0x26, true, MAX_ARGS, REASON_ARGS);
  return argsTable;
}

/** Pair table of the cookies, not decoded; 0 when a limit was hit. */
export function cookies(): usize {
  if (cookiesTable == 0) cookiesTable = parsePairs(0, 0, 0x3b, false, MAX_COOKIES, REASON_ARGS);
  return cookiesTable;
}
