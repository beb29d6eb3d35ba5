/** Did you mean: the known word nearest to a misspelt one. */

const LONGEST = 64; // longer words are not compared: hostile input must not buy quadratic time

/** Edit distance with neighbouring letters swapped counting once (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

/** The nearest of `known`, or null when nothing is near enough to be meant. Case does not count as a difference. */
export function nearest(word: string, known: Iterable<string>): string | null {
  if (word.length > LONGEST) return null;
  const lower = word.toLowerCase();
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(lower.length / 3)) + 1;
  let budget = 200; // candidates compared
  for (const candidate of known) {
    if (candidate.length > LONGEST || Math.abs(candidate.length - lower.length) >= bestDistance) continue;
    if (budget-- === 0) break;
    const found = distance(lower, candidate.toLowerCase());
    if (found < bestDistance) {
      best = candidate;
      bestDistance = found;
    }
  }
  return best;
}

/** `a`, `a or b`, `a, b or c`. */
export function oneOf(words: readonly string[], joint = 'or'): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${joint} ${words.at(-1)}`;
}

/** Text of a document as it may stand in a message: one line, no control characters, at most 40 characters. */
export function shown(text: string): string {
  const line = text.slice(0, 41).replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
  return line.length > 40 ? `${line.slice(0, 40)}…` : line;
}
