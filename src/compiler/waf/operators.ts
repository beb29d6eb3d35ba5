/** Operators as what the automata are made of: a regex tree, or phrases. */
import { ASSERT_END, ASSERT_START } from '../../../assembly/regex/abi.ts';
import { MAX_CAPTURES, MAX_RULE_PATTERN_BYTES } from '../../../assembly/waf/abi.ts';
import { RegexError } from '../regex/index.ts';
import { parse } from '../regex/parse.ts';
import { negate, WORD_BYTES } from '../regex/ranges.ts';
import { EMPTY, type Node, type Regex } from '../regex/syntax.ts';
import { ignoreCase } from './case.ts';
import type { MatcherGroup, MatcherSource } from './matchers.ts';

export interface ParsedMatcher {
  group: MatcherGroup; // of the lowest paranoia level that uses it
  /** Null for phrases. */
  readonly regex: Regex | null;
  /** Bytes, ASCII letters lower case, distinct, not empty. */
  readonly phrases: readonly Uint8Array[];
  captures: boolean;
}

const encoder = new TextEncoder();

/** Throws RegexError. */
export function parseOperator(source: MatcherSource): ParsedMatcher {
  const { group } = source;
  if (source.kind === 'pm') return { group, regex: null, phrases: phrases(source.phrases), captures: false };
  const lowered = source.lowered === true;
  if (source.kind === 'rx') {
    // SPEC: ModSecurity v2 compiles @rx with PCRE_DOTALL | PCRE_DOLLAR_ENDONLY, over bytes.
    const regex = parse(source.pattern, { dotAll: true }, MAX_RULE_PATTERN_BYTES);
    return { group, regex: lowered ? ignoreCase(regex) : regex, phrases: [], captures: source.captures };
  }
  const literal: Node[] = [...encoder.encode(source.text)].map((byte) => ({ type: 'class', set: [byte, byte] }));
  const root = literal.length === 0 ? EMPTY : ({ type: 'concat', items: literal } as const);
  const regex = (node: Node): Regex => {
    const plain: Regex = { root: node, groups: 1, names: [null], unicode: false };
    return lowered ? ignoreCase(plain) : plain;
  };
  if (source.kind === 'strmatch') return { group, regex: regex(root), phrases: [], captures: false };
  // SPEC: @containsWord wants no letter, digit or underscore on either side, whatever the word itself begins with.
  const other: Node = { type: 'class', set: negate(WORD_BYTES, 255) };
  const items: Node[] = [
    { type: 'alternate', items: [{ type: 'assert', kind: ASSERT_START }, other] },
    ...literal,
    { type: 'alternate', items: [{ type: 'assert', kind: ASSERT_END }, other] },
  ];
  const words = literal.length === 0 ? EMPTY : ({ type: 'concat', items } as const);
  return { group, regex: regex(words), phrases: [], captures: false };
}

function phrases(list: readonly string[]): Uint8Array[] {
  const distinct = new Set(list.map((phrase) => phrase.replace(/[A-Z]/g, (letter) => letter.toLowerCase())));
  distinct.delete('');
  if (distinct.size === 0) throw new RegexError('no phrase to look for', 0, 1, 'give at least one word');
  return [...distinct].map((phrase) => encoder.encode(phrase));
}

/** Only the groups that captures give: those of TX.1 to TX.9, or none. */
export function keepGroups(regex: Regex, captures: boolean): Regex {
  const groups = captures ? Math.min(regex.groups, MAX_CAPTURES) : 1;
  if (groups === regex.groups) return regex;
  const keep = (node: Node): Node => {
    switch (node.type) {
      case 'group':
        return node.index < groups ? { ...node, item: keep(node.item) } : keep(node.item);
      case 'concat':
      case 'alternate':
        return { ...node, items: node.items.map(keep) };
      case 'repeat':
        return { ...node, item: keep(node.item) };
      default:
        return node;
    }
  };
  return { ...regex, root: keep(regex.root), groups, names: regex.names.slice(0, groups) };
}
