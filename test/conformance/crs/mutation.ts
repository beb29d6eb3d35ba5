/**
 * Requests that nobody wrote: inputs of the regression suite changed, and its payloads taken apart, put together anew,
 * encoded and carried to other places. A seed gives the same requests each time; nothing of the suite is kept.
 */
import type { RawTransaction } from '../../../src/waf/transaction.ts';

/** Where a request comes from and what was done to it, for people. */
export interface Mutant {
  readonly name: string;
  readonly transaction: RawTransaction;
}

/** Mulberry32: small, seeded, good enough to choose with. */
export class Chance {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

const text = (octets: RawTransaction['body']): string =>
  typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1');
const hex = (byte: number): string => byte.toString(16).padStart(2, '0');

/** One change of a text of bytes. */
type Change = (value: string, chance: Chance, pool: readonly string[]) => string;

/** Rewrites each character with some probability. */
const each =
  (share: number, write: (code: number, chance: Chance) => string): Change =>
  (value, chance) =>
    [...value]
      .map((character) => (chance.next() < share ? write(character.charCodeAt(0), chance) : character))
      .join('');
const insert =
  (pieces: readonly string[]): Change =>
  (value, chance) => {
    const at = chance.below(value.length + 1);
    return value.slice(0, at) + chance.pick(pieces) + value.slice(at);
  };

export const CHANGES: Readonly<Record<string, Change>> = {
  none: (value) => value,
  // ASCII letters alone: others would leave the range of bytes.
  upper: (value) => value.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase()),
  'mixed case': (value, chance) =>
    value.replaceAll(/[A-Za-z]/g, (letter) => (chance.next() < 0.5 ? letter.toUpperCase() : letter.toLowerCase())),
  'percent escapes': each(0.3, (code) => `%${hex(code)}`),
  'double escapes': each(0.15, (code) => `%25${hex(code)}`),
  'wide escapes': each(0.15, (code) => `%u00${hex(code)}`),
  'full-width escapes': each(0.1, (code) =>
    code > 0x20 && code < 0x7f ? `%uff${hex(code - 0x20)}` : `%u00${hex(code)}`,
  ),
  'broken escapes': insert(['%', '%z', '%u', '%u00', '%1', '%%', '%u12', '%uzzzz']),
  'HTML entities': each(0.15, (code, chance) =>
    chance.pick([`&#${code};`, `&#x${hex(code)};`, `&#${code}`, `&#x0000${hex(code)}`]),
  ),
  'named entities': (value) => value.replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
  'script escapes': each(0.15, (code, chance) =>
    chance.pick([`\\x${hex(code)}`, `\\u00${hex(code)}`, `\\${code.toString(8)}`, `\\${String.fromCharCode(code)}`]),
  ),
  'style escapes': each(
    0.15,
    (code, chance) => `\\${chance.pick(['', '00', '0000'])}${hex(code)}${chance.pick(['', ' '])}`,
  ),
  'NUL bytes': insert(['\0', '%00', '\0\0']),
  'white space': (value, chance) =>
    value.replaceAll(/ /g, () => chance.pick([' ', '\t', '\n', '\r\n', '\v', '\f', '  ', '+', '%0a', '%09', '\xa0'])),
  comments: (value, chance) =>
    value.replaceAll(/ /g, () => chance.pick([' ', '/**/', '/*x*/', '/*', '--', '#\n', ' '])),
  'shell evasion': each(
    0.15,
    (code, chance) => chance.pick(["''", '""', '\\', '$@', '^', '$x']) + String.fromCharCode(code),
  ),
  'path noise': (value, chance) =>
    value.replaceAll('/', () => chance.pick(['/', '//', '/./', '\\', '/x/../', '%2f', '%5c', '/'])),
  'overlong UTF-8': each(0.1, (code) =>
    code < 0x80 ? `\xc0${String.fromCharCode(0x80 | code)}` : String.fromCharCode(code),
  ),
  'high bytes': insert([
    '\xff',
    '\xe9',
    '\xc3\xa9',
    '\xf0\x9f\x98\x80',
    '\xe2\x84\xaa',
    '\xc5\xbf',
    '\xc2\xa0',
    '\xed\xa0\x80',
  ]),
  Base64: (value) => Buffer.from(value, 'latin1').toString('base64'),
  cut: (value, chance) => value.slice(0, chance.below(value.length + 1)),
  'cut off': (value, chance) => value.slice(chance.below(value.length + 1)),
  'byte changed': (value, chance) => {
    const at = chance.below(Math.max(1, value.length));
    return value.slice(0, at) + String.fromCharCode(chance.below(256)) + value.slice(at + 1);
  },
  'byte removed': (value, chance) => {
    const at = chance.below(Math.max(1, value.length));
    return value.slice(0, at) + value.slice(at + 1);
  },
  'piece doubled': (value, chance) => {
    const from = chance.below(value.length + 1);
    const to = from + chance.below(value.length - from + 1);
    return value.slice(0, to) + value.slice(from);
  },
  spliced: (value, chance, pool) => {
    const other = chance.pick(pool);
    return value.slice(0, chance.below(value.length + 1)) + other.slice(chance.below(other.length + 1));
  },
  joined: (value, chance, pool) => value + chance.pick([' ', ';', '&', '\n', ',', "'", '"', '']) + chance.pick(pool),
  shuffled: (value, chance) => {
    const pieces = value.split(/(?<=\W)|(?=\W)/);
    return pieces
      .map((piece) => [chance.next(), piece] as const)
      .sort(([a], [b]) => a - b)
      .map(([, piece]) => piece)
      .join('');
  },
};
const CHANGE_NAMES = Object.keys(CHANGES);

