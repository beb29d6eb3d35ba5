/** Header modifiers of Gateway API, on requests and responses. */
import type { HeaderChange } from '../plan.ts';
import type { Platform } from '../platform/platform.ts';

/** A policy names a secret that this deployment does not have. */
export class SecretError extends Error {
  override readonly name = 'SecretError';
  readonly secret: string;
  constructor(secret: string) {
    super(`the secret ${secret} is not set`);
    this.secret = secret;
  }
}

/** Applies set, add and remove, in this order. Throws SecretError, since a request without its credential must not go out. */
export function applyChange(headers: Headers, change: HeaderChange, platform: Platform): void {
  for (const [name, value] of change.set)
    headers.set(name, typeof value === 'string' ? value : resolve(platform, value.secret));
  for (const [name, value] of change.add)
    headers.append(name, typeof value === 'string' ? value : resolve(platform, value.secret));
  for (const name of change.remove) headers.delete(name);
}

function resolve(platform: Platform, name: string): string {
  const secret = platform.secret(name);
  if (secret === undefined) throw new SecretError(name);
  return secret;
}
