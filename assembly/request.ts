// Views over the request and response heads of the current call. All of it is set anew by each call; spans are addresses
// into the head, the arena or an image, valid until the call ends.
import {
  BODY_AT,
  CLIENT_CF,
  CLIENT_PEER,
  HEAD_AT,
  HEADER_ENTRY_BYTES,
  HEAD_FIXED_FIELDS,
  MAX_ARGS,
  MAX_COOKIES,
  MAX_HEADERS,
  MAX_HEAD_BYTES,
  MAX_RESPONSE_HEAD_BYTES,
  MAX_URL_BYTES,
  MAX_XFF_HOPS,
  REASON_ARGS,
  REASON_CLIENT,
  REASON_CONTROL,
  REASON_HEADERS,
  REASON_HOST,
  REASON_NONE,
  REASON_SEPARATOR,
  REASON_URL,
  REASON_URL_LENGTH,
  RESPONSE_HEAD_AT,
  SECTION_SETTINGS,
  SETTING_CLIENT_FROM,
  SETTING_FAIL_CLOSED,
  SETTING_MERGE_SLASHES,
  SETTING_REJECT_ESCAPED_SLASHES,
  SETTING_TRUSTED_HOPS,
  SETTING_TRUSTED_LIST,
} from './abi';
import { addressAt, addressLength, parseAddress } from './address';
import { alloc, failure } from './arena';
import { contains, listAt } from './cidr';
import { headerEntry, headerValueAt, headerValueLength, newHeaders, resolveNames } from './headers';
import { equalBytes, hashBytes } from './hash';
import { nameAt, nameLength, parseAuthority, port as authorityPort } from './host';
import { sectionAt } from './image';
import { parsePairs } from './pairs';
import { canonicalAt, canonicalize, canonicalLength, changed } from './path';

// Request line. A span is ...At and ...Length in bytes.
export let methodAt: usize = 0;
export let methodLength: i32 = 0;
/** Request.url as it arrived, without fragment. */
export let urlAt: usize = 0;
export let urlLength: i32 = 0;
export let schemeAt: usize = 0; // `http` or `https`
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
export let pathChanged: bool = false;
/** Without `?`, raw. */
export let queryAt: usize = 0;
export let queryLength: i32 = 0;
export let hasQuery: bool = false; // true also for a bare `?`

/** Header table (headers.ts) of the request, with names resolved against the app's image. */
export let headers: usize = 0;
/** Index of the first user-agent header, or -1. */
export let userAgent: i32 = -1;

// Client address: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; 0 when it is unknown. Its text lies in the head.
let client: usize = 0;
export let clientAt: usize = 0;
export let clientLength: i32 = 0;
/** True when the peer is a proxy that the app's address rule believes. */
export let trusted: bool = false;
export function clientAddress(): usize {
  return client;
}

// Response head; responseHeaders is 0 outside of the response call.
export let responseStatus: i32 = 0;
export let responseHeaders: usize = 0;

// Body window; bodySize is what Content-Length or counting said in all, bodyTruncated that the window holds only a prefix.
export let bodyAt: usize = 0;
export let bodyLength: i32 = 0;
export let bodySize: i32 = 0;
export let bodyTruncated: bool = false;

let peerAt: usize = 0;
let peerLength: i32 = 0;
let hostHeader: i32 = -1;
let hostHeaders: i32 = 0;
let cookieHeader: i32 = -1;
let forwardedFor: i32 = -1;
let connectingIp: i32 = -1;
// A line of its own beside the proxy's could be the client's, so of two neither is believed. (Headers joins them.)
const TWICE = -2;
let argsTable: usize = 0;
let cookiesTable: usize = 0;

// What `split` found besides the header table.
let fieldsAt: usize = 0; // starts of the fixed fields, { u32 at, u32 length }
let controls: bool = false;

/**
 * Splits a head of `length` bytes at `at` into its fixed fields and a header table; the table, or 0 when the number of
 * separators is not `fields` (or the arena is exhausted). One pass of vectors finds separators and control bytes.
 */
