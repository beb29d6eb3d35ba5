/**
 * Regex text to a tree. The syntax is what Rust's regex crate, RE2 and ECMAScript share, so that a pattern means here
 * what it meant where it was pasted from; whatever needs backtracking is a named error with its place.
 *
 * Decisions where the dialects differ:
 * - `$` is the end of the text only (Rust, RE2, ECMAScript; PCRE with DOLLAR_ENDONLY), `\Z` is refused.
 * - `\d \w \s \b` are ASCII also with `unicode` (RE2). `\s` is [\t\n\v\f\r ], as in PCRE and Rust's ASCII mode.
 * - `[` inside a class is a literal unless it opens `[:name:]` (RE2, PCRE); Rust's nested classes and `&&` are not read.
 * - `{` that opens no repeat is a literal (RE2, PCRE).
 */
import { MAX_PATTERN_BYTES } from '../../../assembly/abi.ts';
import {
  ASSERT_END,
  ASSERT_END_LINE,
  ASSERT_NOT_WORD,
  ASSERT_NOT_WORD_UTF8,
  ASSERT_START,
  ASSERT_START_LINE,
  ASSERT_WORD,
  MAX_REGEX_DEPTH,
  MAX_REGEX_GROUPS,
  MAX_REGEX_REPEAT,
} from '../../../assembly/regex/abi.ts';
import { RegexError } from './error.ts';
import { Characters, LINEAR } from './characters.ts';
import { negate, type Ranges } from './ranges.ts';
import { EMPTY, type Node, type Regex, type RegexFlags } from './syntax.ts';

interface Modes {
  readonly fold: boolean;
  readonly dotAll: boolean;
  readonly multiline: boolean;
}

/** `maxBytes` bounds the source text. */
export function parse(pattern: string, flags: RegexFlags, maxBytes: number = MAX_PATTERN_BYTES): Regex {
  return new Parser(pattern, flags).parse(maxBytes);
}

class Parser extends Characters {
  private readonly start: Modes;
  private depth = 0;
  private readonly names: (string | null)[] = [null];

  constructor(pattern: string, flags: RegexFlags) {
    super(pattern, flags.unicode ?? false);
    this.start = { fold: flags.foldCase ?? false, dotAll: flags.dotAll ?? false, multiline: flags.multiline ?? false };
  }

  parse(maxBytes: number): Regex {
    const bytes = new TextEncoder().encode(this.pattern).length;
    if (bytes > maxBytes) {
      throw new RegexError(`pattern of ${bytes} bytes is longer than ${maxBytes}`, 0, this.pattern.length);
    }
    const root = this.alternation(this.start);
    if (this.at < this.pattern.length) this.fail('unmatched )', this.at, 1, 'write \\) for a literal parenthesis');
    return { root, groups: this.names.length, names: this.names, unicode: this.unicode };
  }

  private alternation(outer: Modes): Node {
    let modes = outer;
    const branches: Node[] = [];
    let items: Node[] = [];
    while (this.at < this.pattern.length && !this.looking(')')) {
      if (this.looking('|')) {
        this.at++;
        branches.push(concat(items));
        items = [];
        continue;
      }
      const changed = this.modesOnly(modes);
      if (changed) modes = changed;
      else items.push(this.repeated(modes));
    }
    branches.push(concat(items));
    if (branches.length === 1) return branches[0]!;
    return branches.every((branch) => branch.type === 'empty') ? EMPTY : { type: 'alternate', items: branches };
  }

  /** `(?i)` and its like, which hold to the end of the group. */
  private modesOnly(modes: Modes): Modes | null {
    const found = /^\(\?([a-zA-Z-]+)\)/.exec(this.pattern.slice(this.at, this.at + 16));
    if (!found || /^[R&]/.test(found[1]!)) return null;
    const changed = this.modes(found[1]!, modes, this.at + 2);
    this.at += found[0].length;
    if (/^[*+?]/.test(this.pattern.slice(this.at))) this.fail('nothing to repeat', this.at, 1);
    return changed;
  }

