import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventSplitter } from './event-stream.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (parts: readonly { bytes: Uint8Array }[]): string[] =>
  parts.map((one) => new TextDecoder().decode(one.bytes));

function split(chunks: readonly Uint8Array[], limit = 1000) {
  const splitter = new EventSplitter(limit);
  const events = chunks.flatMap((chunk) => [...splitter.push(chunk)]);
  const rest = splitter.end();
  return { events, rest };
}

test('events end in a blank line, whichever line ends are used', () => {
  const { events, rest } = split([bytes('data: a\n\ndata: b\r\n\r\nid: 1\rdata: c\rdata:  d\r\r:note\n\ndata: open')]);
  assert.deepEqual(text(events), ['data: a\n\n', 'data: b\r\n\r\n', 'id: 1\rdata: c\rdata:  d\r\r', ':note\n\n']);
  assert.deepEqual(
    events.map(({ data }) => data),
    ['a', 'b', '1\nc\n d', ''],
  );
  assert.equal(rest?.data, 'open');
});

test('property: cut anywhere, nothing is lost, and the events are the same', () => {
  const piece = fc.constantFrom('data: x', 'id: 7', ':c', '\n', '\r\n', '\r', '\n\n', '\r\n\r\n', 'é', '');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(200), { maxLength: 8 }), (pieces, cuts) => {
      const all = bytes(pieces.join(''));
      const at = [0, ...cuts.filter((cut) => cut < all.length).sort((a, b) => a - b), all.length];
      const chunks = at.slice(1).map((end, i) => all.subarray(at[i], end));
      const joined = (result: ReturnType<typeof split>): string[] =>
        text([...result.events, ...(result.rest === null ? [] : [result.rest])]);
      const cut = split(chunks);
      assert.equal(joined(cut).join(''), new TextDecoder().decode(all));
      assert.deepEqual(joined(cut), joined(split([all])));
    }),
  );
});

test('what is longer than the limit is given out in parts', () => {
  const { events } = split([bytes('data: '), bytes('x'.repeat(2000)), bytes('\n\ndata: y\n\n')]);
  assert.equal(events[0]?.whole, false);
  assert.deepEqual([events.at(-1)?.data, events.at(-1)?.whole], ['y', true]);
  assert.equal(split([bytes(`${'x'.repeat(998)}\n\n`)]).events[0]?.whole, true);
  assert.equal(split([bytes(`${'x'.repeat(999)}\n\n`)]).events[0]?.whole, false);
});
