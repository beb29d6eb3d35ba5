import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, type Answer } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { onEachTarget } from './targets.ts';

const NAMES = ['one', 'two', 'three', 'four'] as const;
const EJECTION_MS = 1000;
let origins: Record<(typeof NAMES)[number], Echo>;

const policy = async (): Promise<string> => {
  origins = Object.fromEntries(
    await Promise.all(NAMES.map(async (name) => [name, await startEcho(name)] as const)),
  ) as typeof origins;
  const { one, two, three, four } = origins;
  const pair = `endpoints: [{ url: ${one.url} }, { url: ${two.url} }]`;
  const all = `endpoints: [{ url: ${one.url} }, { url: ${two.url} }, { url: ${three.url} }, { url: ${four.url} }]`;
  const route = (path: string, backend: string, more = ''): string =>
    `  - { matches: [{ path: { type: PathPrefix, value: /${path} } }], backend: ${backend}${more} }`;
  return `
app: balancing
backends:
  weighted: { endpoints: [{ url: ${one.url}, weight: 3 }, { url: ${two.url}, weight: 1 }, { url: ${three.url}, weight: 0 }] }
  least: { ${pair}, loadBalancer: { type: LeastRequest } }
  by-header: { ${all}, loadBalancer: { type: ConsistentHash, header: x-user } }
  by-cookie: { ${all}, loadBalancer: { type: ConsistentHash, cookie: user } }
  by-address: { ${all}, loadBalancer: { type: ConsistentHash, address: true } }
  sticky: { ${all}, sessionPersistence: { cookie: sp_test, ttl: 1h } }
  ejecting: { ${pair}, health: { passive: { consecutive5xx: 2, baseEjectionTime: 60s, maxEjectionPercent: 50 }, panicThreshold: 0 } }
  recovering: { ${pair}, health: { passive: { consecutive5xx: 1, baseEjectionTime: ${EJECTION_MS}ms, maxEjectionTime: ${EJECTION_MS}ms, maxEjectionPercent: 50 }, panicThreshold: 0 } }
  panicking: { ${pair}, health: { passive: { consecutive5xx: 1, baseEjectionTime: 60s, maxEjectionPercent: 100 }, panicThreshold: 60 } }
  single: { url: ${four.url} }
  spare: { url: ${three.url} }
  nobody: { url: "http://127.0.0.1:1" }
routes:
${route('weighted', 'weighted')}
${route('least', 'least')}
${route('by-header', 'by-header')}
${route('by-cookie', 'by-cookie')}
${route('by-address', 'by-address')}
${route('sticky', 'sticky')}
${route('ejecting', 'ejecting')}
${route('recovering', 'recovering')}
${route('panicking', 'panicking')}
${route('budget', 'single', ', retry: { codes: [503], attempts: 3, backoff: 1ms, maxBackoff: 5ms, budget: 20%, minRetryRate: 0 }')}
${route('retry', 'single', ', retry: { codes: [503], attempts: 2, backoff: 1ms }')}
  - { matches: [{ path: { type: PathPrefix, value: /mirror } }], backend: single, filters: [{ requestMirror: { backend: spare } }, { requestMirror: { backend: nobody } }] }
`;
};

const teardown = async (): Promise<void> => {
  await Promise.all(Object.values(origins).map((origin) => origin.stop()));
};

