/**
 * A WebSocket to the target, message by message. Subprotocol, the fields of either head and close codes go through;
 * compression does not: between the connector and its target it costs more than it saves.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import WebSocket, { type RawData } from 'ws';
import { FrameError, RESET_CODE } from '../frame.ts';
import { encodeResponse, type RequestHead } from '../head.ts';
import {
  BINARY,
  CLOSING,
  decodeClose,
  encodeClose,
  encodeMessage,
  MAX_SOCKET_MESSAGE,
  MESSAGE_HEADER,
  MessageReader,
  TEXT,
} from '../message.ts';
import type { TunnelStream } from '../stream.ts';
import type { Watch } from '../exchange.ts';
import { failureOf } from './failure.ts';
import { pump, type Congestion } from './pump.ts';
import type { Dialable } from './targets.ts';

const HANDSHAKE_TIMEOUT = 10_000; // ms
/**
 * Bytes of messages of an edge that are not whole, of all streams of this process: what is held of them is granted again
 * for the rest to come, so credit does not bound it.
 */
export const MAX_ASSEMBLED = 67_108_864;
let assembledByAll = 0;
/** Fields of the upgrade that belong to one hop, or that the handshake makes anew. */
const OWN = new Set([
  ...['connection', 'upgrade', 'sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions'],
  ...['sec-websocket-accept', 'keep-alive', 'transfer-encoding', 'content-length', 'proxy-connection', 'te'],
]);

export function forwardWebSocket(
  stream: TunnelStream,
  head: RequestHead,
  target: Dialable,
  congestion: Congestion,
  watch: Watch | null,
): void {
  // SAFETY: names are a client's: in an object `constructor` and `__proto__` would be there already.
  const headers = new Map<string, string[]>();
  const protocols: string[] = [];
  for (const [name, value] of head.fields) {
    const lower = name.toLowerCase();
    if (lower === 'sec-websocket-protocol') protocols.push(...value.split(',').map((one) => one.trim()));
    else if (!OWN.has(lower)) {
      const all = headers.get(name);
      if (all === undefined) headers.set(name, [value]);
      else all.push(value);
    }
  }
  const fail = (code: number, text: string): void => {
    watch?.ended(text);
    stream.reset(code, text);
  };
  let socket: WebSocket;
  try {
    socket = new WebSocket(target.secure ? 'wss://target' : 'ws://target', protocols, {
      headers: Object.fromEntries([...headers].map(([name, all]) => [name, all.length === 1 ? all[0] : all])),
      // SAFETY: the target as it came, past the URL parser: what the edge has judged is what the origin reads.
      finishRequest: (request) => {
        request.path = head.target;
        request.end();
      },
      createConnection: () => target.dial() as Socket,
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      maxPayload: MAX_SOCKET_MESSAGE,
      followRedirects: false,
    });
  } catch (error) {
    return fail(RESET_CODE.protocol, (error as Error).message);
  }
  new Join(stream, socket, target.label, congestion, watch).start();
}

class Join {
  readonly #stream: TunnelStream;
  readonly #socket: WebSocket;
  readonly #label: string;
  readonly #congestion: Congestion;
  readonly #watch: Watch | null;
  readonly #reader = new MessageReader();
  #ended = false; // our direction
  #answered = false;
  #early: Uint8Array[] = []; // bytes of messages before the target has agreed
  readonly #out: Uint8Array[] = []; // messages of the target
  #sending = false;
  #assembled = 0; // bytes of a message that is not whole, granted already

  constructor(stream: TunnelStream, socket: WebSocket, label: string, congestion: Congestion, watch: Watch | null) {
    this.#stream = stream;
    this.#socket = socket;
    this.#label = label;
    this.#congestion = congestion;
    this.#watch = watch;
  }

