import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MAX_RECORDED, readHar, readLog } from './recording.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-recording-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (text: string): string => {
  const path = join(folder, 'recording');
  writeFileSync(path, text);
  return path;
};
const har = (...entries: unknown[]): string => file(JSON.stringify({ log: { version: '1.2', entries } }));
const text = (bytes: Uint8Array | null | undefined): string | null =>
  bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString();

test('a HAR file: method, URL, headers, body, and the answer', () => {
  const { requests, skippedCount } = readHar(
    har({
      request: {
        method: 'post',
        url: 'https://shop.example?q=1#top',
        headers: [
          { name: ':authority', value: 'shop.example' },
          { name: 'Content-Type', value: 'text/plain' },
        ],
        postData: { mimeType: 'text/plain', text: 'häuser' },
      },
      response: {
        status: 200,
        headers: [{ name: 'content-type', value: 'text/html' }],
        content: { text: 'PGI+', encoding: 'base64' },
      },
    }),
  );
  assert.equal(skippedCount, 0);
  const [one] = requests;
  assert.ok(one);
  assert.deepEqual(
    [one.method, one.url, one.headers],
    ['POST', 'https://shop.example/?q=1', [['Content-Type', 'text/plain']]],
  );
  assert.equal(text(one.body), 'häuser');
  assert.deepEqual([one.status, text(one.response?.body)], [200, '<b>']);
});

test('a form that was kept as its fields', () => {
  const request = {
    method: 'POST',
    url: 'http://a/',
    postData: { params: [{ name: 'a b', value: '1&2' }, { name: 'c' }] },
  };
  assert.equal(text(readHar(har({ request })).requests[0]?.body), 'a+b=1%262&c=');
});

test('entries that are no requests are skipped and counted; a file that is none is refused', () => {
  const { requests, skipped, skippedCount } = readHar(
    har(null, { request: { method: 'GET', url: 'data:,x' } }, { request: { method: 'GET', url: 'http://a/' } }),
  );
  assert.equal(requests.length, 1);
  assert.equal(skippedCount, 2);
  assert.deepEqual(skipped, [
    { place: 'entry 1', reason: 'it has no method' },
    { place: 'entry 2', reason: 'its URL is not http or https' },
  ]);
  assert.throws(() => readHar(file('{')), /is no HAR file/);
  assert.throws(() => readHar(file('{"log":{}}')), /log\.entries/);
  assert.throws(() => readHar(join(folder, 'gone')), /there is no file/);
});

test('our own access log', async () => {
  const { requests, leavesOut, skippedCount } = await readLog(
    file(
      [
        '{"event":"ready","url":"http://127.0.0.1"}',
        '{"time":"2026-11-21T08:00:00.000Z","id":"x","method":"GET","host":"shop.example","path":"/a?b","status":403,"client":"192.0.2.1"}',
        '{"broken',
        '',
      ].join('\n'),
    ),
    'unused',
  );
  assert.deepEqual(requests, [
    {
      ...{ place: 'line 2', method: 'GET', url: 'http://shop.example/a%3Fb', headers: [], body: null },
      ...{ peer: '192.0.2.1', status: 403, response: null },
    },
  ]);
  assert.equal(skippedCount, 2);
  assert.match(leavesOut, /no query/);
});

test('the log of nginx and Apache', async () => {
  const { requests, skipped } = await readLog(
    file(
      [
        '192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET /search?q=1%27+or+1%3D1 HTTP/1.1" 200 512 "https://a/" "Mozilla \\x22x\\" y"',
        '::1 - bob [21/Nov/2026:08:00:00 +0000] "POST http://other.example/x HTTP/1.1" 302 -',
        '192.0.2.7 - - [x] "-" 400 0 "-" "-"',
        '192.0.2.7 - - [x] "OPTIONS * HTTP/1.1" 400 0 "-" "-"',
      ].join('\n'),
    ),
    'shop.example',
  );
  assert.deepEqual(
    requests.map(({ method, url, headers, peer, status }) => [method, url, headers, peer, status]),
    [
      [
        ...['GET', 'http://shop.example/search?q=1%27+or+1%3D1'],
        [
          ['referer', 'https://a/'],
          ['user-agent', 'Mozilla "x" y'],
        ],
        ...['192.0.2.7', 200],
      ],
      ['POST', 'http://other.example/x', [], '::1', 302],
    ],
  );
  assert.deepEqual(
    skipped.map(({ place }) => place),
    ['line 3', 'line 4'],
  );
});

test('at most a hundred thousand requests, and the rest is told', async () => {
  const line = '192.0.2.7 - - [x] "GET / HTTP/1.1" 200 1 "-" "-"\n';
  const exact = await readLog(file(line.repeat(MAX_RECORDED)), 'a');
  assert.deepEqual([exact.requests.length, exact.truncated], [MAX_RECORDED, false]);
  const more = await readLog(file(line.repeat(MAX_RECORDED + 1)), 'a');
  assert.deepEqual([more.requests.length, more.truncated], [MAX_RECORDED, true]);
});

test('a log that is not there', async () => {
  await assert.rejects(readLog(join(folder, 'gone'), 'a'), /there is no file/);
});
