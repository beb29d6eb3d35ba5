/**
 * Streams of server-sent events that are silent for long. A line that says nothing keeps what is in between from closing
 * them, and is how this runtime finds out that a client went away: it sees that one closed its direction at the first write
 * only. In MCP that is how a client cancels.
 */

/** Milliseconds of silence before a comment: how long after a client left its server hears of it, at most. */
export const KEEP_ALIVE_MS = 5000;

/** SPEC: HTML, 9.2.6: a line that begins with a colon is ignored, also inside of an event. */
const COMMENT = new Uint8Array([0x3a, 0x0a]);
const LF = 0x0a;

/** The stream with comments where it is silent. They stand at the beginning of lines; after a CR a LF may follow, so not there. */
export function keptAlive(body: ReadableStream<Uint8Array>, silence = KEEP_ALIVE_MS): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let pending: Promise<ReadableStreamReadResult<Uint8Array>> | null = null;
  let lineStart = true;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          pending ??= reader.read();
          const next = await inTime(pending, silence);
          if (next === null) {
            if (!lineStart) continue;
            return controller.enqueue(COMMENT.slice());
          }
          pending = null;
          if (next.done) return controller.close();
          if (next.value.byteLength === 0) continue;
          lineStart = next.value.at(-1) === LF;
          return controller.enqueue(next.value);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** What settles first: the promise, or null after so many milliseconds. */
function inTime<T>(pending: Promise<T>, ms: number): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, null);
    pending.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}
