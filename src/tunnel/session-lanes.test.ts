import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSocket } from '../../test/support/lane-pair.ts';
import { CLOSE, frame, GOAWAY, OPEN, PING, readFrames, reasonFrame, RESET_CODE } from './frame.ts';
import { MAX_STREAMS } from './lane.ts';
import { type LaneRequest, sessionOfLane } from './objects.ts';
import {
  EdgeLanes,
  type HibernatingSocket,
  MAX_LANES,
  MUTE,
  MAX_UNSENT,
  MISSED,
  SILENT,
  type SocketContext,
} from './session-lanes.ts';
import { readWelcome, writeResume } from './welcome.ts';

/** A connector's socket at the edge. */
class LaneSocket extends FakeSocket {
  get welcome() {
    return readWelcome(String(this.sent.find((message) => typeof message === 'string')));
  }
  /** Frames of the types that are given. */
  frames(type: number): number {
    let count = 0;
    for (const message of this.sent)
      if (typeof message !== 'string') readFrames(message, (one) => void (one.type === type && count++));
    return count;
  }
}

class FakeContext implements SocketContext {
  sockets: LaneSocket[] = [];
  acceptWebSocket(socket: HibernatingSocket): void {
    this.sockets.push(socket as LaneSocket);
  }
  getWebSockets(): HibernatingSocket[] {
    return this.sockets; // also those whose peers have not answered a close, as the runtime does
  }
  getWebSocketAutoResponseTimestamp(socket: HibernatingSocket): Date | null {
    const { pinged } = socket as LaneSocket;
    return pinged === 0 ? null : new Date(pinged);
  }
}

const request = (more: Partial<LaneRequest> = {}): LaneRequest => ({
  ...{
    tunnel: 't',
    project: 'p',
    connector: 'c',
    generation: 1,
    expires: Date.now() + 3_600_000,
    peer: '',
    resume: '',
  },
  ...{ url: '', sessions: 1, session: 0, returns: false, ...more },
});

/** What a connector sends once it has the welcome. */
const GREETING = frame(PING, 0, new Uint8Array(8)).buffer as ArrayBuffer;

function joined(lanes: EdgeLanes, more: Partial<LaneRequest> = {}, socket = new LaneSocket()) {
  const edge = lanes.accept(socket, request(more));
  assert.ok(edge !== null);
  lanes.message(edge, GREETING);
  return { edge, socket };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a lane is used once its connector has spoken, and while its rights last', () => {
  const lanes = new EdgeLanes(new FakeContext());
  const socket = new LaneSocket();
  const edge = lanes.accept(socket, request());
  assert.equal(socket.welcome.resumed, false);
  assert.equal(lanes.pick(null, false), null);
  lanes.message(edge!, GREETING);
  assert.equal(lanes.pick(null, false), edge);
  assert.equal(lanes.pick(new Set([edge!]), false), null);
  const short = joined(new EdgeLanes(new FakeContext()), { expires: Date.now() - 1 });
  assert.equal(short.edge.isUsable(Date.now()), false);
});

test('what may be sent twice goes before the connector has spoken, if there is no other', async () => {
  const lanes = new EdgeLanes(new FakeContext());
  const socket = new LaneSocket();
  const early = lanes.accept(socket, request())!;
  assert.equal(lanes.pick(null, true), early);
  const stream = early.lane.open(new Uint8Array([1]));
  await turn();
  // Behind the welcome.
  assert.deepEqual([typeof socket.sent[0], socket.frames(OPEN)], ['string', 1]);
  const spoken = joined(lanes).edge;
  spoken.lane.open(new Uint8Array([1]));
  for (let i = 0; i < 20; i++) assert.equal(lanes.pick(null, true), spoken);
  // Its connector may not know that there was a lane, so nothing waits for a resume.
  let lost = -1;
  stream.onReset = ({ code }) => (lost = code);
  lanes.dropped(socket);
  assert.deepEqual([lanes.count, lost], [1, RESET_CODE.lost]);
});

