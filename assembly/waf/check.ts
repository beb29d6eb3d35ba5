// `open` for SECTION_WAF: every number in every program once, so that nothing else needs checks.
import {
  LIST_ADDRESSES,
  MAX_BODY_BYTES,
  MAX_ROUTES,
  MAX_RULESETS,
  SECTION_STRINGS,
  SECTION_WAF,
  TYPE_BOOL,
} from '../abi';
import { listAt, listCount, listKind } from '../cidr';
import { sectionAt, sectionLength } from '../image';
import { regexCount } from '../regexes';
import { programCount, programType } from '../verify';
import * as abi from './abi';

const NONE: u32 = abi.NONE;

let image: usize = 0;
let stringBytes: u32 = 0;
let program: usize = 0;
let length: u32 = 0;
let matchers: u32 = 0;

// @ts-ignore: decorator
@inline
function rows(table: i32): u32 {
  return load<u32>(program + (<usize>table << 2));
}
// @ts-ignore: decorator
@inline
function cell(table: i32, width: i32, row: u32, column: i32): u32 {
  return load<u32>(
    program + <usize>load<u32>(program + (<usize>table << 2), 4) + ((<usize>row * <usize>width + <usize>column) << 2),
  );
}

/** Offset of the fault inside SECTION_WAF, or -1. Everything that programs refer to must have been checked before. */
export function checkWaf(policy: usize): i32 {
  const size = <u32>sectionLength(policy, SECTION_WAF);
  if (size == 0) return -1;
  const section = sectionAt(policy, SECTION_WAF);
  image = policy;
  stringBytes = <u32>sectionLength(policy, SECTION_STRINGS);
  if (size < 12) return 0;
  const count = load<u32>(section);
  const routes = load<u32>(section, 4);
  if (count - 1 >= <u32>abi.MAX_WAF_PROGRAMS || routes > <u32>MAX_ROUTES) return 0;
  const map: u32 = 8 + (count << 2);
  let at: u32 = map + ((routes + 3) & ~3);
  if (at > size) return 4;
  for (let i: u32 = 0; i < routes; i++) {
    const number = <u32>load<u8>(section + <usize>(map + i));
    if (number != <u32>abi.NO_PROGRAM && number >= count) return <i32>(map + i);
  }
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(section + 8 + (<usize>i << 2)) != at) return 8 + <i32>(i << 2);
    program = section + <usize>at;
    if (size - at < <u32>(abi.PROGRAM_HEADER_WORDS * 4)) return <i32>at;
    length = load<u32>(program, abi.PROGRAM_LENGTH * 4);
    if (length < <u32>(abi.PROGRAM_HEADER_WORDS * 4) || (length & 3) != 0 || length > size - at) return <i32>at;
    if (!checkProgram()) return <i32>at;
    at += length;
  }
  return at == size ? -1 : <i32>at;
}

function checkProgram(): bool {
  return checkTables() && checkSets() && checkMasks() && checkTree() && checkProfiles() && checkRules() && checkLinks() && checkRest();
}

