/**
 * Google's matcher (github.com/google/robotstxt, robots_test.cc and reporting_robots_test.cc): each assertion asserted by a
 * case of our own. What contradicts RFC 9309, or asks for what no gateway needs, is skipped with its reason.
 */
import type { EscapeCase, LinesCase, RobotsCase } from './cases.ts';

const RFC =
  'RFC 9309 section 2.2.2 asks for the opposite: both sides are brought into one form before they are compared';

/** A line of 16,663 characters at most is read: `key` and its value, up to there. */
const longest = (key: string, letter: string): string => {
  const begin = '/l/';
  return begin + letter.repeat(8 * 2083 + 1 - begin.length - key.length - begin.length);
};
const long = longest('disallow: ', 'm');
const longA = longest('allow: ', 'm');
const longB = longest('allow: ', 'n');

const shelf = ['user-agent: Ibis', 'disallow: /', 'allow: /book'];
const star = ['user-agent: Ibis', 'disallow: /', 'allow: /book*'];
const folder = ['user-agent: Ibis', 'disallow: /', 'allow: /book/'];
const ending = ['user-agent: Ibis', 'disallow: /', 'allow: /*.cgi'];
const ended = ['user-agent: Ibis', 'disallow: /', 'allow: /*.cgi$'];
const between = ['user-agent: Ibis', 'disallow: /', 'allow: /book*.cgi'];

const groups = [
  ...['allow: /outside/', '', 'user-agent: Ibis', 'disallow: /', 'allow: /one/', 'user-agent: Heron', 'disallow: /'],
  ...[
    'allow: /two/',
    '',
    '',
    'allow: /four/',
    'user-agent: Stork',
    '',
    'user-agent: Ibis',
    'allow: /three/',
    'disallow: /',
  ],
];
const everyCase = (agent: string): string[] => [`User-Agent: ${agent}`, 'Allow: /in/', 'Disallow: /'];

