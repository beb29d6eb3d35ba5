import type { Ranges } from './ranges.ts';

/** Byte ranges whose product is a set of UTF-8 encodings of one length: [[0xc3, 0xc3], [0x80, 0xbf]]. */
export type ByteSequence = readonly (readonly [low: number, high: number])[];

const LENGTH_LIMITS = [0x7f, 0x7ff, 0xffff, 0x10ffff];

/** Splits code point ranges (without surrogates) into byte sequences, ascending. */
export function toByteSequences(set: Ranges): ByteSequence[] {
  const out: ByteSequence[] = [];
  for (let i = 0; i < set.length; i += 2) {
    let low = set[i]!;
    for (const limit of LENGTH_LIMITS) {
      if (low > limit || low > set[i + 1]!) continue;
      const high = Math.min(set[i + 1]!, limit);
      split(low, high, out);
      low = high + 1;
    }
  }
  return out;
}

// A range is a product of byte ranges once its ends agree in all bytes but a tail that is all 80 to all BF.
function split(low: number, high: number, out: ByteSequence[]): void {
  if (high > 0x7f) {
    for (let bits = 6; bits <= 18; bits += 6) {
      const mask = (1 << bits) - 1;
      if ((low & ~mask) === (high & ~mask)) continue;
      if ((low & mask) !== 0) {
        split(low, low | mask, out);
        split((low | mask) + 1, high, out);
        return;
      }
      if ((high & mask) !== mask) {
        split(low, (high & ~mask) - 1, out);
        split(high & ~mask, high, out);
        return;
      }
    }
  }
  const first = encode(low);
  const last = encode(high);
  out.push(first.map((byte, i) => [byte, last[i]!] as const));
}

function encode(point: number): number[] {
  if (point < 0x80) return [point];
  if (point < 0x800) return [0xc0 | (point >> 6), 0x80 | (point & 63)];
  if (point < 0x10000) return [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)];
  return [0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)];
}
