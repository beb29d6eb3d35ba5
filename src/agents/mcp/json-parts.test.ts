import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readJsonText } from '../json-text.ts';
import { mapMember, mapParts, mapString, member, partsOf, stringOf } from './json-parts.ts';

test('members and elements are found as JSON.parse finds them', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.nat(3), (json, indent) => {
      const text = JSON.stringify(JSON.parse(json), null, indent);
      if (typeof readJsonText(`{"a":${text}}`) === 'string') return;
      const value: unknown = JSON.parse(text);
      const parts = partsOf(text);
      if (typeof value !== 'object' || value === null) return assert.deepEqual(parts, []);
      const values = parts.map(({ from, to }) => JSON.parse(text.slice(from, to)) as unknown);
      assert.deepEqual(
        values,
        Object.keys(value).map((key) => (value as Record<string, unknown>)[key]),
      );
      if (!Array.isArray(value))
        assert.deepEqual(
          parts.map(({ name }) => name),
          Object.keys(value),
        );
    }),
  );
});

test('a change touches nothing but its place', () => {
  const text = '{ "id" : 12345678901234567890, "params" : {"name":"a\\u005f\\"b", "x":[1.0, 1e400]}, "z":null }';
  const changed = mapMember(text, 'params', (params) => params && mapString(params, 'name', (name) => `s_${name}`));
  assert.equal(changed, text.replace('"a\\u005f\\"b"', '"s_a_\\"b"'));
  assert.equal(member(text, 'id'), '12345678901234567890');
  assert.equal(
    mapString(text, 'id', () => 'x'),
    text,
  );
  assert.equal(
    mapString(text, 'nothing', () => 'x'),
    text,
  );
});

test('a member is added where there is none', () => {
  assert.equal(
    mapMember('{}', 'a', () => '1'),
    '{"a":1}',
  );
  assert.equal(
    mapMember('{"b":{"c":"}"}} ', 'a', (own) => own ?? '1'),
    '{"b":{"c":"}"},"a":1} ',
  );
  assert.equal(
    mapMember('{"a":1}', 'b', () => undefined),
    '{"a":1}',
  );
});

test('parts can be left out, from any place', () => {
  const without = (...gone: string[]) => mapParts('[ "a" , "b","c" ]', (one) => (gone.includes(one) ? null : one));
  assert.equal(without(), '[ "a" , "b","c" ]');
  for (const gone of [['"a"'], ['"b"'], ['"c"'], ['"a"', '"b"'], ['"b"', '"c"'], ['"a"', '"b"', '"c"']])
    assert.deepEqual(
      JSON.parse(without(...gone)),
      ['a', 'b', 'c'].filter((one) => !gone.includes(`"${one}"`)),
    );
  assert.equal(
    mapParts('[]', () => null),
    '[]',
  );
  assert.equal(
    mapParts('{"__proto__":1,"b":2}', (one, name) => (name === 'b' ? null : one)),
    '{"__proto__":1}',
  );
});

test('only a string is one', () => {
  assert.deepEqual(
    [stringOf('"a\\n"'), stringOf('1'), stringOf('null'), stringOf(undefined)],
    ['a\n', undefined, undefined, undefined],
  );
});
