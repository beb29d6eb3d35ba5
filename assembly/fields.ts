// The fields of the rules language, as values over the heads and the body of the current call. Each is worked out on first
// use and kept until the call ends. See fields.ts of the compiler for names and types.
import {
  FIELD_ACCEPTED_LANGUAGES,
  FIELD_ADDRESS,
  FIELD_AGENT_AUTOMATED,
  FIELD_AGENT_BOT,
  FIELD_AGENT_CATEGORY,
  FIELD_AGENT_DOMAIN,
  FIELD_AGENT_IDENTITY,
  FIELD_AGENT_NAME,
  FIELD_AGENT_OPERATOR,
  FIELD_AGENT_SCORE,
  FIELD_AGENT_SIGNALS,
  FIELD_AGENT_VERIFIED,
  FIELD_ARGS,
  FIELD_ARGS_NAMES,
  FIELD_ARGS_VALUES,
  FIELD_BODY_MIME,
  FIELD_BODY_RAW,
  FIELD_BODY_SIZE,
  FIELD_BODY_TRUNCATED,
  FIELD_COOKIE,
  FIELD_COOKIES,
  FIELD_COUNT,
  FIELD_EXTENSION,
  FIELD_FORM,
  FIELD_FORM_NAMES,
  FIELD_FORM_VALUES,
  FIELD_FULL_URI,
  FIELD_HEADERS,
  FIELD_HEADERS_NAMES,
  FIELD_HEADERS_TRUNCATED,
  FIELD_HEADERS_VALUES,
  FIELD_HOST,
  FIELD_METHOD,
  FIELD_PATH,
  FIELD_QUERY,
  FIELD_RAW_FULL_URI,
  FIELD_RAW_PATH,
  FIELD_RAW_QUERY,
  FIELD_RAW_URI,
  FIELD_REFERER,
  FIELD_RESPONSE_CODE,
  FIELD_RESPONSE_HEADERS,
  FIELD_RESPONSE_HEADERS_NAMES,
  FIELD_RESPONSE_HEADERS_VALUES,
  FIELD_RESPONSE_MEDIA_TYPE,
  FIELD_SSL,
  FIELD_TIMESTAMP,
  FIELD_URI,
  FIELD_USER_AGENT,
  FIELD_X_FORWARDED_FOR,
  MAX_ARGS,
  MAX_LANGUAGES,
  PROOF_CLAIMED,
  PROOF_SPOOFED,
  PROOF_VERIFIED,
  REASON_ARGS,
} from './abi';
import { agentCategory, agentDomain, agentKnown, agentName, agentOperator, identity } from './agents/identity';
import { isAutomated, signalNames, signalScore } from './agents/signals';
import { alloc, fail, spend } from './arena';
import { headerCount, headerEntry, headerEntryNamed } from './headers';
import { equalBytes } from './hash';
import { sniffMediaType } from './media';
import { pairCount, pairNameAt, pairNameLength, pairValueAt, pairValueLength, hexDigit } from './pairs';
import { hasProtocolField, isProtocolField, protocolField } from './protocol';
import * as request from './request';
import { atOf, element, lengthOf, lowerByte, newArray, span } from './values';

const UNKNOWN: u8 = 0;
const MISSING: u8 = 1;
const PRESENT: u8 = 2;
const states = memory.data(FIELD_COUNT);
const values = memory.data(FIELD_COUNT * 8, 8);

let now: i32 = 0;

// What `agent.identity` says.
const VERIFIED = memory.data<u8>([0x76, 0x65, 0x72, 0x69, 0x66, 0x69, 0x65, 0x64]);
const CLAIMED = memory.data<u8>([0x63, 0x6c, 0x61, 0x69, 0x6d, 0x65, 0x64]);
const SPOOFED = memory.data<u8>([0x73, 0x70, 0x6f, 0x6f, 0x66, 0x65, 0x64]);
const NOBODY = memory.data<u8>([0x75, 0x6e, 0x6b, 0x6e, 0x6f, 0x77, 0x6e]);

/** True when something was kept in the arena since it was last set to false; then it can't be released to before that. */
export let kept: bool = false;
export function forgetKept(): void {
  kept = false;
}

/** Forgets all fields: at the start of every call, after the request is parsed. `at` is seconds since the epoch. */
export function startFields(at: i32): void {
  memory.fill(states, UNKNOWN, FIELD_COUNT);
  now = at;
}

let found: u64 = 0;