function split(at: usize, length: i32, fields: i32, fixed: i32): usize {
  controls = false;
  if (fields < fixed || ((fields - fixed) & 1) != 0) return 0;
  fieldsAt = alloc(fixed << 3);
  const table = newHeaders((fields - fixed) >> 1);
  if (fieldsAt == 0 || table == 0) return 0;
  const end = at + <usize>length;
  // SAFETY: MAX_HEAD_BYTES leaves 16 bytes of the region free; zeroed, they hold no control byte and only separators that
  // are past the end.
  v128.store(end, i64x2.splat(0));
  const zero = i8x16.splat(0);
  const tab = i8x16.splat(9);
  const space = i8x16.splat(0x20);
  const rubout = i8x16.splat(0x7f);
  let bad = zero;
  let field = 0;
  let start = at;
  let entry = headerEntry(table, 0);
  for (let block = at; block < end; block += 16) {
    const bytes = v128.load(block);
    const isZero = i8x16.eq(bytes, zero);
    const harmless = v128.or(isZero, i8x16.eq(bytes, tab));
    bad = v128.or(bad, v128.or(v128.andnot(i8x16.lt_u(bytes, space), harmless), i8x16.eq(bytes, rubout)));
    let mask = i8x16.bitmask(isZero);
    for (; mask != 0; mask &= mask - 1) {
      const stop = block + <usize>ctz(mask);
      if (stop >= end) break;
      if (field == fields) return 0;
      const size = <i32>(stop - start);
      if (field < fixed) {
        store<u32>(fieldsAt + (<usize>field << 3), <u32>start);
        store<u32>(fieldsAt + (<usize>field << 3), size, 4);
      } else if (((field - fixed) & 1) == 0) {
        store<u32>(entry, <u32>start);
        store<u32>(entry, size, 4);
        store<u32>(entry, hashBytes(start, size), 16);
        store<i32>(entry, -1, 20);
      } else {
        store<u32>(entry, <u32>start, 8);
        store<u32>(entry, size, 12);
        // SAFETY: field < fields, so this is one of the (fields - fixed) / 2 entries.
        entry += HEADER_ENTRY_BYTES;
      }
      field++;
      start = stop + 1;
    }
  }
  controls = v128.any_true(bad);
  if (field != fields || start != end) return 0;
  store<u32>(table, (fields - fixed) >> 1);
  return table;
}

/** Reads the request head at HEAD_AT up to its authority; REASON_NONE or why the request is not acceptable. */
export function parseHead(length: i32, fields: i32): i32 {
  client = 0;
  clientLength = 0;
  trusted = false;
  responseStatus = 0;
  responseHeaders = 0;
  bodyAt = BODY_AT;
  bodyLength = 0;
  bodySize = 0;
  bodyTruncated = false;
  argsTable = 0;
  cookiesTable = 0;
  hostLength = 0;
  pathLength = 0;
  pathChanged = false;
  rawPathLength = 0;
  queryLength = 0;
  if (<u32>length > <u32>MAX_HEAD_BYTES || fields > MAX_HEADERS * 2 + HEAD_FIXED_FIELDS) return REASON_HEADERS;
  headers = split(HEAD_AT, length, fields, HEAD_FIXED_FIELDS);
  if (headers == 0) return REASON_SEPARATOR;
  methodAt = load<u32>(fieldsAt);
  methodLength = load<i32>(fieldsAt, 4);
  urlAt = load<u32>(fieldsAt, 8);
  urlLength = load<i32>(fieldsAt, 12);
  peerAt = load<u32>(fieldsAt, 16);
  peerLength = load<i32>(fieldsAt, 20);
  if (controls) return REASON_CONTROL;
  if (urlLength > MAX_URL_BYTES) return REASON_URL_LENGTH;
  findHeaders();
  return parseUrl();
}

/** Finds the headers that the engine itself reads. */
function findHeaders(): void {
  hostHeader = -1;
  hostHeaders = 0;
  cookieHeader = -1;
  userAgent = -1;
  forwardedFor = -1;
  connectingIp = -1;
  for (let i = load<i32>(headers) - 1; i >= 0; i--) {
    const entry = headerEntry(headers, i);
    const name = <usize>load<u32>(entry);
    switch (load<i32>(entry, 4)) {
      case 4:
        if (load<u32>(name) == 0x74736f68) {
          hostHeader = i;
          hostHeaders++;
        }
        break;
      case 6:
        if (load<u32>(name) == 0x6b6f6f63 && load<u16>(name, 4) == 0x6569) cookieHeader = i; // cookie
        break;
      case 10:
        if (load<u64>(name) == 0x6567612d72657375 && load<u16>(name, 8) == 0x746e) userAgent = i; // user-agent
        break;
      case 15:
        // x-forwarded-for: the two loads overlap by one byte
        if (load<u64>(name) == 0x726177726f662d78 && load<u64>(name, 7) == 0x726f662d64656472) forwardedFor = forwardedFor == -1 ? i : TWICE;
        break;
      case 16:
        if (load<u64>(name) == 0x656e6e6f632d6663 && load<u64>(name, 8) == 0x70692d676e697463) connectingIp = connectingIp == -1 ? i : TWICE; // cf-connecting-ip
        break;
    }
  }
}

