/**
 * HTTP at the level of bytes: a client that sends exactly what a test says, and an origin that keeps exactly what it got.
 * Node's own client and server repair or refuse too much to show what a hostile peer can do.
 */
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface RawResponse {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

export interface RawResult {
  /** Final answers in the order in which they came; 1xx are left out. */
  readonly responses: readonly RawResponse[];
  readonly interim: readonly number[];
  /** True when the peer ended the connection. */
  readonly closed: boolean;
  readonly bytes: Buffer;
}

/** Parses one message from the front of `data`; null while it is incomplete. */
export function parseResponse(
  data: Buffer,
  ended: boolean,
  method = 'GET',
): { response: RawResponse; used: number } | null {
  const end = data.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [first = '', ...lines] = data.subarray(0, end).toString('latin1').split('\r\n');
  const match = /^HTTP\/1\.[01] (\d{3})/.exec(first);
  if (!match) throw new Error(`not an HTTP response: ${JSON.stringify(first.slice(0, 80))}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const at = line.indexOf(':');
    const name = line.slice(0, at).toLowerCase();
    const value = line.slice(at + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const status = Number(match[1]);
  const start = end + 4;
  const done = (body: Buffer, used: number) => ({ response: { status, headers, body }, used });
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return done(Buffer.alloc(0), start);
  if (headers['transfer-encoding']?.toLowerCase().endsWith('chunked')) {
    const parts: Buffer[] = [];
    let at = start;
    for (;;) {
      const eol = data.indexOf('\r\n', at);
      if (eol < 0) return null;
      const size = parseInt(data.subarray(at, eol).toString('latin1'), 16);
      if (!Number.isInteger(size)) throw new Error('bad chunk size');
      at = eol + 2;
      if (data.length < at + size + 2) return null;
      if (size === 0) return done(Buffer.concat(parts), at + 2);
      parts.push(data.subarray(at, at + size));
      at += size + 2;
    }
  }
  if (headers['content-length'] !== undefined) {
    const length = Number(headers['content-length']);
    if (!Number.isInteger(length)) throw new Error(`bad Content-Length ${headers['content-length']}`);
    return data.length < start + length ? null : done(data.subarray(start, start + length), start + length);
  }
  return ended ? done(data.subarray(start), data.length) : null;
}

/**
 * Sends `pieces` on one connection and returns what came back: once `expect` answers are there, or the peer closed.
 * No answer and no close within `patience` ms is a hang and rejects.
 */
export async function exchange(
  port: number,
  pieces: string | Buffer | readonly (string | Buffer)[],
  options: { expect?: number; patience?: number; method?: string; end?: boolean } = {},
): Promise<RawResult> {
  const socket = connect({ port, host: '127.0.0.1' });
  const list = Array.isArray(pieces) ? (pieces as readonly (string | Buffer)[]) : [pieces as string | Buffer];
  const chunks: Buffer[] = [];
  const responses: RawResponse[] = [];
  const interim: number[] = [];
  let used = 0;
  let closed = false;
  const take = (): void => {
    const data = Buffer.concat(chunks);
    for (;;) {
      const found = parseResponse(data.subarray(used), closed, options.method);
      if (!found) return;
      used += found.used;
      if (found.response.status < 200) interim.push(found.response.status);
      else responses.push(found.response);
    }
  };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        new Error(
          `no answer within ${options.patience ?? 5000} ms; so far ${JSON.stringify(Buffer.concat(chunks).toString('latin1').slice(0, 200))}`,
        ),
      );
    }, options.patience ?? 5000);
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ responses, interim, closed, bytes: Buffer.concat(chunks) });
    };
    const step = (): void => {
      try {
        take();
      } catch (error) {
        clearTimeout(timer);
        socket.destroy();
        reject(error as Error);
        return;
      }
      if (closed || responses.length >= (options.expect ?? 1)) finish();
    };
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      step();
    });
    socket.on('end', () => {
      closed = true;
      step();
    });
    socket.on('error', () => {
      closed = true;
      step();
    });
    socket.on('connect', () => {
      socket.setNoDelay(true);
      for (const piece of list) socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
      if (options.end === true) socket.end();
    });
  });
}

/** A request head from its lines, with CRLF after each and an empty line at the end. */
export const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

export interface RawOrigin {
  readonly port: number;
  readonly url: string;
  /** Bytes of each connection so far. */
  readonly connections: readonly { bytes: Buffer }[];
  /** All requests that a strict reader finds in those bytes; throws when they are ambiguous or not HTTP. */
  requests(): { line: string; headers: [string, string][]; body: Buffer }[];
  stop(): Promise<void>;
}

/** An origin that records bytes and answers `200` to each request head it sees; `reply` changes the bytes of the answer. */
export async function startRawOrigin(reply = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'): Promise<RawOrigin> {
  const connections: { bytes: Buffer }[] = [];
  const open = new Set<Socket>();
  const events = new EventEmitter();
  const server = createServer((socket) => {
    const entry = { bytes: Buffer.alloc(0) };
    let answered = 0;
    connections.push(entry);
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.on('data', (chunk) => {
      entry.bytes = Buffer.concat([entry.bytes, chunk]);
      let complete = 0;
      try {
        complete = readRequests(entry.bytes).complete;
      } catch {
        complete = answered + 1; // not HTTP: answer anyway, requests() will tell
      }
      for (; answered < complete; answered++) socket.write(Buffer.from(reply, 'latin1'));
      events.emit('data');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = (server.address() as AddressInfo).port;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections,
    requests: () => connections.flatMap((entry) => readRequests(entry.bytes).list),
    stop: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Strict reader of requests: anything that two readers could take differently is an error. */
function readRequests(data: Buffer): {
  list: { line: string; headers: [string, string][]; body: Buffer }[];
  complete: number;
} {
  const list: { line: string; headers: [string, string][]; body: Buffer }[] = [];
  let at = 0;
  while (at < data.length) {
    const end = data.indexOf('\r\n\r\n', at);
    if (end < 0) return { list, complete: list.length };
    const text = data.subarray(at, end).toString('latin1');
    // eslint-disable-next-line no-control-regex
    if (/\r(?!\n)|(?<!\r)\n|\0/.test(text))
      throw new Error(`bare CR, bare LF or NUL in a head: ${JSON.stringify(text)}`);
    const [line = '', ...rest] = text.split('\r\n');
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \x00-\x20\x7f]+ HTTP\/1\.1$/.test(line))
      throw new Error(`request line: ${JSON.stringify(line)}`);
    const headers = rest.map((field): [string, string] => {
      const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(field);
      if (!match) throw new Error(`header line: ${JSON.stringify(field)}`);
      return [(match[1] as string).toLowerCase(), match[2] as string];
    });
    const all = (name: string): string[] => headers.filter(([key]) => key === name).map(([, value]) => value);
    if (all('host').length !== 1) throw new Error(`${all('host').length} Host lines`);
    const [lengths, codings] = [all('content-length'), all('transfer-encoding')];
    if (lengths.length + codings.length > 1)
      throw new Error(`ambiguous length: ${JSON.stringify({ lengths, codings })}`);
    let from = end + 4;
    let body: Buffer = Buffer.alloc(0);
    if (codings.length === 1) {
      if (codings[0] !== 'chunked') throw new Error(`coding ${codings[0]}`);
      const parts: Buffer[] = [];
      for (;;) {
        const eol = data.indexOf('\r\n', from);
        if (eol < 0) return { list, complete: list.length };
        const digits = data.subarray(from, eol).toString('latin1');
        if (!/^[0-9a-fA-F]+$/.test(digits)) throw new Error(`chunk size ${JSON.stringify(digits)}`);
        const size = parseInt(digits, 16);
        from = eol + 2;
        if (data.length < from + size + 2) return { list, complete: list.length };
        if (data.toString('latin1', from + size, from + size + 2) !== '\r\n') throw new Error('chunk end');
        if (size > 0) parts.push(data.subarray(from, from + size));
        from += size + 2;
        if (size === 0) break;
      }
      body = Buffer.concat(parts);
    } else if (lengths.length === 1) {
      if (!/^\d+$/.test(lengths[0] as string)) throw new Error(`length ${lengths[0]}`);
      const size = Number(lengths[0]);
      if (data.length < from + size) return { list, complete: list.length };
      body = data.subarray(from, from + size);
      from += size;
    }
    list.push({ line, headers, body });
    at = from;
  }
  return { list, complete: list.length };
}
