/** Body formats read the slow and obvious way, to hold the engine's processors against. Texts are one character a byte. */
import type { Pair } from './bodies.ts';

export function referenceUrlencoded(text: string): { pairs: Pair[]; error: boolean } {
  let error = false;
  const decode = (part: string): string =>
    part.replaceAll('+', ' ').replace(/%([0-9a-fA-F]{2})?/g, (whole, digits?: string) => {
      if (digits === undefined) error = true;
      return digits === undefined ? whole : String.fromCharCode(Number.parseInt(digits, 16));
    });
  const pieces = text.split('&');
  if (pieces.at(-1) === '') pieces.pop();
  const pairs = pieces.map((piece): Pair => {
    const equals = piece.indexOf('=');
    return equals < 0 ? [decode(piece), ''] : [decode(piece.slice(0, equals)), decode(piece.slice(equals + 1))];
  });
  return { pairs, error };
}

/** A JSON value as its reader found it; numbers and words as they are written. */
type Json =
  | { readonly kind: 'scalar'; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly Json[] }
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, Json])[] };

/** The arguments of a valid document, in UTF-8 as one character a byte; null when JSON.parse refuses it. */
export function referenceJson(text: string): Pair[] | null {
  const decoded = Buffer.from(text, 'latin1').toString('utf8');
  try {
    JSON.parse(decoded);
  } catch {
    return null;
  }
  let p = 0;
  const blanks = (): void => {
    while (/[ \n\r\t]/.test(decoded[p] ?? '')) p++;
  };
  const string = (): string => {
    const start = p++;
    while (decoded[p] !== '"') p += decoded[p] === '\\' ? 2 : 1;
    return JSON.parse(decoded.slice(start, ++p)) as string;
  };
  const list = <T>(item: () => T): T[] => {
    const items: T[] = [];
    p++;
    for (blanks(); decoded[p] !== ']' && decoded[p] !== '}'; blanks()) {
      if (decoded[p] === ',') p++;
      blanks();
      items.push(item());
    }
    p++;
    return items;
  };
  const value = (): Json => {
    blanks();
    const first = decoded[p];
    if (first === '"') return { kind: 'scalar', text: string() };
    if (first === '[') return { kind: 'array', items: list(value) };
    if (first === '{') {
      const member = (): readonly [string, Json] => {
        const key = string();
        blanks();
        p++;
        return [key, value()];
      };
      return { kind: 'object', members: list(member) };
    }
    const word = /^[^\s,\]}]*/.exec(decoded.slice(p))?.[0] ?? '';
    p += word.length;
    return { kind: 'scalar', text: word === 'null' ? '' : word };
  };
  const pairs: Pair[] = [];
  const bytes = (of: string): string =>
    Buffer.from(of.replace(/[\ud800-\udfff]/gu, '\ufffd'), 'utf8').toString('latin1');
  // `name` is the name of the value, null at the top, `key` the last key in it.
  const flatten = (of: Json, name: string | null, key: string): void => {
    if (of.kind === 'scalar') pairs.push([bytes(name ?? ''), bytes(of.text)]);
    else if (of.kind === 'object') {
      for (const [member, inner] of of.members) flatten(inner, name === null ? member : `${name}.${member}`, member);
    } else {
      for (const item of of.items)
        flatten(item, name === null ? 'array.array' : `${name}.${key}`, name === null ? 'array' : key);
    }
  };
  flatten(value(), null, '');
  return pairs;
}
