import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CrawlError, type CrawlRequest, EXACT_HEADER, judgeCrawl, MAX_HEADER } from './pay-per-crawl.ts';

const PRICE = { currency: 'USD', micros: 10_000 };
const judged = (request: Partial<CrawlRequest>): CrawlError | null =>
  judgeCrawl(PRICE, { exact: null, max: null, identity: 'verified', covers: () => true, ...request });

test('a crawler agrees by the exact price, or by one that is no lower', () => {
  for (const exact of ['USD 0.01', 'USD 0.010', 'USD 0.010000']) assert.equal(judged({ exact }), null);
  for (const max of ['USD 0.01', 'USD 5']) assert.equal(judged({ max }), null);
});

test('each fault has its code', () => {
  const rows: [Partial<CrawlRequest>, CrawlError][] = [
    [{}, 'MissingCrawlerPrice'],
    [{ identity: 'none' }, 'MissingCrawlerPrice'],
    [{ exact: 'USD 0.01', max: 'USD 0.01' }, 'ConflictingPriceHeaders'],
    [{ exact: 'USD 0.01', identity: 'none' }, 'StrongAuthRequired'],
    [{ exact: 'USD 0.01', identity: 'invalid' }, 'InvalidSignature'],
    [{ exact: 'USD 0.01', covers: (name) => name === MAX_HEADER }, 'InvalidSignature'],
    [{ max: 'USD 0.01', covers: (name) => name === EXACT_HEADER }, 'InvalidSignature'],
    [{ exact: '0.01' }, 'InvalidCrawlerPriceValue'],
    [{ max: 'USD one' }, 'InvalidCrawlerPriceValue'],
    [{ exact: '' }, 'InvalidCrawlerPriceValue'],
    [{ exact: 'USD 0.02' }, 'InvalidCrawlerExactPrice'],
    [{ exact: 'EUR 0.01' }, 'InvalidCrawlerExactPrice'],
    [{ max: 'USD 0.009999' }, 'InvalidCrawlerMaxPrice'],
    [{ max: 'EUR 1' }, 'InvalidCrawlerMaxPrice'],
  ];
  for (const [request, error] of rows) assert.equal(judged(request), error, JSON.stringify(request));
});
