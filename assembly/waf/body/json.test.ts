import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { compileBodies, latin1, type Bodies, type Pair, type Read } from '../../../test/support/bodies.ts';
import { referenceJson } from '../../../test/support/reference-bodies.ts';
import { MAX_STEPS, REASON_BODY_DEPTH, REASON_VALUES } from '../../abi.ts';
import {
  MAX_JSON_DEPTH,
  MAX_WAF_VALUES,
  PROCESSOR_JSON,
  VARIABLE_ARGS_POST,
  VARIABLE_REQBODY_ERROR,
  VARIABLE_REQBODY_ERROR_MSG,
  VARIABLE_REQBODY_PROCESSOR,
  VARIABLE_REQBODY_PROCESSOR_ERROR,
  VARIABLE_REQUEST_BODY,
} from '../abi.ts';

let bodies: Bodies;
before(async () => {
  bodies = await compileBodies();
});

const utf8 = (text: string): string => latin1(Buffer.from(text, 'utf8'));
/** Text in units of 16 or 32 bits. */
function wide(text: string, encoding: 'utf16le' | 'utf16be' | 'utf32le' | 'utf32be'): string {
  const big = encoding.endsWith('be');
  if (encoding.startsWith('utf16')) {
    const bytes = Buffer.from(text, 'utf16le');
    return latin1(big ? bytes.swap16() : bytes);
  }
  const bytes = Buffer.alloc([...text].length * 4);
  for (const [index, character] of [...text].entries()) {
    if (big) bytes.writeUInt32BE(character.codePointAt(0)!, index * 4);
    else bytes.writeUInt32LE(character.codePointAt(0)!, index * 4);
  }
  return latin1(bytes);
}
const json = (text: string, whole = true): Read => bodies.body(text, { processor: PROCESSOR_JSON, whole });
const args = (read: Read): Pair[] => read.pairs(VARIABLE_ARGS_POST);

