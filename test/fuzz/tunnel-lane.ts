/**
 * A hostile peer of a lane, in either role: sequences of frames that are sound, out of turn, or broken, with sockets that
 * drop and resume anywhere. Nothing but a FrameError comes out of the lane, what it sends are frames within the credit
 * that it was given, and what it holds and sends because of the peer stays within its limits. Once it is lost, no stream
 * and no write is left.
 */
import assert from 'node:assert/strict';
import { LANE_WINDOW, MAX_LANE_WINDOW, STREAM_WINDOW } from '../../src/tunnel/credit.ts';
import {
  ACK,
  ackFrame,
  DATA,
  END,
  frame,
  FrameError,
  GOAWAY,
  HEAD,
  OPEN,
  PING,
  PONG,
  readFrames,
  readWindow,
  reasonFrame,
  RESET,
  WINDOW,
  windowFrame,
} from '../../src/tunnel/frame.ts';
import { Lane, MAX_STREAMS } from '../../src/tunnel/lane.ts';
import { StreamReset, type TunnelStream } from '../../src/tunnel/stream.ts';
import { random, type Random } from './random.ts';
import { hostileBytes } from './tunnel-frame.ts';

const SLOWEST = 1000; // ms for one message
/**
 * Bytes that a lane may send for the bytes that it got, beside what the owner of streams writes: a refusal of a stream is
 * the dearest, RESET with its text for an OPEN of 12 bytes.
 */
const AMPLIFICATION = 6;
const CONTROL = (1 << RESET) | (1 << WINDOW) | (1 << ACK) | (1 << PING) | (1 << PONG);

class Side {
  readonly r: Random;
  readonly lane: Lane;
  readonly parity: number;
  readonly streams: TunnelStream[] = [];
  now = 1000;
  /** Bytes that came and that nobody has taken. */
  held = 0;
  granted = LANE_WINDOW;
  sentData = 0;
  control = 0;
  /** Bytes of messages that count for ACK. */
  sent = 0;
  at = 0; // of these, on the present socket
  peer: Peer | null = null;
  due: (() => void)[] = [];
  writes = 0;
  settled = 0;

  constructor(r: Random, role: 'edge' | 'connector') {
    this.r = r;
    this.parity = role === 'edge' ? 0 : 1;
    this.lane = new Lane({ role, now: () => this.now, onGoaway: () => {}, onStream: (stream) => this.own(stream) });
    this.attach(0);
  }

  attach(offset: number): boolean {
    this.at = offset;
    return this.lane.attach((message) => this.tell(message), offset);
  }

  tell(message: Uint8Array): void {
    const apart = [ACK, PING, PONG].includes(message[0]!);
    if (!apart) this.at += message.byteLength;
    if (!apart && this.at <= this.sent) return; // said again, for a peer that resumes
    this.sent = Math.max(this.sent, this.at);
    this.peer?.heard(message);
    readFrames(message, ({ type, payload }) => {
      if (type === DATA) this.sentData += payload.byteLength;
      if (((CONTROL >> type) & 1) === 1) this.control += 12 + payload.byteLength;
    });
  }

  /** Read from what goes over, so that a bit that was changed counts as well. */
  grantedBy(message: Uint8Array): void {
    readFrames(message, (one) => {
      if (one.type === WINDOW && one.stream === 0) this.granted += readWindow(one);
    });
  }

  own(stream: TunnelStream): void {
    this.streams.push(stream);
    const echoes = this.r.below(2) === 0;
    let bytes = 0;
    stream.onData = (chunk) => {
      bytes += chunk.byteLength;
      this.held += chunk.byteLength;
      this.due.push(() => {
        bytes -= chunk.byteLength;
        this.held -= chunk.byteLength;
        stream.consumed(chunk.byteLength);
        if (echoes) this.write(stream, chunk);
      });
    };
    stream.onHead = (payload) => {
      if (echoes && stream.open) this.act(() => stream.sendHead(payload.slice()));
    };
    stream.onEnd = () => void this.due.push(() => this.act(() => stream.end()));
    stream.onReset = () => ((this.held -= bytes), (bytes = 0));
  }

  /** What an owner of streams does, late or twice as well: its own faults come as plain errors, and end nothing. */
  act(action: () => void): void {
    try {
      action();
    } catch (error) {
      assert.ok(error instanceof StreamReset || /ended|under way|one write/.test(String(error)), String(error));
    }
  }

  write(stream: TunnelStream, bytes: Uint8Array): void {
    this.act(() => {
      const done = stream.write(bytes);
      this.writes++;
      const settle = (): void => void this.settled++;
      void done.then(settle, settle);
    });
  }

  consume(): void {
    for (const run of this.due.splice(0, this.r.below(this.due.length + 1))) run();
  }
}

/** What the peer knows, so that most of what it sends may be sent; the rest breaks a rule. */
class Peer {
  readonly r: Random;
  readonly side: Side;
  /** Streams that it may send on, and the bytes that it may still send on each. */
  readonly credit = new Map<number, number>();
  laneCredit = LANE_WINDOW;
  next: number;

  constructor(side: Side) {
    this.r = side.r;
    this.side = side;
    this.next = side.parity === 0 ? 2 : 1;
  }

  opened(id: number): void {
    this.credit.set(id, STREAM_WINDOW);
  }

  /** What the lane said, as the peer sees it. */
  heard(message: Uint8Array): void {
    readFrames(message, (one) => {
      const { type, stream } = one;
      if (type === OPEN) this.opened(stream);
      else if (type === RESET) this.credit.delete(stream);
      else if (type === WINDOW && stream === 0) this.laneCredit += readWindow(one);
      else if (type === WINDOW && this.credit.has(stream))
        this.credit.set(stream, this.credit.get(stream)! + readWindow(one));
    });
  }

