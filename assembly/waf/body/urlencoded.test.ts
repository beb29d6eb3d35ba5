import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { compileBodies, type Bodies, type Pair } from '../../../test/support/bodies.ts';
import { referenceUrlencoded } from '../../../test/support/reference-bodies.ts';
import { REASON_VALUES } from '../../abi.ts';
import {
  MAX_WAF_VALUES,
  VARIABLE_ARGS_COMBINED_SIZE,
  VARIABLE_ARGS_GET,
  VARIABLE_ARGS_POST,
  VARIABLE_REQUEST_BODY,
  VARIABLE_REQUEST_COOKIES,
  VARIABLE_URLENCODED_ERROR,
} from '../abi.ts';

let bodies: Bodies;
before(async () => {
  bodies = await compileBodies();
});

describe('urlencoded', () => {
  const cases: readonly (readonly [text: string, pairs: readonly Pair[], error: '0' | '1'])[] = [
    ['', [], '0'],
    ['a=1', [['a', '1']], '0'],
    ['a=1&a=2', [['a', '1'], ['a', '2']], '0'],
    ['a', [['a', '']], '0'],
    ['a&b', [['a', ''], ['b', '']], '0'],
    ['a=', [['a', '']], '0'],
    ['=v', [['', 'v']], '0'],
    ['=', [['', '']], '0'],
    ['a=1&', [['a', '1']], '0'],
    ['&a=1', [['', ''], ['a', '1']], '0'],
    ['a=1&&b=2', [['a', '1'], ['', ''], ['b', '2']], '0'],
    ['&&', [['', ''], ['', '']], '0'],
    ['a=b=c', [['a', 'b=c']], '0'],
    ['a;b=1;c', [['a;b', '1;c']], '0'],
    ['a+b=c+d', [['a b', 'c d']], '0'],
    ['a=%2B', [['a', '+']], '0'],
    ['%61%3d=%26%3D', [['a=', '&=']], '0'],
    ['a=%00b', [['a', '\0b']], '0'],
    ['a=\0b', [['a', '\0b']], '0'],
    ['a=%c3%bc\xff', [['a', '\xc3\xbc\xff']], '0'],
    ['a=%', [['a', '%']], '1'],
    ['a=%4', [['a', '%4']], '1'],
    ['a=%41', [['a', 'A']], '0'],
    ['a=%zz%41', [['a', '%zzA']], '1'],
    ['a=%%41', [['a', '%A']], '1'],
    ['a=%25%34%31', [['a', '%41']], '0'],
    ['%4=1', [['%4', '1']], '1'],
    ['a%', [['a%', '']], '1'],
    ['a=%u0041', [['a', '%u0041']], '1'],
    ['a=%4&1=2', [['a', '%4'], ['1', '2']], '1'],
    // a name and a value that cross blocks of 16 bytes
    ['0123456789abcde=0123456789abcdef&g=1', [['0123456789abcde', '0123456789abcdef'], ['g', '1']], '0'],
    ['0123456789abcdef+=0123456789abcdef%3d', [['0123456789abcdef ', '0123456789abcdef=']], '0'],
  ];
  for (const [text, pairs, error] of cases) {
    test(JSON.stringify(text), () => {
      const read = bodies.query(text);
      assert.deepEqual(read.pairs(VARIABLE_ARGS_GET), pairs);
      assert.equal(read.text(VARIABLE_URLENCODED_ERROR), error);
      assert.equal(read.complete, true);
    });
  }

  test('a body gives ARGS_POST and REQUEST_BODY', () => {
    const read = bodies.body('a=%41&b', { contentType: 'Application/X-WWW-Form-Urlencoded; charset=x' });
    assert.deepEqual(read.pairs(VARIABLE_ARGS_POST), [['a', 'A'], ['b', '']]);
    assert.deepEqual(read.pairs(VARIABLE_ARGS_GET), []);
    assert.equal(read.text(VARIABLE_REQUEST_BODY), 'a=%41&b');
    assert.equal(read.text(VARIABLE_ARGS_COMBINED_SIZE), '3');
  });

  test('exactly MAX_WAF_VALUES values are fine, one more is a limit', () => {
    const room = 3;
    // ARGS_COMBINED_SIZE and URLENCODED_ERROR are values themselves
    const fits = bodies.query('a&b&c', MAX_WAF_VALUES - room - 2);
    assert.deepEqual([fits.complete, fits.reason], [true, 0]);
    const over = bodies.query('a&b&c&d', MAX_WAF_VALUES - room - 2);
    assert.deepEqual([over.complete, over.reason], [false, REASON_VALUES]);
  });

  const bytes = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', '&', '=', '%', '+', '4', 'f', 'G', '\0', '\xff', ' '), maxLength: 70 }),
    fc.string({ unit: fc.constantFrom('a', 'b', '=', '&', '%41', '%zz', '+'), maxLength: 70 }),
  );
  test('any bytes: as the reference reads them', () => {
    fc.assert(
      fc.property(bytes, (text) => {
        const read = bodies.query(text);
        const { pairs, error } = referenceUrlencoded(text);
        assert.deepEqual(read.pairs(VARIABLE_ARGS_GET), pairs);
        assert.equal(read.text(VARIABLE_URLENCODED_ERROR), error ? '1' : '0');
      }),
    );
  });

  const argument = fc.tuple(
    fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b).toString('latin1')),
    fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b).toString('latin1')),
  );
  const encode = (text: string): string =>
    [...text].map((c) => (/[a-z0-9]/i.test(c) ? c : `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`)).join('');
  test('what is encoded comes back', () => {
    fc.assert(
      fc.property(fc.array(argument, { minLength: 1, maxLength: 12 }), (pairs) => {
        const text = pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
        const read = bodies.query(text);
        assert.deepEqual(read.pairs(VARIABLE_ARGS_GET), pairs);
        assert.equal(read.text(VARIABLE_URLENCODED_ERROR), '0');
        const size = pairs.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
        assert.equal(read.text(VARIABLE_ARGS_COMBINED_SIZE), String(size));
      }),
    );
  });

  test('steps grow with the bytes alone', () => {
    const unit = 'a=%41&';
    const one = bodies.query(unit.repeat(100)).steps;
    const four = bodies.query(unit.repeat(400)).steps;
    assert.ok(four <= 4 * one + 16, `${one} and ${four}`);
  });
});

