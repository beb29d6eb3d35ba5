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

  /** What is there, as one chunk: the first, and others for as long as that makes no more than `most` bytes. */
  take(most = Infinity): Uint8Array {
    const chunks = this.#chunks;
    let count = 0;
    for (let bytes = 0; count < chunks.length; count++) {
      bytes += chunks[count]!.byteLength;
      if (count > 0 && bytes > most) break;
    }
    const taken = chunks.splice(0, count);
    return count === 1 ? taken[0]! : joinBytes(taken);
  }
}
