import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { TestEdge } from '../../../test/support/tunnel-edge.ts';
import { later, listening, pause, until } from '../../../test/support/tunnel-pair.ts';
import { generateConnectorKey } from '../capability.ts';
import type { TunnelStream } from '../stream.ts';
import { accessDialer, type AccessOptions, type AccessResult } from './access.ts';

interface Joined {
  readonly edge: TestEdge;
  /** The program that uses the local port. */
  readonly local: Socket;
  /** The edge's end. */
  readonly stream: TunnelStream;
  readonly over: Promise<AccessResult>;
  readonly lost: readonly string[];
}

async function joined(options: Partial<AccessOptions> = {}): Promise<Joined> {
  const edge = await TestEdge.open();
  later(() => edge.close());
  const key = await generateConnectorKey();
  const dial = accessDialer({
    ...{ edge: new URL(edge.url), name: 'office', service: 'db' },
    credentials: async () => ({ capability: 'none', key }),
    ...options,
  });
  const lost: string[] = [];
  let over: Promise<AccessResult> | null = null;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket: Socket) => {
    over = dial(socket, (reason) => lost.push(reason));
    over.catch(() => {});
  });
  const local = connect({ port: await listening(server), host: '127.0.0.1', allowHalfOpen: true });
  local.on('error', () => {});
  later(() => local.destroy());
  await until(() => edge.lanes.length > 0);
  return { edge, local, stream: edge.tcp('db'), over: over!, lost };
}

/** Takes what comes, and keeps it. */
function collected(stream: TunnelStream): { parts: Uint8Array[]; ended: Promise<void> } {
  const parts: Uint8Array[] = [];
  const ended = new Promise<void>((resolve) => (stream.onEnd = () => resolve()));
  stream.onData = (chunk) => {
    parts.push(chunk);
    stream.consumed(chunk.byteLength);
  };
  return { parts, ended };
}

test('a local side that takes nothing for long is not taken for an edge that is silent', async () => {
  const bytes = Buffer.alloc(24 * 1_048_576, 'the rows of a large table; ');
  const { edge, local, stream, over } = await joined({ pings: { least: 20, most: 20, busy: 20 } });
  stream.onData = (chunk) => stream.consumed(chunk.byteLength);
  void stream.write(bytes).then(() => stream.end());
  await once(local, 'readable');
  await pause(300); // many pings
  const parts: Buffer[] = [];
  for await (const part of local) parts.push(part as Buffer);
  assert.equal(Buffer.compare(Buffer.concat(parts), bytes), 0);
  local.end();
  await until(() => edge.lanes.every(({ lane }) => lane.size === 0));
  for (const { lane } of edge.lanes) lane.idle();
  assert.equal((await over).bytesIn, bytes.length);
  assert.equal(edge.dials, 1);
});

test('a connection goes on over another socket, and is over once its last bytes have arrived', async () => {
  const { edge, local, stream, over, lost } = await joined();
  const { parts, ended } = collected(stream);
  local.write('one;');
  await until(() => parts.length > 0);
  edge.lanes[0]!.socket!.terminate();
  await until(() => edge.resumed === 1);
  assert.equal(lost.length, 1);
  local.end('two');
  await ended;
  await stream.write(new TextEncoder().encode('answer'));
  stream.end();
  let got = '';
  for await (const part of local) got += String(part);
  assert.deepEqual([got, Buffer.concat(parts).toString()], ['answer', 'one;two']);
  // The edge has not said that it has the last bytes: whoever went now could not send them again.
  let settled = false;
  void over.then(() => (settled = true));
  edge.lanes[0]!.socket!.terminate();
  await until(() => edge.resumed === 2);
  const last = await over;
  assert.deepEqual([settled, last], [true, { bytesIn: 6, bytesOut: 7 }]);
});

test('one connection is one lane: where that is gone, so is the connection', async () => {
  const { edge, local, stream, over } = await joined();
  await stream.write(new Uint8Array([1]));
  await once(local, 'data');
  edge.keeps = false;
  edge.lanes[0]!.socket!.terminate();
  await assert.rejects(over, /has not kept/);
  await until(() => local.destroyed);
  const code = edge.closes.at(-1)!.code;
  assert.ok(code === 1000 || code === 1006, String(code));
});

test('a second stream is none that a guest asked for', async () => {
  const { edge, local, over } = await joined();
  edge.tcp('db');
  await assert.rejects(over, /second stream/);
  await until(() => local.destroyed);
});

test('an edge that closes with a code of its own is not dialled again', async () => {
  const { edge, stream, over } = await joined();
  await stream.write(new Uint8Array([1]));
  edge.lanes[0]!.socket!.close(4403, 'the capability was revoked');
  await assert.rejects(over, /revoked/);
  assert.equal(edge.dials, 1);
});

test('an edge that is restarting is dialled again, a few times', async () => {
  const edge = await TestEdge.open();
  later(() => edge.close());
  edge.refuse = { status: 502, text: 'nobody listens' };
  const key = await generateConnectorKey();
  const credentials = async () => ({ capability: 'none', key });
  const dial = accessDialer({ edge: new URL(edge.url), name: 'office', service: 'db', credentials });
  const over = Promise.withResolvers<AccessResult>();
  const server = createServer((socket) => void dial(socket).then(over.resolve, over.reject));
  const local = connect(await listening(server), '127.0.0.1').on('error', () => {});
  await assert.rejects(over.promise, /nobody listens/);
  assert.equal(edge.dials, 4);
  await until(() => local.destroyed);
});
