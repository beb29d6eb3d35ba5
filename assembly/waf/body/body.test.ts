import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { compileBodies, type Bodies } from '../../../test/support/bodies.ts';
import { ARENA_BYTES, REASON_ARENA } from '../../abi.ts';
import * as waf from '../abi.ts';

let bodies: Bodies;
before(async () => {
  bodies = await compileBodies();
});

describe('the processor of a Content-Type', () => {
  const cases: readonly (readonly [type: string, processor: number])[] = [
    ['', waf.PROCESSOR_NONE],
    ['text/plain', waf.PROCESSOR_NONE],
    ['application/octet-stream', waf.PROCESSOR_NONE],
    ['application/x-www-form-urlencoded', waf.PROCESSOR_URLENCODED],
    ['Application/x-www-FORM-urlencoded; charset=utf-8', waf.PROCESSOR_URLENCODED],
    ['multipart/form-data; boundary=x', waf.PROCESSOR_MULTIPART],
    ['MULTIPART/form-data', waf.PROCESSOR_MULTIPART],
    ['multipart/mixed; boundary=x', waf.PROCESSOR_NONE],
    ['application/json', waf.PROCESSOR_JSON],
    ['application/JSON; charset=utf-8', waf.PROCESSOR_JSON],
    ['application/json-patch+json', waf.PROCESSOR_JSON],
    ['application/problem+json;x=y', waf.PROCESSOR_JSON],
    ['application/problem+jsonx', waf.PROCESSOR_NONE],
    ['application/x; a=+json', waf.PROCESSOR_NONE],
    ['text/xml', waf.PROCESSOR_XML],
    ['application/xml; charset=utf-8', waf.PROCESSOR_XML],
    ['application/soap+xml', waf.PROCESSOR_XML],
    ['application/atom+XML ', waf.PROCESSOR_XML],
    ['text/json', waf.PROCESSOR_JSON],
    [' \tapplication/json', waf.PROCESSOR_JSON],
    ['text/jso', waf.PROCESSOR_NONE],
  ];
  for (const [type, processor] of cases) {
    test(JSON.stringify(type), () => assert.equal(bodies.processorOf(type), processor));
  }
});

describe('REQUEST_BODY', () => {
  const raw = (text: string, contentType: string, force = false): string | undefined =>
    bodies.body(text, { contentType, force }).text(waf.VARIABLE_REQUEST_BODY);
  test('of a form', () => assert.equal(raw('a=1', 'application/x-www-form-urlencoded'), 'a=1'));
  test('of no known type, only where it is forced', () => {
    assert.equal(raw('a=1', 'text/plain'), undefined);
    assert.equal(raw('a=1', 'text/plain', true), 'a=1');
  });
  test('of JSON, only when it is malformed', () => {
    assert.equal(raw('{}', 'application/json', true), undefined);
    assert.equal(raw('{', 'application/json'), '{');
  });
  test('of XML, only when it is malformed', () => {
    assert.equal(raw('<a/>', 'text/xml', true), undefined);
    assert.equal(raw('<a>', 'text/xml'), '<a>');
  });
  test('its length is there in any case', () => {
    assert.equal(bodies.body('abc', { contentType: 'text/plain' }).text(waf.VARIABLE_REQUEST_BODY_LENGTH), '3');
    assert.equal(bodies.body('', { contentType: 'text/plain' }).text(waf.VARIABLE_REQUEST_BODY_LENGTH), '0');
  });
});

describe('every processor', () => {
  const names = [
    [waf.PROCESSOR_NONE, ''],
    [waf.PROCESSOR_URLENCODED, 'URLENCODED'],
    [waf.PROCESSOR_MULTIPART, 'MULTIPART'],
    [waf.PROCESSOR_XML, 'XML'],
    [waf.PROCESSOR_JSON, 'JSON'],
  ] as const;
  for (const [processor, name] of names) {
    test(`${name}: has its name, and flags of 0 for a body without a fault`, () => {
      const body = ['a', 'a=1', '--x--\r\n', '<a/>', '{}'][processor] as string;
      const of = bodies.body(body, { processor, contentType: 'multipart/form-data; boundary=x' });
      assert.equal(of.text(waf.VARIABLE_REQBODY_PROCESSOR), name);
      for (let id = waf.VARIABLE_MULTIPART_STRICT_ERROR; id <= waf.VARIABLE_URLENCODED_ERROR; id++) {
        assert.equal(of.text(id), '0', String(id));
      }
      assert.equal(of.text(waf.VARIABLE_REQBODY_ERROR), '0');
      assert.equal(of.text(waf.VARIABLE_REQBODY_PROCESSOR_ERROR), '0');
      assert.equal(of.text(waf.VARIABLE_REQBODY_ERROR_MSG), '');
    });
  }

  test('what one body left is forgotten by the next', () => {
    bodies.body('a=%zz', { processor: waf.PROCESSOR_URLENCODED });
    bodies.body('{', { processor: waf.PROCESSOR_JSON });
    bodies.body('x', { processor: waf.PROCESSOR_MULTIPART });
    const of = bodies.body('{"a":1}', { processor: waf.PROCESSOR_JSON });
    assert.equal(of.text(waf.VARIABLE_REQBODY_ERROR), '0');
    assert.equal(of.text(waf.VARIABLE_URLENCODED_ERROR), '0');
    assert.equal(of.text(waf.VARIABLE_MULTIPART_STRICT_ERROR), '0');
    assert.equal(of.text(waf.VARIABLE_ARGS_COMBINED_SIZE), '2');
  });

  test('names that together need more than the arena are a limit', () => {
    // A long name that every one of its members repeats.
    const name = 'n'.repeat(60000);
    const members = Array.from({ length: Math.ceil(ARENA_BYTES / name.length) }, (_, i) => `"${i}":1`).join();
    const of = bodies.body(`{"${name}":{${members}}}`, { processor: waf.PROCESSOR_JSON });
    assert.deepEqual([of.complete, of.reason], [false, REASON_ARENA]);
  });
});
