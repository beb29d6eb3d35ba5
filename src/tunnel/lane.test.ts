import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LANE_WINDOW, STALLED, STREAM_WINDOW } from './credit.ts';
import {
  ACK,
  CLOSE,
  DATA,
  END,
  frame,
  FrameError,
  HEAD,
  OPEN,
  PING,
  PONG,
  readFrames,
  readReason,
  RESET,
  RESET_CODE,
  windowFrame,
} from './frame.ts';
import { Lane, MAX_STREAMS, type LaneOptions } from './lane.ts';
import type { StreamReset, TunnelStream } from './stream.ts';

/** Two lanes with a wire between them that can be cut; messages travel when `deliver` is called. */
class Pair {
  readonly edge: Lane;
  readonly connector: Lane;
  readonly accepted: TunnelStream[] = [];
  now = 1000;
  #toEdge: Uint8Array[] = [];
  #toConnector: Uint8Array[] = [];

  constructor(accept: (stream: TunnelStream, payload: Uint8Array) => void = () => {}) {
    const options = (role: LaneOptions['role']): LaneOptions => ({
      role,
      now: () => this.now,
      onGoaway: () => {},
      onStream: (stream, payload) => {
        this.accepted.push(stream);
        accept(stream, payload);
      },
    });
    this.edge = new Lane(options('edge'));
    this.connector = new Lane(options('connector'));
    this.join();
  }

