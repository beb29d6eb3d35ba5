/**
 * Reads HTTP/1.1 responses from the bytes of a connection, one after the other.
 *
 * PERF: node:http costs 50 to 60 us of CPU for a request and its answer on the machine where sockets alone cost 20; this
 * makes no objects for headers and no streams.
 *
 * SAFETY: it is strict where readers of the same bytes could differ: lines end in CRLF, there is one framing and never
 * two, and what it does not understand ends the connection. Names and values are checked where they are encoded for the
 * edge (head.ts).
 */
import { MAX_FIELDS, MAX_HEAD, type Fields, type ResponseHead } from '../head.ts';
import { CONNECTION, CONTENT_LENGTH, EXPECT, KEEP_ALIVE, kindOf, PASSES, TRANSFER_ENCODING } from './hop-fields.ts';

export const MAX_CHUNK_LINE = 4096; // bytes of the size of a chunk and its extensions
export const MAX_TRAILERS = 16_384; // bytes
export const MAX_INTERIM = 32; // answers of status 1xx before the answer

/** What came is no response, or none that can be told apart from others. */
export class ResponseError extends Error {}

export interface ResponseEvents {
  /** A status from 100 to 199, before the response. */
  onInterim(status: number): void;
  /** `fields` without those of the hop. */
  onHead(head: ResponseHead): void;
  /** A view that holds for the call alone. */
  onBody(bytes: Uint8Array): void;
  onEnd(trailers: Fields): void;
}

const IDLE = 0;
const HEAD = 1;
const SIZED = 2;
const UNTIL_CLOSE = 3;
const CHUNK_SIZE = 4;
const CHUNK_DATA = 5;
const CHUNK_END = 6;
const TRAILERS = 7;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/;
const CHUNK_LINE = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;.*)?$/;
const LENGTH = /^\d{1,15}$/;
const NONE: Fields = [];

export class ResponseParser {
  readonly #events: ResponseEvents;
  #state = IDLE;
  #bodiless = false; // HEAD
  #kept: Buffer = EMPTY; // of a head or a line that is not whole, a copy; longer than what is in it
  #keptLength = 0;
  #searched = 0; // bytes of it that hold no end
  #left = 0; // bytes of the body or the chunk
  #interims = 0;
  #trailers: [string, string][] = [];
  #trailerBytes = 0;
  /** Whether another request may go over this connection, and for how many ms it is kept: null where it is not said. */
  reusable = false;
  keepAlive: number | null = null;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  get idle(): boolean {
    return this.#state === IDLE;
  }

  /** A response is awaited, and nothing of it has come. */
  get waiting(): boolean {
    return this.#state === HEAD && this.#keptLength === 0;
  }

  /** A request goes out: its response is awaited. */
  begin(method: string): void {
    this.#state = HEAD;
    this.#bodiless = method === 'HEAD';
    this.#interims = 0;
    this.reusable = false;
    this.keepAlive = null;
  }

