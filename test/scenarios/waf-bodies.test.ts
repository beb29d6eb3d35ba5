/** Bodies that the WAF cannot read for sure, and ordinary ones, over real sockets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ask, type Answer, type Options } from '../client.ts';
import { ORDINARY_BODIES } from '../core-rules/bodies.ts';
import { startEcho, type Echo } from '../echo.ts';
import type { GatewayEvent } from '../gateway.ts';
import { onEachTarget } from './targets.ts';

let origin: Echo;

const policy = async (): Promise<string> => {
  origin = await startEcho('web');
  return `
app: bodies
backends: { web: { url: ${origin.url} } }
waf:
  ruleset: none
  secLang: SecRule ARGS "@contains attack" "id:1,phase:2,deny,status:403,msg:'a word'"
routes:
  - { name: log, matches: [{ path: { value: /log } }], backend: web, waf: { mode: log } }
  - { name: record, matches: [{ path: { value: /record } }], backend: web, waf: { body: { malformed: log } } }
  - { name: lenient, matches: [{ path: { value: /lenient } }], backend: web, waf: { body: { malformed: pass } } }
  - name: trusted
    matches: [{ path: { value: /trusted } }]
    backend: web
    waf: { exclude: [{ rule: 9000002, when: 'http.request.uri.query eq "a"' }] }
  - { name: rest, backend: web }
`;
};

onEachTarget('waf bodies', { policy, teardown: () => origin.stop() }, (world) => {
  let count = 0;
  /**
   * The answer, and what the access log says of it: a segment of the path, behind that of the route, is its name there.
   * Lines come when they like, those of earlier requests too.
   */
  const get = async (path: string, options: Options = {}): Promise<{ answer: Answer; event: GatewayEvent }> => {
    const name = `u${++count}`;
    const named = path.replace(/^(\/[^/?]*)/, (first) => (first === '/' ? `/${name}` : `${first}/${name}`));
    const answer = await ask(`${world.url}${named}`, options);
    const event = await world.gateway.event('access', (one) => String(one['path']).split('/').includes(name));
    return { answer, event };
  };
  const status = async (path: string, options: Options = {}): Promise<number> =>
    (await get(path, options)).answer.status;
  const rulesOf = (event: GatewayEvent): number[] =>
    ((event['waf'] as { events?: { rule: number }[] } | undefined)?.events ?? []).map(({ rule }) => rule);

  test('a body that cannot be read for sure goes nowhere, unless the policy lets it', async () => {
    const send = (type: string, body: string | Buffer, more: Record<string, string> = {}): Options => ({
      method: 'POST',
      body,
      headers: { 'content-type': type, ...more },
    });
    const part = '--b\r\nContent-Disposition: form-data; name="q"\r\n\r\n';
    const packed = gzipSync('q=hello');
    const malformed: readonly (readonly [rule: number, options: Options])[] = [
      [9000002, send('application/json', '{"a":')],
      [9000002, send('text/xml', '<!DOCTYPE a [<!ENTITY e "1">]><a>p&e;</a>')],
      [9000002, send('multipart/form-data; boundary=b', `${part}hello\r\n`)],
      [9000003, send('multipart/form-data; boundary=b', `x\r\n${part}hello\r\n--b--\r\n`)],
      [9000004, send('multipart/form-data; boundary=b', `${part}hello--b\rhello\r\n--b--\r\n`)],
      [
        9000002,
        send('application/x-www-form-urlencoded', packed.subarray(0, packed.length - 4), {
          'content-encoding': 'gzip',
        }),
      ],
      [9000002, send('application/x-www-form-urlencoded', 'q=hello', { 'content-encoding': 'gzip' })],
    ];
    for (const [rule, options] of malformed) {
      const before = origin.received.length;
      const { answer: refused, event } = await get('/', options);
      assert.equal(refused.status, 400);
      assert.match(refused.text(), /the request body cannot be read for sure/);
      assert.deepEqual(rulesOf(event), [rule]);
      assert.equal(origin.received.length, before);
      for (const [path, rules] of [
        ['/record', [rule]],
        ['/lenient', []],
        ['/log', [rule]],
      ] as const) {
        const passed = await get(path, options);
        assert.equal(passed.answer.status, 200, path);
        assert.deepEqual(rulesOf(passed.event), rules, path);
      }
      assert.equal(origin.received.at(-1)?.body.length, Buffer.from(options.body ?? '').length);
      assert.equal(await status('/trusted', options), 400);
      assert.equal(await status('/trusted?a', options), rule === 9000002 ? 200 : 400);
    }
    const { event: said } = await get('/log', malformed[0]![1]);
    const [verdict] = said['verdict'] as Record<string, unknown>[];
    assert.deepEqual([verdict!['action'], verdict!['mode'], verdict!['status']], ['block', 'log', 400]);
    const { events } = said['waf'] as { events: Record<string, unknown>[] };
    assert.deepEqual(
      [events[0]!['message'], events[0]!['score'], events[0]!['severity']],
      ['Body is malformed: JSON parsing error: the document ends too early', 0, 'CRITICAL'],
    );
    // What the rules still see of it counts.
    assert.equal(await status('/lenient', send('application/json', '{"a":"attack"')), 403);
  });

  test('a short body that comes in pieces is judged whole, and one whose client leaves goes nowhere', async () => {
    const upload = async (path: string, pieces: readonly string[], pause: number, leave = false): Promise<string> => {
      const length = pieces.join('').length + (leave ? 1 : 0);
      const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
      const socket = connect(world.port, '127.0.0.1');
      let answer = '';
      socket.on('data', (data) => (answer += data.toString('latin1'))).on('error', () => {});
      socket.write(head);
      for (const piece of pieces) {
        await new Promise((resolve) => setTimeout(resolve, pause));
        socket.write(piece);
      }
      if (leave) socket.resetAndDestroy();
      await once(socket, 'close');
      return answer.slice(9, 12);
    };
    // Longer than the gateway waits before it listens for its client, and shorter.
    for (const pause of [400, 20]) {
      assert.equal(await upload('/anything', ['q=he', 'llo'], pause), '200');
      assert.equal(await upload('/anything', ['q=att', 'ack'], pause), '403');
      const before = origin.received.length;
      await upload('/gone', ['q=he', 'llo'], pause, true);
      assert.equal(await upload('/anything', ['q=a'], 0), '200');
      assert.deepEqual(
        origin.received.slice(before).map(({ path }) => path),
        ['/anything'],
      );
    }
  });

  test('ordinary bodies, and none, are no reason to refuse', async () => {
    for (const [name, { method, headers, body }] of ORDINARY_BODIES) {
      if (method === 'PROPFIND') continue; // nothing that fetch would send
      const type = headers.find(([field]) => field === 'Content-Type')?.[1] as string | undefined;
      const sent = Buffer.from(body as string, 'latin1');
      const options = {
        method: String(method),
        body: sent,
        headers: type === undefined ? {} : { 'content-type': type },
      };
      const { status: code, echo } = (await get('/anything', options)).answer;
      assert.equal(code, 200, name);
      assert.equal(echo().body.length, sent.length, name);
    }
  });
});
