import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSocket, sessionParts, settle } from '../../test/support/lane-pair.ts';
import { ACCESS_ACK, ACCESS_ANSWER_WINDOW, ACCESS_WINDOW, STREAM_WINDOW } from './credit.ts';
import { ACK, CLOSE, DATA, frame, OPEN, RESET_CODE, windowFrame } from './frame.ts';
import { Lane } from './lane.ts';
import type { Guest } from './objects.ts';
import { Guests, MAX_GUESTS_HELD, MAX_HELD } from './session-guests.ts';
import type { EdgeLanes } from './session-lanes.ts';
import { shownSocket } from './shown.ts';
import type { StreamReset, TunnelStream } from './stream.ts';
import { readWelcome, writeResume } from './welcome.ts';

const settled = () => Promise.resolve();
const visit = { lane: 'lane', shown: shownSocket('db', null, 0) };
const guestOf = (more: Partial<Guest> = {}): Guest => ({
  ...{ tunnel: 'office', project: 'p', connector: 'key', generation: 5, expires: Date.now() + 60_000, peer: '' },
  ...{ resume: '', url: '', sessions: 1, service: 'db', names: [], session: 0, returns: false, ...more },
});

/** A session's guests on one end of a connector's lane, the connector on the other. */
function setUp() {
  const { context, lanes: connectors, edge: connectorLane, accepted } = sessionParts();
  return { context, connectors, guests: new Guests(context, connectors), connectorLane, accepted };
}

/** The guest's end of its socket. */
class Far {
  readonly lane: Lane;
  stream: TunnelStream | null = null;
  readonly got: Uint8Array[] = [];
  ended = false;
  reset: StreamReset | null = null;

  constructor() {
    this.lane = new Lane({
      ...{ role: 'connector', now: Date.now, onGoaway: () => {}, ackBytes: ACCESS_ACK },
      onStream: (stream) => {
        this.stream = stream;
        stream.onData = (chunk) => {
          this.got.push(chunk);
          stream.consumed(chunk.byteLength);
        };
        stream.onEnd = () => (this.ended = true);
        stream.onReset = (reset) => (this.reset = reset);
      },
    });
  }
  get text(): string {
    return Buffer.concat(this.got).toString();
  }
}

/** The guest's end takes what the socket was sent, and the edge's what it says. */
function wire(guests: Guests, socket: FakeSocket, far: Far): void {
  const welcome = readWelcome(String(socket.sent[0]));
  const frames = socket.sent.splice(0).slice(1) as Uint8Array[];
  socket.send = (message) => void (typeof message !== 'string' && far.lane.receive(message));
  far.lane.attach((message) => {
    const edge = guests.laneOf(socket);
    if (edge !== null) guests.message(edge, new Uint8Array(message).buffer);
  }, welcome.received);
  for (const message of frames) far.lane.receive(message);
}

async function joined(guest = guestOf()) {
  const parts = setUp();
  const socket = new FakeSocket();
  const arrived = parts.guests.arrive(guest);
  assert.ok(parts.guests.accept(socket, guest, visit, parts.connectorLane.open(new Uint8Array([1])), null));
  arrived();
  await settle();
  const welcome = readWelcome(String(socket.sent[0]));
  return { ...parts, socket, welcome, guest, service: parts.accepted[0]! };
}

