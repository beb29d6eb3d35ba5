/**
 * Messages of a hostile peer: frames, their payloads, openings, heads, WebSocket messages, welcomes and resumes are read or refused with a FrameError, whatever the bytes;
 * what is read is all that the message holds, and heads that are taken can be written again, byte for byte.
 */
import assert from 'node:assert/strict';
import {
  ackFrame,
  DATA,
  END,
  frame,
  FrameError,
  GOAWAY,
  HEAD,
  OPEN,
  readAck,
  readFrames,
  readReason,
  readWindow,
  reasonFrame,
  RESET,
  windowFrame,
  type Frame,
} from '../../src/tunnel/frame.ts';
import {
  decodeFields,
  decodeRequest,
  decodeResponse,
  encodeFields,
  encodeRequest,
  encodeResponse,
  HeadError,
  type Fields,
} from '../../src/tunnel/head.ts';
import {
  MAX_SOCKET_MESSAGE,
  decodeClose,
  encodeClose,
  encodeMessage,
  MessageReader,
  TEXT,
} from '../../src/tunnel/message.ts';
import { decodeOpening, encodeOpening, HTTP, TCP, WEBSOCKET } from '../../src/tunnel/opening.ts';
import { readResume, readWelcome, writeResume, writeWelcome } from '../../src/tunnel/welcome.ts';
import { random, type Random } from './random.ts';

const SLOWEST = 500; // ms for one message; it takes less than one

/** Texts that a head may hold, or must not. */
const TEXTS: readonly string[] = [
  'host',
  'Content-Length',
  'x-a',
  '',
  'a b',
  'a\r\nb: c',
  'a\0',
  '\u00e9',
  '\u0100',
  ':',
  'GET',
  '/',
  '/a?b=%zz',
  'http://a/',
  '*',
  '\u007f',
  '\t',
  'x'.repeat(300),
];

function text(r: Random): string {
  return r.below(8) === 0 ? TEXTS[r.below(TEXTS.length)]!.repeat(r.below(200)) : r.pick(TEXTS);
}
function fields(r: Random): Fields {
  return Array.from({ length: r.below(r.below(20) === 0 ? 1100 : 8) }, () => [text(r), text(r)] as const);
}

function opening(r: Random): Uint8Array {
  try {
    const service = r.pick(['', 'api', 'Api', 'a.b', 'x'.repeat(64)]);
    if (r.below(3) === 0) return encodeOpening({ kind: TCP, service });
    const request = { method: text(r), target: text(r), fields: fields(r) };
    return encodeOpening({ kind: r.pick([HTTP, WEBSOCKET]), service, head: request });
  } catch (error) {
    if (error instanceof HeadError) return new Uint8Array([r.below(5), r.below(9), 97, 98]);
    throw error;
  }
}

/** The bytes of a head, null when ours refuses to write it. */
function head(r: Random): Uint8Array | null {
  try {
    if (r.below(2) === 0) return encodeRequest({ method: text(r), target: text(r), fields: fields(r) });
    return encodeResponse({ status: r.below(1100), reason: text(r), fields: fields(r) });
  } catch (error) {
    if (error instanceof HeadError) return null;
    throw error;
  }
}

export function hostileBytes(r: Random, bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  for (let edits = r.below(5); edits > 0 && out.length > 0; edits--) {
    const at = r.below(r.below(2) === 0 ? Math.min(16, out.length) : out.length);
    out[at] = r.below(3) === 0 ? r.pick([0, 1, 0x7f, 0x80, 0xff, 10, 13]) : out[at]! ^ (1 << r.below(8));
  }
  return r.below(4) === 0 ? out.subarray(0, r.below(out.length + 1)) : out;
}

function piece(r: Random): Uint8Array {
  const stream = r.below(6);
  switch (r.below(10)) {
    case 0:
      return windowFrame(stream, r.bits());
    case 1:
      return ackFrame(r.bits() * (r.below(2) === 0 ? 1 : 2 ** 22));
    case 2:
      return reasonFrame(r.pick([RESET, GOAWAY]), stream, r.bits(), text(r));
    case 3:
      return frame(DATA, stream, new Uint8Array(r.below(300)));
    case 4:
      return frame(r.below(12), stream, new Uint8Array(r.below(20)), r.below(256));
    case 5:
      return frame(OPEN, stream, opening(r));
    case 6:
      return frame(
        DATA,
        stream,
        r.below(2) === 0 ? encodeMessage(TEXT, Buffer.from(text(r))) : encodeClose(r.below(6000), text(r)),
      );
    default:
      return frame(r.pick([OPEN, HEAD, END]), stream, head(r) ?? new Uint8Array(r.below(30)));
  }
}

