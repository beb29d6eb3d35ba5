/**
 * JSON that came with a request, read so that nobody behind us can read something else in it: no key twice in one object,
 * a bounded depth, nothing but UTF-8. Parsers differ in which of two equal keys they take, so a gateway that decides by one
 * must not forward the other.
 *
 * The places of the members of the outermost object are kept, so that one value can be replaced and every other byte stays
 * as it was: written anew, numbers that no double holds would change.
 */

/** Objects and arrays in one another. Schemas of tools are what nests deepest, at some thirty. */
export const MAX_JSON_DEPTH = 128;

export type JsonFault = 'malformed' | 'not-an-object' | 'duplicate-key' | 'too-deep';

/** A member of an object: where its key begins, and where its value stands, in characters of the text. */
export interface JsonMember {
  readonly name: string;
  readonly key: number;
  readonly from: number;
  readonly to: number;
}

export interface JsonText {
  readonly text: string;
  /** What `JSON.parse` makes of it: a member `__proto__` is one like any other. Read members with `memberOf`. */
  readonly value: Readonly<Record<string, unknown>>;
  /** Of the outermost object, in their order. */
  readonly members: readonly JsonMember[];
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads an object; a fault says why it can't be trusted to mean the same to everybody. */
export function readJsonObject(bytes: Uint8Array): JsonText | JsonFault {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return 'malformed';
  }
  return readJsonText(text);
}

export function readJsonText(text: string): JsonText | JsonFault {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'malformed';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not-an-object';
  const members: JsonMember[] = [];
  const fault = scan(text, members, MAX_JSON_DEPTH);
  return fault ?? { text, value: value as Record<string, unknown>, members };
}

/** What of a text that is JSON some readers take for something else. `depth`: how many objects and arrays may lie in each other. */
export function ambiguityOf(text: string, depth: number): JsonFault | null {
  return scan(text, null, depth);
}

/** The member of that name, undefined when the object has none of its own, or is no object. */
export function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
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

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** SAFETY: the text is JSON, which `JSON.parse` has proven; this only looks for where things are. */
function scan(text: string, members: JsonMember[] | null, depth: number): JsonFault | null {
  /** Keys of each object that is open, null for an array. */
  const open: (Set<string> | null)[] = [];
  let awaitsKey = false;
  let name = '';
  let key = 0;
  let from = -1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (awaitsKey) {
        const raw = text.slice(at, end);
        const one = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
        const known = open.at(-1)!;
        if (known.has(one)) return 'duplicate-key';
        known.add(one);
        awaitsKey = false;
        if (open.length === 1) [name, key, from] = [one, at, -1];
      } else if (open.length === 1 && from < 0) from = at;
      at = end - 1;
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (open.length === depth) return 'too-deep';
      if (open.length === 1 && from < 0) from = at;
      open.push(code === OPEN_OBJECT ? new Set() : null);
      awaitsKey = code === OPEN_OBJECT;
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      if (open.length === 1 && from >= 0) members?.push({ name, key, from, to: endOfValue(text, at) });
      open.pop();
      awaitsKey = false;
    } else if (code === COMMA) {
      if (open.length === 1) members?.push({ name, key, from, to: endOfValue(text, at) });
      awaitsKey = open.at(-1) !== null;
    } else if (code > 0x20 && code !== COLON && open.length === 1 && from < 0) from = at;
  }
  return null;
}

/** Behind the closing quote of the string that begins at `at`. */
function endOfString(text: string, at: number): number {
  for (let end = at + 1; ;) {
    end = text.indexOf('"', end);
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    end++;
    if (slashes % 2 === 0) return end;
  }
}

function endOfValue(text: string, at: number): number {
  while (text.charCodeAt(at - 1) <= 0x20) at--;
  return at;
}

/** A change of the text: of one member its value, or a new member. */
export interface JsonEdit {
  readonly name: string;
  /** Text of the new value, JSON. */
  readonly value: string;
}

/** The text with the values of these members replaced; a member that is not there is added at the end. */
export function editMembers({ text, members }: JsonText, edits: readonly JsonEdit[]): string {
  const places = edits
    .map(({ name, value }) => ({ name, value, member: members.find((one) => one.name === name) ?? null }))
    .sort((a, b) => (a.member?.from ?? text.length) - (b.member?.from ?? text.length));
  let out = '';
  let at = 0;
  let empty = members.length === 0;
  for (const { name, value, member } of places) {
    const end = member === null ? text.lastIndexOf('}') : member.from;
    out += text.slice(at, end);
    if (member === null) out += `${empty ? '' : ','}${JSON.stringify(name)}:`;
    out += value;
    empty = false;
    at = member === null ? end : member.to;
  }
  return out + text.slice(at);
}

/** The text without that member; as it is when there is none. */
export function withoutMember({ text, members }: JsonText, name: string): string {
  const index = members.findIndex((one) => one.name === name);
  const member = members[index];
  if (member === undefined) return text;
  const next = members[index + 1];
  // With the comma behind it, or the one before the last.
  if (next !== undefined) return text.slice(0, member.key) + text.slice(next.key);
  const before = members[index - 1];
  return text.slice(0, before === undefined ? member.key : before.to) + text.slice(member.to);
}
