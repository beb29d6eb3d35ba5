import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend, PassiveHealth } from '../plan.ts';
import { draw, pick, rendezvous } from './balance.ts';
import { cookieOf } from './cookie.ts';
import { endpointsOf } from './endpoints.ts';
import type { Exchange } from './exchange.ts';
import { note, usable } from './outlier.ts';
import { backoff, RetryBudget } from './retry.ts';
import { backend, endpoint } from './testing.ts';

const exchange = (headers: Record<string, string> = {}): Exchange =>
  ({
    request: { headers: new Headers(headers) },
    seen: { cookie: '' },
    result: { client: '192.0.2.1' },
    peer: '',
  }) as unknown as Exchange;
const pool = (weights: readonly number[], more: Partial<Backend> = {}): Backend =>
  backend(
    'pool',
    weights.map((weight, i) => endpoint(`http://10.0.0.${i + 1}`, { weight })),
    more,
  );

function shares(count: number, take: () => string): Map<string, number> {
  const found = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const one = take();
    found.set(one, (found.get(one) ?? 0) + 1);
  }
  return found;
}

test('backends are drawn by weight; weight 0 never', () => {
  const backends = [70, 30, 0].map((weight, index) => ({ backend: index, weight, filters: [] }));
  const found = shares(10_000, () => String(draw(backends)?.backend));
  assert.ok(Math.abs((found.get('0') ?? 0) - 7000) < 300, JSON.stringify([...found]));
  assert.equal(found.has('2'), false);
  assert.equal(draw([]), null);
  assert.equal(draw(backends.slice(2)), null);
  assert.equal(draw([backends[2]!, { backend: 3, weight: 0, filters: [] }]), null);
});

test('endpoints are drawn by weight, and tried ones avoided while there are others', () => {
  const source = pool([3, 1, 0]);
  const found = shares(8000, () => pick(exchange(), source, [])?.authority ?? '');
  assert.ok(Math.abs((found.get('10.0.0.1') ?? 0) - 6000) < 300, JSON.stringify([...found]));
  assert.equal(found.has('10.0.0.3'), false);
  const [first, second] = endpointsOf(pool([1, 1]));
  const two = pool([1, 1]);
  const states = endpointsOf(two);
  for (let i = 0; i < 50; i++) assert.equal(pick(exchange(), two, [states[0]!]), states[1]);
  assert.ok(pick(exchange(), two, [...states]) !== null);
  assert.ok(first !== undefined && second !== undefined);
});

test('least request: of two, the one with less to do', () => {
  const source = pool([1, 1], { balance: { type: 'LeastRequest' } });
  const states = endpointsOf(source);
  states[0]!.active = 5;
  for (let i = 0; i < 50; i++) assert.equal(pick(exchange(), source, []), states[1]);
});

test('rendezvous hashing: stable, spread by weight, and only the keys of a lost endpoint move', () => {
  const states = endpointsOf(pool([1, 1, 2, 1]));
  const keys = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);
  const before = keys.map((key) => rendezvous(states, key));
  assert.deepEqual(
    keys.map((key) => rendezvous(states, key)),
    before,
  );
  const count = (index: number): number => before.filter((state) => state === states[index]).length;
  assert.ok(Math.abs(count(2) - 4000) < 300, `${count(2)}`);
  assert.ok(Math.abs(count(0) - 2000) < 300, `${count(0)}`);
  const rest = states.filter((_, index) => index !== 1);
  keys.forEach((key, i) => {
    if (before[i] !== states[1]) assert.equal(rendezvous(rest, key), before[i]);
  });
});

test('a consistent hash without its key falls back to weights', () => {
  const source = pool([1, 1], { balance: { type: 'ConsistentHash', by: 'header', name: 'x-user' } });
  assert.equal(shares(200, () => pick(exchange(), source, [])?.authority ?? '').size, 2);
  assert.equal(shares(200, () => pick(exchange({ 'x-user': 'a' }), source, [])?.authority ?? '').size, 1);
});

