/**
 * The exchanges of this isolate that have no answer yet. One whose client vanished before anybody listened to its signal
 * is dropped by the runtime without a word: it is found here, so that what it occupied is given back and its line written.
 */
import { LOST_AFTER_MS } from '../../assembly/abi.ts';
import type { Exchange } from './exchange.ts';

const SWEEP_MS = 1000;

const open = new Set<Exchange>();
let sweptAt = 0;

export function opened(exchange: Exchange): void {
  open.add(exchange);
}

export function closed(exchange: Exchange): void {
  open.delete(exchange);
}

/**
 * Calls `onGone` of those that were lost. Free of cost within a second of the last time. An exchange that is watched is
 * never lost: its signal tells.
 */
export function sweepExchanges(now: number): void {
  if (now - sweptAt < SWEEP_MS) return;
  sweptAt = now;
  for (const exchange of open) {
    // In the order of their beginning: all that follow are younger.
    if (now - exchange.startedAt <= LOST_AFTER_MS) return;
    if (!exchange.watched) exchange.onGone(exchange);
  }
}
