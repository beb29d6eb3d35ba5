// Which matchers of a rule set match a text. See SECTION_MATCHERS in abi.ts.
import { failure, spend } from '../arena';
import { REASON_NONE, REGEX_UNSET } from '../abi';
import { begin, checkLiterals, hitEnd, nextHit } from '../regex/literals';
import { captures as captureGroups, check, find, groupCount } from '../regex/search';
import {
  MATCHERS_HEADER_BYTES,
  MATCHER_BYTES,
  MATCHER_PHRASES,
  MATCHER_REGEX,
  MAX_CAPTURES,
  MAX_MATCHERS,
} from './abi';

/** Number of matchers of the section. */
export function matcherCount(section: usize): i32 {
  return load<i32>(section);
}

/**
 * Sets in `hits` the bits of those `applicable` matchers that match the text; both are MATCHER_SET_BYTES, 8-aligned. False
 * when steps or arena are spent (arena.failure() says which), and `hits` may then be incomplete.
 */
export function match(section: usize, at: usize, length: i32, applicable: usize, hits: usize): bool {
  const count = load<i32>(section);
  for (let i = 0; i < count; i++) {
    const byte = <usize>(i >> 3);
    const bit = 1 << (i & 7);
    if ((load<u8>(applicable + byte) & bit) == 0 || (load<u8>(hits + byte) & bit) != 0) continue;
    if (!spend(1)) return false;
    if (matches(section, i, at, length)) store<u8>(hits + byte, load<u8>(hits + byte) | bit);
  }
  return failure() == REASON_NONE;
}

function matches(section: usize, matcher: i32, at: usize, length: i32): bool {
  const record = section + MATCHERS_HEADER_BYTES + <usize>matcher * MATCHER_BYTES;
  const programs = section + <usize>load<u32>(record, 4);
  const count = load<i32>(record, 8);
  for (let i = 0; i < count; i++) {
    const program = section + <usize>load<u32>(programs + (<usize>i << 2));
    if (load<u32>(record) == MATCHER_REGEX) return find(program, at, length);
    begin(program, at, length);
    if (nextHit()) return true;
  }
  return false;
}

/**
 * Where `matcher` matches the text: MAX_CAPTURES pairs of u32 offsets (start, end) to `out`, REGEX_UNSET for what took no
 * part. The first is the whole match. False when it doesn't match, or steps or arena are spent.
 */
export function captures(section: usize, matcher: i32, at: usize, length: i32, out: usize): bool {
  memory.fill(out, 0xff, MAX_CAPTURES << 3); // REGEX_UNSET
  const record = section + MATCHERS_HEADER_BYTES + <usize>matcher * MATCHER_BYTES;
  const programs = section + <usize>load<u32>(record, 4);
  if (load<u32>(record) == MATCHER_REGEX) {
    return captureGroups(section + <usize>load<u32>(programs), at, length, out);
  }
  const count = load<i32>(record, 8);
  for (let i = 0; i < count; i++) {
    begin(section + <usize>load<u32>(programs + (<usize>i << 2)), at, length);
    if (!nextHit()) continue;
    const end = <u32>(hitEnd - at);
    if (end >= load<u32>(out, 4) && load<u32>(out, 4) != <u32>REGEX_UNSET) continue;
    store<u32>(out, end > 0 ? end - 1 : 0); // where the phrase begins is not known yet
    store<u32>(out, end, 4);
  }
  return load<u32>(out, 4) != <u32>REGEX_UNSET;
}

/** Every number in the section, so that nothing above needs checks. */
export function checkMatchers(section: usize, length: i32): bool {
  if (length < MATCHERS_HEADER_BYTES || (section & 3) != 0) return false;
  const count = load<u32>(section);
  if (count > <u32>MAX_MATCHERS || <u32>(length - MATCHERS_HEADER_BYTES) < count * MATCHER_BYTES) return false;
  for (let i: u32 = 0; i < count; i++) {
    const record = section + MATCHERS_HEADER_BYTES + <usize>i * MATCHER_BYTES;
    const kind = load<u32>(record);
    const programs = load<u32>(record, 4);
    const number = load<u32>(record, 8);
    if (kind != MATCHER_REGEX && kind != MATCHER_PHRASES) return false;
    if ((programs & 3) != 0 || programs > <u32>length || number == 0 || number > (<u32>length - programs) >> 2) return false;
    if (kind == MATCHER_REGEX && number != 1) return false;
    for (let j: u32 = 0; j < number; j++) {
      const offset = load<u32>(section + <usize>programs + (<usize>j << 2));
      if (offset > <u32>length) return false;
      const program = section + <usize>offset;
      if (kind == MATCHER_PHRASES) {
        if (!checkLiterals(program, length - <i32>offset)) return false;
      } else {
        if (!check(program, length - <i32>offset)) return false;
        const groups = groupCount(program);
        if (groups == 0 || groups > MAX_CAPTURES) return false;
      }
    }
  }
  return true;
}
