/** Header modifiers of Gateway API, on requests and responses. */
import type { HeaderChange } from '../plan.ts';
import type { Platform } from '../platform/platform.ts';

/** A policy names a secret that this deployment does not have, or that can not be a header. */
export class SecretError extends Error {
  override readonly name = 'SecretError';
  readonly secret: string;
  constructor(secret: string, what: string) {
    super(`the secret ${secret} ${what}`);
    this.secret = secret;
  }
}

/** Applies set, add and remove, in this order. Throws SecretError, since a request without its credential must not go out. */
export function applyChange(headers: Headers, change: HeaderChange, platform: Platform): void {
  for (const [name, value] of change.set)
    headers.set(name, typeof value === 'string' ? value : secretHeader(platform, value.secret));
  for (const [name, value] of change.add)
    headers.append(name, typeof value === 'string' ? value : secretHeader(platform, value.secret));
  for (const name of change.remove) headers.delete(name);
}

const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The secret, as a header can hold it; throws SecretError. */
export function secretHeader(platform: Platform, name: string): string {
  const secret = platform.secret(name);
  if (secret === undefined || secret === '') throw new SecretError(name, 'is not set');
  // The runtime would refuse it with an error that quotes the value, and errors are logged.
  if (!HEADER_VALUE.test(secret))
    throw new SecretError(name, 'holds a line break or a character that no header can hold');
  return secret;
}
