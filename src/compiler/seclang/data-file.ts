/** Files of phrases and addresses that operators name, and phrases in the argument of @pm. */
import { parseCidr } from '../lists.ts';
import { shown } from '../spelling.ts';
import { MAX_PHRASES } from './limits.ts';
import type { Problems } from './problems.ts';
import type { Place } from './ruleset.ts';
import type { Text } from './text.ts';

/** Reads a file named in a rule; null after reporting at `name` that it cannot be read. */
export type ReadNamed = (name: Text) => { readonly file: string; readonly text: string } | null;

/** Lines that say something: not blank, not beginning with `#`; white space around them does not count. */
export function* dataLines(file: string, text: string): Generator<{ value: string; place: Place }> {
  let line = 0;
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    const whole = text.slice(at, end);
    const value = whole.trim();
    line++;
    at = end + 1;
    if (value === '' || value.startsWith('#')) continue;
    const column = whole.length - whole.trimStart().length + 1;
    yield { value, place: { file, line, column } };
  }
}

/**
 * SPEC: parse_pm_content of ModSecurity v2, as Snort's `content`: `|41 42|` are bytes, `\:`, `\;`, `\\` and `\"` are
 * characters. With any other escape the text is taken as it stands. Null where the bytes are not UTF-8.
 */
export function phraseOf(text: string): string | null {
  if (/\\(?:[^:;\\"]|$)/.test(text.replaceAll('\\\\', ''))) return text;
  const plain = text.replaceAll(/\\([^])/g, '$1');
  if (!/\|[0-9A-Fa-f ]+\|/.test(plain)) return plain;
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const [part, hexadecimal] of plain.matchAll(/\|([0-9A-Fa-f ]+)\||[^|]+|\|/g)) {
    if (hexadecimal === undefined) bytes.push(...encoder.encode(part));
    else for (const [pair] of hexadecimal.replaceAll(' ', '').matchAll(/../g)) bytes.push(Number.parseInt(pair, 16));
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return null;
  }
}

/** Words of `text` between white space. */
export function wordsOf(text: Text, separator = /\s+/g): Text[] {
  const words: Text[] = [];
  let from = 0;
  const take = (to: number): void => {
    const word = text.slice(from, to).trim();
    if (word.value !== '') words.push(word);
  };
  for (const found of text.value.matchAll(separator)) {
    take(found.index);
    from = found.index + found[0].length;
  }
  take(text.value.length);
  return words;
}

/** The phrases of `@pm one two`. */
export function readPhrases(argument: Text, problems: Problems): string[] {
  const quoted = /^"(.*)"$/s.test(argument.value) ? argument.slice(1, argument.value.length - 1) : argument;
  const whole = phraseOf(quoted.value);
  if (whole === null) return reportBytes(quoted, problems);
  return limited(
    whole.split(/\s+/).filter((word) => word !== ''),
    argument,
    problems,
  );
}

function reportBytes(text: Text, problems: Problems): [] {
  problems.error('bad-phrase', text, 'the bytes between | and | are not UTF-8', {
    fix: 'use @rx with \\xHH for single bytes',
  });
  return [];
}

/** The phrases of `@pmFromFile one.data two.data`. */
export function readPhraseFiles(argument: Text, read: ReadNamed, problems: Problems): string[] {
  const phrases: string[] = [];
  for (const name of wordsOf(argument)) {
    if (refuseAddress(name, problems)) continue;
    const found = read(name);
    if (found === null) continue;
    for (const { value, place } of dataLines(found.file, found.text)) {
      const phrase = phraseOf(value);
      if (phrase !== null) phrases.push(phrase);
      else {
        problems.place('error', 'bad-phrase', place, value.length, 'the bytes between | and | are not UTF-8', {
          fix: 'use @rx with \\xHH for single bytes',
        });
      }
    }
  }
  return limited(phrases, argument, problems);
}

/** Addresses of `@ipMatch 10.0.0.0/8,::1`. */
export function readAddresses(argument: Text, problems: Problems): string[] {
  const addresses = wordsOf(argument, /[,\s]+/g);
  for (const address of addresses) {
    if (parseCidr(address.value) !== undefined) continue;
    problems.error('bad-address', address, `\`${shown(address.value)}\` is no address`, {
      fix: 'write an address or a block, as in 192.0.2.0/24',
    });
  }
  return limited(
    addresses.map(({ value }) => value),
    argument,
    problems,
  );
}

export function readAddressFiles(argument: Text, read: ReadNamed, problems: Problems): string[] {
  const addresses: string[] = [];
  for (const name of wordsOf(argument)) {
    if (refuseAddress(name, problems)) continue;
    const found = read(name);
    if (found === null) continue;
    for (const { value, place } of dataLines(found.file, found.text)) {
      if (parseCidr(value) !== undefined) addresses.push(value);
      else {
        problems.place('error', 'bad-address', place, value.length, `\`${shown(value)}\` is no address`, {
          fix: 'write one address or block a line, as in 192.0.2.0/24',
        });
      }
    }
  }
  return limited(addresses, argument, problems);
}

function refuseAddress(name: Text, problems: Problems): boolean {
  if (!/^https?:/i.test(name.value)) return false;
  problems.error('remote-file', name, 'files are not fetched from the network', {
    cause: 'a rule set means the same each time that it is compiled',
    fix: 'store the file beside the rules',
  });
  return true;
}

function limited(list: readonly string[], argument: Text, problems: Problems): string[] {
  const distinct = [...new Set(list)];
  if (distinct.length <= MAX_PHRASES) return distinct;
  problems.error('limit', argument, `more than ${MAX_PHRASES} phrases`, { fix: 'use several rules' });
  return [];
}
