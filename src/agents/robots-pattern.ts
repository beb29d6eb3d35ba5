/**
 * Paths of robots.txt: brought into one form, and compared. `*` is any text and `$` the end; nothing is tried twice, since
 * the first place where a part fits leaves the most room for the next.
 *
 * SPEC: RFC 9309 section 2.2.2: octets outside of US-ASCII are encoded, encoded unreserved ones are not; section 2.2.3: to
 * match the special characters verbatim they are encoded.
 */
import { MAX_ROBOTS_PATH } from './robots-limits.ts';

export interface RobotsPattern {
  /** Texts between the wildcards; the first is at the beginning. */
  readonly parts: readonly string[];
  /** True when the last part is at the end. */
  readonly anchored: boolean;
  /** In octets, as it decides which of several rules holds. */
  readonly length: number;
}

/** `text` is bytes, each as one character; null: it matches no path. */
export function robotsPattern(text: string): RobotsPattern | null {
  if (text === '') return null;
  const anchored = text.endsWith('$');
  const form = normal(anchored ? text.slice(0, -1) : text, '%24', '*');
  const parts = form.split(/\*+/);
  return { parts, anchored, length: form.length + (anchored ? 1 : 0) };
}

/** The form of a path and query that patterns are compared with; what is beyond ASCII is of UTF-8. */
export function robotsPath(path: string): string {
  const ascii = /^[\0-\x7f]*$/.test(path)
    ? path
    : String.fromCharCode(...new TextEncoder().encode(path.slice(0, MAX_ROBOTS_PATH)));
  return normal(ascii, '%24', '%2A').slice(0, MAX_ROBOTS_PATH);
}

/** `path` is of `robotsPath`. */
export function matchesPath({ parts, anchored }: RobotsPattern, path: string): boolean {
  const last = parts.length - 1;
  const first = parts[0] as string;
  if (!path.startsWith(first)) return false;
  if (last === 0) return !anchored || path.length === first.length;
  let at = first.length;
  for (let index = 1; index < last; index++) {
    const part = parts[index] as string;
    const found = path.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  const end = parts[last] as string;
  return anchored ? path.length - end.length >= at && path.endsWith(end) : path.indexOf(end, at) >= 0;
}

/**
 * One form for all spellings. In a query `:`, `/`, `?`, `@` and brackets mean themselves, encoded or not, so there they are
 * decoded (the RFC's own example writes `?baz=https://foo.bar` for `?baz=https%3A%2F%2Ffoo.bar`); in a path they are not.
 */
function normal(text: string, dollar: string, star: string): string {
  // PERF: most paths and patterns are in that form.
  if (/^[\w\-.~!&'()+,;=:@/]*$/.test(text)) return text;
  let query = false;
  return text.replace(/%[0-9A-Fa-f]{2}|[^\w\-.~!&'()+,;=:@/]/g, (found) => {
    if (found.length === 3) {
      const character = String.fromCharCode(Number.parseInt(found.slice(1), 16));
      return /[\w\-.~]/.test(character) || (query && /[:/?@[\]]/.test(character)) ? character : found.toUpperCase();
    }
    if (found === '?') query = true;
    if (found === '$') return dollar;
    if (found === '*') return star;
    const code = found.charCodeAt(0);
    return code >= 0x80 ? `%${code.toString(16).toUpperCase()}` : found;
  });
}
