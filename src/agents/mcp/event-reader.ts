/**
 * Server-sent events with all their fields, and written again. SPEC: HTML, 9.2.5 and 9.2.6; a byte order mark at the start
 * is no part of the first line. Linear in what comes, however it is cut; holds one event, of at most `limit` characters.
 */

export interface ServerEvent {
  readonly id: string | null;
  readonly event: string; // '' for `message`
  readonly data: string | null; // null: no line of data
  readonly retry: string | null;
  readonly comment: boolean; // a comment, and nothing else
}

const COMMENT: ServerEvent = { id: null, event: '', data: null, retry: null, comment: true };

/** An event is longer than the limit: nobody can say what it was. */
export class EventTooLong extends Error {}

export class EventReader {
  readonly #limit: number;
  readonly #decoder = new TextDecoder();
  #pieces: string[] = [];
  #length = 0;
  #afterCr = false;
  #id: string | null = null;
  #event = '';
  #retry: string | null = null;
  #data: string[] | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The events that end in this chunk. Throws EventTooLong. */
  *push(chunk: Uint8Array): Generator<ServerEvent> {
    const text = this.#decoder.decode(chunk, { stream: true });
    let at = 0;
    if (this.#afterCr && text !== '') {
      if (text[0] === '\n') at = 1;
      this.#afterCr = false;
    }
    while (at < text.length) {
      const end = lineEnd(text, at);
      this.#length += end - at;
      if (this.#length > this.#limit) throw new EventTooLong(`an event of more than ${this.#limit} characters`);
      if (end === text.length) {
        this.#pieces.push(text.slice(at));
        return;
      }
      const line = this.#pieces.join('') + text.slice(at, end);
      this.#pieces = [];
      at = end + 1;
      if (text[end] === '\r') {
        if (at === text.length) this.#afterCr = true;
        else if (text[at] === '\n') at++;
      }
      const event = this.#line(line);
      if (event !== null) yield event;
    }
  }

  #line(line: string): ServerEvent | null {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) {
      if (!this.#empty()) return null;
      this.#length = 0; // a stream may have nothing else for days
      return COMMENT;
    }
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') (this.#data ??= []).push(value);
    else if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
    else if (name === 'retry' && /^\d{1,9}$/.test(value)) this.#retry = value;
    return null;
  }

  #empty(): boolean {
    return this.#id === null && this.#data === null && this.#retry === null && this.#event === '';
  }

  #dispatch(): ServerEvent | null {
    const empty = this.#empty();
    const event: ServerEvent = {
      ...{ id: this.#id, event: this.#event, data: this.#data?.join('\n') ?? null, retry: this.#retry, comment: false },
    };
    this.#id = null;
    this.#event = '';
    this.#retry = null;
    this.#data = null;
    this.#length = 0;
    return empty ? null : event;
  }
}

function lineEnd(text: string, at: number): number {
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x0a || code === 0x0d) return at;
  }
  return at;
}

const encoder = new TextEncoder();

/** Of `data` every line is one of its own, so nothing in it can end the event. Id and name have no line ends: a reader made them. */
export function writeEvent({ id, event, data, retry, comment }: ServerEvent): Uint8Array {
  if (comment) return encoder.encode(':\n\n');
  let out = '';
  if (event !== '') out += `event: ${event}\n`;
  if (id !== null) out += `id: ${id}\n`;
  if (retry !== null) out += `retry: ${retry}\n`;
  if (data !== null) for (const line of data.split('\n')) out += `data: ${line}\n`;
  return encoder.encode(out + '\n');
}