/** Each table lies inside of the program and has no more rows than its limit. */
function checkTables(): bool {
  const sets = rows(abi.PROGRAM_SETS);
  const nodes = rows(abi.PROGRAM_NODES);
  if (sets > <u32>MAX_RULESETS + 1 || nodes - 1 >= <u32>abi.MAX_NODES) return false;
  if (rows(abi.PROGRAM_KINDS) != <u32>(abi.VARIABLE_COUNT * 2)) return false;
  const slots = rows(abi.PROGRAM_SLOTS);
  return (
    slots >= <u32>abi.MAX_CAPTURES &&
    inside(abi.PROGRAM_SETS, abi.SET_ROW_WORDS, <u32>MAX_RULESETS + 1) &&
    inside(abi.PROGRAM_RULES, abi.RULE_ROW_WORDS, abi.MAX_PROGRAM_RULES) &&
    inside(abi.PROGRAM_LINKS, abi.LINK_ROW_WORDS, abi.MAX_LINKS) &&
    inside(abi.PROGRAM_TARGETS, abi.TARGET_ROW_WORDS, length) &&
    inside(abi.PROGRAM_ACTIONS, abi.ACTION_ROW_WORDS, length) &&
    inside(abi.PROGRAM_WORDS, 1, length) &&
    inside(abi.PROGRAM_PIPELINES, abi.PIPELINE_ROW_WORDS, length) &&
    inside(abi.PROGRAM_TRANSFORMS, 1, length) &&
    inside(abi.PROGRAM_NODES, abi.NODE_ROW_WORDS, abi.MAX_NODES) &&
    inside(abi.PROGRAM_PROFILES, <i32>nodes + abi.PROFILE_FIXED_WORDS, 0xffff) &&
    inside(abi.PROGRAM_MASKS, (<i32>sets * abi.MATCHER_SET_BYTES + abi.MASK_TAIL_BYTES) >> 2, 0x10000) &&
    inside(abi.PROGRAM_NAMES, abi.NAME_ROW_WORDS, length) &&
    inside(abi.PROGRAM_KINDS, abi.KIND_ROW_WORDS, length) &&
    inside(abi.PROGRAM_SLOTS, abi.SLOT_ROW_WORDS, abi.MAX_SLOTS) &&
    inside(abi.PROGRAM_REMOVALS, abi.REMOVAL_ROW_WORDS, abi.MAX_REMOVALS)
  );
}

function inside(table: i32, width: i32, most: u32): bool {
  const count = rows(table);
  const offset = load<u32>(program + (<usize>table << 2), 4);
  return (
    count <= most &&
    (offset & 3) == 0 &&
    offset >= <u32>(abi.PROGRAM_HEADER_WORDS * 4) &&
    <u64>offset + ((<u64>count * <u64>width) << 2) <= <u64>length
  );
}

function checkSets(): bool {
  matchers = 0;
  const count = rows(abi.PROGRAM_SETS);
  for (let i: u32 = 0; i < count; i++) {
    if (cell(abi.PROGRAM_SETS, abi.SET_ROW_WORDS, i, 0) > <u32>MAX_RULESETS) return false;
    if (cell(abi.PROGRAM_SETS, abi.SET_ROW_WORDS, i, 1) != matchers) return false;
    const own = cell(abi.PROGRAM_SETS, abi.SET_ROW_WORDS, i, 2);
    if (own > <u32>abi.MAX_MATCHERS) return false;
    matchers += own;
  }
  return true;
}

/** SAFETY: the records of all matchers that a mask has are read, so it has none that its set has not. */
function checkMasks(): bool {
  const sets = rows(abi.PROGRAM_SETS);
  const masks = rows(abi.PROGRAM_MASKS);
  let at = program + <usize>load<u32>(program + (abi.PROGRAM_MASKS << 2), 4);
  for (let i: u32 = 0; i < masks; i++, at += abi.MASK_TAIL_BYTES) {
    for (let set: u32 = 0; set < sets; set++, at += abi.MATCHER_SET_BYTES) {
      const own = cell(abi.PROGRAM_SETS, abi.SET_ROW_WORDS, set, 2);
      for (let first = own & ~63; first < <u32>abi.MAX_MATCHERS; first += 64) {
        let bits = load<u64>(at + <usize>(first >> 3));
        if (first < own) bits >>= <u64>(own - first);
        if (bits != 0) return false;
      }
    }
  }
  return true;
}

