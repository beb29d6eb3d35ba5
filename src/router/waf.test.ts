import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { OUTCOME_LIMIT, REASON_STEPS, REASON_TRAP } from '../../assembly/abi.ts';
import { MAX_HELD_BODY_BYTES } from '../../assembly/waf/abi.ts';
import type { WafPlan } from '../plan.ts';
import { render } from '../observe/metrics.ts';
import type { WafEvent, WafVerdict } from '../waf/engine.ts';
import { bytesHeld } from './body.ts';
import { action, backend, NOTHING, plan, run, type FakeAnswers } from './testing.ts';

const WAF: WafPlan = {
  ruleset: 'core',
  mode: 'enforce',
  program: 0,
  body: { limit: 1024, over: 'reject' },
  response: null,
  onError: 'closed',
  messages: 'off',
  evidence: 'redacted',
};

const event = (more: Partial<WafEvent> = {}): WafEvent => ({
  ...{ rule: 942100, phase: 2, message: 'SQL injection', severity: 2, tags: ['attack-sqli'], target: 'ARGS:q' },
  ...{
    matched: new TextEncoder().encode("1' or 1=1"),
    transformations: ['lowercase'],
    logdata: '',
    log: true,
    action: 'pass',
  },
  ...more,
});

const PASS: WafVerdict = {
  ...{ action: 'pass', status: 0, location: '', rule: 0, phase: 0, reason: 0, scores: {}, events: [] },
  ...{ truncated: false, matches: 0, steps: 1 },
};
const DENY: WafVerdict = {
  ...PASS,
  ...{ action: 'deny', status: 403, rule: 949110, phase: 2, matches: 2, scores: { blocking_inbound_anomaly_score: 5 } },
  events: [
    event(),
    event({ rule: 949110, message: 'score 5', severity: -1, target: 'TX:score', action: 'deny', tags: [] }),
  ],
};
const WOULD: WafVerdict = { ...DENY, action: 'pass', status: 0, rule: 0 };

function shop(waf: Partial<WafPlan> = {}, answers: FakeAnswers = {}) {
  const source = plan({ '/': action({ waf: 0 }) }, [backend('web', ['http://10.0.0.1'])], {
    wafs: [{ ...WAF, ...waf }],
  });
  return {
    get: (target: string, options: Parameters<typeof run>[4] = {}, init: RequestInit = {}) =>
      run(source, target, init, answers, options),
    post: (
      body: string | Uint8Array<ArrayBuffer>,
      headers: Record<string, string> = {},
      options: Parameters<typeof run>[4] = {},
    ) =>
      run(
        source,
        '/',
        { method: 'POST', body, headers: { 'content-length': String(body.length), ...headers } },
        answers,
        options,
      ),
  };
}

const head = (waf: WafVerdict): FakeAnswers => ({ head: (result) => ({ ...result, waf }) });
const logged = (lines: readonly string[]) =>
  JSON.parse(lines[0] ?? '{}') as { verdict: Record<string, unknown>[]; waf?: Record<string, unknown> };

test('a request that the WAF denies goes nowhere, and the log says why', async () => {
  const { response, sent, lines, exchange } = await shop({}, head(DENY)).get("/?q=1'%20or%201=1");
  assert.equal(response.status, 403);
  assert.deepEqual(sent, []);
  const problem = (await response.json()) as Record<string, unknown>;
  assert.equal(problem['requestId'], exchange.id);
  assert.doesNotMatch(JSON.stringify(problem), /942100|SQL/, 'the client learns no rule');
  const line = logged(lines);
  assert.deepEqual(line.verdict, [
    {
      ...{ action: 'block', phase: 'waf', rule: '949110', status: 403, mode: 'enforce' },
      reason: 'the web application firewall blocked this request',
      evidence: { target: 'ARGS:q', value: "1' or 1=1" },
    },
  ]);
  assert.deepEqual(
    { ...line.waf, events: (line.waf!['events'] as unknown[]).length },
    {
      ...{ ruleset: 'core', mode: 'enforce', blocked: true, inbound: 5, outbound: 0, truncated: false, events: 2 },
    },
  );
  assert.deepEqual((line.waf!['events'] as unknown[])[0], {
    ...{ rule: 942100, phase: 2, message: 'SQL injection', severity: 'CRITICAL', tags: ['attack-sqli'], score: 5 },
    ...{ target: 'ARGS:q', matched: "1' or 1=1", transformations: ['lowercase'] },
  });
});

