import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as abi from '../../assembly/abi.ts';
import { requestHead, testEngine } from '../../test/support/engine.ts';
import { loaded, loadOne } from '../../test/support/image.ts';
import { compileAgents } from './agents/agents.ts';
import { compileHosts } from './hosts.ts';
import { judge, rulePolicy, withRules } from '../../test/support/rules.ts';
import { disassembleCode } from './rules.ts';
import type { TestRequest } from '../../test/support/reference-expression.ts';
import type { Proof } from '../waf/proof.ts';
import type { InspectionSource } from './sources.ts';

const engine = await testEngine();
const PROOF_ROOM = abi.PROOF_BYTES - abi.PROOF_WORDS * 4;
const GET: TestRequest = {
  url: 'http://h/admin?token=1',
  headers: [['user-agent', 'curl/8'], ['authorization', 'Bearer hunter2'], ['cookie', 'sid=hunter2']], // prettier-ignore
  body: 'hello',
  response: { status: 200, headers: [['set-cookie', 'sid=hunter2']] },
};
const shown = (
  rules: Parameters<typeof withRules>[1],
  request: TestRequest = GET,
): (readonly [number, number, number, string])[] =>
  withRules(engine, rules)
    .effects(request)
    .map(({ kind, index, b, value }) => [kind, index, b, value] as const);

test('rules run in order until one terminates', () => {
  const ruled = withRules(engine, [
    { when: 'true', action: 'log' },
    { when: 'ssl', action: 'block' },
    { when: 'http.host eq "h"', action: 'block', mode: 'log' },
    { when: 'http.host eq "h"', action: 'block' },
    { when: 'true', action: 'log' },
  ]);
  const [head] = ruled.results(GET);
  assert.equal(head!.terminal, abi.ACTION_BLOCK);
  assert.equal(head!.rule, 3);
  assert.deepEqual(
    head!.effects.map(({ index, mode }) => [index, mode]),
    [
      [0, abi.MODE_ENFORCE],
      [2, abi.MODE_LOG],
      [3, abi.MODE_ENFORCE],
    ],
  );
});

test('evidence is the field and the value that made the rule true', () => {
  const one = (when: string): readonly [number, string] => {
    const [[, , field, value]] = shown([{ when }]) as [readonly [number, number, number, string]];
    return [field, value];
  };
  assert.deepEqual(one('http.request.uri.path contains "min"'), [abi.FIELD_PATH, '/admin']);
  assert.deepEqual(one('http.host eq "x" or http.user_agent contains "curl"'), [abi.FIELD_USER_AGENT, 'curl/8']);
  assert.deepEqual(one('(http.host eq "h" and ssl) or http.user_agent contains "curl"'), [
    abi.FIELD_USER_AGENT,
    'curl/8',
  ]);
  assert.deepEqual(one('not http.host eq "x" and http.request.method eq "GET"'), [abi.FIELD_METHOD, 'GET']);
  assert.deepEqual(one('any(upper(http.request.headers["user-agent"][*])[*] contains "CURL")'), [
    abi.FIELD_HEADERS,
    'CURL/8',
  ]);
  assert.deepEqual(one('starts_with(http.request.uri.path, "/adm")'), [abi.FIELD_PATH, '/admin']);
  assert.deepEqual(one('ip.src in {192.0.2.0/24}'), [abi.FIELD_ADDRESS, '192.0.2.1']);
  assert.deepEqual(one('len(http.host) lt 9'), [abi.FIELD_HOST, '1']);
  assert.deepEqual(one('not ssl'), [abi.FIELD_NONE, '']);
  const long = `http://h/${'x'.repeat(5000)}`;
  const [effect] = withRules(engine, [{ when: 'http.request.uri.path contains "x"' }]).effects({ url: long });
  assert.equal(effect!.value.length, abi.MAX_EVIDENCE_VALUE);
});