/** True when field `id` is there; its value is then `fieldValue()`. Also false when a limit was hit. */
export function hasField(id: i32): bool {
  // SAFETY: ids are below FIELD_COUNT by the verifier.
  let state = load<u8>(states + <usize>id);
  if (state == UNKNOWN) {
    kept = true;
    found = 0;
    state = evaluate(id) ? PRESENT : MISSING;
    store<u8>(states + <usize>id, state);
    store<u64>(values + (<usize>id << 3), found);
    return state == PRESENT;
  }
  found = load<u64>(values + (<usize>id << 3));
  return state == PRESENT;
}
export function fieldValue(): u64 {
  return found;
}

function text(at: usize, length: i32): bool {
  found = span(at, length);
  return true;
}
function number(value: i64): bool {
  found = <u64>value;
  return true;
}

function evaluate(id: i32): bool {
  switch (id) {
    case FIELD_HOST:
      return text(request.hostAt, request.hostLength);
    case FIELD_METHOD:
      return text(request.methodAt, request.methodLength);
    case FIELD_PATH:
      return text(request.pathAt, request.pathLength);
    case FIELD_RAW_PATH:
      return text(request.rawPathAt, request.rawPathLength);
    case FIELD_QUERY:
    case FIELD_RAW_QUERY:
      return text(request.queryAt, request.queryLength);
    case FIELD_RAW_FULL_URI:
      return text(request.urlAt, request.urlLength);
    case FIELD_RAW_URI:
      return text(request.rawPathAt, <i32>(request.urlAt + <usize>request.urlLength - request.rawPathAt));
    case FIELD_URI:
      return uri(request.rawPathAt);
    case FIELD_FULL_URI:
      return uri(request.urlAt);
    case FIELD_EXTENSION:
      return extension();
    case FIELD_COOKIE:
      return standardHeader('cookie');
    case FIELD_REFERER:
      return standardHeader('referer');
    case FIELD_USER_AGENT:
      return standardHeader('user-agent');
    case FIELD_X_FORWARDED_FOR:
      return standardHeader('x-forwarded-for');
    case FIELD_ARGS_NAMES:
    case FIELD_ARGS_VALUES:
      return rawPairs(request.queryAt, request.queryLength, FIELD_ARGS_NAMES, id);
    case FIELD_FORM_NAMES:
    case FIELD_FORM_VALUES:
      return rawPairs(request.bodyAt, isForm() ? request.bodyLength : 0, FIELD_FORM_NAMES, id);
    case FIELD_HEADERS_NAMES:
      return headerFields(request.headers, 0);
    case FIELD_HEADERS_VALUES:
      return headerFields(request.headers, 8);
    case FIELD_RESPONSE_HEADERS_NAMES:
      return headerFields(request.responseHeaders, 0);
    case FIELD_RESPONSE_HEADERS_VALUES:
      return headerFields(request.responseHeaders, 8);
    case FIELD_HEADERS_TRUNCATED:
      return number(0); // more than MAX_HEADERS is refused, so nothing is ever left out
    case FIELD_ACCEPTED_LANGUAGES:
      return languages();
    case FIELD_TIMESTAMP:
      return number(<i64>(<u32>now));
    case FIELD_SSL:
      return number(i64(request.schemeLength == 5));
    case FIELD_ADDRESS:
      found = <u64>request.clientAddress();
      return found != 0;
    case FIELD_AGENT_BOT:
      return number(i64(agentKnown));
    case FIELD_AGENT_NAME:
      found = agentName;
      return agentKnown;
    case FIELD_AGENT_OPERATOR:
      found = agentOperator;
      return agentKnown;
    case FIELD_AGENT_CATEGORY:
      found = agentCategory;
      return agentKnown && lengthOf(agentCategory) > 0;
    case FIELD_AGENT_IDENTITY:
      if (identity == PROOF_VERIFIED) return text(VERIFIED, 8);
      if (identity == PROOF_SPOOFED) return text(SPOOFED, 7);
      return identity == PROOF_CLAIMED ? text(CLAIMED, 7) : text(NOBODY, 7);
    case FIELD_AGENT_VERIFIED:
      return number(i64(identity == PROOF_VERIFIED));
    case FIELD_AGENT_SCORE:
      return number(<i64>signalScore());
    case FIELD_AGENT_AUTOMATED:
      return number(i64(isAutomated()));
    case FIELD_AGENT_SIGNALS:
      found = signalNames();
      return found != 0;
    case FIELD_AGENT_DOMAIN:
      found = agentDomain;
      return lengthOf(agentDomain) > 0;
    case FIELD_BODY_RAW:
      return text(request.bodyAt, request.bodyLength);
    case FIELD_BODY_SIZE:
      return number(<i64>request.bodySize);
    case FIELD_BODY_TRUNCATED:
      return number(i64(request.bodyTruncated));
    case FIELD_BODY_MIME:
      found = sniffMediaType(request.bodyAt, request.bodyLength);
      return found != 0;
    case FIELD_RESPONSE_CODE:
      return request.responseHeaders != 0 && number(<i64>request.responseStatus);
    case FIELD_RESPONSE_MEDIA_TYPE:
      return mediaType();
  }
  if (!isProtocolField(id) || !hasProtocolField(id)) return false;
  found = protocolField(id);
  return true;
}