test('who waits for a connector that never speaks is asked of the next one', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lanes = new EdgeLanes(new FakeContext());
  const mute = lanes.accept(new LaneSocket(), request())!;
  let moved = 0;
  mute.movable.add(() => void moved++);
  t.mock.timers.tick(200);
  assert.deepEqual([moved, lanes.pick(null, true)], [0, null]);
  const slow = lanes.accept(new LaneSocket(), request())!;
  assert.deepEqual([moved, lanes.pick(null, true)], [1, slow]);
  // One that spoke in time keeps what it has.
  slow.movable.add(() => void moved++);
  mute.movable.clear();
  lanes.message(slow, GREETING);
  joined(lanes);
  t.mock.timers.tick(200);
  assert.equal(moved, 1);
});

test('a connector that says nothing is closed, and what was opened to it is lost', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lanes = new EdgeLanes(new FakeContext());
  const [mute, spoken] = [new LaneSocket(), new LaneSocket()];
  const stream = lanes.accept(mute, request())!.lane.open(new Uint8Array([1]));
  lanes.message(lanes.accept(spoken, request())!, GREETING);
  let lost = -1;
  stream.onReset = ({ code }) => (lost = code);
  t.mock.timers.tick(200);
  t.mock.timers.tick(MUTE - 201);
  assert.deepEqual([mute.closed, lost], [null, -1]);
  t.mock.timers.tick(1);
  assert.deepEqual([mute.closed?.[0], lost, spoken.closed], [CLOSE.silent, RESET_CODE.lost, null]);
  assert.equal(lanes.count, 1);
});

test('the less busy of two takes a stream; one that drains takes none', () => {
  const lanes = new EdgeLanes(new FakeContext());
  const one = joined(lanes).edge;
  const other = joined(lanes).edge;
  one.lane.open(new Uint8Array([1]));
  for (let i = 0; i < 20; i++) assert.equal(lanes.pick(null, false), other);
  lanes.message(other, reasonFrame(GOAWAY, 0, CLOSE.draining, 'restart').buffer as ArrayBuffer);
  for (let i = 0; i < 20; i++) assert.equal(lanes.pick(null, false), one);
});

test(`more than ${MAX_LANES} sockets are refused`, () => {
  const lanes = new EdgeLanes(new FakeContext());
  for (let i = 0; i < MAX_LANES; i++) joined(lanes);
  assert.equal(lanes.accept(new LaneSocket(), request()), null);
  assert.equal(lanes.count, MAX_LANES);
});

test('a fault closes the socket with its code, and the lane is gone', () => {
  const lanes = new EdgeLanes(new FakeContext());
  const cases: [string | ArrayBuffer, number][] = [
    ['a text', CLOSE.malformed],
    [new ArrayBuffer(3), CLOSE.malformed],
    [frame(OPEN, 2, new Uint8Array([3, 0])).buffer as ArrayBuffer, CLOSE.malformed],
    [new ArrayBuffer(1_048_577), CLOSE.limit],
  ];
  for (const [message, code] of cases) {
    const { edge, socket } = joined(lanes);
    lanes.message(edge, message);
    assert.equal(socket.closed?.[0], code);
    assert.equal(lanes.laneOf(socket), null);
  }
  assert.equal(lanes.count, 0);
});

test('silence and expiry end a lane; a ping that nobody saw does not', () => {
  const lanes = new EdgeLanes(new FakeContext());
  const now = Date.now();
  const silent = joined(lanes).socket;
  const pinged = joined(lanes).socket;
  pinged.pinged = now + SILENT;
  const expired = joined(lanes, { expires: now + 1000 }).socket;
  lanes.check(now + SILENT - 100);
  assert.deepEqual([silent.closed, pinged.closed, expired.closed?.[0]], [null, null, CLOSE.unauthorised]);
  lanes.check(now + SILENT + 100);
  assert.deepEqual([silent.closed?.[0], pinged.closed], [CLOSE.silent, null]);
});

