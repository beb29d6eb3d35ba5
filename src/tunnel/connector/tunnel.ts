/** A tunnel in use, as programs see it. Declared apart, so that they need no types but Node's. */
import type { EventEmitter } from 'node:events';
import type { DialError } from './dial-error.ts';
import type { Answered, Exchange } from '../exchange.ts';

export interface ConnectorEvents {
  /** The tunnel is up: the first socket is, or one again after there was none. `url` is '' for a private tunnel. `after`: ms without one. */
  ready: [{ readonly name: string; readonly url: string; readonly after: number }];
  request: [Exchange];
  response: [Answered];
  /** An exchange is over; `error` is '' where it went to its end. */
  end: [Exchange];
  /** A socket was lost, and is dialled again in `delay` ms; `left` others hold the tunnel. */
  reconnecting: [{ readonly socket: number; readonly reason: string; readonly delay: number; readonly left: number }];
  /** For good. `error` is null after `close()`. */
  closed: [{ readonly reason: string; readonly error: DialError | null }];
}

export interface Tunnel extends EventEmitter<ConnectorEvents> {
  readonly name: string;
  /** Where the public reaches it; '' where it does not. */
  readonly url: string;
  /** Connections to the edge that are up. */
  readonly sockets: number;
  /** Exchanges that are open. */
  readonly streams: number;
  /** Milliseconds to the edge and back as last measured, 0 when not known. */
  readonly roundTrip: number;
  /** Dials at once what waits to be dialled: the network has come back. */
  hurry(): void;
  /** Lets open streams end for up to `grace` ms (default 10,000), then closes. A call with 0 ends it at once. */
  close(grace?: number): Promise<void>;
}
