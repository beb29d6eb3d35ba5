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
import {
  ASSERT_END,
  ASSERT_END_LINE,
  ASSERT_NOT_WORD,
  ASSERT_START,
  ASSERT_START_LINE,
  ASSERT_WORD,
  MAX_PATTERN_BYTES,
  MAX_REGEX_DEPTH,
  MAX_REGEX_GROUPS,
  MAX_REGEX_REPEAT,
} from '../../../assembly/abi.ts';
import { RegexError } from './error.ts';
import { foldAscii, foldUnicode, negate, normalize, type Ranges } from './ranges.ts';

export interface RegexFlags {
  /** ASCII letters; with `unicode`, Unicode simple case folding. */
  readonly foldCase?: boolean;
  /** `.` matches a line feed too. */
  readonly dotAll?: boolean;
  /** `^` and `$` match at line feeds too. */
  readonly multiline?: boolean;
  /** `.` and classes match whole code points in UTF-8; otherwise single bytes. */
  readonly unicode?: boolean;
  /** The pattern has to match the whole value. */
  readonly anchored?: boolean;
  /** Also compile what `captures` needs. */
  readonly captures?: boolean;
}

export type Node =
  | { readonly type: 'empty' }
  | { readonly type: 'class'; readonly set: Ranges } // code points with `unicode`, else bytes
  | { readonly type: 'assert'; readonly kind: number }
  | { readonly type: 'concat'; readonly items: readonly Node[] }
  | { readonly type: 'alternate'; readonly items: readonly Node[] }
  | {
      readonly type: 'repeat';
      readonly item: Node;
      readonly min: number;
      readonly max: number;
      readonly greedy: boolean;
    }
  | { readonly type: 'group'; readonly index: number; readonly item: Node };

export interface Regex {
  readonly root: Node;
  readonly groups: number; // with the whole match
  readonly names: readonly (string | null)[]; // by group
  readonly unicode: boolean;
}

interface Modes {
  readonly fold: boolean;
  readonly dotAll: boolean;
  readonly multiline: boolean;
}

export const EMPTY: Node = { type: 'empty' };

const DIGIT = [0x30, 0x39];
const WORD = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const SPACE = [0x09, 0x0d, 0x20, 0x20];
const POSIX: ReadonlyMap<string, Ranges> = new Map([
  ['alnum', [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a]],
  ['alpha', [0x41, 0x5a, 0x61, 0x7a]],
  ['ascii', [0, 0x7f]],
  ['blank', [0x09, 0x09, 0x20, 0x20]],
  ['cntrl', [0, 0x1f, 0x7f, 0x7f]],
  ['digit', DIGIT],
  ['graph', [0x21, 0x7e]],
  ['lower', [0x61, 0x7a]],
  ['print', [0x20, 0x7e]],
  ['punct', [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e]],
  ['space', SPACE],
  ['upper', [0x41, 0x5a]],
  ['word', WORD],
  ['xdigit', [0x30, 0x39, 0x41, 0x46, 0x61, 0x66]],
]);
const CONTROLS: ReadonlyMap<string, number> = new Map([
  ['t', 9],
  ['n', 10],
  ['v', 11],
  ['f', 12],
  ['r', 13],
  ['a', 7],
  ['e', 27],
]);
const LINEAR = 'patterns run in linear time, without backtracking';

export function parse(pattern: string, flags: RegexFlags): Regex {
  return new Parser(pattern, flags).parse();
}

class Parser {
  private readonly pattern: string;
  private readonly unicode: boolean;
  private readonly max: number;
  private readonly start: Modes;
  private at = 0;
  private depth = 0;
  private readonly names: (string | null)[] = [null];

  constructor(pattern: string, flags: RegexFlags) {
    this.pattern = pattern;
    this.unicode = flags.unicode ?? false;
    this.max = this.unicode ? 0x10ffff : 0xff;
    this.start = { fold: flags.foldCase ?? false, dotAll: flags.dotAll ?? false, multiline: flags.multiline ?? false };
  }

