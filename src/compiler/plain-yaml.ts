/**
 * A fast reader for the plain part of YAML, for large generated policies.
 *
 * PERF: the YAML library takes 10.5 s and 1.3 GB for 100,000 routes (12.8 MB). This reads block mappings and lists, flow
 * collections and scalars that end on their line, comments, and nothing else: at anything out of the ordinary, faults
 * included, it gives up, and the library reads the whole file and says what is wrong. What it does read it reads as the
 * library does: a property test holds the two against each other.
 */
import { MAX_POLICY_DEPTH, MAX_POLICY_NODES } from '../../assembly/abi.ts';

/** Thrown where the text is not plain; caught in `readPlainYaml`. */
const NOT_PLAIN = Symbol('not plain');

const BLOCK_KEY = /([A-Za-z_][A-Za-z0-9_.-]{0,255}|"[^"\\\n]{0,255}"):(?=[ \n]|$)/y;
const FLOW_KEY = /([A-Za-z_][A-Za-z0-9_.-]{0,255}):(?= )|("[^"\\\n]{0,255}"):/y;
/** What begins a plain scalar here; YAML has some more, after `-`, `?` and `:`. */
const PLAIN_START = /[A-Za-z0-9_$./(^~+=<;\\]/;
const DECIMAL = /^[0-9]{1,15}(?:\.[0-9]{1,15})?$/;
/** SPEC: YAML 1.2.2 section 10.3.2: what else is a number. Which one is for the library to say. */
const NUMERIC =
  /^[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|\.(?:inf|Inf|INF|nan|NaN|NAN))$/;
const WORDS: ReadonlyMap<string, null | boolean> = new Map<string, null | boolean>([
  ...['null', 'Null', 'NULL', '~'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
]);

/** The data of a text whose root is a mapping; undefined when it is not plain, which says nothing about its being right. */
export function readPlainYaml(text: string): Record<string, unknown> | undefined {
  if (/[^\n\x20-\x7e]/.test(text) || /^(?:---|\.\.\.|%)/m.test(text)) return undefined;
  try {
    return new PlainReader(text).document();
  } catch (error) {
    if (error === NOT_PLAIN) return undefined;
    throw error;
  }
}

class PlainReader {
  private readonly text: string;
  private nodes = 0;
  // The current line: it has content, and a comment or nothing behind what was read.
  private start = 0;
  private end = -1;
  private indent = -1; // spaces before the content; -1 = the text is at its end
  private at = 0; // what is read next

  constructor(text: string) {
    this.text = text;
  }

  document(): Record<string, unknown> {
    this.nextLine();
    if (this.indent !== 0) throw NOT_PLAIN;
    const value = this.blockMap(0, 0);
    if (this.indent >= 0) throw NOT_PLAIN;
    return value;
  }

  private nextLine(): void {
    const { text } = this;
    while (this.end + 1 < text.length) {
      this.start = this.at = this.end + 1;
      const end = text.indexOf('\n', this.start);
      this.end = end < 0 ? text.length : end;
      this.skipSpaces();
      if (this.at < this.end && text[this.at] !== '#') {
        this.indent = this.at - this.start;
        return;
      }
    }
    this.indent = -1;
  }

  private skipSpaces(): void {
    while (this.at < this.end && this.text.charCodeAt(this.at) === 0x20) this.at++;
  }

  private count(depth: number): void {
    if (++this.nodes > MAX_POLICY_NODES || depth > MAX_POLICY_DEPTH) throw NOT_PLAIN;
  }

  private isItem(): boolean {
    return this.text[this.at] === '-' && (this.at + 1 === this.end || this.text[this.at + 1] === ' ');
  }

  private isKey(): boolean {
    BLOCK_KEY.lastIndex = this.at;
    return BLOCK_KEY.test(this.text);
  }

  /** Content at `at`, in `column`; its further keys stand in that column of later lines. */
  private blockMap(column: number, depth: number): Record<string, unknown> {
    this.count(depth);
    const result: Record<string, unknown> = {};
    do {
      BLOCK_KEY.lastIndex = this.at;
      const key = BLOCK_KEY.exec(this.text)?.[1];
      if (key === undefined) throw NOT_PLAIN;
      this.at = BLOCK_KEY.lastIndex;
      put(result, key, this.blockValue(column, depth + 1, true));
      // Deeper than its column is the rest of a scalar of several lines, or a mistake.
      if (this.indent > column) throw NOT_PLAIN;
    } while (this.indent === column && !this.isItem());
    return result;
  }

  private blockList(column: number, depth: number): unknown[] {
    this.count(depth);
    const result: unknown[] = [];
    do {
      this.at++;
      result.push(this.blockValue(column, depth + 1, false));
      if (this.indent > column) throw NOT_PLAIN;
    } while (this.indent === column && this.isItem());
    return result;
  }

  /** What stands behind `key:` or `-`, which stand in `column`; ends on the next line with content. */
  private blockValue(column: number, depth: number, ofKey: boolean): unknown {
    this.skipSpaces();
    if (this.at === this.end || this.text[this.at] === '#') {
      this.nextLine();
      if (this.indent > column)
        return this.isItem() ? this.blockList(this.indent, depth) : this.blockMap(this.indent, depth);
      if (ofKey && this.indent === column && this.isItem()) return this.blockList(column, depth);
      this.count(depth);
      return null;
    }
    if (!ofKey && this.isKey()) return this.blockMap(this.at - this.start, depth);
    const value = this.inline(depth);
    this.nextLine();
    return value;
  }

  /** A scalar or flow collection, with nothing but a comment behind it. */
  private inline(depth: number): unknown {
    const first = this.text[this.at]!;
    if (first !== '{' && first !== '[' && first !== '"' && first !== "'") {
      this.count(depth);
      const line = this.text.slice(this.at, this.end);
      const comment = line.indexOf(' #');
      const scalar = (comment < 0 ? line : line.slice(0, comment)).trimEnd();
      if (scalar.endsWith(':') || scalar.includes(': ')) throw NOT_PLAIN;
      return resolve(scalar);
    }
    const value = this.flowValue(depth);
    const behind = this.at;
    this.skipSpaces();
    if (this.at < this.end && (this.text[this.at] !== '#' || this.at === behind)) throw NOT_PLAIN;
    return value;
  }

  private flowValue(depth: number): unknown {
    this.count(depth);
    switch (this.text[this.at]) {
      case '{':
        return this.flowMap(depth);
      case '[':
        return this.flowList(depth);
      case '"':
      case "'":
        return this.quoted();
      default:
        return this.flowScalar();
    }
  }

  private flowMap(depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    if (this.opens('}')) return result;
    do {
      FLOW_KEY.lastIndex = this.at;
      const match = FLOW_KEY.exec(this.text);
      if (match === null) throw NOT_PLAIN;
      this.at = FLOW_KEY.lastIndex;
      this.skipSpaces();
      put(result, (match[1] ?? match[2])!, this.flowValue(depth + 1));
    } while (this.goesOn('}'));
    return result;
  }

  private flowList(depth: number): unknown[] {
    const result: unknown[] = [];
    if (this.opens(']')) return result;
    do result.push(this.flowValue(depth + 1));
    while (this.goesOn(']'));
    return result;
  }

  /** Behind an opening bracket: true when the closing one follows at once. */
  private opens(close: string): boolean {
    this.at++;
    this.skipSpaces();
    if (this.text[this.at] !== close) return false;
    this.at++;
    return true;
  }

  /** Behind an entry: true when another one follows, false behind the closing bracket. */
  private goesOn(close: string): boolean {
    this.skipSpaces();
    const next = this.at < this.end ? this.text[this.at++] : '';
    if (next === close) return false;
    if (next !== ',') throw NOT_PLAIN;
    this.skipSpaces();
    return true;
  }

  /** On one line, without escapes. */
  private quoted(): string {
    const quote = this.text[this.at]!;
    const close = this.text.indexOf(quote, this.at + 1);
    if (close < 0 || close >= this.end || this.text[close + 1] === quote) throw NOT_PLAIN;
    const value = this.text.slice(this.at + 1, close);
    if (quote === '"' && value.includes('\\')) throw NOT_PLAIN;
    this.at = close + 1;
    return value;
  }

  private flowScalar(): unknown {
    const from = this.at;
    for (; this.at < this.end; this.at++) {
      const char = this.text[this.at]!;
      if (char === ',' || char === ']' || char === '}') break;
      if (char === '[' || char === '{' || (char === '#' && this.text[this.at - 1] === ' ')) throw NOT_PLAIN;
      if (char === ':' && (this.at + 1 === this.end || /[ ,[\]{}]/.test(this.text[this.at + 1]!))) throw NOT_PLAIN;
    }
    return resolve(this.text.slice(from, this.at).trimEnd());
  }
}

function put(target: Record<string, unknown>, written: string, value: unknown): void {
  const key = written.startsWith('"') ? written.slice(1, -1) : written;
  // A key that stands twice is a fault; `__proto__` would set the prototype.
  if (key === '__proto__' || Object.hasOwn(target, key)) throw NOT_PLAIN;
  target[key] = value;
}

/** SPEC: YAML 1.2.2 section 10.3.2, the core schema. */
function resolve(scalar: string): string | number | boolean | null {
  if (scalar === '' || !PLAIN_START.test(scalar[0]!)) throw NOT_PLAIN;
  const word = WORDS.get(scalar);
  if (word !== undefined) return word;
  const first = scalar.charCodeAt(0);
  if (first > 0x39) return scalar;
  if (DECIMAL.test(scalar)) return Number(scalar);
  if (NUMERIC.test(scalar)) throw NOT_PLAIN;
  return scalar;
}
