import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ACTION_BLOCK,
  ACTION_LOG,
  ACTION_REDIRECT,
  ACTION_REWRITE,
  ACTION_ROUTE,
  EFFECT_INSPECTION,
  EFFECT_RULE,
  EFFECT_VALUE,
  FIELD_QUERY,
  LOST_AFTER_MS,
  MODE_ENFORCE,
  MODE_LOG,
  OUTCOME_LIMIT,
  OUTCOME_NO_APP,
  OUTCOME_REJECT,
  REASON_CONTROL,
  REASON_FORBIDDEN_HEADER,
  REASON_HEADERS,
  REASON_TRAP,
  REASON_URL_LENGTH,
  VALUE_HEADER,
  VALUE_LOCATION,
  VALUE_PATH,
  VALUE_QUERY,
} from '../../assembly/abi.ts';
import type { Plan, RulePlan, RetryPlan } from '../plan.ts';
import type { Effect, HeadResult } from '../waf/engine.ts';
import { bytesHeld } from './body.ts';
import { look } from './open-exchanges.ts';
import { endpointsOf } from './endpoints.ts';
import { abandon } from './pipeline.ts';
import { action, backend, endpoint, type FakeAnswers, NOTHING, plan, run, type Sent } from './testing.ts';

const effect = (more: Partial<Effect>): Effect => ({
  ...{ kind: EFFECT_RULE, index: 0, mode: MODE_ENFORCE, a: ACTION_LOG, b: 0, value: '' },
  ...more,
});
const rule = (more: Partial<RulePlan>): RulePlan => ({
  ...{ name: 'r', action: 'block', mode: 'enforce', status: 403, reason: 'not here', backend: -1, headers: [] },
  ...{ removeHeaders: [], preserveQuery: false },
  ...more,
});
const web = [backend('web', ['http://10.0.0.1:81/base']), backend('other', ['http://10.0.0.2'])];
const plain = (more: Partial<Plan> = {}): Plan => plan({ '/': action() }, web, more);
const found = (more: Partial<HeadResult>): FakeAnswers => ({ head: (result) => ({ ...result, ...more }) });
const only = (sent: readonly Sent[]): Sent => {
  assert.equal(sent.length, 1);
  return sent[0] as Sent;
};

test('a request goes out with base path, Host kept and forwarding headers set', async () => {
  const { response, sent, exchange } = await run(plain(), '/a/b?x=1', {
    headers: { 'user-agent': 'u', te: 'trailers' },
  });
  assert.equal(response.status, 200);
  const { url, headers } = only(sent);
  assert.equal(url, 'http://shop.example/base/a/b?x=1');
  assert.equal(headers.get('x-forwarded-for'), '192.0.2.1');
  assert.equal(headers.get('x-forwarded-host'), 'shop.example');
  assert.equal(headers.get('x-forwarded-proto'), 'http');
  assert.equal(headers.get('forwarded'), 'for=192.0.2.1;host=shop.example;proto=http');
  assert.equal(headers.get('via'), '1.1 sallyport');
  assert.equal(headers.get('cdn-loop'), 'sallyport');
  assert.equal(headers.get('x-request-id'), exchange.id);
  assert.equal(headers.get('user-agent'), 'u');
  assert.equal(headers.has('te'), false);
});

test('Host towards the origin: preserve, url, a name; a rewritten host name wins', async () => {
  const cases = [
    { host: 'preserve', rewritten: null, expected: 'shop.example' },
    { host: 'url', rewritten: null, expected: '10.0.0.1:81' },
    { host: 'name.example', rewritten: null, expected: 'name.example' },
    { host: 'url', rewritten: 'new.example', expected: 'new.example' },
  ];
  for (const { host, rewritten, expected } of cases) {
    const filters =
      rewritten === null ? [] : [{ type: 'rewrite' as const, rewrite: { hostname: rewritten, path: null } }];
    const backends = [backend('web', [endpoint('http://10.0.0.1:81', { host })])];
    const { sent } = await run(plan({ '/': action({ filters }) }, backends), '/');
    assert.equal(only(sent).url, `http://${expected}/`);
  }
});

