/** Runs a section of matchers in the engine. */
import { BODY_AT, IMAGES_AT, STATE_AT } from '../../assembly/abi.ts';
import {
  BIN_ALIGNMENT,
  MATCHERS_BIN_COUNT,
  MATCHERS_PACKED,
  MATCHER_SET_BYTES,
  MAX_CAPTURES,
} from '../../assembly/waf/abi.ts';
import { compileAssembly } from './assembly.ts';
import type { Groups } from './regex.ts';

interface Exports {
  match(section: number, at: number, length: number, applicable: number, hits: number): number;
  captures(section: number, matcher: number, at: number, length: number, out: number): number;
  openMatchers(section: number, length: number, wanted: number, to: number, room: number): number;
  alloc(bytes: number): number;
  reset(): void;
  stepsUsed(): number;
  failure(): number;
}

const encoder = new TextEncoder();

/** What the bins of a section take when they are unpacked; some number, where it is damaged. */
export function roomOf(section: Uint8Array): number {
  const view = new DataView(section.buffer, section.byteOffset, section.length);
  const word = (at: number): number => (at + 4 <= section.length ? view.getUint32(at, true) : 0);
  let sum = 0;
  for (let bin = Math.min(word(MATCHERS_BIN_COUNT), 1024) - 1; bin >= 0; bin--)
    sum += word(word(MATCHERS_PACKED) + bin * 8 + 4) + BIN_ALIGNMENT;
  return sum;
}

export async function matcherEngine(pages = 1024) {
  const { exports, memory } = await compileAssembly<Exports>(
    `export { match, captures } from './waf/match';
     export { openMatchers } from './waf/open';
     export { alloc, reset, stepsUsed, failure } from './arena';`,
    pages,
  );
  let section = 0;
  let count = 0;
  const write = (text: string | Uint8Array): number => {
    exports.reset();
    const bytes = typeof text === 'string' ? encoder.encode(text) : text;
    new Uint8Array(memory.buffer).set(bytes, BODY_AT);
    return bytes.length;
  };
  return {
    exports,
    memory,
    steps: (): number => exports.stepsUsed(),
    failure: (): number => exports.failure(),
    /**
     * True when the section is sound; it is then the one that the other functions run. Its bins end where memory ends, so
     * that whoever reads beyond it traps. `wanted`: the matchers that get theirs, all without it; `room`: bytes for bins.
     */
    open(bytes: Uint8Array, matchers: number, wanted?: readonly number[], room = roomOf(bytes)): boolean {
      section = (memory.buffer.byteLength - bytes.length - room) & ~3;
      if (section < IMAGES_AT) throw new RangeError('no room');
      new Uint8Array(memory.buffer).set(bytes, section);
      count = matchers;
      if (wanted !== undefined) {
        const bits = new Uint8Array(memory.buffer, STATE_AT, MATCHER_SET_BYTES).fill(0);
        for (const id of wanted) bits[id >> 3]! |= 1 << (id & 7);
      }
      const to = section + bytes.length;
      return exports.openMatchers(section, bytes.length, wanted === undefined ? 0 : STATE_AT, to, room) !== 0;
    },
    /** What stands in the section and behind it now. */
    bytes: (): Uint8Array => new Uint8Array(memory.buffer, section).slice(),
    /** `before`, and the matchers of `applicable` (all without it) that match, ascending; null when the budget is spent. */
    match(text: string | Uint8Array, applicable?: readonly number[], before: readonly number[] = []): number[] | null {
      const length = write(text);
      const mask = exports.alloc(MATCHER_SET_BYTES);
      const hits = exports.alloc(MATCHER_SET_BYTES);
      const masks = new Uint8Array(memory.buffer, mask, MATCHER_SET_BYTES);
      masks.fill(0);
      for (const id of applicable ?? Array.from({ length: count }, (_, i) => i)) masks[id >> 3]! |= 1 << (id & 7);
      const bits = new Uint8Array(memory.buffer, hits, MATCHER_SET_BYTES);
      bits.fill(0);
      for (const id of before) bits[id >> 3]! |= 1 << (id & 7);
      if (exports.match(section, BODY_AT, length, mask, hits) === 0) return null;
      return Array.from({ length: MATCHER_SET_BYTES * 8 }, (_, id) => id).filter(
        (id) => (bits[id >> 3]! >> (id & 7)) & 1,
      );
    },
    /** Offsets in bytes of the whole match and the groups; null without a match. */
    captures(matcher: number, text: string | Uint8Array): Groups | null {
      const length = write(text);
      const out = exports.alloc(MAX_CAPTURES * 8);
      if (exports.captures(section, matcher, BODY_AT, length, out) === 0) return null;
      const words = new Uint32Array(memory.buffer, out, MAX_CAPTURES * 2);
      return Array.from({ length: MAX_CAPTURES }, (_, i) =>
        words[i * 2] === 0xffffffff || words[i * 2 + 1] === 0xffffffff ? null : [words[i * 2]!, words[i * 2 + 1]!],
      );
    },
  };
}
