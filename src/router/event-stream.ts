/** Cuts a stream of server-sent events into events. SPEC: HTML, 9.2.5: lines end in CR LF, LF or CR; a blank line ends an event. */

export interface StreamEvent {
  /** As they came, with the line ends behind. */
  readonly bytes: Uint8Array;
  /** The text of all its fields but comments. */
  readonly data: string;
  /** False for a part of an event that is longer than the limit. */
  readonly whole: boolean;
}

const LF = 0x0a;
const CR = 0x0d;

export class EventSplitter {
  readonly #limit: number;
  #held: Uint8Array<ArrayBufferLike> = new Uint8Array(0);

  /** Events have at most `limit` bytes; longer ones are given out in parts that are not whole. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  *push(chunk: Uint8Array): Generator<StreamEvent> {
    const bytes = new Uint8Array(this.#held.length + chunk.length);
    bytes.set(this.#held);
    bytes.set(chunk, this.#held.length);
    let start = 0;
    // What was held holds no end; a blank line may lie across the seam, at most three bytes before it.
    let at = Math.max(0, this.#held.length - 3);
    for (; at < bytes.length; at++) {
      const end = endAt(bytes, at);
      if (end === 0) continue;
      yield eventOf(bytes.slice(start, end), end - start <= this.#limit);
      start = end;
      at = end - 1;
    }
    this.#held = bytes.slice(start);
    if (this.#held.length > this.#limit) {
      const part = this.#held;
      this.#held = new Uint8Array(0);
      yield eventOf(part, false);
    }
  }

  /** What is left at the end of the stream, null for nothing. */
  end(): StreamEvent | null {
    const rest = this.#held;
    this.#held = new Uint8Array(0);
    return rest.length === 0 ? null : eventOf(rest, true);
  }
}

/** Where an event ends whose blank line begins at `at`, 0 for none. A CR at the very end may be half of a CR LF: it waits. */
function endAt(bytes: Uint8Array, at: number): number {
  const first = lineEnd(bytes, at);
  if (first === 0) return 0;
  return lineEnd(bytes, first);
}

function lineEnd(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === LF) return at + 1;
  if (byte !== CR) return 0;
  if (at + 1 >= bytes.length) return 0;
  return bytes[at + 1] === LF ? at + 2 : at + 1;
}

function eventOf(bytes: Uint8Array, whole: boolean): StreamEvent {
  const lines = new TextDecoder('utf-8', { fatal: false, ignoreBOM: false }).decode(bytes).split(/\r\n|\n|\r/);
  const values = lines.flatMap((line) => {
    const colon = line.indexOf(':');
    if (colon === 0 || line === '') return [];
    return [line.slice(colon + 1).replace(/^ /, '')];
  });
  return { bytes, data: values.join('\n'), whole };
}
