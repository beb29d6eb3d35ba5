import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventReader, EventTooLong, type ServerEvent, writeEvent } from './event-reader.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (text: string, cuts: readonly number[] = [], limit = 1000): ServerEvent[] => {
  const reader = new EventReader(limit);
  const all = bytes(text);
  const places = [0, ...[...cuts].map((cut) => cut % (all.length + 1)).sort((a, b) => a - b), all.length];
  return places.slice(1).flatMap((end, index) => [...reader.push(all.subarray(places[index], end))]);
};
const event = (more: Partial<ServerEvent>): ServerEvent => ({
  ...{ id: null, event: '', data: null, retry: null, comment: false },
  ...more,
});

test('fields, comments, and every kind of line end', () => {
  const text =
    '\ufeffid: 1\nevent: message\ndata: a\ndata:b\ndata\n\n: alive\r\n\r\nretry: 500\rdata:  c\r\rid: 2\ndata:\n\nnothing: x\n\ndata: cut off';
  const expected = [
    event({ id: '1', event: 'message', data: 'a\nb\n' }),
    event({ comment: true }),
    event({ retry: '500', data: ' c' }),
    event({ id: '2', data: '' }),
  ];
  assert.deepEqual(read(text), expected);
  fc.assert(fc.property(fc.array(fc.nat()), (cuts) => assert.deepEqual(read(text, cuts), expected)));
});

test('what is written is read as it was', () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n\0]/g, ''));
  const events = fc
    .tuple(fc.option(line), line, fc.option(fc.array(line, { minLength: 1 })), fc.option(fc.nat(99_999)))
    .map(([id, name, lines, retry]) =>
      event({ id, event: name, data: lines?.join('\n') ?? null, retry: retry === null ? null : String(retry) }),
    );
  fc.assert(
    fc.property(fc.array(events), fc.array(fc.nat()), (list, cuts) => {
      const told = list.filter((one) => one.id !== null || one.event !== '' || one.data !== null || one.retry !== null);
      const text = new TextDecoder().decode(Buffer.concat(told.map(writeEvent)));
      assert.deepEqual(read(text, cuts, 1_000_000), told);
    }),
  );
});

test('an event is held up to the limit and no further', () => {
  const of = (length: number): string => `data:${'x'.repeat(length - 5)}\n\n`;
  assert.equal(read(of(100), [], 100).length, 1);
  assert.throws(() => read(of(101), [], 100), EventTooLong);
  assert.throws(() => read(of(101).slice(0, 101), [50], 100), EventTooLong);
  assert.throws(() => read('data:x\n'.repeat(20), [], 100), EventTooLong);
  // Each event has its own, and comments between them take none of it.
  assert.equal(
    read(of(100).repeat(5) + ': alive\n'.repeat(100) + of(100), [], 100).filter(({ comment }) => !comment).length,
    6,
  );
});
