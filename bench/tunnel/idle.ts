/**
 * Connectors that cost next to nothing, thousands in one process: a socket, and as much of WebSocket and of our frames as
 * it takes to be welcome, to send pings, and to answer a request with 204.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { thumbprint } from '../../src/control/signature.ts';
import {
  CAPABILITY_HEADER,
  generateConnectorKey,
  HANDSHAKE_HEADER,
  issueCapability,
  MAX_NAMES,
  signHandshake,
  TUNNEL_PATH,
  type ConnectorKey,
} from '../../src/tunnel/capability.ts';
import { ackFrame, END, frame, HEAD, OPEN, readFrames, SUBPROTOCOL } from '../../src/tunnel/frame.ts';
import { encodeResponse } from '../../src/tunnel/head.ts';
import { MAX_TUNNELS } from '../../src/tunnel/register.ts';
import { PING_TEXT, PONG_TEXT } from '../../src/tunnel/welcome.ts';

const HEAD_204 = encodeResponse({ status: 204, reason: 'No Content', fields: [] });

export class IdleTunnel {
  readonly name: string;
  pongs = 0;
  /** Bytes of frames that came, as a resume would count them. */
  #received = 0;
  #socket: Socket;
  #held: Buffer = Buffer.alloc(0);
  #upgraded = false;
  readonly welcome: Promise<void>;
  #welcomed: () => void = () => {};
  #failed: (error: Error) => void = () => {};

  constructor(port: number, name: string, headers: Readonly<Record<string, string>>) {
    this.name = name;
    this.welcome = new Promise((done, fail) => {
      this.#welcomed = done;
      this.#failed = fail;
    });
    const lines = Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`);
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.once('connect', () =>
      this.#socket.write(
        `GET ${TUNNEL_PATH} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n${lines.join('')}\r\n`,
      ),
    );
    this.#socket.on('data', (bytes: Buffer) => this.#read(bytes));
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.once('close', () => this.#failed(new Error(`${name} was closed`)));
    this.welcome.catch(() => {}); // who waits is told
  }

  ping(): void {
    this.#send(1, Buffer.from(PING_TEXT));
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    if (!this.#upgraded) {
      const end = this.#held.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = this.#held.subarray(0, end).toString('latin1');
      if (!head.startsWith('HTTP/1.1 101'))
        return this.#failed(new Error(`${this.name}: ${head.split('\r\n')[0]} ${this.#held.subarray(end + 4)}`));
      this.#upgraded = true;
      this.#held = this.#held.subarray(end + 4);
    }
    for (;;) {
      const held = this.#held;
      if (held.length < 2) return;
      let [length, at] = [held[1]! & 0x7f, 2];
      if (length === 126) [length, at] = [held.length < 4 ? Infinity : held.readUInt16BE(2), 4];
      else if (length === 127) [length, at] = [held.length < 10 ? Infinity : Number(held.readBigUInt64BE(2)), 10];
      if (held.length < at + length) return;
      const payload = held.subarray(at, at + length);
      // Nothing is kept of what was read: an idle tunnel holds no buffer.
      this.#held = held.length === at + length ? Buffer.alloc(0) : held.subarray(at + length);
      this.#message(held[0]! & 0x0f, payload);
    }
  }

  #message(opcode: number, payload: Buffer): void {
    if (opcode === 1) {
      if (String(payload) === PONG_TEXT) this.pongs++;
      else {
        // The welcome; the edge opens streams once it knows that it has arrived.
        this.#send(2, ackFrame(0));
        this.#welcomed();
      }
    } else if (opcode === 2) {
      if (payload[0]! < 7 || payload[0] === 10) this.#received += payload.length;
      readFrames(payload, ({ type, stream }) => {
        if (type === OPEN) this.#send(2, Buffer.concat([frame(HEAD, stream, HEAD_204), frame(END, stream)]));
      });
      this.#send(2, ackFrame(this.#received));
    }
  }

  #send(opcode: number, payload: Uint8Array): void {
    // Masked with zeros: a mask is asked for, what it is made of is not.
    const length = payload.byteLength;
    const header = length < 126 ? Buffer.from([0x80 | opcode, 0x80 | length, 0, 0, 0, 0]) : Buffer.alloc(8);
    if (length >= 126) {
      header[0] = 0x80 | opcode;
      header[1] = 0x80 | 126;
      header.writeUInt16BE(length, 2);
    }
    this.#socket.write(Buffer.concat([header, payload]));
  }
}

/** Dials `count` tunnels from number `first` on, a few at a time, of the operators in turn; resolves when all are welcome. */
export async function openTunnels(
  port: number,
  operators: readonly ConnectorKey[],
  count: number,
  first = 0,
): Promise<IdleTunnel[]> {
  const holder = await generateConnectorKey();
  const connector = await thumbprint(holder.x);
  const tunnels: IdleTunnel[] = [];
  const path = TUNNEL_PATH;
  for (let at = first; at < first + count;) {
    // Names belong to who took them first: each operator has a run of numbers.
    const operator = Math.floor(at / MAX_TUNNELS);
    const end = Math.min(at + MAX_NAMES, first + count, (operator + 1) * MAX_TUNNELS);
    const names = Array.from({ length: end - at }, (_, index) => `t${at + index}`);
    const { privateKey, x } = operators[operator]!;
    const now = Date.now();
    const grant = { names, reach: [], connector, generation: now, expires: now + 86_400_000, exposure: null };
    const capability = await issueCapability(privateKey, { ...grant, project: await thumbprint(x) });
    const opened = await Promise.all(
      names.map(async (name) => {
        const dial = { host: `127.0.0.1:${port}`, path, name, service: '', socket: 0, resume: '' };
        const handshake = await signHandshake(holder, capability, dial, Date.now());
        const tunnel = new IdleTunnel(port, name, { [CAPABILITY_HEADER]: capability, [HANDSHAKE_HEADER]: handshake });
        await tunnel.welcome;
        return tunnel;
      }),
    );
    tunnels.push(...opened);
    at = end;
  }
  return tunnels;
}