export const GOOGLE_CASES: readonly RobotsCase[] = [
  {
    id: 'an empty file',
    file: '',
    asks: [
      ['Ibis', '/', true],
      ['', '/', true],
    ],
  },
  {
    id: 'nobody asks, or for nothing',
    file: ['user-agent: Ibis', 'disallow: /'],
    asks: [
      ['', '/', true],
      ['Ibis', '/', false],
    ],
  },
  { id: 'lines are keys and values', file: ['user-agent: Ibis', 'disallow: /'], asks: [['Ibis', '/p/q', false]] },
  { id: 'unknown keys', file: ['who: Ibis', 'what: /'], asks: [['Ibis', '/p/q', true]] },
  { id: 'a forgotten colon', file: ['user-agent Ibis', 'disallow /'], asks: [['Ibis', '/p/q', false]] },
  {
    id: 'groups',
    file: groups,
    asks: [
      ...([
        ['Ibis', '/one/b', true],
        ['Ibis', '/three/d', true],
        ['Ibis', '/two/c', false],
      ] as const),
      ...([
        ['Heron', '/two/c', true],
        ['Heron', '/four/a', true],
        ['Heron', '/three/d', false],
      ] as const),
      ...([['Stork', '/three/d', true]] as const),
      ...([
        ['Ibis', '/outside/x/', false],
        ['Heron', '/outside/x/', false],
        ['Stork', '/outside/x/', false],
      ] as const),
    ],
  },
  {
    id: 'Sitemap ends no group',
    file: ['User-agent: Heron', 'Sitemap: https://site.test/map', 'User-agent: *', 'Disallow: /'],
    asks: [
      ['Ibis', '/', false],
      ['Heron', '/', false],
    ],
  },
  {
    id: 'an unknown line ends no group',
    file: ['User-agent: Ibis', 'Unheard-Of: thing', 'User-agent: *', 'Disallow: /'],
    asks: [
      ['Ibis', '/', false],
      ['Heron', '/', false],
    ],
  },
  ...[
    ['USER-AGENT', 'ALLOW', 'DISALLOW'],
    ['user-agent', 'allow', 'disallow'],
    ['UsEr-AgEnT', 'aLLow', 'DISallOW'],
  ].map(([agent, allow, disallow]): RobotsCase => ({
    id: `keys in any case: ${agent}`,
    file: [`${agent}: Ibis`, `${allow}: /in/`, `${disallow}: /`],
    asks: [
      ['Ibis', '/in/y', true],
      ['Ibis', '/out/y', false],
    ],
  })),
  ...['IBIS PAIR', 'ibis pair', 'iBiS pAiR'].map((agent): RobotsCase => ({
    id: `agents in any case: ${agent}`,
    file: everyCase(agent),
    asks: [
      ['Ibis', '/in/y', true],
      ['Ibis', '/out/y', false],
      ['ibis', '/in/y', true],
      ['ibis', '/out/y', false],
    ],
  })),
  ...(
    [
      ['Ibis', true],
      ['Ibis-Two', true],
      ['Ibis_Two', true],
      ['', false],
      ['', false],
      ['ツ', false],
      ['Ibis*', false],
      [' Ibis ', false],
      ['Ibis/2.1', false],
      ['Ibis Two', false],
    ] as const
  ).map(([agent, valid], index): RobotsCase => ({
    id: `who can be named ${index + 1}: ${JSON.stringify(agent)}`,
    file: [`User-Agent: ${agent}`, 'Disallow: /'],
    asks: [[agent, '/', !valid]],
  })),
  {
    id: 'an agent up to its first space',
    file: ['User-Agent: *', 'Disallow: /', 'User-Agent: Ibis Two', 'Allow: /in/', 'Disallow: /'],
    asks: [
      ['Ibis', '/in/y', true],
      ['Ibis Two', '/in/y', false],
      ['Ibis Two', '/', false],
    ],
  },
  { id: 'no group at all', file: '', asks: [['Ibis', '/in/y', true]] },
  {
    id: 'the group of all others',
    file: ['user-agent: *', 'allow: /', 'user-agent: Ibis', 'disallow: /'],
    asks: [
      ['Ibis', '/in/y', false],
      ['Heron', '/in/y', true],
    ],
  },
  {
    id: 'groups of others alone',
    file: ['user-agent: Ibis', 'allow: /', 'user-agent: Heron', 'disallow: /', 'user-agent: Stork', 'disallow: /'],
    asks: [['Crane', '/in/y', true]],
  },
  { id: 'paths in lower case', file: ['user-agent: Ibis', 'disallow: /p/'], asks: [['Ibis', '/p/q', false]] },
  { id: 'paths in upper case', file: ['user-agent: Ibis', 'disallow: /P/'], asks: [['Ibis', '/p/q', true]] },
  {
    id: 'the longest: no',
    file: ['user-agent: Ibis', 'disallow: /p/leaf.html', 'allow: /p/'],
    asks: [['Ibis', '/p/leaf.html', false]],
  },
  {
    id: 'the longest: yes',
    file: ['user-agent: Ibis', 'allow: /p/leaf.html', 'disallow: /p/'],
    asks: [
      ['Ibis', '/p/leaf.html', true],
      ['Ibis', '/p/', false],
    ],
  },
  {
    id: 'two that are empty',
    file: ['user-agent: Ibis', 'disallow: ', 'allow: '],
    asks: [['Ibis', '/p/leaf.html', true]],
  },
  {
    id: 'two of one length',
    file: ['user-agent: Ibis', 'disallow: /', 'allow: /'],
    asks: [['Ibis', '/p/leaf.html', true]],
  },
  {
    id: 'a folder in one that is not allowed',
    file: ['user-agent: Ibis', 'disallow: /p', 'allow: /p/'],
    asks: [
      ['Ibis', '/p', false],
      ['Ibis', '/p/', true],
    ],
  },
  {
    id: 'the same twice',
    file: ['user-agent: Ibis', 'disallow: /p/leaf.html', 'allow: /p/leaf.html'],
    asks: [['Ibis', '/p/leaf.html', true]],
  },
  {
    id: 'a wildcard that is longer',
    file: ['user-agent: Ibis', 'allow: /leaf', 'disallow: /*.html'],
    asks: [
      ['Ibis', '/leaf.html', false],
      ['Ibis', '/leaf', true],
    ],
  },
  {
    id: 'a wildcard that is shorter',
    file: ['user-agent: Ibis', 'allow: /p/leaf.', 'disallow: /*.html'],
    asks: [
      ['Ibis', '/p/leaf.html', true],
      ['Ibis', '/p/q.html', false],
    ],
  },
  {
    id: 'the group with the name, and no other',
    file: ['User-agent: *', 'Disallow: /p/', 'User-agent: Ibis', 'Disallow: /q/'],
    asks: [
      ['Ibis', '/p/leaf', true],
      ['Ibis', '/q/leaf', false],
    ],
  },
  {
    id: 'reserved characters in a query',
    file: ['User-agent: Ibis', 'Disallow: /', 'Allow: /p/q?one=two&three=http://site.test?four&five'],
    asks: [['Ibis', '/p/q?one=two&three=http://site.test?four&five', true]],
  },
  {
    id: 'a character of three bytes',
    file: ['User-agent: Ibis', 'Disallow: /', 'Allow: /p/ソ'],
    asks: [
      ['Ibis', '/p/%E3%82%BD', true],
      ['Ibis', '/p/ソ', RFC],
    ],
  },
  {
    id: 'the same, encoded in the file',
    file: ['User-agent: Ibis', 'Disallow: /', 'Allow: /p/%E3%82%BD'],
    asks: [
      ['Ibis', '/p/%E3%82%BD', true],
      ['Ibis', '/p/ソ', RFC],
    ],
  },
  {
    id: 'unreserved characters that are encoded',
    file: ['User-agent: Ibis', 'Disallow: /', 'Allow: /p/%6c%65%61%66'],
    asks: [
      ['Ibis', '/p/leaf', RFC],
      ['Ibis', '/p/%6c%65%61%66', true],
    ],
  },
  {
    id: 'a wildcard in the middle that does not fit',
    file: ['User-agent: Ibis', 'Disallow: /p/q/end', 'Allow: /p/*/other'],
    asks: [
      ['Ibis', '/p/q/end', false],
      ['Ibis', '/p/end', true],
      ['Ibis', '/p//end', true],
      ['Ibis', '/p/r/end', true],
    ],
  },
  {
    id: 'an end',
    file: ['User-agent: Ibis', 'Disallow: /p/q$', 'Allow: /p/q/other'],
    asks: [
      ['Ibis', '/p/q', false],
      ['Ibis', '/p/q/other', true],
      ['Ibis', '/p/q/', true],
      ['Ibis', '/p/q/r', true],
    ],
  },
  {
    id: 'comments',
    file: ['User-agent: Ibis', '# Disallow: /', 'Disallow: /p/q#rest', 'Allow: /'],
    asks: [
      ['Ibis', '/p/r', true],
      ['Ibis', '/p/q', false],
    ],
  },
  {
    id: 'the index of a folder',
    file: ['User-Agent: *', 'Allow: /in/index.html', 'Disallow: /'],
    asks: [
      ['ibis', '/in/', true],
      ['ibis', '/in/index.htm', false],
      ['ibis', '/in/index.html', true],
      ['ibis', '/out', false],
    ],
  },
  {
    id: 'a line that is too long, disallowed',
    file: ['user-agent: Ibis', `disallow: ${long}/end`],
    asks: [
      ['Ibis', '/short', true],
      ['Ibis', `${long}/short`, false],
    ],
  },
  {
    id: 'lines that are too long, allowed',
    file: ['user-agent: Ibis', 'disallow: /', `allow: ${longA}/end`, `allow: ${longB}/end`],
    asks: [
      ['Ibis', '/', false],
      ['Ibis', `${longA}/end`, true],
      ['Ibis', `${longB}/short`, true],
    ],
  },
  ...[shelf, star].map((file): RobotsCase => ({
    id: `documentation: ${file[2]}`,
    file,
    asks: [
      ...([
        ['Ibis', '/pen', false],
        ['Ibis', '/book', true],
        ['Ibis', '/book.html', true],
      ] as const),
      ...([
        ['Ibis', '/book/page.html', true],
        ['Ibis', '/bookshelf', true],
        ['Ibis', '/bookshelf/top.html', true],
      ] as const),
      ...([
        ['Ibis', '/book.html?id=1', true],
        ['Ibis', '/Book.asp', false],
        ['Ibis', '/notebook', false],
      ] as const),
      ...([['Ibis', '/?id=book', false]] as const),
    ],
  })),
  {
    id: 'documentation: allow: /book/',
    file: folder,
    asks: [
      ...([
        ['Ibis', '/pen', false],
        ['Ibis', '/book/', true],
        ['Ibis', '/book/page', true],
        ['Ibis', '/book/?page', true],
      ] as const),
      ...([
        ['Ibis', '/book/page.html', true],
        ['Ibis', '/book/?id=1', true],
        ['Ibis', '/book', false],
      ] as const),
      ...([
        ['Ibis', '/book.html', false],
        ['Ibis', '/Book/Page.html', false],
      ] as const),
    ],
  },
  {
    id: 'documentation: allow: /*.cgi',
    file: ending,
    asks: [
      ...([
        ['Ibis', '/pen', false],
        ['Ibis', '/run.cgi', true],
        ['Ibis', '/bin/run.cgi', true],
      ] as const),
      ...([
        ['Ibis', '/bin/run.cgi?with', true],
        ['Ibis', '//bin/any.cgi.file.html', true],
        ['Ibis', '/run.cgi/', true],
      ] as const),
      ...([
        ['Ibis', '/list?f=run.cgi/', true],
        ['Ibis', '/cgi/', false],
        ['Ibis', '/list?cgi', false],
      ] as const),
      ...([['Ibis', '/run.CGI', false]] as const),
    ],
  },
  {
    id: 'documentation: allow: /*.cgi$',
    file: ended,
    asks: [
      ...([
        ['Ibis', '/pen', false],
        ['Ibis', '/run.cgi', true],
        ['Ibis', '/bin/run.cgi', true],
      ] as const),
      ...([
        ['Ibis', '/run.cgi?with', false],
        ['Ibis', '/run.cgi/', false],
        ['Ibis', '/run.cgi5', false],
      ] as const),
      ...([
        ['Ibis', '/cgi/', false],
        ['Ibis', '/run?cgi', false],
        ['Ibis', '/aaacgiaaa', false],
      ] as const),
      ...([['Ibis', '//run.CGI', false]] as const),
    ],
  },
  {
    id: 'documentation: allow: /book*.cgi',
    file: between,
    asks: [
      ...([
        ['Ibis', '/pen', false],
        ['Ibis', '/book.cgi', true],
        ['Ibis', '/bookshelf/top.cgi?with', true],
      ] as const),
      ...([['Ibis', '/Book.CGI', false]] as const),
    ],
  },
  {
    id: 'documentation: precedence 1',
    file: ['user-agent: Ibis', 'allow: /l', 'disallow: /'],
    asks: [['Ibis', '/leaf', true]],
  },
  {
    id: 'documentation: precedence 2',
    file: ['user-agent: Ibis', 'allow: /tree', 'disallow: /tree'],
    asks: [['Ibis', '/tree/leaf', true]],
  },
  {
    id: 'documentation: precedence 3',
    file: ['user-agent: Ibis', 'allow: /leaf', 'disallow: /*.htm'],
    asks: [['Ibis', '/leaf.htm', false]],
  },
  {
    id: 'documentation: precedence 4',
    file: ['user-agent: Ibis', 'allow: /$', 'disallow: /'],
    asks: [
      ['Ibis', '/', true],
      ['Ibis', '/leaf.html', false],
    ],
  },
];