test('what the engine refuses is a problem with its status, and nothing is sent', async () => {
  const cases: [Partial<HeadResult>, number][] = [
    [{ outcome: OUTCOME_REJECT, reason: REASON_CONTROL }, 400],
    [{ outcome: OUTCOME_REJECT, reason: REASON_HEADERS, app: -1 }, 431],
    [{ outcome: OUTCOME_REJECT, reason: REASON_URL_LENGTH, app: -1 }, 414],
    [{ outcome: OUTCOME_REJECT, reason: 9999 }, 400],
    [{ outcome: OUTCOME_NO_APP, app: -1, route: -1 }, 404],
    [{ outcome: OUTCOME_LIMIT, reason: REASON_TRAP, app: -1 }, 500],
  ];
  for (const [result, status] of cases) {
    const { response, sent } = await run(plain(), '/', {}, found(result));
    assert.equal(response.status, status);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    assert.equal(((await response.json()) as { status: number }).status, status);
    assert.equal(sent.length, 0);
  }
});

test('a block answers with status and reason of its rule and keeps the evidence', async () => {
  const block = effect({ a: ACTION_BLOCK, b: FIELD_QUERY, value: 'union select' });
  const answers = found({ terminal: ACTION_BLOCK, rule: 0, effects: [block] });
  const { response, sent, exchange } = await run(plain({ rules: [rule({ status: 451 })] }), '/', {}, answers);
  assert.equal(response.status, 451);
  assert.match(response.headers.get('proxy-status') ?? '', /error=http_request_denied; details="not here"/);
  assert.equal(sent.length, 0);
  assert.deepEqual(exchange.verdicts, [
    {
      ...{ action: 'block', phase: 'rules', rule: 'r', status: 451, reason: 'not here', mode: 'enforce' },
      evidence: { target: 'http.request.uri.query', value: 'union select' },
    },
  ]);
});

test('rules in mode log are recorded and change nothing', async () => {
  const effects = [
    effect({ a: ACTION_BLOCK, mode: MODE_LOG }),
    effect({ kind: EFFECT_INSPECTION, a: REASON_FORBIDDEN_HEADER, mode: MODE_LOG, value: 'x-a' }),
  ];
  const source = plain({ rules: [rule({ mode: 'log' })], inspections: [{ name: '', mode: 'log' }] });
  const { response, sent, exchange } = await run(source, '/', {}, found({ effects }));
  assert.equal(response.status, 200);
  assert.equal(sent.length, 1);
  assert.deepEqual(
    exchange.verdicts.map(({ phase, action, mode, status }) => [phase, action, mode, status]),
    [
      ['rules', 'block', 'log', 403],
      ['inspect', 'block', 'log', 400],
    ],
  );
});

test('a redirect by a rule: target made safe, query kept on request, refused without a target', async () => {
  const rules = [rule({ action: 'redirect', status: 302, preserveQuery: true })];
  const at = (value: string): FakeAnswers => {
    const value0 = effect({ kind: EFFECT_VALUE, a: VALUE_LOCATION, value });
    return found({ terminal: ACTION_REDIRECT, rule: 0, effects: [effect({ a: ACTION_REDIRECT }), value0] });
  };
  const good = await run(plain({ rules }), '/?a=1', {}, at('https://x.example/\r\nset-cookie: a=1'));
  assert.equal(good.response.status, 302);
  assert.equal(good.response.headers.get('location'), 'https://x.example/%0D%0Aset-cookie:%20a=1?a=1');
  const joined = await run(plain({ rules }), '/?a=1', {}, at('/y?b=2'));
  assert.equal(joined.response.headers.get('location'), '/y?b=2&a=1');
  const bad = await run(plain({ rules }), '/', {}, at(''));
  assert.equal(bad.response.status, 500);
});

test('rewrites by rules come last; computed text can not break out of its place', async () => {
  const rules = [rule({ action: 'rewrite', headers: ['x-agent'], removeHeaders: ['x-old'] })];
  const effects = [
    effect({ a: ACTION_REWRITE }),
    effect({ kind: EFFECT_VALUE, a: VALUE_PATH, value: 'new path?x#y' }),
    effect({ kind: EFFECT_VALUE, a: VALUE_QUERY, value: 'q=a b#c' }),
    effect({ kind: EFFECT_VALUE, a: VALUE_HEADER, value: 'bot\r\nx-evil: 1' }),
  ];
  const { sent } = await run(plain({ rules }), '/a', { headers: { 'x-old': '1' } }, found({ effects }));
  const { url, headers } = only(sent);
  assert.equal(url, 'http://shop.example/base/new%20path%3Fx%23y?q=a%20b%23c');
  assert.equal(headers.get('x-agent'), 'bot??x-evil: 1');
  assert.equal(headers.has('x-evil'), false);
  assert.equal(headers.has('x-old'), false);
});

