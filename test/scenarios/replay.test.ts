/** `sallyport replay`: what a draft would change for requests that were recorded. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ReplayReport } from '../../src/cli/replay.ts';
import { run } from '../gateway.ts';

let folder = '';
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return name;
};
const policy = (rules: string): string => `app: shop
backends: { web: { url: http://127.0.0.1:9001 } }
rules: [${rules}]
routes: [{ name: all, backend: web }]
`;
const SQL = `{ name: sqli, when: 'url_decode(http.request.uri.query) contains "UNION"', action: block }`;

async function replay(...args: string[]): Promise<ReplayReport & { ok: boolean; error?: string }> {
  const { stdout, stderr } = await run(['replay', ...args, '--json'], folder);
  assert.doesNotMatch(stderr, /internal error/);
  return JSON.parse(stdout) as ReplayReport & { ok: boolean };
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-replay-'));
  file('draft.yaml', policy(SQL));
  file('log-draft.yaml', policy(SQL.replace('action: block', 'action: block, mode: log')));
  file('none.yaml', policy(''));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const entry = (url: string, status = 200, more: Record<string, unknown> = {}) => ({
  request: { method: 'GET', url, headers: [{ name: 'Host', value: new URL(url).host }] },
  response: { status, headers: [{ name: 'content-type', value: 'text/html' }], content: { text: '<p>' } },
  ...more,
});

describe('a HAR file', () => {
  before(() => {
    const entries = [
      entry('http://shop.example/?q=1'),
      entry('http://shop.example/?q=1+UNION+SELECT'),
      entry('http://shop.example/?q=2+UNION+ALL', 403),
      entry('http://shop.example/admin', 403),
      { request: { method: 'GET', url: 'chrome-extension://x' } },
      { request: { method: 'CONNECT', url: 'http://shop.example/' } },
    ];
    file('a.har', JSON.stringify({ log: { entries } }));
  });

  test('beside what was recorded', async () => {
    const report = await replay('--har', 'a.har', '--policy', 'draft.yaml');
    assert.deepEqual(
      [report.requests, report.skippedCount, report.unchanged, report.blocked],
      [4, 2, 2, { before: 2, after: 2 }],
    );
    assert.deepEqual(
      report.newlyBlocked.map(({ place, url, after }) => [place, url, after.rules[0]?.rule, after.status]),
      [['entry 2', 'http://shop.example/?q=1+UNION+SELECT', 'sqli', 403]],
    );
    assert.deepEqual(
      report.newlyPassed.map(({ place }) => place),
      ['entry 4'],
    );
    assert.deepEqual(
      report.byRule.map(({ rule, requests }) => [rule, requests]),
      [['sqli', 1]],
    );
  });

  test('beside another policy', async () => {
    const report = await replay('--har', 'a.har', '--policy', 'draft.yaml', '--base', 'none.yaml');
    assert.deepEqual([report.comparedWith, report.newlyBlocked.length, report.newlyPassed.length], ['base', 2, 0]);
    const same = await replay('--har', 'a.har', '--policy', 'draft.yaml', '--base', 'draft.yaml');
    assert.equal(same.unchanged, same.requests);
  });

  test('mode log counts as if it were enforced, unless told otherwise', async () => {
    const count = async (...more: string[]) =>
      (await replay('--har', 'a.har', '--policy', 'log-draft.yaml', '--base', 'none.yaml', ...more)).newlyBlocked
        .length;
    assert.deepEqual([await count(), await count('--no-enforce')], [2, 0]);
  });

  test('for people', async () => {
    const { stdout, code } = await run(['replay', '--har', 'a.har', '--policy', 'draft.yaml'], folder);
    assert.equal(code, 0);
    assert.match(stdout, /4 requests, compared with what was recorded: 2 unchanged, 1 newly blocked, 1 newly passed/);
    assert.match(stdout, /entry 2: GET http:\/\/shop\.example\/\?q=1\+UNION\+SELECT {2}sqli/);
  });
});

test('logs: ours has no query, the combined format has', async () => {
  file(
    'ours.log',
    '{"event":"access","time":"x","method":"GET","host":"shop.example","path":"/UNION","status":200,"client":"192.0.2.9"}\n',
  );
  const ours = await replay('--log', 'ours.log', '--policy', 'draft.yaml');
  assert.deepEqual([ours.requests, ours.newlyBlocked.length], [1, 0]);
  assert.match(ours.leavesOut, /no query/);
  file('nginx.log', '192.0.2.9 - - [x] "GET /?q=UNION HTTP/1.1" 200 1 "-" "curl"\n');
  const combined = await replay('--log', 'nginx.log', '--policy', 'draft.yaml', '--host', 'shop.example');
  assert.deepEqual(
    combined.newlyBlocked.map(({ url }) => url),
    ['http://shop.example/?q=UNION'],
  );
});

test('mistakes', async () => {
  const error = async (...args: string[]) => String((await replay(...args)).error);
  assert.match(await error('--policy', 'draft.yaml'), /--har FILE or --log FILE/);
  assert.match(await error('--har', 'gone.har', '--policy', 'draft.yaml'), /there is no file/);
  file('empty.log', 'nothing\n');
  assert.match(await error('--log', 'empty.log', '--policy', 'draft.yaml'), /no request to replay: line 1/);
  assert.match(await error('--log', 'empty.log', '--policy', 'gone.yaml'), /no request to replay|there is no file/);
});
