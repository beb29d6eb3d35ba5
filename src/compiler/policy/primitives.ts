/**
 * The words that a policy is written with: names, durations, sizes, shares, headers.
 *
 * An error text is `what is expected`, a line feed, and `what to write instead`; validation.ts takes it apart.
 */
import { z } from 'zod';
import { MAX_HOSTNAMES, MAX_WEIGHT } from '../../../assembly/abi.ts';

/** Methods that the runtime hands to a worker; it answers 501 to any other itself. */
export const METHODS = [
  ...[
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'CONNECT',
    'OPTIONS',
    'TRACE',
    'PATCH',
    'QUERY',
    'PURGE',
    'BAN',
    'SEARCH',
  ],
  ...[
    'COPY',
    'LOCK',
    'MKCOL',
    'MOVE',
    'PROPFIND',
    'PROPPATCH',
    'UNLOCK',
    'ACL',
    'REPORT',
    'MKACTIVITY',
    'CHECKOUT',
    'MERGE',
  ],
  ...['MSEARCH', 'NOTIFY', 'SUBSCRIBE', 'UNSUBSCRIBE'],
] as const;
export const expected = (what: string, fix: string) => ({ error: `${what}\n${fix}` });

export const text = z.string().min(1);
export const duration = z
  .string(expected('must be a duration', 'write it as `10s`, `1h30m` or `500ms`'))
  .regex(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/, expected('must be a duration', 'write it as `10s`, `1h30m` or `500ms`'));
const sizeError = expected('must be a size', 'write it as `128KB`, `1MB` or `4096B`');
export const size = z.string(sizeError).regex(/^[0-9]{1,9}(B|KB|KiB|MB|MiB)$/, sizeError);
const percentError = expected('must be a percentage', 'write it as `20%` or 20, at most 100');
export const percent = z.union([
  z.number().min(0).max(100),
  z.string().regex(/^[0-9]{1,3}(\.[0-9]{1,4})?%$/, percentError),
]);
export const token = z
  .string()
  .regex(
    /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/,
    expected('must be a header or cookie name', 'use letters, digits and -'),
  );
export const names = z.array(token).max(64);
const nameError = expected(
  'must be a name',
  'use letters, digits, space, `.`, `_` and `-`, at most 64, beginning with a letter or digit',
);
export const name = z.string(nameError).regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/, nameError);
const listNameError = expected('must be the name of a list', 'use small letters, digits and `_`');
export const listName = z.string().regex(/^[a-z0-9_]{1,50}$/, listNameError);
export const port = z.number().int().min(1).max(65535);
export const mode = z
  .enum(['off', 'log', 'enforce'])
  .describe('off: not evaluated; log: recorded, no effect; enforce: has effect');
export const weight = z.number().int().min(0).max(MAX_WEIGHT);
export const hostnames = z.array(text.max(255)).min(1).max(MAX_HOSTNAMES);

export const secret = z
  .strictObject({
    secret: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, expected('must be the name of a secret', 'use letters, digits and `_`'))
      .describe('Name of the secret; its value comes from a binding or a file at run time'),
  })
  .describe('A named secret, resolved at run time');
export const headerValue = z.union([z.string().max(8192), secret]);
export const cidr = text.max(64);

export type Percent = z.output<typeof percent>;