test('a path that a rule computes can not climb out of the base path of the backend', async () => {
  const effects = (path: string) => [
    effect({ a: ACTION_REWRITE }),
    effect({ kind: EFFECT_VALUE, a: VALUE_PATH, value: path }),
  ];
  const rules = [rule({ action: 'rewrite', status: 0 })];
  for (const [computed, path] of [
    ['/../admin', '/admin'],
    ['../admin', '/admin'],
    ['/a/%2E%2e/.%2e/b', '/b'],
    ['/a/./b/..', '/a/'],
    ['/..', '/'],
    ['/a/..\\..\\b', '/a/..%5C..%5Cb'],
    ['/a/...//b', '/a/...//b'],
  ] as const) {
    const { sent } = await run(plain({ rules }), '/x', {}, found({ effects: effects(computed) }));
    assert.equal(only(sent).url, `http://shop.example/base${path}`, computed);
  }
});

test('a redirect to a computed path stays on this host', async () => {
  for (const [value, location] of [
    ['//evil.example/x', 'http://shop.example//evil.example/x'],
    ['/a//b', '/a//b'],
    ['https://ok.example/a#top', 'https://ok.example/a?q=1#top'],
  ] as const) {
    const effects = [effect({ a: ACTION_REDIRECT }), effect({ kind: EFFECT_VALUE, a: VALUE_LOCATION, value })];
    const rules = [rule({ action: 'redirect', status: 302, preserveQuery: value.includes('#') })];
    const { response } = await run(
      plain({ rules }),
      '/x?q=1',
      {},
      found({ effects, terminal: ACTION_REDIRECT, rule: 0 }),
    );
    assert.equal(response.headers.get('location'), location);
  }
});

test('Max-Forwards of OPTIONS and TRACE is spent, and at 0 the request ends here', async () => {
  for (const method of ['OPTIONS', 'REPORT']) {
    const { sent } = await run(plain(), '/', { method, headers: { 'max-forwards': '3' } });
    assert.equal(only(sent).headers.get('max-forwards'), method === 'OPTIONS' ? '2' : '3');
  }
  const { sent, response } = await run(plain(), '/', { method: 'OPTIONS', headers: { 'max-forwards': '0' } });
  assert.deepEqual([sent.length, response.status], [0, 200]);
  const odd = await run(plain(), '/', { method: 'OPTIONS', headers: { 'max-forwards': '-1' } });
  assert.equal(only(odd.sent).headers.get('max-forwards'), '-1');
});

test('a route rule forces its backend and leaves filters of the drawn one out', async () => {
  const change = { set: [['x-drawn', '1'] as const], add: [], remove: [] };
  const drawn = { backend: 0, weight: 1, filters: [{ type: 'requestHeaders' as const, change }] };
  const source = plan({ '/': action({ backends: [drawn] }) }, web, { rules: [rule({ action: 'route', backend: 1 })] });
  assert.equal(only((await run(source, '/')).sent).headers.get('x-drawn'), '1');
  const forced = only((await run(source, '/', {}, found({ effects: [effect({ a: ACTION_ROUTE })] }))).sent);
  assert.equal(forced.endpoint.url, 'http://10.0.0.2');
  assert.equal(forced.headers.has('x-drawn'), false);
});

test('no backend, weight 0, or one that does not exist: 500', async () => {
  const cases = [[], [{ backend: 0, weight: 0, filters: [] }], [{ backend: -1, weight: 1, filters: [] }]];
  for (const backends of cases) {
    const { response } = await run(plan({ '/': action({ backends }) }, web), '/');
    assert.equal(response.status, 500);
    assert.match(response.headers.get('proxy-status') ?? '', /proxy_configuration_error/);
  }
});