/** SAFETY: the scan reaches each node once, because they are a tree, numbered breadth first. */
function checkTree(): bool {
  const count = rows(abi.PROGRAM_NODES);
  let next: u32 = 1;
  for (let i: u32 = 0; i < count; i++) {
    const transformation = cell(abi.PROGRAM_NODES, abi.NODE_ROW_WORDS, i, 0);
    const children = cell(abi.PROGRAM_NODES, abi.NODE_ROW_WORDS, i, 2);
    if (i > 0 && (transformation == 0 || transformation >= <u32>abi.TRANSFORM_COUNT)) return false;
    if (i >= next || children > count - next) return false;
    if (children > 0 && cell(abi.PROGRAM_NODES, abi.NODE_ROW_WORDS, i, 1) != next) return false;
    next += children;
  }
  if (next != count) return false;
  const transforms = rows(abi.PROGRAM_TRANSFORMS);
  for (let i: u32 = 0; i < transforms; i++) {
    const transformation = cell(abi.PROGRAM_TRANSFORMS, 1, i, 0);
    if (transformation == 0 || transformation >= <u32>abi.TRANSFORM_COUNT) return false;
  }
  const pipelines = rows(abi.PROGRAM_PIPELINES);
  for (let i: u32 = 0; i < pipelines; i++) {
    const first = cell(abi.PROGRAM_PIPELINES, abi.PIPELINE_ROW_WORDS, i, 0);
    const steps = cell(abi.PROGRAM_PIPELINES, abi.PIPELINE_ROW_WORDS, i, 1);
    if (steps > <u32>abi.MAX_PIPELINE || !within(first, steps, transforms)) return false;
  }
  return true;
}

function checkProfiles(): bool {
  const nodes = rows(abi.PROGRAM_NODES);
  const profiles = rows(abi.PROGRAM_PROFILES);
  const masks = rows(abi.PROGRAM_MASKS);
  const width = <i32>nodes + abi.PROFILE_FIXED_WORDS;
  for (let i: u32 = 0; i < profiles; i++) {
    if (cell(abi.PROGRAM_PROFILES, width, i, 2) >= masks) return false;
    for (let j: u32 = 0; j < nodes; j++) {
      const value = cell(abi.PROGRAM_PROFILES, width, i, <i32>j + abi.PROFILE_FIXED_WORDS);
      if ((value & <u32>abi.PROFILE_HAS_MASK) != 0 && (value & 0xffff) >= masks) return false;
    }
  }
  const names = rows(abi.PROGRAM_NAMES);
  for (let i: u32 = 0; i < names; i++) {
    if (!text(cell(abi.PROGRAM_NAMES, abi.NAME_ROW_WORDS, i, 0), cell(abi.PROGRAM_NAMES, abi.NAME_ROW_WORDS, i, 1))) return false;
    for (let scope = 0; scope < abi.SCOPES; scope++) {
      if (!optional(cell(abi.PROGRAM_NAMES, abi.NAME_ROW_WORDS, i, 2 + scope), profiles)) return false;
    }
  }
  for (let i: u32 = 0; i < <u32>(abi.VARIABLE_COUNT * 2); i++) {
    for (let scope = 0; scope < abi.SCOPES; scope++) {
      if (!optional(cell(abi.PROGRAM_KINDS, abi.KIND_ROW_WORDS, i, scope), profiles)) return false;
    }
    const first = cell(abi.PROGRAM_KINDS, abi.KIND_ROW_WORDS, i, abi.KIND_FIRST_NAME);
    if (!within(first, cell(abi.PROGRAM_KINDS, abi.KIND_ROW_WORDS, i, abi.KIND_NAMES), names)) return false;
    const at = cell(abi.PROGRAM_KINDS, abi.KIND_ROW_WORDS, i, abi.KIND_TEXT);
    if (!text(at, cell(abi.PROGRAM_KINDS, abi.KIND_ROW_WORDS, i, abi.KIND_TEXT + 1))) return false;
  }
  return true;
}

/** Rules stand by phase; where they go on lies ahead, so that every phase ends. */
function checkRules(): bool {
  let next: u32 = 0;
  for (let phase = 0; phase < 5; phase++) {
    const at = program + (<usize>(abi.PROGRAM_PHASES + phase * 2) << 2);
    const count = load<u32>(at, 4);
    if (load<u32>(at) != next || count > rows(abi.PROGRAM_RULES) - next) return false;
    const end = next + count;
    for (; next < end; next++) {
      const links = rule(next, abi.RULE_LINKS);
      if (links == 0 || links > <u32>abi.MAX_CHAIN || !within(rule(next, abi.RULE_FIRST_LINK), links, rows(abi.PROGRAM_LINKS))) return false;
      if ((rule(next, abi.RULE_BITS) & abi.DISRUPTIVE_MASK) > <u32>abi.DISRUPTIVE_ALLOW_REQUEST) return false;
      if (rule(next, abi.RULE_STATUS) > 999 || rule(next, abi.RULE_SEVERITY) > 255) return false;
      const onward = rule(next, abi.RULE_NEXT);
      if (onward <= next || onward > end) return false;
      if (!optionalMacro(rule(next, abi.RULE_MESSAGE)) || !optionalMacro(rule(next, abi.RULE_LOCATION))) return false;
      const quick = rule(next, abi.RULE_QUICK);
      if (quick != 0 && !matcher(quick - 1)) return false;
    }
  }
  return next == rows(abi.PROGRAM_RULES);
}

