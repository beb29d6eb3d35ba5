import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from '../index.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { readDocument } from '../document.ts';
import { MAX_AGENT_ENTRIES } from './agents.ts';
import { readPolicy } from './policy.ts';

function read(text: string): { rules: [name: string, action: string, when: string][]; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const document = readDocument('a.yaml', `app: shop\n${text}`, diagnostics);
  const policy = document && readPolicy(document, 'workerd');
  assert.ok(policy);
  return {
    rules: policy.rules.map(({ source }) => [source.name, source.action, source.when]),
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
