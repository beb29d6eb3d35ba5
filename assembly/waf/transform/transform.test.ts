import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { compileAssembly, type Assembly } from '../../../test/support/assembly.ts';
import { FAMILIES } from '../../../test/support/fragments.ts';
import { referenceTransformations } from '../../../test/support/reference-transformations.ts';
import { ARENA_BYTES, MAX_STEPS, REASON_ARENA, REASON_STEPS } from '../../abi.ts';
import * as abi from '../abi.ts';

const entry = `
import { outAt, outLength } from './waf/transform/transform';
export { reset, mark, alloc, spend, failure, stepsUsed } from './arena';
export { transform, changing, surelyChanging } from './waf/transform/transform';
export { presence } from './waf/presence';
export function resultAt(): usize { return outAt; }
export function resultLength(): i32 { return outLength; }
`;

interface Exports {
  reset(): void;
  mark(): number;
  alloc(bytes: number): number;
  spend(steps: number): number;
  failure(): number;
  stepsUsed(): number;
  transform(id: number, at: number, length: number): number;
  changing(bitmap: number): bigint;
  surelyChanging(bitmap: number): bigint;
  presence(at: number, length: number, out: number): void;
  resultAt(): number;
  resultLength(): number;
}

let engine: Assembly<Exports>;
let memory: Uint8Array;
before(async () => {
  engine = await compileAssembly<Exports>(entry);
  memory = new Uint8Array(engine.memory.buffer);
});

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const textAt = (at: number, length: number): string => Buffer.from(memory.subarray(at, at + length)).toString('latin1');

/** Puts a value where memory ends, so that whoever reads on traps. */
function put(value: string): number {
  const at = memory.length - value.length;
  memory.set(bytesOf(value), at);
  return at;
}

function transform(id: number, value: string): string {
  engine.exports.reset();
  const at = put(value);
  assert.equal(engine.exports.transform(id, at, value.length), 1);
  return textAt(engine.exports.resultAt(), engine.exports.resultLength());
}

const TRANSFORMATIONS = Object.entries(abi).filter(
  ([name]) => name.startsWith('TRANSFORM_') && name !== 'TRANSFORM_COUNT',
);

const ABOUT: Readonly<Record<string, readonly (keyof typeof FAMILIES)[]>> = {
  URL: ['url'],
  JS: ['backslash'],
  CSS: ['backslash'],
  ESCAPE: ['backslash'],
  HTML: ['entity'],
  CMD: ['space', 'backslash'],
  COMPRESS: ['space'],
  REMOVE: ['comment', 'space'],
  REPLACE: ['comment', 'space'],
  NORMALIZE: ['path'],
  UTF8: ['utf8'],
  TRIM: ['space'],
  BASE64: ['code'],
  SQL: ['code'],
  HEX: ['code'],
};
const anyByte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const long = fc.constantFrom('abcdefghijklmnop', 'the quick brown fox jumps', 'x'.repeat(64), '1'.repeat(16));

/** Values made of fragments of these families, cut anywhere, so that they end in the midst of one. */
function valuesOf(families: readonly (keyof typeof FAMILIES)[]): fc.Arbitrary<string> {
  const fragment = fc.constantFrom(...families.flatMap((family) => FAMILIES[family] as readonly string[]));
  const other = fc.constantFrom(...Object.values(FAMILIES).flat());
  const part = fc.oneof(
    { weight: 10, arbitrary: fragment },
    { weight: 1, arbitrary: other },
    { weight: 1, arbitrary: anyByte },
    { weight: 1, arbitrary: long },
  );
  return fc
    .tuple(fc.array(part, { maxLength: 16, size: 'max' }), fc.nat(3))
    .map(([parts, cut]) => parts.join('').slice(0, cut === 0 ? undefined : -cut));
}
const anyValue = valuesOf(Object.keys(FAMILIES) as (keyof typeof FAMILIES)[]);

