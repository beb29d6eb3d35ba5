// Images in memory: the section table, and `open`, which checks everything in an image once so that later loads need no
// checks. See IMAGE in abi.ts.
import {
  FAULT_AGENT,
  FAULT_KIND,
  FAULT_LENGTH,
  FAULT_LIST,
  FAULT_MAGIC,
  FAULT_NONE,
  FAULT_REGEX,
  FAULT_SECTION,
  FAULT_SETTING,
  FAULT_TABLE,
  FAULT_VERSION,
  HEADER_BYTES,
  KIND_AGENTS,
  KIND_HOSTS,
  KIND_POLICY,
  MAGIC,
  MAX_IMAGE_BYTES,
  MAX_NAMES,
  SECTION_AGENTS,
  SECTION_HOSTS,
  SECTION_LISTS,
  SECTION_NAMES,
  SECTION_REGEXES,
  SECTION_SETTINGS,
  SECTION_STRINGS,
  SETTING_CLIENT_FROM,
  SETTING_TRUSTED_LIST,
  SETTING_WORDS,
  CLIENT_CF,
  LIST_ADDRESSES,
  SECTION_COUNT,
  VERSION,
} from './abi';
import { checkLists, listAt, listCount, listKind } from './cidr';
import { checkNames } from './headers';
import { checkTable } from './table';

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

/** Number of regexes in SECTION_REGEXES. */
export function regexCount(image: usize): i32 {
  return sectionLength(image, SECTION_REGEXES) == 0 ? 0 : load<i32>(sectionAt(image, SECTION_REGEXES));
}

/** Address of regex program `index`, which must be below regexCount. */
export function regexAt(image: usize, index: i32): usize {
  const section = sectionAt(image, SECTION_REGEXES);
  return section + load<u32>(section + 4 + (<usize>index << 2));
}
