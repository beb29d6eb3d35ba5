/**
 * Members of an object and elements of an array, as places in their text. What passes through a joined endpoint is changed
 * in these places and nowhere else: written anew, an id or an argument that no double holds would be another one.
 *
 * SAFETY: the text is JSON that `readJsonText` accepted, or a part of it, so each scan ends where a value does.
 */

export interface JsonPart {
  readonly name: string; // of a member; '' of an element
  readonly key: number; // where the member begins
  readonly from: number; // of the value
  readonly to: number;
}

/** Of an object or an array, in their order; none of any other value. */
export function partsOf(text: string): JsonPart[] {
  const parts: JsonPart[] = [];
  let at = skipSpace(text, 0);
  const object = text[at] === '{';
  if (!object && text[at] !== '[') return parts;
  for (at = skipSpace(text, at + 1); at < text.length && text[at] !== '}' && text[at] !== ']';) {
    const key = at;
    let name = '';
    if (object) {
      const end = endOfString(text, at);
      const raw = text.slice(at, end);
      name = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
      at = skipSpace(text, skipSpace(text, end) + 1);
    }
    const to = endOfValue(text, at);
    parts.push({ name, key, from: at, to });
    at = skipSpace(text, to);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return parts;
}

/** Text of the value of a member; undefined when there is none, or the text is no object. */
export function member(text: string, name: string): string | undefined {
  const part = partsOf(text).find((one) => one.name === name && one.from !== one.key);
  return part === undefined ? undefined : text.slice(part.from, part.to);
}

/** The string that a text is; undefined when it is another value, or none. */
export function stringOf(text: string | undefined): string | undefined {
  return text?.startsWith('"') === true ? (JSON.parse(text) as string) : undefined;
}

/** The text with the value of each part as `change` gives it; null leaves the part out. */
export function mapParts(text: string, change: (value: string, name: string) => string | null): string {
  const parts = partsOf(text);
  const kept: string[] = [];
  let out = '';
  let at = 0;
  for (const { name, key, from, to } of parts) {
    const changed = change(text.slice(from, to), name);
    if (changed === null) continue;
    kept.push(text.slice(key, from) + changed);
    out += text.slice(at, from) + changed;
    at = to;
  }
  const [first, last] = [parts[0], parts.at(-1)];
  if (first === undefined || last === undefined || kept.length === parts.length) return out + text.slice(at);
  return text.slice(0, first.key) + kept.join(',') + text.slice(last.to);
}

/** The object with the value of a member as `change` gives it, added where there was none; undefined leaves it as it is. */
export function mapMember(
  text: string,
  name: string,
  change: (value: string | undefined) => string | undefined,
): string {
  const parts = partsOf(text);
  const part = parts.find((one) => one.name === name);
  const value = change(part === undefined ? undefined : text.slice(part.from, part.to));
  if (value === undefined) return text;
  if (part !== undefined) return text.slice(0, part.from) + value + text.slice(part.to);
  const end = text.lastIndexOf('}');
  return `${text.slice(0, end)}${parts.length === 0 ? '' : ','}${JSON.stringify(name)}:${value}${text.slice(end)}`;
}

/** The object with the string of a member changed, where it has such a member and it is a string. */
export function mapString(text: string, name: string, change: (value: string) => string): string {
  return mapMember(text, name, (value) => {
    const known = stringOf(value);
    return known === undefined ? undefined : JSON.stringify(change(known));
  });
}

function skipSpace(text: string, at: number): number {
  while (at < text.length && text.charCodeAt(at) <= 0x20) at++;
  return at;
}

/** Behind the closing quote of the string that begins at `at`. */
function endOfString(text: string, at: number): number {
  for (let end = at + 1; ;) {
    end = text.indexOf('"', end);
    if (end < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    end++;
    if (slashes % 2 === 0) return end;
  }
}

function endOfValue(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return endOfString(text, at);
  if (first !== '{' && first !== '[') {
    while (at < text.length && !/[\s,\]}]/.test(text[at]!)) at++;
    return at;
  }
  let depth = 0;
  while (at < text.length) {
    const one = text.charCodeAt(at);
    if (one === 0x22) {
      at = endOfString(text, at);
      continue;
    }
    at++;
    if (one === 0x7b || one === 0x5b) depth++;
    else if ((one === 0x7d || one === 0x5d) && --depth === 0) return at;
  }
  return at;
}
