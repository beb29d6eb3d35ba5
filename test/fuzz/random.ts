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
