/** Policies compiled from text, and requests that reach every part of them. */
import { readFile } from 'node:fs/promises';
import { compileAgents } from '../../src/compiler/agents/agents.ts';
import { compile } from '../../src/compiler/index.ts';
import type { Head, Loaded } from '../../src/waf/engine.ts';
import { requestHead } from './engine.ts';

const root = new URL('../../', import.meta.url);

/** The images of the policies at these paths, by manifest order; throws with the diagnostics when they don't compile. */
export async function compiledImages(
  paths: readonly string[],
): Promise<{ hosts: Loaded; agents: Loaded; apps: Loaded[] }> {
  const files = await Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(new URL(path, root), 'utf8') })),
  );
  const { manifest, images, diagnostics } = await compile({ files, target: 'workerd', agents: compileAgents() });
  if (manifest === null || manifest.agents === null) throw new Error(JSON.stringify(diagnostics, null, 2));
  const loaded = (hash: string): Loaded => ({ hash, bytes: images.get(hash)! });
  return {
    hosts: loaded(manifest.hosts),
    agents: loaded(manifest.agents),
    apps: manifest.apps.map(({ image }) => loaded(image)),
  };
}

/** Every field of the policy document. */
export const REFERENCE = 'examples/reference/sallyport.yaml';

export type Random = () => number; // 32 bits

/** xorshift: small, seeded, good enough for tests. */
export function random(seed: number): Random {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

export function pick<T>(next: Random, items: readonly T[]): T {
  return items[next() % items.length]!;
}

const HOSTS = [
  'ref.localhost',
  'api.ref.localhost',
  'a.b.ref.localhost',
  'blog.ref.localhost',
  'other.test',
  '*.ref.localhost',
];
const PATHS = [
  ...['/', '/old', '/old/', '/tea/1', '/teapot/42', '/api', '/api/v1/things', '/apis', '/v1/x', '/admin/users'],
  ...[
    '/x/../admin',
    '/%2e%2e/%61dmin',
    '/a%2fb',
    '/a\\b',
    '/%%32e',
    '/é',
    `/${'a/'.repeat(300)}`,
    `/${'../'.repeat(50)}`,
  ],
];
const QUERIES = [
  ...['', '?', '?q=abc', '?q=1%27+UNION+SELECT+password+FROM+users--', '?q=abc&q=ABC&x', '?a=%', '?&&=&'],
  `?${'a=b&'.repeat(900)}`,
];
const HEADERS: readonly (readonly [string, string])[] = [
  ['user-agent', 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'],
  ['user-agent', 'curl/8.0'],
  ['version', 'two'],
  ['cookie', 'beta=1; session=abc; beta=0'],
  ['cookie', ';;=;a'],
  ['x-debug', '1'],
  ['x-internal', '1'],
  ['x-forwarded-for', '203.0.113.9, 10.0.0.1'],
  ['x-forwarded-for', 'unknown'],
  ['referer', `http://a/${'r'.repeat(3000)}`],
  ['accept-language', 'en-GB,en;q=0.9,de;q=0.8'],
  ['content-type', 'application/x-www-form-urlencoded'],
  ['content-type', 'application/json'],
  ['x-note', 'caf\u00e9'],
  ['x-bad', 'a\u0001b'],
];

/** A request that may be good, odd or bad. */
export function randomHead(next: Random): Head {
  const host = pick(next, HOSTS);
  const headers = new Map<string, string>();
  if (next() % 40 !== 0) headers.set('host', next() % 40 === 0 ? 'a, b' : host);
  for (let i = next() % 8; i > 0; i--) headers.set(...pick(next, HEADERS));
  if (next() % 8 !== 0 && !headers.has('user-agent')) headers.set('user-agent', 'test');
  const url = `http://${host}${pick(next, PATHS)}${pick(next, QUERIES)}`;
  const method = pick(next, ['GET', 'POST', 'HEAD', 'DELETE']);
  const peer = pick(next, ['192.0.2.7:1234', '10.0.0.1:5', '[fd00::1]:443', '', '203.0.113.5']);
  const head = requestHead(url, { method, headers: [...headers], peer });
  return next() % 60 === 0 ? { ...head, fields: head.fields + (next() % 3) - 1 } : head;
}

export function randomResponse(next: Random): Head {
  const headers = [
    pick(next, [
      ['content-type', 'text/plain'],
      ['content-type', 'text/html'],
    ] as const),
  ];
  if (next() % 2 === 0) headers.push(['set-cookie' as never, 'a=b' as never]);
  const text = `${pick(next, [200, 204, 404, 500])}\0${headers.map((header) => `${header[0]}\0${header[1]}\0`).join('')}`;
  return { text, fields: 1 + headers.length * 2 };
}

export function randomBody(next: Random): Uint8Array {
  const texts = [
    '',
    'a=1&b=union+select',
    '{"a":{"b":[1,2,"union select"]}}',
    '{"a":',
    'plain',
    'x'.repeat(5000),
    '\0\u0001',
  ];
  return new TextEncoder().encode(pick(next, texts));
}
