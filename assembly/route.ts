// Routing with the precedence of Gateway API's HTTPRoute: the most specific host group first, in it an Exact path, then
// regular expressions, then the longest PathPrefix; among matches of one path those with a method, with more headers, with
// more query parameters, and then in the order of the policy. The compiler has sorted all of that, so the first candidate
// whose predicates hold wins. The cost depends on the request and on ties, not on the number of routes.
import {
  CANDIDATE_BYTES,
  PREDICATE_BYTES,
  PREDICATE_HEADER_EXACT,
  PREDICATE_HEADER_REGEX,
  PREDICATE_METHOD,
  PREDICATE_QUERY_EXACT,
  PREDICATE_QUERY_REGEX,
  REASON_NONE,
  ROUTES_CANDIDATES,
  ROUTES_COUNT,
  ROUTES_DEPTH,
  ROUTES_EXACT,
  ROUTES_GROUPS,
  ROUTES_HEADER_BYTES,
  ROUTES_KINDS,
  ROUTES_PREFIX,
  ROUTES_PROBE,
  ROUTES_REGEX,
  ROUTES_SLOTS,
  ROUTE_GROUP_BYTES,
  ROUTE_KEY_MIX,
  ROUTE_SLOT_BYTES,
  SECTION_PREDICATES,
  SECTION_ROUTES,
  SECTION_STRINGS,
} from './abi';
import { alloc, failure, spend } from './arena';
import { equalBytes, extend, finish, HASH_START } from './hash';
import { headerByNameId, headerValueAt, headerValueLength, nameCount, nextHeader } from './headers';
import { nextHost, startHosts } from './host';
import { sectionAt, sectionLength } from './image';
import { findPair, pairValueAt, pairValueLength } from './pairs';
import { matchSet, patternCount } from './regex/search';
import { findRegex, regexCount, setAt, setCount } from './regexes';
import {
  args,
  headers,
  hostAt,
  hostLength,
  methodAt,
  methodLength,
  pathAt,
  pathLength,
} from './request';

// What `route` found.
export let routeIndex: i32 = -1;
export let matchIndex: i32 = -1;
export let prefixLength: i32 = 0;

let section: usize = 0;
let pool: usize = 0;
let predicates: usize = 0;
let candidates: usize = 0;
let current: usize = 0; // image

