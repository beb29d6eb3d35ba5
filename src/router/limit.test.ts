import type { ObjectNamespace } from '../durable-object.ts';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ACTION_BLOCK,
  ACTION_CHALLENGE,
  ACTION_RATE,
  EFFECT_RULE,
  EFFECT_VALUE,
  MODE_ENFORCE,
  MODE_LOG,
  VALUE_KEY,
} from '../../assembly/abi.ts';
import { RateLimiter } from '../agents/rate-limiter.ts';
import { objectStorage } from '../../test/support/object-storage.ts';
import type { RatePlan, RulePlan } from '../plan.ts';
import type { Effect } from '../waf/engine.ts';
import { action, backend, plan, run, type RunOptions } from './testing.ts';

const BARE = { mode: 'enforce', backend: -1, headers: [], removeHeaders: [], preserveQuery: false } as const;
const RATE: RatePlan = { requests: 2, seconds: 60, policy: 'few', by: ['x-key', 'y'], onError: 'closed' };
const rate = (more: Partial<RatePlan> = {}, name = 'few'): RulePlan =>
  ({ ...BARE, name, action: 'rate', status: 429, reason: 'too many', rate: { ...RATE, ...more } }) as const;
const challenge: RulePlan = { ...BARE, name: 'odd', action: 'challenge', status: 403, reason: 'for browsers' };

const none = { b: 0, value: '' };
const matched = (index: number, a: number, mode = MODE_ENFORCE): Effect => ({ kind: EFFECT_RULE, index, mode, a, ...none }) as Effect; // prettier-ignore
const keyed = (index: number, b: number, value: string): Effect => ({ kind: EFFECT_VALUE, index, mode: MODE_ENFORCE, a: VALUE_KEY, b, value }) as Effect; // prettier-ignore

function limiter(): { readonly asked: string[]; readonly namespace: ObjectNamespace } {
  const asked: string[] = [];
  const object = new RateLimiter({ storage: objectStorage() });
  return {
    asked,
    namespace: {
      idFromName: (name) => name,
      get: () => ({ fetch: (url) => (asked.push(new URL(url).pathname), object.fetch({ url })) }),
    },
  };
}

let serial = 0;
/** An app of its own for each test: isolates remember what is used up. */
const policyOf = (rules: readonly RulePlan[]) => {
  const app = `limits ${serial++}`;
  return plan({ '/': action() }, [backend('web', ['http://10.0.0.1:81'])], { app, rules });
};
const ask = (
  source: ReturnType<typeof policyOf>,
  effects: readonly Effect[],
  options: RunOptions = {},
  init: RequestInit = {},
) => run(source, '/a', init, { head: (result) => ({ ...result, effects }) }, options);

describe('limit', () => {
  test('keys are the values of the effects, in their order; one that is missing is empty', async () => {
    const source = policyOf([rate()]);
    const { namespace, asked } = limiter();
    const options = { limiter: namespace };
    const statusOf = async (...keys: Effect[]) =>
      (await ask(source, [matched(0, ACTION_RATE), ...keys], options)).response.status;
    const one = [keyed(0, 1, 'b'), keyed(0, 0, 'a')];
    assert.deepEqual([await statusOf(...one), await statusOf(...one), await statusOf(...one)], [200, 200, 429]);
    assert.equal(await statusOf(keyed(0, 0, 'a')), 200);
    assert.equal(await statusOf(keyed(0, 0, 'b'), keyed(0, 1, 'a')), 200);
    assert.equal(await statusOf(keyed(1, 0, 'a'), keyed(1, 1, 'b')), 200, 'values of another rule are not its own');
    assert.equal(new Set(asked).size, 4);
  });

  test('where nobody counts, onError decides, and the log says so', async () => {
    const broken: ObjectNamespace = {
      idFromName: (name) => name,
      get: () => ({ fetch: () => Promise.reject(new Error('down')) }),
    };
    for (const options of [{}, { limiter: broken }]) {
      const closed = await ask(policyOf([rate()]), [matched(0, ACTION_RATE)], options);
      assert.equal(closed.response.status, 503);
      assert.equal(closed.response.headers.get('retry-after'), '1');
      assert.deepEqual(closed.sent, []);
      const open = await ask(policyOf([rate({ onError: 'open' })]), [matched(0, ACTION_RATE)], options);
      assert.deepEqual([open.response.status, open.response.headers.get('ratelimit')], [200, null]);
      assert.match(open.lines[0] ?? '', /could not be counted/);
      const logged = await ask(policyOf([rate()]), [matched(0, ACTION_RATE, MODE_LOG)], options);
      assert.equal(logged.response.status, 200);
    }
  });

  test('a rate comes before a challenge, whatever stands first; a rule that blocks before both', async () => {
    const source = policyOf([
      challenge,
      rate({ requests: 1 }),
      { ...BARE, name: 'no', action: 'block', status: 451, reason: 'no' },
    ]);
    const { namespace, asked } = limiter();
    const both = [matched(0, ACTION_CHALLENGE), matched(1, ACTION_RATE)];
    const options = { limiter: namespace };
    assert.equal((await ask(source, both, options)).response.status, 403);
    assert.equal((await ask(source, both, options)).response.status, 429);
    const before = asked.length;
    const blocked = await run(source, '/a', {}, { head: (result) => ({ ...result, effects: [...both, matched(2, ACTION_BLOCK)], terminal: ACTION_BLOCK, rule: 2 }) }, options); // prettier-ignore
    assert.equal(blocked.response.status, 451);
    assert.equal(asked.length, before, 'nothing is counted of what is refused anyway');
  });

  test('a challenge without its secret refuses everybody', async () => {
    const down: ObjectNamespace = {
      idFromName: (name) => name,
      get: () => ({ fetch: () => Promise.resolve(new Response(null, { status: 500 })) }),
    };
    // In a process of its own the secret would be known from the test before: it is asked for once.
    const { challengeKey } = await import(`../agents/challenge-secret.ts?${serial}`) as typeof import('../agents/challenge-secret.ts'); // prettier-ignore
    await assert.rejects(challengeKey(down), /can not be had: 500/);
    const { namespace } = limiter();
    const key = await challengeKey(namespace);
    assert.equal(key, await challengeKey(down), 'once it is known nobody is asked');
  });

  test('what programs alone read is not challenged', async () => {
    const { namespace } = limiter();
    const statusOf = async (path: string) => (await run(policyOf([challenge]), path, {}, { head: (result) => ({ ...result, effects: [matched(0, ACTION_CHALLENGE)] }) }, { limiter: namespace })).response.status; // prettier-ignore
    for (const path of ['/robots.txt', '/.well-known/acme-challenge/x']) assert.equal(await statusOf(path), 200, path);
    // Origins read some of these as a way up.
    for (const path of [
      '/',
      '/robots.txt/x',
      '/a/robots.txt',
      '/.well-known',
      '/.well-known/..%2fa',
      '/.well-known/..;/a',
      '/.well-known/..%5ca',
    ])
      // prettier-ignore
      assert.equal(await statusOf(path), 403, path);
  });

  test('what names nothing that can be settled lets nobody pass', async () => {
    const source = policyOf([{ ...BARE, name: 'bare', action: 'rate', status: 429, reason: '' }]);
    assert.equal((await ask(source, [matched(0, ACTION_RATE)])).response.status, 503);
  });
});
