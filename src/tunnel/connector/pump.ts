/**
 * Bytes from a readable of Node onto a stream, as fast as credit and the socket to the edge allow. What cannot be sent
 * stays with the source: a stalled reader costs its window and what the source's own buffers hold.
 */
import type { Readable } from 'node:stream';
import type { TunnelStream } from '../stream.ts';
import type { Watch } from '../exchange.ts';

/** The socket to the edge: null while it takes bytes, otherwise what to wait for. */
export type Congestion = () => Promise<void> | null;

/** `ended` is called once, when everything is on its way. Errors of the source are the caller's. */
export function pump(
  source: Readable,
  stream: TunnelStream,
  congestion: Congestion,
  watch: Watch | null,
  ended: () => void,
): void {
  let waiting = 0; // writes that are not done
  let finished = false;
  const resume = (): void => {
    if (--waiting > 0 || !stream.open) return;
    if (finished) ended();
    else source.resume();
  };
  // The reset that rejects a write is told to the stream's owner too.
  const hold = (until: Promise<void>): void => {
    waiting++;
    source.pause();
    until.then(resume, () => {});
  };
  source.on('data', (chunk: Buffer) => {
    if (!stream.open) return;
    watch?.out(chunk);
    const write = stream.write(chunk);
    if (stream.writing) return hold(write);
    const busy = congestion();
    if (busy !== null) hold(busy);
  });
  source.on('end', () => {
    finished = true;
    if (waiting === 0 && stream.open) ended();
  });
}