describe('JSON', () => {
  const valid: readonly (readonly [text: string, pairs: readonly Pair[]])[] = [
    ['', []],
    ['{}', []],
    ['[]', []],
    ['{"a":1}', [['a', '1']]],
    [' \t\r\n{ "a" : 1 , "b" : "x" } \n', [['a', '1'], ['b', 'x']]],
    ['{"a":{"b":{"c":"d"}}}', [['a.b.c', 'd']]],
    ['{"a":{"b":1},"c":2}', [['a.b', '1'], ['c', '2']]],
    ['{"a":[1,2]}', [['a.a', '1'], ['a.a', '2']]],
    ['{"a":[[1],{"b":2},3],"c":4}', [['a.a.a', '1'], ['a.a.b', '2'], ['a.a', '3'], ['c', '4']]],
    ['{"x":{"a":[{"b":1},{"b":2}],"d":3}}', [['x.a.a.b', '1'], ['x.a.a.b', '2'], ['x.d', '3']]],
    ['[1,"x"]', [['array.array', '1'], ['array.array', 'x']]],
    ['[[1,2],[3]]', [['array.array.array', '1'], ['array.array.array', '2'], ['array.array.array', '3']]],
    ['[{"a":1},{"a":2}]', [['array.array.a', '1'], ['array.array.a', '2']]],
    ['"text"', [['', 'text']]],
    ['12', [['', '12']]],
    ['null', [['', '']]],
    ['{"a":true,"b":false,"c":null}', [['a', 'true'], ['b', 'false'], ['c', '']]],
    ['{"a":-0,"b":1.5,"c":1e9,"d":2E-3,"e":-12.50e+2}', [['a', '-0'], ['b', '1.5'], ['c', '1e9'], ['d', '2E-3'], ['e', '-12.50e+2']]],
    ['{"a":123456789012345678901234567890}', [['a', '123456789012345678901234567890']]],
    ['{"a":1,"a":2}', [['a', '1'], ['a', '2']]],
    ['{"":1}', [['', '1']]],
    ['{"":{"":2}}', [['.', '2']]],
    ['{"a.b":{"c":1},"d":2}', [['a.b.c', '1'], ['d', '2']]],
    ['{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', [['a', '"\\/\b\f\n\r\t']]],
    ['{"\\u0061\\u003d":"\\u003Cscript\\u003e"}', [['a=', '<script>']]],
    ['{"a":{"\\u0062":1,"b":2}}', [['a.b', '1'], ['a.b', '2']]],
    ['{"a":"\\u0000x"}', [['a', '\0x']]],
    ['{"a":"\\u00fc\\u20ac\\ud83d\\ude00"}', [['a', utf8('ü€😀')]]],
    [utf8('{"ü":"€😀"}'), [[utf8('ü'), utf8('€😀')]]],
    // half of a pair is U+FFFD, and what is behind it stays
    ['{"a":"\\ud83d\'x"}', [['a', `${utf8('\ufffd')}'x`]]],
    ['{"a":"\\ud83d\\u0027"}', [['a', `${utf8('\ufffd')}'`]]],
    ['{"a":"\\ude00\\ud83d"}', [['a', utf8('\ufffd\ufffd')]]],
    ['\xef\xbb\xbf{"a":1}', [['a', '1']]],
    ['{"a":"0123456789abcdef0123456789abcdef"}', [['a', '0123456789abcdef0123456789abcdef']]],
    ['{"a":"0123456789abcde\\"0123456789abcdef"}', [['a', '0123456789abcde"0123456789abcdef']]],
  ];
  for (const [text, pairs] of valid) {
    test(JSON.stringify(text), () => {
      const read = json(text);
      assert.deepEqual(args(read), pairs);
      assert.equal(read.text(VARIABLE_REQBODY_ERROR), '0');
      assert.equal(read.text(VARIABLE_REQBODY_ERROR_MSG), '');
      assert.equal(read.text(VARIABLE_REQBODY_PROCESSOR), 'JSON');
      assert.equal(read.text(VARIABLE_REQUEST_BODY), undefined);
    });
  }

  const malformed: readonly (readonly [text: string, pairs: readonly Pair[]])[] = [
    [' ', []],
    ['{', []],
    ['}', []],
    ['{"a"', [['a', '']]],
    ['{"a":', []],
    ['{"a":1', [['a', '1']]],
    ['{"a":"x', [['a', 'x']]],
    ['{"a":"x\\', [['a', 'x\\']]],
    ['{"a":1,}', [['a', '1']]],
    ['[1,]', [['array.array', '1']]],
    ['[1 2]', [['array.array', '1']]],
    ['{"a" 1}', []],
    ['{a:1}', []],
    ["{'a':1}", []],
    ['{"a":1}x', [['a', '1']]],
    ['{"a":1}{"b":2}', [['a', '1']]],
    ['[1}', [['array.array', '1']]],
    // inside of strings and words, reading goes on
    ['{"a":01,"b":2}', [['a', '01'], ['b', '2']]],
    ['{"a":+1,"b":.5,"c":1.,"d":1e,"e":-}', [['a', '+1'], ['b', '.5'], ['c', '1.'], ['d', '1e'], ['e', '-']]],
    ['{"a":NaN,"b":True,"c":undefined}', [['a', 'NaN'], ['b', 'True'], ['c', 'undefined']]],
    ['{"a":"\\x41","b":2}', [['a', '\\x41'], ['b', '2']]],
    ['{"a":"\\u00g1","b":2}', [['a', '\\u00g1'], ['b', '2']]],
    ['{"a":"x\ny\0z","b":2}', [['a', 'x\ny\0z'], ['b', '2']]],
    ['{"a":"\xff","b":2}', [['a', '\xff'], ['b', '2']]],
    ['{"a":"\xc0\xaf"}', [['a', '\xc0\xaf']]],
    ['{"a":"\xed\xa0\x80"}', [['a', '\xed\xa0\x80']]],
    ['{"a":"\xc3"}', [['a', '\xc3']]],
    ['{"a":1}\0', [['a', '1']]],
    // blanks of yajl, units of other readers
    ['\x0b{"a":1}', [['a', '1']]],
    ['{\f"a"\v:[\v1,\f2\v]}', [['a.a', '1'], ['a.a', '2']]],
    ...(['utf16le', 'utf16be', 'utf32le', 'utf32be'] as const).flatMap((encoding) =>
      ['', '\ufeff'].map((mark): readonly [string, readonly Pair[]] => [
        wide(`${mark}{"a":"€😀'","ü":[1]}`, encoding),
        [['a', utf8("€😀'")], [utf8('ü.ü'), '1']],
      ]),
    ),
    [wide('{}', 'utf16le'), []],
    [wide('1', 'utf16be'), [['', '1']]],
    [wide('{"a":"\ud83d"}', 'utf16le'), [['a', utf8('\ufffd')]]],
    [`${wide('{"a":1', 'utf16le')}}`, [['a', '1']]],
    [`${wide('{"a":"', 'utf32be')}\x00\x11\x00\x00${wide('"}', 'utf32be')}`, [['a', utf8('\ufffd')]]],
    ['test', [['', 'test']]],
    ['a=1&b=2', [['', 'a=1&b=2']]],
  ];
  for (const [text, pairs] of malformed) {
    test(`malformed: ${JSON.stringify(text)}`, () => {
      const read = json(text);
      assert.deepEqual(args(read), pairs);
      assert.equal(read.text(VARIABLE_REQBODY_ERROR), '1');
      assert.equal(read.text(VARIABLE_REQBODY_PROCESSOR_ERROR), '1');
      assert.match(read.text(VARIABLE_REQBODY_ERROR_MSG) ?? '', /^JSON parsing error: /);
      assert.equal(read.text(VARIABLE_REQUEST_BODY), text);
      assert.deepEqual([read.complete, read.reason], [true, 0]);
    });
  }

  test('the first part of a document is no error, and its last value is there', () => {
    const text = `{"a":{"b":[1,"x\\u0041\\ud83d\\ude00 ${utf8('ü')}",true,{"k":-1.5e3}]},"c":null} `;
    for (let length = 0; length <= text.length; length++) {
      const read = json(text.slice(0, length), false);
      assert.equal(read.text(VARIABLE_REQBODY_ERROR), '0', text.slice(0, length));
    }
    assert.deepEqual(args(json('{"a":"<scr', false)), [['a', '<scr']]);
    assert.deepEqual(args(json('{"a":{"b', false)), [['a.b', '']]);
  });

  test('exactly MAX_JSON_DEPTH levels, and one more', () => {
    const nested = (open: string, close: string, depth: number): string => open.repeat(depth) + '1' + close.repeat(depth);
    for (const [open, close] of [['[', ']'], ['{"a":', '}']] as const) {
      const fits = json(nested(open, close, MAX_JSON_DEPTH));
      assert.deepEqual([fits.complete, fits.reason, fits.text(VARIABLE_REQBODY_ERROR)], [true, 0, '0']);
      assert.equal(args(fits).length, 1);
      const over = json(nested(open, close, MAX_JSON_DEPTH + 1));
      assert.deepEqual([over.complete, over.reason, over.text(VARIABLE_REQBODY_ERROR)], [false, REASON_BODY_DEPTH, '1']);
    }
  });

  test('more values than there is room for are a limit', () => {
    const over = json(`[${'1,'.repeat(MAX_WAF_VALUES)}1]`);
    assert.deepEqual([over.complete, over.reason], [false, REASON_VALUES]);
  });

  test('a long name above many values costs one copy, not one for each', () => {
    const read = json(`{"${'k'.repeat(10000)}":[${'{"a":1},'.repeat(2000)}{"a":1}]}`);
    assert.deepEqual([read.complete, args(read).length], [true, 2001]);
  });

  const text = fc.string({ unit: fc.constantFrom('a', '"', '\\', '.', '\n', '\0', 'ü', '€', '😀', '<', '\u2028'), maxLength: 40 });
  const scalar = fc.oneof(text, fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null));
  const { document } = fc.letrec<{ document: unknown }>((tie) => ({
    document: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      scalar,
      fc.array(tie('document'), { maxLength: 6 }),
      fc.array(fc.tuple(text, tie('document')), { maxLength: 6 }).map((members) => Object.fromEntries(members)),
    ),
  }));
  test('valid documents: as JSON.parse reads them', () => {
    fc.assert(
      fc.property(document, fc.constantFrom(undefined, 1, '\t'), fc.boolean(), (value, indent, ascii) => {
        let written = JSON.stringify(value, null, indent);
        if (ascii) written = written.replace(/[^ -~\n\t]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
        const read = json(utf8(written));
        assert.deepEqual(args(read), referenceJson(utf8(written)));
        assert.equal(read.text(VARIABLE_REQBODY_ERROR), '0', read.text(VARIABLE_REQBODY_ERROR_MSG));
      }),
    );
  });

  const fragment = fc.constantFrom(...'{}[],:"\\ 0-1.eE+au', '"a"', '"b":', 'null', 'true', '\\u00e9', '\\ud800', '\xc3\xa9', '\xff', '\n', '\0');
  test('any bytes: an error exactly where JSON.parse has one, never a trap', () => {
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 24 }), (fragments) => {
        const written = fragments.join('');
        const read = json(written);
        const isText = Buffer.from(Buffer.from(written, 'latin1').toString('utf8'), 'utf8').toString('latin1') === written;
        const expected = referenceJson(written);
        const fine = written === '' || (expected !== null && isText);
        assert.equal(read.text(VARIABLE_REQBODY_ERROR), fine ? '0' : '1', JSON.stringify(written));
        if (fine && written !== '') assert.deepEqual(args(read), expected);
      }),
    );
  });

  test('a mutated document never traps, and takes few steps', () => {
    const sample = utf8(JSON.stringify({ user: { name: 'Jürgen', tags: ['a', 'b\n', '😀'], age: 4.5e3 }, ok: [true, null, {}] }));
    const change = fc.record({ at: fc.nat(sample.length), byte: fc.nat(255), cut: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), fc.boolean(), (changes, whole) => {
        let mutated = sample;
        for (const { at, byte, cut } of changes) {
          mutated = mutated.slice(0, at) + (cut ? '' : String.fromCharCode(byte)) + mutated.slice(at + 1);
        }
        const read = json(mutated, whole);
        assert.ok(read.steps < 4096 && read.steps < MAX_STEPS);
      }),
    );
  });
});
