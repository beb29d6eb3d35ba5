/** Rates: counted by what a rule says, over all processes, and told to clients. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { startGateway } from '../gateway.ts';
import { onEachTarget } from './targets.ts';

let echo: Echo;

const policy = async (): Promise<string> => {
  echo = await startEcho('web');
  return `
app: rates
backends: { web: { url: ${echo.url} } }
rules:
  - { name: by key, when: 'http.request.uri.path == "/key"', action: rate, rate: { requests: 3, per: 60s, by: [x-key] }, reason: slow down }
  - { name: by client, when: 'http.request.uri.path == "/client"', action: rate, rate: { requests: 2, per: 1h } }
  - { name: watched, when: 'http.request.uri.path == "/watched"', action: rate, rate: { requests: 1, per: 60s, by: [x-key] }, mode: log }
  - { name: by body, when: 'http.request.uri.path == "/body"', action: rate, rate: { requests: 1, per: 60s, by: ['lookup_json_string(http.request.body.raw, "user")'] } }
  - { name: short, when: 'http.request.uri.path == "/short"', action: rate, rate: { requests: 1, per: 1s, by: [x-key] } }
  - { name: outer, when: 'http.request.uri.path in {"/both" "/direct"}', action: rate, rate: { requests: 5, per: 60s, by: [x-key] } }
  - { name: inner, when: 'http.request.uri.path == "/both"', action: rate, rate: { requests: 1, per: 60s, by: [x-key, http.request.method] } }
routes:
  - { matches: [{ path: { type: Exact, value: /direct } }], filters: [{ directResponse: { status: 200, body: here, contentType: text/plain } }] }
  - backend: web
`;
};

let serial = 0;
/** A key that nobody has used. */
const key = (): { 'x-key': string } => ({ 'x-key': `key-${serial++}` });

onEachTarget('rates', { policy, teardown: () => echo.stop() }, (world) => {
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    ask(world.url + path, { headers, method });

  test('so many requests pass, and each says how many are left', async () => {
    const headers = key();
    for (const left of [2, 1, 0]) {
      const answer = await get('/key', headers);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['ratelimit-policy'], '"by key";q=3;w=60');
      assert.match(answer.headers['ratelimit'] ?? '', new RegExp(`^"by key";r=${left};t=(?:60|59|58)$`));
    }
    const before = echo.received.length;
    for (let i = 0; i < 5; i++) {
      const answer = await get('/key', headers);
      assert.equal(answer.status, 429);
      assert.equal(answer.headers['content-type'], 'application/problem+json');
      assert.match(answer.headers['retry-after'] ?? '', /^(?:60|5[0-9])$/);
      assert.match(answer.headers['ratelimit'] ?? '', /^"by key";r=0;t=/);
      assert.equal((JSON.parse(answer.text()) as { detail: string }).detail, 'slow down');
    }
    assert.equal(echo.received.length, before, 'nothing reaches the origin');
    assert.equal((await get('/key', key())).status, 200, 'another key has a window of its own');
    assert.equal((await get('/key')).status, 200, 'and so have requests without one');
    assert.equal((await get('/other', headers)).headers['ratelimit'], undefined);
  });

  test('the client is the default, and the log says which rule it was', async () => {
    for (const status of [200, 200, 429]) assert.equal((await get('/client')).status, status);
    const since = world.gateway.events.length;
    await get('/client');
    const event = await world.gateway.event(
      'access',
      (one) => one['path'] === '/client' && one['status'] === 429,
      since,
    );
    const [verdict] = event['verdict'] as Record<string, unknown>[];
    assert.deepEqual(
      [verdict?.['phase'], verdict?.['rule'], verdict?.['action'], verdict?.['status']],
      ['limit', 'by client', 'block', 429],
    );
  });

  test('at once: exactly as many as the window takes', async () => {
    const headers = key();
    const statuses = (await Promise.all(Array.from({ length: 24 }, () => get('/key', headers)))).map(
      (one) => one.status,
    );
    assert.equal(statuses.filter((status) => status === 200).length, 3);
    assert.equal(statuses.filter((status) => status === 429).length, 21);
  });

  test('mode log counts and refuses nothing', async () => {
    const headers = key();
    const since = world.gateway.events.length;
    for (let i = 0; i < 2; i++) {
      const answer = await get('/watched', headers);
      assert.deepEqual([answer.status, answer.headers['ratelimit']], [200, undefined]);
    }
    const lines = (event: { [field: string]: unknown }) => event['path'] === '/watched';
    const over = (event: { [field: string]: unknown }) => lines(event) && (event['verdict'] as unknown[]).length === 1;
    const second = await world.gateway.event('access', over, since);
    assert.equal(world.gateway.events.slice(since).filter(lines).length, 2);
    const [verdict] = second['verdict'] as Record<string, unknown>[];
    assert.deepEqual([verdict?.['rule'], verdict?.['status'], verdict?.['mode']], ['watched', 429, 'log']);
  });

  test('by a value of the body: the rule waits for it', async () => {
    const post = (user: string) =>
      ask(`${world.url}/body`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ user }),
      });
    const [one, two] = [`u${serial++}`, `u${serial++}`];
    assert.deepEqual([(await post(one)).status, (await post(one)).status, (await post(two)).status], [200, 429, 200]);
  });

  test('a window ends', async () => {
    const headers = key();
    assert.equal((await get('/short', headers)).status, 200);
    const { status, headers: told } = await get('/short', headers);
    assert.equal(status, 429);
    const wait = Number(told['retry-after']);
    assert.equal(wait, 1);
    await new Promise((resolve) => setTimeout(resolve, wait * 1000 + 50));
    assert.equal((await get('/short', headers)).status, 200);
  });

  test('two rates hold both, and several keys are one', async () => {
    const headers = key();
    assert.equal((await get('/both', headers)).headers['ratelimit-policy'], '"outer";q=5;w=60, "inner";q=1;w=60');
    assert.equal((await get('/both', headers, 'PUT')).status, 200);
    const refused = await get('/both', headers);
    assert.equal(refused.status, 429);
    assert.match(refused.headers['ratelimit'] ?? '', /^"outer";r=2;t=\d+, "inner";r=0;t=\d+$/);
  });

  test('an answer that needs no origin counts as any other', async () => {
    const headers = key();
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await get('/direct', headers)).status);
    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429]);
  });
});

test('several processes share their counts', { timeout: 90_000, skip: process.platform !== 'linux' }, async () => {
  const origin = await startEcho('web');
  const rules = `app: processes
backends: { web: { url: ${origin.url} } }
routes: [{ backend: web }]
rules: [{ name: ten, when: 'true', action: rate, rate: { requests: 10, per: 60s, by: [x-key] } }]
`;
  const gateway = await startGateway({ policy: rules, args: ['--workers', '3', '--agents', 'off'] });
  try {
    for (let round = 0; round < 4; round++) {
      const headers = { 'x-key': `round-${round}` };
      // Each on a connection of its own, which the kernel gives to any of them.
      const statuses = (await Promise.all(Array.from({ length: 30 }, () => ask(`${gateway.url}/`, { headers })))).map(
        (one) => one.status,
      );
      assert.equal(statuses.filter((status) => status === 200).length, 10);
      assert.equal(statuses.filter((status) => status === 429).length, 20);
    }
  } finally {
    await gateway.stop();
    await origin.stop();
  }
});
