/** Spellings of the Gateway API that paste badly, since a field's name says here what `type` says there; and what to write. */
import { shown } from '../spelling.ts';

/** The fix for the unknown field `key`, or null. `known` are the fields that stand there. */
export function typeIsField(key: string, known: readonly string[]): string | null {
  if (key !== 'type') return null;
  if (known.includes('replaceFullPath'))
    return 'leave `type` out: the field says it, `replaceFullPath: /new` or `replacePrefixMatch: /new`';
  if (known.includes('requestHeaderModifier')) return 'leave `type` out: the name of the filter says it';
  return null;
}

/** The fix for a list of `{ name, value }` where a mapping is meant, or null. */
export function pairsAreMapping(input: unknown): string | null {
  if (!Array.isArray(input) || input.length === 0) return null;
  const pairs: string[] = [];
  for (const item of input.slice(0, 3) as unknown[]) {
    if (typeof item !== 'object' || item === null) return null;
    const { name, value } = item as { name?: unknown; value?: unknown };
    if (typeof name !== 'string' || typeof value !== 'string') return null;
    pairs.push(`${shown(name)}: ${JSON.stringify(shown(value))}`);
  }
  return `write a mapping: { ${pairs.join(', ')}${input.length > 3 ? ', …' : ''} }`;
}
