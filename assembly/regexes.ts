// The regex programs of an image: SECTION_REGEXES is u32 count, u32 offset[count] from the section's start, programs.
import { SECTION_REGEXES } from './abi';
import { check, find } from './regex/search';
import { sectionAt, sectionLength } from './image';

/** Number of regexes in SECTION_REGEXES. */
export function regexCount(image: usize): i32 {
  return sectionLength(image, SECTION_REGEXES) == 0 ? 0 : load<i32>(sectionAt(image, SECTION_REGEXES));
}

/** Address of regex program `index`, which must be below regexCount. */
export function regexAt(image: usize, index: i32): usize {
  const section = sectionAt(image, SECTION_REGEXES);
  return section + load<u32>(section + 4 + (<usize>index << 2));
}

/** True when the regex matches; false also when steps or arena ran out, see `failure`. */
export function findRegex(image: usize, index: i32, at: usize, length: i32): bool {
  return find(regexAt(image, index), at, length);
}

/** Offset of the fault inside SECTION_REGEXES, or -1. */
export function checkRegexes(image: usize): i32 {
  const length = sectionLength(image, SECTION_REGEXES);
  if (length == 0) return -1;
  const section = sectionAt(image, SECTION_REGEXES);
  const count = load<u32>(section);
  if (length < 4 || <u64>count * 4 + 4 > <u64>length) return 0;
  let end: u32 = 4 + (count << 2);
  for (let i: u32 = 0; i < count; i++) {
    const offset = load<u32>(section + 4 + (<usize>i << 2));
    // Programs stand one after the other, each up to the next, so that checking them all is linear.
    const next = i + 1 < count ? load<u32>(section + 8 + (<usize>i << 2)) : <u32>length;
    if (offset < end || (offset & 3) != 0 || next <= offset || next > <u32>length) return 4 + (<i32>i << 2);
    if (!check(section + offset, <i32>(next - offset))) return <i32>offset;
    end = offset;
  }
  return -1;
}
