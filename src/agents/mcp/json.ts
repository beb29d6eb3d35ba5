/**
 * JSON as every reader reads it. What two readers may take for two things is refused: a name that stands twice in an
 * object (the first counts for some, the last for others), and `__proto__`, which is no name of anything but an attack.
 * SPEC: RFC 8259 section 4: names should be unique, else what a reader does is unpredictable.
 */

export type JsonFault = 'not-utf8' | 'not-json' | 'depth' | 'duplicate' | 'prototype';

export interface JsonText {
  readonly value: unknown;
}

/** `depth`: how many objects and arrays may lie in each other. */
export function readJson(bytes: Uint8Array, depth: number): JsonText | JsonFault {
  let text: string;
  try {
    // With a byte order mark it is JSON to some and not to others; JSON.parse says no.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return 'not-utf8';
  }
  return readJsonText(text, depth);
}

export function readJsonText(text: string, depth: number): JsonText | JsonFault {
  const fault = scan(text, depth);
  if (fault !== null) return fault;
  try {
    return { value: JSON.parse(text) };
  } catch {
    return 'not-json';
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property: what an object inherits was not sent. */
export function member(value: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

/**
 * True when a name is not in `known` but is one of it to readers that do not look at the case of letters (encoding/json of
 * Go does not, and folds U+017F and U+212A too).
 */
export function hasLookalike(value: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): boolean {
  for (const name of Object.keys(value)) if (!known.has(name) && folds(name, known)) return true;
  return false;
}

function folds(name: string, known: ReadonlySet<string>): boolean {
  const folded = name.toUpperCase().toLowerCase();
  for (const one of known) if (one.toLowerCase() === folded) return true;
  return false;
}

const [QUOTE, BACKSLASH, OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY, COMMA] = [34, 92, 123, 125, 91, 93, 44];

/** One pass, before anything is built. Of text that is not JSON it may say anything: JSON.parse is asked after it. */
function scan(text: string, most: number): JsonFault | null {
  /** For each object and array that is open: the names so far; null for an array. */
  const open: (Names | null)[] = [];
  let names: Names | null = null;
  /** True where a string would be a name. */
  let naming = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at + 1);
      if (end < 0) return 'not-json';
      if (naming && names !== null) {
        const name = nameOf(text.slice(at + 1, end));
        if (name === null) return 'not-json';
        if (name === '__proto__') return 'prototype';
        if (!names.add(name)) return 'duplicate';
        naming = false;
      }
      at = end;
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (open.length >= most) return 'depth';
      naming = code === OPEN_OBJECT;
      names = naming ? new Names() : null;
      open.push(names);
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      open.pop();
      names = open.at(-1) ?? null;
      naming = false;
    } else if (code === COMMA) naming = names !== null;
  }
  return null;
}

/** PERF: most objects have a few names, for which a set costs more than looking at each. */
class Names {
  #few: string[] = [];
  #many: Set<string> | null = null;

  /** False when it is there already. */
  add(name: string): boolean {
    if (this.#many !== null) {
      if (this.#many.has(name)) return false;
      this.#many.add(name);
      return true;
    }
    if (this.#few.includes(name)) return false;
    this.#few.push(name);
    if (this.#few.length > 8) this.#many = new Set(this.#few);
    return true;
  }
}

/** Index of the quote that ends the string, -1 without one. */
function endOfString(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) at++;
  }
  return -1;
}

function nameOf(raw: string): string | null {
  if (!raw.includes('\\')) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return null;
  }
}
