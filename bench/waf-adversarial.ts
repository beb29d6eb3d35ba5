/**
 * `npm run bench -- waf-adversarial`: nanoseconds a byte against the length of the input, where each input is made to be
 * as dear as it can be for one operator, transformation or parser, with the whole Core Rule Set at PL4 behind it.
 *
 * `CASE.SIZE` is one whole transaction divided by the bytes of its body. Linear means that a byte of a long input costs no
 * more than one of a short one, within what caches and the fixed cost of a transaction explain: the goal compares 256 KB
 * with 32 KB. A transaction that gives up (verdict `limit`) is counted in `.limit`: it took bounded time, and is refused.
 */
import { dataFolder } from '../test/data.ts';
import { openRules } from '../test/support/waf.ts';
import type { RawTransaction } from '../src/waf/transaction.ts';
import { QUIET, quiet } from './harness/processes.ts';
import type { Benchmark } from './harness/runner.ts';
import { peerConfiguration } from './peers/waf/rules.ts';

const KB = 1024;
const SIZES = [4 * KB, 32 * KB, 256 * KB];
const nameOf = (size: number): string => `${size / KB}k`;

interface Hostile {
  readonly id: string;
  readonly about: string;
  readonly type?: string;
  /** A body of about that many bytes. */
  body(size: number): string;
}

const fill = (piece: string, size: number): string => piece.repeat(Math.ceil(size / piece.length)).slice(0, size);
const field = (piece: string) => (size: number) => `q=${fill(piece, size)}`;

const CASES: readonly Hostile[] = [
  { id: 'letter', about: 'one letter, for comparison', body: field('a') },
  {
    id: 'gaps',
    about: 'what may stand between the letters of a command: quotes, brackets, `$x`',
    body: field(`c"'$x[a]*\\(`),
  },
  { id: 'gap_words', about: 'beginnings of commands with gaps inside', body: field(`c\\a't "$@/e't'c `) },
  {
    id: 'near_commands',
    about: 'beginnings of commands that do not go on',
    body: field('; ca wge cur nmap ech pyth '),
  },
  {
    id: 'near_sql',
    about: 'select without from, union without select',
    body: field('select union all having order by ( '),
  },
  {
    id: 'quantifiers',
    about: 'long runs for counted gaps: select, then characters',
    body: field(`select${'x'.repeat(90)} `),
  },
  { id: 'special', about: 'special characters alone', body: field(`'";--/*#@!=()`) },
  { id: 'tags', about: 'openings of tags', body: field('<a <svg <scr <img x=') },
  { id: 'attributes', about: 'names of events without values', body: field('<a onclick onerror style ') },
  { id: 'urls', about: 'schemes and user names of URLs', body: field('http://a@a:') },
  { id: 'mail', about: 'counted characters before and after @', body: field(`${'a'.repeat(60)}@${'b'.repeat(200)}`) },
  { id: 'percent', about: 'percent escapes', body: field('%25%32%35') },
  { id: 'nested', about: 'escapes within escapes of five kinds', body: field('%25u0026%23x5c%3bu0061') },
  { id: 'entities', about: 'HTML entities', body: field('%26%2337%3b%26lt%3b') },
  { id: 'backslashes', about: 'escapes of scripts and styles', body: field('%5cx41%5cu0041%5c41%5c101') },
  { id: 'comments', about: 'comments that open and do not close', body: field('/*/*') },
  { id: 'paths', about: 'dot segments', body: field('/a/../') },
  { id: 'base64', about: 'Base64', body: field('QUJDREVGR0g') },
  { id: 'high', about: 'bytes that are not UTF-8', body: field('%c0%ae%ff%e2%82') },
  { id: 'nul', about: 'NUL bytes', body: field('%00a') },
  { id: 'fields', about: 'many fields', body: (size) => fill('a=b&', size) },
  { id: 'names', about: 'many long names', body: (size) => fill(`${'n'.repeat(40)}=1&`, size) },
  {
    id: 'json_wide',
    about: 'JSON, many values',
    type: 'application/json',
    body: (size) => `[${fill('"ab",', size - 6).replace(/,?"?a?b?"?$/, '')}"ab"]`,
  },
  {
    id: 'json_deep',
    about: 'JSON, arrays within arrays',
    type: 'application/json',
    body: (size) => fill('['.repeat(60) + ']'.repeat(60) + ',', size),
  },
  {
    id: 'json_escapes',
    about: 'JSON, escapes',
    type: 'application/json',
    body: (size) => `"${fill('\\u0041', size - 2 - ((size - 2) % 6))}"`,
  },
  {
    id: 'xml',
    about: 'XML, many elements and attributes',
    type: 'application/xml',
    body: (size) => `<a>${fill('<b c="d">e</b>', size - (size % 14))}</a>`,
  },
  {
    id: 'multipart',
    about: 'multipart, many parts',
    type: 'multipart/form-data; boundary=b',
    body: (size) => `${fill('--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n', size)}\r\n--b--\r\n`,
  },
  {
    id: 'boundaries',
    about: 'multipart, beginnings of boundaries in a part',
    type: 'multipart/form-data; boundary=boundary',
    body: (size) =>
      `--boundary\r\nContent-Disposition: form-data; name="a"\r\n\r\n${fill('\r\n--boundar', size)}\r\n--boundary--\r\n`,
  },
];