// @ts-ignore: decorator
@inline
function rule(row: u32, column: i32): u32 {
  return cell(abi.PROGRAM_RULES, abi.RULE_ROW_WORDS, row, column);
}
// @ts-ignore: decorator
@inline
function link(row: u32, column: i32): u32 {
  return cell(abi.PROGRAM_LINKS, abi.LINK_ROW_WORDS, row, column);
}

function checkLinks(): bool {
  const count = rows(abi.PROGRAM_LINKS);
  for (let i: u32 = 0; i < count; i++) {
    if (!checkArgument(link(i, abi.LINK_OPERATOR), link(i, abi.LINK_ARGUMENT))) return false;
    if (link(i, abi.LINK_PIPELINE) >= rows(abi.PROGRAM_PIPELINES)) return false;
    if (!within(link(i, abi.LINK_FIRST_TARGET), link(i, abi.LINK_TARGETS), rows(abi.PROGRAM_TARGETS))) return false;
    if (!within(link(i, abi.LINK_FIRST_ACTION), link(i, abi.LINK_ACTIONS), rows(abi.PROGRAM_ACTIONS))) return false;
    if (!optionalMacro(link(i, abi.LINK_LOGDATA))) return false;
  }
  return true;
}

function checkArgument(bits: u32, argument: u32): bool {
  const operator = <i32>(bits & 0xff);
  if ((bits & abi.LINK_EXPRESSION) != 0) {
    return argument < <u32>programCount(image) && programType(image, <i32>argument) == TYPE_BOOL;
  }
  if (operator == 0 || operator > abi.OPERATOR_VERIFY_CC) return false;
  if (operator <= abi.OPERATOR_LAST_MATCHER) return matcher(argument);
  // What the scan has seen is looked up by its matcher.
  if ((bits & abi.LINK_SCANNED) != 0) return false;
  if (operator == abi.OPERATOR_IP_MATCH) {
    return argument < <u32>listCount(image) && listKind(listAt(image, <i32>argument)) == LIST_ADDRESSES;
  }
  if (operator == abi.OPERATOR_VALIDATE_BYTE_RANGE) return within(argument, 8, rows(abi.PROGRAM_WORDS));
  if (operator == abi.OPERATOR_VERIFY_CC) return argument < <u32>regexCount(image);
  return (bits & abi.LINK_NUMBER) != 0 || macro(argument);
}