  parse(): Regex {
    const bytes = new TextEncoder().encode(this.pattern).length;
    if (bytes > MAX_PATTERN_BYTES) {
      throw new RegexError(`pattern of ${bytes} bytes is longer than ${MAX_PATTERN_BYTES}`, 0, this.pattern.length);
    }
    const root = this.alternation(this.start);
    if (this.at < this.pattern.length) this.fail('unmatched )', this.at, 1, 'write \\) for a literal parenthesis');
    return { root, groups: this.names.length, names: this.names, unicode: this.unicode };
  }

  private fail(message: string, offset: number, length: number, fix?: string): never {
    throw new RegexError(message, offset, Math.max(1, length), fix);
  }

  private looking(text: string): boolean {
    return this.pattern.startsWith(text, this.at);
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
    if (char === '[') return this.set(this.class(modes));
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

  private scalar(point: number, offset: number): void {
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      this.fail('not a Unicode scalar value', offset, this.at - offset);
    }
  }

  /** One character of the pattern; in byte mode one beyond ASCII is the bytes of its UTF-8 form. */
  private literal(point: number, modes: Modes): Node {
    if (this.unicode || point < 0x80) return this.set(this.fold([point, point], modes));
    const bytes = new TextEncoder().encode(String.fromCodePoint(point));
    return concat([...bytes].map((byte) => ({ type: 'class', set: [byte, byte] })));
  }

