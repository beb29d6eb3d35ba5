/** Repeatable randomness for fuzzers: the same seed gives the same run. */
export interface Random {
  /** 32 random bits, unsigned. */
  bits(): number;
  /** From 0 to n - 1; 0 for n below 1. */
  below(n: number): number;
  pick<T>(list: readonly T[]): T;
}

/** xorshift128, seeded by splitmix32 so that neighbouring seeds give unlike runs. */
export function random(seed: number): Random {
  let mix = seed | 0;
  const next = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [next(), next(), next(), next() | 1];
  const bits = (): number => {
    let t = d;
    const s = a;
    [d, c, b] = [c, b, s];
    t ^= t << 11;
    t ^= t >>> 8;
    a = (t ^ s ^ (s >>> 19)) >>> 0;
    return a;
  };
  const below = (n: number): number => (n < 1 ? 0 : Math.floor((bits() / 4294967296) * n));
  return { bits, below, pick: (list) => list[below(list.length)] as (typeof list)[number] };
}

/** How texts of one kind are spoiled. */
export interface Spoiling {
  /** What has broken such readers before, and words that change what a text means. */
  readonly pieces: readonly string[];
  /** What a word of the text is. */
  readonly words: RegExp;
  /** Ways of its own, each as likely as one of the common ones. */
  readonly more?: readonly ((text: string, r: Random) => string)[];
}

/** A text with one change: a piece put in, a character, a run, lines or a word changed, or something many times over. */
export function mutateText(text: string, r: Random, { pieces, words, more = [] }: Spoiling): string {
  const at = r.below(text.length + 1);
  const lines = text.split('\n');
  const line = r.below(lines.length);
  const way = r.below(7 + more.length);
  switch (way) {
    case 0:
      return text.slice(0, at) + r.pick(pieces) + text.slice(at);
    case 1:
      return text.slice(0, at) + String.fromCharCode(r.below(r.below(4) === 0 ? 65536 : 128)) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + r.below(20));
    case 3:
      lines.splice(line, 1 + r.below(3));
      return lines.join('\n');
    case 4:
      lines.splice(r.below(lines.length), 0, ...lines.slice(line, line + 1 + r.below(6)));
      return lines.join('\n');
    case 5: {
      // A word in the place of another: mostly well-formed, seldom of any sense.
      const found = [...text.matchAll(words)];
      if (found.length === 0) return text;
      const from = r.pick(found);
      return text.slice(0, from.index) + r.pick(found)[0] + text.slice(from.index + from[0].length);
    }
    case 6:
      return text.slice(0, at) + r.pick(pieces).repeat(r.below(r.below(50) === 0 ? 3000 : 30)) + text.slice(at);
    default:
      return more[way - 7]!(text, r);
  }
}

/** A text with up to `most` places spoiled: a piece or any character put in, seldom very often, and some of what follows cut. */
export function spoil(text: string, r: Random, pieces: readonly string[], most = 4): string {
  let out = text;
  for (let i = r.below(most + 1); i > 0; i--) {
    const at = r.below(out.length + 1);
    const piece = r.below(4) === 0 ? String.fromCharCode(r.below(300)) : r.pick(pieces);
    out = out.slice(0, at) + piece.repeat(r.below(100) === 0 ? r.below(2000) : 1) + out.slice(at + r.below(6));
  }
  return out;
}
