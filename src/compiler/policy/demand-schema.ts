/** The shapes of what rules and `agents` entries demand: a rate, a challenge, a charge. */
import { z } from 'zod';
import { MAX_EXPRESSION_CHARACTERS, MAX_RATE_KEYS, MAX_RATE_REQUESTS } from '../../../assembly/abi.ts';
import { price } from './payments-schema.ts';
import { duration } from './primitives.ts';

export const rateSchema = z.strictObject({
  requests: z.number().int().min(1).max(MAX_RATE_REQUESTS).describe('Requests that a window takes'),
  per: duration.describe('Length of the window, from 1s to 744h; it begins with the first request'),
  by: z
    .array(z.string().min(1).max(MAX_EXPRESSION_CHARACTERS))
    .min(1)
    .max(MAX_RATE_KEYS)
    .optional()
    .describe('What requests are counted by: header names and fields of the rules language. Default: ip.src'),
  onError: z
    .enum(['closed', 'open'])
    .default('closed')
    .describe('Where the count can not be asked for: closed answers 503, open lets pass'),
});

export const chargeSchema = z.strictObject({
  price: price.describe('Currency and amount for one request'),
});

export type RateFields = z.output<typeof rateSchema>;
export type ChargeFields = z.output<typeof chargeSchema>;
