import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { MAX_MESSAGE } from '../frame.ts';
import { Inflow } from './inflow.ts';

const ANSWER = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');

/** A frame as servers send it. `first`: FIN, reserved bits and opcode. */
function frameOf(first: number, payload: Uint8Array, second = 0): Buffer {
  const { length } = payload;
  const header =
    length < 126
      ? Buffer.from([first, second | length])
      : length < 65_536
        ? Buffer.from([first, second | 126, length >> 8, length & 255])
        : Buffer.from([
            first,
            second | 127,
            0,
            0,
            0,
            0,
            length >>> 24,
            (length >> 16) & 255,
            (length >> 8) & 255,
            length & 255,
          ]);
  return Buffer.concat([header, ...(second === 0 ? [] : [Buffer.from([1, 2, 3, 4])]), payload]);
}

interface Taken {
  /** Messages, and what went to `ws`, as they came. */
  readonly order: string[];
  readonly passed: Buffer;
}

/** Reads `bytes` in pieces that `cut` says, always from the same memory. */
function read(bytes: Buffer, cut: () => number, opened = () => true): Taken {
  const order: string[] = [];
  const passed: Buffer[] = [];
  const socket = { destroyed: false, readableLength: 0, push: (part: Buffer) => void passed.push(part) };
  const inflow = new Inflow({
    opened,
    onMessage: (message) => {
      order.push(Buffer.from(message).toString('base64'));
      return true;
    },
  });
  const room = Buffer.alloc(bytes.length);
  for (let at = 0; at < bytes.length;) {
    const size = Math.min(bytes.length - at, Math.max(1, cut()));
    bytes.copy(room, 0, at, at + size);
    inflow.read(socket as unknown as Socket, room.subarray(0, size));
    room.fill(0xee, 0, size);
    at += size;
  }
  return { order, passed: Buffer.concat(passed) };
}

test('whole binary messages are taken, all else goes on as it came, however it is cut', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const sizes = [1, 125, 126, 300, 16_383, 16_384, 65_535, 65_536, 100_000, 250_000];
  for (let round = 0; round < 60; round++) {
    const parts: Buffer[] = [ANSWER];
    const messages: string[] = [];
    const passes: Buffer[] = [ANSWER];
    const pass = (...frames: Buffer[]): void => {
      parts.push(...frames);
      passes.push(...frames);
    };
    pass(frameOf(0x81, Buffer.from('{"welcome":true}')));
    for (let i = 0; i < 12; i++) {
      const payload = Buffer.alloc(sizes[random(sizes.length)]!, random(256));
      const kind = random(8);
      if (kind === 0) pass(frameOf(0x81, Buffer.from('pong')));
      else if (kind === 1) pass(frameOf(0x89, Buffer.alloc(random(126))));
      else if (kind === 2)
        // A message in fragments, a ping within it, and no whole message before its end.
        pass(frameOf(0x02, payload), frameOf(0x8a, Buffer.alloc(3)), frameOf(0x00, payload), frameOf(0x80, payload));
      else if (kind === 3) pass(frameOf(0x82, Buffer.alloc(0)));
      else {
        parts.push(frameOf(0x82, payload));
        messages.push(payload.toString('base64'));
      }
    }
    const most = [1, 2, 7, 1000, 65_536, 262_144][round % 6]!;
    const bytes = Buffer.concat(parts);
    if (bytes.length > 300_000 && most < 1000) continue;
    const { order, passed } = read(bytes, () => 1 + random(most));
    assert.deepEqual(order, messages);
    assert.ok(passed.equals(Buffer.concat(passes)), `round ${round}`);
  }
});

test('a refusal goes on as it comes, to its last byte', () => {
  const body = `{"status":401,"detail":"${'no '.repeat(300)}"}`;
  const bytes = Buffer.from(`HTTP/1.1 401 No\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  for (const cut of [1, 3, 50, 10_000]) {
    const { order, passed } = read(
      bytes,
      () => cut,
      () => false,
    );
    assert.deepEqual([order, passed.equals(bytes)], [[], true]);
  }
  // One that closes while the beginning of a frame waits.
  let closing = 0;
  const close = Buffer.concat([ANSWER, frameOf(0x88, Buffer.from([3, 232]))]);
  const ended = read(
    close,
    () => (closing++ === 0 ? ANSWER.length + 1 : 1),
    () => closing < 2,
  );
  assert.ok(ended.passed.equals(close));
  // Whatever was begun before the socket opened is not taken.
  let reads = 0;
  const late = Buffer.concat([ANSWER, frameOf(0x82, Buffer.alloc(300, 1)), frameOf(0x82, Buffer.alloc(10, 2))]);
  const { order, passed } = read(
    late,
    () => (reads++ === 0 ? ANSWER.length + 1 : 1000),
    () => reads > 1,
  );
  assert.deepEqual(order, [Buffer.alloc(10, 2).toString('base64')]);
  assert.ok(passed.equals(late.subarray(0, ANSWER.length + 304)));
});

test('what is no message of an edge is for ws to refuse', () => {
  const huge = frameOf(0x82, Buffer.alloc(MAX_MESSAGE + 1));
  for (const frame of [
    frameOf(0x82, Buffer.from('masked'), 0x80),
    frameOf(0xc2, Buffer.from('compressed')),
    frameOf(0x83, Buffer.from('unknown')),
    Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
    huge,
  ]) {
    const bytes = Buffer.concat([ANSWER, frame]);
    for (const cut of [1, 5, 70_000]) {
      const { order, passed } = read(bytes, () => cut);
      assert.deepEqual([order, passed.equals(bytes)], [[], true]);
    }
  }
});

test('memory that somebody still writes from is not used again before it is written', () => {
  const holder = { written: false };
  const seen: Uint8Array[] = [];
  const inflow = new Inflow({
    opened: () => true,
    onMessage: (message) => {
      seen.push(message);
      return [holder];
    },
  });
  const socket = { destroyed: false, readableLength: 0, push: () => {} } as unknown as Socket;
  const take = (value: number): void => inflow.read(socket, frameOf(0x82, Buffer.alloc(50_000, value)));
  inflow.read(socket, ANSWER);
  for (let value = 0; value < 20; value++) take(value);
  for (const [value, message] of seen.entries()) assert.ok(message.every((byte) => byte === value));
  assert.equal(new Set(seen.map(({ buffer }) => buffer)).size, 20);
  holder.written = true;
  take(20);
  assert.ok(seen.slice(0, 20).some(({ buffer }) => buffer === seen[20]!.buffer));
});
