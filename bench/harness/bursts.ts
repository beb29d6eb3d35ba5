/**
 * Load in short bursts over connections that stay open, so that servers can be measured in turns of a tenth of a second:
 * whatever else the machine does then weighs on all of them alike, which rounds of seconds do not achieve.
 */
import { connect, type Socket } from 'node:net';

export class Bursts {
  readonly #sockets: Socket[] = [];
  readonly #requests: readonly Buffer[];
  #turn = 0;
  #left = 0;
  #open = 0;
  #failed = 0;
  #done: (() => void) | null = null;

  private constructor(requests: readonly string[]) {
    this.#requests = requests.map((request) => Buffer.from(request, 'latin1'));
  }

  /** Opens `connections` connections to a local port. Answers must carry Content-Length or be chunked. */
  static async open(port: number, connections: number, requests: readonly string[]): Promise<Bursts> {
    const bursts = new Bursts(requests);
    for (let index = 0; index < connections; index++) {
      const socket = connect(port, '127.0.0.1');
      await new Promise<void>((done, fail) => socket.once('connect', done).once('error', fail));
      socket.setNoDelay(true);
      let held = '';
      socket.setEncoding('latin1').on('data', (text: string) => {
        held += text;
        const end = held.indexOf('\r\n\r\n');
        if (end < 0) return;
        const length = /\r\ncontent-length: *(\d+)/i.exec(held);
        const complete = length ? held.length >= end + 4 + Number(length[1]) : held.endsWith('0\r\n\r\n');
        if (!complete) return;
        if (held[9] !== '2') bursts.#failed++;
        held = '';
        bursts.#answered(socket);
      });
      socket.on('error', () => {});
      socket.once('close', () => bursts.#lost());
      bursts.#sockets.push(socket);
    }
    return bursts;
  }

  /** Sends `count` requests, each connection one after the other, and waits for all answers; how many failed. */
  async send(count: number): Promise<number> {
    this.#left = count;
    this.#failed = 0;
    await new Promise<void>((done) => {
      this.#done = done;
      for (const socket of this.#sockets) this.#next(socket);
    });
    return this.#failed;
  }

  #next(socket: Socket): void {
    if (this.#left === 0) return;
    this.#left--;
    this.#open++;
    socket.write(this.#requests[this.#turn++ % this.#requests.length]!);
  }

  #answered(socket: Socket): void {
    this.#open--;
    this.#next(socket);
    if (this.#open === 0) this.#done?.();
  }

  /** A connection that the server closed: what was left to do counts as failed, and the burst ends. */
  #lost(): void {
    this.#failed += this.#left + this.#open;
    this.#left = 0;
    this.#open = 0;
    this.#done?.();
  }

  close(): void {
    for (const socket of this.#sockets) socket.removeAllListeners('close').destroy();
  }
}
