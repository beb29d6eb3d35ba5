/** What rules demand before a request goes on: how a rate counts, what a charge costs. */
import { MAX_RATE_SECONDS } from '../../../assembly/abi.ts';
import type { RatePlan } from '../../plan.ts';
import type { DocumentPath, Reporter } from '../diagnostics.ts';
import type { RuleSource } from '../sources.ts';
import type { RateFields } from './demand-schema.ts';
import { parseDuration } from './quantity.ts';

/** A client by its address. One IPv6 client has a network of its own, of which it can take any address. */
const CLIENT = 'to_string(cidr(ip.src, 32, 64))';
const HEADER = /^[!#$%&'*+^_`|~0-9A-Za-z-]+$/;

export interface ReadRate {
  readonly plan: RatePlan;
  readonly keys: NonNullable<RuleSource['keys']>;
}

/** `policy`: what clients are told that it is called; `by`: what counts where the fields do not say. */
export function readRate(
  fields: RateFields,
  path: DocumentPath,
  { policy, by }: { readonly policy: string; readonly by: readonly string[] },
  reporter: Reporter,
): ReadRate {
  const milliseconds = parseDuration(fields.per)!;
  if (milliseconds < 1000 || milliseconds > MAX_RATE_SECONDS * 1000 || milliseconds % 1000 !== 0)
    reporter.report('error', [...path, 'per'], 'out-of-range', '`per` must be whole seconds, from 1s to 744h', {
      fix: 'write it as `10s`, `1m` or `24h`',
    });
  const given = fields.by ?? by;
  return {
    plan: {
      requests: fields.requests,
      seconds: Math.floor(milliseconds / 1000),
      policy,
      by: given,
      onError: fields.onError,
    },
    keys: given.map((key, index) => ({
      path: fields.by === undefined ? path : [...path, 'by', index],
      value: keyValue(key),
    })),
  };
}

/** A word without a dot is a header name, anything else an expression. */
function keyValue(key: string): string {
  if (key === 'ip.src') return CLIENT;
  return HEADER.test(key) ? `http.request.headers["${key.toLowerCase()}"][0]` : key;
}

/** What rules of an app are counted by where they do not say. */
export const BY_CLIENT: readonly string[] = ['ip.src'];
