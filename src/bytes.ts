/** Bytes that come in chunks, put together, and never more of them than was asked for. */

export function joinBytes(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const { byteLength } of chunks) length += byteLength;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/**
 * The whole of a stream, or null when it has more than `limit` bytes; what is left of it is cancelled then. Rejects where the
 * stream does, and once `signal` is aborted, also where the stream does not listen to it.
 */
export async function readBytes(
  stream: ReadableStream<Uint8Array> | null,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (stream === null) return new Uint8Array(0);
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await (signal === undefined ? reader.read() : raced(reader.read(), signal));
      if (done) return joinBytes(chunks);
      length += value.byteLength;
      if (length > limit) return null;
      chunks.push(value);
    }
  } finally {
    reader.cancel().catch(ignore);
  }
}

/** Rejects once the signal is aborted, also where whatever is waited for does not listen to it. */
export function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error('too slow'));
    if (signal.aborted) late();
    signal.addEventListener('abort', late, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', late));
  });
}

const ignore = (): void => {};
