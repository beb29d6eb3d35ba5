/**
 * The exchanges of this isolate that have no answer yet, and the one guard over them: a timer that one of them owns.
 * Every GUARD_MS it tells those that wait for long to listen for their client, ends those that waited too long, and
 * finds those that were lost: the runtime drops an exchange whose client vanished while nobody listened to its signal.
 *
 * PERF: workerd 1.20261117.1: a timer for each exchange costs 4 % of a request, a listener on its client's signal 4 %
 * more, and nearly every answer is there before either is of use. The guard costs one timer in GUARD_MS for all.
 */
import { GUARD_MS, LOST_AFTER_MS } from '../../assembly/abi.ts';
import { type Exchange, watch } from './exchange.ts';

const open = new Set<Exchange>();
/** When the guard last looked; 0: there is none. */
let guardedAt = 0;
let guards = 0;

export function opened(exchange: Exchange): void {
  open.add(exchange);
  // A guard ends with the context that owns it, which the runtime may end at any time.
  if (exchange.startedAt - guardedAt > 4 * GUARD_MS) {
    guardedAt = exchange.startedAt;
    exchange.kept = true;
    exchange.context.waitUntil(guard(++guards));
  }
}

export function closed(exchange: Exchange): void {
  open.delete(exchange);
}

async function guard(id: number): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, GUARD_MS));
    // Another took over while this one could not run.
    if (id !== guards) return;
    guardedAt = Date.now();
    look(guardedAt);
    if (open.size === 0) break;
  }
  guardedAt = 0;
}

export function look(now: number): void {
  for (const exchange of open) {
    // In the order of their beginning: all that follow are younger.
    if (now - exchange.startedAt < GUARD_MS) return;
    if (now >= exchange.deadline) exchange.wake?.(true);
    else if (!exchange.watched) {
      exchange.wake?.(false);
      if (now - exchange.startedAt > LOST_AFTER_MS) exchange.onGone(exchange);
    }
  }
}

/**
 * Settles as `pending` does, or with null once `ms` have passed, give or take GUARD_MS; what comes later is given to `drop`. The guard's promise is another exchange's: the runtime carries its settling over to ours.
 */
export async function patiently<T>(
  exchange: Exchange,
  pending: Promise<T>,
  ms: number,
  drop: (late: T) => unknown = nothing,
): Promise<T | null> {
  exchange.deadline = Date.now() + ms;
  let answer = await awake(exchange, pending);
  if (answer === SLOW) {
    watch(exchange);
    answer = await awake(exchange, pending);
  }
  exchange.deadline = Infinity;
  exchange.wake = null;
  if (answer !== SLOW && answer !== null) return answer;
  pending.then(drop, nothing).catch(nothing);
  return null;
}

const SLOW = Symbol('slow');
const nothing = (): void => {};

function awake<T>(exchange: Exchange, pending: Promise<T>): Promise<T | null | typeof SLOW> {
  return new Promise((resolve, reject) => {
    exchange.wake = (late) => resolve(late ? null : SLOW);
    pending.then(resolve, reject);
  });
}