test('credentials are never evidence, whatever is done to them', () => {
  for (const when of [
    'http.request.headers["authorization"][0] contains "Bearer"',
    'any(lower(http.request.headers["authorization"][*])[*] contains "bearer")',
    'any(http.request.headers.values[*] contains "hunter")',
    'any(http.request.headers[*][*] contains "hunter")',
    'any(starts_with(http.request.headers.values[*], "Bearer"))',
    'http.cookie contains "sid"',
    'http.request.cookies["sid"][0] eq "hunter2"',
    'concat(http.host, http.request.headers["cookie"][0]) contains "h"',
    'any(http.response.headers["set-cookie"][*] contains "sid")',
    'starts_with(http.cookie, "sid")',
  ]) {
    const effects = withRules(engine, [{ when }]).effects(GET);
    assert.deepEqual(effects.map(({ value }) => value), ['[redacted]'], when); // prettier-ignore
  }
});

test('skip leaves out rules of this stage and of later ones, and phases', () => {
  const rules = [
    { when: 'http.host eq "h"', action: 'skip', skipRules: ['rule-2', 'rule-4', 'rule-5'] },
    { when: 'true' },
    { when: 'true', action: 'block' },
    { when: 'true' },
    { when: 'http.request.body.size gt 0', action: 'block' },
    { when: 'http.response.code eq 200', action: 'block' },
    { when: 'http.response.code eq 200' },
  ] as const;
  assert.deepEqual(withRules(engine, rules).effects(GET).map(({ index }) => index), [0, 1, 3, 6]); // prettier-ignore
  assert.deepEqual(withRules(engine, rules).effects({ ...GET, url: 'http://other/' }).map(({ index }) => index), [1, 2]); // prettier-ignore
  const all = [{ when: 'true', action: 'skip', skipPhases: ['rules'] }, { when: 'true', action: 'block' }, { when: 'http.response.code eq 200', action: 'block' }] as const; // prettier-ignore
  assert.deepEqual(withRules(engine, all).effects(GET).map(({ index }) => index), [0]); // prettier-ignore
  // A rule in mode log says so and does nothing.
  const logged = [{ ...all[0], mode: 'log' as const }, all[1]];
  assert.deepEqual(withRules(engine, logged).effects(GET).map(({ index }) => index), [0, 1]); // prettier-ignore
});

test('state of one request is nothing to another', () => {
  const policy = rulePolicy([
    { when: 'http.host eq "skips"', action: 'skip', skipRules: ['rule-1'] },
    { when: 'http.request.body.size ge 0', action: 'block' },
  ]);
  const generation = loadOne(engine, policy.image);
  const heads = ['http://skips/', 'http://h/'].map((url) => requestHead(url));
  const [skips, plain] = heads.map((head) => engine.head(generation, head, 1, 2));
  const body = (head: (typeof heads)[0], state: Uint8Array | null): number =>
    engine.body(generation, 0, head, new Uint8Array(), 0, false, 1, 2, state).terminal;
  assert.equal(body(heads[1]!, plain!.state), abi.ACTION_BLOCK);
  assert.equal(body(heads[0]!, skips!.state), abi.ACTION_NONE);
  assert.equal(body(heads[1]!, plain!.state), abi.ACTION_BLOCK);
  assert.equal(body(heads[1]!, null), abi.ACTION_BLOCK);
  assert.equal(body(heads[1]!, new Uint8Array(3)), abi.ACTION_BLOCK);
});

