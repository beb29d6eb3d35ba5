/** The WAF over real sockets: thresholds, levels, phases, exclusions, bodies, answers, evidence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ask, type Answer, type Options } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import type { GatewayEvent } from '../gateway.ts';
import { indented, SCORING } from '../support/scoring.ts';
import { onEachTarget } from './targets.ts';

let origin: Echo;

/** Routes by their first path segment, each with what its `waf:` says differently. */
const ROUTES: Readonly<Record<string, string>> = {
  pl2: 'paranoia: { blocking: 2 }',
  pl34: 'paranoia: { blocking: 3, detection: 4 }',
  detect: 'paranoia: { blocking: 1, detection: 4 }',
  eight: 'thresholds: { inbound: 8 }',
  log: 'mode: log',
  off: 'mode: "off"',
  early: 'variables: { early_blocking: 1 }, response: { inspect: true }',
  answers: 'response: { inspect: true, limit: 4KB }',
  tolerant: 'response: { inspect: true }, thresholds: { outbound: 6 }',
  rule: 'exclude: [{ rule: 201 }]',
  range: 'exclude: [{ range: 200-210, target: "ARGS:q" }]',
  tag: 'exclude: [{ tag: words, target: "ARGS:/^free_/" }, { tag: "/^cook/" }]',
  message: `exclude: [{ message: "/^word of/", when: 'any(http.request.headers["x-team"][*] eq "red")' }]`,
  target: 'exclude: [{ target: "REQUEST_COOKIES:session" }]',
  prefix: 'body: { limit: 64B, over: inspect-prefix }',
  half: 'sampling: 50%',
};

const policy = async (): Promise<string> => {
  origin = await startEcho('web');
  const routes = Object.entries(ROUTES).map(
    ([name, waf]) => `  - { name: ${name}, matches: [{ path: { value: /${name} } }], backend: web, waf: { ${waf} } }`,
  );
  return `
app: waf
backends: { web: { url: ${origin.url} } }
waf:
  ruleset: none
  body: { limit: 8KB }
  secLang: |
${indented(SCORING, 4)}
rules:
  - { name: trusted, when: 'any(http.request.headers["x-trusted"][*] eq "yes")', action: skip, skip: { phases: [waf] } }
routes:
${routes.join('\n')}
  - { name: rest, backend: web }
`;
};

