/** Markdown: mutated Accept fields are judged as RFC 9110 says, mutated pages are converted or refused, and fields merged. */
import assert from 'node:assert/strict';
import { mergeSignals, mergeUsage } from '../../src/agents/content-signal.ts';
import { estimatedTokens, markdownOf } from '../../src/agents/markdown.ts';
import { mediaRanges, prefersMarkdown } from '../../src/agents/media-range.ts';
import { parseDictionary } from '../../src/agents/structured-field.ts';
import { random, type Random } from './random.ts';

const ACCEPTS = [
  'text/markdown, text/html;q=0.9, */*;q=0.8',
  'text/html,application/xhtml+xml,*/*;q=0.8',
  'text/markdown;x="a,\\"b";q=0.5, text/*;q=0.3',
];
const ACCEPT_PIECES = [
  'text/markdown',
  'text/html',
  '*/*',
  'text/*',
  ';q=',
  ';q=0',
  ';q=1',
  '0.5',
  ',',
  ';',
  '"',
  '\\',
  ' ',
  '\t',
  'Q=',
  '.',
  'é',
];
const PAGES = [
  '<!doctype html><html><head><meta charset="utf-8"><title>T</title></head><body><h1>H</h1><p>a <b>b</b> <a href="/x?a&amp;b">l</a></p><ul><li>1<li>2</ul><pre><code>x &lt; y</code></pre></body></html>',
  '<table><tr><th>A<th>B<tr><td>1<td>2</table><blockquote>q</blockquote><img src=x alt="y"><script>if (a < b) c()</script>',
];
const PAGE_PIECES = [
  '<',
  '>',
  '</',
  '/>',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '"',
  "'",
  '=',
  '&',
  '&#',
  '&#x0;',
  '&#xD800;',
  '&amp',
  '<script>',
  '</script>',
  '<style>',
  '<pre>',
  '<ul><li>',
  '<table><tr><td>',
  '<b>',
  '</b>',
  '<a href=',
  '<svg>',
  '\0',
  '\ufeff',
  '😀',
  '`',
  '*',
  '|',
  '\n',
  '<template>',
  '<textarea>',
  '<meta charset=x>',
];
const FIELDS = ['search=yes, ai-train=no', 'train-ai=n, search=y;x="y"', 'a=(1 2), b=:aGk=:'];
const FIELD_PIECES = [
  'search',
  'ai-train',
  '=',
  'yes',
  'no',
  'y',
  'n',
  ',',
  ';',
  ' ',
  '"',
  '(',
  ')',
  '?1',
  '__proto__',
  'é',
];

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    judgeAccept(mutate(r, ACCEPTS, ACCEPT_PIECES));
    await judgePage(mutate(r, PAGES, PAGE_PIECES), r);
    judgeFields(mutate(r, FIELDS, FIELD_PIECES));
  }
  return cases;
}

function mutate(r: Random, seeds: readonly string[], pieces: readonly string[]): string {
  let text = r.pick(seeds);
  for (let i = r.below(6); i >= 0; i--) {
    const at = r.below(text.length + 1);
    text =
      text.slice(0, at) + r.pick(pieces).repeat(r.below(60) === 0 ? r.below(400) : 1) + text.slice(at + r.below(8));
  }
  return text;
}

function judgeAccept(accept: string): void {
  const ranges = mediaRanges(accept);
  for (const { type, q } of ranges) assert.ok(q >= 0 && q <= 1 && /^\S+\/\S+$/.test(type), JSON.stringify(accept));
  const given = (type: string): number | undefined => ranges.findLast((range) => range.type === type)?.q;
  const wanted =
    (given('text/markdown') ?? 0) > 0 &&
    given('text/markdown')! >= (given('text/html') ?? given('text/*') ?? given('*/*') ?? 0);
  assert.equal(prefersMarkdown(accept), wanted, JSON.stringify(accept));
  // Who does not name it never gets it.
  assert.equal(prefersMarkdown(accept.replaceAll(/markdown/gi, 'x')), false, JSON.stringify(accept));
}

async function judgePage(page: string, r: Random): Promise<void> {
  const bytes = new TextEncoder().encode(page);
  if (r.below(4) === 0 && bytes.length > 0) bytes[r.below(bytes.length)] = r.below(256);
  const text = await markdownOf(
    bytes,
    r.pick(['text/html', 'text/html; charset=utf-8', 'text/html; charset=latin1', 'text/html;charset=no-such']),
  );
  if (text === null) return;
  assert.ok(text.endsWith('\n'), JSON.stringify(page));
  // Nothing is said many times over: nesting indents, so a line may cost more than it had.
  assert.ok(text.length <= 64 * (bytes.length + 16), JSON.stringify(page));
  assert.ok(estimatedTokens(text) <= text.length);
}

function judgeFields(field: string): void {
  const signals = mergeSignals([['search', 'no']], field);
  assert.match(signals, /^[a-z0-9-]+=(?:yes|no)(?:, [a-z0-9-]+=(?:yes|no))*$/, JSON.stringify(field));
  assert.ok(signals.split(', ').includes('search=no'), JSON.stringify(field));
  const usage = parseDictionary(mergeUsage([['train-ai', 'n']], field)).get('train-ai');
  assert.ok(usage !== undefined && 'item' in usage && usage.item.value === 'n', JSON.stringify(field));
}