test('in mode log everything passes, and the log says what would have been', async () => {
  const { response, sent, lines } = await shop({ mode: 'log' }, head(WOULD)).get('/');
  assert.deepEqual([response.status, sent.length], [200, 1]);
  const [verdict] = logged(lines).verdict;
  assert.deepEqual([verdict!['action'], verdict!['mode'], verdict!['rule']], ['block', 'log', '949110']);
  assert.equal(logged(lines).waf!['blocked'], true);
});

test('events of rules that say nolog are not recorded; without any there is nothing about the WAF in the line', async () => {
  const quiet = await shop({}, head({ ...PASS, matches: 0, events: [event({ log: false })] })).get('/');
  assert.equal('waf' in logged(quiet.lines), false);
  const other = await run(plan({ '/': action() }, [backend('web', ['http://10.0.0.1'])]), '/', {}, head(DENY));
  assert.equal(other.response.status, 200, 'a route without WAF');
});

test('a redirect of a rule goes where it says, made safe', async () => {
  const verdict: WafVerdict = { ...DENY, action: 'redirect', status: 302, location: 'https://a/é\r\nx: y' };
  const { response } = await shop({}, head(verdict)).get('/');
  assert.deepEqual([response.status, response.headers.get('location')], [302, 'https://a/%C3%A9%0D%0Ax:%20y']);
});

test('a body is judged before a byte of it goes on', async () => {
  const answers: FakeAnswers = { body: () => ({ ...NOTHING, waf: DENY }) };
  const { response, sent } = await shop({}, answers).post('a=1');
  assert.deepEqual([response.status, sent], [403, []]);
  let seen = '';
  const passing: FakeAnswers = {
    body: (bytes) => {
      seen = new TextDecoder().decode(bytes);
      return { ...NOTHING, waf: PASS };
    },
  };
  const passed = await shop({}, passing).post('a=2');
  assert.deepEqual([passed.response.status, passed.sent[0]?.body, seen], [200, 'a=2', 'a=2']);
  const none = await shop({}, { body: () => assert.fail('there is no body') }).get('/');
  assert.equal(none.response.status, 200);
});

test('a body over the limit: reject, inspect-prefix, pass; and in mode log never a refusal', async () => {
  const long = 'a='.padEnd(2000, 'x');
  const calls: [number, boolean][] = [];
  const answers: FakeAnswers = {
    body: (bytes, _size, truncated) => {
      calls.push([bytes.length, truncated]);
      return { ...NOTHING, waf: PASS };
    },
  };
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const status = async (waf: Partial<WafPlan>, headers = form) =>
    (await shop(waf, answers).post(long, headers)).response.status;
  assert.equal(await status({}), 413);
  assert.equal(await status({ body: { limit: 1024, over: 'inspect-prefix' } }), 200);
  assert.equal(await status({ body: { limit: 1024, over: 'pass' } }), 200);
  assert.equal(await status({ mode: 'log' }), 200);
  assert.equal(await status({ body: { limit: 2000, over: 'reject' } }), 200);
  assert.equal(await status({}, { 'content-type': 'image/png' }), 200);
  assert.deepEqual(calls, [
    [1024, true],
    [0, true],
    [1024, true],
    [2000, false],
    [1024, true],
  ]);
  const encoded = { ...form, 'content-encoding': 'br' };
  assert.equal((await shop({}, answers).post('x', encoded)).response.status, 415);
  assert.equal((await shop({ mode: 'log' }, answers).post('x', encoded)).response.status, 200);
});

test('contents of files do not count towards the limit and are left out; fields do', async () => {
  const form = (field: string, file: string): string =>
    [
      '--x',
      'content-disposition: form-data; name="a"',
      '',
      field,
      '--x',
      'content-disposition: form-data; name="f"; filename="f.bin"',
      '',
      file,
      '--x--',
      '',
    ].join('\r\n');
  const headers = { 'content-type': 'multipart/form-data; boundary=x' };
  let seen: [string, number, number[]] = ['', 0, []];
  const answers: FakeAnswers = {
    body: (bytes, size, _truncated, elided) => {
      seen = [new TextDecoder().decode(bytes), size, [...elided]];
      return { ...NOTHING, waf: PASS };
    },
  };
  const upload = form('1', 'y'.repeat(50_000));
  const { response, sent } = await shop({}, answers).post(upload, headers);
  assert.equal(response.status, 200);
  assert.equal(sent[0]?.body, upload, 'the origin gets all of it');
  const [text, size, elided] = seen;
  assert.equal(size, upload.length);
  assert.match(text, /name="a"\r\n\r\n1\r\n/);
  assert.equal(text.length + elided[1]!, upload.length);
  assert.ok(elided[1]! > 49_900, String(elided));
  assert.equal((await shop({}, answers).post(form('z'.repeat(2000), 'y'), headers)).response.status, 413);
  const long = form('1', 'y'.repeat(MAX_HELD_BODY_BYTES + 1));
  assert.equal((await shop({}, answers).post(long, headers)).response.status, 413);
  assert.equal(
    (await shop({ body: { limit: 1024, over: 'inspect-prefix' } }, answers).post(long, headers)).sent[0]?.body,
    long,
  );
});

