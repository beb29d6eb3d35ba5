import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  editMembers,
  type JsonText,
  MAX_JSON_DEPTH,
  memberOf,
  readJsonObject,
  readJsonText,
  withoutMember,
} from './json-text.ts';

const read = (text: string): JsonText => {
  const found = readJsonText(text);
  assert.ok(typeof found === 'object', `${text}: ${JSON.stringify(found)}`);
  return found;
};

test('members are where they stand', () => {
  const text = ' { "a" : 1 ,\n"b\\u0062":[{"a":"}"}, 2 ] , "c":"x\\"\\\\" }\n';
  const { members } = read(text);
  assert.deepEqual(
    members.map(({ name, from, to }) => [name, text.slice(from, to)]),
    [
      ['a', '1'],
      ['bb', '[{"a":"}"}, 2 ]'],
      ['c', '"x\\"\\\\"'],
    ],
  );
});

test('what two parsers could read differently is refused', () => {
  const bytes = (...codes: number[]): Uint8Array => new Uint8Array(codes);
  assert.equal(readJsonText('{"model":"a","model":"b"}'), 'duplicate-key');
  assert.equal(readJsonText('{"model":"a","mod\\u0065l":"b"}'), 'duplicate-key');
  assert.equal(readJsonText('{"a":[{"b":1,"b":2}]}'), 'duplicate-key');
  assert.equal(readJsonText('{"__proto__":1,"__proto__":2}'), 'duplicate-key');
  assert.equal(readJsonText('{"a":1} {"b":2}'), 'malformed');
  assert.equal(readJsonText('{"a":1,}'), 'malformed');
  assert.equal(readJsonText("{'a':1}"), 'malformed');
  assert.equal(readJsonText(''), 'malformed');
  assert.equal(readJsonText('[]'), 'not-an-object');
  assert.equal(readJsonObject(bytes(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), 'malformed');
  assert.equal(readJsonObject(bytes(0xef, 0xbb, 0xbf, 0x7b, 0x7d)), 'malformed');
});

test('keys of different objects may be equal', () => {
  assert.deepEqual(read('{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}').value, {
    a: { a: { a: 1 } },
    b: [{ a: 1 }, { a: 2 }],
  });
});

test('depth is bounded, at its edge', () => {
  const nested = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
  read(nested(MAX_JSON_DEPTH));
  assert.equal(readJsonText(nested(MAX_JSON_DEPTH + 1)), 'too-deep');
  assert.equal(readJsonText('{"a":' + '['.repeat(100_000) + ']'.repeat(100_000) + '}'), 'too-deep');
});

test('members that an object does not have of its own are none', () => {
  assert.equal(memberOf(read('{}').value, 'constructor'), undefined);
  assert.equal(memberOf(read('{"a":1}').value, '__proto__'), undefined);
  assert.equal(memberOf(read('{"__proto__":{"a":1}}').value, 'a'), undefined);
  assert.equal(memberOf(null, 'a'), undefined);
});

test('an edit leaves every other byte as it was', () => {
  const text = '{ "n": 12345678901234567890.10, "model" : "a" ,"z":[1, 2] }';
  assert.equal(editMembers(read(text), [{ name: 'model', value: '"b"' }]), text.replace('"a"', '"b"'));
  assert.equal(
    editMembers(read(text), [
      { name: 'new', value: 'true' },
      { name: 'n', value: '1' },
    ]),
    '{ "n": 1, "model" : "a" ,"z":[1, 2] ,"new":true}',
  );
  assert.equal(
    editMembers(read('{}'), [
      { name: 'a', value: '1' },
      { name: 'b', value: '2' },
    ]),
    '{"a":1,"b":2}',
  );
});

test('a member is taken out with its comma', () => {
  assert.equal(withoutMember(read('{"a":1, "b":2, "c":3}'), 'a'), '{"b":2, "c":3}');
  assert.equal(withoutMember(read('{"a":1, "b":2, "c":3}'), 'b'), '{"a":1, "c":3}');
  assert.equal(withoutMember(read('{"a":1, "b":2, "c":3 }'), 'c'), '{"a":1, "b":2 }');
  assert.equal(withoutMember(read('{"a":1}'), 'a'), '{}');
  assert.equal(withoutMember(read('{"a":1}'), 'b'), '{"a":1}');
});

test('property: places, edits and removals mean what they say, however it is written', () => {
  const spaced = (value: unknown, indent: number): string => JSON.stringify(value, null, indent);
  // No name has a backslash: JSON.parse of Node 24 would take it for other names with an escape later on, where that of
  // workerd does not (runtime.test.ts).
  const letter = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 1 }).filter((one) => one !== '\\');
  const nested = fc.jsonValue({ maxDepth: 4, stringUnit: letter });
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: letter }), fc.oneof(nested, fc.array(fc.string())), { maxKeys: 6 }),
      fc.constantFrom(0, 1, 3),
      fc.string({ unit: letter }),
      (object, indent, name) => {
        const source = read(spaced(object, indent));
        for (const member of source.members)
          assert.deepEqual(JSON.parse(source.text.slice(member.from, member.to)), source.value[member.name]);
        assert.equal(source.members.length, Object.keys(object).length);
        for (const target of [name, ...Object.keys(object)]) {
          const edited = JSON.parse(editMembers(source, [{ name: target, value: '[7]' }])) as Record<string, unknown>;
          assert.deepEqual(memberOf(edited, target), [7]);
          assert.equal(Object.keys(edited).length, new Set([...Object.keys(source.value), target]).size);
          const without = JSON.parse(withoutMember(source, target)) as object;
          assert.equal(Object.hasOwn(without, target), false);
          assert.equal(
            Object.keys(without).length,
            Object.keys(source.value).length - (Object.hasOwn(source.value, target) ? 1 : 0),
          );
        }
      },
    ),
    { numRuns: 200 },
  );
});
