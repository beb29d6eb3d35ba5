import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readHeaderValue, writeHeaderValue } from './header-value.ts';

test('values stand for themselves, or for what their Base64 says', () => {
  const values: readonly (readonly [string, string | null])[] = [
    ['us-west1', 'us-west1'],
    ['', ''],
    ['=?base64?SGVsbG8sIOS4lueVjA==?=', 'Hello, 世界'],
    ['=?base64?IHBhZGRlZCA=?=', ' padded '],
    ['=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=', '=?base64?literal?='],
    ['=?base64??=', ''],
    // The markers are written exactly so.
    ['=?BASE64?YQ==?=', '=?BASE64?YQ==?='],
    ['=?base64?YQ==', '=?base64?YQ=='],
    ['x=?base64?YQ==?=', 'x=?base64?YQ==?='],
    ['=?base64?=', '=?base64?='],
    // What decoders read differently.
    ['=?base64?YQ?=', null],
    ['=?base64?YQ=?=', null],
    ['=?base64?YR==?=', null],
    ['=?base64?YQ== ?=', null],
    ['=?base64?_-8=?=', null],
    ['=?base64?/w==?=', null],
    ['=?base64?=YQ=?=', null],
    ['é', null],
    ['\ufffd', null],
    ['a\u0000', null],
    ['a\u007f', null],
  ];
  for (const [value, expected] of values) assert.equal(readHeaderValue(value), expected, value);
});

test('what is written is read as what it was', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('=?base64?x?=', '=?base64??=', ' a', 'a\n', '\ufeffa', ''),
  );
  fc.assert(
    fc.property(text, (value) => {
      const written = writeHeaderValue(value);
      assert.match(written, /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/);
      assert.equal(readHeaderValue(written), value);
    }),
  );
});