test('without a verdict: closed refuses, open lets pass and says so', async () => {
  const limit: WafVerdict = { ...PASS, action: 'limit', reason: REASON_STEPS };
  const closed = await shop({}, head(limit)).get('/');
  assert.equal(closed.response.status, 403);
  assert.equal(logged(closed.lines).verdict[0]!['rule'], 'onError');
  const open = await shop({ onError: 'open' }, head(limit)).get('/');
  assert.equal(open.response.status, 200);
  assert.deepEqual(
    [logged(open.lines).verdict[0]!['rule'], logged(open.lines).verdict[0]!['mode']],
    ['onError', 'log'],
  );
  assert.equal((await shop({ mode: 'log' }, head(limit)).get('/')).response.status, 200);
  const trap: FakeAnswers = { body: () => ({ ...NOTHING, outcome: OUTCOME_LIMIT, reason: REASON_TRAP }) };
  assert.equal((await shop({}, trap).post('x')).response.status, 403);
  assert.equal((await shop({ onError: 'open' }, trap).post('x')).response.status, 200);
  const steps: FakeAnswers = { body: () => ({ ...NOTHING, waf: limit }) };
  assert.equal((await shop({}, steps).post('x')).response.status, 413);
  const early: FakeAnswers = { body: () => ({ ...NOTHING, outcome: OUTCOME_LIMIT, reason: REASON_STEPS }) };
  for (const over of ['pass', 'inspect-prefix'] as const) {
    const body = { limit: 9, over };
    for (const answers of [steps, early]) {
      assert.equal((await shop({ body }, answers).post('x')).response.status, 403, over);
      assert.equal((await shop({ body, onError: 'open' }, answers).post('x')).response.status, 200, over);
    }
  }
});

const RESPONSE = { limit: 64, holdMs: 50, types: ['text/html', 'application/*'] };
const html = { 'content-type': 'text/html; charset=utf-8' };

test('an answer is judged before anything of it leaves; a blocked one is replaced as a whole', async () => {
  let seen = '';
  const answers: FakeAnswers = {
    response: (fields, body) => {
      seen = `${fields[0]} ${new TextDecoder().decode(body)}`;
      return { ...NOTHING, waf: { ...DENY, rule: 959100, events: [event({ target: 'RESPONSE_BODY' })] } };
    },
  };
  const origin = () =>
    new Response('<b>ORA-00933</b>', { status: 500, headers: { ...html, 'x-origin': '1', 'set-cookie': 'a=b' } });
  const { response, lines } = await shop({ response: RESPONSE }, answers).get('/', { origin });
  assert.equal(seen, '500 <b>ORA-00933</b>');
  assert.equal(response.status, 403);
  assert.deepEqual([response.headers.get('x-origin'), response.headers.get('set-cookie')], [null, null]);
  assert.doesNotMatch(await response.text(), /ORA/);
  assert.match(JSON.stringify(logged(lines).verdict[0]), /redacted/);
  assert.equal(bytesHeld(), 0);
});

test('an answer that passes is what the origin sent: status, headers, bytes', async () => {
  const answers: FakeAnswers = { response: () => ({ ...NOTHING, waf: PASS }) };
  const body = gzipSync('hello '.repeat(5));
  const origin = () =>
    new Response(body, {
      status: 201,
      headers: { ...html, 'content-encoding': 'gzip', 'content-length': String(body.length), etag: '"x"' },
    });
  const { response, sent } = await shop({ response: RESPONSE }, answers).get(
    '/',
    { origin },
    { headers: { 'accept-encoding': 'br, gzip;q=0.8, zstd' } },
  );
  assert.equal(sent[0]?.headers.get('accept-encoding'), 'gzip;q=0.8');
  assert.deepEqual(
    [response.status, response.headers.get('etag'), response.headers.get('content-encoding')],
    [201, '"x"', 'gzip'],
  );
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), body);
  const plain = await shop({ response: RESPONSE }, answers).get('/', {}, { headers: { 'accept-encoding': 'br' } });
  assert.equal(plain.sent[0]?.headers.get('accept-encoding'), 'identity');
});

