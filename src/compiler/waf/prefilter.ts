/** The table of literals and phrases that says which matchers may match at all; the layout is in assembly/waf/abi.ts. */
import {
  MAX_PREFILTER_ENTRIES,
  PREFILTER_ENTRIES,
  PREFILTER_ENTRY_BYTES,
  PREFILTER_HASH,
  PREFILTER_PAIRS,
  PREFILTER_PAIR_FIRST,
  PREFILTER_QUADS,
  PREFILTER_QUAD_BUCKETS,
  PREFILTER_QUAD_BUCKET_SHIFT,
  PREFILTER_QUAD_FIRST,
  PREFILTER_QUAD_SHIFT,
  PREFILTER_RECORDS,
  PREFILTER_SET,
  PREFILTER_SINGLES,
  PREFILTER_SINGLE_RECORDS,
  PREFILTER_TEXT_BYTES,
  PREFILTER_TRIPLES,
  PREFILTER_TRIPLE_BUCKETS,
  PREFILTER_TRIPLE_BUCKET_SHIFT,
  PREFILTER_TRIPLE_FIRST,
  PREFILTER_TRIPLE_SHIFT,
} from '../../../assembly/waf/abi.ts';
import { rarestAnchor } from './literals.ts';

/** What one matcher looks for: bytes as characters, ASCII letters lower case, none empty. */
export interface Wanted {
  readonly matcher: number;
  readonly literals: readonly string[];
}

interface Entry {
  readonly text: string;
  readonly before: number; // bytes before the anchor
  readonly anchor: number;
  readonly bucket: number;
  readonly record: number;
}

/** Length a multiple of 4. Throws RangeError beyond MAX_PREFILTER_ENTRIES. */
export function prefilterBytes(wanted: readonly Wanted[], vectors: number): Uint8Array {
  const matchersOf = new Map<string, number[]>();
  for (const { matcher, literals } of wanted) {
    for (const text of literals) {
      const some = matchersOf.get(text);
      if (some) some.push(matcher);
      else matchersOf.set(text, [matcher]);
    }
  }
  if (matchersOf.size > MAX_PREFILTER_ENTRIES) {
    throw new RangeError(`a rule set looks for ${matchersOf.size} literals, more than ${MAX_PREFILTER_ENTRIES}`);
  }
  const records = new Map<string, { index: number; matchers: readonly number[] }>();
  const recordOf = (matchers: readonly number[]): number => {
    const key = matchers.join();
    let record = records.get(key);
    if (!record) records.set(key, (record = { index: records.size, matchers }));
    return record.index;
  };
  const singles: { byte: number; record: number }[] = [];
  const tiers: Entry[][] = [[], [], []]; // quads, triples, pairs
  const bits = [new Uint8Array(16384), new Uint8Array(8192), new Uint8Array(8192)];
  const set = (tier: number, bit: number): void => {
    bits[tier]![bit >>> 3]! |= 1 << (bit & 7);
  };
  // The anchors of short texts can't be chosen, so these come first.
  const crowd = new Map<string, number>();
  for (const text of [...matchersOf.keys()].sort((a, b) => a.length - b.length || (a < b ? -1 : 1))) {
    const matchers = matchersOf.get(text)!;
    const record = recordOf(matchers);
    if (text.length === 1) {
      singles.push({ byte: text.charCodeAt(0), record });
      continue;
    }
    const before = rarestAnchor(text, (anchor) => crowd.get(anchor) ?? 0);
    const tier = text.length >= 4 ? 0 : text.length === 3 ? 1 : 2;
    const anchorText = text.slice(before, before + 4);
    crowd.set(anchorText, (crowd.get(anchorText) ?? 0) + 1);
    const anchor = anchorOf(anchorText);
    let bucket = anchor & 0xff;
    if (tier === 0) {
      const hash = Math.imul(anchor, PREFILTER_HASH) >>> PREFILTER_QUAD_SHIFT;
      bucket = hash >>> PREFILTER_QUAD_BUCKET_SHIFT;
      set(0, hash);
    } else if (tier === 1) {
      const hash = Math.imul(anchor, PREFILTER_HASH) >>> PREFILTER_TRIPLE_SHIFT;
      bucket = hash >>> PREFILTER_TRIPLE_BUCKET_SHIFT;
      set(1, hash);
    } else set(2, anchor);
    tiers[tier]!.push({ text, before, anchor, bucket, record });
  }
  return serialize(wanted, vectors, bits, tiers, singles, [...records.values()]);
}