describe('cookies', () => {
  const cases: readonly (readonly [line: string, pairs: readonly Pair[]])[] = [
    ['', []],
    ['a=1', [['a', '1']]],
    ['a=1; b=2', [['a', '1'], ['b', '2']]],
    ['a=1;b=2;a=3', [['a', '1'], ['b', '2'], ['a', '3']]],
    ['a', [['a', '']]],
    ['a=', [['a', '']]],
    ['a=b=c', [['a', 'b=c']]],
    [';;a=1;;', [['a', '1']]],
    [' \t a =1 ; b = 2', [['a ', '1 '], ['b ', ' 2']]],
    ['a="x y"', [['a', '"x y"']]],
    ['a=%41+b', [['a', '%41+b']]],
    // a comma separates only where there is no semicolon and a blank follows the first one
    ['a=1, b=2', [['a', '1'], ['b', '2']]],
    ['a=1,b=2', [['a', '1,b=2']]],
    ['a=1,b=2, c=3', [['a', '1,b=2, c=3']]],
    ['a=1, b=2; c=3', [['a', '1, b=2'], ['c', '3']]],
    ['$Version=1; a=1', [['$Version', '1'], ['a', '1']]],
    // ModSecurity would drop a value without a name
    ['=<script>; a=1', [['', '<script>'], ['a', '1']]],
    ['=; ; a', [['a', '']]],
    ['a=\xff\x01', [['a', '\xff\x01']]],
  ];
  for (const [line, pairs] of cases) {
    test(JSON.stringify(line), () => {
      assert.deepEqual(bodies.cookies(line).pairs(VARIABLE_REQUEST_COOKIES), pairs);
    });
  }
  test('several lines', () => {
    assert.deepEqual(bodies.cookies('a=1', 'b=2').pairs(VARIABLE_REQUEST_COOKIES), [['a', '1'], ['b', '2']]);
  });
  test('a cookie more than there is room for is a limit', () => {
    const many = bodies.cookies('a;'.repeat(MAX_WAF_VALUES));
    assert.deepEqual([many.complete, many.reason], [true, 0]);
    const over = bodies.cookies('a;'.repeat(MAX_WAF_VALUES + 1));
    assert.deepEqual([over.complete, over.reason], [false, REASON_VALUES]);
  });
});
