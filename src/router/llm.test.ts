import assert from 'node:assert/strict';
import { test } from 'node:test';
import { render } from '../observe/metrics.ts';
import type { LlmPlan } from '../plan.ts';
import { action, backend, plan, run, type RunOptions, type Sent } from './testing.ts';

const llm = (more: Partial<LlmPlan> = {}): LlmPlan => ({
  ...{ provider: 'openai', mode: 'enforce', models: [], limit: 1_048_576, failover: [] },
  ...{ failoverCodes: [429, 503], firstByte: 0, keys: [], clientKey: 'drop', others: 'refuse' },
  ...{ askUsage: true, budgets: [] },
  ...more,
});
const budgets = [{ name: 'b', tokens: 100, windowSeconds: 60, by: ['ip.src'], onError: 'closed' as const }];
const BODY = { model: 'gpt-4o', messages: [{ role: 'user', content: 'hello' }] };
const USED = { usage: { prompt_tokens: 3, completion_tokens: 4 } };

function ask(
  settings: Partial<LlmPlan>,
  body: unknown = BODY,
  options: RunOptions = {},
  headers: Record<string, string> = {},
  raw?: string,
) {
  const source = plan(
    { '/': action({ llm: 0 }) },
    [backend('one', ['http://one.test']), backend('two', ['http://two.test'])],
    {
      app: 'models',
      llms: [llm(settings)],
    },
  );
  const text = raw ?? JSON.stringify(body);
  const init = {
    method: 'POST',
    body: text,
    headers: { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)), ...headers },
  };
  const origin = (): Response => Response.json(USED);
  return run(source, '/v1/chat/completions', init, {}, { origin, drain: true, ...options });
}

const usageOf = (lines: readonly string[]): unknown =>
  lines
    .map((line) => JSON.parse(line) as { method: string; llm?: { tokens: unknown } })
    .find(({ method }) => method === 'USAGE')?.llm?.tokens;

test('tokens are in the log and the metrics, and in the exchange', async () => {
  const { response, lines, exchange } = await ask({});
  assert.deepEqual(await response.json(), USED);
  const tokens = { input: 3, output: 4, cached: 0, reasoning: 0, estimated: false };
  assert.deepEqual(exchange.llm?.usage, tokens);
  assert.deepEqual(usageOf(lines), tokens);
  const text = render({ heldBytes: 0, generation: 'g', generations: 1, draining: 0, traps: 0 });
  assert.match(text, /^sallyport_llm_tokens_total\{app="models",provider="openai",backend="one",kind="input"\} 3$/m);
  assert.match(text, /^sallyport_llm_tokens_total\{app="models",provider="openai",backend="one",kind="output"\} 4$/m);
});

test('an answer without a number is estimated, an error uses nothing', async () => {
  const origin = (): Response => Response.json({ choices: [{ message: { content: 'x'.repeat(40) } }] });
  const { exchange } = await ask({}, BODY, { origin });
  assert.deepEqual([exchange.llm?.usage?.output, exchange.llm?.usage?.estimated], [10, true]);
  const failed = await ask({}, BODY, { origin: () => Response.json(USED, { status: 400 }) });
  assert.deepEqual([failed.exchange.llm?.usage?.output, usageOf(failed.lines)], [0, undefined]);
});

test('mode log refuses nothing, and says what it would have', async () => {
  const settings = { mode: 'log', models: [{ match: 'other', backend: -1, rewrite: '' }] } as const;
  const { response, exchange } = await ask(settings);
  assert.equal(response.status, 200);
  assert.deepEqual(
    exchange.verdicts.map(({ rule, status, mode }) => [rule, status, mode]),
    [['llm model', 404, 'log']],
  );
  assert.equal((await ask(settings, 'nonsense')).response.status, 200);
  assert.equal((await ask({ ...settings, mode: 'enforce' })).response.status, 404);
});

test('a budget that can not be asked for is closed, or open where the policy says so', async () => {
  assert.equal((await ask({ budgets })).response.status, 503);
  assert.equal(
    (await ask({ budgets: budgets.map((one) => ({ ...one, onError: 'open' as const })) })).response.status,
    200,
  );
});

test('what is taken for a client that leaves meanwhile is given back', async () => {
  const asked: string[] = [];
  const gone = new AbortController();
  const limiter = {
    idFromName: (name: string) => name,
    get: () => ({
      fetch: async (url: string) => {
        asked.push(url);
        gone.abort();
        return Response.json({ allowed: true, remaining: 0, resetSeconds: 60 });
      },
    }),
  };
  const source = plan({ '/': action({ llm: 0 }) }, [backend('one', ['http://one.test'])], { llms: [llm({ budgets })] });
  const body = JSON.stringify({ ...BODY, max_tokens: 90 });
  const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
  const init = { method: 'POST', body, headers, signal: gone.signal };
  await run(source, '/v1/chat/completions', init, {}, { limiter: limiter as never });
  assert.equal(asked.length, 2);
  const [taken = '', back = ''] = asked;
  assert.ok(back.startsWith(`${taken}/back/`), back);
});

