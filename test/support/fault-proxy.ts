/**
 * A TCP proxy that does to connections what networks do: delays, narrow links, byte-wise segments, silence with the
 * sockets still open, resets, cuts at a chosen byte. Every fault can be changed while connections run, for each direction
 * of its own.
 *
 * Nothing is lost or reordered unless a fault says so: what a stalled direction holds is passed on when it goes on.
 */
import { once, type EventEmitter } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What happens to bytes of one direction. Changes hold for bytes that have not been passed on yet. */
export interface Faults {
  /** Milliseconds that each byte is under way. */
  latency: number;
  bytesPerSecond: number;
  /** Largest write: 1 sends each byte in a segment of its own. */
  segment: number;
  /** Nothing is passed on and no end is told: the far side sees a peer that is silent. */
  stalled: boolean;
  /** Bytes that each connection passes before it is reset; Infinity never. */
  cutAfter: number;
  /** Bytes under way before the sender has to wait: a fast link with a latency needs many. */
  holds: number;
}

export interface FaultProxy {
  readonly port: number;
  /** Where new connections go; a server that comes back may have another port. */
  target: number;
  /** From who connects to the target. */
  readonly up: Faults;
  readonly down: Faults;
  /** What happens to new connections: `hang` takes them and never answers. */
  accept: 'pass' | 'refuse' | 'hang';
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Connections that are open, stalled ones included. */
  readonly open: number;
  /** Bytes passed on so far, all connections together. */
  readonly passed: { readonly up: number; readonly down: number };
  /** Both directions of all connections, present and future, until `heal`. */
  stall(): void;
  /** No faults from here on. */
  heal(): void;
  /** Resets every open connection, on both sides. */
  reset(): void;
  /**
   * Leaves every open connection as it is and passes nothing on it ever again: a half-open connection, as when a router
   * forgets it or a machine loses its power. New connections are not concerned.
   */
  abandon(): void;
  /** Resolves once `test` holds, looked at whenever a connection came, went or passed bytes. */
  until(test: () => boolean): Promise<void>;
  stop(): Promise<void>;
}

const noFaults = (): Faults => ({
  latency: 0,
  bytesPerSecond: Infinity,
  segment: Infinity,
  stalled: false,
  cutAfter: Infinity,
  holds: 1 << 20,
});

