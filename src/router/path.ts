/** Path replacement of Gateway API (HTTPPathModifier), shared by redirect and rewrite. */
import type { PathReplacement } from '../plan.ts';

/**
 * `covered` is the number of characters of `path` that the PathPrefix match covered. A trailing slash of the match or of
 * the replacement does not count, and what is left always begins with a slash:
 * /foo/bar with /foo -> /xyz is /xyz/bar; /foo with /foo -> / is /; /foo/bar with /foo -> / is /bar.
 */
export function replacePath(replacement: PathReplacement, path: string, covered: number): string {
  if (replacement.type === 'full') return replacement.value === '' ? '/' : replacement.value;
  const prefix = replacement.value.endsWith('/') ? replacement.value.slice(0, -1) : replacement.value;
  const rest = path.slice(covered);
  const joined = rest === '' || rest.startsWith('/') ? prefix + rest : prefix + '/' + rest;
  return joined === '' ? '/' : joined;
}
