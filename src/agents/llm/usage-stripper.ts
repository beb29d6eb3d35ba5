/**
 * Takes out of a stream what its client did not ask for: the gateway asked for `usage` in its place. The chunk that holds
 * nothing else goes as a whole; from others the member goes, so that the stream is the one that would have come. An event
 * is held until its end is there, at most MAX_HELD_EVENT of it; longer ones pass as they are.
 */
import { joinBytes } from '../../bytes.ts';
import { EventLines } from '../event-lines.ts';
import { memberOf, readJsonText, withoutMember } from '../json-text.ts';

/** Far more than any chunk of a completion has. */
export const MAX_HELD_EVENT = 65_536;

const LF = 0x0a;
const CR = 0x0d;
const NEEDLE = '"usage"';

export class UsageStripper {
  readonly #lines = new EventLines({ data: () => {}, end: (at) => void this.#ends.push(at) });
  #ends: number[] = [];
  #held: Uint8Array[] = [];
  #length = 0;
  /** The event at hand is too long to be held: its bytes go on as they come. */
  #passes = false;
  /** The event before ended in CR, and the LF that may follow shares its fate: 1 it went on, -1 it did not. */
  #afterCr: -1 | 0 | 1 = 0;

  /** What goes on of the events so far. */
  push(chunk: Uint8Array): Uint8Array[] {
    if (chunk.length === 0) return [];
    const out: Uint8Array[] = [];
    let from = 0;
    if (this.#afterCr !== 0 && chunk[0] === LF) {
      if (this.#afterCr > 0) out.push(chunk.subarray(0, 1));
      from = 1;
    }
    this.#afterCr = 0;
    this.#ends = [];
    this.#lines.push(chunk);
    for (const end of this.#ends) {
      let to = end;
      if (chunk[end - 1] === CR && chunk[end] === LF) to++;
      const passed = this.#end(chunk.subarray(from, to), out);
      if (chunk[end - 1] === CR && end === chunk.length) this.#afterCr = passed ? 1 : -1;
      from = to;
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from), out);
    return out;
  }

  /** What is left when the stream ended. */
  end(): Uint8Array[] {
    const out: Uint8Array[] = [];
    // SPEC: an event that is not ended is not dispatched. Some origins do not end the last one, and some clients take it.
    if (this.#length > 0) this.#end(new Uint8Array(0), out);
    return out;
  }

  #hold(bytes: Uint8Array, out: Uint8Array[]): void {
    if (!this.#passes && this.#length + bytes.length <= MAX_HELD_EVENT) {
      // A copy: the chunk may be the runtime's to use again.
      this.#held.push(bytes.slice());
      this.#length += bytes.length;
      return;
    }
    out.push(...this.#held, bytes);
    this.#held = [];
    this.#length = 0;
    this.#passes = true;
  }

  /** The event at hand ends with these bytes; whether any of it went on. */
  #end(bytes: Uint8Array, out: Uint8Array[]): boolean {
    if (this.#passes || this.#length + bytes.length > MAX_HELD_EVENT) {
      out.push(...this.#held, bytes);
      this.#begin();
      return true;
    }
    const event = this.#length === 0 ? bytes : joinBytes([...this.#held, bytes]);
    this.#begin();
    const kept = withoutUsage(event);
    if (kept !== null) out.push(kept);
    return kept !== null;
  }

  #begin(): void {
    this.#held = [];
    this.#length = 0;
    this.#passes = false;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The event without its usage, null when nothing is left of it. */
function withoutUsage(event: Uint8Array): Uint8Array | null {
  let text: string;
  try {
    text = decoder.decode(event);
  } catch {
    return event;
  }
  if (!text.includes(NEEDLE)) return event;
  const lines = text.split(/(?<=\n)|(?<=\r)(?!\n)/);
  const at = lines.flatMap((line, index) => (/^\ufeff?data:/.test(line) ? [index] : []));
  const data = at.map((index) => lines[index]!.replace(/^\ufeff?data: ?|[\r\n]+$/g, '')).join('\n');
  const read = readJsonText(data);
  if (typeof read === 'string' || !Object.hasOwn(read.value, 'usage')) return event;
  const choices = memberOf(read.value, 'choices');
  if (memberOf(read.value, 'usage') !== null && Array.isArray(choices) && choices.length === 0) return null;
  const first = lines[at[0]!]!;
  const end = /[\r\n]+$/.exec(first)?.[0] ?? '';
  const begin = /^\ufeff?data: ?/.exec(first)![0];
  const kept = withoutMember(read, 'usage').replaceAll(/[\r\n]/g, '');
  return encoder.encode(
    lines.map((line, index) => (index === at[0] ? begin + kept + end : at.includes(index) ? '' : line)).join(''),
  );
}