/** SPEC: RFC 9112 section 3.3, with one authority allowed: the Host header and the target have to name the same. */
function parseUrl(): i32 {
  const end = urlAt + <usize>urlLength;
  let at = urlAt;
  while (at < end && load<u8>(at) != 0x3a) at++;
  schemeAt = urlAt;
  schemeLength = <i32>(at - urlAt);
  // The head is our own copy, so the scheme is lowered in place.
  for (let p = urlAt; p < at; p++) store<u8>(p, load<u8>(p) | 0x20);
  const secure = schemeLength == 5 && load<u8>(urlAt, 4) == 0x73;
  if (!(schemeLength == 4 || secure) || load<u32>(urlAt) != 0x70747468) return REASON_URL;
  if (end - at < 3 || load<u16>(at, 1) != 0x2f2f) return REASON_URL;
  const authority = at + 3;
  at = authority;
  while (at < end) {
    const byte = load<u8>(at);
    if (byte == 0x2f || byte == 0x3f || byte == 0x23) break;
    at++;
  }
  const authorityEnd = at;
  rawPathAt = at;
  while (at < end && load<u8>(at) != 0x3f && load<u8>(at) != 0x23) at++;
  rawPathLength = <i32>(at - rawPathAt);
  hasQuery = at < end && load<u8>(at) == 0x3f;
  queryAt = hasQuery ? at + 1 : at;
  at = queryAt;
  while (at < end && load<u8>(at) != 0x23) at++;
  queryLength = <i32>(at - queryAt);
  urlLength = <i32>(at - urlAt);

  const defaultPort = secure ? 443 : 80;
  if (hostHeaders != 1) return REASON_HOST;
  const value = headerValueAt(headers, hostHeader);
  const length = headerValueLength(headers, hostHeader);
  if (!parseAuthority(value, value + <usize>length)) return hostFailure();
  hostAt = nameAt;
  hostLength = nameLength;
  port = authorityPort != 0 ? authorityPort : defaultPort;
  if (<i32>(authorityEnd - authority) == length && equalBytes(authority, value, length)) return REASON_NONE;
  if (!parseAuthority(authority, authorityEnd)) return hostFailure();
  const same =
    nameLength == hostLength &&
    equalBytes(nameAt, hostAt, hostLength) &&
    (authorityPort != 0 ? authorityPort : defaultPort) == port;
  return same ? REASON_NONE : REASON_HOST;
}

function hostFailure(): i32 {
  const limit = failure();
  hostLength = 0;
  return limit != REASON_NONE ? limit : REASON_HOST;
}

/** Applies the app's settings: names, canonical path, client address. REASON_NONE or why the request is refused. */
export function applyPolicy(image: usize): i32 {
  const settings = sectionAt(image, SECTION_SETTINGS);
  if (!resolveNames(headers, image)) return failure();
  const reason = canonicalize(
    rawPathAt,
    rawPathLength,
    load<u32>(settings, SETTING_MERGE_SLASHES * 4) != 0,
    load<u32>(settings, SETTING_REJECT_ESCAPED_SLASHES * 4) != 0,
  );
  if (reason != REASON_NONE) return reason;
  pathAt = canonicalAt;
  pathLength = canonicalLength;
  pathChanged = changed;
  return findClient(image, settings) || load<u32>(settings, SETTING_FAIL_CLOSED * 4) == 0 ? REASON_NONE : REASON_CLIENT;
}

