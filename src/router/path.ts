/** Paths that change on the way: replacement of Gateway API (HTTPPathModifier), and dot segments. */
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

const WELL_KNOWN = /^\/\.well-known(?:\/[\w~.-]+)+\/?$/;

/**
 * Whether a canonical path is below `/.well-known/` for origins too: of plain names alone. One that reads `..%2f` or `..;/`
 * as a way up would give all that it has to whom no rule asks for anything there.
 */
export const isWellKnown = (path: string): boolean => WELL_KNOWN.test(path);

const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
const DOT = /^(?:\.|%2e)$/i;
const DOTS = /^(?:\.|%2e){2}$/i;

/** SPEC: RFC 3986 section 5.2.4, with `%2e` for a dot as browsers and many origins have it. `path` begins with `/`. */
export function withoutDots(path: string): string {
  if (!DOT_SEGMENT.test(path)) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  segments.forEach((segment, index) => {
    const dots = DOTS.test(segment);
    if (!dots && !DOT.test(segment)) return void kept.push(segment);
    if (dots && kept.length > 1) kept.pop();
    if (index === segments.length - 1) kept.push(''); // `/a/.` is `/a/`
  });
  return kept.join('/');
}