  /** Throws ResponseError; nothing more may be pushed then. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    let searched = 0;
    if (this.#keptLength > 0) {
      searched = this.#searched;
      this.#append(chunk);
      bytes = this.#kept.subarray(0, this.#keptLength);
      this.#keptLength = 0;
    }
    let at = 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case IDLE:
          throw new ResponseError('bytes that no request asked for');
        case HEAD: {
          const end = bytes.indexOf('\r\n\r\n', at + searched, 'latin1');
          searched = 0;
          if ((end < 0 ? bytes.length : end) - at > MAX_HEAD) throw new ResponseError('a head that is too long');
          if (end < 0) return this.#keep(bytes, at, 3);
          this.#head(bytes.toString('latin1', at, end));
          at = end + 4;
          break;
        }
        case UNTIL_CLOSE:
          this.#events.onBody(at === 0 ? bytes : bytes.subarray(at));
          return;
        case SIZED:
        case CHUNK_DATA: {
          const end = Math.min(bytes.length, at + this.#left);
          this.#left -= end - at;
          const part = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
          at = end;
          const whole = this.#left === 0;
          const sized = this.#state === SIZED;
          if (whole && !sized) this.#state = CHUNK_END;
          this.#events.onBody(part);
          if (whole && sized) this.#end();
          break;
        }
        case CHUNK_END: {
          if (bytes.length - at < 2) return this.#keep(bytes, at, 1);
          if (bytes[at] !== 13 || bytes[at + 1] !== 10) throw new ResponseError('a chunk longer than it says');
          at += 2;
          this.#state = CHUNK_SIZE;
          break;
        }
        default: {
          const end = bytes.indexOf('\r\n', at + searched, 'latin1');
          searched = 0;
          if ((end < 0 ? bytes.length : end) - at > MAX_CHUNK_LINE) throw new ResponseError('a line that is too long');
          if (end < 0) return this.#keep(bytes, at, 1);
          const line = bytes.toString('latin1', at, end);
          at = end + 2;
          if (this.#state === CHUNK_SIZE) this.#chunk(line);
          else this.#trailer(line);
        }
      }
    }
  }

  /** Of what is kept, the last `overlap` bytes may belong to an end that is not whole. */
  #keep(bytes: Buffer, at: number, overlap: number): void {
    const length = bytes.length - at;
    if (bytes.buffer === this.#kept.buffer) {
      this.#kept.copyWithin(0, at, bytes.length);
      this.#keptLength = length;
    } else this.#append(bytes.subarray(at));
    this.#searched = Math.max(0, length - overlap);
  }

  /** SAFETY: the room doubles, and its beginning is searched once: bytes that come one by one cost no more than others. */
  #append(bytes: Buffer): void {
    const length = this.#keptLength + bytes.length;
    if (length > this.#kept.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#keptLength, FIRST));
      this.#kept.copy(larger, 0, 0, this.#keptLength);
      this.#kept = larger;
    }
    bytes.copy(this.#kept, this.#keptLength);
    this.#keptLength = length;
  }

  /** The peer sends no more. Throws ResponseError where that is within a response. */
  finish(): void {
    if (this.#state === IDLE) return;
    if (this.#state !== UNTIL_CLOSE) throw new ResponseError('a response that is cut off');
    this.#end();
  }

  #head(text: string): void {
    const lines = text.split('\r\n');
    const [, minor, digits = '', reason = ''] = STATUS_LINE.exec(lines[0]!) ?? [];
    if (minor === undefined) throw new ResponseError('an answer that is not HTTP/1.1');
    if (lines.length - 1 > MAX_FIELDS) throw new ResponseError(`more than ${MAX_FIELDS} fields`);
    const status = Number(digits);
    const fields: [string, string][] = [];
    let length: string | null = null;
    let coding: string | null = null;
    let connection = '';
    for (let i = 1; i < lines.length; i++) {
      const line = lines[i]!;
      const colon = line.indexOf(':');
      if (colon < 1) throw new ResponseError('a field without a name');
      const name = line.slice(0, colon);
      const value = trimmed(line, colon + 1);
      const kind = kindOf(name);
      if (kind === CONTENT_LENGTH) {
        if (length !== null && length !== value) throw new ResponseError('two lengths');
        if (!LENGTH.test(value)) throw new ResponseError('a Content-Length that is none');
        if (length === null) fields.push([name, value]);
        length = value;
      } else if (kind === TRANSFER_ENCODING) coding = coding === null ? value : `${coding}, ${value}`;
      else if (kind === CONNECTION) connection += `,${value.toLowerCase()},`;
      else if (kind === KEEP_ALIVE) this.keepAlive = keptFor(value);
      else if (kind === PASSES || kind === EXPECT) fields.push([name, value]);
    }
    if (status < 200) {
      if (status === 101) throw new ResponseError('another protocol, which nobody asked for');
      if (++this.#interims > MAX_INTERIM) throw new ResponseError('too many interim answers');
      return this.#events.onInterim(status);
    }
    this.reusable = minor === '1' ? !/[, ]close[, ]/.test(connection) : /[, ]keep-alive[, ]/.test(connection);
    const bodiless = this.#bodiless || status === 204 || status === 304;
    if (coding !== null && !bodiless) {
      // SPEC: RFC 9112 section 6.1: both, or in HTTP/1.0, is how responses are smuggled.
      if (length !== null) throw new ResponseError('both a Content-Length and a Transfer-Encoding');
      if (minor === '0' || coding.toLowerCase() !== 'chunked')
        throw new ResponseError(`a Transfer-Encoding that is not chunked alone`);
      this.#state = CHUNK_SIZE;
    } else if (!bodiless && length === null) {
      this.#state = UNTIL_CLOSE;
      this.reusable = false;
    } else {
      this.#left = bodiless ? 0 : Number(length);
      this.#state = SIZED;
    }
    this.#events.onHead({ status, reason, fields: connection === '' ? fields : unnamed(fields, connection) });
    if (this.#state === SIZED && this.#left === 0) this.#end();
  }

  #chunk(line: string): void {
    const size = CHUNK_LINE.exec(line)?.[1];
    if (size === undefined) throw new ResponseError('a chunk without a size');
    this.#left = parseInt(size, 16);
    this.#state = this.#left === 0 ? TRAILERS : CHUNK_DATA;
    this.#trailers = [];
    this.#trailerBytes = 0;
  }

  #trailer(line: string): void {
    if (line === '') return this.#end(this.#trailers);
    this.#trailerBytes += line.length + 2;
    const colon = line.indexOf(':');
    if (colon < 1) throw new ResponseError('a trailer without a name');
    if (this.#trailerBytes > MAX_TRAILERS) throw new ResponseError('trailers that are too long');
    const name = line.slice(0, colon);
    // SPEC: RFC 9110 section 6.5.1: no trailer changes how the message was framed.
    if (kindOf(name) === PASSES) this.#trailers.push([name, trimmed(line, colon + 1)]);
  }

  #end(trailers: Fields = NONE): void {
    this.#state = IDLE;
    if (this.#keptLength === 0) this.#kept = EMPTY;
    this.#events.onEnd(trailers);
  }
}

const FIRST = 1024; // bytes of the room for what is kept
const EMPTY = Buffer.alloc(0);

/** Without the spaces and tabs around it, and without an array or a regex. */
function trimmed(line: string, from: number): string {
  let begin = from;
  let end = line.length;
  while (begin < end && isBlank(line.charCodeAt(begin))) begin++;
  while (end > begin && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(begin, end);
}

const isBlank = (code: number): boolean => code === 32 || code === 9;

function keptFor(value: string): number | null {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? null : Number(seconds) * 1000;
}

/** SPEC: RFC 9110 section 7.6.1: what Connection names belongs to the connection. `connection`: in lower case. */
function unnamed(fields: [string, string][], connection: string): Fields {
  // PERF: as good as always it names nothing else.
  const named = connection.split(',').flatMap((token) => (COMMON.has(token.trim()) ? [] : [token.trim()]));
  return named.length === 0 ? fields : fields.filter(([name]) => !named.includes(name.toLowerCase()));
}

const COMMON: ReadonlySet<string> = new Set(['', 'close', 'keep-alive']);
