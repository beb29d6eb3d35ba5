/**
 * What a rule with `charge` asks for: 402 until somebody pays, by pay per crawl or by x402. Nothing is taken here: a charge
 * is reserved, and the phase `payment` takes it once there is an answer to be paid for.
 */
import { Books, type Charge, chargeId } from '../agents/ledger.ts';
import {
  CRAWL_ERRORS,
  type CrawlError,
  ERROR_HEADER,
  EXACT_HEADER,
  judgeCrawl,
  MAX_HEADER,
  PRICE_HEADER,
} from '../agents/pay-per-crawl.ts';
import { atomicAmount, formatPrice, parsePrice, type Price } from '../agents/price.ts';
import {
  type Facilitator,
  FacilitatorError,
  HttpFacilitator,
  type Payment,
  paymentRequired,
  readPayment,
  REQUIRED_HEADER,
  type Requirement,
  SIGNATURE_HEADER,
} from '../agents/x402.ts';
import type { PaymentsPlan, RulePlan } from '../plan.ts';
import { type Exchange, watch } from './exchange.ts';
import { isWellKnown } from './path.ts';
import { refuse } from './problem.ts';

/** A charge that is reserved, until the answer is there; and what came of it, for the log. */
export interface PendingCharge {
  readonly rule: RulePlan;
  readonly price: Price;
  readonly charge: Charge;
  readonly books: Books;
  /** How it is settled; null: on account. */
  readonly x402: {
    readonly payment: Payment;
    readonly facilitator: Facilitator;
    readonly accepts: readonly Requirement[];
  } | null;
  state: 'reserved' | 'charged' | 'released' | 'failed';
}

/** Never charged: what tells agents how to behave. */
const FREE = new Set(['/robots.txt', '/llms.txt', '/llms-full.txt', '/sitemap.xml', '/security.txt']);

/** Seconds beyond its own time for which a payment is not taken again. */
const PAYMENT_MEMORY = 86_400;

/** Answers the exchange unless it is paid for, or need not be. */
export function settleCharge(exchange: Exchange, rule: RulePlan): void | Promise<void> {
  const { path } = exchange.target;
  // One answer is paid for once, whatever several rules ask for: the first does.
  if (exchange.charge !== null || FREE.has(path) || isWellKnown(path)) return;
  const { plan, platform } = exchange;
  const price = parsePrice(rule.charge?.price ?? '');
  const namespace = platform.agents?.ledger ?? null;
  if (plan === null || plan.payments === null || price === null || namespace === null)
    return deny(exchange, rule, 503, 'payment can not be taken here');
  return settle(exchange, rule, price, plan.payments, new Books(namespace));
}

async function settle(
  exchange: Exchange,
  rule: RulePlan,
  price: Price,
  payments: PaymentsPlan,
  books: Books,
): Promise<void> {
  const { headers } = exchange.request;
  const accepts = requirementsOf(payments, price);
  const signed = headers.get(SIGNATURE_HEADER);
  const [exact, max] = [headers.get(EXACT_HEADER), headers.get(MAX_HEADER)];
  watch(exchange);
  if (signed !== null && accepts.length > 0) {
    // A signed transfer is money: it goes to nobody else.
    exchange.dropped.push(SIGNATURE_HEADER);
    return await byX402(exchange, rule, price, payments, books, signed, accepts);
  }
  if (payments.crawler === null || (accepts.length > 0 && exact === null && max === null))
    return demand(exchange, rule, accepts, payments.crawler === null ? null : 'MissingCrawlerPrice');
  await onAccount(exchange, rule, price, payments, books, accepts);
}

/** Pay per crawl. */
async function onAccount(
  exchange: Exchange,
  rule: RulePlan,
  price: Price,
  payments: PaymentsPlan,
  books: Books,
  accepts: readonly Requirement[],
): Promise<void> {
  const { identity, request } = exchange;
  const verified = identity?.outcome === 'verified' ? identity : null;
  const fault = judgeCrawl(price, {
    exact: request.headers.get(EXACT_HEADER),
    max: request.headers.get(MAX_HEADER),
    identity: verified !== null ? 'verified' : identity?.outcome === 'invalid' ? 'invalid' : 'none',
    covers: (header) => verified?.components.includes(`"${header}"`) === true,
  });
  if (fault !== null || verified === null) return demand(exchange, rule, accepts, fault ?? 'StrongAuthRequired');
  // Without a body there is nothing to be paid for.
  if (request.method === 'HEAD') return;
  const own = verified.wellKnown ? payments.crawler!.accounts : {};
  const written = Object.hasOwn(own, verified.host) ? own[verified.host]! : payments.crawler!.credit;
  const credit = parsePrice(written);
  const charge: Charge = {
    id: await chargeId('crawler', verified.agent, verified.base),
    account: `crawler:${verified.wellKnown ? verified.host : verified.agent}`,
    ...{ currency: price.currency, micros: price.micros, until: verified.expires },
    credit: credit?.currency === price.currency ? credit.micros : 0,
  };
  const outcome = await reserve(exchange, books, charge);
  if (outcome === 'reserved') exchange.charge = { rule, price, charge, books, x402: null, state: 'reserved' };
  else demand(exchange, rule, accepts, outcome === 'failed' || outcome === 'full' ? 'InternalError' : 'PaymentFailed');
}

