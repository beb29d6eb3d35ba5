// Text in units of 16 or 32 bits, as UTF-8: the form in which rules look at everything.
import { alloc, release, spend } from '../../arena';
import { putCodePoint } from '../../json';

export let narrowedLength: i32 = 0;
/** True when units stood for no character, each of which is U+FFFD now. */
export let narrowedBadly: bool = false;

/**
 * The text in [at, at + length), of units of `size` bytes (2 or 4), `big` for the most significant byte first, in the
 * arena; 0 when a limit is reached. A unit that is cut off at the end is left out.
 */
export function narrow(at: usize, length: i32, size: usize, big: bool): usize {
  narrowedBadly = (<usize>length & (size - 1)) != 0;
  narrowedLength = 0;
  if (!spend(length)) return 0;
  // SAFETY: 16 bits become at most three bytes, 32 bits at most four.
  const start = alloc(length + (length >> 1) + 3);
  if (start == 0) return 0;
  let to = start;
  const end = at + <usize>length;
  for (let q = at; q + size <= end; q += size) {
    let unit = size == 2 ? half(q, big) : whole(q, big);
    if (size == 2 && unit >= 0xd800 && unit < 0xdc00 && q + 3 < end) {
      const low = half(q + 2, big);
      if (low >= 0xdc00 && low < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        q += 2;
      }
    }
    if ((unit >= 0xd800 && unit < 0xe000) || <u32>unit > 0x10ffff) {
      narrowedBadly = true;
      unit = 0xfffd;
    }
    to = putCodePoint(to, unit);
  }
  narrowedLength = <i32>(to - start);
  release((to + 7) & ~7);
  return start;
}

function half(q: usize, big: bool): i32 {
  const unit = <i32>load<u16>(q);
  return big ? ((unit & 0xff) << 8) | (unit >> 8) : unit;
}
function whole(q: usize, big: bool): i32 {
  return <i32>(big ? bswap(load<u32>(q)) : load<u32>(q));
}
