import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { addressRanges } from '../../src/compiler/lists.ts';
import { compileRegex } from '../../src/compiler/regex/index.ts';
import { compileAssembly, type Assembly } from '../../test/support/assembly.ts';
import { LIST_ADDRESSES, MAX_STEPS, REASON_NONE, REASON_STEPS } from '../abi.ts';
import { OPERATOR_EQ, OPERATOR_GE, OPERATOR_GT, OPERATOR_LE, OPERATOR_LT, OPERATOR_STREQ } from './abi.ts';

const entry = `
import { cardAt, cardLength } from './waf/card';
export { reset, mark, spend, failure, stepsUsed } from './arena';
export { streq, beginsWith, endsWith, contains, within, containsWord, toInteger, compare, validateByteRange,
  validateUrlEncoding, validateUtf8Encoding, ipMatch } from './waf/operator';
export { verifyCC, isLuhn } from './waf/card';
export function foundAt(): usize { return cardAt; }
export function foundLength(): i32 { return cardLength; }
`;

type Compare = (at: number, length: number, argumentAt: number, argumentLength: number) => number;
interface Exports {
  reset(): void;
  mark(): number;
  spend(steps: number): number;
  failure(): number;
  stepsUsed(): number;
  streq: Compare;
  beginsWith: Compare;
  endsWith: Compare;
  contains: Compare;
  within: Compare;
  containsWord: Compare;
  toInteger(at: number, length: number): bigint;
  compare(operator: number, value: bigint, argument: bigint): number;
  validateByteRange(at: number, length: number, allowed: number): number;
  validateUrlEncoding(at: number, length: number): number;
  validateUtf8Encoding(at: number, length: number): number;
  ipMatch(at: number, length: number, list: number): number;
  verifyCC(program: number, at: number, length: number): number;
  isLuhn(at: number, length: number): number;
  foundAt(): number;
  foundLength(): number;
}

let engine: Assembly<Exports>;
let memory: Uint8Array;
before(async () => {
  engine = await compileAssembly<Exports>(entry);
  memory = new Uint8Array(engine.memory.buffer);
});

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** Puts a value where memory ends, so that whoever reads on traps, and forgets what was there before. */
function put(value: string): number {
  engine.clear();
  engine.exports.reset();
  const at = memory.length - value.length;
  memory.set(bytesOf(value), at);
  return at;
}

type Comparison = 'streq' | 'beginsWith' | 'endsWith' | 'contains' | 'within' | 'containsWord';
function compareTexts(operator: Comparison, value: string, argument: string): boolean {
  const at = put(value);
  const argumentAt = engine.place(bytesOf(argument));
  const mark = engine.exports.mark();
  const result = engine.exports[operator](at, value.length, argumentAt, argument.length) !== 0;
  assert.equal(engine.exports.failure(), REASON_NONE);
  assert.equal(engine.exports.mark(), mark, 'nothing stays allocated');
  return result;
}

/** As ModSecurity does it: every place, one by one. */
function naiveWord(value: string, word: string): boolean {
  const isWord = (text: string): boolean => /^[0-9A-Za-z_]$/.test(text);
  for (let i = 0; i + word.length <= value.length; i++) {
    if (i > 0 && isWord(value.charAt(i - 1))) continue;
    if (value.slice(i, i + word.length) === word && !isWord(value.charAt(i + word.length))) return true;
  }
  return word === '';
}

const NAIVE: Readonly<Record<Comparison, (value: string, argument: string) => boolean>> = {
  streq: (value, argument) => value === argument,
  beginsWith: (value, argument) => value.startsWith(argument),
  endsWith: (value, argument) => value.endsWith(argument),
  contains: (value, argument) => value.includes(argument),
  within: (value, argument) => argument.includes(value),
  containsWord: naiveWord,
};

// Few letters, so that texts repeat themselves and parts of one are found in the other.
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('a', 'b', 'a', ' ', '_', '\xe9', '0'), maxLength, size: 'max' });
const pair = fc.oneof(
  fc.tuple(text(60), text(5)),
  fc.tuple(text(5), text(60)),
  fc.tuple(text(20), text(20), text(20)).map(([left, middle, right]) => [left + middle + right, middle] as const),
  fc.tuple(text(20), text(20)).map(([left, right]) => [left + right, right] as const),
  text(40).map((same) => [same, same] as const),
);