test('a loop is cut: 508', async () => {
  const { response, sent } = await run(plain(), '/', { headers: { 'cdn-loop': 'other; v=1, Sallyport;x' } });
  assert.equal(response.status, 508);
  assert.equal(sent.length, 0);
  const fine = await run(plain(), '/', { headers: { 'cdn-loop': 'other' } });
  assert.equal(only(fine.sent).headers.get('cdn-loop'), 'other, sallyport');
});

test('a missing secret fails closed and only its name is logged', async () => {
  const change = { set: [['authorization', { secret: 'TOKEN' }] as const], add: [], remove: [] };
  const source = plan({ '/': action({ filters: [{ type: 'requestHeaders', change }] }) }, web);
  const without = await run(source, '/');
  assert.equal(without.response.status, 500);
  assert.equal(without.sent.length, 0);
  assert.match(without.errors.join(), /TOKEN/);
  const withIt = await run(source, '/', {}, {}, { secrets: { TOKEN: 's3cret' } });
  assert.equal(only(withIt.sent).headers.get('authorization'), 's3cret');
  assert.doesNotMatch(withIt.lines.join(), /s3cret/);
});

test('a secret that can not be a header value fails closed and is not logged', async () => {
  const change = { set: [['authorization', { secret: 'TOKEN' }]], add: [], remove: [] } as const;
  const source = plan({ '/': action({ filters: [{ type: 'requestHeaders', change }] }) }, web);
  for (const value of ['s3cret\nsecond line', 's3cret\0', 's3cr\u0454t', '']) {
    const { response, sent, errors, lines } = await run(source, '/', {}, {}, { secrets: { TOKEN: value } });
    assert.deepEqual([response.status, sent.length], [500, 0]);
    assert.doesNotMatch([...errors, ...lines, await response.text()].join(), /s3cr/);
    assert.match(errors.join(), /TOKEN/);
  }
});

test('an error inside a phase is a 500 that tells the client nothing, with a log line', async () => {
  const answers: FakeAnswers = { head: () => assert.fail('internal detail') };
  const { response, sent, errors, lines, exchange } = await run(plain(), '/', {}, answers);
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /internal detail/);
  assert.match(errors.join(), /internal detail/);
  assert.equal(sent.length, 0);
  assert.equal(JSON.parse(lines[0] ?? '').id, exchange.id);
});

test('body rules: the engine sees the body, the origin gets it too', async () => {
  let seen = '';
  const body: FakeAnswers['body'] = (bytes) => {
    seen = new TextDecoder().decode(bytes);
    return NOTHING;
  };
  const source = plain({ stages: { body: true, protocol: false, response: false } });
  const { sent } = await run(
    source,
    '/',
    { method: 'POST', body: 'hello', headers: { 'content-length': '5' } },
    { body },
  );
  assert.equal(seen, 'hello');
  assert.equal(only(sent).body, 'hello');
});

test('body rules: too long is 413 before reading; a prefix where the policy says so', async () => {
  const long = 'x'.repeat(50);
  const init = { method: 'POST', body: long, headers: { 'content-length': '50', 'content-type': 'application/json' } };
  const limits = (over: Plan['body']['over']): Plan =>
    plain({ stages: { body: true, protocol: false, response: false }, body: { limit: 20, over } });
  assert.equal((await run(limits('reject'), '/', init)).response.status, 413);
  const calls: unknown[] = [];
  const body: FakeAnswers['body'] = (bytes, size, truncated) => {
    calls.push([bytes.byteLength, size, truncated]);
    return NOTHING;
  };
  const prefix = await run(limits('inspect-prefix'), '/', init, { body });
  assert.deepEqual(calls, [[20, 50, true]]);
  assert.equal(only(prefix.sent).body, long);
  const passed = await run(limits('pass'), '/', init, { body });
  assert.equal(calls.length, 1);
  assert.equal(only(passed.sent).body, long);
  assert.equal(passed.exchange.verdicts[0]?.mode, 'log');
});

