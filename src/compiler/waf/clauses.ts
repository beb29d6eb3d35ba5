/**
 * What bytes a text must hold for a matcher to match, by classes: a clause is a set of classes of which every match contains
 * one. The scan leaves out all matchers with a clause that a value does not meet. Necessary, not sufficient.
 */
import { MAX_CLAUSES } from '../../../assembly/waf/abi.ts';
import type { Node } from '../regex/syntax.ts';

/** Most clauses of one matcher. */
const MAX_OWN = 5;

/** Bit of a byte's class: assembly/waf/screen.ts says the same of whole bitmaps. */
export function byteClass(byte: number): bigint {
  const character = String.fromCharCode(byte);
  if (/[A-Za-z]/.test(character)) return 1n << 33n;
  if (/\d/.test(character)) return 1n << 16n;
  if (byte >= 0xc0) return 1n << 23n;
  if (byte >= 0x80) return 1n << 22n;
  if (byte >= 0x7b && byte <= 0x7e) return 1n << BigInt(byte - 0x7b + 54);
  if (byte === 0x60) return 1n << 34n;
  if (byte >= 0x40 && byte < 0x7f) return 1n << BigInt(byte - 0x40 + 32);
  if (byte >= 0x20 && byte < 0x40) return 1n << BigInt(byte - 0x20);
  return 1n << BigInt({ 0: 17, 9: 18, 10: 19, 13: 20 }[byte] ?? 21);
}

const CLASSES: readonly bigint[] = Array.from({ length: 256 }, (_, byte) => byteClass(byte));

// How many of a hundred values hold the class, roughly; what is not named: 2.
const COMMON = new Map<bigint, number>();
for (const [characters, share] of [
  ['a', 90],
  ['0', 50],
  [' -', 25],
  ['./_', 20],
  [',:;=', 12],
  ['+%&?()', 5],
] as const) {
  for (const character of characters) COMMON.set(byteClass(character.charCodeAt(0)), share);
}

function weight(clause: bigint): number {
  let sum = 0;
  for (let rest = clause; rest !== 0n; rest &= rest - 1n) sum += COMMON.get(rest & -rest) ?? 2;
  return sum;
}

/** Clauses of a regex, the most telling ones first. */
export function clausesOf(node: Node): readonly bigint[] {
  switch (node.type) {
    case 'empty':
    case 'assert':
      return [];
    case 'class': {
      let clause = 0n;
      for (let i = 0; i < node.set.length; i += 2) {
        for (let byte = node.set[i]!; byte <= node.set[i + 1]!; byte++) clause |= CLASSES[byte]!;
      }
      return [clause];
    }
    case 'group':
      return clausesOf(node.item);
    case 'repeat':
      return node.min === 0 ? [] : clausesOf(node.item);
    case 'concat':
      return best(node.items.flatMap(clausesOf));
    case 'alternate': {
      const [first = [], ...others] = node.items.map(clausesOf).sort((a, b) => a.length - b.length);
      // For each clause of the first branch, of every other branch the one that makes it grow least.
      return best(
        first.map((clause) =>
          others.reduce((all, clauses) => {
            const grown = clauses.map((other) => all | other);
            return grown.reduce((least, one) => (weight(one) < weight(least) ? one : least));
          }, clause),
        ),
      );
    }
  }
}

/** Clauses of phrases. */
export function phraseClauses(phrases: readonly Uint8Array[]): readonly bigint[] {
  return clausesOf({
    type: 'alternate',
    items: phrases.map((phrase) => ({
      type: 'concat',
      items: [...phrase].map((byte) => ({ type: 'class', set: [byte, byte] })),
    })),
  });
}

function best(clauses: readonly bigint[]): readonly bigint[] {
  const distinct = [...new Set(clauses)];
  return distinct
    .filter((clause) => !distinct.some((other) => other !== clause && (clause | other) === clause))
    .map((clause) => ({ clause, weight: weight(clause) }))
    .sort((a, b) => a.weight - b.weight)
    .slice(0, MAX_OWN)
    .map(({ clause }) => clause);
}

/** Distinct clauses with the matchers that have them, those that spare most first, at most MAX_CLAUSES. */
export function clauseRows(
  clauses: readonly (readonly bigint[])[],
): readonly { readonly clause: bigint; readonly matchers: readonly number[] }[] {
  const rows = new Map<bigint, number[]>();
  clauses.forEach((own, matcher) => {
    for (const clause of own) {
      const matchers = rows.get(clause);
      if (matchers) matchers.push(matcher);
      else rows.set(clause, [matcher]);
    }
  });
  return [...rows]
    .map(([clause, matchers]) => ({ clause, matchers, worth: (100 - weight(clause)) * matchers.length }))
    .filter(({ worth }) => worth > 0)
    .sort((a, b) => b.worth - a.worth)
    .slice(0, MAX_CLAUSES);
}
