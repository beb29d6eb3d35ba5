/** Which origins a CORS policy allows, and what an answer to them carries. */
import type { CorsPlan } from '../plan.ts';
import type { Exchange } from './exchange.ts';

/** Adds the headers of the actual response; the policy owns CORS, so what the origin says about it is replaced. */
export function applyCors(exchange: Exchange, plan: CorsPlan, headers: Headers): void {
  const origin = exchange.seen.origin;
  const allowed = origin !== '' && allows(plan, origin);
  headers.append('vary', 'Origin');
  headers.delete('access-control-expose-headers');
  if (!allowed) {
    headers.delete('access-control-allow-origin');
    headers.delete('access-control-allow-credentials');
    return;
  }
  headers.set('access-control-allow-origin', origin);
  if (plan.allowCredentials) headers.set('access-control-allow-credentials', 'true');
  else headers.delete('access-control-allow-credentials');
  // `*` stands for all names only without credentials, where it is sent as it is; with them a browser takes it literally.
  set(headers, 'access-control-expose-headers', plan.exposeHeaders.join(', '));
}

/** True when the policy allows an origin. */
export function allows(plan: CorsPlan, origin: string): boolean {
  for (const pattern of plan.allowOrigins) if (matches(pattern, origin)) return true;
  return false;
}

/** `*`, an origin, or an origin whose host begins with `*`: one or more labels. Port and scheme must agree. */
function matches(pattern: string, origin: string): boolean {
  if (pattern === '*' || pattern === origin) return true;
  const star = pattern.indexOf('*');
  if (star < 0) return pattern.toLowerCase() === origin.toLowerCase();
  const before = pattern.slice(0, star).toLowerCase();
  const after = pattern.slice(star + 1).toLowerCase();
  const text = origin.toLowerCase();
  if (text.length <= before.length + after.length || !text.startsWith(before) || !text.endsWith(after)) return false;
  // The labels in the middle may hold nothing that ends a host name.
  return /^[a-z0-9._-]+$/.test(text.slice(before.length, text.length - after.length));
}

/** Sets a header unless it would be empty. */
export function set(headers: Headers, name: string, value: string): void {
  if (value !== '') headers.set(name, value);
}
