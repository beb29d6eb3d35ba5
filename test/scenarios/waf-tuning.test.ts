/** False alarms: what `explain` proposes lets the request through and nothing else, and `replay` counts before anybody enforces. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ReplayReport } from '../../src/cli/replay.ts';
import type { Explanation } from '../../src/router/explain.ts';
import { run } from '../gateway.ts';
import { indented, SCORING } from '../support/scoring.ts';

let folder = '';
const policy = (more: string, route = ''): string => `app: shop
backends: { web: { url: http://127.0.0.1:9001 } }
waf:
  ruleset: none
${more}
  secLang: |
${indented(SCORING, 4)}
routes: [{ name: all, backend: web${route} }]
`;

interface Explained extends Explanation {
  readonly exclusion: { exclude: { rule: number; target?: string; when: string }[]; yaml: string } | null;
}

async function explain(text: string, request: string, ...more: string[]): Promise<Explained> {
  writeFileSync(join(folder, 'p.yaml'), text);
  const { stdout } = await run(['explain', 'p.yaml', request, ...more, '--json'], folder);
  return JSON.parse(stdout) as Explained;
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-tuning-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('explain shows what each rule saw, unredacted, and proposes as little as will do', async () => {
  const request = 'GET http://shop.test/search?q=p1&other=note&password=hello';
  const explained = await explain(policy('  mode: enforce'), request);
  assert.deepEqual([explained.waf?.blocked, explained.waf?.inbound, explained.answer.status], [true, 7, 403]);
  assert.deepEqual(
    explained.waf?.events.slice(0, 2).map(({ rule, target, matched, score }) => [rule, target, matched, score]),
    [
      [201, 'ARGS:q', 'p1', 5],
      [211, 'ARGS:other', 'note', 2],
    ],
  );
  const { exclusion } = explained;
  assert.deepEqual(exclusion?.exclude, [
    { rule: 201, target: 'ARGS:q', when: 'http.host eq "shop.test" and http.request.uri.path eq "/search"' },
  ]);

  // Pasted as it is.
  const pasted = policy(exclusion.yaml.split('\n').slice(1).join('\n'));
  assert.equal((await explain(pasted, request)).waf?.blocked, false);
  for (const other of ['/search?r=p1', '/other?q=p1', '/search?q=warn&r=note'])
    assert.equal((await explain(pasted, `GET http://shop.test${other}`)).waf?.blocked, true, other);
  assert.equal((await explain(pasted, 'GET http://else.test/search?q=p1')).waf?.blocked, true);
});

test('several rules are left out only where one is not enough; a route of its own is found', async () => {
  const two = await explain(policy('  paranoia: { blocking: 2 }'), 'POST http://shop.test/a', '-d', 'q=p1+p2');
  assert.deepEqual(
    two.exclusion?.exclude.map(({ rule, target }) => [rule, target]),
    [
      [201, 'ARGS:q'],
      [202, 'ARGS:q'],
    ],
  );
  const three = await explain(policy('  mode: log'), 'GET http://shop.test/?a=warn&b=note');
  assert.deepEqual(
    three.exclusion?.exclude.map(({ rule }) => rule),
    [210],
    'two points are below the threshold',
  );
  assert.equal((await explain(policy('  mode: log'), 'GET http://shop.test/?a=hello')).exclusion, null);
  const hostile = await explain(policy('  mode: log'), 'GET http://shop.test/?a%22%3Ab%27=p1');
  assert.deepEqual(
    hostile.exclusion?.exclude.map(({ target }) => target),
    ['ARGS'],
    'a name that is no name is not repeated',
  );
});

test('for people', async () => {
  writeFileSync(join(folder, 'p.yaml'), policy('  mode: enforce'));
  const { stdout } = await run(['explain', 'p.yaml', 'GET http://shop.test/search?q=p1'], folder);
  assert.match(stdout, /waf {7}none, mode enforce: blocked, inbound score 5/);
  assert.match(
    stdout,
    /201 {2}phase 2 {2}CRITICAL {2}\+5 {2}ARGS:q\n {4}word of level 1\n {4}matched p1 {2}after urlDecodeUni/,
  );
  assert.match(stdout, /- \{ rule: 201, target: 'ARGS:q', when: 'http\.host eq "shop\.test"/);
});

test('replay: what a draft of the firewall would block, bodies and answers included, by rule', async () => {
  const entry = (url: string, more: Record<string, unknown> = {}, text = '<p>') => ({
    request: { method: 'GET', url: `http://shop.test${url}`, headers: [], ...more },
    response: { status: 200, headers: [{ name: 'content-type', value: 'text/html' }], content: { text } },
  });
  const form = (body: string) => ({
    method: 'POST',
    headers: [{ name: 'content-type', value: 'application/x-www-form-urlencoded' }],
    postData: { text: body },
  });
  const entries = [
    entry('/?q=hello'),
    entry('/?q=p1'),
    entry('/?q=p1'),
    entry('/form', form('comment=p1')),
    entry('/leak', {}, 'leak-1'),
    entry('/form', form('comment=fine')),
  ];
  writeFileSync(join(folder, 'a.har'), JSON.stringify({ log: { entries } }));
  const replay = async (text: string): Promise<ReplayReport> => {
    writeFileSync(join(folder, 'draft.yaml'), text);
    const { stdout } = await run(['replay', '--har', 'a.har', '--policy', 'draft.yaml', '--json'], folder);
    return JSON.parse(stdout) as ReplayReport;
  };
  const report = await replay(policy('  mode: log\n  response: { inspect: true }'));
  assert.deepEqual(
    report.newlyBlocked.map(({ place }) => place),
    ['entry 2', 'entry 3', 'entry 4', 'entry 5'],
  );
  assert.deepEqual(
    report.byRule.map(({ rule, target, requests }) => [rule, target, requests]),
    [
      ['201', 'ARGS:q', 2],
      ['201', 'ARGS:comment', 1],
      ['402', 'RESPONSE_BODY', 1],
    ],
  );
  const tuned = await replay(policy('  exclude: [{ rule: 201 }]'));
  assert.deepEqual([tuned.unchanged, tuned.newlyBlocked.length], [6, 0]);
});