test('redirect, rewrite and route carry their computed values', () => {
  assert.deepEqual(
    shown([
      { when: 'true', action: 'rewrite', rewritePath: 'concat("/v2", http.request.uri.path)', rewriteQuery: '"a=b"', rewriteHeaders: [{ name: 'x-a', value: 'http.user_agent' }, { name: 'x-b', value: 'agent.name' }] },
      { when: 'http.host eq "h"', action: 'redirect', location: 'concat("https://other", http.request.uri)' },
      { when: 'true', action: 'block' },
    ]), // prettier-ignore
    [
      [abi.EFFECT_RULE, 0, 0, ''],
      [abi.EFFECT_VALUE, 0, 0, '/v2/admin'],
      [abi.EFFECT_VALUE, 0, 0, 'a=b'],
      [abi.EFFECT_VALUE, 0, 0, 'curl/8'],
      [abi.EFFECT_VALUE, 0, 1, ''],
      [abi.EFFECT_RULE, 1, abi.FIELD_HOST, 'h'],
      [abi.EFFECT_VALUE, 1, 0, 'https://other/admin?token=1'],
    ],
  );
  // Without a location there is nowhere to go: the next rule decides.
  const ruled = withRules(engine, [
    { when: 'true', action: 'redirect', location: 'http.request.headers["x-none"][0]' },
    { when: 'true', action: 'block' },
  ]);
  assert.deepEqual(ruled.results(GET).map(({ terminal }) => terminal), [abi.ACTION_BLOCK]); // prettier-ignore
});

test('a computed value that does not fit ends the call instead of being cut', () => {
  const ruled = withRules(engine, [{ when: 'true', action: 'redirect', location: 'http.request.uri' }]);
  assert.equal(ruled.results({ url: `http://h/${'a'.repeat(16000)}` })[0]!.terminal, abi.ACTION_REDIRECT);
  const [result] = ruled.results({ url: `http://h/${'a'.repeat(17000)}` });
  assert.deepEqual([result!.outcome, result!.reason, result!.terminal], [abi.OUTCOME_LIMIT, abi.REASON_ARENA, 0]);
});

test('what rules compute does not pile up: a thousand of them on a long request', () => {
  const rules = Array.from({ length: 1000 }, (_, i) => ({
    when: `lower(http.request.uri) contains "needle${i}" or concat(http.host, http.request.uri) eq "x"`,
  }));
  const [result] = withRules(engine, rules).results({ url: `http://h/${'a'.repeat(8000)}` });
  assert.equal(result!.outcome, abi.OUTCOME_OK);
});

test('work is bounded: many searches that find almost everything', () => {
  const rules = Array.from({ length: 300 }, (_, i) => ({
    when: `http.request.uri wildcard "*${'a'.repeat(60)}b${i}*c*"`,
  }));
  const started = performance.now();
  const [result] = withRules(engine, rules).results({ url: `http://h/${'a'.repeat(60000)}` });
  assert.ok(result!.outcome === abi.OUTCOME_OK || result!.reason === abi.REASON_STEPS);
  assert.ok(performance.now() - started < 10_000);
});