test('a key that is not set is an error of the first backend, and skips another', async () => {
  const keys = [{ backend: 1, secret: 'TWO' }];
  const missing = await ask({ keys: [{ backend: 0, secret: 'ONE' }] });
  assert.equal(missing.response.status, 500);
  assert.deepEqual(missing.sent, []);
  const failover = [{ backend: 1, rewrite: '' }];
  const origin = (): Response => new Response('no', { status: 429 });
  const skipped = await ask({ keys, failover }, BODY, { origin });
  assert.deepEqual([skipped.response.status, skipped.sent.length], [429, 1]);
  const turned = await ask({ keys, failover }, BODY, { origin, secrets: { TWO: 'two' } });
  assert.deepEqual(
    turned.sent.map(({ headers }) => headers.get('authorization')),
    [null, 'Bearer two'],
  );
});

test('no key goes with a copy of a request', async () => {
  const source = plan(
    { '/': action({ llm: 0, filters: [{ type: 'mirror', backend: 1, percent: 100 }] }) },
    [backend('one', ['http://one.test']), backend('two', ['http://two.test'])],
    { llms: [llm({ keys: [{ backend: 0, secret: 'ONE' }] })] },
  );
  const body = JSON.stringify(BODY);
  const headers = {
    'content-type': 'application/json',
    'content-length': String(body.length),
    authorization: 'Bearer client',
  };
  const options = { secrets: { ONE: 'one' }, drain: true, origin: () => Response.json(USED) };
  const { sent } = await run(source, '/v1/chat/completions', { method: 'POST', body, headers }, {}, options);
  const keys = sent.map((one) => [one.endpoint.url, one.headers.get('authorization')]).sort();
  assert.deepEqual(keys, [
    ['http://one.test', 'Bearer one'],
    ['http://two.test', null],
  ]);
});

test('whatever a body is, it is refused or forwarded with its model', async () => {
  for (const body of [
    '',
    '{',
    '[]',
    '{"model":5}',
    '{"model":"a","model":"b"}',
    '{"model":"a"}',
    '{"model":"a","stream":1}',
  ]) {
    const { response, sent } = await ask({}, null, {}, {}, body);
    if (response.status !== 200) assert.equal(sent.length, 0, body);
    else assert.equal((JSON.parse(sent[0]!.body ?? '') as { model: string }).model, 'a');
  }
});

test('what filters of a weighted backend write reaches no other backend, nor its client', async () => {
  const change = (set: readonly (readonly [string, string | { secret: string }])[]) => ({ set, add: [], remove: [] });
  const source = plan(
    {
      '/': action({
        llm: 0,
        filters: [{ type: 'requestHeaders', change: change([['x-route', 'all']]) }],
        backends: [
          {
            backend: 0,
            weight: 1,
            filters: [
              {
                type: 'requestHeaders',
                change: { ...change([['x-vendor-key', { secret: 'VENDOR' }]]), remove: ['x-beta'] },
              },
              { type: 'rewrite', rewrite: { hostname: 'one.internal', path: { type: 'full', value: '/vendor/chat' } } },
              { type: 'responseHeaders', change: change([['x-answered', 'one']]) },
            ],
          },
        ],
      }),
    },
    [backend('one', ['http://one.test']), backend('two', ['http://two.test'])],
    { app: 'models', llms: [llm({ failover: [{ backend: 1, rewrite: '' }] })] },
  );
  const asked: unknown[] = [];
  const origin = ({ endpoint, url, headers }: Sent): Response => {
    const { host, pathname } = new URL(url);
    asked.push([
      endpoint.url,
      host,
      pathname,
      headers.get('x-vendor-key'),
      headers.get('x-route'),
      headers.get('x-beta'),
    ]);
    return endpoint.url === 'http://one.test' ? new Response('', { status: 503 }) : Response.json(USED);
  };
  const init = {
    method: 'POST',
    body: JSON.stringify(BODY),
    headers: { 'content-type': 'application/json', 'x-beta': 'on' },
  };
  const { response } = await run(
    source,
    '/v1/chat/completions',
    init,
    {},
    { origin, secrets: { VENDOR: 'v' }, drain: true },
  );
  assert.deepEqual(asked, [
    ['http://one.test', 'one.internal', '/vendor/chat', 'v', 'all', null],
    ['http://two.test', 'shop.example', '/v1/chat/completions', null, 'all', 'on'],
  ]);
  assert.deepEqual([response.status, response.headers.get('x-answered')], [200, null]);
});
