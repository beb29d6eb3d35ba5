import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSocket, sessionParts, settle } from '../../test/support/lane-pair.ts';
import { STREAM_WINDOW } from './credit.ts';
import { RESET_CODE } from './frame.ts';
import { BINARY, decodeClose, encodeClose, encodeMessage, MAX_SOCKET_MESSAGE, MessageReader, TEXT } from './message.ts';
import type { EdgeLanes } from './session-lanes.ts';
import { FREE_BACKLOG, MAX_BACKLOG } from '../backlog.ts';
import { Clients } from './session-clients.ts';
import { MAX_ASSEMBLED, MAX_QUEUES, type Visit } from './session-websocket.ts';
import { shownSocket } from './shown.ts';
import type { TunnelStream } from './stream.ts';

/** A session's clients on one end of a lane, a connector on the other. */
function setUp() {
  const { context, lanes, edge, accepted } = sessionParts();
  const clients = new Clients(context, lanes);
  return { context, lanes, clients, edge, accepted };
}

const visit: Visit = { lane: 'lane', shown: shownSocket('', null, 0) };

test('a reason that is longer in bytes than in characters closes all the same', async () => {
  const { far, socket } = await joined();
  // Bytes that are no UTF-8: each is read as a character of three.
  const payload = new Uint8Array(125).fill(0xff);
  new DataView(payload.buffer).setUint16(0, 4000);
  await far.write(encodeMessage(8, payload));
  await settle();
  const [code, reason = ''] = socket.closed ?? [];
  assert.equal(code, 4000);
  assert.ok(reason.length > 0 && new TextEncoder().encode(reason).byteLength <= 123, reason);
});

async function joined() {
  const parts = setUp();
  const socket = new FakeSocket();
  parts.clients.accept(socket, visit, parts.edge.open(new Uint8Array([1])));
  await settle();
  const far = parts.accepted[0]!;
  const client = parts.clients.of(socket);
  assert.ok(client !== null);
  return { ...parts, socket, far, client };
}
test('texts, bytes and closes pass in both directions', async () => {
  const { socket, far, client, clients } = await joined();
  const got: string[] = [];
  const reader = new MessageReader();
  far.onData = (chunk) => {
    far.consumed(chunk.byteLength);
    reader.push(chunk, ({ opcode, payload }) => {
      if (opcode === TEXT || opcode === BINARY) got.push(`${opcode} ${new TextDecoder().decode(payload)}`);
      else got.push(JSON.stringify(decodeClose(payload)));
    });
  };
  void client.message('grüße');
  void client.message(new TextEncoder().encode('bytes').buffer as ArrayBuffer);
  await far.write(encodeMessage(TEXT, new TextEncoder().encode('zurück')));
  await far.write(encodeMessage(BINARY, new Uint8Array([1, 2])));
  await settle();
  assert.deepEqual(socket.sent, ['zurück', new Uint8Array([1, 2])]);
  clients.left(socket, 4001, 'why');
  await settle();
  assert.deepEqual(got, ['1 grüße', '2 bytes', '{"code":4001,"reason":"why"}']);
  void far.write(encodeClose(4001, 'why'));
  far.end();
  await settle();
  assert.deepEqual([clients.count, far.open], [0, false]);
});

test('how a socket closes says what happened', async () => {
  const cases: [(far: TunnelStream) => unknown, number | undefined][] = [
    [(far) => far.write(encodeClose(4002, 'bye')).then(() => far.end()), 4002],
    [(far) => far.write(encodeClose(1005, '')).then(() => far.end()), undefined],
    [(far) => far.end(), 1011],
    [(far) => far.reset(RESET_CODE.internal, 'secret'), 1011],
    [(far) => far.reset(RESET_CODE.lost, ''), 1012],
  ];
  for (const [act, code] of cases) {
    const { socket, far } = await joined();
    await act(far);
    await settle();
    assert.equal(socket.closed?.[0], code);
    assert.doesNotMatch(socket.closed?.[1] ?? '', /secret/);
  }
});

test('a client that takes nothing costs its window', async () => {
  const { socket, far, clients } = await joined();
  socket.bufferedAmount = 1_000_000;
  let done = false;
  const bytes = encodeMessage(BINARY, new Uint8Array(3 * STREAM_WINDOW));
  const write = far.write(bytes).then(() => (done = true));
  await settle();
  assert.deepEqual([done, clients.quiet], [false, false]);
  socket.bufferedAmount = 0;
  await write;
  await settle();
  assert.equal(socket.sent.length, 1);
  assert.equal(clients.quiet, true);
});

test('a client that sends more than its origin takes is let go', async () => {
  const public_ = await joined();
  for (let sent = 0; sent < MAX_BACKLOG + STREAM_WINDOW; sent += 1_000_000)
    void public_.client.message(new ArrayBuffer(1_000_000));
  await settle();
  assert.equal(public_.socket.closed?.[0], 1013);
  assert.deepEqual([public_.far.open, public_.clients.count], [false, 0]);

  const one = await joined();
  void one.client.message(new ArrayBuffer(MAX_SOCKET_MESSAGE + 1));
  assert.equal(one.socket.closed?.[0], 1009);
});

