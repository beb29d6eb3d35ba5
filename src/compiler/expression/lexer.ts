/**
 * Reads the words of the rules language from text.
 *
 * What a literal is depends on where it stands (`1.2.3.4..1.2.3.9` is a range of addresses, `61:62` are bytes, and the
 * string after `matches` has its own escapes), so there is no token stream: the parser asks for what may come next.
 * SPEC: Cloudflare Rules language, "Values" and "Operators and grouping symbols"; lexical details as in wirefilter.
 */
import { ExpressionError } from './syntax.ts';
import type { Span, StringLiteral, WordLiteral } from './syntax.ts';

const encoder = new TextEncoder();
const SPACE = /[ \t\r\n]*/y;
const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*/y;
const WORD = /[-0-9A-Za-z:./_%]+/y;
const INDEX_NUMBER = /[0-9]+/y;
const LIST_NAME = /\$[A-Za-z0-9_.-]+/y;
const MAX_HASHES = 255;

export class Lexer {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  skipSpace(): void {
    SPACE.lastIndex = this.at;
    SPACE.exec(this.text);
    this.at = SPACE.lastIndex;
  }

  atEnd(): boolean {
    this.skipSpace();
    return this.at >= this.text.length;
  }

  /** The next character that is not space, or '' at the end. */
  peek(): string {
    this.skipSpace();
    return this.text.charAt(this.at);
  }

  /** Takes `symbol` if it is next, after space. */
  take(symbol: string): boolean {
    this.skipSpace();
    if (!this.text.startsWith(symbol, this.at)) return false;
    this.at += symbol.length;
    return true;
  }

  /** Takes `symbol` if it is next, with no space before it. */
  takeAdjacent(symbol: string): boolean {
    if (!this.text.startsWith(symbol, this.at)) return false;
    this.at += symbol.length;
    return true;
  }

  expect(symbol: string, what: string, fix?: string): void {
    if (!this.take(symbol)) throw this.unexpected(what, fix);
  }

  /** The identifier that comes next (letters, digits, `_`, `.`), without taking it. */
  peekIdentifier(): string | null {
    this.skipSpace();
    return this.match(IDENTIFIER);
  }

  takeIdentifier(): { text: string; span: Span } | null {
    this.skipSpace();
    return this.takeMatch(IDENTIFIER);
  }

  takeIndexNumber(): { text: string; span: Span } | null {
    this.skipSpace();
    return this.takeMatch(INDEX_NUMBER);
  }

  takeListName(): { text: string; span: Span } | null {
    this.skipSpace();
    return this.takeMatch(LIST_NAME);
  }

  atString(): boolean {
    this.skipSpace();
    return /^(?:"|r#*")/.test(this.text.slice(this.at, this.at + MAX_HASHES + 3));
  }

  /** A bare literal: everything up to space, comma or closing bracket. */
  word(what: string): WordLiteral {
    this.skipSpace();
    const found = this.takeMatch(WORD);
    if (found === null) throw this.unexpected(what);
    return { kind: 'word', text: found.text, span: found.span };
  }

  /** A string; `pattern`: with the escapes of the right-hand side of `matches`. */
  string(pattern: boolean): StringLiteral {
    this.skipSpace();
    const start = this.at;
    if (this.text[start] === 'r') return this.raw(start);
    this.at = start + 1;
    return pattern ? this.quotedPattern(start) : this.quoted(start);
  }

  private quoted(start: number): StringLiteral {
    const bytes: number[] = [];
    const { text } = this;
    for (;;) {
      const code = text.codePointAt(this.at);
      if (code === undefined) throw this.unterminated(start);
      const character = String.fromCodePoint(code);
      if (character === '"') break;
      if (character !== '\\') {
        for (const byte of encoder.encode(character)) bytes.push(byte);
        this.at += character.length;
        continue;
      }
      const escaped = text.charAt(this.at + 1);
      const hexadecimal = /^x[0-9A-Fa-f]{2}/.exec(text.slice(this.at + 1, this.at + 4));
      const octal = /^[0-3][0-7]{2}/.exec(text.slice(this.at + 1, this.at + 4));
      if (escaped === '"' || escaped === '\\') {
        bytes.push(escaped.charCodeAt(0));
        this.at += 2;
      } else if (hexadecimal !== null) {
        bytes.push(Number.parseInt(hexadecimal[0].slice(1), 16));
        this.at += 4;
      } else if (octal !== null) {
        bytes.push(Number.parseInt(octal[0], 8));
        this.at += 4;
      } else if (escaped === '') {
        throw this.unterminated(start);
      } else {
        throw new ExpressionError('bad-escape', { at: this.at, length: 2 }, `\\${escaped} is not an escape`, {
          cause: 'a string knows \\" \\\\ \\xHH and \\OOO (octal)',
          fix: `write \\\\${escaped}, or a raw string r"..."`,
        });
      }
    }
    this.at += 1;
    return { kind: 'string', bytes: Uint8Array.from(bytes), pattern: null, span: this.since(start) };
  }

