/**
 * Memory for the messages of lanes. PERF: a bulk transfer sends a message of 128 KiB for every two reads; memory that is
 * made, cleared and collected for each costs more than what is done with it.
 *
 * SAFETY: a message comes back once the peer has said that it has it, so nobody sends from it any more; whoever takes the
 * memory next writes all that is then sent. A lane has memory of its own: an edge that says so too early spoils what itself
 * is sent, and sees nothing of others.
 */
import type { MessageBuffers } from '../lane.ts';

const LEAST = 65_536; // bytes of a message for which it pays
const SLAB = 200_704; // the longest that frames add up to before they are flushed, rounded up
const MOST = 12; // slabs that wait

export function messageBuffers(): MessageBuffers {
  const slabs: ArrayBuffer[] = [];
  return {
    take(length) {
      if (length < LEAST || length > SLAB) return Buffer.allocUnsafe(length);
      const slab = slabs.pop() ?? Buffer.allocUnsafeSlow(SLAB).buffer;
      return new Uint8Array(slab, 0, length);
    },
    give(message) {
      if (message.buffer.byteLength === SLAB && slabs.length < MOST) slabs.push(message.buffer as ArrayBuffer);
    },
  };
}
