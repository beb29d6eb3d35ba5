/** RFC 9309: what its sections demand, and the examples of section 5, each by a case of our own. */
import type { RobotsCase } from './cases.ts';

const simple = [
  ...[
    'User-Agent: *',
    'Disallow: *.png$',
    'Disallow: /demo/',
    'Allow: /shop/',
    '',
    'User-Agent: ibis',
    'Allow: /demo/page.html',
  ],
  ...[
    'Allow: /demo/page.png',
    'Disallow: /',
    '',
    'User-Agent: stork',
    'User-Agent: heron',
    'Disallow: /demo/page.png',
    '',
  ],
  ...['User-Agent: silentbot'],
];

export const RFC_CASES: readonly RobotsCase[] = [
  {
    id: 'section 5.1: an example of everything',
    file: simple,
    asks: [
      ...([
        ['anybody', '/a.png', false],
        ['anybody', '/a.png?b', true],
        ['anybody', '/demo/x', false],
      ] as const),
      ...([
        ['anybody', '/shop/x', true],
        ['anybody', '/shop/x.png', true],
        ['anybody', '/else', true],
      ] as const),
      ...([
        ['ibis', '/demo/page.html', true],
        ['ibis', '/demo/page.png', true],
        ['ibis', '/shop/', false],
      ] as const),
      ...([
        ['stork', '/demo/page.png', false],
        ['heron', '/demo/page.png', false],
        ['stork', '/demo/page', true],
      ] as const),
      ...([
        ['silentbot', '/demo/', true],
        ['silentbot', '/a.png', true],
      ] as const),
    ],
  },
  {
    id: 'section 5.2: the longest match',
    file: ['User-Agent: ibis', 'Allow: /demo/page/', 'Disallow: /demo/page/secret.gif'],
    asks: [
      ['ibis', '/demo/page/secret.gif', false],
      ['ibis', '/demo/page/open.gif', true],
    ],
  },
  {
    id: 'section 2.2.1: groups of one agent are one',
    file: ['user-agent: Ibis', 'disallow: /p', 'disallow: /q', '', 'user-agent: Ibis', 'disallow: /r'],
    asks: [
      ['Ibis', '/p', false],
      ['Ibis', '/q', false],
      ['Ibis', '/r', false],
      ['Ibis', '/s', true],
    ],
  },
  {
    id: 'section 2.2.1: the product token decides, in any case',
    file: ['User-agent: IBIS', 'Disallow: /'],
    asks: [
      ['ibis', '/', false],
      ['Ibis', '/', false],
      ['ibis-two', '/', true],
      ['ibi', '/', true],
    ],
  },
  {
    id: 'section 2.2.1: several groups of all others are one',
    file: ['User-agent: *', 'Disallow: /p', 'User-agent: Ibis', 'Disallow: /', 'User-agent: *', 'Disallow: /q'],
    asks: [
      ['Heron', '/p', false],
      ['Heron', '/q', false],
      ['Heron', '/r', true],
    ],
  },
  {
    id: 'section 2.2.2: rows of its table',
    file: [
      ...[
        'User-agent: *',
        'Disallow: /',
        'Allow: /p/q?r=s',
        'Allow: /p/q?t=https://site.test',
        'Allow: /p/ソ',
        'Allow: /u/%E3%82%BD',
      ],
      ...['Allow: /v/%6c%65%61%66'],
    ],
    asks: [
      ...([
        ['Ibis', '/p/q?r=s', true],
        ['Ibis', '/p/q?t=https%3A%2F%2Fsite.test', true],
      ] as const),
      ...([
        ['Ibis', '/p/q?t=https://site.test', true],
        ['Ibis', '/p/%e3%82%bd', true],
        ['Ibis', '/u/%E3%82%BD', true],
      ] as const),
      ...([
        ['Ibis', '/u/ソ', true],
        ['Ibis', '/v/leaf', true],
        ['Ibis', '/p/q%3Fr=s', false],
      ] as const),
    ],
  },
  {
    id: 'section 2.2.2: an encoded slash in a path is none',
    file: ['User-agent: *', 'Disallow: /p/q'],
    asks: [
      ['Ibis', '/p%2Fq', true],
      ['Ibis', '/p/q', false],
    ],
  },
  { id: 'section 2.2.2: no rule matches', file: ['User-agent: *', 'Disallow: /p'], asks: [['Ibis', '/', true]] },
  { id: 'section 2.2.2: a group without rules', file: ['User-agent: *'], asks: [['Ibis', '/', true]] },
  {
    id: 'section 2.2.2: the file itself',
    file: ['User-agent: *', 'Disallow: /'],
    asks: [
      ['Ibis', '/robots.txt', true],
      ['Ibis', '/robots.txt?x', false],
      ['Ibis', '/robots.txt/', false],
    ],
  },
  {
    id: 'section 2.2.2: the least restrictive of two as long',
    file: ['User-agent: *', 'Allow: /leaf', 'Disallow: /leaf'],
    asks: [['Ibis', '/leaf', true]],
  },
  {
    id: 'section 2.2.3: special characters',
    file: [
      ...[
        'User-agent: *',
        'Disallow: /p/*/q',
        'Disallow: /end$',
        'Disallow: /a*b*c$',
        '# Disallow: /',
        'Disallow: /* x',
      ],
      ...['Disallow: /money$5'],
    ],
    asks: [
      ...([
        ['Ibis', '/p/x/y/q', false],
        ['Ibis', '/p/q', true],
        ['Ibis', '/end', false],
        ['Ibis', '/ending', true],
      ] as const),
      ...([
        ['Ibis', '/abc', false],
        ['Ibis', '/a1b2c', false],
        ['Ibis', '/abcc', false],
        ['Ibis', '/abcd', true],
      ] as const),
      ...([
        ['Ibis', '/acb', true],
        ['Ibis', '/', true],
        ['Ibis', '/money$50', false],
        ['Ibis', '/money', true],
      ] as const),
    ],
  },
  {
    id: 'section 2.2.3: special characters, verbatim',
    file: ['User-agent: *', 'Disallow: /file-%2A.html', 'Disallow: /cost-%24', 'Allow: /file-%2A.html?ok'],
    asks: [
      ...([
        ['Ibis', '/file-*.html', false],
        ['Ibis', '/file-x.html', true],
        ['Ibis', '/file-%2a.html', false],
      ] as const),
      ...([
        ['Ibis', '/cost-$', false],
        ['Ibis', '/cost-$5', false],
        ['Ibis', '/cost-', true],
      ] as const),
    ],
  },
  {
    id: 'section 2.2.4: other records stand anywhere',
    file: [
      'Sitemap: https://site.test/a',
      'User-agent: Ibis',
      'Crawl-delay: 5',
      'Content-Signal: search=yes',
      'User-agent: Heron',
      'Disallow: /',
    ],
    asks: [
      ['Ibis', '/', false],
      ['Heron', '/', false],
    ],
  },
  {
    id: 'section 2.5: what is beyond 500 KiB is not read; what is before is',
    file: [
      'User-agent: *',
      'Disallow: /p',
      ...Array.from({ length: 511 }, () => `#${'x'.repeat(998)}`),
      'Disallow: /q',
      '#'.repeat(2000),
      'Disallow: /r',
    ],
    asks: [
      ['Ibis', '/p', false],
      ['Ibis', '/q', false],
      ['Ibis', '/r', true],
    ],
  },
];
