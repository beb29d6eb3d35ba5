import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { onEachTarget } from './targets.ts';

let origins: { web: Echo; next: Echo };

const policy = async (): Promise<string> => {
  const [web, next] = await Promise.all([startEcho('web'), startEcho('next')]);
  origins = { web, next };
  return `
app: rules
body: { limit: 4KB, over: reject }
lists: { office: [192.0.2.0/24], words: [alpha, beta] }
backends: { web: { url: ${web.url} }, next: { url: ${next.url} } }
inspect: { mode: enforce, forbidden: [x-debug], maxLength: 4000, lengths: { referer: 100 } }
rules:
  - { name: sqli, when: 'http.request.uri.query matches "(?i)union.{1,20}select"', action: block, reason: that looks like SQL }
  - { name: admin, when: 'http.request.uri.path contains "/admin" and not ip.src in $office', action: block, status: 451 }
  - { name: watched, when: 'http.request.uri.path eq "/watched"', action: block, mode: log }
  - { name: shut, when: 'http.request.uri.path eq "/shut"', action: block, mode: "off" }
  - { name: friend, when: 'any(http.request.headers["x-friend"][*] eq "yes")', action: skip, skip: { rules: [strict], phases: [inspect] } }
  - { name: strict, when: 'http.request.uri.path eq "/strict"', action: block }
  - { name: moved, when: 'starts_with(http.request.uri.path, "/old/")', action: redirect, redirect: { location: 'concat("https://new.test", http.request.uri.path)', status: 308, preserveQuery: true } }
  - { name: tagged, when: 'http.request.uri.path wildcard "/v1/*"', action: rewrite, rewrite: { path: 'regex_replace(http.request.uri.path, "^/v1/", "/v2/")', headers: { set: { x-tag: 'lower(http.host)' }, remove: [x-old] } } }
  - { name: beta, when: 'any(http.request.cookies["beta"][*] in $words)', action: route, route: { backend: next } }
  - { name: bot, when: 'agent.name eq "GPTBot"', action: block, status: 402 }
  - { name: secret-body, when: 'http.request.body.raw contains "open sesame"', action: block }
  - { name: leak, when: 'http.response.code eq 500 and any(http.response.headers["content-type"][*] contains "json")', action: block, status: 502, reason: hidden }
routes: [{ backend: web }]
`;
};

const teardown = async (): Promise<void> => {
  await Promise.all([origins.web.stop(), origins.next.stop()]);
};

