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
  /**
   * Runs a callback soon: all that is sent until then is one message. Default: a microtask. With anything later, bytes
   * that are written must never be changed.
   */
  readonly soon?: (run: () => void) => void;
  /** Default: memory of its own for each message. */
  readonly buffers?: MessageBuffers;
}

/** Where messages lie that are sent and may have to be sent again. */
export interface MessageBuffers {
  /** What is in it is of no matter: all of it is written. */
  take(length: number): Uint8Array;
  /** The peer has the message. */
  give(message: Uint8Array): void;
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
