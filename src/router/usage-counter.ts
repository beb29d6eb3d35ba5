/** Gives an answer to a meter as it reads without its encoding, beside what passes; nobody waits for it. */
import type { Ending, UsageMeter } from '../agents/llm/usage-meter.ts';
import type { Usage } from '../agents/llm/usage.ts';

/** Bytes that an answer may have without its encoding; what comes beyond is not looked at. */
export const MAX_INFLATED_BYTES = 67_108_864;

const FORMATS: Readonly<Record<string, 'gzip' | 'deflate'>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' };

export class UsageCounter {
  readonly #meter: UsageMeter;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> | null = null;
  readonly #inflated: Promise<void> | null = null;
  /** Something was not read: an encoding that can't be taken apart, or nonsense. */
  #lost = false;

  constructor(meter: UsageMeter, encoding: string) {
    this.#meter = meter;
    if (encoding === '' || encoding === 'identity') return;
    const format = FORMATS[encoding];
    if (format === undefined) {
      this.#lost = true;
      return;
    }
    const stream = new DecompressionStream(format);
    this.#writer = stream.writable.getWriter();
    this.#inflated = this.#read(stream.readable as ReadableStream<Uint8Array>).catch(() => void (this.#lost = true));
  }

  push(chunk: Uint8Array): void {
    if (this.#writer !== null) this.#writer.write(chunk as Uint8Array<ArrayBuffer>).catch(ignore);
    else if (!this.#lost) this.#meter.push(chunk);
  }

  async usage(ending: Ending): Promise<Usage> {
    if (this.#writer !== null) {
      // What was cut never ends for an inflater: what it has by now is all that there will be.
      if (ending === 'complete') await this.#writer.close().catch(ignore);
      else await new Promise((resolve) => setTimeout(resolve, 0));
      if (ending === 'complete') await this.#inflated;
      else this.#writer.abort().catch(ignore);
    }
    const usage = this.#meter.usage(ending);
    return this.#lost ? { ...usage, estimated: true } : usage;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const reader = stream.getReader();
    let length = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      length += value.byteLength;
      if (length > MAX_INFLATED_BYTES) this.#lost = true;
      else this.#meter.push(value);
    }
  }
}

const ignore = (): void => {};
