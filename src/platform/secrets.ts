/** Named secrets, from text bindings. */
import type { Env } from './bindings.ts';

/** Only `SECRET_*` can be reached, so that a policy can't read any other binding by naming it. */
export function secretOf(env: Env, name: string): string | undefined {
  const value = env[`SECRET_${name}`];
  return typeof value === 'string' ? value : undefined;
}
