import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ask, begin, collect, type Answer } from '../client.ts';
import type { IncomingMessage } from 'node:http';
import { startEcho, type Echo } from '../echo.ts';
import { startRawOrigin, type RawOrigin } from '../raw.ts';
import { onEachTarget } from './targets.ts';

let echo: Echo;
let odd: RawOrigin;
let garbage: RawOrigin;
let hints: RawOrigin;

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const policy = async (): Promise<string> => {
  [echo, odd, garbage, hints] = await Promise.all([
    startEcho('web'),
    startRawOrigin('HTTP/1.1 999 Odd\r\ncontent-length: 3\r\n\r\nodd'),
    startRawOrigin('SSH-2.0-OpenSSH_9\r\n\r\n'),
    startRawOrigin(
      'HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    ),
  ]);
  return `
app: failures
backends:
  web: { url: ${echo.url} }
  refused: { url: "http://127.0.0.1:${await closedPort()}" }
  odd: { url: ${odd.url} }
  garbage: { url: ${garbage.url} }
  hints: { url: ${hints.url} }
routes:
  - { matches: [{ path: { type: PathPrefix, value: /refused } }], backend: refused }
  - { matches: [{ path: { type: PathPrefix, value: /odd } }], backend: odd }
  - { matches: [{ path: { type: PathPrefix, value: /garbage } }], backend: garbage }
  - { matches: [{ path: { type: PathPrefix, value: /hints } }], backend: hints }
  - { matches: [{ path: { type: PathPrefix, value: /slow } }], backend: web, timeouts: { request: 300ms }, filters: [{ urlRewrite: { path: { replaceFullPath: /hang } } }] }
  - { matches: [{ path: { type: PathPrefix, value: /web } }], backend: web, filters: [{ urlRewrite: { path: { replacePrefixMatch: / } } }] }
`;
};

const teardown = async (): Promise<void> => {
  await Promise.all([echo, odd, garbage, hints].map((origin) => origin.stop()));
};

/** RFC 9457 body, RFC 9209 field: the form of every answer that the gateway makes. */
function assertProblem(answer: Answer, status: number, error?: RegExp): void {
  assert.equal(answer.status, status, answer.text());
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/);
  const problem = answer.json();
  assert.equal(problem['status'], status);
  assert.equal(typeof problem['title'], 'string');
  assert.equal(typeof problem['detail'], 'string');
  if (error) assert.match(answer.headers['proxy-status'] ?? '', error);
  assert.doesNotMatch(answer.text(), /127\.0\.0\.1|Error:|\bat .*:\d+/, 'nothing of the inside');
}

onEachTarget('failures', { policy, teardown }, (world) => {
  test('an origin that refuses: 502', async () => {
    assertProblem(
      await ask(`${world.url}/refused`),
      502,
      /error=(connection_refused|destination_unavailable|connection_terminated)/,
    );
  });

  test('an origin that closes without an answer: 502', async () => {
    assertProblem(
      await ask(`${world.url}/web/reset`, { method: 'POST', body: 'x' }),
      502,
      /error=(connection_terminated|http_response_incomplete|destination_unavailable)/,
    );
  });

  test('an origin that takes too long: 504, and it is told', { timeout: 10_000 }, async () => {
    assertProblem(
      await ask(`${world.url}/slow?late`),
      504,
      /error=(connection_timeout|http_response_timeout|connection_read_timeout)/,
    );
    await echo.abort('/hang?late');
  });

  test('an origin that speaks no HTTP: 502', async () => {
    assertProblem(await ask(`${world.url}/garbage`), 502, /error=/);
  });

  test('a status that HTTP does not have: 502', async () => {
    assertProblem(await ask(`${world.url}/odd`), 502, /error=/);
  });

  test('an interim answer of the origin does not stand in for the final one', async () => {
    const answer = await ask(`${world.url}/hints`);
    assert.equal(answer.status, 200);
    assert.equal(answer.text(), 'ok');
  });

  test('an answer that breaks off is broken for the client too', async () => {
    const request = begin(`${world.url}/web/cut`);
    request.end();
    const broken = (async () => collect(((await once(request, 'response')) as [IncomingMessage])[0]))();
    await assert.rejects(broken, /aborted|ECONNRESET|hang up|Parse Error/);
  });

  test('no route: 404; a browser gets a page', async () => {
    assertProblem(await ask(`${world.url}/nothing`), 404);
    const page = await ask(`${world.url}/nothing/<script>`.replace('<script>', '%3Cscript%3E'), {
      headers: { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' },
    });
    assert.equal(page.status, 404);
    assert.match(page.headers['content-type'] ?? '', /^text\/html/);
    assert.match(page.text(), /<html/i);
    assert.doesNotMatch(page.text(), /<script>/);
  });

  test('a browser gets a page for 502 too, and HEAD gets no body', async () => {
    assert.match((await ask(`${world.url}/refused`, { headers: { accept: 'text/html' } })).text(), /502/);
    const bare = await ask(`${world.url}/refused`, { method: 'HEAD' });
    assert.equal(bare.status, 502);
    assert.equal(bare.body.length, 0);
  });

  test('answers of the gateway are not to be stored', async () => {
    assert.match((await ask(`${world.url}/refused`)).headers['cache-control'] ?? '', /no-store/);
  });
});