describe('transformations', () => {
  test('are all there', () => {
    assert.deepEqual(
      TRANSFORMATIONS.map(([, id]) => id).sort((a, b) => a - b),
      [...referenceTransformations.keys()].sort((a, b) => a - b),
    );
    assert.equal(TRANSFORMATIONS.length, abi.TRANSFORM_COUNT);
  });

  for (const [name, id] of TRANSFORMATIONS) {
    test(`${name} says what the reference says`, () => {
      const reference = referenceTransformations.get(id) as (value: string) => string;
      const about = ABOUT[(name.split('_') as [string, string])[1]];
      const value = about === undefined ? anyValue : valuesOf(about);
      fc.assert(
        fc.property(value, (input) => {
          const expected = reference(input);
          const { exports } = engine;
          exports.reset();
          const at = put(input);
          const bitmap = exports.alloc(32);
          exports.presence(at, input.length, bitmap);
          const mark = exports.mark();
          assert.equal(exports.transform(id, at, input.length), 1);
          const resultAt = exports.resultAt();
          const resultLength = exports.resultLength();
          assert.equal(textAt(resultAt, resultLength), expected);
          assert.equal(textAt(at, input.length), input, 'the input is not written to');
          if (expected === input) {
            assert.deepEqual([resultAt, exports.mark()], [at, mark], 'unchanged is the input itself');
            const sure = input.length > 0 && (exports.surelyChanging(bitmap) >> BigInt(id)) & 1n;
            assert.ok(!sure, 'and nobody was sure of a change');
          } else {
            assert.equal((exports.changing(bitmap) >> BigInt(id)) & 1n, 1n, 'changing foresees it');
            if (resultAt >= at) assert.ok(resultAt + resultLength <= at + input.length, 'or a part of it');
            else {
              assert.equal(resultAt, mark);
              assert.equal(exports.mark(), (resultAt + resultLength + 7) & ~7, 'and nothing more stays allocated');
            }
          }
        }),
        { numRuns: 2000 },
      );
    });
  }

  test('presence says which bytes occur', () => {
    fc.assert(
      fc.property(anyValue, (input) => {
        engine.exports.reset();
        const at = put(input);
        const bitmap = engine.exports.alloc(32);
        engine.exports.presence(at, input.length, bitmap);
        const expected = new Uint8Array(32);
        for (const byte of bytesOf(input)) expected[byte >> 3]! |= 1 << (byte & 7);
        assert.deepEqual(memory.slice(bitmap, bitmap + 32), expected);
      }),
      { numRuns: 500 },
    );
  });

  test('presence finds a byte wherever it stands in a long string', () => {
    for (const filling of ['a', 'ab \xc3\xa9']) {
      const text = filling.repeat(40).slice(0, 100);
      for (let place = 0; place < text.length; place++) {
        for (const code of [0, 0x41, 0x7f, 0x80, 0xff]) {
          engine.exports.reset();
          const input = `${text.slice(0, place)}${String.fromCharCode(code)}${text.slice(place + 1)}`;
          const bitmap = engine.exports.alloc(32);
          engine.exports.presence(put(input), input.length, bitmap);
          const expected = new Uint8Array(32);
          for (const byte of bytesOf(input)) expected[byte >> 3]! |= 1 << (byte & 7);
          assert.deepEqual(memory.slice(bitmap, bitmap + 32), expected, `${code} at ${place}`);
        }
      }
    }
  });

  test('changing leaves out what a string gives no cause for', () => {
    const changing = (input: string): string[] => {
      engine.exports.reset();
      const bitmap = engine.exports.alloc(32);
      engine.exports.presence(put(input), input.length, bitmap);
      const bits = engine.exports.changing(bitmap);
      return TRANSFORMATIONS.filter(([, id]) => (bits >> BigInt(id)) & 1n)
        .map(([name]) => name.slice('TRANSFORM_'.length))
        .filter((name) => !/ENCODE|BASE64|HEX_DECODE|LENGTH|MD5|SHA1|UPPERCASE/.test(name));
    };
    assert.deepEqual(changing('search_0123'), []);
    assert.deepEqual(changing('*'), []);
    assert.deepEqual(changing('a+b'), ['URL_DECODE', 'URL_DECODE_UNI']);
    assert.deepEqual(changing('a&b'), ['HTML_ENTITY_DECODE']);
    assert.deepEqual(changing('Ab'), ['CMD_LINE', 'LOWERCASE']);
    assert.deepEqual(changing('a.b'), ['NORMALIZE_PATH', 'NORMALIZE_PATH_WIN']);
    assert.deepEqual(changing('\xe9'), ['UTF8_TO_UNICODE']);
    assert.deepEqual(changing('#'), ['REMOVE_COMMENTS', 'REMOVE_COMMENTS_CHAR']);
  });

  test('what surely changes is told for what many strings have', () => {
    const sure = (input: string): string[] => {
      engine.exports.reset();
      const bitmap = engine.exports.alloc(32);
      engine.exports.presence(put(input), input.length, bitmap);
      const bits = engine.exports.surelyChanging(bitmap);
      return TRANSFORMATIONS.filter(([, id]) => (bits >> BigInt(id)) & 1n)
        .map(([name]) => name.slice('TRANSFORM_'.length))
        .filter((name) => !/BASE64|UPPERCASE/.test(name));
    };
    assert.deepEqual(sure('a/b.c%41'), []);
    assert.deepEqual(sure('a b'), ['REMOVE_WHITESPACE']);
    assert.deepEqual(sure('a+B').toSorted(), ['CMD_LINE', 'LOWERCASE', 'URL_DECODE', 'URL_DECODE_UNI']);
    assert.deepEqual(sure('#'), ['REMOVE_COMMENTS_CHAR']);
  });

  const CASES: readonly (readonly [number, string, string])[] = [
    [abi.TRANSFORM_NONE, 'A%41', 'A%41'],
    [abi.TRANSFORM_LOWERCASE, '@AZ[`az{\xc0', '@az[`az{\xc0'],
    [abi.TRANSFORM_UPPERCASE, '@AZ[`az{\xe0', '@AZ[`AZ{\xe0'],
    [abi.TRANSFORM_URL_DECODE, '%41%6a%4A%4', 'AjJ%4'],
    [abi.TRANSFORM_URL_DECODE, 'a+b%2bc%u0041', 'a b+c%u0041'],
    [abi.TRANSFORM_URL_DECODE, '%%41%2541', '%A%41'], // once, not until nothing is left
    [abi.TRANSFORM_URL_DECODE, '%00', '\0'],
    [abi.TRANSFORM_URL_DECODE_UNI, '%u0041%U0142%41', 'ABA'], // the lower byte of U+0142
    [abi.TRANSFORM_URL_DECODE_UNI, '%uff1c%uFF5e%uff5f%uff00', '<~\x5f\0'],
    [abi.TRANSFORM_URL_DECODE_UNI, '%u004%u00g1%u', '%u004%u00g1%u'],
    [abi.TRANSFORM_URL_DECODE_UNI, '%u%41', '%uA'],
    [abi.TRANSFORM_URL_ENCODE, 'a Z*0-_.~/\xff', 'a+Z*0%2d%5f%2e%7e%2f%ff'],
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&lt;&GT&quot;&Amp;&nbsp', '<>"&\xa0'],
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&lta &lt1; &apos; &xquot;', '&lta &lt1; &apos; &xquot;'],
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&#60;&#60a&#x3C;&#X3cg', '<<a<<g'],
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&#00000000000000000000000000000000000060;', '<'],
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&#316;', '<'], // 0x13c
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&#9223372036854775804;&#9223372036854775808;', '\xfc\xff'], // saturates
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&#x7ffffffffffffffc;&#x8000000000000000;', '\xfc\xff'],
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&#;&#x;&#xg;&;&', '&#;&#x;&#xg;&;&'],
    [abi.TRANSFORM_HTML_ENTITY_DECODE, '&amp;lt;', '&lt;'],
    [abi.TRANSFORM_JS_DECODE, '\\x41\\u0042\\103\\d', 'ABCd'],
    [abi.TRANSFORM_JS_DECODE, '\\377\\400\\78\\8', '\xff\x200\x0788'],
    [abi.TRANSFORM_JS_DECODE, '\\X41\\U0041\\x4g\\u004', 'X41U0041x4gu004'],
    [abi.TRANSFORM_JS_DECODE, '\\a\\b\\f\\n\\r\\t\\v\\\\\\"', '\x07\b\f\n\r\t\v\\"'],
    [abi.TRANSFORM_JS_DECODE, '\\uff3c\\', '\\\\'],
    [abi.TRANSFORM_CSS_DECODE, '\\41\\042 \\0043\t\\44  e', 'ABCD e'],
    [abi.TRANSFORM_CSS_DECODE, '\\000041b\\0000411', 'Ab\x411'],
    [abi.TRANSFORM_CSS_DECODE, '\\ff1c\\0ff1c\\00ff1c\\1ff1cq', '<<<\x1cq'],
    [abi.TRANSFORM_CSS_DECODE, 'a\\\nb\\\r\\j\\\\', 'ab\rj\\'],
    [abi.TRANSFORM_CSS_DECODE, 'a\\', 'a'],
    [abi.TRANSFORM_ESCAPE_SEQ_DECODE, "\\x41\\X42\\103\\?\\'", "ABC?'"],
    [abi.TRANSFORM_ESCAPE_SEQ_DECODE, '\\501\\u0041\\x4', '\x41u0041x4'],
    [abi.TRANSFORM_ESCAPE_SEQ_DECODE, '\\', '\\'],
    [abi.TRANSFORM_BASE64_DECODE, 'Zm9v', 'foo'],
    [abi.TRANSFORM_BASE64_DECODE, 'Zm8=Zm9v', 'fo'],
    [abi.TRANSFORM_BASE64_DECODE, 'Zm9 v', 'fo'],
    [abi.TRANSFORM_BASE64_DECODE, 'Z', ''],
    [abi.TRANSFORM_BASE64_DECODE, '<', ''],
    [abi.TRANSFORM_BASE64_DECODE_EXT, 'Z m-9\nv!', 'foo'],
    [abi.TRANSFORM_BASE64_DECODE_EXT, 'Zg==Zg==', 'f\x06`'], // padding begins no new group
    [abi.TRANSFORM_BASE64_DECODE_EXT, 'Zm9vZ=', ''],
    [abi.TRANSFORM_BASE64_DECODE_EXT, 'Zm\x009v', 'foo'], // not cut at NUL
    [abi.TRANSFORM_BASE64_ENCODE, 'fo', 'Zm8='],
    [abi.TRANSFORM_BASE64_ENCODE, '\xff\xfe\xfd>', '//79Pg=='],
    [abi.TRANSFORM_HEX_DECODE, '4a4B4', 'JK'],
    [abi.TRANSFORM_HEX_DECODE, 'zz', '\x53'], // no digits, and still a byte
    [abi.TRANSFORM_HEX_ENCODE, '\0Az\xff', '00417aff'],
    [abi.TRANSFORM_SQL_HEX_DECODE, 'a=0x4142 or 0X434', 'a=AB or C4'],
    [abi.TRANSFORM_SQL_HEX_DECODE, '0x410x42', 'A0x42'], // the byte behind begins nothing
    [abi.TRANSFORM_SQL_HEX_DECODE, '0x4g0x', '0x4g0x'],
    [abi.TRANSFORM_SQL_HEX_DECODE, '\x000x41', '\0A'],
    [abi.TRANSFORM_CMD_LINE, 'C^:\\"Win"dows\t\t, /cat  (x)', 'c:windows/cat(x)'],
    [abi.TRANSFORM_CMD_LINE, 'a ^ b;;c', 'a b c'],
    [abi.TRANSFORM_CMD_LINE, '\0cat /x', '\0cat/x'], // not cut at NUL
    [abi.TRANSFORM_COMPRESS_WHITESPACE, ' \t\r\n\v\fa\xa0\xa0 b ', ' a b '],
    [abi.TRANSFORM_COMPRESS_WHITESPACE, '\ta', ' a'],
    [abi.TRANSFORM_REMOVE_WHITESPACE, ' a\xa0b\n\0c ', 'ab\0c'],
    [abi.TRANSFORM_REMOVE_NULLS, '\0a\0\0b\0', 'ab'],
    [abi.TRANSFORM_REPLACE_NULLS, '\0a\0\0b', ' a  b'],
    [abi.TRANSFORM_REMOVE_COMMENTS, 'a/*b*/ c<!--d-->-e', 'a c-e'],
    [abi.TRANSFORM_REMOVE_COMMENTS, 'a/*b-->c--d', 'ac'],
    [abi.TRANSFORM_REMOVE_COMMENTS, 'a/*b', 'a '],
    [abi.TRANSFORM_REMOVE_COMMENTS, 'a/*b*//*c*/d', 'a/*c*/d'], // the byte behind begins nothing
    [abi.TRANSFORM_REMOVE_COMMENTS, 'a#b', 'a'],
    [abi.TRANSFORM_REMOVE_COMMENTS_CHAR, 'a/*b*/c--d#e<!--f-->g', 'abcdefg'],
    [abi.TRANSFORM_REMOVE_COMMENTS_CHAR, '---><!-', '-><!-'],
    [abi.TRANSFORM_REMOVE_COMMENTS_CHAR, '/**/*/', ''],
    [abi.TRANSFORM_REPLACE_COMMENTS, 'un/**/ion/*x*/a', 'un ion a'],
    [abi.TRANSFORM_REPLACE_COMMENTS, 'a/*/b', 'a '],
    [abi.TRANSFORM_REPLACE_COMMENTS, 'a*/b', 'a*/b'],
    [abi.TRANSFORM_NORMALIZE_PATH, '/a//b/./c/../../d', '/a/d'],
    [abi.TRANSFORM_NORMALIZE_PATH, '/../../etc', '/etc'],
    [abi.TRANSFORM_NORMALIZE_PATH, '../../a/../b', '../../b'],
    [abi.TRANSFORM_NORMALIZE_PATH, './a/', 'a/'],
    [abi.TRANSFORM_NORMALIZE_PATH, '/a/..', ''],
    [abi.TRANSFORM_NORMALIZE_PATH, '.', ''],
    [abi.TRANSFORM_NORMALIZE_PATH, 'ab..', ''], // a name that ends in dots counts as a reference
    [abi.TRANSFORM_NORMALIZE_PATH, '..\\a', '..\\a'],
    [abi.TRANSFORM_NORMALIZE_PATH_WIN, '..\\a\\.\\b\\..\\c', '../a/c'],
    [abi.TRANSFORM_NORMALIZE_PATH_WIN, '\\a\\\\\\\\b', '/a/b'],
    [abi.TRANSFORM_UTF8_TO_UNICODE, 'caf\xc3\xa9 \xe2\x82\xac', 'caf%u00e9 %u20ac'],
    [abi.TRANSFORM_UTF8_TO_UNICODE, '\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf', '%u1f600%u10ffff'],
    [abi.TRANSFORM_UTF8_TO_UNICODE, '\xc0\xaf', '%u002f\xc0'], // overlong
    [abi.TRANSFORM_UTF8_TO_UNICODE, '\xed\xa0\x80', '%ud800\xed'],
    [abi.TRANSFORM_UTF8_TO_UNICODE, '\xf5\x80\x80\x80', '\xf5%u140000'],
    [abi.TRANSFORM_UTF8_TO_UNICODE, 'a\xc3b\xe2\x82c\x80\xff\0d', 'ab\x82c\x80\xffd'],
    [abi.TRANSFORM_TRIM, ' \t\v a b\n\r\f', 'a b'],
    [abi.TRANSFORM_TRIM, '\xa0a\0 ', '\xa0a\0'],
    [abi.TRANSFORM_TRIM, ' \n ', ''],
    [abi.TRANSFORM_TRIM_LEFT, ' a ', 'a '],
    [abi.TRANSFORM_TRIM_RIGHT, ' a ', ' a'],
    [abi.TRANSFORM_LENGTH, '', '0'],
    [abi.TRANSFORM_LENGTH, 'x'.repeat(1000), '1000'],
    [abi.TRANSFORM_MD5, '', Buffer.from('d41d8cd98f00b204e9800998ecf8427e', 'hex').toString('latin1')],
    [abi.TRANSFORM_SHA1, 'abc', Buffer.from('a9993e364706816aba3e25717850c26c9cd0d89d', 'hex').toString('latin1')],
  ];
  for (const [id, input, expected] of CASES) {
    const name = (TRANSFORMATIONS.find(([, other]) => other === id) as [string, number])[0];
    test(`${name} of ${JSON.stringify(input.slice(0, 50))}`, () => {
      assert.equal(transform(id, input), expected);
      assert.equal((referenceTransformations.get(id) as (value: string) => string)(input), expected, 'the reference');
    });
  }

  test('digests at every length around a block', () => {
    for (const id of [abi.TRANSFORM_MD5, abi.TRANSFORM_SHA1]) {
      const reference = referenceTransformations.get(id) as (value: string) => string;
      for (let length = 0; length < 200; length++) {
        const input = 'q'.repeat(length);
        assert.equal(transform(id, input), reference(input), `${length} bytes`);
      }
    }
  });

  test('long values go through whole', () => {
    const input = 'A %41\\x41&lt;/**/\xc3\xa9/../ '.repeat(3000);
    for (const [, id] of TRANSFORMATIONS) {
      assert.equal(transform(id, input), (referenceTransformations.get(id) as (value: string) => string)(input));
    }
  });

  test('a result that has no room ends the call as a limit', () => {
    const input = 'A%41+\\x41&lt;/**/\xc3\xa9/../ '.repeat(1000);
    for (const [name, id] of TRANSFORMATIONS) {
      engine.exports.reset();
      const at = put(input);
      engine.exports.alloc(ARENA_BYTES - 8);
      const done = engine.exports.transform(id, at, input.length) !== 0;
      if (done) assert.ok(engine.exports.resultAt() >= at, `${name} has made nothing new`);
      else assert.equal(engine.exports.failure(), REASON_ARENA, name);
      const copies = !/NONE|TRIM|NULLS/.test(name);
      assert.equal(done, !copies, name);
    }
  });

  test('work is drawn from the budget, in proportion', () => {
    const input = 'A%41+\\x41&lt;/**/\xc3\xa9/../\0 '.repeat(1000);
    for (const [name, id] of TRANSFORMATIONS) {
      transform(id, input);
      const steps = engine.exports.stepsUsed();
      assert.ok(steps >= input.length / 16 && steps <= input.length, `${name}: ${steps}`);
      engine.exports.reset();
      engine.exports.spend(MAX_STEPS);
      assert.equal(engine.exports.transform(id, put('A%41'), 4), 0, name);
      assert.equal(engine.exports.failure(), REASON_STEPS, name);
    }
  });
});