/** Sets routeIndex, matchIndex and prefixLength for the current request; false when no route matches or a limit was hit. */
export function route(image: usize): bool {
  routeIndex = -1;
  matchIndex = -1;
  prefixLength = 0;
  if (sectionLength(image, SECTION_ROUTES) == 0) return false;
  current = image;
  section = sectionAt(image, SECTION_ROUTES);
  pool = sectionAt(image, SECTION_STRINGS);
  predicates = sectionAt(image, SECTION_PREDICATES);
  const groups = section + ROUTES_HEADER_BYTES;
  const slots = groups + <usize>load<u32>(section, ROUTES_GROUPS * 4) * ROUTE_GROUP_BYTES;
  candidates = slots + <usize>load<u32>(section, ROUTES_SLOTS * 4) * ROUTE_SLOT_BYTES;
  const kinds = load<u32>(section, ROUTES_KINDS * 4);

  // One pass over the path gives the hash of the whole and of every prefix that ends before a slash, no deeper than the
  // deepest prefix of the policy; so the number of slashes in a request doesn't matter.
  const depth = load<i32>(section, ROUTES_DEPTH * 4);
  let ends: usize = 0; // { u32 length, u32 unfinished hash }
  let endCount = 0;
  if (!spend(pathLength)) return false;
  let hash = HASH_START;
  if (kinds & ROUTES_PREFIX) {
    ends = alloc((min(depth, pathLength) + 1) << 3);
    if (ends == 0) return false;
    for (let i = 0; i < pathLength; i++) {
      const byte = load<u8>(pathAt + <usize>i);
      if (byte == 0x2f && endCount <= depth) {
        store<u32>(ends + (<usize>endCount << 3), i);
        store<u32>(ends + (<usize>(endCount++) << 3), hash, 4);
      }
      hash = extend(hash, byte);
    }
  } else if (kinds & ROUTES_EXACT) {
    for (let i = 0; i < pathLength; i++) hash = extend(hash, load<u8>(pathAt + <usize>i));
  }
  // The path itself is a prefix too; also when it ends with a slash, for a prefix with an empty last element (`/a//`).
  const whole = endCount <= depth;

  if (!startHosts(image, hostAt, hostLength)) return false;
  let tried = -1;
  for (let group = nextHost(); group >= 0; group = nextHost()) {
    if (group == tried) continue; // a name and a wildcard over it that the same routes have
    tried = group;
    const key = <u32>group << 1;
    if (kinds & ROUTES_EXACT) {
      const slot = findPath(slots, key, hash, pathLength);
      if (slot != 0 && first(load<u32>(slot, 16), load<u32>(slot, 20), 0)) return true;
      if (failure() != REASON_NONE) return false;
    }
    if (kinds & ROUTES_REGEX) {
      const entry = groups + <usize>group * ROUTE_GROUP_BYTES;
      const count = load<u32>(entry, 4);
      if (count != 0 && firstRegex(entry, count)) return true;
      if (failure() != REASON_NONE) return false;
    }
    if (!(kinds & ROUTES_PREFIX)) continue;
    for (let i = whole ? endCount : endCount - 1; i >= 0; i--) {
      const end = ends + (<usize>i << 3);
      const length = i == endCount ? pathLength : load<i32>(end);
      const slot = findPath(slots, key | 1, i == endCount ? hash : load<u32>(end, 4), length);
      if (slot == 0) continue;
      if (first(load<u32>(slot, 16), load<u32>(slot, 20), 0)) {
        prefixLength = length;
        return true;
      }
      if (failure() != REASON_NONE) return false;
    }
  }
  return false;
}

/** Slot of the first `length` bytes of the path under this key, or 0. */
function findPath(slots: usize, key: u32, unfinished: u32, length: i32): usize {
  const hash = finish(unfinished ^ (key * <u32>ROUTE_KEY_MIX));
  const mask = load<u32>(section, ROUTES_SLOTS * 4) - 1;
  // SAFETY: the number of slots is a power of two and probes don't exceed it, both by checkRoutes.
  let probes = load<u32>(section, ROUTES_PROBE * 4);
  for (let i = hash & mask; probes != 0; probes--, i = (i + 1) & mask) {
    const slot = slots + <usize>i * ROUTE_SLOT_BYTES;
    if (load<u32>(slot, 20) == 0) return 0;
    if (
      load<u32>(slot) == hash &&
      load<u32>(slot, 4) == key &&
      load<i32>(slot, 12) == length &&
      equalBytes(pool + load<u32>(slot, 8), pathAt, length)
    ) {
      return slot;
    }
  }
  return 0;
}

/** Takes the first of a group's regular expressions that matches the path and whose predicates hold. */
function firstRegex(group: usize, count: u32): bool {
  const sets = load<i32>(group, 12);
  if (sets == 0) return first(load<u32>(group), count, 0);
  const start = load<i32>(group, 8);
  const patterns = patternCount(setAt(current, start));
  const bytes = ((patterns + 31) >> 5) << 2;
  const bits = alloc(bytes);
  if (bits == 0) return false;
  memory.fill(bits, 0, bytes);
  for (let i = 0; i < sets; i++) {
    const program = setAt(current, start + i);
    // SAFETY: a program sets bits below its own number of patterns only.
    if (patternCount(program) <= patterns) matchSet(program, pathAt, pathLength, bits);
  }
  if (failure() != REASON_NONE) return false;
  return first(load<u32>(group), count, bits);
}

