/** A TCP connection: bytes both ways, and each direction ends by itself. */
import { RESET_CODE } from '../frame.ts';
import type { TunnelStream } from '../stream.ts';
import type { Duplex } from 'node:stream';
import type { Watch } from '../exchange.ts';
import { failureOf } from './failure.ts';
import { pump, type Congestion } from './pump.ts';
import { isWritten } from './read-room.ts';
import type { Dialable } from './targets.ts';

/** Answers with an empty HEAD once the target has taken the connection. */
export function forwardTcp(stream: TunnelStream, target: Dialable, congestion: Congestion, watch: Watch | null): void {
  const socket = target.dial();
  const connected = (): void => {
    if (stream.open) stream.sendHead(new Uint8Array(0));
  };
  if ((socket as { connecting?: boolean }).connecting === true) socket.once('connect', connected);
  else connected();
  joinTcp(stream, socket, congestion, watch, target.label);
}

/** Joins a stream and a connection until both have ended, or one breaks off. */
export function joinTcp(
  stream: TunnelStream,
  socket: Duplex,
  congestion: Congestion,
  watch: Watch | null,
  label: string,
): void {
  const holder = {
    get written() {
      return isWritten(socket);
    },
  };
  let undrained = 0;
  stream.onData = (chunk) => {
    watch?.in(chunk);
    if (socket.write(chunk) && undrained === 0) stream.consumed(chunk.byteLength);
    else undrained += chunk.byteLength;
    return holder;
  };
  socket.on('drain', () => {
    const bytes = undrained;
    undrained = 0;
    stream.consumed(bytes);
  });
  stream.onEnd = () => socket.end();
  stream.onReset = (reset) => {
    watch?.ended(reset.message || 'aborted');
    // As the peer's connection ended, so does this one: with a reset and not as if all had been said.
    if ('resetAndDestroy' in socket) (socket as { resetAndDestroy(): void }).resetAndDestroy();
    else socket.destroy();
  };
  pump(socket, stream, congestion, watch, () => {
    stream.end();
    if (socket.destroyed) watch?.ended();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (!stream.open) return;
    const { code, text } = failureOf(error, label);
    watch?.ended(text);
    stream.reset(code, text);
  });
  socket.on('close', () => {
    // All was said, both ways: what of it waits for credit is sent, and the end behind it.
    const said = socket.readableEnded && socket.writableFinished;
    if (said && stream.open) return;
    watch?.ended();
    stream.reset(RESET_CODE.internal, `${label} closed the connection`);
  });
}
