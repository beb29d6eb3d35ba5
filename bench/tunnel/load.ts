/** Load that tunnels are measured under, beside wrk: a fixed rate, bulk in either direction, and a reader that stalls. */
import { connect, type Socket } from 'node:net';

export interface Latencies {
  /** Milliseconds from when a request was due until its answer was complete, in no order. */
  readonly samples: readonly number[];
  readonly failed: number;
}

interface Line {
  readonly socket: Socket;
  /** When the request under way was due; 0 while the line is free. */
  due: number;
  held: string;
}

/**
 * An open loop: requests are due at fixed times, whatever became of those before. One that finds no free connection waits,
 * and its wait counts: a closed loop would ask less of a server that stalls, and not see the stall.
 */
export async function fixedRate(
  port: number,
  request: string,
  { rate, seconds, connections }: { rate: number; seconds: number; connections: number },
): Promise<Latencies> {
  const bytes = Buffer.from(request, 'latin1');
  const samples: number[] = [];
  const waiting: number[] = [];
  let failed = 0;
  let open = true;
  const send = (line: Line, due: number): void => {
    line.due = due;
    line.socket.write(bytes);
  };
  const free: Line[] = [];
  const dial = async (): Promise<Line> => {
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((done, fail) => socket.once('connect', done).once('error', fail));
    socket.setNoDelay(true).setEncoding('latin1');
    const line: Line = { socket, due: 0, held: '' };
    socket.on('data', (text: string) => {
      line.held += text;
      const length = lengthOf(line.held);
      if (length < 0 || line.held.length < length || line.due === 0) return;
      if (line.held[9] === '2') samples.push(performance.now() - line.due);
      else failed++;
      line.held = '';
      line.due = 0;
      const next = waiting.shift();
      if (next === undefined) free.push(line);
      else send(line, next);
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      if (line.due !== 0) failed++;
      const at = free.indexOf(line);
      if (at >= 0) free.splice(at, 1);
      if (open)
        void dial().then(
          (other) => free.push(other),
          () => failed++,
        );
    });
    return line;
  };
  const lines = await Promise.all(Array.from({ length: connections }, dial));
  free.push(...lines);
  const began = performance.now();
  const total = Math.round(rate * seconds);
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * rate) + 1);
    for (; sent < due; sent++) {
      const at = began + (sent / rate) * 1000;
      const line = free.shift();
      if (line === undefined) waiting.push(at);
      else send(line, at);
    }
    await new Promise((done) => setTimeout(done, 1));
  }
  // What is still under way after a while is as good as failed.
  const late = performance.now() + 5000;
  while (samples.length + failed < total && performance.now() < late) await new Promise((done) => setTimeout(done, 10));
  open = false;
  for (const { socket } of lines) socket.destroy();
  for (const { socket } of free) socket.destroy();
  return { samples, failed: Math.max(failed, total - samples.length) };
}

/** Bytes of the answer at the front of `text`, head and body; -1 while that is not known. */
function lengthOf(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return -1;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text);
  if (length) return end + 4 + Number(length[1]);
  const last = text.indexOf('0\r\n\r\n', end);
  return last < 0 ? -1 : last + 5;
}

/** Downloads `path` and throws it away; megabytes a second, from the first byte of the request to the last of the body. */
export async function download(port: number, host: string, path: string, bytes: number): Promise<number> {
  const began = performance.now();
  const got = await new Promise<number>((done, fail) => {
    let count = 0;
    const socket = connect({
      port,
      host: '127.0.0.1',
      onread: {
        // One buffer for all: the reader must not be what is slow.
        buffer: Buffer.allocUnsafe(262_144),
        callback: (size) => {
          count += size;
          return true;
        },
      },
    });
    socket.once('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
    socket.once('error', fail).once('close', () => done(count));
  });
  if (got < bytes) throw new Error(`only ${got} of ${bytes} bytes came`);
  return bytes / 1e6 / ((performance.now() - began) / 1000);
}

/** Uploads bytes to `path`, which answers 200 once it has all; megabytes a second until then. */
export async function upload(port: number, host: string, path: string, bytes: number): Promise<number> {
  const chunk = Buffer.alloc(262_144, 'x');
  const began = performance.now();
  const status = await new Promise<string>((done, fail) => {
    let said = '';
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${bytes}\r\nConnection: close\r\n\r\n`);
      let left = bytes;
      const more = (): void => {
        while (left > 0) {
          const size = Math.min(left, chunk.length);
          left -= size;
          if (!socket.write(chunk.subarray(0, size))) return void socket.once('drain', more);
        }
      };
      more();
    });
    socket.setEncoding('latin1').on('data', (text: string) => {
      said += text;
      if (said.includes('\r\n')) {
        done(said.slice(9, 12));
        socket.destroy();
      }
    });
    socket.once('error', fail).once('close', () => done('none'));
  });
  if (status !== '200') throw new Error(`the upload was answered ${status}`);
  return bytes / 1e6 / ((performance.now() - began) / 1000);
}

/** Asks for `path` and takes nothing of the answer; `stop` ends it. */
export async function stalledReader(port: number, host: string, path: string): Promise<{ stop(): void }> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  await new Promise<void>((done) => socket.once('connect', done));
  socket.pause();
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return { stop: () => void socket.destroy() };
}
