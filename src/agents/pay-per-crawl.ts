/**
 * Pay per crawl: an agent that has proven who it is says in a header what it pays, and is charged on account.
 *
 * SPEC: Cloudflare's pay per crawl, "Crawl pages" and "Error codes": the names of headers, codes and statuses are theirs,
 * so that a crawler that pays there pays here.
 */
import { parsePrice, type Price } from './price.ts';

export const PRICE_HEADER = 'crawler-price';
export const EXACT_HEADER = 'crawler-exact-price';
export const MAX_HEADER = 'crawler-max-price';
export const CHARGED_HEADER = 'crawler-charged';
export const ERROR_HEADER = 'crawler-error';

/** Why a crawler is not served, with the status of each. */
export const CRAWL_ERRORS = {
  StrongAuthRequired: 400,
  InvalidSignature: 400,
  InvalidCrawlerPriceValue: 400,
  ConflictingPriceHeaders: 400,
  MissingCrawlerPrice: 402,
  InvalidCrawlerExactPrice: 402,
  InvalidCrawlerMaxPrice: 402,
  PaymentFailed: 403,
  // There 500; what could not be asked here may be asked again.
  InternalError: 503,
} as const;
export type CrawlError = keyof typeof CRAWL_ERRORS;

export interface CrawlRequest {
  /** Values of the two headers, null when absent. */
  readonly exact: string | null;
  readonly max: string | null;
  /** `none`: unsigned, or what could not be checked. */
  readonly identity: 'verified' | 'invalid' | 'none';
  /** Whether the verified signature covers a header. */
  covers(header: string): boolean;
}

/** Null when the crawler agrees to the price, under its own name. */
export function judgeCrawl(price: Price, { exact, max, identity, covers }: CrawlRequest): CrawlError | null {
  if (exact !== null && max !== null) return 'ConflictingPriceHeaders';
  if (exact === null && max === null) return 'MissingCrawlerPrice';
  if (identity === 'none') return 'StrongAuthRequired';
  if (identity === 'invalid') return 'InvalidSignature';
  // Else whoever is on the way could make somebody else pay.
  if (!covers(exact === null ? MAX_HEADER : EXACT_HEADER)) return 'InvalidSignature';
  const offer = parsePrice(exact ?? max ?? '');
  if (offer === null) return 'InvalidCrawlerPriceValue';
  const same = offer.currency === price.currency;
  if (exact !== null) return same && offer.micros === price.micros ? null : 'InvalidCrawlerExactPrice';
  return same && offer.micros >= price.micros ? null : 'InvalidCrawlerMaxPrice';
}
