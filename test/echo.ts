/**
 * The origin that tests put behind the gateway: it says in JSON what it received, byte for byte where Node lets us see
 * it, and misbehaves on request. One process, real sockets, no timing assumptions: what must wait, waits for the test.
 *
 *   /anything        JSON of method, target, host, header lines and the body's length and SHA-256
 *   …/status/N       that status                      ?delay=1s       answer after a while
 *   ?responseCode=503&succeedAfter=2&uuid=U           fail the first two requests of U (without a code: close the socket)
 *   /stream          sends each chunk back as it comes (full duplex)
 *   /sse             one event at once, the next each time the test calls `release()`
 *   /bytes/N         N known bytes, ranges understood;  ?chunked    without Content-Length
 *   /gzip, /br       a compressed body                /cookies/N      N Set-Cookie lines
 *   /hang            never answers                    /drip           answers forever
 *   /reset           closes without an answer         /cut            promises 1000 bytes, sends 10, closes
 *   Upgrade          WebSocket echo; the message `close 4001 why` closes with that code and reason
 *
 * `X-Echo-Set-Header: a:1, b:2` adds response header lines.
 */
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { WebSocketServer, type WebSocket } from 'ws';

/** What reached the origin. */
export interface Received {
  readonly backend: string;
  readonly method: string;
  readonly path: string; // request target as on the wire
  readonly host: string;
  readonly httpVersion: string;
  /** Name in lower case -> values of all its lines, joined with `,` and no space. */
  readonly headers: Record<string, string>;
  readonly lines: readonly (readonly [name: string, value: string])[]; // as on the wire
  readonly remote: number; // port of the peer, tells connections apart
  body: { length: number; sha256: string };
}

export interface Echo {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  readonly received: Received[];
  /** Sockets that the origin has accepted so far. */
  connections: number;
  /** Lets each waiting /sse send its next event. */
  release(): void;
  /** Resolves when a request for which `test` holds has come, or had come before. */
  arrival(test: (request: Received) => boolean): Promise<Received>;
  /** Resolves when the peer has given up a request whose target contains `part`. */
  abort(part: string): Promise<void>;
  /** Resolves with code and reason when a WebSocket of this origin was closed by its peer. */
  closed(): Promise<{ code: number; reason: string }>;
  readonly sockets: Set<WebSocket>;
  stop(): Promise<void>;
}

/** Known content: the same N bytes for everybody, not compressible to nothing, not all equal. */
export function bytes(length: number): Buffer {
  const out = Buffer.alloc(length);
  let state = 0x2545f491;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state & 0xff;
  }
  return out;
}

export const TEXT = 'The gate stays shut; the sally port opens.\n'.repeat(200);
export const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');

const milliseconds = (text: string | null): number => {
  const match = /^(\d+)(ms|s)$/.exec(text ?? '');
  return match ? Number(match[1]) * (match[2] === 's' ? 1000 : 1) : 0;
};

export interface EchoOptions {
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Closes each connection after one answer. */
  readonly oneShot?: boolean;
}

