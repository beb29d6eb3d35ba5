/** The limits of one engine call, each at its edge: the last value that passes, and the first that does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as abi from '../../assembly/abi.ts';
import { requestHead, testEngine } from '../../test/support/engine.ts';
import { loadOne, policyImage, routeSources } from '../../test/support/image.ts';
import { withRules } from '../../test/support/rules.ts';
import { ImageError, type Loaded } from './engine.ts';

const engine = await testEngine();
const text = (length: number): string => 'a'.repeat(length);
const outcomes = (results: readonly { outcome: number; reason: number }[]): number[][] =>
  results.map(({ outcome, reason }) => [outcome, reason]);
const OK = [abi.OUTCOME_OK, abi.REASON_NONE];
const limit = (reason: number): number[] => [abi.OUTCOME_LIMIT, reason];

test('a head may have MAX_HEAD_BYTES', () => {
  const generation = loadOne(engine, policyImage(routeSources([{}])));
  const head = (length: number) => {
    const empty = requestHead('http://h/', { headers: [['host', 'h'], ['x', '']] }).text.length; // prettier-ignore
    return requestHead('http://h/', { headers: [['host', 'h'], ['x', text(length - empty)]] }); // prettier-ignore
  };
  assert.equal(head(abi.MAX_HEAD_BYTES).text.length, abi.MAX_HEAD_BYTES);
  assert.deepEqual(outcomes([0, 1].map((more) => engine.head(generation, head(abi.MAX_HEAD_BYTES + more), 0, 0))), [
    OK,
    [abi.OUTCOME_REJECT, abi.REASON_HEADERS],
  ]);
  // Characters of several bytes count as what they are in memory.
  const wide = requestHead('http://h/', { headers: [['host', 'h'], ['x', '日'.repeat(abi.MAX_HEAD_BYTES / 3)]] }); // prettier-ignore
  assert.equal(engine.head(generation, wide, 0, 0).reason, abi.REASON_HEADERS);
  engine.release(generation);
});

test('a target may have MAX_URL_BYTES', () => {
  const generation = loadOne(engine, policyImage(routeSources([{}])));
  const url = (length: number): string => `http://h/${text(length - 9)}`;
  assert.deepEqual(
    outcomes([0, 1].map((more) => engine.head(generation, requestHead(url(abi.MAX_URL_BYTES + more)), 0, 0))),
    [OK, [abi.OUTCOME_REJECT, abi.REASON_URL_LENGTH]],
  );
  engine.release(generation);
});

test('MAX_ARGS parameters and MAX_COOKIES cookies are looked at, and more only where nothing looks', () => {
  const query = (count: number): string => `http://h/?${Array.from({ length: count }, (_, i) => `a${i}=1`).join('&')}`;
  const cookies = (count: number) => ({
    headers: [['cookie', Array.from({ length: count }, (_, i) => `a${i}=1`).join('; ')]] as [string, string][],
  });
  const routed = loadOne(
    engine,
    policyImage(routeSources([{ matches: [{ queryParams: [{ name: 'a0', type: 'Exact', value: '1' }] }] }])),
  );
  const plain = loadOne(engine, policyImage(routeSources([{}])));
  const ruled = withRules(engine, [{ when: 'any(http.request.uri.args.names[*] eq "a0")', action: 'block' }]);
  const baked = withRules(engine, [{ when: 'http.request.cookies["a0"][0] eq "1"', action: 'block' }]);
  const [most, more] = [query(abi.MAX_ARGS), query(abi.MAX_ARGS + 1)];
  assert.deepEqual(
    outcomes([
      engine.head(routed, requestHead(most), 0, 0),
      engine.head(routed, requestHead(more), 0, 0),
      engine.head(routed, requestHead(`http://h/?${'&'.repeat(5000)}a0=1`), 0, 0), // empty ones don't count
      engine.head(plain, requestHead(more), 0, 0),
    ]),
    [OK, limit(abi.REASON_ARGS), OK, OK],
  );
  assert.equal(ruled.results({ url: most })[0]!.terminal, abi.ACTION_BLOCK);
  assert.deepEqual(outcomes(ruled.results({ url: more })), [limit(abi.REASON_ARGS)]);
  assert.equal(baked.results({ url: 'http://h/', ...cookies(abi.MAX_COOKIES) })[0]!.terminal, abi.ACTION_BLOCK);
  assert.deepEqual(outcomes(baked.results({ url: 'http://h/', ...cookies(abi.MAX_COOKIES + 1) })), [
    limit(abi.REASON_ARGS),
  ]);
  for (const generation of [routed, plain]) engine.release(generation);
  for (const one of [ruled, baked]) one.release();
});

test('a call takes MAX_STEPS and then ends, whatever the rules are', () => {
  // Each is an automaton with some hundred states alive at every byte.
  const rules = Array.from({ length: 12 }, (_, i) => ({
    when: `http.request.headers["x"][0] matches "a.{${400 + i}}b.{${400 + i}}c$"`,
    action: 'block' as const,
  }));
  const heavy = withRules(engine, rules);
  const headers: [string, string][] = [['x', text(200_000)]];
  const begun = performance.now();
  const [result] = heavy.results({ url: 'http://h/', headers });
  assert.deepEqual(outcomes([result!]), [limit(abi.REASON_STEPS)]);
  assert.equal(result!.steps, abi.MAX_STEPS);
  assert.ok(performance.now() - begun < 3000, 'the budget has to bound the time');
  assert.deepEqual(outcomes(heavy.results({ url: 'http://h/' })), [OK]); // and the next call has its own
  heavy.release();
});

test('MAX_EFFECTS are told; a block is carried out all the same', () => {
  const logs = (count: number) => Array.from({ length: count }, () => ({ when: 'true' }));
  const told = withRules(engine, logs(abi.MAX_EFFECTS));
  const cut = withRules(engine, [...logs(abi.MAX_EFFECTS), { when: 'true', action: 'block' as const }]);
  const [all] = told.results({ url: 'http://h/' });
  assert.deepEqual([all!.effects.length, all!.truncated], [abi.MAX_EFFECTS, false]);
  const [some] = cut.results({ url: 'http://h/' });
  assert.deepEqual(
    [some!.effects.length, some!.truncated, some!.terminal, some!.rule],
    [abi.MAX_EFFECTS, true, abi.ACTION_BLOCK, abi.MAX_EFFECTS],
  );
  told.release();
  cut.release();
});

test('evidence is cut at MAX_EVIDENCE_VALUE a value and EVIDENCE_BYTES in all', () => {
  const full = abi.EVIDENCE_BYTES / abi.MAX_EVIDENCE_VALUE;
  const rules = Array.from({ length: full + 1 }, () => ({ when: 'http.request.uri.path contains "a"' }));
  const ruled = withRules(engine, rules);
  const [result] = ruled.results({ url: `http://h/${text(1000)}` });
  assert.equal(result!.truncated, true);
  assert.deepEqual(
    result!.effects.map(({ value }) => value.length),
    [...Array.from({ length: full }, () => abi.MAX_EVIDENCE_VALUE), 0],
  );
  ruled.release();
});

test('a computed value has at most MAX_COMPUTED_VALUE bytes, and half of one is none', () => {
  const ruled = withRules(engine, [{ when: 'true', action: 'redirect', location: 'http.request.headers["x"][0]' }]);
  const ask = (length: number) => ruled.results({ url: 'http://h/', headers: [['x', text(length)]] })[0]!;
  const most = ask(abi.MAX_COMPUTED_VALUE);
  assert.deepEqual([most.terminal, most.effects.at(-1)!.value.length], [abi.ACTION_REDIRECT, abi.MAX_COMPUTED_VALUE]);
  assert.deepEqual(outcomes([ask(abi.MAX_COMPUTED_VALUE + 1)]), [limit(abi.REASON_ARENA)]);
  ruled.release();
});

test('a response head may have MAX_HEADERS and MAX_RESPONSE_HEAD_BYTES', () => {
  const ruled = withRules(engine, [{ when: 'http.response.code eq 200', action: 'block' }]);
  const ask = (headers: [string, string][]) =>
    ruled.results({ url: 'http://h/', response: { status: 200, headers } }).at(-1)!;
  const many = (count: number) => Array.from({ length: count }, (_, i): [string, string] => [`x${i}`, '']);
  const long = (length: number): [string, string][] => [['x', text(length - '200\0x\0\0'.length)]];
  assert.equal(ask(many(abi.MAX_HEADERS)).terminal, abi.ACTION_BLOCK);
  assert.equal(ask(many(abi.MAX_HEADERS + 1)).outcome, abi.OUTCOME_REJECT);
  assert.equal(ask(long(abi.MAX_RESPONSE_HEAD_BYTES)).terminal, abi.ACTION_BLOCK);
  assert.equal(ask(long(abi.MAX_RESPONSE_HEAD_BYTES + 1)).outcome, abi.OUTCOME_REJECT);
  ruled.release();
});

test('MAX_IMAGES images and MAX_IMAGE_BYTES of one are taken', async () => {
  const small = await testEngine();
  const image = policyImage(routeSources([{}]));
  const hosts = { hash: 'hosts', bytes: new Uint8Array() };
  const huge: Loaded = { hash: 'huge', bytes: new Uint8Array(abi.MAX_IMAGE_BYTES + 1) };
  assert.throws(() => small.load({ id: 'x', hosts: huge, agents: null, apps: [] }), /more than 67108864 bytes/);
  assert.throws(() => small.load({ id: 'x', hosts, agents: null, apps: [] }), ImageError);
  // One of the images is that of the hosts, and nothing may be evicted while the rest is being opened.
  const apps = (count: number): Loaded[] =>
    Array.from({ length: count }, (_, i) => ({ hash: `app-${i}`, bytes: image }));
  const { compileHosts } = await import('../compiler/hosts.ts');
  const table = { hash: 'table', bytes: compileHosts([{ name: 'a', hostnames: ['*'] }]) };
  assert.throws(
    () => small.load({ id: 'x', hosts: table, agents: null, apps: apps(abi.MAX_IMAGES) }),
    /1024 images are in use/,
  );
  const generation = small.load({ id: 'x', hosts: table, agents: null, apps: apps(abi.MAX_IMAGES - 1) });
  assert.equal(small.head(generation, requestHead('http://h/'), 0, 0).outcome, abi.OUTCOME_OK);
});
