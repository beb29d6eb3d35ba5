import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { estimatedTokens, markdownOf } from './markdown.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const utf16 = (text: string): Uint8Array =>
  new Uint8Array(new Uint16Array([...text].map((c) => c.charCodeAt(0))).buffer);

test('a page', async () => {
  const page = `<!doctype html><html><head><title>T</title><style>p{color:red}</style><script>let x = '<p>no</p>'</script></head>
<body><h1>Head</h1><p>Some <b>bold</b>, <em>other</em> and <a href="/x?y=1&amp;z">a link</a>.</p>
<ul><li>one<li>two<ol><li>deep</ol></ul><pre><code class="language-js">a &lt; b
</code></pre><table><tr><th>A<th>B<tr><td>1<td>2</table><img src="i.png" alt="pic"></body></html>`;
  const text = (await markdownOf(bytes(page), 'text/html')) ?? '';
  for (const part of [
    '# Head',
    '**bold**',
    '[a link](/x?y=1&z)',
    '- one',
    '1. deep',
    'a < b',
    '| A | B |',
    '| 1 | 2 |',
    '![pic](i.png)',
  ])
    assert.ok(text.includes(part), `${part}\n${text}`);
  for (const part of ['color:red', 'let x']) assert.ok(!text.includes(part), part);
  assert.ok(text.endsWith('\n') && !text.endsWith('\n\n'));
});

describe('encodings', () => {
  const of = async (given: Uint8Array, type: string): Promise<string | null> =>
    (await markdownOf(given, type))?.trim() ?? null;
  test('a mark, then HTTP, then the page, then UTF-8', async () => {
    assert.equal(await of(bytes('\ufeff<p>é'), 'text/html; charset=iso-8859-1'), 'é');
    assert.equal(await of(Uint8Array.of(0xff, 0xfe, ...utf16('<p>é')), 'text/html'), 'é');
    assert.equal(await of(Uint8Array.of(...bytes('<p>'), 0xe9), 'text/html; charset="ISO-8859-1"'), 'é');
    assert.equal(await of(Uint8Array.of(...bytes('<meta charset=latin1><p>'), 0xe9), 'text/html'), 'é');
    assert.equal(
      await of(
        Uint8Array.of(
          ...bytes(
            '<!-- <meta charset=koi8-r> --><meta http-equiv=content-type content="text/html; charset=latin1"><p>',
          ),
          0xe9,
        ),
        'text/html',
      ),
      'é',
    );
    assert.equal(
      await of(Uint8Array.of(...bytes('<meta charset=latin1><p>'), 0xc3, 0xa9), 'text/html; charset=utf-8'),
      'é',
    );
    assert.equal(await of(bytes('<meta charset=utf-16><p>é'), 'text/html'), 'é');
    assert.equal(await of(bytes('<p>é'), 'text/html'), 'é');
    assert.equal(await of(Uint8Array.of(...bytes('<p>a'), 0xff), 'text/html'), 'a\ufffd');
  });
  test('one that nobody knows', async () => {
    assert.equal(await of(bytes('<p>x'), 'text/html; charset=klingon'), null);
    assert.equal(await of(bytes('<meta charset=klingon><p>x'), 'text/html'), null);
  });
});

test('hostile pages are converted, or at least survived', async () => {
  const count = 50_000;
  for (const part of [
    '<div>',
    '<b>',
    '<ul><li>x',
    '<blockquote>',
    '<table><tr><td>',
    '<a href=x>',
    '<',
    '<a ',
    '<!--',
    '&#x41;',
    '<a href="',
    '</div>',
    '<pre>`',
    '<svg><math>',
  ])
    assert.equal(typeof (await markdownOf(bytes(part.repeat(count / part.length)), 'text/html')), 'string', part);
  assert.equal(typeof (await markdownOf(bytes(`<a href="${'x'.repeat(count)}">`), 'text/html')), 'string');
});

test('a page that the converter fails on stays what it is', async () => {
  assert.equal(await markdownOf(bytes('<tr><td>a</td></tr>'), 'text/html'), null);
});

test('tokens are a quarter of the characters', () => {
  assert.equal(estimatedTokens(''), 0);
  assert.equal(estimatedTokens('12345'), 2);
});