test('cookies are found by their whole name', () => {
  assert.equal(cookieOf('a=1; sp=2; b=3', 'sp'), '2');
  assert.equal(cookieOf('xsp=1;  sp=2', 'sp'), '2');
  assert.equal(cookieOf('spx=1', 'sp'), '');
  assert.equal(cookieOf('sp', 'sp'), '');
  assert.equal(cookieOf('', 'sp'), '');
});

const health: PassiveHealth = {
  ...{ consecutive5xx: 3, consecutiveGatewayErrors: 2, baseEjectionTime: 1000, maxEjectionTime: 2500 },
  ...{ maxEjectionPercent: 50, panicThreshold: 50 },
};

test('an endpoint that fails in a row is ejected, for longer each time, and comes back', () => {
  const states = endpointsOf(pool([1, 1, 1, 1]));
  const bad = states[0]!;
  const fail = (times: number, status: number, now: number): void => {
    for (let i = 0; i < times; i++) note(bad, states, health, status, now);
  };
  fail(2, 500, 0);
  note(bad, states, health, 200, 0); // a success in between starts the count anew
  fail(2, 500, 0);
  assert.equal(bad.ejectedUntil, 0);
  fail(1, 500, 0);
  assert.equal(bad.ejectedUntil, 1000);
  assert.deepEqual(usable(states, health, 999), states.slice(1));
  assert.deepEqual(usable(states, health, 1000), states);
  fail(2, 0, 1000);
  assert.equal(bad.ejectedUntil, 3000);
  fail(2, 503, 3000);
  assert.equal(bad.ejectedUntil, 5500, 'never longer than the longest');
});

test('no more than the percentage is ejected; below the panic threshold all are used; the only one stays', () => {
  const states = endpointsOf(pool([1, 1, 1, 1]));
  for (const state of states) for (let i = 0; i < 3; i++) note(state, states, health, 500, 0);
  assert.equal(states.filter((state) => state.ejectedUntil > 0).length, 2);
  assert.equal(usable(states, health, 1).length, 2);
  states[2]!.ejectedUntil = 10;
  assert.equal(usable(states, health, 1).length, 4, 'one of four is below 50 percent');
  const only = endpointsOf(pool([1]));
  for (let i = 0; i < 9; i++) note(only[0]!, only, health, 500, 0);
  assert.equal(only[0]!.ejectedUntil, 0);
});

test('endpoints of weight 0 count neither as healthy nor as company', () => {
  const some = backend('b', [endpoint('http://10.0.0.1'), endpoint('http://10.0.0.2', { weight: 0 })], {
    health: {
      ...{ consecutive5xx: 1, consecutiveGatewayErrors: 0, baseEjectionTime: 60_000, maxEjectionTime: 60_000 },
      ...{ maxEjectionPercent: 100, panicThreshold: 50 },
    },
  });
  const [state] = endpointsOf(some);
  assert.ok(state !== undefined && some.health !== null);
  note(state, endpointsOf(some), some.health, 500, Date.now());
  assert.equal(pick({ seen: { cookie: '' } } as never, some, []), state);
});

test('the retry budget: a floor, then a share of the requests of the window', () => {
  const plan = { codes: [], attempts: 1, backoff: 10, backoffMax: 25, budget: 20, budgetMin: 1 };
  const budget = new RetryBudget();
  const taken = (now: number): number => {
    let n = 0;
    while (n < 1000 && budget.take(plan, now)) n++;
    return n;
  };
  assert.equal(taken(1_000_000), 10, 'one a second over ten seconds');
  for (let i = 0; i < 100; i++) budget.request(1_000_000);
  assert.equal(taken(1_000_000), 10, '20 percent of 100, less those taken');
  assert.equal(taken(1_100_000), 10, 'a later window starts anew');
});

test('back-off doubles to its maximum, with jitter', () => {
  const plan = { codes: [], attempts: 9, backoff: 10, backoffMax: 25, budget: 20, budgetMin: 1 };
  for (const [attempt, base] of [
    [1, 10],
    [2, 20],
    [3, 25],
    [30, 25],
  ] as const)
    for (let i = 0; i < 20; i++) {
      const wait = backoff(plan, attempt);
      assert.ok(wait >= base / 2 && wait <= base, `${attempt}: ${wait}`);
    }
});
