import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ADDRESS_LISTS } from '../compiler/agents/address-lists.ts';
import { MAX_LIST_BYTES } from '../compiler/agents/address-list.ts';
import { listNotice, LISTS_FILE, readLists, writeLists } from './agent-lists.ts';
import { fileOf, updateLists, type Updated } from './agent-update.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-lists-'));
type Answer = (response: ServerResponse, path: string) => void;
const answers = new Map<string, Answer>();
let server: Server;
let mirror: string;

before(async () => {
  server = createServer((request, response) => {
    const answer = answers.get(request.url ?? '');
    if (answer === undefined) response.writeHead(404).end();
    else answer(response, request.url!);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  answers.clear();
  rmSync(join(folder, LISTS_FILE), { force: true });
});

const prefixes = (...list: string[]): string =>
  JSON.stringify({
    creationTime: '2026-11-21T00:00:00',
    prefixes: list.map((prefix) => (prefix.includes(':') ? { ipv6Prefix: prefix } : { ipv4Prefix: prefix })),
  });
const say =
  (body: string | Uint8Array, status = 200): Answer =>
  (response) =>
    void response.writeHead(status).end(body);
const GPTBOT = ['/openai-gptbot.json', 'openai-gptbot'] as const;

/** Updates the list of GPTBot alone. */
async function one(answer: Answer, options: Parameters<typeof updateLists>[1] = {}): Promise<Updated> {
  answers.set(GPTBOT[0], answer);
  const [result] = await updateLists(folder, { mirror, only: [GPTBOT[1]], ...options });
  return result!;
}
const stored = (): readonly string[] => readLists(folder)[GPTBOT[1]]?.prefixes ?? [];

test('takes every form, and keeps where it is from, when, and of which bytes', async () => {
  const forms: Record<string, string> = {
    json: prefixes('20.42.10.176/28', '2600:1f00::/40'),
    geofeed: '# a comment\n31.13.24.0/21,IE,,Dublin,\n2a03:2880:1000::/36,US,,,\r\n\n',
    lines: '# probes\r\n20.1.2.3\r\n2600::7 # v6\n',
  };
  for (const list of ADDRESS_LISTS) answers.set(`/${fileOf(list)}`, say(forms[list.format]!));
  answers.set(
    '/ahrefs.json',
    say(JSON.stringify({ ips: [{ ip_address: '5.39.1.224' }, { ip_address: '5.39.1.225/32' }] })),
  );
  const results = await updateLists(folder, { mirror, now: () => Date.UTC(2026, 10, 21) });
  assert.deepEqual(results.map(({ id }) => id), ADDRESS_LISTS.map(({ id }) => id)); // prettier-ignore
  for (const result of results) {
    assert.deepEqual(
      [result.status, result.problem, result.fetched],
      ['updated', '', '2026-11-21T00:00:00.000Z'],
      result.id,
    );
    assert.match(result.sha256, /^[0-9a-f]{64}$/);
  }
  const lists = readLists(folder);
  assert.deepEqual(lists['openai-gptbot']!.prefixes, ['20.42.10.176/28', '2600:1f00::/40']);
  assert.deepEqual(lists['meta']!.prefixes, ['31.13.24.0/21', '2a03:2880:1000::/36']);
  assert.deepEqual(lists['pingdom-v4']!.prefixes, ['20.1.2.3/32', '2600:0:0:0:0:0:0:7/128']);
  assert.deepEqual(lists['ahrefs']!.prefixes, ['5.39.1.224/32', '5.39.1.225/32']);
  assert.equal(lists['meta']!.source, `${mirror}/meta.csv`);
  assert.equal(existsSync(join(folder, `${LISTS_FILE}.new`)), false);
  const again = await updateLists(folder, { mirror, now: () => Date.UTC(2026, 10, 22) });
  assert.ok(again.every(({ status }) => status === 'unchanged'));
  assert.equal(readLists(folder)['meta']!.fetched, '2026-11-22T00:00:00.000Z');
});

const GOOD = prefixes('20.42.10.0/24', '20.42.11.0/24');
const BAD: readonly (readonly [name: string, answer: Answer, problem: RegExp])[] = [
  ['bad JSON', say('{"prefixes": ['), /not JSON/],
  ['other JSON', say('[]'), /neither/],
  ['no prefix', say(prefixes()), /no addresses/],
  ['no object', say('{"prefixes":[{"ipv4":"20.0.0.0/24"}]}'), /none of/],
  ['no address', say(prefixes('20.42.10.0/24', 'example.com')), /"example\.com" is no address/],
  ['a number', say('{"prefixes":[7]}'), /7 is no address/],
  ['a prototype', say('{"prefixes":[{"__proto__":{"ipv4Prefix":"20.0.0.0/24"}}]}'), /none of/],
  ['everything', say(prefixes('0.0.0.0/0')), /too large a part/],
  ['much', say(prefixes('20.0.0.0/7')), /too large a part/],
  ['everything of IPv6', say(prefixes('::/0')), /too large a part/],
  ['many large blocks', say(prefixes('20.0.0.0/8', '21.0.0.0/8', '22.0.0.0/8')), /too many for a list/],
  ['a private network', say(prefixes('20.42.10.0/24', '10.1.0.0/16')), /"10\.1\.0\.0\/16" is a private network/],
  ['loopback', say(prefixes('127.0.0.1/32')), /is this machine/],
  ['metadata', say(prefixes('169.254.169.254/32')), /link-local/],
  ['private IPv6', say(prefixes('fd00::/48')), /not a global address/],
  ['documentation', say(prefixes('2001:db8::/32')), /for documentation/],
  ['mapped', say(prefixes('::ffff:10.0.0.0/104')), /a private network/],
  ['huge', say('x'.repeat(MAX_LIST_BYTES + 1)), /more than 2097152 bytes/],
  ['many prefixes', say(JSON.stringify({ prefixes: Array.from({ length: 20_001 }, (_, i) => `20.${i >> 8}.${i & 255}.0/24`) })), /more than 20000 prefixes/],
  ['no text', say(Uint8Array.of(0xff, 0xfe, 0)), /no text/],
  ['500', say('', 500), /answers 500/],
  ['404', say('', 404), /answers 404/],
  ['206', say(prefixes('20.42.10.0/24'), 206), /answers 206/],
  ['a redirect to another host', (response) => response.writeHead(302, { location: 'https://example.com/list' }).end(), /another host, example\.com/],
  ['a redirect to nowhere', (response) => response.writeHead(302).end(), /redirects to nowhere/],
  ['a circle', (response, path) => response.writeHead(301, { location: path }).end(), /more than 3 times/],
  ['a connection that breaks', (response) => response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy()), /broke off/],
]; // prettier-ignore

test('a list that is not good leaves the last good one in its place', async (t) => {
  for (const [name, answer, problem] of BAD) {
    await t.test(name, async () => {
      const never = await one(answer);
      assert.deepEqual([never.status, never.prefixes], ['missing', 0]);
      assert.match(never.problem, problem);
      assert.equal(existsSync(join(folder, LISTS_FILE)), false);
      await one(say(GOOD));
      const before = readFileSync(join(folder, LISTS_FILE), 'utf8');
      const kept = await one(answer);
      assert.deepEqual([kept.status, kept.prefixes], ['kept', 2]);
      assert.match(kept.problem, problem);
      assert.equal(readFileSync(join(folder, LISTS_FILE), 'utf8'), before);
      rmSync(join(folder, LISTS_FILE));
    });
  }
});

test('a server that is slow, at its head or its body, is given up', async () => {
  const slow = await one(() => {}, { timeout: 200 });
  assert.match(slow.problem, /longer than 0\.2 seconds/);
  const drip = await one((response) => void response.writeHead(200).write('{'), { timeout: 200 });
  assert.match(drip.problem, /longer than 0\.2 seconds/);
});

test('a redirect on the same host is followed', async () => {
  answers.set('/there', say(GOOD));
  const moved = await one((response) => void response.writeHead(301, { location: '/there' }).end());
  assert.equal(moved.status, 'updated');
});

test('one that fails keeps nobody else from being updated', async () => {
  answers.set('/openai-gptbot.json', say('no'));
  answers.set('/anthropic.json', say(GOOD));
  const results = await updateLists(folder, { mirror, only: ['openai-gptbot', 'anthropic'] });
  assert.deepEqual(results.map(({ status }) => status), ['missing', 'updated']); // prettier-ignore
  assert.deepEqual(Object.keys(readLists(folder)), ['anthropic']);
});

test('a list that shrank is not believed without --force; one that says the same in fewer blocks is', async () => {
  await one(say(prefixes('20.42.10.0/25', '20.42.10.128/25', '20.42.11.0/24', '20.42.12.0/24')));
  assert.equal((await one(say(prefixes('20.42.10.0/24', '20.42.11.0/24')))).status, 'updated');
  await one(say(prefixes('20.42.10.0/24', '20.42.11.0/24', '20.42.12.0/24', '2600::/32')), { force: true });
  const shrunk = await one(say(prefixes('20.42.10.0/24')));
  assert.equal(shrunk.status, 'kept');
  assert.match(shrunk.problem, /only 25 % are in it; --force/);
  assert.equal(stored().length, 4);
  assert.equal((await one(say(prefixes('20.42.10.0/24', '2600::/32')))).status, 'updated'); // half is enough
  assert.equal((await one(say(prefixes('20.99.0.0/24')), { force: true })).status, 'updated');
  assert.deepEqual(stored(), ['20.99.0.0/24']);
});

test('plain HTTP to another machine is no source', async () => {
  const [result] = await updateLists(folder, { mirror: 'http://lists.example', only: ['openai-gptbot'] });
  assert.match(result!.problem, /over https/);
});

test('a folder is as good as a server', async () => {
  const from = join(folder, 'copies');
  mkdirSync(from);
  writeFileSync(join(from, 'openai-gptbot.json'), GOOD);
  writeFileSync(join(from, 'meta.csv'), 'x'.repeat(MAX_LIST_BYTES + 1));
  const results = await updateLists(folder, { from, only: ['openai-gptbot', 'meta', 'apple'] });
  assert.deepEqual(
    results.map(({ id, status, problem }) => [id, status, problem]),
    [
      ['openai-gptbot', 'updated', ''],
      ['apple', 'missing', 'there is no file apple.json'],
      ['meta', 'missing', 'it has more than 2097152 bytes'],
    ],
  );
});

test('a file that is damaged is said to be, with what to do', () => {
  const write = (text: string): void => writeFileSync(join(folder, LISTS_FILE), text);
  const good = { source: 'x', fetched: '2026-11-21T00:00:00Z', sha256: '0'.repeat(64), prefixes: ['20.0.0.0/24'] };
  writeLists(folder, { apple: good });
  assert.deepEqual({ ...readLists(folder) }, { apple: good });
  for (const text of [
    'no',
    '{}',
    '{"lists":[]}',
    JSON.stringify({ lists: { apple: { ...good, prefixes: ['10.0.0.0/8'] } } }),
    JSON.stringify({ lists: { apple: { ...good, fetched: 'yesterday' } } }),
    JSON.stringify({ lists: { apple: null } }),
  ]) {
    write(text);
    assert.throws(() => readLists(folder), /agents\.lists\.json .*; remove it and run sallyport agents update$/, text);
  }
});

test('who starts a gateway is told of lists that are not there, or old', () => {
  const now = Date.UTC(2026, 10, 21);
  const list = (days: number) => ({
    apple: { source: '', fetched: new Date(now - days * 86_400_000).toISOString(), sha256: '', prefixes: [] },
  });
  assert.match(listNotice({}, now)!, /there are no address lists .* `claimed` .*sallyport agents update$/);
  assert.match(listNotice({ nobody: list(0).apple }, now)!, /there are no address lists/);
  assert.equal(listNotice(list(6.9), now), null);
  assert.match(listNotice(list(7), now)!, /7 days old: run/);
  assert.match(listNotice(list(30), now)!, /30 days old and no longer show who is spoofed/);
});

test('the command: words for people, JSON for programs, and an exit code', async () => {
  answers.set('/openai-gptbot.json', say(GOOD));
  answers.set('/apple.json', say('', 500));
  const main = join(import.meta.dirname, 'main.ts');
  const run = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) =>
      execFile(
        process.execPath,
        [main, 'agents', 'update', '--mirror', mirror, ...args],
        { cwd: folder, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined } },
        (error, stdout, stderr) => resolve({ code: (error?.code as number | undefined) ?? 0, stdout, stderr }),
      ),
    );
  const good = await run('--list', 'openai-gptbot');
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /^openai-gptbot {2}updated {4}2 prefixes\nagents\.lists\.json is written; /);
  const bad = await run('--list', 'openai-gptbot', '--list', 'apple', '--json');
  const { ok, lists } = JSON.parse(bad.stdout);
  assert.deepEqual(
    [bad.code, ok, lists.map((list: Updated) => [list.id, list.status])],
    [1, false, [['openai-gptbot', 'unchanged'], ['apple', 'missing']]], // prettier-ignore
  );
  assert.match((await run('--list', 'aple')).stderr, /there is no list "aple"; did you mean apple\?/);
  assert.match((await run('--from', 'nowhere')).stderr, /exclude each other/);
});
