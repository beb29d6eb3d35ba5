/** A connector that keeps to no protocol but the test's: what it sends and when is written out. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { TUNNEL_PATH } from '../../src/tunnel/capability.ts';
import { ackFrame, DATA, END, frame, HEAD, OPEN, readFrames, SUBPROTOCOL } from '../../src/tunnel/frame.ts';
import { encodeResponse } from '../../src/tunnel/head.ts';
import { readWelcome, type Welcome } from '../../src/tunnel/welcome.ts';
import type { Gateway } from '../gateway.ts';

/** A connector of which a test writes every byte. */
export class RawConnector {
  readonly socket: WebSocket;
  readonly frames: { type: number; stream: number; payload: Uint8Array }[] = [];
  readonly texts: string[] = [];
  received = 0;
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(edge: Pick<Gateway, 'port'>, headers: Record<string, string>) {
    this.socket = new WebSocket(`ws://127.0.0.1:${edge.port}${TUNNEL_PATH}`, [SUBPROTOCOL], { headers });
    this.socket.on('error', () => {});
    this.socket.on('message', (data: Buffer, binary) => {
      if (!binary) this.texts.push(String(data));
      else {
        if (![7, 8, 9].includes(data[0]!)) this.received += data.byteLength;
        readFrames(data, ({ type, stream, payload }) => this.frames.push({ type, stream, payload: payload.slice() }));
      }
      this.socket.emit('news');
    });
    this.closed = once(this.socket, 'close').then(([code, reason]) => ({
      code: code as number,
      reason: String(reason),
    }));
  }

  async until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      await Promise.race([
        once(this.socket, 'news'),
        this.closed.then((end) => Promise.reject(Error(JSON.stringify(end)))),
      ]);
    }
  }

  async welcome(): Promise<Welcome> {
    const welcome = readWelcome(await this.until(() => this.texts[0]));
    // It has arrived: only now the edge opens streams here.
    this.send(ackFrame(this.received));
    return welcome;
  }

  frame(type: number, after = 0): Promise<{ stream: number; payload: Uint8Array }> {
    return this.until(() => this.frames.slice(after).find((one) => one.type === type));
  }

  send(...frames: Uint8Array[]): void {
    this.socket.send(Buffer.concat(frames));
  }
}

/** Answers every request with `text`. */
export function answering(one: RawConnector, text: string): void {
  let seen = 0;
  one.socket.on('news', () => {
    for (; seen < one.frames.length; seen++) {
      const { type, stream } = one.frames[seen]!;
      if (type === OPEN)
        one.send(headFrame(stream, text.length), frame(DATA, stream, Buffer.from(text)), frame(END, stream));
    }
  });
}

/** HEAD of an answer of so many bytes. */
export const headFrame = (stream: number, length: number) =>
  frame(HEAD, stream, encodeResponse({ status: 200, reason: 'OK', fields: [['content-length', String(length)]] }));