onEachTarget('waf', { policy, teardown: () => origin.stop() }, (world) => {
  const get = async (path: string, options: Options = {}): Promise<Answer> => {
    const since = world.gateway.events.length;
    const answer = await ask(`${world.url}${path}`, options);
    // Its line may come after the answer: the next request must not take it for its own.
    await world.gateway.event('access', () => true, since);
    return answer;
  };
  const status = async (path: string, options: Options = {}): Promise<number> => (await get(path, options)).status;
  const form = (body: string | Buffer, more: Record<string, string> = {}): Options => ({
    method: 'POST',
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...more },
  });
  /** The answer, and what the access log says of it: a segment of the path, behind that of the route, is its name there. */
  let count = 0;
  const logged = async (path: string, options: Options = {}): Promise<{ status: number; event: GatewayEvent }> => {
    const name = `u${++count}`;
    const answer = await get(
      path.replace(/^(\/[^/?]*)/, (first) => (first === '/' ? `/${name}` : `${first}/${name}`)),
      options,
    );
    const event = await world.gateway.event('access', (one) => String(one['path']).split('/').includes(name));
    return { status: answer.status, event };
  };
  const rulesOf = (event: GatewayEvent): number[] =>
    ((event['waf'] as { events?: { rule: number }[] } | undefined)?.events ?? []).map(({ rule }) => rule);

  test('a request that scores the threshold goes nowhere; one below it passes', async () => {
    const before = origin.received.length;
    assert.equal(await status('/?q=p1'), 403);
    assert.equal(await status('/?q=warn&r=note'), 403);
    assert.equal(origin.received.length, before);
    assert.equal(await status('/?q=warn'), 200);
    assert.equal(await status('/?q=note&r=note'), 200, 'four points');
    assert.equal(await status('/?q=hello'), 200);
    assert.equal(origin.received.length, before + 3);
    assert.equal(await status('/eight?q=p1'), 200);
    assert.equal(await status('/eight?q=p1&r=warn'), 403);
    assert.equal(await status('/eight?q=p1&r=note'), 200, 'seven points');
  });

  test('transformations of the rules undo encodings', async () => {
    assert.equal(await status('/?q=%70%31'), 403);
    assert.equal(await status('/?q=%2570%2531'), 403);
    assert.equal(await status('/?q=xp1x'), 200, 'no word of its own');
  });

  test('levels: up to blocking they count, up to detection they are seen', async () => {
    const seen = async (path: string): Promise<[number, number[]]> => {
      const { status: code, event } = await logged(path);
      return [code, rulesOf(event).filter((rule) => rule < 300)];
    };
    const all = '?a=p1&b=p2&c=p3&d=p4';
    assert.deepEqual(await seen(`/${all}`), [403, [201]]);
    assert.deepEqual(await seen('/?b=p2&c=p3&d=p4'), [200, []]);
    assert.deepEqual(await seen(`/pl2${all}`), [403, [201, 202]]);
    assert.deepEqual(await seen('/pl2?b=p2'), [403, [202]]);
    assert.deepEqual(await seen('/pl2?c=p3'), [200, []]);
    assert.deepEqual(await seen('/pl34?d=p4'), [200, [204]]);
    assert.deepEqual(await seen('/pl34?c=p3'), [403, [203]]);
    assert.deepEqual(await seen('/detect?b=p2&c=p3&d=p4'), [200, [202, 203, 204]]);
    assert.deepEqual(await seen('/detect?a=p1'), [403, [201]]);
    const scores = async (path: string): Promise<unknown[]> => {
      const { inbound, outbound, detection } = (await logged(path)).event['waf'] as Record<string, unknown>;
      return [inbound, outbound, detection];
    };
    assert.deepEqual(await scores('/detect?a=note&b=p2&c=p3'), [2, 0, { inbound: 12, outbound: 0 }]);
    assert.deepEqual(await scores('/pl2?a=note&b=p2'), [7, 0, undefined], 'one level: one score');
  });

  test('mode log lets everything through and says what would have been; off says nothing', async () => {
    const { event, status: code } = await logged('/log?q=p1');
    assert.equal(code, 200);
    const [verdict] = event['verdict'] as Record<string, unknown>[];
    assert.deepEqual(
      [verdict!['action'], verdict!['mode'], verdict!['phase'], verdict!['rule']],
      ['block', 'log', 'waf', '320'],
    );
    assert.equal((event['waf'] as Record<string, unknown>)['blocked'], true);
    const silent = await logged('/off?q=p1');
    assert.deepEqual([silent.status, 'waf' in silent.event], [200, false]);
  });

  test('a rule of the policy can leave the WAF out', async () => {
    const trusted = { headers: { 'x-trusted': 'yes' } };
    assert.deepEqual([await status('/?q=p1', trusted), await status('/?q=p1')], [200, 403]);
    const body = form('q=p1', { 'x-trusted': 'yes' });
    assert.deepEqual([await status('/', body), await status('/', form('q=p1'))], [200, 403]);
    assert.equal(await status('/answers/anything?leak-1=1', trusted), 200);
  });

  test('sampling looks at a share of the requests', async () => {
    // One of the two would be missing once in 2^63 runs.
    const seen = await Promise.all(Array.from({ length: 64 }, () => status('/half?q=p1')));
    assert.deepEqual([...new Set(seen)].sort(), [200, 403]);
  });

  test('early blocking ends a request in phase 1, before its body has been read', async () => {
    const early = { headers: { 'x-word': 'early' } };
    assert.equal(await status('/early', early), 403);
    assert.equal(await status('/', early), 403, 'late: in phase 2');
    const posted = { method: 'POST', headers: { ...early.headers, 'content-type': 'text/plain' }, body: 'x' };
    assert.deepEqual(rulesOf((await logged('/early', posted)).event), [212, 310]);
    assert.deepEqual(rulesOf((await logged('/', posted)).event), [212, 320]);
  });

  test('exclusions by rule, range, tag, message, and target alone', async () => {
    assert.deepEqual([await status('/rule?q=p1'), await status('/rule?q=warn&r=note')], [200, 403]);
    assert.deepEqual([await status('/range?q=p1'), await status('/range?r=p1')], [200, 403]);
    assert.deepEqual([await status('/tag?free_x=p1'), await status('/tag?x_free=p1')], [200, 403]);
    assert.deepEqual(
      [await status('/tag', { headers: { cookie: 'a=p1' } }), await status('/', { headers: { cookie: 'a=p1' } })],
      [200, 403],
    );
    const team = (name: string): Options => ({ headers: { 'x-team': name } });
    assert.deepEqual(
      [await status('/message?q=p1', team('red')), await status('/message?q=p1', team('blue'))],
      [200, 403],
    );
    assert.equal(await status('/message?q=warn&r=note', team('red')), 403, 'other messages');
    assert.equal(await status('/target', { headers: { cookie: 'session=p1' } }), 200);
    assert.equal(await status('/target', { headers: { cookie: 'other=p1' } }), 403);
    assert.equal(await status('/target?session=p1'), 403, 'another collection');
  });

  test('bodies are judged before a byte reaches the origin, and forwarded as they were', async () => {
    const before = origin.received.length;
    assert.equal(await status('/', form('q=p1')), 403);
    assert.equal(await status('/', form(gzipSync('q=p1'), { 'content-encoding': 'gzip' })), 403);
    assert.equal(
      await status('/', {
        method: 'POST',
        body: '{"a":{"b":["x","p1"]}}',
        headers: { 'content-type': 'application/json' },
      }),
      403,
    );
    const boundary = '--b\r\ncontent-disposition: form-data; name="q"\r\n\r\np1\r\n--b--\r\n';
    assert.equal(
      await status('/', {
        method: 'POST',
        body: boundary,
        headers: { 'content-type': 'multipart/form-data; boundary=b' },
      }),
      403,
    );
    assert.equal(origin.received.length, before);
    const packed = gzipSync('q=hello');
    const passed = await get('/anything', form(packed, { 'content-encoding': 'gzip' }));
    assert.equal(passed.status, 200);
    assert.equal(passed.echo().body.length, packed.length);
    assert.equal(await status('/', form(`q=${'x'.repeat(9000)}`)), 413);
    assert.equal(await status('/', form('x', { 'content-encoding': 'zstd' })), 415);
    assert.equal(await status('/prefix', form(`q=${'x'.repeat(100)}&r=p1`)), 200, 'behind the prefix');
    assert.equal(await status('/prefix', form(`r=p1&q=${'x'.repeat(100)}`)), 403);
  });

  test('an upload: contents of files do not count and are not looked at, its fields are', async () => {
    const upload = (field: string): Options => ({
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      body: `--b\r\ncontent-disposition: form-data; name="f"; filename="a.bin"\r\n\r\n${'p1 '.repeat(20_000)}\r\n--b\r\ncontent-disposition: form-data; name="q"\r\n\r\n${field}\r\n--b--\r\n`,
    });
    const passed = await get('/anything', upload('hello'));
    assert.deepEqual([passed.status, passed.echo().body.length], [200, upload('hello').body!.length]);
    assert.equal(await status('/anything', upload('p1')), 403, 'a field behind the file');
  });

  test('a blocked answer is replaced as a whole', async () => {
    const leak = await get('/answers/anything?leak-1=1', {
      headers: { 'x-echo-set-header': 'x-origin:1, set-cookie:a=b' },
    });
    assert.equal(leak.status, 403);
    assert.doesNotMatch(leak.text(), /leak-1/);
    assert.deepEqual([leak.headers['x-origin'], leak.headers['set-cookie']], [undefined, undefined]);
    assert.match(leak.headers['content-type'] ?? '', /problem\+json/);
    assert.match(leak.headers['proxy-status'] ?? '', /error=http_request_denied/);
    const passed = await get('/answers/anything?x=1', { headers: { 'x-echo-set-header': 'x-origin:1' } });
    assert.deepEqual([passed.status, passed.headers['x-origin']], [200, '1']);
    assert.equal(await status('/anything?leak-1=1'), 200, 'answers are looked at only where the policy says so');
  });

  test('thresholds and early blocking of answers', async () => {
    assert.equal(await status('/tolerant/anything?leak-1=1'), 200, 'four points');
    assert.equal(await status('/answers/status/500?x=1'), 403, 'five points');
    assert.equal(await status('/tolerant/status/500?x=1'), 500);
    const early = await logged('/early/status/500?x=1');
    assert.deepEqual([early.status, rulesOf(early.event)], [403, [401, 410]]);
    assert.deepEqual(rulesOf((await logged('/answers/status/500?x=1')).event), [401, 420]);
  });

  test('evidence: what matched, where, after what, and never a secret', async () => {
    const { event } = await logged('/?q=%70%31');
    const { events, inbound, ruleset, mode } = event['waf'] as {
      events: Record<string, unknown>[];
      inbound: number;
      ruleset: string;
      mode: string;
    };
    assert.deepEqual([inbound, ruleset, mode], [5, 'none', 'enforce']);
    assert.deepEqual(events[0], {
      ...{ rule: 201, phase: 2, message: 'word of level 1', severity: 'CRITICAL', tags: ['words', 'paranoia-level/1'] },
      ...{ score: 5, target: 'ARGS:q', matched: 'p1', transformations: ['urlDecodeUni'] },
    });
    const secret = await logged('/?password=p1');
    assert.equal(secret.status, 403);
    assert.match(JSON.stringify(secret.event), /ARGS:password.*\[redacted, \d+ bytes\]/);
    const body = await logged('/', form('comment=p1'));
    assert.match(JSON.stringify(body.event['waf']), /ARGS:comment.*redacted/);
    assert.equal(typeof event['id'], 'string');
  });
});
