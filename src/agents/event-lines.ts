/**
 * A stream of server-sent events, read a byte at a time: nothing is held, so it is all the same where chunks, events and
 * characters are cut. SPEC: HTML, 9.2.5 and 9.2.6: lines end in CR LF, LF or CR; a blank line ends an event; a line that
 * begins with a colon is a comment; one space behind the colon of a field is no part of its value.
 */

export interface EventSink {
  /** A piece of the data of the event at hand. */
  data(bytes: Uint8Array, from: number, to: number): void;
  /** The event at hand ended; the byte before `at` of the chunk ends the blank line (or its CR, of which the LF may follow). */
  end(at: number): void;
}

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const DATA = [0x64, 0x61, 0x74, 0x61];
const BREAK = new Uint8Array([LF]);

/** Where in a line the next byte stands. */
const BEGIN = 0;
const NAME = 1;
const FIRST = 2; // of the value
const VALUE = 3;
const SKIP = 4; // of a line that is no data

export class EventLines {
  readonly #sink: EventSink;
  #state = BEGIN;
  #name = 0; // bytes of `data` that were met
  #lines = 0; // lines of data in the event at hand
  #afterCr = false;
  /** Bytes of a byte order mark that were met; -1: past it. */
  #mark = 0;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#mark >= 0 && this.#isMark(byte)) continue;
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false;
        continue;
      }
      this.#afterCr = byte === CR;
      if (byte === LF || byte === CR) {
        this.#endLine(at + 1);
        continue;
      }
      switch (this.#state) {
        case BEGIN:
        case NAME:
          this.#inName(byte);
          break;
        case FIRST:
          this.#state = VALUE;
          this.#lines++;
          if (this.#lines > 1) this.#sink.data(BREAK, 0, 1);
          if (byte !== SPACE) at = this.#value(chunk, at);
          break;
        case VALUE:
          at = this.#value(chunk, at);
          break;
        default:
          at = endOfLine(chunk, at) - 1;
      }
    }
  }

  #isMark(byte: number): boolean {
    if (byte === [0xef, 0xbb, 0xbf][this.#mark]) {
      this.#mark = this.#mark === 2 ? -1 : this.#mark + 1;
      return true;
    }
    this.#mark = -1;
    return false;
  }

  #inName(byte: number): void {
    const { length } = DATA;
    if (this.#state === BEGIN) {
      this.#state = NAME;
      this.#name = 0;
    }
    if (byte === COLON) this.#state = this.#name === length ? FIRST : SKIP;
    else if (this.#name < length && byte === DATA[this.#name]) this.#name++;
    else this.#state = SKIP;
  }

  /** Gives out the value up to the end of its line or of the chunk; the place of its last byte. */
  #value(chunk: Uint8Array, at: number): number {
    const end = endOfLine(chunk, at);
    this.#sink.data(chunk, at, end);
    return end - 1;
  }

  #endLine(at: number): void {
    const blank = this.#state === BEGIN;
    this.#state = BEGIN;
    if (!blank) return;
    this.#lines = 0;
    this.#sink.end(at);
  }
}

function endOfLine(chunk: Uint8Array, at: number): number {
  while (at < chunk.length && chunk[at] !== LF && chunk[at] !== CR) at++;
  return at;
}
