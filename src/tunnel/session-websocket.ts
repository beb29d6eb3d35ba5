/** A WebSocket of a client of the public on a stream, with the messages of message.ts. */
import { backlogs, FREE_BACKLOG, MAX_BACKLOG, TOO_FAR_BEHIND } from '../backlog.ts';
import type { Watch } from './exchange.ts';
import { RESET_CODE } from './frame.ts';
import {
  BINARY,
  closeReason,
  decodeClose,
  encodeClose,
  encodeMessage,
  MAX_SOCKET_MESSAGE,
  MessageReader,
  TEXT,
} from './message.ts';
import type { HibernatingSocket } from './session-lanes.ts';
import type { ShownSocket } from './shown.ts';
import type { StreamReset, StreamSnapshot, TunnelStream } from './stream.ts';

const MAX_BUFFERED = 262_144; // bytes that a client's socket may hold back before its stream gets no more credit
const LOOK_MIN = 5; // ms between looks at a socket that holds more, doubled each time
const LOOK_MAX = 500;
/** Bytes that all clients of a session have sent and that wait for credit; of each, see backlog.ts. */
export const MAX_QUEUES = 2 * MAX_BACKLOG;
/**
 * Bytes of messages that are not whole, of all clients of a session: what is held of them is granted again for the rest to
 * come, so credit does not bound it.
 */
export const MAX_ASSEMBLED = 67_108_864;

/** What a client is for as long as its socket is open. */
export interface Visit {
  readonly lane: string;
  /** To who begins to look while it is open. */
  readonly shown: ShownSocket;
}

/** What a stream needs to go on when the object slept. */
export interface ClientAttachment {
  readonly visit: Visit;
  readonly stream: number;
  readonly snapshot: StreamSnapshot;
}

/** SPEC: RFC 6455 section 7.4.1 and the registry of close codes. */
const TOO_BIG = 1009;
const FAILED = 1011;
export const RESTART = 1012;

/** Bytes that a session holds for its clients. */
export type Sums = Record<'queued' | 'assembled', number>;

export class Client {
  readonly socket: HibernatingSocket;
  readonly visit: Visit;
  readonly stream: TunnelStream;
  /** Null: nobody looks, or did when it was opened. */
  watch: Watch | null = null;
  readonly #sums: Sums;
  readonly #gone: (client: Client) => void;
  readonly #reader = new MessageReader();
  #writing: Promise<void> = Promise.resolve();
  #queued = 0; // bytes that wait to be written
  #assembled = 0; // bytes of memory for a message that is not whole
  #pending = 0; // bytes that came and are not consumed
  #looking = false;
  #closed = false; // our side of the socket
  #ended = false; // our side of the stream
  #saved = '';

  constructor(
    socket: HibernatingSocket,
    visit: Visit,
    stream: TunnelStream,
    sums: Sums,
    gone: (client: Client) => void,
  ) {
    this.socket = socket;
    this.visit = visit;
    this.stream = stream;
    this.#gone = gone;
    this.#sums = sums;
    stream.onHead = () => stream.reset(RESET_CODE.protocol, 'a second head');
    stream.onData = (chunk) => this.#data(chunk);
    stream.onEnd = () => this.#end();
    stream.onReset = (reset) => this.#reset(reset);
  }

  /** True when nothing is under way, so that the socket's attachment can say all there is. */
  get quiet(): boolean {
    return this.#queued === 0 && this.#pending === 0 && !this.#reader.partial;
  }

