import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { atomicAmount, formatPrice, MAX_PRICE_UNITS, parsePrice } from './price.ts';

test('prices are read exactly, and nothing else is', () => {
  assert.deepEqual(parsePrice('USD 0.01'), { currency: 'USD', micros: 10_000 });
  assert.deepEqual(parsePrice('EUR 12'), { currency: 'EUR', micros: 12_000_000 });
  assert.deepEqual(parsePrice('USDC 0.000001'), { currency: 'USDC', micros: 1 });
  assert.deepEqual(parsePrice('USD 999999999.999999'), { currency: 'USD', micros: 999_999_999_999_999 });
  const wrong = [
    '',
    'USD',
    '0.01',
    'usd 0.01',
    'USD  0.01',
    ' USD 0.01',
    'USD 0.01 ',
    'USD 01',
    'USD .5',
    'USD 1.',
    'USD 1e3',
  ];
  for (const text of [...wrong, 'USD -1', 'USD 0.0000001', `USD ${MAX_PRICE_UNITS}`, 'USD 0,01', 'USD 1_0', 'USD 1\n'])
    assert.equal(parsePrice(text), null, text);
});

test('what is written is read as the same price', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_PRICE_UNITS * 1e6 - 1 }), (micros) => {
      const price = { currency: 'USD', micros };
      assert.deepEqual(parsePrice(formatPrice(price)), price);
    }),
  );
  assert.equal(formatPrice({ currency: 'USD', micros: 10_000 }), 'USD 0.01');
  assert.equal(formatPrice({ currency: 'USD', micros: 2_000_000 }), 'USD 2.00');
  assert.equal(formatPrice({ currency: 'USD', micros: -1_500_001 }), 'USD -1.500001');
});

test('a price in the smallest units of a token', () => {
  const price = { currency: 'USD', micros: 10_000 };
  assert.equal(atomicAmount(price, 6), '10000');
  assert.equal(atomicAmount(price, 18), '10000000000000000');
  assert.equal(atomicAmount(price, 2), '1');
  assert.equal(atomicAmount(price, 1), null);
});
