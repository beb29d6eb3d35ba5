import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLOSE, FrameError } from './frame.ts';
import {
  BINARY,
  CLOSING,
  decodeClose,
  encodeClose,
  encodeMessage,
  MAX_CLOSE,
  MAX_SOCKET_MESSAGE,
  MessageReader,
  TEXT,
  type SocketMessage,
} from './message.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('messages survive any cut', () => {
  const message = fc.record({
    opcode: fc.constantFrom(TEXT, BINARY),
    payload: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), fc.integer({ min: 1, max: 40 }), (messages, step) => {
      const stream = Buffer.concat(messages.map(({ opcode, payload }) => encodeMessage(opcode, payload)));
      const reader = new MessageReader();
      const found: SocketMessage[] = [];
      for (let at = 0; at < stream.length; at += step)
        reader.push(stream.subarray(at, at + step), (one) => found.push(one));
      assert.deepEqual(
        found.map(({ opcode, payload }) => [opcode, [...payload]]),
        messages.map(({ opcode, payload }) => [opcode, [...payload]]),
      );
    }),
  );
});

test('a long message in small pieces, and many that are only promised', () => {
  const payload = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251);
  const reader = new MessageReader();
  const stream = encodeMessage(BINARY, payload);
  let found: Uint8Array | null = null;
  for (let at = 0; at < stream.length; at += 1000)
    reader.push(stream.subarray(at, at + 1000), (one) => (found = one.payload));
  assert.deepEqual(found, payload);
  const promise = encodeMessage(BINARY, new Uint8Array(MAX_SOCKET_MESSAGE)).subarray(0, 100);
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 500 }, () => new MessageReader());
  for (const one of readers) one.push(promise, () => assert.fail('nothing is complete'));
  assert.ok(process.memoryUsage().arrayBuffers - before < 100_000_000);
  assert.ok(readers.every(({ partial }) => partial));
});

test('limits of messages', () => {
  const header = (opcode: number, length: number): Uint8Array => {
    const one = new Uint8Array(5);
    one[0] = opcode;
    new DataView(one.buffer).setUint32(1, length);
    return one;
  };
  const fails = (code: number, ...chunks: Uint8Array[]): void => {
    const reader = new MessageReader();
    assert.throws(
      () => chunks.forEach((chunk) => reader.push(chunk, () => {})),
      (error) => error instanceof FrameError && error.code === code,
    );
  };
  new MessageReader().push(header(BINARY, MAX_SOCKET_MESSAGE), () => {});
  fails(CLOSE.limit, header(BINARY, MAX_SOCKET_MESSAGE + 1));
  fails(CLOSE.limit, header(CLOSING, MAX_CLOSE + 1));
  fails(CLOSE.malformed, header(3, 0));
  fails(CLOSE.malformed, encodeClose(1000, ''), encodeMessage(TEXT, bytes('late')));
  assert.equal(encodeMessage(TEXT, new Uint8Array(MAX_SOCKET_MESSAGE)).byteLength, MAX_SOCKET_MESSAGE + 5);
  assert.throws(() => encodeMessage(TEXT, new Uint8Array(MAX_SOCKET_MESSAGE + 1)), RangeError);
});

test('closes keep their code and reason, but for codes that nobody sends', () => {
  const round = (code: number, reason: string) => {
    let found: unknown;
    new MessageReader().push(encodeClose(code, reason), ({ payload }) => (found = decodeClose(payload)));
    return found;
  };
  assert.deepEqual(round(1000, ''), { code: 1000, reason: '' });
  assert.deepEqual(round(4321, 'grüße'), { code: 4321, reason: 'grüße' });
  assert.deepEqual(round(1006, 'lost'), { code: 1005, reason: '' });
  for (const code of [999, 1004, 1015, 1016, 2999, 5000])
    assert.deepEqual(round(code, 'none'), { code: 1005, reason: '' }, String(code));
  assert.deepEqual(round(1014, 'gateway'), { code: 1014, reason: 'gateway' });
  assert.deepEqual(round(3000, 'x'.repeat(200)), { code: 3000, reason: 'x'.repeat(MAX_CLOSE - 2) });
});
