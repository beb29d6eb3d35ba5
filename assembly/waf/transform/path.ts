// normalizePath and normalizePathWin.
import { copyRun } from './bytes';
import { begin, finish, keep } from './output';

const SLASH: u32 = 0x2f;
const DOT: u32 = 0x2e;
const BACKSLASH: u32 = 0x5c;

/** Slashes in a row become one; `.` segments vanish, `..` takes the segment before it away where there is one. */
export function normalizePath(at: usize, length: i32): bool {
  return normalize(at, length, false);
}

/** The same, of `\` as `/`. */
export function normalizePathWin(at: usize, length: i32): bool {
  return normalize(at, length, true);
}

/** The byte at `at`, `\` as `/` if `windows`. */
// @ts-ignore: decorator
@inline
function read(at: usize, windows: bool): u32 {
  const byte = <u32>load<u8>(at);
  return windows && byte == BACKSLASH ? SLASH : byte;
}

/**
 * ModSecurity's algorithm, step by step, as its corners are part of what rules see: it decides at the last byte of each
 * segment, by the end of what it wrote so far. So a name that ends in dots counts as a reference (`ab..` is empty), and a
 * relative path keeps leading `..`. One thing is not kept: where separators follow one another it may leave a `\`, which
 * its documentation doesn't say and which would hide a path from rules that look for `/`.
 */
// @ts-ignore: decorator
@inline
function normalize(at: usize, length: i32, windows: bool): bool {
  if (length == 0) return keep(at, length);
  const start = begin(length, length);
  if (start == 0) return false;
  const last = at + <usize>length - 1;
  const relative = read(at, windows) != SLASH;
  const trailing = read(last, windows) == SLASH;
  let from = at;
  let to = start;
  let root = false; // a `..` came out at the root of the path
  while (from <= last) {
    const byte = read(from, windows);
    const done = from == last;
    // Only the last byte of a segment is of interest, and the last one of the path.
    if (!done && read(from + 1, windows) != SLASH) {
      from++;
      if (byte != SLASH || !relative || to > start) store<u8>(to++, <u8>byte);
      // The rest of the segment but for its last byte, which the copy takes along too.
      const next = copyRun(from, last + 1, to, SLASH, windows ? BACKSLASH : SLASH);
      to += next - from - 1;
      from = next - 1;
      continue;
    }
    if (done || byte != SLASH) {
      if (byte == DOT) {
        let gone = false;
        if (to > start && load<u8>(to - 1) == <u8>DOT) {
          if (relative && (root || to - 2 <= start)) root = true;
          else {
            gone = true;
            // SAFETY: `to` may fall below `start` here, but nothing is read there.
            to -= 3;
            while (to > start && load<u8>(to) != <u8>SLASH) to--;
            if (to <= start) {
              root = true;
              to = start;
            }
          }
        } else if (to == start) gone = true;
        else if (load<u8>(to - 1) == <u8>SLASH) {
          gone = true;
          if (!done) to--;
        }
        if (gone) {
          if (done) break;
          from++;
        }
      } else if (to > start) root = false;
    }
    if (read(from, windows) == SLASH) {
      while (from < last && read(from + 1, windows) == SLASH) from++;
      if (relative && to == start) {
        from++;
        continue;
      }
    }
    store<u8>(to++, <u8>read(from, windows));
    from++;
  }
  if (!trailing && to > start && load<u8>(to - 1) == <u8>SLASH) to--;
  return finish(at, length, start, to);
}