test('faults of rules: too late, out of order, unknown', () => {
  const reports = (rules: Parameters<typeof rulePolicy>[0]): (readonly [string, string, string])[] =>
    rulePolicy(rules).reports.map(({ severity, code, path }) => [severity, code, path.join('.')] as const);
  assert.deepEqual(reports([{ when: 'http.request.body.size gt 1', action: 'redirect', location: '"/"' }]), [
    ['error', 'action-too-late', 'rules.0.when'],
  ]);
  assert.deepEqual(reports([{ when: 'http.response.code eq 1', action: 'route' }]), [
    ['error', 'action-too-late', 'rules.0.when'],
  ]);
  assert.deepEqual(reports([{ when: 'true', action: 'rewrite', rewritePath: 'http.request.body.raw' }]), [
    ['error', 'action-too-late', 'rules.0.rewrite.path'],
  ]);
  assert.deepEqual(reports([{ when: 'true', action: 'rewrite', rewritePath: '"no-slash"' }]), [
    ['error', 'bad-path', 'rules.0.rewrite.path'],
  ]);
  assert.deepEqual(
    reports([{ when: 'true', action: 'rewrite', rewriteHeaders: [{ name: 'x-a', value: 'nonsense' }] }]),
    [['error', 'unknown-field', 'rules.0.rewrite.headers.set.x-a']],
  );
  assert.deepEqual(reports([{ when: 'true', action: 'skip', skipRules: ['none', 'rule-0'] }]), [
    ['error', 'unknown-rule', 'rules.0.skip.rules.0'],
    ['error', 'skip-itself', 'rules.0.skip.rules.1'],
  ]);
  assert.deepEqual(reports([{ when: 'true' }, { when: 'true', action: 'skip', skipRules: ['rule-0'] }]), [
    ['error', 'skip-too-late', 'rules.1.skip.rules.0'],
  ]);
  assert.deepEqual(reports([{ when: 'http.request.body.size gt 1', action: 'skip', skipRules: ['rule-1'] }, { when: 'true' }]), [
    ['error', 'skip-too-late', 'rules.0.skip.rules.0'],
    ['warning', 'rule-order', 'rules.1.when'],
  ].toReversed()); // prettier-ignore
  assert.deepEqual(reports([{ when: 'http.request.body.size gt 1', action: 'block' }, { when: 'true' }]), [
    ['warning', 'rule-order', 'rules.1.when'],
  ]);
  assert.deepEqual(reports([{ when: 'http.request.body.size gt 1' }, { when: 'ssl', action: 'block' }]), [
    ['warning', 'rule-order', 'rules.1.when'],
  ]);
  assert.deepEqual(reports([{ when: 'http.request.body.size gt 1' }, { when: 'ssl' }]), []);
  assert.deepEqual(
    reports([
      { when: 'ssl', action: 'block' },
      { when: 'http.request.body.size gt 1', action: 'block' },
    ]),
    [],
  );
  assert.deepEqual(reports([{ when: 'ssl' }, { when: 'true', action: 'block' }, { when: 'ssl' }]), [
    ['warning', 'unreachable-rule', 'rules.2.when'],
  ]);
  assert.deepEqual(
    reports([
      { when: 'ssl', action: 'skip', skipRules: ['rule-1'] },
      { when: 'true', action: 'block' },
      { when: 'ssl' },
    ]),
    [],
  );
  assert.deepEqual(reports([{ when: 'ssl and false' }]), [['warning', 'never-matches', 'rules.0.when']]);
});

test('stages are told, so that crossings can be left out', () => {
  assert.deepEqual(rulePolicy([{ when: 'true' }]).stages, { body: false, protocol: false, response: false });
  assert.deepEqual(rulePolicy([{ when: 'http.request.body.size gt 1' }]).stages, {
    body: true,
    protocol: false,
    response: false,
  });
  assert.deepEqual(rulePolicy([{ when: 'http.response.code gt 1' }]).stages, {
    body: false,
    protocol: false,
    response: true,
  });
  assert.deepEqual(rulePolicy([]).stages, { body: false, protocol: false, response: false });
});

test('the code is small, constants are folded, and it can be read', () => {
  const { code } = rulePolicy(
    [{ when: 'true and (http.host eq lowerless or true)' }].map(() => ({
      when: 'not false and http.request.timestamp.sec gt 5 or false',
    })),
  );
  assert.equal(disassembleCode(code), ['program 0', '0003 field http.request.timestamp.sec', '0004 compare.int > 5 ; evidence http.request.timestamp.sec', '0007 end', ''].join('\n')); // prettier-ignore
  assert.equal(rulePolicy([{ when: 'ssl' }, { when: 'ssl' }]).code.length, rulePolicy([{ when: 'ssl' }]).code.length);
});