  start(): void {
    const [stream, socket, label, watch] = [this.#stream, this.#socket, this.#label, this.#watch];
    stream.onReset = (reset) => {
      watch?.ended(reset.message || 'aborted');
      socket.terminate();
    };
    stream.onData = (chunk) => {
      watch?.in(chunk);
      if (socket.readyState === WebSocket.CONNECTING) this.#early.push(chunk);
      else this.#take(chunk);
    };
    // An end without a close: the client is gone.
    stream.onEnd = () => {
      if (socket.readyState === WebSocket.OPEN) socket.close();
      else if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    };
    socket.on('upgrade', (response: IncomingMessage) => this.#head(response));
    socket.on('unexpected-response', (_request, response: IncomingMessage) => this.#refused(response));
    socket.on('open', () => {
      const early = this.#early;
      this.#early = [];
      for (const chunk of early) this.#take(chunk);
    });
    socket.on('message', (data, binary) => this.#message(data, binary));
    socket.on('close', (code, reason) => {
      this.#hold(0);
      this.#closed(code, reason.toString());
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (socket.readyState === WebSocket.OPEN || this.#ended) return; // a close follows
      if (stream.open && !this.#answered) {
        const { code, text } = failureOf(error, label);
        watch?.ended(text);
        stream.reset(code, text);
      }
    });
  }

  #head(response: IncomingMessage): void {
    if (!this.#stream.open) return this.#socket.terminate();
    const fields: [string, string][] = [];
    const raw = response.rawHeaders;
    for (let i = 0; i + 1 < raw.length; i += 2)
      if (!OWN.has(raw[i]!.toLowerCase())) fields.push([raw[i]!, raw[i + 1]!]);
    const head = { status: response.statusCode ?? 0, reason: response.statusMessage ?? '', fields };
    try {
      this.#stream.sendHead(encodeResponse(head));
    } catch (error) {
      this.#watch?.ended((error as Error).message);
      this.#stream.reset(RESET_CODE.internal, (error as Error).message);
      return this.#socket.terminate();
    }
    this.#answered = true;
    this.#watch?.answered(head);
  }

  /** The target answers as to any request. */
  #refused(response: IncomingMessage): void {
    this.#head(response);
    if (!this.#answered) return;
    this.#ended = true;
    response.on('error', () => this.#stream.reset(RESET_CODE.internal, `${this.#label} broke off its answer`));
    pump(response, this.#stream, this.#congestion, this.#watch, () => {
      this.#stream.end();
      this.#watch?.ended();
    });
  }

  /** Bytes of the edge: whole messages go on, and are consumed when the socket has taken them. */
  #take(chunk: Uint8Array): void {
    const { CLOSED, CLOSING: SHUTTING } = WebSocket;
    if (this.#socket.readyState === CLOSED) return this.#stream.consumed(chunk.byteLength);
    let left = chunk.byteLength;
    try {
      this.#reader.push(chunk, ({ opcode, payload }) => {
        const size = MESSAGE_HEADER + payload.byteLength - this.#assembled;
        this.#hold(0);
        left -= size;
        if (opcode === CLOSING) {
          const { code, reason } = decodeClose(payload);
          if (code === 1005) this.#socket.close();
          else this.#socket.close(code, reason);
          return this.#stream.consumed(size);
        }
        if (this.#socket.readyState === SHUTTING || this.#socket.readyState === CLOSED)
          return this.#stream.consumed(size);
        this.#socket.send(payload, { binary: opcode === BINARY }, () => this.#stream.consumed(size));
      });
    } catch (error) {
      const text = error instanceof FrameError ? error.message : String(error);
      this.#watch?.ended(text);
      this.#stream.reset(RESET_CODE.protocol, text);
      return this.#socket.terminate();
    }
    // A message may be larger than the window: what is held of it must be granted for the rest to come.
    this.#hold(this.#assembled + left);
    if (assembledByAll > MAX_ASSEMBLED) {
      const text = `more than ${MAX_ASSEMBLED} bytes of messages that are not whole`;
      this.#watch?.ended(text);
      this.#stream.reset(RESET_CODE.refused, text);
      this.#hold(0);
      return this.#socket.terminate();
    }
    this.#stream.consumed(left);
  }

  #hold(bytes: number): void {
    assembledByAll += bytes - this.#assembled;
    this.#assembled = bytes;
  }

  #message(data: RawData, binary: boolean): void {
    if (!this.#stream.open || this.#ended) return;
    const bytes = data as Buffer;
    this.#watch?.out(bytes);
    this.#out.push(encodeMessage(binary ? BINARY : TEXT, bytes));
    if (!this.#sending) void this.#send();
  }

  /** Sends what is queued. Pausing stops the socket and not the messages that it has read, so there may be several. */
  async #send(): Promise<void> {
    this.#sending = true;
    let paused = false;
    try {
      for (let bytes = this.#out.shift(); bytes !== undefined; bytes = this.#out.shift()) {
        const write = this.#stream.write(bytes);
        const until = this.#stream.writing ? write : this.#congestion();
        if (until === null) continue;
        if (!paused) this.#socket.pause();
        paused = true;
        await until;
      }
      if (this.#ended) {
        this.#stream.end();
        this.#watch?.ended();
      }
    } catch {
      return; // the stream was reset, and onReset has seen to it
    }
    this.#sending = false;
    if (paused) this.#socket.resume();
  }

  #closed(code: number, reason: string): void {
    if (!this.#stream.open || this.#ended || !this.#answered) return;
    this.#ended = true;
    if (code === 1006) {
      this.#watch?.ended(`${this.#label} closed the connection`);
      return this.#stream.reset(RESET_CODE.internal, `${this.#label} closed the connection`);
    }
    this.#out.push(encodeClose(code, reason));
    if (!this.#sending) void this.#send();
  }
}