test('bytes and ends pass in both directions', async () => {
  const { guests, socket, service } = await joined();
  const far = new Far();
  wire(guests, socket, far);
  const got: Uint8Array[] = [];
  let ended = false;
  service.onData = (chunk) => {
    got.push(chunk);
    service.consumed(chunk.byteLength);
  };
  service.onEnd = () => (ended = true);
  await far.stream!.write(new TextEncoder().encode('question'));
  far.stream!.end();
  await settle();
  assert.deepEqual([Buffer.concat(got).toString(), ended], ['question', true]);
  await service.write(new TextEncoder().encode('answer'));
  service.end();
  await settle();
  assert.deepEqual([far.text, far.ended, far.lane.size], ['answer', true, 0]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(far.lane.unacknowledged, 0);
  assert.equal(guests.count, 1); // the guest goes first
  guests.left(socket, 1000);
  assert.deepEqual([guests.count, guests.quiet, guests.streams], [0, true, 0]);
});

test('many bytes pass: a guest that acknowledges is never waited for in vain', async () => {
  const { guests, socket, service } = await joined();
  const far = new Far();
  wire(guests, socket, far);
  const bytes = new Uint8Array(5_000_003);
  await service.write(bytes);
  service.end();
  await settle();
  assert.deepEqual([Buffer.concat(far.got).length, far.ended], [bytes.length, true]);
});

test('another socket goes on where the last one was, of the same key and service only', async () => {
  const { guests, socket, service, welcome, guest } = await joined();
  const far = new Far();
  wire(guests, socket, far);
  await service.write(new TextEncoder().encode('one;'));
  await settle();
  guests.left(socket, 1006);
  await service.write(new TextEncoder().encode('two;'));
  await settle();
  assert.equal(far.text, 'one;');
  const resume = writeResume({ ...welcome, received: far.lane.received });
  for (const wrong of [
    { connector: 'another' },
    { project: 'another' },
    { service: 'another' },
    { resume: writeResume({ ...welcome, token: 'another', received: far.lane.received }) },
    { resume: writeResume({ ...welcome, lane: 'another', received: far.lane.received }) },
    { resume: 'malformed' },
  ])
    assert.equal(
      guests.resume(new FakeSocket(), { ...guest, resume, returns: true, ...wrong }),
      false,
      JSON.stringify(wrong),
    );
  const next = new FakeSocket();
  assert.ok(guests.resume(next, { ...guest, resume, returns: true, expires: guest.expires + 1 }));
  far.lane.detach();
  wire(guests, next, far);
  await service.write(new TextEncoder().encode('three'));
  await settle();
  assert.equal(far.text, 'one;two;three');
  assert.equal(guests.expires, guest.expires + 1);
});

test('how a connection ends says why', async () => {
  const cases: [(service: TunnelStream) => void, number, RegExp][] = [
    [(service) => service.reset(RESET_CODE.internal, 'db closed the connection'), RESET_CODE.internal, /db closed/],
    [(service) => service.reset(RESET_CODE.lost, 'gone'), RESET_CODE.lost, /gone/],
    [(service) => service.sendHead(new Uint8Array(0)), RESET_CODE.protocol, /second head/],
  ];
  for (const [act, code, reason] of cases) {
    const { guests, socket, service } = await joined();
    const far = new Far();
    wire(guests, socket, far);
    act(service);
    await settle();
    assert.equal(far.reset?.code, code);
    assert.match(far.reset?.message ?? '', reason);
  }
  const { guests, socket, service } = await joined();
  let reset: StreamReset | null = null;
  service.onReset = (why) => (reset = why);
  guests.left(socket, 1000);
  await settle();
  assert.deepEqual([reset!.code, guests.count], [RESET_CODE.cancelled, 0]);
});

test('a guest whose right ends while it waits for its stream is not let in, and one that is in is closed', async () => {
  const { guests, connectorLane } = setUp();
  const guest = guestOf();
  const other = { ...guest, generation: 7 };
  for (const one of [guest, other]) guests.arrive(one);
  guests.cut(({ generation }) => generation <= 5, CLOSE.revoked, 'revoked');
  const open = () => connectorLane.open(new Uint8Array([1]));
  assert.equal(guests.accept(new FakeSocket(), guest, visit, open(), null), false);
  const socket = new FakeSocket();
  assert.equal(guests.accept(socket, other, visit, open(), null), true);
  assert.equal(
    guests.cut(({ generation }) => generation <= 7, CLOSE.revoked, 'revoked'),
    1,
  );
  assert.deepEqual(socket.closed, [CLOSE.revoked, 'revoked']);
  const expired = await joined(guestOf({ expires: Date.now() + 5 }));
  expired.guests.check(Date.now() + 10);
  assert.deepEqual([expired.socket.closed?.[0], expired.guests.count], [CLOSE.unauthorised, 0]);
});

test('a guest that gives credit without end, and acknowledges or takes nothing, costs one window', async () => {
  for (const takes of ['nothing', 'no acknowledgement']) {
    const { guests, socket, service } = await joined();
    const edge = guests.laneOf(socket)!;
    const id = 1;
    const credit = (): void =>
      void [0, id].map((stream) => guests.message(edge, windowFrame(stream, 0x3000_0000).buffer as ArrayBuffer));
    credit();
    if (takes === 'nothing') socket.bufferedAmount = MAX_HELD + 1;
    let written = 0;
    const chunk = new Uint8Array(65_536);
    void (async () => {
      for (;;) {
        await service.write(chunk);
        written += chunk.byteLength;
      }
    })().catch(() => {});
    for (let i = 0; i < 100; i++) await settle();
    const held = edge.lane.unacknowledged;
    const most = MAX_HELD + ACCESS_ANSWER_WINDOW + 2 * chunk.byteLength;
    assert.ok(held > 0 && held <= most, `${takes}: ${held} bytes are kept for it`);
    assert.ok(written <= most, `${takes}: ${written} bytes were taken of the connector`);
    assert.equal(guests.quiet, false);
    guests.cut(() => true, CLOSE.revoked, '');
  }
});

test('a guest that sends more than it has credit for, or opens streams, is closed', async () => {
  const { guests, socket } = await joined();
  const data = (bytes: number): ArrayBuffer => frame(DATA, 1, new Uint8Array(bytes)).buffer as ArrayBuffer;
  for (let sent = 0; sent <= ACCESS_WINDOW && socket.closed === null; sent += 65_536)
    guests.message(guests.laneOf(socket)!, data(65_536));
  assert.equal(socket.closed?.[0], CLOSE.limit);
  const other = await joined();
  other.guests.message(
    other.guests.laneOf(other.socket)!,
    frame(OPEN, 2, new Uint8Array([3, 0])).buffer as ArrayBuffer,
  );
  assert.equal(other.socket.closed?.[0], CLOSE.malformed);
});

test('sockets sleep with the object, and those of a connector that is gone are closed', async () => {
  const { context, connectors, guests, socket, service } = await joined();
  const far = new Far();
  wire(guests, socket, far);
  await service.write(new TextEncoder().encode('before;'));
  await settle();
  assert.equal(guests.quiet, true);
  guests.save();
  const woken = new Guests(context, connectors);
  assert.deepEqual([woken.count, woken.streams], [1, 1]);
  await service.write(new TextEncoder().encode('after'));
  await settle();
  assert.equal(far.text, 'before;after');
  const nobody = new Guests(context, { get: () => null } as unknown as EdgeLanes);
  assert.deepEqual([nobody.count, socket.closed?.[0]], [0, CLOSE.gone]);
});

test('an ACK of what was never sent is refused', async () => {
  const { guests, socket } = await joined();
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setFloat64(0, 1e9);
  guests.message(guests.laneOf(socket)!, frame(ACK, 0, payload).buffer as ArrayBuffer);
  assert.equal(socket.closed?.[0], CLOSE.malformed);
});

test('what all guests of a session cost is bounded, and who costs most goes', async () => {
  const { guests, connectorLane } = setUp();
  const enter = (): FakeSocket => {
    const [socket, guest] = [new FakeSocket(), guestOf()];
    guests.arrive(guest);
    assert.ok(guests.accept(socket, guest, visit, connectorLane.open(new Uint8Array([1])), null));
    return socket;
  };
  const small = enter();
  // To a service that takes nothing.
  const full = frame(DATA, 1, new Uint8Array(65_536)).buffer as ArrayBuffer;
  const sockets = Array.from({ length: MAX_GUESTS_HELD / STREAM_WINDOW + 64 }, enter);
  guests.message(guests.laneOf(small)!, frame(DATA, 1, new Uint8Array(5000)).buffer as ArrayBuffer);
  for (const socket of sockets)
    for (let sent = 0; sent < STREAM_WINDOW && socket.closed === null; sent += 65_536) {
      guests.message(guests.laneOf(socket)!, full);
      await settled();
    }
  const closed = sockets.filter((socket) => socket.closed !== null);
  assert.ok(closed.length > 0 && closed.length < 64, `${closed.length} were let go`);
  for (const socket of closed) assert.equal(socket.closed![0], CLOSE.limit);
  assert.deepEqual([small.closed, guests.count], [null, sockets.length - closed.length + 1]);
  // What went is given back.
  guests.cut(() => true, CLOSE.revoked, '');
  const next = enter();
  guests.message(guests.laneOf(next)!, full);
  assert.equal(next.closed, null);
});
