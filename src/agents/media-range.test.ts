import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_ACCEPT, MAX_MEDIA_RANGES, mediaRanges, prefersMarkdown } from './media-range.ts';

const BROWSERS = [
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7',
  'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  '*/*',
  '',
];

test('who gets Markdown', () => {
  for (const accept of [
    'text/markdown',
    'text/markdown, text/html;q=0.9, */*;q=0.8',
    'text/markdown, text/html, */*',
    'text/html, text/markdown',
    'TEXT/Markdown;charset=utf-8',
    'text/html;q=0.5, text/markdown;q=0.5',
    'text/markdown;q=0.8, */*;q=0.8',
    'text/markdown;q=0.2, text/html;q=0.1, */*',
    'text/markdown;q=0.2, text/*;q=0.1, */*',
    'text/markdown;variant="a,b;q=0";q=1.000',
    'text/html;q=0, text/markdown;q=0.001',
  ])
    assert.equal(prefersMarkdown(accept), true, accept);
});

test('who does not', () => {
  for (const accept of [
    ...BROWSERS,
    'text/*',
    'text/markdown;q=0',
    'text/markdown;q=0.1, */*;q=0.8',
    'text/markdown;q=0.1, text/*;q=0.2, */*;q=0',
    'text/markdown;q=0.000, */*',
    'text/html, text/markdown;q=0.9',
    'text/markdown;q=2',
    'text/markdown;q=-1',
    'text/markdown;q=1.001',
    'text/markdown;q=1;q=1',
    'text/markdown;q=',
    'text/markdown;q=0.1234',
    'text/markdownish',
    'xtext/markdown',
    'a/b;x="text/markdown"',
    'a/b;x="\\", text/markdown',
    'text/markdown x',
    'text/html, text/markdown;q=1, text/markdown;q=0',
  ])
    assert.equal(prefersMarkdown(accept), false, accept);
});

test('ranges are read as they are written', () => {
  const range = fc.record({
    type: fc.constantFrom('text/markdown', 'text/html', 'text/*', '*/*', 'a/b'),
    thousandths: fc.integer({ min: 0, max: 1000 }),
    parameter: fc.constantFrom('', ';a=b', '; a="x,y;z\\""'),
  });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), fc.constantFrom(',', ' , ', ',\t'), (ranges, comma) => {
      const text = ranges.map(
        ({ type, thousandths, parameter }) => `${type}${parameter};q=${(thousandths / 1000).toFixed(3)}`,
      );
      assert.deepEqual(
        mediaRanges(text.join(comma)),
        ranges.map(({ type, thousandths }) => ({ type, q: thousandths / 1000 })),
      );
    }),
  );
});

test('limits', () => {
  assert.equal(mediaRanges('a/b,'.repeat(100)).length, MAX_MEDIA_RANGES);
  const padded = (length: number): string =>
    `a/b;x="${'x'.repeat(length - 'a/b;x="",text/markdown'.length)}",text/markdown`;
  assert.equal(prefersMarkdown(padded(MAX_ACCEPT)), true);
  assert.equal(prefersMarkdown(padded(MAX_ACCEPT + 1)), false);
});