test('header inspection: the first fault, by app and by route', () => {
  const profile = (source: Partial<InspectionSource>): InspectionSource => ({ path: [], route: -1, mode: 'enforce', required: [], forbidden: [], maxCount: 0, maxLength: 0, lengths: [], bytes: 'utf8', ...source }); // prettier-ignore
  const inspect = (source: Partial<InspectionSource>, request: TestRequest = GET): readonly [number, string] => {
    const [result] = withRules(engine, [], { inspections: [profile(source)] }).results(request);
    return [result!.reason, result!.effects[0]?.value ?? ''];
  };
  assert.deepEqual(inspect({}), [abi.REASON_NONE, '']);
  assert.deepEqual(inspect({ required: ['User-Agent'] }), [abi.REASON_NONE, '']);
  assert.deepEqual(inspect({ required: ['user-agent', 'x-key'] }), [abi.REASON_REQUIRED_HEADER, 'x-key']);
  assert.deepEqual(inspect({ forbidden: ['x-debug', 'cookie'] }), [abi.REASON_FORBIDDEN_HEADER, 'cookie']);
  assert.deepEqual(inspect({ maxCount: 4 }), [abi.REASON_NONE, '']);
  assert.deepEqual(inspect({ maxCount: 3 }), [abi.REASON_HEADER_COUNT, '']);
  assert.deepEqual(inspect({ maxLength: 13 }), [abi.REASON_HEADER_LENGTH, 'authorization']);
  assert.deepEqual(inspect({ lengths: [{ name: 'user-agent', max: 5 }] }), [abi.REASON_HEADER_LENGTH, 'user-agent']);
  assert.deepEqual(inspect({ lengths: [{ name: 'user-agent', max: 6 }] }), [abi.REASON_NONE, '']);
  for (let before = 0; before < 40; before++) {
    const odd = { ...GET, headers: [['x-odd', `${'a'.repeat(before)}é`]] } as const;
    assert.deepEqual(inspect({ bytes: 'visible' }, odd), [abi.REASON_HEADER_BYTES, 'x-odd']);
    assert.deepEqual(inspect({ bytes: 'utf8' }, odd), [abi.REASON_NONE, '']);
    assert.deepEqual(inspect({ bytes: 'visible' }, { ...GET, headers: [['x-odd', `${'a'.repeat(before)}\t~`]] }), [
      abi.REASON_NONE,
      '',
    ]);
  }
  assert.deepEqual(inspect({ route: 0, forbidden: ['cookie'] }), [abi.REASON_FORBIDDEN_HEADER, 'cookie']);
  assert.deepEqual(inspect({ route: 1, forbidden: ['cookie'] }), [abi.REASON_NONE, '']);
  // The app's profile, then the route's, found among those of other routes; unsorted ones are no image.
  const several = [-1, 0, 1, 5, 9].map((route) => profile({ route, mode: 'log', forbidden: ['cookie'] }));
  const [both] = withRules(engine, [], { inspections: several }).results(GET);
  assert.deepEqual(
    both!.effects.map(({ index }) => index),
    [0, 1],
  );
  assert.throws(() => withRules(engine, [], { inspections: several.toReversed() }), /inspection is wrong/);
  const logged = withRules(engine, [], { inspections: [profile({ mode: 'log', forbidden: ['cookie'] })] }).results(
    GET,
  )[0]!;
  assert.deepEqual([logged.outcome, logged.effects[0]?.mode], [abi.OUTCOME_OK, abi.MODE_LOG]);
  const skipped = withRules(engine, [{ when: 'true', action: 'skip', skipPhases: ['inspect'] }], {
    inspections: [profile({ forbidden: ['cookie'] })],
  });
  assert.equal(skipped.results(GET)[0]!.outcome, abi.OUTCOME_OK);
  const { reports } = rulePolicy([], { inspections: [profile({ required: ['a'], forbidden: ['A'] })] });
  assert.deepEqual(reports.map(({ code }) => code), ['contradiction']); // prettier-ignore
});

test('agents are fields: missing, not empty, when nothing was recognised', () => {
  const policy = rulePolicy([
    { when: 'agent.bot and agent.name eq "GPTBot" and agent.operator contains "OpenAI"' },
    { when: 'agent.category ge "a" or agent.category lt "a"' },
    { when: 'not agent.category eq "training"' },
    { when: 'http.response.code eq 200 and agent.bot' },
  ]);
  const hosts = loaded(compileHosts([{ name: 'test', hostnames: ['*'] }]));
  const generation = engine.load({
    id: 'agents',
    hosts,
    agents: loaded(compileAgents()),
    apps: [loaded(policy.image)],
  });
  const matched = (agent: string): number[] =>
    judge(engine, generation, policy, { ...GET, headers: [['user-agent', agent]] }).flatMap(({ effects }) =>
      effects.map(({ index }) => index),
    );
  assert.deepEqual(
    matched('Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)'),
    [0, 1, 3],
  );
  assert.deepEqual(matched('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36'), [2]);
});