  private modes(letters: string, modes: Modes, offset: number): Modes {
    let { fold, dotAll, multiline } = modes;
    let on = true;
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i]!;
      if (letter === '-' && on) on = false;
      else if (letter === 'i') fold = on;
      else if (letter === 's') dotAll = on;
      else if (letter === 'm') multiline = on;
      else this.fail(`unknown inline flag "${letter}"`, offset + i, 1, 'use i, s or m');
    }
    return { fold, dotAll, multiline };
  }

  private repeated(modes: Modes): Node {
    const from = this.at;
    const item = this.atom(modes);
    const repeat = this.repeat();
    if (!repeat) return item;
    const next = this.pattern.slice(this.at, this.at + 1);
    const { min, max } = repeat;
    let greedy = true;
    if (next === '?') {
      greedy = false;
      this.at++;
    } else if (next === '+') {
      this.fail('possessive repeat is not supported', this.at, 1, `leave the + out: ${LINEAR}`);
    }
    const after = this.at;
    if (this.looking('*') || this.looking('+') || this.looking('?') || this.repeat()) {
      const text = this.pattern.slice(from, after);
      this.fail(
        'repeat of a repeat',
        after,
        1,
        text.length < 40 ? `group it: (?:${text})` : 'put the first one in (?:...)',
      );
    }
    if (item.type === 'empty' || max === 0) return EMPTY;
    // Nothing, repeated, is nothing once: nested counts of it would cost time without any state that a limit counts.
    if (weightless(item)) return { type: 'repeat', item, min: Math.min(min, 1), max: 1, greedy };
    return { type: 'repeat', item, min, max, greedy };
  }

  /** The repeat at the cursor, or null; `max` is -1 for no limit. */
  private repeat(): { min: number; max: number } | null {
    const simple = this.pattern[this.at];
    if (simple === '*' || simple === '+' || simple === '?') {
      this.at++;
      return { min: simple === '+' ? 1 : 0, max: simple === '?' ? 1 : -1 };
    }
    if (simple !== '{') return null;
    const open = this.pattern.slice(this.at, this.at + 32);
    if (/^\{,\d+\}/.test(open))
      this.fail('repeat without a lower bound', this.at, 2, 'write {0,m}, or \\{ for a literal brace');
    const found = /^\{(\d+)(,(\d*))?\}/.exec(open);
    if (!found) return null;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === '' ? -1 : Number(found[3]);
    const length = found[0].length;
    if (Math.max(min, max) > MAX_REGEX_REPEAT) {
      this.fail(`repeat count over ${MAX_REGEX_REPEAT}`, this.at, length, 'use * or +, or check the length apart');
    }
    if (max >= 0 && min > max)
      this.fail('repeat bounds are in the wrong order', this.at, length, `write {${max},${min}}`);
    this.at += length;
    return { min, max };
  }

  private atom(modes: Modes): Node {
    const from = this.at;
    const char = this.pattern[from]!;
    if (char === '(') return this.group(modes);
    if (char === '[') return this.set(this.class(modes.fold));
    if (char === '\\') return this.escape(modes);
    if (char === '*' || char === '+' || char === '?') {
      this.fail('nothing to repeat', from, 1, `write \\${char} for a literal character`);
    }
    if (char === '{' && this.repeat()) {
      this.at = from;
      this.fail('nothing to repeat', from, 1, 'write \\{ for a literal brace');
    }
    this.at++;
    if (char === '.') return this.set(modes.dotAll ? [0, this.max] : negate([10, 10], this.max));
    if (char === '^') return { type: 'assert', kind: modes.multiline ? ASSERT_START_LINE : ASSERT_START };
    if (char === '$') return { type: 'assert', kind: modes.multiline ? ASSERT_END_LINE : ASSERT_END };
    const point = this.pattern.codePointAt(from)!;
    if (point > 0xffff) this.at++;
    this.scalar(point, from);
    return this.literal(point, modes);
  }

  /** One character of the pattern; in byte mode one beyond ASCII is the bytes of its UTF-8 form. */
  private literal(point: number, modes: Modes): Node {
    if (this.unicode || point < 0x80) return this.set(this.fold([point, point], modes.fold));
    const bytes = new TextEncoder().encode(String.fromCodePoint(point));
    return concat([...bytes].map((byte) => ({ type: 'class', set: [byte, byte] })));
  }

  private set(set: Ranges): Node {
    return { type: 'class', set: this.unicode ? withoutSurrogates(set) : set };
  }

  private group(modes: Modes): Node {
    const from = this.at;
    if (++this.depth > MAX_REGEX_DEPTH) this.fail(`groups nested deeper than ${MAX_REGEX_DEPTH}`, from, 1);
    this.at++;
    let index = 0;
    let inner = modes;
    if (this.looking('?')) {
      const head = this.pattern.slice(this.at, this.at + 64);
      const named = /^\?P?<([A-Za-z_][A-Za-z0-9_]*)>/.exec(head);
      const flagged = /^\?([a-zA-Z-]*):/.exec(head);
      if (named) {
        if (this.names.includes(named[1]!)) this.fail(`group name "${named[1]}" is taken`, from, named[0].length + 1);
        index = this.capture(named[1]!, from);
        this.at += named[0].length;
      } else if (flagged) {
        inner = this.modes(flagged[1]!, modes, this.at + 1);
        this.at += flagged[0].length;
      } else this.refuse(head, from);
    } else {
      if (this.looking('*')) this.fail('backtracking verb is not supported', from, 2, LINEAR);
      index = this.capture(null, from);
    }
    const item = this.alternation(inner);
    if (!this.looking(')')) this.fail('group is not closed', from, 1, 'add ), or write \\( for a literal parenthesis');
    this.at++;
    this.depth--;
    return index === 0 ? item : { type: 'group', index, item };
  }

  private capture(name: string | null, offset: number): number {
    if (this.names.length >= MAX_REGEX_GROUPS) {
      this.fail(
        `more than ${MAX_REGEX_GROUPS - 1} capture groups`,
        offset,
        1,
        'write (?:...) where nothing is captured',
      );
    }
    return this.names.push(name) - 1;
  }

  private refuse(head: string, from: number): never {
    const length = /^\?(<[=!]|[=!>|#&R])/.exec(head)?.[0].length ?? 1;
    if (/^\?<[=!]/.test(head)) this.fail('lookbehind is not supported', from, length + 1, LINEAR);
    if (/^\?[=!]/.test(head)) {
      this.fail(
        'lookahead is not supported',
        from,
        length + 1,
        `${LINEAR}; write two conditions joined by "and", or "and not"`,
      );
    }
    if (head.startsWith('?>')) this.fail('atomic group is not supported', from, 3, 'write (?:...)');
    if (head.startsWith('?P=')) this.fail('backreference is not supported', from, 4, LINEAR);
    if (head.startsWith('?(')) this.fail('conditional group is not supported', from, 3, LINEAR);
    if (/^\?(R|&|P>|\d)/.test(head)) this.fail('recursion is not supported', from, 3, LINEAR);
    if (head.startsWith('?#')) this.fail('comment in a pattern is not supported', from, 3, 'leave it out');
    return this.fail('unknown kind of group', from, length + 1, 'use (?:...), (?<name>...) or (?i:...)');
  }

  private escape(modes: Modes): Node {
    const from = this.at;
    const letter = this.pattern[from + 1];
    if (letter === 'b' && /^\{[a-z]/.test(this.pattern.slice(from + 2))) {
      this.fail('word boundary with a side is not supported', from, 3, 'write \\b');
    }
    const assertions = new Map([
      ['b', ASSERT_WORD],
      ['B', this.unicode ? ASSERT_NOT_WORD_UTF8 : ASSERT_NOT_WORD],
      ['A', ASSERT_START],
      ['z', ASSERT_END],
    ]);
    const kind = letter === undefined ? undefined : assertions.get(letter);
    if (kind !== undefined) {
      this.at += 2;
      return { type: 'assert', kind };
    }
    const shorthand = this.shorthand();
    if (shorthand) return this.set(shorthand);
    const point = this.escapedPoint();
    // \xHH names a byte in byte mode; it is not the character of that number.
    if (!this.unicode && point < 0x100) return this.set(this.fold([point, point], modes.fold));
    return this.literal(point, modes);
  }
}

/** No state of the automaton comes from it unless groups are captured. */
function weightless(node: Node): boolean {
  if (node.type === 'group' || (node.type === 'repeat' && node.min === 1 && node.max === 1))
    return weightless(node.item);
  return node.type === 'empty' || (node.type === 'concat' && node.items.every(weightless));
}

function concat(items: readonly Node[]): Node {
  const full = items.filter((item) => item.type !== 'empty');
  if (full.length === 0) return EMPTY;
  return full.length === 1 ? full[0]! : { type: 'concat', items: full };
}

// No UTF-8 text holds surrogates, so a class that spans them loses nothing.
function withoutSurrogates(set: Ranges): Ranges {
  const out: number[] = [];
  for (let i = 0; i < set.length; i += 2) {
    const low = set[i]!;
    const high = set[i + 1]!;
    if (high < 0xd800 || low > 0xdfff) out.push(low, high);
    else {
      if (low < 0xd800) out.push(low, 0xd7ff);
      if (high > 0xdfff) out.push(0xe000, high);
    }
  }
  return out;
}
