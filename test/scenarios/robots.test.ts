/**
 * robots.txt, content signals, llms.txt and Markdown over sockets: an origin that has a robots.txt of its own, one that is
 * down, agents that keep to it and such that do not, and clients that ask for Markdown.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { MAX_MARKDOWN_BYTES } from '../../src/agents/markdown.ts';
import { ask, type Answer, type Options } from '../client.ts';
import { onEachTarget } from './targets.ts';

const GPTBOT = 'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot';
const BINGBOT = 'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)';
const CLAUDE_USER = 'Mozilla/5.0 (compatible; Claude-User/1.0; +Claude-User@anthropic.com)';
const CHROME =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36';

const PAGE = '<!doctype html><head><title>T</title></head><h1>Head</h1><p>Some <b>bold</b> text.</p>';
const ROBOTS =
  'User-agent: *\nDisallow: /private/\nAllow: /private/open\n\nUser-agent: GPTBot\nAllow: /\n\nSitemap: https://shop.example/map.xml\n';

let origin: Server;
let seen: IncomingMessage[] = [];
let down = false;

const PAGES: Readonly<Record<string, (response: ServerResponse, request: IncomingMessage) => void>> = {
  '/robots.txt': (response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end(ROBOTS),
  '/moved/robots.txt': (response) => void response.writeHead(301, { location: '/moved/elsewhere.txt' }).end(),
  '/moved/elsewhere.txt': (response) =>
    void response.writeHead(200, { 'content-type': 'text/plain' }).end('User-agent: *\nDisallow: /moved/\n'),
  '/away/robots.txt': (response) => void response.writeHead(301, { location: 'http://127.0.0.1:9/robots.txt' }).end(),
  '/spa/robots.txt': (response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>User-agent: *\nDisallow: /</p>'),
  '/none/robots.txt': (response) => void response.writeHead(404).end('no'),
  '/huge/robots.txt': (response) =>
    void response
      .writeHead(200, { 'content-type': 'text/plain' })
      .end(`${ROBOTS}${`# ${'x'.repeat(97)}\n`.repeat(20_000)}`),
  '/page': (response, request) => {
    const headers = {
      'content-type': 'text/html; charset=utf-8',
      etag: '"one"',
      'last-modified': 'Wed, 01 Jan 2025 00:00:00 GMT',
    };
    const tags = (request.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim());
    if (tags.includes('"one"')) response.writeHead(304, headers).end();
    else
      response.writeHead(200, { ...headers, 'content-length': PAGE.length }).end(request.method === 'HEAD' ? '' : PAGE);
  },
  '/gzip': (response) => {
    const body = gzipSync(PAGE);
    response
      .writeHead(200, {
        'content-type': 'text/html',
        'content-encoding': 'gzip',
        vary: 'Accept-Encoding',
        'content-length': body.length,
      })
      .end(body);
  },
  '/latin1': (response) =>
    void response
      .writeHead(200, { 'content-type': 'text/html; charset=iso-8859-1' })
      .end(Buffer.from('<p>caf\xe9', 'latin1')),
  '/large': (response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${'x'.repeat(MAX_MARKDOWN_BYTES)}`),
  '/limit': (response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${'x'.repeat(MAX_MARKDOWN_BYTES - 3)}`),
  '/missing': (response) => void response.writeHead(404, { 'content-type': 'text/html' }).end(PAGE),
  '/own.md': (response) =>
    void response.writeHead(200, { 'content-type': 'text/markdown', etag: '"own"' }).end('# Own\n'),
  '/data': (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
  '/said': (response) =>
    void response
      .writeHead(200, {
        'content-type': 'text/plain',
        'content-signal': 'search=no, ai-train=yes',
        'content-usage': 'search=n',
        link: '</style.css>; rel=preload',
      })
      .end('said'),
  '/broken': (response) => {
    response.writeHead(200, { 'content-type': 'text/html', 'content-length': 1000 });
    response.write(PAGE);
    setTimeout(() => response.destroy(), 50);
  },
};

async function setUp(): Promise<string[]> {
  seen = [];
  down = false;
  origin = createServer((request, response) => {
    seen.push(request);
    if (down && request.url?.endsWith('/robots.txt') === true) return void response.writeHead(503).end();
    // Each app has a path of its own there: on Cloudflare an origin does not see the client's host.
    const path = request.url?.split('?', 1)[0] ?? '';
    const page = PAGES[path] ?? PAGES[path.replace(/^\/[a-z]+(?=\/)/, '')];
    if (page === undefined)
      response
        .writeHead(200, { 'content-type': 'text/plain' })
        .end(`origin ${request.url?.replace(/^\/[a-z]+(?=\/)/, '')}`);
    else page(response, request);
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
  const app = (name: string, more: string): string =>
    `app: ${name}\nhostnames: [${name}.test]\nbackends: { web: { url: "${url}/${name}" } }\nroutes: [{ name: all, backend: web }]\n${more}`;
  const managed = 'managed: { groups: [{ agents: ["*"], disallow: [/managed/] }], signal: { search: "yes" } }';
  return [
    ...['merged', 'moved', 'away', 'spa', 'none', 'huge', 'down'].map((name) =>
      app(name, `agents: { GPTBot: block }\nrobots: { ${managed}, enforce: log }\nllms: { text: "# Shop\\n" }\n`),
    ),
    app('strict', `robots: { ${managed}, enforce: block }\n`),
    app('only', `robots: { ${managed}, origin: replace }\nllms: { text: "# Only\\n", full: "# Full\\n" }\n`),
    app('own', 'robots: { enforce: block }\n'),
    app('routeless', `robots: { ${managed} }\n`).replace(
      'backend: web',
      'backend: web, matches: [{ path: { value: /only } }]',
    ),
    app('guarded', 'content: { markdown: true }\nwaf: { response: { inspect: true } }\n'),
    app(
      'pages',
      'content: { markdown: true, signal: { search: "yes", ai-train: "no" }, usage: { train-ai: n }, license: "https://shop.example/l.xml", tdm: { reservation: true } }\n',
    ).replace(
      'backend: web }',
      'backend: web }, { name: plain, backend: web, matches: [{ path: { value: /page2 } }], content: { markdown: false } }',
    ),
  ];
}

async function tearDown(): Promise<void> {
  origin.closeAllConnections();
  origin.close();
  await once(origin, 'close');
}

onEachTarget('robots.txt and content', { policy: setUp, teardown: tearDown }, (world) => {
  const get = (
    host: string,
    path: string,
    headers: Record<string, string> = {},
    options: Options = {},
  ): Promise<Answer> =>
    ask(`${world.url}${path}`, { host, headers: { host, 'user-agent': CHROME, ...headers }, ...options });
  const lines = (path: string): Promise<Record<string, unknown>> =>
    world.gateway.event('access', (event) => event['path'] === path) as Promise<Record<string, unknown>>;

  test('the managed part comes first, then what the origin says of others', async () => {
    const answer = await get('merged.test', '/robots.txt');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(
      answer.text(),
      'User-agent: *\nContent-Signal: search=yes\nDisallow: /managed/\n\nUser-agent: GPTBot\nDisallow: /\n\n' +
        ROBOTS.replace('User-agent: GPTBot\nAllow: /\n', ''),
    );
    const asked = seen.filter(({ url }) => url === '/merged/robots.txt');
    await get('merged.test', '/robots.txt');
    assert.equal(seen.filter(({ url }) => url === '/merged/robots.txt').length, asked.length, 'kept');
  });

  test('HEAD, conditions and other methods', async () => {
    const whole = await get('merged.test', '/robots.txt');
    const { etag } = whole.headers;
    assert.match(etag ?? '', /^"[0-9a-f]{24}"$/);
    const head = await get('merged.test', '/robots.txt', {}, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-length'], String(whole.body.length));
    const same = await get('merged.test', '/robots.txt', { 'if-none-match': `"x", W/${etag}` });
    assert.equal(same.status, 304);
    assert.equal(same.headers['etag'], etag);
    assert.equal((await get('merged.test', '/robots.txt', { 'if-none-match': '"x"' })).status, 200);
    assert.equal(
      (await get('merged.test', '/robots.txt', {}, { method: 'POST', body: 'x' }))
        .text()
        .includes('Disallow: /private/'),
      true,
    );
  });

  test('who is blocked may read it all the same', async () => {
    assert.equal((await get('merged.test', '/robots.txt', { 'user-agent': GPTBOT })).status, 200);
    assert.equal((await get('merged.test', '/x', { 'user-agent': GPTBOT })).status, 403);
  });

  test('a redirect on the same host is followed; a page, or none, is no file', async () => {
    assert.match((await get('moved.test', '/robots.txt')).text(), /Disallow: \/moved\//);
    for (const host of ['spa.test', 'none.test', 'away.test']) {
      const text = (await get(host, '/robots.txt')).text();
      assert.ok(text.endsWith('User-agent: GPTBot\nDisallow: /\n'), text);
    }
  });

  test('a huge file is cut at what crawlers read', async () => {
    const { body } = await get('huge.test', '/robots.txt');
    assert.ok(body.length <= 512_000 && body.length > 511_800, String(body.length));
  });

  test('an origin that can not be reached makes it 503, not leave for all', async () => {
    down = true;
    try {
      assert.equal((await get('down.test', '/robots.txt')).status, 503);
      // What is known holds.
      assert.match((await get('merged.test', '/robots.txt')).text(), /Disallow: \/private\//);
    } finally {
      down = false;
    }
  });

  test('without the origin: replace', async () => {
    assert.equal(
      (await get('only.test', '/robots.txt')).text(),
      'User-agent: *\nContent-Signal: search=yes\nDisallow: /managed/\n',
    );
    assert.equal(
      seen.some(({ url }) => url === '/only/robots.txt'),
      false,
    );
  });

  test('where no route takes it', async () => {
    assert.match((await get('routeless.test', '/robots.txt')).text(), /Disallow: \/managed\//);
    assert.equal((await get('routeless.test', '/other')).status, 404);
  });

  test('llms.txt from the policy, else from the origin', async () => {
    const answer = await get('merged.test', '/llms.txt');
    assert.equal(answer.text(), '# Shop\n');
    assert.equal(answer.headers['content-type'], 'text/markdown; charset=utf-8');
    assert.equal((await get('merged.test', '/llms.txt', { 'if-none-match': answer.headers['etag']! })).status, 304);
    assert.equal((await get('merged.test', '/llms-full.txt')).text(), 'origin /llms-full.txt');
    assert.equal((await get('only.test', '/llms-full.txt')).text(), '# Full\n');
    assert.equal((await get('own.test', '/llms.txt')).text(), 'origin /llms.txt');
  });

  test('violations are logged, also of who is blocked for something else', async () => {
    await get('merged.test', '/robots.txt');
    assert.equal((await get('merged.test', '/private/a', { 'user-agent': BINGBOT })).status, 200);
    assert.equal((await lines('/private/a'))['robots'], 'violation');
    assert.equal((await get('merged.test', '/managed/b', { 'user-agent': BINGBOT })).status, 200);
    assert.equal((await lines('/managed/b'))['robots'], 'violation');
    await get('merged.test', '/%70rivate/c', { 'user-agent': BINGBOT });
    assert.equal((await lines('/private/c'))['robots'], 'violation');
    await get('merged.test', '/gpt', { 'user-agent': GPTBOT });
    assert.equal((await lines('/gpt'))['robots'], 'violation');
    // Not disallowed; not a crawler and not named; a person.
    await get('merged.test', '/private/open', { 'user-agent': BINGBOT });
    assert.equal((await lines('/private/open'))['robots'], undefined);
    await get('merged.test', '/private/user', { 'user-agent': CLAUDE_USER });
    assert.equal((await lines('/private/user'))['robots'], undefined);
    await get('merged.test', '/private/person');
    assert.equal((await lines('/private/person'))['robots'], undefined);
  });

  test('enforce: block', async () => {
    const refused = await get('strict.test', '/private/x', { 'user-agent': BINGBOT });
    assert.equal(refused.status, 403);
    assert.equal(typeof refused.headers['x-request-id'], 'string');
    const line = await world.gateway.event('access', (event) => event['path'] === '/private/x');
    assert.equal(line['robots'], 'violation');
    assert.deepEqual(
      (line['verdict'] as { rule: string; phase: string }[]).map(({ phase, rule }) => [phase, rule]),
      [['robots', 'robots.txt']],
    );
    assert.equal((await get('strict.test', '/private/open', { 'user-agent': BINGBOT })).status, 200);
    assert.equal((await get('strict.test', '/private/x')).status, 200);
    // Without a managed part the origin's own file counts, and is served as it is.
    assert.equal((await get('own.test', '/private/x', { 'user-agent': BINGBOT })).status, 403);
    assert.equal((await get('own.test', '/managed/x', { 'user-agent': BINGBOT })).status, 200);
    assert.equal((await get('own.test', '/robots.txt')).text(), ROBOTS);
  });

  test('what is said of content: the strictest of both', async () => {
    const plain = await get('pages.test', '/data');
    assert.equal(plain.headers['content-signal'], 'search=yes, ai-train=no');
    assert.equal(plain.headers['content-usage'], 'train-ai=n');
    assert.equal(plain.headers['link'], '<https://shop.example/l.xml>; rel="license"; type="application/rsl+xml"');
    assert.equal(plain.headers['tdm-reservation'], '1');
    assert.equal(plain.headers['vary'], undefined);
    const said = await get('pages.test', '/said');
    assert.equal(said.headers['content-signal'], 'search=no, ai-train=no');
    assert.equal(said.headers['content-usage'], 'search=n, train-ai=n');
    assert.equal(
      said.headers['link'],
      '</style.css>; rel=preload, <https://shop.example/l.xml>; rel="license"; type="application/rsl+xml"',
    );
    assert.equal((await get('pages.test', '/missing')).headers['content-signal'], undefined);
    assert.equal((await get('merged.test', '/data')).headers['content-signal'], undefined);
  });

  const markdown = { accept: 'text/markdown, text/html;q=0.9, */*;q=0.1' };
  const MARKDOWN = 'T\n\n# Head\n\nSome **bold** text.\n';

  test('a page as Markdown', async () => {
    const answer = await get('pages.test', '/page', markdown);
    assert.equal(answer.status, 200);
    assert.equal(answer.text(), MARKDOWN);
    assert.equal(answer.headers['content-type'], 'text/markdown; charset=utf-8');
    assert.equal(answer.headers['content-length'], String(MARKDOWN.length));
    assert.equal(answer.headers['vary'], 'Accept');
    assert.equal(answer.headers['etag'], 'W/"one-markdown"');
    assert.equal(answer.headers['x-markdown-tokens'], String(Math.ceil(MARKDOWN.length / 4)));
    assert.equal(answer.headers['content-signal'], 'search=yes, ai-train=no');
    const page = await get('pages.test', '/page', { accept: 'text/html,*/*;q=0.8' });
    assert.equal(page.text(), PAGE);
    assert.equal(page.headers['etag'], '"one"');
    assert.equal(page.headers['vary'], 'Accept');
    assert.equal((await get('pages.test', '/page', { accept: 'text/markdown;q=0, */*' })).text(), PAGE);
    assert.equal((await get('pages.test', '/page2', markdown)).text(), 'origin /page2');
  });

  test('Markdown of compressed pages, and of other encodings', async () => {
    const gzip = await get('pages.test', '/gzip', { ...markdown, 'accept-encoding': 'br, gzip' });
    assert.equal(gzip.text(), MARKDOWN);
    assert.equal(gzip.headers['content-encoding'], undefined);
    assert.equal(gzip.headers['vary'], 'Accept-Encoding, Accept');
    assert.equal(seen.findLast(({ url }) => url === '/pages/gzip')?.headers['accept-encoding'], 'gzip');
    assert.equal((await get('pages.test', '/latin1', markdown)).text(), 'café\n');
  });

  test('HEAD and conditions of Markdown', async () => {
    const head = await get('pages.test', '/page', markdown, { method: 'HEAD' });
    assert.equal(head.headers['content-type'], 'text/markdown; charset=utf-8');
    assert.equal(head.headers['etag'], 'W/"one-markdown"');
    assert.notEqual(head.headers['content-length'], String(PAGE.length));
    const same = await get('pages.test', '/page', { ...markdown, 'if-none-match': 'W/"one-markdown"' });
    assert.equal(same.status, 304);
    assert.equal(same.headers['etag'], 'W/"one-markdown"');
    assert.equal(same.headers['vary'], 'Accept');
    // The tag of the page says nothing of its Markdown.
    assert.equal((await get('pages.test', '/page', { ...markdown, 'if-none-match': '"one"' })).text(), MARKDOWN);
    assert.equal((await get('pages.test', '/page', { 'if-none-match': '"one"' })).status, 304);
    const part = await get('pages.test', '/page', { ...markdown, range: 'bytes=0-3' });
    assert.equal(part.text(), MARKDOWN);
    assert.equal(seen.findLast(({ url }) => url === '/pages/page')?.headers.range, undefined);
  });

  test('what is no page, or too long, stays what it is', async () => {
    const own = await get('pages.test', '/own.md', markdown);
    assert.equal(own.text(), '# Own\n');
    assert.equal(own.headers['etag'], '"own"');
    assert.equal(own.headers['x-markdown-tokens'], undefined);
    assert.equal((await get('pages.test', '/data', markdown)).text(), '{}');
    const missing = await get('pages.test', '/missing', markdown);
    assert.equal(missing.status, 404);
    assert.equal(missing.text(), PAGE);
    const large = await get('pages.test', '/large', markdown);
    assert.equal(large.headers['content-type'], 'text/html');
    assert.equal(large.headers['vary'], 'Accept');
    assert.equal(large.body.length, MAX_MARKDOWN_BYTES + 3);
    const limit = await get('pages.test', '/limit', markdown);
    assert.equal(limit.headers['content-type'], 'text/markdown; charset=utf-8');
    assert.equal(limit.body.length, MAX_MARKDOWN_BYTES - 2);
  });

  test('a page that the WAF has looked at', async () => {
    const answer = await get('guarded.test', '/gzip', { ...markdown, 'accept-encoding': 'gzip' });
    assert.equal(answer.text(), MARKDOWN);
    assert.equal((await get('guarded.test', '/page', { accept: 'text/html' })).text(), PAGE);
    const large = await get('guarded.test', '/large', markdown);
    assert.equal(large.body.length, MAX_MARKDOWN_BYTES + 3);
  });

  test('a page that breaks off is none', async () => {
    assert.equal((await get('pages.test', '/broken', markdown)).status, 502);
  });
});
