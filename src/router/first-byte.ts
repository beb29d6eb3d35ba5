/** Waits for the first byte of the body of an answer: until it is there, another backend can be asked in its place. */
import { lengthStream, responseInit } from '../platform/runtime.ts';
import { declaredLength } from './body.ts';

/** The answer, begun; null when nothing came within `ms` (Infinity: for ever). Rejects where the body breaks off or is empty. */
export async function begun(answer: Response, ms: number): Promise<Response | null> {
  if (answer.body === null) throw new Error('the answer is empty');
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<null>((resolve) => {
    if (ms !== Infinity) timer = setTimeout(resolve, ms, null);
  });
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), late]);
      if (next === null) {
        reader.cancel().catch(ignore);
        return null;
      }
      if (next.done) throw new Error('the answer is empty');
      if (next.value.byteLength > 0) return rest(answer, reader, next.value);
    }
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

function rest(answer: Response, reader: ReadableStreamDefaultReader<Uint8Array>, first: Uint8Array): Response {
  const { status, statusText, headers } = answer;
  const { readable, writable } = lengthStream(declaredLength(headers.get('content-length') ?? ''));
  const pump = async (): Promise<void> => {
    const writer = writable.getWriter();
    await writer.write(first);
    writer.releaseLock();
    reader.releaseLock();
    await (answer.body as ReadableStream<Uint8Array>).pipeTo(writable);
  };
  // A failure of either side ends both.
  pump().catch((error: unknown) => {
    reader.cancel(error).catch(ignore);
    answer.body?.cancel(error).catch(ignore);
    writable.abort(error).catch(ignore);
  });
  const init = responseInit({ status, statusText, headers, encodeBody: 'manual' });
  return new Response(readable as ReadableStream<Uint8Array<ArrayBuffer>>, init);
}

const ignore = (): void => {};
