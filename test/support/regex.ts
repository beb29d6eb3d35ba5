/** Runs compiled programs in the engine, and makes up patterns with texts that tend to match them. */
import fc from 'fast-check';
import { BODY_AT } from '../../assembly/abi.ts';
import { REGEX_UNSET } from '../../assembly/regex/abi.ts';
import { compileAssembly } from './assembly.ts';

interface Exports {
  find(program: number, at: number, length: number): number;
  captures(program: number, at: number, length: number, out: number): number;
  matchSet(program: number, at: number, length: number, bitset: number): void;
  check(program: number, length: number): number;
  checkSet(program: number, length: number): number;
  candidates(literals: number, at: number, length: number, bitset: number): void;
  checkLiterals(literals: number, length: number): number;
  alloc(bytes: number): number;
  reset(): void;
  stepsUsed(): number;
  failure(): number;
}

export type Groups = ([start: number, end: number] | null)[];

const encoder = new TextEncoder();

export async function regexEngine() {
  const { exports, memory, place, clear } = await compileAssembly<Exports>(`
    export { find, captures, matchSet, check, checkSet } from './regex/search';
    export { candidates, checkLiterals } from './regex/literals';
    export { alloc, reset, stepsUsed, failure } from './arena';
  `);
  const write = (program: Uint8Array, text: string | Uint8Array): { at: number; length: number } => {
    clear();
    exports.reset();
    const bytes = typeof text === 'string' ? encoder.encode(text) : text;
    new Uint8Array(memory.buffer).set(bytes, BODY_AT);
    return { at: place(program), length: bytes.length };
  };
  const bits = (bitset: number, count: number): number[] => {
    const words = new Uint32Array(memory.buffer, bitset, (count + 31) >> 5);
    return Array.from({ length: count }, (_, id) => id).filter((id) => (words[id >> 5]! >>> (id & 31)) & 1);
  };
  const zeroed = (count: number): number => {
    const bytes = ((count + 31) >> 5) * 4;
    const at = exports.alloc(bytes);
    new Uint8Array(memory.buffer, at, bytes).fill(0);
    return at;
  };
  return {
    memory,
    steps: (): number => exports.stepsUsed(),
    failure: (): number => exports.failure(),
    check(program: Uint8Array, set = false): boolean {
      const { at } = write(program, '');
      return (set ? exports.checkSet(at, program.length) : exports.check(at, program.length)) !== 0;
    },
    find(program: Uint8Array, text: string | Uint8Array): boolean {
      const { at, length } = write(program, text);
      return exports.find(at, BODY_AT, length) !== 0;
    },
    /** Offsets in bytes by group. */
    captures(program: Uint8Array, groups: number, text: string | Uint8Array): Groups | null {
      const { at, length } = write(program, text);
      const out = exports.alloc(groups * 8);
      if (exports.captures(at, BODY_AT, length, out) === 0) return null;
      const words = new Uint32Array(memory.buffer, out, groups * 2);
      return Array.from({ length: groups }, (_, i) =>
        words[i * 2] === REGEX_UNSET || words[i * 2 + 1] === REGEX_UNSET ? null : [words[i * 2]!, words[i * 2 + 1]!],
      );
    },
    /** Ids of the patterns that match, of `count`. */
    matchSet(programs: readonly Uint8Array[], count: number, text: string | Uint8Array): number[] {
      const all = new Set<number>();
      for (const program of programs) {
        const { at, length } = write(program, text);
        const bitset = zeroed(count);
        exports.matchSet(at, BODY_AT, length, bitset);
        for (const id of bits(bitset, count)) all.add(id);
      }
      return [...all].sort((a, b) => a - b);
    },
    candidates(literals: Uint8Array, count: number, text: string | Uint8Array): number[] {
      const { at, length } = write(literals, text);
      if (exports.checkLiterals(at, literals.length) === 0) throw new Error('checkLiterals refuses');
      const bitset = zeroed(count);
      exports.candidates(at, BODY_AT, length, bitset);
      return bits(bitset, count);
    },
    checkLiterals(literals: Uint8Array): boolean {
      return exports.checkLiterals(write(literals, '').at, literals.length) !== 0;
    },
  };
}

/** A pattern, and how to write a text that it may match, given a source of small numbers. */
interface Piece {
  readonly pattern: string;
  readonly sample: (pick: () => number) => string;
  /** Has to be grouped before it can be repeated. */
  readonly loose?: boolean;
}

