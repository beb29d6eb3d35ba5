/**
 * The smallest edge that a connector, or a guest, can talk to, in this process: lanes over WebSockets, with welcome and resume, and
 * no objects. What a test asks goes onto the lane that it names, or onto any.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { CAPABILITY_HEADER, HANDSHAKE_HEADER, verifyHandshake } from '../../src/tunnel/capability.ts';
import { FrameError, SUBPROTOCOL } from '../../src/tunnel/frame.ts';
import {
  decodeFields,
  decodeResponse,
  type Fields,
  type RequestHead,
  type ResponseHead,
} from '../../src/tunnel/head.ts';
import { Lane } from '../../src/tunnel/lane.ts';
import {
  BINARY,
  encodeClose,
  encodeMessage,
  MessageReader,
  TEXT,
  type SocketMessage,
} from '../../src/tunnel/message.ts';
import { encodeOpening, HTTP, TCP, WEBSOCKET } from '../../src/tunnel/opening.ts';
import type { StreamReset, TunnelStream } from '../../src/tunnel/stream.ts';
import {
  PING_TEXT,
  PONG_TEXT,
  readResume,
  ACCESS_PATH,
  RESUME_HEADER,
  TUNNEL_PATH,
  writeWelcome,
} from '../../src/tunnel/welcome.ts';

export interface EdgeLane {
  readonly id: string;
  readonly token: string;
  readonly lane: Lane;
  socket: WebSocket | null;
  draining: boolean;
}

export interface EdgeOptions {
  /** Public key of the operator that is believed; none: nobody is asked for rights. */
  readonly operator?: string;
  readonly port?: number;
}

interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly date?: string;
  readonly page?: boolean;
}