/**
 * `start` is the raw path or the whole url. Where the path changed, or the authority has capitals, the text is put together
 * around the canonical path and with a lower-case authority: what http.host and http.request.uri.path say.
 */
function uri(start: usize): bool {
  const end = request.urlAt + <usize>request.urlLength;
  let changed = request.pathChanged;
  for (let p = start; p < request.rawPathAt; p++) changed = changed || lowerByte(load<u8>(p)) != load<u8>(p);
  if (!changed) return text(start, <i32>(end - start));
  const before = request.rawPathAt - start;
  const after = request.rawPathAt + <usize>request.rawPathLength;
  const total = <i32>before + request.pathLength + <i32>(end - after);
  const copy = alloc(total);
  if (copy == 0 || !spend(total >> 4)) return false;
  for (let i: usize = 0; i < before; i++) store<u8>(copy + i, lowerByte(load<u8>(start + i)));
  memory.copy(copy + before, request.pathAt, <usize>request.pathLength);
  memory.copy(copy + before + <usize>request.pathLength, after, end - after);
  return text(copy, total);
}

/** SPEC: Cloudflare: lower case, after the last dot of the last segment; none where that dot is the segment's first byte. */
function extension(): bool {
  const start = request.pathAt;
  const end = start + <usize>request.pathLength;
  let dot: usize = 0;
  for (let p = end; p > start; p--) {
    const byte = load<u8>(p - 1);
    if (byte == 0x2f) {
      if (dot == p) dot = 0; // `/.mp3` is a hidden file, not an extension
      break;
    }
    if (byte == 0x2e && dot == 0) dot = p - 1;
  }
  if (!spend(request.pathLength >> 4)) return false;
  if (dot == 0) return text(end, 0);
  const length = <i32>(end - dot) - 1;
  const copy = alloc(length);
  if (copy == 0) return false;
  for (let i: usize = 0; i < <usize>length; i++) store<u8>(copy + i, lowerByte(load<u8>(dot + 1 + i)));
  return text(copy, length);
}

/** Headers with a field of their own are empty, not missing, when they are absent: as in Cloudflare. */
function standardHeader(name: string): bool {
  const entry = headerEntryNamed(request.headers, name);
  return entry == 0 ? text(request.methodAt, 0) : text(load<u32>(entry, 8), load<i32>(entry, 12));
}

/** Names (part 0) or values (part 8) of a header table. */
function headerFields(table: usize, part: usize): bool {
  if (table == 0) return false;
  const count = headerCount(table);
  const array = newArray(count);
  if (array == 0 || !spend(count)) return false;
  for (let i = 0; i < count; i++) store<u64>(array + (<usize>i << 3), load<u64>(headerEntry(table, i) + part));
  return text(array, count);
}

/**
 * Names and values of `a=1&b=2`, nothing decoded, empty pieces left out: SPEC: Cloudflare, http.request.uri.args. Both are
 * kept at once; `wanted` is the one that was asked for, `names` the field id of the names, values have the next.
 */