  #data(chunk: Uint8Array): void {
    this.watch?.out(chunk);
    this.#pending += chunk.byteLength;
    this.#reader.push(chunk, ({ opcode, payload }) => {
      if (opcode === TEXT) this.#send(decoder.decode(payload));
      else if (opcode === BINARY) this.#send(payload);
      else {
        const { code, reason } = decodeClose(payload);
        this.#close(code, reason);
      }
    });
    this.#assemble(this.stream.open ? this.#reader.held : 0);
    if (this.#assembled > FREE_BACKLOG && this.#sums.assembled > MAX_ASSEMBLED)
      return this.end(TOO_FAR_BEHIND, `more than ${MAX_ASSEMBLED} bytes of messages that are not whole`);
    this.#consume();
  }

  #assemble(bytes: number): void {
    this.#sums.assembled += bytes - this.#assembled;
    this.#assembled = bytes;
  }

  /** Credit is granted as long as the client takes what it is sent. */
  #consume(): void {
    if ((this.socket.bufferedAmount ?? 0) > MAX_BUFFERED) return this.#look(LOOK_MIN);
    const bytes = this.#pending;
    this.#pending = 0;
    this.stream.consumed(bytes);
  }

  #look(delay: number): void {
    if (this.#looking) return;
    this.#looking = true;
    setTimeout(() => {
      this.#looking = false;
      if (!this.#closed && (this.socket.bufferedAmount ?? 0) > MAX_BUFFERED) this.#look(Math.min(LOOK_MAX, delay * 2));
      else this.#consume();
    }, delay);
  }

  #send(message: string | Uint8Array): void {
    if (this.#closed) return;
    try {
      this.socket.send(message);
    } catch {
      this.stream.reset(RESET_CODE.cancelled, 'the client is gone');
      this.#gone(this);
    }
  }

  #end(): void {
    // A close came before it, or nothing did.
    this.#close(FAILED, '');
    this.#over();
  }

  #reset({ code, message }: StreamReset): void {
    this.watch?.ended(message || 'aborted');
    this.#close(code === RESET_CODE.lost ? RESTART : FAILED, '');
    this.#gone(this);
  }

  #close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (code === 1005) this.socket.close();
      else this.socket.close(code, closeReason(reason));
    } catch {
      // closed already
    }
  }

  /** A message of the client; resolves once the stream took it. */
  message(message: string | ArrayBuffer): Promise<void> {
    const bytes = typeof message === 'string' ? encoder.encode(message) : new Uint8Array(message);
    this.watch?.in(bytes);
    if (bytes.byteLength > MAX_SOCKET_MESSAGE) {
      this.#close(TOO_BIG, '');
      return this.#refuse('a message that is too long');
    }
    return this.#write(encodeMessage(typeof message === 'string' ? TEXT : BINARY, bytes));
  }

  /** Ends both sides. */
  end(code: number, reason: string): void {
    this.#close(code, reason);
    this.stream.reset(RESET_CODE.cancelled, reason);
    this.#gone(this);
  }

  #refuse(reason: string): Promise<void> {
    this.#close(FAILED, reason);
    this.stream.reset(RESET_CODE.cancelled, reason);
    this.#gone(this);
    return Promise.resolve();
  }

  /** The client closed its side. */
  left(code: number, reason: string): void {
    this.#closed = true;
    if (this.#ended) return;
    void this.#write(encodeClose(code, reason));
    void this.#write(null);
  }

  /** In turn; null: the end of this direction. */
  #write(bytes: Uint8Array | null): Promise<void> {
    if (this.#ended) return Promise.resolve();
    if (bytes === null) this.#ended = true;
    const size = bytes?.byteLength ?? 0;
    const queued = this.#queued + size;
    const fits = queued <= FREE_BACKLOG || this.#sums.queued + size <= MAX_QUEUES;
    if (!fits || !backlogs.fits(this, queued)) {
      this.#close(TOO_FAR_BEHIND, 'more than the origin takes');
      return this.#refuse('the client sends more than the origin takes');
    }
    this.#queue(size);
    const write = this.#writing.then(async () => {
      if (!this.stream.open) return;
      if (bytes !== null) await this.stream.write(bytes);
      else this.stream.end();
    });
    this.#writing = write
      .catch(() => {}) // the stream was reset, and whoever did that has said so
      .then(() => {
        this.#queue(-size);
        if (bytes === null) this.#over();
      });
    return this.#writing;
  }

  #queue(bytes: number): void {
    this.#queued += bytes;
    this.#sums.queued += bytes;
    this.tell();
  }

  tell(): void {
    backlogs.note(this, this.#queued);
  }

  /** It is no client any more. What waits is given back as its writes fail. */
  release(): void {
    this.watch?.ended();
    this.#assemble(0);
  }

  #over(): void {
    if (!this.stream.open) this.#gone(this);
  }

  /** Writes down what changed. Credit of the connector comes without anything of the client's. */
  save(): void {
    const snapshot = this.stream.snapshot();
    if (snapshot === null) return;
    const state = JSON.stringify(snapshot);
    if (state === this.#saved) return;
    const attachment: ClientAttachment = { visit: this.visit, stream: this.stream.id, snapshot };
    this.socket.serializeAttachment(attachment);
    this.#saved = state;
  }

  /** The socket's attachment says this. */
  restored(snapshot: StreamSnapshot): void {
    this.#saved = JSON.stringify(snapshot);
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
