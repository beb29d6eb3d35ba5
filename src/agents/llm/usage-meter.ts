/**
 * Counts the tokens of one answer as its bytes pass: a stream of server-sent events, a JSON document, or a JSON array that
 * is streamed. Looks at bytes and keeps none, so nobody waits for it.
 */
import { EventLines } from '../event-lines.ts';
import { estimateTokens, OUTPUT, type Usage, usageOf } from './usage.ts';
import { UsageScanner } from './usage-scanner.ts';

/** How an answer came to its end: all of it, or only what had come when its client or its origin went away. */
export type Ending = 'complete' | 'cut';

const DONE = [0x5b, 0x44, 0x4f, 0x4e, 0x45, 0x5d];

export class UsageMeter {
  readonly #scanner = new UsageScanner();
  readonly #lines: EventLines | null;
  /** Tokens that the request is guessed to have, used where the provider does not say. */
  readonly #input: number;
  /** Bytes of `[DONE]` that the data of the event at hand began with; -1: it is something else. */
  #done = 0;
  #isDone = false;

  /** `events`: the answer is a stream of events. */
  constructor(events: boolean, input: number) {
    this.#input = input;
    this.#lines = events
      ? new EventLines({
          data: (bytes, from, to) => this.#data(bytes, from, to),
          end: () => {
            this.#scanner.end();
            this.#isDone ||= this.#done === DONE.length;
            this.#done = 0;
          },
        })
      : null;
  }

  push(chunk: Uint8Array): void {
    if (this.#lines === null) this.#scanner.push(chunk, 0, chunk.length);
    else this.#lines.push(chunk);
  }

  /** What was used by now, of an answer that is one: an error uses nothing. */
  usage(ending: Ending): Usage {
    const { counts, found, whole } = this.#scanner;
    const written = estimateTokens(this.#scanner.written);
    const said = usageOf(counts);
    const ended = ending === 'complete' || whole || this.#isDone;
    if (found && ended) return { ...said, estimated: false };
    return {
      input: said.input > 0 ? said.input : this.#input,
      output: counts[OUTPUT]! >= 0 && ended ? said.output : Math.max(said.output, written),
      cached: said.cached,
      reasoning: said.reasoning,
      estimated: true,
    };
  }

  #data(bytes: Uint8Array, from: number, to: number): void {
    this.#scanner.push(bytes, from, to);
    for (let at = from; at < to && this.#done >= 0; at++)
      this.#done = this.#done < DONE.length && bytes[at] === DONE[this.#done] ? this.#done + 1 : -1;
  }
}
