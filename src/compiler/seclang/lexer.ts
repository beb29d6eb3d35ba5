/**
 * Files of SecLang to directives and their words.
 *
 * SPEC: ModSecurity v2 is configured through Apache, so its words are those of ap_cfg_getline and ap_getword_conf: a
 * backslash before the end of a line joins it with the next one (comments too), words end at white space or stand
 * in "..." or '...', and there `\\` is a backslash and `\"` a quote. ModSecurity v3 and Coraza keep `\\` as two, which
 * is why the Core Rule Set writes `\x5c`; a warning says so where it matters.
 */
import type { Problems } from './problems.ts';
import { type Source, type Text, TextBuilder } from './text.ts';

export interface Directive {
  readonly name: Text; // as written
  readonly words: readonly Text[];
  /** After the last word, for what is missing. */
  readonly end: Text;
  /** A word is faulty, which has been reported: `words` ends before it. */
  readonly broken: boolean;
  /** The line as it is joined. */
  readonly line: string;
}

/** Joined physical lines. */
interface Line {
  readonly value: string;
  readonly starts: readonly number[];
  readonly origins: readonly number[];
}

const SPACE = /[ \t\v\f\r]/;

/** In the order of the file. Problems are reported on the way; a directive that has one may lack words. */
export function* readDirectives(source: Source, problems: Problems): Generator<Directive> {
  let at = source.text.startsWith('\ufeff') ? 1 : 0;
  while (at < source.text.length) {
    const first = skipSpace(source.text, at);
    const line = joinLines(source, first);
    at = line.next;
    if (line.value === '') continue;
    if (line.value.startsWith('#')) {
      warnOfLongComment(source, line, problems);
      continue;
    }
    yield new Words(source, line, problems).read();
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && SPACE.test(text[at]!)) at++;
  return at;
}

/** The line from `from` with those that it is continued on. */
function joinLines(source: Source, from: number): Line & { readonly next: number } {
  const { text } = source;
  const parts: string[] = [];
  const starts: number[] = [];
  const origins: number[] = [];
  let length = 0;
  for (let at = from; ;) {
    const newline = text.indexOf('\n', at);
    const next = newline < 0 ? text.length : newline + 1;
    let end = newline < 0 ? text.length : newline;
    if (newline > at && text[end - 1] === '\r') end--;
    const continued = newline >= 0 && end > at && text[end - 1] === '\\';
    if (continued) end--;
    starts.push(length);
    origins.push(at);
    parts.push(text.slice(at, end));
    length += end - at;
    at = next;
    if (!continued) return { value: parts.join('').trimEnd(), starts, origins, next };
  }
}

/** A comment that ends in a backslash swallows the next line: rarely meant where that is a directive. */
function warnOfLongComment(source: Source, line: Line, problems: Problems): void {
  for (const origin of line.origins.slice(1)) {
    const at = skipSpace(source.text, origin);
    if (!/^Sec[A-Z]|^Include\b/.test(source.text.slice(at, at + 16))) continue;
    problems.place('warning', 'continued-comment', source.place(at), 1, 'this line belongs to the comment above it', {
      cause: 'the line before ends in a backslash',
      fix: 'remove that backslash',
    });
  }
}

class Words {
  private readonly source: Source;
  private readonly line: Line;
  private readonly problems: Problems;
  private at = 0;
  private piece = 0;

  constructor(source: Source, line: Line, problems: Problems) {
    this.source = source;
    this.line = line;
    this.problems = problems;
  }

  read(): Directive {
    const name = this.plain();
    const words: Text[] = [];
    let broken = false;
    while (!broken) {
      this.skipSpace();
      const quote = this.line.value[this.at];
      if (quote === undefined) break;
      const word = quote === '"' || quote === "'" ? this.quoted(quote) : this.plain();
      if (word === null) broken = true;
      else words.push(word);
    }
    const end = new TextBuilder(this.source).finish(this.origin(this.at));
    return { name, words, end, broken, line: this.line.value };
  }

  private skipSpace(): void {
    while (this.at < this.line.value.length && SPACE.test(this.line.value[this.at]!)) this.at++;
  }

  /** Offset in the file. Asked for ascending offsets only, so that it is linear over the line. */
  private origin(offset: number): number {
    const { starts, origins } = this.line;
    while (this.piece + 1 < starts.length && starts[this.piece + 1]! <= offset) this.piece++;
    return origins[this.piece]! + offset - starts[this.piece]!;
  }

  /** Adds line[from, to) to `word`, cut where the lines of the file are joined. */
  private copy(word: TextBuilder, from: number, to: number): void {
    while (from < to) {
      const origin = this.origin(from);
      const end = Math.min(to, this.line.starts[this.piece + 1] ?? to);
      word.add(this.line.value.slice(from, end), origin);
      from = end;
    }
  }

  private plain(): Text {
    const { value } = this.line;
    const word = new TextBuilder(this.source);
    let from = this.at;
    for (; this.at < value.length && !SPACE.test(value[this.at]!); this.at++) {
      if (value[this.at] !== '\\' || value[this.at + 1] !== '\\') continue;
      this.copy(word, from, this.at++);
      from = this.at;
    }
    this.copy(word, from, this.at);
    return word.finish(this.origin(this.at));
  }

  private quoted(quote: string): Text | null {
    const { value } = this.line;
    const open = this.at++;
    const place = this.source.place(this.origin(open));
    const word = new TextBuilder(this.source);
    let from = this.at;
    for (; ; this.at++) {
      const character = value[this.at];
      if (character === undefined) {
        const spaced = value.endsWith('\\') && /[ \t]/.test(this.source.text[this.origin(this.at)] ?? '');
        this.problems.place('error', 'unterminated-quote', place, 1, `the ${quote} is not closed`, {
          ...(spaced && { cause: 'white space follows the backslash, so that the line is not continued' }),
          fix: spaced
            ? 'remove the white space after the backslash'
            : `add ${quote}, and \\ before the end of each line`,
        });
        return null;
      }
      if (character === quote) break;
      if (character !== '\\') continue;
      const escaped = value[this.at + 1];
      if (escaped !== quote && escaped !== '\\') continue;
      this.copy(word, from, this.at++);
      from = this.at;
    }
    this.copy(word, from, this.at);
    const text = word.finish(this.origin(this.at++));
    const next = value[this.at];
    if (next !== undefined && !SPACE.test(next)) {
      this.problems.place(
        'error',
        'text-after-quote',
        this.source.place(this.origin(this.at)),
        1,
        `\`${next}\` follows the closing quote`,
        { fix: `write \\${quote} for a quote inside, or a space between two words` },
      );
      return null;
    }
    return text;
  }
}
