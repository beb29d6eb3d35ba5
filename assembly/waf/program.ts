// The WAF program of the current call: its tables, and the images that it refers to. Set anew by each call.
import { MAX_RULESETS, SECTION_MATCHERS, SECTION_STRINGS, SECTION_WAF } from '../abi';
import { sectionAt, sectionLength } from '../image';
import {
  LINK_ARGUMENT,
  LINK_EXPRESSION,
  LINK_OPERATOR,
  LINK_ROW_WORDS,
  MATCHER_SET_BYTES,
  MASK_TAIL_BYTES,
  NO_PROGRAM,
  OPERATOR_LAST_MATCHER,
  PROGRAM_ACTIONS,
  PROGRAM_FLAGS,
  PROGRAM_KINDS,
  PROGRAM_LINKS,
  PROGRAM_MASKS,
  PROGRAM_NAMES,
  PROGRAM_NODES,
  PROGRAM_PHASES,
  PROGRAM_PIPELINES,
  PROGRAM_PROFILES,
  PROGRAM_REMOVALS,
  PROGRAM_RULES,
  PROGRAM_SETS,
  PROGRAM_SLOTS,
  PROGRAM_TARGETS,
  PROGRAM_TRANSFORMS,
  PROGRAM_USED,
  PROGRAM_WORDS,
  RULE_ROW_WORDS,
  SET_ROW_WORDS,
} from './abi';
import { bytesOfSet, matcherCount } from './match';

/** Policy image of the program. */
export let image: usize = 0;
/** Its SECTION_STRINGS. */
export let strings: usize = 0;
export let program: usize = 0;
export let flags: i32 = 0;
export let rules: usize = 0;
export let ruleCount: i32 = 0;
export let links: usize = 0;
export let targets: usize = 0;
export let actions: usize = 0;
export let words: usize = 0;
export let pipelines: usize = 0;
export let transforms: usize = 0;
export let nodes: usize = 0;
export let nodeCount: i32 = 0;
export let profiles: usize = 0;
export let masks: usize = 0;
export let maskBytes: i32 = 0; // of one row
export let names: usize = 0;
export let kinds: usize = 0;
export let slots: usize = 0;
export let slotCount: i32 = 0;
export let removals: usize = 0;
export let removalCount: i32 = 0;
export let setCount: i32 = 0;
/** Matchers of all sets together. */
export let matchers: i32 = 0;

// Matcher section of each set, { address, first matcher, matchers, bytes of a set of these }
const SETS = memory.data((MAX_RULESETS + 1) * 16);

// @ts-ignore: decorator
@inline
function table(word: i32): usize {
  return program + <usize>load<u32>(program + (<usize>word << 2), 4);
}
// @ts-ignore: decorator
@inline
function rows(word: i32): i32 {
  return load<i32>(program + (<usize>word << 2));
}

/** Number of the program that a route (-1: none) has; -1 for none. */
export function programOf(policy: usize, route: i32): i32 {
  if (sectionLength(policy, SECTION_WAF) == 0) return -1;
  const section = sectionAt(policy, SECTION_WAF);
  if (<u32>route >= load<u32>(section, 4)) return -1;
  const at = section + 8 + (<usize>load<u32>(section) << 2) + <usize>route;
  const number = <i32>load<u8>(at);
  return number == NO_PROGRAM ? -1 : number;
}

/** Number of programs in an image. */
export function programCount(policy: usize): i32 {
  return sectionLength(policy, SECTION_WAF) == 0 ? 0 : load<i32>(sectionAt(policy, SECTION_WAF));
}

/**
 * Makes program `number` of a policy image the current one; `ruleSets` are MAX_RULESETS words, addresses of rule-set images
 * or 0. False when a rule set that it needs is not there, or is another one than it was compiled with.
 */
