import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from '../index.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { readDocument } from '../document.ts';
import { MAX_AGENT_ENTRIES } from './agents.ts';
import { readPolicy, type Policy } from './policy.ts';
import {
  EFFECT_VALUE,
  MAX_RULE_GROUPS,
  RULE_GROUP,
  RULE_GROUP_END,
  RULE_STAGE,
  SECTION_RULES,
  STAGE_BODY,
} from '../../../assembly/abi.ts';
import { requestHead, testEngine } from '../../../test/support/engine.ts';
import { ImageError } from '../../waf/engine.ts';
import { compileAgents } from '../agents/agents.ts';

/** What robots.txt is kept apart with. */
const ROBOTS = /^http\.request\.uri\.path != "\/robots\.txt" and \((.*)\)$/;

function read(text: string): { rules: [name: string, action: string, when: string][]; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const document = readDocument('a.yaml', `app: shop\n${text}`, diagnostics);
  const policy = document && readPolicy(document, 'workerd');
  assert.ok(policy);
  return {
    rules: policy.rules.map(({ source }) => [source.name, source.action, source.when.replace(ROBOTS, '$1')]),
    diagnostics: diagnostics.filter(({ severity }) => severity === 'error'),
  };
}
const SPOOFED = ['agents', 'block', 'agent.identity == "spoofed"'];

test('without agents there are no rules about them; with them forgeries are blocked', () => {
  assert.deepEqual(read('').rules, []);
  assert.deepEqual(read('agents: {}').rules, [SPOOFED]);
  assert.deepEqual(read('agents: { spoofed: allow }').rules, []);
  assert.deepEqual(read('agents: { spoofed: log }').rules, [['agents', 'log', 'agent.identity == "spoofed"']]);
  assert.deepEqual(read('agents: { require: verified }').rules[1], [
    'agents',
    'block',
    'agent.bot and not agent.verified',
  ]);
});

test('the most specific entry holds: a name, then an operator or a domain, then a category', () => {
  const { rules, diagnostics } = read(`agents:
  training: block
  search: allow
  OpenAI: log
  GPTBot: allow
  agent.example: block
rules: [{ name: mine, when: ssl, action: block }]`);
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(rules, [
    SPOOFED,
    ['agents training', 'block', 'agent.category == "training" and not (agent.name in {"GPTBot"}) and not (agent.operator in {"OpenAI"}) and not (agent.domain in {"agent.example"})'],
    ['agents OpenAI', 'log', 'agent.operator == "OpenAI" and not (agent.name in {"GPTBot"})'],
    ['agents agent.example', 'block', 'agent.domain == "agent.example" and not (agent.name in {"GPTBot"})'],
    ['mine', 'block', 'ssl'],
  ]); // prettier-ignore
});

test('they compile, and what they say is what the plan has', async () => {
  const text =
    'app: a\nagents: { training: block, "Butterfly Effect (Manus)": block, require: verified }\nroutes: []\n';
  const { manifest, diagnostics } = await compile({
    files: [{ path: 'a.yaml', text }],
    target: 'workerd',
    agents: null,
  });
  assert.deepEqual(diagnostics.filter(({ severity }) => severity === 'error'), []); // prettier-ignore
  assert.ok(manifest);
});

test('what is nobody is an error with a place and a proposal', () => {
  const told = (text: string) =>
    read(text).diagnostics.map(({ code, line, column, fix }) => `${code} ${line}:${column} ${fix ?? ''}`);
  assert.deepEqual(told('agents: { trianing: block }'), ['unknown-agent 2:11 did you mean `training`?']);
  assert.deepEqual(told('agents: { GPTbot: block }'), ['unknown-agent 2:11 did you mean `GPTBot`?']);
  assert.match(told('agents: { zzzzzzzzzzzz: block }').join(), /write a category, an operator, a name, or the domain/);
  assert.equal(told('agents: { training: charge }').length, 1);
  assert.equal(told('agents: { require: claimed }').length, 1);
  assert.equal(told('agents: block').length, 1);
});

test('entries are bounded', () => {
  const entries = (count: number) =>
    `agents: { ${Array.from({ length: count }, (_, i) => `a${i}.example: block`).join(', ')} }`;
  assert.deepEqual(read(entries(MAX_AGENT_ENTRIES)).diagnostics, []);
  assert.deepEqual(read(entries(MAX_AGENT_ENTRIES + 1)).diagnostics.map(({ code }) => code), ['out-of-range']); // prettier-ignore
});

