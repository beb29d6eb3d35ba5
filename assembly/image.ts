// Images in memory: the section table, and `open`, which checks everything in an image once so that later loads need no
// checks. See IMAGE in abi.ts.
import {
  FAULT_AGENT,
  FAULT_CODE,
  FAULT_INSPECTION,
  FAULT_KIND,
  FAULT_LENGTH,
  FAULT_LIST,
  FAULT_MATCHERS,
  FAULT_MAGIC,
  FAULT_NONE,
  FAULT_PREDICATE,
  FAULT_REGEX,
  FAULT_ROUTE,
  FAULT_RULE,
  FAULT_SECTION,
  FAULT_SETTING,
  FAULT_TABLE,
  FAULT_WAF,
  FAULT_VERSION,
  HEADER_BYTES,
  KIND_AGENTS,
  KIND_HOSTS,
  KIND_POLICY,
  KIND_RULESET,
  MAGIC,
  MAX_IMAGE_BYTES,
  MAX_NAMES,
  SECTION_ADDRESSES,
  SECTION_AGENTS,
  SECTION_CODE,
  SECTION_GROUPS,
  SECTION_HOSTS,
  SECTION_INSPECTION,
  SECTION_LISTS,
  SECTION_MATCHERS,
  SECTION_NAMES,
  SECTION_PREDICATES,
  SECTION_REGEXES,
  SECTION_ROUTES,
  SECTION_ROUTE_SETS,
  SECTION_RULES,
  SECTION_SETTINGS,
  SECTION_STRINGS,
  SECTION_WAF,
  SETTING_CLIENT_FROM,
  SETTING_TRUSTED_LIST,
  SETTING_WORDS,
  CLIENT_CF,
  LIST_ADDRESSES,
  SECTION_COUNT,
  VERSION,
} from './abi';
import { checkAgents } from './agent';
import { checkAddresses } from './agents/addresses';
import { checkLists, listAt, listCount, listKind } from './cidr';
import { checkNames } from './headers';
import { checkHosts } from './host';
import { checkPrograms } from './regexes';
import { checkPredicates, checkRoutes, groupCount } from './route';
import { checkInspections } from './inspection';
import { checkGroups, checkRules } from './rules';
import { checkTable } from './table';
import { checkCode } from './verify';
import { checkWaf } from './waf/check';
import { openMatchers } from './waf/open';

// @ts-ignore: decorator
@inline
export function sectionAt(image: usize, id: i32): usize {
  return image + load<u32>(image + 24 + (<usize>id << 3));
}

/** Bytes of a section; 0 when it is absent. */
// @ts-ignore: decorator
@inline
export function sectionLength(image: usize, id: i32): i32 {
  return load<i32>(image + 24 + (<usize>id << 3), 4);
}

/** Where `checkImage` found its fault. */
export let faultAt: usize = 0;

function fault(code: i32, at: usize): i32 {
  faultAt = at;
  return code;
}

/**
 * Checks an image wholly, in time linear in its length: FAULT_NONE, or what is wrong. After FAULT_NONE no call with this
 * image reads or writes outside of its `room` bytes, the call's own regions and the arena, whatever its bytes say. Matchers
 * unpack their bins into what of the room is behind the image; `wanted` as of openMatchers.
 */