async function byX402(
  exchange: Exchange,
  rule: RulePlan,
  price: Price,
  payments: PaymentsPlan,
  books: Books,
  header: string,
  accepts: readonly Requirement[],
): Promise<void> {
  const { platform, request } = exchange;
  const payment = readPayment(header, accepts);
  if (payment === 'payment-malformed' || payment === 'payment-version')
    return deny(
      exchange,
      rule,
      400,
      payment === 'payment-version' ? 'x402 version 2 is spoken here' : 'the payment is malformed',
    );
  if (typeof payment === 'string') return requirePayment(exchange, rule, accepts, 'the payment is for other terms');
  if (request.method === 'HEAD') return;
  const { facilitator: url, authorization } = payments.x402!;
  const secret = authorization === '' ? '' : platform.secret(authorization);
  if (secret === undefined) return deny(exchange, rule, 503, 'payment can not be taken here');
  const facilitator = new HttpFacilitator(url, secret, platform.agents!.fetch);
  const charge: Charge = {
    id: await chargeId('x402', payment.payload),
    account: `x402:${payment.requirement.network}`,
    ...{ currency: price.currency, micros: price.micros, credit: null },
    until: exchange.now + payment.requirement.maxTimeoutSeconds + PAYMENT_MEMORY,
  };
  const outcome = await reserve(exchange, books, charge);
  if (outcome === 'used') return requirePayment(exchange, rule, accepts, 'the payment was used before');
  if (outcome !== 'reserved') return deny(exchange, rule, 503, 'the payment could not be recorded');
  const pending: PendingCharge = {
    ...{ rule, price, charge, books, x402: { payment, facilitator, accepts }, state: 'reserved' },
  };
  try {
    const { valid, reason } = await facilitator.verify(payment);
    if (valid) return void (exchange.charge = pending);
    requirePayment(exchange, rule, accepts, `the payment is not valid: ${reason || 'no reason given'}`);
  } catch (error) {
    if (!(error instanceof FacilitatorError)) throw error;
    complain(exchange, error);
    deny(exchange, rule, 503, 'the payment could not be verified');
  }
  release(exchange, pending);
}

async function reserve(exchange: Exchange, books: Books, charge: Charge) {
  try {
    return await books.reserve(charge);
  } catch (error) {
    complain(exchange, error);
    return 'failed';
  }
}

/** Gives a reservation back; should that fail, it ends by itself. */
export function release(exchange: Exchange, pending: PendingCharge): void {
  pending.state = 'released';
  exchange.context.waitUntil(pending.books.release(pending.charge).catch((error) => complain(exchange, error)));
}

/** Into the log: what went wrong is nobody's business but the operator's. */
export function complain(exchange: Exchange, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  console.error(JSON.stringify({ level: 'error', id: exchange.id, message: message.slice(0, 500) }));
}

/** The answer that names the price. `error` null: crawlers do not pay here. */
function demand(exchange: Exchange, rule: RulePlan, accepts: readonly Requirement[], error: CrawlError | null): void {
  const status = error === null ? 402 : CRAWL_ERRORS[error];
  const reason =
    error === null || status === 402 ? `this costs ${rule.charge!.price}` : (REASONS[error] ?? 'payment is required');
  deny(exchange, rule, status, reason);
  const { headers } = exchange.response!;
  if (error !== null) {
    headers.set(PRICE_HEADER, rule.charge!.price);
    headers.set(ERROR_HEADER, error);
  }
  if (status === 402 && accepts.length > 0)
    headers.set(
      REQUIRED_HEADER,
      paymentRequired(resourceOf(exchange), accepts, 'PAYMENT-SIGNATURE header is required'),
    );
}

const REASONS: Partial<Record<CrawlError, string>> = {
  StrongAuthRequired: 'who pays has to sign the request',
  InvalidSignature: 'the signature does not hold, or does not cover the price',
  InvalidCrawlerPriceValue: 'the price that is offered is malformed',
  ConflictingPriceHeaders: 'an exact price and a highest price exclude each other',
  PaymentFailed: 'this can not be charged to the agent',
  InternalError: 'the charge could not be recorded',
};

/** 402 with the terms again, and why what came does not meet them. */
export function requirePayment(
  exchange: Exchange,
  rule: RulePlan,
  accepts: readonly Requirement[],
  reason: string,
): void {
  deny(exchange, rule, 402, reason);
  exchange.response!.headers.set(REQUIRED_HEADER, paymentRequired(resourceOf(exchange), accepts, reason));
}

export function deny(exchange: Exchange, rule: RulePlan, status: number, reason: string): void {
  const error = status < 500 ? 'http_request_denied' : 'proxy_internal_error';
  refuse(exchange, { action: 'block', phase: 'charge', rule: rule.name, status, reason, mode: 'enforce' }, error);
}

/** What the client asked for, as it sees it; its query may hold what is nobody's business, and says nothing here. */
const resourceOf = ({ scheme, authority, target }: Exchange): string => `${scheme}://${authority}${target.path}`;

/** By price, with its currency. */
const known = new WeakMap<PaymentsPlan, Map<string, readonly Requirement[]>>();

/** What x402 takes for a price; [] where nothing is. */
function requirementsOf(payments: PaymentsPlan, price: Price): readonly Requirement[] {
  if (payments.x402 === null) return [];
  let prices = known.get(payments);
  if (prices === undefined) known.set(payments, (prices = new Map()));
  const name = formatPrice(price);
  let found = prices.get(name);
  if (found === undefined) {
    found = payments.x402.accepts
      .filter(({ currency }) => currency === price.currency)
      .map(({ network, asset, payTo, decimals, maxTimeoutSeconds, extra }) => ({
        ...{ scheme: 'exact', network, amount: atomicAmount(price, decimals) ?? '', asset, payTo },
        ...{ maxTimeoutSeconds, extra },
      }))
      .filter(({ amount }) => amount !== '');
    prices.set(name, found);
  }
  return found;
}
