/**
 * Reading from sockets of Node into memory that is used again. PERF: a socket makes 64 KiB for each read, and collecting
 * that costs a bulk transfer more than all else that is done with it: half of the CPU of an upload.
 *
 * SAFETY: what a callback is given is overwritten by the next read of any socket. Whatever keeps bytes beyond the call
 * copies them.
 */
import { Socket, type OnReadOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { MAX_PAYLOAD } from '../frame.ts';

const room = Buffer.allocUnsafeSlow(3 * MAX_PAYLOAD); // as many frames as a message has

/** Option of `net.connect`. `this` of the callback is the socket. */
export function reading(read: (this: Socket, bytes: Buffer) => void): OnReadOpts {
  return {
    buffer: room,
    callback(this: Socket, length: number) {
      read.call(this, room.subarray(0, length));
      return true;
    },
  } as OnReadOpts;
}

/** Whether all that was written is with the system, so that its memory may be used again. */
export function isWritten(socket: Duplex): boolean {
  return socket instanceof Socket && socket.writableLength === 0;
}
