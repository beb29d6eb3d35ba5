/**
 * Bytes onto a stream, in order, as fast as credit and the socket to the edge allow. The source is paused while they do
 * not; what it had read already waits here, which is no more than it reads at a time.
 */
import type { TunnelStream } from '../stream.ts';
import type { Congestion } from './pump.ts';

export interface Source {
  pause(): void;
  resume(): void;
}

export class Outflow {
  readonly #stream: TunnelStream;
  readonly #congestion: Congestion;
  readonly #source: Source;
  readonly #queue: Uint8Array[] = [];
  #busy = false;
  #last: (() => void) | null = null;

  constructor(stream: TunnelStream, congestion: Congestion, source: Source) {
    this.#stream = stream;
    this.#congestion = congestion;
    this.#source = source;
  }

  push(bytes: Uint8Array): void {
    // What reads may read into the same memory again.
    if (this.#busy) this.#queue.push(new Uint8Array(bytes));
    else if (!this.#write(bytes, true)) this.#source.pause();
  }

  /** Runs once everything is on its way. */
  finish(run: () => void): void {
    if (this.#busy) this.#last = run;
    else run();
  }

  /** False while what follows has to wait. */
  #write(bytes: Uint8Array, reused: boolean): boolean {
    const write = this.#stream.write(bytes, reused);
    const until = this.#stream.writing ? write : this.#congestion();
    if (until === null) return true;
    this.#busy = true;
    until.then(
      () => this.#next(),
      () => {}, // the stream was reset: its owner has been told
    );
    return false;
  }

  #next(): void {
    this.#busy = false;
    if (!this.#stream.open) return;
    for (let bytes = this.#queue.shift(); bytes !== undefined; bytes = this.#queue.shift())
      if (!this.#write(bytes, false)) return;
    this.#source.resume();
    const last = this.#last;
    this.#last = null;
    last?.();
  }
}