const six = ['User-Agent: one', 'Allow: /some/leaf', 'User-Agent: two', '', '', 'Disallow: /'];
const bytes = (...parts: readonly (string | readonly number[])[]): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) => (typeof part === 'string' ? [...new TextEncoder().encode(part)] : [...part])),
  );
const marked = 'User-Agent: one\nAllow: /Leaf\n';

export const GOOGLE_LINES: readonly LinesCase[] = [
  { id: 'lines that end with LF', file: `${six.join('\n')}\n`, directives: 4, lastLine: 6 },
  { id: 'lines that end with CRLF', file: `${six.join('\r\n')}\r\n`, directives: 4, lastLine: 6 },
  { id: 'lines that end with CR', file: `${six.join('\r')}\r`, directives: 4, lastLine: 6 },
  { id: 'a last line without end', file: six.join('\n'), directives: 4, lastLine: 6 },
  {
    id: 'ends of both kinds',
    file: 'User-Agent: one\nAllow: /some/leaf\r\nUser-Agent: two\n\r\n\nDisallow: /',
    directives: 4,
    lastLine: 6,
  },
  { id: 'a byte order mark', file: bytes([0xef, 0xbb, 0xbf], marked), directives: 2, unknown: 0 },
  { id: 'two bytes of one', file: bytes([0xef, 0xbb], marked), directives: 2, unknown: 0 },
  { id: 'one byte of one', file: bytes([0xef], marked), directives: 2, unknown: 0 },
  { id: 'a broken one', file: bytes([0xef, 0x11, 0xbf], marked), directives: 1, unknown: 1 },
  {
    id: 'one in the middle',
    file: bytes('User-Agent: one\n', [0xef, 0xbb, 0xbf], 'Allow: /Leaf\n'),
    directives: 1,
    unknown: 1,
  },
  {
    id: 'a Sitemap at the end',
    file: `${six.slice(0, 5).join('\n')}\nSitemap: https://site.test/map.xml\n`,
    sitemap: 'https://site.test/map.xml',
  },
  {
    id: 'a Sitemap at the beginning',
    file: `Sitemap: https://site.test/map.xml\n${six.slice(0, 5).join('\n')}\n`,
    sitemap: 'https://site.test/map.xml',
  },
  {
    id: 'what lines are',
    file: `${[
      ...[
        'User-Agent: one',
        'Allow: /some/leaf',
        'User-Agent two # none',
        'some words of no use',
        '# a comment, and more',
        '',
      ],
      ...[
        'dragons: /gone',
        'noarchive: /some',
        'Disallow: /',
        'Word # with a comment',
        'useragent: three',
        'disallaw: /some',
      ],
      ...['site-map: https://e/s.xml # comment', 'sitemap: https://e/t.xml', 'Noarchive: /Else'],
    ].join('\n')}\n`,
    directives: 8,
    lastLine: 15,
    kinds: [
      ...['user-agent', 'allow', 'user-agent', 'none', 'none', 'none', 'other', 'other', 'disallow', 'none'],
      ...['user-agent', 'disallow', 'sitemap', 'sitemap', 'other'],
    ],
  },
  {
    id: 'a line that is too long ends where it does',
    file: `user-agent: one\ndisallow: /l/${'m'.repeat(8 * 2084)}\nallow: /\n`,
    directives: 3,
    lastLine: 3,
    kinds: ['user-agent', 'disallow', 'allow'],
  },
];

export const GOOGLE_ESCAPES: readonly EscapeCase[] = [
  { id: 'escape: nothing to do in a URL', pattern: 'https://www.site.test', form: 'https://www.site.test' },
  { id: 'escape: nothing to do in a path', pattern: '/p/q/r', form: '/p/q/r' },
  { id: 'escape: bytes above ASCII', pattern: 'é', form: '%C3%A9' },
  { id: 'escape: hexadecimal in upper case', pattern: '%ab', form: '%AB' },
];

/** Assertions about URLs in whole: a gateway is given the path. */
export const GOOGLE_SKIPPED = {
  count: 19,
  reason: 'it cuts the path out of a URL, also of one without scheme; what is matched here is the path of a request',
} as const;
