/**
 * Load in short bursts over connections that stay open, so that servers can be measured in turns of a tenth of a second:
 * whatever else the machine does then weighs on all of them alike, which rounds of seconds do not achieve.
 */
import { connect, type Socket } from 'node:net';

interface Line {
  readonly socket: Socket;
  /** Ends the wait for the present answer; null while none is due. */
  answered: ((good: boolean) => void) | null;
}

export class Bursts {
  readonly #port: number;
  readonly #connections: number;
  readonly #requests: readonly Buffer[];
  #lines: Line[] = [];
  #turn = 0;

  /** `requests` are raw and sent in rotation. Answers must carry Content-Length or be chunked. */
  constructor(port: number, connections: number, requests: readonly string[]) {
    this.#port = port;
    this.#connections = connections;
    this.#requests = requests.map((request) => Buffer.from(request, 'latin1'));
  }

  /** Sends `count` requests, each connection one after the other, and waits for all answers; how many were not 2xx. */
  async send(count: number): Promise<number> {
    // Servers close connections that were idle for some seconds.
    this.#lines = this.#lines.filter(({ socket }) => !socket.destroyed && socket.writable);
    while (this.#lines.length < this.#connections) this.#lines.push(await this.#connect());
    let left = count;
    let failed = 0;
    await Promise.all(
      this.#lines.map(async (line) => {
        while (left > 0 && !line.socket.destroyed) {
          left--;
          if (!(await this.#ask(line))) failed++;
        }
      }),
    );
    return failed + left;
  }

  close(): void {
    for (const { socket } of this.#lines) socket.destroy();
  }

  #ask(line: Line): Promise<boolean> {
    return new Promise((done) => {
      line.answered = done;
      line.socket.write(this.#requests[this.#turn++ % this.#requests.length]!);
    });
  }

  async #connect(): Promise<Line> {
    const socket = connect(this.#port, '127.0.0.1');
    const line: Line = { socket, answered: null };
    const answer = (good: boolean): void => {
      const { answered } = line;
      line.answered = null;
      answered?.(good);
    };
    await new Promise<void>((done, fail) => socket.once('connect', done).once('error', fail));
    let held = '';
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => {
      held += text;
      const end = held.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /\r\ncontent-length: *(\d+)/i.exec(held);
      const complete = length ? held.length >= end + 4 + Number(length[1]) : held.endsWith('0\r\n\r\n');
      if (!complete) return;
      const good = held[9] === '2';
      held = '';
      answer(good);
    });
    socket.on('error', () => {});
    socket.once('close', () => answer(false));
    return line;
  }
}
