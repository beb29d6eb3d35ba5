// Fills the collections from the heads of a request and a response.
import { alloc } from '../arena';
import { headerCount, headerNameAt, headerNameLength, headerValueAt, headerValueLength } from '../headers';
import {
  PROGRAM_LIMITS,
  VARIABLE_QUERY_STRING,
  VARIABLE_REMOTE_ADDR,
  VARIABLE_REMOTE_HOST,
  VARIABLE_REQUEST_BASENAME,
  VARIABLE_REQUEST_FILENAME,
  VARIABLE_REQUEST_HEADERS,
  VARIABLE_REQUEST_LINE,
  VARIABLE_REQUEST_METHOD,
  VARIABLE_REQUEST_PROTOCOL,
  VARIABLE_REQUEST_URI,
  VARIABLE_REQUEST_URI_RAW,
  VARIABLE_RESPONSE_BODY,
  VARIABLE_RESPONSE_CONTENT_LENGTH,
  VARIABLE_RESPONSE_CONTENT_TYPE,
  VARIABLE_RESPONSE_HEADERS,
  VARIABLE_RESPONSE_PROTOCOL,
  VARIABLE_RESPONSE_STATUS,
  VARIABLE_SERVER_NAME,
  VARIABLE_STATUS_LINE,
  VARIABLE_UNIQUE_ID,
} from './abi';
import { parseQuery, processorOf } from './body/body';
import { parseCookies } from './body/cookies';
import { addValue, firstValue, setNumber, setText, valueAt, valueLength } from './collections';
import { hexDigit } from '../pairs';
import { equalBytes } from '../hash';
import { equalFolded } from './name';
import { program, uses, word } from './program';
import { responseAccess } from './state';
import { fillTime } from './time';

const COOKIE = memory.data<u8>([0x63, 0x6f, 0x6f, 0x6b, 0x69, 0x65]);
const CONTENT_TYPE = memory.data<u8>([0x63, 0x6f, 0x6e, 0x74, 0x65, 0x6e, 0x74, 0x2d, 0x74, 0x79, 0x70, 0x65]);
const HOST = memory.data<u8>([0x68, 0x6f, 0x73, 0x74]);

/** Value of the first Content-Type of the request; length 0 for none. */
export let contentTypeAt: usize = 0;
export let contentTypeLength: i32 = 0;

/** PROCESSOR_* that the Content-Type asks for. */
export function defaultProcessor(): i32 {
  return processorOf(contentTypeAt, contentTypeLength);
}

/**
 * Adds what the head of a request holds. `target` is the request target as it came; `remote` the client's address without
 * port; `canonical` the path as an origin gets it, 0 where that is the one of the target. False when a limit is reached.
 */
export function fillRequest(
  method: usize,
  methodLength: i32,
  target: usize,
  targetLength: i32,
  protocol: usize,
  protocolLength: i32,
  remote: usize,
  remoteLength: i32,
  headers: usize,
  seed: i32,
  now: i32,
  canonical: usize,
  canonicalLength: i32,
): bool {
  contentTypeAt = target;
  contentTypeLength = 0;
  if (!setText(VARIABLE_REQUEST_METHOD, method, methodLength)) return false;
  if (!setText(VARIABLE_REQUEST_PROTOCOL, protocol, protocolLength)) return false;
  if (!setText(VARIABLE_REQUEST_URI_RAW, target, targetLength)) return false;
  if (!setText(VARIABLE_REMOTE_ADDR, remote, remoteLength)) return false;
  if (!setText(VARIABLE_REMOTE_HOST, remote, remoteLength)) return false;
  if (!fillTarget(target, targetLength, canonical, canonicalLength)) return false;
  if (uses(VARIABLE_REQUEST_LINE)) {
    const length = methodLength + targetLength + protocolLength + 2;
    const line = alloc(length);
    if (line == 0) return false;
    let to = line;
    memory.copy(to, method, <usize>methodLength);
    to += <usize>methodLength;
    store<u8>(to++, 0x20);
    memory.copy(to, target, <usize>targetLength);
    to += <usize>targetLength;
    store<u8>(to++, 0x20);
    memory.copy(to, protocol, <usize>protocolLength);
    if (!setText(VARIABLE_REQUEST_LINE, line, length)) return false;
  }
  if (uses(VARIABLE_UNIQUE_ID) && !fillUniqueId(seed)) return false;
  if (!fillTime(now)) return false;
  const count = headerCount(headers);
  for (let i = 0; i < count; i++) {
    const name = headerNameAt(headers, i);
    const nameLength = headerNameLength(headers, i);
    const value = headerValueAt(headers, i);
    const length = headerValueLength(headers, i);
    if (!addValue(VARIABLE_REQUEST_HEADERS, name, nameLength, value, length)) return false;
    if (nameLength == 6 && equalFolded(name, COOKIE, 6)) {
      if (!parseCookies(value, length)) return false;
    } else if (nameLength == 12 && contentTypeLength == 0 && equalFolded(name, CONTENT_TYPE, 12)) {
      contentTypeAt = value;
      contentTypeLength = length;
    } else if (nameLength == 4 && equalFolded(name, HOST, 4)) {
      let host = 0;
      while (host < length && load<u8>(value + <usize>host) != 0x3a) host++;
      if (!setText(VARIABLE_SERVER_NAME, value, host)) return false;
    }
  }
  return true;
}