const request = (hostile: Hostile, size: number): RawTransaction => {
  const body = hostile.body(size);
  return {
    method: 'POST',
    uri: '/form',
    protocol: 'HTTP/1.1',
    headers: [
      ['Host', 'www.example.com'],
      ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0'],
      ['Accept', '*/*'],
      ['Content-Type', hostile.type ?? 'application/x-www-form-urlencoded'],
      ['Content-Length', String(body.length)],
    ],
    body,
    peer: '203.0.113.7',
  };
};

/** Cookies and headers have their own limits, so they have their own sizes. */
function cookies(count: number): RawTransaction {
  const base = request(CASES[0]!, 1);
  return { ...base, headers: [...base.headers, ['Cookie', fill('a=b; ', count * 5)]] };
}

export const run: Benchmark = async (report, { quick }) => {
  const busy = await quiet(quick ? 5 : 60);
  if (busy > QUIET) report.note(`the machine was ${Math.round(busy * 100)} % busy with other things at the start`);
  const { waf } = await openRules(peerConfiguration({ crs: dataFolder('crs'), mode: 'log', paranoia: 4 }), {
    mode: 'detect',
    bodyLimit: 1 << 20,
    paranoia: { blocking: 4, detection: 4 },
  });
  const entries = [
    ...CASES.flatMap((hostile) =>
      SIZES.map((size) => ({
        id: `${hostile.id}.${nameOf(size)}`,
        about: hostile.about,
        transaction: request(hostile, size),
        bytes: hostile.body(size).length,
      })),
    ),
    ...[400, 3200, 25_600].map((count) => ({
      id: `cookies.${(count * 5) / 1000}k`,
      about: 'many cookies',
      transaction: cookies(count),
      bytes: count * 5,
    })),
  ];
  const samples = new Map<string, number[]>();
  const limits = new Map<string, number>();
  for (const { id, transaction } of entries) {
    const { action, reason } = waf.inspect(transaction);
    if (action === 'limit') limits.set(id, reason);
    samples.set(id, []);
  }
  for (let round = 0; round < (quick ? 3 : 9); round++) {
    for (const { id, transaction, bytes } of entries) {
      const begun = performance.now();
      let times = 0;
      do {
        waf.inspect(transaction);
        times++;
      } while (performance.now() - begun < 20);
      samples.get(id)!.push(((performance.now() - begun) * 1e6) / times / bytes);
    }
  }
  for (const { id, about } of entries) {
    const given = limits.has(id) ? `${about} (gives up: reason ${limits.get(id)})` : about;
    report.row(id, 'Sallyport', given, 'ns/byte', samples.get(id)!);
  }
  for (const { id, about } of CASES)
    report.goal(
      id,
      `${about}: a byte of 256 KB costs at most 1.5 times one of 32 KB`,
      `${id}.256k / ${id}.32k <= 1.5`,
      'x',
    );
  report.goal(
    'cookies',
    'many cookies: a byte of 128 KB costs at most 1.5 times one of 16 KB',
    'cookies.128k / cookies.16k <= 1.5',
    'x',
  );
};