const conditions = (text: string) => {
  const { rules, diagnostics } = read(text);
  assert.deepEqual(diagnostics, []);
  return rules.slice(1);
};
test('of a demand and of what is stricter, one is made', () => {
  const RATE = '{ rate: { requests: 5, per: 1m } }';
  // Search is what Amazonbot is for beside training: there the stricter entry holds.
  assert.deepEqual(conditions(`agents: { search: ${RATE}, training: challenge }`), [
    ['agents search', 'rate', '(agent.category == "search" or agent.name in {"Amazonbot" "Meta-ExternalAgent"}) and not (agent.name in {"Meta-ExternalAgent" "Amazonbot"})'],
    ['agents training', 'challenge', 'agent.category == "training"'],
  ]); // prettier-ignore
  assert.deepEqual(conditions(`agents: { search: block, training: ${RATE} }`), [
    ['agents search', 'block', '(agent.category == "search" or agent.name in {"Amazonbot" "Meta-ExternalAgent"})'],
    ['agents training', 'rate', 'agent.category == "training"'],
  ]); // prettier-ignore
  assert.deepEqual(conditions(`agents: { OpenAI: ${RATE}, agent.example: challenge, b.example: block }`), [
    ['agents OpenAI', 'rate', 'agent.operator == "OpenAI" and not (agent.domain in {"agent.example"})'],
    ['agents agent.example', 'challenge', 'agent.domain == "agent.example"'],
    ['agents b.example', 'block', 'agent.domain == "b.example"'],
  ]);
});

function policyOf(text: string): { policy: Policy; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const document = readDocument('a.yaml', `app: shop\nbackends: { web: { url: http://web } }\n${text}`, diagnostics);
  const policy = document && readPolicy(document, 'workerd');
  assert.ok(policy);
  return { policy, diagnostics: diagnostics.filter(({ severity }) => severity === 'error') };
}

test('rates: an agent has one count, software is counted by who runs it, words are explained once', () => {
  const { policy, diagnostics } = policyOf(`agents:
  rate: { requests: 60, per: 1m }
  training: rate
  library: rate
  GPTBot: { rate: { requests: 5, per: 10s, by: [x-key, ip.src], onError: open } }
`);
  assert.deepEqual(diagnostics, []);
  const rates = policy.rules.flatMap(({ plan }) =>
    plan.rate === undefined ? [] : [[plan.name, plan.status, plan.rate]],
  );
  const AGENT = ['agent.identity', 'agent.operator', 'agent.name', 'agent.domain'];
  assert.deepEqual(rates, [
    ['agents training', 429, { requests: 60, seconds: 60, policy: 'agent', by: AGENT, onError: 'closed' }],
    [
      'agents library',
      429,
      { requests: 60, seconds: 60, policy: 'agent', by: ['agent.name', 'ip.src'], onError: 'closed' },
    ],
    ['agents GPTBot', 429, { requests: 5, seconds: 10, policy: 'agent', by: ['x-key', 'ip.src'], onError: 'open' }],
  ]);
  const told = (text: string) =>
    policyOf(text).diagnostics.map(({ code, line, column }) => `${code} ${line}:${column}`);
  assert.deepEqual(told('agents: { training: rate }'), ['missing-field 3:21']);
  assert.deepEqual(told('agents: { training: charge }'), ['missing-field 3:21']);
  assert.deepEqual(told('agents: { rate: { requests: 1, per: 500ms }, training: rate }'), ['out-of-range 3:37']);
  assert.equal(told('agents: { training: { rate: { requests: 1, per: 1m }, charge: { price: USD 1 } } }').length, 1);
});

test('a route differs entry by entry, and equal policies are one group', () => {
  const { policy, diagnostics } = policyOf(`agents: { training: block, search: log, require: verified }
routes:
  - { name: plain, backend: web }
  - { name: free, agents: { training: allow, require: none }, matches: [{ path: { value: /free } }], backend: web }
  - { name: same, agents: { training: block }, matches: [{ path: { value: /same } }], backend: web }
  - { name: strict, agents: { GPTBot: block, spoofed: log }, matches: [{ path: { value: /strict } }], backend: web }
`);
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(policy.routes.map(({ group }) => group), [1, 2, 3, 4]); // prettier-ignore
  assert.deepEqual(
    policy.rules.map(({ source }) => [source.group, source.name, source.action]),
    [
      ...[[1, 'agents', 'block'], [1, 'agents', 'block'], [1, 'agents training', 'block'], [1, 'agents search', 'log']],
      ...[[2, 'agents', 'block'], [2, 'agents search', 'log']],
      ...[[3, 'agents', 'block'], [3, 'agents', 'block'], [3, 'agents training of same', 'block'], [3, 'agents search', 'log']],
      ...[[4, 'agents', 'log'], [4, 'agents', 'block'], [4, 'agents training', 'block'], [4, 'agents search', 'log'], [4, 'agents GPTBot of strict', 'block']],
    ],
  ); // prettier-ignore
  const one = policyOf('routes: [{ agents: { signals: log }, backend: web }]').diagnostics;
  assert.deepEqual(one.map(({ code }) => code), ['conflict']); // prettier-ignore
  const routes = (count: number) =>
    `routes:\n${Array.from({ length: count }, (_, i) => `  - { agents: { GPTBot: { rate: { requests: ${i + 1}, per: 1m } } }, matches: [{ path: { value: /${i} } }], backend: web }`).join('\n')}`;
  assert.deepEqual(policyOf(routes(MAX_RULE_GROUPS - 1)).diagnostics, []);
  assert.deepEqual(policyOf(routes(MAX_RULE_GROUPS)).diagnostics.map(({ code }) => code), ['too-many-policies']); // prettier-ignore
});

