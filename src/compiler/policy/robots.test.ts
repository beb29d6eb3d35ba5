import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Plan } from '../../plan.ts';
import { AGENT_TABLE } from '../agents/table.ts';
import { PRODUCT_TOKENS, productToken, tokensOf } from '../agents/tokens.ts';
import { compile } from '../index.ts';
import { MAX_DOCUMENT } from './robots-schema.ts';

const BASE = 'app: shop\nbackends: { web: { url: "http://127.0.0.1:9" }, other: { url: "http://127.0.0.1:8" } }\n';
const ROUTES = 'routes: [{ name: all, backend: web }]\n';

async function compiled(text: string): Promise<{ plan: Plan | undefined; said: string[] }> {
  const { plans, diagnostics } = await compile({ files: [{ path: 'a.yaml', text }], target: 'workerd', agents: null });
  return { plan: plans[0], said: diagnostics.map(({ severity, code, line }) => `${severity} ${code} ${line}`) };
}

async function robotsOf(robots: string, more = '', routes = ROUTES) {
  const { plan, said } = await compiled(`${BASE}${more}robots: ${robots}\n${routes}`);
  return { robots: plan?.site?.robots, said };
}

describe('the managed part', () => {
  test('is text and the same as data', async () => {
    const { robots, said } = await robotsOf(
      '{ managed: { groups: [{ agents: [Ibis, "*"], allow: [/é], disallow: [/a/, "*.pdf$"], signal: { search: true } }], license: "https://x.example/l", sitemaps: ["https://x.example/s"] } }',
    );
    assert.deepEqual(said, []);
    assert.equal(
      robots!.text,
      'License: https://x.example/l\nSitemap: https://x.example/s\n\nUser-agent: Ibis\nUser-agent: *\nContent-Signal: search=yes\nAllow: /é\nDisallow: /a/\nDisallow: *.pdf$\n',
    );
    assert.deepEqual(robots!.groups, [
      {
        agents: ['ibis', '*'],
        rules: [
          { allow: true, path: '/\u00c3\u00a9' },
          { allow: false, path: '/a/' },
          { allow: false, path: '*.pdf$' },
        ],
      },
    ]);
    assert.equal(robots!.backend, 0);
  });

  test('a group without rules ends all the same', async () => {
    const { robots } = await robotsOf('{ managed: { signal: { ai-train: no }, GPTBot: disallow } }');
    assert.equal(
      robots!.text,
      'User-agent: *\nContent-Signal: ai-train=no\nDisallow:\n\nUser-agent: GPTBot\nDisallow: /\n',
    );
    assert.deepEqual(robots!.refused, ['gptbot']);
  });

  test('names go before operators, these before categories, and all before `agents`', async () => {
    const of = async (managed: string, agents = ''): Promise<readonly string[]> =>
      (await robotsOf(`{ managed: ${managed} }`, agents)).robots!.refused;
    const openai = await of('{ OpenAI: disallow, GPTBot: allow }');
    assert.ok(openai.includes('chatgpt-user') && !openai.includes('gptbot'));
    const training = await of('{ training: disallow, OpenAI: allow }');
    assert.ok(training.includes('claudebot') && training.includes('google-extended') && !training.includes('gptbot'));
    const blocked = await of('{ Anthropic: allow }', 'agents: { training: block, Perplexity: log }\n');
    assert.ok(blocked.includes('gptbot') && !blocked.includes('claudebot') && !blocked.includes('perplexitybot'));
    assert.deepEqual(await of('{}'), []);
  });

  test('says what is wrong with it', async () => {
    for (const [robots, code] of [
      ['{ managed: { GPTbot: disallow } }', 'error unknown-agent 3'],
      ['{ managed: { groups: [{ agents: ["a b"] }] } }', 'error bad-format 3'],
      ['{ managed: { groups: [{ agents: [a], disallow: [x] }] } }', 'error bad-format 3'],
      ['{ managed: { groups: [{ agents: [a], disallow: ["/x # y"] }] } }', 'error bad-format 3'],
      ['{ managed: { groups: [{ agents: [a], disallow: ["/x\\nUser-agent: *"] }] } }', 'error bad-format 3'],
      ['{ managed: { license: "javascript:x" } }', 'error bad-format 3'],
      ['{ managed: { signal: { train: no } } }', 'error unknown-field 3'],
      ['{ managed: { usage: { ads: n } } }', 'warning unknown-label 3'],
      ['{ managed: { GPTBot: disallow, groups: [{ agents: [GPTBot], allow: [/] }] } }', 'warning no-effect 3'],
      ['{ origin: replace, backend: web }', 'warning no-effect 3'],
      ['{ backend: nobody }', 'error unknown-backend 3'],
      ['{ enforce: maybe }', 'error unknown-value 3'],
    ] as const)
      assert.deepEqual((await robotsOf(robots)).said, [code], robots);
  });
});

