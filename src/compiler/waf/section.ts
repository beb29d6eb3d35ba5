/** The only writer of SECTION_MATCHERS; the layout is in assembly/waf/abi.ts. */
import { MATCHER_BYTES, MATCHER_PHRASES, MATCHER_REGEX, MATCHERS_HEADER_BYTES } from '../../../assembly/waf/abi.ts';
import { determinize } from '../regex/dfa.ts';
import { Effort } from '../regex/index.ts';
import { compileLiterals } from '../regex/literals.ts';
import { minimize } from '../regex/minimize.ts';
import { buildNfa } from '../regex/nfa.ts';
import { serialize } from '../regex/serialize.ts';
import type { MatcherOptions } from './matchers.ts';
import { keepGroups, type ParsedMatcher } from './operators.ts';

const MAX_AUTOMATON_BYTES = 30000; // of phrases in one automaton: its states are at most MAX_LITERAL_STATES

export async function writeSection(matchers: readonly ParsedMatcher[], options: MatcherOptions): Promise<Uint8Array> {
  const effort = new Effort();
  const programs = matchers.map((matcher, index) => {
    options.onProgress?.(index, matchers.length);
    return matcher.regex ? [regexProgram(matcher, effort)] : phrasePrograms(matcher.phrases);
  });
  const all = programs.flat();
  let at = MATCHERS_HEADER_BYTES + matchers.length * MATCHER_BYTES + all.length * 4;
  const bytes = new Uint8Array(at + all.reduce((sum, program) => sum + program.length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, matchers.length, true);
  let entry = MATCHERS_HEADER_BYTES + matchers.length * MATCHER_BYTES;
  programs.forEach((list, index) => {
    const record = MATCHERS_HEADER_BYTES + index * MATCHER_BYTES;
    view.setUint32(record, matchers[index]!.regex ? MATCHER_REGEX : MATCHER_PHRASES, true);
    view.setUint32(record + 4, entry, true);
    view.setUint32(record + 8, list.length, true);
    for (const program of list) {
      view.setUint32(entry, at, true);
      entry += 4;
      bytes.set(program, at);
      at += program.length;
    }
  });
  return bytes;
}

function regexProgram(matcher: ParsedMatcher, effort: Effort): Uint8Array {
  const regex = keepGroups(matcher.regex!, matcher.captures);
  const found = determinize(buildNfa([regex], [0], false, false), true, effort);
  const nfa = buildNfa([regex], [0], false, true);
  return serialize({ dfa: found && minimize(found), nfa, groups: regex.groups, set: null });
}

function phrasePrograms(phrases: readonly Uint8Array[]): Uint8Array[] {
  const programs: Uint8Array[] = [];
  let some: Uint8Array[] = [];
  let size = 0;
  const flush = (): void => {
    if (some.length > 0) {
      programs.push(
        compileLiterals(
          some.map((bytes) => ({ bytes, id: 0 })),
          1,
          true,
        ),
      );
    }
    some = [];
    size = 0;
  };
  for (const phrase of phrases) {
    if (size + phrase.length > MAX_AUTOMATON_BYTES) flush();
    some.push(phrase);
    size += phrase.length;
  }
  flush();
  return programs;
}
