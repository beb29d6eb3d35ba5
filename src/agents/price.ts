/** What something costs: a currency and an amount, in whole millionths so that no sum is ever rounded. */

export interface Price {
  /** ISO 4217, or the symbol of a token: capital letters and digits. */
  readonly currency: string;
  readonly micros: number;
}

/** Whole units of a currency; a million times more is still exact in a number. */
export const MAX_PRICE_UNITS = 1_000_000_000;
const SCALE = 1_000_000;

/** SPEC: pay per crawl, `crawler-price`: a currency, a blank, a decimal amount. */
const PRICE = /^([A-Z][A-Z0-9]{2,9}) (0|[1-9][0-9]{0,8})(?:\.([0-9]{1,6}))?$/;

/** Null for what is no price, also for one finer than a millionth. */
export function parsePrice(text: string): Price | null {
  if (text.length > 32) return null;
  const [, currency, whole, fraction = ''] = PRICE.exec(text) ?? [];
  if (currency === undefined || whole === undefined) return null;
  return { currency, micros: Number(whole) * SCALE + Number(fraction.padEnd(6, '0')) };
}

/** As short as it can be, with at least two digits after the point. */
export function formatPrice({ currency, micros }: Price): string {
  return `${currency} ${formatAmount(micros)}`;
}

export function formatAmount(micros: number): string {
  const sign = micros < 0 ? '-' : '';
  const whole = Math.floor(Math.abs(micros) / SCALE);
  const fraction = String(Math.abs(micros) % SCALE)
    .padStart(6, '0')
    .replace(/0{1,4}$/, '');
  return `${sign}${whole}.${fraction}`;
}

/**
 * The amount in the smallest units of a token that has so many decimals, as decimal digits; null when the token is too
 * coarse for the price.
 */
export function atomicAmount({ micros }: Price, decimals: number): string | null {
  const amount = BigInt(micros) * 10n ** BigInt(decimals);
  return amount % BigInt(SCALE) === 0n ? String(amount / BigInt(SCALE)) : null;
}