/** Only FrameError may come out; true when nothing did. */
function reads(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return false;
  }
}

function check(message: Uint8Array): void {
  const found: Frame[] = [];
  const whole = reads(() => readFrames(message, (one) => found.push(one)));
  const parts = found.map(({ type, stream, payload, flags }) => frame(type, stream, payload, flags));
  const again = Buffer.concat(parts);
  assert.ok(again.equals(message.subarray(0, again.length)), 'frames are what the message holds');
  if (whole) assert.equal(again.length, message.length);
  for (const one of found) {
    reads(() => readWindow(one));
    reads(() => readAck(one));
    reads(() => assert.doesNotMatch(readReason(one).text, /\p{Cc}/u));
    checkHead(one.payload);
    reads(() => {
      const read = decodeOpening(one.payload);
      assert.deepEqual(encodeOpening(read), one.payload.slice());
    });
    checkMessages(one.payload);
  }
}

function checkMessages(bytes: Uint8Array): void {
  const found = (step: number): [number, number][] => {
    const reader = new MessageReader();
    const list: [number, number][] = [];
    reads(() => {
      for (let at = 0; at < bytes.length; at += step)
        reader.push(bytes.subarray(at, at + step), ({ opcode, payload }) => {
          assert.ok(payload.byteLength <= MAX_SOCKET_MESSAGE);
          const { code } = decodeClose(payload);
          assert.ok(code >= 1000 && code < 5000);
          list.push([opcode, payload.byteLength]);
        });
    });
    return list;
  };
  assert.deepEqual(found(1), found(Math.max(1, bytes.length)), 'cuts are no matter');
}

/** Texts of a socket's beginning, on either end. */
function checkTexts(r: Random): void {
  const change = (value: string): string => Buffer.from(hostileBytes(r, Buffer.from(value))).toString();
  const welcome = { lane: 'ab', token: 'cd', resumed: true, received: r.bits(), url: 'https://a.example/' };
  const said = r.below(3) === 0 ? text(r) : change(writeWelcome(welcome));
  reads(() => {
    const read = readWelcome(said);
    assert.match(read.url, /^(?:https?:\/\/[!-~]+)?$/);
    assert.deepEqual(readWelcome(writeWelcome(read)), read);
  });
  const resume = readResume(r.below(3) === 0 ? text(r) : change(writeResume(welcome)));
  if (resume !== null) assert.deepEqual(readResume(writeResume(resume)), resume);
}

function checkHead(bytes: Uint8Array): void {
  const unsafe = /[\0\r\n]/;
  const safe = (list: Fields): void => {
    for (const [name, value] of list) assert.ok(!unsafe.test(name) && !unsafe.test(value) && name !== '');
  };
  reads(() => {
    const request = decodeRequest(bytes);
    assert.doesNotMatch(request.method + request.target, /[\0-\x20]/);
    safe(request.fields);
    assert.deepEqual(encodeRequest(request), bytes.slice());
  });
  reads(() => {
    const response = decodeResponse(bytes);
    assert.doesNotMatch(response.reason, unsafe);
    safe(response.fields);
    assert.deepEqual(encodeResponse(response), bytes.slice());
  });
  reads(() => {
    const trailers = decodeFields(bytes);
    safe(trailers);
    if (bytes.length > 0) assert.deepEqual(encodeFields(trailers), bytes.slice());
  });
}

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    const parts = Array.from({ length: 1 + r.below(4) }, () => piece(r));
    let message: Uint8Array = new Uint8Array(Buffer.concat(parts));
    if (r.below(3) > 0) message = hostileBytes(r, message);
    const began = performance.now();
    try {
      check(message);
      checkTexts(r);
    } catch (error) {
      console.error(`message: ${Buffer.from(message).toString('hex')}`);
      throw error;
    }
    assert.ok(performance.now() - began < SLOWEST, `${performance.now() - began} ms`);
    if (cases % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return cases;
}