  /** Only `\"` is an escape here (not inside a class, where a quote needs none); the rest is the regex's own. */
  private quotedPattern(start: number): StringLiteral {
    const { text } = this;
    let pattern = '';
    const offsets: number[] = [];
    let inClass = false;
    const push = (from: number): void => {
      pattern += text.charAt(from);
      offsets.push(from);
    };
    for (;;) {
      const character = text.charAt(this.at);
      if (character === '') throw this.unterminated(start);
      if (character === '\\') {
        if (this.at + 1 >= text.length) throw this.unterminated(start);
        if (inClass || text[this.at + 1] !== '"') push(this.at);
        push(this.at + 1);
        this.at += 2;
        continue;
      }
      if (character === '"' && !inClass) break;
      if (character === '[') inClass = true;
      else if (character === ']') inClass = false;
      push(this.at);
      this.at += 1;
    }
    this.at += 1;
    return {
      kind: 'string',
      bytes: encoder.encode(pattern),
      pattern: { text: pattern, offsets },
      span: this.since(start),
    };
  }

  private raw(start: number): StringLiteral {
    let hashes = 0;
    while (this.text[start + 1 + hashes] === '#') hashes++;
    if (hashes > MAX_HASHES) {
      throw new ExpressionError(
        'bad-string',
        { at: start, length: hashes + 1 },
        `a raw string has at most ${MAX_HASHES} #`,
      );
    }
    const from = start + 2 + hashes;
    const end = this.text.indexOf('"' + '#'.repeat(hashes), from);
    if (end < 0) throw this.unterminated(start);
    this.at = end + 1 + hashes;
    const body = this.text.slice(from, end);
    const offsets = Array.from({ length: body.length }, (_, index) => from + index);
    return { kind: 'string', bytes: encoder.encode(body), pattern: { text: body, offsets }, span: this.since(start) };
  }

  since(start: number): Span {
    return { at: start, length: Math.max(1, this.at - start) };
  }

  /** The error for what stands here when something else was needed. */
  unexpected(what: string, fix?: string): ExpressionError {
    this.skipSpace();
    const found =
      this.match(IDENTIFIER) ?? this.match(WORD) ?? String.fromCodePoint(this.text.codePointAt(this.at) ?? 0);
    const more = fix === undefined ? {} : { fix };
    if (this.at >= this.text.length) {
      const at = Math.max(0, this.text.trimEnd().length - 1);
      return new ExpressionError(
        'unexpected-end',
        { at, length: 1 },
        `the expression ends where ${what} is needed`,
        more,
      );
    }
    if (found === '#') {
      return new ExpressionError('comment', { at: this.at, length: 1 }, 'an expression has no comments', {
        cause: 'the language has none; # is only part of raw strings',
        fix: 'write the comment in YAML, above the expression',
      });
    }
    return new ExpressionError(
      'unexpected',
      { at: this.at, length: found.length },
      `expected ${what}, found ${found}`,
      more,
    );
  }

  private unterminated(start: number): ExpressionError {
    return new ExpressionError('unterminated-string', { at: start, length: 1 }, 'this string has no end', {
      fix: 'close it with " (and as many # as it began with)',
    });
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text)?.[0] ?? null;
  }

  private takeMatch(pattern: RegExp): { text: string; span: Span } | null {
    const text = this.match(pattern);
    if (text === null) return null;
    const span = { at: this.at, length: text.length };
    this.at += text.length;
    return { text, span };
  }
}