function rawPairs(at: usize, length: i32, names: i32, wanted: i32): bool {
  const end = at + <usize>length;
  let count = 0;
  if (!spend(1 + (length >> 1))) return false;
  for (let p = at; p < end; p++) if (load<u8>(p) != 0x26 && (p == at || load<u8>(p - 1) == 0x26)) count++;
  if (count > MAX_ARGS) {
    fail(REASON_ARGS);
    return false;
  }
  const nameArray = newArray(count);
  const valueArray = newArray(count);
  if (nameArray == 0 || valueArray == 0) return false;
  let i: usize = 0;
  for (let p = at; p < end; p++) {
    const start = p;
    let equals: usize = 0;
    for (; p < end && load<u8>(p) != 0x26; p++) if (equals == 0 && load<u8>(p) == 0x3d) equals = p;
    if (p == start) continue;
    if (equals == 0) {
      store<u64>(nameArray + i, span(start, <i32>(p - start)));
      store<u64>(valueArray + i, span(p, 0));
    } else {
      store<u64>(nameArray + i, span(start, <i32>(equals - start)));
      store<u64>(valueArray + i, span(equals + 1, <i32>(p - equals) - 1));
    }
    i += 8;
  }
  store<u8>(states + <usize>names, PRESENT);
  store<u8>(states + <usize>names + 1, PRESENT);
  store<u64>(values + (<usize>names << 3), span(nameArray, count));
  store<u64>(values + (<usize>(names + 1) << 3), span(valueArray, count));
  found = wanted == names ? span(nameArray, count) : span(valueArray, count);
  return true;
}

function isForm(): bool {
  const entry = headerEntryNamed(request.headers, 'content-type');
  if (entry == 0) return false;
  const type = 'application/x-www-form-urlencoded';
  const length = load<i32>(entry, 12);
  if (length < type.length) return false;
  const at = <usize>load<u32>(entry, 8);
  for (let i = 0; i < type.length; i++) if (lowerByte(load<u8>(at + <usize>i)) != <u8>type.charCodeAt(i)) return false;
  if (length == type.length) return true;
  const next = load<u8>(at + <usize>type.length);
  return next == 0x3b || next == 0x20 || next == 0x09;
}

/** The response's media type in lower case, without parameters. */
function mediaType(): bool {
  const entry = headerEntryNamed(request.responseHeaders, 'content-type');
  if (entry == 0) return false;
  let at = <usize>load<u32>(entry, 8);
  let end = at;
  for (const stop = at + <usize>load<u32>(entry, 12); end < stop && load<u8>(end) != 0x3b; ) end++;
  while (at < end && load<u8>(at) <= 0x20) at++;
  while (end > at && load<u8>(end - 1) <= 0x20) end--;
  const length = <i32>(end - at);
  const copy = alloc(length);
  if (copy == 0 || !spend(length)) return false;
  for (let i: usize = 0; i < <usize>length; i++) store<u8>(copy + i, lowerByte(load<u8>(at + i)));
  return text(copy, length);
}

/** Language tags of Accept-Language by descending weight, `*` left out; at most MAX_LANGUAGES. */
function languages(): bool {
  const entry = headerEntryNamed(request.headers, 'accept-language');
  const array = newArray(MAX_LANGUAGES);
  const weights = alloc(MAX_LANGUAGES * 4);
  if (array == 0 || weights == 0) return false;
  if (entry == 0) return text(array, 0);
  let p = <usize>load<u32>(entry, 8);
  const end = p + <usize>load<u32>(entry, 12);
  if (!spend(<i32>(end - p))) return false;
  let count = 0;
  for (; p < end && count < MAX_LANGUAGES; p++) {
    while (p < end && load<u8>(p) <= 0x20) p++;
    const start = p;
    while (p < end && load<u8>(p) != 0x2c && load<u8>(p) != 0x3b && load<u8>(p) > 0x20) p++;
    const length = <i32>(p - start);
    let weight = 1000;
    while (p < end && load<u8>(p) != 0x2c) {
      if ((load<u8>(p) | 0x20) == 0x71 && p + 1 < end && load<u8>(p + 1) == 0x3d) weight = quality(p + 2, end);
      p++;
    }
    if (length == 0 || (length == 1 && load<u8>(start) == 0x2a)) continue;
    // Insertion keeps equal weights in the order of the header; MAX_LANGUAGES bounds its cost.
    let i = count++;
    for (; i > 0 && load<i32>(weights + (<usize>(i - 1) << 2)) < weight; i--) {
      store<i32>(weights + (<usize>i << 2), load<i32>(weights + (<usize>(i - 1) << 2)));
      store<u64>(array + (<usize>i << 3), load<u64>(array + (<usize>(i - 1) << 3)));
    }
    store<i32>(weights + (<usize>i << 2), weight);
    store<u64>(array + (<usize>i << 3), span(start, length));
  }
  return text(array, count);
}