/**
 * The parts of a request target. SPEC: ModSecurity takes them as Apache parses them: the path ends at `?` or `#`, the query
 * at `#`, and of an absolute target scheme and authority are left out. Where the origin gets another path, since `..` was
 * resolved in it, rules look at both.
 */
function fillTarget(target: usize, length: i32, canonical: usize, canonicalLength: i32): bool {
  const end = target + <usize>length;
  let path = target;
  if (length > 0 && load<u8>(target) != 0x2f) {
    let p = target;
    while (p < end && isSchemeByte(load<u8>(p))) p++;
    if (p > target && p + 3 <= end && load<u8>(p) == 0x3a && load<u16>(p, 1) == 0x2f2f) {
      p += 3;
      while (p < end && load<u8>(p) != 0x2f && load<u8>(p) != 0x3f && load<u8>(p) != 0x23) p++;
      path = p;
    }
  }
  let pathEnd = path;
  let escaped = false;
  for (; pathEnd < end; pathEnd++) {
    const byte = load<u8>(pathEnd);
    if (byte == 0x3f || byte == 0x23) break;
    escaped = escaped || byte == 0x25;
  }
  let query = pathEnd;
  let queryEnd = pathEnd;
  const hasQuery = pathEnd < end && load<u8>(pathEnd) == 0x3f;
  if (hasQuery) {
    query++;
    queryEnd = query;
    while (queryEnd < end && load<u8>(queryEnd) != 0x23) queryEnd++;
  }
  if (hasQuery && !setText(VARIABLE_QUERY_STRING, query, <i32>(queryEnd - query))) return false;
  let uri = path;
  let uriLength = <i32>(queryEnd - path);
  let pathLength = <i32>(pathEnd - path);
  if (escaped) {
    uri = alloc(uriLength);
    if (uri == 0) return false;
    pathLength = decodePath(path, pathEnd, uri);
    const rest = <i32>(queryEnd - pathEnd);
    memory.copy(uri + <usize>pathLength, pathEnd, rest);
    uriLength = pathLength + rest;
  }
  return (
    setText(VARIABLE_REQUEST_URI, uri, uriLength) &&
    setText(VARIABLE_REQUEST_FILENAME, uri, pathLength) &&
    fillBasename(uri, pathLength) &&
    (canonical == 0 || fillCanonical(canonical, canonicalLength, uri, pathLength, uriLength)) &&
    parseQuery(query, <i32>(queryEnd - query))
  );
}

/** Adds the path at `path` to that at `uri`, decoded as that is, unless it comes to the same. */
function fillCanonical(path: usize, length: i32, uri: usize, uriPath: i32, uriLength: i32): bool {
  const rest = uriLength - uriPath;
  const other = alloc(length + rest);
  if (other == 0) return false;
  const decoded = decodePath(path, path + <usize>length, other);
  if (decoded == uriPath && equalBytes(other, uri, decoded)) return true;
  memory.copy(other + <usize>decoded, uri + <usize>uriPath, rest);
  return (
    addValue(VARIABLE_REQUEST_URI, other, 0, other, decoded + rest) &&
    addValue(VARIABLE_REQUEST_FILENAME, other, 0, other, decoded) &&
    fillBasename(other, decoded)
  );
}

