/** What rules see of messages that are longer than is looked at, and of paths that the origin gets in another spelling. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestHead, testEngine } from '../../test/support/engine.ts';
import { request, told, wafOf } from '../../test/support/rules-in-process.ts';
import { compile } from '../compiler/index.ts';
import type { StageResult } from './engine.ts';

const FORM = ['content-type', 'application/x-www-form-urlencoded'] as const;
const policy = (rules: string, more = ''): string => `
app: shop
waf:
  ruleset: none
  response: { inspect: true, limit: 1KB }
  body: { malformed: pass }
  secLang: |
    ${rules.trim().replaceAll('\n', '\n    ')}
routes: [{ name: all, backend: origin }]
backends: { origin: { url: http://127.0.0.1:9 } }
${more}`;

async function engineOf(text: string) {
  const { manifest, images, diagnostics } = await compile({
    files: [{ path: 'p.yaml', text }],
    target: 'workerd',
    agents: null,
  });
  assert.ok(manifest !== null, JSON.stringify(diagnostics));
  const loaded = (hash: string) => ({ hash, bytes: images.get(hash)! });
  const engine = await testEngine();
  const generation = engine.load({
    id: 'one',
    hosts: loaded(manifest.hosts),
    agents: null,
    apps: manifest.apps.map(({ image }) => loaded(image)),
  });
  return { engine, generation };
}
const idsOf = ({ waf }: Pick<StageResult, 'waf'>): number[] => waf!.events.map(({ rule }) => rule);

test('INBOUND_DATA_ERROR and OUTBOUND_DATA_ERROR say that there was more, in each phase that follows', async () => {
  const { engine, generation } = await engineOf(
    policy(
      [1, 2, 3, 4, 5]
        .flatMap((phase) => [
          `SecRule INBOUND_DATA_ERROR "@eq 1" "id:1${phase},phase:${phase},pass,log"`,
          `SecRule OUTBOUND_DATA_ERROR "@eq 1" "id:2${phase},phase:${phase},pass,log"`,
          `SecRule INBOUND_DATA_ERROR|OUTBOUND_DATA_ERROR "!@rx ^[01]$" "id:3${phase},phase:${phase},pass,log"`,
        ])
        .join('\n'),
    ),
  );
  const head = requestHead('http://shop.example/', { method: 'POST', headers: [FORM] });
  const bytes = new TextEncoder().encode('a=1');
  const response = { text: '200\0content-type\0text/html\0', fields: 3 };
  const run = (more: boolean | 'unreadable', answered: boolean): number[] => {
    const first = engine.head(generation, head, 1, 1, true);
    assert.deepEqual(idsOf(first), []);
    const second = engine.body(generation, 0, head, bytes, more === true ? 5000 : 3, more, 1, 1, first.state);
    const third = engine.response(generation, 0, head, response, 1, 1, second.state, bytes, answered);
    return [...idsOf(second), ...idsOf(third)];
  };
  assert.deepEqual(run(false, false), []);
  assert.deepEqual(run('unreadable', false), []);
  assert.deepEqual(run(true, false), [12, 13, 14, 15]);
  assert.deepEqual(run(false, true), [23, 24, 25]);
  assert.deepEqual(run(true, true), [12, 13, 23, 14, 24, 15, 25]);
});

test('in this process the limits of the settings cut', async () => {
  const waf = await wafOf(
    `SecRule INBOUND_DATA_ERROR "@eq 1" "id:1,phase:2,pass,log"
     SecRule REQUEST_BODY "@contains z" "id:2,phase:2,pass,log"
     SecRule OUTBOUND_DATA_ERROR "@eq 1" "id:3,phase:4,pass,log"
     SecRule RESPONSE_BODY "@contains z" "id:4,phase:4,pass,log"`,
    { bodyLimit: 10, responseBodyLimit: 20, response: true },
  );
  const run = (body: string, answer: string): string[] =>
    told(
      waf.inspect(
        request('/', {
          body,
          headers: ['Content-Type: application/x-www-form-urlencoded'],
          response: { status: 200, protocol: 'HTTP/1.1', headers: [], body: answer },
        }),
      ),
    );
  assert.deepEqual(run(`${'a'.repeat(9)}z`, `${'a'.repeat(19)}z`), ['2 REQUEST_BODY', '4 RESPONSE_BODY']);
  assert.deepEqual(run(`${'a'.repeat(10)}z`, `${'a'.repeat(20)}z`), ['1 INBOUND_DATA_ERROR', '3 OUTBOUND_DATA_ERROR']);
});

test('ctl:responseBodyAccess takes the body of an answer away, from whichever phase', async () => {
  for (const phase of [1, 2, 3]) {
    const waf = await wafOf(
      `SecRule ARGS:off "@eq 1" "id:1,phase:${phase},pass,nolog,ctl:responseBodyAccess=Off"
       SecRule ARGS:off "@eq 2" "id:2,phase:${phase},pass,nolog,ctl:responseBodyAccess=On"
       SecRule RESPONSE_BODY "@contains z" "id:3,phase:4,deny,log"
       SecRule RESPONSE_BODY "!@contains y" "id:4,phase:4,pass,log"
       SecRule RESPONSE_STATUS "@eq 200" "id:5,phase:4,pass,log"`,
      { response: true },
    );
    const response = { status: 200, protocol: 'HTTP/1.1', headers: [], body: 'z' };
    for (const body of ['', 'a=1']) {
      const run = (off: number): string[] => told(waf.inspect(request(`/?off=${off}`, { body, response })));
      assert.deepEqual(run(1), ['5 RESPONSE_STATUS'], `phase ${phase}`);
      assert.deepEqual(run(2), ['3 RESPONSE_BODY']);
    }
  }
});

test('a path is seen as it came, and as the origin gets it', async () => {
  const { engine, generation } = await engineOf(
    policy(
      `
SecRule REQUEST_FILENAME "@streq /admin/x.php" "id:1,phase:1,pass,log"
SecRule REQUEST_BASENAME "@streq x.php" "id:2,phase:1,pass,log"
SecRule REQUEST_URI "@beginsWith /admin/x.php?q=" "id:3,phase:1,pass,log"
SecRule REQUEST_FILENAME "@contains .." "id:4,phase:1,pass,log"
SecRule REQUEST_URI_RAW "@beginsWith /admin" "id:5,phase:1,pass,log"
SecRule REQUEST_FILENAME "@rx ^/" "id:6,phase:1,pass,log,logdata:'%{REQUEST_FILENAME}'"`,
      'path: { mergeSlashes: true }',
    ),
  );
  const run = (path: string): number[] =>
    idsOf(engine.head(generation, requestHead(`http://shop.example${path}?q=1`), 1, 1, false));
  assert.deepEqual(run('/admin/x.php'), [1, 2, 3, 5, 6]);
  assert.deepEqual(run('/%61dmin/x.php'), [1, 2, 3, 6]);
  assert.deepEqual(run('/a/../admin/x.php'), [1, 2, 3, 4, 6, 6]);
  assert.deepEqual(run('/x.php/../admin/x.php'), [1, 2, 3, 4, 6, 6]);
  assert.deepEqual(run('/admin/x.php/y/%2e./'), [4, 5, 6, 6]);
  assert.deepEqual(run('//admin//x.php'), [1, 2, 3, 6, 6]);
  assert.deepEqual(run('/admin/%zz/../x.php'), [1, 2, 3, 4, 5, 6, 6]);
});
