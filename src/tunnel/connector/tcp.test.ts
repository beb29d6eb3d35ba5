import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { STREAM_WINDOW } from '../credit.ts';
import { RESET_CODE } from '../frame.ts';
import type { StreamReset, TunnelStream } from '../stream.ts';
import { lanePair, settle } from '../../../test/support/lane-pair.ts';
import { pair, rawOrigin, until } from '../../../test/support/tunnel-pair.ts';
import { joinTcp } from './tcp.ts';

interface Seen {
  readonly chunks: Uint8Array[];
  connected: boolean;
  ended: boolean;
  reset: StreamReset | null;
}

function watch(stream: TunnelStream): Seen {
  const seen: Seen = { chunks: [], connected: false, ended: false, reset: null };
  stream.onHead = () => (seen.connected = true);
  stream.onData = (chunk) => {
    seen.chunks.push(chunk);
    stream.consumed(chunk.byteLength);
  };
  stream.onEnd = () => (seen.ended = true);
  stream.onReset = (reset) => (seen.reset = reset);
  return seen;
}

test('bytes both ways, and each direction ends by itself', async () => {
  const { edge } = await rawOrigin((socket) => {
    socket.write('hello\n');
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('end', () => socket.end(Buffer.concat(parts)));
  }, 'tcp');
  const stream = edge.tcp();
  const seen = watch(stream);
  const bytes = Buffer.alloc(2_000_001, 'abcdefg');
  await stream.write(bytes);
  assert.equal(seen.connected, true);
  assert.equal(seen.ended, false);
  stream.end();
  await until(() => seen.ended);
  assert.equal(Buffer.compare(Buffer.concat(seen.chunks), Buffer.concat([Buffer.from('hello\n'), bytes])), 0);
  assert.equal(stream.open, false);
});

test('a reset goes through, either way', async () => {
  const sockets: Socket[] = [];
  let error = '';
  const { edge } = await rawOrigin((socket) => {
    sockets.push(socket);
    socket.on('error', (cause: NodeJS.ErrnoException) => (error = cause.code ?? ''));
  }, 'tcp');
  const one = edge.tcp();
  const seen = watch(one);
  await until(() => seen.connected && sockets.length === 1);
  sockets[0]!.resetAndDestroy();
  await until(() => seen.reset !== null);
  assert.equal(seen.reset!.code, RESET_CODE.internal);
  const other = edge.tcp();
  const second = watch(other);
  await until(() => second.connected && sockets.length === 2);
  other.reset(RESET_CODE.cancelled);
  await until(() => error === 'ECONNRESET');
});

test('nobody at the target', async () => {
  const { edge } = await pair({ '': { protocol: 'tcp', host: '127.0.0.1', port: 1 } });
  const seen = watch(edge.tcp());
  await until(() => seen.reset !== null);
  assert.deepEqual([seen.reset!.code, seen.connected], [RESET_CODE.unreachable, false]);
});

test('a target that has ended, with bytes that wait for credit, loses none', async () => {
  const { edge, accepted } = lanePair();
  const far = edge.open(new Uint8Array([1]));
  const seen = watch(far);
  far.onData = (chunk) => void seen.chunks.push(chunk);
  await settle();
  const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  joinTcp(accepted[0]!, socket, () => null, null, 'target');
  const part = STREAM_WINDOW / 4; // what is worth a WINDOW
  // The last bytes and the end come while it is not read: for Node it is over, both ways, once they are.
  for (const size of [STREAM_WINDOW, part, 30_000]) socket.push(Buffer.alloc(size, 'abcdefg'));
  socket.push(null);
  far.end();
  for (let taken = 0; taken < STREAM_WINDOW + part; taken += part) {
    await settle();
    assert.equal(seen.reset, null);
    far.consumed(part);
  }
  await settle();
  assert.equal(seen.ended, true);
  assert.equal(Buffer.concat(seen.chunks).length, STREAM_WINDOW + part + 30_000);
});