  join(): boolean {
    this.#toEdge = [];
    this.#toConnector = [];
    const [edgeHas, connectorHas] = [this.edge.received, this.connector.received];
    const one = this.edge.attach((message) => this.#toConnector.push(message.slice()), connectorHas);
    return this.connector.attach((message) => this.#toEdge.push(message.slice()), edgeHas) && one;
  }

  cut(): void {
    this.edge.detach();
    this.connector.detach();
  }

  /** Delivers up to `most` messages in either direction; how many there were. */
  async deliver(most = Infinity): Promise<number> {
    let count = 0;
    await settle();
    while (count < most && this.edge.attached && this.#toEdge.length + this.#toConnector.length > 0) {
      const one = this.#toConnector.shift();
      if (one !== undefined) this.connector.receive(one);
      const other = this.#toEdge.shift();
      if (other !== undefined) this.edge.receive(other);
      count++;
      this.now++;
      await settle();
    }
    return count;
  }

  get inFlight(): number {
    return [...this.#toEdge, ...this.#toConnector].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

test('a request and its response', async () => {
  const seen: string[] = [];
  const pair = new Pair((stream, payload) => {
    seen.push(`open ${Buffer.from(payload).toString()}`);
    stream.onData = (chunk) => {
      seen.push(`data ${Buffer.from(chunk).toString()}`);
      stream.consumed(chunk.byteLength);
    };
    stream.onEnd = () => {
      stream.sendHead(text('200'));
      void stream.write(text('answer')).then(() => stream.end(text('trailers')));
    };
  });
  const stream = pair.edge.open(text('GET /'));
  stream.onHead = (head) => seen.push(`head ${Buffer.from(head).toString()}`);
  stream.onData = (chunk) => seen.push(`data ${Buffer.from(chunk).toString()}`);
  stream.onEnd = (trailers) => seen.push(`end ${Buffer.from(trailers).toString()}`);
  await stream.write(text('question'));
  stream.end();
  await pair.deliver();
  assert.deepEqual(seen, ['open GET /', 'data question', 'head 200', 'data answer', 'end trailers']);
  assert.deepEqual([pair.edge.size, pair.connector.size, stream.open], [0, 0, false]);
});

test('a consumer that takes nothing costs a window, of the stream and of the lane', async () => {
  const pair = new Pair();
  const total = LANE_WINDOW / STREAM_WINDOW + 2;
  const written: number[] = [];
  for (let i = 0; i < total; i++) {
    const stream = pair.edge.open(text(String(i)));
    void stream.write(new Uint8Array(4 * STREAM_WINDOW)).then(() => written.push(i));
  }
  let held = 0;
  await settle();
  assert.ok(pair.inFlight <= LANE_WINDOW + 65_536, `${pair.inFlight} bytes`);
  const arrived = new Map<number, number>();
  await pair.deliver(1);
  for (const stream of pair.accepted) {
    stream.onData = (chunk) => {
      held += chunk.byteLength;
      arrived.set(stream.id, (arrived.get(stream.id) ?? 0) + chunk.byteLength);
    };
  }
  await pair.deliver();
  assert.ok(held <= LANE_WINDOW);
  for (const bytes of arrived.values()) assert.ok(bytes <= STREAM_WINDOW);
  assert.deepEqual(written, []);
});

for (const count of [7, 8, 9, 10, 12, 16, 40, 1000])
  test(`${count} consumers that take nothing leave room for others`, async () => {
    const pair = new Pair();
    for (let i = 0; i < count; i++) void pair.edge.open(text('stalled')).write(new Uint8Array(4 * STREAM_WINDOW));
    await pair.deliver();
    assert.ok(pair.edge.credit > 0);
    // One after the other, each larger than what is left, by a consumer that takes what comes.
    for (let round = 0; round < 3; round++) {
      const stream = pair.edge.open(text('read'));
      await pair.deliver(1);
      const other = pair.accepted.at(-1)!;
      let got = 0;
      other.onData = (chunk) => {
        got += chunk.byteLength;
        other.consumed(chunk.byteLength);
      };
      let done = false;
      void stream.write(new Uint8Array(300_000)).then(() => (done = true));
      for (let idle = 0; idle < 3;) idle = (await pair.deliver()) === 0 ? idle + 1 : 0;
      assert.deepEqual([got, done], [300_000, true]);
      stream.reset(RESET_CODE.cancelled);
      await pair.deliver();
    }
  });

test('who takes nothing for long is ended while the lane is short, and by its owner seen to be', async () => {
  const pair = new Pair();
  const codes: number[] = [];
  for (let i = 0; i < 40; i++) {
    const stream = pair.edge.open(text('stalled'));
    stream.onReset = ({ code }) => codes.push(code);
    stream.write(new Uint8Array(4 * STREAM_WINDOW)).catch(() => {});
  }
  await pair.deliver();
  let told = 0;
  for (const stream of pair.accepted) stream.onReset = () => told++;
  const [reader] = pair.accepted as [TunnelStream];
  pair.now += STALLED - 1000;
  pair.connector.relieve();
  assert.equal(told, 0);
  reader.consumed(1);
  pair.now += 2000;
  pair.connector.relieve();
  await pair.deliver();
  assert.deepEqual([told, codes.length, codes[0]], [39, 39, RESET_CODE.cancelled]);
  assert.ok(reader.open);
  // With room for all nobody is ended for reading slowly.
  pair.now += 10 * STALLED;
  pair.connector.relieve();
  assert.ok(reader.open);
});

for (const grows of [true, false])
  test(`windows that ${grows ? 'grew' : 'did not grow'} and whose readers then stall take no more than their share`, async () => {
    const pair = new Pair();
    // Every grant comes soon, so windows double; or none does.
    Object.defineProperty(pair.connector, 'roundTrip', { get: () => (grows ? 1e6 : 0), set: () => {} });
    const grown = Array.from({ length: 12 }, () => pair.edge.open(text('grown')));
    await pair.deliver();
    let reading = true;
    for (const stream of pair.accepted) stream.onData = (chunk) => reading && stream.consumed(chunk.byteLength);
    for (const stream of grown) {
      void stream.write(new Uint8Array(40_000_000)).catch(() => {});
      await pair.deliver(60);
    }
    reading = false;
    await pair.deliver();
    assert.ok(pair.edge.credit > 0, 'something is left');
    const last = pair.edge.open(text('last'));
    await pair.deliver(1);
    const other = pair.accepted.at(-1)!;
    let got = 0;
    other.onData = (chunk) => {
      got += chunk.byteLength;
      other.consumed(chunk.byteLength);
    };
    const written = last.write(new Uint8Array(500_000));
    for (let idle = 0; idle < 3;) idle = (await pair.deliver()) === 0 ? idle + 1 : 0;
    assert.equal(got, 500_000);
    await written;
  });

test('streams that are reset give the lane its credit back', async () => {
  const pair = new Pair();
  for (let round = 0; round < 20; round++) {
    const stream = pair.edge.open(text('x'));
    const write = stream.write(new Uint8Array(2 * STREAM_WINDOW)).catch((error: StreamReset) => error.code);
    await pair.deliver();
    pair.accepted.at(-1)!.reset(RESET_CODE.cancelled, 'enough');
    await pair.deliver();
    assert.equal(await write, RESET_CODE.cancelled);
  }
  const last = pair.edge.open(text('y'));
  let got = 0;
  await pair.deliver();
  const other = pair.accepted.at(-1)!;
  other.onData = (chunk) => {
    got += chunk.byteLength;
    other.consumed(chunk.byteLength);
  };
  const done = last.write(new Uint8Array(LANE_WINDOW));
  await pair.deliver();
  await done;
  assert.equal(got, LANE_WINDOW);
});

test('too many streams are refused one by one; a lane that drains takes none', async () => {
  const pair = new Pair();
  const streams = Array.from({ length: MAX_STREAMS }, () => pair.edge.open(text('')));
  assert.equal(pair.edge.accepting, false);
  assert.throws(() => pair.edge.open(text('')));
  await pair.deliver();
  const reset: StreamReset[] = [];
  streams[0]!.onReset = (error) => reset.push(error);
  pair.connector.goaway(1, 'restart');
  await pair.deliver();
  assert.equal(pair.edge.accepting, false);
  pair.edge.lose('gone');
  assert.deepEqual([pair.edge.size, reset[0]?.code], [0, RESET_CODE.lost]);

  // A peer that does not keep to it: frames made by hand.
  const { connector } = new Pair();
  const answers: Uint8Array[] = [];
  connector.attach((message) => answers.push(message));
  for (let i = 0; i <= MAX_STREAMS; i++) connector.receive(frame(OPEN, 2 * i + 1));
  await settle();
  assert.equal(connector.size, MAX_STREAMS);
  const refusals: unknown[] = [];
  for (const message of answers)
    readFrames(message, (one) => one.type === RESET && refusals.push([one.stream, readReason(one).code]));
  assert.deepEqual(refusals, [[2 * MAX_STREAMS + 1, RESET_CODE.refused]]);
});

test('what breaks the rules is a FrameError with its code', () => {
  const fails = (code: number, ...messages: Uint8Array[]): void => {
    const { connector } = new Pair();
    assert.throws(
      () => messages.forEach((message) => connector.receive(message)),
      (error) => error instanceof FrameError && error.code === code,
    );
  };
  const open = frame(OPEN, 1);
  fails(CLOSE.malformed, frame(DATA, 1, text('x')));
  fails(CLOSE.malformed, frame(OPEN, 2));
  fails(CLOSE.malformed, open, open);
  fails(CLOSE.malformed, frame(OPEN, 3), open);
  fails(CLOSE.malformed, open, frame(END, 1), frame(DATA, 1, text('x')));
  fails(CLOSE.malformed, open, frame(END, 1), frame(END, 1));
  fails(CLOSE.malformed, open, frame(END, 1), frame(HEAD, 1));
  fails(CLOSE.malformed, frame(END, 2));
  fails(CLOSE.malformed, frame(ACK, 0, new Uint8Array([0x40, 0x59, 0, 0, 0, 0, 0, 0])));
  fails(CLOSE.malformed, Buffer.concat([frame(PING, 0, new Uint8Array(8)), open]));
  fails(CLOSE.malformed, Buffer.concat([open, frame(PING, 0, new Uint8Array(8))]));
  fails(CLOSE.malformed, frame(PONG, 0, text('x')));
  fails(CLOSE.malformed, windowFrame(0, 0x7fff_ffff));
  const chunk = frame(DATA, 1, new Uint8Array(65_536));
  const fill = Array.from({ length: STREAM_WINDOW / 65_536 }, () => chunk);
  fails(CLOSE.limit, open, ...fill, frame(DATA, 1, text('x')));
  new Pair().connector.receive(Buffer.concat([open, ...fill]));
});

test('a socket that drops at any moment loses, doubles and reorders nothing', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('write' as const), stream: fc.nat(3), bytes: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ do: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant('cut' as const) }),
    fc.record({ do: fc.constant('consume' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      // The peer echoes what it gets, and takes its time.
      let pending: (() => void)[] = [];
      const pair = new Pair((stream) => {
        let tail = Promise.resolve();
        stream.onData = (chunk) => {
          pending.push(() => {
            stream.consumed(chunk.byteLength);
            tail = tail.then(() => stream.write(chunk));
          });
        };
        stream.onEnd = () => pending.push(() => void tail.then(() => stream.end()));
      });
      const streams = Array.from({ length: 4 }, () => {
        const stream = pair.edge.open(text('echo'));
        const state = { stream, sent: 0, got: 0, ended: false, tail: Promise.resolve() };
        stream.onData = (chunk) => {
          for (const byte of chunk) assert.equal(byte, state.got++ % 251);
          pending.push(() => stream.consumed(chunk.byteLength));
        };
        stream.onEnd = () => (state.ended = true);
        return state;
      });
      const consume = (): void => {
        const due = pending;
        pending = [];
        for (const run of due) run();
      };
      for (const one of steps) {
        if (one.do === 'write') {
          const state = streams[one.stream]!;
          const bytes = Uint8Array.from({ length: one.bytes }, () => state.sent++ % 251);
          state.tail = state.tail.then(() => state.stream.write(bytes));
        } else if (one.do === 'deliver') await pair.deliver(one.count);
        else if (one.do === 'consume') consume();
        else {
          pair.cut();
          assert.ok(pair.join());
        }
      }
      for (const state of streams) state.tail = state.tail.then(() => state.stream.end());
      for (let idle = 0; idle < 3;) {
        consume();
        idle = (await pair.deliver()) === 0 && pending.length === 0 ? idle + 1 : 0;
      }
      for (const { sent, got, ended } of streams) assert.deepEqual([got, ended], [sent, true]);
      assert.deepEqual([pair.edge.size, pair.connector.size], [0, 0]);
    }),
    { numRuns: 60 },
  );
});

test('a chunk that is kept holds little more than itself', async () => {
  const chunks: Uint8Array[] = [];
  const pair = new Pair((stream) => (stream.onData = (chunk) => void chunks.push(chunk)));
  const stream = pair.edge.open(new Uint8Array([1]));
  const other = pair.edge.open(new Uint8Array([1]));
  void other.write(new Uint8Array(60_000));
  void stream.write(new Uint8Array([7]));
  await pair.deliver();
  assert.deepEqual(
    chunks.map(({ byteLength }) => byteLength),
    [60_000, 1],
  );
  assert.ok(chunks[0]!.buffer.byteLength < 3 * 60_000);
  assert.equal(chunks[1]!.buffer.byteLength, 1);
});

test('an idle lane is continued by another one, with its streams and offsets', async () => {
  const pair = new Pair((stream) => {
    let tail = Promise.resolve();
    stream.onData = (chunk) => {
      stream.consumed(chunk.byteLength);
      tail = tail.then(() => stream.write(chunk));
    };
  });
  const first = pair.edge.open(new Uint8Array([1]));
  first.onData = (chunk) => first.consumed(chunk.byteLength);
  await first.write(new Uint8Array(100_000));
  await pair.deliver();
  const stream = first.snapshot();
  assert.ok(stream !== null);
  const snapshot = pair.edge.snapshot();
  const later = new Lane(
    { role: 'edge', now: () => pair.now, onGoaway: () => {}, onStream: () => assert.fail() },
    JSON.parse(JSON.stringify(snapshot)) as typeof snapshot,
  );
  const adopted = later.adopt(first.id, stream);
  let got = 0;
  adopted.onData = (chunk) => {
    got += chunk.byteLength;
    adopted.consumed(chunk.byteLength);
  };
  const toConnector: Uint8Array[] = [];
  assert.equal(
    later.attach((message) => toConnector.push(message), snapshot.sent),
    true,
  );
  assert.equal(later.received, pair.edge.received);
  const toEdge: Uint8Array[] = [];
  pair.connector.attach((message) => toEdge.push(message.slice()), later.received);
  // More than both windows: credit goes on as well as bytes do.
  let sent = 0;
  const write = (async () => {
    for (; sent < 6_000_000; sent += 60_000) await adopted.write(new Uint8Array(60_000));
  })();
  for (let idle = 0; idle < 20;) {
    await new Promise((resolve) => setImmediate(resolve));
    const [down, up] = [toConnector.shift(), toEdge.shift()];
    if (down !== undefined) pair.connector.receive(down);
    if (up !== undefined) later.receive(up);
    idle = down === undefined && up === undefined ? idle + 1 : 0;
  }
  await write;
  assert.equal(got, 6_000_000);
  assert.ok(later.open(new Uint8Array([1])).id > first.id);
  assert.equal(later.snapshot().sent > snapshot.sent, true);
});

test('a DATA without a byte, which no credit would bound, reaches nobody', async () => {
  const sizes: number[] = [];
  const pair = new Pair((stream) => (stream.onData = (chunk) => void sizes.push(chunk.byteLength)));
  const stream = pair.edge.open(new Uint8Array([1]));
  for (const size of [1, 0, 0, 2]) pair.edge.send(DATA, stream.id, new Uint8Array(size));
  await pair.deliver();
  assert.deepEqual(sizes, [1, 2]);
});

/** Sends `size` bytes from one end over a wire that delays by `oneWay` ms; how many round trips it takes. */
async function roundTrips(size: number, oneWay: number, from: 'edge' | 'connector'): Promise<number> {
  let now = 0; // of a process that has just started
  const wire: { due: number; to: Lane; message: Uint8Array }[] = [];
  const seen = { bytes: 0 };
  const takes = (stream: TunnelStream): void => {
    stream.onData = (chunk) => {
      seen.bytes += chunk.byteLength;
      stream.consumed(chunk.byteLength);
    };
  };
  const accepted: TunnelStream[] = [];
  const options = { now: () => now, onGoaway: () => {} };
  const edge = new Lane({ ...options, role: 'edge', onStream: () => assert.fail() });
  const onStream = (stream: TunnelStream): void => {
    accepted.push(stream);
    takes(stream);
  };
  const connector = new Lane({ ...options, role: 'connector', onStream });
  const to = (lane: Lane) => (message: Uint8Array) => wire.push({ due: now + oneWay, to: lane, message });
  edge.attach(to(connector), 0);
  connector.attach(to(edge), 0);
  const opened = edge.open(text('far'));
  takes(opened);
  const turn = async (): Promise<void> => {
    await settle();
    const next = wire.shift()!;
    now = Math.max(now, next.due);
    next.to.receive(next.message);
  };
  while (accepted.length === 0) await turn();
  await settle();
  now += 10_000;
  const began = now;
  const written = (from === 'edge' ? opened : accepted[0]!).write(new Uint8Array(size));
  while (seen.bytes < size) await turn();
  await written;
  return (now - began) / (2 * oneWay);
}

for (const from of ['edge', 'connector'] as const)
  test(`a window grows within a few round trips to what one stream may have, from the ${from}`, async () => {
    // 64 MiB in windows of 256 KiB, 1 MiB, 4 MiB and 8 MiB are 11 round trips; more tell how long one is.
    const trips = await roundTrips(67_108_864, 25, from);
    assert.ok(trips <= 13, `${trips} round trips`);
  });

test('bytes that are reused while a write waits arrive as they were', async () => {
  const got: Uint8Array[] = [];
  const pair = new Pair((stream) => {
    stream.onData = (chunk) => {
      got.push(chunk.slice());
      stream.consumed(chunk.byteLength);
    };
  });
  const stream = pair.edge.open(text('reused'));
  const room = new Uint8Array(2 * STREAM_WINDOW).fill(1);
  const written = stream.write(room, true);
  room.fill(2);
  await pair.deliver();
  await written;
  const bytes = Buffer.concat(got);
  assert.equal(bytes.length, room.length);
  assert.ok(bytes.every((byte) => byte === 1));
});