describe('comparisons', () => {
  const cases: readonly (readonly [Comparison, string, string, boolean])[] = [
    ['streq', 'GET', 'GET', true],
    ['streq', 'GET', 'get', false],
    ['streq', '', '', true],
    ['beginsWith', '/admin/x', '/admin', true],
    ['beginsWith', '/adm', '/admin', false],
    ['beginsWith', 'x', '', true],
    ['endsWith', 'a.example.com', '.example.com', true],
    ['endsWith', 'example.com', '.example.com', false],
    ['endsWith', '', '', true],
    ['contains', 'abcabd', 'abd', true],
    ['contains', 'aaab', 'aab', true],
    ['contains', 'x', '', true],
    ['contains', '', 'x', false],
    ['contains', 'a\0b', '\0', true],
    ['within', 'HEAD', 'GET HEAD POST', true],
    ['within', 'EAD P', 'GET HEAD POST', true], // any part, not only whole words
    ['within', '', 'GET', true],
    ['within', 'GET HEAD POST', 'HEAD', false],
    ['containsWord', 'a cat sat', 'cat', true],
    ['containsWord', 'a concat cat', 'cat', true],
    ['containsWord', 'a cat_ 1cat', 'cat', false],
    ['containsWord', 'caf\xe9cat', 'cat', true], // bytes beyond ASCII are no letters
    ['containsWord', 'xa a a', 'a a', true], // the second overlaps the first, which is no word of its own
    ['containsWord', 'x', '', true],
  ];
  for (const [operator, value, argument, expected] of cases) {
    test(`${operator} ${JSON.stringify(argument)} of ${JSON.stringify(value)}: ${expected}`, () => {
      assert.equal(compareTexts(operator, value, argument), expected);
      assert.equal(NAIVE[operator](value, argument), expected, 'the naive one');
    });
  }

  for (const operator of Object.keys(NAIVE) as Comparison[]) {
    test(`${operator} says what the naive one says`, () => {
      fc.assert(
        fc.property(pair, ([value, argument]) => {
          assert.equal(compareTexts(operator, value, argument), NAIVE[operator](value, argument));
        }),
        { numRuns: 1000 },
      );
    });
  }

  test('searching is linear in a value made to be slow', () => {
    const value = 'a'.repeat(200000);
    const needle = `${'a'.repeat(20000)}b`;
    assert.equal(compareTexts('contains', value, needle), false);
    assert.ok(engine.exports.stepsUsed() <= value.length + needle.length);
    assert.equal(compareTexts('contains', `${value}b`, needle), true);
  });

  test('without steps the answer is no, and the reason is kept', () => {
    const at = put('abc');
    engine.exports.spend(MAX_STEPS);
    assert.equal(engine.exports.contains(at, 3, at, 1), 0);
    assert.equal(engine.exports.failure(), REASON_STEPS);
  });
});

describe('numbers', () => {
  const cases: readonly (readonly [string, bigint])[] = [
    ['', 0n],
    ['0', 0n],
    ['42', 42n],
    ['-7', -7n],
    ['+7', 7n],
    [' \t\n\v\f\r12', 12n],
    ['12abc', 12n],
    ['abc', 0n],
    ['1 2', 1n],
    ['- 1', 0n],
    ['+-1', 0n],
    ['-', 0n],
    ['0x10', 0n],
    ['1.9', 1n],
    ['007', 7n],
    ['2147483648', 2147483648n], // beyond C's int, where atoi has no answer
    ['4294967297', 4294967297n],
  ];
  for (const [input, expected] of cases) {
    test(`${JSON.stringify(input)} is ${expected}`, () => {
      assert.equal(engine.exports.toInteger(put(input), input.length), expected);
    });
  }

  test('what does not fit stays large', () => {
    for (const sign of ['', '-']) {
      const input = `${sign}${'9'.repeat(50)}`;
      const value = engine.exports.toInteger(put(input), input.length);
      assert.ok((sign === '' ? value : -value) > 9n * 10n ** 17n);
    }
  });

  test('comparisons of numbers', () => {
    const operators = [OPERATOR_EQ, OPERATOR_GE, OPERATOR_GT, OPERATOR_LE, OPERATOR_LT];
    const results = (value: bigint, argument: bigint): number[] =>
      operators.map((operator) => engine.exports.compare(operator, value, argument));
    assert.deepEqual(results(1n, 2n), [0, 0, 0, 1, 1]);
    assert.deepEqual(results(2n, 2n), [1, 1, 0, 1, 0]);
    assert.deepEqual(results(3n, 2n), [0, 1, 1, 0, 0]);
    assert.deepEqual(results(-3n, 2n), [0, 0, 0, 1, 1]);
    assert.equal(engine.exports.compare(OPERATOR_STREQ, 1n, 1n), 0);
  });
});