function checkRest(): bool {
  const slots = rows(abi.PROGRAM_SLOTS);
  const targets = rows(abi.PROGRAM_TARGETS);
  for (let i: u32 = 0; i < targets; i++) {
    const bits = cell(abi.PROGRAM_TARGETS, abi.TARGET_ROW_WORDS, i, abi.TARGET_VARIABLE);
    const a = cell(abi.PROGRAM_TARGETS, abi.TARGET_ROW_WORDS, i, abi.TARGET_A);
    if ((bits & 0xff) >= <u32>abi.VARIABLE_COUNT) return false;
    if ((bits & (abi.TARGET_EXACT | abi.TARGET_PREFIX)) != 0 && !text(a, cell(abi.PROGRAM_TARGETS, abi.TARGET_ROW_WORDS, i, abi.TARGET_B))) return false;
    if ((bits & abi.TARGET_REGEX) != 0 && a >= <u32>regexCount(image)) return false;
    if ((bits & abi.TARGET_SLOT) != 0 && a >= slots) return false;
  }
  const removals = rows(abi.PROGRAM_REMOVALS);
  const bitWords = (rows(abi.PROGRAM_RULES) + 31) >> 5;
  for (let i: u32 = 0; i < removals; i++) {
    if (!within(cell(abi.PROGRAM_REMOVALS, abi.REMOVAL_ROW_WORDS, i, 0), bitWords, rows(abi.PROGRAM_WORDS))) return false;
    if (!optional(cell(abi.PROGRAM_REMOVALS, abi.REMOVAL_ROW_WORDS, i, 1), targets)) return false;
  }
  const actions = rows(abi.PROGRAM_ACTIONS);
  for (let i: u32 = 0; i < actions; i++) {
    const kind = <i32>cell(abi.PROGRAM_ACTIONS, abi.ACTION_ROW_WORDS, i, abi.ACTION_KIND);
    const value = cell(abi.PROGRAM_ACTIONS, abi.ACTION_ROW_WORDS, i, abi.ACTION_VALUE);
    if (kind < abi.SETVAR_SET || kind > abi.CTL_RESPONSE_BODY) return false;
    if (kind <= abi.SETVAR_UNSET) {
      const slot = cell(abi.PROGRAM_ACTIONS, abi.ACTION_ROW_WORDS, i, abi.ACTION_SLOT);
      if (!optional(slot, slots) || !macro(value)) return false;
      if (slot == NONE && !macro(cell(abi.PROGRAM_ACTIONS, abi.ACTION_ROW_WORDS, i, abi.ACTION_NAME))) return false;
    } else if (kind == abi.CTL_REMOVE) {
      if (value >= removals) return false;
    } else if (kind == abi.CTL_ENGINE ? value > <u32>abi.ENGINE_ON : value > 15) return false;
  }
  for (let i: u32 = 0; i < slots; i++) {
    if (!text(cell(abi.PROGRAM_SLOTS, abi.SLOT_ROW_WORDS, i, 0), cell(abi.PROGRAM_SLOTS, abi.SLOT_ROW_WORDS, i, 1))) return false;
    const size = cell(abi.PROGRAM_SLOTS, abi.SLOT_ROW_WORDS, i, 3);
    if (size != NONE && !text(cell(abi.PROGRAM_SLOTS, abi.SLOT_ROW_WORDS, i, 2), size)) return false;
  }
  return load<u32>(program, abi.PROGRAM_LIMITS * 4) <= <u32>MAX_BODY_BYTES;
}

function within(first: u32, count: u32, total: u32): bool {
  return first <= total && count <= total - first;
}

function optional(row: u32, total: u32): bool {
  return row == NONE || row < total;
}

function text(at: u32, size: u32): bool {
  return at <= stringBytes && size <= stringBytes - at;
}

function matcher(number: u32): bool {
  return number < matchers || number == <u32>abi.MATCHER_SQLI || number == <u32>abi.MATCHER_XSS;
}

function optionalMacro(row: u32): bool {
  return row == NONE || macro(row);
}

function macro(row: u32): bool {
  const total = rows(abi.PROGRAM_WORDS);
  if (row >= total) return false;
  const parts = cell(abi.PROGRAM_WORDS, 1, row, 0);
  if (parts == 0 || parts > <u32>abi.MAX_PARTS_OF_MACRO || !within(row + 1, parts * abi.PART_WORDS, total)) return false;
  for (let i: u32 = 0; i < parts; i++) {
    const part = row + 1 + i * abi.PART_WORDS;
    const kind = <i32>cell(abi.PROGRAM_WORDS, 1, part, 0);
    const a = cell(abi.PROGRAM_WORDS, 1, part, 1);
    if (kind == abi.PART_SLOT) {
      if (a >= rows(abi.PROGRAM_SLOTS)) return false;
      continue;
    }
    if (kind != abi.PART_TEXT && kind != abi.PART_VARIABLE) return false;
    if (kind == abi.PART_VARIABLE && a >= <u32>abi.VARIABLE_COUNT) return false;
    if (!text(cell(abi.PROGRAM_WORDS, 1, part, 2), cell(abi.PROGRAM_WORDS, 1, part, 3))) return false;
  }
  return true;
}