test('body rules: a content type that readers could take for a structured one is held to the limit', async () => {
  const source = plain({
    stages: { body: true, protocol: false, response: false },
    body: { limit: 20, over: 'reject' },
  });
  const status = async (type: string): Promise<number> => {
    const headers = { 'content-length': '50', 'content-type': type };
    return (await run(source, '/', { method: 'POST', body: 'x'.repeat(50), headers })).response.status;
  };
  for (const type of [
    'text/plain, application/json',
    'application/json x',
    'application/json,text/plain',
    'text/xml\x0b',
  ])
    assert.equal(await status(type), 413, type);
  for (const type of ['text/plain', 'application/jsonl', 'image/svg', 'application/octet-stream; a="b"'])
    assert.equal(await status(type), 200, type);
});

test('response rules: a blocked answer is replaced, and its body is not leaked', async () => {
  const source = plain({ rules: [rule({ status: 502 })], stages: { body: false, protocol: false, response: true } });
  const response: FakeAnswers['response'] = (fields) => {
    assert.equal(fields[0], '200');
    return { ...NOTHING, terminal: ACTION_BLOCK, rule: 0, effects: [effect({ a: ACTION_BLOCK })] };
  };
  const blocked = await run(source, '/', {}, { response }, { origin: () => new Response('secret page') });
  assert.equal(blocked.response.status, 502);
  assert.doesNotMatch(await blocked.response.text(), /secret page/);
});

test('response rules: what the gateway answers in the place of an origin is not judged as its answer', async () => {
  let asked = 0;
  const answers: FakeAnswers = { response: () => (asked++, NOTHING) };
  const stages = { body: false, protocol: false, response: true };
  const origin = (): Response => ({ status: 999, headers: new Headers(), body: null }) as unknown as Response;
  assert.equal((await run(plain({ stages }), '/', {}, answers, { origin })).response.status, 502);
  assert.equal(asked, 0);
  // A first try that failed leaves nothing behind that would keep the second one's answer from being judged.
  let tries = 0;
  const retry = { codes: [], attempts: 1, backoff: 1, backoffMax: 1, budget: 100, budgetMin: 10 };
  const flaky = (): Response => {
    if (tries++ === 0) throw new Error('reset');
    return new Response('ok');
  };
  const again = plan({ '/': action({ retry }) }, web, { stages });
  const { exchange } = await run(again, '/', {}, answers, { origin: flaky });
  assert.deepEqual([asked, exchange.upstream.error, exchange.upstream.attempts], [1, '', 2]);
});

test('statuses that can not be passed on are 502', async () => {
  const odd = { status: 999, headers: new Headers(), body: null } as unknown as Response;
  assert.equal((await run(plain(), '/', {}, {}, { origin: () => odd })).response.status, 502);
});

test('a failure to connect is 502, one in time 504; logs say what the runtime said', async () => {
  const lost = await run(plain(), '/', {}, {}, { origin: () => Promise.reject(new Error('Network connection lost.')) });
  assert.equal(lost.response.status, 502);
  assert.match(lost.lines.join(), /Network connection lost/);
  assert.doesNotMatch(await lost.response.text(), /Network connection/);
  const source = plan({ '/': action({ timeouts: { request: 20, backendRequest: 0, responseHead: 0 } }) }, web);
  const slow = await run(
    source,
    '/',
    {},
    {},
    {
      origin: () => new Promise(() => {}),
    },
  );
  assert.equal(slow.response.status, 504);
  assert.match(slow.response.headers.get('proxy-status') ?? '', /http_response_timeout/);
});

test('a client that goes away leaves one line, and nothing occupied', async () => {
  // A retry has the body held.
  const retry = { codes: [], attempts: 1, backoff: 1, backoffMax: 1, budget: 100, budgetMin: 10 };
  const source = plan({ '/': action({ retry }) }, web);
  const during: number[] = [];
  const { exchange, lines } = await run(
    source,
    '/',
    { method: 'POST', body: 'held', headers: { 'content-length': '4' } },
    {},
    {
      origin: (_, waiting) => {
        const [state] = endpointsOf(source.backends[0]!);
        during.push(state!.active, bytesHeld());
        // Lost before anybody listened to its client's signal: the sweep finds it, once.
        look(waiting.startedAt + LOST_AFTER_MS);
        during.push(state!.active);
        waiting.watched = false; // as if its body had not been held
        look(waiting.startedAt + LOST_AFTER_MS + 2000);
        abandon(waiting);
        during.push(state!.active, bytesHeld(), waiting.lease.users);
        // Where something else keeps the context, the answer comes all the same.
        return new Response('late');
      },
    },
  );
  assert.deepEqual(during, [1, 4, 1, 0, 0, 0]);
  assert.equal(lines.length, 1);
  const line = JSON.parse(lines[0]!) as { status: number; upstream: { error: string } };
  assert.equal(line.status, 499);
  assert.equal(line.upstream.error, 'client gone');
  assert.equal(exchange.lease.users, 0);
  assert.equal(endpointsOf(source.backends[0]!)[0]!.active, 0);
});

