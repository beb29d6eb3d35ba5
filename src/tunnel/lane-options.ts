/** What a lane needs of its owner, and what it leaves for another one that is to go on in its place. */
import type { CreditSnapshot } from './credit.ts';
import type { TunnelStream } from './stream.ts';

export interface LaneOptions {
  readonly role: 'edge' | 'connector';
  /** The peer opened a stream; `payload` is a view: copy what is kept. */
  readonly onStream: (stream: TunnelStream, payload: Uint8Array) => void;
  readonly onGoaway: (code: number, text: string) => void;
  /** A stream closed; `open` are left. */
  readonly onClosed?: (open: number) => void;
  readonly now: () => number;
  /** The peer has more of what was sent, see `unacknowledged`. */
  readonly onAcknowledged?: () => void;
  /** Runs a callback soon: all that is sent until then is one message. Default: a microtask. */
  readonly soon?: (run: () => void) => void;
  /** Slabs of memory (message-buffers.ts) that are kept for the next messages while something is going on; default 0. */
  readonly spareSlabs?: number;
  /** Bytes that came after which they are acknowledged; default ACK_BYTES. */
  readonly ackBytes?: number;
  /** Bytes that are kept for a resume; default MAX_REPLAY. */
  readonly maxReplay?: number;
}

/** Numbers and flags only, so that it may be kept as JSON. */
export interface LaneSnapshot {
  readonly nextId: number;
  readonly lastPeerId: number;
  readonly received: number;
  readonly acked: number;
  readonly sent: number;
  readonly credit: number;
  readonly receive: CreditSnapshot;
  readonly draining: boolean;
  readonly peerDrains: boolean;
  readonly roundTrip: number;
}
