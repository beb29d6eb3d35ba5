/**
 * A request that no edge sent: through the same code to the same targets, over two lanes that are joined in memory. It is
 * how a captured request is sent again.
 */
import { RESET_CODE } from '../frame.ts';
import { decodeFields, decodeResponse, type Fields, type RequestHead, type ResponseHead } from '../head.ts';
import { Lane } from '../lane.ts';
import { encodeOpening, HTTP } from '../opening.ts';
import type { Observer } from '../exchange.ts';
import { forward } from './forward.ts';
import type { Targets } from './targets.ts';

/** Bytes of a body that are kept; the rest is counted. */
const MAX_KEPT = 1_048_576;

export interface LocalAnswer extends ResponseHead {
  readonly body: Buffer;
  /** Length of the whole body. */
  readonly bytes: number;
  readonly trailers: Fields;
}

/** Rejects with StreamReset when there is no answer, and HeadError when the request cannot be sent. */
export function askLocally(
  targets: Targets,
  observer: Observer | null,
  service: string,
  head: RequestHead,
  body: Uint8Array,
  signal?: AbortSignal,
): Promise<LocalAnswer> {
  const options = { now: () => performance.now(), onGoaway: () => {} };
  const edge = new Lane({ ...options, role: 'edge', onStream: (stream) => stream.reset(2, 'not here') });
  const connector = new Lane({
    ...options,
    role: 'connector',
    onStream: (stream, payload) => forward(stream, payload, targets, () => null, observer),
  });
  edge.attach((message) => connector.receive(message));
  connector.attach((message) => edge.receive(message));
  const opening = encodeOpening({ kind: HTTP, service, head });
  return new Promise((resolve, reject) => {
    const stream = edge.open(opening);
    let answered: ResponseHead | null = null;
    const parts: Uint8Array[] = [];
    let bytes = 0;
    stream.onHead = (payload) => (answered = decodeResponse(payload));
    stream.onData = (chunk) => {
      if (bytes < MAX_KEPT) parts.push(chunk.subarray(0, MAX_KEPT - bytes));
      bytes += chunk.byteLength;
      stream.consumed(chunk.byteLength);
    };
    stream.onEnd = (trailers) => {
      if (answered !== null)
        resolve({ ...answered, body: Buffer.concat(parts), bytes, trailers: decodeFields(trailers) });
    };
    stream.onReset = reject;
    signal?.addEventListener('abort', () => stream.abort(RESET_CODE.cancelled, 'nobody waits for the answer'));
    stream.write(body).then(
      () => stream.end(),
      () => {},
    );
  });
}
