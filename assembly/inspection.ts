// Header inspection: what a policy demands of the header lines of a request, for the whole app and for one route.
import {
  EFFECT_INSPECTION,
  INSPECTION_BYTES,
  INSPECTION_FORBIDDEN,
  INSPECTION_LENGTHS,
  INSPECTION_MAX_COUNT,
  INSPECTION_MAX_LENGTH,
  INSPECTION_MODE,
  INSPECTION_NAMES,
  INSPECTION_REQUIRED,
  INSPECTION_ROUTE,
  INSPECTION_WORDS,
  MAX_EVIDENCE_VALUE,
  MODE_ENFORCE,
  MODE_LOG,
  OUTCOME_REJECT,
  PHASE_INSPECTION,
  REASON_FORBIDDEN_HEADER,
  REASON_HEADER_BYTES,
  REASON_HEADER_COUNT,
  REASON_HEADER_LENGTH,
  REASON_NONE,
  REASON_REQUIRED_HEADER,
  RESULT_OUTCOME,
  RESULT_REASON,
  RESULT_SKIPPED_PHASES,
  SECTION_INSPECTION,
  SECTION_STRINGS,
} from './abi';
import { spend } from './arena';
import { headerByNameId, headerCount, headerEntry, nameCount, nextHeader } from './headers';
import { sectionAt, sectionLength } from './image';
import * as request from './request';
import { addEffect, getResult, setResult } from './result';

const NAME_WORDS = 4; // { at, length in SECTION_STRINGS, name id, number }

// @ts-ignore: decorator
@inline
function field(profile: usize, word: i32): i32 {
  return load<i32>(profile + (<usize>word << 2));
}

/**
 * Inspects the headers by the app's profile and by that of the matched route (-1: none). The first fault of a profile is its
 * effect; in mode enforce it is also the outcome. Nothing is done when a rule skipped inspection, so rules of stage head
 * come first.
 */
export function inspectHeaders(image: usize, route: i32): void {
  if (sectionLength(image, SECTION_INSPECTION) == 0) return;
  if ((getResult(RESULT_SKIPPED_PHASES) & PHASE_INSPECTION) != 0) return;
  const section = sectionAt(image, SECTION_INSPECTION);
  const count = load<i32>(section);
  if (!runProfiles(image, section, 0, count, -1) || route < 0) return;
  // Profiles are sorted by route, the app's first, so that their number doesn't matter.
  let first = 0;
  let end = count;
  while (first < end) {
    const middle = (first + end) >> 1;
    if (field(profileAt(section, middle), INSPECTION_ROUTE) < route) first = middle + 1;
    else end = middle;
  }
  runProfiles(image, section, first, count, route);
}

// @ts-ignore: decorator
@inline
function profileAt(section: usize, index: i32): usize {
  return section + 4 + <usize>index * (INSPECTION_WORDS * 4);
}

/** Runs the profiles of a route (-1: the app) that begin at `i`; false when one ended the request. */
function runProfiles(image: usize, section: usize, i: i32, count: i32, route: i32): bool {
  for (; i < count; i++) {
    const profile = profileAt(section, i);
    if (field(profile, INSPECTION_ROUTE) != route) return true;
    faultHeader = -1;
    const reason = inspect(image, section, profile);
    if (reason == REASON_NONE) continue;
    const mode = field(profile, INSPECTION_MODE);
    addEffect(EFFECT_INSPECTION, i, mode, reason, faultHeader, faultAt, min(faultLength, MAX_EVIDENCE_VALUE));
    if (mode != MODE_ENFORCE) continue;
    setResult(RESULT_OUTCOME, OUTCOME_REJECT);
    setResult(RESULT_REASON, reason);
    return false;
  }
  return true;
}

let faultHeader: i32 = -1;
let faultAt: usize = 0; // name of the header
let faultLength: i32 = 0;

function fault(reason: i32, header: i32, at: usize, length: i32): i32 {
  faultHeader = header;
  faultAt = at;
  faultLength = length;
  return reason;
}

function faultOf(reason: i32, header: i32): i32 {
  const entry = headerEntry(request.headers, header);
  return fault(reason, header, load<u32>(entry), load<i32>(entry, 4));
}