test('an origin that never answers is given up, whatever the policy leaves out', { timeout: 5000 }, async () => {
  const timeouts = { request: 0, backendRequest: 0, responseHead: 30 };
  const silent = (): Promise<Response> => new Promise(() => {});
  const { response, exchange } = await run(plan({ '/': action({ timeouts }) }, web), '/', {}, {}, { origin: silent });
  assert.equal(response.status, 504);
  assert.match(response.headers.get('proxy-status') ?? '', /http_response_timeout/);
  assert.equal(exchange.upstream.status, 0);
  // What a policy says holds instead of the default.
  const own = { request: 0, backendRequest: 200, responseHead: 30 };
  const slow = (): Promise<Response> => new Promise((done) => setTimeout(done, 60, new Response('ok')));
  const patient = await run(plan({ '/': action({ timeouts: own }) }, web), '/', {}, {}, { origin: slow });
  assert.equal(patient.response.status, 200);
});

test('a client that holds its body back has no endpoint ejected', { timeout: 5000 }, async () => {
  const health = {
    ...{ consecutive5xx: 1, consecutiveGatewayErrors: 1, baseEjectionTime: 60_000, maxEjectionTime: 60_000 },
    ...{ maxEjectionPercent: 100, panicThreshold: 0 },
  };
  const pool = backend('pool', ['http://10.0.0.1', 'http://10.0.0.2'], { health });
  const source = plan({ '/': action({ timeouts: { request: 20, backendRequest: 0, responseHead: 0 } }) }, [pool]);
  const silent = (): Promise<Response> => new Promise(() => {});
  const post = { method: 'POST', body: 'x', headers: { 'content-length': '1' } };
  assert.equal((await run(source, '/', post, {}, { origin: silent })).response.status, 504);
  assert.ok(endpointsOf(pool).every((state) => state.ejectedUntil === 0));
  await run(source, '/', {}, {}, { origin: silent });
  assert.ok(endpointsOf(pool).some((state) => state.ejectedUntil > 0));
});

test('an answer that has begun, and a body that goes up, take as long as they take', { timeout: 5000 }, async () => {
  const source = plan({ '/': action({ timeouts: { request: 0, backendRequest: 0, responseHead: 30 } }) }, web);
  const drip = (): Response =>
    new Response(
      new ReadableStream({
        async start(controller) {
          await new Promise((resolve) => setTimeout(resolve, 90));
          controller.enqueue(new TextEncoder().encode('late'));
          controller.close();
        },
      }),
    );
  assert.equal(await (await run(source, '/', {}, {}, { origin: drip })).response.text(), 'late');
  const upload = (length: string): Promise<number> =>
    run(
      source,
      '/',
      { method: 'POST', body: 'x', headers: { 'content-length': length } },
      {},
      {
        origin: () => new Promise((done) => setTimeout(done, 90, new Response('ok'))),
      },
    ).then(({ response }) => response.status);
  assert.equal(await upload('1'), 504);
  assert.equal(await upload('1000000000'), 200);
  assert.equal(await upload(''), 200);
});