onEachTarget('rules', { policy, teardown }, (world) => {
  test('block: the request never reaches the origin, and the answer says why', async () => {
    const before = origins.web.received.length;
    const answer = await ask(`${world.url}/?q=1%27%20UNION%20SELECT%20password%20FROM%20users--`);
    assert.equal(answer.status, 403);
    assert.match(answer.text(), /that looks like SQL/);
    assert.match(answer.headers['proxy-status'] ?? '', /error=http_request_denied/);
    assert.equal((await ask(`${world.url}/?q=1'+UNION+SELECT+1`)).status, 403);
    assert.equal((await ask(`${world.url}/?q=reunion`)).status, 200);
    assert.equal(origins.web.received.length, before + 1);
  });

  test('block with a status of its own, on the canonical path', async () => {
    for (const path of ['/admin', '/x/%61dmin', '/x/../admin'])
      assert.equal((await ask(`${world.url}${path}`)).status, 451, path);
  });

  test('log decides nothing and is in the access log; off is silent', async () => {
    const since = world.gateway.events.length;
    assert.equal((await ask(`${world.url}/watched`)).status, 200);
    assert.equal((await ask(`${world.url}/shut`)).status, 200);
    const watched = JSON.stringify(
      await world.gateway.event('access', (event) => JSON.stringify(event).includes('"/watched"'), since),
    );
    assert.match(watched, /"rule":"watched"/);
    const shut = JSON.stringify(
      await world.gateway.event('access', (event) => JSON.stringify(event).includes('"/shut"'), since),
    );
    assert.doesNotMatch(shut, /"rule":"shut"/);
  });

  test('a blocked request names rule and phase in the access log', async () => {
    const since = world.gateway.events.length;
    await ask(`${world.url}/logged?q=union+select`, { headers: { authorization: 'Bearer super-secret-token' } });
    const line = JSON.stringify(
      await world.gateway.event('access', (event) => JSON.stringify(event).includes('/logged'), since),
    );
    assert.match(line, /"rule":"sqli"/);
    assert.match(line, /403/);
    assert.doesNotMatch(line, /super-secret-token/);
  });

  test('skip leaves out rules and the inspection', async () => {
    assert.equal((await ask(`${world.url}/strict`)).status, 403);
    assert.equal((await ask(`${world.url}/strict`, { headers: { 'x-friend': 'yes' } })).status, 200);
  });

  test('inspection: forbidden and too long headers', async () => {
    assert.equal((await ask(`${world.url}/`, { headers: { 'X-Debug': '1' } })).status, 400);
    assert.equal((await ask(`${world.url}/`, { headers: { referer: `http://x/${'a'.repeat(200)}` } })).status, 431);
    assert.equal((await ask(`${world.url}/`, { headers: { 'x-long': 'a'.repeat(4100) } })).status, 431);
    assert.equal(
      (await ask(`${world.url}/`, { headers: { referer: 'http://x/', 'x-long': 'a'.repeat(3900) } })).status,
      200,
    );
  });

  test('redirect with a computed location', async () => {
    const answer = await ask(`${world.url}/old/page?a=1`);
    assert.equal(answer.status, 308);
    assert.equal(answer.headers['location'], 'https://new.test/old/page?a=1');
  });

  test('rewrite of path and headers', async () => {
    const seen = (
      await ask(`${world.url}/v1/things?x=1`, { host: 'RULES.test', headers: { 'X-Old': '1', 'X-Tag': 'forged' } })
    ).echo();
    assert.equal(seen.path, '/v2/things?x=1');
    assert.equal(seen.headers['x-tag'], 'rules.test');
    assert.equal(seen.headers['x-old'], undefined);
  });

  test('route to another backend', async () => {
    assert.equal((await ask(`${world.url}/`, { headers: { cookie: 'a=1; beta=alpha' } })).echo().backend, 'next');
    assert.equal((await ask(`${world.url}/`, { headers: { cookie: 'a=1; beta=gamma' } })).echo().backend, 'web');
  });

  test('agents by user-agent', async () => {
    assert.equal(
      (
        await ask(`${world.url}/`, {
          headers: { 'user-agent': 'Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)' },
        })
      ).status,
      402,
    );
    assert.equal(
      (await ask(`${world.url}/`, { headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' } }))
        .status,
      200,
    );
  });

  test('bodies are held, judged and forwarded whole', async () => {
    const fine = await ask(`${world.url}/form`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'say=open+the+door',
    });
    assert.equal(fine.status, 200);
    assert.equal(fine.echo().body.length, 17);
    assert.equal(fine.echo().headers['content-length'], '17');
    const before = origins.web.received.length;
    assert.equal(
      (
        await ask(`${world.url}/form`, {
          method: 'POST',
          headers: { 'content-type': 'text/plain' },
          body: 'now open sesame please',
        })
      ).status,
      403,
    );
    assert.equal(origins.web.received.length, before);
  });

  test('a form over the limit is refused; other types are judged by their beginning and go on whole', async () => {
    assert.equal(
      (
        await ask(`${world.url}/form`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify('x'.repeat(6000)),
        })
      ).status,
      413,
    );
    const big = await ask(`${world.url}/blob`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: 'y'.repeat(60_000),
    });
    assert.equal(big.status, 200);
    assert.equal(big.echo().body.length, 60_000);
    assert.equal(
      (
        await ask(`${world.url}/blob`, {
          method: 'POST',
          headers: { 'content-type': 'application/octet-stream' },
          body: 'open sesame' + 'y'.repeat(60_000),
        })
      ).status,
      403,
    );
  });

  test('a compressed body is judged inflated and forwarded as it was', async () => {
    const bad = gzipSync('open sesame');
    assert.equal(
      (
        await ask(`${world.url}/form`, {
          method: 'POST',
          headers: { 'content-type': 'text/plain', 'content-encoding': 'gzip' },
          body: bad,
        })
      ).status,
      403,
    );
    const good = gzipSync('closed');
    const answer = await ask(`${world.url}/form`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', 'content-encoding': 'gzip' },
      body: good,
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.echo().body.length, good.length);
    const bomb = gzipSync(Buffer.alloc(5_000_000));
    assert.notEqual(
      (
        await ask(`${world.url}/form`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
          body: bomb,
        })
      ).status,
      200,
    );
    assert.equal(
      (
        await ask(`${world.url}/form`, {
          method: 'POST',
          headers: { 'content-type': 'text/plain', 'content-encoding': 'x-odd' },
          body: 'abc',
        })
      ).status,
      415,
    );
  });

  test('a response is judged before the client sees it', async () => {
    const hidden = await ask(`${world.url}/status/500`);
    assert.equal(hidden.status, 502);
    assert.match(hidden.text(), /hidden/);
    assert.equal((await ask(`${world.url}/status/503`)).status, 503);
  });
});