// With the flag u, ECMAScript allows \- in classes only.
const quoted = (char: string): string =>
  /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char === '\n' ? '\\n' : char;
const member = (char: string): string => (char === '-' ? '\\-' : quoted(char));

/** Patterns of the subset that ECMAScript reads the same way, each with texts; `chars` is the alphabet. */
export function patternsAndTexts(
  chars: readonly string[],
  options: { groups: boolean },
): fc.Arbitrary<{ pattern: string; texts: string[] }> {
  const char = fc.constantFrom(...chars);
  const choose = (from: readonly string[]) => (pick: () => number) => from[pick() % from.length]!;
  const none = (): string => '';
  const atoms = [
    char.map((c): Piece => ({ pattern: quoted(c), sample: () => c })),
    fc
      .constantFrom('.', '\\w', '\\W', '\\d', '\\D', '\\s', '\\S')
      .map((pattern): Piece => ({ pattern, sample: choose(chars) })),
    fc
      .tuple(
        fc.uniqueArray(char, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        fc.constantFrom('', '\\d', '\\w', 'a-c', 'A-Z', '\\S'),
      )
      .map(([members, negated, more]): Piece => ({
        pattern: `[${negated ? '^' : ''}${members.map(member).join('')}${more}]`,
        sample: negated ? choose(chars) : choose(members),
      })),
    fc.constantFrom('\\b', '\\B', '^', '$').map((pattern): Piece => ({ pattern, sample: none, loose: true })),
  ];
  const atom = fc.oneof(
    { weight: 6, arbitrary: atoms[0]! },
    { weight: 2, arbitrary: atoms[1]! },
    { weight: 2, arbitrary: atoms[2]! },
    atoms[3]!,
  );
  const group = (inner: fc.Arbitrary<Piece>, capturing: boolean): fc.Arbitrary<Piece> =>
    fc.tuple(inner, fc.boolean()).map(([piece, named]) => ({
      sample: piece.sample,
      pattern: `(${capturing && named ? '' : '?:'}${piece.pattern})`,
    }));
  const concat = (inner: fc.Arbitrary<Piece>): fc.Arbitrary<Piece> =>
    fc.array(inner, { minLength: 1, maxLength: 4 }).map((pieces) => ({
      pattern: pieces.map((piece) => piece.pattern).join(''),
      sample: (pick) => pieces.map((piece) => piece.sample(pick)).join(''),
    }));
  const alternate = (inner: fc.Arbitrary<Piece>): fc.Arbitrary<Piece> =>
    fc.array(concat(inner), { minLength: 1, maxLength: 3 }).map((pieces) => ({
      pattern: pieces.map((piece) => piece.pattern).join('|'),
      sample: (pick) => pieces[pick() % pieces.length]!.sample(pick),
    }));
  const repeat = (inner: fc.Arbitrary<Piece>): fc.Arbitrary<Piece> =>
    fc
      .tuple(inner, fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,2}', '{2,}'), fc.boolean())
      .map(([piece, times, lazy]) => ({
        loose: true,
        pattern: `${piece.loose ? `(?:${piece.pattern})` : piece.pattern}${times}${lazy ? '?' : ''}`,
        sample: (pick) => Array.from({ length: 1 + (pick() % 3) }, () => piece.sample(pick)).join(''),
      }));
  // A group inside a repeat keeps its last turn's offsets here and in RE2, but ECMAScript clears it at every turn.
  const inside = fc.oneof(
    { weight: 3, arbitrary: atom },
    repeat(atom),
    group(alternate(fc.oneof(atom, repeat(atom))), !options.groups),
  );
  const outside = fc.oneof(
    { weight: 2, arbitrary: inside },
    repeat(inside),
    group(alternate(fc.oneof(inside, repeat(atom))), true),
  );
  const whole = alternate(fc.oneof({ weight: 3, arbitrary: outside }, group(alternate(outside), true)));
  return fc
    .tuple(
      whole,
      fc.array(fc.nat(255), { minLength: 16, maxLength: 16 }),
      fc.array(char, { maxLength: 6 }),
      fc.array(char, { maxLength: 2 }),
    )
    .map(([piece, numbers, noise, around]) => {
      let used = 0;
      // Short, since V8 backtracks: nested repeats over 24 characters have taken it five minutes.
      const sample = [...piece.sample(() => numbers[used++ % numbers.length]!)].slice(0, 10).join('');
      const edge = around.join('');
      return { pattern: piece.pattern, texts: [sample, edge + sample, sample + edge, noise.join(''), ''] };
    });
}