test('a dropped socket: what is idle is gone, what has streams waits for a resume by the same key', async () => {
  const lanes = new EdgeLanes(new FakeContext());
  const idle = joined(lanes).socket;
  lanes.dropped(idle);
  assert.equal(lanes.count, 0);

  const { edge, socket } = joined(lanes);
  const stream = edge.lane.open(new Uint8Array([1]));
  await turn();
  const { lane, token } = socket.welcome;
  lanes.dropped(socket);
  assert.deepEqual([lanes.count, lanes.pick(null, false)], [1, null]);
  for (const more of [
    { connector: 'another' },
    { project: 'another' },
    { resume: writeResume({ lane, token: 'guessed', received: 0 }) },
  ]) {
    const thief = new LaneSocket();
    lanes.accept(thief, request({ resume: writeResume({ lane, token, received: 0 }), ...more }));
    assert.equal(thief.welcome.resumed, false);
    lanes.dropped(thief);
  }
  const next = new LaneSocket();
  assert.equal(lanes.accept(next, request({ resume: writeResume({ lane, token, received: 0 }) })), edge);
  assert.equal(next.welcome.resumed, true);
  // The welcome is first, then what the connector lacks: the OPEN.
  assert.equal(typeof next.sent[0], 'string');
  assert.equal(next.frames(OPEN), 1);
  assert.ok(stream.open);
  stream.reset(1);
});

test('a connector is expected back for a while, and for as long as one that drains is there', () => {
  const lanes = new EdgeLanes(new FakeContext());
  assert.equal(lanes.isExpected(Date.now()), false);
  const { edge, socket } = joined(lanes);
  lanes.message(edge, reasonFrame(GOAWAY, 0, CLOSE.draining, 'restart').buffer as ArrayBuffer);
  assert.equal(lanes.pick(null, false), null);
  assert.equal(lanes.isExpected(Date.now() + 10 * MISSED), true);
  lanes.dropped(socket);
  const gone = lanes.presentAt;
  assert.deepEqual([lanes.isExpected(gone + MISSED - 1), lanes.isExpected(gone + MISSED)], [true, false]);
  // One that is full is no reason to wait: others may have room.
  const full = joined(lanes).edge;
  for (let i = 0; i < MAX_STREAMS; i++) full.lane.open(new Uint8Array([1]));
  assert.equal(lanes.pick(null, false), null);
  assert.equal(lanes.isExpected(Date.now() + 10 * MISSED), false);
});

test('rights that expired end no stream of who comes back with others', async () => {
  const lanes = new EdgeLanes(new FakeContext());
  const now = Date.now();
  const { edge, socket } = joined(lanes, { expires: now + 1000 });
  const stream = edge.lane.open(new Uint8Array([1]));
  await turn();
  const { lane, token } = socket.welcome;
  lanes.check(now + 1001);
  assert.deepEqual([socket.closed?.[0], stream.open, lanes.pick(null, false)], [CLOSE.unauthorised, true, null]);
  const next = new LaneSocket();
  const resume = writeResume({ lane, token, received: 0 });
  assert.equal(lanes.accept(next, request({ resume, expires: now + 5000, generation: 7 })), edge);
  lanes.check(now + 1001);
  assert.deepEqual([next.closed, stream.open, edge.request.generation], [null, true, 7]);
  assert.ok(edge.isUsable(now + 4999) && !edge.isUsable(now + 5000));
  stream.reset(1);
});

test('rights are replaced while the socket is there, and nothing is sent twice', async () => {
  const lanes = new EdgeLanes(new FakeContext());
  const { edge, socket } = joined(lanes, { expires: Date.now() + 1000 });
  const stream = edge.lane.open(new Uint8Array([1]));
  await turn();
  const next = new LaneSocket();
  const resume = writeResume({ ...socket.welcome, received: 13 }); // the OPEN
  lanes.accept(next, request({ resume }));
  assert.ok(socket.closed !== null);
  // The one that was replaced says that it has gone, and that is of no matter.
  lanes.dropped(socket);
  assert.deepEqual([next.welcome.resumed, next.frames(OPEN)], [true, 0]);
  assert.deepEqual([next.closed, stream.open, lanes.pick(null, false)], [null, true, edge]);
  stream.reset(1);
});

test('a resume at an offset that was never sent is a new lane', async () => {
  const lanes = new EdgeLanes(new FakeContext());
  const { edge, socket } = joined(lanes);
  const stream = edge.lane.open(new Uint8Array([1]));
  let lost = '';
  stream.onReset = ({ message }) => (lost = message);
  await turn();
  const { lane, token } = socket.welcome;
  const next = new LaneSocket();
  lanes.accept(next, request({ resume: writeResume({ lane, token, received: 1e9 }) }));
  assert.deepEqual([next.welcome.resumed, socket.closed !== null], [false, true]);
  assert.match(lost, /could not be resumed/);
});