test('the engine runs the rules of the route that matched', async () => {
  const text = `app: a
backends: { web: { url: http://web } }
agents: { training: block }
rules: [{ name: mine, when: 'http.request.uri.path contains "mine"', action: block }]
routes:
  - { name: free, agents: { training: allow }, matches: [{ path: { value: /free } }], backend: web }
  - { name: slow, agents: { training: { rate: { requests: 1, per: 1m } } }, matches: [{ path: { value: /slow } }], backend: web }
  - { name: rest, matches: [{ path: { value: /rest } }], backend: web }
`;
  const table = compileAgents();
  const { manifest, images, diagnostics } = await compile({
    files: [{ path: 'a', text }],
    target: 'workerd',
    agents: table,
  });
  assert.ok(manifest, JSON.stringify(diagnostics));
  const engine = await testEngine();
  const loaded = (hash: string) => ({ hash, bytes: images.get(hash)! });
  const generation = engine.load({
    id: 'groups',
    hosts: loaded(manifest.hosts),
    agents: loaded(manifest.agents!),
    apps: manifest.apps.map(({ image }) => ({ ...loaded(image), rulesets: [] })),
  });
  const plan = generation.apps[0]!;
  const judged = (path: string, agent = 'GPTBot/1.2') => {
    const { terminal, rule, effects } = engine.head(generation, requestHead(`http://a${path}`, { headers: [['host', 'a'], ['user-agent', agent]] }), 1, 2); // prettier-ignore
    return [terminal === 0 ? '' : plan.rules[rule]?.name, effects.map(({ kind, index, value }) => (kind === EFFECT_VALUE ? value : plan.rules[index]?.name))]; // prettier-ignore
  };
  assert.deepEqual(judged('/rest'), ['agents training', ['agents training']]);
  assert.deepEqual(judged('/nowhere'), ['agents training', ['agents training']], 'without a route the app decides');
  assert.deepEqual(judged('/free'), ['', []]);
  assert.deepEqual(judged('/free/mine'), ['mine', ['mine']]);
  assert.deepEqual(judged('/slow'), ['', ['agents training of slow', 'claimed', 'OpenAI', 'GPTBot', '']]);
  assert.deepEqual(judged('/rest', 'Mozilla/5.0'), ['', []]);
  assert.deepEqual(judged('/rest/mine', 'Mozilla/5.0'), ['mine', ['mine']]);
  // What does not hold together is no image.
  const image = images.get(manifest.apps[0]!.image)!;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const rules = view.getUint32(24 + SECTION_RULES * 8, true);
  for (const [word, value, sound] of [
    ...[
      [RULE_GROUP, MAX_RULE_GROUPS, true],
      [RULE_GROUP, MAX_RULE_GROUPS + 1, false],
      [RULE_GROUP, -1, false],
    ],
    ...[
      [RULE_GROUP_END, 0, false],
      [RULE_GROUP_END, 1, true],
      [RULE_GROUP_END, 1000, false],
      [RULE_STAGE, STAGE_BODY, false],
    ],
  ] as [number, number, boolean][]) {
    // prettier-ignore
    const changed = image.slice();
    new DataView(changed.buffer).setInt32(rules + 8 + word * 4, value, true);
    const load = () => engine.load({ id: `x${word}${value}`, hosts: loaded(manifest.hosts), agents: null, apps: [{ hash: `x${word}${value}`, bytes: changed, rulesets: [] }] }); // prettier-ignore
    if (sound) load();
    else assert.throws(load, ImageError, `${word} ${value}`);
  }
});