onEachTarget('balancing', { policy, teardown }, (world) => {
  const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    ask(`${world.url}${path}`, { headers, agent: world.gateway.agent });
  const many = async (
    count: number,
    path: string | ((i: number) => string),
    headers: (i: number) => Record<string, string> = () => ({}),
  ): Promise<Answer[]> => {
    const answers: Answer[] = [];
    for (let from = 0; from < count; from += 20) {
      answers.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(20, count - from) }, (_, i) =>
            get(typeof path === 'string' ? path : path(from + i), headers(from + i)),
          ),
        )),
      );
    }
    return answers;
  };
  const tally = (answers: Answer[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const answer of answers) counts[answer.echo().backend] = (counts[answer.echo().backend] ?? 0) + 1;
    return counts;
  };

  test('weights of endpoints, and none for weight 0', async () => {
    const counts = tally(await many(400, '/weighted'));
    const band = 4 * Math.sqrt(400 * 0.75 * 0.25);
    assert.ok(Math.abs((counts['one'] ?? 0) - 300) <= band, JSON.stringify(counts));
    assert.equal((counts['one'] ?? 0) + (counts['two'] ?? 0), 400);
  });

  test('least request: an endpoint that is busy gets less', { timeout: 20_000 }, async () => {
    // Requests that hang keep one endpoint's count up; power of two choices then sees it lose each comparison.
    const held = new AbortController();
    const hanging = Array.from({ length: 6 }, () =>
      ask(`${world.url}/least/x?delay=3s`, { signal: held.signal }).catch(() => null),
    );
    const held6 = (name: 'one' | 'two'): number =>
      origins[name].received.filter((r) => r.path.startsWith('/least/x')).length;
    await Promise.race([
      origins.one.arrival(() => held6('one') + held6('two') === 6),
      origins.two.arrival(() => held6('one') + held6('two') === 6),
    ]);
    const busy = { one: held6('one'), two: held6('two') };
    // Six at once, one after another compared: three each.
    assert.deepEqual(busy, { one: 3, two: 3 });
    held.abort();
    await Promise.all(hanging);
  });

  test('consistent hash: one key, one endpoint; many keys spread', async () => {
    const placed = new Map<string, string>();
    const users = Array.from({ length: 60 }, (_, i) => `user-${i}`);
    for (const answer of await many(60, '/by-header', (i) => ({ 'X-User': users[i] as string })))
      placed.set(answer.echo().headers['x-user'] as string, answer.echo().backend);
    for (const answer of await many(60, '/by-header', (i) => ({ 'X-User': users[i] as string })))
      assert.equal(answer.echo().backend, placed.get(answer.echo().headers['x-user'] as string));
    assert.equal(new Set(placed.values()).size, 4, JSON.stringify([...placed]));
  });

  test('consistent hash by cookie and by address', async () => {
    assert.equal(Object.keys(tally(await many(12, '/by-cookie', () => ({ Cookie: 'x=1; user=ann; y=2' })))).length, 1);
    assert.ok(Object.keys(tally(await many(40, '/by-cookie', (i) => ({ Cookie: `user=u${i}` })))).length >= 3);
    assert.equal(Object.keys(tally(await many(12, '/by-address'))).length, 1);
  });

  test('stickiness: the cookie that the first answer sets keeps the client where it was', async () => {
    const seen = new Set<string>();
    for (let round = 0; round < 12; round++) {
      const first = await get('/sticky');
      const cookie = /^(sp_test=[^;]+);(.*)$/.exec(first.headers['set-cookie'] ?? '');
      assert.ok(cookie, JSON.stringify(first.headers));
      assert.match(cookie[2] as string, /HttpOnly/i);
      assert.doesNotMatch(cookie[1] as string, /127\.0\.0\.1/, 'names no address');
      seen.add(first.echo().backend);
      for (const answer of await many(3, '/sticky', () => ({ Cookie: `a=b; ${cookie[1]}` })))
        assert.equal(answer.echo().backend, first.echo().backend);
    }
    assert.ok(seen.size >= 2, [...seen].join());
    assert.equal((await get('/sticky', { Cookie: 'sp_test=nonsense' })).status, 200);
  });

  test('an endpoint that fails again and again is left out', { timeout: 20_000 }, async () => {
    // Both fail; at most half may be ejected, so one is left out and the other stays.
    for (const answer of await many(20, '/ejecting/status/500')) assert.equal(answer.status, 500);
    const counts = tally(await many(30, '/ejecting/ok'));
    assert.equal(Object.keys(counts).length, 1, JSON.stringify(counts));
  });

  test('after its time an ejected endpoint is used again', { timeout: 20_000 }, async () => {
    await many(4, '/recovering/status/500');
    assert.equal(Object.keys(tally(await many(12, '/recovering/ok'))).length, 1, 'one of two is out');
    await new Promise((resolve) => setTimeout(resolve, EJECTION_MS + 50));
    assert.equal(Object.keys(tally(await many(40, '/recovering/ok'))).length, 2);
  });

  test('with too few healthy endpoints ejection is ignored', { timeout: 20_000 }, async () => {
    await many(20, '/panicking/status/500');
    const counts = tally(await many(40, '/panicking/ok'));
    assert.equal(Object.keys(counts).length, 2, JSON.stringify(counts));
  });

  test('a retry budget holds when everything fails', { timeout: 20_000 }, async () => {
    const before = origins.four.received.length;
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => ask(`${world.url}/budget/x?responseCode=503&succeedAfter=1000&uuid=budget`)),
    );
    assert.ok(answers.every((answer) => answer.status === 503));
    const tries = origins.four.received.length - before;
    // 60 first tries and at most a fifth of that again; without a budget it would be 240.
    assert.ok(tries > 60 && tries <= 72, `${tries} tries`);
  });

  test('a body is sent again whole when a try fails', async () => {
    const answer = await ask(`${world.url}/retry/x?responseCode=503&succeedAfter=1&uuid=${Math.random()}`, {
      method: 'PUT',
      body: 'again and again',
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.echo().body.length, 15);
  });

  test('a mirror gets the body too, and its failure is nobody’s business', async () => {
    const plain = await ask(`${world.url}/mirror/plain`, { method: 'POST', body: 'twice' });
    assert.equal(plain.status, 200);
    assert.equal(plain.echo().backend, 'four');
    assert.equal(plain.echo().body.length, 5);
    const copy = await origins.three.arrival((r) => r.path === '/mirror/plain' && r.body.sha256 !== '');
    assert.equal(copy.body.length, 5);
  });
});