/**
 * The path of REQUEST_URI and REQUEST_FILENAME; its length. SPEC: Apache has decoded it by phase 2, where most rules look at
 * it, and not yet in phase 1; ModSecurity v3 shows it decoded always, and so do we. REQUEST_URI_RAW keeps it as it came, and
 * so does the query of REQUEST_URI.
 */
function decodePath(path: usize, end: usize, to: usize): i32 {
  const start = to;
  for (let p = path; p < end; p++, to++) {
    let byte = load<u8>(p);
    if (byte == 0x25 && p + 2 < end) {
      const high = hexDigit(load<u8>(p, 1));
      const low = hexDigit(load<u8>(p, 2));
      if ((high | low) >= 0) {
        byte = <u8>((high << 4) | low);
        p += 2;
      }
    }
    store<u8>(to, byte);
  }
  return <i32>(to - start);
}

function fillBasename(path: usize, length: i32): bool {
  const end = path + <usize>length;
  let base = path;
  for (let p = path; p < end; p++) if (load<u8>(p) == 0x2f) base = p + 1;
  for (let p = base; p < end; p++) if (load<u8>(p) == 0x5c) base = p + 1;
  const size = <i32>(end - base);
  const known = firstValue(VARIABLE_REQUEST_BASENAME);
  if (known != 0 && valueLength(known) == size && equalBytes(valueAt(known), base, size)) return true;
  return addValue(VARIABLE_REQUEST_BASENAME, base, 0, base, size);
}

// @ts-ignore: decorator
@inline
function isSchemeByte(byte: u8): bool {
  return (<u32>byte | 0x20) - 0x61 < 26 || <u32>byte - 0x30 < 10 || byte == 0x2b || byte == 0x2d || byte == 0x2e;
}

/** 24 hexadecimal digits out of the 32 random bits. */
function fillUniqueId(seed: i32): bool {
  const text = alloc(24);
  if (text == 0) return false;
  let state = <u32>seed;
  for (let i: usize = 0; i < 24; i++) {
    // A step of splitmix32 for each digit.
    state += 0x9e3779b9;
    let mixed = state ^ (state >> 16);
    mixed *= 0x21f0aaad;
    mixed ^= mixed >> 15;
    mixed *= 0x735a2d97;
    const digit = (mixed ^ (mixed >> 15)) & 15;
    store<u8>(text + i, <u8>(digit < 10 ? digit + 0x30 : digit + 0x57));
  }
  return setText(VARIABLE_UNIQUE_ID, text, 24);
}

/**
 * Adds what an answer holds, after the state is there; the body is what of it is held, of which no more is looked at than
 * the program says. False when a limit is reached.
 */
export function fillResponse(
  status: i32,
  protocol: usize,
  protocolLength: i32,
  headers: usize,
  body: usize,
  bodyLength: i32,
): bool {
  if (!setNumber(VARIABLE_RESPONSE_STATUS, status)) return false;
  if (!setText(VARIABLE_RESPONSE_PROTOCOL, protocol, protocolLength)) return false;
  if (uses(VARIABLE_STATUS_LINE)) {
    const line = alloc(protocolLength + 4);
    if (line == 0) return false;
    memory.copy(line, protocol, <usize>protocolLength);
    let to = line + <usize>protocolLength;
    store<u8>(to, 0x20);
    store<u8>(to, <u8>(0x30 + (status / 100) % 10), 1);
    store<u8>(to, <u8>(0x30 + (status / 10) % 10), 2);
    store<u8>(to, <u8>(0x30 + status % 10), 3);
    if (!setText(VARIABLE_STATUS_LINE, line, protocolLength + 4)) return false;
  }
  const count = headerCount(headers);
  for (let i = 0; i < count; i++) {
    const name = headerNameAt(headers, i);
    const nameLength = headerNameLength(headers, i);
    const value = headerValueAt(headers, i);
    const length = headerValueLength(headers, i);
    if (!addValue(VARIABLE_RESPONSE_HEADERS, name, nameLength, value, length)) return false;
    if (nameLength == 12 && equalFolded(name, CONTENT_TYPE, 12) && !setText(VARIABLE_RESPONSE_CONTENT_TYPE, value, length)) return false;
  }
  if (!setNumber(VARIABLE_RESPONSE_CONTENT_LENGTH, bodyLength)) return false;
  return !responseAccess || setText(VARIABLE_RESPONSE_BODY, body, min(bodyLength, word(program, PROGRAM_LIMITS + 1)));
}
