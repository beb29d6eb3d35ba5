import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_ROBOTS_BYTES } from './robots-limits.ts';
import { mergeRobots } from './robots-merge.ts';
import { readRobots, RobotsMatcher } from './robots.ts';

const MANAGED = 'User-agent: *\nDisallow: /managed/\n\nUser-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n';
const REFUSED = ['gptbot', 'ccbot'];

const allows = (text: string, agent: string, path: string): boolean =>
  new RobotsMatcher(readRobots(text)).allows(agent, path);

describe('a merged file', () => {
  test('has the managed part first, and what the origin says of others', () => {
    const origin = '# ours\r\nUser-agent: *\r\nDisallow: /private/\r\nSitemap: https://shop.example/map.xml\r\n';
    const text = mergeRobots(MANAGED, origin, REFUSED);
    assert.equal(text, `${MANAGED}\n${origin}`);
    assert.equal(allows(text, 'Ibis', '/managed/x'), false);
    assert.equal(allows(text, 'Ibis', '/private/x'), false);
    assert.equal(allows(text, 'Ibis', '/'), true);
  });

  test('lets no origin allow what is managed', () => {
    const origin = [
      ...[
        'User-agent: GPTBot',
        'Crawl-delay: 5',
        'Allow: /',
        '',
        'User-agent: ccbot/2.0',
        'User-agent: Ibis',
        'Allow: /x',
        'Disallow: /',
      ],
      ...['', 'User-agent: CCBot', 'Sitemap: https://shop.example/map.xml', 'Allow: /'],
    ].join('\n');
    const text = mergeRobots(MANAGED, origin, REFUSED);
    assert.equal(
      text,
      `${MANAGED}\n${['', 'User-agent: Ibis', 'Allow: /x', 'Disallow: /', '', 'Sitemap: https://shop.example/map.xml', ''].join('\n')}`,
    );
    for (const agent of ['GPTBot', 'CCBot']) assert.equal(allows(text, agent, '/x'), false);
    assert.equal(allows(text, 'Ibis', '/x'), true);
    assert.equal(allows(text, 'Ibis', '/y'), false);
  });

  test('gives rules above the first group to nobody', () => {
    const text = mergeRobots(MANAGED, 'Allow: /\nUser-agent: Ibis\nDisallow: /\n', REFUSED);
    assert.equal(text, `${MANAGED}\nUser-agent: Ibis\nDisallow: /\n`);
    assert.equal(allows(text, 'GPTBot', '/'), false);
  });

  test('is no longer than crawlers read, and ends with a line', () => {
    const line = `# ${'x'.repeat(998)}\n`;
    const text = mergeRobots(MANAGED, line.repeat(600), REFUSED);
    assert.ok(text.length <= MAX_ROBOTS_BYTES && text.length > MAX_ROBOTS_BYTES - line.length - 1);
    assert.ok(text.endsWith(line));
  });

  test('is one of the two where there is no other', () => {
    assert.equal(mergeRobots(MANAGED, '', REFUSED), MANAGED);
    assert.equal(mergeRobots('', 'User-agent: *\nDisallow: /x', []), 'User-agent: *\nDisallow: /x');
    assert.equal(mergeRobots(MANAGED, 'User-agent: GPTBot\nAllow: /\n', REFUSED), MANAGED);
  });
});