/** The first 4 bytes as the engine reads them; 0 for what is not there. */
function anchorOf(text: string): number {
  let value = 0;
  for (let i = 0; i < text.length; i++) value |= text.charCodeAt(i) << (i * 8);
  return value >>> 0;
}

function serialize(
  wanted: readonly Wanted[],
  vectors: number,
  bits: readonly Uint8Array[],
  tiers: readonly Entry[][],
  singles: readonly { byte: number; record: number }[],
  records: readonly { matchers: readonly number[] }[],
): Uint8Array {
  const texts = new Map<string, number>();
  let textBytes = 0;
  for (const { text } of tiers.flat()) {
    texts.set(text, textBytes);
    textBytes += text.length;
  }
  const count = tiers.reduce((sum, entries) => sum + entries.length, 0);
  const setBytes = vectors * 16;
  const recordsAt = PREFILTER_SET + setBytes;
  const entriesAt = recordsAt + records.length * setBytes;
  const textAt = entriesAt + count * PREFILTER_ENTRY_BYTES;
  const bytes = new Uint8Array((textAt + textBytes + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint32(PREFILTER_RECORDS, records.length, true);
  view.setUint32(PREFILTER_ENTRIES, count, true);
  view.setUint32(PREFILTER_TEXT_BYTES, textBytes, true);
  [PREFILTER_QUADS, PREFILTER_TRIPLES, PREFILTER_PAIRS].forEach((at, tier) => bytes.set(bits[tier]!, at));
  const mark = (at: number, matcher: number): void => {
    bytes[at + (matcher >> 3)]! |= 1 << (matcher & 7);
  };
  for (const { matcher } of wanted) mark(PREFILTER_SET, matcher);
  records.forEach(({ matchers }, index) => {
    for (const matcher of matchers) mark(recordsAt + index * setBytes, matcher);
  });
  for (const { byte, record } of singles) {
    for (const one of byte >= 0x61 && byte <= 0x7a ? [byte, byte - 32] : [byte]) {
      bytes[PREFILTER_SINGLES + (one >> 3)]! |= 1 << (one & 7);
      view.setUint16(PREFILTER_SINGLE_RECORDS + one * 2, record, true);
    }
  }
  let index = 0;
  const buckets = [PREFILTER_QUAD_BUCKETS, PREFILTER_TRIPLE_BUCKETS, 256];
  [PREFILTER_QUAD_FIRST, PREFILTER_TRIPLE_FIRST, PREFILTER_PAIR_FIRST].forEach((firstAt, tier) => {
    const sorted = tiers[tier]!.toSorted((a, b) => a.bucket - b.bucket);
    let next = 0;
    for (let bucket = 0; bucket <= buckets[tier]!; bucket++) {
      view.setUint16(firstAt + bucket * 2, index, true);
      for (; sorted[next]?.bucket === bucket; next++) {
        const { text, before, anchor, record } = sorted[next]!;
        const at = entriesAt + index++ * PREFILTER_ENTRY_BYTES;
        view.setUint32(at, anchor, true);
        view.setUint32(at + 4, texts.get(text)!, true);
        view.setUint16(at + 8, text.length, true);
        view.setUint16(at + 10, before, true);
        view.setUint16(at + 12, record, true);
        const { matchers } = records[record]!;
        view.setUint16(at + 14, matchers.length === 1 ? matchers[0]! : 0xffff, true);
      }
    }
  });
  for (const [text, at] of texts) for (let i = 0; i < text.length; i++) bytes[textAt + at + i] = text.charCodeAt(i);
  return bytes;
}
