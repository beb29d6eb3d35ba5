/**
 * Regular expressions that the compiler itself has to answer: which tags, messages and names an exclusion means.
 * They run as the engine's do, in linear time: RegExp backtracks, and a policy is not always its operator's friend.
 */
import {
  ASSERT_END,
  ASSERT_END_LINE,
  ASSERT_NOT_WORD,
  ASSERT_START,
  ASSERT_START_LINE,
  ASSERT_WORD,
  NFA_ASSERT,
  NFA_MATCH,
  NFA_RANGES,
  NFA_SPLIT,
} from '../../../assembly/regex/abi.ts';
import { RegexError } from '../regex/index.ts';
import { buildNfa, type Nfa } from '../regex/nfa.ts';
import { parse } from '../regex/parse.ts';
import { MAX_SELECTION_PATTERN_BYTES } from './limits.ts';
import type { Problems } from './problems.ts';
import type { Text } from './text.ts';

const encoder = new TextEncoder();

/** Bytes beyond ASCII as `\xHH`, so that the pattern means the bytes of its UTF-8. */
export function asciiPattern(pattern: string): string {
  return pattern.replaceAll(/\\[^]|[^\u0000-\u007f]+/gu, (text) => {
    const meant = text.startsWith('\\') ? text.slice(1) : text;
    if (meant.charCodeAt(0) < 0x80) return text;
    return [...encoder.encode(meant)].map((byte) => `\\x${byte.toString(16)}`).join('');
  });
}

/** False after reporting what is wrong with it. */
export function checkPattern(pattern: Text, problems: Problems): boolean {
  try {
    compilePattern(pattern.value);
    return true;
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    reportRegexError(pattern, error, problems);
    return false;
  }
}

/** At the character of `pattern` that `error`, of its ASCII form, means. */
export function reportRegexError(pattern: Text, error: RegexError, problems: Problems): void {
  let offset = 0;
  for (let written = 0; offset < pattern.value.length; offset++) {
    written += asciiPattern(pattern.value[offset]!).length;
    if (written > error.offset) break;
  }
  const length = Math.min(error.length, Math.max(1, pattern.value.length - offset));
  const fix = error.fix === undefined ? {} : { fix: error.fix };
  problems.error('bad-regex', pattern, error.message, { offset, length, ...fix });
}

export type Test = (text: string) => boolean;

/**
 * Whether the pattern is found anywhere in a text. Throws RegexError. `foldCase`: as for names of targets; tags and
 * messages compare with case. SPEC: msc_pregcomp without options for tags and messages: `.` is not a line feed.
 */
export function compilePattern(pattern: string, { foldCase = false, dotAll = false } = {}): Test {
  const regex = parse(asciiPattern(pattern), { foldCase, dotAll }, MAX_SELECTION_PATTERN_BYTES);
  const nfa = buildNfa([regex], [0], false, false);
  return (text) => search(nfa, encoder.encode(text));
}

const isWord = (byte: number | undefined): boolean =>
  byte !== undefined && /[0-9A-Za-z_]/.test(String.fromCharCode(byte));

function holds(kind: number, bytes: Uint8Array, at: number): boolean {
  switch (kind) {
    case ASSERT_START:
      return at === 0;
    case ASSERT_END:
      return at === bytes.length;
    case ASSERT_START_LINE:
      return at === 0 || bytes[at - 1] === 10;
    case ASSERT_END_LINE:
      return at === bytes.length || bytes[at] === 10;
    case ASSERT_WORD:
      return isWord(bytes[at - 1]) !== isWord(bytes[at]);
    case ASSERT_NOT_WORD:
      return isWord(bytes[at - 1]) === isWord(bytes[at]);
    default:
      throw new RangeError(`assertion ${kind}`);
  }
}

/** Every state at most once a byte: states x bytes steps. */
function search(nfa: Nfa, bytes: Uint8Array): boolean {
  const seen = new Int32Array(nfa.states.length).fill(-1);
  let current: number[] = [];
  for (let at = 0; ; at++) {
    const next: number[] = [];
    const stack = [nfa.start, ...current]; // a match may begin anywhere
    while (stack.length > 0) {
      const id = stack.pop()!;
      if (seen[id] === at) continue;
      seen[id] = at;
      const state = nfa.states[id]!;
      if (state.op === NFA_MATCH) return true;
      if (state.op === NFA_SPLIT) stack.push(state.x, state.y);
      else if (state.op === NFA_ASSERT) {
        if (holds(state.kind, bytes, at)) stack.push(state.x);
      } else if (state.op === NFA_RANGES) {
        const byte = bytes[at];
        if (byte === undefined) continue;
        for (const { low, high, next: to } of state.transitions) if (byte >= low && byte <= high) next.push(to);
      } else stack.push(state.x);
    }
    if (at === bytes.length) return false;
    current = next;
  }
}
