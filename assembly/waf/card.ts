// verifyCC: numbers that a pattern finds and whose check digit is right.
import { alloc, mark, release } from '../arena';
import { capturesFrom, groupCount } from '../regex/search';

/** The number that `verifyCC` found, for TX.0. */
export let cardAt: usize = 0;
export let cardLength: i32 = 0;

/**
 * `@verifyCC`: true when a match of the pattern (see REGEX in abi.ts; compiled with captures) passes the check of ISO/IEC
 * 7812-1, Luhn's. Matches may overlap, as in ModSecurity: after one that fails, the search goes on one byte behind its start.
 * That is more than linear in a text made for it, and the step budget bounds it. False also when that is spent.
 */
export function verifyCC(program: usize, at: usize, length: i32): bool {
  const before = mark();
  const groups = alloc(groupCount(program) << 3);
  let found = false;
  if (groups != 0) {
    for (let from = 0; from < length && capturesFrom(program, at, length, from, groups); ) {
      from = load<i32>(groups);
      cardAt = at + <usize>from;
      cardLength = load<i32>(groups, 4) - from;
      found = isLuhn(cardAt, cardLength);
      if (found) break;
      from++;
    }
  }
  release(before);
  return found;
}

/** True when the digits in a text, of which there must be one, pass Luhn's check; other bytes don't count. */
export function isLuhn(at: usize, length: i32): bool {
  // Of the digits so far, every other one doubled: the last one not, and the last one so. One pass from the left will do.
  let sum: u32 = 0;
  let other: u32 = 0;
  let digits = 0;
  for (const end = at + <usize>length; at < end; at++) {
    const digit = <u32>load<u8>(at) - 0x30;
    if (digit > 9) continue;
    const doubled = digit < 5 ? digit << 1 : (digit << 1) - 9;
    const next = other + digit;
    other = sum + doubled;
    sum = next;
    digits++;
  }
  return digits > 0 && sum % 10 == 0;
}
