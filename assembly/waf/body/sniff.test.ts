import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { compileBodies, latin1, type Bodies, type Pair, type Read } from '../../../test/support/bodies.ts';
import { REASON_NONE } from '../../abi.ts';
import {
  MAX_JSON_DEPTH,
  PROCESSOR_SNIFF,
  VARIABLE_ARGS_POST,
  VARIABLE_REQBODY_ERROR,
  VARIABLE_REQBODY_PROCESSOR,
  VARIABLE_REQUEST_BODY,
  VARIABLE_URLENCODED_ERROR,
  VARIABLE_XML,
} from '../abi.ts';

let bodies: Bodies;
before(async () => {
  bodies = await compileBodies();
});

const read = (text: string, contentType = '', whole = true): Read =>
  bodies.body(text, { processor: PROCESSOR_SNIFF, contentType, whole });
const utf8 = (text: string): string => latin1(Buffer.from(text, 'utf8'));

// prettier-ignore
const CASES: readonly (readonly [type: string, text: string, processor: string, pairs: readonly Pair[]])[] = [
  ['', '', '', []],
  // JSON, whatever its type
  ['', '{"a":{"b":"c"}}', 'JSON', [['a.b', 'c']]],
  ['text/plain;charset=UTF-8', ' \n[1,"x"]', 'JSON', [['array.array', '1'], ['array.array', 'x']]],
  ['application/csp-report', '{"csp-report":{"blocked-uri":"inline"}}', 'JSON', [['csp-report.blocked-uri', 'inline']]],
  ['image/png', '{"a":"\\u003cb"}', 'JSON', [['a', '<b']]],
  ['application/octet-stream', '"text"', 'JSON', [['', 'text']]],
  ['text/plain', '\xef\xbb\xbf{"a":1}', 'JSON', [['a', '1']]],
  ['application/x-ndjson', '{"a":1}\n{"b":[2]}\n\n"c"\n', 'JSON', [['a', '1'], ['b.b', '2'], ['', 'c']]],
  // XML
  ['image/svg+xml', '<svg a="1">x</svg>', 'XML', []],
  ['', ' <?xml version="1.0"?><a/>', 'XML', [['', ' <?xml version="1.0"?><a/>']]],
  ['text/html', '<b>x</b>', 'XML', [['', '<b>x</b>']]],
  ['text/html', '<p>one<br>two', '', [['', '<p>one<br>two']]],
  // forms
  ['', 'a=1%27&b=c+d', 'URLENCODED', [['', 'a=1%27&b=c+d'], ['a', "1'"], ['b', 'c d']]],
  ['text/plain', 'a=%', 'URLENCODED', [['', 'a=%'], ['a', '%']]],
  ['application/octet-stream', 'a=1', '', []],
  // text
  ['text/plain', "1' or '1'='1", '', [['', "1' or '1'='1"]]],
  ['', utf8('grüße an alle'), '', [['', utf8('grüße an alle')]]],
  ['application/graphql', '{ user(name: "x") { id } }', '', [['', '{ user(name: "x") { id } }']]],
  ['text/plain', 'abc', '', [['', 'abc']]],
  ['text/plain', 'x\x01y', '', [['', 'x\x01y']]],
  ['TEXT/csv', 'x\xfcy', '', [['', 'x\xfcy']]],
  ['application/x', '\x1b[1m\tred\f\r\n', '', [['', '\x1b[1m\tred\f\r\n']]],
  // neither
  ['', 'x\x01y', '', []],
  ['', 'x\xfcy', '', []],
  ['application/protobuf', '\x0a\x03abc', '', []],
  ['application/octet-stream', 'SELECT 1', '', []],
  ['image/png', 'x', '', []],
  ['multipart/mixed; boundary=b', '--b\r\n\r\nx\r\n--b--', '', []],
];

describe('a body of another type', () => {
  for (const [type, text, processor, pairs] of CASES) {
    test(JSON.stringify([type, text]), () => {
      const of = read(text, type);
      assert.deepEqual(of.pairs(VARIABLE_ARGS_POST), pairs);
      assert.equal(of.text(VARIABLE_REQBODY_PROCESSOR), processor);
      assert.equal(of.text(VARIABLE_REQUEST_BODY), text);
      assert.equal(of.text(VARIABLE_REQBODY_ERROR), '0');
      assert.equal(of.text(VARIABLE_URLENCODED_ERROR), '0');
    });
  }
  test('XML gives its text and its attributes', () => {
    assert.deepEqual(read('<svg a="1">x</svg>', 'image/svg+xml').pairs(VARIABLE_XML), [
      ['//@*', '1'],
      ['/*', 'x'],
    ]);
  });
});

test('what is no JSON after all is text, and what was read of it stays', () => {
  const of = read('{"a":"b"} and so on', 'text/plain');
  assert.deepEqual(of.pairs(VARIABLE_ARGS_POST), [
    ['a', 'b'],
    ['', 'and'],
    ['', '{"a":"b"} and so on'],
  ]);
});

test('JSON in UTF-16 is seen as text and as JSON', () => {
  const text = latin1(Buffer.from('{"a":"b"}', 'utf16le'));
  assert.deepEqual(read(text, 'text/plain').pairs(VARIABLE_ARGS_POST), [
    ['a', 'b'],
    ['', text],
  ]);
});

test('brackets deeper than JSON may be are text', () => {
  for (const open of ['[', '<a>']) {
    const text = open.repeat(MAX_JSON_DEPTH + 1000);
    const of = read(text, 'text/plain');
    assert.deepEqual([of.complete, of.reason, of.pairs(VARIABLE_ARGS_POST).at(-1)], [true, REASON_NONE, ['', text]]);
  }
});

test('the first part of a body is judged as far as it goes', () => {
  assert.deepEqual(read('{"a":"b', '', false).pairs(VARIABLE_ARGS_POST), [['a', 'b']]);
  assert.deepEqual(read('a\xc3', '', false).pairs(VARIABLE_ARGS_POST), [['', 'a\xc3']]);
});

const PIECES = [...'{}[]<>"\\:,=&%+a1 \n\0', '{"a":', '<a b="c">', '</a>', '<![CDATA[', ']]>', '\xff\xfe', '\xef\xbb\xbf', '{\0"\0', '\0<'];
const anything = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map(latin1),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 40 }).map((pieces) => pieces.join('')),
);
const TYPES = ['', 'text/x', 'application/x', 'application/octet-stream', 'image/svg+xml'];

test('any bytes: never a trap, no error, and the bytes are REQUEST_BODY', () => {
  fc.assert(
    fc.property(anything, fc.constantFrom(...TYPES), fc.boolean(), (text, type, whole) => {
      const of = read(text, type, whole);
      assert.deepEqual([of.complete, of.reason], [true, REASON_NONE]);
      assert.equal(of.text(VARIABLE_REQUEST_BODY), text);
      assert.equal(of.text(VARIABLE_REQBODY_ERROR), '0');
      assert.equal(of.text(VARIABLE_URLENCODED_ERROR), '0');
    }),
  );
});