test('retries: codes and failures, each on a fresh endpoint, as often as the policy says', async () => {
  const retry = { codes: [503], attempts: 2, backoff: 1, backoffMax: 2, budget: 100, budgetMin: 10 };
  const pool = [backend('pool', ['http://10.0.0.1', 'http://10.0.0.2', 'http://10.0.0.3'])];
  const source = plan({ '/': action({ retry }) }, pool);
  const answers = [503, 0, 200];
  const origin = (): Response | Promise<Response> => {
    const status = answers.shift() ?? 200;
    return status === 0 ? Promise.reject(new Error('lost')) : new Response('x', { status });
  };
  const { response, sent } = await run(
    source,
    '/',
    { method: 'POST', body: 'again', headers: { 'content-length': '5' } },
    {},
    { origin },
  );
  assert.equal(response.status, 200);
  assert.equal(new Set(sent.map((one) => one.endpoint.url)).size, 3);
  assert.deepEqual(
    sent.map((one) => one.body),
    ['again', 'again', 'again'],
  );
  const worse = await run(source, '/', {}, {}, { origin: () => new Response('no', { status: 503 }) });
  assert.equal(worse.response.status, 503);
  assert.equal(worse.sent.length, 3);
  const other = await run(source, '/', {}, {}, { origin: () => new Response('no', { status: 500 }) });
  assert.equal(other.sent.length, 1);
});

test('only who is asked last, or is the only one, may take time to come back', async () => {
  const retry = { codes: [503], attempts: 2, backoff: 1, backoffMax: 2, budget: 100, budgetMin: 10 };
  const impatient = async (endpoints: readonly string[], tries: RetryPlan | null): Promise<boolean[]> => {
    const source = plan({ '/': action(tries === null ? {} : { retry: tries }) }, [backend('pool', [...endpoints])]);
    const { sent } = await run(source, '/', {}, {}, { origin: () => new Response('no', { status: 503 }) });
    return sent.map((one) => one.impatient);
  };
  const [a, b, c, d] = ['http://10.0.0.1', 'http://10.0.0.2', 'http://10.0.0.3', 'http://10.0.0.4'] as const;
  assert.deepEqual(await impatient([a], retry), [false, false, false]);
  assert.deepEqual(await impatient([a, b], retry), [true, false, false]);
  assert.deepEqual(await impatient([a, b, c, d], retry), [true, true, false]);
  assert.deepEqual(await impatient([a, b], null), [false]);
});

test('a body that streams is sent once, whatever the retry policy says', async () => {
  const retry = { codes: [503], attempts: 2, backoff: 1, backoffMax: 2, budget: 100, budgetMin: 10 };
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('streamed'));
      controller.close();
    },
  });
  const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
  const { response, sent } = await run(
    plan({ '/': action({ retry }) }, web),
    '/',
    init,
    {},
    { origin: () => new Response('no', { status: 503 }) },
  );
  assert.equal(response.status, 503);
  assert.equal(only(sent).body, 'streamed');
});

test('mirrors get a copy; their failure and their cookies are nobody’s', async () => {
  const filters = [{ type: 'mirror' as const, backend: 1, percent: 100 }];
  const source = plan({ '/': action({ filters }) }, [web[0]!, { ...web[1]!, stickiness: { cookie: 's', ttl: 0 } }]);
  const origin = (sent: Sent): Response | Promise<Response> =>
    sent.endpoint.url.includes('10.0.0.2') ? Promise.reject(new Error('mirror is down')) : new Response('ok');
  const { response, sent } = await run(
    source,
    '/',
    { method: 'POST', body: 'abc', headers: { 'content-length': '3' } },
    {},
    { origin },
  );
  assert.equal(await response.text(), 'ok');
  assert.equal(response.headers.has('set-cookie'), false);
  assert.deepEqual(sent.map((one) => [one.endpoint.url, one.body]).sort(), [
    ['http://10.0.0.1:81/base', 'abc'],
    ['http://10.0.0.2', 'abc'],
  ]);
});

test('a mirror that does not answer keeps the room of the body it holds', async () => {
  const before = bytesHeld();
  let answer: (response: Response) => void = () => {};
  const slow = new Promise<Response>((resolve) => (answer = resolve));
  let during = -1;
  const source = plan({ '/': action({ filters: [{ type: 'mirror', backend: 1, percent: 100 }] }) }, web);
  const init = { method: 'POST', body: 'four', headers: { 'content-length': '4' } };
  const done = run(
    source,
    '/',
    init,
    {},
    {
      origin: ({ endpoint: to }) => (to.url.includes('10.0.0.2') ? slow : new Response('ok')),
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 30));
  during = bytesHeld();
  answer(new Response('late'));
  await done;
  assert.equal(during - before, 4);
  assert.equal(bytesHeld(), before);
});

