import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { A2aPlan, LlmPlan, Plan } from '../../plan.ts';
import { compile } from '../index.ts';
import type { Diagnostic } from '../diagnostics.ts';

async function read(route: string, more = ''): Promise<{ plan: Plan | undefined; diagnostics: readonly Diagnostic[] }> {
  const text = `app: shop
backends: { one: { url: http://10.0.0.1 }, two: { url: http://10.0.0.2 } }
routes:
  - { name: models, backend: one, ${route} }
${more}`;
  const { plans, diagnostics } = await compile({ files: [{ path: 'a.yaml', text }], target: 'workerd', agents: null });
  return { plan: plans[0], diagnostics };
}
async function good(route: string, more = ''): Promise<Plan> {
  const { plan, diagnostics } = await read(route, more);
  assert.deepEqual(diagnostics, []);
  assert.ok(plan);
  return plan;
}
const codes = async (route: string): Promise<[string, string][]> =>
  (await read(route)).diagnostics.map(({ severity, code }) => [severity, code]);

test('llm: defaults are filled in, names resolved', async () => {
  const plan = await good('llm: { provider: openai }');
  assert.equal(plan.actions[0]!.llm, 0);
  assert.deepEqual(plan.llms, [
    {
      ...{ provider: 'openai', mode: 'enforce', models: [], limit: 1_048_576, failover: [] },
      ...{ failoverCodes: [429, 500, 502, 503, 504, 529], firstByte: 0, keys: [], clientKey: 'drop' },
      ...{ others: 'refuse', askUsage: true, budgets: [] },
    },
  ] satisfies LlmPlan[]);
});

test('llm: all of it', async () => {
  const plan =
    await good(`llm: { provider: anthropic, mode: log, bodyLimit: 16MB, usage: leave, others: pass, clientKey: forward,
      models: [{ match: "claude-*", backend: two, rewrite: big }, { match: "*" }],
      failover: [two, { backend: one, rewrite: small }], failoverCodes: [529, 529], firstByte: 1500ms,
      keys: { one: { secret: ONE }, two: { secret: TWO } },
      budgets: [{ tokens: 1.5M, per: 24h, by: [agent.operator, X-Api-Key], onError: open }, { name: all, tokens: 7, per: 1s, by: [] }] }`);
  const [llm] = plan.llms;
  assert.deepEqual(plan.secrets, ['ONE', 'TWO']);
  assert.deepEqual(llm?.models, [
    { match: 'claude-*', backend: 1, rewrite: 'big' },
    { match: '*', backend: -1, rewrite: '' },
  ]);
  assert.deepEqual(llm.failover, [
    { backend: 1, rewrite: '' },
    { backend: 0, rewrite: 'small' },
  ]);
  assert.deepEqual([llm.failoverCodes, llm.firstByte, llm.limit, llm.mode], [[529], 1500, 16_777_216, 'log']);
  assert.deepEqual(llm.keys, [
    { backend: 0, secret: 'ONE' },
    { backend: 1, secret: 'TWO' },
  ]);
  assert.deepEqual(llm.budgets, [
    {
      name: 'models',
      tokens: 1_500_000,
      windowSeconds: 86_400,
      by: ['agent.operator', 'header:x-api-key'],
      onError: 'open',
    },
    { name: 'all', tokens: 7, windowSeconds: 1, by: [], onError: 'closed' },
  ]);
});

test('llm: equal settings are one, off is none', async () => {
  const plan = await good(
    'llm: { provider: openai }',
    '  - { name: b, matches: [{ path: { value: /b } }], backend: two, llm: { provider: openai } }\n  - { name: c, matches: [{ path: { value: /c } }], backend: two, llm: { provider: openai, mode: off } }',
  );
  assert.equal(plan.llms.length, 1);
  assert.deepEqual(
    plan.routeActions.map((index) => plan.actions[index]!.llm),
    [0, 0, -1],
  );
});