export async function startEcho(name: string, { tls, oneShot = false }: EchoOptions = {}): Promise<Echo> {
  const events = new EventEmitter().setMaxListeners(0);
  const received: Received[] = [];
  const aborted: string[] = [];
  const closures: { code: number; reason: string }[] = [];
  const failures = new Map<string, number>();
  const open = new Set<Socket>();
  const sockets = new Set<WebSocket>();

  function note(request: IncomingMessage): Received {
    const lines: [string, string][] = [];
    const headers: Record<string, string> = Object.create(null) as Record<string, string>;
    for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
      const [key, value] = [request.rawHeaders[i] as string, request.rawHeaders[i + 1] as string];
      lines.push([key, value]);
      const lower = key.toLowerCase();
      headers[lower] = lower in headers ? `${headers[lower]},${value}` : value;
    }
    const entry: Received = {
      backend: name,
      method: request.method ?? '',
      path: request.url ?? '',
      host: headers['host'] ?? '',
      httpVersion: request.httpVersion,
      headers,
      lines,
      remote: request.socket.remotePort ?? 0,
      body: { length: 0, sha256: '' },
    };
    received.push(entry);
    events.emit('request', entry);
    return entry;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const entry = note(request);
    const url = new URL(request.url ?? '/', 'http://echo');
    response.on('close', () => {
      if (response.writableFinished) return;
      aborted.push(request.url ?? '');
      events.emit('abort');
    });
    response.on('error', () => {});
    request.on('error', () => {});
    for (const pair of (request.headers['x-echo-set-header'] as string | undefined)?.split(',') ?? []) {
      const at = pair.indexOf(':');
      if (at > 0) response.appendHeader(pair.slice(0, at).trim(), pair.slice(at + 1).trim());
    }
    const path = url.pathname;

    if (path === '/stream') {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.flushHeaders();
      for await (const chunk of request) response.write(chunk);
      response.end();
      return;
    }
    if (path === '/hang') return;
    if (path === '/reset') return void request.socket.destroy();
    if (path === '/drip') {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      const timer = setInterval(() => response.write('drip '), 20);
      response.on('close', () => clearInterval(timer));
      return;
    }

    const hash = createHash('sha256');
    let length = 0;
    for await (const chunk of request) {
      hash.update(chunk as Buffer);
      length += (chunk as Buffer).length;
    }
    entry.body = { length, sha256: hash.digest('hex') };
    events.emit('request', entry);

    const wait = milliseconds(url.searchParams.get('delay'));
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));

    const succeedAfter = Number(url.searchParams.get('succeedAfter') ?? 0);
    if (succeedAfter > 0) {
      const key = url.searchParams.get('uuid') ?? path;
      const sofar = failures.get(key) ?? 0;
      if (sofar < succeedAfter) {
        failures.set(key, sofar + 1);
        const pause = milliseconds(url.searchParams.get('delayRetry'));
        if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
        const code = url.searchParams.get('responseCode');
        if (code === null) return void request.socket.destroy();
        response.statusCode = Number(code);
      }
    }

    const status = /\/status\/(\d{3})$/.exec(path);
    if (status) response.statusCode = Number(status[1]);

    if (path === '/sse') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
      const last = Number(url.searchParams.get('events') ?? 3);
      for (let event = 1; event <= last; event++) {
        response.write(`id: ${event}\ndata: event ${event}\n\n`);
        if (event < last) await once(events, 'release');
      }
      response.end();
      return;
    }
    const size = /^\/bytes\/(\d+)$/.exec(path);
    if (size) return sendBytes(request, response, bytes(Number(size[1])), url.searchParams.has('chunked'));
    if (path === '/gzip' || path === '/br') {
      const packed = path === '/gzip' ? gzipSync(TEXT) : brotliCompressSync(TEXT);
      response.writeHead(200, {
        'content-type': 'text/plain',
        'content-encoding': path === '/gzip' ? 'gzip' : 'br',
        'content-length': packed.length,
      });
      response.end(request.method === 'HEAD' ? undefined : packed);
      return;
    }
    if (path === '/cut') {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('0123456789', () => request.socket.destroy());
      return;
    }
    const cookies = /^\/cookies\/(\d+)$/.exec(path);
    if (cookies) {
      const list = Array.from(
        { length: Number(cookies[1]) },
        (_, i) => `c${i}=v${i}; Path=/; Expires=Thu, 01 Jan 2037 00:00:00 GMT`,
      );
      response.setHeader('set-cookie', list);
    }
    const text = `${JSON.stringify(entry)}\n`;
    if ([204, 205, 304].includes(response.statusCode)) return void response.end();
    response.setHeader('content-type', 'application/json');
    response.setHeader('content-length', Buffer.byteLength(text));
    response.end(request.method === 'HEAD' ? undefined : text);
  }

  function sendBytes(request: IncomingMessage, response: ServerResponse, all: Buffer, chunked: boolean): void {
    const range = /^bytes=(\d+)-(\d*)$/.exec((request.headers['range'] as string | undefined) ?? '');
    response.setHeader('accept-ranges', 'bytes');
    response.setHeader('etag', '"known"');
    response.setHeader('content-type', 'application/octet-stream');
    let part = all;
    if (range) {
      const [from, to] = [Number(range[1]), range[2] ? Number(range[2]) : all.length - 1];
      if (from >= all.length) {
        response.writeHead(416, { 'content-range': `bytes */${all.length}` }).end();
        return;
      }
      part = all.subarray(from, to + 1);
      response.statusCode = 206;
      response.setHeader('content-range', `bytes ${from}-${from + part.length - 1}/${all.length}`);
    }
    if (!chunked) response.setHeader('content-length', part.length);
    if (request.method === 'HEAD') return void response.end();
    response.write(part.subarray(0, part.length >> 1));
    response.end(part.subarray(part.length >> 1));
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(() => response.destroy());
  };
  const options = { maxHeaderSize: 1 << 20, requireHostHeader: false, keepAliveTimeout: 60_000 };
  const server: Server = tls ? createTlsServer({ ...options, ...tls }, listener) : createServer(options, listener);
  if (oneShot) server.maxRequestsPerSocket = 1;
  const webSockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => [...offered][0] ?? false,
  });
  server.on('upgrade', (request, socket, head) => {
    note(request);
    webSockets.handleUpgrade(request, socket, head, (client) => {
      sockets.add(client);
      client.on('message', (data, binary) => {
        const order = binary ? null : /^close (\d+) ?(.*)$/.exec((data as Buffer).toString());
        if (order) client.close(Number(order[1]), order[2]);
        else client.send(data as Buffer, { binary });
      });
      client.on('error', () => {});
      client.on('close', (code, reason) => {
        sockets.delete(client);
        closures.push({ code, reason: reason.toString() });
        events.emit('closed');
      });
    });
  });
  server.on('connection', (socket: Socket) => {
    echo.connections++;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = (server.address() as AddressInfo).port;

  async function until<T>(event: string, find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await once(events, event);
    }
  }

  const echo: Echo = {
    name,
    port,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    received,
    connections: 0,
    sockets,
    release: () => void events.emit('release'),
    arrival: (test) => until('request', () => received.find(test)),
    abort: async (part) => {
      await until('abort', () => aborted.find((target) => target.includes(part)));
    },
    closed: () => until('closed', () => closures.shift()),
    stop: async () => {
      for (const client of sockets) client.terminate();
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return echo;
}
