/** A plain HTTP client for tests: any method, any Host, any header line, bodies as bytes, redirects not followed. */
import { request as send, Agent, type IncomingMessage, type ClientRequest } from 'node:http';
import { request as sendTls } from 'node:https';
import { once } from 'node:events';
import type { Received } from './echo.ts';

export interface Options {
  method?: string;
  host?: string;
  /** Pairs where order and repetition matter. */
  headers?: Record<string, string | string[]> | readonly (readonly [string, string])[];
  body?: string | Buffer;
  ca?: string;
  /** TLS: name to ask for. */
  servername?: string;
  agent?: Agent | false;
  signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  /** Lines of one name joined with `, `. */
  readonly headers: Record<string, string>;
  readonly lines: readonly (readonly [string, string])[];
  readonly body: Buffer;
  text(): string;
  json(): Record<string, unknown>;
  /** What the echo origin said it received. */
  echo(): Received;
}

/** Starts a request; the caller writes the body and reads the answer (streaming, aborts). */
export function begin(url: string, options: Options = {}): ClientRequest {
  const target = new URL(url);
  const secure = target.protocol === 'https:';
  // The target goes as written: URL would resolve the dot segments that a test wants to send.
  const path = url.slice(url.indexOf('/', url.indexOf('//') + 2));
  const pairs = Array.isArray(options.headers)
    ? (options.headers as [string, string][])
    : Object.entries((options.headers ?? {}) as Record<string, string | string[]>);
  const flat: string[] = [];
  if (!pairs.some(([name]) => name.toLowerCase() === 'host')) flat.push('Host', options.host ?? target.host);
  for (const [name, value] of pairs) for (const one of Array.isArray(value) ? value : [value]) flat.push(name, one);
  if (options.body !== undefined && !pairs.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name))) {
    flat.push('Content-Length', String(Buffer.byteLength(options.body)));
  }
  return (secure ? sendTls : send)({
    host: target.hostname.replace(/^\[|\]$/g, ''),
    port: target.port,
    path: path.startsWith('/') ? path : '/',
    method: options.method ?? 'GET',
    headers: flat as unknown as Record<string, string>,
    setHost: false,
    ...(options.agent === undefined ? { agent: false } : { agent: options.agent }),
    ...(options.signal ? { signal: options.signal } : {}),
    ...(secure ? { ca: options.ca, servername: options.servername ?? '' } : {}),
  } as never);
}

export async function collect(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const lines: [string, string][] = [];
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) {
    const [name, value] = [(response.rawHeaders[i] as string).toLowerCase(), response.rawHeaders[i + 1] as string];
    lines.push([name, value]);
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return {
    status: response.statusCode ?? 0,
    headers,
    lines,
    body,
    text: () => body.toString(),
    json: () => JSON.parse(body.toString()) as Record<string, unknown>,
    echo: () => JSON.parse(body.toString()) as Received,
  };
}

/** One request and its whole answer. */
export async function ask(url: string, options: Options = {}): Promise<Answer> {
  const request = begin(url, options);
  const answered = once(request, 'response');
  request.end(options.body);
  const [response] = (await answered) as [IncomingMessage];
  return collect(response);
}
