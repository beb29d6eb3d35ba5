import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { MAX_HELD_BYTES } from '../../assembly/abi.ts';
import { bytesHeld, declaredLength, HeldBody, inflate } from './body.ts';

const never = new AbortController().signal;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

function stream(...chunks: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(typeof chunk === 'string' ? bytes(chunk) : chunk);
    },
  });
}

const sendAll = async (body: HeldBody): Promise<string> => await new Response(body.send() as BodyInit).text();

test('a body that fits, exactly too, is held whole and can be sent again', async () => {
  const body = new HeldBody(stream('hel', 'lo'), 5);
  assert.equal(await body.read(5, never), null);
  assert.equal(body.complete, true);
  assert.equal(bytesHeld(), 5);
  assert.equal(await sendAll(body), 'hello');
  assert.equal(await sendAll(body), 'hello');
  body.release();
  body.release();
  assert.equal(bytesHeld(), 0);
});

test('a longer one is sent once: the held bytes, then the rest, in order', async () => {
  const body = new HeldBody(stream('hel', 'lo ', 'wor', 'ld'), 11);
  assert.equal(await body.read(4, never), null);
  assert.equal(body.complete, false);
  assert.equal(text(body.bytes), 'hello ');
  assert.equal(body.replayable, true);
  assert.equal(await sendAll(body), 'hello world');
  assert.equal(body.replayable, false);
  assert.throws(() => body.send(), /once/);
  body.release();
});

test('a body that breaks off, or whose client leaves, is no body; its room is given back', async () => {
  const broken = new HeldBody(new ReadableStream({ pull: () => Promise.reject(new Error('reset')) }), 5);
  assert.equal(await broken.read(10, never), 'broken');
  const gone = new AbortController();
  const waiting = new HeldBody(
    new ReadableStream({
      start(controller) {
        controller.enqueue(bytes('ab'));
        setTimeout(() => gone.abort(), 5);
      },
    }),
    5,
  );
  assert.equal(await waiting.read(10, gone.signal), 'broken');
  assert.equal(bytesHeld(), 0);
});

test('a short body is taken in one piece, or not at all', async () => {
  const whole = (text: string): Promise<ArrayBuffer> => Promise.resolve(bytes(text).slice().buffer as ArrayBuffer);
  const body = new HeldBody(stream(), 5);
  assert.equal(await body.take(whole('hello')), null);
  assert.deepEqual([body.complete, body.replayable, bytesHeld()], [true, true, 5]);
  assert.equal(await sendAll(body), 'hello');
  assert.equal(await sendAll(body), 'hello');
  body.release();
  const empty = new HeldBody(stream(), 0);
  assert.equal(await empty.take(whole('')), null);
  assert.equal(empty.complete, true);
  empty.release();
  for (const [pending, failure] of [
    [Promise.resolve(null), 'slow'],
    [Promise.reject(new Error('reset')), 'broken'],
    [whole('more than it declared'), 'broken'],
    [Promise.resolve(new ArrayBuffer(MAX_HELD_BYTES + 1)), 'busy'],
  ] as const) {
    const odd = new HeldBody(stream(), failure === 'busy' ? MAX_HELD_BYTES + 1 : 5);
    assert.equal(await odd.take(pending), failure);
    assert.deepEqual([odd.complete, odd.bytes.length, bytesHeld()], [false, 0, 0]);
  }
});

test('all bodies together are capped', async () => {
  const half = new Uint8Array(MAX_HELD_BYTES / 2 + 1);
  const first = new HeldBody(stream(half), half.length);
  assert.equal(await first.read(MAX_HELD_BYTES, never), null);
  const second = new HeldBody(stream(half), half.length);
  assert.equal(await second.read(MAX_HELD_BYTES, never), 'busy');
  assert.equal(bytesHeld(), half.length);
  first.release();
  assert.equal(bytesHeld(), 0);
});

test('a declared length is digits only', () => {
  assert.equal(declaredLength('12'), 12);
  for (const odd of ['', '-1', '+1', '1.5', '0x10', ' 1', '1, 1', '9'.repeat(16)])
    assert.equal(declaredLength(odd), -1);
});

test('encodings are inflated: whole bodies, and prefixes as far as they go', { timeout: 5000 }, async () => {
  const plain = 'some text that repeats itself, '.repeat(2000);
  for (const [encoding, packed] of [
    ['gzip', gzipSync(plain)],
    ['x-GZIP ', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
  ] as const) {
    const whole = await inflate(packed, encoding, 100_000, true);
    assert.ok(typeof whole === 'object');
    assert.equal(text(whole.bytes), plain);
    assert.equal(whole.truncated, false);
  }
  const noise = Array.from({ length: 20_000 }, (_, i) => Math.sin(i).toString(36)).join();
  const packed = gzipSync(noise);
  const prefix = await inflate(packed.subarray(0, packed.length / 2), 'gzip', 1_000_000, false);
  assert.ok(typeof prefix === 'object');
  assert.equal(prefix.truncated, true);
  assert.ok(prefix.bytes.length > noise.length / 4, `${prefix.bytes.length} of ${noise.length}`);
  assert.ok(noise.startsWith(text(prefix.bytes)));
});

test(
  'inflating stops at the limit, at a bomb, at nonsense and at encodings it does not know',
  { timeout: 5000 },
  async () => {
    const long = await inflate(gzipSync('ab'.repeat(5000)), 'gzip', 100, true);
    assert.ok(typeof long === 'object');
    assert.equal(long.bytes.length, 100);
    assert.equal(long.truncated, true);
    assert.equal(await inflate(gzipSync(new Uint8Array(10_000_000)), 'gzip', 100_000_000, true), 'ratio');
    assert.equal(await inflate(bytes('not gzip at all'), 'gzip', 100, true), 'corrupt');
    assert.equal(await inflate(bytes('not gzip at all'), 'gzip', 100, false), 'corrupt');
    const packed = gzipSync('cut short');
    assert.equal(await inflate(packed.subarray(0, packed.length - 4), 'gzip', 100, true), 'corrupt');
    for (const odd of ['br', 'zstd', 'gzip, gzip', 'compress'])
      assert.equal(await inflate(packed, odd, 100, true), 'encoding');
  },
);
