import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as abi from '../../../assembly/abi.ts';
import { testEngine } from '../../../test/support/engine.ts';
import { withRules } from '../../../test/support/rules.ts';
import { compile } from '../index.ts';

async function told(rule: string, more = ''): Promise<string[]> {
  const text = `app: a\nbackends: { web: { url: http://web } }\nroutes: [{ backend: web }]\n${more}rules:\n  - { name: n, ${rule} }\n`;
  const { diagnostics } = await compile({ files: [{ path: 'a.yaml', text }], target: 'workerd', agents: null });
  return diagnostics.map(
    ({ severity, code, message }) => `${severity === 'error' ? '' : `${severity} `}${code}: ${message}`,
  );
}
const rate = (fields: string, when = "'true'"): Promise<string[]> =>
  told(`when: ${when}, action: rate, rate: { ${fields} }`);

test('rates', async () => {
  assert.deepEqual(await rate('requests: 1, per: 1s'), []);
  assert.deepEqual(
    await rate('requests: 1, per: 744h, by: [x-key, ip.src, http.host, \'concat("a", http.request.uri.path)\']'),
    [],
  );
  assert.deepEqual(await rate('requests: 1, per: 1m, by: [http.request.body.mime]'), []);
  assert.match((await rate('requests: 0, per: 1m')).join(), /^out-of-range|requests/);
  for (const per of ['0s', '999ms', '1500ms', '745h'])
    assert.match((await rate(`requests: 1, per: ${per}`)).join(), /^out-of-range: `per` must be whole seconds/, per);
  assert.match((await rate('requests: 1, per: 1m, by: [http.request.nothing]')).join(), /unknown-field|no field/);
  assert.match((await rate('requests: 1, per: 1m, by: [http.request.body.size]')).join(), /type|text|string/);
  assert.match(
    (await rate("requests: 1, per: 1m, by: ['to_string(http.response.code)']")).join(),
    /^action-too-late: rate can not depend on http.response.code/,
  );
  assert.equal(
    (
      await rate(
        `requests: 1, per: 1m, by: [${Array(abi.MAX_RATE_KEYS + 1)
          .fill('ip.src')
          .join(', ')}]`,
      )
    ).length,
    1,
  );
  assert.equal((await rate('requests: 1, per: 1m, by: []')).length, 1);
});

test('what belongs to another action, or is not there', async () => {
  assert.match((await told("when: 'true', action: rate")).join(), /^missing-field: `action: rate` needs `rate`/);
  assert.match((await told("when: 'true', action: challenge, rate: { requests: 1, per: 1m }")).join(), /^conflict/);
  assert.match(
    (await told("when: 'true', action: rate, rate: { requests: 1, per: 1m }, status: 503")).join(),
    /^conflict/,
  );
  assert.deepEqual(await told("when: 'true', action: challenge, reason: for people"), []);
  assert.match(
    (await told("when: 'http.response.code == 200', action: challenge")).join(),
    /^action-too-late: challenge can not depend/,
  );
  assert.match((await told("when: 'true', action: challenge, mode: log")).join(), /^$/);
});

test('what agents are counted by is known before the body, where routes differ', async () => {
  const of = (route: string) => told("when: 'true', action: log", `agents: { training: { rate: { requests: 1, per: 1m, by: [http.request.body.mime] } } }\n`.concat(route)); // prettier-ignore
  assert.deepEqual(await of(''), []);
  const text = `app: a\nbackends: { web: { url: http://web } }\nagents: { training: { rate: { requests: 1, per: 1m, by: [http.request.body.mime] } } }\nroutes: [{ backend: web, agents: { training: block } }]\n`;
  const { diagnostics } = await compile({ files: [{ path: 'a.yaml', text }], target: 'workerd', agents: null });
  const errors = diagnostics.filter(({ severity }) => severity === 'error').map(({ code, line }) => [code, line]);
  assert.deepEqual(errors, [['action-too-late', 3]]);
});

const engine = await testEngine();
const at = (value: string, index: number) => ({ path: ['rules', 0, 'rate', 'by', index], value });

test('the engine computes what is counted by, in mode log too, and ends nothing', () => {
  const keys = [
    at('http.host', 0),
    at('http.request.headers["x-none"][0]', 1),
    at('to_string(cidr(ip.src, 32, 64))', 2),
  ];
  for (const mode of ['enforce', 'log'] as const) {
    const ruled = withRules(engine, [
      { when: 'true', action: 'rate', mode, keys },
      { when: 'true', action: 'challenge', mode },
      { when: 'true', action: 'log' },
    ]);
    const effects = ruled.effects({ url: 'http://h/', peer: '2001:db8:1:2:3:4:5:6' } as never);
    assert.deepEqual(
      effects.map(({ kind, index, a, b, value }) => (kind === abi.EFFECT_RULE ? [index, a] : [index, a, b, value])),
      [
        [0, abi.ACTION_RATE],
        ...[[0, abi.VALUE_KEY, 0, 'h'], [0, abi.VALUE_KEY, 1, ''], [0, abi.VALUE_KEY, 2, '2001:db8:1:2::']],
        [1, abi.ACTION_CHALLENGE],
        [2, abi.ACTION_LOG],
      ],
      mode,
    ); // prettier-ignore
  }
});

test('a demand that there is no room for ends the request: it is never forgotten', () => {
  const filler = (count: number) => Array.from({ length: count }, () => ({ when: 'true', action: 'log' as const }));
  const result = (count: number) => withRules(engine, [...filler(count), { when: 'true', action: 'challenge' }]).results({ url: 'http://h/' })[0]!; // prettier-ignore
  assert.deepEqual([result(abi.MAX_EFFECTS - 1).outcome, result(abi.MAX_EFFECTS - 1).effects.length], [abi.OUTCOME_OK, abi.MAX_EFFECTS]); // prettier-ignore
  assert.deepEqual([result(abi.MAX_EFFECTS).outcome, result(abi.MAX_EFFECTS).reason], [abi.OUTCOME_LIMIT, abi.REASON_ARENA]); // prettier-ignore
  const keyed = { when: 'true', action: 'rate' as const, keys: [at('http.host', 0)] };
  const cut = withRules(engine, [...filler(abi.MAX_EFFECTS - 1), keyed]).results({ url: 'http://h/' })[0]!;
  assert.deepEqual([cut.outcome, cut.reason], [abi.OUTCOME_LIMIT, abi.REASON_ARENA], 'its keys do not fit');
});