export function checkImage(image: usize, length: i32, room: i32, wanted: usize): i32 {
  if (length < HEADER_BYTES || length > room || room > MAX_IMAGE_BYTES || load<i32>(image, 12) != length) return fault(FAULT_LENGTH, image);
  if (load<u32>(image) != <u32>MAGIC) return fault(FAULT_MAGIC, image);
  if (load<u32>(image, 4) != VERSION) return fault(FAULT_VERSION, image + 4);
  const kind = load<i32>(image, 8);
  if (kind < KIND_POLICY || kind > KIND_RULESET) return fault(FAULT_KIND, image + 8);
  if (load<u64>(image, 16) != 0) return fault(FAULT_LENGTH, image + 16);
  let at = checkSections(image, length, kind);
  if (at >= 0) return fault(FAULT_SECTION, image + 24 + (<usize>at << 3));

  const strings = sectionLength(image, SECTION_STRINGS);
  if (sectionLength(image, SECTION_HOSTS) != 0) {
    const hosts = sectionAt(image, SECTION_HOSTS);
    const values = kind == KIND_HOSTS ? <u32>0x7fffffff : groupCount(image);
    if (!checkTable(hosts, sectionLength(image, SECTION_HOSTS), strings) || !checkHosts(image, values)) {
      return fault(FAULT_TABLE, hosts);
    }
  }
  if (sectionLength(image, SECTION_NAMES) != 0) {
    const names = sectionAt(image, SECTION_NAMES);
    if (!checkTable(names, sectionLength(image, SECTION_NAMES), strings) || !checkNames(image, MAX_NAMES)) {
      return fault(FAULT_TABLE, names);
    }
  }
  at = checkLists(image);
  if (at >= 0) return fault(FAULT_LIST, sectionAt(image, SECTION_LISTS) + <usize>at);
  at = checkPrograms(image, SECTION_REGEXES);
  if (at >= 0) return fault(FAULT_REGEX, sectionAt(image, SECTION_REGEXES) + <usize>at);
  at = checkPrograms(image, SECTION_ROUTE_SETS);
  if (at >= 0) return fault(FAULT_REGEX, sectionAt(image, SECTION_ROUTE_SETS) + <usize>at);
  if (kind == KIND_AGENTS) {
    at = checkAgents(image);
    if (at >= 0) return fault(FAULT_AGENT, sectionAt(image, SECTION_AGENTS) + <usize>at);
    at = checkAddresses(image);
    if (at >= 0) return fault(FAULT_AGENT, sectionAt(image, SECTION_ADDRESSES) + <usize>at);
  }
  if (sectionLength(image, SECTION_MATCHERS) != 0) {
    const matchers = sectionAt(image, SECTION_MATCHERS);
    const size = sectionLength(image, SECTION_MATCHERS);
    if (!openMatchers(matchers, size, wanted, image + <usize>length, <u32>(room - length))) return fault(FAULT_MATCHERS, matchers);
  }
  if (kind == KIND_POLICY) {
    const settings = sectionAt(image, SECTION_SETTINGS);
    if (load<u32>(settings, SETTING_CLIENT_FROM * 4) > <u32>CLIENT_CF) return fault(FAULT_SETTING, settings);
    const list = load<i32>(settings, SETTING_TRUSTED_LIST * 4);
    if (list < -1 || list >= listCount(image)) return fault(FAULT_SETTING, settings);
    if (list >= 0 && listKind(listAt(image, list)) != LIST_ADDRESSES) return fault(FAULT_SETTING, settings);
    at = checkCode(image);
    if (at >= 0) return fault(FAULT_CODE, sectionAt(image, SECTION_CODE) + <usize>at);
    at = checkWaf(image);
    if (at >= 0) return fault(FAULT_WAF, sectionAt(image, SECTION_WAF) + <usize>at);
    at = checkRules(image);
    if (at >= 0) return fault(FAULT_RULE, sectionAt(image, SECTION_RULES) + <usize>at);
    at = checkInspections(image);
    if (at >= 0) return fault(FAULT_INSPECTION, sectionAt(image, SECTION_INSPECTION) + <usize>at);
    at = checkPredicates(image);
    if (at >= 0) return fault(FAULT_PREDICATE, sectionAt(image, SECTION_PREDICATES) + <usize>at);
    at = checkRoutes(image);
    if (at >= 0) return fault(FAULT_ROUTE, sectionAt(image, SECTION_ROUTES) + <usize>at);
    at = checkGroups(image);
    if (at >= 0) return fault(FAULT_RULE, sectionAt(image, SECTION_GROUPS) + <usize>at);
  }
  return FAULT_NONE;
}

/** The first section that is not sound, or -1. */
function checkSections(image: usize, length: i32, kind: i32): i32 {
  for (let id = 0; id < SECTION_COUNT; id++) {
    const offset = load<u32>(image + 24 + (<usize>id << 3));
    const size = load<u32>(image + 24 + (<usize>id << 3), 4);
    if (size == 0) {
      // An absent section stands at the image itself, so that its address is harmless.
      if (offset != 0) return id;
      continue;
    }
    if ((offset & 3) != 0 || offset < <u32>HEADER_BYTES || <u64>offset + <u64>size > <u64>length) return id;
    for (let other = 0; other < id; other++) {
      const start = load<u32>(image + 24 + (<usize>other << 3));
      const end = <u64>start + <u64>load<u32>(image + 24 + (<usize>other << 3), 4);
      if (start != 0 && offset < <u32>end && <u64>offset + <u64>size > <u64>start) return id;
    }
  }
  if (kind == KIND_HOSTS && sectionLength(image, SECTION_HOSTS) == 0) return SECTION_HOSTS;
  if (kind == KIND_AGENTS && sectionLength(image, SECTION_AGENTS) == 0) return SECTION_AGENTS;
  if (kind == KIND_RULESET && sectionLength(image, SECTION_MATCHERS) == 0) return SECTION_MATCHERS;
  if (kind == KIND_POLICY) {
    if (sectionLength(image, SECTION_SETTINGS) < SETTING_WORDS * 4) return SECTION_SETTINGS;
    // Host groups index the groups of the route tables.
    if ((sectionLength(image, SECTION_HOSTS) != 0) != (sectionLength(image, SECTION_ROUTES) != 0)) return SECTION_HOSTS;
  }
  return -1;
}