  private fold(set: Ranges, modes: Modes): Ranges {
    if (!modes.fold) return set;
    return this.unicode ? foldUnicode(set) : foldAscii(set);
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
    if (/^\?>/.test(head)) this.fail('atomic group is not supported', from, 3, 'write (?:...)');
    if (/^\?P=/.test(head)) this.fail('backreference is not supported', from, 4, LINEAR);
    if (/^\?\(/.test(head)) this.fail('conditional group is not supported', from, 3, LINEAR);
    if (/^\?(R|&|P>|\d)/.test(head)) this.fail('recursion is not supported', from, 3, LINEAR);
    if (/^\?#/.test(head)) this.fail('comment in a pattern is not supported', from, 3, 'leave it out');
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
      ['B', ASSERT_NOT_WORD],
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
    if (!this.unicode && point < 0x100) return this.set(this.fold([point, point], modes));
    return this.literal(point, modes);
  }

  /** \d \w \s and their complements, also inside classes. */
  private shorthand(): Ranges | null {
    const letter = this.pattern[this.at + 1];
    const sets = new Map<string, Ranges>([
      ['d', DIGIT],
      ['w', WORD],
      ['s', SPACE],
    ]);
    const set = letter === undefined ? undefined : sets.get(letter.toLowerCase());
    if (!set) return null;
    this.at += 2;
    return letter! >= 'a' ? set : negate(set, this.max);
  }

  private escapedPoint(): number {
    const from = this.at;
    const letter = this.pattern[from + 1];
    if (letter === undefined) this.fail('pattern ends in a backslash', from, 1, 'write \\\\ for a literal backslash');
    const rest = this.pattern.slice(from + 1, from + 12);
    const hex = /^x([0-9A-Fa-f]{2})|^u([0-9A-Fa-f]{4})|^[xu]\{([0-9A-Fa-f]{1,6})\}/.exec(rest);
    if (hex) {
      this.at += 1 + hex[0].length;
      const point = parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16);
      this.scalar(point, from);
      return point;
    }
    if (letter === 'x' || letter === 'u') {
      this.fail('incomplete escape', from, 2, 'write \\xHH, \\uHHHH or \\x{H...}');
    }
    if (/[1-9]/.test(letter)) this.fail('backreference is not supported', from, 2, LINEAR);
    if (letter === 'k') this.fail('backreference is not supported', from, 2, LINEAR);
    if (letter === '0') {
      if (/^0[0-9]/.test(rest)) this.fail('octal escape is not supported', from, 3, 'write \\xHH');
      this.at += 2;
      return 0;
    }
    const control = CONTROLS.get(letter);
    if (control !== undefined) {
      this.at += 2;
      return control;
    }
    if (letter === 'Z') this.fail('\\Z is not supported', from, 2, 'write \\z for the end of the text');
    if (letter === 'p' || letter === 'P') {
      this.fail('Unicode property class is not supported', from, 2, 'write the ranges, as in [a-z\\u00e0-\\u00ff]');
    }
    if (/[A-Za-z]/.test(letter)) this.fail(`unknown escape \\${letter}`, from, 2, `write ${letter} for the letter`);
    const point = this.pattern.codePointAt(from + 1)!;
    this.at += point > 0xffff ? 3 : 2;
    this.scalar(point, from);
    return point;
  }

  private class(modes: Modes): Ranges {
    const from = this.at++;
    const negated = this.looking('^');
    if (negated) this.at++;
    const folded: number[] = [];
    const plain: number[] = [];
    // `]` first is a literal, as everywhere but in ECMAScript.
    for (let first = true; first || !this.looking(']'); first = false) {
      if (this.at >= this.pattern.length)
        this.fail('class is not closed', from, 1, 'add ], or write \\[ for a literal bracket');
      const posix = this.posix();
      if (posix) {
        folded.push(...posix);
        continue;
      }
      const shorthand = this.looking('\\') ? this.shorthand() : null;
      if (shorthand) {
        plain.push(...shorthand);
        if (/^-[^\]]/.test(this.pattern.slice(this.at))) {
          this.fail('range from a class', this.at, 1, 'put the - at the end of the class');
        }
        continue;
      }
      const offset = this.at;
      const low = this.member();
      let high = low;
      if (/^-[^\]]/.test(this.pattern.slice(this.at, this.at + 2))) {
        this.at++;
        if (this.looking('\\') && /^\\[dwsDWS]/.test(this.pattern.slice(this.at))) {
          this.fail('range to a class', this.at, 2, 'put the - at the end of the class');
        }
        high = this.member();
        if (low > high) this.fail('range is in the wrong order', offset, this.at - offset);
      }
      folded.push(low, high);
    }
    this.at++;
    const set = normalize([...this.fold(normalize(folded), modes), ...plain]);
    return negated ? negate(set, this.max) : set;
  }

  private posix(): Ranges | null {
    const found = /^\[:(\^?)([a-zA-Z]+):\]/.exec(this.pattern.slice(this.at, this.at + 16));
    if (!found) {
      if (this.looking('[=') || this.looking('[.')) {
        if (/^\[([=.]).*?\1\]/.test(this.pattern.slice(this.at, this.at + 16))) {
          this.fail('POSIX collation is not supported', this.at, 2);
        }
      }
      return null;
    }
    const set = POSIX.get(found[2]!);
    if (!set)
      this.fail(
        `unknown POSIX class "${found[2]}"`,
        this.at,
        found[0].length,
        `use one of ${[...POSIX.keys()].join(', ')}`,
      );
    this.at += found[0].length;
    return found[1] ? negate(set, this.max) : set;
  }

  /** One character of a class. */
  private member(): number {
    const from = this.at;
    let point: number;
    if (this.looking('\\')) {
      if (this.pattern[from + 1] === 'b') {
        this.fail('\\b inside a class', from, 2, 'write \\x08 for a backspace');
      }
      point = this.escapedPoint();
      if (!this.unicode && point < 0x100) return point;
    } else {
      point = this.pattern.codePointAt(from)!;
      this.at += point > 0xffff ? 2 : 1;
      this.scalar(point, from);
    }
    if (!this.unicode && point > 0x7f) {
      this.fail(
        'character beyond ASCII in a class of bytes',
        from,
        this.at - from,
        'turn on "unicode", or write (?:a|b)',
      );
    }
    return point;
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
