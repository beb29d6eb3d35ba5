/**
 * Phase `payment`: takes a charge that was reserved, now that there is an answer: only for what was delivered (2xx, 101), before
 * the head leaves, since the answer says what was charged. What can not be taken is not delivered.
 */
import { agentEvents } from '../agents/agent-events.ts';
import { CHARGED_HEADER } from '../agents/pay-per-crawl.ts';
import { formatPrice } from '../agents/price.ts';
import { paymentResponse, RESPONSE_HEADER, type Settlement } from '../agents/x402.ts';
import { type Socket, webSocketOf } from '../platform/runtime.ts';
import { complain, deny, type PendingCharge, release, requirePayment } from './charge.ts';
import { type Exchange, ownHeaders, type Phase } from './exchange.ts';

const SWITCHING_PROTOCOLS = 101;
const NORMAL_CLOSURE = 1000; // SPEC: RFC 6455 section 7.4.1

export const payment: Phase = {
  name: 'payment',
  run(exchange) {
    const { charge: pending, response } = exchange;
    if (pending === null || pending.state !== 'reserved') return;
    const status = response?.status ?? 500;
    // A WebSocket that opens is delivered as any other answer is.
    if ((status < 200 || status > 299) && status !== SWITCHING_PROTOCOLS) return release(exchange, pending);
    const taking = take(exchange, pending);
    // The runtime drops what waits once its client is gone; money that has moved is written down all the same.
    if (pending.x402 !== null) exchange.context.waitUntil(taking);
    return taking;
  },
};

async function take(exchange: Exchange, pending: PendingCharge): Promise<void> {
  const settlement = pending.x402 === null ? null : await settled(exchange, pending);
  if (settlement === false) return;
  try {
    await pending.books.capture(pending.charge);
  } catch (error) {
    complain(exchange, error);
    // The agent has paid, or the operator loses one charge on account: neither is a reason to withhold the answer.
    if (settlement === null) return void (pending.state = 'failed');
  }
  pending.state = 'charged';
  const { currency, micros } = pending.price;
  agentEvents(exchange).charges.push({ currency, millionths: micros });
  const headers = ownHeaders(exchange);
  if (settlement === null) headers.set(CHARGED_HEADER, formatPrice(pending.price));
  else headers.set(RESPONSE_HEADER, paymentResponse(settlement));
  // A cache in front would give it to whoever asks next; `private` with names of fields is about these alone.
  const told = (headers.get('cache-control') ?? '').toLowerCase().split(',');
  if (!told.some((one) => ['private', 'no-store'].includes(one.trim()))) headers.set('cache-control', 'private');
}

/** False after answering that it was not paid. */
async function settled(exchange: Exchange, pending: PendingCharge): Promise<Settlement | false> {
  const { payment, facilitator, accepts } = pending.x402!;
  let settlement: Settlement;
  try {
    settlement = await facilitator.settle(payment);
  } catch (error) {
    complain(exchange, error);
    withhold(exchange);
    // Nobody knows whether it was settled, so it is not taken again before the reservation ends.
    pending.state = 'failed';
    deny(exchange, pending.rule, 502, 'the payment could not be settled');
    return false;
  }
  if (settlement.success) return settlement;
  withhold(exchange);
  release(exchange, pending);
  const reason = `the payment was not settled: ${settlement.reason || 'no reason given'}`;
  requirePayment(exchange, pending.rule, accepts, reason);
  exchange.response!.headers.set(RESPONSE_HEADER, paymentResponse(settlement));
  return false;
}

function withhold({ answer, response }: Exchange): void {
  answer?.release();
  response?.body?.cancel().catch(() => {});
  const socket = response === null ? null : (webSocketOf(response) as Socket | null);
  // Until it is accepted nothing of it can be closed, and the origin would wait.
  socket?.accept();
  socket?.close(NORMAL_CLOSURE);
}