test('who has proven itself is who it is, whatever its user agent says', () => {
  const policy = rulePolicy([
    { when: 'agent.verified' },
    { when: 'agent.identity eq "verified" and agent.domain eq "agent.example" and agent.operator eq "Acme"' },
    { when: 'agent.name eq "AcmeBot" and agent.category eq "search" and agent.bot' },
    { when: 'agent.name eq "GPTBot" and agent.category eq "training"' },
    { when: 'agent.operator eq "OpenAI"' },
    { when: 'agent.identity eq "spoofed"' },
    { when: 'agent.identity eq "claimed"' },
    { when: 'agent.identity eq "unknown"' },
    { when: 'http.request.body.size ge 0 and agent.verified' },
    { when: 'http.response.code eq 200 and agent.identity eq "verified"' },
    { when: 'agent.category ne "none" and agent.domain eq "quiet.example"' },
  ]);
  assert.deepEqual(policy.reports, []);
  const hosts = loaded(compileHosts([{ name: 'test', hostnames: ['*'] }]));
  const images = { id: 'proof', hosts, agents: loaded(compileAgents()), apps: [loaded(policy.image)] };
  const generation = engine.load(images);
  const browser = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36';
  const acme = { identity: 'verified', name: 'AcmeBot', operator: 'Acme', category: 'search', domain: 'agent.example' } as const; // prettier-ignore
  const nobody = { name: '', operator: '', category: '', domain: '' };
  const matched = (agent: string, proof?: Proof): number[] => {
    const head = requestHead(GET.url, { headers: [['user-agent', agent]] });
    const proven = proof === undefined ? head : { ...head, proof };
    const results = [
      engine.head(generation, proven, 1, 1),
      engine.body(generation, 0, proven, new Uint8Array(1), 1, false, 1, 1),
      engine.response(generation, 0, proven, { text: '200\0', fields: 1 }, 1, 1),
    ];
    return results.flatMap(({ effects }) => effects.map(({ index }) => index));
  };
  const all = [0, 1, 2, 8, 9];
  assert.deepEqual(matched(browser, acme), all);
  // A user agent may claim what it likes: it counts for its own operator only.
  assert.deepEqual(matched('GPTBot/1.2', acme), all);
  assert.deepEqual(matched('GPTBot/1.2', { ...acme, operator: 'OpenAI' }), [0, 3, 4, 8, 9]);
  assert.deepEqual(matched('GPTBot/1.2', { identity: 'spoofed', ...nobody }), [3, 4, 5]);
  assert.deepEqual(matched('GPTBot/1.2'), [3, 4, 6]);
  assert.deepEqual(matched(browser, { identity: 'claimed', ...nobody }), [6]);
  assert.deepEqual(matched(browser), [7]);
  // Without a category there is none, and nothing of the call before is left.
  assert.deepEqual(matched(browser, { ...acme, category: '', domain: 'quiet.example' }), [0, 10, 8, 9]);
  assert.deepEqual(matched(browser), [7]);
});

test('texts of a proof are cut where there is no room for them', () => {
  const policy = rulePolicy([
    { when: `len(agent.operator) eq ${PROOF_ROOM} and agent.verified` },
    { when: 'agent.domain eq "x"' },
  ]);
  const hosts = loaded(compileHosts([{ name: 'test', hostnames: ['*'] }]));
  const generation = engine.load({ id: 'room', hosts, agents: null, apps: [loaded(policy.image)] });
  const judged = (length: number) => {
    const proof: Proof = {
      identity: 'verified',
      name: '',
      operator: 'é'.repeat(length / 2),
      category: '',
      domain: 'x',
    };
    const head = { ...requestHead(GET.url), proof };
    return engine.head(generation, head, 1, 1).effects.map(({ index }) => index);
  };
  assert.deepEqual(judged(PROOF_ROOM), [0]);
  assert.deepEqual(judged(PROOF_ROOM + 2), [0]);
  assert.deepEqual(judged(PROOF_ROOM - 2), [1]);
});
