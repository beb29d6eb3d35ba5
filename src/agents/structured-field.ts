/**
 * Structured field values: text to typed values and back to the one canonical text. Linear in the text, no regular
 * expression, no backtracking; nothing is kept of the text beyond the values.
 *
 * SPEC: RFC 9651 (Structured Field Values for HTTP), sections 3 and 4. RATIONALE.md says why no package is used.
 */

export type BareItem =
  | { readonly type: 'integer'; readonly value: number }
  /** Thousandths at most; kept apart from integers, since `1.0` and `1` are two texts and both are canonical. */
  | { readonly type: 'decimal'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'token'; readonly value: string }
  | { readonly type: 'bytes'; readonly value: Uint8Array<ArrayBuffer> }
  | { readonly type: 'boolean'; readonly value: boolean }
  /** Seconds since the epoch; more of them than a Date can hold. */
  | { readonly type: 'date'; readonly value: number }
  | { readonly type: 'displayString'; readonly value: string };

export type Parameters = ReadonlyMap<string, BareItem>;

export interface Item {
  readonly item: BareItem;
  readonly parameters: Parameters;
}

export interface InnerList {
  readonly items: readonly Item[];
  readonly parameters: Parameters;
}

export type Member = Item | InnerList;
export type List = readonly Member[];
/** In the order in which the keys first came. */
export type Dictionary = ReadonlyMap<string, Member>;

export interface ReadOptions {
  /**
   * Keys that come twice, in a dictionary or among parameters, are an error. The RFC lets the last one win, which is
   * a way to show two readers two values: signatures are read with this on.
   */
  readonly unique?: boolean;
}

/** A text that is no structured field, or a value that can't be written as one. `position` counts characters. */
export class StructuredFieldError extends Error {
  override readonly name = 'StructuredFieldError';
  readonly position: number;
  constructor(message: string, position = -1) {
    super(position < 0 ? message : `${message} at character ${position}`);
    this.position = position;
  }
}

export function isInnerList(member: Member): member is InnerList {
  return 'items' in member;
}

/** `text` is the field's value; several lines of it joined by commas. Throws StructuredFieldError. */
export function parseDictionary(text: string, options: ReadOptions = {}): Dictionary {
  return new Reader(text, options.unique === true).dictionary();
}

/** As parseDictionary. */
export function parseList(text: string, options: ReadOptions = {}): List {
  return new Reader(text, options.unique === true).list();
}

/** As parseDictionary. */
export function parseItem(text: string, options: ReadOptions = {}): Item {
  return new Reader(text, options.unique === true).single();
}

const KEY_START = 1;
const KEY = 2;
const TOKEN_START = 4;
const TOKEN = 8;
const BASE64 = 16;
const DIGIT = 32;
const PRINTABLE = 64;

/** What each ASCII character may be part of. */
const CLASS = new Uint8Array(128);
const mark = (characters: string, bits: number): void => {
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i);
    CLASS[code] = (CLASS[code] ?? 0) | bits;
  }
};
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
mark(LOWER, KEY_START | KEY | TOKEN_START | TOKEN | BASE64);
mark(UPPER, TOKEN_START | TOKEN | BASE64);
mark('0123456789', KEY | TOKEN | BASE64 | DIGIT);
mark('*', KEY_START | KEY | TOKEN_START | TOKEN);
mark('_-.', KEY | TOKEN);
mark("!#$%&'+^`|~:/", TOKEN);
mark('+/=', BASE64);
for (let code = 0x20; code < 0x7f; code++) CLASS[code] = (CLASS[code] ?? 0) | PRINTABLE;

const is = (code: number, bits: number): boolean => code < 128 && ((CLASS[code] ?? 0) & bits) !== 0;

const TAB = 0x09;
const SPACE = 0x20;
const QUOTE = 0x22;
const PERCENT = 0x25;
const OPEN = 0x28;
const CLOSE = 0x29;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUESTION = 0x3f;
const AT = 0x40;
const BACKSLASH = 0x5c;

