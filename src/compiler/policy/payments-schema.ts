/** The shape of `payments:`, how those pay of whom a rule demands it. */
import { z } from 'zod';
import { MAX_PAYMENT_ACCOUNTS, MAX_PAYMENT_TERMS } from '../../../assembly/abi.ts';
import { duration, expected, secret } from './primitives.ts';

const priceError = expected('must be a price', 'write it as `USD 0.01`: at most six digits after the point');
/** As src/agents/price.ts reads it. */
export const price = z
  .string(priceError)
  .regex(/^[A-Z][A-Z0-9]{2,9} (?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,6})?$/, priceError);

const domainError = expected('must be the domain of an agent’s keys', 'write it as `agent.example`');
/** Without TLS only on one machine, where an operator lets it be reached at all. */
const FACILITATOR = /^(?:https:\/\/[^\s?#@]+|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?(?:\/[^\s?#@]*)?)$/;
const facilitatorError = expected('must be an https URL', 'write it as `https://x402.example/facilitator`');
const networkError = expected('must be a network in CAIP-2 form', 'write it as `eip155:8453`');
const wordError = expected('must be one word', 'use visible ASCII without blanks, at most 128');
const word = z.string(wordError).regex(/^[\x21-\x7e]{1,128}$/, wordError);

export const paymentsSchema = z
  .strictObject({
    crawler: z
      .strictObject({
        credit: price.optional().describe('What any verified agent may owe; default: those of `accounts` alone pay'),
        accounts: z
          .record(z.string(domainError).regex(/^[a-z0-9.-]{1,253}(?::[0-9]{1,5})?$/, domainError), price)
          .refine((value) => Object.keys(value).length <= MAX_PAYMENT_ACCOUNTS, {
            error: `must have at most ${MAX_PAYMENT_ACCOUNTS} entries`,
          })
          .optional()
          .describe('What single agents may owe, by the domain of their keys'),
      })
      .optional()
      .describe('Pay per crawl: signed requests that name a price are charged on account'),
    x402: z
      .strictObject({
        facilitator: z
          .string(facilitatorError)
          .max(1024)
          .regex(FACILITATOR, facilitatorError)
          .describe('Who verifies and settles payments; a public address'),
        authorization: secret.optional().describe('Value of the Authorization header towards the facilitator'),
        accepts: z
          .array(
            z.strictObject({
              network: z
                .string(networkError)
                .regex(/^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$/, networkError)
                .describe('Where it is paid'),
              asset: word.describe('Contract of the token'),
              payTo: word.describe('Who is paid'),
              decimals: z.number().int().min(0).max(18).describe('Of the token: 6 for USDC'),
              currency: z
                .string()
                .regex(/^[A-Z][A-Z0-9]{2,9}$/, expected('must be a currency', 'write it as `USD`'))
                .describe('Currency of prices that one token is worth one unit of'),
              timeout: duration.default('60s').describe('How long a payment may take'),
              extra: z
                .record(word, z.string().max(256))
                .default({})
                .describe('What the scheme asks for: name and version of the token'),
            }),
          )
          .min(1)
          .max(MAX_PAYMENT_TERMS)
          .describe('What is taken, the `exact` scheme of each network'),
      })
      .optional()
      .describe('x402 version 2: a payment that comes with the request'),
  })
  .describe('How charges are paid');

export type PaymentsFields = z.output<typeof paymentsSchema>;
