/**
 * Payments: mutated prices and PAYMENT-SIGNATURE headers are read or refused, never anything else. A price that is read is
 * written as the same price; a payment that is read is on our terms, and the same whichever way its members are ordered.
 */
import assert from 'node:assert/strict';
import { formatPrice, parsePrice } from '../../src/agents/price.ts';
import { MAX_PAYMENT_LENGTH, type Payment, readPayment, type Requirement } from '../../src/agents/x402.ts';
import { random, spoil, type Random } from './random.ts';

const TERMS: Requirement = {
  ...{ scheme: 'exact', network: 'eip155:1', amount: '10000', asset: '0xa', payTo: '0xb' },
  ...{ maxTimeoutSeconds: 60, extra: { name: 'USDC' } },
};
const PRICES = ['USD 0.01', 'EUR 12', 'USDC 999999999.999999', 'USD 0.000001'];
const PAYMENTS = [
  JSON.stringify({
    x402Version: 2,
    accepted: TERMS,
    payload: { signature: '0x1', authorization: { from: '0x', value: '1' } },
  }),
  JSON.stringify({
    x402Version: 2,
    resource: { url: 'https://a.example/' },
    accepted: TERMS,
    payload: {},
    extensions: {},
  }),
];
const PIECES = ['{', '}', '[', ']', '"', ':', ',', '\\', 'null', '1e9', '0x', '"__proto__":{', '"accepted":', '\u0000', 'é', '\ud800', ' ', '.', '-', 'USD', '0']; // prettier-ignore

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    judgePrice(spoil(r.pick(PRICES), r, PIECES));
    judgePayment(spoil(r.pick(PAYMENTS), r, PIECES), r);
  }
  return Promise.resolve(cases);
}

function judgePrice(text: string): void {
  const price = parsePrice(text);
  if (price === null) return;
  assert.ok(Number.isSafeInteger(price.micros) && price.micros >= 0, text);
  assert.deepEqual(parsePrice(formatPrice(price)), price, text);
}

function judgePayment(json: string, r: Random): void {
  let header = Buffer.from(json).toString('base64');
  if (r.below(8) === 0)
    header = header.slice(0, r.below(header.length)) + r.pick(PIECES) + header.slice(r.below(header.length));
  const read = readPayment(header, [TERMS]);
  if (typeof read === 'string') return assert.match(read, /^payment-(?:malformed|version|mismatch)$/);
  assert.ok(header.length <= MAX_PAYMENT_LENGTH);
  assert.equal(read.requirement, TERMS);
  assert.equal(({} as Record<string, unknown>)['from'], undefined, 'the prototype of all objects is as it was');
  // Members in the order of their names' ends: another text of the same payment.
  const again = Buffer.from(JSON.stringify(turned(read.message))).toString('base64');
  if (again.length > MAX_PAYMENT_LENGTH) return;
  assert.equal((readPayment(again, [TERMS]) as Payment).payload, read.payload, json);
}

function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toReversed();
  // Defined, not assigned: `__proto__` is a member like any other.
  const out = {};
  for (const [name, one] of entries)
    Object.defineProperty(out, name, { value: turned(one), enumerable: true, configurable: true, writable: true });
  return out;
}