/** Sets the client by the app's rule; false when it could not be established that way, and the peer stands in. */
function findClient(image: usize, settings: usize): bool {
  // Two addresses of 16 bytes: the client, and one to try.
  const address = alloc(32);
  if (address == 0) return false;
  const from = load<i32>(settings, SETTING_CLIENT_FROM * 4);
  if (!parseAddress(peerAt, peerLength, address)) return false;
  client = address;
  clientAt = addressAt;
  clientLength = addressLength;
  if (from == CLIENT_PEER) return true;
  const index = load<i32>(settings, SETTING_TRUSTED_LIST * 4);
  const list: usize = index < 0 ? 0 : listAt(image, index);
  const hops = load<i32>(settings, SETTING_TRUSTED_HOPS * 4);
  // A peer outside of the list is the client itself: what it says about others is not looked at. Without a list, hops
  // alone say that whoever connects is a proxy; CF-Connecting-IP has no such count, so there the peer is the client.
  trusted = list != 0 ? contains(list, address) : from != CLIENT_CF && hops > 0;
  if (!trusted) return true;
  const header = from == CLIENT_CF ? connectingIp : forwardedFor;
  if (header < 0) return false;
  const start = headerValueAt(headers, header);
  let end = start + <usize>headerValueLength(headers, header);
  const candidate = address + 16;
  if (from == CLIENT_CF) return take(start, end, candidate);
  for (let hop = 1; hop <= MAX_XFF_HOPS; hop++) {
    let comma = end;
    while (comma > start && load<u8>(comma - 1) != 0x2c) comma--;
    const last = comma == start;
    if (hops > 0) {
      if (hop == hops) return take(comma, end, candidate);
    } else {
      if (!take(comma, end, candidate)) return false;
      // The first address from the right that is not a proxy of ours; if all are, the left-most.
      if (last || !contains(list, candidate)) return true;
    }
    if (last) return false;
    end = comma - 1;
  }
  return peerStandsIn(address); // candidates were proxies all along
}

/** False, with the peer as the client again; it was read before, so it can be. `out` has room for an address. */
function peerStandsIn(out: usize): bool {
  parseAddress(peerAt, peerLength, out);
  client = out;
  clientAt = addressAt;
  clientLength = addressLength;
  return false;
}

/** Makes the address in [at, end), blanks aside, the client; on failure the peer is the client again. */
function take(at: usize, end: usize, out: usize): bool {
  while (at < end && (load<u8>(at) == 0x20 || load<u8>(at) == 0x09)) at++;
  while (end > at && (load<u8>(end - 1) == 0x20 || load<u8>(end - 1) == 0x09)) end--;
  if (!parseAddress(at, <i32>(end - at), out)) return peerStandsIn(out);
  client = out;
  clientAt = addressAt;
  clientLength = addressLength;
  return true;
}

/** Reads the response head at RESPONSE_HEAD_AT; false when separators don't add up or a control byte is in it. */
export function parseResponse(length: i32, fields: i32, image: usize): bool {
  if (<u32>length > <u32>MAX_RESPONSE_HEAD_BYTES || fields > MAX_HEADERS * 2 + 1) return false;
  const table = split(RESPONSE_HEAD_AT, length, fields, 1);
  if (table == 0) return false;
  const at = <usize>load<u32>(fieldsAt);
  const digits = load<i32>(fieldsAt, 4);
  if (digits != 3) return false;
  responseStatus = 0;
  for (let i: usize = 0; i < 3; i++) responseStatus = responseStatus * 10 + <i32>load<u8>(at + i) - 0x30;
  responseHeaders = table;
  return resolveNames(table, image);
}

/** Sets the body window; the bytes are at BODY_AT. */
export function setBody(length: i32, size: i32, truncated: bool): void {
  bodyLength = length;
  bodySize = size;
  bodyTruncated = truncated;
}

/** Pair table (pairs.ts) of the decoded query parameters, parsed on first use; 0 when a limit was hit: stop the call. */
export function args(): usize {
  if (argsTable == 0) argsTable = parsePairs(queryAt, queryLength, 0x26, true, MAX_ARGS, REASON_ARGS);
  return argsTable;
}

/** Pair table of the cookies, not decoded, parsed on first use; 0 when a limit was hit. */
export function cookies(): usize {
  if (cookiesTable == 0) {
    const none = cookieHeader < 0;
    const at = none ? <usize>HEAD_AT : headerValueAt(headers, cookieHeader);
    const length = none ? 0 : headerValueLength(headers, cookieHeader);
    cookiesTable = parsePairs(at, length, 0x3b, false, MAX_COOKIES, REASON_ARGS);
  }
  return cookiesTable;
}