test('messages that are not whole are held up to a limit, of all clients together', async () => {
  const { clients, edge, accepted } = setUp();
  const join = async () => {
    const socket = new FakeSocket();
    clients.accept(socket, visit, edge.open(new Uint8Array([1])));
    await settle();
    return { socket, far: accepted.at(-1)! };
  };
  // All but the last byte of a message: its memory is that of all.
  const begun = encodeMessage(BINARY, new Uint8Array(MAX_SOCKET_MESSAGE)).subarray(0, -1);
  const fitting = [];
  for (let held = 0; held < MAX_ASSEMBLED; held += MAX_SOCKET_MESSAGE) {
    const one = await join();
    await one.far.write(begun);
    fitting.push(one);
  }
  await settle();
  for (const { socket } of fitting) assert.equal(socket.closed, null);
  const [last, small] = [await join(), await join()];
  await small.far.write(encodeMessage(BINARY, new Uint8Array(FREE_BACKLOG)).subarray(0, -1));
  await last.far.write(begun).catch(() => {});
  await settle();
  assert.deepEqual([last.socket.closed?.[0], last.far.open, small.socket.closed], [1013, false, null]);
  // One that goes makes room, and one that becomes whole.
  fitting[0]!.far.reset(RESET_CODE.cancelled);
  await fitting[1]!.far.write(new Uint8Array(1));
  await settle();
  assert.equal(fitting[1]!.socket.sent.length, 1);
  const next = await join();
  await next.far.write(begun);
  await settle();
  assert.equal(next.socket.closed, null);
});

test('what clients sent and origins do not take is bounded in all, and each may have a little', async () => {
  const { clients, edge } = setUp();
  const join = async () => {
    const socket = new FakeSocket();
    clients.accept(socket, visit, edge.open(new Uint8Array([1])));
    await settle();
    return { socket, client: clients.of(socket)! };
  };
  const half = MAX_QUEUES / 2;
  const [one, other, last] = [await join(), await join(), await join()];
  for (const { client } of [one, other])
    for (let sent = 0; sent < half; sent += MAX_SOCKET_MESSAGE / 2)
      void client.message(new ArrayBuffer(MAX_SOCKET_MESSAGE / 2 - 5));
  await settle();
  assert.deepEqual([one.socket.closed, other.socket.closed], [null, null]);
  void last.client.message(new ArrayBuffer(FREE_BACKLOG - 5));
  assert.equal(last.socket.closed, null);
  void last.client.message(new ArrayBuffer(FREE_BACKLOG));
  assert.equal(last.socket.closed?.[0], 1013);
  // Who leaves makes room.
  one.client.end(1000, '');
  await settle();
  const next = await join();
  void next.client.message(new ArrayBuffer(MAX_SOCKET_MESSAGE));
  assert.equal(next.socket.closed, null);
});

test('sockets sleep with the object, and those of a lane that is gone are closed', async () => {
  const { context, lanes, clients, socket, far, client } = await joined();
  far.onData = (chunk) => far.consumed(chunk.byteLength);
  await client.message('before');
  await settle();
  clients.save();
  const woken = new Clients(context, lanes);
  assert.notEqual(woken.of(socket), client);
  await far.write(encodeMessage(TEXT, new TextEncoder().encode('after')));
  await settle();
  assert.deepEqual(socket.sent, ['after']);
  const nobody = new Clients(context, { get: () => null } as unknown as EdgeLanes);
  assert.deepEqual([nobody.count, socket.closed?.[0]], [0, 1012]);
});

test('a client that was closed and does not answer is none again when the object wakes', async () => {
  const { context, lanes, clients, socket, far, client, edge, accepted } = await joined();
  // At once, before anything of it was written down.
  client.end(1013, 'too far behind');
  const second = new FakeSocket();
  clients.accept(second, visit, edge.open(new Uint8Array([1])));
  await settle();
  clients.save();
  await accepted[1]!.write(encodeClose(1000, 'bye'));
  await settle();
  assert.deepEqual([socket.attachment, second.closed], [null, [1000, 'bye']]);
  const woken = new Clients(context, lanes);
  await settle();
  assert.deepEqual([woken.count, woken.of(socket), woken.of(second)], [0, null, null]);
  assert.deepEqual([edge.size, far.open, accepted[1]!.open], [0, false, false]);
});

test('credit that comes while nothing else does is not forgotten by an object that sleeps', async () => {
  const { context, lanes, clients, socket, far, client } = await joined();
  let came = 0;
  far.onData = (chunk) => void (came += chunk.byteLength);
  await client.message(new ArrayBuffer(STREAM_WINDOW / 2));
  await settle();
  assert.equal(clients.quiet, true);
  clients.save();
  // A slow origin takes it later.
  far.consumed(came);
  await settle();
  clients.save();
  const woken = new Clients(context, lanes).of(socket)!;
  assert.deepEqual(woken.stream.snapshot(), client.stream.snapshot());
  // More where the window has widened meanwhile.
  assert.ok(woken.stream.snapshot()!.credit >= STREAM_WINDOW);
});