export function openProgram(policy: usize, number: i32, ruleSets: usize): bool {
  if (<u32>number >= <u32>programCount(policy)) return false;
  const section = sectionAt(policy, SECTION_WAF);
  image = policy;
  strings = sectionAt(policy, SECTION_STRINGS);
  program = section + <usize>load<u32>(section + 8 + (<usize>number << 2));
  flags = load<i32>(program + (PROGRAM_FLAGS << 2));
  rules = table(PROGRAM_RULES);
  ruleCount = rows(PROGRAM_RULES);
  links = table(PROGRAM_LINKS);
  targets = table(PROGRAM_TARGETS);
  actions = table(PROGRAM_ACTIONS);
  words = table(PROGRAM_WORDS);
  pipelines = table(PROGRAM_PIPELINES);
  transforms = table(PROGRAM_TRANSFORMS);
  nodes = table(PROGRAM_NODES);
  nodeCount = rows(PROGRAM_NODES);
  profiles = table(PROGRAM_PROFILES);
  masks = table(PROGRAM_MASKS);
  names = table(PROGRAM_NAMES);
  kinds = table(PROGRAM_KINDS);
  slots = table(PROGRAM_SLOTS);
  slotCount = rows(PROGRAM_SLOTS);
  removals = table(PROGRAM_REMOVALS);
  removalCount = rows(PROGRAM_REMOVALS);
  setCount = rows(PROGRAM_SETS);
  maskBytes = setCount * MATCHER_SET_BYTES + MASK_TAIL_BYTES;
  matchers = 0;
  for (let i = 0; i < setCount; i++) {
    const row = table(PROGRAM_SETS) + <usize>i * (SET_ROW_WORDS * 4);
    const source = load<u32>(row);
    const owner = source == 0 ? policy : <usize>load<u32>(ruleSets + (<usize>(source - 1) << 2));
    if (owner == 0 || sectionLength(owner, SECTION_MATCHERS) == 0) return false;
    const at = sectionAt(owner, SECTION_MATCHERS);
    // Both are checked by themselves; that they belong together can only be seen here.
    if (matcherCount(at) != load<i32>(row, 8)) return false;
    const set = SETS + (<usize>i << 4);
    store<u32>(set, <u32>at);
    store<u32>(set, load<u32>(row, 4), 4);
    store<u32>(set, load<u32>(row, 8), 8);
    store<u32>(set, <u32>bytesOfSet(at), 12);
    matchers += load<i32>(row, 8);
  }
  return true;
}

/** Sets the bits of those matchers of the rule set `index` that links of any program of the policy look for. */
export function wantMatchers(policy: usize, index: i32, bits: usize): void {
  const section = sectionAt(policy, SECTION_WAF);
  for (let number = programCount(policy) - 1; number >= 0; number--) {
    program = section + <usize>load<u32>(section + 8 + (<usize>number << 2));
    links = table(PROGRAM_LINKS);
    for (let i = rows(PROGRAM_SETS) - 1; i >= 0; i--) {
      const row = table(PROGRAM_SETS) + <usize>i * (SET_ROW_WORDS * 4);
      if (load<i32>(row) != index + 1) continue;
      for (let j = rows(PROGRAM_LINKS) - 1; j >= 0; j--) {
        const operator = word(linkAt(j), LINK_OPERATOR);
        if ((operator & LINK_EXPRESSION) != 0 || (operator & 0xff) > OPERATOR_LAST_MATCHER) continue;
        // SAFETY: a set has at most MAX_MATCHERS; the detectors are far above all sets.
        const local = <u32>(word(linkAt(j), LINK_ARGUMENT) - load<i32>(row, 4));
        if (local >= load<u32>(row, 8)) continue;
        const byte = bits + <usize>(local >> 3);
        store<u8>(byte, <u32>load<u8>(byte) | (1 << (local & 7)));
      }
    }
  }
}

// @ts-ignore: decorator
@inline
export function setAt(index: i32): usize {
  return load<u32>(SETS + (<usize>index << 4));
}
// @ts-ignore: decorator
@inline
export function setFirst(index: i32): i32 {
  return load<i32>(SETS + (<usize>index << 4), 4);
}
/** Bytes of what MATCHER_SET_BYTES hold that are used: a multiple of 16. */
// @ts-ignore: decorator
@inline
export function setBytes(index: i32): usize {
  return load<u32>(SETS + (<usize>index << 4), 12);
}
/** Set of a matcher; -1 for none. */
export function setOf(matcher: i32): i32 {
  for (let i = 0; i < setCount; i++) {
    if (<u32>(matcher - setFirst(i)) < load<u32>(SETS + (<usize>i << 4), 8)) return i;
  }
  return -1;
}

// @ts-ignore: decorator
@inline
export function ruleAt(index: i32): usize {
  return rules + <usize>index * (RULE_ROW_WORDS * 4);
}
// @ts-ignore: decorator
@inline
export function linkAt(index: i32): usize {
  return links + <usize>index * (LINK_ROW_WORDS * 4);
}
// @ts-ignore: decorator
@inline
export function word(row: usize, index: i32): i32 {
  return load<i32>(row + (<usize>index << 2));
}
/** First rule of phase 1 to 5. */
export function phaseFirst(phase: i32): i32 {
  return load<i32>(program + ((PROGRAM_PHASES + ((phase - 1) << 1)) << 2));
}
export function phaseRules(phase: i32): i32 {
  return load<i32>(program + ((PROGRAM_PHASES + 1 + ((phase - 1) << 1)) << 2));
}
/** Whether anything in the program looks at the variable. */
export function uses(variable: i32): bool {
  return (load<u8>(program + (PROGRAM_USED << 2) + (<usize>variable >> 3)) & <u8>(1 << <u8>(variable & 7))) != 0;
}
