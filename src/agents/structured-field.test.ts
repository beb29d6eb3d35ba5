import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type BareItem,
  type Item,
  type Member,
  parseDictionary,
  parseItem,
  parseList,
  StructuredFieldError,
} from './structured-field.ts';
import { writeDictionary, writeItem, writeList } from './structured-field-text.ts';

/** With a prototype, as what is read has one. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record<T>(model, { noNullPrototype: true });
const KEY = fc.stringMatching(/^[a-z*][a-z0-9_.*-]{0,7}$/);
const BARE: fc.Arbitrary<BareItem> = fc.oneof(
  record({ type: fc.constant('integer' as const), value: fc.integer({ min: -1e9, max: 1e9 }) }),
  record({ type: fc.constant('date' as const), value: fc.integer({ min: -1e9, max: 1e9 }) }),
  fc
    .integer({ min: -999_999_999, max: 999_999_999 })
    .map((value) => ({ type: 'decimal' as const, value: value / 1000 || 0 })),
  record({ type: fc.constant('string' as const), value: fc.stringMatching(/^[ -~]{0,12}$/) }),
  record({ type: fc.constant('token' as const), value: fc.stringMatching(/^[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*$/) }),
  record({
    type: fc.constant('bytes' as const),
    value: fc.uint8Array({ maxLength: 20 }).map((bytes) => Uint8Array.from(bytes)),
  }),
  record({ type: fc.constant('boolean' as const), value: fc.boolean() }),
  record({ type: fc.constant('displayString' as const), value: fc.string({ unit: 'binary', maxLength: 12 }) }),
);
const PARAMETERS = fc.array(fc.tuple(KEY, BARE), { maxLength: 4 }).map((entries) => new Map(entries));
const ITEM: fc.Arbitrary<Item> = record({ item: BARE, parameters: PARAMETERS });
const MEMBER: fc.Arbitrary<Member> = fc.oneof(
  ITEM,
  record({ items: fc.array(ITEM, { maxLength: 4 }), parameters: PARAMETERS }),
);

describe('structured fields', () => {
  test('what is written is read as it was', () => {
    fc.assert(
      fc.property(ITEM, (item) => {
        assert.deepEqual(parseItem(writeItem(item)), item);
      }),
    );
    fc.assert(
      fc.property(fc.array(MEMBER, { maxLength: 5 }), (list) => {
        assert.deepEqual(parseList(writeList(list)), list);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(KEY, MEMBER), { maxLength: 5 }), (entries) => {
        const dictionary = new Map(entries);
        assert.deepEqual(parseDictionary(writeDictionary(dictionary), { unique: true }), dictionary);
      }),
    );
  });

  test('one and one point nothing are two texts', () => {
    assert.equal(writeItem(parseItem('1.0')), '1.0');
    assert.equal(writeItem(parseItem('1')), '1');
    assert.equal(writeItem(parseItem('1.500')), '1.5');
  });

  test('a date beyond what a Date holds is kept', () => {
    assert.equal(writeItem(parseItem('@999999999999999')), '@999999999999999');
  });

  test('a half is rounded to the even neighbour', () => {
    const decimal = (value: number) => writeItem({ item: { type: 'decimal', value }, parameters: new Map() });
    assert.equal(decimal(0.0625), '0.062');
    assert.equal(decimal(0.1875), '0.188');
    assert.equal(decimal(-0.0625), '-0.062');
  });

  test('the last of equal keys wins, unless they are refused', () => {
    assert.equal(writeDictionary(parseDictionary('a=1, b=2, a=3')), 'a=3, b=2');
    assert.throws(() => parseDictionary('a=1, b=2, a=3', { unique: true }), /key a comes twice at character 11/);
    assert.throws(() => parseDictionary('a=(1);k=1;k=1', { unique: true }), /parameter k comes twice/);
    assert.throws(() => parseDictionary('a=("x";k;k)', { unique: true }), /parameter k comes twice/);
  });

  test('a fault says where it is', () => {
    for (const [text, at] of [
      ['a=1,,b', 4],
      ['a=("x""y")', 6],
      ['a="x', 4],
      ['a=:x y:', 4],
      ['a=?2', 2],
    ] as const)
      assert.throws(
        () => parseDictionary(text),
        (error) => error instanceof StructuredFieldError && error.position === at,
        text,
      );
  });

  test('a value that has no text is refused', () => {
    const write = (item: BareItem) => writeItem({ item, parameters: new Map() });
    assert.throws(() => write({ type: 'string', value: 'a\nb' }), StructuredFieldError);
    assert.throws(() => write({ type: 'token', value: '1a' }), StructuredFieldError);
    assert.throws(() => write({ type: 'integer', value: 1.5 }), StructuredFieldError);
    assert.throws(() => write({ type: 'decimal', value: NaN }), StructuredFieldError);
    assert.throws(() => write({ type: 'displayString', value: '\ud800' }), StructuredFieldError);
    const item: Item = { item: { type: 'boolean', value: true }, parameters: new Map([['K', { type: 'boolean', value: true }]]) }; // prettier-ignore
    assert.throws(() => writeItem(item), StructuredFieldError);
  });
});