test('stickiness: a cookie names the endpoint without its address, and brings the client back', async () => {
  const pool = [
    backend('pool', ['http://10.0.0.1', 'http://10.0.0.2', 'http://10.0.0.3'], {
      stickiness: { cookie: 'sp', ttl: 60 },
    }),
  ];
  const source = plan({ '/': action() }, pool);
  const first = await run(source, '/');
  const line = first.response.headers.get('set-cookie') ?? '';
  assert.match(line, /^sp=[a-z0-9]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=60$/);
  for (let i = 0; i < 20; i++) {
    const again = await run(source, '/', { headers: { cookie: `a=1; ${line.split(';', 1)[0]}` } });
    assert.equal(only(again.sent).endpoint.url, only(first.sent).endpoint.url);
    assert.equal(again.response.headers.has('set-cookie'), false);
  }
  const failed = await run(source, '/', {}, {}, { origin: () => Promise.reject(new Error('lost')) });
  assert.equal(failed.response.headers.has('set-cookie'), false);
});

test('response modifiers and CORS apply to answers of the gateway too', async () => {
  const change = { set: [['x-set', '1'] as const], add: [], remove: ['x-gone'] };
  const cors = {
    allowOrigins: ['https://*.example.com'],
    allowMethods: ['GET'],
    allowHeaders: [],
    exposeHeaders: ['x-set'],
    maxAge: 5,
    allowCredentials: true,
  };
  const filters = [{ type: 'responseHeaders' as const, change }];
  const source = plan({ '/': action({ filters, cors }) }, web);
  const origin = (): Response => new Response('x', { headers: { 'x-gone': '1', 'access-control-allow-origin': '*' } });
  const allowed = await run(source, '/', { headers: { origin: 'https://a.example.com' } }, {}, { origin });
  assert.equal(allowed.response.headers.get('x-set'), '1');
  assert.equal(allowed.response.headers.has('x-gone'), false);
  assert.equal(allowed.response.headers.get('access-control-allow-origin'), 'https://a.example.com');
  assert.equal(allowed.response.headers.get('access-control-allow-credentials'), 'true');
  assert.equal(allowed.response.headers.get('vary'), 'Origin');
  const stranger = await run(source, '/', { headers: { origin: 'https://example.com.evil' } }, {}, { origin });
  assert.equal(stranger.response.headers.has('access-control-allow-origin'), false);
  const down = await run(
    source,
    '/',
    { headers: { origin: 'https://a.example.com' } },
    {},
    { origin: () => Promise.reject(new Error('lost')) },
  );
  assert.equal(down.response.status, 502);
  assert.equal(down.response.headers.get('access-control-allow-origin'), 'https://a.example.com');
});

test('CORS: of what the origin says about it nothing is left', async () => {
  const cors = {
    ...{ allowOrigins: ['https://a.example'], allowMethods: ['GET'], allowHeaders: [], exposeHeaders: [] },
    ...{ maxAge: 5, allowCredentials: false },
  };
  const origin = (): Response =>
    new Response('ok', {
      headers: {
        'access-control-allow-origin': '*',
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'x-inner',
      },
    });
  for (const from of ['https://a.example', 'https://b.example']) {
    const source = plan({ '/': action({ cors }) }, web);
    const { response } = await run(source, '/', { headers: { origin: from } }, {}, { origin });
    assert.equal(response.headers.get('access-control-expose-headers'), null);
    assert.equal(response.headers.get('access-control-allow-credentials'), null);
    assert.equal(response.headers.get('access-control-allow-origin'), from.includes('a.') ? from : null);
  }
});

test('headers that a response nominates end here', async () => {
  const origin = (): Response =>
    new Response('x', {
      headers: { connection: 'close, x-private, set-cookie', 'x-private': '1', 'set-cookie': 'a=1' },
    });
  const { response } = await run(plain(), '/', {}, {}, { origin });
  assert.equal(response.headers.has('x-private'), false);
  assert.equal(response.headers.get('set-cookie'), 'a=1');
});

test('an answer that needs no change is handed on as the very object', async () => {
  const answer = new Response('x');
  assert.equal((await run(plain(), '/', {}, {}, { origin: () => answer })).response, answer);
});