/** Percent-encodes what would break the frame of a form or a query. */
const escaped = (value: string): string =>
  value.replaceAll(/[^A-Za-z0-9\-_.~/:;=?@!$'()*,[\]{}|\\^`"<>]/g, (character) => `%${hex(character.charCodeAt(0))}`);
/** Takes out what would end a line of the head, and the white space around it that a server does. */
const inLine = (value: string): string => value.replaceAll(/[\r\n\0]/g, ' ').replaceAll(/^[ \t]+|[ \t]+$/g, '');
const inTarget = (value: string): string => inLine(value).replaceAll(' ', '%20').replaceAll('#', '%23');

const BROWSER: readonly (readonly [string, string])[] = [
  ['Host', 'www.example.com'],
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
  ['Accept', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'],
];

interface Parts {
  readonly method?: string;
  readonly uri?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly type?: string;
  readonly body?: string;
}
function request({ method = 'GET', uri = '/', headers = [], type, body }: Parts): RawTransaction {
  const own: [string, string][] = [...headers.map(([name, value]): [string, string] => [name, value])];
  if (type !== undefined) own.push(['Content-Type', type]);
  if (body !== undefined) own.push(['Content-Length', String(body.length)]);
  const names = new Set(own.map(([name]) => name.toLowerCase()));
  return {
    method: body === undefined ? method : 'POST',
    uri,
    protocol: 'HTTP/1.1',
    headers: [...BROWSER.filter(([name]) => !names.has(name.toLowerCase())), ...own],
    body: body ?? '',
    peer: '127.0.0.1',
  };
}

/** Places that a payload may come in. */
type Carrier = (payload: string, chance: Chance) => RawTransaction;
const json = (value: string): string =>
  JSON.stringify(value).replaceAll(/[^ -~]/g, (c) => `\\u00${hex(c.charCodeAt(0))}`);
const entity = (value: string): string =>
  value.replaceAll(/[&<>"]|[^\t\n\r -~]/g, (c) => (c.charCodeAt(0) < 32 ? ' ' : `&#${c.charCodeAt(0)};`));
const part = (name: string, value: string, file = ''): string =>
  `--frontier\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`;

export const CARRIERS: Readonly<Record<string, Carrier>> = {
  query: (payload) => request({ uri: `/search?q=${escaped(payload)}` }),
  'query as it is': (payload) => request({ uri: inTarget(`/search?q=${payload}`) }),
  'query name': (payload) => request({ uri: `/search?${escaped(payload)}=1` }),
  path: (payload) => request({ uri: inTarget(`/shop/${payload}`) }),
  form: (payload, chance) =>
    request({
      uri: '/form',
      type: 'application/x-www-form-urlencoded',
      body: `a=1&text=${chance.next() < 0.7 ? escaped(payload) : payload}&b=2`,
    }),
  'form name': (payload) =>
    request({ uri: '/form', type: 'application/x-www-form-urlencoded', body: `${escaped(payload)}=1` }),
  JSON: (payload, chance) =>
    request({
      uri: '/api',
      type: 'application/json',
      body: chance.pick([
        `{"name":${json(payload)},"n":1}`,
        `{"list":[1,${json(payload)},{"deep":[${json(payload)}]}],"t":true,"z":null}`,
        `{${json(payload)}:"x"}`,
        json(payload),
      ]),
    }),
  'JSON as it is': (payload) => request({ uri: '/api', type: 'application/json', body: `{"name":"${payload}"}` }),
  XML: (payload, chance) =>
    request({
      uri: '/api',
      type: chance.pick(['application/xml', 'text/xml', 'application/soap+xml']),
      body: chance.pick([
        `<?xml version="1.0"?><order><item>${entity(payload)}</item></order>`,
        `<order id="${entity(payload)}"><item/></order>`,
        `<order><![CDATA[${payload.replaceAll(']]>', '')}]]></order>`,
      ]),
    }),
  multipart: (payload, chance) =>
    request({
      uri: '/upload',
      type: 'multipart/form-data; boundary=frontier',
      body: chance.pick([
        `${part('text', payload)}${part('b', '2')}--frontier--\r\n`,
        `${part(inLine(payload).replaceAll('"', ''), 'x')}--frontier--\r\n`,
        `${part('file', 'content', `; filename="${inLine(payload).replaceAll('"', '')}"`)}--frontier--\r\n`,
        `${part('file', payload, '; filename="a.txt"')}--frontier--\r\n`,
      ]),
    }),
  'plain body': (payload, chance) =>
    request({ uri: '/raw', type: chance.pick(['text/plain', 'application/octet-stream']), body: payload }),
  cookie: (payload) =>
    request({ headers: [['Cookie', `session=abc; pref=${inLine(payload).replaceAll(';', '%3b')}; x=1`]] }),
  'cookie header': (payload) => request({ headers: [['Cookie', inLine(payload)]] }),
  referer: (payload) => request({ headers: [['Referer', inLine(payload)]] }),
  'user agent': (payload) => request({ headers: [['User-Agent', inLine(payload)]] }),
  header: (payload, chance) =>
    request({
      headers: [
        [
          chance.pick(['X-Custom', 'Accept-Language', 'Range', 'X-Forwarded-For', 'Authorization', 'If-Match']),
          inLine(payload),
        ],
      ],
    }),
};
const CARRIER_NAMES = Object.keys(CARRIERS);

/** What can be taken from the inputs of the suite: values of parameters, headers and bodies, decoded and not. */
export function payloadsOf(transactions: readonly RawTransaction[]): string[] {
  const pool = new Set<string>();
  const add = (value: string): void => {
    if (value.length < 3 || value.length > 2000) return;
    pool.add(value);
    try {
      pool.add(Buffer.from(decodeURIComponent(value.replaceAll('+', ' '))).toString('latin1'));
    } catch {
      // Not encoded as a URL, or not UTF-8.
    }
  };
  for (const { uri, headers, body } of transactions) {
    const target = text(uri);
    add(target);
    for (const piece of `${target.slice(target.indexOf('?') + 1)}&${text(body)}`.split('&')) {
      add(piece);
      add(piece.slice(piece.indexOf('=') + 1));
    }
    for (const [name, value] of headers)
      if (!/^(?:host|accept|connection|content-)/i.test(text(name))) add(text(value));
    add(text(body));
  }
  return [...pool];
}

/** `count` requests; each is as likely a suite input changed as a payload carried elsewhere. */
export function* mutants(suite: readonly RawTransaction[], seed: number, count: number): Generator<Mutant> {
  const chance = new Chance(seed);
  const pool = payloadsOf(suite);
  for (let made = 0; made < count; made++)
    yield chance.next() < 0.4 ? changed(suite, pool, chance) : carried(pool, chance);
}

function several(value: string, chance: Chance, pool: readonly string[]): [value: string, names: string[]] {
  const names: string[] = [];
  for (let left = chance.below(3) + 1; left > 0; left--) {
    const name = chance.pick(CHANGE_NAMES);
    value = CHANGES[name]!(value, chance, pool);
    names.push(name);
  }
  return [value.slice(0, 4000), names];
}

function carried(pool: readonly string[], chance: Chance): Mutant {
  const [payload, names] = several(chance.pick(pool), chance, pool);
  const carrier = chance.pick(CARRIER_NAMES);
  return { name: `${carrier}: ${names.join(', ')}`, transaction: CARRIERS[carrier]!(payload, chance) };
}

function changed(suite: readonly RawTransaction[], pool: readonly string[], chance: Chance): Mutant {
  const { response: _, ...base } = chance.pick(suite);
  const target = text(base.uri);
  const question = target.indexOf('?');
  const places = [
    'header',
    ...(question >= 0 ? ['query', 'query'] : ['path']),
    ...(base.body.length > 0 ? ['body', 'body', 'body'] : []),
  ];
  const place = chance.pick(places);
  if (place === 'body') {
    const [body, names] = several(text(base.body), chance, pool);
    const headers = base.headers.map(([name, value]) =>
      text(name).toLowerCase() === 'content-length' ? ([name, String(body.length)] as const) : ([name, value] as const),
    );
    return { name: `body of the suite: ${names.join(', ')}`, transaction: { ...base, headers, body } };
  }
  // What frames the message stays: engines behind a server would get another body, or none.
  const free = [...base.headers.keys()].filter(
    (at) => !/^(?:content-length|transfer-)/i.test(text(base.headers[at]![0])),
  );
  if (place === 'header' && free.length > 0) {
    const at = chance.pick(free);
    const [name, value] = base.headers[at]!;
    const [other, names] = several(text(value), chance, pool);
    const headers = base.headers.with(at, [name, inLine(other)]);
    return { name: `header ${text(name)} of the suite: ${names.join(', ')}`, transaction: { ...base, headers } };
  }
  const from = place === 'query' ? question + 1 : Math.min(1, target.length);
  const [rest, names] = several(target.slice(from), chance, pool);
  return {
    name: `${place} of the suite: ${names.join(', ')}`,
    transaction: { ...base, uri: inTarget(target.slice(0, from) + rest) },
  };
}
