import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameError } from './frame.ts';
import {
  decodeFields,
  decodeRequest,
  decodeResponse,
  encodeFields,
  encodeRequest,
  encodeResponse,
  HeadError,
  MAX_FIELDS,
  MAX_HEAD,
  type Fields,
} from './head.ts';

const name = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,20}$/);
const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,40}$/);
const fields = fc.array(fc.tuple(name, value), { maxLength: 12 });

test('heads keep order, case, doubled fields and every byte of Latin-1', () => {
  fc.assert(
    fc.property(name, fc.stringMatching(/^\/[\x21-\x7e\x80-\xff]{0,60}$/), fields, (method, target, list) => {
      const head = { method, target, fields: list };
      assert.deepEqual(decodeRequest(encodeRequest(head)), head);
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 999 }), value, fields, (status, reason, list) => {
      const head = { status, reason, fields: list };
      assert.deepEqual(decodeResponse(encodeResponse(head)), head);
    }),
  );
  const trailers: Fields = [['Server-Timing', 'db;dur=53']];
  assert.deepEqual(decodeFields(encodeFields(trailers)), trailers);
  assert.deepEqual(decodeFields(new Uint8Array(0)), []);
});

test('what could split a request is refused on both ends', () => {
  const request = (change: object) => ({ method: 'GET', target: '/', fields: [] as Fields, ...change });
  const bad: [object, string][] = [
    [{ method: 'GE T' }, 'method'],
    [{ method: '' }, 'method'],
    [{ method: 'G'.repeat(33) }, 'method'],
    [{ target: '/a b' }, 'target'],
    [{ target: '/a\r\nx: y' }, 'target'],
    [{ target: '' }, 'target'],
    [{ fields: [['x y', '1']] }, 'field'],
    [{ fields: [['', '1']] }, 'field'],
    [{ fields: [['x', 'a\nb']] }, 'field'],
    [{ fields: [['x', 'a\0b']] }, 'field'],
    [{ fields: [['x', '\u0100']] }, 'field'],
  ];
  for (const [change] of bad) assert.throws(() => encodeRequest(request(change)), HeadError, JSON.stringify(change));
  for (const status of [99, 1000, 200.5])
    assert.throws(() => encodeResponse({ status, reason: '', fields: [] }), HeadError);
  // The same from a peer that does not check: bytes made by hand.
  const sound = encodeRequest(request({ fields: [['x', 'ab']] }));
  for (let at = 0; at < sound.length; at++) {
    const broken = sound.slice();
    broken[at] = 0x0a;
    try {
      const { method, target, fields } = decodeRequest(broken);
      assert.ok(!/\n/.test(method + target + fields.flat().join('')), `byte ${at}`);
    } catch (error) {
      assert.ok(error instanceof FrameError, String(error));
    }
  }
});

test('limits hold at their edge', () => {
  const many = (count: number): Fields => Array.from({ length: count }, () => ['x', ''] as const);
  assert.equal(decodeFields(encodeFields(many(MAX_FIELDS))).length, MAX_FIELDS);
  assert.throws(() => encodeFields(many(MAX_FIELDS + 1)), HeadError);
  const bytes = encodeFields(many(MAX_FIELDS));
  new DataView(bytes.buffer).setUint16(0, MAX_FIELDS + 1);
  assert.throws(() => decodeFields(bytes), FrameError);
  const room = MAX_HEAD - 2 - 6 - 1;
  assert.equal(encodeFields([['x', 'y'.repeat(room)]]).length, MAX_HEAD);
  assert.throws(() => encodeFields([['x', 'y'.repeat(room + 1)]]), HeadError);
});

test('any bytes are a head or a FrameError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      for (const decode of [decodeRequest, decodeResponse, decodeFields]) {
        try {
          decode(bytes);
        } catch (error) {
          assert.ok(error instanceof FrameError, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});