test('what the engine sees of an answer: decoded, cut at the limit, nothing of other types', async () => {
  const calls: [string, boolean][] = [];
  const answers: FakeAnswers = {
    response: (_fields, body, truncated) => {
      calls.push([new TextDecoder().decode(body).slice(0, 8) + body.length, truncated]);
      return { ...NOTHING, waf: PASS };
    },
  };
  const long = 'x'.repeat(500);
  const texts: string[] = [];
  for (const [body, headers] of [
    ['short', html],
    [long, html],
    [gzipSync('inflated'), { ...html, 'content-encoding': 'gzip' }],
    [gzipSync('y'.repeat(2000)), { ...html, 'content-encoding': 'gzip' }],
    ['{}', { 'content-type': 'application/problem+json' }],
    ['png', { 'content-type': 'image/png' }],
    ['none', {}],
  ] as const) {
    const { response } = await shop({ response: RESPONSE }, answers).get('/', {
      origin: () => new Response(body, { headers }),
    });
    texts.push(
      Buffer.from(await response.arrayBuffer())
        .subarray(0, 4)
        .toString('latin1'),
    );
  }
  assert.deepEqual(calls, [
    ['short5', false],
    ['xxxxxxxx64', true],
    ['inflated8', false],
    ['yyyyyyyy64', true],
    ['{}2', false],
    ['0', false],
    ['0', false],
  ]);
  assert.deepEqual([texts[0], texts[1], texts[4]], ['shor', 'xxxx', '{}']);
});

test('a slow answer is held for holdMs, judged by what is there, and then streams', async () => {
  let late: (() => void) | undefined;
  const origin = () => {
    let count = 0;
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (count++ === 0) return controller.enqueue(new TextEncoder().encode('first,'));
        await new Promise<void>((resolve) => (late = resolve));
        controller.enqueue(new TextEncoder().encode('second'));
        controller.close();
      },
    });
    return new Response(stream, { headers: html });
  };
  const calls: [string, boolean][] = [];
  const answers: FakeAnswers = {
    response: (_fields, body, truncated) => {
      calls.push([new TextDecoder().decode(body), truncated]);
      return { ...NOTHING, waf: PASS };
    },
  };
  const { response } = await shop({ response: RESPONSE }, answers).get('/', { origin });
  assert.deepEqual(calls, [['first,', true]]);
  late?.();
  assert.equal(await response.text(), 'first,second');
  assert.equal(bytesHeld(), 0);
});

test('an answer that cannot be read: closed replaces it, open and mode log let it pass', async () => {
  const answers: FakeAnswers = { response: () => ({ ...NOTHING, waf: PASS }) };
  const origin = () => new Response('not brotli', { headers: { ...html, 'content-encoding': 'br' } });
  const status = async (waf: Partial<WafPlan>) =>
    (await shop({ response: RESPONSE, ...waf }, answers).get('/', { origin })).response.status;
  assert.deepEqual(
    [await status({}), await status({ onError: 'open' }), await status({ mode: 'log' })],
    [502, 200, 200],
  );
  const broken = () =>
    new Response(new ReadableStream({ pull: (controller) => controller.error(new Error('reset')) }), { headers: html });
  assert.equal((await shop({ response: RESPONSE }, answers).get('/', { origin: broken })).response.status, 502);
  assert.equal(bytesHeld(), 0);
});

test('metrics count rules and blocked requests', async () => {
  await shop({}, head(DENY)).get('/');
  await shop({ mode: 'log' }, head(WOULD)).get('/');
  const text = render({ heldBytes: 0, generation: '', generations: 0, draining: 0, traps: 0 });
  assert.match(text, /sallyport_waf_rule_matches_total\{app="test",rule="942100"\} [1-9]/);
  assert.match(text, /sallyport_waf_blocked_total\{app="test",mode="enforce"\} [1-9]/);
  assert.match(text, /sallyport_waf_blocked_total\{app="test",mode="log"\} [1-9]/);
});
