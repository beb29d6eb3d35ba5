/**
 * What workerd adds to the web APIs, as far as the worker uses it. Declared here and not taken from a types package, so
 * that the same sources also type-check, and run, under Node for unit tests and `explain`.
 */

/** The other end of a WebSocket that the origin accepted, null or absent if it did not. */
export function webSocketOf(response: Response): unknown {
  return (response as { webSocket?: unknown }).webSocket ?? null;
}

/** ResponseInit with what workerd reads beside it. */
export function responseInit(options: {
  status: number;
  statusText: string;
  headers: HeadersInit;
  /** `manual`: the body is encoded already as content-encoding says; without it workerd compresses again. */
  encodeBody: 'manual';
  webSocket?: unknown;
}): ResponseInit {
  return options as ResponseInit;
}

/** RequestInit with what workerd reads beside it. */
export function requestInit(
  options: RequestInit & {
    /** `manual`: a body that is read here arrives as it was sent, not inflated. */
    encodeResponseBody?: 'manual';
  },
): RequestInit {
  return options as RequestInit;
}

export interface ExecutionContext {
  waitUntil(promise: Promise<unknown>): void;
}

interface LengthStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}
type LengthStreamClass = new (length: number | bigint) => LengthStream;

/** A stream of known length, so that Content-Length is kept; a plain one where the runtime has no such class. */
export function lengthStream(length: number): LengthStream {
  const known = (globalThis as { FixedLengthStream?: LengthStreamClass }).FixedLengthStream;
  return known === undefined || length < 0 ? new TransformStream<Uint8Array, Uint8Array>() : new known(length);
}

/** One end of a WebSocket, as far as messages are passed on. */
export interface Socket {
  binaryType: string; // `arraybuffer`; the default is a Blob, which nobody can send on at once
  accept(): void;
  send(message: string | ArrayBuffer): void;
  close(code?: number, reason?: string): void;
  /** Bytes that `send` took and that have not left; where the runtime does not say, undefined. */
  readonly bufferedAmount?: number;
  addEventListener(type: 'message', listener: (event: { data: string | ArrayBuffer }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
}

/** Two ends of a new WebSocket: one for the answer to the client, one to keep. Null where the runtime has none. */
export function socketPair(): readonly [client: unknown, ours: Socket] | null {
  const Pair = (globalThis as { WebSocketPair?: new () => Readonly<Record<0 | 1, Socket>> }).WebSocketPair;
  if (Pair === undefined) return null;
  const pair = new Pair();
  return [pair[0], pair[1]];
}