const MAX_INTEGER_DIGITS = 15;
const MAX_WHOLE_DIGITS = 12;
const MAX_FRACTION_DIGITS = 3;

const NO_PARAMETERS: Parameters = new Map();
const TRUE: BareItem = { type: 'boolean', value: true };

class Reader {
  readonly #text: string;
  readonly #unique: boolean;
  #at = 0;

  constructor(text: string, unique: boolean) {
    this.#text = text;
    this.#unique = unique;
  }

  /** NaN at the end: equal to nothing, and in no class. */
  #peek(): number {
    return this.#text.charCodeAt(this.#at);
  }

  #fail(message: string): never {
    throw new StructuredFieldError(message, this.#at);
  }

  #spaces(): void {
    while (this.#peek() === SPACE) this.#at++;
  }

  #blanks(): void {
    while (this.#peek() === SPACE || this.#peek() === TAB) this.#at++;
  }

  #ended(): boolean {
    return this.#at >= this.#text.length;
  }

  single(): Item {
    this.#spaces();
    const item = this.#item();
    this.#spaces();
    if (!this.#ended()) this.#fail('something follows the item');
    return item;
  }

  list(): List {
    const members: Member[] = [];
    this.#spaces();
    while (!this.#ended()) {
      members.push(this.#member());
      if (!this.#separator()) break;
    }
    return members;
  }

  dictionary(): Dictionary {
    const members = new Map<string, Member>();
    this.#spaces();
    while (!this.#ended()) {
      const key = this.#key();
      if (this.#unique && members.has(key)) this.#fail(`the key ${key} comes twice`);
      if (this.#peek() === EQUALS) {
        this.#at++;
        members.set(key, this.#member());
      } else members.set(key, { item: TRUE, parameters: this.#parameters() });
      if (!this.#separator()) break;
    }
    return members;
  }

  /** False at the end; a comma must be followed by another member. */
  #separator(): boolean {
    this.#blanks();
    if (this.#ended()) return false;
    if (this.#peek() !== COMMA) this.#fail('a comma is missing');
    this.#at++;
    this.#blanks();
    if (this.#ended()) this.#fail('nothing follows the comma');
    return true;
  }

  #member(): Member {
    return this.#peek() === OPEN ? this.#innerList() : this.#item();
  }

  #innerList(): InnerList {
    const items: Item[] = [];
    this.#at++;
    for (;;) {
      this.#spaces();
      if (this.#peek() === CLOSE) {
        this.#at++;
        return { items, parameters: this.#parameters() };
      }
      items.push(this.#item());
      const next = this.#peek();
      if (next !== SPACE && next !== CLOSE) this.#fail('an inner list is not closed, or a space is missing in it');
    }
  }

  #item(): Item {
    const item = this.#bareItem();
    return { item, parameters: this.#parameters() };
  }

  #parameters(): Parameters {
    if (this.#peek() !== SEMICOLON) return NO_PARAMETERS;
    const parameters = new Map<string, BareItem>();
    while (this.#peek() === SEMICOLON) {
      this.#at++;
      this.#spaces();
      const key = this.#key();
      if (this.#unique && parameters.has(key)) this.#fail(`the parameter ${key} comes twice`);
      let value = TRUE;
      if (this.#peek() === EQUALS) {
        this.#at++;
        value = this.#bareItem();
      }
      parameters.set(key, value);
    }
    return parameters;
  }

  #key(): string {
    if (!is(this.#peek(), KEY_START)) this.#fail('a key is missing, or begins with what no key begins with');
    return this.#while(KEY);
  }

  #while(bits: number): string {
    const start = this.#at;
    while (is(this.#peek(), bits)) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  #bareItem(): BareItem {
    const first = this.#peek();
    if (first === QUOTE) return { type: 'string', value: this.#string() };
    if (first === MINUS || is(first, DIGIT)) return this.#number();
    if (is(first, TOKEN_START)) return { type: 'token', value: this.#while(TOKEN) };
    if (first === COLON) return { type: 'bytes', value: this.#bytes() };
    if (first === QUESTION) return this.#boolean();
    if (first === AT) return this.#date();
    if (first === PERCENT) return { type: 'displayString', value: this.#displayString() };
    return this.#fail(this.#ended() ? 'a value is missing' : 'no value begins like this');
  }

  #number(): BareItem {
    const negative = this.#peek() === MINUS;
    if (negative) this.#at++;
    const whole = this.#while(DIGIT);
    if (whole === '') this.#fail('a digit is missing');
    const sign = negative ? -1 : 1;
    if (this.#peek() !== DOT) {
      if (whole.length > MAX_INTEGER_DIGITS) this.#fail(`an integer has more than ${MAX_INTEGER_DIGITS} digits`);
      // Not minus zero, which is the same integer.
      return { type: 'integer', value: sign * Number(whole) || 0 };
    }
    if (whole.length > MAX_WHOLE_DIGITS)
      this.#fail(`a decimal has more than ${MAX_WHOLE_DIGITS} digits before its point`);
    this.#at++;
    const fraction = this.#while(DIGIT);
    if (fraction === '' || fraction.length > MAX_FRACTION_DIGITS)
      this.#fail(`a decimal needs 1 to ${MAX_FRACTION_DIGITS} digits after its point`);
    return { type: 'decimal', value: sign * Number(`${whole}.${fraction}`) || 0 };
  }

  #date(): BareItem {
    this.#at++;
    const number = this.#peek() === MINUS || is(this.#peek(), DIGIT) ? this.#number() : this.#fail('a date is empty');
    if (number.type !== 'integer') return this.#fail('a date has a fraction');
    return { type: 'date', value: number.value };
  }

  #boolean(): BareItem {
    const value = this.#text.charCodeAt(this.#at + 1);
    if (value !== 0x30 && value !== 0x31) this.#fail('a boolean is neither ?0 nor ?1');
    this.#at += 2;
    return value === 0x31 ? TRUE : { type: 'boolean', value: false };
  }

  #string(): string {
    let out = '';
    let start = ++this.#at;
    for (;;) {
      const code = this.#peek();
      if (code === QUOTE) {
        out += this.#text.slice(start, this.#at++);
        return out;
      }
      if (code === BACKSLASH) {
        out += this.#text.slice(start, this.#at++);
        const escaped = this.#peek();
        if (escaped !== QUOTE && escaped !== BACKSLASH) this.#fail('a backslash stands before what is not escaped');
        start = this.#at++;
      } else if (is(code, PRINTABLE)) this.#at++;
      else this.#fail(this.#ended() ? 'a string is not closed' : 'a string holds a character that is not ASCII');
    }
  }

  #bytes(): Uint8Array<ArrayBuffer> {
    this.#at++;
    const encoded = this.#while(BASE64);
    if (this.#peek() !== COLON) this.#fail('a byte sequence is not closed, or is not base64');
    this.#at++;
    try {
      return bytesOfBase64(encoded);
    } catch {
      return this.#fail('a byte sequence is not base64');
    }
  }

  #displayString(): string {
    if (this.#text.charCodeAt(this.#at + 1) !== QUOTE) this.#fail('a quote is missing after %');
    this.#at += 2;
    const bytes: number[] = [];
    for (;;) {
      const code = this.#peek();
      if (!is(code, PRINTABLE)) this.#fail('a display string is not closed, or holds what must be escaped');
      this.#at++;
      if (code === QUOTE) break;
      if (code !== PERCENT) bytes.push(code);
      else {
        const value = hexadecimal(this.#peek()) * 16 + hexadecimal(this.#text.charCodeAt(this.#at + 1));
        if (Number.isNaN(value)) this.#fail('two lower-case hexadecimal digits must follow %');
        this.#at += 2;
        bytes.push(value);
      }
    }
    try {
      // `ignoreBOM` keeps U+FEFF: it is a character like others here.
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
    } catch {
      return this.#fail('a display string is not UTF-8');
    }
  }
}

function hexadecimal(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : NaN;
}

/** Throws when `text` is no base64; padding may be missing. */
export function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
