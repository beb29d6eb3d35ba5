// Whether bytes are well-formed UTF-8. SPEC: Unicode 15, table 3-7.

/** True when [p, end) is well-formed. One step a byte at most; the caller draws on the budget. */
export function isUtf8(p: usize, end: usize): bool {
  while (p < end) {
    // SAFETY: reads up to 15 bytes behind `end`, of which `left` says that they don't count.
    const high = i8x16.bitmask(v128.load(p));
    const left = end - p;
    const stop = high | (left < 16 ? 1 << <i32>left : 0);
    if (stop == 0) {
      p += 16;
      continue;
    }
    p += <usize>ctz(stop);
    if (p >= end) return true;
    const size = sequence(p, end);
    if (size == 0) return false;
    p += size;
  }
  return true;
}

/** Bytes of the well-formed sequence at p, whose first byte is 0x80 or more; 0 when it is none. */
function sequence(p: usize, end: usize): usize {
  const lead = <u32>load<u8>(p);
  if (lead < 0xc2 || lead > 0xf4 || p + 1 >= end) return 0;
  const second = <u32>load<u8>(p, 1);
  if (lead < 0xe0) return (second & 0xc0) == 0x80 ? 2 : 0;
  // The second byte is narrower behind four leads: overlong forms, surrogates, above U+10FFFF.
  const low: u32 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const high: u32 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high || p + 2 >= end || (load<u8>(p, 2) & 0xc0) != 0x80) return 0;
  if (lead < 0xf0) return 3;
  return p + 3 < end && (load<u8>(p, 3) & 0xc0) == 0x80 ? 4 : 0;
}