/** REASON_NONE, or the first thing wrong. */
function inspect(image: usize, section: usize, profile: usize): i32 {
  const headers = request.headers;
  const count = headerCount(headers);
  const maxCount = field(profile, INSPECTION_MAX_COUNT);
  if (maxCount != 0 && count > maxCount) return fault(REASON_HEADER_COUNT, -1, section, 0);
  const strings = sectionAt(image, SECTION_STRINGS);
  let name = section + (<usize>field(profile, INSPECTION_NAMES) << 2);
  for (let i = field(profile, INSPECTION_REQUIRED); i > 0; i--, name += NAME_WORDS * 4) {
    if (headerByNameId(headers, load<i32>(name, 8)) < 0) {
      return fault(REASON_REQUIRED_HEADER, -1, strings + load<u32>(name), load<i32>(name, 4));
    }
  }
  for (let i = field(profile, INSPECTION_FORBIDDEN); i > 0; i--, name += NAME_WORDS * 4) {
    const header = headerByNameId(headers, load<i32>(name, 8));
    if (header >= 0) return faultOf(REASON_FORBIDDEN_HEADER, header);
  }
  for (let i = field(profile, INSPECTION_LENGTHS); i > 0; i--, name += NAME_WORDS * 4) {
    for (let header = headerByNameId(headers, load<i32>(name, 8)); header >= 0; header = nextHeader(headers, header)) {
      if (load<i32>(headerEntry(headers, header), 12) > load<i32>(name, 12)) return faultOf(REASON_HEADER_LENGTH, header);
    }
  }
  const maxLength = field(profile, INSPECTION_MAX_LENGTH);
  const visible = field(profile, INSPECTION_BYTES) == 1;
  for (let i = 0; i < count; i++) {
    const entry = headerEntry(headers, i);
    const length = load<i32>(entry, 12);
    if (maxLength != 0 && length > maxLength) return faultOf(REASON_HEADER_LENGTH, i);
    if (!spend(1 + (length >> 4))) return REASON_NONE;
    if (!allowed(load<u32>(entry, 8), length, visible)) return faultOf(REASON_HEADER_BYTES, i);
  }
  return REASON_NONE;
}

/** True when all bytes are: no control bytes but tab, and with `visible` nothing past ASCII. */
function allowed(at: usize, length: i32, visible: bool): bool {
  const end = at + <usize>length;
  for (; at + 16 <= end; at += 16) {
    const bytes = v128.load(at);
    // As signed bytes those past ASCII are below 0x20 too, so one comparison finds both.
    const low = visible ? i8x16.lt_s(bytes, i8x16.splat(0x20)) : i8x16.lt_u(bytes, i8x16.splat(0x20));
    const bad = v128.or(v128.andnot(low, i8x16.eq(bytes, i8x16.splat(9))), i8x16.eq(bytes, i8x16.splat(0x7f)));
    if (v128.any_true(bad)) return false;
  }
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if ((byte < 0x20 && byte != 9) || byte == 0x7f || (visible && byte > 0x7e)) return false;
  }
  return true;
}

/** Offset of the fault inside SECTION_INSPECTION, or -1. SECTION_NAMES must have been checked before. */
export function checkInspections(image: usize): i32 {
  const length = sectionLength(image, SECTION_INSPECTION);
  if (length == 0) return -1;
  if (length < 4 || (length & 3) != 0) return 0;
  const section = sectionAt(image, SECTION_INSPECTION);
  const words = <u64>(<u32>length >> 2);
  const count = load<u32>(section);
  if (<u64>count * INSPECTION_WORDS + 1 > words) return 0;
  let next = 1 + <u64>count * INSPECTION_WORDS;
  const strings = <u64>(<u32>sectionLength(image, SECTION_STRINGS));
  let before = -1; // they are sorted by route, the app's first
  for (let i: u32 = 0; i < count; i++) {
    const profile = profileAt(section, i);
    const where = <i32>(profile - section);
    if (field(profile, INSPECTION_ROUTE) < before) return where;
    before = field(profile, INSPECTION_ROUTE);
    if (field(profile, INSPECTION_MODE) != MODE_LOG && field(profile, INSPECTION_MODE) != MODE_ENFORCE) return where;
    if (<u64>(<u32>field(profile, INSPECTION_NAMES)) != next) return where;
    const names = <u64>(<u32>field(profile, INSPECTION_REQUIRED)) + <u64>(<u32>field(profile, INSPECTION_FORBIDDEN)) + <u64>(<u32>field(profile, INSPECTION_LENGTHS)); // prettier-ignore
    if (next + names * NAME_WORDS > words) return where;
    for (let j: u64 = 0; j < names; j++, next += NAME_WORDS) {
      const name = section + (<usize>next << 2);
      if (<u64>load<u32>(name) + <u64>load<u32>(name, 4) > strings) return where;
      if (load<u32>(name, 8) >= <u32>nameCount(image)) return where;
    }
  }
  return -1;
}
