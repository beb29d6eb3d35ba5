/** The part of the parser that reads single characters, escapes and classes; see parse.ts for the dialect. */
import { RegexError } from './error.ts';
import { foldAscii, foldUnicode, negate, normalize, type Ranges, WORD_BYTES } from './ranges.ts';

const DIGIT = [0x30, 0x39];
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
  ['word', WORD_BYTES],
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
export const LINEAR = 'patterns run in linear time, without backtracking';

export class Characters {
  protected readonly pattern: string;
  protected readonly unicode: boolean;
  /** Largest member of a class. */
  protected readonly max: number;
  protected at = 0;

  constructor(pattern: string, unicode: boolean) {
    this.pattern = pattern;
    this.unicode = unicode;
    this.max = unicode ? 0x10ffff : 0xff;
  }

  protected fail(message: string, offset: number, length: number, fix?: string): never {
    throw new RegexError(message, offset, Math.max(1, length), fix);
  }

  protected looking(text: string): boolean {
    return this.pattern.startsWith(text, this.at);
  }

  protected scalar(point: number, offset: number): void {
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      this.fail('not a Unicode scalar value', offset, this.at - offset);
    }
  }

  protected fold(set: Ranges, foldCase: boolean): Ranges {
    if (!foldCase) return set;
    return this.unicode ? foldUnicode(set) : foldAscii(set);
  }

  /** \d \w \s and their complements, also inside classes. */
  protected shorthand(): Ranges | null {
    const letter = this.pattern[this.at + 1];
    const sets = new Map<string, Ranges>([
      ['d', DIGIT],
      ['w', WORD_BYTES],
      ['s', SPACE],
    ]);
    const set = letter === undefined ? undefined : sets.get(letter.toLowerCase());
    if (!set) return null;
    this.at += 2;
    return letter! >= 'a' ? set : negate(set, this.max);
  }

  protected escapedPoint(): number {
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

  protected class(foldCase: boolean): Ranges {
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
    const set = normalize([...this.fold(normalize(folded), foldCase), ...plain]);
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