/** Takes the first of `count` candidates whose predicates hold, and whose regex does or whose pattern is set in `bits`. */
function first(from: u32, count: u32, bits: usize): bool {
  let candidate = candidates + <usize>from * CANDIDATE_BYTES;
  for (; count != 0; count--, candidate += CANDIDATE_BYTES) {
    if (!spend(1)) return false;
    const pattern = load<u32>(candidate, 20);
    // SAFETY: checkRoutes holds the patterns of a group with sets below the number of bits.
    if (bits != 0 && ((load<u32>(bits + (<usize>(pattern >> 5) << 2)) >> (pattern & 31)) & 1) == 0) continue;
    const regex = load<i32>(candidate, 16);
    if (!(regex < 0 || findRegex(current, regex, pathAt, pathLength))) continue;
    if (failure() != REASON_NONE) return false;
    if (holds(load<u32>(candidate, 8), load<u32>(candidate, 12))) {
      routeIndex = load<i32>(candidate);
      matchIndex = load<i32>(candidate, 4);
      return true;
    }
    if (failure() != REASON_NONE) return false;
  }
  return false;
}

function holds(from: u32, count: u32): bool {
  if (!spend(<i32>count)) return false;
  let predicate = predicates + <usize>from * PREDICATE_BYTES;
  for (; count != 0; count--, predicate += PREDICATE_BYTES) if (!test(predicate)) return false;
  return true;
}

function test(predicate: usize): bool {
  const kind = load<i32>(predicate);
  const name = load<u32>(predicate, 4);
  if (kind == PREDICATE_METHOD) return matches(predicate, false, methodAt, methodLength);
  if (kind <= PREDICATE_HEADER_REGEX) {
    for (let i = headerByNameId(headers, name); i >= 0; i = nextHeader(headers, i)) {
      if (matches(predicate, kind == PREDICATE_HEADER_REGEX, headerValueAt(headers, i), headerValueLength(headers, i))) return true;
    }
    return false;
  }
  const table = args();
  if (table == 0 || !spend(load<i32>(table))) return false;
  const i = findPair(table, 0, load<u32>(predicate, 20), pool + name, load<i32>(predicate, 8));
  return i >= 0 && matches(predicate, kind == PREDICATE_QUERY_REGEX, pairValueAt(table, i), pairValueLength(table, i));
}

function matches(predicate: usize, regex: bool, at: usize, length: i32): bool {
  const value = load<u32>(predicate, 12);
  if (regex) return findRegex(current, value, at, length);
  if (!spend(length >> 3)) return false;
  return load<i32>(predicate, 16) == length && equalBytes(pool + value, at, length);
}

/** Number of host groups, as the section claims; checkRoutes holds it against the section's length. */
export function groupCount(image: usize): u32 {
  const length = sectionLength(image, SECTION_ROUTES);
  return length < ROUTES_HEADER_BYTES ? 0 : load<u32>(sectionAt(image, SECTION_ROUTES), ROUTES_GROUPS * 4);
}

