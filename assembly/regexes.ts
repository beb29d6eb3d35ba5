// The regex programs of an image. SECTION_REGEXES (one pattern each) and SECTION_ROUTE_SETS (several patterns each) are
// directories: u32 count, u32 offset[count] from the section's start, programs.
import { SECTION_REGEXES, SECTION_ROUTE_SETS } from './abi';
import { check, checkSet, find } from './regex/search';
import { sectionAt, sectionLength } from './image';

function programCount(image: usize, id: i32): i32 {
  return sectionLength(image, id) == 0 ? 0 : load<i32>(sectionAt(image, id));
}

function programAt(image: usize, id: i32, index: i32): usize {
  const section = sectionAt(image, id);
  return section + load<u32>(section + 4 + (<usize>index << 2));
}

/** Number of regexes in SECTION_REGEXES. */
export function regexCount(image: usize): i32 {
  return programCount(image, SECTION_REGEXES);
}

/** Address of regex program `index`, which must be below regexCount. */
export function regexAt(image: usize, index: i32): usize {
  return programAt(image, SECTION_REGEXES, index);
}

/** True when the regex matches; false also when steps or arena ran out, see `failure`. */
export function findRegex(image: usize, index: i32, at: usize, length: i32): bool {
  return find(regexAt(image, index), at, length);
}

/** Number of set programs in SECTION_ROUTE_SETS. */
export function setCount(image: usize): i32 {
  return programCount(image, SECTION_ROUTE_SETS);
}

/** Address of set program `index`, which must be below setCount. */
export function setAt(image: usize, index: i32): usize {
  return programAt(image, SECTION_ROUTE_SETS, index);
}

/** Offset of the fault inside SECTION_REGEXES or SECTION_ROUTE_SETS, or -1. */
export function checkPrograms(image: usize, id: i32): i32 {
  const length = sectionLength(image, id);
  if (length == 0) return -1;
  const section = sectionAt(image, id);
  const count = load<u32>(section);
  if (length < 4 || <u64>count * 4 + 4 > <u64>length) return 0;
  let end: u32 = 4 + (count << 2);
  for (let i: u32 = 0; i < count; i++) {
    const offset = load<u32>(section + 4 + (<usize>i << 2));
    // Programs stand one after the other, each up to the next, so that checking them all is linear.
    const next = i + 1 < count ? load<u32>(section + 8 + (<usize>i << 2)) : <u32>length;
    if (offset < end || (offset & 3) != 0 || next <= offset || next > <u32>length) return 4 + (<i32>i << 2);
    const room = <i32>(next - offset);
    const sound = id == SECTION_REGEXES ? check(section + offset, room) : checkSet(section + offset, room);
    if (!sound) return <i32>offset;
    end = offset;
  }
  return -1;
}
