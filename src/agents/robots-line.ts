/**
 * The lines of a robots.txt, as crawlers read them: mistakes that the large ones forgive are forgiven.
 *
 * SPEC: RFC 9309 sections 2.1 and 2.2. Text is bytes, each as one character, since a file may be in any encoding.
 */
import { MAX_ROBOTS_BYTES, MAX_ROBOTS_LINE } from './robots-limits.ts';

export interface RobotsLine {
  readonly kind: 'user-agent' | 'allow' | 'disallow' | 'sitemap' | 'other' | 'none'; // none: says nothing
  /** Bytes without comment and outer white space; '' of kind none. */
  readonly value: string;
  /** Of the file's text, with the line's end. */
  readonly from: number;
  readonly to: number;
}

const KINDS: ReadonlyMap<string, RobotsLine['kind']> = new Map([
  ['user-agent', 'user-agent'],
  ['useragent', 'user-agent'],
  ['user agent', 'user-agent'],
  ['allow', 'allow'],
  ['disallow', 'disallow'],
  ['dissallow', 'disallow'],
  ['dissalow', 'disallow'],
  ['disalow', 'disallow'],
  ['diasllow', 'disallow'],
  ['disallaw', 'disallow'],
  ['sitemap', 'sitemap'],
  ['site-map', 'sitemap'],
]);

/** The first MAX_ROBOTS_BYTES of a file as text of one character for each byte, without a byte order mark. */
export function robotsText(bytes: Uint8Array): string {
  const end = Math.min(bytes.byteLength, MAX_ROBOTS_BYTES);
  // A mark that was cut short is none the less one: no line begins so.
  let at = 0;
  for (const byte of [0xef, 0xbb, 0xbf])
    if (at < end && bytes[at] === byte) at++;
    else break;
  let text = '';
  // PERF: as many characters a call as fit on any stack.
  for (; at < end; at += 8192) text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 8192)));
  return text;
}

/** Every line, in order. Lines end with CR, LF or CRLF. */
export function* robotsLines(text: string): Generator<RobotsLine, void, undefined> {
  let from = 0;
  while (from < text.length) {
    let end = from;
    for (
      let code = text.charCodeAt(end);
      end < text.length && code !== 10 && code !== 13;
      code = text.charCodeAt(++end)
    );
    const to = Math.min(text.length, text.startsWith('\r\n', end) ? end + 2 : end + 1);
    yield { ...readLine(text.slice(from, Math.min(end, from + MAX_ROBOTS_LINE))), from, to };
    from = to;
  }
}

function readLine(line: string): Pick<RobotsLine, 'kind' | 'value'> {
  const hash = line.indexOf('#');
  const text = (hash < 0 ? line : line.slice(0, hash)).trim();
  if (text === '') return NOTHING;
  const colon = text.indexOf(':');
  // Two words without a colon between them: it was forgotten.
  const [key, value] =
    colon >= 0
      ? [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]
      : text.split(/[ \t]+/, 3).length === 2
        ? text.split(/[ \t]+/)
        : [];
  if (key === undefined || value === undefined || key === '') return NOTHING;
  return { kind: KINDS.get(key.toLowerCase()) ?? 'other', value };
}

const NOTHING = { kind: 'none', value: '' } as const;