describe('validators', () => {
  test('validateByteRange finds a byte that may not be, anywhere', () => {
    const outside = (value: string, allowed: readonly number[]): boolean => {
      const at = put(value);
      const bitmap = new Uint8Array(32);
      for (const byte of allowed) bitmap[byte >> 3]! |= 1 << (byte & 7);
      return engine.exports.validateByteRange(at, value.length, engine.place(bitmap)) !== 0;
    };
    const ascii = Array.from({ length: 95 }, (_, i) => i + 32);
    assert.equal(outside('plain text', ascii), false);
    assert.equal(outside('', []), false);
    assert.equal(outside('\0', ascii), true);
    assert.equal(outside('caf\xe9', ascii), true);
    assert.equal(outside('caf\xe9', [...ascii, 0xe9]), false);
    assert.equal(outside(`${'x'.repeat(70)}\xff`, ascii), true);
    fc.assert(
      fc.property(fc.uint8Array({ max: 255 }), fc.array(fc.nat(255)), (value, allowed) => {
        const expected = value.some((byte) => !allowed.includes(byte));
        assert.equal(outside(Buffer.from(value).toString('latin1'), allowed), expected);
      }),
      { numRuns: 500 },
    );
  });

  test('validateUrlEncoding finds a % without two digits', () => {
    const invalid = (value: string): boolean => engine.exports.validateUrlEncoding(put(value), value.length) !== 0;
    for (const value of ['', 'plain', '%41', 'a%2fb%2F', '%41%42', '%25%']) assert.equal(invalid(value), value === '%25%', value);
    for (const value of ['%', '%4', '%%41', '%g1', '%1g', '%u0041', `${'x'.repeat(40)}%4`]) assert.equal(invalid(value), true, value);
    const part = fc.constantFrom('%', '%4', '%41', '4', 'a', 'g', 'x'.repeat(20));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const value = parts.join('');
        assert.equal(invalid(value), !/^(?:[^%]|%[0-9a-fA-F]{2})*$/.test(value));
      }),
      { numRuns: 500 },
    );
  });

  const invalidUtf8 = (value: string): boolean => engine.exports.validateUtf8Encoding(put(value), value.length) !== 0;
  test('validateUtf8Encoding at the borders', () => {
    const valid = ['', 'a', '\0', '\x7f', '\xc2\x80', '\xdf\xbf', '\xe0\xa0\x80', '\xed\x9f\xbf', '\xee\x80\x80', '\xef\xbf\xbf'];
    valid.push('\xf0\x90\x80\x80', '\xf4\x8f\xbf\xbf', `${'a'.repeat(20)}\xc3\xa9${'b'.repeat(20)}`);
    valid.push('\xf4\xbf\xbf\xbf'); // beyond Unicode, and ModSecurity lets it pass
    for (const value of valid) assert.equal(invalidUtf8(value), false, JSON.stringify(value));
    const invalid = ['\x80', '\xbf', '\xc0\x80', '\xc1\xbf', '\xc2', '\xc2a', '\xe0\x9f\xbf', '\xe0\xa0', '\xe1\x80a', '\xed\xa0\x80'];
    invalid.push('\xed\xbf\xbf', '\xf0\x8f\xbf\xbf', '\xf0\x90\x80', '\xf1a\x80\x80', '\xf5\x80\x80\x80', '\xf8', '\xff');
    invalid.push(`${'a'.repeat(31)}\xc3`);
    for (const value of invalid) assert.equal(invalidUtf8(value), true, JSON.stringify(value));
  });

  test('validateUtf8Encoding agrees with the platform below U+110000', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const part = fc.oneof(
      fc.constantFrom('a', 'abcdefghijklmnopq', '\xc3', '\xa9', '\x80', '\xbf', '\xe0', '\xe2\x82', '\xac', '\xed', '\xa0'),
      fc.constantFrom('\xf0', '\x90', '\x8f', '\x9f\x98\x80', '\xf1', '\xf5', '\xff', '\xc0', '\xc1'),
      fc.string({ unit: 'binary', maxLength: 3 }).map((s) => Buffer.from(s.toWellFormed()).toString('latin1')),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const value = parts.join('');
        let valid = true;
        try {
          decoder.decode(bytesOf(value));
        } catch {
          valid = false;
        }
        assert.equal(invalidUtf8(value), !valid);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('ipMatch', () => {
  /** A list as SECTION_LISTS holds it. */
  function list(items: readonly string[]): number {
    const { v4, v6 } = addressRanges(items);
    const words = new Uint32Array([LIST_ADDRESSES, v4.length, v6.length, 0, ...v4.flat()]);
    return engine.place(Buffer.concat([Buffer.from(words.buffer), ...v6.flat()]));
  }
  const matches = (value: string, items: readonly string[]): boolean => {
    const at = put(value);
    return engine.exports.ipMatch(at, value.length, list(items)) !== 0;
  };

  test('addresses and blocks', () => {
    assert.equal(matches('10.1.2.3', ['192.0.2.1', '10.0.0.0/8']), true);
    assert.equal(matches('11.1.2.3', ['192.0.2.1', '10.0.0.0/8']), false);
    assert.equal(matches('192.0.2.1', ['192.0.2.1']), true);
    assert.equal(matches('::1', ['127.0.0.1', '::1']), true);
    assert.equal(matches('2001:db8::1', ['2001:db8::/32']), true);
    assert.equal(matches('2001:db9::1', ['2001:db8::/32']), false);
    assert.equal(matches('127.0.0.1', []), false);
  });

  test('only a bare address is one', () => {
    for (const value of ['', '10.1.2.3:80', '[::1]', '10.1.2', '10.1.2.3 ', 'localhost', '10.1.2.03', '::1%lo']) {
      assert.equal(matches(value, ['0.0.0.0/0', '::/0']), false, value);
    }
  });
});

describe('verifyCC', () => {
  const find = (value: string, pattern: string): string | null => {
    const at = put(value);
    const program = engine.place(compileRegex(pattern, { captures: true, dotAll: true }).bytes);
    if (engine.exports.verifyCC(program, at, value.length) === 0) return null;
    const start = engine.exports.foundAt() - at;
    return value.slice(start, start + engine.exports.foundLength());
  };

  test('digits that pass the check', () => {
    const luhn = (value: string): boolean => engine.exports.isLuhn(put(value), value.length) !== 0;
    for (const value of ['4111111111111111', '4111-1111 1111.1111', '0', '18', '59', '00']) assert.equal(luhn(value), true, value);
    for (const value of ['', 'x', '4111111111111112', '1', '81']) assert.equal(luhn(value), false, value);
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 20 }), (digits) => {
        const total = digits.reduceRight((sum, digit, i) => {
          const weight = (digits.length - 1 - i) % 2 === 0 ? digit : digit * 2;
          return sum + (weight > 9 ? weight - 9 : weight);
        }, 0);
        assert.equal(luhn(digits.join('')), total % 10 === 0);
      }),
      { numRuns: 500 },
    );
  });

  test('finds the number that passes, and only where the pattern matches', () => {
    assert.equal(find('card=4111111111111111&x', '\\d{13,16}'), '4111111111111111');
    assert.equal(find('1234567890123456 then 4111111111111111', '\\b\\d{16}\\b'), '4111111111111111');
    assert.equal(find('4111111111111112', '\\d{16}'), null);
    assert.equal(find('no digits', '\\d{16}'), null);
    assert.equal(find('', '\\d*'), null);
    assert.equal(find('x18', '\\d*'), '18');
  });

  test('a later match still sees what stands before it', () => {
    // Without its first digit this passes, but that is no word of its own and not the start.
    assert.equal(find('14111111111111111', '\\d{13,16}'), '4111111111111111');
    assert.equal(find('14111111111111111', '\\b\\d{13,17}\\b'), null);
    assert.equal(find('14111111111111111', '^\\d{13,17}'), null);
  });
});
