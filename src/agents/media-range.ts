/** Whether a client prefers Markdown to HTML. SPEC: RFC 9110 section 12.5.1. */

/** Characters of Accept, and ranges in it, that are looked at. */
export const MAX_ACCEPT = 2048;
export const MAX_MEDIA_RANGES = 64;

interface MediaRange {
  readonly type: string; // lower case, without parameters
  readonly q: number; // 0 to 1
}

/**
 * True where `text/markdown` itself is asked for, and as much as HTML at least. A range that only covers it (a star) does
 * not ask for it: browsers send those.
 */
export function prefersMarkdown(accept: string): boolean {
  // PERF: what nearly every request costs where pages are negotiated.
  if (!/text\/markdown/i.test(accept)) return false;
  const ranges = mediaRanges(accept);
  const markdown = ranges.findLast(({ type }) => type === 'text/markdown');
  if (markdown === undefined || markdown.q === 0) return false;
  // The most specific range that covers HTML decides about it.
  const html = ['text/html', 'text/*', '*/*'].map((type) => ranges.findLast((range) => range.type === type));
  return markdown.q >= (html.find((range) => range !== undefined)?.q ?? 0);
}

/** Ranges that are well formed, in their order; of one with parameters of its own, the type. */
export function mediaRanges(accept: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const item of split(accept.slice(0, MAX_ACCEPT), ',')) {
    if (ranges.length >= MAX_MEDIA_RANGES) break;
    const [name = '', ...parameters] = split(item, ';').map((part) => part.trim());
    const type = name.toLowerCase();
    if (!/^(?:\*\/\*|[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+)$/.test(type)) continue;
    const weights = parameters.filter((parameter) => /^q\s*=/i.test(parameter));
    const weight = weights[0]?.replace(/^q\s*=\s*/i, '') ?? '1';
    // A weight that is none is no wish.
    if (weights.length > 1 || !/^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.test(weight)) continue;
    ranges.push({ type, q: Number(weight) });
  }
  return ranges;
}

/** Parts between separators that are not in quotes. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (character === separator && !quoted) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}
