// The regex programs of an image: does it match, where are its groups, which of many match. Linear in the text always.
import {
  MAX_REGEX_GROUPS,
  REGEX_DFA,
  REGEX_GROUPS,
  REGEX_HEADER_BYTES,
  REGEX_LENGTH,
  REGEX_NFA,
  REGEX_PATTERN,
  REGEX_PATTERNS,
} from './abi';
import { checkDfa, findDfa, matchSetDfa } from './dfa';
import { checkNfa, runNfa } from './nfa';

/** True when the pattern matches; false also when the call's budget is spent (arena.failure() says so). */
export function find(program: usize, at: usize, length: i32): bool {
  const dfa = load<u32>(program, REGEX_DFA);
  if (dfa != 0) return findDfa(program + <usize>dfa, at, length);
  return runNfa(program + <usize>load<u32>(program, REGEX_NFA), at, length, 0, 0);
}

/** Number of capture groups with the whole match; 0 when the program was compiled without captures. */
export function groupCount(program: usize): i32 {
  return load<i32>(program, REGEX_GROUPS);
}

/**
 * Writes 2 * groupCount u32 offsets into `out`: start and end of each group, REGEX_UNSET where it took no part. False, and
 * `out` unspecified, when there is no match, no captures were compiled, or the call's budget is spent.
 */
export function captures(program: usize, at: usize, length: i32, out: usize): bool {
  const groups = load<i32>(program, REGEX_GROUPS);
  if (groups == 0) return false;
  // The DFA says no many times faster than the NFA.
  const dfa = load<u32>(program, REGEX_DFA);
  if (dfa != 0 && !findDfa(program + <usize>dfa, at, length)) return false;
  return runNfa(program + <usize>load<u32>(program, REGEX_NFA), at, length, groups, out);
}

/**
 * As `captures`, of the first match that begins at offset `from` or later. What is before still counts for `^` and `\b`, which
 * a search in the rest of the text would get wrong.
 */
export function capturesFrom(program: usize, at: usize, length: i32, from: i32, out: usize): bool {
  const groups = load<i32>(program, REGEX_GROUPS);
  if (groups == 0) return false;
  return runNfa(program + <usize>load<u32>(program, REGEX_NFA), at, length, groups, out, from);
}

/** Number of pattern ids of the program's set. */
export function patternCount(program: usize): i32 {
  return load<i32>(program, REGEX_PATTERNS);
}

/** Sets the bits of the patterns that match in `bitset`, of (patternCount + 31) / 32 words, which the caller has zeroed. */
export function matchSet(program: usize, at: usize, length: i32, bitset: usize): void {
  const dfa = load<u32>(program, REGEX_DFA);
  if (dfa != 0) {
    matchSetDfa(program + <usize>dfa, at, length, bitset);
  } else if (runNfa(program + <usize>load<u32>(program, REGEX_NFA), at, length, 0, 0)) {
    const id = load<u32>(program, REGEX_PATTERN);
    const word = bitset + (<usize>(id >> 5) << 2);
    store<u32>(word, load<u32>(word) | (1 << (id & 31)));
  }
}

/** Checks a single-pattern program of at most `length` bytes; after it, `find` and `captures` read only inside it. */
export function check(program: usize, length: i32): bool {
  return checkProgram(program, length, false);
}

/** Checks a set's program, for `matchSet`. */
export function checkSet(program: usize, length: i32): bool {
  return checkProgram(program, length, true);
}

function checkProgram(program: usize, room: i32, set: bool): bool {
  if (room < REGEX_HEADER_BYTES || (program & 3) != 0) return false;
  const length = load<u32>(program, REGEX_LENGTH);
  if (length < <u32>REGEX_HEADER_BYTES || length > <u32>room || (length & 3) != 0) return false;
  const dfa = load<u32>(program, REGEX_DFA);
  const nfa = load<u32>(program, REGEX_NFA);
  const groups = load<u32>(program, REGEX_GROUPS);
  const patterns = load<u32>(program, REGEX_PATTERNS);
  if (groups > <u32>MAX_REGEX_GROUPS || patterns == 0 || load<u32>(program, REGEX_PATTERN) >= patterns) return false;
  if (dfa == 0 && nfa == 0) return false;
  if (groups != 0 && nfa == 0) return false;
  if (dfa != 0) {
    if (dfa < <u32>REGEX_HEADER_BYTES || dfa > length || (dfa & 3) != 0) return false;
    if (!checkDfa(program + <usize>dfa, length - dfa, patterns, set)) return false;
  }
  if (nfa != 0) {
    if (nfa < <u32>REGEX_HEADER_BYTES || nfa > length || (nfa & 3) != 0) return false;
    if (!checkNfa(program + <usize>nfa, length - nfa, groups)) return false;
  }
  return true;
}