/** Tells whoever waits that something has changed. */
class Bell {
  #waiting: (() => void)[] = [];
  readonly ring = (): void => {
    for (const wake of this.#waiting.splice(0)) wake();
  };
  readonly wait = (): Promise<void> => new Promise((wake) => this.#waiting.push(wake));
}

/** One direction of one connection. */
class Pump {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #faults: Faults;
  readonly #bell: Bell;
  readonly #passed: (bytes: number) => void;
  readonly #reset: () => void;
  #held: { bytes: Buffer; came: number }[] = [];
  #size = 0;
  #sent = 0;
  #ended = false;
  abandoned = false;

  constructor(
    source: Socket,
    sink: Socket,
    faults: Faults,
    bell: Bell,
    passed: (bytes: number) => void,
    reset: () => void,
  ) {
    this.#source = source;
    this.#sink = sink;
    this.#faults = faults;
    this.#bell = bell;
    this.#passed = passed;
    this.#reset = reset;
    source.on('data', (bytes: Buffer) => {
      this.#held.push({ bytes, came: performance.now() });
      this.#size += bytes.length;
      if (this.#size > faults.holds) source.pause();
      bell.ring();
    });
    source.once('end', () => ((this.#ended = true), bell.ring()));
    source.once('close', bell.ring);
    sink.once('close', bell.ring);
    void this.#run();
  }

  get #quiet(): boolean {
    return this.#faults.stalled || this.abandoned;
  }

  async #run(): Promise<void> {
    const sink = this.#sink;
    while (!sink.destroyed) {
      const first = this.#held[0];
      if (this.#quiet) {
        await this.#bell.wait();
      } else if (first === undefined) {
        if (this.#ended) return void sink.end();
        // Gone without an end: a reset, which the other side gets to see as one.
        if (this.#source.destroyed) return this.#reset();
        await this.#bell.wait();
      } else if (first.came + this.#faults.latency > performance.now()) {
        await pause(first.came + this.#faults.latency - performance.now());
      } else {
        await this.#pass(first);
      }
    }
    // Whoever sent to a socket that is gone is told in its turn.
    while (this.#quiet) await this.#bell.wait();
    this.#source.destroy();
  }

  async #pass(first: { bytes: Buffer }): Promise<void> {
    const { segment, bytesPerSecond, cutAfter } = this.#faults;
    // A narrow link sends in small steps, so that its rate holds within a chunk as well.
    const step = Math.min(segment, Math.max(1, Math.ceil(bytesPerSecond / 100)), cutAfter - this.#sent);
    if (step <= 0) return this.#reset();
    const bytes = first.bytes.subarray(0, step);
    first.bytes = first.bytes.subarray(bytes.length);
    if (first.bytes.length === 0) this.#held.shift();
    this.#size -= bytes.length;
    this.#sent += bytes.length;
    if (this.#size <= this.#faults.holds) this.#source.resume();
    const room = this.#sink.write(bytes);
    this.#passed(bytes.length);
    if (!room) await either(this.#sink, 'drain', 'close');
    if (Number.isFinite(bytesPerSecond)) await pause((bytes.length / bytesPerSecond) * 1000);
  }
}

/** The next of these events; an `error` is no reason to stop waiting for `close`. */
export function either(emitter: EventEmitter, ...names: readonly string[]): Promise<void> {
  return new Promise((done) => {
    const finish = (): void => {
      for (const name of names) emitter.off(name, finish);
      done();
    };
    for (const name of names) emitter.on(name, finish);
  });
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((done) => setTimeout(done, Math.max(0, milliseconds)));

export async function startFaultProxy(target: number, host = '127.0.0.1'): Promise<FaultProxy> {
  const bell = new Bell();
  const sockets = new Set<Socket>();
  const pumps = new Set<Pump>();
  const passed = { up: 0, down: 0 };
  const [up, down] = [noFaults(), noFaults()];
  let accepted = 0;
  let open = 0;

  const enter = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {}); // told by `close`
    socket.once('close', () => {
      sockets.delete(socket);
      bell.ring();
    });
  };
  // Half-open is the point: the end of one direction says nothing of the other.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    accepted++;
    enter(client);
    bell.ring();
    if (proxy.accept === 'refuse') return void client.resetAndDestroy();
    if (proxy.accept === 'hang') return;
    const origin = connect({ port: proxy.target, host, allowHalfOpen: true });
    enter(origin);
    open++;
    let left = 2;
    const close = (): void => {
      if (--left > 0) return;
      open--;
      for (const pump of pair) pumps.delete(pump);
      bell.ring();
    };
    client.once('close', close);
    origin.once('close', close);
    const reset = (): void => {
      client.resetAndDestroy();
      origin.resetAndDestroy();
    };
    const count = (direction: 'up' | 'down') => (bytes: number) => {
      passed[direction] += bytes;
      bell.ring();
    };
    const pair = [
      new Pump(client, origin, up, bell, count('up'), reset),
      new Pump(origin, client, down, bell, count('down'), reset),
    ];
    for (const pump of pair) pumps.add(pump);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const observed = (faults: Faults): Faults =>
    new Proxy(faults, {
      set: (object, key, value) => {
        const done = Reflect.set(object, key, value);
        bell.ring();
        return done;
      },
    });
  const proxy: FaultProxy = {
    port: (server.address() as AddressInfo).port,
    target,
    up: observed(up),
    down: observed(down),
    accept: 'pass',
    get accepted() {
      return accepted;
    },
    get open() {
      return open;
    },
    passed,
    stall() {
      up.stalled = true;
      down.stalled = true;
    },
    heal() {
      Object.assign(up, noFaults());
      Object.assign(down, noFaults());
      proxy.accept = 'pass';
      bell.ring();
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    abandon() {
      for (const pump of pumps) pump.abandoned = true;
    },
    async until(test) {
      while (!test()) await bell.wait();
    },
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const pump of pumps) pump.abandoned = false;
      proxy.heal();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}