test('llm: faults', async () => {
  const fault = (fields: string) => codes(`llm: { provider: openai, ${fields} }`);
  assert.deepEqual(await codes('llm: {}'), [['error', 'missing-field']]);
  assert.deepEqual(await fault('models: [{ match: a, backend: three }]'), [['error', 'unknown-backend']]);
  assert.deepEqual(await fault('keys: { three: { secret: A } }'), [['error', 'unknown-backend']]);
  assert.deepEqual(await fault('keys: { one: literal }'), [['error', 'wrong-type']]);
  assert.deepEqual(await fault('failover: [three]'), [['error', 'unknown-backend']]);
  assert.deepEqual(await fault('failover: [one]'), [['warning', 'no-effect']]);
  assert.deepEqual(await fault('failover: [two, two]'), [['warning', 'duplicate-name']]);
  assert.deepEqual(await fault('models: [{ match: "gpt-*" }, { match: "gpt-4*" }]'), [
    ['warning', 'unreachable-model'],
  ]);
  assert.deepEqual(await fault('models: [{ match: "gpt 4" }]'), [['error', 'bad-format']]);
  assert.deepEqual(await fault('bodyLimit: 17MB'), [['error', 'out-of-range']]);
  assert.deepEqual(await fault('budgets: [{ tokens: 0.2k, per: 1500ms }]'), [['error', 'out-of-range']]);
  assert.deepEqual(await fault('budgets: [{ tokens: 0.0000001k, per: 1s }]'), [['error', 'bad-format']]);
  assert.deepEqual(await fault('budgets: [{ tokens: 0.0001k, per: 1s }]'), [['error', 'out-of-range']]);
  assert.deepEqual(await fault('budgets: [{ tokens: 5, per: 1s, by: [cf.country] }]'), [['error', 'bad-format']]);
  assert.deepEqual(await codes('llm: { provider: openai }, a2a: {}'), [['error', 'conflict']]);
});

test('llm: a secret that every backend would get', async () => {
  const filters = 'filters: [{ requestHeaderModifier: { set: { x-vendor: { secret: VENDOR } } } }]';
  const { diagnostics } = await read(`${filters}, llm: { provider: openai, failover: [two] }`);
  assert.deepEqual(
    diagnostics.map(({ severity, code, line, message }) => [severity, code, line, message]),
    [['warning', 'shared-secret', 4, 'every backend gets the secret VENDOR']],
  );
  assert.deepEqual(await codes(`${filters}, llm: { provider: openai, models: [{ match: a, backend: two }] }`), [
    ['warning', 'shared-secret'],
  ]);
  await good(`${filters}, llm: { provider: openai }`);
  await good(`${filters.replace('{ secret: VENDOR }', 'plain')}, llm: { provider: openai, failover: [two] }`);
});

test('a2a: defaults, lists, faults', async () => {
  assert.deepEqual((await good('a2a: {}')).a2as, [
    {
      ...{ mode: 'enforce', versions: ['1.0', '0.3'], methods: { allow: null, deny: [] } },
      ...{ skills: { allow: null, deny: [] }, sticky: true, limit: 1_048_576 },
    },
  ] satisfies A2aPlan[]);
  const plan = await good(
    'a2a: { versions: ["1.0"], methods: { allow: ["Send*", GetTask], deny: [SendStreamingMessage] }, skills: { deny: ["admin-*"] }, sticky: false }',
  );
  assert.deepEqual(plan.a2as[0]?.methods, { allow: ['Send*', 'GetTask'], deny: ['SendStreamingMessage'] });
  assert.deepEqual(await codes('a2a: { versions: ["1"] }'), [['error', 'bad-format']]);
  assert.deepEqual(await codes('a2a: { methods: { deny: [message/send] } }'), [['warning', 'unknown-method']]);
  assert.deepEqual(await codes('a2a: { methods: { allow: [SendMesage] } }'), [['warning', 'unknown-method']]);
});