export class TestEdge {
  readonly lanes: EdgeLane[] = [];
  /** Upgrades so far, and how many of them resumed. */
  dials = 0;
  resumed = 0;
  /** Answers the next upgrades with this status instead, and with a problem, or a page as it is. */
  refuse: Refusal | null = null;
  /** Answers pings. */
  responsive = true;
  /** Keeps lanes for a resume. */
  keeps = true;
  readonly closes: { code: number; reason: string }[] = [];
  url = '';
  readonly #options: EdgeOptions;
  readonly #server = createServer((_request, response) => response.writeHead(404).end());
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 1_048_576 });
  #next = 0;

  private constructor(options: EdgeOptions) {
    this.#options = options;
    this.#server.on('upgrade', (request, socket, head) => {
      this.dials++;
      socket.on('error', () => {}); // a connector that goes meanwhile
      void this.#refusal(request).then((refusal) => {
        if (refusal === null)
          return this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#welcome(opened, request));
        const { status, text, date, page = false } = refusal;
        const body = page ? text : JSON.stringify({ title: text });
        socket.end(
          `HTTP/1.1 ${status} No\r\n${date === undefined ? '' : `Date: ${date}\r\n`}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
        );
      });
    });
  }

  static async open(options: EdgeOptions = {}): Promise<TestEdge> {
    const edge = new TestEdge(options);
    await new Promise<void>((resolve) => edge.#server.listen(options.port ?? 0, '127.0.0.1', resolve));
    edge.url = `http://127.0.0.1:${(edge.#server.address() as AddressInfo).port}`;
    return edge;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #refusal(request: IncomingMessage): Promise<Refusal | null> {
    if (this.refuse !== null) return this.refuse;
    if (
      (request.url !== TUNNEL_PATH && request.url !== ACCESS_PATH) ||
      request.headers['sec-websocket-protocol'] !== SUBPROTOCOL
    )
      return { status: 404, text: 'nothing is here' };
    const { operator } = this.#options;
    if (operator === undefined) return null;
    const headers = new Headers();
    for (const name of [CAPABILITY_HEADER, HANDSHAKE_HEADER]) headers.set(name, String(request.headers[name] ?? ''));
    const rights = await verifyHandshake(headers, request.headers.host ?? '', request.url, () => operator, Date.now());
    return typeof rights === 'string' ? { status: 401, text: rights, date: new Date().toUTCString() } : null;
  }

  #welcome(socket: WebSocket, request: IncomingMessage): void {
    const resume = readResume(String(request.headers[RESUME_HEADER] ?? ''));
    let found = this.keeps
      ? this.lanes.find(({ id, token }) => id === resume?.lane && token === resume?.token)
      : undefined;
    const received = found?.lane.received ?? 0;
    const resumed = found !== undefined;
    if (found === undefined) found = this.#newLane();
    else this.resumed++;
    const lane = found;
    lane.socket?.terminate();
    lane.socket = socket;
    socket.send(writeWelcome({ lane: lane.id, token: lane.token, resumed, received, url: 'http://test.localhost/' }));
    if (!lane.lane.attach((message) => socket.send(message), resumed ? resume!.received : 0))
      throw new Error('no resume');
    socket.on('message', (data: Buffer, binary) => {
      if (lane.socket !== socket) return;
      if (!binary) {
        if (String(data) === PING_TEXT && this.responsive) socket.send(PONG_TEXT);
        return;
      }
      try {
        lane.lane.receive(data);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        socket.close(error.code, error.message);
      }
    });
    socket.on('close', (code, reason) => {
      this.closes.push({ code, reason: reason.toString() });
      if (lane.socket !== socket) return;
      lane.socket = null;
      lane.lane.detach();
    });
  }

  #newLane(): EdgeLane {
    const lane: EdgeLane = {
      id: randomUUID(),
      token: randomUUID(),
      lane: new Lane({
        role: 'edge',
        now: () => performance.now(),
        onGoaway: () => (lane.draining = true),
        onStream: (stream) => stream.reset(2, 'this edge takes no streams'),
      }),
      socket: null,
      draining: false,
    };
    this.lanes.push(lane);
    return lane;
  }

  /** Opens a stream on the next lane that takes one. */
  stream(payload: Uint8Array): TunnelStream {
    const open = this.lanes.filter(({ lane, socket }) => lane.accepting && socket !== null);
    if (open.length === 0) throw new Error('no lane is up');
    return open[this.#next++ % open.length]!.lane.open(payload);
  }

  /** A request whose body is all there, and the answer to its end. */
  async request(head: Partial<RequestHead> = {}, body: Uint8Array | string = '', service = ''): Promise<Answer> {
    const exchange = this.exchange(head, service);
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    if (bytes.byteLength > 0) await exchange.stream.write(bytes).catch(() => {});
    if (exchange.stream.open) exchange.stream.end();
    return await exchange.answer;
  }

  /** A request whose body is the caller's to write. `consume` false: what comes is kept and not granted again. */
  exchange(head: Partial<RequestHead> = {}, service = '', consume = true): EdgeExchange {
    const full = complete(head);
    const stream = this.stream(encodeOpening({ kind: HTTP, service, head: full }));
    const chunks: Uint8Array[] = [];
    const exchange: EdgeExchange = {
      stream,
      chunks,
      head: null,
      answer: new Promise((resolve, reject) => {
        stream.onHead = (payload) => (exchange.head = decodeResponse(payload));
        stream.onData = (chunk) => {
          chunks.push(chunk);
          if (consume) stream.consumed(chunk.byteLength);
        };
        stream.onEnd = (trailers) => {
          if (exchange.head === null) return reject(new Error('no head'));
          resolve({ ...exchange.head, body: Buffer.concat(chunks), trailers: decodeFields(trailers) });
        };
        stream.onReset = reject;
      }),
    };
    exchange.answer.catch(() => {});
    return exchange;
  }

  /** A WebSocket. */
  async webSocket(head: Partial<RequestHead> = {}, service = ''): Promise<EdgeWebSocket> {
    const full = complete(head);
    const stream = this.stream(encodeOpening({ kind: WEBSOCKET, service, head: full }));
    const reader = new MessageReader();
    const messages: SocketMessage[] = [];
    const chunks: Uint8Array[] = [];
    let answered: ResponseHead | null = null;
    const ended = new Promise<StreamReset | null>((resolve) => {
      stream.onEnd = () => resolve(null);
      stream.onReset = resolve;
    });
    await new Promise<void>((resolve, reject) => {
      stream.onHead = (payload) => {
        answered = decodeResponse(payload);
        resolve();
      };
      stream.onData = (chunk) => {
        stream.consumed(chunk.byteLength);
        if (answered?.status === 101) reader.push(chunk, (message) => messages.push(message));
        else chunks.push(chunk);
      };
      void ended.then(reject);
    });
    let tail = Promise.resolve();
    const queue = (bytes: Uint8Array): Promise<void> => (tail = tail.then(() => stream.write(bytes)));
    return {
      head: answered!,
      messages,
      ended,
      stream,
      body: () => Buffer.concat(chunks).toString(),
      send: (data) =>
        queue(
          typeof data === 'string' ? encodeMessage(TEXT, new TextEncoder().encode(data)) : encodeMessage(BINARY, data),
        ),
      close: async (code, reason) => {
        await queue(encodeClose(code, reason));
        stream.end();
      },
    };
  }

  tcp(service = ''): TunnelStream {
    return this.stream(encodeOpening({ kind: TCP, service }));
  }
}

/** With the Host that every request has. */
function complete({ method = 'GET', target = '/', fields = [] }: Partial<RequestHead>): RequestHead {
  const host = fields.some(([name]) => name.toLowerCase() === 'host') ? [] : [['Host', 'app.test'] as const];
  return { method, target, fields: [...host, ...fields] };
}

export interface Answer extends ResponseHead {
  readonly body: Buffer;
  readonly trailers: Fields;
}

export interface EdgeExchange {
  readonly stream: TunnelStream;
  readonly chunks: Uint8Array[];
  head: ResponseHead | null;
  /** Rejects with StreamReset. */
  readonly answer: Promise<Answer>;
}

export interface EdgeWebSocket {
  readonly head: ResponseHead;
  readonly messages: readonly SocketMessage[];
  readonly ended: Promise<StreamReset | null>;
  readonly stream: TunnelStream;
  body(): string;
  send(data: string | Uint8Array): Promise<void>;
  close(code: number, reason: string): Promise<void>;
}
