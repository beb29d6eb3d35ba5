/**
 * What was sent on a lane and is not known to have arrived: kept until it is, so that a socket that drops within the grace
 * loses nothing. Offsets count the bytes of messages that carry streams; ACK, PING and PONG travel apart and do not count.
 */
export const MAX_REPLAY = 20_971_520; // bytes of one lane: its largest window, heads and what frames add

export class Replay {
  #messages: Uint8Array[] = [];
  #first: number; // offset of the first byte that is kept
  #next: number; // offset of the next byte to be sent
  #lost = false;

  readonly #most: number;
  readonly #free: { give(message: Uint8Array): void } | null;

  /** `sent`: bytes that were sent and are not kept. `free` gets messages that need not be kept any more. */
  constructor(sent = 0, free: { give(message: Uint8Array): void } | null = null, most = MAX_REPLAY) {
    this.#most = most;
    this.#free = free;
    this.#first = this.#next = sent;
  }

  /** Offset behind everything that was sent. */
  get sent(): number {
    return this.#next;
  }

  get kept(): number {
    return this.#next - this.#first;
  }

  /** Keeps a message that is being sent; it must not be changed afterwards. */
  keep(message: Uint8Array): void {
    this.#next += message.byteLength;
    if (this.#lost) {
      this.#first = this.#next;
      return;
    }
    this.#messages.push(message);
    if (this.kept <= this.#most) return;
    // The peer takes bytes and acknowledges none: it cannot be resumed, and need not cost memory either.
    this.#lost = true;
    this.#messages = [];
    this.#first = this.#next;
  }

  /** The peer has everything before `offset`; false when that was never sent. */
  acknowledge(offset: number): boolean {
    if (offset > this.#next) return false;
    let drop = 0;
    let first = this.#first;
    while (drop < this.#messages.length && first + this.#messages[drop]!.byteLength <= offset)
      first += this.#messages[drop++]!.byteLength;
    if (drop > 0) {
      for (const message of this.#messages.splice(0, drop)) this.#free?.give(message);
      this.#first = first;
    }
    return true;
  }

  /** Messages to send again to a peer that has everything before `offset`; null when that cannot be done. */
  from(offset: number): readonly Uint8Array[] | null {
    // Messages arrive whole or not at all, so an offset within one was never reached.
    if (!this.acknowledge(offset) || this.#first !== offset) return null;
    return this.#messages;
  }
}