test('whose robots.txt the origin is', async () => {
  const backend = async (robots: string, routes: string) => (await robotsOf(robots, '', routes)).robots?.backend;
  assert.equal(await backend('{}', ROUTES), 0);
  assert.equal(await backend('{ backend: other }', ROUTES), 1);
  assert.equal(await backend('{ origin: replace }', ROUTES), -1);
  assert.equal(
    await backend(
      '{}',
      'routes: [{ backend: web }, { backend: other, matches: [{ path: { type: Exact, value: /robots.txt } }] }]\n',
    ),
    1,
  );
  const narrow = 'routes: [{ backend: web, matches: [{ path: { value: /shop } }] }]\n';
  assert.equal(await backend('{}', narrow), -1);
  assert.deepEqual((await robotsOf('{ origin: merge }', '', narrow)).said, ['error no-backend 3']);
});

test('routes differ from the app, field by field', async () => {
  const { plan } = await compiled(
    `${BASE}content: { markdown: true, signal: { search: yes } }
robots: { enforce: block }
routes:
  - { name: a, backend: web }
  - { name: b, backend: web, matches: [{ path: { value: /b } }], content: { markdown: false }, robots: { enforce: off } }
  - { name: c, backend: web, matches: [{ path: { value: /c } }], content: { markdown: false, signal: {} } }
`,
  );
  const of = (name: string) => plan!.actions[plan!.routeActions[plan!.routeNames.indexOf(name)]!]!;
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => [
      of(name).robots,
      plan!.contents[of(name).content]?.markdown,
      plan!.contents[of(name).content]?.signal,
    ]),
    [
      ['block', true, [['search', 'yes']]],
      ['off', false, [['search', 'yes']]],
      ['block', undefined, undefined],
    ],
  );
  const none = await compiled(`${BASE}${ROUTES}`);
  assert.deepEqual(
    [none.plan!.site, none.plan!.contents, none.plan!.actions[0]!.content, none.plan!.actions[0]!.robots],
    [null, [], -1, 'off'],
  );
});

test('agents that are blocked may read robots.txt', async () => {
  const { compileText } = { compileText: compiled };
  assert.deepEqual((await compileText(`${BASE}agents: { training: block }\nrobots: {}\n${ROUTES}`)).said, []);
});

test('product tokens are single words, and names of agents are found by them', () => {
  for (const row of AGENT_TABLE) assert.match(productToken(row), /^[A-Za-z0-9_.-]*$/);
  assert.equal(PRODUCT_TOKENS['Claude Code WebFetch'], 'Claude-User');
  assert.equal(PRODUCT_TOKENS['Claude in Chrome'], '');
  assert.equal(PRODUCT_TOKENS['GPTBot'], undefined);
  assert.equal(PRODUCT_TOKENS['Kangaroo Bot'], '');
  assert.deepEqual(
    tokensOf((name) => name === 'GPTBot'),
    ['GPTBot'],
  );
});

describe('llms.txt', () => {
  const of = async (
    llms: string,
    texts?: (file: string, from: string) => string | { problem: string; fix: string },
  ) => {
    const text = `${BASE}llms: ${llms}\n${ROUTES}`;
    const input = { files: [{ path: 'dir/a.yaml', text }], target: 'workerd', agents: null, texts } as const;
    const { plans, diagnostics } = await compile(input);
    return {
      documents: plans[0]?.site?.documents,
      said: diagnostics.map(({ code, message }) => `${code}: ${message}`),
    };
  };

  test('is text of the policy, or of a file beside it', async () => {
    const asked: string[] = [];
    const { documents, said } = await of('{ text: "# A", full: { file: docs/full.md } }', (file, from) => {
      asked.push(`${from} ${file}`);
      return '# B';
    });
    assert.deepEqual(said, []);
    assert.deepEqual(asked, ['dir/a.yaml docs/full.md']);
    const type = 'text/markdown; charset=utf-8';
    assert.deepEqual(documents, [
      { path: '/llms.txt', type, body: '# A' },
      { path: '/llms-full.txt', type, body: '# B' },
    ]);
  });

  test('says what is wrong with a file', async () => {
    assert.deepEqual((await of('{ text: { file: x } }')).said, ['missing-file: no files can be read here']);
    const gone = { problem: 'it is gone', fix: 'find it' };
    assert.deepEqual((await of('{ text: { file: x } }', () => gone)).said, ['missing-file: it is gone']);
    assert.deepEqual((await of('{ text: { file: x } }', () => '')).said, ['missing-file: `x` is empty']);
    assert.equal((await of('{ text: { file: x } }', () => 'x'.repeat(MAX_DOCUMENT))).said.length, 0);
    assert.deepEqual((await of('{ text: { file: x } }', () => 'x'.repeat(MAX_DOCUMENT + 1))).said, [
      'missing-file: `x` is too long',
    ]);
  });

  test('reaches no other folder', async () => {
    for (const file of ['/etc/passwd', '../x', 'a/../../x', '..', 'a\\..\\x'])
      assert.equal((await of(`{ text: { file: '${file}' } }`, () => 'read')).said.length, 1, file);
    for (const file of ['a', './a', 'a/b..md', '...a'])
      assert.deepEqual((await of(`{ text: { file: '${file}' } }`, () => 'x')).said, [], file);
  });
});