  open(count: number): Uint8Array {
    return Buffer.concat(
      Array.from({ length: count }, () => {
        const id = this.next;
        this.next += 2 * (1 + this.r.below(2));
        this.opened(id);
        return frame(OPEN, id, new Uint8Array(this.r.below(40)));
      }),
    );
  }

  message(): Uint8Array {
    const { r, credit } = this;
    const ids = [...credit.keys()];
    const id = ids.length === 0 ? this.next : r.pick(ids);
    if (ids.length === 0) return this.open(1 + r.below(8));
    switch (r.below(12)) {
      case 0:
        return this.open(1 + r.below(3));
      case 1:
        // Many at once: the limit of streams.
        return this.open(r.below(20) === 0 ? 1 + r.below(1200) : 1);
      case 2:
      case 3:
      case 4:
      case 5: {
        const most = Math.min(credit.get(id)!, this.laneCredit, 65_536);
        const bytes = Math.min(most, r.below(3) === 0 ? 65_536 : r.below(3000));
        credit.set(id, credit.get(id)! - bytes);
        this.laneCredit -= bytes;
        return frame(DATA, id, new Uint8Array(bytes));
      }
      case 6:
        return frame(HEAD, id, new Uint8Array(r.below(40)));
      case 7:
        credit.delete(id);
        return frame(END, id, new Uint8Array(r.below(40)));
      case 8: {
        const bytes = 1 + r.below(r.below(20) === 0 ? 1 << 22 : STREAM_WINDOW);
        const stream = r.below(2) === 0 ? 0 : id;
        return windowFrame(stream, bytes);
      }
      case 9:
        credit.delete(id);
        return reasonFrame(RESET, id, r.below(9), 'why');
      case 10:
        return ackFrame(this.side.sent);
      default:
        if (r.below(20) === 0) return reasonFrame(GOAWAY, 0, 1, 'bye');
        return Buffer.concat(Array.from({ length: 1 + r.below(50) }, () => frame(PING, 0, new Uint8Array(8))));
    }
  }

  /** One that breaks a rule, or is at the edge of one. */
  broken(): Uint8Array {
    const { r } = this;
    const id = r.below(40);
    switch (r.below(9)) {
      case 0:
        return frame(OPEN, id);
      case 1:
        return Buffer.concat(Array.from({ length: 1 + r.below(8) }, () => frame(DATA, id, new Uint8Array(65_536))));
      case 2:
        return frame(r.pick([HEAD, END, DATA]), id, new Uint8Array(r.below(40)));
      case 3:
        return windowFrame(id, r.bits());
      case 4:
        return ackFrame(r.bits());
      case 5:
        return frame(PONG, 0, new Uint8Array(r.pick([0, 8, 8, 9])));
      case 6:
        return Buffer.concat([this.message(), this.message()]);
      case 7:
        return frame(PING, 0, new Uint8Array(r.below(2000)));
      default:
        return hostileBytes(r, this.message());
    }
  }
}

/** One lane's life; how many messages it took. */
async function life(r: Random): Promise<number> {
  const side = new Side(r, r.pick(['edge', 'connector'] as const));
  const { lane } = side;
  const peer = new Peer(side);
  side.peer = peer;
  let steps = 0;
  for (; steps < 200; steps++) {
    side.now += r.below(40);
    const message = r.below(60) === 0 ? peer.broken() : peer.message();
    const began = performance.now();
    const before = side.control;
    try {
      if (lane.attached) {
        side.grantedBy(message);
        lane.receive(message);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      assert.ok(error.code >= 4400 && error.code < 4600 && Buffer.byteLength(error.message) <= 123, error.message);
      break; // the socket would be closed with it
    }
    const took = performance.now() - began;
    assert.ok(took < SLOWEST, `${took.toFixed(0)} ms for ${message.byteLength} bytes`);
    if (r.below(2) === 0) await Promise.resolve();
    if (r.below(3) > 0) side.consume();
    assert.ok(lane.size <= MAX_STREAMS);
    assert.ok(side.held <= MAX_LANE_WINDOW, `${side.held} bytes held`);
    assert.ok(side.sentData <= side.granted, 'no more than the credit');
    const answered = side.control - before;
    assert.ok(
      answered <= AMPLIFICATION * (message.byteLength + 100_000),
      `${answered} bytes for ${message.byteLength}`,
    );
    if (r.below(4) === 0 && lane.accepting) side.own(lane.open(new Uint8Array(r.below(100))));
    const one = side.streams[r.below(side.streams.length)];
    if (one !== undefined) {
      if (r.below(3) === 0) side.write(one, new Uint8Array(r.below(100_000)));
      if (r.below(30) === 0) side.act(() => one.reset(1, 'enough'));
    }
    if (r.below(20) === 0) lane.detach();
    if (!lane.attached && r.below(2) === 0) {
      // A peer that resumes says what it likes.
      const honest = r.below(10) > 0;
      if (!side.attach(honest ? side.sent : r.below(2) * r.bits())) {
        assert.ok(!honest, 'the lane can go on');
        break;
      }
    }
    if (r.below(300) === 0) lane.goaway(1, 'drain');
  }
  lane.lose('over');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(lane.size, 0);
  assert.equal(side.settled, side.writes, 'no write is left waiting');
  assert.ok(side.streams.every((stream) => !stream.open));
  return steps;
}

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (let round = seed; performance.now() < until; round++) {
    try {
      cases += await life(random(round));
    } catch (error) {
      console.error(`seed ${round}`);
      throw error;
    }
  }
  return cases;
}
