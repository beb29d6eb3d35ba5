import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ACK,
  ackFrame,
  CLOSE,
  DATA,
  END,
  frame,
  FRAME_BYTES,
  FrameError,
  GOAWAY,
  MAX_FRAMES,
  MAX_MESSAGE,
  MAX_PAYLOAD,
  MAX_REASON,
  OPEN,
  readAck,
  readFrames,
  readReason,
  readWindow,
  RESET,
  reasonFrame,
  WINDOW,
  windowFrame,
  type Frame,
} from './frame.ts';

function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function frames(message: Uint8Array): Frame[] {
  const found: Frame[] = [];
  readFrames(message, (one) => found.push({ ...one, payload: one.payload.slice() }));
  return found;
}

function refused(message: Uint8Array): [number, string] {
  try {
    frames(message);
  } catch (error) {
    assert.ok(error instanceof FrameError, String(error));
    return [error.code, error.message];
  }
  assert.fail('it was taken');
}

test('frames come out as they went in, several in a message', () => {
  const one = fc.record(
    {
      type: fc.constantFrom(OPEN, DATA, END, RESET),
      flags: fc.nat(255),
      stream: fc.integer({ min: 1, max: 0x7fff_ffff }),
      payload: fc.uint8Array({ maxLength: 300 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 20 }), (list) => {
      const message = join(list.map(({ type, flags, stream, payload }) => frame(type, stream, payload, flags)));
      assert.deepEqual(frames(message), list);
    }),
  );
});

test('limits hold at their edge', () => {
  assert.equal(frames(frame(DATA, 1, new Uint8Array(MAX_PAYLOAD))).length, 1);
  assert.throws(() => frame(DATA, 1, new Uint8Array(MAX_PAYLOAD + 1)), RangeError);
  const long = frame(DATA, 1, new Uint8Array(MAX_PAYLOAD));
  new DataView(long.buffer).setUint32(8, MAX_PAYLOAD + 1);
  assert.deepEqual(refused(join([long, new Uint8Array(1)])), [
    CLOSE.limit,
    `a payload of ${MAX_PAYLOAD + 1} bytes; the limit is ${MAX_PAYLOAD}`,
  ]);
  const many = (count: number): Uint8Array => join(Array.from({ length: count }, () => frame(END, 1)));
  assert.equal(frames(many(MAX_FRAMES)).length, MAX_FRAMES);
  assert.equal(refused(many(MAX_FRAMES + 1))[0], CLOSE.limit);
  assert.equal(refused(new Uint8Array(MAX_MESSAGE + 1))[0], CLOSE.limit);
  const full = join(Array.from({ length: 15 }, () => frame(DATA, 1, new Uint8Array(MAX_PAYLOAD))));
  const rest = frame(DATA, 1, new Uint8Array(MAX_MESSAGE - full.length - FRAME_BYTES));
  assert.equal(frames(join([full, rest])).length, 16);
});

test('what is not sound is refused, and says why', () => {
  assert.deepEqual(refused(new Uint8Array(0)), [CLOSE.malformed, 'an empty message']);
  assert.deepEqual(refused(frame(END, 1).subarray(0, FRAME_BYTES - 1)), [CLOSE.malformed, 'a frame that is cut off']);
  const cut = frame(DATA, 1, new Uint8Array(10)).subarray(0, FRAME_BYTES + 9);
  assert.deepEqual(refused(cut), [CLOSE.malformed, 'a frame that is longer than its message']);
  assert.deepEqual(refused(frame(11, 1)), [CLOSE.malformed, 'a frame of type 11']);
  assert.deepEqual(refused(frame(0, 1)), [CLOSE.malformed, 'a frame of type 0']);
  assert.deepEqual(refused(frame(DATA, 0)), [CLOSE.malformed, 'a frame of type 3 on stream 0']);
  assert.deepEqual(refused(frame(GOAWAY, 1)), [CLOSE.malformed, 'a frame of type 10 on stream 1']);
  assert.equal(refused(frame(DATA, 0x8000_0000))[0], CLOSE.malformed);
  const reserved = frame(END, 1);
  reserved[3] = 1;
  assert.equal(refused(reserved)[0], CLOSE.malformed);
  assert.equal(frames(frame(WINDOW, 0)).length, 1);
  assert.equal(frames(frame(WINDOW, 5)).length, 1);
});

test('numbers and reasons', () => {
  const first = (message: Uint8Array): Frame => frames(message)[0]!;
  assert.equal(readWindow(first(windowFrame(3, 77))), 77);
  assert.throws(() => readWindow(first(windowFrame(3, 0))), FrameError);
  assert.throws(() => readWindow(first(windowFrame(3, 0x8000_0000))), FrameError);
  assert.throws(() => readWindow(first(frame(WINDOW, 3, new Uint8Array(3)))), FrameError);
  assert.equal(readAck(first(ackFrame(2 ** 40 + 1))), 2 ** 40 + 1);
  for (const wrong of [-1, 0.5, Number.NaN, Infinity, 2 ** 53])
    assert.throws(() => readAck(first(ackFrame(wrong))), FrameError);
  assert.throws(() => readAck(first(frame(ACK, 0, new Uint8Array(7)))), FrameError);
  assert.deepEqual(readReason(first(reasonFrame(RESET, 9, 3, 'nobody listens'))), { code: 3, text: 'nobody listens' });
  assert.equal(
    readReason(first(reasonFrame(RESET, 9, 3, 'x\n{"time"\u2028\u202ey'))).text,
    'x\ufffd{"time"\ufffd\ufffdy',
  );
  const long = readReason(first(reasonFrame(GOAWAY, 0, 1, 'ä'.repeat(MAX_REASON)))).text;
  assert.equal(long, 'ä'.repeat(MAX_REASON / 2));
  assert.throws(() => readReason(first(frame(RESET, 1, new Uint8Array(3)))), FrameError);
  assert.throws(() => readReason(first(frame(RESET, 1, new Uint8Array(5 + MAX_REASON)))), FrameError);
});

test('any bytes are frames or a FrameError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, likely) => {
      if (likely && bytes.length > 1) {
        bytes[0] = (bytes[0]! % 11) + 1;
        bytes.fill(0, 2, 7);
        bytes.fill(0, 8, 11);
      }
      try {
        frames(bytes);
      } catch (error) {
        assert.ok(error instanceof FrameError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