test('a socket that belongs to another session resumes its lane, or is not let in', async () => {
  const lanes = new EdgeLanes(new FakeContext());
  const { edge, socket } = joined(lanes, { session: 2 });
  assert.equal(sessionOfLane(edge.id), 2);
  edge.lane.open(new Uint8Array([1]));
  await turn();
  lanes.dropped(socket);
  const resume = (received: number) => writeResume({ ...socket.welcome, received });
  assert.equal(lanes.accept(new LaneSocket(), request({ returns: true, resume: '9_x.y.0' })), null);
  assert.equal(lanes.accept(new LaneSocket(), request({ returns: true, resume: resume(0) })), edge);
  assert.equal(lanes.accept(new LaneSocket(), request({ returns: true, resume: resume(1e9) })), null);
  assert.equal(lanes.count, 0);
});

test('lanes sleep with the object and go on', async () => {
  const context = new FakeContext();
  const before = new EdgeLanes(context);
  const { edge, socket } = joined(before, { sessions: 3 });
  edge.lane.open(new Uint8Array([1])).reset(1);
  await turn();
  before.saveAll();
  const after = new EdgeLanes(context);
  const woken = after.laneOf(socket);
  assert.ok(woken !== null && woken !== edge);
  assert.deepEqual([woken.id, woken.token, after.sessions], [edge.id, edge.token, 3]);
  assert.equal(after.pick(null, false), woken);
  // Its ids go on too: 1 was used.
  assert.equal(woken.lane.open(new Uint8Array([1])).id, 3);
});

test('who waits is woken by a connector, and forgotten when time is up', async () => {
  const lanes = new EdgeLanes(new FakeContext());
  const waiting = lanes.wait(60_000);
  assert.equal(lanes.waiting, 1);
  joined(lanes);
  await waiting;
  await lanes.wait(1);
  assert.equal(lanes.waiting, 0);
  const gone = new AbortController();
  const left = lanes.wait(60_000, gone.signal);
  assert.equal(lanes.waiting, 1);
  gone.abort();
  await left;
  assert.equal(lanes.waiting, 0);
});

test('a connector that reads nothing of what it asks for is closed at the limit', async () => {
  const { edge, socket } = joined(new EdgeLanes(new FakeContext()));
  socket.bufferedAmount = MAX_UNSENT;
  edge.lane.open(new Uint8Array(2));
  await turn();
  assert.deepEqual([socket.frames(OPEN), socket.closed], [1, null]);
  socket.bufferedAmount = MAX_UNSENT + 1;
  edge.lane.open(new Uint8Array(2));
  await turn();
  assert.deepEqual([socket.frames(OPEN), socket.closed?.[0]], [1, CLOSE.limit]);
});

test('a socket that was closed and does not answer is no lane again when the object wakes', async () => {
  const context = new FakeContext();
  const lanes = new EdgeLanes(context);
  const { edge, socket } = joined(lanes);
  edge.lane.open(new Uint8Array([1]));
  lanes.saveAll();
  // The network changed: nobody hears the close of the first socket.
  const { id, token } = edge;
  const second = new LaneSocket();
  const received = socket.sent.reduce(
    (sum, sent) => sum + (typeof sent !== 'string' && sent[0] === OPEN ? sent.byteLength : 0),
    0,
  );
  assert.equal(lanes.accept(second, request({ resume: writeResume({ lane: id, token, received }) })), edge);
  const revoked = joined(lanes);
  lanes.close(revoked.edge, CLOSE.revoked, 'the capability was revoked');
  lanes.saveAll();
  const woken = new EdgeLanes(context);
  assert.deepEqual([woken.count, woken.laneOf(socket), woken.laneOf(revoked.socket)], [1, null, null]);
  // Minutes later the first connection is given up.
  woken.dropped(socket);
  assert.equal(woken.pick(null, false)?.socket, second);
});