/** Offset of the fault inside SECTION_ROUTES, or -1. */
export function checkRoutes(image: usize): i32 {
  const length = <u64>sectionLength(image, SECTION_ROUTES);
  if (length == 0) return -1;
  if (length < <u64>ROUTES_HEADER_BYTES) return 0;
  const at = sectionAt(image, SECTION_ROUTES);
  const groups = load<u32>(at, ROUTES_GROUPS * 4);
  const slots = load<u32>(at, ROUTES_SLOTS * 4);
  const count = load<u32>(at, ROUTES_CANDIDATES * 4);
  const probe = load<u32>(at, ROUTES_PROBE * 4);
  const depth = load<u32>(at, ROUTES_DEPTH * 4);
  const routes = load<u32>(at, ROUTES_COUNT * 4);
  if (slots == 0 || (slots & (slots - 1)) != 0 || probe == 0 || probe > slots || depth > 0x10000 || <i32>routes < 0) return 0;
  const bytes =
    <u64>groups * ROUTE_GROUP_BYTES + <u64>slots * ROUTE_SLOT_BYTES + <u64>count * CANDIDATE_BYTES + ROUTES_HEADER_BYTES;
  if (bytes != length) return 0;
  const strings = <u64>sectionLength(image, SECTION_STRINGS);
  let p = at + ROUTES_HEADER_BYTES;
  const list = p + <usize>groups * ROUTE_GROUP_BYTES + <usize>slots * ROUTE_SLOT_BYTES;
  let end: u64 = 0; // groups have candidates of their own, in order, so that checking them is linear
  for (let i: u32 = 0; i < groups; i++, p += ROUTE_GROUP_BYTES) {
    const from = <u64>load<u32>(p);
    const size = <u64>load<u32>(p, 4);
    if (size == 0) continue;
    if (from < end || from + size > <u64>count) return <i32>(p - at);
    end = from + size;
    const sets = <u64>load<u32>(p, 12);
    if (sets == 0) continue;
    if (<u64>load<u32>(p, 8) + sets > <u64>setCount(image)) return <i32>(p - at);
    const patterns = <u32>patternCount(setAt(image, load<i32>(p, 8)));
    for (let j = from; j < end; j++) {
      if (load<u32>(list + <usize>j * CANDIDATE_BYTES, 20) >= patterns) return <i32>(p - at);
    }
  }
  for (let i: u32 = 0; i < slots; i++, p += ROUTE_SLOT_BYTES) {
    if (<u64>load<u32>(p, 8) + <u64>load<u32>(p, 12) > strings) return <i32>(p - at);
    if (<u64>load<u32>(p, 16) + <u64>load<u32>(p, 20) > <u64>count) return <i32>(p - at);
  }
  const regexes = <u32>regexCount(image);
  const total = <u64>sectionLength(image, SECTION_PREDICATES) / PREDICATE_BYTES;
  for (let i: u32 = 0; i < count; i++, p += CANDIDATE_BYTES) {
    if (load<u32>(p) >= routes || load<i32>(p, 4) < 0) return <i32>(p - at);
    if (<u64>load<u32>(p, 8) + <u64>load<u32>(p, 12) > total) return <i32>(p - at);
    const regex = load<u32>(p, 16);
    if (regex != 0xffffffff && regex >= regexes) return <i32>(p - at);
  }
  return -1;
}

/** Offset of the fault inside SECTION_PREDICATES, or -1. */
export function checkPredicates(image: usize): i32 {
  const length = <usize>sectionLength(image, SECTION_PREDICATES);
  if (length % PREDICATE_BYTES != 0) return 0;
  const at = sectionAt(image, SECTION_PREDICATES);
  const strings = <u64>sectionLength(image, SECTION_STRINGS);
  const names = <u32>nameCount(image);
  const regexes = <u32>regexCount(image);
  for (let p = at; p < at + length; p += PREDICATE_BYTES) {
    const kind = load<i32>(p);
    const name = load<u32>(p, 4);
    const value = load<u32>(p, 12);
    let sound = kind >= PREDICATE_METHOD && kind <= PREDICATE_QUERY_REGEX;
    if (kind == PREDICATE_HEADER_EXACT || kind == PREDICATE_HEADER_REGEX) sound = sound && name < names;
    if (kind == PREDICATE_QUERY_EXACT || kind == PREDICATE_QUERY_REGEX) {
      sound = sound && <u64>name + <u64>load<u32>(p, 8) <= strings;
    }
    if (kind == PREDICATE_HEADER_REGEX || kind == PREDICATE_QUERY_REGEX) sound = sound && value < regexes;
    else sound = sound && <u64>value + <u64>load<u32>(p, 16) <= strings;
    if (!sound) return <i32>(p - at);
  }
  return -1;
}
