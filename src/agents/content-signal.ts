/**
 * What is said of the use of content: Content-Signal and Content-Usage. Where an origin says something too, the strictest
 * of both holds.
 *
 * SPEC: contentsignals.org; draft-ietf-aipref-attach, draft-ietf-aipref-vocab (labels are data: the list is being made).
 */
import { isInnerList, type Member, parseDictionary } from './structured-field.ts';
import { writeDictionary } from './structured-field-text.ts';

type Pairs = readonly (readonly [name: string, value: string])[];

/** `said`: the origin's field, or null. A signal that is not `yes` or `no` says nothing. */
export function mergeSignals(own: Pairs, said: string | null): string {
  const signals = new Map<string, string>();
  for (const part of (said ?? '').slice(0, MAX_FIELD).split(',')) {
    const [, name = '', value = ''] = /^\s*([A-Za-z0-9-]{1,64})\s*=\s*(yes|no)\s*$/i.exec(part) ?? [];
    if (name !== '') strictest(signals, name.toLowerCase(), value.toLowerCase(), 'no');
  }
  for (const [name, value] of own) strictest(signals, name, value, 'no');
  return [...signals].map((pair) => pair.join('=')).join(', ');
}

/** The same of Content-Usage; what of the origin's is no preference stays as it is, and a field that is none is none. */
export function mergeUsage(own: Pairs, said: string | null): string {
  const members = new Map<string, Member>(dictionaryOf(said));
  for (const [label, value] of own) {
    const given = members.get(label);
    const refused =
      given !== undefined && !isInnerList(given) && given.item.type === 'token' && given.item.value === 'n';
    if (!refused) members.set(label, { item: { type: 'token', value }, parameters: new Map() });
  }
  return writeDictionary(members);
}

/** Characters of a field of the origin's that are read. */
const MAX_FIELD = 4096;

function strictest(map: Map<string, string>, name: string, value: string, strict: string): void {
  if (map.get(name) !== strict) map.set(name, value);
}

function dictionaryOf(said: string | null): ReturnType<typeof parseDictionary> {
  try {
    return parseDictionary((said ?? '').slice(0, MAX_FIELD));
  } catch {
    return parseDictionary('');
  }
}