/** A weight of RFC 9110 section 12.4.2 in thousandths; what is not one counts as 1. */
function quality(p: usize, end: usize): i32 {
  if (p >= end) return 1000;
  const first = load<u8>(p);
  if (first != 0x30) return 1000;
  let weight = 0;
  let unit = 100;
  if (p + 1 < end && load<u8>(p + 1) == 0x2e) {
    for (p += 2; p < end && unit > 0 && <u32>load<u8>(p) - 0x30 < 10; p++) {
      weight += (load<u8>(p) - 0x30) * unit;
      unit /= 10;
    }
  }
  return weight;
}

/** True when map `id` has an entry for `key`; `fieldValue()` is then the array of its values. */
export function hasEntry(id: i32, keyAt: usize, keyLength: i32): bool {
  if (id == FIELD_HEADERS || id == FIELD_RESPONSE_HEADERS) {
    return headerEntries(id == FIELD_HEADERS ? request.headers : request.responseHeaders, keyAt, keyLength);
  }
  if (id == FIELD_COOKIES) return cookieEntries(keyAt, keyLength);
  const names = id == FIELD_ARGS ? FIELD_ARGS_NAMES : FIELD_FORM_NAMES;
  if (id != FIELD_ARGS && id != FIELD_FORM) return false;
  if (!hasField(names)) return false;
  const nameArray = found;
  if (!hasField(names + 1)) return false;
  const valueArray = found;
  const total = lengthOf(nameArray);
  if (!spend(total)) return false;
  let count = 0;
  for (let i = 0; i < total; i++) count += i32(sameName(element(nameArray, i), keyAt, keyLength));
  if (count == 0) return false;
  const array = newArray(count);
  if (array == 0) return false;
  let to = array;
  for (let i = 0; i < total; i++) {
    if (!sameName(element(nameArray, i), keyAt, keyLength)) continue;
    store<u64>(to, element(valueArray, i));
    to += 8;
  }
  return text(array, count);
}

// @ts-ignore: decorator
@inline
function sameName(name: u64, keyAt: usize, keyLength: i32): bool {
  return lengthOf(name) == keyLength && equalBytes(atOf(name), keyAt, keyLength);
}

function headerEntries(table: usize, keyAt: usize, keyLength: i32): bool {
  if (table == 0) return false;
  const total = headerCount(table);
  if (!spend(1 + (total >> 2))) return false;
  let count = 0;
  for (let i = 0; i < total; i++) {
    const entry = headerEntry(table, i);
    if (load<i32>(entry, 4) == keyLength && equalBytes(load<u32>(entry), keyAt, keyLength)) count++;
  }
  if (count == 0) return false;
  const array = newArray(count);
  if (array == 0) return false;
  let to = array;
  for (let i = 0; i < total; i++) {
    const entry = headerEntry(table, i);
    if (load<i32>(entry, 4) != keyLength || !equalBytes(load<u32>(entry), keyAt, keyLength)) continue;
    store<u64>(to, load<u64>(entry, 8));
    to += 8;
  }
  return text(array, count);
}

/** Cookie names are compared percent-decoded, values are as they came: SPEC: Cloudflare, http.request.cookies. */
function cookieEntries(keyAt: usize, keyLength: i32): bool {
  kept = true; // the table stays in the arena until the call ends
  const table = request.cookies();
  if (table == 0) return false;
  const total = pairCount(table);
  let count = 0;
  for (let i = 0; i < total; i++) {
    if (!spend(1 + (pairNameLength(table, i) >> 3))) return false;
    count += i32(sameDecoded(pairNameAt(table, i), pairNameLength(table, i), keyAt, keyLength));
  }
  if (count == 0) return false;
  const array = newArray(count);
  if (array == 0) return false;
  let to = array;
  for (let i = 0; i < total; i++) {
    if (!sameDecoded(pairNameAt(table, i), pairNameLength(table, i), keyAt, keyLength)) continue;
    store<u64>(to, span(pairValueAt(table, i), pairValueLength(table, i)));
    to += 8;
  }
  return text(array, count);
}

function sameDecoded(at: usize, length: i32, keyAt: usize, keyLength: i32): bool {
  const end = at + <usize>length;
  const keyEnd = keyAt + <usize>keyLength;
  for (; at < end; at++, keyAt++) {
    if (keyAt == keyEnd) return false;
    let byte = load<u8>(at);
    if (byte == 0x25 && at + 2 < end) {
      const high = hexDigit(load<u8>(at, 1));
      const low = hexDigit(load<u8>(at, 2));
      if ((high | low) >= 0) {
        byte = <u8>((high << 4) | low);
        at += 2;
      }
    }
    if (byte != load<u8>(keyAt)) return false;
  }
  return keyAt == keyEnd;
}
