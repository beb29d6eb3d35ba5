import { joinBytes } from '../bytes.ts';

/**
 * Bytes that came and that nobody has taken yet. SAFETY: credit counts bytes, and a chunk of one byte costs a hundred: so
 * one that is not larger than the next is joined to it, up to JOINED. Of those that could still be joined each is larger
 * than the next, so the bytes of one window are at most a few hundred chunks, and each byte is copied a few times.
 */
export const JOINED = 65_536; // bytes up to which chunks become one

export class WaitingChunks {
  #chunks: Uint8Array[] = [];

  get count(): number {
    return this.#chunks.length;
  }

  push(chunk: Uint8Array): void {
    let last = chunk;
    for (;;) {
      const before = this.#chunks.at(-1);
      if (before === undefined || before.byteLength > last.byteLength || before.byteLength + last.byteLength > JOINED)
        break;
      this.#chunks.pop();
      last = joinBytes([before, last]);
    }
    this.#chunks.push(last);
  }

  /** All that is there, as one chunk. */
  take(): Uint8Array {
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks.length === 1 ? chunks[0]! : joinBytes(chunks);
  }
}
